/* The documents against the tree: docs/extending.md lists every file that names a row, docs/algorithms.md has every row of the meta-learner's
 * tables, docs/model-files.md every layer and network, and files that documents name exist.
 *
 * A row is named where its name stands between characters that are no letters, so `clm_algorithm_reptile` and `Reptile` name reptile. */
#include <check.h>
#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "clmaml/meta.h"
#include "model/internal.h"
#include "support/run.h"

enum { NAME = 96, PATH = 512, FILES_MOST = 5, LISTED = 16, SECTIONS = 24, SECTIONS_LEAST = 11 };

static const char *const folders[] = {"src", "include", "kernels", "tests", "docs", "examples"};
static const char *const loose[] = {"README.md", "CONTRIBUTING.md"};
/* Data, reports of devices, what a script writes, and the document itself with its test. */
static const char *const passed_over[] = {"tests/fuzz/",
                                          "tests/golden/",
                                          "docs/devices/",
                                          "docs/figures/",
                                          "docs/extending.md",
                                          "tests/library/clmaml.abi",
                                          "tests/proofs.cmake", /* names files of tests/golden */
                                          "tests/unit/test_extending.c"};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static char *read_file(const char *path) {
    const char *root = getenv("CLMAML_SOURCE_DIR");
    char *text = NULL;
    ck_assert_msg(root && root[0], "set CLMAML_SOURCE_DIR to the top of the source tree");
    char *full = clm_path_join(root, path);
    CLM_TEST_OK(clm_file_read(full, &text, NULL));
    free(full);
    return text;
}

/* ---- the tree ---- */

typedef struct tree {
    char (*path)[PATH];
    size_t count, capacity;
} tree;

static void add_path(tree *t, const char *path) {
    CLM_TEST_OK(clm_grow(&t->path, &t->capacity, t->count + 1, sizeof *t->path));
    ck_assert_int_lt(snprintf(t->path[t->count++], PATH, "%s", path), PATH);
}

static void add_folder(tree *t, const char *folder) {
    char *full = clm_path_join(getenv("CLMAML_SOURCE_DIR"), folder), **names = NULL;
    size_t count = 0;
    CLM_TEST_OK(clm_directory_list(full, &names, &count));
    for (size_t i = 0; i < count; i++) {
        char *path = clm_path_join(folder, names[i]), *there = clm_path_join(full, names[i]);
        if (clm_path_is_directory(there))
            add_folder(t, path);
        else
            add_path(t, path);
        free(path);
        free(there);
    }
    clm_names_free(names, count);
    free(full);
}

static tree whole_tree(void) {
    tree t = {0};
    ck_assert_ptr_nonnull(getenv("CLMAML_SOURCE_DIR"));
    for (size_t i = 0; i < COUNT(folders); i++) add_folder(&t, folders[i]);
    for (size_t i = 0; i < COUNT(loose); i++) add_path(&t, loose[i]);
    ck_assert_uint_gt(t.count, 300);
    return t;
}

static bool is_passed_over(const char *path) {
    for (size_t i = 0; i < COUNT(passed_over); i++)
        if (strncmp(path, passed_over[i], strlen(passed_over[i])) == 0) return true;
    return false;
}

static bool same_letter(char a, char b) { return tolower((unsigned char)a) == tolower((unsigned char)b); }

static bool names_row(const char *text, const char *row) {
    const size_t n = strlen(row);
    for (const char *at = text; *at; at++) {
        size_t k = 0;
        if (at > text && isalnum((unsigned char)at[-1])) continue;
        while (k < n && same_letter(at[k], row[k])) k++;
        if (k == n && !isalpha((unsigned char)at[n])) return true;
    }
    return false;
}

/* ---- docs/extending.md ---- */

typedef struct listed {
    char path[PATH];
    bool sometimes;
} listed;

typedef struct section {
    char title[NAME], row[NAME];
    listed files[LISTED], elsewhere[LISTED];
    size_t n_files, n_elsewhere;
} section;

typedef struct reading {
    section sections[SECTIONS];
    size_t count;
    listed *into;
    size_t *n;
} reading;

/* "- `path` (sometimes): reason" */
static void read_item(reading *r, const char *line) {
    listed *item = &r->into[(*r->n)++];
    const char *reason = strstr(line, ": ");
    ck_assert_msg(*r->n <= LISTED, "%s", line);
    ck_assert_msg(sscanf(line, "- `%500[^`]`", item->path) == 1 && reason && strlen(reason) > 5,
                  "\"%s\" is not - `path`: reason", line);
    item->sometimes = strstr(line, "` (sometimes): ") != NULL;
}

