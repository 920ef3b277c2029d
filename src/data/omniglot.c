/* Omniglot (Lake et al. 2015): 1623 characters of 50 alphabets, 20 drawings each, 105 x 105 pixels, black ink on white.
 *
 * The set comes in two parts: images_background, 964 characters of 30 alphabets, and images_evaluation, 659 of 20. Splits, with
 * shuffles by clm_random_shuffle from the stream (split_seed, 0) of indices in order of name:
 *   alphabets  the background characters are shuffled; the first tenth (96) validates, the others (868) train; the evaluation
 *              characters (659) test. Alphabets seen at test time are new; validation characters are new, their alphabets are
 * not. 1200       all characters, sorted by ALPHABET/CHARACTER, are shuffled; the first 1100 train, the next 100 validate, the
 *              remaining 423 test (Santoro et al. 2016 and Finn et al. 2017 took 1200 at random, unpublished).
 * An incomplete set is split in the same proportions. */
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "data/treeset.h"

enum { CHARACTERS = 1623, TRAIN_1200 = 1100, VALIDATION_1200 = 100 };

typedef struct part {
    const char *name;
    size_t alphabets, characters; /* of the whole set */
} part;
static const part parts[2] = {{"images_background", 30, 964}, {"images_evaluation", 20, 659}};

/* "directory/name.zip" when it exists, else the folder "directory/name". */
static clm_status open_part(clm_filetree **out, const char *directory, const char *name) {
    char *folder = clm_path_join(directory, name), *zip = folder ? clm_format("%s.zip", folder) : NULL;
    clm_status status = CLM_OK;
    if (!folder || !zip)
        status = CLM_E_MEMORY;
    else if (clm_path_exists(zip))
        status = clm_filetree_open(out, zip);
    else if (clm_path_is_directory(folder))
        status = clm_filetree_open(out, folder);
    else
        status = clm_fail(CLM_E_IO,
                          "omniglot: neither %s nor a folder %s: get %s.zip from Omniglot's own repository (python/ in "
                          "brendenlake/omniglot) and put it there",
                          zip, folder, name);
    free(folder);
    free(zip);
    return status;
}

static clm_status list_part(clm_tree_pictures *list, clm_image_set *set, clm_filetree **tree, const char *directory,
                            const char *name) {
    CLM_TRY(open_part(tree, directory, name));
    size_t before = set->images;
    CLM_TRY(clm_tree_pictures_add(list, set, *tree, 2));
    if (set->images > before) return CLM_OK;
    return clm_fail(CLM_E_FORMAT, "%s: no picture ALPHABET/CHARACTER/*.png inside; is this Omniglot?",
                    clm_filetree_path(*tree));
}

/* Both parts; *background: classes of the first. */
static clm_status load_parts(clm_image_set *set, const char *directory, const clm_omniglot_options *o, size_t *background) {
    const clm_decoding how = {.threads = o->threads, .progress = o->progress, .progress_context = o->context};
    clm_tree_pictures list = {0};
    clm_filetree *trees[2] = {NULL, NULL};
    clm_status status = CLM_OK;
    CLM_GOTO(list_part(&list, set, &trees[0], directory, parts[0].name));
    *background = set->count;
    CLM_GOTO(list_part(&list, set, &trees[1], directory, parts[1].name));
    status = clm_tree_pictures_decode(&list, set, true, &how);
out:
    for (int i = 0; i < 2; i++) clm_filetree_close(trees[i]);
    free(list.items);
    return status;
}

/* ---- splits ---- */

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sorted by number, so that a split's classes are in order of name however it was drawn. */
static clm_status set_split(clm_image_set *set, clm_split split, uint32_t *classes, size_t count, bool rotations) {
    if (count) qsort(classes, count, sizeof *classes, by_number);
    return clm_image_set_split(set, split, classes, count, rotations ? 4 : 1);
}

static clm_status split_alphabets(clm_image_set *set, size_t background, uint32_t *order, const clm_omniglot_options *options) {
    clm_random r = clm_random_make(options->split_seed, 0);
    clm_random_shuffle(&r, order, (uint32_t)background);
    size_t validation = background / 10;
    CLM_TRY(set_split(set, CLM_SPLIT_VALIDATION, order, validation, options->rotations));
    CLM_TRY(set_split(set, CLM_SPLIT_TRAIN, order + validation, background - validation, options->rotations));
    return set_split(set, CLM_SPLIT_TEST, order + background, set->count - background, options->test_rotations);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const clm_image_class *)a)->name, ((const clm_image_class *)b)->name);
}

static clm_status split_1200(clm_image_set *set, uint32_t *order, const clm_omniglot_options *options) {
    size_t train = set->count * TRAIN_1200 / CHARACTERS, validation = set->count * VALIDATION_1200 / CHARACTERS;
    qsort(set->classes, set->count, sizeof *set->classes, by_name);
    clm_random r = clm_random_make(options->split_seed, 0);
    clm_random_shuffle(&r, order, (uint32_t)set->count);
    CLM_TRY(set_split(set, CLM_SPLIT_TRAIN, order, train, options->rotations));
    CLM_TRY(set_split(set, CLM_SPLIT_VALIDATION, order + train, validation, options->rotations));
    return set_split(set, CLM_SPLIT_TEST, order + train + validation, set->count - train - validation, options->test_rotations);
}

