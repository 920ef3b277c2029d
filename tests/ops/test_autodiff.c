/* Derivatives of functions whose derivatives are known in closed form, and the conventions of clm_vjp, clm_jvp and clm_hvp: what
 * is summed over tasks, what is independent of what, what is zero, and that a zero never turns an infinity into a NaN.
 * In double precision on the host reference; the device computes the same graphs (test_ops.c). */
#include <check.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/numbers.h"
#include "support/run.h"

enum { TASKS = 3, MAX_FEEDS = 8 };

static clm_graph *g;
static clm_device *host;
static size_t n_feeds;
static clm_value feed[MAX_FEEDS];
static const double *feed_data[MAX_FEEDS];

static void setup(void) {
    host = clm_test_open_host();
    CLM_TEST_OK(clm_graph_create(&g));
    n_feeds = 0;
}

static void teardown(void) {
    clm_graph_free(g);
    clm_device_close(host);
}

/* An input with its numbers, [tasks, shape..] when per task; the numbers must outlive the test. */
static clm_value input(clm_shape shape, bool per_task, const double *data) {
    ck_assert_uint_lt(n_feeds, MAX_FEEDS);
    char name[16] = {'x', (char)('0' + n_feeds), 0};
    feed[n_feeds] = clm_input(g, name, shape, per_task);
    feed_data[n_feeds] = data;
    return feed[n_feeds++];
}

static clm_value vector(int n, const double *data) { return input(clm_shape_of(1, n), false, data); }

static void evaluate(clm_value v, double *out) {
    CLM_TEST_OK(clm_graph_status(g));
    CLM_TEST_OK(clm_test_run(host, g, TASKS, feed, feed_data, n_feeds, &v, &out, 1));
}

static void expect(clm_value v, const double *expected, size_t n, double tolerance) {
    double out[64];
    ck_assert_uint_eq(clm_test_elements(g, v, TASKS), n);
    evaluate(v, out);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs(out[i] - expected[i]) <= tolerance * (1 + fabs(expected[i])), "element %zu is %.17g, expected %.17g",
                      i, out[i], expected[i]);
}

/* A value that must be zero everywhere, or CLM_INVALID: a symbolic zero. */
static void expect_zero(clm_value v) {
    if (v == CLM_INVALID) return;
    double out[64];
    size_t n = clm_test_elements(g, v, TASKS);
    evaluate(v, out);
    for (size_t i = 0; i < n; i++) ck_assert_msg(out[i] == 0, "element %zu is %g, expected 0", i, out[i]);
}

static clm_value element(clm_value x, int i) {
    return clm_reshape(g, clm_slice(g, x, (const int32_t[]){i}, clm_shape_of(1, 1)), clm_shape_of(0));
}

static clm_value grad1(clm_value scalar, clm_value x) {
    clm_value gradient;
    CLM_TEST_OK(clm_grad(g, scalar, &x, 1, &gradient));
    return gradient;
}

static void draw(clm_random *r, double *data, size_t n) {
    for (size_t i = 0; i < n; i++) data[i] = clm_random_normal(r);
}

/* ---- closed forms ---- */

/* f = (1 - a)^2 + 100 (b - a^2)^2 */
START_TEST(rosenbrock) {
    clm_random r = clm_random_make(clm_test_seed(), 1);
    double p[2], v[2];
    draw(&r, p, 2);
    draw(&r, v, 2);
    clm_value x = vector(2, p), t = vector(2, v), hv;
    clm_value a = element(x, 0), b = element(x, 1);
    clm_value f =
        clm_add(g, clm_square(g, clm_affine(g, a, -1, 1)), clm_scale(g, clm_square(g, clm_sub(g, b, clm_square(g, a))), 100));
    double A = p[0], B = p[1];
    expect(grad1(f, x), (double[]){-2 * (1 - A) - 400 * A * (B - A * A), 200 * (B - A * A)}, 2, 1e-12);
    CLM_TEST_OK(clm_hvp(g, f, &x, &t, 1, &hv));
    expect(hv, (double[]){(2 - 400 * B + 1200 * A * A) * v[0] - 400 * A * v[1], -400 * A * v[0] + 200 * v[1]}, 2, 1e-12);
}
END_TEST

