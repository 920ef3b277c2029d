/* The learner against the meta-learner, its batch-norm modes, its rates, and layouts against convolutions written out in C. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/run.h"

static clm_learner_options learner_options(const clm_meta_options *o) {
    clm_learner_options l = CLM_LEARNER_OPTIONS_INIT;
    l.tasks = o->tasks;
    l.task = o->task;
    return l;
}

/* Gives the learner the meta-learner's parameters and rates. */
static void hand_over(clm_learner *learner, clm_meta *meta, const clm_model *model) {
    for (size_t i = 0; i < clm_model_param_count(model); i++) {
        size_t n = clm_shape_size(&clm_model_param(model, i)->shape), rates = clm_meta_rate_size(meta, i);
        double *data = calloc(n + rates + 1, sizeof *data);
        CLM_TEST_OK(clm_meta_get_param(meta, i, data));
        CLM_TEST_OK(clm_learner_set_param(learner, i, data));
        if (rates) {
            CLM_TEST_OK(clm_meta_get_rate(meta, i, data));
            CLM_TEST_OK(clm_learner_set_rate(learner, i, data));
        }
        free(data);
    }
}

static clm_test_vector adapted_of(clm_learner *learner, const clm_model *model, int tasks) {
    clm_test_vector v = {calloc(clm_model_param_elements(model) * (size_t)tasks, sizeof(double)), 0};
    for (size_t i = 0; i < clm_model_param_count(model); i++) {
        CLM_TEST_OK(clm_learner_get_adapted(learner, i, v.data + v.n));
        v.n += clm_shape_size(&clm_model_param(model, i)->shape) * (size_t)tasks;
    }
    return v;
}

/* ---- on its way ---- */

/* A task is handed over, learnt and predicted with one wait, at the end; what is handed over is the caller's again at once. */
START_TEST(one_wait_a_task) {
    enum { STEPS = 2, ROUNDS = 3, MOST = 256 };
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, NULL, 2, STEPS);
    clm_learner_options lo = learner_options(&options);
    clm_learner *learner = NULL;
    double first[MOST], out[MOST];
    CLM_TEST_OK(clm_learner_create(&learner, device, model, &lo));
    clm_test_count(device);
    for (size_t round = 0; round < ROUNDS; round++) {
        clm_test_batch batch = clm_test_batch_make(model, &options, 1), other = clm_test_batch_make(model, &options, 2);
        const size_t before = clm_test_counted.waits, transfers = clm_test_counted.transfers;
        if (round == 1) CLM_TEST_OK(clm_learner_begin(learner, other.data[0], other.data[1]));
        CLM_TEST_OK(clm_learner_begin(learner, batch.data[0], batch.data[1]));
        for (int a = 0; a < 2; a++)
            for (size_t e = 0; e < batch.count[a]; e++) batch.data[a][e] = -9;
        for (int k = 0; k < STEPS; k++) CLM_TEST_OK(clm_learner_step(learner, NULL));
        CLM_TEST_OK(clm_learner_predict(learner, batch.data[2], (size_t)options.task.query, out));
        ck_assert_uint_eq(clm_test_counted.waits, before + (round == 1 ? 2 : 1)); /* the other set had to arrive first */
        ck_assert_uint_eq(clm_test_counted.transfers, transfers + (round == 1 ? 4 : 3));
        clm_shape shape = clm_model_out_shape(model);
        const size_t n = (size_t)options.tasks * (size_t)options.task.query * clm_shape_size(&shape);
        ck_assert_uint_le(n, MOST);
        if (round == 0) memcpy(first, out, n * sizeof *first);
        ck_assert_mem_eq(first, out, n * sizeof *first);
        clm_test_batch_free(&batch);
        clm_test_batch_free(&other);
    }
    clm_learner_free(learner);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- the learner does what the meta-learner does ---- */

static const struct {
    clm_test_net net;
    int algorithm, steps;
} rows[] = {
    {CLM_TEST_NET_REGRESSION, 0, 3}, {CLM_TEST_NET_CLASSES, 2, 2}, {CLM_TEST_NET_CLASSES, 3, 3},
    {CLM_TEST_NET_REGRESSION, 5, 2}, {CLM_TEST_NET_COLOUR, 4, 2},  {CLM_TEST_NET_CONV, 6, 2},
};
enum { ROWS = sizeof rows / sizeof *rows };

