/* Which of several initialisations a task goes to: the one with the lowest support loss after adaptation, in evaluation, in training and
 * in use; a run of several resumed to the bit; kinds of tasks that part; what is refused. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "clmaml/train.h"
#include "support/meta_setup.h"
#include "support/pictures.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

enum { STARTS = 3, SHOTS = 5, QUERY = 4, STEPS = 2, TASKS = 21, MOST_ROWS = 400 };

static char *directory;
static clm_source *source;
static clm_model *model;
static clm_train_options options;
static clm_train_row rows[MOST_ROWS];
static size_t n_rows;
static uint64_t stop_at;
static char remark[512];

static void on_row(void *user, const clm_train_row *row, bool best) {
    (void)user, (void)best;
    ck_assert_uint_lt(n_rows, MOST_ROWS);
    rows[n_rows++] = *row;
}
static void on_progress(void *user, const clm_train_progress *p) {
    (void)user;
    if (stop_at && p->iteration == stop_at) stop_at = UINT64_MAX;
}
static void on_remark(void *user, const char *text) {
    (void)user;
    snprintf(remark, sizeof remark, "%s", text);
}
static bool on_stop(void *user) {
    (void)user;
    return stop_at == UINT64_MAX;
}

static void set_up(void) {
    static const int hidden[] = {8};
    directory = clm_test_directory();
    CLM_TEST_OK(clm_source_functions(&source, "sine,line"));
    CLM_TEST_OK(clm_model_mlp(&model, 1, hidden, 1, 1));
    options = (clm_train_options)CLM_TRAIN_OPTIONS_INIT;
    options.episodes.ways = 1;
    options.episodes.shots = SHOTS;
    options.episodes.query = QUERY;
    options.meta.tasks = 7;
    options.meta.initialisations = STARTS;
    options.meta.task.steps = STEPS;
    options.meta.task.inner_lr = 0.01;
    options.meta.task.loss.name = "mse";
    options.meta.task.support = SHOTS;
    options.meta.task.query = QUERY;
    options.meta.both_orders = true;
    options.meta.optim.lr = 0.01;
    options.iterations = 12;
    options.balanced_until = 4;
    options.validate_every = 4;
    options.validation_tasks = 20;
    options.test_tasks = TASKS;
    options.checkpoint_every = 3;
    options.log_every = 1;
    options.row = on_row, options.progress = on_progress, options.remark = on_remark, options.stop = on_stop;
    n_rows = 0, stop_at = 0, remark[0] = 0;
}

static void tear_down(void) {
    clm_model_free(model);
    clm_source_free(source);
    clm_test_remove(directory);
}

/* ---- evaluation ---- */

static void draw_params(clm_params *params[STARTS]) {
    for (int s = 0; s < STARTS; s++) {
        CLM_TEST_OK(clm_params_create(&params[s], model, &options.meta.task));
        CLM_TEST_OK(clm_params_reset(params[s], 30 + (uint64_t)s));
    }
}

/* The support losses of one task after the steps, by a learner on the host of its own. */
static void losses_of(clm_params *const params[STARTS], clm_split split, uint64_t seed, uint64_t index, double losses[STARTS]) {
    float x[SHOTS], y[SHOTS];
    clm_device *host = clm_test_open_host();
    clm_learner_options o = CLM_LEARNER_OPTIONS_INIT;
    clm_learner *learner;
    o.task = options.meta.task;
    CLM_TEST_OK(clm_learner_create(&learner, host, model, &o));
    CLM_TEST_OK(clm_source_sample(source, split, seed, index, 1, SHOTS, QUERY, x, y, NULL, NULL));
    for (int s = 0; s < STARTS; s++) {
        CLM_TEST_OK(clm_learner_set_params(learner, params[s]));
        CLM_TEST_OK(clm_learner_begin(learner, x, y));
        for (int k = 0; k <= STEPS; k++) CLM_TEST_OK(clm_learner_step(learner, &losses[s]));
    }
    clm_learner_free(learner);
    clm_device_close(host);
}

static int least(const double losses[STARTS]) {
    int best = 0;
    for (int s = 1; s < STARTS; s++)
        if (losses[s] < losses[best]) best = s;
    return best;
}

