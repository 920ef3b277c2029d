/* Arrays of NumPy as data: x examples, y labels, and perhaps split, from FILE.npz or from a folder with x.npy, y.npy,
 * split.npy. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/characters.h"
#include "base/files.h"
#include "base/memory.h"
#include "data/catalog.h"
#include "data/notes.h"
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
    bool bytes, channels_last, unsure, text;
    clm_text names; /* of arrays in a zip file, or the first of other things there */
    bool other;     /* there are no arrays in it */
    size_t unused;
    clm_text passed_over;          /* names of other arrays */
    double inexact, first_inexact; /* integers that a float has too few digits for: how many, the first */
} arrays;

static void free_arrays(arrays *a) {
    for (size_t i = 0; a->entries && i < a->array[X].dim[0]; i++) free(a->entries[i].text);
    free(a->entries);
    clm_text_free(&a->names);
    clm_text_free(&a->passed_over);
    for (int i = 0; i < ARRAYS; i++) {
        free(a->where[i]);
        free(a->memory[i]);
        clm_store_free(&a->file[i]);
    }
}

/* ---- reading ---- */

/* In whatever letters; `end` in small ones. */
static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), n = strlen(end);
    if (length <= n) return false;
    for (text += length - n; *end; text++, end++)
        if ((*text >= 'A' && *text <= 'Z' ? *text - 'A' + 'a' : *text) != *end) return false;
    return true;
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

/* A misspelt split would be drawn anew, so an array that is not used is named. */
static void pass_over(arrays *a, const char *file) {
    const size_t length = strlen(file) - 4;
    for (int i = 0; i < ARRAYS; i++)
        if (strlen(array_names[i]) == length && strncmp(file, array_names[i], length) == 0) return;
    if (a->passed_over.length < 200)
        clm_text_add(&a->passed_over, "%s%.*s", a->passed_over.length ? ", " : "", length < 40 ? (int)length : 40, file);
    if (a->passed_over.data) clm_printable(a->passed_over.data);
}

/* "images, labels, ..": the names of arrays, for messages. */
static void list_entries(arrays *a, zip_t *zip) {
    enum { NAMED = 8 };
    const zip_int64_t count = zip_get_num_entries(zip, 0);
    for (zip_int64_t i = 0; i < count; i++) {
        const char *name = zip_get_name(zip, (zip_uint64_t)i, 0);
        if (name && ends_with(name, ".npy")) pass_over(a, name);
        if (name && i < NAMED && ends_with(name, ".npy"))
            clm_text_add(&a->names, "%s%.*s", a->names.length ? ", " : "", (int)(strlen(name) < 44 ? strlen(name) - 4 : 40),
                         name);
    }
    a->other = !a->names.length && count > 0;
    if (a->other && zip_get_name(zip, 0, 0)) clm_text_add(&a->names, "%.80s", zip_get_name(zip, 0, 0));
    if (count > NAMED && !a->other) clm_text_add(&a->names, ", ..");
    if (a->names.data) clm_printable(a->names.data);
}

/* Of two entries of a name, programs differ in which they take. */
static clm_status check_single(const arrays *a, zip_t *zip, zip_int64_t index, const char *name) {
    for (zip_int64_t i = index + 1; i < zip_get_num_entries(zip, 0); i++) {
        const char *other = zip_get_name(zip, (zip_uint64_t)i, 0);
        if (other && strcmp(other, name) == 0)
            return clm_fail(CLM_E_FORMAT, "%s: entry %s occurs twice; save it again", a->path, name);
    }
    return CLM_OK;
}

