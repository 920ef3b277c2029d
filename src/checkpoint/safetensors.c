/* The safetensors format:
 *
 *     8 bytes      n, length of the header, little-endian
 *     n bytes      JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..,
 *                   "__metadata__": {text: text}}
 *     the rest     the arrays' bytes; offsets count from here
 *
 * Reading is strict: the arrays must cover the rest of the file exactly, without overlap or hole, and anything unknown is an
 * error, so that a damaged file is refused rather than half understood. Writing orders arrays by element size, the header padded
 * to a multiple of 8 with spaces, so every array is aligned. The metadata of what is written hold a checksum of the arrays, and what
 * is read and has one must agree with it; files of other programs have none. */
#include "checkpoint/internal.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"

enum { LENGTH_BYTES = 8, MAX_HEADER = 100000000 };

/* ---- the checksum ---- */

typedef struct checksum_text {
    char s[20];
} checksum_text;

/* Names, element types, shapes and bytes; whatever the order of the arrays, which another program may change. */
static checksum_text checksum_of(const clm_archive *archive) {
    checksum_text text;
    uint64_t sum = 0;
    for (size_t i = 0; i < archive->n_arrays; i++) {
        const clm_stored_array *array = &archive->arrays[i];
        char shape[96];
        uint64_t h = clm_hash_text(CLM_HASH_SEED, array->name);
        h = clm_hash_text(h, array->type->name);
        h = clm_hash_text(h, clm_shape_text(&array->shape, shape, sizeof shape));
        sum += clm_hash_words(h, array->bytes, array->count * array->type->size);
    }
    snprintf(text.s, sizeof text.s, "%016llx", (unsigned long long)sum);
    return text;
}

/* ---- reading ---- */

typedef struct extent {
    size_t begin, end; /* in the data part */
    const char *name;
} extent;

typedef struct reader {
    clm_archive *archive;
    const unsigned char *data; /* after the header */
    size_t size;
    extent *extents;
    size_t n_extents;
    const char *checksum; /* the header's; NULL: the file has none */
} reader;

static clm_status read_shape(const json_t *json, clm_shape *shape) {
    if (!json_is_array(json)) return clm_fail(CLM_E_FORMAT, "\"shape\" is not a list");
    if (json_array_size(json) > CLM_MAX_RANK)
        return clm_fail(CLM_E_FORMAT, "its shape has %zu axes; at most %d are supported", json_array_size(json), CLM_MAX_RANK);
    memset(shape, 0, sizeof(*shape));
    for (size_t i = 0; i < json_array_size(json); i++) {
        const json_t *dim = json_array_get(json, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0 || json_integer_value(dim) > INT32_MAX)
            return clm_fail(CLM_E_FORMAT, "entry %zu of its shape is not a whole number from 0 to 2^31 - 1", i);
        shape->dim[shape->rank++] = (int32_t)json_integer_value(dim);
    }
    return CLM_OK;
}

static clm_status read_extent(const reader *r, const json_t *json, extent *out) {
    const json_t *begin = json_array_get(json, 0), *end = json_array_get(json, 1);
    if (json_array_size(json) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return clm_fail(CLM_E_FORMAT, "\"data_offsets\" is not a list of two whole numbers");
    long long from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from) return clm_fail(CLM_E_FORMAT, "its data offsets %lld to %lld make no sense", from, to);
    if ((unsigned long long)to > r->size)
        return clm_fail(CLM_E_FORMAT,
                        "its data end at byte %lld, but only %zu bytes follow the header: the file is truncated or damaged", to,
                        r->size);
    out->begin = (size_t)from;
    out->end = (size_t)to;
    return CLM_OK;
}

static clm_status read_array(reader *r, const char *name, const json_t *json) {
    extent where = {0, 0, name};
    clm_shape shape;
    size_t count;
    const char *dtype = json_string_value(json_object_get(json, "dtype"));
    if (json_object_size(json) != 3 || !dtype || !json_object_get(json, "shape") || !json_object_get(json, "data_offsets"))
        return clm_fail(CLM_E_FORMAT, "its entry must have exactly \"dtype\", \"shape\" and \"data_offsets\"");
    const clm_stored_type *type = clm_stored_type_find(dtype);
    if (!type) return clm_fail(CLM_E_FORMAT, "its dtype \"%.20s\" is not one of %s", dtype, clm_stored_type_names());
    CLM_TRY(read_shape(json_object_get(json, "shape"), &shape));
    CLM_TRY(read_extent(r, json_object_get(json, "data_offsets"), &where));
    if (!clm_stored_count(&shape, &count)) return clm_fail(CLM_E_FORMAT, "its shape has too many elements");
    if (count * type->size != where.end - where.begin) {
        char text[96];
        return clm_fail(CLM_E_FORMAT, "its shape %s in %s takes %zu bytes, its data offsets span %zu",
                        clm_shape_text(&shape, text, sizeof(text)), dtype, count * type->size, where.end - where.begin);
    }
    r->extents[r->n_extents++] = where;
    return clm_archive_append(r->archive, name, type, &shape, r->data + where.begin);
}

