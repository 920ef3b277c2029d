/* The meta-gradient against other derivations of it.
 *
 * unrolled: the inner loop written out in the graph from public builders, and the whole differentiated backwards, gradients of
 * gradients included (reverse over reverse). With the inner gradients behind stop_gradient it is the first-order gradient.
 * differences: (L(theta + h d) - L(theta - h d)) / 2h in double, for random directions d of parameters and rates together.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/run.h"

enum { MOST = 64 };

/* ---- the unrolled inner loop ---- */

typedef struct unrolled {
    clm_graph *g;
    const clm_model *model;
    const clm_meta_options *options;
    size_t n;
    clm_value data[4]; /* support x, y, query x, y */
    clm_value key;     /* of dropout; CLM_INVALID: the model has none */
    clm_value param[MOST], rate[MOST];
    clm_value in[2 * MOST + 5]; /* everything that is fed */
    const double *fed[2 * MOST + 5];
    size_t n_in;
    double *owned[2 * MOST + 5];
    clm_value loss; /* per task */
} unrolled;

static clm_value feed(unrolled *u, clm_shape shape, bool per_task, double *data) {
    clm_value v = clm_input(u->g, "in", shape, per_task);
    u->in[u->n_in] = v;
    u->fed[u->n_in] = u->owned[u->n_in] = data;
    u->n_in++;
    return v;
}

static double *inner_copy(const clm_param *p, const double *outer) {
    double *inner = calloc(clm_shape_size(&p->shape), sizeof *inner);
    clm_layout_to_inner(p->layout, &p->shape, 1, outer, inner);
    return inner;
}

static double *copy(const double *data, size_t n) { return memcpy(calloc(n, sizeof *data), data, n * sizeof *data); }

static void feed_batch(unrolled *u, const clm_test_batch *batch) {
    clm_shape in = clm_model_in_shape(u->model), inner = clm_model_inner_in_shape(u->model),
              out = clm_model_out_shape(u->model);
    for (int i = 0; i < 4; i++) {
        int examples = i < 2 ? u->options->task.support : u->options->task.query;
        clm_shape one = i % 2 == 0 ? inner : strcmp(u->options->task.loss.name, "mse") == 0 ? out : (clm_shape){0};
        clm_shape shape = {.rank = one.rank + 1, .dim = {examples}};
        for (int k = 0; k < one.rank; k++) shape.dim[k + 1] = one.dim[k];
        double *data = calloc(batch->count[i], sizeof *data), *moved = calloc(batch->count[i], sizeof *data);
        for (size_t e = 0; e < batch->count[i]; e++) moved[e] = data[e] = batch->data[i][e];
        if (i % 2 == 0 && in.rank == 3)
            clm_layout_to_inner(CLM_LAYOUT_CHW, &in, (size_t)u->options->tasks * (size_t)examples, data, moved);
        free(data);
        u->data[i] = feed(u, shape, true, moved);
    }
}

/* Of a meta-learner that has made no update and has the first seed. */
static void feed_key(unrolled *u) {
    u->key = CLM_INVALID;
    if (!clm_model_has_dropout(u->model)) return;
    double *data = calloc(4 * (size_t)u->options->tasks, sizeof *data);
    for (int t = 0; t < u->options->tasks; t++) {
        float key[4];
        clm_dropout_key(0, 0, (uint32_t)t, key);
        for (int i = 0; i < 4; i++) data[4 * t + i] = (double)key[i];
    }
    u->key = feed(u, clm_shape_of(1, 4), true, data);
}

/* Parameters, then rates in the order of clm_test_values. u->rate: per step and tensor, or per tensor. */
static void feed_values(unrolled *u, clm_meta *meta, const double *values) {
    for (size_t i = 0; i < u->n; i++) {
        const clm_param *p = clm_model_param(u->model, i);
        u->param[i] = feed(u, p->inner_shape, false, inner_copy(p, values));
        values += clm_shape_size(&p->shape);
    }
    for (size_t k = 0; k < MOST; k++) u->rate[k] = CLM_INVALID;
    if (u->options->task.rates == CLM_RATES_PER_STEP)
        for (size_t k = 0; k < (size_t)u->options->task.steps * u->n; k++)
            u->rate[k] = feed(u, (clm_shape){0}, false, copy(values++, 1));
    for (size_t i = 0; u->options->task.rates == CLM_RATES_PER_ELEMENT && i < u->n; i++) {
        if (!clm_meta_rate_size(meta, i)) continue;
        u->rate[i] =
            feed(u, clm_model_param(u->model, i)->inner_shape, false, inner_copy(clm_model_param(u->model, i), values));
        values += clm_meta_rate_size(meta, i);
    }
}

