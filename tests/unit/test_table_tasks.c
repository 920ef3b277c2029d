/* Tasks of tables: splits, categories, units, several targets, labels, windows; and that tasks are drawn as they should. */
#include <stdlib.h>
#include <string.h>

#include "support/tables.h"

static clm_table_options *const o = &clm_test_table_options;

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
    clm_test_write_text(clm_test_table_directory, "table.csv", text.data);
    clm_text_free(&text);
}

static void check_distinct(const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++) ck_assert(x[i] != x[k]);
}

START_TEST(tasks_of_a_table) {
    write_tasks(1);
    clm_source *source = clm_test_table_open();
    bool seen[TASKS] = {false};
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_TRAIN), 32);
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_VALIDATION), 8);
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_TEST), 10);
    for (int split = 0; split < 3; split++) {
        ck_assert_uint_eq(clm_source_classes(source, (clm_split)split), 0);
        for (size_t g = 0; g < clm_source_groups(source, (clm_split)split); g++) {
            const size_t t = (size_t)clm_test_feature(source, (clm_split)split, g, 0, 0) / 100;
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
    const clm_episode_options joint = {CLM_EPISODE_OPTIONS_VERSION, 1, 1, 1, 1, 5, 0, 0};
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
        clm_source *source = clm_test_table_open();
        CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TRAIN, 1, 5, 1, 2, 2, x[k], y, x[k] + 2, y + 2));
        clm_source_free(source);
    }
    ck_assert_mem_eq(x[0], x[1], sizeof x[0]);
    o->split_seed = 1;
    o->task_split[0] = 3, o->task_split[2] = 40;
    clm_source *source = clm_test_table_open();
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_TRAIN), 3);
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_VALIDATION), 0);
    clm_test_has_note(source, "7 of 50 tasks are in no split");
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_VALIDATION, 1, 1, 1), CLM_E_ARG);
    SAYS("the validation split has no tasks");
    ck_assert_ptr_nonnull(strstr(clm_source_description(source), "3 train, 0 validation, 40 test (drawn by split seed 1)"));
    clm_source_free(source);
    o->task_split[0] = 60; /* of 50 tasks, in proportion */
    source = clm_test_table_open();
    ck_assert_ptr_nonnull(strstr(clm_source_description(source), "30 train, 0 validation, 20 test (drawn by split seed 1)"));
    clm_source_free(source);
    o->task_split[0] = 0;
    clm_test_table_refused(NULL, CLM_E_ARG, "no task is for training", "task split");
}
END_TEST

START_TEST(rows_in_two_splits) {
    o->task_split[0] = 1, o->task_split[2] = 1;
    clm_source *source = clm_test_table_of("task,x,y\na,1,1\na,2,1\na,3,1\nb,1,1\nb,2,1\nb,3,2\n");
    clm_test_has_note(source, "2 of the 3 rows of test are in train too, with the same features and targets, such as line ");
    clm_source_free(source);
    o->window = 2; /* of which rows may be alike: whole tasks count */
    source = clm_test_table_of("task,x,y\na,1,1\na,2,1\na,3,1\nb,1,1\nb,2,1\nb,3,2\n");
    ck_assert(!clm_source_notes(source) || !strstr(clm_source_notes(source), "in train too"));
    clm_source_free(source);
    source = clm_test_table_of("task,x,y\na,1,1\na,2,1\nb,1,1\nb,2,1\n");
    clm_test_has_note(source, "1 of the 1 tasks of test is in train too, with the same features and targets, such as line ");
    clm_source_free(source);
}
END_TEST

START_TEST(tasks_that_are_too_small) {
    static const char text[] = "task,x,y\na,1,1\na,2,1\na,3,1\nb,1,1\n";
    o->task_split[0] = 2;
    o->least = 2;
    o->standardise = true;
    clm_source *source = clm_test_table_of(text);
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_TRAIN), 1);
    clm_test_has_note(source, "task b has 1 row, which make 1 of the 2 examples it needs: it is left out\n");
    clm_test_has_note(source, "column y is the same in all training tasks\n");
    const float mean = (1 + 2 + 3 + 1) / 4.0f; /* of task b too */
    ck_assert_float_eq_tol(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 2, 0) /
                               clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 0, 0),
                           (3 - mean) / (1 - mean), 1e-6f);
    clm_source_free(source);
    o->strict = true;
    clm_test_table_refused(text, CLM_E_FORMAT, "task b has 1 row", "strict refuses 1 thing");
    o->strict = false;
    o->least = 4;
    clm_test_table_refused(text, CLM_E_ARG, "no task has the 4 examples", "the largest, a, has 3");
}
END_TEST

