/* Tables: what a file of separated values may look like; tasks, splits, categories, missing values, units, windows, labels; tasks drawn of
 * them; and every mistake by what is said of it. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/source.h"
#include "support/photos.h"
#include "support/pictures.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

static char *directory, *path;
static clm_table_options options;
static const char *const y_alone[] = {"y"}, *const x_alone[] = {"x"}, *const colour[] = {"colour"};

static void set_up(void) {
    directory = clm_test_directory();
    path = clm_format("%s/table.csv", directory);
    options = (clm_table_options)CLM_TABLE_OPTIONS_INIT;
    options.task_column = "task";
    options.targets = y_alone;
    options.n_targets = 1;
    options.standardise = false;
}

static void tear_down(void) {
    free(path);
    clm_test_remove(directory);
}

static clm_source *opened(void) {
    clm_source *source = NULL;
    CLM_TEST_OK(clm_source_table_open(&source, path, &options));
    return source;
}

static clm_source *opened_as(const char *text) {
    clm_test_write_text(directory, "table.csv", text);
    return opened();
}

static void refused(const char *text, clm_status status, const char *says, const char *says_too) {
    clm_source *source = NULL;
    if (text) clm_test_write_text(directory, "table.csv", text);
    ck_assert_int_eq(clm_source_table_open(&source, path, &options), status);
    ck_assert_ptr_null(source);
    SAYS(says);
    SAYS(says_too);
    if (text) SAYS(path);
}

/* Feature k of example e of a group, which has one row. */
static float feature(const clm_source *source, clm_split split, size_t group, size_t example, size_t k) {
    const clm_shape shape = clm_source_example_shape(source);
    float x[64];
    ck_assert_uint_le(clm_shape_size(&shape), 64);
    CLM_TEST_OK(clm_source_image(source, split, group, example, x));
    return x[k];
}

static float target(const clm_source *source, clm_split split, size_t group, size_t example, size_t k) {
    float y[8];
    CLM_TEST_OK(source->ops->target(source, split, group, example, y));
    return y[k];
}

static void has_note(const clm_source *source, const char *text) {
    ck_assert_msg(strstr(clm_source_notes(source), text) != NULL, "\"%s\" lacks \"%s\"", clm_source_notes(source), text);
}

/* ---- files ---- */

START_TEST(files_of_all_kinds) {
    static const char *const texts[] = {
        "task,x,y\na,1,2\na,-3.5e-1,4\n",
        "\xef\xbb\xbftask,x,y\r\na,1,2\r\na,-0.35,4", /* a byte order mark, CRLF, no end of the last line */
        "task;x;y\n\na; 1 ;2\n\n\na;-.35;+4.\n\n",    /* semicolons, blanks, empty lines */
        "task\tx\ty\ra\t1\t2\ra\t-0.35\t4\r",         /* tabulators, carriage returns */
        "\"task\",\"x\",\"y\"\n\"a\",\"1\",2\n\"a\" , \"-0.35\" ,\"4\"\n",
        "y,note,task,x\n2,\"semi;colons, commas\nand \"\"lines\"\"\",a,1\n4,\"\",a,-0.35\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        options.features = x_alone;
        options.n_features = 1;
        clm_source *source = opened_as(texts[i]);
        ck_assert_msg(clm_source_groups(source, CLM_SPLIT_TRAIN) == 1, "text %zu", i);
        ck_assert_uint_eq(source->ops->examples(source, CLM_SPLIT_TRAIN, 0), 2);
        ck_assert_msg(feature(source, CLM_SPLIT_TRAIN, 0, 0, 0) == 1, "text %zu", i);
        ck_assert_msg(feature(source, CLM_SPLIT_TRAIN, 0, 1, 0) == -0.35f, "text %zu", i);
        ck_assert_msg(target(source, CLM_SPLIT_TRAIN, 0, 0, 0) == 2 && target(source, CLM_SPLIT_TRAIN, 0, 1, 0) == 4,
                      "text %zu", i);
        clm_source_free(source);
    }
}
END_TEST