static clm_value loss_of(unrolled *u, const clm_value *theta, clm_value x, clm_value y, int pass) {
    const clm_dropout dropout = {u->key, pass};
    clm_value out = clm_model_apply_dropout(u->model, u->g, theta, x, NULL, u->key == CLM_INVALID ? NULL : &dropout);
    return strcmp(u->options->task.loss.name, "mse") == 0 ? clm_mse(u->g, out, y, u->options->task.loss.reduction)
                                                          : clm_cross_entropy(u->g, out, y, u->options->task.loss.reduction);
}

static void unroll(unrolled *u, clm_meta *meta) {
    clm_value theta[MOST], grad[MOST];
    for (size_t i = 0; i < u->n; i++) theta[i] = clm_per_task(u->g, u->param[i]);
    for (int k = 0; k < u->options->task.steps; k++) {
        CLM_TEST_OK(clm_grad(u->g, loss_of(u, theta, u->data[0], u->data[1], 2 * k), theta, u->n, grad));
        for (size_t i = 0; i < u->n; i++) {
            size_t slot = u->options->task.rates == CLM_RATES_PER_STEP ? (size_t)k * u->n + i : i;
            clm_value g = u->options->task.first_order ? clm_stop_gradient(u->g, grad[i]) : grad[i];
            if (!clm_meta_is_adapted(meta, i)) continue;
            g = u->options->task.rates == CLM_RATES_FIXED ? clm_scale(u->g, g, u->options->task.inner_lr)
                                                          : clm_mul(u->g, u->rate[slot], g);
            theta[i] = clm_sub(u->g, theta[i], g);
        }
        double weight = u->options->task.step_weights ? u->options->task.step_weights[k] : k + 1 == u->options->task.steps;
        if (weight == 0) continue;
        clm_value loss = clm_scale(u->g, loss_of(u, theta, u->data[2], u->data[3], 2 * k + 3), weight);
        u->loss = u->loss == CLM_INVALID ? loss : clm_add(u->g, u->loss, loss);
    }
}

/* The gradient in the order of clm_test_gradient, computed on the host. */
static clm_test_vector unrolled_gradient(clm_device *host, const clm_model *model, const clm_meta_options *options,
                                         clm_meta *meta, const clm_test_batch *batch, const double *values) {
    unrolled u = {.model = model, .options = options, .n = clm_model_param_count(model), .loss = CLM_INVALID};
    clm_value inputs[2 * MOST], grads[2 * MOST];
    double *results[2 * MOST];
    size_t n = 0, at = 0, n_rates = options->task.rates == CLM_RATES_PER_STEP ? (size_t)options->task.steps * u.n : u.n;
    CLM_TEST_OK(clm_graph_create(&u.g));
    feed_batch(&u, batch);
    feed_key(&u);
    feed_values(&u, meta, values);
    unroll(&u, meta);
    for (size_t i = 0; i < u.n; i++) inputs[n++] = u.param[i];
    for (size_t s = 0; s < n_rates; s++)
        if (u.rate[s] != CLM_INVALID) inputs[n++] = u.rate[s];
    CLM_TEST_OK(clm_grad(u.g, u.loss, inputs, n, grads));
    clm_test_vector v = {0};
    for (size_t i = 0; i < n; i++) {
        v.n += clm_test_elements(u.g, grads[i], options->tasks);
        results[i] = calloc(clm_test_elements(u.g, grads[i], options->tasks), sizeof(double));
    }
    CLM_TEST_OK(clm_test_run(host, u.g, options->tasks, u.in, u.fed, u.n_in, grads, results, n));
    v.data = calloc(v.n, sizeof *v.data);
    for (size_t i = 0, r = 0; i < n; i++) {
        size_t size = clm_test_elements(u.g, grads[i], options->tasks);
        while (i >= u.n && options->task.rates == CLM_RATES_PER_ELEMENT && !clm_meta_rate_size(meta, r)) r++;
        const clm_param *p = i < u.n ? clm_model_param(model, i) : clm_model_param(model, r);
        if (i < u.n || options->task.rates == CLM_RATES_PER_ELEMENT)
            clm_layout_to_outer(p->layout, &p->shape, 1, results[i], v.data + at);
        else
            memcpy(v.data + at, results[i], size * sizeof(double));
        if (i >= u.n) r++;
        at += size;
        free(results[i]);
    }
    for (size_t e = 0; e < v.n; e++) v.data[e] /= options->tasks;
    for (size_t i = 0; i < u.n_in; i++) free(u.owned[i]);
    clm_graph_free(u.g);
    return v;
}

