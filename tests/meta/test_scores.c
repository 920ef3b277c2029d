/* Evaluation: scores do not depend on how many tasks a launch has; those of single tasks. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/train_setup.h"

START_TEST(scores_do_not_depend_on_the_chunk) {
    clm_scores scores[2];
    clm_params *params;
    device = clm_test_open_host();
    CLM_TEST_OK(clm_params_create(&params, model, &options.meta.task));
    for (int k = 0; k < 2; k++) {
        clm_evaluator_options how = CLM_EVALUATOR_OPTIONS_INIT;
        clm_evaluator *evaluator;
        how.ways = WAYS, how.shots = 2, how.query = 3;
        how.chunk = k ? 16 : 1;
        how.task = options.meta.task;
        how.with_support = true;
        CLM_TEST_OK(clm_evaluator_create(&evaluator, device, source, model, &how));
        CLM_TEST_OK(clm_evaluator_load(evaluator, params));
        CLM_TEST_OK(clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 3, 5, 21, 4, false, &scores[k]));
        CLM_TEST_FAILS(clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 3, 5, 21, CLM_SCORE_STEPS_MOST + 1, false, &scores[k]),
                       CLM_E_ARG);
        clm_evaluator_free(evaluator);
        how.version++;
        CLM_TEST_FAILS(clm_evaluator_create(&evaluator, device, source, model, &how), CLM_E_ARG);
        SAYS("CLM_EVALUATOR_OPTIONS_INIT");
    }
    ck_assert_mem_eq(&scores[0], &scores[1], sizeof scores[0]);
    ck_assert_double_gt(scores[0].support[4].mean, scores[0].support[0].mean); /* it adapts */
    clm_params_free(params);
}
END_TEST

static clm_evaluator *evaluator_of(clm_params *params, int chunk, bool singly) {
    clm_evaluator_options how = CLM_EVALUATOR_OPTIONS_INIT;
    clm_evaluator *evaluator;
    how.ways = WAYS, how.shots = 2, how.query = 3;
    how.chunk = chunk;
    how.task = options.meta.task;
    how.keep = true;
    how.singly = singly;
    how.with_support = true;
    CLM_TEST_OK(clm_evaluator_create(&evaluator, device, source, model, &how));
    CLM_TEST_OK(clm_evaluator_load(evaluator, params));
    return evaluator;
}

START_TEST(scores_of_single_tasks) {
    enum { TASKS = 21, STEPS = 2 };
    double first[STEPS + 1][TASKS];
    clm_scores scores, alone;
    clm_params *params, *twice[2];
    clm_evaluator *evaluator;
    char *path = clm_path_join(directory, "scores.json"), *text;
    device = clm_test_open(_i);
    CLM_TEST_OK(clm_params_create(&params, model, &options.meta.task));
    evaluator = evaluator_of(params, 16, false);
    ck_assert_ptr_null(clm_evaluator_scores(evaluator, 0));
    CLM_TEST_FAILS(clm_evaluator_save_scores(evaluator, path), CLM_E_STATE);
    CLM_TEST_OK(clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 3, 5, TASKS, STEPS, false, &scores));
    for (int k = 0; k <= STEPS; k++) {
        expect_mean(clm_evaluator_scores(evaluator, k), TASKS, &scores.query[k]);
        memcpy(first[k], clm_evaluator_scores(evaluator, k), sizeof first[k]);
    }
    ck_assert_ptr_null(clm_evaluator_scores(evaluator, STEPS + 1));
    CLM_TEST_OK(clm_evaluator_save_scores(evaluator, path));
    CLM_TEST_OK(clm_file_read(path, &text, NULL));
    ck_assert_ptr_nonnull(
        strstr(text, "\"split\":\"test\",\"seed\":3,\"first\":5,\"count\":21,\"ways\":3,\"shots\":2,\"query\":3"));
    free(text);
    free(path);
    twice[0] = twice[1] = params; /* an ensemble of equals */
    CLM_TEST_OK(clm_evaluator_run_ensemble(evaluator, twice, 2, CLM_SPLIT_TEST, 3, 5, TASKS, STEPS, &alone));
    for (int k = 0; k <= STEPS; k++) ck_assert_mem_eq(clm_evaluator_scores(evaluator, k), first[k], sizeof first[k]);
    CLM_TEST_OK(clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 3, 5, TASKS, STEPS, true, &alone));
    ck_assert(isnan(clm_evaluator_scores(evaluator, 1)[0])); /* ends only */
    clm_evaluator_free(evaluator);
    /* without batch-norm an example has no neighbours */
    evaluator = evaluator_of(params, 4, true);
    CLM_TEST_OK(clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 3, 5, TASKS, STEPS, false, &alone));
    for (int k = 0; k <= STEPS; k++) {
        ck_assert_mem_eq(clm_evaluator_scores(evaluator, k), first[k], sizeof first[k]);
        ck_assert_double_eq_tol(alone.query_loss[k], scores.query_loss[k], 1e-5);
        ck_assert_double_eq_tol(alone.support[k].mean, scores.support[k].mean, 1e-12);
    }
    clm_evaluator_free(evaluator);
    clm_params_free(params);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("scores");
    TCase *tcase = tcase_create("scores");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, scores_do_not_depend_on_the_chunk);
    tcase_add_loop_test(tcase, scores_of_single_tasks, 0, CLM_TEST_DEVICES);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
