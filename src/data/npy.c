/* The header is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }. */
#include "data/npy.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static bool is_big_endian(void) {
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return !first;
}

/* What stands behind 'key': */
static const char *find(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (!at) return NULL;
    at = strchr(at + strlen(key), ':');
    if (at) at++;
    while (at && *at == ' ') at++;
    return at;
}

/* Types that numpy.save writes and that are not read, by their letter. */
static const struct {
    char kind;
    const char *what, *remedy;
} unread[] = {
    {'c', "complex numbers", "save numbers: real and imaginary parts side by side"},
    {'O', "Python objects", "save numbers or texts of one type, such as numpy.asarray(.., dtype=float) or .astype(str)"},
    {'M', "dates", "save numbers of days or seconds, such as .astype('int64')"},
    {'m', "lengths of time", "save numbers of days or seconds, such as .astype('int64')"},
    {'V', "raw bytes", "save numbers, such as .view('uint8')"},
    {'f', "floats of another size than 16, 32 or 64 bits", "save .astype('float64')"},
    {'[', "records of several fields", "save an array of one of them, or of numbers side by side"},
};

/* `text`: what stands behind 'descr': in the header. */
static clm_status refuse_type(const clm_npy *a, const char *where, const char *text) {
    const char kind = text && *text == '[' ? '[' : a->kind;
    const int length = text && *text && *text != '[' ? (int)strcspn(text + 1, "'\"") : 0;
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++)
        if (unread[i].kind == kind)
            return clm_fail(CLM_E_FORMAT, "%s: holds %s%s%.*s%s, which are not read; %s", where, unread[i].what,
                            length ? " ('" : "", length < 12 ? length : 12, text + 1, length ? "')" : "", unread[i].remedy);
    return clm_fail(CLM_E_FORMAT, "%s: elements of type '%.*s' are not read; save numbers (integers or floats) or texts", where,
                    length < 12 ? length : 12, text ? text + 1 : "?");
}

static clm_status parse_type(clm_npy *a, const char *where, const char *text) {
    static const char kinds[] = "ufibUS";
    const char order = text && (*text == '\'' || *text == '"') ? text[1] : 0;
    char *end = NULL;
    if (order) {
        a->kind = text[2];
        const long n = a->kind ? strtol(text + 3, &end, 10) : 0;
        a->bytes = n > 0 && n < 1 << 20 ? (int)n * (a->kind == 'U' ? 4 : 1) : 0;
    }
    const bool whole = a->kind == 'u' || a->kind == 'i', known = order && strchr(kinds, a->kind) && a->bytes > 0;
    const bool size = !known           ? false
                      : whole          ? a->bytes == 1 || a->bytes == 2 || a->bytes == 4 || a->bytes == 8
                      : a->kind == 'f' ? a->bytes == 2 || a->bytes == 4 || a->bytes == 8
                      : a->kind == 'b' ? a->bytes == 1
                                       : true;
    if (!size) return refuse_type(a, where, text);
    a->swap = order == (is_big_endian() ? '<' : '>');
    return CLM_OK;
}

static clm_status parse_shape(clm_npy *a, const char *where, const char *text) {
    if (!text || *text != '(') return clm_fail(CLM_E_FORMAT, "%s: a damaged array (no shape)", where);
    a->count = 1;
    for (text++; *text && *text != ')';) {
        char *end = NULL;
        const unsigned long long n = strtoull(text, &end, 10);
        if (end == text || *text == '-' || (n && a->count > SIZE_MAX / n / 16))
            return clm_fail(CLM_E_FORMAT, "%s: a damaged array (its shape has a size that cannot be, at \"%.24s\")", where,
                            text);
        if (a->rank == CLM_NPY_RANK)
            return clm_fail(CLM_E_FORMAT, "%s: has more than %d axes, which are not read; reshape it", where, CLM_NPY_RANK);
        a->dim[a->rank++] = (size_t)n;
        a->count *= (size_t)n;
        text = end + strspn(end, ", L");
    }
    return CLM_OK;
}