/* f(w) = sum_i softplus(-y_i <x_i, w>): H = X^T diag(s (1 - s)) X with s = sigmoid(y_i <x_i, w>) */
START_TEST(logistic_regression) {
    enum { N = 7, D = 3 };
    clm_random r = clm_random_make(clm_test_seed(), 2);
    double X[N * D], y[N], w[D], v[D], gradient[D] = {0}, product[D] = {0};
    draw(&r, X, N * D);
    draw(&r, w, D);
    draw(&r, v, D);
    for (int i = 0; i < N; i++) y[i] = clm_random_below(&r, 2) ? 1 : -1;
    clm_value vx = input(clm_shape_of(2, N, D), false, X), vy = vector(N, y), vw = vector(D, w), vv = vector(D, v), hv;
    clm_value scores =
        clm_reshape(g, clm_matmul(g, vx, clm_reshape(g, vw, clm_shape_of(2, D, 1)), false, false), clm_shape_of(1, N));
    clm_value f = clm_sum_all(g, clm_softplus(g, clm_neg(g, clm_mul(g, vy, scores))));
    for (int i = 0; i < N; i++) {
        double z = y[i] * clm_test_dot(X + i * D, w, D), s = 1 / (1 + exp(-z)), xv = clm_test_dot(X + i * D, v, D);
        for (int k = 0; k < D; k++) {
            gradient[k] -= (1 - s) * y[i] * X[i * D + k];
            product[k] += s * (1 - s) * xv * X[i * D + k];
        }
    }
    expect(grad1(f, vw), gradient, D, 1e-12);
    CLM_TEST_OK(clm_hvp(g, f, &vw, &vv, 1, &hv));
    expect(hv, product, D, 1e-12);
}
END_TEST

/* Derivatives of order 1, 2, 3, .. of an elementwise function by repeated vjp. */
static void expect_orders(clm_value y, clm_value x, const double *const *expected, int orders, size_t n) {
    for (int k = 0; k < orders; k++) {
        y = grad1(clm_sum_all(g, y), x);
        expect(y, expected[k], n, 1e-11);
    }
}

START_TEST(third_derivatives) {
    enum { N = 5 };
    clm_random r = clm_random_make(clm_test_seed(), 3);
    double p[N], d[4][N];
    draw(&r, p, N);
    clm_value x = vector(N, p);
    const double *const orders[] = {d[0], d[1], d[2], d[3]};
    for (int i = 0; i < N; i++) d[0][i] = cos(p[i]), d[1][i] = -sin(p[i]), d[2][i] = -cos(p[i]), d[3][i] = sin(p[i]);
    expect_orders(clm_sin(g, x), x, orders, 4, N);
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < N; i++) d[k][i] = pow(2, k + 1) * exp(2 * p[i]);
    expect_orders(clm_exp(g, clm_scale(g, x, 2)), x, orders, 4, N);
    for (int i = 0; i < N; i++) {
        double t = tanh(p[i]), c = 1 - t * t;
        d[0][i] = c, d[1][i] = -2 * t * c, d[2][i] = c * (6 * t * t - 2);
    }
    expect_orders(clm_tanh(g, x), x, orders, 3, N);
    for (int i = 0; i < N; i++) {
        double s = 1 / (1 + exp(-p[i])), c = s * (1 - s);
        d[0][i] = s, d[1][i] = c, d[2][i] = c * (1 - 2 * s), d[3][i] = c * (1 - 6 * c);
    }
    expect_orders(clm_softplus(g, x), x, orders, 4, N);
}
END_TEST

/* Third derivatives that mix inputs: f = a^2 b c, d3f/da db dc = 2a. */
START_TEST(mixed_third_derivative) {
    double a = 1.3, b = -0.4, c = 2.1;
    clm_value va = input(clm_shape_of(0), false, &a), vb = input(clm_shape_of(0), false, &b),
              vc = input(clm_shape_of(0), false, &c);
    clm_value f = clm_mul(g, clm_mul(g, clm_square(g, va), vb), vc);
    expect(grad1(grad1(grad1(f, va), vb), vc), (double[]){2 * a}, 1, 1e-14);
    expect(grad1(grad1(grad1(f, vc), va), va), (double[]){2 * b}, 1, 1e-14);
    expect_zero(grad1(grad1(f, vb), vb));
}
END_TEST