static void check_unrolled(clm_test_net net, const clm_test_algorithm *algorithm, int steps, int device_index) {
    char what[160];
    snprintf(what, sizeof what, "net %d, %s, %d steps, unrolled", (int)net, algorithm->name, steps);
    clm_device *host = clm_test_open_host(), *device = clm_test_open(device_index);
    clm_model *model = clm_test_model(net);
    clm_meta_options options = clm_test_options(net, algorithm, 3, steps);
    clm_test_batch batch = clm_test_batch_make(model, &options, 11);
    clm_meta *meta = clm_test_meta(device, model, &options, 12);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
    clm_test_vector recursion = clm_test_gradient(meta, model), values = clm_test_values(meta, model);
    clm_test_vector reverse = unrolled_gradient(host, model, &options, meta, &batch, values.data);
    clm_test_expect_close(&recursion, &reverse, device_index == 0 ? 1e-10 : 2e-5, what);
    clm_test_vector_free(&recursion);
    clm_test_vector_free(&values);
    clm_test_vector_free(&reverse);
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
    clm_device_close(host);
}

START_TEST(recursion_is_reverse_over_reverse) {
    for (int steps = 1; steps <= 4; steps++)
        for (clm_test_net net = CLM_TEST_NET_REGRESSION; net <= CLM_TEST_NET_CLASSES; net++)
            check_unrolled(net, &clm_test_algorithms[_i], steps, 0);
    check_unrolled(CLM_TEST_NET_CONV, &clm_test_algorithms[_i], 2, 0);
    check_unrolled(CLM_TEST_NET_COLOUR, &clm_test_algorithms[_i], 1, 0);
    check_unrolled(CLM_TEST_NET_DROPOUT, &clm_test_algorithms[_i], 2, 0);
}
END_TEST

START_TEST(recursion_on_opencl_is_reverse_over_reverse) {
    static const clm_test_net nets[] = {CLM_TEST_NET_REGRESSION, CLM_TEST_NET_COLOUR, CLM_TEST_NET_REGRESSION,
                                        CLM_TEST_NET_COLOUR, CLM_TEST_NET_DROPOUT};
    check_unrolled(nets[_i], &clm_test_algorithms[_i < 4 ? 3 + _i : 3], 2, 1);
}
END_TEST

/* ---- central differences ---- */

static double loss_at(clm_meta *meta, const clm_model *model, const clm_test_batch *batch, const clm_test_vector *values,
                      const double *direction, double h) {
    double *moved = copy(values->data, values->n);
    for (size_t e = 0; e < values->n; e++) moved[e] += h * direction[e];
    clm_test_set_values(meta, model, moved);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch->batch));
    free(moved);
    return clm_test_meta_loss(meta);
}

