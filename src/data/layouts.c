/* Layouts that folders themselves say: split ones and unsplit ones. The class of a picture is the topmost folder below the
 * split that holds pictures itself, or the one so many levels down as asked for; all below belongs to it. */
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "clmaml/data.h"
#include "data/catalog.h"
#include "data/image.h"

enum { MAX_DEPTH = 8 };

static const struct {
    const char *name;
    int split;
} split_names[] = {{"train", CLM_SPLIT_TRAIN},
                   {"val", CLM_SPLIT_VALIDATION},
                   {"valid", CLM_SPLIT_VALIDATION},
                   {"validation", CLM_SPLIT_VALIDATION},
                   {"test", CLM_SPLIT_TEST}};
enum { NAMES = sizeof split_names / sizeof *split_names };

int clm_split_of_name(const char *name) {
    for (size_t i = 0; i < NAMES; i++)
        if (strcmp(name, split_names[i].name) == 0) return split_names[i].split;
    return CLM_NO_SPLIT;
}

/* Hidden files and what operating systems and storage boxes leave behind: nothing is said of them. */
static bool is_system(const char *name) {
    static const char *const names[] = {"Thumbs.db", "thumbs.db", "ehthumbs.db",  "desktop.ini", "Desktop.ini",
                                        "__MACOSX",  "@eaDir",    "$RECYCLE.BIN", "Icon\r"};
    if (*name == '.') return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

/* ---- one split ---- */

typedef struct scan {
    clm_catalog *catalog;
    int split, class_depth;
    size_t strays; /* pictures outside any class */
    char *stray;   /* the first */
} scan;

typedef struct place { /* a folder */
    const char *path;  /* below the root; "" */
    const char *below; /* the same, below the split */
    int level;         /* 0: the split itself */
    size_t class_index;
    bool in_class;
} place;

typedef struct others { /* files of a folder that are no pictures */
    size_t count;
    const char *first;
} others;

static char *join(const char *a, const char *b) { return *a ? clm_path_join(a, b) : clm_strdup(b); }

static clm_status add_file(scan *s, const place *at, const char *name, others *rest) {
    clm_status status = CLM_OK;
    const clm_file_kind kind = clm_file_kind_of(name);
    char *path = join(at->path, name);
    if (!path) return CLM_E_MEMORY;
    if (kind == CLM_FILE_REFUSED) {
        status = clm_fail(CLM_E_FORMAT, "%s/%s: pictures of this kind are not read (%s are); convert it to PNG or remove it",
                          s->catalog->root, path, clm_picture_kinds());
    } else if (kind == CLM_FILE_OTHER) {
        if (!rest->count++) rest->first = name;
    } else if (at->in_class) {
        status = clm_catalog_add(s->catalog, at->class_index, path);
    } else if (!s->strays++) {
        s->stray = path;
        path = NULL;
    }
    free(path);
    return status;
}

static clm_status walk(scan *s, const place *at, size_t *found);

static clm_status enter(scan *s, const place *at, const char *name, size_t *found) {
    const size_t before = *found;
    char *path = join(at->path, name), *below = join(at->below, name);
    clm_status status = path && below ? CLM_OK : CLM_E_MEMORY;
    if (status == CLM_OK && at->level == MAX_DEPTH)
        status =
            clm_fail(CLM_E_IO, "%s/%s: folders nested too deep; is there a link that leads back up?", s->catalog->root, path);
    if (status == CLM_OK) status = walk(s, &(place){path, below, at->level + 1, at->class_index, at->in_class}, found);
    if (status == CLM_OK && *found == before && !at->in_class && at->level == 0)
        clm_catalog_left_out(s->catalog, "%s: a folder without pictures; it is no class", path);
    free(path);
    free(below);
    return status;
}

/* Does the folder make a class? The first of its files that is a picture tells. */
static bool begins_class(const scan *s, const place *at, char *const *names, const bool *folder, size_t count) {
    if (at->in_class || !at->level) return false;
    if (s->class_depth) return at->level == s->class_depth;
    for (size_t i = 0; i < count; i++)
        if (!folder[i] && !is_system(names[i]) && clm_file_kind_of(names[i]) != CLM_FILE_OTHER) return true;
    return false;
}

static clm_status visit(scan *s, const place *at, char *const *names, const bool *folder, size_t count, size_t *found) {
    others rest = {0};
    for (size_t i = 0; i < count; i++) {
        const size_t before = s->catalog->n_pictures;
        if (is_system(names[i])) continue;
        if (folder[i]) {
            CLM_TRY(enter(s, at, names[i], found));
        } else {
            CLM_TRY(add_file(s, at, names[i], &rest));
            *found += s->catalog->n_pictures - before;
        }
    }
    if (rest.count)
        clm_catalog_left_out(s->catalog, "%s: %zu %s no picture (%s)", *at->path ? at->path : ".", rest.count,
                             rest.count == 1 ? "file is" : "files are", rest.first);
    return CLM_OK;
}

static clm_status walk(scan *s, const place *where, size_t *found) {
    place at = *where;
    char **names = NULL, *full = *at.path ? clm_path_join(s->catalog->root, at.path) : clm_strdup(s->catalog->root);
    bool *folder = NULL;
    size_t count = 0;
    clm_status status = full ? CLM_OK : CLM_E_MEMORY;
    if (status != CLM_OK) goto out;
    CLM_GOTO(clm_directory_list(full, &names, &count));
    if (!(folder = clm_calloc(count, sizeof *folder))) CLM_GOTO(CLM_E_MEMORY);
    for (size_t i = 0; i < count; i++) {
        char *path = clm_path_join(full, names[i]);
        if (!path) CLM_GOTO(CLM_E_MEMORY);
        folder[i] = clm_path_is_directory(path);
        status = is_system(names[i]) ? CLM_OK : clm_catalog_look_at_link(s->catalog, path);
        free(path);
        if (status != CLM_OK) goto out;
    }
    if (begins_class(s, &at, names, folder, count)) {
        CLM_GOTO(clm_catalog_class_of(s->catalog, at.below, at.path, s->split, &at.class_index));
        at.in_class = true;
    }
    CLM_GOTO(visit(s, &at, names, folder, count, found));
out:
    if (names) clm_names_free(names, count);
    free(folder);
    free(full);
    return status;
}

clm_status clm_catalog_scan(clm_catalog *catalog, const char *inside, int split, int class_depth) {
    scan s = {.catalog = catalog, .split = split, .class_depth = class_depth};
    size_t found = 0;
    clm_status status = walk(&s, &(place){inside, "", 0, 0, false}, &found);
    if (status == CLM_OK && s.strays)
        clm_catalog_left_out(catalog, "%s: %zu %s outside any class (%s)", *inside ? inside : ".", s.strays,
                             s.strays == 1 ? "picture is" : "pictures are", s.stray);
    if (status == CLM_OK && !found)
        status = s.strays
                     ? clm_fail(CLM_E_FORMAT,
                                "%s%s%s: its %zu pictures are in no class; put those of each class in a folder of their own",
                                catalog->root, *inside ? "/" : "", inside, s.strays)
                     : clm_fail(CLM_E_FORMAT, "%s%s%s: no picture CLASS/* inside; put one folder a class there%s",
                                catalog->root, *inside ? "/" : "", inside,
                                *inside ? "" : ", or folders train/, val/ and test/ with one folder a class in each");
    free(s.stray);
    return status;
}

clm_status clm_catalog_scan_class(clm_catalog *catalog, const char *inside, const char *name, int split) {
    scan s = {.catalog = catalog, .split = split};
    place at = {inside, name, 1, 0, true};
    size_t found = 0;
    CLM_TRY(clm_catalog_class_of(catalog, name, inside, split, &at.class_index));
    CLM_TRY(walk(&s, &at, &found));
    return found ? CLM_OK : clm_fail(CLM_E_FORMAT, "%s/%s: a class without pictures", catalog->root, inside);
}

/* ---- the root ---- */

static clm_status is_folder(const clm_catalog *catalog, const char *name, bool *folder) {
    char *path = clm_path_join(catalog->root, name);
    if (!path) return CLM_E_MEMORY;
    *folder = clm_path_is_directory(path);
    free(path);
    return CLM_OK;
}

/* What stands beside train/ and is no split. */
static clm_status note_others(clm_catalog *catalog) {
    char **names = NULL;
    size_t count = 0;
    CLM_TRY(clm_directory_list(catalog->root, &names, &count));
    clm_status status = CLM_OK;
    for (size_t i = 0; i < count && status == CLM_OK; i++) {
        bool folder = false;
        if (is_system(names[i]) || clm_split_of_name(names[i]) != CLM_NO_SPLIT) continue;
        status = is_folder(catalog, names[i], &folder);
        if (folder)
            clm_catalog_left_out(
                catalog, "%s/: no name of a split (train, val, valid, validation, test); rename it to have it read", names[i]);
        else if (clm_file_kind_of(names[i]) != CLM_FILE_OTHER)
            clm_catalog_left_out(catalog, "%s: a picture outside any class", names[i]);
    }
    clm_names_free(names, count);
    return status;
}

static clm_status read_splits(clm_catalog *catalog, const bool *folder, int class_depth) {
    const char *taken[CLM_SPLIT_TEST + 1] = {NULL};
    for (size_t i = 0; i < NAMES; i++) {
        const int split = split_names[i].split;
        if (!folder[i]) continue;
        if (taken[split])
            return clm_fail(CLM_E_FORMAT, "%s: holds %s/ and %s/, which are the same split; join them or remove one",
                            catalog->root, taken[split], split_names[i].name);
        taken[split] = split_names[i].name;
        CLM_TRY(clm_catalog_scan(catalog, split_names[i].name, split, class_depth));
    }
    return note_others(catalog);
}

static clm_status read_layout(clm_catalog *catalog, int class_depth) {
    bool folder[NAMES], any = false;
    if (clm_catalog_has_tables(catalog)) return clm_catalog_read_tables(catalog);
    if (clm_catalog_has_lists(catalog)) return clm_catalog_read_lists(catalog);
    for (size_t i = 0; i < NAMES; i++) {
        CLM_TRY(is_folder(catalog, split_names[i].name, &folder[i]));
        any = any || folder[i];
    }
    return any ? read_splits(catalog, folder, class_depth) : clm_catalog_scan(catalog, "", CLM_NO_SPLIT, class_depth);
}

clm_status clm_catalog_read(clm_catalog *catalog, int class_depth) {
    CLM_TRY(read_layout(catalog, class_depth));
    if (catalog->links == 1) clm_catalog_remark(catalog, "a link leads out of the folder, and is followed: %s", catalog->link);
    if (catalog->links > 1)
        clm_catalog_remark(catalog, "%zu links lead out of the folder, and are followed: %s, ..", catalog->links,
                           catalog->link);
    return CLM_OK;
}