static clm_evaluator *make_evaluator(clm_device *device, int chunk) {
    clm_evaluator_options o = CLM_EVALUATOR_OPTIONS_INIT;
    clm_evaluator *evaluator;
    o.ways = 1, o.shots = SHOTS, o.query = QUERY, o.chunk = chunk;
    o.task = options.meta.task;
    o.with_support = o.keep = true;
    CLM_TEST_OK(clm_evaluator_create(&evaluator, device, source, model, &o));
    return evaluator;
}

START_TEST(tasks_go_where_the_support_loss_is_lowest) {
    clm_device *device = clm_test_open(_i);
    clm_evaluator *evaluator = make_evaluator(device, 8);
    clm_params *params[STARTS];
    clm_scores scores, alone;
    double own[STARTS][TASKS], support = 0;
    int seen[STARTS] = {0};
    draw_params(params);
    for (int s = 0; s < STARTS; s++) {
        CLM_TEST_OK(clm_evaluator_load(evaluator, params[s]));
        CLM_TEST_OK(clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 3, 5, TASKS, STEPS, false, &alone));
        ck_assert_ptr_null(clm_evaluator_chosen(evaluator));
        memcpy(own[s], clm_evaluator_scores(evaluator, STEPS), sizeof own[s]);
        support += alone.support[STEPS].mean / STARTS;
    }
    CLM_TEST_OK(clm_evaluator_load_all(evaluator, params, STARTS));
    CLM_TEST_OK(clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 3, 5, TASKS, STEPS, false, &scores));
    const int32_t *chosen = clm_evaluator_chosen(evaluator);
    const double *kept = clm_evaluator_scores(evaluator, STEPS);
    ck_assert_ptr_nonnull(chosen);
    for (int t = 0; t < TASKS; t++) {
        double losses[STARTS];
        losses_of(params, CLM_SPLIT_TEST, 3, 5 + (uint64_t)t, losses);
        ck_assert_int_eq(chosen[t], least(losses));
        ck_assert_double_eq(kept[t], own[chosen[t]][t]);
        seen[chosen[t]]++;
    }
    ck_assert(scores.tasks == TASKS && seen[0] < TASKS && seen[1] < TASKS && seen[2] < TASKS);
    ck_assert_double_lt(scores.support[STEPS].mean, support);
    for (int s = 0; s < STARTS; s++) clm_params_free(params[s]);
    clm_evaluator_free(evaluator);
    clm_device_close(device);
}
END_TEST

START_TEST(losses_of_tasks_of_the_caller) {
    clm_device *device = clm_test_open(_i);
    clm_evaluator *evaluator = make_evaluator(device, 4);
    clm_params *params[STARTS];
    float x[7 * SHOTS], y[7 * SHOTS];
    double losses[STARTS * 7];
    draw_params(params);
    ck_assert_int_eq(clm_evaluator_support_losses(evaluator, x, NULL, y, NULL, 7, STEPS, losses), CLM_E_STATE);
    SAYS("clm_evaluator_load_all");
    for (size_t t = 0; t < 7; t++)
        CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TRAIN, 2, t, 1, SHOTS, 1, x + t * SHOTS, y + t * SHOTS, NULL, NULL));
    CLM_TEST_OK(clm_evaluator_load_all(evaluator, params, STARTS));
    CLM_TEST_OK(clm_evaluator_support_losses(evaluator, x, NULL, y, NULL, 7, STEPS, losses));
    for (int t = 0; t < 7; t++) {
        double wanted[STARTS];
        losses_of(params, CLM_SPLIT_TRAIN, 2, (uint64_t)t, wanted);
        for (int s = 0; s < STARTS; s++)
            ck_assert_double_lt(fabs(losses[s * 7 + t] - wanted[s]), clm_test_rounding(_i) * (1 + fabs(wanted[s])));
    }
    for (int s = 0; s < STARTS; s++) clm_params_free(params[s]);
    clm_evaluator_free(evaluator);
    clm_device_close(device);
}
END_TEST

/* ---- runs ---- */

static clm_train_result run_in(clm_device *device, const char *name, bool resume) {
    clm_train_result result;
    char *path = clm_path_join(directory, name);
    options.directory = path;
    options.resume = resume;
    CLM_TEST_OK(clm_train(device, source, model, &options, NULL, &result));
    options.directory = NULL;
    free(path);
    return result;
}

