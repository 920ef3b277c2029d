/* Runs in directories, for the tests of them, and two runs compared. */
#ifndef CLM_TEST_TRAIN_RUNS_H
#define CLM_TEST_TRAIN_RUNS_H

#include "support/train_setup.h"

/* A run in DIRECTORY/name, which stays allocated in options.directory. */
static clm_train_result run_in(const char *name, bool resume) {
    clm_train_result result;
    char *path = clm_path_join(directory, name);
    options.directory = path;
    options.resume = resume;
    heard.count = heard.iteration = heard.asked = 0;
    CLM_TEST_OK(clm_train(device, source, model, &options, NULL, &result));
    free(path);
    options.directory = NULL;
    return result;
}

static char *read_in(const char *name, const char *file, size_t *size) {
    char *path = clm_format("%s/%s/%s", directory, name, file), *text;
    CLM_TEST_OK(clm_file_read(path, &text, size));
    free(path);
    return text;
}

static void same_file(const char *a, const char *b, const char *file) {
    size_t n, m;
    char *x = read_in(a, file, &n), *y = read_in(b, file, &m);
    ck_assert_msg(n == m && memcmp(x, y, n) == 0, "%s of %s and of %s differ", file, a, b);
    free(x);
    free(y);
}

/* Rows without what was timed. */
static void same_rows(const char *a, const char *b) {
    char *x = read_in(a, "metrics.jsonl", NULL), *y = read_in(b, "metrics.jsonl", NULL), *p = x, *q = y;
    while (*p && *q) {
        char *end_p = strchr(p, '\n'), *end_q = strchr(q, '\n');
        *end_p = *end_q = 0;
        char *cut_p = strstr(p, ", \"seconds\""), *cut_q = strstr(q, ", \"seconds\"");
        ck_assert_ptr_nonnull(cut_p);
        ck_assert_ptr_nonnull(cut_q);
        *cut_p = *cut_q = 0;
        ck_assert_str_eq(p, q);
        p = end_p + 1, q = end_q + 1;
    }
    ck_assert_msg(!*p && !*q, "%s and %s have different numbers of rows", a, b);
    free(x);
    free(y);
}

static void same_run(const char *a, const char *b) {
    static const char *const files[] = {"checkpoints/last.safetensors", "checkpoints/best.safetensors", "result.json",
                                        "scores.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) same_file(a, b, files[i]);
    same_rows(a, b);
}

#endif
