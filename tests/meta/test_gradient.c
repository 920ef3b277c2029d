/* The meta-gradient: the same however it is computed (stored or recomputed, whole or in chunks of tasks), and what must and must
 * not change it. test_exact.c compares it with other derivations. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/run.h"

/* Gradient and results of one meta-batch. */
typedef struct outcome {
    clm_test_vector gradient, results;
    clm_meta_plan plan;
} outcome;

static outcome run(clm_device *device, const clm_model *model, const clm_meta_options *options, const clm_test_batch *batch) {
    outcome o;
    clm_meta *meta = clm_test_meta(device, model, options, 5);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch->batch));
    o.gradient = clm_test_gradient(meta, model);
    o.results = clm_test_results(meta, model, options->keep_adapted);
    o.plan = clm_meta_get_plan(meta);
    clm_meta_free(meta);
    return o;
}

static void outcome_free(outcome *o) {
    clm_test_vector_free(&o->gradient);
    clm_test_vector_free(&o->results);
}

/* ---- store equals recompute ---- */

static void check_recompute(int device_index, clm_test_net net, const clm_test_algorithm *algorithm, int steps) {
    char what[160];
    snprintf(what, sizeof what, "net %d, %s, %d steps, recomputed", (int)net, algorithm->name, steps);
    clm_device *device = clm_test_open(device_index);
    clm_model *model = clm_test_model(net);
    clm_meta_options options = clm_test_options(net, algorithm, 3, steps);
    clm_test_batch batch = clm_test_batch_make(model, &options, 1);
    options.keep_adapted = true;
    options.checkpointing = CLM_CHECKPOINT_STORE;
    outcome stored = run(device, model, &options, &batch);
    options.checkpointing = CLM_CHECKPOINT_RECOMPUTE;
    outcome recomputed = run(device, model, &options, &batch);
    ck_assert_int_eq(stored.plan.checkpointing, CLM_CHECKPOINT_STORE);
    ck_assert_int_eq(recomputed.plan.checkpointing, CLM_CHECKPOINT_RECOMPUTE);
    clm_test_expect_close(&stored.gradient, &recomputed.gradient, clm_test_rounding(device_index), what);
    clm_test_expect_close(&stored.results, &recomputed.results, clm_test_rounding(device_index), what);
    outcome_free(&stored);
    outcome_free(&recomputed);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}

START_TEST(recomputing_changes_nothing_on_host) {
    const clm_test_algorithm *algorithm = &clm_test_algorithms[_i];
    for (int steps = 1; steps <= 4; steps++)
        for (clm_test_net net = CLM_TEST_NET_REGRESSION; net <= CLM_TEST_NET_CLASSES; net++)
            check_recompute(0, net, algorithm, steps);
    check_recompute(0, CLM_TEST_NET_CONV, algorithm, 2);
}
END_TEST

/* Every algorithm, number of steps and net, but not each with each: building kernels takes its time. */
START_TEST(recomputing_changes_nothing_on_opencl) {
    clm_test_net net = _i % 2 ? CLM_TEST_NET_CLASSES : CLM_TEST_NET_REGRESSION;
    check_recompute(1, _i == 0 ? CLM_TEST_NET_CONV : net, &clm_test_algorithms[_i], _i == 0 ? 2 : 1 + (_i + 1) / 2 % 4);
}
END_TEST

/* ---- chunks equal the whole ---- */

static const struct {
    clm_test_net net;
    int algorithm, tasks, chunks[3];
    clm_checkpointing checkpointing;
} splits[] = {
    {CLM_TEST_NET_REGRESSION, 3, 6, {6, 3, 1}, CLM_CHECKPOINT_STORE},
    {CLM_TEST_NET_COLOUR, 2, 4, {4, 2, 1}, CLM_CHECKPOINT_RECOMPUTE},
    {CLM_TEST_NET_CLASSES, 6, 6, {6, 3, 2}, CLM_CHECKPOINT_STORE},
    {CLM_TEST_NET_REGRESSION, 4, 15, {15, 5, 3}, CLM_CHECKPOINT_STORE},
    {CLM_TEST_NET_CONV, 0, 4, {4, 2, 1}, CLM_CHECKPOINT_STORE},
    {CLM_TEST_NET_CLASSES, 3, 4, {4, 2, 1}, CLM_CHECKPOINT_RECOMPUTE},
};
/* On OpenCL every other row: building kernels takes its time. */
enum { SPLITS = sizeof splits / sizeof *splits };