static clm_status split_set(clm_image_set *set, size_t background, const clm_omniglot_options *options) {
    uint32_t *order = clm_calloc(set->count, sizeof *order);
    if (!order) return CLM_E_MEMORY;
    for (size_t i = 0; i < set->count; i++) order[i] = (uint32_t)i;
    clm_status status = options->split == CLM_OMNIGLOT_1200 ? split_1200(set, order, options)
                                                            : split_alphabets(set, background, order, options);
    free(order);
    if (status == CLM_OK && options->within_alphabet) status = clm_image_set_families(set, CLM_SPLIT_TEST);
    return status;
}

/* ---- description ---- */

/* Alphabets among classes from .. to-1, which are sorted by name. */
static size_t count_alphabets(const clm_image_set *set, size_t from, size_t to) {
    size_t count = 0;
    for (size_t i = from; i < to; i++) {
        size_t length = strcspn(set->classes[i].name, "/");
        if (i == from || strncmp(set->classes[i].name, set->classes[i - 1].name, length + 1) != 0) count++;
    }
    return count;
}

/* Called before the classes are reordered, while those of the background part come first. */
static char *describe_parts(const clm_image_set *set, size_t background) {
    size_t alphabets[2] = {count_alphabets(set, 0, background), count_alphabets(set, background, set->count)};
    size_t characters[2] = {background, set->count - background};
    size_t fewest = set->classes[0].count, most = fewest;
    for (size_t i = 1; i < set->count; i++) {
        if (set->classes[i].count < fewest) fewest = set->classes[i].count;
        if (set->classes[i].count > most) most = set->classes[i].count;
    }
    bool whole = fewest == 20 && most == 20;
    for (int i = 0; i < 2; i++) whole = whole && alphabets[i] == parts[i].alphabets && characters[i] == parts[i].characters;
    char *drawings =
        fewest == most ? clm_format("%zu drawings each", most) : clm_format("%zu to %zu drawings each", fewest, most);
    if (!drawings) return NULL;
    char *text = clm_format("%zu background + %zu evaluation characters of %zu + %zu alphabets, %s%s", characters[0],
                            characters[1], alphabets[0], alphabets[1], drawings,
                            whole ? "" : " (incomplete: 964 + 659 of 30 + 20, 20 each, are expected)");
    free(drawings);
    return text;
}

static char *describe(const clm_image_set *set, const char *held, const clm_omniglot_options *options) {
    const clm_image_split *s = set->splits;
    return clm_format("omniglot: %s; %dx%d; split %s, seed %llu: %zu train, %zu validation, %zu test characters; classes with "
                      "rotations: %zu, %zu, %zu%s",
                      held, set->width, set->height, options->split == CLM_OMNIGLOT_1200 ? "1200" : "alphabets",
                      (unsigned long long)options->split_seed, s[CLM_SPLIT_TRAIN].count, s[CLM_SPLIT_VALIDATION].count,
                      s[CLM_SPLIT_TEST].count, clm_source_classes(&set->base, CLM_SPLIT_TRAIN),
                      clm_source_classes(&set->base, CLM_SPLIT_VALIDATION), clm_source_classes(&set->base, CLM_SPLIT_TEST),
                      options->within_alphabet ? "; test tasks within an alphabet, support and query by different people" : "");
}

static clm_status check_options(const clm_omniglot_options *options) {
    if (options->version != CLM_OMNIGLOT_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "omniglot: options of version %d; begin them with CLM_OMNIGLOT_OPTIONS_INIT",
                        options->version);
    if (options->split != CLM_OMNIGLOT_ALPHABETS && options->split != CLM_OMNIGLOT_1200)
        return clm_fail(CLM_E_ARG, "omniglot: no split %d", (int)options->split);
    if (options->within_alphabet && options->test_rotations)
        return clm_fail(CLM_E_ARG,
                        "omniglot: an alphabet (within_alphabet) has no rotated characters: leave out test_rotations");
    if (options->threads < 0)
        return clm_fail(CLM_E_ARG, "omniglot: %d threads: at least 1, or 0 for one a core", options->threads);
    return CLM_OK;
}

clm_status clm_source_omniglot(clm_source **out, const char *directory, const clm_omniglot_options *options) {
    const clm_omniglot_options defaults = CLM_OMNIGLOT_OPTIONS_INIT;
    if (!options) options = &defaults;
    *out = NULL;
    CLM_TRY(check_options(options));
    if (!clm_path_is_directory(directory))
        return clm_fail(CLM_E_IO, "omniglot: no folder %s: name the one that holds %s.zip and %s.zip", directory, parts[0].name,
                        parts[1].name);
    clm_image_set *set = NULL;
    CLM_TRY(clm_source_check_size(options->size));
    CLM_TRY(clm_image_set_create(&set, "omniglot", 1, options->size, options->size));
    clm_status status = CLM_OK;
    char *held = NULL;
    size_t background = 0;
    CLM_GOTO(load_parts(set, directory, options, &background));
    set->origin = clm_strdup(directory);
    held = describe_parts(set, background);
    if (!set->origin || !held) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(split_set(set, background, options));
    clm_image_set_sign(set, 0);
    set->base.preparation.size = options->size;
    set->base.preparation.channels = 1;
    set->base.preparation.fit = CLM_FIT_STRETCH;
    set->base.preparation.invert = true;
    set->base.split_drawn = true;
    set->base.scaled = "pixels are no tokens: begin with conv2d, or with tokens and linear";
    set->base.description = describe(set, held, options);
    if (!set->base.description) CLM_GOTO(CLM_E_MEMORY);
    *out = &set->base;
    set = NULL;
out:
    free(held);
    if (set) clm_source_free(&set->base);
    return status;
}