static void read_line(reading *r, const char *line) {
    section *s = r->count ? &r->sections[r->count - 1] : NULL;
    if (strncmp(line, "## ", 3) == 0) {
        ck_assert_uint_lt(r->count, SECTIONS);
        snprintf(r->sections[r->count++].title, NAME, "%s", line + 3);
        r->into = NULL;
    } else if (s && strncmp(line, "Files, of the row ", 18) == 0) {
        ck_assert_int_eq(sscanf(line, "Files, of the row `%90[^`]`:", s->row), 1);
        r->into = s->files;
        r->n = &s->n_files;
    } else if (s && strcmp(line, "Named elsewhere:") == 0) {
        r->into = s->elsewhere;
        r->n = &s->n_elsewhere;
    } else if (r->into && strncmp(line, "- ", 2) == 0) {
        read_item(r, line);
    } else if (line[0]) {
        r->into = NULL;
    }
}

static void read_sections(reading *r) {
    char *text = read_file("docs/extending.md");
    memset(r, 0, sizeof *r);
    for (char *line = text, *next; line; line = next) {
        if ((next = strchr(line, '\n'))) *next++ = 0;
        read_line(r, line);
    }
    free(text);
}

static const listed *find(const listed *list, size_t n, const char *path) {
    for (size_t i = 0; i < n; i++)
        if (fnmatch(list[i].path, path, 0) == 0) return &list[i];
    return NULL;
}

static void check_list(const section *s) {
    ck_assert_msg(s->row[0], "\"%s\" has no list of files", s->title);
    ck_assert_msg(s->n_files >= 1 && s->n_files <= FILES_MOST, "%s: %zu files; at most %d", s->title, s->n_files, FILES_MOST);
    for (size_t i = 0; i < s->n_files; i++) {
        char *text = read_file(s->files[i].path);
        ck_assert_msg(s->files[i].sometimes || names_row(text, s->row), "%s: %s does not name %s", s->title, s->files[i].path,
                      s->row);
        free(text);
    }
}

START_TEST(lists_of_files_are_complete) {
    static reading r;
    tree t = whole_tree();
    read_sections(&r);
    ck_assert_uint_ge(r.count, SECTIONS_LEAST);
    for (size_t i = 0; i < r.count; i++) check_list(&r.sections[i]);
    for (size_t f = 0; f < t.count; f++) {
        if (is_passed_over(t.path[f])) continue;
        char *text = read_file(t.path[f]);
        for (size_t i = 0; i < r.count; i++) {
            const section *s = &r.sections[i];
            if (!names_row(text, s->row) || find(s->files, s->n_files, t.path[f])) continue;
            ck_assert_msg(find(s->elsewhere, s->n_elsewhere, t.path[f]),
                          "%s names %s, and docs/extending.md, \"%s\", does not list it", t.path[f], s->row, s->title);
        }
        free(text);
    }
    free(t.path);
}
END_TEST

/* ---- what there is, in the documents ---- */

static void expect_row(const char *text, const char *document, const char *name) {
    char heading[NAME], row[NAME];
    snprintf(heading, sizeof heading, "\n### `%s`", name);
    snprintf(row, sizeof row, "\n| `%s` |", name);
    ck_assert_msg(strstr(text, heading) || strstr(text, row), "%s has neither a heading nor a row for `%s`", document, name);
}

START_TEST(algorithms_are_those_of_the_tables) {
    static const struct {
        const char *part; /* the heading below which the names stand, up to the next of its kind */
        size_t (*count)(void);
        const char *(*name)(size_t);
    } tables[] = {{"\n## Algorithms\n", clm_algorithm_count, clm_algorithm_name},
                  {"\n## Inner rules\n", clm_inner_rule_count, clm_inner_rule_name},
                  {"\n## Losses\n", clm_loss_count, clm_loss_name},
                  {"\n## Outer rules\n", clm_optim_rule_count, clm_optim_rule_name},
                  {"\n## Schedules\n", clm_optim_schedule_count, clm_optim_schedule_name}};
    char *text = read_file("docs/algorithms.md");
    for (size_t i = 0; i < COUNT(tables); i++) {
        char *part = strstr(text, tables[i].part);
        ck_assert_msg(part, "docs/algorithms.md has no part%s", tables[i].part);
        char *end = strstr(part + 1, "\n## ");
        char *only = clm_format("%.*s", end ? (int)(end - part) : (int)strlen(part), part);
        ck_assert_uint_gt(tables[i].count(), 0);
        for (size_t k = 0; k < tables[i].count(); k++) expect_row(only, "docs/algorithms.md", tables[i].name(k));
        free(only);
    }
    free(text);
}
END_TEST