static clm_status read_zip(arrays *a) {
    zip_t *zip = NULL;
    CLM_TRY(clm_zip_open(&zip, a->path));
    clm_status status = CLM_OK;
    for (int i = 0; i < ARRAYS; i++) {
        char name[16];
        snprintf(name, sizeof name, "%s.npy", array_names[i]);
        const zip_int64_t index = zip_name_locate(zip, name, 0);
        if (index < 0) continue;
        CLM_GOTO(check_single(a, zip, index, name));
        CLM_GOTO(read_entry(a, i, zip, (zip_uint64_t)index, name));
    }
    list_entries(a, zip);
out:
    zip_discard(zip);
    return status;
}

static clm_status read_file(arrays *a, int which, const char *path) {
    if (!clm_path_exists(path)) return CLM_OK;
    CLM_TRY(clm_store_read(&a->file[which], path));
    return parse(a, which, a->file[which].data, a->file[which].size);
}

static clm_status pass_over_files(arrays *a) {
    char **names = NULL;
    size_t count = 0;
    CLM_TRY(clm_directory_list(a->path, &names, &count));
    for (size_t i = 0; i < count; i++)
        if (ends_with(names[i], ".npy")) pass_over(a, names[i]);
    clm_names_free(names, count);
    return CLM_OK;
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
    return status == CLM_OK && folder ? pass_over_files(a) : status;
}

/* What the file has instead may be it, under another name. */
static clm_status refuse_absence(const arrays *a, const char *name) {
    const bool packed = ends_with(a->path, ".npz");
    if (a->other)
        return clm_fail(CLM_E_FORMAT, "%s: a zip file without arrays (%s); of pictures, unpack it, and name the folder",
                        a->path, a->names.data ? a->names.data : "");
    return clm_fail(CLM_E_FORMAT, "%s: holds no array %s%s%s%s; %s", a->path, name, a->names.length ? " (it holds " : "",
                    a->names.length ? a->names.data : "", a->names.length ? ")" : "",
                    packed ? "save x (examples), y (labels) and, if need be, split: numpy.savez(FILE, x=.., y=..)"
                           : "labels are in y.npy beside the examples: numpy.save(\"y.npy\", ..)");
}

static clm_status read_arrays(arrays *a) {
    for (int i = 0; i < ARRAYS; i++)
        if (!(a->where[i] = clm_format("%s: %s", a->path, array_names[i]))) return CLM_E_MEMORY;
    CLM_TRY(ends_with(a->path, ".npz") ? read_zip(a) : read_files(a));
    for (int i = 0; i < SPLIT; i++)
        if (!a->array[i].data) return refuse_absence(a, array_names[i]);
    return CLM_OK;
}

/* ---- shapes ---- */

static bool is_channels(size_t n) { return n == 1 || n == 3; }

/* Where are the channels of an example of three axes? In front, unless the last axis says otherwise: it has 1 or 3 elements and the
 * first has not; or the first two are the equal sides of a picture; or it is the shortest one of a picture of bytes, which has not more
 * bands than rows. `unsure`: the same of numbers, which may be features. */
static bool has_channels_last(const size_t d[3], bool bytes, bool *unsure) {
    const bool shortest = d[2] < d[0] && d[2] < d[1];
    *unsure = false;
    if (is_channels(d[0])) return false;
    if (is_channels(d[2])) return true;
    if (d[1] == d[2]) return false;
    *unsure = shortest && !bytes && d[0] != d[1];
    return d[0] == d[1] || (shortest && bytes);
}

static clm_status refuse_count(const arrays *a, int which) {
    const clm_npy *y = &a->array[which];
    const size_t wanted = a->array[X].dim[0];
    const bool one_hot = which == Y && y->rank == 2 && y->dim[0] == wanted;
    return clm_fail(CLM_E_SHAPE, "%s: has %d axes and %zu elements; it needs one for each of the %zu examples%s",
                    a->where[which], y->rank, y->count, wanted,
                    one_hot && y->dim[1] > 1 ? ": of one-hot labels save y.argmax(axis=1)"
                    : one_hot                ? ": save y.ravel()"
                                             : ", and one axis");
}