START_TEST(chunks_give_the_same_bits) {
    int device_index = _i < SPLITS ? 0 : 1, row = _i < SPLITS ? _i : 2 * (_i - SPLITS);
    clm_device *device = clm_test_open(device_index);
    clm_model *model = clm_test_model(splits[row].net);
    clm_meta_options options =
        clm_test_options(splits[row].net, &clm_test_algorithms[splits[row].algorithm], splits[row].tasks, 2);
    clm_test_batch batch = clm_test_batch_make(model, &options, 2);
    options.keep_adapted = true;
    options.checkpointing = splits[row].checkpointing;
    outcome whole = {0};
    for (int c = 0; c < 3; c++) {
        char what[64];
        snprintf(what, sizeof what, "row %d, %d tasks at a time", row, splits[row].chunks[c]);
        options.task_chunk = splits[row].chunks[c];
        outcome part = run(device, model, &options, &batch);
        ck_assert_int_eq(part.plan.task_chunk, splits[row].chunks[c]);
        if (c == 0) {
            whole = part;
            continue;
        }
        clm_test_expect_same(&whole.gradient, &part.gradient, what);
        clm_test_expect_same(&whole.results, &part.results, what);
        outcome_free(&part);
    }
    ck_assert(clm_test_norm(whole.gradient.data, whole.gradient.n) > 0);
    outcome_free(&whole);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

START_TEST(chunk_must_divide) {
    clm_device *device = clm_test_open_host();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, NULL, 6, 1);
    clm_meta *meta = NULL;
    options.task_chunk = 4;
    ck_assert_int_eq(clm_meta_create(&meta, device, model, &options), CLM_E_ARG);
    ck_assert_ptr_null(meta);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "divisor"));
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- what changes the gradient, and how ---- */

static void move_block(float *to, const float *from, size_t n) { memcpy(to, from, n * sizeof *to); }

/* The order of tasks, and of the examples of a task, does not matter; a batch given twice has the same mean. */
START_TEST(order_and_repetition_do_not_matter) {
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, &clm_test_algorithms[4], 3, 2), twice = options;
    twice.tasks = 6;
    clm_test_batch batch = clm_test_batch_make(model, &options, 3), turned = clm_test_batch_make(model, &options, 3);
    clm_test_batch doubled = clm_test_batch_make(model, &twice, 3);
    for (int i = 0; i < 4; i++) {
        size_t task = batch.count[i] / 3, examples = (size_t)(i < 2 ? options.task.support : options.task.query),
               one = task / examples;
        for (size_t t = 0; t < 3; t++)
            for (size_t e = 0; e < examples; e++)
                move_block(turned.data[i] + (2 - t) * task + (examples - 1 - e) * one, batch.data[i] + t * task + e * one, one);
        for (int k = 0; k < 2; k++) move_block(doubled.data[i] + (size_t)k * batch.count[i], batch.data[i], batch.count[i]);
    }
    outcome plain = run(device, model, &options, &batch), other = run(device, model, &options, &turned);
    outcome more = run(device, model, &twice, &doubled);
    clm_test_expect_close(&plain.gradient, &other.gradient, clm_test_rounding(_i), "tasks and examples in another order");
    clm_test_expect_close(&plain.gradient, &more.gradient, clm_test_rounding(_i), "every task twice");
    outcome_free(&plain);
    outcome_free(&other);
    outcome_free(&more);
    clm_test_batch_free(&batch);
    clm_test_batch_free(&turned);
    clm_test_batch_free(&doubled);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* The gradient of the multi-step loss is the weighted sum of the gradients of shorter inner loops. */
START_TEST(multi_step_loss_is_a_weighted_sum) {
    enum { STEPS = 4 };
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_REGRESSION);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_REGRESSION, &clm_test_algorithms[0], 3, STEPS);
    clm_test_batch batch = clm_test_batch_make(model, &options, 4);
    static const double weights[STEPS] = {0.25, 0, 1.5, -0.5};
    options.task.step_weights = weights;
    outcome all = run(device, model, &options, &batch);
    clm_test_vector sum = {calloc(all.gradient.n, sizeof(double)), all.gradient.n};
    options.task.step_weights = NULL;
    for (int k = 0; k < STEPS; k++) {
        options.task.steps = k + 1;
        outcome one = run(device, model, &options, &batch);
        for (size_t e = 0; e < sum.n; e++) sum.data[e] += weights[k] * one.gradient.data[e];
        outcome_free(&one);
    }
    clm_test_expect_close(&all.gradient, &sum, clm_test_rounding(_i), "weighted sum of the gradients of 1 to 4 steps");
    clm_test_vector_free(&sum);
    outcome_free(&all);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* The weights are copied; a weight of one on the last step alone is the plain loss; twice the weights give twice the gradient. */
START_TEST(step_weights_scale) {
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, &clm_test_algorithms[4], 2, 2);
    clm_test_batch batch = clm_test_batch_make(model, &options, 5);
    outcome plain = run(device, model, &options, &batch);
    double weights[2] = {0, 1};
    options.task.step_weights = weights;
    outcome last = run(device, model, &options, &batch);
    clm_test_expect_close(&plain.gradient, &last.gradient, clm_test_rounding(_i), "weights 0 and 1");
    clm_test_expect_close(&plain.results, &last.results, clm_test_rounding(_i), "weights 0 and 1");
    weights[1] = 2;
    clm_meta *meta = clm_test_meta(device, model, &options, 5);
    weights[0] = weights[1] = NAN; /* the option was copied */
    ck_assert(clm_meta_set_step_weights(meta, weights) == CLM_E_ARG);
    weights[0] = weights[1] = 0;
    ck_assert(clm_meta_set_step_weights(meta, weights) == CLM_E_ARG && clm_meta_set_step_weights(meta, NULL) == CLM_E_ARG);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch)); /* what was refused changes nothing */
    clm_test_vector gradient = clm_test_gradient(meta, model);
    for (size_t e = 0; e < gradient.n; e++) gradient.data[e] /= 2;
    clm_test_expect_close(&plain.gradient, &gradient, clm_test_rounding(_i), "weights 0 and 2");
    clm_test_vector_free(&gradient);
    clm_meta_free(meta);
    outcome_free(&plain);
    outcome_free(&last);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* Rates that are all the same number are the fixed rate; the gradient of a tensor's rate is the sum of those of its elements. */