clm_status clm_npy_parse(clm_npy *out, const char *where, const uint8_t *data, size_t size) {
    *out = (clm_npy){0};
    if (size < 12 || memcmp(data, "\x93NUMPY", 6) != 0 || data[6] < 1 || data[6] > 3)
        return clm_fail(CLM_E_FORMAT, "%s: not an array of NumPy (.npy); save it with numpy.save or numpy.savez", where);
    const size_t begin = data[6] == 1 ? 10 : 12;
    size_t length = (size_t)data[8] | (size_t)data[9] << 8;
    if (data[6] > 1) length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    if (length > size - begin) return clm_fail(CLM_E_FORMAT, "%s: a damaged array (its header is cut off)", where);
    char *header = clm_format("%.*s", (int)length, (const char *)data + begin);
    if (!header) return CLM_E_MEMORY;
    clm_status status = CLM_OK;
    const char *order = find(header, "'fortran_order'");
    CLM_GOTO(parse_type(out, where, find(header, "'descr'")));
    CLM_GOTO(parse_shape(out, where, find(header, "'shape'")));
    if ((!order || strncmp(order, "False", 5) != 0) && out->rank > 1)
        CLM_GOTO(clm_fail(
            CLM_E_FORMAT,
            "%s: is stored column by column (Fortran order), which is not read; save numpy.ascontiguousarray(..) of it",
            where));
    assert(out->bytes > 0);
    if (out->count > (size - begin - length) / (size_t)out->bytes)
        CLM_GOTO(clm_fail(CLM_E_FORMAT, "%s: a damaged array (it ends early)", where));
    out->data = data + begin + length;
out:
    free(header);
    return status;
}

static uint64_t bits_of(const clm_npy *a, size_t index, int first, int bytes) {
    const uint8_t *p = a->data + index * (size_t)a->bytes + first;
    const bool big = a->swap != is_big_endian();
    uint64_t bits = 0;
    for (int i = 0; i < bytes; i++) bits = bits << 8 | p[big ? i : bytes - 1 - i];
    return bits;
}

/* IEEE half precision. */
static double half(uint64_t bits) {
    const int exponent = (int)(bits >> 10 & 31);
    const double fraction = (double)(bits & 1023);
    const double value = exponent == 31 ? (fraction > 0 ? (double)NAN : (double)INFINITY)
                         : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                        : ldexp(fraction, -24);
    return bits >> 15 ? -value : value;
}

double clm_npy_number(const clm_npy *a, size_t index) {
    const uint64_t bits = bits_of(a, index, 0, a->bytes);
    float single;
    double twice;
    const uint32_t low = (uint32_t)bits;
    if (a->kind == 'u' || a->kind == 'b') return (double)bits;
    if (a->kind == 'i') {
        const int unused = 64 - 8 * a->bytes;
        return (double)((int64_t)(bits << unused) >> unused);
    }
    if (a->bytes == 2) return half(bits);
    memcpy(&single, &low, sizeof single);
    memcpy(&twice, &bits, sizeof twice);
    return a->bytes == 4 ? (double)single : twice;
}

bool clm_npy_is_text(const clm_npy *a) { return a->kind == 'U' || a->kind == 'S'; }

/* One character of Unicode in UTF-8. */
static size_t encode(uint32_t c, char *to) {
    if (c < 0x80) return to[0] = (char)c, 1;
    if (c < 0x800) return to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return to[0] = (char)(0xe0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 63)), to[2] = (char)(0x80 | (c & 63)), 3;
    to[0] = (char)(0xf0 | (c >> 18 & 7));
    to[1] = (char)(0x80 | (c >> 12 & 63));
    to[2] = (char)(0x80 | (c >> 6 & 63));
    to[3] = (char)(0x80 | (c & 63));
    return 4;
}

char *clm_npy_text(const clm_npy *a, size_t index) {
    const int unit = a->kind == 'U' ? 4 : 1, length = a->bytes / unit;
    char *text = clm_calloc((size_t)length * 4 + 1, 1);
    size_t used = 0;
    for (int i = 0; text && i < length; i++) {
        const uint32_t c = (uint32_t)bits_of(a, index, i * unit, unit);
        if (!c) break;
        if (unit == 1)
            text[used++] = (char)c;
        else
            used += encode(c, text + used);
    }
    return text;
}