static char *read_in(const char *name, const char *file, size_t *size) {
    char *path = clm_format("%s/%s/%s", directory, name, file), *text;
    CLM_TEST_OK(clm_file_read(path, &text, size));
    free(path);
    return text;
}

static void same_file(const char *file) {
    size_t n, m;
    char *x = read_in("whole", file, &n), *y = read_in("halves", file, &m);
    ck_assert_msg(n == m && memcmp(x, y, n) == 0, "%s differs", file);
    free(x);
    free(y);
}

START_TEST(resumed_to_the_bit) {
    static const char *const files[] = {"checkpoints/last.safetensors", "checkpoints/best.safetensors", "result.json"};
    clm_device *device = clm_test_open(_i);
    options.meta.optim.average = _i ? 0.5 : 0;
    run_in(device, "whole", false);
    stop_at = 3; /* while shares are balanced */
    ck_assert(run_in(device, "halves", false).stopped);
    stop_at = 7;
    ck_assert(run_in(device, "halves", true).stopped);
    stop_at = 0;
    ck_assert(!run_in(device, "halves", true).stopped);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) same_file(files[i]);
    char *csv = read_in("whole", "metrics.csv", NULL), *json = read_in("halves", "metrics.jsonl", NULL);
    ck_assert_ptr_nonnull(strstr(csv, ",share_1,share_2,share_3,unused\n"));
    ck_assert_ptr_nonnull(strstr(json, "\"shares\": ["));
    ck_assert_ptr_nonnull(strstr(json, "\"unused\": "));
    free(csv);
    free(json);
    options.meta.initialisations = 2;
    char *path = clm_path_join(directory, "halves");
    clm_train_result result;
    options.directory = path;
    options.resume = true;
    ck_assert_int_eq(clm_train(device, source, model, &options, NULL, &result), CLM_E_STATE);
    SAYS("initialisations was 3 there and is 2 now");
    free(path);
    clm_device_close(device);
}
END_TEST

START_TEST(shares_are_equal_at_first) {
    clm_device *device = clm_test_open_host();
    const clm_train_result r = run_in(device, "run", false);
    size_t seen = 0;
    for (size_t i = 0; i < n_rows; i++) {
        double sum = 0;
        ck_assert_int_eq(rows[i].initialisations, STARTS);
        for (int s = 0; s < STARTS; s++) sum += rows[i].share[s];
        ck_assert_double_eq_tol(sum, 1, 1e-12);
        if (rows[i].kind != CLM_ROW_TRAIN || rows[i].iteration > options.balanced_until) continue;
        for (int s = 0; s < STARTS; s++)
            ck_assert_double_le(rows[i].share[s], 3.0 / 7 + 1e-12); /* 7 tasks, of which 3 at most */
        seen++;
    }
    ck_assert_uint_eq(seen, options.balanced_until);
    int tasks = 0;
    double mean = 0;
    ck_assert_int_eq(r.kinds, 2);
    for (int k = 0; k < r.kinds; k++) {
        int all = 0;
        ck_assert(strcmp(r.kind[k].name, "sine") == 0 || strcmp(r.kind[k].name, "line") == 0);
        for (int s = 0; s < STARTS; s++) all += r.kind[k].chosen[s];
        ck_assert_int_eq(all, r.kind[k].tasks);
        tasks += all;
        mean += r.kind[k].score.mean * all / TASKS;
    }
    ck_assert_int_eq(tasks, TASKS);
    ck_assert_double_eq_tol(mean, r.test.query[STEPS].mean, 1e-9);
    clm_device_close(device);
}
END_TEST

