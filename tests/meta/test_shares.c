/* A meta-batch shared out to several devices: the same numbers as on one, the same bits for the same shares, under a limit for each
 * device, through saving and restoring, and nothing lost when a device fails. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "device/backend.h"
#include "meta/internal.h"
#include "support/meta_setup.h"
#include "support/run.h"

enum { MOST = 3 };

/* Which devices a test runs on: opened apart, so that one OpenCL device counts as several. */
static const char *const sets[] = {"hhh", "ooo", "oho"};
enum { SETS = sizeof sets / sizeof *sets };

typedef struct rig {
    clm_device *device[MOST];
    clm_meta_share share[MOST];
    double tolerance; /* between the sums of one device and those of several */
} rig;

static rig rig_open(const char *set) {
    rig r = {.tolerance = strchr(set, 'o') ? 1e-5 : 1e-12};
    for (int i = 0; i < MOST; i++) {
        r.device[i] = clm_test_open(set[i] == 'h' ? 0 : 1);
        r.share[i].device = r.device[i];
    }
    return r;
}

static void rig_close(rig *r) {
    for (int i = 0; i < MOST; i++) {
        ck_assert_uint_eq(clm_device_allocated(r->device[i]), 0);
        clm_device_close(r->device[i]);
    }
}

static void set_tasks(rig *r, int a, int b, int c) {
    const int tasks[MOST] = {a, b, c};
    for (int i = 0; i < MOST; i++) r->share[i].tasks = tasks[i];
}

static clm_meta *shared_out(const rig *r, const clm_model *model, const clm_meta_options *options, uint64_t seed) {
    clm_meta *meta = NULL;
    CLM_TEST_OK(clm_meta_create_on(&meta, r->share, MOST, model, options));
    clm_test_randomise(meta, model, options, seed);
    return meta;
}

/* ---- the gradient ---- */

static const struct {
    clm_test_net net;
    int algorithm, steps, chunk;
    clm_checkpointing checkpointing;
    int tasks[MOST];
} rows[] = {
    {CLM_TEST_NET_REGRESSION, 0, 2, 0, CLM_CHECKPOINT_STORE, {2, 2, 2}},
    {CLM_TEST_NET_REGRESSION, 3, 3, 1, CLM_CHECKPOINT_RECOMPUTE, {3, 1, 2}},
    {CLM_TEST_NET_CLASSES, 4, 2, 2, CLM_CHECKPOINT_STORE, {1, 4, 1}},
    {CLM_TEST_NET_CLASSES, 7, 2, 3, CLM_CHECKPOINT_RECOMPUTE, {0, 5, 1}},
    {CLM_TEST_NET_CONV, 0, 1, 0, CLM_CHECKPOINT_STORE, {4, 0, 2}},
    {CLM_TEST_NET_CONV, 2, 2, 0, CLM_CHECKPOINT_RECOMPUTE, {3, 2, 1}},
    {CLM_TEST_NET_COLOUR, 6, 2, 0, CLM_CHECKPOINT_STORE, {1, 2, 3}},
    {CLM_TEST_NET_COLOUR, 5, 2, 6, CLM_CHECKPOINT_STORE, {0, 0, 6}},
};
enum { ROWS = sizeof rows / sizeof *rows, TASKS = 6 };

static clm_meta_options options_of_row(int row) {
    clm_meta_options o = clm_test_options(rows[row].net, &clm_test_algorithms[rows[row].algorithm], TASKS, rows[row].steps);
    o.checkpointing = rows[row].checkpointing;
    o.task_chunk = rows[row].chunk;
    o.keep_adapted = true;
    return o;
}

START_TEST(gradient_is_that_of_one_device) {
    int row = _i % ROWS;
    rig r = rig_open(sets[_i / ROWS]);
    clm_model *model = clm_test_model(rows[row].net);
    clm_meta_options options = options_of_row(row);
    clm_test_batch batch = clm_test_batch_make(model, &options, 5);
    clm_meta *one = clm_test_meta(r.device[0], model, &options, 3);
    CLM_TEST_OK(clm_meta_gradient(one, &batch.batch));
    clm_test_vector expected = clm_test_gradient(one, model), results = clm_test_results(one, model, true);
    clm_meta_free(one);
    set_tasks(&r, rows[row].tasks[0], rows[row].tasks[1], rows[row].tasks[2]);
    clm_test_vector first = {0};
    for (int time = 0; time < 2; time++) {
        clm_meta *meta = shared_out(&r, model, &options, 3);
        CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
        clm_test_vector v = clm_test_gradient(meta, model), w = clm_test_results(meta, model, true);
        clm_test_expect_close(&expected, &v, r.tolerance, "gradient");
        clm_test_expect_close(&results, &w, r.tolerance, "results of tasks");
        if (time == 0)
            first = v;
        else
            clm_test_expect_same(&first, &v, "once more");
        if (time > 0) clm_test_vector_free(&v);
        clm_test_vector_free(&w);
        clm_meta_free(meta);
    }
    clm_test_vector_free(&first);
    clm_test_vector_free(&expected);
    clm_test_vector_free(&results);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    rig_close(&r);
}
END_TEST