START_TEST(quoted_values) {
    options.categorical = colour;
    options.n_categorical = 1;
    clm_source *source = opened_as("task,colour,y\na,\"sky, \"\"blue\"\"\",1\na,\"two\r\nlines\",2\n");
    ck_assert_str_eq(clm_source_feature_name(source, 0), "colour=sky, \"blue\"");
    ck_assert_str_eq(clm_source_feature_name(source, 1), "colour=two\r\nlines");
    ck_assert_ptr_null(clm_source_feature_name(source, 2));
    clm_source_free(source);
}
END_TEST

START_TEST(no_table) {
    static const char zeros[] = "task,x,y\na,1\0,2\n";
    refused("", CLM_E_FORMAT, "is empty", "headline");
    refused("task,x,y\n", CLM_E_FORMAT, "no rows below its headline", "add rows");
    refused("task,x,y\na,1\n", CLM_E_FORMAT, "line 2 has 2 fields, the headline 3", "quotes");
    refused("task,x,y\na,1,2\n\na,1,2,3\n", CLM_E_FORMAT, "line 4 has 4 fields", "quotes");
    refused("task,x,y\na,\"1,2\n", CLM_E_FORMAT, "line 2: the quoted field", "close its quote");
    refused("task,x,y\na,\"1\"1,2\n", CLM_E_FORMAT, "line 2 has text behind a closing quote", "twice");
    refused("task,x,y,x\na,1,2,3\n", CLM_E_FORMAT, "two columns are called x", "rename");
    clm_test_write(directory, "table.csv", zeros, sizeof zeros - 1);
    refused(NULL, CLM_E_FORMAT, "line 2 holds a zero byte", "UTF-8");
    char *long_text = malloc(2000000);
    memset(long_text, ',', 1999999);
    long_text[1999999] = 0;
    refused(long_text, CLM_E_LIMIT, "line 1 has more than 4096 fields", "fewer columns");
    memset(long_text, 'a', 1999999);
    refused(long_text, CLM_E_LIMIT, "a field of more than 65535 bytes", "is this a table");
    free(long_text);
    clm_test_remove(directory);
    ck_assert_ptr_nonnull(directory = clm_test_directory());
    refused(NULL, CLM_E_IO, "table.csv", "No such file");
}
END_TEST

/* ---- numbers ---- */

START_TEST(what_is_no_number) {
    refused("task,x,y\na,1,2\na,red,2\n", CLM_E_FORMAT, "line 3, column x: 'red' is no number", "categorical");
    refused("task,x,y\na,1,red\n", CLM_E_FORMAT, "line 2, column y: 'red' is no number", "cross-entropy");
    refused("task;x;y\na;1,5;2\n", CLM_E_FORMAT, "line 2, column x: '1,5' is no number", "decimal point");
    refused("task,x,y\na,1e31,2\n", CLM_E_FORMAT, "line 2, column x: 1e31 is beyond", "unit");
    refused("task,x,y\na,1e999,2\n", CLM_E_FORMAT, "line 2, column x: 1e999 is beyond", "unit");
    refused("task,x,y\na,inf,2\n", CLM_E_FORMAT, "'inf' is no number", "correct it");
}
END_TEST

