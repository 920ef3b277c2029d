/* Emulation of other devices.
 *
 *     CLMAML_EMULATE = key "=" value { "," key "=" value }
 *
 * `keys` is the whole list; docs/environment.md explains them. What a key says is enforced as the device would: kernels get no
 * larger work-groups, allocations that are too large or too many fail, kernels with features that are gone are refused. */
#include "device/emulate.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* What is asked for, before a device is known. 0: not asked for. */
typedef struct request {
    uint64_t type, failure; /* an index into their words, plus 1 */
    uint64_t group, local_memory, max_allocation, memory, real_memory, free_memory, compute_units, vector_width, base_align,
        address_bits;
    uint64_t fp64, fp16, images, unified, dedicated; /* 1: no, 2: yes */
} request;

typedef enum kind { WORD, AMOUNT, NUMBER, POWER, SWITCH } kind;

static const char *const type_words[] = {"cpu", "gpu", "accelerator", NULL};
static const clm_device_type types[] = {CLM_DEVICE_CPU, CLM_DEVICE_GPU, CLM_DEVICE_ACCELERATOR};
static const char *const failure_words[] = {"allocation", "launch", "wait", NULL};
static const char *const switch_words[] = {"0", "1", NULL};

#define AT(field) offsetof(request, field)
static const struct {
    const char *name;
    kind kind;
    size_t at;
    uint64_t least, most;
    const char *const *words;
    const char *wanted;
} keys[] = {
    {"type", WORD, AT(type), 0, 0, type_words, "cpu, gpu or accelerator"},
    {"compute_units", NUMBER, AT(compute_units), 1, 1u << 20, NULL, "a number of at least 1"},
    {"max_work_group", NUMBER, AT(group), 1, 1u << 20, NULL, "a number of at least 1"},
    {"vector_width", POWER, AT(vector_width), 1, 16, NULL, "1, 2, 4, 8 or 16"},
    {"local_memory", AMOUNT, AT(local_memory), 1, UINT64_MAX, NULL, "an amount of memory such as 32K"},
    {"dedicated_local", SWITCH, AT(dedicated), 0, 0, switch_words, "0 or 1"},
    {"max_allocation", AMOUNT, AT(max_allocation), 4096, UINT64_MAX, NULL, "an amount of memory such as 256M, at least 4K"},
    {"memory", AMOUNT, AT(memory), 4096, UINT64_MAX, NULL, "an amount of memory such as 512M, at least 4K"},
    {"memory_real", AMOUNT, AT(real_memory), 4096, UINT64_MAX, NULL, "an amount of memory such as 512M, at least 4K"},
    {"memory_free", AMOUNT, AT(free_memory), 4096, UINT64_MAX, NULL, "an amount of memory such as 512M, at least 4K"},
    {"memory_fails", WORD, AT(failure), 0, 0, failure_words, "allocation, launch or wait"},
    {"fp64", SWITCH, AT(fp64), 0, 0, switch_words, "0 or 1"},
    {"fp16", SWITCH, AT(fp16), 0, 0, switch_words, "0 or 1"},
    {"images", SWITCH, AT(images), 0, 0, switch_words, "0 or 1"},
    {"unified", SWITCH, AT(unified), 0, 0, switch_words, "0 or 1"},
    {"base_align", POWER, AT(base_align), 8, 1u << 20, NULL, "a power of two in bits, such as 2048"},
    {"address_bits", POWER, AT(address_bits), 32, 64, NULL, "32 or 64"},
};
enum { KEYS = sizeof keys / sizeof *keys };

/* ---- reading ---- */

static bool same(const char *text, size_t length, const char *word) {
    return length == strlen(word) && !strncmp(text, word, length);
}

static bool parse_number(const char *text, size_t length, uint64_t *value) {
    *value = 0;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]) || i == 9) return false;
        *value = 10 * *value + (uint64_t)(text[i] - '0');
    }
    return length > 0;
}

static bool parse_value(size_t key, const char *text, size_t length, uint64_t *value) {
    for (uint64_t i = 0; keys[key].words && keys[key].words[i]; i++) {
        if (!same(text, length, keys[key].words[i])) continue;
        *value = i + 1;
        return true;
    }
    if (keys[key].words) return false;
    bool parsed = keys[key].kind == AMOUNT ? clm_bytes_parse(text, length, value) : parse_number(text, length, value);
    bool power = keys[key].kind != POWER || (*value & (*value - 1)) == 0;
    return parsed && power && *value >= keys[key].least && *value <= keys[key].most;
}

