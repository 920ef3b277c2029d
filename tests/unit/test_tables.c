/* Tables as files: what they may look like, numbers and missing values, options; and every mistake by what is said of it. */
#include <stdlib.h>
#include <string.h>

#include "support/tables.h"

static clm_table_options *const o = &clm_test_table_options;

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
        o->features = clm_test_x;
        o->n_features = 1;
        clm_source *source = clm_test_table_of(texts[i]);
        ck_assert_msg(clm_source_groups(source, CLM_SPLIT_TRAIN) == 1, "text %zu", i);
        ck_assert_uint_eq(source->ops->examples(source, CLM_SPLIT_TRAIN, 0), 2);
        ck_assert_msg(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 0, 0) == 1, "text %zu", i);
        ck_assert_msg(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 1, 0) == -0.35f, "text %zu", i);
        ck_assert_msg(clm_test_target(source, CLM_SPLIT_TRAIN, 0, 0, 0) == 2 &&
                          clm_test_target(source, CLM_SPLIT_TRAIN, 0, 1, 0) == 4,
                      "text %zu", i);
        clm_source_free(source);
    }
}
END_TEST

START_TEST(quoted_values) {
    o->categorical = clm_test_colour;
    o->n_categorical = 1;
    clm_source *source = clm_test_table_of("task,colour,y\na,\"sky, \"\"blue\"\"\",1\na,\"two\r\nlines\",2\n");
    ck_assert_str_eq(clm_source_feature_name(source, 0), "colour=sky, \"blue\"");
    ck_assert_str_eq(clm_source_feature_name(source, 1), "colour=two\r\nlines");
    ck_assert_ptr_null(clm_source_feature_name(source, 2));
    clm_source_free(source);
}
END_TEST

START_TEST(no_table) {
    static const char zeros[] = "task,x,y\na,1\0,2\n";
    clm_test_table_refused("", CLM_E_FORMAT, "is empty", "headline");
    clm_test_table_refused("task,x,y\n", CLM_E_FORMAT, "no rows below its headline", "add rows");
    clm_test_table_refused("task,x,y\na,1\n", CLM_E_FORMAT, "line 2 has 2 fields, the headline 3", "write 1 more");
    clm_test_table_refused("task,x,y\na,1,2\n\na,1,2,3\n", CLM_E_FORMAT, "line 4 has 4 fields", "quotes");
    clm_test_table_refused("task,x,y\na,\"1,2\n", CLM_E_FORMAT, "line 2: the quoted field", "close its quote");
    clm_test_table_refused("task,x,y\na,\"1\"1,2\n", CLM_E_FORMAT, "line 2 has text behind a closing quote", "twice");
    clm_test_table_refused("task,x,y,x\na,1,2,3\n", CLM_E_FORMAT, "two columns are called x", "rename");
    clm_test_write(clm_test_table_directory, "table.csv", zeros, sizeof zeros - 1);
    clm_test_table_refused(NULL, CLM_E_FORMAT, "line 2 holds a byte of 0", "UTF-8");
    char *long_text = malloc(2000000);
    memset(long_text, ',', 1999999);
    long_text[1999999] = 0;
    clm_test_table_refused(long_text, CLM_E_LIMIT, "line 1 has more than 4096 fields", "fewer columns");
    memset(long_text, 'a', 1999999);
    clm_test_table_refused(long_text, CLM_E_LIMIT, "a field of more than 65535 bytes", "is this a table");
    free(long_text);
    clm_test_remove(clm_test_table_directory);
    ck_assert_ptr_nonnull(clm_test_table_directory = clm_test_directory());
    clm_test_table_refused(NULL, CLM_E_IO, "table.csv", "No such file");
}
END_TEST

/* ---- numbers ---- */

START_TEST(what_is_no_number) {
    clm_test_table_refused("task,x,y\na,1,2\na,red,2\n", CLM_E_FORMAT, "line 3, column x: 'red' is no number", "categorical");
    clm_test_table_refused("task,x,y\na,1,red\n", CLM_E_FORMAT, "line 2, column y: 'red' is no number", "cross-entropy");
    clm_test_table_refused("task;x;y\na;1,5;2\n", CLM_E_FORMAT, "line 2, column x: '1,5' is no number", "decimal point");
    clm_test_table_refused("task,x,y\na,1e31,2\n", CLM_E_FORMAT, "line 2, column x: 1e31 is beyond", "unit");
    clm_test_table_refused("task,x,y\na,1e999,2\n", CLM_E_FORMAT, "line 2, column x: 1e999 is beyond", "unit");
    clm_test_table_refused("task,x,y\na,inf,2\n", CLM_E_FORMAT, "'inf' is no number", "correct it");
}
END_TEST