START_TEST(parts_are_as_asked_and_predicted) {
    rig r = rig_open(sets[_i]);
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CONV, NULL, TASKS, 2);
    options.optim.rule = "adam";
    clm_meta *meta = NULL;
    set_tasks(&r, 3, 0, 3);
    CLM_TEST_OK(clm_meta_create_on(&meta, r.share, MOST, model, &options));
    for (int i = 0; i < MOST; i++) ck_assert_uint_eq(clm_device_allocated(r.device[i]), 0);
    CLM_TEST_OK(clm_meta_prepare(meta));
    ck_assert_uint_eq(clm_meta_part_count(meta), 2);
    clm_meta_part a = clm_meta_get_part(meta, 0), b = clm_meta_get_part(meta, 1);
    ck_assert(a.device == r.device[0] && a.first == 0 && a.tasks == 3);
    ck_assert(b.device == r.device[2] && b.first == 3 && b.tasks == 3);
    ck_assert_uint_eq(a.plan.bytes, clm_device_allocated(r.device[0]));
    ck_assert_uint_eq(b.plan.bytes, clm_device_allocated(r.device[2]));
    ck_assert_uint_eq(clm_device_allocated(r.device[1]), 0);
    ck_assert_uint_eq(clm_meta_get_plan(meta).bytes, a.plan.bytes + b.plan.bytes);
    if (!strchr(sets[_i], 'h')) ck_assert_uint_gt(a.plan.bytes, b.plan.bytes); /* the optimiser is on the first alone */
    clm_test_batch batch = clm_test_batch_make(model, &options, 1);
    for (int k = 0; k < 2; k++) CLM_TEST_OK(clm_meta_step(meta, &batch.batch, NULL));
    ck_assert_uint_eq(a.plan.bytes, clm_device_allocated(r.device[0]));
    ck_assert_double_gt(clm_meta_get_part(meta, 1).seconds, 0);
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    rig_close(&r);
}
END_TEST

/* ---- training ---- */

static const char *const optims[] = {"sgd", "momentum", "adam", "adamw"};

static clm_test_vector train(clm_meta *meta, const clm_model *model, const clm_meta_options *options, uint64_t from,
                             uint64_t to, clm_meta_report *report) {
    for (uint64_t i = from; i < to; i++) {
        clm_test_batch batch = clm_test_batch_make(model, options, 100 + i);
        CLM_TEST_OK(clm_meta_step(meta, &batch.batch, report));
        clm_test_batch_free(&batch);
    }
    return clm_test_values(meta, model);
}

/* Training on several devices follows that on one; saved and restored half-way it gives the same bits; and one device can go on from
 * what several have saved. */
START_TEST(training_saving_restoring) {
    enum { HALF = 3, END = 6 };
    rig r = rig_open(sets[_i / 4]);
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, &clm_test_algorithms[_i % 2 ? 3 : 4], TASKS, 2);
    options.optim.rule = optims[_i % 4];
    options.optim.lr = 0.01;
    clm_meta_report alone, together;
    clm_archive *archive = NULL;
    set_tasks(&r, 1, 3, 2);

    clm_meta *one = clm_test_meta(r.device[0], model, &options, 8), *many = shared_out(&r, model, &options, 8);
    clm_test_vector expected = train(one, model, &options, 0, END, &alone), half = train(many, model, &options, 0, HALF, NULL);
    CLM_TEST_OK(clm_archive_create(&archive));
    CLM_TEST_OK(clm_meta_save(many, archive));
    clm_test_vector whole = train(many, model, &options, HALF, END, &together);
    double scale = strchr(sets[_i / 4], 'o') ? 100 : 10; /* Adam divides by gradients that may be small */
    clm_test_expect_close(&expected, &whole, scale * r.tolerance, "trained");
    ck_assert_double_eq_tol(alone.query_loss, together.query_loss, scale * r.tolerance);
    ck_assert_double_eq_tol(alone.support_loss, together.support_loss, scale * r.tolerance);
    ck_assert_double_eq_tol(alone.grad_norm, together.grad_norm, scale * r.tolerance * alone.grad_norm);
    ck_assert_double_eq_tol(alone.query_accuracy, together.query_accuracy, 1e-6);
    clm_meta_free(one);
    clm_meta_free(many);

    many = shared_out(&r, model, &options, 9);
    CLM_TEST_OK(clm_meta_restore(many, archive));
    ck_assert_uint_eq(clm_meta_iteration(many), HALF);
    clm_test_vector resumed = train(many, model, &options, HALF, END, NULL);
    clm_test_expect_same(&whole, &resumed, "resumed");
    clm_meta_free(many);
    one = clm_test_meta(r.device[1], model, &options, 9);
    CLM_TEST_OK(clm_meta_restore(one, archive));
    clm_test_vector moved = train(one, model, &options, HALF, END, NULL);
    clm_test_expect_close(&whole, &moved, scale * r.tolerance, "resumed on one device");
    clm_meta_free(one);

    clm_archive_free(archive);
    clm_test_vector *all[] = {&expected, &half, &whole, &resumed, &moved};
    for (size_t i = 0; i < 5; i++) clm_test_vector_free(all[i]);
    clm_model_free(model);
    rig_close(&r);
}
END_TEST