/* ---- features and targets ---- */

START_TEST(categories) {
    clm_text text = {0};
    o->categorical = clm_test_colour;
    o->n_categorical = 1;
    o->task_split[0] = 1, o->task_split[2] = 1;
    clm_text_add(&text, "task,x,colour,y\n");
    for (int t = 0; t < 2; t++) clm_text_add(&text, "%d,7,10,0\n%d,8,9,1\n%d,9,%s,2\n", t, t, t, t ? "lila" : "pink");
    clm_source *source = clm_test_table_of(text.data);
    clm_text_free(&text);
    const bool first = strcmp(clm_source_feature_name(source, 3), "colour=pink") == 0; /* which of the two trains */
    ck_assert_str_eq(clm_source_feature_name(source, 0), "x");
    ck_assert_str_eq(clm_source_feature_name(source, 1), "colour=10"); /* bytewise: not all are numbers */
    ck_assert_str_eq(clm_source_feature_name(source, 2), "colour=9");
    ck_assert_str_eq(clm_source_feature_name(source, 3), first ? "colour=pink" : "colour=lila");
    for (size_t e = 0; e < 3; e++)
        for (size_t k = 0; k < 3; k++) {
            ck_assert(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, e, 1 + k) == (e == k));
            ck_assert(clm_test_feature(source, CLM_SPLIT_TEST, 0, e, 1 + k) == (e == k && e < 2)); /* the third is unseen */
        }
    clm_test_has_note(source, "column colour: 1 row is of categories that no training task has, such as");
    clm_source_free(source);
}
END_TEST

START_TEST(standardised_by_training_tasks) {
    static const char *const targets[] = {"y", "z"};
    clm_text text = {0};
    o->targets = targets;
    o->n_targets = 2;
    o->standardise = true;
    clm_text_add(&text, "task,x,y,z\n");
    for (int t = 0; t < 10; t++)
        for (int i = 0; i < 6; i++) clm_text_add(&text, "%d,%d,%d,%g\n", t, 10 * i + t * t, 1000 * i - t, 1e-3 * (t + i));
    clm_source *source = clm_test_table_of(text.data);
    clm_text_free(&text);
    double sum[3] = {0}, squares[3] = {0};
    const size_t groups = clm_source_groups(source, CLM_SPLIT_TRAIN), n = 6 * groups;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++) {
            const double v = (double)(k ? clm_test_target(source, CLM_SPLIT_TRAIN, i / 6, i % 6, k - 1)
                                        : clm_test_feature(source, CLM_SPLIT_TRAIN, i / 6, i % 6, 0));
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
        const double y = mean[0] + deviation[0] * (double)clm_test_target(source, CLM_SPLIT_TEST, 1, e, 0);
        const double z = mean[1] + deviation[1] * (double)clm_test_target(source, CLM_SPLIT_TEST, 1, e, 1);
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
    o->targets = targets;
    o->n_targets = 2;
    o->features = features;
    o->n_features = 1;
    clm_text_add(&text, "task,w,x,y\n");
    for (int t = 0; t < 5; t++)
        for (int i = 0; i < 9; i++) clm_text_add(&text, "%d,%d,%d,%d\n", t, 10 * t + i, 100 + 10 * t + i, 200 + 10 * t + i);
    clm_source *source = clm_test_table_of(text.data);
    clm_text_free(&text);
    float sx[4], sy[8], qx[3], qy[6];
    const clm_episode_options sets = {CLM_EPISODE_OPTIONS_VERSION, 1, 2, 3, 2, 0, 0, 0};
    const clm_episode episode = {.support_x = sx, .support_y = sy, .query_x = qx, .query_y = qy};
    CLM_TEST_OK(clm_source_draw(source, CLM_SPLIT_TRAIN, 4, 7, &sets, &episode));
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
    o->labels = true;
    clm_source *source = clm_test_table_of(text);
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
    source = clm_test_table_of("task,x,y\na,1,10\na,2,9\n"); /* numbers in their order */
    ck_assert_str_eq(clm_source_label_name(source, 0), "9");
    clm_source_free(source);
    clm_test_table_refused("task,x,y\na,1,no\na,2,no\n", CLM_E_FORMAT, "column y has 1 class:", "another target");
    o->n_targets = 2;
    clm_test_table_refused(NULL, CLM_E_ARG, "labels are of one target", "not of 2");
}
END_TEST

