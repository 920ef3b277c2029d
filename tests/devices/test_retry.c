/* A device with less memory than it says: smaller plans with the same gradient, the optimiser's state kept, or one clear error. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "device/opencl/opencl.h"
#include "meta/internal.h"
#include "support/launch.h"
#include "support/meta_setup.h"
#include "support/numbers.h"

enum { TASKS = 4, STEPS = 2, UPDATES = 3 };

static const char *const when[] = {"allocation", "launch", "wait"};
enum { WHENS = sizeof when / sizeof *when };

static clm_meta_options options_for(clm_test_net net) {
    clm_meta_options o = clm_test_options(net, &clm_test_algorithms[0], TASKS, STEPS);
    o.optim.rule = "adam";
    return o;
}

/* Parameters after some updates, one after the other, and what they were planned as at the end. */
static clm_meta_plan train(clm_device *device, const clm_model *model, const clm_meta_options *o, size_t real, int from,
                           double *params) {
    clm_test_batch batch = clm_test_batch_make(model, o, 1);
    clm_meta *meta = NULL;
    CLM_TEST_OK(clm_meta_create(&meta, device, model, o));
    for (int i = 0; i < UPDATES; i++) {
        if (i == from) clm_cl(device)->emulation.real_memory = real;
        CLM_TEST_OK(clm_meta_step(meta, &batch.batch, NULL));
    }
    for (size_t i = 0, at = 0; i < clm_model_param_count(model); i++) {
        CLM_TEST_OK(clm_meta_get_param(meta, i, params + at));
        at += clm_shape_size(&clm_model_param(model, i)->shape);
    }
    clm_meta_plan plan = clm_meta_get_plan(meta);
    ck_assert_uint_eq(clm_meta_iteration(meta), UPDATES);
    ck_assert_uint_eq(clm_device_allocated(device), plan.bytes);
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    ck_assert_uint_eq(clm_device_allocated(device), 0);
    return plan;
}

static size_t count_params(const clm_model *model) {
    size_t n = 0;
    for (size_t i = 0; i < clm_model_param_count(model); i++) n += clm_shape_size(&clm_model_param(model, i)->shape);
    return n;
}

/* The lack shows at the first or the second update, in each of the ways; the device has two thirds, or a third, of what the whole takes. */
START_TEST(smaller_plans_give_the_same_numbers) {
    const int how = _i % WHENS, from = _i / WHENS;
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = options_for(CLM_TEST_NET_CONV);
    size_t n = count_params(model);
    double *whole = clm_calloc(n, sizeof *whole), *less = clm_calloc(n, sizeof *less);
    clm_device *device = clm_test_open_opencl();
    clm_meta_plan plan = train(device, model, &o, 0, 0, whole);
    ck_assert_int_eq(plan.task_chunk, TASKS);
    clm_device_close(device);
    for (size_t third = 2; third > 0; third--) {
        char text[64];
        snprintf(text, sizeof text, "memory_fails=%s", when[how]);
        setenv("CLMAML_EMULATE", text, 1);
        device = clm_test_open_opencl();
        clm_meta_plan smaller = train(device, model, &o, plan.bytes * third / 3, from, less);
        /* Memory that is allocated already does not fail at an allocation. */
        bool shrinks = how != 0 || from == 0;
        ck_assert_int_eq(smaller.bytes < plan.bytes, shrinks);
        ck_assert_int_eq(smaller.task_chunk < TASKS || smaller.checkpointing == CLM_CHECKPOINT_RECOMPUTE, shrinks);
        if (shrinks) ck_assert_uint_le(smaller.bytes, plan.bytes * third / 3);
        ck_assert_double_lt(clm_test_difference(less, whole, n), 1e-5);
        clm_device_close(device);
        unsetenv("CLMAML_EMULATE");
    }
    free(whole);
    free(less);
    clm_model_free(model);
}
END_TEST

/* With the way of checkpointing given, only the chunk changes, and with it no bit. */
START_TEST(smaller_chunks_give_the_same_bits) {
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options o = options_for(CLM_TEST_NET_CLASSES);
    size_t n = count_params(model);
    double *whole = clm_calloc(n, sizeof *whole), *less = clm_calloc(n, sizeof *less);
    o.checkpointing = CLM_CHECKPOINT_STORE;
    clm_device *device = clm_test_open_opencl();
    clm_meta_plan plan = train(device, model, &o, 0, 0, whole);
    clm_device_close(device);
    setenv("CLMAML_EMULATE", "memory_fails=launch", 1);
    device = clm_test_open_opencl();
    clm_meta_plan smaller = train(device, model, &o, plan.bytes - 1, 1, less);
    ck_assert_int_lt(smaller.task_chunk, TASKS);
    ck_assert_int_eq(smaller.checkpointing, CLM_CHECKPOINT_STORE);
    ck_assert_mem_eq(whole, less, n * sizeof *whole);
    clm_device_close(device);
    free(whole);
    free(less);
    clm_model_free(model);
}
END_TEST

static clm_status try_with(clm_device *device, const clm_model *model, const clm_meta_options *o, size_t real) {
    clm_test_batch batch = clm_test_batch_make(model, o, 1);
    clm_meta *meta = NULL;
    clm_status status;
    CLM_TEST_OK(clm_meta_create(&meta, device, model, o));
    clm_cl(device)->emulation.real_memory = real;
    status = clm_meta_gradient(meta, &batch.batch);
    ck_assert_int_ne(clm_meta_gradient(meta, &batch.batch), CLM_OK); /* nor the next time */
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    return status;
}