START_TEST(missing_values) {
    static const char text[] = "task,x,colour,y\na,1,red,1\na,NA,,2\na,5,blue,3\n", no_y[] = "task,x,y\na,1,2\na,1,\na,2,2\n";
    options.categorical = colour;
    options.n_categorical = 1;
    refused(text, CLM_E_FORMAT, "line 3, column x: no value", "missing mean");
    options.missing = CLM_MISSING_MEAN;
    clm_source *source = opened_as(text);
    ck_assert(feature(source, CLM_SPLIT_TRAIN, 0, 1, 0) == 3); /* the mean of 1 and 5; x, blue, red */
    ck_assert(feature(source, CLM_SPLIT_TRAIN, 0, 1, 1) == 0 && feature(source, CLM_SPLIT_TRAIN, 0, 1, 2) == 0);
    ck_assert(feature(source, CLM_SPLIT_TRAIN, 0, 2, 1) == 1 && feature(source, CLM_SPLIT_TRAIN, 0, 0, 2) == 1);
    has_note(source, "column x: 1 missing value is the mean of the training tasks\n");
    has_note(source, "column colour: 1 missing value is of no category\n");
    clm_source_free(source);
    options.missing = CLM_MISSING_DROP;
    source = opened_as(text);
    ck_assert_uint_eq(source->ops->examples(source, CLM_SPLIT_TRAIN, 0), 2);
    has_note(source, "1 of 3 rows have missing values and are left out\n");
    clm_source_free(source);
    options.strict = true;
    refused(text, CLM_E_FORMAT, "1 of 3 rows", "(strict)");
    options.strict = false;
    refused("task,x,colour,y\na,?,red,1\n", CLM_E_FORMAT, "no row without a missing value", "add rows");
    options.categorical = NULL;
    options.n_categorical = 0;
    options.missing = CLM_MISSING_MEAN;
    refused(no_y, CLM_E_FORMAT, "line 3, column y: no value, and only features are given their mean", "missing drop");
    refused("task,x,y\n,1,2\n", CLM_E_FORMAT, "line 2, column task: no value", "missing drop");
    refused("task,x,y\na,,2\n", CLM_E_FORMAT, "column x has no value in any training task", "leave it out");
    options.missing = CLM_MISSING_REFUSE;
    options.window = 2;
    refused(no_y, CLM_E_FORMAT, "line 3, column y: no value", "fill it in");
    options.missing = CLM_MISSING_DROP;
    refused(NULL, CLM_E_ARG, "missing drop would join rows", "missing mean");
}
END_TEST

/* ---- tasks ---- */

enum { TASKS = 50, ROWS = 12 };

/* Tasks t0 .. t49 of 12 rows, x = 100 t + row, y = -x, turn about by `stride`; the rows of a task in order. */
static void write_tasks(size_t stride) {
    clm_text text = {0};
    clm_text_add(&text, "task,x,y\n");
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < TASKS; k++) {
            const size_t t = k * stride % TASKS;
            clm_text_add(&text, "t%zu,%zu,-%zu\n", t, 100 * t + i, 100 * t + i);
        }
    clm_test_write_text(directory, "table.csv", text.data);
    clm_text_free(&text);
}

static void check_distinct(const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++) ck_assert(x[i] != x[k]);
}

START_TEST(tasks_of_a_table) {
    write_tasks(1);
    clm_source *source = opened();
    bool seen[TASKS] = {false};
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_TRAIN), 32);
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_VALIDATION), 8);
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_TEST), 10);
    for (int split = 0; split < 3; split++) {
        ck_assert_uint_eq(clm_source_classes(source, (clm_split)split), 0);
        for (size_t g = 0; g < clm_source_groups(source, (clm_split)split); g++) {
            const size_t t = (size_t)feature(source, (clm_split)split, g, 0, 0) / 100;
            ck_assert(!seen[t]);
            seen[t] = true;
        }
    }
    ck_assert(clm_source_is_regression(source));
    const clm_shape in = clm_source_example_shape(source), out = clm_source_target_shape(source);
    ck_assert(in.rank == 1 && in.dim[0] == 1 && out.rank == 1 && out.dim[0] == 1);
    ck_assert(!clm_source_target_units(source, NULL, NULL));
    ck_assert_uint_eq(clm_source_labels(source), 0);
    ck_assert_ptr_null(clm_source_label_name(source, 0));
    float x[ROWS], y[ROWS];
    for (uint64_t i = 0; i < 200; i++) { /* all rows of one task, and none of them twice */
        CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TEST, 3, i, 1, 5, 7, x, y, x + 5, y + 5));
        check_distinct(x, ROWS);
        for (size_t k = 0; k < ROWS; k++) ck_assert(y[k] == -x[k] && (int)x[k] / 100 == (int)x[0] / 100);
    }
    float again[5];
    CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TEST, 3, 199, 1, 5, 1, again, NULL, NULL, NULL)); /* whatever the query */
    check_distinct(again, 5);
    ck_assert_mem_eq(again, x, sizeof again);
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TEST, 1, 6, 7), CLM_E_ARG);
    SAYS("6 shots and 7 queries need 13 examples a task, but task t");
    SAYS("add rows");
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TEST, 2, 1, 1), CLM_E_ARG);
    SAYS("a task is one group of rows: it has 1 way, not 2");
    const clm_episode_options joint = {CLM_EPISODE_OPTIONS_VERSION, 1, 1, 1, 1, 5};
    ck_assert_int_eq(clm_source_check_episode(source, CLM_SPLIT_TEST, &joint), CLM_E_ARG);
    SAYS("groups of rows");
    int32_t at[2];
    ck_assert_int_eq(clm_source_sample_at(source, CLM_SPLIT_TEST, 0, 0, 1, 1, 1, at, NULL, at, NULL), CLM_E_ARG);
    clm_source_free(source);
}
END_TEST

