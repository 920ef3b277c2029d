/* Archives as objects: arrays by name, converted to and from double, and texts by key. Names are unique. */
#include "checkpoint/internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

clm_status clm_archive_create(clm_archive **out) {
    *out = clm_calloc(1, sizeof(**out));
    return *out ? CLM_OK : CLM_E_MEMORY;
}

void clm_archive_free(clm_archive *archive) {
    if (!archive) return;
    for (size_t i = 0; i < archive->n_arrays; i++) {
        free(archive->arrays[i].name);
        free(archive->arrays[i].bytes);
    }
    for (size_t i = 0; i < archive->n_texts; i++) {
        free(archive->texts[i].key);
        free(archive->texts[i].value);
    }
    free(archive->arrays);
    free(archive->texts);
    free(archive->path);
    free(archive);
}

static const char *source(const clm_archive *archive) { return archive->path ? archive->path : "new archive"; }

static clm_stored_array *find(const clm_archive *archive, const char *name) {
    for (size_t i = 0; i < archive->n_arrays; i++)
        if (strcmp(archive->arrays[i].name, name) == 0) return &archive->arrays[i];
    return NULL;
}

size_t clm_archive_count(const clm_archive *archive) { return archive->n_arrays; }

const char *clm_archive_name(const clm_archive *archive, size_t i) {
    return i < archive->n_arrays ? archive->arrays[i].name : NULL;
}

const clm_shape *clm_archive_shape(const clm_archive *archive, const char *name) {
    const clm_stored_array *array = find(archive, name);
    return array ? &array->shape : NULL;
}

static clm_status check_shape(const clm_archive *archive, const clm_stored_array *array, const clm_shape *shape, size_t count) {
    char have[96], want[96];
    if (shape && !clm_shape_equal(shape, &array->shape))
        return clm_fail(CLM_E_SHAPE, "%s: array \"%s\" has shape %s, expected %s", source(archive), array->name,
                        clm_shape_text(&array->shape, have, sizeof(have)), clm_shape_text(shape, want, sizeof(want)));
    if (count != array->count)
        return clm_fail(shape ? CLM_E_ARG : CLM_E_SHAPE, "%s: array \"%s\" has %zu elements (shape %s), expected %zu",
                        source(archive), array->name, array->count, clm_shape_text(&array->shape, have, sizeof(have)), count);
    return CLM_OK;
}

clm_status clm_archive_read(const clm_archive *archive, const char *name, const clm_shape *shape, double *out, size_t count) {
    const clm_stored_array *array = find(archive, name);
    if (!array) return clm_fail(CLM_E_FORMAT, "%s: there is no array \"%s\"", source(archive), name);
    CLM_TRY(check_shape(archive, array, shape, count));
    for (size_t i = 0; i < count; i++) {
        if (!array->type->get(array->bytes + i * array->type->size, &out[i]))
            return clm_fail(CLM_E_FORMAT, "%s: array \"%s\", element %zu: %s value is out of range%s", source(archive), name, i,
                            array->type->name, array->type->size == 8 ? " (whole numbers up to 2^53 are exact)" : "");
    }
    return CLM_OK;
}

clm_status clm_archive_append(clm_archive *archive, const char *name, const clm_stored_type *type, const clm_shape *shape,
                              const void *bytes) {
    clm_status status = CLM_OK;
    clm_stored_array array = {.type = type, .shape = *shape};
    if (!clm_stored_count(shape, &array.count)) return clm_fail(CLM_E_LIMIT, "array \"%s\" has too many elements", name);
    array.bytes = clm_calloc(array.count ? array.count : 1, type->size);
    array.name = clm_strdup(name);
    if (!array.bytes || !array.name)
        status = CLM_E_MEMORY;
    else
        status = clm_grow(&archive->arrays, &archive->array_capacity, archive->n_arrays + 1, sizeof(array));
    if (status != CLM_OK) {
        free(array.bytes);
        free(array.name);
        return status;
    }
    if (bytes && array.count) memcpy(array.bytes, bytes, array.count * type->size);
    archive->arrays[archive->n_arrays++] = array;
    return CLM_OK;
}

