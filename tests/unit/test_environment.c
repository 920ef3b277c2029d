/* The log, and the table of environment variables against the sources and the documentation. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/log.h"
#include "base/memory.h"
#include "clmaml/device.h"

#define OK(expression) ck_assert_msg((expression) == CLM_OK, "%s", clm_last_error())

/* ---- the log ---- */

typedef struct heard {
    int count;
    clm_log_level level;
    char last[256];
} heard;

static void hear(void *user, clm_log_level level, const char *message) {
    heard *h = user;
    h->count++;
    h->level = level;
    snprintf(h->last, sizeof h->last, "%s", message);
}

START_TEST(log_is_silent_unasked) {
    unsetenv("CLMAML_LOG");
    ck_assert(!clm_log_wanted(CLM_LOG_ERROR));
    clm_log_write(CLM_LOG_ERROR, "not heard");
    OK(clm_log_check());
}
END_TEST

START_TEST(log_goes_to_the_listener) {
    heard h = {0};
    clm_log_set(hear, &h, CLM_LOG_INFO);
    clm_log_write(CLM_LOG_DEBUG, "too much");
    ck_assert_int_eq(h.count, 0);
    clm_log_write(CLM_LOG_INFO, "%d lines\nin one", 2);
    ck_assert_int_eq(h.count, 1);
    ck_assert_str_eq(h.last, "2 lines in one");
    ck_assert_int_eq(h.level, CLM_LOG_INFO);
    clm_log_write(CLM_LOG_ERROR, "worse");
    ck_assert_int_eq(h.level, CLM_LOG_ERROR);
    clm_fail(CLM_E_ARG, "kept");
    clm_log_write(CLM_LOG_INFO, "%s", "another");
    ck_assert_str_eq(clm_last_error(), "kept");
    clm_log_set(NULL, NULL, CLM_LOG_DEBUG);
    clm_log_write(CLM_LOG_ERROR, "nobody");
    clm_log_set(hear, &h, CLM_LOG_OFF);
    clm_log_write(CLM_LOG_ERROR, "nobody");
    ck_assert_int_eq(h.count, 3);
}
END_TEST

START_TEST(log_tells_of_devices) {
    heard h = {0};
    clm_device *d = NULL;
    clm_log_set(hear, &h, CLM_LOG_INFO);
    setenv("CLMAML_DEVICE", "host", 1);
    OK(clm_device_open(&d, "cpu,gpu"));
    ck_assert_int_gt(h.count, 0);
    ck_assert_msg(strstr(h.last, "for \"cpu,gpu\""), "%s", h.last);
    clm_device_close(d);
}
END_TEST

START_TEST(log_goes_to_a_file) {
    char path[] = "/tmp/clmaml-log-XXXXXX", value[64], *text = NULL;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    snprintf(value, sizeof value, "info:%s", path);
    setenv("CLMAML_LOG", value, 1);
    OK(clm_log_check());
    clm_log_write(CLM_LOG_INFO, "one %s", "line");
    clm_log_write(CLM_LOG_DEBUG, "another");
    OK(clm_file_read(path, &text, NULL));
    ck_assert_msg(strstr(text, " info: one line\n") && !strstr(text, "another"), "%s", text);
    free(text);
    remove(path);
}
END_TEST

START_TEST(log_level_is_checked) {
    static const char *const wrong[] = {"all", "infos", "info:", ":file", "INFO", "2", "debug,info"};
    clm_log_level level;
    const char *file;
    ck_assert(clm_log_parse("debug", &level, &file) && level == CLM_LOG_DEBUG && !file);
    ck_assert(clm_log_parse("error:a:b", &level, &file) && level == CLM_LOG_ERROR && !strcmp(file, "a:b"));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        clm_device *d = NULL;
        ck_assert_msg(!clm_log_parse(wrong[i], &level, &file), "%s was taken", wrong[i]);
        setenv("CLMAML_LOG", wrong[i], 1);
        ck_assert_int_eq(clm_device_open(&d, "host"), CLM_E_ARG);
        ck_assert_msg(strstr(clm_last_error(), "CLMAML_LOG"), "%s", clm_last_error());
    }
    setenv("CLMAML_LOG", "info:/no/such/directory/log", 1);
    ck_assert_int_eq(clm_log_check(), CLM_E_IO);
    setenv("CLMAML_LOG", "", 1);
    OK(clm_log_check());
}
END_TEST

/* ---- the table of variables ---- */

static const char *source_directory(void) {
    const char *root = getenv("CLMAML_SOURCE_DIR");
    ck_assert_msg(root && root[0], "set CLMAML_SOURCE_DIR to the top of the source tree");
    return root;
}

