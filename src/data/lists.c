/* Layouts whose split is in text files.
 *
 *   miniImageNet     images/FILE, and {train,val,test}.csv with a headline and lines of filename,label
 *   CIFAR-FS, FC100  data/CLASS/FILE, and splits/NAME/{train,val,test}.txt with a class a line */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/characters.h"
#include "base/files.h"
#include "clmaml/data.h"
#include "data/catalog.h"
#include "data/source.h"

enum { LISTS = 5 };
static const char *const list_names[LISTS] = {"train", "val", "valid", "validation", "test"};

static char *path_of(const clm_catalog *c, const char *folder, const char *name, const char *end) {
    return clm_format("%s/%s%s%s%s", c->root, folder, *folder ? "/" : "", name, end);
}

static bool has(const clm_catalog *c, const char *name, bool folder) {
    char *path = path_of(c, "", name, "");
    const bool yes = path && (folder ? clm_path_is_directory(path) : clm_path_exists(path));
    free(path);
    return yes;
}

/* ---- lines ---- */

/* The next line of a text, without its end; NULL after the last. Writes into the text. */
static char *next_line(char **text) {
    char *line = *text;
    if (!line || !*line) return NULL;
    char *end = line + strcspn(line, "\n");
    *text = *end ? end + 1 : end;
    *end = 0;
    for (size_t n = strlen(line); n && (line[n - 1] == '\r' || line[n - 1] == ' ' || line[n - 1] == '\t'); n--) line[n - 1] = 0;
    return line;
}

static char *begin_text(char *text) { return strncmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text; }

/* Fields of a line of comma-separated values, in place; quotes may enclose one, and are written twice inside. */
static int split_fields(char *line, char *fields[], int most) {
    int count = 0;
    for (char *at = line; at && count < most; count++) {
        char *to = fields[count] = at;
        const bool quoted = *at == '"';
        for (at += quoted; *at && (quoted || *at != ','); at++) {
            if (quoted && *at == '"' && *++at != '"') break;
            *to++ = *at;
        }
        char *comma = strchr(at, ',');
        *to = 0;
        at = comma ? comma + 1 : NULL;
    }
    return count;
}

/* A list that is not there leaves its split empty: more likely forgotten than meant. */
static void note_absent(clm_catalog *c, const bool there[CLM_SPLITS], const char *end) {
    static const char *const splits[CLM_SPLITS] = {"training", "validation", "test"}, *const lists[CLM_SPLITS] = {
                                                                                          "train", "val", "test"};
    for (int split = 0; split < CLM_SPLITS; split++)
        if (!there[split]) clm_catalog_remark(c, "there is no %s%s: no %s classes", lists[split], end, splits[split]);
}

/* ---- filename,label ---- */

enum { MOST_FIELDS = 16 };

typedef struct table {
    clm_catalog *catalog;
    const char *path; /* of the list */
    int split, file, label;
    size_t line;
} table;

static clm_status read_headline(table *t, char *line) {
    char *fields[MOST_FIELDS] = {0}, said[64];
    snprintf(said, sizeof said, "%s", line);
    clm_printable(said);
    const int count = split_fields(line, fields, MOST_FIELDS);
    for (int i = 0; i < count; i++) {
        if (strcmp(fields[i], "filename") == 0) t->file = i;
        if (strcmp(fields[i], "label") == 0) t->label = i;
    }
    if (t->file >= 0 && t->label >= 0) return CLM_OK;
    return clm_fail(CLM_E_FORMAT,
                    "%s: its first line, '%.60s', names no columns filename and label; begin it with filename,label", t->path,
                    said);
}

static clm_status read_entry(table *t, char *line) {
    char *fields[MOST_FIELDS] = {0}, *origin = NULL, *path = NULL;
    size_t class_index = 0;
    clm_status status = CLM_OK;
    split_fields(line, fields, MOST_FIELDS);
    const char *file = fields[t->file], *label = fields[t->label];
    if (!file || !label || !*file || !*label)
        return clm_fail(CLM_E_FORMAT,
                        "%s: line %zu lacks a filename or a label; write both, with a comma between, or remove the line",
                        t->path, t->line);
    if (clm_name_leads_out(file))
        return clm_fail(CLM_E_FORMAT, "%s: line %zu names %s, which is not below images/; correct it or remove the line",
                        t->path, t->line, file);
    origin = clm_format("%s in %s", label, t->path);
    path = clm_path_join("images", file);
    if (!origin || !path) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(clm_catalog_class_of(t->catalog, label, origin, t->split, &class_index));
    status = clm_catalog_add(t->catalog, class_index, path);
    if (status == CLM_E_IO) {
        char why[1024];
        snprintf(why, sizeof why, "%s", clm_last_error());
        status = clm_fail(status, "%s: line %zu: %s; correct it or remove the line", t->path, t->line, why);
    } else if (status != CLM_OK) {
        status = clm_fail_in(status, "%s: line %zu", t->path, t->line);
    }
out:
    free(origin);
    free(path);
    return status;
}

static clm_status read_table(clm_catalog *catalog, const char *path, int split) {
    table t = {.catalog = catalog, .path = path, .split = split, .file = -1, .label = -1};
    char *text = NULL;
    CLM_TRY(clm_file_read(path, &text, NULL));
    char *rest = begin_text(text);
    clm_status status = CLM_OK;
    for (char *line = next_line(&rest); line && status == CLM_OK; line = next_line(&rest)) {
        t.line++;
        if (*line) status = t.label < 0 ? read_headline(&t, line) : read_entry(&t, line);
    }
    free(text);
    return status;
}