/* ---- limits ---- */

START_TEST(each_device_has_its_limit) {
    rig r = rig_open(sets[_i]);
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CONV, NULL, 8, 2);
    clm_meta *meta = NULL;
    set_tasks(&r, 4, 4, 0);
    CLM_TEST_OK(clm_meta_create_on(&meta, r.share, MOST, model, &options));
    size_t free_bytes = clm_meta_get_part(meta, 1).plan.bytes;
    clm_meta_free(meta);
    r.share[1].memory_limit = free_bytes - 1;
    CLM_TEST_OK(clm_meta_create_on(&meta, r.share, MOST, model, &options));
    clm_meta_part a = clm_meta_get_part(meta, 0), b = clm_meta_get_part(meta, 1);
    ck_assert_int_eq(a.plan.task_chunk, 4);
    ck_assert_int_lt(b.plan.task_chunk, 4);
    ck_assert_uint_lt(b.plan.bytes, free_bytes);
    clm_meta_free(meta);
    r.share[1].memory_limit = 2000;
    ck_assert_int_eq(clm_meta_create_on(&meta, r.share, MOST, model, &options), CLM_E_LIMIT);
    ck_assert_ptr_null(meta);
    ck_assert_msg(strstr(clm_last_error(), r.device[1]->info.name) && strstr(clm_last_error(), "tasks 4 to 7 of 8") &&
                      strstr(clm_last_error(), "memory limit"),
                  "%s", clm_last_error());
    clm_model_free(model);
    rig_close(&r);
}
END_TEST

/* ---- failures ---- */

static clm_backend failing;
static const clm_backend *real;
static int launches_left;

static clm_status failing_enqueue(clm_device *d, clm_kernel *kernel) {
    if (launches_left-- > 0) return real->enqueue(d, kernel);
    return clm_fail(CLM_E_DEVICE, "this launch was made to fail");
}

/* A device fails in the midst of a step: the error names it and its tasks, nothing is updated, and the step can be made again. */
START_TEST(one_device_fails) {
    rig r = rig_open(sets[_i]);
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, NULL, TASKS, 2);
    options.optim.lr = 0.1;
    set_tasks(&r, 2, 3, 1);
    for (int which = 0; which < 2; which++) {
        clm_meta *meta = shared_out(&r, model, &options, 8), *same = shared_out(&r, model, &options, 8);
        clm_test_vector expected = train(same, model, &options, 0, 2, NULL), one = train(meta, model, &options, 0, 1, NULL);
        clm_test_batch batch = clm_test_batch_make(model, &options, 101);
        real = r.device[which]->backend;
        failing = *real;
        failing.enqueue = failing_enqueue;
        launches_left = 1; /* within the gradient */
        r.device[which]->backend = &failing;
        double loss;
        ck_assert_int_eq(clm_meta_step(meta, &batch.batch, NULL), CLM_E_DEVICE);
        const char *tasks = which == 0 ? "tasks 0 to 1 of 6" : "tasks 2 to 4 of 6";
        ck_assert_msg(strstr(clm_last_error(), r.device[which]->info.name) && strstr(clm_last_error(), tasks) &&
                          strstr(clm_last_error(), "made to fail"),
                      "%s", clm_last_error());
        ck_assert_int_eq(clm_meta_read(meta, CLM_Q_QUERY_LOSS, 0, &loss), CLM_E_STATE);
        ck_assert_uint_eq(clm_meta_iteration(meta), 1);
        clm_test_vector after = clm_test_values(meta, model);
        clm_test_expect_same(&one, &after, "after a failure");
        r.device[which]->backend = real;
        clm_test_vector again = train(meta, model, &options, 1, 2, NULL);
        clm_test_expect_same(&expected, &again, "the step made again");
        clm_test_vector *all[] = {&expected, &one, &after, &again};
        for (size_t i = 0; i < 4; i++) clm_test_vector_free(all[i]);
        clm_test_batch_free(&batch);
        clm_meta_free(meta);
        clm_meta_free(same);
    }
    clm_model_free(model);
    rig_close(&r);
}
END_TEST

