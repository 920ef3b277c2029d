/* Pictures of one's own: the catalog of a folder, its pictures prepared, its classes split. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "data/own.h"
#include "data/prepare.h"

static const clm_folder_options defaults = CLM_FOLDER_OPTIONS_INIT;

static clm_status check_options(const clm_folder_options *o) {
    if (o->version != CLM_FOLDER_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "folder: options of version %d; begin them with CLM_FOLDER_OPTIONS_INIT", o->version);
    if (o->channels != 0 && o->channels != 1 && o->channels != 3)
        return clm_fail(CLM_E_ARG, "folder: pictures of %d channels: 1, 3, or 0 for what the pictures have", o->channels);
    if ((unsigned)o->fit > CLM_FIT_PAD || (unsigned)o->normalise > CLM_NORMALISE_DATASET)
        return clm_fail(CLM_E_ARG, "folder: no fit %d or no normalisation %d", (int)o->fit, (int)o->normalise);
    if (o->background < 0 || o->background > 255)
        return clm_fail(CLM_E_ARG, "folder: a background of %d: 0 (black) to 255 (white) are possible", o->background);
    if (o->class_depth < 0 || o->class_depth > 8)
        return clm_fail(CLM_E_ARG, "folder: classes %d folders down: 1 to 8, or 0 for the first that holds pictures",
                        o->class_depth);
    if (o->threads < 0) return clm_fail(CLM_E_ARG, "folder: %d threads: at least 1, or 0 for one a core", o->threads);
    return clm_source_check_size(o->size);
}

static clm_status check_strict(const clm_catalog *c, const clm_folder_options *o) {
    size_t count = 0;
    for (int kind = 0; kind < CLM_LEFT_KINDS; kind++) count += c->left_out[kind];
    return o->strict && count ? clm_own_refuse(c->root, &c->left, count) : CLM_OK;
}

static clm_status add_classes(clm_image_set *set, const clm_catalog *c) {
    for (size_t i = 0; i < c->n_classes; i++) {
        const clm_catalog_class *from = &c->classes[i];
        set->images = from->first;
        CLM_TRY(clm_image_set_add_class(set, from->name, strlen(from->name)));
        set->classes[i].count = from->count;
        if (!(set->classes[i].origin = clm_strdup(from->origin))) return CLM_E_MEMORY;
    }
    set->images = c->n_pictures;
    return CLM_OK;
}

static clm_status check_split(const clm_catalog *c, const clm_folder_options *o) {
    if (c->classes[0].split == CLM_NO_SPLIT || !(o->class_split[0] || o->class_split[1] || o->class_split[2])) return CLM_OK;
    return clm_fail(CLM_E_ARG, "%s is split already, so a class split says nothing; leave it out", c->root);
}

static clm_status make_splits(clm_image_set *set, clm_catalog *c, const clm_folder_options *o, bool *drawn) {
    size_t unused = 0;
    *drawn = c->classes[0].split == CLM_NO_SPLIT;
    if (*drawn) {
        CLM_TRY(clm_own_split(set, o, &unused));
        if (unused)
            clm_catalog_remark(c, "%zu of %zu classes are in no split: the class split asks for fewer (--class-split)", unused,
                               set->count);
        return CLM_OK;
    }
    int *splits = clm_calloc(c->n_classes, sizeof *splits);
    if (!splits) return CLM_E_MEMORY;
    for (size_t i = 0; i < c->n_classes; i++) splits[i] = c->classes[i].split;
    clm_status status = clm_own_use_splits(set, splits);
    free(splits);
    return status;
}

static clm_status describe(clm_image_set *set, const clm_catalog *c, const clm_folder_options *o, size_t coloured, bool drawn) {
    static const char *const fits[] = {"stretched", "cropped", "padded"};
    const char *colour = set->channels == 3 ? "colour" : coloured ? "made grey" : "grey";
    char background[32] = "";
    size_t classes;
    CLM_TRY(clm_own_count_classes(set, &classes));
    if (o->background != 255) snprintf(background, sizeof background, ", background %d", o->background);
    char *begin = clm_format("folder %s: %zu images of %zu classes, %s, %s to %dx%d%s%s", c->root, set->images, classes, colour,
                             fits[o->fit], set->width, set->height, background, o->invert ? ", inverted" : "");
    clm_status status = begin ? clm_own_describe(set, begin, o, drawn) : CLM_E_MEMORY;
    free(begin);
    return status;
}

/* Classes below folders that are none: as in Omniglot, or by accident. */
static void note_nested(clm_catalog *c, const clm_folder_options *o) {
    for (size_t i = 0; i < c->n_classes && !o->class_depth; i++) {
        const char *name = c->classes[i].name, *slash = strchr(name, '/');
        if (!slash) continue;
        clm_catalog_remark(
            c,
            "%.*s holds no pictures itself, so the folders in it are classes, such as %s; --class-depth 1 makes it one class",
            (int)(slash - name), name, name);
        return;
    }
}