bool clm_catalog_has_tables(const clm_catalog *c) {
    return has(c, "images", true) && (has(c, "train.csv", false) || has(c, "test.csv", false));
}

static clm_status note_unlisted(clm_catalog *c) {
    char **names = NULL, *path = path_of(c, "", "images", "");
    size_t count = 0;
    clm_status status = path ? clm_directory_list(path, &names, &count) : CLM_E_MEMORY;
    free(path);
    if (status != CLM_OK) return status;
    size_t visible = 0;
    for (size_t i = 0; i < count; i++) visible += *names[i] != '.';
    if (visible > c->n_pictures)
        clm_catalog_left_out(c, CLM_LEFT_OTHER, "images: %zu of %zu files are in no list", visible - c->n_pictures, visible);
    clm_names_free(names, count);
    return CLM_OK;
}

clm_status clm_catalog_read_tables(clm_catalog *c) {
    clm_status status = CLM_OK;
    bool there[CLM_SPLITS] = {false};
    for (int i = 0; i < LISTS && status == CLM_OK; i++) {
        char *path = path_of(c, "", list_names[i], ".csv");
        const int split = clm_split_of_name(list_names[i]);
        const bool exists = path && clm_path_exists(path);
        there[split] = there[split] || exists;
        status = !path ? CLM_E_MEMORY : exists ? read_table(c, path, split) : CLM_OK;
        free(path);
    }
    if (status == CLM_OK && !c->n_pictures)
        status =
            clm_fail(CLM_E_FORMAT,
                     "%s: none of train.csv, val.csv and test.csv names a picture; put filename,label lines there", c->root);
    if (status == CLM_OK) note_absent(c, there, ".csv");
    return status == CLM_OK ? note_unlisted(c) : status;
}

/* ---- a class a line ---- */

bool clm_catalog_has_lists(const clm_catalog *c) { return has(c, "data", true) && has(c, "splits", true); }

/* The one folder in splits/. */
static clm_status find_splits(const clm_catalog *c, char **out) {
    char **names = NULL, *path = path_of(c, "", "splits", "");
    size_t count = 0, folders = 0;
    clm_status status = path ? clm_directory_list(path, &names, &count) : CLM_E_MEMORY;
    *out = NULL;
    for (size_t i = 0; i < count && status == CLM_OK; i++) {
        char *inside = clm_path_join(path, names[i]);
        if (!inside) status = CLM_E_MEMORY;
        if (inside && *names[i] != '.' && clm_path_is_directory(inside)) {
            folders++;
            free(*out);
            *out = clm_strdup(inside);
            if (!*out) status = CLM_E_MEMORY;
        }
        free(inside);
    }
    if (status == CLM_OK && folders != 1)
        status = clm_fail(CLM_E_FORMAT,
                          "%s: holds %zu folders of lists; keep the one whose train.txt, val.txt and test.txt are to be used",
                          path, folders);
    if (names) clm_names_free(names, count);
    free(path);
    return status;
}

static clm_status read_class(clm_catalog *c, const char *list, size_t line, const char *name, int split) {
    char *inside = clm_path_join("data", name), *full = path_of(c, "data", name, "");
    const size_t before = c->n_classes;
    clm_status status = inside && full ? CLM_OK : CLM_E_MEMORY;
    if (status == CLM_OK && clm_name_leads_out(name))
        status =
            clm_fail(CLM_E_FORMAT, "%s: line %zu names the class %s, which is not below data/; correct it or remove the line",
                     list, line, name);
    if (status == CLM_OK && !clm_path_is_directory(full))
        status =
            clm_fail(CLM_E_FORMAT, "%s: line %zu names the class %s, but there is no folder %s; correct it or remove the line",
                     list, line, name, full);
    if (status == CLM_OK) status = clm_catalog_scan_class(c, inside, name, split);
    if (status == CLM_OK && c->n_classes == before)
        status =
            clm_fail(CLM_E_FORMAT, "%s: line %zu names the class %s a second time; remove one of the lines", list, line, name);
    free(inside);
    free(full);
    return status;
}

static clm_status read_list(clm_catalog *c, const char *path, int split) {
    char *text = NULL;
    CLM_TRY(clm_file_read(path, &text, NULL));
    char *rest = begin_text(text);
    clm_status status = CLM_OK;
    size_t number = 0;
    for (char *line = next_line(&rest); line && status == CLM_OK; line = next_line(&rest)) {
        number++;
        if (*line) status = read_class(c, path, number, line, split);
    }
    free(text);
    return status;
}

clm_status clm_catalog_read_lists(clm_catalog *c) {
    char *folder = NULL;
    clm_status status = find_splits(c, &folder);
    bool there[CLM_SPLITS] = {false};
    for (int i = 0; i < LISTS && status == CLM_OK; i++) {
        char *path = clm_format("%s/%s.txt", folder, list_names[i]);
        const int split = clm_split_of_name(list_names[i]);
        const bool exists = path && clm_path_exists(path);
        there[split] = there[split] || exists;
        status = !path ? CLM_E_MEMORY : exists ? read_list(c, path, split) : CLM_OK;
        free(path);
    }
    if (status == CLM_OK && !c->n_pictures)
        status = clm_fail(CLM_E_FORMAT, "%s: none of train.txt, val.txt and test.txt names a class; put one name a line there",
                          folder);
    if (status == CLM_OK) note_absent(c, there, ".txt");
    free(folder);
    return status;
}