START_TEST(too_many_classes) {
    clm_text text = {0};
    clm_text_add(&text, "task,x,colour,y\n");
    for (int i = 0; i < 1001; i++) clm_text_add(&text, "a,1,c%d,%d\n", i, i);
    o->labels = true;
    o->categorical = clm_test_colour;
    o->n_categorical = 1;
    clm_test_table_refused(text.data, CLM_E_FORMAT, "column y has 1001 classes", "numbers to predict");
    o->labels = false;
    clm_test_table_refused(text.data, CLM_E_LIMIT, "column colour has more than 1000 categories", "ignore it");
    clm_text_free(&text);
}
END_TEST

/* ---- windows ---- */

static const char series[] = "task,when,x,y\n"
                             "b,1,100,1000\nb,2,101,1001\n"
                             "a,10,3,30\na,9,2,20\na,100,4,40\na,8,1,10\na,101,5,50\n";

START_TEST(windows) {
    o->task_split[0] = 2;
    o->time_column = "when";
    o->window = 3;
    clm_source *source = clm_test_table_of(series);
    const clm_shape in = clm_source_example_shape(source);
    ck_assert(in.rank == 2 && in.dim[0] == 3 && in.dim[1] == 1);
    ck_assert_uint_eq(clm_source_groups(source, CLM_SPLIT_TRAIN), 1);
    clm_test_has_note(source, "task b has 2 rows, which make 0 of the 1 examples it needs");
    ck_assert_uint_eq(source->ops->examples(source, CLM_SPLIT_TRAIN, 0), 3);
    for (size_t e = 0; e < 3; e++) { /* by time as a number: rows 1, 2, 3, 4, 5 */
        for (size_t k = 0; k < 3; k++) ck_assert(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, e, k) == (float)(1 + e + k));
        ck_assert(clm_test_target(source, CLM_SPLIT_TRAIN, 0, e, 0) == (float)(10 * (3 + e)));
    }
    clm_source_free(source);
    o->horizon = 2;
    source = clm_test_table_open();
    ck_assert_uint_eq(source->ops->examples(source, CLM_SPLIT_TRAIN, 0), 1);
    ck_assert(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 0, 0) == 1 &&
              clm_test_target(source, CLM_SPLIT_TRAIN, 0, 0, 0) == 50);
    ck_assert_ptr_nonnull(strstr(clm_source_description(source), "1 feature in windows of 3 rows, target y 2 rows ahead"));
    clm_source_free(source);
}
END_TEST

START_TEST(windows_longer_than_any_task) {
    const char *rows = "task,x,y\nshort,1,2\nshort,2,3\nlong,1,2\nlong,2,3\nlong,3,4\n";
    o->task_split[0] = 2;
    o->window = 5;
    clm_test_table_refused(rows, CLM_E_ARG, "a window of 5 rows needs 5 rows of a task, and the longest, long, has 3 rows",
                           "a shorter one (--window)");
    o->window = 3, o->horizon = 1;
    clm_test_table_refused(rows, CLM_E_ARG, "a window of 3 rows and a horizon of 1 needs 4 rows", "(--window, --horizon)");
    o->window = 0, o->horizon = 3;
    clm_test_table_refused(rows, CLM_E_ARG, "a horizon of 3 needs 4 rows", "(--horizon)");
    o->window = 2, o->horizon = 0, o->least = 3;
    clm_test_table_refused(rows, CLM_E_ARG, "the longest, long, has 2 in its 3 rows, for a window of 2 rows", "ask for fewer");
}
END_TEST