START_TEST(wrong_shares_and_labels) {
    rig r = rig_open("hhh");
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, NULL, TASKS, 1);
    clm_meta *meta = NULL;
    set_tasks(&r, 2, 2, 1);
    ck_assert_int_eq(clm_meta_create_on(&meta, r.share, MOST, model, &options), CLM_E_ARG);
    ck_assert_msg(strstr(clm_last_error(), "5 tasks in all, the meta-batch has 6"), "%s", clm_last_error());
    set_tasks(&r, 7, -1, 0);
    ck_assert_int_eq(clm_meta_create_on(&meta, r.share, MOST, model, &options), CLM_E_ARG);
    ck_assert_int_eq(clm_meta_create_on(&meta, r.share, 0, model, &options), CLM_E_ARG);
    set_tasks(&r, 2, 2, 2);
    r.share[2].device = r.device[0];
    ck_assert_int_eq(clm_meta_create_on(&meta, r.share, MOST, model, &options), CLM_E_ARG);
    ck_assert_msg(strstr(clm_last_error(), "one device"), "%s", clm_last_error());
    r.share[2].device = r.device[2];
    CLM_TEST_OK(clm_meta_create_on(&meta, r.share, MOST, model, &options));
    clm_test_batch batch = clm_test_batch_make(model, &options, 1);
    batch.data[1][5 * options.task.support + 1] = 77;
    ck_assert_int_eq(clm_meta_gradient(meta, &batch.batch), CLM_E_ARG);
    ck_assert_msg(strstr(clm_last_error(), "task 5, support example 1"), "%s", clm_last_error());
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    rig_close(&r);
}
END_TEST

/* ---- sharing out ---- */

START_TEST(tasks_in_proportion_to_speed) {
    static const struct {
        double speed[MOST];
        int tasks, share[MOST];
    } cases[] = {
        {{1, 1, 1}, 6, {2, 2, 2}},  {{1, 1, 1}, 7, {3, 2, 2}}, {{3, 1, 0}, 32, {24, 8, 0}},    {{1, 100, 1}, 2, {0, 2, 0}},
        {{10, 1, 9}, 1, {1, 0, 0}}, {{2, 1, 1}, 4, {2, 1, 1}}, {{1000, 1, 1}, 32, {32, 0, 0}}, {{5e-3, 5e-3, 0}, 3, {2, 1, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int share[MOST];
        clm_shares_proportional(cases[i].speed, MOST, cases[i].tasks, share);
        ck_assert_msg(memcmp(share, cases[i].share, sizeof share) == 0, "case %zu: %d, %d, %d", i, share[0], share[1],
                      share[2]);
    }
}
END_TEST

START_TEST(balance_measures) {
    rig r = rig_open(sets[_i]);
    clm_model *model = clm_test_model(_i == 1 ? CLM_TEST_NET_REGRESSION : CLM_TEST_NET_COLOUR);
    for (int tasks = 1; tasks <= 8; tasks += 7) {
        clm_meta_options options = clm_test_options(_i == 1 ? CLM_TEST_NET_REGRESSION : CLM_TEST_NET_COLOUR, NULL, tasks, 1);
        double speed[MOST] = {0};
        int sum = 0, share[MOST];
        CLM_TEST_OK(clm_meta_balance(r.share, speed, MOST, model, &options));
        clm_shares_proportional(speed, MOST, tasks, share);
        for (int i = 0; i < MOST; i++) {
            ck_assert_double_gt(speed[i], 0);
            ck_assert_int_eq(r.share[i].tasks, share[i]);
            ck_assert_uint_eq(clm_device_allocated(r.device[i]), 0);
            sum += r.share[i].tasks;
        }
        ck_assert_int_eq(sum, tasks);
    }
    clm_model_free(model);
    rig_close(&r);
}
END_TEST

static void add_sets(TCase *tcase, int from, int to) {
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, gradient_is_that_of_one_device, ROWS * from, ROWS * to);
    tcase_add_loop_test(tcase, parts_are_as_asked_and_predicted, from, to);
    tcase_add_loop_test(tcase, training_saving_restoring, 4 * from, 4 * to);
    tcase_add_loop_test(tcase, each_device_has_its_limit, from, to);
    tcase_add_loop_test(tcase, one_device_fails, from, to);
    tcase_add_loop_test(tcase, balance_measures, from, to);
}

int main(void) {
    Suite *suite = suite_create("shares");
    TCase *host = tcase_create("host");
    tcase_add_test(host, wrong_shares_and_labels);
    tcase_add_test(host, tasks_in_proportion_to_speed);
    add_sets(host, 0, 1);
    suite_add_tcase(suite, host);
    TCase *opencl = tcase_create("opencl"); /* also */
    add_sets(opencl, 1, SETS);
    suite_add_tcase(suite, opencl);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