/* An inner step w' = w - r f'(w) on f = q w^2 / 2 differentiated through: dL(w')/dw = (1 - r q) w' for L = w'^2 / 2. */
START_TEST(through_an_inner_step) {
    double w = 0.7, q[TASKS] = {0.5, 1.5, -2.0}, rate = 0.3, own[TASKS], sum = 0, rate_sum = 0, zeros[TASKS] = {0};
    clm_value vw = input(clm_shape_of(0), false, &w), vq = input(clm_shape_of(0), true, q),
              vr = input(clm_shape_of(0), false, &rate);
    /* A per-task copy of the shared start: the inner gradients are each task's own. */
    clm_value start = clm_add(g, vw, input(clm_shape_of(0), true, zeros));
    clm_value inner = clm_scale(g, clm_mul(g, vq, clm_square(g, start)), 0.5);
    clm_value adapted = clm_sub(g, start, clm_mul(g, vr, grad1(inner, start)));
    clm_value loss = clm_scale(g, clm_square(g, adapted), 0.5);
    for (int i = 0; i < TASKS; i++) {
        own[i] = (1 - rate * q[i]) * w;
        sum += (1 - rate * q[i]) * own[i];
        rate_sum -= own[i] * q[i] * w;
    }
    expect(adapted, own, TASKS, 1e-14);
    expect(grad1(loss, vw), &sum, 1, 1e-14);
    expect(grad1(loss, vr), &rate_sum, 1, 1e-14);
}
END_TEST

/* ---- tasks ---- */

START_TEST(shared_values_get_sums_over_tasks) {
    double w[2] = {0.5, -2}, x[TASKS * 2] = {1, 2, 3, 4, 5, 6}, v[2] = {1, 10};
    clm_value vw = vector(2, w), vx = input(clm_shape_of(1, 2), true, x), vv = vector(2, v), hv, both[2], inputs[2] = {vw, vx};
    clm_value f = clm_sum_all(g, clm_mul(g, clm_square(g, vw), vx));
    ck_assert(clm_value_per_task(g, f));
    CLM_TEST_OK(clm_grad(g, f, inputs, 2, both));
    ck_assert(!clm_value_per_task(g, both[0]));
    expect(both[0], (double[]){2 * w[0] * 9, 2 * w[1] * 12}, 2, 1e-14);
    CLM_TEST_OK(clm_hvp(g, f, &vw, &vv, 1, &hv));
    ck_assert(!clm_value_per_task(g, hv));
    expect(hv, (double[]){2 * 9 * v[0], 2 * 12 * v[1]}, 2, 1e-14);
    /* d/dx_i is w^2 for every task, be it kept once or per task. */
    double once[TASKS * 2];
    evaluate(both[1], once);
    ck_assert(fabs(once[0] - 0.25) < 1e-15 && fabs(once[1] - 4) < 1e-15);
}
END_TEST

START_TEST(per_task_values_keep_their_own) {
    double x[TASKS] = {1, 2, 3}, own[TASKS] = {2, 4, 6}, sums[TASKS] = {28, 56, 84}, total = 14;
    clm_value vx = input(clm_shape_of(0), true, x);
    clm_value square = clm_square(g, vx), all = clm_sum_tasks(g, square, CLM_INVALID);
    expect(grad1(square, vx), own, TASKS, 1e-15);
    ck_assert(!clm_value_per_task(g, all));
    expect(all, &total, 1, 1e-15);
    expect(grad1(all, vx), own, TASKS, 1e-15);
    /* (sum_i x_i^2)^2 / 2: every task sees the others. */
    expect(grad1(clm_scale(g, clm_square(g, all), 0.5), vx), sums, TASKS, 1e-15);
}
END_TEST

START_TEST(sum_tasks_counts_shared_values_and_starts_from_initial) {
    double w = 1.5, x[TASKS] = {1, 2, 3}, start = 10;
    clm_value vw = input(clm_shape_of(0), false, &w), vx = input(clm_shape_of(0), true, x),
              vs = input(clm_shape_of(0), false, &start);
    expect(clm_sum_tasks(g, vw, CLM_INVALID), (double[]){TASKS * 1.5}, 1, 1e-15);
    clm_value sum = clm_sum_tasks(g, clm_mul(g, vx, vw), vs);
    expect(sum, (double[]){19}, 1, 1e-15);
    expect(grad1(sum, vw), (double[]){6}, 1, 1e-15);
    expect(grad1(sum, vs), (double[]){1}, 1, 1e-15);
    expect(grad1(clm_sum_tasks(g, vw, CLM_INVALID), vw), (double[]){TASKS}, 1, 1e-15);
}
END_TEST

