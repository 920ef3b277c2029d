/* Zip files through libzip, folders through src/base/files.h. Libzip checks the CRC of every entry that is read to its end. */
#include "data/filetree.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "base/files.h"
#include "base/memory.h"

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

/* `end` in small letters; `text` in any. */
static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), n = strlen(end);
    if (length < n) return false;
    for (text += length - n; *end; text++, end++)
        if ((*text >= 'A' && *text <= 'Z' ? *text - 'A' + 'a' : *text) != *end) return false;
    return true;
}

/* No part of the path is hidden or a system's own. */
static bool is_wanted(const char *name) {
    for (const char *part = name; part; part = strchr(part, '/')) {
        if (*part == '/') part++;
        if (*part == '.' || strncmp(part, "__MACOSX", 8) == 0) return false;
    }
    return true;
}

/* Pictures of other kinds are an error, for to leave them out would quietly train on a part of the data. */
static clm_status add_entry(clm_filetree *tree, const char *name, zip_uint64_t index) {
    static const char *const other[] = {".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"};
    if (!is_wanted(name)) return CLM_OK;
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (ends_with(name, other[i]))
            return clm_fail(CLM_E_FORMAT, "%s/%s: only PNG pictures are read; convert it to PNG or remove it", tree->path, name);
    if (!ends_with(name, ".png")) return CLM_OK;
    CLM_TRY(clm_grow(&tree->entries, &tree->capacity, tree->count + 1, sizeof *tree->entries));
    tree_entry *entry = &tree->entries[tree->count];
    entry->name = clm_strdup(name);
    if (!entry->name) return CLM_E_MEMORY;
    entry->index = index;
    tree->count++;
    return CLM_OK;
}

static clm_status open_zip(clm_filetree *tree) {
    int code = 0;
    tree->zip = zip_open(tree->path, ZIP_RDONLY, &code);
    if (!tree->zip) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        bool broken = code == ZIP_ER_NOZIP || code == ZIP_ER_INCONS || code == ZIP_ER_EOF || code == ZIP_ER_SEEK;
        clm_status status =
            clm_fail(broken ? CLM_E_FORMAT : CLM_E_IO, "%s: %s (%s)", tree->path,
                     broken ? "not a whole zip file; fetch it again" : "cannot be opened", zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    zip_int64_t count = zip_get_num_entries(tree->zip, 0);
    for (zip_int64_t i = 0; i < count; i++) {
        const char *name = zip_get_name(tree->zip, (zip_uint64_t)i, 0);
        if (name) CLM_TRY(add_entry(tree, name, (zip_uint64_t)i));
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

static int by_name(const void *a, const void *b) { return strcmp(((const tree_entry *)a)->name, ((const tree_entry *)b)->name); }

clm_status clm_filetree_open(clm_filetree **out, const char *path) {
    clm_status status = CLM_OK;
    *out = NULL;
    clm_filetree *tree = clm_calloc(1, sizeof *tree);
    if (!tree) return CLM_E_MEMORY;
    tree->path = clm_strdup(path);
    if (!tree->path) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(clm_path_is_directory(path) ? list_folder(tree, path, "", 0) : open_zip(tree));
    if (tree->count) qsort(tree->entries, tree->count, sizeof *tree->entries, by_name);
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
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat_index(tree->zip, entry->index, 0, &stat) != 0 || !(stat.valid & ZIP_STAT_SIZE))
        return clm_fail(CLM_E_FORMAT, "%s: entry %s: %s; fetch the zip file again", tree->path, entry->name,
                        zip_strerror(tree->zip));
    if (stat.size > MAX_ENTRY_BYTES)
        return clm_fail(CLM_E_LIMIT, "%s: entry %s: too large for a picture (%llu bytes)", tree->path, entry->name,
                        (unsigned long long)stat.size);
    CLM_TRY(clm_grow(&tree->data, &tree->data_capacity, (size_t)stat.size + 1, 1));
    zip_file_t *file = zip_fopen_index(tree->zip, entry->index, 0);
    if (!file)
        return clm_fail(CLM_E_FORMAT, "%s: entry %s: %s; fetch the zip file again", tree->path, entry->name,
                        zip_strerror(tree->zip));
    /* Libzip compares the checksum when asked for what comes after the end. */
    uint8_t beyond;
    zip_int64_t got = zip_fread(file, tree->data, stat.size);
    bool whole = got >= 0 && (zip_uint64_t)got == stat.size && zip_fread(file, &beyond, 1) == 0;
    clm_status status = CLM_OK;
    if (!whole)
        status = clm_fail(CLM_E_FORMAT, "%s: entry %s is damaged (%s); fetch the zip file again", tree->path, entry->name,
                          zip_error_code_zip(zip_file_get_error(file)) ? zip_file_strerror(file) : "it ends early");
    zip_fclose(file);
    *size = (size_t)stat.size;
    return status;
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
