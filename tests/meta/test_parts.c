/* A CPU of many cores divided into many parts. The machine need not have them: PoCL takes POCL_MAX_PTHREAD_COUNT for the number of compute
 * units. What is tested is the sharing out, the sums and that they repeat, not speed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "meta/internal.h"
#include "support/meta_setup.h"
#include "support/run.h"

static const struct {
    int units, tasks;
    const char *asked;
    int parts;
} rows[] = {
    {4, 8, "4", 4},   {8, 8, "8", 8}, {16, 16, "16", 16}, {16, 13, "8", 8}, /* no multiple of the parts */
    {16, 13, "5", 5},                                                       /* a unit is left over */
    {16, 3, "16", 3},                                                       /* fewer tasks than parts */
    {4, 16, "16", 4},                                                       /* fewer units than parts */
    {16, 8, "1", 1},
};

static clm_device *opened(int units) {
    char text[16];
    snprintf(text, sizeof text, "%d", units);
    setenv("POCL_MAX_PTHREAD_COUNT", text, 1); /* before anything asks for OpenCL: every test is a process */
    return clm_test_open_opencl();
}

/* As many as the row says on a CPU with its units, which any other implementation need not give. */
static size_t shares_wanted(const clm_device *device, int row) {
    const clm_device_info *info = clm_device_get_info(device);
    const size_t most = info->compute_units;
    if (info->type != CLM_DEVICE_CPU) return 1;
    return most < (size_t)rows[row].parts ? most : (size_t)rows[row].parts;
}

static clm_meta *created(clm_device *device, const clm_model *model, const clm_meta_options *options, const char *parts) {
    clm_meta *meta = NULL;
    setenv("CLMAML_CPU_PARTS", parts, 1);
    CLM_TEST_OK(clm_meta_create(&meta, device, model, options));
    unsetenv("CLMAML_CPU_PARTS");
    return meta;
}

static void expect_shares(const clm_meta *meta, int tasks) {
    int first = 0, least = tasks, most = 0;
    for (size_t s = 0; s < meta->n_shares; s++) {
        const clm_share *m = meta->shares[s];
        ck_assert_int_eq(m->first, first);
        first += m->tasks;
        if (m->tasks < least) least = m->tasks;
        if (m->tasks > most) most = m->tasks;
    }
    ck_assert_int_eq(first, tasks);
    ck_assert_int_ge(least, 1);
    ck_assert_int_le(most - least, 1);
}

/* Two updates, so that parameters travel to the parts as well. */
static void computed(clm_meta *meta, const clm_model *model, const clm_meta_options *o, const clm_test_batch *batch,
                     clm_test_vector out[3]) {
    clm_test_randomise(meta, model, o, 3);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch->batch));
    out[0] = clm_test_gradient(meta, model);
    out[1] = clm_test_results(meta, model, true);
    for (int k = 0; k < 2; k++) CLM_TEST_OK(clm_meta_step(meta, &batch->batch, NULL));
    CLM_TEST_OK(clm_meta_gradient(meta, &batch->batch));
    out[2] = clm_test_gradient(meta, model);
}

static const char *const names[] = {"gradient", "results of tasks", "gradient after two updates"};

START_TEST(many_parts) {
    clm_device *device = opened(rows[_i].units);
    clm_model *model = clm_test_model(CLM_TEST_NET_REGRESSION);
    clm_meta_options o = clm_test_options(CLM_TEST_NET_REGRESSION, NULL, rows[_i].tasks, 2);
    o.optim.rule = "adam";
    o.keep_adapted = true;
    clm_test_batch batch = clm_test_batch_make(model, &o, 5);
    clm_test_vector v[4][3];
    for (int i = 0; i < 4; i++) { /* whole; in parts; once more; a task at a time */
        o.task_chunk = i == 3;
        clm_meta *meta = created(device, model, &o, i == 0 ? "1" : rows[_i].asked);
        ck_assert_uint_eq(meta->n_shares, i == 0 ? 1 : shares_wanted(device, _i));
        ck_assert_int_eq(clm_meta_get_plan(meta).parts, (int)meta->n_shares);
        expect_shares(meta, rows[_i].tasks);
        computed(meta, model, &o, &batch, v[i]);
        ck_assert_uint_eq(clm_meta_get_plan(meta).bytes, clm_device_allocated(device));
        clm_meta_free(meta);
        ck_assert_uint_eq(clm_device_allocated(device), 0);
    }
    for (int k = 0; k < 3; k++) {
        clm_test_expect_close(&v[0][k], &v[1][k], 1e-4, names[k]);
        clm_test_expect_same(&v[1][k], &v[2][k], names[k]);
        clm_test_expect_same(&v[1][k], &v[3][k], names[k]);
        for (int i = 0; i < 4; i++) clm_test_vector_free(&v[i][k]);
    }
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* Unasked there are never more than CLM_CPU_PARTS_MOST, whatever the number of cores, and units and tasks come out even. */
START_TEST(unasked) {
    static const int units[] = {4, 8, 12, 16};
    clm_device *device = opened(units[_i]);
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    for (int tasks = 4; tasks <= 32; tasks *= 2) {
        const clm_meta_options o = clm_test_options(CLM_TEST_NET_CONV, NULL, tasks, 2);
        clm_meta *meta = created(device, model, &o, "auto");
        ck_assert_uint_le(meta->n_shares, CLM_CPU_PARTS_MOST);
        ck_assert_uint_eq(clm_device_get_info(device)->compute_units % meta->n_shares, 0);
        expect_shares(meta, tasks);
        clm_meta_free(meta);
    }
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("parts");
    TCase *tcase = tcase_create("parts");
    tcase_set_timeout(tcase, 0); /* ctest has one */
    tcase_add_loop_test(tcase, many_parts, 0, (int)(sizeof rows / sizeof *rows));
    tcase_add_loop_test(tcase, unasked, 0, 4);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