START_TEST(learner_is_the_inner_loop) {
    enum { TASKS = 3 };
    int row = _i % ROWS, steps = rows[row].steps;
    clm_device *device = clm_test_open(_i / ROWS);
    double tolerance = clm_test_rounding(_i / ROWS);
    clm_model *model = clm_test_model(rows[row].net);
    clm_meta_options options = clm_test_options(rows[row].net, &clm_test_algorithms[rows[row].algorithm], TASKS, steps);
    options.keep_adapted = true;
    clm_learner_options lo = learner_options(&options);
    clm_test_batch other = clm_test_batch_make(model, &options, 1), batch = clm_test_batch_make(model, &options, 2);
    clm_meta *meta = clm_test_meta(device, model, &options, 3);
    clm_learner *learner = NULL;
    CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
    CLM_TEST_OK(clm_learner_create(&learner, device, model, &lo));
    hand_over(learner, meta, model);
    CLM_TEST_OK(clm_learner_begin(learner, other.data[0], other.data[1])); /* what was before does not matter */
    CLM_TEST_OK(clm_learner_step(learner, NULL));
    CLM_TEST_OK(clm_learner_begin(learner, batch.data[0], batch.data[1]));
    clm_test_vector losses = {calloc((size_t)(steps * TASKS), sizeof(double)), (size_t)(steps * TASKS)}, expected = losses;
    expected.data = calloc(losses.n, sizeof(double));
    CLM_TEST_OK(clm_meta_read(meta, CLM_Q_SUPPORT_LOSS, 0, expected.data));
    for (int k = 0; k < steps; k++) {
        double loss[TASKS];
        CLM_TEST_OK(clm_learner_step(learner, loss));
        for (int t = 0; t < TASKS; t++) losses.data[t * steps + k] = loss[t];
    }
    clm_test_expect_close(&expected, &losses, tolerance, "support losses");
    clm_test_vector a = adapted_of(learner, model, TASKS), b = {calloc(a.n, sizeof(double)), 0};
    for (size_t i = 0; i < clm_model_param_count(model); i++) {
        CLM_TEST_OK(clm_meta_read(meta, CLM_Q_ADAPTED, i, b.data + b.n));
        b.n += clm_meta_quantity_size(meta, CLM_Q_ADAPTED, i);
    }
    clm_test_expect_close(&a, &b, tolerance, "adapted parameters");
    clm_test_vector logits = {NULL, clm_meta_quantity_size(meta, CLM_Q_QUERY_LOGITS, 0)}, predicted = logits;
    logits.data = calloc(logits.n, sizeof(double));
    predicted.data = calloc(logits.n, sizeof(double));
    CLM_TEST_OK(clm_meta_read(meta, CLM_Q_QUERY_LOGITS, 0, logits.data));
    CLM_TEST_OK(clm_learner_predict(learner, batch.data[2], (size_t)options.task.query, predicted.data));
    clm_test_expect_close(&logits, &predicted, tolerance, "outputs on the query set");
    clm_test_vector *all[] = {&losses, &expected, &a, &b, &logits, &predicted};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) clm_test_vector_free(all[k]);
    clm_learner_free(learner);
    clm_meta_free(meta);
    clm_test_batch_free(&other);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- rates per step: later steps use the last row ---- */