START_TEST(splits_of_a_table) { /* by name and seed, whatever the order of the file */
    float x[2][4], y[4];
    for (size_t k = 0; k < 2; k++) {
        write_tasks(k ? 7 : 1);
        clm_source *source = opened();
        CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TRAIN, 1, 5, 1, 2, 2, x[k], y, x[k] + 2, y + 2));
        clm_source_free(source);
    }
    ck_assert_mem_eq(x[0], x[1], sizeof x[0]);
    options.split_seed = 1;
    options.task_split[0] = 3, options.task_split[2] = 40;
    clm_source *source = opened();
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_TRAIN), 3);
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_VALIDATION), 0);
    has_note(source, "7 of 50 tasks are in no split");
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_VALIDATION, 1, 1, 1), CLM_E_ARG);
    SAYS("the validation split has no tasks");
    ck_assert_ptr_nonnull(strstr(clm_source_description(source), "3 train, 0 validation, 40 test (drawn by split seed 1)"));
    clm_source_free(source);
    options.task_split[0] = 11;
    refused(NULL, CLM_E_ARG, "has 50 tasks, but the task split asks for 11, 0 and 40", "ask for fewer");
    options.task_split[0] = 0;
    refused(NULL, CLM_E_ARG, "no task is for training", "task split");
}
END_TEST

START_TEST(tasks_that_are_too_small) {
    static const char text[] = "task,x,y\na,1,1\na,2,1\na,3,1\nb,1,1\n";
    options.task_split[0] = 2;
    options.least = 2;
    options.standardise = true;
    clm_source *source = opened_as(text);
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_TRAIN), 1);
    has_note(source, "task b has 1 row, which make 1 of the 2 examples it needs: it is left out\n");
    has_note(source, "column y is the same in all training tasks\n");
    const float mean = (1 + 2 + 3 + 1) / 4.0f; /* of task b too */
    ck_assert_float_eq_tol(feature(source, CLM_SPLIT_TRAIN, 0, 2, 0) / feature(source, CLM_SPLIT_TRAIN, 0, 0, 0),
                           (3 - mean) / (1 - mean), 1e-6f);
    clm_source_free(source);
    options.strict = true;
    refused(text, CLM_E_FORMAT, "task b has 1 row", "(strict)");
    options.strict = false;
    options.least = 4;
    refused(text, CLM_E_ARG, "no task has the 4 examples", "the largest, a, has 3");
}
END_TEST

/* ---- features and targets ---- */