START_TEST(too_little_for_any_plan_is_said) {
    char text[64];
    snprintf(text, sizeof text, "memory_fails=%s", when[_i]);
    setenv("CLMAML_EMULATE", text, 1);
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = options_for(CLM_TEST_NET_CONV);
    ck_assert_int_eq(try_with(device, model, &o, 4096), CLM_E_MEMORY);
    o.task_chunk = 2;
    o.checkpointing = CLM_CHECKPOINT_STORE;
    ck_assert_int_eq(try_with(device, model, &o, 4096), CLM_E_MEMORY);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

START_TEST(the_error_names_the_remedy) {
    setenv("CLMAML_EMULATE", "memory_real=4K", 1);
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = options_for(CLM_TEST_NET_CONV);
    clm_meta *meta = NULL;
    o.task_chunk = 2;
    o.checkpointing = CLM_CHECKPOINT_STORE;
    CLM_TEST_OK(clm_meta_create(&meta, device, model, &o));
    ck_assert_int_eq(clm_meta_prepare(meta), CLM_E_MEMORY);
    static const char *const says[] = {"CL_MEM_OBJECT_ALLOCATION_FAILURE",
                                       "(emulated)",
                                       "KiB are the least",
                                       "2 tasks at a time",
                                       "chunk open",
                                       "allow recomputation",
                                       "smaller model"};
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) CLM_TEST_SAYS(says[i]);
    clm_meta_free(meta);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- small allocations ---- */

/* The largest piece halved until no plan is left: on the way the workspace is split, and the numbers stay. */
START_TEST(small_allocations_split_the_workspace) {
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = options_for(CLM_TEST_NET_CONV);
    size_t n = count_params(model), most = 0, pieces = 0;
    double *whole = clm_calloc(n, sizeof *whole), *less = clm_calloc(n, sizeof *less);
    clm_device *device = clm_test_open_opencl();
    o.checkpointing = CLM_CHECKPOINT_STORE;
    train(device, model, &o, 0, 0, whole);
    clm_device_close(device);
    for (size_t largest = 1 << 20; largest >= 4096; largest /= 2) {
        char text[64];
        clm_meta *meta = NULL;
        snprintf(text, sizeof text, "max_allocation=%zu", largest);
        setenv("CLMAML_EMULATE", text, 1);
        device = clm_test_open_opencl();
        ck_assert_uint_eq(device->info.max_allocation, largest);
        clm_status status = clm_meta_create(&meta, device, model, &o);
        if (status == CLM_OK) {
            pieces = meta->shares[0]->exec.workspace->count;
            if (pieces > most) most = pieces;
            clm_meta_free(meta);
            train(device, model, &o, 0, 0, less);
            ck_assert_double_lt(clm_test_difference(less, whole, n), 1e-5);
        } else {
            ck_assert_int_eq(status, CLM_E_LIMIT);
            ck_assert_uint_lt(largest, 1 << 16);
        }
        clm_device_close(device);
    }
    ck_assert_uint_gt(most, 2);
    free(whole);
    free(less);
    clm_model_free(model);
}
END_TEST

/* ---- CLMAML_MEMORY_LIMIT ---- */

static clm_status plan_with(const char *variable, size_t option, clm_meta_plan *plan) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = options_for(CLM_TEST_NET_CONV);
    clm_meta *meta = NULL;
    setenv("CLMAML_MEMORY_LIMIT", variable, 1);
    o.memory_limit = option;
    clm_status status = clm_meta_create(&meta, device, model, &o);
    if (status == CLM_OK) *plan = clm_meta_get_plan(meta);
    clm_meta_free(meta);
    clm_model_free(model);
    clm_device_close(device);
    return status;
}

START_TEST(limit_by_variable) {
    clm_meta_plan whole, less;
    char text[32];
    CLM_TEST_OK(plan_with("", 0, &whole));
    snprintf(text, sizeof text, "%zu", whole.bytes - 1);
    CLM_TEST_OK(plan_with(text, 0, &less));
    ck_assert_uint_lt(less.bytes, whole.bytes);
    CLM_TEST_OK(plan_with(text, whole.bytes, &less)); /* what is asked for goes before the environment */
    ck_assert_uint_eq(less.bytes, whole.bytes);
    CLM_TEST_OK(plan_with("1T", 0, &less));
    ck_assert_uint_eq(less.bytes, whole.bytes);
    ck_assert_int_eq(plan_with("1K", 0, &less), CLM_E_LIMIT);
    ck_assert_int_eq(plan_with("plenty", 0, &less), CLM_E_ARG);
    CLM_TEST_SAYS("CLMAML_MEMORY_LIMIT");
    ck_assert_int_eq(plan_with("0", 0, &less), CLM_E_ARG);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("retry");
    TCase *tcase = tcase_create("fit");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, smaller_plans_give_the_same_numbers, 0, 2 * WHENS);
    tcase_add_test(tcase, smaller_chunks_give_the_same_bits);
    tcase_add_loop_test(tcase, too_little_for_any_plan_is_said, 0, WHENS);
    tcase_add_test(tcase, the_error_names_the_remedy);
    tcase_add_test(tcase, small_allocations_split_the_workspace);
    tcase_add_test(tcase, limit_by_variable);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