START_TEST(last_rates_go_on) {
    enum { TASKS = 2, STEPS = 5, TENSORS = 4 };
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, &clm_test_algorithms[3], TASKS, 2);
    clm_test_batch batch = clm_test_batch_make(model, &options, 4);
    double table[STEPS * TENSORS];
    ck_assert_uint_eq(clm_model_param_count(model), TENSORS);
    for (int k = 0; k < STEPS; k++)
        for (int i = 0; i < TENSORS; i++) table[k * TENSORS + i] = 0.1 * (i + 1) + 0.2 * (k < 1 ? k : 1);
    clm_test_vector adapted[2];
    for (int which = 0; which < 2; which++) { /* two rows; five, of which the last four are equal */
        clm_learner_options lo = learner_options(&options);
        lo.task.steps = which ? STEPS : 2;
        clm_learner *learner = NULL;
        CLM_TEST_OK(clm_learner_create(&learner, device, model, &lo));
        CLM_TEST_OK(clm_learner_set_rate(learner, 0, table));
        ck_assert_int_eq(clm_learner_set_rate(learner, 1, table), CLM_E_ARG);
        CLM_TEST_OK(clm_learner_begin(learner, batch.data[0], batch.data[1]));
        for (int k = 0; k < STEPS; k++) CLM_TEST_OK(clm_learner_step(learner, NULL));
        adapted[which] = adapted_of(learner, model, TASKS);
        clm_learner_free(learner);
    }
    clm_test_expect_same(&adapted[0], &adapted[1], "two rows of rates and five");
    clm_test_vector_free(&adapted[0]);
    clm_test_vector_free(&adapted[1]);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- batch-norm ---- */

static clm_test_vector prediction(clm_device *device, const clm_model *model, const clm_meta_options *options, clm_bn_mode mode,
                                  const clm_test_batch *batch, const float *query) {
    clm_learner_options lo = learner_options(options);
    lo.bn_mode = mode;
    clm_learner *learner = NULL;
    clm_shape out = clm_model_out_shape(model);
    clm_test_vector v = {NULL, clm_shape_size(&out) * (size_t)(lo.tasks * lo.task.query)};
    v.data = calloc(v.n, sizeof *v.data);
    CLM_TEST_OK(clm_learner_create(&learner, device, model, &lo));
    CLM_TEST_OK(clm_learner_begin(learner, batch->data[0], batch->data[1]));
    for (int k = 0; k < 2; k++) CLM_TEST_OK(clm_learner_step(learner, NULL));
    CLM_TEST_OK(clm_learner_predict(learner, query, (size_t)lo.task.query, v.data));
    clm_learner_free(learner);
    return v;
}

