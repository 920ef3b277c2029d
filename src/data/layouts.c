/* Layouts that folders themselves say: split ones and unsplit ones. The class of a picture is the topmost folder below the
 * split that holds pictures itself, or the one so many levels down as asked for; all below belongs to it. */
#include <stdio.h>
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
    int deepest;   /* folders that those outside any class are in */
    size_t strays; /* pictures outside any class */
    char *stray;   /* the first */
    char *other;   /* the first file that is no picture; NULL: there is none */
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

/* What cannot be had does not keep the others from being read. */
static clm_status add_picture(clm_catalog *catalog, size_t class_index, const char *path, clm_file_kind kind) {
    char why[512];
    const char *origin = catalog->classes[class_index].origin;
    if (kind == CLM_FILE_PICTURE) {
        const clm_status status = clm_catalog_add(catalog, class_index, path);
        if (status != CLM_E_IO) return status;
        snprintf(why, sizeof why, "%s", clm_last_error());
        return clm_catalog_lose(catalog, origin, path, why);
    }
    snprintf(why, sizeof why, "of a kind that is not read (%s are); convert it to PNG", clm_picture_kinds());
    return clm_catalog_lose(catalog, origin, path, why);
}

static clm_status add_file(scan *s, const place *at, const char *name, others *rest) {
    clm_status status = CLM_OK;
    const clm_file_kind kind = clm_file_kind_of(name);
    char *path = join(at->path, name);
    if (!path) return CLM_E_MEMORY;
    if (kind == CLM_FILE_OTHER) {
        if (!rest->count++) rest->first = name;
        if (!s->other && !(s->other = clm_strdup(path))) status = CLM_E_MEMORY;
    } else if (at->in_class) {
        status = add_picture(s->catalog, at->class_index, path, kind);
    } else {
        if (at->level > s->deepest) s->deepest = at->level;
        if (!s->strays++) {
            s->stray = path;
            path = NULL;
        }
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
        clm_catalog_left_out(s->catalog, CLM_LEFT_FOLDERS, "%s: a folder without pictures; it is no class", path);
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
        const size_t before = s->catalog->n_pictures + s->catalog->n_lost;
        if (is_system(names[i])) continue;
        if (folder[i]) {
            CLM_TRY(enter(s, at, names[i], found));
        } else {
            CLM_TRY(add_file(s, at, names[i], &rest));
            *found += s->catalog->n_pictures + s->catalog->n_lost - before;
        }
    }
    if (rest.count)
        clm_catalog_left_out(s->catalog, CLM_LEFT_FILES, "%s: %zu %s no picture (%s)", *at->path ? at->path : ".", rest.count,
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

/* What was put into the folder instead of pictures, and what is to be done with it. */
static const char *remedy_for(const char *name) {
    static const char *const kinds[][2] = {{".zip", "unpack it there"},
                                           {".tar", "unpack it there"},
                                           {".gz", "unpack it there"},
                                           {".tgz", "unpack it there"},
                                           {".7z", "unpack it there"},
                                           {".rar", "unpack it there"},
                                           {".csv", "a table is named itself, not its folder"},
                                           {".tsv", "a table is named itself, not its folder"},
                                           {".npz", "arrays are named themselves, not their folder"},
                                           {".npy", "arrays are x.npy and y.npy"}};
    for (size_t i = 0; name && i < sizeof kinds / sizeof *kinds; i++) {
        const size_t n = strlen(name), m = strlen(kinds[i][0]);
        if (n > m && strcmp(name + n - m, kinds[i][0]) == 0) return kinds[i][1];
    }
    return NULL;
}

static clm_status refuse_nothing(const scan *s, const char *inside) {
    const char *root = s->catalog->root, *slash = *inside ? "/" : "", *remedy = remedy_for(s->other);
    if (s->strays && s->class_depth)
        return clm_fail(CLM_E_ARG,
                        "%s%s%s: classes are asked for %d folders down (--class-depth %d), but its %zu pictures are at most %d "
                        "folder%s down (%s); %s",
                        root, slash, inside, s->class_depth, s->class_depth, s->strays, s->deepest, s->deepest == 1 ? "" : "s",
                        s->stray,
                        s->deepest ? "ask for fewer, or leave it out" : "put those of each class in a folder of their own");
    if (s->strays)
        return clm_fail(CLM_E_FORMAT,
                        "%s%s%s: its %zu pictures are in no class; put those of each class in a folder of their own", root,
                        slash, inside, s->strays);
    if (remedy)
        return clm_fail(CLM_E_FORMAT, "%s%s%s: no picture CLASS/* inside, but %s: %s", root, slash, inside, s->other, remedy);
    return clm_fail(CLM_E_FORMAT, "%s%s%s: no picture CLASS/* inside; put one folder a class there%s", root, slash, inside,
                    *inside ? "" : ", or folders train/, val/ and test/ with one folder a class in each");
}

clm_status clm_catalog_scan(clm_catalog *catalog, const char *inside, int split, int class_depth) {
    scan s = {.catalog = catalog, .split = split, .class_depth = class_depth};
    size_t found = 0;
    clm_status status = walk(&s, &(place){inside, "", 0, 0, false}, &found);
    if (status == CLM_OK && s.strays)
        clm_catalog_left_out(catalog, CLM_LEFT_OTHER, "%s: %zu %s outside any class (%s)", *inside ? inside : ".", s.strays,
                             s.strays == 1 ? "picture is" : "pictures are", s.stray);
    if (status == CLM_OK && !found) status = refuse_nothing(&s, inside);
    free(s.stray);
    free(s.other);
    return status;
}

clm_status clm_catalog_scan_class(clm_catalog *catalog, const char *inside, const char *name, int split) {
    scan s = {.catalog = catalog, .split = split};
    place at = {inside, name, 1, 0, true};
    size_t found = 0;
    CLM_TRY(clm_catalog_class_of(catalog, name, inside, split, &at.class_index));
    const clm_status status = walk(&s, &at, &found);
    free(s.other);
    CLM_TRY(status);
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

typedef struct beside {
    size_t folders, pictures;
    clm_text named; /* the first folders */
    const char *picture;
} beside;

static clm_status look_beside(const clm_catalog *catalog, char *const *names, size_t count, beside *found) {
    enum { NAMED = 4 };
    for (size_t i = 0; i < count; i++) {
        bool folder = false;
        if (is_system(names[i]) || clm_split_of_name(names[i]) != CLM_NO_SPLIT) continue;
        CLM_TRY(is_folder(catalog, names[i], &folder));
        if (folder) {
            if (found->folders++ < NAMED) clm_text_add(&found->named, "%s%s/", found->folders > 1 ? ", " : "", names[i]);
        } else if (clm_file_kind_of(names[i]) != CLM_FILE_OTHER && !found->pictures++) {
            found->picture = names[i];
        }
    }
    if (found->folders > NAMED) clm_text_add(&found->named, " and %zu more", found->folders - NAMED);
    return found->named.failed ? CLM_E_MEMORY : CLM_OK;
}

/* What stands beside train/ and is no split. */
static clm_status note_others(clm_catalog *catalog) {
    char **names = NULL;
    size_t count = 0;
    beside found = {0};
    CLM_TRY(clm_directory_list(catalog->root, &names, &count));
    const clm_status status = look_beside(catalog, names, count, &found);
    if (status == CLM_OK && found.folders)
        clm_catalog_left_out(catalog, CLM_LEFT_OTHER,
                             "%s: no name%s of a split (train, val, valid, validation, test); rename %s to have %s read",
                             found.named.data, found.folders == 1 ? "" : "s",
                             found.folders == 1 ? "it" : "them, or move them into one,", found.folders == 1 ? "it" : "them");
    if (status == CLM_OK && found.pictures)
        clm_catalog_left_out(catalog, CLM_LEFT_OTHER, "%zu picture%s beside the splits %s in no class (%s)", found.pictures,
                             found.pictures == 1 ? "" : "s", found.pictures == 1 ? "is" : "are", found.picture);
    clm_text_free(&found.named);
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

/* What is nearly the name of a split: in capitals, or another word for it. NULL: nothing. */
static const char *meant_split(const char *name) {
    static const char *const words[][2] = {{"training", "train"}, {"testing", "test"}, {"dev", "val"}, {"eval", "val"}};
    char low[16];
    size_t n = 0;
    for (; name[n] && n + 1 < sizeof low; n++)
        low[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] - 'A' + 'a' : name[n]);
    low[n] = 0;
    if (name[n]) return NULL;
    for (size_t i = 0; i < NAMES; i++)
        if (strcmp(low, split_names[i].name) == 0) return split_names[i].name;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(low, words[i][0]) == 0) return words[i][1];
    return NULL;
}

/* Two folders that are meant as splits, one of them misnamed, would be taken for classes and divided anew. */
static clm_status check_names(const clm_catalog *catalog) {
    clm_status status = CLM_OK;
    char **names = NULL;
    size_t count = 0, splits = 0;
    const char *wrong = NULL;
    CLM_TRY(clm_directory_list(catalog->root, &names, &count));
    for (size_t i = 0; i < count; i++) {
        bool folder = false;
        if (!meant_split(names[i])) continue;
        CLM_GOTO(is_folder(catalog, names[i], &folder));
        splits += folder;
        if (folder && !wrong && clm_split_of_name(names[i]) == CLM_NO_SPLIT) wrong = names[i];
    }
    if (wrong && splits > 1)
        status = clm_fail(CLM_E_FORMAT,
                          "%s: %s/ looks like a split; rename it to %s/ (the names are train, val, valid, validation, test)",
                          catalog->root, wrong, meant_split(wrong));
out:
    clm_names_free(names, count);
    return status;
}

static clm_status read_layout(clm_catalog *catalog, int class_depth) {
    bool folder[NAMES], any = false;
    const bool tables = clm_catalog_has_tables(catalog), lists = !tables && clm_catalog_has_lists(catalog);
    if (class_depth && (tables || lists))
        return clm_fail(CLM_E_ARG, "%s has lists that name the classes, so a class depth says nothing; leave it out",
                        catalog->root);
    if (tables) return clm_catalog_read_tables(catalog);
    if (lists) return clm_catalog_read_lists(catalog);
    CLM_TRY(check_names(catalog));
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