/* ---- what depends on what ---- */

/* y = x^2, z = x y: with x and y both given, y does not follow x. */
START_TEST(values_among_the_inputs_are_independent) {
    double p = 1.7, one = 1;
    clm_value x = input(clm_shape_of(0), false, &p), t = input(clm_shape_of(0), false, &one);
    clm_value y = clm_square(g, x), z = clm_mul(g, x, y), inputs[2] = {x, y}, both[2], tangent;
    CLM_TEST_OK(clm_grad(g, z, inputs, 2, both));
    expect(both[0], (double[]){p * p}, 1, 1e-14);
    expect(both[1], (double[]){p}, 1, 1e-14);
    expect(grad1(z, x), (double[]){3 * p * p}, 1, 1e-14);
    CLM_TEST_OK(clm_jvp(g, inputs, (clm_value[]){t, CLM_INVALID}, 2, &z, 1, &tangent));
    expect(tangent, (double[]){p * p}, 1, 1e-14);
    CLM_TEST_OK(clm_jvp(g, inputs, (clm_value[]){CLM_INVALID, t}, 2, &z, 1, &tangent));
    expect(tangent, (double[]){p}, 1, 1e-14);
    /* The Hessian in (x, y) is [[0, 1], [1, 0]]. */
    CLM_TEST_OK(clm_hvp(g, z, inputs, (clm_value[]){t, t}, 2, both));
    expect(both[0], (double[]){1}, 1, 1e-14);
    expect(both[1], (double[]){1}, 1, 1e-14);
    /* An output that is itself an input. */
    CLM_TEST_OK(clm_grad(g, y, inputs, 2, both));
    expect_zero(both[0]);
    expect(both[1], (double[]){1}, 1, 0);
}
END_TEST

START_TEST(several_outputs_add_up) {
    double p[2] = {0.3, -1.2}, c[2] = {2, 5};
    clm_value x = vector(2, p), vc = vector(2, c), gradient;
    clm_value outputs[3] = {clm_square(g, x), clm_sin(g, x), x}, cotangents[3] = {vc, vc, vc};
    CLM_TEST_OK(clm_vjp(g, outputs, cotangents, 3, &x, 1, &gradient));
    expect(gradient, (double[]){c[0] * (2 * p[0] + cos(p[0]) + 1), c[1] * (2 * p[1] + cos(p[1]) + 1)}, 2, 1e-14);
}
END_TEST

START_TEST(irrelevant_inputs_get_zeros) {
    double p[3] = {1, 2, 3}, q[4] = {4, 5, 6, 7};
    clm_value x = vector(3, p), other = vector(4, q), inputs[2] = {x, other}, both[2], tangent;
    clm_value f = clm_sum_all(g, clm_square(g, x));
    CLM_TEST_OK(clm_grad(g, f, inputs, 2, both));
    clm_shape shape = clm_value_shape(g, both[1]), expected = clm_shape_of(1, 4);
    ck_assert(clm_shape_equal(&shape, &expected));
    expect_zero(both[1]);
    CLM_TEST_OK(clm_jvp(g, &other, &other, 1, &f, 1, &tangent));
    expect_zero(tangent);
    CLM_TEST_OK(clm_hvp(g, f, inputs, inputs, 2, both));
    expect(both[0], (double[]){2, 4, 6}, 3, 1e-15);
    expect_zero(both[1]);
    CLM_TEST_OK(clm_grad(g, clm_sum_all(g, clm_stop_gradient(g, clm_square(g, x))), &x, 1, both));
    expect_zero(both[0]);
}
END_TEST

/* ---- zeros and infinities ---- */

