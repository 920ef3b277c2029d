/* Arrays of NumPy as data: x examples, y labels, and perhaps split, from FILE.npz or from a folder with x.npy, y.npy,
 * split.npy. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/files.h"
#include "base/memory.h"
#include "data/catalog.h"
#include "data/npy.h"
#include "data/own.h"
#include "data/zipfile.h"

enum { X, Y, SPLIT, ARRAYS };
static const char *const array_names[ARRAYS] = {"x", "y", "split"};

typedef struct entry { /* an example, to be sorted */
    int split;
    double number; /* the label, or */
    char *text;    /* its text */
    size_t index;
} entry;

typedef struct arrays {
    const char *path;
    char *where[ARRAYS];     /* for messages */
    uint8_t *memory[ARRAYS]; /* of a zip file's */
    clm_store file[ARRAYS];  /* of files' */
    clm_npy array[ARRAYS];   /* data NULL: not there */
    entry *entries;
    int channels, height, width; /* of an example */
    bool bytes, channels_last, text;
    size_t unused;
} arrays;

static void free_arrays(arrays *a) {
    for (size_t i = 0; a->entries && i < a->array[X].dim[0]; i++) free(a->entries[i].text);
    free(a->entries);
    for (int i = 0; i < ARRAYS; i++) {
        free(a->where[i]);
        free(a->memory[i]);
        clm_store_free(&a->file[i]);
    }
}

/* ---- reading ---- */

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), n = strlen(end);
    return length > n && strcmp(text + length - n, end) == 0;
}

static bool has_file(const char *folder, const char *name) {
    char *path = clm_path_join(folder, name);
    const bool there = path && clm_path_exists(path);
    free(path);
    return there;
}

bool clm_is_arrays(const char *path) {
    if (clm_path_is_directory(path)) return has_file(path, "x.npy");
    return clm_path_exists(path) && (ends_with(path, ".npz") || ends_with(path, ".npy"));
}

static clm_status parse(arrays *a, int which, const uint8_t *data, size_t size) {
    return clm_npy_parse(&a->array[which], a->where[which], data, size);
}

/* What is packed has to be unpacked in memory, which files need not. */
static clm_status read_entry(arrays *a, int which, zip_t *zip, zip_uint64_t index, const char *name) {
    size_t capacity = 0, size = 0;
    uint64_t memory;
    char message[1024];
    CLM_TRY(clm_host_memory(&memory));
    const uint64_t limit = memory ? memory / 4 * 3 : SIZE_MAX / 2;
    const clm_status status = clm_zip_read(zip, a->path, index, name, limit, &a->memory[which], &capacity, &size);
    if (status == CLM_OK) return parse(a, which, a->memory[which], size);
    if (status != CLM_E_LIMIT) return status;
    snprintf(message, sizeof message, "%s", clm_last_error());
    return clm_fail(status, "%s; save x and y as x.npy and y.npy in a folder, which need not fit into memory", message);
}

static clm_status read_zip(arrays *a) {
    zip_t *zip = NULL;
    CLM_TRY(clm_zip_open(&zip, a->path));
    clm_status status = CLM_OK;
    for (int i = 0; i < ARRAYS; i++) {
        char name[16];
        snprintf(name, sizeof name, "%s.npy", array_names[i]);
        const zip_int64_t index = zip_name_locate(zip, name, 0);
        if (index >= 0) CLM_GOTO(read_entry(a, i, zip, (zip_uint64_t)index, name));
    }
out:
    zip_discard(zip);
    return status;
}

static clm_status read_file(arrays *a, int which, const char *path) {
    if (!clm_path_exists(path)) return CLM_OK;
    CLM_TRY(clm_store_read(&a->file[which], path));
    return parse(a, which, a->file[which].data, a->file[which].size);
}

/* x.npy and its like in a folder; the file that was named, if one was, is x. */
static clm_status read_files(arrays *a) {
    const bool folder = clm_path_is_directory(a->path);
    const char *slash = strrchr(a->path, '/');
    const int length = folder ? (int)strlen(a->path) : slash ? (int)(slash - a->path) : 1;
    clm_status status = CLM_OK;
    for (int i = 0; i < ARRAYS && status == CLM_OK; i++) {
        char *path = i == X && !folder ? clm_strdup(a->path)
                                       : clm_format("%.*s/%s.npy", length, folder || slash ? a->path : ".", array_names[i]);
        status = path ? read_file(a, i, path) : CLM_E_MEMORY;
        free(path);
    }
    return status;
}

static clm_status read_arrays(arrays *a) {
    for (int i = 0; i < ARRAYS; i++)
        if (!(a->where[i] = clm_format("%s: %s", a->path, array_names[i]))) return CLM_E_MEMORY;
    CLM_TRY(ends_with(a->path, ".npz") ? read_zip(a) : read_files(a));
    for (int i = 0; i < SPLIT; i++)
        if (!a->array[i].data)
            return clm_fail(CLM_E_FORMAT, "%s: holds no array %s; save x (examples), y (labels) and, if need be, split",
                            a->path, array_names[i]);
    return CLM_OK;
}

/* ---- shapes ---- */

