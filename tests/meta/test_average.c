/* The moving average that a checkpoint keeps is, read without a meta-learner, the one that the meta-learner has. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "support/meta_setup.h"
#include "support/run.h"

static clm_meta_options averaging(void) {
    clm_meta_options o = clm_test_options(CLM_TEST_NET_CONV, NULL, 2, 2);
    o.task.rates = CLM_RATES_PER_STEP;
    o.task.batch_norm_per_step = true;
    o.optim.average = 0.5;
    return o;
}

/* The largest difference over all entries. */
static double difference(clm_params *a, clm_params *b) {
    double most = 0;
    for (size_t i = 0; i < clm_params_count(a); i++)
        for (size_t k = 0; k < clm_params_get_info(a, i).size; k++)
            most = fmax(most, fabs(clm_params_values(a, i)[k] - clm_params_values(b, i)[k]));
    return most;
}

START_TEST(average_of_a_checkpoint) {
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    const clm_meta_options o = averaging();
    clm_meta *meta = NULL;
    clm_params *live = NULL, *average = NULL, *read = NULL;
    CLM_TEST_OK(clm_meta_create(&meta, device, model, &o));
    for (int updates = 0; updates < 4; updates += 3) {
        clm_archive *archive = NULL;
        clm_test_batch batch = clm_test_batch_make(model, &o, 2);
        for (int k = 0; k < updates; k++) CLM_TEST_OK(clm_meta_step(meta, &batch.batch, NULL));
        CLM_TEST_OK(clm_params_create(&live, model, &o.task));
        CLM_TEST_OK(clm_params_create(&average, model, &o.task));
        CLM_TEST_OK(clm_params_create(&read, model, &o.task));
        CLM_TEST_OK(clm_meta_get_params(meta, live));
        CLM_TEST_OK(clm_meta_get_average(meta, average));
        CLM_TEST_OK(clm_archive_create(&archive));
        CLM_TEST_OK(clm_meta_save(meta, archive));
        CLM_TEST_OK(clm_params_load(read, archive));
        ck_assert_double_eq(difference(read, live), 0);
        CLM_TEST_OK(clm_params_load_average(read, archive));
        if (updates) {
            ck_assert_double_eq(difference(read, average), 0);
            ck_assert_double_gt(difference(read, live), 1e-6);
        } else {
            ck_assert_double_eq(difference(read, live), 0);
        }
        clm_archive_free(archive);
        clm_test_batch_free(&batch);
        clm_params_free(live);
        clm_params_free(average);
        clm_params_free(read);
    }
    clm_meta_free(meta);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("average");
    TCase *tcase = tcase_create("average");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, average_of_a_checkpoint, 0, CLM_TEST_DEVICES);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