static clm_status fail_key(const char *text, size_t length) {
    char known[400] = "";
    size_t at = 0;
    for (size_t i = 0; i < KEYS; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", keys[i].name);
    return clm_fail(CLM_E_ARG, "CLMAML_EMULATE: \"%.*s\" is not key=value with one of the keys %s", (int)length, text, known);
}

static clm_status read_pair(const char *text, size_t length, request *r) {
    const char *equals = memchr(text, '=', length);
    size_t name = equals ? (size_t)(equals - text) : length, i = 0;
    while (i < KEYS && !same(text, name, keys[i].name)) i++;
    if (i == KEYS || !equals) return fail_key(text, length);
    uint64_t value = 0;
    if (!parse_value(i, equals + 1, length - name - 1, &value)) {
        return clm_fail(CLM_E_ARG, "CLMAML_EMULATE: %s is \"%.*s\", it has to be %s", keys[i].name, (int)(length - name - 1),
                        equals + 1, keys[i].wanted);
    }
    memcpy((char *)r + keys[i].at, &value, sizeof value);
    return CLM_OK;
}

static clm_status read_request(const char *text, request *r) {
    *r = (request){0};
    for (const char *at = text;;) {
        size_t length = strcspn(at, ",");
        CLM_TRY(read_pair(at, length, r));
        if (!at[length]) return CLM_OK;
        at += length + 1;
    }
}

/* ---- applying ---- */

static void shrink(uint64_t *size, uint64_t to) {
    if (to && to < *size) *size = to;
}

clm_status clm_emulate(clm_device_info *info, clm_emulation *emulation) {
    static const char mark[] = " (emulated)";
    const char *text = getenv("CLMAML_EMULATE");
    request r;
    if (emulation) *emulation = (clm_emulation){0};
    if (!text || !*text) return CLM_OK;
    CLM_TRY(read_request(text, &r));
    uint64_t group = info->max_work_group_size;
    if (r.type) info->type = types[r.type - 1];
    if (r.compute_units) info->compute_units = (unsigned)r.compute_units;
    if (r.vector_width) info->float_vector_width = (unsigned)r.vector_width;
    if (r.base_align) info->base_alignment_bits = (unsigned)r.base_align;
    if (r.address_bits && r.address_bits < info->address_bits) info->address_bits = (unsigned)r.address_bits;
    shrink(&group, r.group);
    info->max_work_group_size = (size_t)group;
    shrink(&info->local_memory, r.local_memory);
    shrink(&info->global_memory, r.memory);
    if (r.address_bits == 32) shrink(&info->global_memory, UINT32_MAX);
    shrink(&info->max_allocation, r.max_allocation);
    shrink(&info->max_allocation, info->global_memory);
    info->fp64 = info->fp64 && r.fp64 != 1;
    info->fp16 = info->fp16 && r.fp16 != 1;
    info->images = info->images && r.images != 1;
    if (r.dedicated) info->dedicated_local_memory = r.dedicated == 2;
    if (r.unified) info->unified_memory = r.unified == 2;
    /* So that no report of such a device is taken for one of the real. */
    const size_t length = strlen(info->name);
    if (length + sizeof mark <= sizeof info->name) memcpy(info->name + length, mark, sizeof mark);
    if (!emulation) return CLM_OK;
    *emulation = (clm_emulation){.active = true,
                                 .real_memory = r.real_memory,
                                 .free_memory = r.free_memory,
                                 .failure = r.failure ? (clm_emulated_failure)(r.failure - 1) : CLM_FAIL_AT_ALLOCATION,
                                 .no_fp64 = r.fp64 == 1,
                                 .no_fp16 = r.fp16 == 1,
                                 .no_images = r.images == 1};
    return CLM_OK;
}

/* ---- features that are gone ---- */

static bool word_character(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* Past a comment that begins here; `text` itself where none does. */
static const char *skip_comment(const char *text) {
    if (text[0] != '/' || (text[1] != '/' && text[1] != '*')) return text;
    if (text[1] == '/') return text + strcspn(text, "\n");
    const char *end = strstr(text + 2, "*/");
    return end ? end + 2 : text + strlen(text);
}

/* Is a word of the program `word`, perhaps with digits for a vector's width after it, or, where `begin` is set, one that begins
 * so? */
static bool uses(const char *text, const char *word, bool begin) {
    size_t length = strlen(word);
    for (const char *at = text; *at;) {
        const char *past = skip_comment(at);
        if (past != at) {
            at = past;
            continue;
        }
        size_t n = 0;
        while (word_character(at[n])) n++;
        if (n >= length && !strncmp(at, word, length) && (begin || strspn(at + length, "0123456789") == n - length))
            return true;
        at += n ? n : 1;
    }
    return false;
}

clm_status clm_emulate_check_source(const clm_emulation *e, const char *text) {
    const struct {
        bool gone, begin;
        const char *word, *what;
    } features[] = {{e->no_fp64, false, "double", "double precision"},
                    {e->no_fp16, false, "half", "half precision"},
                    {e->no_images, true, "image1d_", "images"},
                    {e->no_images, true, "image2d_", "images"},
                    {e->no_images, true, "image3d_", "images"}};
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        if (features[i].gone && uses(text, features[i].word, features[i].begin))
            return clm_fail(CLM_E_LIMIT, "it uses %s, which the device has not", features[i].what);
    }
    return CLM_OK;
}
