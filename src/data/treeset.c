/* Listing is apart from decoding, so that the room is known before any picture is opened. */
#include "data/treeset.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"

/* The folder that holds an entry; its last `depth` parts, or all of it for 0. NULL when it has fewer. */
static const char *class_part(const char *entry, int depth, size_t *length) {
    const char *end = strrchr(entry, '/');
    if (!end) return NULL;
    const char *begin = depth ? end : entry;
    for (int parts = 0; parts < depth; parts++) {
        if (begin == entry) return NULL;
        if (parts) begin--; /* over the slash */
        while (begin > entry && begin[-1] != '/') begin--;
    }
    *length = (size_t)(end - begin);
    return begin;
}

/* Entries are sorted, so a folder's follow each other and a class begins where the folder changes. */
static bool same_folder(const char *entry, const char *previous) {
    size_t length = (size_t)(strrchr(entry, '/') - entry) + 1;
    return previous && strncmp(entry, previous, length) == 0 && !strchr(previous + length, '/');
}

clm_status clm_tree_pictures_add(clm_tree_pictures *list, clm_image_set *set, clm_filetree *tree, int depth) {
    const size_t entries = clm_filetree_count(tree);
    const char *previous = NULL;
    if (list->count + entries > INT32_MAX / 4)
        return clm_fail(CLM_E_LIMIT, "%s: a source holds at most %d images; use fewer", clm_filetree_path(tree), INT32_MAX / 4);
    CLM_TRY(clm_grow(&list->items, &list->capacity, list->count + entries, sizeof *list->items));
    for (size_t i = 0; i < entries; i++) {
        const char *entry = clm_filetree_entry(tree, i);
        size_t length = 0;
        const char *name = class_part(entry, depth, &length);
        if (!name) continue;
        if (!same_folder(entry, previous)) CLM_TRY(clm_image_set_add_class(set, name, length));
        previous = entry;
        list->items[list->count].tree = tree;
        list->items[list->count++].entry = i;
        set->images++;
        set->classes[set->count - 1].count++;
    }
    return CLM_OK;
}

/* ---- decoding ---- */

static char *name_of(void *context, size_t index) {
    const struct clm_tree_picture *p = &((const clm_tree_pictures *)context)->items[index];
    return clm_format("%s/%s", clm_filetree_path(p->tree), clm_filetree_entry(p->tree, p->entry));
}

/* What a tree has read lasts until it reads again: it is copied. */
static clm_status read_picture(void *context, size_t index, char **out, size_t *size) {
    const struct clm_tree_picture *p = &((const clm_tree_pictures *)context)->items[index];
    const uint8_t *data = NULL;
    CLM_TRY(clm_filetree_read(p->tree, p->entry, &data, size));
    if (clm_picture_kind_of(data, *size) != CLM_PICTURE_PNG)
        return clm_fail(CLM_E_FORMAT, "%s/%s: not a PNG picture; replace or remove it", clm_filetree_path(p->tree),
                        clm_filetree_entry(p->tree, p->entry));
    if (!(*out = clm_calloc(*size ? *size : 1, 1))) return CLM_E_MEMORY;
    memcpy(*out, data, *size);
    return CLM_OK;
}

static clm_status make_room(clm_image_set *set) {
    const uint64_t bytes = (uint64_t)set->images * (uint64_t)set->height * (uint64_t)set->width;
    uint64_t most = 0;
    char *why = NULL;
    clm_status status = clm_store_make(&set->store, bytes, &most, &why);
    if (status == CLM_E_LIMIT) {
        int size = set->height;
        while (size > 4 && (uint64_t)set->images * (uint64_t)size * (uint64_t)size > most) size--;
        status = clm_fail(CLM_E_LIMIT, "%s: %zu pictures of %dx%d take %s, %s; size %d would fit", set->base.name, set->images,
                          set->height, set->width, clm_bytes_text((double)bytes).s, why, size);
    }
    clm_store_hide(&set->store);
    free(why);
    return status;
}

clm_status clm_tree_pictures_decode(const clm_tree_pictures *list, clm_image_set *set, bool invert, const clm_decoding *how) {
    const uint8_t paper = invert ? 255 : 0;
    const clm_decoding job = {
        .count = list->count,
        .origin = set->base.name,
        .read = read_picture,
        .name = name_of,
        .context = (void *)(uintptr_t)list,
        .alone = true, /* a zip file is read by one thread at a time */
        .preparation = {.size = set->height, .channels = 1, .fit = CLM_FIT_STRETCH, .invert = invert, .background = paper},
        .paper = paper,
        .threads = how->threads,
        .progress = how->progress,
        .progress_context = how->progress_context};
    size_t coloured;
    CLM_TRY(make_room(set));
    set->pixels = set->store.data;
    return clm_decode(&job, set->pixels, &coloured);
}
