/* Pictures of one's own: directory/{train,val,test}/CLASS/IMAGE.png, any PNG, made grey and square. A split may be absent, but
 * not all three. What is transparent counts as paper. */
#include <stdlib.h>

#include "base/files.h"
#include "base/memory.h"
#include "data/imageset.h"

static const char *const folders[CLM_SPLITS] = {"train", "val", "test"};

/* The classes that the set has from `first` on become the split. */
static clm_status split_rest(clm_image_set *set, clm_split split, size_t first) {
    size_t count = set->count - first;
    uint32_t *classes = clm_calloc(count ? count : 1, sizeof *classes);
    if (!classes) return CLM_E_MEMORY;
    for (size_t i = 0; i < count; i++) classes[i] = (uint32_t)(first + i);
    clm_status status = clm_image_set_split(set, split, classes, count, 1);
    free(classes);
    return status;
}

static clm_status load_split(clm_image_set *set, const char *directory, clm_split split, bool invert) {
    clm_status status = CLM_OK;
    clm_filetree *tree = NULL;
    char *path = clm_path_join(directory, folders[split]);
    if (!path) return CLM_E_MEMORY;
    if (clm_path_is_directory(path)) {
        size_t first = set->count;
        CLM_GOTO(clm_filetree_open(&tree, path));
        CLM_GOTO(clm_image_set_load(set, tree, 0, invert));
        if (set->count == first)
            CLM_GOTO(clm_fail(CLM_E_FORMAT, "%s: no picture CLASS/*.png inside; put one folder a class there", path));
        CLM_GOTO(split_rest(set, split, first));
    }
out:
    clm_filetree_close(tree);
    free(path);
    return status;
}

static char *describe(const clm_image_set *set, const char *directory, bool invert) {
    return clm_format("folder %s: %zu images, %dx%d, %s ink; classes: %zu train, %zu validation, %zu test", directory,
                      set->images, set->size, set->size, invert ? "dark" : "light", set->splits[CLM_SPLIT_TRAIN].count,
                      set->splits[CLM_SPLIT_VALIDATION].count, set->splits[CLM_SPLIT_TEST].count);
}

clm_status clm_source_folder(clm_source **out, const char *directory, int size, bool invert) {
    *out = NULL;
    if (!clm_path_is_directory(directory))
        return clm_fail(CLM_E_IO, "no folder %s: name one that holds train/, val/ and test/ with one folder a class in each",
                        directory);
    clm_image_set *set = NULL;
    CLM_TRY(clm_image_set_create(&set, "folder", size));
    clm_status status = CLM_OK;
    for (int i = 0; i < CLM_SPLITS; i++) CLM_GOTO(load_split(set, directory, (clm_split)i, invert));
    if (!set->images)
        CLM_GOTO(clm_fail(CLM_E_FORMAT, "%s: holds none of train/, val/ and test/; put CLASS/IMAGE.png in each", directory));
    set->origin = clm_strdup(directory);
    set->base.description = describe(set, directory, invert);
    if (!set->origin || !set->base.description) CLM_GOTO(CLM_E_MEMORY);
    *out = &set->base;
    set = NULL;
out:
    if (set) clm_source_free(&set->base);
    return status;
}