/* log, sqrt and 1/x have infinite derivatives at 0: they must not appear in derivatives that have nothing to do with them. */
START_TEST(symbolic_zeros_meet_no_infinity) {
    double zero[2] = {0, 0}, p[2] = {0.5, 2}, t[2] = {1, 3};
    clm_value z = vector(2, zero), x = vector(2, p), v = vector(2, t), tangent, hv;
    clm_value wild = clm_add(g, clm_add(g, clm_log(g, z), clm_sqrt(g, z)), clm_div(g, clm_const(g, 1), z));
    clm_value y = clm_add(g, clm_square(g, x), wild), f = clm_sum_all(g, y);
    expect(grad1(f, x), (double[]){1, 4}, 2, 1e-15);
    CLM_TEST_OK(clm_jvp(g, &x, &v, 1, &y, 1, &tangent));
    expect(tangent, (double[]){1, 12}, 2, 1e-15);
    CLM_TEST_OK(clm_hvp(g, f, &x, &v, 1, &hv));
    expect(hv, (double[]){2, 6}, 2, 1e-15);
    /* A tangent of zero for z stays out as well. */
    CLM_TEST_OK(clm_jvp(g, (clm_value[]){x, z}, (clm_value[]){v, CLM_INVALID}, 2, &y, 1, &tangent));
    expect(tangent, (double[]){1, 12}, 2, 1e-15);
}
END_TEST

/* x^2 at 0: derivatives 0, 2, 0, 0 and not 0 * 0^-1. */
START_TEST(powers_at_zero) {
    double zero[1] = {0};
    clm_value x = vector(1, zero);
    const double *const orders[] = {(double[]){0}, (double[]){2}, (double[]){0}, (double[]){0}};
    expect_orders(clm_power(g, x, 2), x, orders, 4, 1);
    expect_orders(clm_square(g, x), x, orders, 4, 1);
    expect_orders(clm_mul(g, x, x), x, orders, 4, 1);
    const double *const cube[] = {(double[]){0}, (double[]){0}, (double[]){6}, (double[]){0}};
    expect_orders(clm_power(g, x, 3), x, cube, 4, 1);
}
END_TEST

/* The branch not taken may overflow: it contributes nothing. */
START_TEST(large_arguments_stay_finite) {
    enum { N = 4 };
    double p[N] = {-800, -30, 30, 800}, ones[N] = {1, 1, 1, 1}, out[N];
    clm_value x = vector(N, p), v = vector(N, ones);
    clm_value functions[] = {clm_softplus(g, x), clm_sigmoid(g, x),  clm_tanh(g, x),    clm_silu(g, x),
                             clm_gelu(g, x),     clm_elu(g, x, 1.0), clm_softmax(g, x), clm_log_softmax(g, x)};
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        clm_value f = clm_sum_all(g, functions[k]), values[3] = {functions[k], grad1(f, x), CLM_INVALID};
        CLM_TEST_OK(clm_hvp(g, f, &x, &v, 1, &values[2]));
        for (int i = 0; i < 3; i++) {
            evaluate(values[i], out);
            for (int e = 0; e < N; e++)
                ck_assert_msg(isfinite(out[e]), "function %zu, derivative %d, x = %g: %g", k, i, p[e], out[e]);
        }
    }
}
END_TEST

/* ---- conventions at ties and kinks ---- */

START_TEST(derivatives_at_ties) {
    double p[3] = {1, 1, -2}, q[3] = {1, 0, -2}, zero[1] = {0};
    clm_value a = vector(3, p), b = vector(3, q), z = vector(1, zero), inputs[2] = {a, b}, both[2];
    CLM_TEST_OK(clm_grad(g, clm_sum_all(g, clm_maximum(g, a, b)), inputs, 2, both));
    expect(both[0], (double[]){1, 1, 1}, 3, 0);
    expect(both[1], (double[]){0, 0, 0}, 3, 0);
    CLM_TEST_OK(clm_grad(g, clm_reduce_max(g, a, 1u, false), &a, 1, both));
    expect(both[0], (double[]){0.5, 0.5, 0}, 3, 0);
    expect(clm_sign(g, z), (double[]){0}, 1, 0);
    expect(clm_step(g, z), (double[]){0}, 1, 0);
    expect(grad1(clm_sum_all(g, clm_relu(g, z)), z), (double[]){0}, 1, 0);
    expect(grad1(clm_sum_all(g, clm_abs(g, z)), z), (double[]){0}, 1, 0);
}
END_TEST

START_TEST(first_maximum_of_a_window_wins) {
    static const clm_pool_options half = {{2, 2}, {2, 2}, {0, 0}};
    double p[8] = {3, 3, 0, 7, 1, 3, 7, 7}; /* 2 x 4 */
    clm_value x = input(clm_shape_of(4, 1, 2, 4, 1), false, p);
    clm_value y = clm_max_pool(g, x, &half);
    expect(y, (double[]){3, 7}, 2, 0);
    expect(grad1(clm_sum_all(g, y), x), (double[]){1, 0, 0, 1, 0, 0, 0, 0}, 8, 0);
}
END_TEST