/* Gradient and values have the same order, but rates of parameters that are not adapted are no part of the loss: both are 0. */
START_TEST(gradient_is_the_slope_of_the_loss) {
    static const struct {
        clm_test_net net;
        int algorithm, steps;
    } rows[] = {{CLM_TEST_NET_REGRESSION, 0, 1}, {CLM_TEST_NET_REGRESSION, 0, 4}, {CLM_TEST_NET_REGRESSION, 3, 3},
                {CLM_TEST_NET_REGRESSION, 4, 2}, {CLM_TEST_NET_REGRESSION, 5, 2}, {CLM_TEST_NET_REGRESSION, 6, 3},
                {CLM_TEST_NET_COLOUR, 0, 2},     {CLM_TEST_NET_COLOUR, 2, 2},     {CLM_TEST_NET_COLOUR, 3, 2},
                {CLM_TEST_NET_DROPOUT, 0, 3},    {CLM_TEST_NET_DROPOUT, 3, 2}};
    ck_assert_int_lt(_i, (int)(sizeof rows / sizeof *rows));
    clm_device *host = clm_test_open_host();
    clm_model *model = clm_test_model(rows[_i].net);
    clm_meta_options options = clm_test_options(rows[_i].net, &clm_test_algorithms[rows[_i].algorithm], 2, rows[_i].steps);
    clm_test_batch batch = clm_test_batch_make(model, &options, 13);
    clm_meta *meta = clm_test_meta(host, model, &options, 14);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
    clm_test_vector gradient = clm_test_gradient(meta, model), values = clm_test_values(meta, model);
    ck_assert_uint_eq(gradient.n, values.n);
    double *direction = calloc(values.n, sizeof *direction), h = 1e-5;
    size_t parameters = clm_model_param_elements(model);
    for (int trial = 0; trial < 6; trial++) { /* all together, parameters alone, rates alone */
        clm_random r = clm_random_make(clm_test_seed(), (uint64_t)trial);
        for (size_t e = 0; e < values.n; e++) {
            direction[e] = clm_random_normal(&r);
            if (options.task.rates != CLM_RATES_FIXED && trial % 3 == (e < parameters ? 2 : 1)) direction[e] = 0;
        }
        double slope = clm_test_dot(gradient.data, direction, values.n);
        double up = loss_at(meta, model, &batch, &values, direction, h),
               down = loss_at(meta, model, &batch, &values, direction, -h);
        double scale = clm_test_norm(gradient.data, values.n) * clm_test_norm(direction, values.n);
        ck_assert_msg(fabs(slope - (up - down) / (2 * h)) <= 1e-7 * scale, "row %d, direction %d: %.12g, by differences %.12g",
                      _i, trial, slope, (up - down) / (2 * h));
    }
    free(direction);
    clm_test_vector_free(&gradient);
    clm_test_vector_free(&values);
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(host);
}
END_TEST

/* ---- the share of second order ---- */

static clm_test_vector gradient_of(clm_device *device, const clm_model *model, clm_meta_options options, bool first_order) {
    clm_test_batch batch = clm_test_batch_make(model, &options, 15);
    options.task.first_order = first_order;
    clm_meta *meta = clm_test_meta(device, model, &options, 16);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
    clm_test_vector v = clm_test_gradient(meta, model);
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    return v;
}

/* It is there for every net, and goes with the inner rate: the part that first order drops is of the order of the rate. */
START_TEST(second_order_is_there) {
    clm_device *device = clm_test_open(_i / 4);
    clm_test_net net = (clm_test_net)(_i % 4);
    clm_model *model = clm_test_model(net);
    clm_meta_options options = clm_test_options(net, NULL, 2, 1);
    double share[2];
    for (int k = 0; k < 2; k++) {
        options.task.inner_lr *= k ? 1e-3 : 1;
        clm_test_vector second = gradient_of(device, model, options, false), first = gradient_of(device, model, options, true);
        share[k] = clm_test_difference(second.data, first.data, first.n);
        clm_test_vector_free(&second);
        clm_test_vector_free(&first);
    }
    ck_assert_msg(share[0] > 0.01, "second order makes up %.3g of the gradient", share[0]);
    ck_assert_msg(share[1] > 0 && share[1] < 0.02 * share[0] + 1e-5, "%.3g at a rate a thousand times smaller (%.3g)", share[1],
                  share[0]);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("exactness");
    TCase *tcase = tcase_create("exactness");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, recursion_is_reverse_over_reverse, 0, CLM_TEST_ALGORITHMS);
    tcase_add_loop_test(tcase, recursion_on_opencl_is_reverse_over_reverse, 0, 5);
    tcase_add_loop_test(tcase, gradient_is_the_slope_of_the_loss, 0, 11);
    tcase_add_loop_test(tcase, second_order_is_there, 0, 4 * CLM_TEST_DEVICES);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