START_TEST(layers_are_those_of_the_table) {
    char names[1024], quoted[NAME], *text = read_file("docs/model-files.md"), *rest = names;
    size_t count = 0;
    clm_layer_kind_names(names, sizeof names);
    for (char *name; (name = strtok_r(rest, ", ", &rest)); count++) {
        snprintf(quoted, sizeof quoted, "`%s`", name);
        ck_assert_msg(strstr(text, quoted), "docs/model-files.md does not know the layer %s", name);
    }
    ck_assert_uint_gt(count, 10);
    free(text);
}
END_TEST

START_TEST(networks_are_those_of_the_table) {
    char *text = read_file("docs/model-files.md");
    for (size_t i = 0; i < clm_network_count(); i++) expect_row(text, "docs/model-files.md", clm_network_name(i));
    free(text);
}
END_TEST

/* ---- files that documents name ---- */

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

/* A path that is to exist: one of a folder of ours, or a name of a source file. Patterns, placeholders and reports are not. */
static bool is_file_name(const char *word) {
    static const char *const endings[] = {".c", ".h", ".cl", ".sh", ".py", ".cmake"};
    static const char *const tops[] = {"src/",      "include/", "kernels/", "tests/", "docs/",
                                       "examples/", "scripts/", "bench/",   "cmake/"};
    size_t capitals = 0;
    bool is_one = false;
    if (strpbrk(word, "*<>$\\") || strstr(word, "//") || ends_with(word, ".txt")) return false;
    for (const char *at = word; *at; at++) {
        capitals = isupper((unsigned char)*at) ? capitals + 1 : 0;
        if (capitals == 3 && !strstr(word, "README") && !strstr(word, "CONTRIBUTING")) return false;
    }
    for (size_t i = 0; i < COUNT(endings); i++) is_one = is_one || (ends_with(word, endings[i]) && word[0] != '.');
    for (size_t i = 0; i < COUNT(tops); i++)
        is_one = is_one || (strncmp(word, tops[i], strlen(tops[i])) == 0 && strlen(word) > strlen(tops[i]));
    return is_one;
}

static bool exists(const tree *t, const char *word) {
    const size_t n = strlen(word);
    for (size_t i = 0; i < t->count; i++) {
        const char *path = t->path[i];
        const size_t length = strlen(path);
        if (strncmp(path, word, n) == 0 && (path[n] == 0 || path[n] == '/' || (n && word[n - 1] == '/'))) return true;
        if (length > n && path[length - n - 1] == '/' && strcmp(path + length - n, word) == 0) return true;
    }
    return false;
}

static void check_words(const tree *t, const char *document, char *text) {
    bool code = false;
    for (char *line = text, *next; line; line = next) {
        if ((next = strchr(line, '\n'))) *next++ = 0;
        if (strncmp(line, "```", 3) == 0) code = !code;
        for (char *word; !code && (word = strtok_r(line, " \t`()[],;:|\"'!=", &line));) {
            for (size_t n = strlen(word); n && word[n - 1] == '.'; n--) word[n - 1] = 0;
            while (strncmp(word, "../", 3) == 0 || strncmp(word, "./", 2) == 0) word = strchr(word, '/') + 1;
            word[strcspn(word, "#")] = 0;
            if (is_file_name(word)) ck_assert_msg(exists(t, word), "%s names %s, which does not exist", document, word);
        }
    }
}

START_TEST(files_that_documents_name_exist) {
    static const char *const more[] = {"scripts", "bench", "cmake", "python"};
    tree documents = whole_tree(), all = whole_tree();
    size_t count = 0;
    for (size_t i = 0; i < COUNT(more); i++) add_folder(&all, more[i]);
    for (size_t i = 0; i < documents.count; i++) {
        if (!ends_with(documents.path[i], ".md")) continue;
        if (strchr(documents.path[i], '/') && strncmp(documents.path[i], "docs/", 5) != 0) continue;
        char *text = read_file(documents.path[i]);
        check_words(&all, documents.path[i], text);
        free(text);
        count++;
    }
    ck_assert_uint_gt(count, 7);
    free(documents.path);
    free(all.path);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("extending");
    TCase *tc = tcase_create("documents");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, lists_of_files_are_complete);
    tcase_add_test(tc, algorithms_are_those_of_the_tables);
    tcase_add_test(tc, layers_are_those_of_the_table);
    tcase_add_test(tc, networks_are_those_of_the_table);
    tcase_add_test(tc, files_that_documents_name_exist);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