static bool is_channels(size_t n) { return n == 1 || n == 3; }

static clm_status find_shape(arrays *a) {
    const clm_npy *x = &a->array[X];
    const int axes = x->rank - 1;
    const size_t *d = x->dim + 1;
    if (axes < 1 || axes > 3 || !x->count || x->count / x->dim[0] > INT32_MAX / 2)
        return clm_fail(CLM_E_SHAPE,
                        "%s: has %d axes and %zu elements; the first axis counts examples, and 1 to 3 more are an example",
                        a->where[X], x->rank, x->count);
    if (clm_npy_is_text(x)) return clm_fail(CLM_E_FORMAT, "%s: holds texts; save numbers", a->where[X]);
    if (x->dim[0] > INT32_MAX / 4) return clm_fail(CLM_E_LIMIT, "%s: at most %d examples are read", a->where[X], INT32_MAX / 4);
    a->bytes = x->kind == 'u' && x->bytes == 1 && axes > 1;
    a->channels_last = axes == 3 && is_channels(d[2]) && !is_channels(d[0]);
    a->channels = axes == 1 ? (int)d[0] : axes == 2 ? 1 : (int)d[a->channels_last ? 2 : 0];
    a->height = axes == 1 ? 1 : axes == 2 ? (int)d[0] : (int)d[a->channels_last ? 0 : 1];
    a->width = axes == 1 ? 1 : axes == 2 ? (int)d[1] : (int)d[a->channels_last ? 1 : 2];
    for (int i = Y; i < ARRAYS; i++)
        if (a->array[i].data && (a->array[i].rank != 1 || a->array[i].dim[0] != x->dim[0]))
            return clm_fail(CLM_E_SHAPE, "%s: has %d axes and %zu elements; it needs one for each of the %zu examples",
                            a->where[i], a->array[i].rank, a->array[i].count, x->dim[0]);
    return CLM_OK;
}

/* ---- labels ---- */

static clm_status read_split(const arrays *a, size_t i, int *split) {
    const clm_npy *s = &a->array[SPLIT];
    *split = CLM_NO_SPLIT;
    if (!s->data) return CLM_OK;
    if (clm_npy_is_text(s)) {
        char *text = clm_npy_text(s, i);
        if (!text) return CLM_E_MEMORY;
        *split = clm_split_of_name(text);
        free(text);
    } else {
        const double number = clm_npy_number(s, i);
        if (number == 0 || number == 1 || number == 2) *split = (int)number;
    }
    if (*split != CLM_NO_SPLIT) return CLM_OK;
    return clm_fail(CLM_E_FORMAT, "%s: element %zu is neither 0, 1, 2 nor train, val, test", a->where[SPLIT], i);
}

static clm_status read_labels(arrays *a) {
    const clm_npy *y = &a->array[Y];
    const size_t count = a->array[X].dim[0];
    a->text = clm_npy_is_text(y);
    a->entries = clm_calloc(count, sizeof *a->entries);
    if (!a->entries) return CLM_E_MEMORY;
    for (size_t i = 0; i < count; i++) {
        entry *e = &a->entries[i];
        e->index = i;
        CLM_TRY(read_split(a, i, &e->split));
        if (a->text) {
            if (!(e->text = clm_npy_text(y, i))) return CLM_E_MEMORY;
            continue;
        }
        e->number = clm_npy_number(y, i);
        if (!(fabs(e->number) < 9007199254740992.0) || e->number != floor(e->number))
            return clm_fail(CLM_E_FORMAT, "%s: element %zu is %g; labels are whole numbers or texts", a->where[Y], i,
                            e->number);
    }
    return CLM_OK;
}

static int same_class(const entry *a, const entry *b) {
    if (a->split != b->split) return a->split < b->split ? -1 : 1;
    if (a->text && b->text) return strcmp(a->text, b->text); /* labels are all texts or all numbers */
    return (a->number > b->number) - (a->number < b->number);
}

