/* Threads: two learners on two devices in two threads are as independent as they look; one device is refused to a second thread while the
 * first is inside, and is that thread's afterwards. The thread sanitizer watches (the preset tsan). */
#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "device/backend.h"
#include "support/meta_setup.h"
#include "support/run.h"

enum { TASKS = 2, STEPS = 2, ROUNDS = 30, MOST = 64 };

static clm_model *model;
static clm_meta_options options;
static clm_test_batch batch;

static void enter(void) {
    model = clm_test_model(CLM_TEST_NET_CLASSES);
    options = clm_test_options(CLM_TEST_NET_CLASSES, NULL, TASKS, STEPS);
    batch = clm_test_batch_make(model, &options, 1);
}

static void leave(void) {
    clm_test_batch_free(&batch);
    clm_model_free(model);
}

/* ---- a thread's work ---- */

typedef struct work {
    int which; /* clm_test_open */
    clm_device *device;
    clm_learner *learner;
    double out[MOST], loss;
    size_t refused;
    clm_status status;
    char message[512];
} work;

/* Nothing in a thread may fail a test: the status is looked at by whoever waits. */
static clm_status predict_once(work *w) {
    CLM_TRY(clm_learner_begin(w->learner, batch.data[0], batch.data[1]));
    for (int k = 0; k < STEPS; k++) CLM_TRY(clm_learner_step(w->learner, NULL));
    return clm_learner_predict(w->learner, batch.data[2], (size_t)options.task.query, w->out);
}

static clm_status make_learner(work *w) {
    clm_learner_options o = CLM_LEARNER_OPTIONS_INIT;
    o.tasks = options.tasks;
    o.task = options.task;
    return clm_learner_create(&w->learner, w->device, model, &o);
}

static clm_status train_once(work *w) {
    clm_meta *meta = NULL;
    clm_meta_report report = {0};
    clm_status status = clm_meta_create(&meta, w->device, model, &options);
    for (int i = 0; i < 2 && status == CLM_OK; i++) status = clm_meta_step(meta, &batch.batch, &report);
    w->loss = report.query_loss;
    clm_meta_free(meta);
    return status;
}

static clm_status do_everything(work *w) {
    clm_status status = CLM_OK;
    CLM_GOTO(clm_device_open(&w->device, w->which ? NULL : "host"));
    CLM_GOTO(make_learner(w));
    for (int i = 0; i < ROUNDS; i++) CLM_GOTO(predict_once(w));
    CLM_GOTO(train_once(w));
out:
    clm_learner_free(w->learner);
    clm_device_close(w->device);
    return status;
}

static void finish(work *w, clm_status status) {
    w->status = status;
    strncpy(w->message, status == CLM_OK ? "" : clm_last_error(), sizeof w->message - 1);
}

static void everything(void *argument) { finish(argument, do_everything(argument)); }

static void expect_good(const work *w) { ck_assert_msg(w->status == CLM_OK, "%s", w->message); }

/* ---- two devices ---- */

START_TEST(two_devices_in_two_threads) {
    work alone = {.which = _i}, w[2] = {{.which = _i}, {.which = _i}};
    clm_thread *thread[2];
    everything(&alone);
    expect_good(&alone);
    for (int i = 0; i < 2; i++) CLM_TEST_OK(clm_thread_start(&thread[i], everything, &w[i]));
    for (int i = 0; i < 2; i++) clm_thread_join(thread[i]);
    for (int i = 0; i < 2; i++) {
        expect_good(&w[i]);
        ck_assert_mem_eq(w[i].out, alone.out, sizeof alone.out);
        ck_assert_mem_eq(&w[i].loss, &alone.loss, sizeof alone.loss);
    }
}
END_TEST

/* ---- one device ---- */

static void predict_in_thread(void *argument) { finish(argument, predict_once(argument)); }
static void train_in_thread(void *argument) { finish(argument, train_once(argument)); }
static void create_in_thread(void *argument) {
    work *w = argument;
    finish(w, make_learner(w));
}

START_TEST(one_device_is_refused_to_a_second_thread) {
    static void (*const uses[])(void *) = {predict_in_thread, train_in_thread, create_in_thread};
    work own = {.device = clm_test_open(_i)}, other = own;
    clm_thread *thread;
    CLM_TEST_OK(make_learner(&own));
    other.learner = own.learner;
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        CLM_TEST_OK(clm_device_enter(own.device)); /* as a call does that takes long */
        CLM_TEST_OK(clm_thread_start(&thread, uses[i], &other));
        clm_thread_join(thread);
        ck_assert_int_eq(other.status, CLM_E_STATE);
        ck_assert_ptr_nonnull(strstr(other.message, "is in use by another thread"));
        CLM_TEST_OK(predict_once(&own)); /* calls nest */
        clm_device_leave(own.device);
    }
    /* Handed over, it is the other's. */
    other.learner = own.learner;
    CLM_TEST_OK(clm_thread_start(&thread, predict_in_thread, &other));
    clm_thread_join(thread);
    expect_good(&other);
    ck_assert_mem_eq(own.out, other.out, sizeof own.out);
    clm_learner_free(own.learner);
    clm_device_close(own.device);
}
END_TEST

static void insist(void *argument) {
    work *w = argument;
    clm_status status = CLM_OK;
    for (int i = 0; i < ROUNDS && status == CLM_OK; i++) {
        status = predict_once(w);
        if (status != CLM_E_STATE) continue;
        w->refused++;
        status = CLM_OK;
    }
    finish(w, status);
}

/* Each with a learner of its own; calls that meet are refused, and nothing else goes wrong. */
START_TEST(two_threads_insist_on_one_device) {
    clm_device *device = clm_test_open(_i);
    work w[2] = {{.device = device}, {.device = device}};
    clm_thread *thread[2];
    for (int i = 0; i < 2; i++) CLM_TEST_OK(make_learner(&w[i]));
    for (int i = 0; i < 2; i++) CLM_TEST_OK(clm_thread_start(&thread[i], insist, &w[i]));
    for (int i = 0; i < 2; i++) clm_thread_join(thread[i]);
    for (int i = 0; i < 2; i++) {
        expect_good(&w[i]);
        CLM_TEST_OK(predict_once(&w[i]));
        clm_learner_free(w[i].learner);
    }
    ck_assert_mem_eq(w[0].out, w[1].out, sizeof w[0].out);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("threads");
    TCase *tc = tcase_create("threads");
    tcase_add_checked_fixture(tc, enter, leave);
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, two_devices_in_two_threads, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tc, one_device_is_refused_to_a_second_thread, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tc, two_threads_insist_on_one_device, 0, CLM_TEST_DEVICES);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