static clm_status read_metadata(reader *r, const json_t *json) {
    const char *key;
    json_t *value;
    if (!json_is_object(json)) return clm_fail(CLM_E_FORMAT, CLM_METADATA_KEY " is not an object");
    json_object_foreach((json_t *)json, key, value) {
        if (!json_is_string(value)) return clm_fail(CLM_E_FORMAT, CLM_METADATA_KEY ": \"%.60s\" is not a text", key);
        if (strcmp(key, CLM_CHECKSUM_KEY) == 0)
            r->checksum = json_string_value(value);
        else
            CLM_TRY(clm_archive_append_meta(r->archive, key, json_string_value(value)));
    }
    return CLM_OK;
}

static int compare_extents(const void *a, const void *b) {
    const extent *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static clm_status check_cover(reader *r) {
    size_t at = 0;
    const char *before = "the header";
    qsort(r->extents, r->n_extents, sizeof(*r->extents), compare_extents);
    for (size_t i = 0; i < r->n_extents; i++) {
        const extent *e = &r->extents[i];
        if (e->begin < at) return clm_fail(CLM_E_FORMAT, "arrays \"%.60s\" and \"%.60s\" overlap", before, e->name);
        if (e->begin > at)
            return clm_fail(CLM_E_FORMAT, "%zu bytes before array \"%.60s\" belong to nothing", e->begin - at, e->name);
        at = e->end;
        before = e->name;
    }
    if (at < r->size) return clm_fail(CLM_E_FORMAT, "%zu bytes at its end belong to no array", r->size - at);
    return CLM_OK;
}

static clm_status check_sum(const reader *r) {
    if (!r->checksum || strcmp(r->checksum, checksum_of(r->archive).s) == 0) return CLM_OK;
    return clm_fail(
        CLM_E_FORMAT,
        "its numbers are not those that were written: it is damaged, or another program has changed it; take another "
        "copy or, to have it as it is, remove \"" CLM_CHECKSUM_KEY "\" from its " CLM_METADATA_KEY);
}

static clm_status read_entries(reader *r, json_t *header) {
    const char *name;
    json_t *value;
    if (!json_is_object(header)) return clm_fail(CLM_E_FORMAT, "its header is not a JSON object");
    r->extents = clm_calloc(json_object_size(header) + 1, sizeof(*r->extents));
    if (!r->extents) return CLM_E_MEMORY;
    json_object_foreach(header, name, value) {
        if (strcmp(name, CLM_METADATA_KEY) == 0) {
            CLM_TRY(read_metadata(r, value));
            continue;
        }
        clm_status status = read_array(r, name, value);
        if (status != CLM_OK) return clm_fail_in(status, "array \"%.60s\"", name);
    }
    CLM_TRY(check_cover(r));
    return check_sum(r);
}

static clm_status header_length(const unsigned char *file, size_t size, size_t *length) {
    uint64_t n = 0;
    if (size < LENGTH_BYTES)
        return clm_fail(CLM_E_FORMAT, "it has only %zu bytes: it is truncated, or not a safetensors file", size);
    for (int i = LENGTH_BYTES; i-- > 0;) n = n << 8 | file[i];
    if (n < 2 || n > MAX_HEADER || (size > LENGTH_BYTES && file[LENGTH_BYTES] != '{'))
        return clm_fail(CLM_E_FORMAT, "it is not a safetensors file");
    if (n > size - LENGTH_BYTES)
        return clm_fail(CLM_E_FORMAT, "its header takes %llu bytes, but only %zu follow: the file is truncated",
                        (unsigned long long)n, size - LENGTH_BYTES);
    *length = (size_t)n;
    return CLM_OK;
}

static clm_status read_file(clm_archive *archive, const unsigned char *file, size_t size) {
    size_t length = 0;
    json_error_t error;
    CLM_TRY(header_length(file, size, &length));
    json_t *header = json_loadb((const char *)file + LENGTH_BYTES, length, JSON_REJECT_DUPLICATES, &error);
    if (!header) return clm_fail(CLM_E_FORMAT, "its header is damaged: column %d: %s", error.column, error.text);
    reader r = {.archive = archive, .data = file + LENGTH_BYTES + length, .size = size - LENGTH_BYTES - length};
    clm_status status = read_entries(&r, header);
    free(r.extents);
    json_decref(header);
    return status;
}

clm_status clm_archive_load(clm_archive **out, const char *path) {
    clm_status status = CLM_OK;
    clm_archive *archive = NULL;
    char *file = NULL;
    size_t size = 0;
    *out = NULL;
    if (!path) return clm_fail(CLM_E_ARG, "clm_archive_load: path must not be NULL");
    CLM_TRY(clm_file_read(path, &file, &size));
    CLM_GOTO(clm_archive_create(&archive));
    archive->path = clm_strdup(path);
    if (!archive->path) CLM_GOTO(CLM_E_MEMORY);
    status = read_file(archive, (const unsigned char *)file, size);
    if (status != CLM_OK) {
        clm_fail_in(status, "%s", path);
        goto out;
    }
    *out = archive;
    archive = NULL;
out:
    free(file);
    clm_archive_free(archive);
    return status;
}

/* ---- writing ---- */

/* The i-th array in file order: by element size, largest first, otherwise as they were added. */
static void file_order(const clm_archive *archive, const clm_stored_array **order) {
    size_t n = 0;
    for (size_t size = 8; size > 0; size--)
        for (size_t i = 0; i < archive->n_arrays; i++)
            if (archive->arrays[i].type->size == size) order[n++] = &archive->arrays[i];
}

static json_t *array_entry(const clm_stored_array *array, size_t begin) {
    json_t *shape = json_array();
    for (int i = 0; i < array->shape.rank; i++) clm_json_append(shape, json_integer(array->shape.dim[i]));
    const size_t end = begin + array->count * array->type->size;
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", array->type->name, "shape", shape, "data_offsets", (json_int_t)begin,
                     (json_int_t)end);
}

