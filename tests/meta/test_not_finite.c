/* Training runs in which a loss is not finite: such an update is not made, and ends the run or is left out and counted; a resumed run
 * leaves out the same ones; and where nothing is finite, the run ends after all. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/train_runs.h"

/* Training tasks of this iteration that hold the first class. */
static bool is_poisoned(uint64_t iteration) {
    const float sick = poison;
    float x[WAYS * 2 * FEATURES];
    bool found = false;
    poison = 1e10f; /* which can be drawn */
    for (uint64_t task = 2 * iteration; task < 2 * iteration + 2; task++) {
        CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TRAIN, options.seed, task, WAYS, 2, 3, x, NULL, NULL, NULL));
        for (int i = 0; i < WAYS * 2; i++) found = found || x[i * FEATURES] == poison;
    }
    poison = sick;
    return found;
}

START_TEST(what_is_not_finite_is_left_out) {
    clm_train_result result;
    uint64_t expected = 0, first_one = UINT64_MAX;
    poison = INFINITY;
    for (uint64_t i = 0; i < ITERATIONS; i++) {
        if (!is_poisoned(i)) continue;
        expected++;
        if (first_one == UINT64_MAX) first_one = i;
    }
    ck_assert(expected > 0 && expected < ITERATIONS);
    device = clm_test_open(_i);
    CLM_TEST_FAILS(clm_train(device, source, model, &options, NULL, &result), CLM_E_NUMERIC);
    SAYS("not finite");
    SAYS("points: number 0 of example ");
    SAYS("of class 0 of the train split is inf");
    ck_assert_ptr_null(strstr(clm_last_error(), "inner_lr")); /* which is not at fault */
    ck_assert_uint_eq(heard.iteration, first_one);
    options.on_nan = CLM_ON_NAN_SKIP;
    result = run_in("whole", false);
    ck_assert(result.iteration == ITERATIONS && result.skipped == expected);
    ck_assert_ptr_nonnull(strstr(heard.remark, "is left out"));
    for (size_t i = 0; i < heard.count; i++) {
        const clm_train_row *row = &heard.rows[i];
        if (row->kind != CLM_ROW_TRAIN) continue;
        ck_assert_int_eq(isfinite(row->value[CLM_METRIC_LOSS]) != 0, !is_poisoned(row->iteration - 1));
        expected -= is_poisoned(ITERATIONS - row->iteration);
    }
    ck_assert_uint_eq(expected, 0);
    ck_assert(heard.rows[heard.count - 1].value[CLM_METRIC_SKIPPED] == (double)result.skipped);
    for (uint64_t at = first_one + 1; at < first_one + 3; at++) { /* behind one that was left out, and after another */
        char name[16];
        snprintf(name, sizeof name, "halves%d", (int)at);
        heard.stop_at = at;
        ck_assert(run_in(name, false).stopped);
        heard.stop_at = 0;
        ck_assert_uint_eq(run_in(name, true).skipped, result.skipped);
        same_run("whole", name);
    }
}
END_TEST

START_TEST(nothing_finite_stops) { /* every task holds the first class */
    clm_train_result result;
    poison = INFINITY;
    classes_of[0] = WAYS;
    device = clm_test_open_host();
    options.on_nan = CLM_ON_NAN_SKIP;
    options.iterations = 1000;
    options.log_every = 1000;
    options.validate_every = 1000;
    CLM_TEST_FAILS(clm_train(device, source, model, &options, NULL, &result), CLM_E_NUMERIC);
    SAYS("iteration 101: ");
    SAYS("the 100 iterations before it were left out as well");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("not finite");
    TCase *tcase = tcase_create("not finite");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, what_is_not_finite_is_left_out, 0, CLM_TEST_DEVICES);
    tcase_add_test(tcase, nothing_finite_stops);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