START_TEST(categories) {
    clm_text text = {0};
    options.categorical = colour;
    options.n_categorical = 1;
    options.task_split[0] = 1, options.task_split[2] = 1;
    clm_text_add(&text, "task,x,colour,y\n");
    for (int t = 0; t < 2; t++) clm_text_add(&text, "%d,7,10,0\n%d,8,9,1\n%d,9,%s,2\n", t, t, t, t ? "lila" : "pink");
    clm_source *source = opened_as(text.data);
    clm_text_free(&text);
    const bool first = strcmp(clm_source_feature_name(source, 3), "colour=pink") == 0; /* which of the two trains */
    ck_assert_str_eq(clm_source_feature_name(source, 0), "x");
    ck_assert_str_eq(clm_source_feature_name(source, 1), "colour=10"); /* bytewise: not all are numbers */
    ck_assert_str_eq(clm_source_feature_name(source, 2), "colour=9");
    ck_assert_str_eq(clm_source_feature_name(source, 3), first ? "colour=pink" : "colour=lila");
    for (size_t e = 0; e < 3; e++)
        for (size_t k = 0; k < 3; k++) {
            ck_assert(feature(source, CLM_SPLIT_TRAIN, 0, e, 1 + k) == (e == k));
            ck_assert(feature(source, CLM_SPLIT_TEST, 0, e, 1 + k) == (e == k && e < 2)); /* the third is unseen */
        }
    has_note(source, "column colour: 1 row is of categories that no training task has, such as");
    clm_source_free(source);
}
END_TEST

START_TEST(standardised_by_training_tasks) {
    static const char *const targets[] = {"y", "z"};
    clm_text text = {0};
    options.targets = targets;
    options.n_targets = 2;
    options.standardise = true;
    clm_text_add(&text, "task,x,y,z\n");
    for (int t = 0; t < 10; t++)
        for (int i = 0; i < 6; i++) clm_text_add(&text, "%d,%d,%d,%g\n", t, 10 * i + t * t, 1000 * i - t, 1e-3 * (t + i));
    clm_source *source = opened_as(text.data);
    clm_text_free(&text);
    double sum[3] = {0}, squares[3] = {0};
    const size_t groups = clm_source_groups(source, CLM_SPLIT_TRAIN), n = 6 * groups;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++) {
            const double v = (double)(k ? target(source, CLM_SPLIT_TRAIN, i / 6, i % 6, k - 1)
                                        : feature(source, CLM_SPLIT_TRAIN, i / 6, i % 6, 0));
            sum[k] += v, squares[k] += v * v;
        }
    for (int k = 0; k < 3; k++) {
        ck_assert_double_eq_tol(sum[k] / (double)n, 0, 1e-6);
        ck_assert_double_eq_tol(squares[k] / (double)n, 1, 1e-6);
    }
    const double *mean, *deviation;
    const clm_shape out = clm_source_target_shape(source);
    ck_assert(out.rank == 1 && out.dim[0] == 2);
    ck_assert(clm_source_target_units(source, &mean, &deviation));
    for (size_t e = 0; e < 6; e++) { /* y = 1000 e - t and z = (t + e) / 1000 of the same row of the same task */
        const double y = mean[0] + deviation[0] * (double)target(source, CLM_SPLIT_TEST, 1, e, 0);
        const double z = mean[1] + deviation[1] * (double)target(source, CLM_SPLIT_TEST, 1, e, 1);
        ck_assert_double_eq_tol(1000 * z + y, 1001 * (double)e, 1e-2);
    }
    ck_assert_ptr_nonnull(
        strstr(clm_source_description(source), "targets y, z, standardised by the training tasks; tasks: 6 train"));
    clm_source_free(source);
}
END_TEST