START_TEST(numbers_beyond_floats) {
    const char *rows = "task,x,y\na,1,1\na,1.000000001,2\nb,1e30,3\nb,1,4\n";
    o->task_split[0] = 1, o->task_split[1] = 1;
    for (o->split_seed = 0; o->split_seed < 20; o->split_seed++) { /* until a trains */
        clm_source *source = NULL;
        o->standardise = false;
        clm_source *plain = clm_test_table_of(rows);
        const bool a =
            clm_test_feature(plain, CLM_SPLIT_TRAIN, 0, 0, 0) < 2 && clm_test_feature(plain, CLM_SPLIT_TRAIN, 0, 1, 0) < 2;
        clm_source_free(plain);
        if (!a) continue;
        o->standardise = true;
        clm_test_table_refused(rows, CLM_E_FORMAT, "line 4, column x: 1e+30 is", "--standardise no");
        ck_assert_ptr_null(source);
        return;
    }
    ck_abort_msg("no seed trains on a");
}
END_TEST

START_TEST(windows_of_several_columns) {
    static const char *const features[] = {"y", "x"};
    o->task_split[0] = 2;
    o->features = features;
    o->n_features = 2;
    o->window = 2;
    o->horizon = 1;
    o->time_column = "when";
    clm_source *source = clm_test_table_of(series);
    static const float rows[] = {2, 20, 3, 30}, channels[] = {2, 3, 20, 30}; /* x, y: in the order of the file */
    for (size_t k = 0; k < 4; k++) ck_assert(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 1, k) == rows[k]);
    ck_assert(clm_test_target(source, CLM_SPLIT_TRAIN, 0, 1, 0) == 40);
    ck_assert_str_eq(clm_source_feature_name(source, 0), "x");
    clm_source_free(source);
    o->channels_first = true;
    source = clm_test_table_open();
    const clm_shape in = clm_source_example_shape(source);
    ck_assert(in.rank == 2 && in.dim[0] == 2 && in.dim[1] == 2);
    for (size_t k = 0; k < 4; k++) ck_assert(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 1, k) == channels[k]);
    clm_source_free(source);
    o->time_column = NULL; /* then as in the file */
    o->n_features = 1;
    o->window = 0;
    o->channels_first = false;
    source = clm_test_table_open();
    ck_assert_int_eq(clm_source_example_shape(source).rank, 1);
    ck_assert(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 1, 0) == 20 &&
              clm_test_target(source, CLM_SPLIT_TRAIN, 0, 1, 0) == 40);
    clm_source_free(source);
    o->task_split[0] = 1;
    o->time_column = "when";
    o->features = NULL;
    o->n_features = 0;
    o->window = 2;
    source = clm_test_table_of("task,when,x,y\na,2024-02-01,2,20\na,2023-12-31,1,10\na,2024-10-01,3,30\n"); /* dates bytewise */
    ck_assert(clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 0, 0) == 1 &&
              clm_test_feature(source, CLM_SPLIT_TRAIN, 0, 0, 1) == 2);
    ck_assert(clm_test_target(source, CLM_SPLIT_TRAIN, 0, 0, 0) == 30);
    clm_source_free(source);
}
END_TEST

START_TEST(numbers_as_classes) {
    static const char text[] = "task,x,y\na,1,0.5\na,2,0.25\na,3,0.75\nb,1,0.5\n";
    o->labels = true;
    clm_source *source = clm_test_table_of(text);
    clm_test_has_note(source,
                      "column y has 3 classes in 4 rows: if they are numbers to predict, leave --loss cross-entropy out\n");
    clm_source_free(source);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("table tasks");
    TCase *tc = tcase_create("table tasks");
    tcase_add_checked_fixture(tc, clm_test_table_begin, clm_test_table_end);
    tcase_add_test(tc, tasks_of_a_table);
    tcase_add_test(tc, splits_of_a_table);
    tcase_add_test(tc, rows_in_two_splits);
    tcase_add_test(tc, tasks_that_are_too_small);
    tcase_add_test(tc, numbers_as_classes);
    tcase_add_test(tc, categories);
    tcase_add_test(tc, standardised_by_training_tasks);
    tcase_add_test(tc, several_targets_of_tasks);
    tcase_add_test(tc, labels_of_a_table);
    tcase_add_test(tc, too_many_classes);
    tcase_add_test(tc, windows);
    tcase_add_test(tc, windows_longer_than_any_task);
    tcase_add_test(tc, numbers_beyond_floats);
    tcase_add_test(tc, windows_of_several_columns);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
