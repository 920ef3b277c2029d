/* Task kernels (CLMAML_CHAIN): the same numbers with far fewer launches, on a CPU and as work-groups with
 * barriers. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/run.h"

static const struct {
    clm_test_net net;
    int algorithm, tasks, steps;
    clm_checkpointing checkpointing;
    const char *emulate;
} rows[] = {
    {CLM_TEST_NET_REGRESSION, 0, 5, 2, CLM_CHECKPOINT_STORE, NULL},
    {CLM_TEST_NET_CLASSES, 3, 3, 2, CLM_CHECKPOINT_STORE, NULL},
    {CLM_TEST_NET_CLASSES, 4, 4, 2, CLM_CHECKPOINT_RECOMPUTE, NULL},
    {CLM_TEST_NET_CONV, 0, 3, 1, CLM_CHECKPOINT_STORE, NULL},
    {CLM_TEST_NET_REGRESSION, 0, 5, 2, CLM_CHECKPOINT_STORE, "type=gpu"},
    {CLM_TEST_NET_CLASSES, 0, 3, 1, CLM_CHECKPOINT_STORE, "type=gpu,max_work_group=1"},
};
enum { ROWS = sizeof rows / sizeof *rows };

typedef struct outcome {
    clm_test_vector gradient, results;
    size_t launches;
} outcome;

static outcome run(int row, const char *mode) {
    outcome o;
    setenv("CLMAML_CHAIN", mode, 1);
    if (rows[row].emulate)
        setenv("CLMAML_EMULATE", rows[row].emulate, 1);
    else
        unsetenv("CLMAML_EMULATE");
    clm_device *device = clm_test_open(1);
    clm_model *model = clm_test_model(rows[row].net);
    clm_meta_options options =
        clm_test_options(rows[row].net, &clm_test_algorithms[rows[row].algorithm], rows[row].tasks, rows[row].steps);
    options.checkpointing = rows[row].checkpointing;
    clm_meta *meta = clm_test_meta(device, model, &options, 3);
    clm_test_batch batch = clm_test_batch_make(model, &options, 4);
    /* Twice: what the first run leaves in memory must not matter to the second. */
    CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
    CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
    o.gradient = clm_test_gradient(meta, model);
    o.results = clm_test_results(meta, model, false);
    o.launches = clm_meta_get_plan(meta).launches;
    clm_test_batch_free(&batch);
    clm_meta_free(meta);
    clm_model_free(model);
    clm_device_close(device);
    return o;
}

static void outcome_free(outcome *o) {
    clm_test_vector_free(&o->gradient);
    clm_test_vector_free(&o->results);
}

START_TEST(task_kernels_change_no_numbers) {
    outcome fused = run(_i, "always"), single = run(_i, "never");
    clm_test_expect_close(&fused.gradient, &single.gradient, 1e-6, "gradient");
    clm_test_expect_close(&fused.results, &single.results, 1e-6, "results");
    ck_assert_msg(fused.launches * 2 < single.launches, "%zu launches with task kernels, %zu without", fused.launches,
                  single.launches);
    outcome_free(&fused);
    outcome_free(&single);
}
END_TEST

/* Small dense networks become task kernels by default; a convolution does not. */
START_TEST(chosen_where_launches_are_small) {
    if (rows[_i].emulate) return;
    outcome automatic = run(_i, "auto"), single = run(_i, "never");
    if (rows[_i].net == CLM_TEST_NET_CONV)
        ck_assert_uint_eq(automatic.launches, single.launches);
    else
        ck_assert_uint_lt(automatic.launches, single.launches);
    outcome_free(&automatic);
    outcome_free(&single);
}
END_TEST

START_TEST(a_bad_wish_is_an_error) {
    setenv("CLMAML_CHAIN", "sometimes", 1);
    unsetenv("CLMAML_EMULATE");
    clm_device *device = clm_test_open(1);
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, NULL, 2, 1);
    clm_meta *meta = NULL;
    ck_assert_int_eq(clm_meta_create(&meta, device, model, &options), CLM_E_ARG);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "CLMAML_CHAIN"));
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "sometimes"));
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("task kernel");
    TCase *tcase = tcase_create("task_kernel");
    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, task_kernels_change_no_numbers, 0, ROWS);
    tcase_add_loop_test(tcase, chosen_where_launches_are_small, 0, ROWS);
    tcase_add_test(tcase, a_bad_wish_is_an_error);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