static clm_status find_shape(arrays *a) {
    const clm_npy *x = &a->array[X];
    const int axes = x->rank - 1;
    const size_t *d = x->dim + 1;
    if (axes < 1 || axes > 3 || !x->count || x->count / x->dim[0] > INT32_MAX / 2)
        return clm_fail(CLM_E_SHAPE,
                        "%s: has %d axes and %zu elements; the first axis counts examples, of which there is one "
                        "at least, and 1 to 3 more are an example; reshape it",
                        a->where[X], x->rank, x->count);
    if (clm_npy_is_text(x))
        return clm_fail(CLM_E_FORMAT,
                        "%s: holds texts; save numbers, such as places in a list of all words: "
                        "numpy.unique(x, return_inverse=True)[1]",
                        a->where[X]);
    if (x->dim[0] > INT32_MAX / 4) return clm_fail(CLM_E_LIMIT, "%s: at most %d examples are read", a->where[X], INT32_MAX / 4);
    a->bytes = x->kind == 'u' && x->bytes == 1 && axes > 1;
    a->channels_last = axes == 3 && has_channels_last(d, a->bytes, &a->unsure);
    a->channels = axes == 1 ? (int)d[0] : axes == 2 ? 1 : (int)d[a->channels_last ? 2 : 0];
    a->height = axes == 1 ? 1 : axes == 2 ? (int)d[0] : (int)d[a->channels_last ? 0 : 1];
    a->width = axes == 1 ? 1 : axes == 2 ? (int)d[1] : (int)d[a->channels_last ? 1 : 2];
    for (int i = Y; i < ARRAYS; i++)
        if (a->array[i].data && (a->array[i].rank != 1 || a->array[i].dim[0] != x->dim[0])) return refuse_count(a, i);
    return CLM_OK;
}

/* ---- labels ---- */

static clm_status refuse_split(const arrays *a, size_t i, const char *said) {
    return clm_fail(CLM_E_FORMAT,
                    "%s: element %zu is '%.40s', which is neither 0, 1, 2 nor train, val, test; write one of these, or leave "
                    "split out",
                    a->where[SPLIT], i, said);
}

static clm_status read_split_name(const arrays *a, size_t i, int *split) {
    char *text = clm_npy_text(&a->array[SPLIT], i);
    if (!text) return CLM_E_MEMORY;
    *split = clm_split_of_name(text);
    clm_printable(text);
    const clm_status status = *split == CLM_NO_SPLIT ? refuse_split(a, i, text) : CLM_OK;
    free(text);
    return status;
}

static clm_status read_split(const arrays *a, size_t i, int *split) {
    const clm_npy *s = &a->array[SPLIT];
    char said[32];
    *split = CLM_NO_SPLIT;
    if (!s->data) return CLM_OK;
    if (clm_npy_is_text(s)) return read_split_name(a, i, split);
    const double number = clm_npy_number(s, i);
    if (number == 0 || number == 1 || number == 2) *split = (int)number;
    snprintf(said, sizeof said, "%g", number);
    return *split == CLM_NO_SPLIT ? refuse_split(a, i, said) : CLM_OK;
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
            return clm_fail(CLM_E_FORMAT,
                            "%s: element %zu is %g; labels are whole numbers or texts: save y.astype(int) "
                            "where they are; numbers to be predicted are for tables (.csv)",
                            a->where[Y], i, e->number);
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

/* `number`: its place in an example of the file. */
static clm_status refuse_value(const arrays *a, size_t e, size_t number) {
    const entry *of = &a->entries[e];
    const clm_npy *x = &a->array[X];
    const double value = clm_npy_number(x, of->index * (x->count / x->dim[0]) + number);
    char label[64];
    snprintf(label, sizeof label, "%.0f", of->number);
    if (of->text) snprintf(label, sizeof label, "%s", of->text);
    clm_printable(label);
    return clm_fail(CLM_E_FORMAT,
                    "%s: example %zu, of class %s: its number %zu is %g, which is not finite in 32 bits; correct it, or leave "
                    "the example out",
                    a->where[X], of->index, label, number, value);
}

/* Floats have all whole numbers up to 2^24 alone. */
static void look_at_digits(arrays *a, size_t at, float value) {
    const clm_npy *x = &a->array[X];
    if (fabsf(value) < 16777216.0F || (x->kind != 'u' && x->kind != 'i')) return;
    const double number = clm_npy_number(x, at);
    if (number != (double)value && !(a->inexact++ > 0)) a->first_inexact = number;
}

static clm_status copy_examples(clm_image_set *set, arrays *a, bool invert) {
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
            if (!isfinite(value)) return refuse_value(a, e, at - from);
            look_at_digits(a, at, value);
            set->floats[e * size + i] = value;
        }
    }
    return CLM_OK;
}