START_TEST(several_targets_of_tasks) { /* in support sets one behind the other, and in batches made ahead */
    static const char *const targets[] = {"y", "x"}, *const features[] = {"w"};
    clm_text text = {0};
    options.targets = targets;
    options.n_targets = 2;
    options.features = features;
    options.n_features = 1;
    clm_text_add(&text, "task,w,x,y\n");
    for (int t = 0; t < 5; t++)
        for (int i = 0; i < 9; i++) clm_text_add(&text, "%d,%d,%d,%d\n", t, 10 * t + i, 100 + 10 * t + i, 200 + 10 * t + i);
    clm_source *source = opened_as(text.data);
    clm_text_free(&text);
    float sx[4], sy[8], qx[3], qy[6];
    const clm_episode_options o = {CLM_EPISODE_OPTIONS_VERSION, 1, 2, 3, 2, 0};
    const clm_episode episode = {.support_x = sx, .support_y = sy, .query_x = qx, .query_y = qy};
    CLM_TEST_OK(clm_source_draw(source, CLM_SPLIT_TRAIN, 4, 7, &o, &episode));
    for (int i = 0; i < 4; i++) ck_assert(sy[2 * i] == 200 + sx[i] && sy[2 * i + 1] == 100 + sx[i]);
    for (int i = 0; i < 3; i++) ck_assert(qy[2 * i] == 200 + qx[i] && qy[2 * i + 1] == 100 + qx[i]);
    clm_prefetch_options p = CLM_PREFETCH_OPTIONS_INIT;
    clm_prefetch *prefetch = NULL;
    const float *batch[4];
    p.seed = 4, p.tasks = 4, p.ways = 1, p.shots = 2, p.query = 3, p.support_sets = 2;
    CLM_TEST_OK(clm_prefetch_create(&prefetch, source, &p));
    CLM_TEST_OK(clm_prefetch_get(prefetch, 1, batch)); /* task 7 is its last */
    ck_assert_mem_eq(batch[0] + 3 * 4, sx, sizeof sx);
    ck_assert_mem_eq(batch[1] + 3 * 8, sy, sizeof sy);
    ck_assert_mem_eq(batch[2] + 3 * 3, qx, sizeof qx);
    ck_assert_mem_eq(batch[3] + 3 * 6, qy, sizeof qy);
    clm_prefetch_free(prefetch);
    clm_source_free(source);
}
END_TEST

START_TEST(labels_of_a_table) {
    static const char text[] = "task,x,y\na,1,no\na,2,yes\na,3,maybe\na,4,no\n";
    options.labels = true;
    clm_source *source = opened_as(text);
    ck_assert(!clm_source_is_regression(source));
    ck_assert_uint_eq(clm_source_labels(source), 3);
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_TRAIN), 0);
    ck_assert_int_eq(clm_source_target_shape(source).rank, 0);
    ck_assert_str_eq(clm_source_label_name(source, 0), "maybe");
    ck_assert_str_eq(clm_source_label_name(source, 2), "yes");
    ck_assert_ptr_null(clm_source_label_name(source, 3));
    float x[4], y[4];
    static const float expected[] = {1, 2, 0, 1};
    CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TRAIN, 0, 0, 1, 3, 1, x, y, x + 3, y + 3));
    for (int i = 0; i < 4; i++) ck_assert(y[i] == expected[(int)x[i] - 1]);
    ck_assert_ptr_nonnull(strstr(clm_source_description(source), "target y of 3 classes"));
    clm_source_free(source);
    source = opened_as("task,x,y\na,1,10\na,2,9\n"); /* numbers in their order */
    ck_assert_str_eq(clm_source_label_name(source, 0), "9");
    clm_source_free(source);
    refused("task,x,y\na,1,no\na,2,no\n", CLM_E_FORMAT, "column y has 1 class:", "another target");
    options.n_targets = 2;
    refused(NULL, CLM_E_ARG, "labels are of one target", "not of 2");
}
END_TEST

START_TEST(too_many_classes) {
    clm_text text = {0};
    clm_text_add(&text, "task,x,colour,y\n");
    for (int i = 0; i < 1001; i++) clm_text_add(&text, "a,1,c%d,%d\n", i, i);
    options.labels = true;
    options.categorical = colour;
    options.n_categorical = 1;
    refused(text.data, CLM_E_FORMAT, "column y has 1001 classes", "numbers to predict");
    options.labels = false;
    refused(text.data, CLM_E_LIMIT, "column colour has more than 1000 categories", "ignore it");
    clm_text_free(&text);
}
END_TEST

/* ---- windows ---- */

static const char series[] = "task,when,x,y\n"
                             "b,1,100,1000\nb,2,101,1001\n"
                             "a,10,3,30\na,9,2,20\na,100,4,40\na,8,1,10\na,101,5,50\n";