/* What is asked for outside of the CLMAML_ name space, and why it is no setting of ours. */
static const char *const others[] = {
    "HOME",           "XDG_CACHE_HOME",    "TMPDIR",      "COLUMNS", "PATH", "OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH",
    "POCL_CACHE_DIR", "POCL_KERNEL_CACHE", "VIRTUAL_ENV", "TERM"};

static bool in_table(const char *name) {
    clm_environment_entry e;
    for (size_t i = 0; clm_environment_at(i, &e); i++)
        if (!strcmp(e.name, name)) return true;
    return false;
}

static bool is_other(const char *name) {
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(others[i], name)) return true;
    return false;
}

/* Every "CLMAML_.. in the sources, so that names which reach getenv through a table count too. */
static void check_own_names(const char *path, const char *text) {
    for (const char *at = text; (at = strstr(at, "\"CLMAML_")); at++) {
        char name[64] = "";
        if (sscanf(at, "\"%63[A-Z0-9_]", name) != 1 || !strcmp(name, "CLMAML_")) continue;
        ck_assert_msg(in_table(name), "%s speaks of %s, which the table in src/base/environment.c lacks", path, name);
    }
}

static void check_names(const char *path, const char *text) {
    check_own_names(path, text);
    for (const char *at = text; (at = strstr(at, "getenv(")); at++) {
        char name[64] = "";
        if (sscanf(at, "getenv(\"%63[A-Za-z0-9_]\"", name) != 1) continue; /* a variable name, such as that of the table */
        ck_assert_msg(in_table(name) || is_other(name), "%s reads %s, which the table in src/base/environment.c lacks", path,
                      name);
    }
}

static size_t read_sources(clm_text *all, const char *directory) {
    char **names;
    size_t count, files = 0;
    OK(clm_directory_list(directory, &names, &count));
    for (size_t i = 0; i < count; i++) {
        char *path = clm_path_join(directory, names[i]), *text = NULL;
        const char *dot = strrchr(names[i], '.');
        if (clm_path_is_directory(path)) {
            files += read_sources(all, path);
        } else if (dot && (!strcmp(dot, ".c") || !strcmp(dot, ".h"))) {
            OK(clm_file_read(path, &text, NULL));
            check_names(path, text);
            if (strcmp(names[i], "environment.c")) clm_text_add(all, "%s", text);
            files++;
        }
        free(text);
        free(path);
    }
    clm_names_free(names, count);
    return files;
}

START_TEST(table_is_that_of_the_sources_and_the_documentation) {
    clm_text all = {0};
    clm_environment_entry e;
    char *documentation = NULL, *path = clm_path_join(source_directory(), "src"), quoted[80];
    ck_assert_uint_gt(read_sources(&all, path), 50);
    free(path);
    path = clm_path_join(source_directory(), "docs/environment.md");
    OK(clm_file_read(path, &documentation, NULL));
    for (size_t i = 0; clm_environment_at(i, &e); i++) {
        snprintf(quoted, sizeof quoted, "\"%s\"", e.name);
        ck_assert_msg(strstr(all.data, quoted), "nothing in src reads %s", e.name);
        snprintf(quoted, sizeof quoted, "| `%s` |", e.name);
        ck_assert_msg(strstr(documentation, quoted), "docs/environment.md has no row %s", quoted);
        ck_assert_msg(e.meaning[0] && e.fallback[0], "%s", e.name);
    }
    free(documentation);
    free(path);
    clm_text_free(&all);
}
END_TEST

START_TEST(table_tells_values) {
    clm_environment_entry e;
    setenv("CLMAML_DEVICE", "a value", 1);
    unsetenv("CLMAML_CACHE_DIR");
    for (size_t i = 0; clm_environment_at(i, &e); i++) {
        if (!strcmp(e.name, "CLMAML_DEVICE")) ck_assert_str_eq(e.value, "a value");
        if (!strcmp(e.name, "CLMAML_CACHE_DIR")) ck_assert_ptr_null(e.value);
    }
    ck_assert(!clm_environment_at(SIZE_MAX, &e));
    ck_assert(strlen(clm_build_description()) > 3);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("environment");
    TCase *tc = tcase_create("log");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, log_is_silent_unasked);
    tcase_add_test(tc, log_goes_to_the_listener);
    tcase_add_test(tc, log_tells_of_devices);
    tcase_add_test(tc, log_goes_to_a_file);
    tcase_add_test(tc, log_level_is_checked);
    suite_add_tcase(suite, tc);
    tc = tcase_create("variables");
    tcase_add_test(tc, table_is_that_of_the_sources_and_the_documentation);
    tcase_add_test(tc, table_tells_values);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