START_TEST(flat_operations_have_no_derivative) {
    double p[3] = {0.5, -1, 2}, q[3] = {1, 1, 1};
    clm_value x = vector(3, p), y = vector(3, q);
    clm_value flat[] = {clm_greater(g, x, y), clm_equal(g, x, y),   clm_sign(g, x),
                        clm_step(g, x),       clm_one_hot(g, x, 2), clm_stop_gradient(g, x)};
    for (size_t k = 0; k < sizeof flat / sizeof flat[0]; k++) {
        clm_value tangent;
        CLM_TEST_OK(clm_jvp(g, &x, &y, 1, &flat[k], 1, &tangent));
        expect_zero(tangent);
        expect_zero(grad1(clm_sum_all(g, flat[k]), x));
    }
}
END_TEST

/* The value is exact, the derivative what was chosen, and its own derivative 0, whatever it is multiplied by. */
START_TEST(chosen_derivatives) {
    double p[8] = {-2.5, -1, -0.5, 0, 0.5, 0.75, 1.5, NAN}, t[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    double inside[7] = {0, 0, 1, 1, 1, 1, 0}, everywhere[7] = {1, 1, 1, 1, 1, 1, 1};
    double values[2][7] = {{-1, -1, -1, 0, 1, 1, 1}, {-2, -1, 0, 0, 0, 1, 2}}, out[8];
    clm_value x = vector(7, p), v = vector(7, t), nan = vector(1, p + 7);
    clm_value (*const builders[2])(clm_graph *, clm_value, double) = {clm_straight_sign, clm_straight_round};
    for (int k = 0; k < 4; k++) {
        const bool clip = k % 2 == 0;
        clm_value y = builders[k / 2](g, x, clip ? 1 : HUGE_VAL), tangent, hv;
        expect(y, values[k / 2], 7, 0);
        expect(grad1(clm_sum_all(g, y), x), clip ? inside : everywhere, 7, 0);
        CLM_TEST_OK(clm_jvp(g, &x, &v, 1, &y, 1, &tangent));
        for (int i = 0; i < 7; i++) out[i] = t[i] * (clip ? inside : everywhere)[i];
        expect(tangent, out, 7, 0);
        CLM_TEST_OK(clm_hvp(g, clm_sum_all(g, clm_mul(g, y, v)), &x, &v, 1, &hv));
        expect_zero(hv);
        /* of y^2 / 2 the first derivative is y m, the second m^2 */
        CLM_TEST_OK(clm_hvp(g, clm_scale(g, clm_sum_all(g, clm_square(g, y)), 0.5), &x, &v, 1, &hv));
        expect(hv, out, 7, 0);
        evaluate(builders[k / 2](g, nan, 1), out);
        ck_assert(isnan(out[0]));
    }
    expect(clm_straight_round(g, clm_const(g, 2.5), 1), (double[]){2}, 1, 0);
    ck_assert_int_eq(clm_straight_sign(g, x, 0), CLM_INVALID);
    ck_assert_int_eq(clm_graph_status(g), CLM_E_ARG);
}
END_TEST

static void add_tests(TCase *tc, const TTest *const *tests, size_t count) {
    for (size_t i = 0; i < count; i++) tcase_add_test(tc, tests[i]);
}

int main(void) {
    clm_test_seed();
    const TTest *const tests[] = {rosenbrock,
                                  logistic_regression,
                                  third_derivatives,
                                  mixed_third_derivative,
                                  through_an_inner_step,
                                  shared_values_get_sums_over_tasks,
                                  per_task_values_keep_their_own,
                                  sum_tasks_counts_shared_values_and_starts_from_initial,
                                  values_among_the_inputs_are_independent,
                                  several_outputs_add_up,
                                  irrelevant_inputs_get_zeros,
                                  symbolic_zeros_meet_no_infinity,
                                  powers_at_zero,
                                  large_arguments_stay_finite,
                                  derivatives_at_ties,
                                  first_maximum_of_a_window_wins,
                                  flat_operations_have_no_derivative,
                                  chosen_derivatives};
    Suite *suite = suite_create("autodiff");
    TCase *tc = tcase_create("autodiff");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    add_tests(tc, tests, sizeof tests / sizeof tests[0]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
