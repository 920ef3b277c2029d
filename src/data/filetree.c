/* Zip files through zipfile.h, folders through src/base/files.h. */
#include "data/filetree.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "data/image.h"
#include "data/zipfile.h"

enum { MAX_DEPTH = 8, MAX_ENTRY_BYTES = 1 << 28 };

typedef struct tree_entry {
    char *name;
    zip_uint64_t index; /* in the zip file */
} tree_entry;

struct clm_filetree {
    char *path;
    zip_t *zip; /* NULL: a folder */
    tree_entry *entries;
    size_t count, capacity;
    uint8_t *data; /* of the last read */
    size_t data_capacity;
};

/* No part of the path is hidden or a system's own. */
static bool is_wanted(const char *name) {
    for (const char *part = name; part; part = strchr(part, '/')) {
        if (*part == '/') part++;
        if (*part == '.' || strncmp(part, "__MACOSX", 8) == 0) return false;
    }
    return true;
}

static bool is_png(const char *name) {
    const size_t length = strlen(name);
    return length >= 4 && name[length - 4] == '.' && (name[length - 3] | 32) == 'p' && (name[length - 2] | 32) == 'n' &&
           (name[length - 1] | 32) == 'g';
}

/* Pictures of other kinds are an error, for to leave them out would quietly train on a part of the data. */
static clm_status add_entry(clm_filetree *tree, const char *name, zip_uint64_t index) {
    if (!is_wanted(name) || clm_file_kind_of(name) == CLM_FILE_OTHER) return CLM_OK;
    if (!is_png(name))
        return clm_fail(CLM_E_FORMAT, "%s/%s: only PNG pictures are read; convert it to PNG or remove it", tree->path, name);
    CLM_TRY(clm_grow(&tree->entries, &tree->capacity, tree->count + 1, sizeof *tree->entries));
    tree_entry *entry = &tree->entries[tree->count];
    entry->name = clm_strdup(name);
    if (!entry->name) return CLM_E_MEMORY;
    entry->index = index;
    tree->count++;
    return CLM_OK;
}

/* Some programs for Windows write \ between folders, and some programs a ./ before all. Nothing is unpacked, so a name that
 * leads out of the archive leads nowhere; but who packed it had that in mind. */
static clm_status add_zip_entry(clm_filetree *tree, const char *stored, zip_uint64_t index) {
    char *name = clm_strdup(stored), *begin = name;
    if (!name) return CLM_E_MEMORY;
    for (char *c = name; *c; c++)
        if (*c == '\\') *c = '/';
    while (strncmp(begin, "./", 2) == 0) begin += 2;
    clm_status status =
        clm_name_leads_out(begin)
            ? clm_fail(CLM_E_FORMAT, "%s: entry %s has a name that leads out of the archive; pack it again", tree->path, stored)
            : add_entry(tree, begin, index);
    free(name);
    return status;
}

static clm_status open_zip(clm_filetree *tree) {
    CLM_TRY(clm_zip_open(&tree->zip, tree->path));
    zip_int64_t count = zip_get_num_entries(tree->zip, 0);
    for (zip_int64_t i = 0; i < count; i++) {
        const char *name = zip_get_name(tree->zip, (zip_uint64_t)i, 0);
        if (name) CLM_TRY(add_zip_entry(tree, name, (zip_uint64_t)i));
    }
    return CLM_OK;
}

static clm_status list_folder(clm_filetree *tree, const char *folder, const char *inside, int depth) {
    char **names = NULL;
    size_t count = 0;
    CLM_TRY(clm_directory_list(folder, &names, &count));
    clm_status status = CLM_OK;
    for (size_t i = 0; i < count && status == CLM_OK; i++) {
        if (!is_wanted(names[i])) continue;
        char *path = clm_path_join(folder, names[i]);
        char *name = clm_format("%s%s%s", inside, *inside ? "/" : "", names[i]);
        if (!path || !name)
            status = CLM_E_MEMORY;
        else if (!clm_path_is_directory(path))
            status = add_entry(tree, name, 0);
        else if (depth < MAX_DEPTH)
            status = list_folder(tree, path, name, depth + 1);
        else
            status = clm_fail(CLM_E_IO, "%s: folders nested too deep; is there a link that leads back up?", path);
        free(path);
        free(name);
    }
    clm_names_free(names, count);
    return status;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const tree_entry *)a)->name, ((const tree_entry *)b)->name);
}

clm_status clm_filetree_open(clm_filetree **out, const char *path) {
    clm_status status = CLM_OK;
    *out = NULL;
    clm_filetree *tree = clm_calloc(1, sizeof *tree);
    if (!tree) return CLM_E_MEMORY;
    tree->path = clm_strdup(path);
    if (!tree->path) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(clm_path_is_directory(path) ? list_folder(tree, path, "", 0) : open_zip(tree));
    if (tree->count) qsort(tree->entries, tree->count, sizeof *tree->entries, by_name);
    for (size_t i = 1; i < tree->count; i++)
        if (by_name(&tree->entries[i - 1], &tree->entries[i]) == 0)
            CLM_GOTO(clm_fail(CLM_E_FORMAT, "%s: entry %s occurs twice; pack it again", path, tree->entries[i].name));
    *out = tree;
    tree = NULL;
out:
    clm_filetree_close(tree);
    return status;
}

void clm_filetree_close(clm_filetree *tree) {
    if (!tree) return;
    if (tree->zip) zip_discard(tree->zip);
    for (size_t i = 0; i < tree->count; i++) free(tree->entries[i].name);
    free(tree->entries);
    free(tree->data);
    free(tree->path);
    free(tree);
}

size_t clm_filetree_count(const clm_filetree *tree) { return tree->count; }
const char *clm_filetree_entry(const clm_filetree *tree, size_t index) { return tree->entries[index].name; }
const char *clm_filetree_path(const clm_filetree *tree) { return tree->path; }

static clm_status read_zip(clm_filetree *tree, const tree_entry *entry, size_t *size) {
    return clm_zip_read(tree->zip, tree->path, entry->index, entry->name, MAX_ENTRY_BYTES, &tree->data, &tree->data_capacity,
                        size);
}

static clm_status read_folder(clm_filetree *tree, const tree_entry *entry, size_t *size) {
    char *path = clm_path_join(tree->path, entry->name);
    if (!path) return CLM_E_MEMORY;
    char *data = NULL;
    clm_status status = clm_file_read(path, &data, size);
    free(path);
    if (status != CLM_OK) return status;
    free(tree->data);
    tree->data = (uint8_t *)data;
    tree->data_capacity = *size;
    return CLM_OK;
}

clm_status clm_filetree_read(clm_filetree *tree, size_t index, const uint8_t **data, size_t *size) {
    const tree_entry *entry = &tree->entries[index];
    CLM_TRY(tree->zip ? read_zip(tree, entry, size) : read_folder(tree, entry, size));
    *data = tree->data;
    return CLM_OK;
}