START_TEST(windows) {
    options.task_split[0] = 2;
    options.time_column = "when";
    options.window = 3;
    clm_source *source = opened_as(series);
    const clm_shape in = clm_source_example_shape(source);
    ck_assert(in.rank == 2 && in.dim[0] == 3 && in.dim[1] == 1);
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_TRAIN), 1);
    has_note(source, "task b has 2 rows, which make 0 of the 1 examples it needs");
    ck_assert_uint_eq(source->ops->examples(source, CLM_SPLIT_TRAIN, 0), 3);
    for (size_t e = 0; e < 3; e++) { /* by time as a number: rows 1, 2, 3, 4, 5 */
        for (size_t k = 0; k < 3; k++) ck_assert(feature(source, CLM_SPLIT_TRAIN, 0, e, k) == (float)(1 + e + k));
        ck_assert(target(source, CLM_SPLIT_TRAIN, 0, e, 0) == (float)(10 * (3 + e)));
    }
    clm_source_free(source);
    options.horizon = 2;
    source = opened();
    ck_assert_uint_eq(source->ops->examples(source, CLM_SPLIT_TRAIN, 0), 1);
    ck_assert(feature(source, CLM_SPLIT_TRAIN, 0, 0, 0) == 1 && target(source, CLM_SPLIT_TRAIN, 0, 0, 0) == 50);
    ck_assert_ptr_nonnull(strstr(clm_source_description(source), "1 feature in windows of 3 rows, target y 2 rows ahead"));
    clm_source_free(source);
}
END_TEST

START_TEST(windows_of_several_columns) {
    static const char *const features[] = {"y", "x"};
    options.task_split[0] = 2;
    options.features = features;
    options.n_features = 2;
    options.window = 2;
    options.horizon = 1;
    options.time_column = "when";
    clm_source *source = opened_as(series);
    static const float rows[] = {2, 20, 3, 30}, channels[] = {2, 3, 20, 30}; /* x, y: in the order of the file */
    for (size_t k = 0; k < 4; k++) ck_assert(feature(source, CLM_SPLIT_TRAIN, 0, 1, k) == rows[k]);
    ck_assert(target(source, CLM_SPLIT_TRAIN, 0, 1, 0) == 40);
    ck_assert_str_eq(clm_source_feature_name(source, 0), "x");
    clm_source_free(source);
    options.channels_first = true;
    source = opened();
    const clm_shape in = clm_source_example_shape(source);
    ck_assert(in.rank == 2 && in.dim[0] == 2 && in.dim[1] == 2);
    for (size_t k = 0; k < 4; k++) ck_assert(feature(source, CLM_SPLIT_TRAIN, 0, 1, k) == channels[k]);
    clm_source_free(source);
    options.time_column = NULL; /* then as in the file */
    options.n_features = 1;
    options.window = 0;
    options.channels_first = false;
    source = opened();
    ck_assert_int_eq(clm_source_example_shape(source).rank, 1);
    ck_assert(feature(source, CLM_SPLIT_TRAIN, 0, 1, 0) == 20 && target(source, CLM_SPLIT_TRAIN, 0, 1, 0) == 40);
    clm_source_free(source);
    options.task_split[0] = 1;
    options.time_column = "when";
    options.features = NULL;
    options.n_features = 0;
    options.window = 2;
    source = opened_as("task,when,x,y\na,2024-02-01,2,20\na,2023-12-31,1,10\na,2024-10-01,3,30\n"); /* dates bytewise */
    ck_assert(feature(source, CLM_SPLIT_TRAIN, 0, 0, 0) == 1 && feature(source, CLM_SPLIT_TRAIN, 0, 0, 1) == 2);
    ck_assert(target(source, CLM_SPLIT_TRAIN, 0, 0, 0) == 30);
    clm_source_free(source);
}
END_TEST

/* ---- options ---- */

typedef struct mistake {
    const char *says, *says_too;
    void (*make)(void);
} mistake;

static const char *const twice[] = {"x", "x"}, *const task_alone[] = {"task"}, *const nothing[] = {""}, *const absent[] = {"z"};