static int by_class(const void *a, const void *b) {
    const entry *x = a, *y = b;
    const int order = same_class(x, y);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static clm_status add_classes(clm_image_set *set, const arrays *a, int **splits) {
    size_t capacity = 0;
    for (size_t i = 0; i < a->array[X].dim[0]; i++, set->images++) {
        const entry *e = &a->entries[i];
        if (!i || same_class(e, e - 1) != 0) {
            char *name = e->text ? clm_strdup(e->text) : clm_format("%.0f", e->number);
            clm_status status = name ? clm_image_set_add_class(set, name, strlen(name)) : CLM_E_MEMORY;
            free(name);
            if (status != CLM_OK) return status;
            CLM_TRY(clm_grow(splits, &capacity, set->count, sizeof **splits));
            (*splits)[set->count - 1] = e->split;
        }
        set->classes[set->count - 1].count++;
    }
    return CLM_OK;
}

/* ---- examples ---- */

/* Where element i of an example in the order of channels, rows, columns is in the array's. */
static size_t stored_at(const arrays *a, size_t i) {
    const size_t area = (size_t)a->height * (size_t)a->width;
    return a->channels_last ? i % area * (size_t)a->channels + i / area : i;
}

/* For examples of so many bytes, or how many there would be room for. */
static clm_status make_room(clm_image_set *set, const arrays *a, uint64_t bytes) {
    const uint64_t count = a->array[X].dim[0];
    uint64_t most = 0;
    char *why = NULL;
    clm_status status = clm_store_make(&set->store, count * bytes, &most, &why);
    if (status == CLM_E_LIMIT)
        status = clm_fail(CLM_E_LIMIT, "%s: %llu examples take %s, %s; %llu would fit", a->where[X], (unsigned long long)count,
                          clm_bytes_text((double)(count * bytes)).s, why, (unsigned long long)(most / bytes));
    clm_store_hide(&set->store);
    free(why);
    return status;
}

static clm_status copy_examples(clm_image_set *set, const arrays *a, bool invert) {
    const clm_npy *x = &a->array[X];
    const size_t size = (size_t)a->channels * (size_t)a->height * (size_t)a->width, width = a->bytes ? 1 : sizeof(float);
    CLM_TRY(make_room(set, a, (uint64_t)size * width));
    if (a->bytes)
        set->pixels = set->store.data;
    else
        set->floats = (float *)(void *)set->store.data;
    for (size_t e = 0; e < x->dim[0]; e++) {
        const size_t from = a->entries[e].index * size;
        for (size_t i = 0; i < size; i++) {
            const size_t at = from + stored_at(a, i);
            if (a->bytes) {
                set->pixels[e * size + i] = invert ? (uint8_t)(255 - x->data[at]) : x->data[at];
                continue;
            }
            const float value = (float)clm_npy_number(x, at);
            if (!isfinite(value))
                return clm_fail(CLM_E_FORMAT, "%s: example %zu holds a value that is not finite; leave it out", a->where[X],
                                a->entries[e].index);
            set->floats[e * size + i] = value;
        }
    }
    return CLM_OK;
}

static clm_status describe(clm_image_set *set, const arrays *a, const clm_folder_options *o) {
    char shape[80];
    clm_shape_text(&set->base.shape, shape, sizeof shape);
    char *begin = clm_format("arrays %s: %zu examples of %zu classes, %s %s%s%s", a->path, set->images, set->count, shape,
                             a->bytes ? "bytes" : "numbers", a->channels_last ? ", channels moved to the front" : "",
                             a->bytes && o->invert ? ", inverted" : "");
    clm_status status = begin ? clm_own_describe(set, begin, o, !a->array[SPLIT].data) : CLM_E_MEMORY;
    free(begin);
    if (status == CLM_OK && a->unused) {
        set->base.notes =
            clm_format("%zu of %zu classes are in no split: the class split asks for fewer\n", a->unused, set->count);
        if (!set->base.notes) status = CLM_E_MEMORY;
    }
    return status;
}

static clm_status make_splits(clm_image_set *set, arrays *a, const clm_folder_options *o, const int *splits) {
    if (!a->array[SPLIT].data) return clm_own_split(set, o, &a->unused);
    if (o->class_split[0] || o->class_split[1] || o->class_split[2])
        return clm_fail(CLM_E_ARG, "%s holds a split, so a class split says nothing; leave it out", a->path);
    return clm_own_use_splits(set, splits);
}

static clm_status make_set(clm_image_set **out, arrays *a, const clm_folder_options *o) {
    int *splits = NULL;
    clm_status status = CLM_OK;
    CLM_TRY(clm_image_set_create(out, "arrays", a->channels, a->height, a->width));
    clm_image_set *set = *out;
    const clm_npy *x = &a->array[X];
    if (x->rank == 2) set->base.shape = clm_shape_of(1, a->channels);
    if (x->rank == 3 && !a->bytes) set->base.shape = clm_shape_of(2, a->height, a->width);
    if (!(set->origin = clm_strdup(a->path))) CLM_GOTO(CLM_E_MEMORY);
    if (!a->bytes && o->invert)
        CLM_GOTO(clm_fail(CLM_E_ARG, "%s: only pictures of bytes can be inverted; leave invert out", a->where[X]));
    CLM_GOTO(add_classes(set, a, &splits));
    CLM_GOTO(copy_examples(set, a, o->invert));
    CLM_GOTO(make_splits(set, a, o, splits));
    CLM_GOTO(clm_image_set_normalise(set, o->normalise));
    CLM_GOTO(describe(set, a, o));
    CLM_GOTO(clm_image_set_note_shared(set));
out:
    free(splits);
    return status;
}

clm_status clm_source_arrays(clm_source **out, const char *path, const clm_folder_options *o) {
    arrays a = {.path = path};
    clm_image_set *set = NULL;
    clm_status status = read_arrays(&a);
    if (status == CLM_OK) status = find_shape(&a);
    if (status == CLM_OK) status = read_labels(&a);
    if (status == CLM_OK) {
        qsort(a.entries, a.array[X].dim[0], sizeof *a.entries, by_class);
        status = make_set(&set, &a, o);
    }
    free_arrays(&a);
    if (status == CLM_OK)
        *out = &set->base;
    else if (set)
        clm_source_free(&set->base);
    return status;
}