/* A model from the run begins where the support loss is lowest, by hand as well. */
START_TEST(in_use_the_best_is_adapted) {
    clm_device *device = clm_test_open(_i);
    clm_params *params[STARTS];
    clm_archive *archive;
    clm_learner *learner;
    char path[512];
    int seen[STARTS] = {0};
    run_in(device, "run", false);
    char *run = clm_path_join(directory, "run");
    CLM_TEST_OK(clm_train_checkpoint_path(path, sizeof path, run, 0));
    CLM_TEST_OK(clm_archive_load(&archive, path));
    draw_params(params);
    for (int s = 0; s < STARTS; s++) CLM_TEST_OK(clm_params_load_of(params[s], archive, s));
    CLM_TEST_OK(clm_learner_load(&learner, device, run, NULL));
    ck_assert_int_eq(clm_learner_get_info(learner).initialisations, STARTS);
    for (uint64_t t = 0; t < 12; t++) {
        float x[SHOTS], y[SHOTS];
        double losses[STARTS];
        CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TEST, 9, t, 1, SHOTS, 1, x, y, NULL, NULL));
        losses_of(params, CLM_SPLIT_TEST, 9, t, losses);
        CLM_TEST_OK(clm_learner_adapt(learner, x, y));
        const int chosen = clm_learner_get_info(learner).chosen;
        ck_assert_int_eq(chosen, least(losses));
        double loss;
        CLM_TEST_OK(clm_learner_step(learner, &loss)); /* what one more step begins with */
        ck_assert_double_lt(fabs(loss - losses[chosen]), 1e-4 * (1 + losses[chosen]));
        seen[chosen]++;
    }
    ck_assert(seen[0] < 12 && seen[1] < 12 && seen[2] < 12);
    for (int s = 0; s < STARTS; s++) clm_params_free(params[s]);
    clm_learner_free(learner);
    clm_archive_free(archive);
    free(run);
    clm_device_close(device);
}
END_TEST

/* Sinusoids and lines have no initial parameters in common. */
START_TEST(kinds_part) {
    clm_device *device = clm_test_open_opencl();
    const double apart = 0.75;
    options.meta.initialisations = 2;
    options.meta.tasks = 16;
    options.meta.task.steps = 3;
    options.meta.optim.lr = 0.003;
    options.episodes.shots = options.episodes.query = 10;
    options.iterations = 1500;
    options.balanced_until = 300;
    options.validate_every = options.log_every = options.checkpoint_every = 500;
    options.test_tasks = 200;
    clm_model_free(model);
    CLM_TEST_OK(clm_model_mlp(&model, 1, (const int[]){20, 20}, 2, 1));
    const clm_train_result r = run_in(device, "run", false);
    const clm_train_kind *a = &r.kind[0], *b = &r.kind[1];
    const double share_a = (double)a->chosen[0] / a->tasks, share_b = (double)b->chosen[0] / b->tasks;
    ck_assert_msg(r.kinds == 2 && fabs(share_a - share_b) > apart, "%s %.2f, %s %.2f go to the first", a->name, share_a,
                  b->name, share_b);
    clm_device_close(device);
}
END_TEST

/* ---- what cannot be ---- */

static void expect_refusal(const char *word) {
    ck_assert_int_eq(clm_train_check(source, &options), CLM_E_ARG);
    SAYS(word);
}

START_TEST(options_that_cannot_be) {
    clm_device *device = clm_test_open_host();
    clm_evaluator *evaluator = make_evaluator(device, 4);
    clm_params *params[STARTS];
    options.ensemble = 2;
    expect_refusal("initialisations 3 and ensemble 2 exclude each other");
    options.ensemble = 1;
    options.meta.task.support_per_step = true;
    expect_refusal("support_per_step");
    options.meta.task.support_per_step = false;
    options.meta.task.algorithm = "pretrain";
    options.meta.both_orders = false;
    expect_refusal("pretrain has no inner steps in training");
    options.meta.task.algorithm = "maml";
    options.meta.initialisations = CLM_INITIALISATIONS_MOST + 1;
    expect_refusal("initialisations is 17; it must be from 1 to 16");
    draw_params(params);
    ck_assert_int_eq(clm_evaluator_load_all(evaluator, params, 0), CLM_E_ARG);
    SAYS("0 initialisations");
    for (int s = 0; s < STARTS; s++) clm_params_free(params[s]);
    clm_evaluator_free(evaluator);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("choice");
    TCase *tcase = tcase_create("choice");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, tasks_go_where_the_support_loss_is_lowest, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, losses_of_tasks_of_the_caller, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, resumed_to_the_bit, 0, CLM_TEST_DEVICES);
    tcase_add_test(tcase, shares_are_equal_at_first);
    tcase_add_loop_test(tcase, in_use_the_best_is_adapted, 0, CLM_TEST_DEVICES);
    tcase_add_test(tcase, kinds_part);
    tcase_add_test(tcase, options_that_cannot_be);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