static void no_task(void) { options.task_column = NULL; }
static void absent_task(void) { options.task_column = "tsak"; }
static void no_targets(void) { options.n_targets = 0; }
static void absent_target(void) { options.targets = absent; }
static void task_as_target(void) { options.targets = task_alone; }
static void target_twice(void) { options.targets = twice, options.n_targets = 2; }
static void feature_twice(void) { options.features = twice, options.n_features = 2; }
static void nameless(void) { options.features = nothing, options.n_features = 1; }
static void target_as_feature(void) { options.features = y_alone, options.n_features = 1; }
static void task_as_feature(void) { options.features = task_alone, options.n_features = 1; }
static void both_lists(void) { options.features = options.ignore = x_alone, options.n_features = options.n_ignore = 1; }
static void no_feature(void) { options.ignore = x_alone, options.n_ignore = 1; }
static void categorical_target(void) { options.categorical = y_alone, options.n_categorical = 1; }
static void categorical_twice(void) { options.categorical = twice, options.n_categorical = 2; }
static void missing_how(void) { options.missing = (clm_missing)7; }
static void negative_window(void) { options.window = -1; }
static void time_for_nothing(void) { options.time_column = "x"; }
static void layout_of_nothing(void) { options.channels_first = true; }
static void version(void) { options.version = 0; }

START_TEST(mistakes) {
    static const mistake all[] = {
        {"no task_column", "name the column", no_task},
        {"no column 'tsak'", "its columns are task, x, y", absent_task},
        {"no targets", "name the column", no_targets},
        {"no column 'z'", "task, x, y", absent_target},
        {"column task cannot be the task column and a target", "task", task_as_target},
        {"column x is named twice as a target", "x", target_twice},
        {"column x is named twice as a feature", "x", feature_twice},
        {"feature 0 has no name", "table", nameless},
        {"column y is a target and cannot be a feature too", "horizon", target_as_feature},
        {"column task is the task column and cannot be a feature too", "task", task_as_feature},
        {"nothing to ignore", "leave one out", both_lists},
        {"no column is left for the features", "ignore fewer", no_feature},
        {"column y is categorical, but no feature: it is a target", "leave it out", categorical_target},
        {"column x is named twice as categorical", "x", categorical_twice},
        {"no way 7", "missing", missing_how},
        {"a window of -1 rows", "0 to 65536", negative_window},
        {"the time column x orders rows for a window", "leave it out", time_for_nothing},
        {"a layout of windows", "give a window", layout_of_nothing},
        {"options of version 0", "CLM_TABLE_OPTIONS_INIT", version}};
    clm_source *source = NULL;
    const clm_table_options fine = options;
    clm_test_write_text(directory, "table.csv", "task,x,y\na,1,2\n");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        options = fine;
        all[i].make();
        refused(NULL, CLM_E_ARG, all[i].says, all[i].says_too);
    }
    ck_assert_int_eq(clm_source_table_open(&source, path, NULL), CLM_E_ARG);
    SAYS("options are needed");
    options = fine;
    source = opened_as(",task,x,y\n0,a,1,2\n"); /* as pandas writes the index */
    has_note(source, "column 1 has no name in the headline\n");
    ck_assert_int_eq(clm_source_example_shape(source).dim[0], 1);
    clm_source_free(source);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tables");
    TCase *tc = tcase_create("tables");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, files_of_all_kinds);
    tcase_add_test(tc, quoted_values);
    tcase_add_test(tc, no_table);
    tcase_add_test(tc, what_is_no_number);
    tcase_add_test(tc, missing_values);
    tcase_add_test(tc, tasks_of_a_table);
    tcase_add_test(tc, splits_of_a_table);
    tcase_add_test(tc, tasks_that_are_too_small);
    tcase_add_test(tc, categories);
    tcase_add_test(tc, standardised_by_training_tasks);
    tcase_add_test(tc, several_targets_of_tasks);
    tcase_add_test(tc, labels_of_a_table);
    tcase_add_test(tc, too_many_classes);
    tcase_add_test(tc, windows);
    tcase_add_test(tc, windows_of_several_columns);
    tcase_add_test(tc, mistakes);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