/* NULL when there is no memory. */
static char *header_text(const clm_archive *archive, const clm_stored_array *const *order, size_t *data_size) {
    json_t *header = json_object(), *meta = json_object();
    size_t at = 0;
    for (size_t i = 0; i < archive->n_texts; i++)
        clm_json_set(meta, archive->texts[i].key, json_string(archive->texts[i].value));
    clm_json_set(meta, CLM_CHECKSUM_KEY, json_string(checksum_of(archive).s));
    clm_json_set(header, CLM_METADATA_KEY, json_incref(meta));
    for (size_t i = 0; i < archive->n_arrays; i++) {
        clm_json_set(header, order[i]->name, array_entry(order[i], at));
        at += order[i]->count * order[i]->type->size;
    }
    char *text = clm_json_text(header, JSON_COMPACT);
    json_decref(meta);
    json_decref(header);
    *data_size = at;
    return text;
}

/* The whole file in memory. */
static clm_status write_buffer(const clm_archive *archive, const clm_stored_array *const *order, unsigned char **out,
                               size_t *size) {
    size_t data_size = 0;
    char *header = header_text(archive, order, &data_size);
    if (!header) return clm_fail(CLM_E_MEMORY, "out of memory for the header");
    size_t text = strlen(header), length = (text + 7) / 8 * 8;
    unsigned char *file = length > MAX_HEADER ? NULL : clm_calloc(LENGTH_BYTES + length + data_size, 1);
    if (!file) {
        free(header);
        return length > MAX_HEADER
                   ? clm_fail(CLM_E_LIMIT, "its header would take %zu bytes, more than the format allows", length)
                   : CLM_E_MEMORY;
    }
    for (int i = 0; i < LENGTH_BYTES; i++) file[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memset(file + LENGTH_BYTES, ' ', length);
    memcpy(file + LENGTH_BYTES, header, text);
    free(header);
    size_t at = LENGTH_BYTES + length;
    for (size_t i = 0; i < archive->n_arrays; i++) {
        size_t bytes = order[i]->count * order[i]->type->size;
        if (bytes) memcpy(file + at, order[i]->bytes, bytes);
        at += bytes;
    }
    *out = file;
    *size = at;
    return CLM_OK;
}

clm_status clm_archive_save(const clm_archive *archive, const char *path) {
    clm_status status = CLM_OK;
    unsigned char *file = NULL;
    size_t size = 0;
    if (!path) return clm_fail(CLM_E_ARG, "clm_archive_save: path must not be NULL");
    const clm_stored_array **order = clm_calloc(archive->n_arrays + 1, sizeof(*order));
    if (!order) return CLM_E_MEMORY;
    file_order(archive, order);
    status = write_buffer(archive, order, &file, &size);
    if (status != CLM_OK)
        clm_fail_in(status, "%s", path);
    else
        status = clm_file_write(path, file, size);
    free(order);
    free(file);
    return status;
}