/* Classes bring the examples into another order. */
static clm_status note_order(clm_image_set *set, const arrays *a) {
    if (!(set->stood = clm_calloc(set->images, sizeof *set->stood))) return CLM_E_MEMORY;
    for (size_t i = 0; i < set->images; i++) set->stood[i] = (uint32_t)a->entries[i].index;
    return CLM_OK;
}

static clm_status note(clm_image_set *set, arrays *a) {
    clm_text notes = {0};
    if (a->unsure)
        clm_note_add(&notes,
                     "x: the first axis of an example is taken for its channels, %d of %dx%d; where the last one is, save "
                     "numpy.moveaxis(x, -1, 1)",
                     a->channels, a->height, a->width);
    if (a->passed_over.length) clm_note_add(&notes, "arrays that are not read: %s; x, y and split are", a->passed_over.data);
    if (a->inexact > 0)
        clm_note_add(&notes, "x: %.0f whole numbers lose digits as 32-bit floats, such as %.0f", a->inexact, a->first_inexact);
    if (a->unused)
        clm_note_add(&notes, "%zu of %zu classes are in no split: the class split asks for fewer (--class-split)", a->unused,
                     set->count);
    set->base.notes = notes.data;
    return notes.failed ? CLM_E_MEMORY : CLM_OK;
}

static clm_status describe(clm_image_set *set, arrays *a, const clm_folder_options *o) {
    char shape[80];
    size_t classes;
    CLM_TRY(clm_own_count_classes(set, &classes));
    clm_shape_text(&set->base.shape, shape, sizeof shape);
    char *begin = clm_format("arrays %s: %zu examples of %zu classes, %s %s%s%s", a->path, set->images, classes, shape,
                             a->bytes ? "bytes" : "numbers", a->channels_last ? ", channels moved to the front" : "",
                             a->bytes && o->invert ? ", inverted" : "");
    clm_status status = begin ? clm_own_describe(set, begin, o, !a->array[SPLIT].data) : CLM_E_MEMORY;
    free(begin);
    return status == CLM_OK ? note(set, a) : status;
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
    if (!(set->base.origin = set->origin = clm_strdup(a->path))) CLM_GOTO(CLM_E_MEMORY);
    if (!a->bytes && o->invert)
        CLM_GOTO(clm_fail(CLM_E_ARG, "%s: only pictures of bytes can be inverted; leave invert out", a->where[X]));
    CLM_GOTO(add_classes(set, a, &splits));
    CLM_GOTO(note_order(set, a));
    CLM_GOTO(copy_examples(set, a, o->invert));
    CLM_GOTO(make_splits(set, a, o, splits));
    clm_image_set_sign(set, 0);
    CLM_GOTO(clm_image_set_normalise(set, o->normalise));
    if (a->bytes)
        set->base.scaled =
            "bytes of 2 or 3 axes an example are pictures, whose pixels are from 0 to 1: save integers of 16 bits";
    if (o->normalise != CLM_NORMALISE_NONE)
        set->base.scaled = "leave normalise out (--normalise none), which makes other numbers of them";
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