/* The two modes differ on other examples, and agree where the query set is the support set. */
START_TEST(batch_norm_modes) {
    clm_device *device = clm_test_open(_i / 2);
    clm_test_net net = _i % 2 ? CLM_TEST_NET_COLOUR : CLM_TEST_NET_CONV;
    clm_model *model = clm_test_model(net);
    clm_meta_options options = clm_test_options(net, NULL, 2, 2);
    options.task.query = options.task.support;
    clm_test_batch batch = clm_test_batch_make(model, &options, 5);
    for (int same = 0; same < 2; same++) {
        const float *query = same ? batch.data[0] : batch.data[2];
        clm_test_vector a = prediction(device, model, &options, CLM_BN_TRANSDUCTIVE, &batch, query);
        clm_test_vector b = prediction(device, model, &options, CLM_BN_SUPPORT_STATS, &batch, query);
        if (same)
            clm_test_expect_close(&a, &b, clm_test_rounding(_i / 2), "query set that is the support set");
        else
            ck_assert_double_gt(clm_test_difference(a.data, b.data, a.n), 0.01);
        clm_test_vector_free(&a);
        clm_test_vector_free(&b);
    }
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* With the statistics of the support set an example's output does not depend on the examples beside it. */
START_TEST(support_statistics_are_inductive) {
    clm_device *device = clm_test_open_host();
    clm_model *model = clm_test_model(CLM_TEST_NET_COLOUR);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_COLOUR, NULL, 1, 1);
    clm_test_batch batch = clm_test_batch_make(model, &options, 6), other = clm_test_batch_make(model, &options, 7);
    size_t one = batch.count[2] / (size_t)options.task.query;
    memcpy(other.data[2], batch.data[2], one * sizeof(float)); /* the first example only */
    for (int mode = 0; mode < 2; mode++) {
        clm_test_vector a = prediction(device, model, &options, (clm_bn_mode)mode, &batch, batch.data[2]);
        clm_test_vector b = prediction(device, model, &options, (clm_bn_mode)mode, &batch, other.data[2]);
        double difference = clm_test_difference(a.data, b.data, 3);
        if (mode == CLM_BN_SUPPORT_STATS)
            ck_assert_double_lt(difference, 1e-12);
        else
            ck_assert_double_gt(difference, 1e-3);
        clm_test_vector_free(&a);
        clm_test_vector_free(&b);
    }
    clm_test_batch_free(&batch);
    clm_test_batch_free(&other);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- layouts ---- */

enum { O = 2, I = 3, H = 4, W = 5, EXAMPLES = 2, TASKS = 2 };
static const char flat_conv[] =
    "{\"in_shape\": [3, 4, 5], \"layers\": [{\"op\": \"conv2d\", \"out\": 2, \"kernel\": 3, \"pad\": 0}, "
    "{\"op\": \"flatten\"}, {\"op\": \"linear\", \"out\": 2}]}";
enum { PH = H - 2, PW = W - 2, FEATURES = O * PH * PW };

/* filter [O, I, 3, 3], bias [O], weight [2, FEATURES], bias [2]; x [I, H, W]: PyTorch's order throughout. */
static void plain_forward(double *const *p, const float *x, double *out) {
    double feature[FEATURES];
    for (int o = 0; o < O; o++)
        for (int h = 0; h < PH; h++)
            for (int w = 0; w < PW; w++) {
                double sum = p[1][o];
                for (int i = 0; i < I; i++)
                    for (int kh = 0; kh < 3; kh++)
                        for (int kw = 0; kw < 3; kw++)
                            sum += p[0][((o * I + i) * 3 + kh) * 3 + kw] * (double)x[(i * H + h + kh) * W + w + kw];
                feature[(o * PH + h) * PW + w] = sum;
            }
    for (int c = 0; c < 2; c++) {
        out[c] = p[3][c];
        for (int f = 0; f < FEATURES; f++) out[c] += p[2][c * FEATURES + f] * feature[f];
    }
}

static double plain_loss(double *const *p, const float *x, const float *y) {
    double sum = 0, out[2];
    for (int e = 0; e < EXAMPLES; e++) {
        plain_forward(p, x + e * I * H * W, out);
        for (int c = 0; c < 2; c++) sum += (out[c] - (double)y[2 * e + c]) * (out[c] - (double)y[2 * e + c]);
    }
    return sum / (2 * EXAMPLES);
}

/* Outputs and adapted parameters are in PyTorch's order: compared with plain C and differences of its loss. */
START_TEST(layouts_are_those_of_pytorch) {
    clm_device *device = clm_test_open(_i);
    clm_model *model = NULL;
    CLM_TEST_OK(clm_model_parse(&model, flat_conv, NULL));
    clm_meta_options options = CLM_META_OPTIONS_INIT;
    options.tasks = TASKS;
    options.task.support = options.task.query = EXAMPLES;
    options.task.loss.name = "mse";
    options.task.inner_lr = 0.05;
    clm_test_batch batch = clm_test_batch_make(model, &options, 8);
    clm_learner_options lo = learner_options(&options);
    clm_learner *learner = NULL;
    double *p[4], out[TASKS][EXAMPLES][2], loss[TASKS], h = 1e-5, tolerance = _i ? 2e-5 : 1e-8;
    CLM_TEST_OK(clm_learner_create(&learner, device, model, &lo));
    ck_assert_uint_eq(clm_model_param_count(model), 4);
    for (size_t i = 0; i < 4; i++) {
        p[i] = calloc(clm_shape_size(&clm_model_param(model, i)->shape), sizeof(double));
        clm_model_init_param(model, i, 9, p[i]);
        CLM_TEST_OK(clm_learner_set_param(learner, i, p[i]));
    }
    CLM_TEST_OK(clm_learner_begin(learner, batch.data[0], batch.data[1]));
    CLM_TEST_OK(clm_learner_predict(learner, batch.data[2], EXAMPLES, &out[0][0][0]));
    CLM_TEST_OK(clm_learner_step(learner, loss));
    for (int t = 0; t < TASKS; t++) {
        const float *x = batch.data[0] + t * EXAMPLES * I * H * W, *y = batch.data[1] + t * EXAMPLES * 2;
        for (int e = 0; e < EXAMPLES; e++) {
            double expected[2];
            plain_forward(p, batch.data[2] + (t * EXAMPLES + e) * I * H * W, expected);
            ck_assert_double_le(clm_test_difference(expected, out[t][e], 2), tolerance);
        }
        ck_assert_double_le(fabs(plain_loss(p, x, y) - loss[t]), tolerance * loss[t]);
    }
    for (size_t i = 0; i < 4; i++) {
        size_t n = clm_shape_size(&clm_model_param(model, i)->shape);
        double *adapted = calloc(n * TASKS, sizeof *adapted), *moved = calloc(n, sizeof *moved);
        CLM_TEST_OK(clm_learner_get_adapted(learner, i, adapted));
        for (int t = 0; t < TASKS; t++) {
            const float *x = batch.data[0] + t * EXAMPLES * I * H * W, *y = batch.data[1] + t * EXAMPLES * 2;
            for (size_t e = 0; e < n; e++) {
                double saved = p[i][e];
                p[i][e] = saved + h;
                moved[e] = plain_loss(p, x, y);
                p[i][e] = saved - h;
                moved[e] = saved - options.task.inner_lr * (moved[e] - plain_loss(p, x, y)) / (2 * h);
                p[i][e] = saved;
            }
            ck_assert_double_le(clm_test_difference(adapted + (size_t)t * n, moved, n), tolerance);
        }
        free(adapted);
        free(moved);
    }
    for (int i = 0; i < 4; i++) free(p[i]);
    clm_learner_free(learner);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- mistakes ---- */

START_TEST(mistakes_are_named) {
    clm_device *device = clm_test_open_host();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, &clm_test_algorithms[6], 2, 1);
    clm_test_batch batch = clm_test_batch_make(model, &options, 10);
    clm_learner_options lo = learner_options(&options);
    clm_learner *learner = NULL;
    double number[64] = {0};
    lo.version = 0;
    ck_assert_int_eq(clm_learner_create(&learner, device, model, &lo), CLM_E_ARG);
    lo = learner_options(&options);
    lo.tasks = 0;
    ck_assert_int_eq(clm_learner_create(&learner, device, model, &lo), CLM_E_ARG);
    lo = learner_options(&options);
    const char *const absent[] = {"2.", "seven."};
    lo.task.adapt = absent;
    lo.task.n_adapt = 2;
    ck_assert_int_eq(clm_learner_create(&learner, device, model, &lo), CLM_E_ARG);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "seven."));
    ck_assert_ptr_null(learner);
    lo = learner_options(&options);
    CLM_TEST_OK(clm_learner_create(&learner, device, model, &lo));
    ck_assert_int_eq(clm_learner_step(learner, NULL), CLM_E_STATE);
    ck_assert_int_eq(clm_learner_predict(learner, batch.data[2], (size_t)options.task.query, number), CLM_E_STATE);
    ck_assert_int_eq(clm_learner_get_adapted(learner, 0, number), CLM_E_STATE);
    ck_assert_int_eq(clm_learner_set_param(learner, 4, number), CLM_E_ARG);
    ck_assert_int_eq(clm_learner_set_rate(learner, 0, number), CLM_E_ARG); /* not adapted */
    CLM_TEST_OK(clm_learner_set_rate(learner, 2, number));
    batch.data[1][batch.count[1] - 1] = 3;
    ck_assert_int_eq(clm_learner_begin(learner, batch.data[0], batch.data[1]), CLM_E_ARG);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "task 1, support example 5"));
    clm_learner_free(learner);
    clm_learner_free(NULL);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    ck_assert_uint_eq(clm_device_allocated(device), 0);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("learner");
    TCase *tcase = tcase_create("learner");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, one_wait_a_task);
    tcase_add_loop_test(tcase, learner_is_the_inner_loop, 0, ROWS * CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, last_rates_go_on, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, batch_norm_modes, 0, 2 * CLM_TEST_DEVICES);
    tcase_add_test(tcase, support_statistics_are_inductive);
    tcase_add_loop_test(tcase, layouts_are_those_of_pytorch, 0, CLM_TEST_DEVICES);
    tcase_add_test(tcase, mistakes_are_named);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