START_TEST(kinds_of_rates_agree) {
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, NULL, 3, 1);
    clm_test_batch batch = clm_test_batch_make(model, &options, 6);
    size_t elements = clm_model_param_elements(model), tensors = clm_model_param_count(model), at = elements;
    clm_test_vector gradient[3];
    for (int kind = 0; kind < 3; kind++) {
        options.task.rates = (clm_rates)kind;
        clm_meta *meta = NULL;
        CLM_TEST_OK(clm_meta_create(&meta, device, model, &options)); /* rates start from inner_lr */
        CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
        gradient[kind] = clm_test_gradient(meta, model);
        clm_meta_free(meta);
    }
    ck_assert_uint_eq(gradient[CLM_RATES_FIXED].n, elements);
    ck_assert_uint_eq(gradient[CLM_RATES_PER_STEP].n, elements + tensors);
    ck_assert_uint_eq(gradient[CLM_RATES_PER_ELEMENT].n, 2 * elements);
    for (size_t i = 0; i < tensors; i++) {
        double sum = 0, step = gradient[CLM_RATES_PER_STEP].data[elements + i], scale = 0;
        for (size_t e = clm_shape_size(&clm_model_param(model, i)->shape); e-- > 0; at++) {
            sum += gradient[CLM_RATES_PER_ELEMENT].data[at];
            scale += fabs(gradient[CLM_RATES_PER_ELEMENT].data[at]);
        }
        ck_assert_double_le(fabs(sum - step), clm_test_rounding(_i) * scale);
    }
    for (int kind = 1; kind < 3; kind++) {
        gradient[kind].n = elements;
        clm_test_expect_close(&gradient[0], &gradient[kind], clm_test_rounding(_i), "parameters, with learned rates");
    }
    for (int kind = 0; kind < 3; kind++) clm_test_vector_free(&gradient[kind]);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* The same numbers on the host and on the device, for everything that is reported. */
START_TEST(devices_agree) {
    clm_device *host = clm_test_open_host(), *device = clm_test_open_opencl();
    clm_test_net net = (clm_test_net)_i;
    clm_model *model = clm_test_model(net);
    clm_meta_options options = clm_test_options(net, &clm_test_algorithms[3], 2, 2);
    options.keep_adapted = true;
    clm_test_batch batch = clm_test_batch_make(model, &options, 7);
    outcome a = run(host, model, &options, &batch), b = run(device, model, &options, &batch);
    clm_test_expect_close(&a.gradient, &b.gradient, 2e-5, "gradient on host and device");
    clm_test_expect_close(&a.results, &b.results, 2e-5, "results on host and device");
    outcome_free(&a);
    outcome_free(&b);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(host);
    clm_device_close(device);
}
END_TEST

START_TEST(same_bits_when_repeated) {
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_COLOUR);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_COLOUR, &clm_test_algorithms[3], 3, 2);
    clm_test_batch batch = clm_test_batch_make(model, &options, 8), other = clm_test_batch_make(model, &options, 9);
    clm_meta *meta = clm_test_meta(device, model, &options, 5);
    clm_test_vector v[3];
    for (int k = 0; k < 3; k++) {
        CLM_TEST_OK(clm_meta_gradient(meta, k == 1 ? &other.batch : &batch.batch));
        v[k] = clm_test_gradient(meta, model);
    }
    clm_test_expect_same(&v[0], &v[2], "the same batch again");
    ck_assert(clm_test_difference(v[0].data, v[1].data, v[0].n) > 0.01);
    for (int k = 0; k < 3; k++) clm_test_vector_free(&v[k]);
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    clm_test_batch_free(&other);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("meta-gradient");
    TCase *tcase = tcase_create("gradient");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, recomputing_changes_nothing_on_host, 0, CLM_TEST_ALGORITHMS);
    tcase_add_loop_test(tcase, recomputing_changes_nothing_on_opencl, 0, CLM_TEST_ALGORITHMS);
    tcase_add_loop_test(tcase, chunks_give_the_same_bits, 0, SPLITS + SPLITS / 2);
    tcase_add_test(tcase, chunk_must_divide);
    tcase_add_loop_test(tcase, order_and_repetition_do_not_matter, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, multi_step_loss_is_a_weighted_sum, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, step_weights_scale, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, kinds_of_rates_agree, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, devices_agree, 0, 4);
    tcase_add_loop_test(tcase, same_bits_when_repeated, 0, CLM_TEST_DEVICES);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