static void note_colours(clm_catalog *c, const clm_folder_options *o, const clm_prepared *p) {
    if (p->channels == 1 && p->coloured)
        clm_catalog_remark(c, "%zu of %zu pictures are in colour; only brightness is used", p->coloured, c->n_pictures);
    if (p->channels == 3 && !o->channels && p->coloured < c->n_pictures)
        clm_catalog_remark(c, "%zu of %zu pictures are grey; they are given three equal channels", c->n_pictures - p->coloured,
                           c->n_pictures);
}

/* The pixels go to the set. */
static clm_status make_set(clm_image_set **out, clm_catalog *c, clm_prepared *p, const clm_folder_options *o) {
    clm_status status = CLM_OK;
    bool drawn = false;
    CLM_TRY(clm_image_set_create(out, "folder", p->channels, o->size, o->size));
    clm_image_set *set = *out;
    set->store = p->store;
    set->pixels = p->pixels;
    p->store = (clm_store){0};
    if (!(set->base.origin = set->origin = clm_strdup(c->root))) return CLM_E_MEMORY;
    CLM_GOTO(add_classes(set, c));
    CLM_GOTO(make_splits(set, c, o, &drawn));
    clm_image_set_sign(set, p->checksum);
    clm_preparation *made = &set->base.preparation;
    made->size = o->size;
    made->channels = p->channels;
    made->fit = o->fit;
    made->invert = o->invert;
    made->background = o->background;
    CLM_GOTO(clm_image_set_normalise(set, o->normalise));
    set->base.scaled = "pixels are no tokens: begin with conv2d, or with tokens and linear";
    CLM_GOTO(describe(set, c, o, p->coloured, drawn));
    if (c->notes.failed) CLM_GOTO(CLM_E_MEMORY);
    set->base.notes = c->notes.data;
    c->notes = (clm_text){0};
    CLM_GOTO(clm_image_set_note_shared(set));
out:
    return status;
}

static clm_status open_pictures(clm_source **out, const char *directory, const clm_folder_options *o) {
    clm_catalog catalog;
    clm_prepared prepared = {0};
    clm_image_set *set = NULL;
    clm_status status = clm_catalog_begin(&catalog, directory);
    if (status != CLM_OK) goto out;
    CLM_GOTO(clm_catalog_read(&catalog, o->class_depth));
    if (catalog.n_pictures > INT32_MAX / 4)
        CLM_GOTO(clm_fail(CLM_E_LIMIT, "%s: a source holds at most %d images; use fewer", directory, INT32_MAX / 4));
    CLM_GOTO(clm_catalog_sort(&catalog));
    CLM_GOTO(clm_catalog_check_left(&catalog));
    CLM_GOTO(check_split(&catalog, o));
    CLM_GOTO(clm_prepare_pictures(&prepared, &catalog, o));
    if (prepared.lost) CLM_GOTO(clm_catalog_drop(&catalog, prepared.lost));
    CLM_GOTO(clm_catalog_check_left(&catalog));
    clm_catalog_note_lost(&catalog);
    CLM_GOTO(check_strict(&catalog, o));
    clm_catalog_note_more(&catalog);
    note_nested(&catalog, o);
    note_colours(&catalog, o, &prepared);
    CLM_GOTO(make_set(&set, &catalog, &prepared, o));
    *out = &set->base;
    set = NULL;
out:
    if (set) clm_source_free(&set->base);
    clm_prepared_free(&prepared);
    clm_catalog_free(&catalog);
    return status;
}

clm_status clm_source_folder_open(clm_source **out, const char *path, const clm_folder_options *options) {
    const clm_folder_options *o = options ? options : &defaults;
    *out = NULL;
    CLM_TRY(check_options(o));
    if (clm_is_arrays(path)) return clm_source_arrays(out, path, o);
    if (clm_path_is_directory(path)) return open_pictures(out, path, o);
    if (clm_path_exists(path))
        return clm_fail(CLM_E_FORMAT,
                        "%s: neither a folder of pictures nor a .npz or .npy file; name a folder, and unpack an "
                        "archive first",
                        path);
    return clm_fail(CLM_E_IO,
                    "no folder %s: name one that holds a folder for each class, or train/, val/ and test/ with these in each",
                    path);
}

clm_status clm_source_folder(clm_source **out, const char *directory, int size, bool invert) {
    clm_folder_options o = defaults;
    o.size = size;
    o.channels = 1;
    o.fit = CLM_FIT_STRETCH;
    o.invert = invert;
    o.background = invert ? 255 : 0;
    return clm_source_folder_open(out, directory, &o);
}