START_TEST(missing_values) {
    static const char text[] = "task,x,colour,y\na,1,red,1\na,NA,,2\na,5,blue,3\n", no_y[] = "task,x,y\na,1,2\na,1,\na,2,2\n";
    o->categorical = clm_test_colour;
    o->n_categorical = 1;
    clm_test_table_refused(text, CLM_E_FORMAT, "line 3, column x: no value", "missing mean");
    o->missing = CLM_MISSING_MEAN;
    clm_source *source = clm_test_table_of(text);
    ck_assert(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 1, 0) == 3); /* the mean of 1 and 5; x, blue, red */
    ck_assert(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 1, 1) == 0 &&
              clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 1, 2) == 0);
    ck_assert(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 2, 1) == 1 &&
              clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 0, 2) == 1);
    clm_test_has_note(source, "column x: 1 missing value is the mean of the training tasks\n");
    clm_test_has_note(source, "column colour: 1 missing value is of no category\n");
    clm_source_free(source);
    o->missing = CLM_MISSING_DROP;
    source = clm_test_table_of(text);
    ck_assert_uint_eq(source->ops->examples(source, CLM_SPLIT_TRAIN, 0), 2);
    clm_test_has_note(source, "1 of 3 rows have missing values and are left out\n");
    clm_source_free(source);
    o->strict = true;
    clm_test_table_refused(text, CLM_E_FORMAT, "1 of 3 rows", "strict refuses 1 thing");
    o->strict = false;
    clm_test_table_refused("task,x,colour,y\na,?,red,1\n", CLM_E_FORMAT, "no row without a missing value", "add rows");
    o->categorical = NULL;
    o->n_categorical = 0;
    o->missing = CLM_MISSING_MEAN;
    clm_test_table_refused(no_y, CLM_E_FORMAT, "line 3, column y: no value, and only features are given their mean",
                           "missing drop");
    clm_test_table_refused("task,x,y\n,1,2\n", CLM_E_FORMAT, "line 2, column task: no value", "missing drop");
    clm_test_table_refused("task,x,y\na,,2\n", CLM_E_FORMAT, "column x has no value in any training task", "leave it out");
    o->missing = CLM_MISSING_REFUSE;
    o->window = 2;
    clm_test_table_refused(no_y, CLM_E_FORMAT, "line 3, column y: no value", "fill it in");
    o->missing = CLM_MISSING_DROP;
    clm_test_table_refused(NULL, CLM_E_ARG, "missing drop would join rows", "missing mean");
}
END_TEST

/* ---- options ---- */

typedef struct mistake {
    const char *says, *says_too;
    void (*make)(void);
} mistake;

static const char *const twice[] = {"x", "x"}, *const task_alone[] = {"task"}, *const nothing[] = {""}, *const absent[] = {"z"};

static void no_task(void) { o->task_column = NULL; }
static void absent_task(void) { o->task_column = "tsak"; }
static void no_targets(void) { o->n_targets = 0; }
static void absent_target(void) { o->targets = absent; }
static void task_as_target(void) { o->targets = task_alone; }
static void target_twice(void) { o->targets = twice, o->n_targets = 2; }
static void feature_twice(void) { o->features = twice, o->n_features = 2; }
static void nameless(void) { o->features = nothing, o->n_features = 1; }
static void target_as_feature(void) { o->features = clm_test_y, o->n_features = 1; }
static void task_as_feature(void) { o->features = task_alone, o->n_features = 1; }
static void both_lists(void) { o->features = o->ignore = clm_test_x, o->n_features = o->n_ignore = 1; }
static void no_feature(void) { o->ignore = clm_test_x, o->n_ignore = 1; }
static void categorical_target(void) { o->categorical = clm_test_y, o->n_categorical = 1; }
static void categorical_twice(void) { o->categorical = twice, o->n_categorical = 2; }
static void missing_how(void) { o->missing = (clm_missing)7; }
static void negative_window(void) { o->window = -1; }
static void time_for_nothing(void) { o->time_column = "x"; }
static void layout_of_nothing(void) { o->channels_first = true; }
static void version(void) { o->version = 0; }

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
    const clm_table_options fine = *o;
    clm_test_write_text(clm_test_table_directory, "table.csv", "task,x,y\na,1,2\n");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        *o = fine;
        all[i].make();
        clm_test_table_refused(NULL, CLM_E_ARG, all[i].says, all[i].says_too);
    }
    ck_assert_int_eq(clm_source_table_open(&source, clm_test_table_path, NULL), CLM_E_ARG);
    SAYS("options are needed");
    *o = fine;
    source = clm_test_table_of(",task,x,y\n0,a,1,2\n"); /* as pandas writes the index */
    clm_test_has_note(source, "column 1 has no name in the headline\n");
    ck_assert_int_eq(clm_source_example_shape(source).dim[0], 1);
    clm_source_free(source);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tables");
    TCase *tc = tcase_create("tables");
    tcase_add_checked_fixture(tc, clm_test_table_begin, clm_test_table_end);
    tcase_add_test(tc, files_of_all_kinds);
    tcase_add_test(tc, quoted_values);
    tcase_add_test(tc, no_table);
    tcase_add_test(tc, what_is_no_number);
    tcase_add_test(tc, missing_values);
    tcase_add_test(tc, mistakes);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