/* Both go into the file's JSON, which is UTF-8. */
static clm_status check_text(const char *what, const char *text) {
    json_t *json = text ? json_string(text) : NULL;
    if (!json) return clm_fail(CLM_E_ARG, "archive: a%s must be valid UTF-8", what);
    json_decref(json);
    return CLM_OK;
}

static const clm_stored_type *type_of(clm_dtype dtype) {
    static const char *const names[] = {[CLM_F32] = "F32", [CLM_F64] = "F64", [CLM_I64] = "I64", [CLM_U8] = "U8"};
    return (size_t)dtype < sizeof(names) / sizeof(names[0]) ? clm_stored_type_find(names[dtype]) : NULL;
}

static void remove_array(clm_archive *archive, size_t i) {
    free(archive->arrays[i].name);
    free(archive->arrays[i].bytes);
    archive->n_arrays--;
    archive->arrays[i] = archive->arrays[archive->n_arrays];
}

clm_status clm_archive_add(clm_archive *archive, const char *name, clm_dtype dtype, const clm_shape *shape,
                           const double *data) {
    const clm_stored_type *type = type_of(dtype);
    CLM_TRY(check_text("n array's name", name));
    if (!type) return clm_fail(CLM_E_ARG, "archive: array \"%s\": %d is not an element type", name, (int)dtype);
    if (strcmp(name, CLM_METADATA_KEY) == 0) return clm_fail(CLM_E_ARG, "archive: the name %s belongs to the metadata", name);
    if (shape->rank < 0 || shape->rank > CLM_MAX_RANK)
        return clm_fail(CLM_E_SHAPE, "archive: array \"%s\": rank %d is not one of 0 to %d", name, (int)shape->rank,
                        CLM_MAX_RANK);
    const clm_stored_array *old = find(archive, name);
    size_t at = old ? (size_t)(old - archive->arrays) : archive->n_arrays;
    CLM_TRY(clm_archive_append(archive, name, type, shape, NULL));
    clm_stored_array *array = &archive->arrays[archive->n_arrays - 1];
    for (size_t i = 0; i < array->count; i++) {
        if (type->put(data[i], array->bytes + i * type->size)) continue;
        remove_array(archive, archive->n_arrays - 1);
        return clm_fail(CLM_E_ARG, "archive: array \"%s\", element %zu: %.17g cannot be stored as %s", name, i, data[i],
                        type->name);
    }
    if (at < archive->n_arrays - 1) remove_array(archive, at); /* the new array takes the place of the old */
    return CLM_OK;
}

static clm_stored_text *find_text(const clm_archive *archive, const char *key) {
    for (size_t i = 0; i < archive->n_texts; i++)
        if (strcmp(archive->texts[i].key, key) == 0) return &archive->texts[i];
    return NULL;
}

const char *clm_archive_meta(const clm_archive *archive, const char *key) {
    const clm_stored_text *text = find_text(archive, key);
    return text ? text->value : NULL;
}

clm_status clm_archive_append_meta(clm_archive *archive, const char *key, const char *value) {
    clm_stored_text text = {clm_strdup(key), clm_strdup(value)};
    const clm_status status = text.key && text.value
                                  ? clm_grow(&archive->texts, &archive->text_capacity, archive->n_texts + 1, sizeof(text))
                                  : CLM_E_MEMORY;
    if (status != CLM_OK) {
        free(text.key);
        free(text.value);
        return status;
    }
    archive->texts[archive->n_texts++] = text;
    return CLM_OK;
}

clm_status clm_archive_set_meta(clm_archive *archive, const char *key, const char *value) {
    CLM_TRY(check_text(" metadata key", key));
    CLM_TRY(check_text(" metadata value", value));
    if (strcmp(key, CLM_CHECKSUM_KEY) == 0)
        return clm_fail(CLM_E_ARG, "archive: the metadata key " CLM_CHECKSUM_KEY " is set as an archive is saved");
    clm_stored_text *old = find_text(archive, key);
    if (!old) return clm_archive_append_meta(archive, key, value);
    char *copy = clm_strdup(value);
    if (!copy) return CLM_E_MEMORY;
    free(old->value);
    old->value = copy;
    return CLM_OK;
}
