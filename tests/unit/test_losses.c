/* Losses: values of PyTorch's formulas worked out by hand, derivatives at kinks and far out, and what the builders refuse. That
 * their derivatives are those of their values is for ops/test_ops. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/graph.h"
#include "support/run.h"

static clm_graph *g;
static clm_device *host;

static void setup(void) {
    CLM_TEST_OK(clm_graph_create(&g));
    host = clm_test_open_host();
}

static void teardown(void) {
    clm_graph_free(g);
    clm_device_close(host);
}

enum { MOST = 3 };
static clm_value in[MOST];
static const double *data[MOST];

/* Input i of the graph. */
static clm_value input(int i, clm_shape shape, const double *numbers) {
    const char *const names[MOST] = {"a", "b", "c"};
    data[i] = numbers;
    return in[i] = clm_input(g, names[i], shape, false);
}

static void run(size_t n, clm_value v, double *out) { CLM_TEST_OK(clm_test_run(host, g, 1, in, data, n, &v, &out, 1)); }

static void expect(size_t n, clm_value loss, double want) {
    double got;
    CLM_TEST_OK(clm_graph_status(g));
    run(n, loss, &got);
    ck_assert_double_eq_tol(got, want, 1e-14 * fmax(1, fabs(want)));
}

/* First and second derivative of a sum of functions of one element each. */
static void derivatives(size_t n, clm_value loss, clm_value x, clm_value ones, double *first, double *second) {
    clm_value gradient, curvature;
    CLM_TEST_OK(clm_grad(g, loss, &x, 1, &gradient));
    CLM_TEST_OK(clm_hvp(g, loss, &x, &ones, 1, &curvature));
    run(n, gradient, first);
    run(n, curvature, second);
}

/* ---- values and kinks ---- */

START_TEST(absolute) {
    static const double x[] = {1, 2, 5, -3}, t[] = {2, 2, 3, -1};
    double d1[4];
    clm_value gradient, a = input(0, clm_shape_of(2, 2, 2), x), b = input(1, clm_shape_of(2, 2, 2), t);
    expect(2, clm_mae(g, a, b, CLM_REDUCE_MEAN), 1.25);
    clm_value sum = clm_mae(g, a, b, CLM_REDUCE_SUM);
    expect(2, sum, 5);
    CLM_TEST_OK(clm_grad(g, sum, &a, 1, &gradient));
    run(2, gradient, d1);
    ck_assert(d1[0] == -1 && d1[1] == 0 && d1[2] == 1 && d1[3] == -1);
}
END_TEST

/* delta 2; inside, at 0, at +-delta, outside. */
START_TEST(huber) {
    static const double x[] = {1, 0, 2, -2, 5, -5}, t[] = {0, 0, 0, 0, 0, 0};
    static const double slope[] = {1, 0, 2, -2, 2, -2}, curvature[] = {1, 1, 1, 1, 0, 0};
    double d1[6], d2[6];
    clm_value a = input(0, clm_shape_of(1, 6), x), b = input(1, clm_shape_of(1, 6), t),
              ones = clm_fill(g, clm_shape_of(1, 6), 1);
    clm_value sum = clm_huber(g, a, b, 2, CLM_REDUCE_SUM);
    expect(2, sum, 0.5 + 2 + 2 + 8 + 8);
    expect(2, clm_huber(g, a, b, 2, CLM_REDUCE_MEAN), 20.5 / 6);
    derivatives(2, sum, a, ones, d1, d2);
    ck_assert_mem_eq(d1, slope, sizeof slope);
    ck_assert_mem_eq(d2, curvature, sizeof curvature);
}
END_TEST

/* At 0 there is no kink; far out nothing overflows and nothing cancels. */
START_TEST(binary) {
    static const double x[] = {0, 0, 800, -800, 50, -50}, t[] = {1, 0.25, 0, 1, 1, 0};
    double d1[6], d2[6], loss;
    clm_value a = input(0, clm_shape_of(1, 6), x), b = input(1, clm_shape_of(1, 6), t),
              ones = clm_fill(g, clm_shape_of(1, 6), 1);
    clm_value sum = clm_binary_cross_entropy(g, a, b, CLM_REDUCE_SUM);
    expect(2, sum, 2 * log(2) + 1600 + 2 * exp(-50));
    expect(2, clm_binary_cross_entropy(g, a, b, CLM_REDUCE_MEAN), (2 * log(2) + 1600) / 6);
    derivatives(2, sum, a, ones, d1, d2);
    ck_assert(d1[0] == -0.5 && d1[1] == 0.25 && d2[0] == 0.25 && d2[1] == 0.25);
    ck_assert(d1[2] == 1 && d1[3] == -1 && d2[2] == 0 && d2[3] == 0);
    ck_assert_double_eq_tol(d1[4] / -exp(-50), 1, 1e-12);
    ck_assert_double_eq_tol(d1[5] / exp(-50), 1, 1e-12);
    ck_assert_double_eq_tol(d2[4] / exp(-50), 1, 1e-12);
    data[0] = x + 4, data[1] = t + 4;
    in[0] = clm_input(g, "far", clm_shape_of(1, 2), false), in[1] = clm_input(g, "right", clm_shape_of(1, 2), false);
    run(2, clm_binary_cross_entropy(g, in[0], in[1], CLM_REDUCE_SUM), &loss);
    ck_assert_double_eq_tol(loss / (2 * exp(-50)), 1, 1e-12);
}
END_TEST

/* logits log(p): log-softmax is log(p). */
START_TEST(weighted) {
    const double logits[] = {log(0.5), log(0.25), log(0.25), log(0.125), log(0.125), log(0.75)};
    static const double labels[] = {0, 1}, weights[] = {1, 3, 2};
    const double l2 = log(2), first = (1 + 2 * 3 + 2 * 2) * l2,
                 second = (3 * 1 + 3 * 3) * l2 - 2 * log(0.75); /* -sum_c w_c log p_c */
    const double nll = l2 + 3 * 3 * l2, smooth = 0.7 * nll + 0.3 / 3 * (first + second);
    clm_value x = input(0, clm_shape_of(2, 2, 3), logits), y = input(1, clm_shape_of(1, 2), labels);
    clm_value w = input(2, clm_shape_of(1, 3), weights);
    expect(3, clm_weighted_cross_entropy(g, x, y, w, 0, CLM_REDUCE_SUM), nll);
    expect(3, clm_weighted_cross_entropy(g, x, y, w, 0, CLM_REDUCE_MEAN), nll / (1 + 3));
    expect(3, clm_weighted_cross_entropy(g, x, y, w, 0.3, CLM_REDUCE_SUM), smooth);
    expect(3, clm_weighted_cross_entropy(g, x, y, w, 0.3, CLM_REDUCE_MEAN), smooth / (1 + 3));
    const double plain = l2 + 3 * l2, all = 5 * l2 + 6 * l2 - log(0.75);
    expect(3, clm_weighted_cross_entropy(g, x, y, CLM_INVALID, 0.3, CLM_REDUCE_MEAN), (0.7 * plain + 0.1 * all) / 2);
    expect(3, clm_weighted_cross_entropy(g, x, y, CLM_INVALID, 1, CLM_REDUCE_SUM), all / 3);
}
END_TEST

START_TEST(without_weights_it_is_cross_entropy) {
    clm_value x = input(0, clm_shape_of(2, 2, 3), NULL), y = input(1, clm_shape_of(1, 2), NULL);
    for (clm_reduction r = CLM_REDUCE_MEAN; r <= CLM_REDUCE_SUM; r++)
        ck_assert_int_eq(clm_weighted_cross_entropy(g, x, y, CLM_INVALID, 0, r), clm_cross_entropy(g, x, y, r));
    CLM_TEST_OK(clm_graph_status(g));
}
END_TEST

/* Two actions with deviations 1 and 2, both examples one deviation off in the first; advantages 3 and -1. */
START_TEST(policy) {
    const double mean[] = {1, 2, 0, -1}, log_std[] = {0, log(2)}, y[] = {2, 2, 3, -1, 3, -1};
    const double constant = log(2 * acos(-1)) + log(2), density[] = {-0.5 - constant, -0.5 - 2 - constant};
    clm_value m = input(0, clm_shape_of(2, 2, 2), mean), s = input(1, clm_shape_of(1, 2), log_std);
    clm_value t = input(2, clm_shape_of(2, 2, 3), y);
    expect(3, clm_gaussian_policy_loss(g, m, s, t, CLM_REDUCE_SUM), -3 * density[0] + density[1]);
    expect(3, clm_gaussian_policy_loss(g, m, s, t, CLM_REDUCE_MEAN), (-3 * density[0] + density[1]) / 2);
}
END_TEST

/* ---- errors ---- */

static clm_value leaf1(int a) { return clm_input(g, "x", clm_shape_of(1, a), true); }
static clm_value leaf2(int a, int b) { return clm_input(g, "x", clm_shape_of(2, a, b), true); }

static clm_value mae_shape(void) { return clm_mae(g, leaf2(3, 5), leaf2(3, 1), CLM_REDUCE_MEAN); }
static clm_value huber_shape(void) { return clm_huber(g, leaf2(3, 5), leaf1(5), 1, CLM_REDUCE_MEAN); }
static clm_value huber_zero(void) { return clm_huber(g, leaf2(3, 5), leaf2(3, 5), 0, CLM_REDUCE_MEAN); }
static clm_value huber_nan(void) { return clm_huber(g, leaf2(3, 5), leaf2(3, 5), NAN, CLM_REDUCE_MEAN); }
static clm_value huber_infinite(void) { return clm_huber(g, leaf2(3, 5), leaf2(3, 5), INFINITY, CLM_REDUCE_MEAN); }
static clm_value binary_shape(void) { return clm_binary_cross_entropy(g, leaf2(3, 5), leaf1(3), CLM_REDUCE_MEAN); }
static clm_value weighted_labels(void) {
    return clm_weighted_cross_entropy(g, leaf2(3, 5), leaf1(4), leaf1(5), 0, CLM_REDUCE_MEAN);
}
static clm_value weighted_weights(void) {
    return clm_weighted_cross_entropy(g, leaf2(3, 5), leaf1(3), leaf1(3), 0, CLM_REDUCE_MEAN);
}
static clm_value weighted_smoothing(void) {
    return clm_weighted_cross_entropy(g, leaf2(3, 5), leaf1(3), CLM_INVALID, 1.5, CLM_REDUCE_MEAN);
}
static clm_value policy_y(void) { return clm_gaussian_policy_loss(g, leaf2(3, 2), leaf1(2), leaf2(3, 2), CLM_REDUCE_MEAN); }
static clm_value policy_std(void) { return clm_gaussian_policy_loss(g, leaf2(3, 2), leaf1(3), leaf2(3, 3), CLM_REDUCE_MEAN); }

static const struct bad {
    clm_value (*build)(void);
    clm_status status;
    const char *words[3]; /* all of them stand in the message */
} bad[] = {
    {mae_shape, CLM_E_SHAPE, {"mean absolute error", "[3, 5]", "[3, 1]"}},
    {huber_shape, CLM_E_SHAPE, {"Huber", "[3, 5]", "[5]"}},
    {huber_zero, CLM_E_ARG, {"Huber", "delta 0", "greater than 0"}},
    {huber_nan, CLM_E_ARG, {"Huber", "delta", "nan"}},
    {huber_infinite, CLM_E_ARG, {"Huber", "delta", "inf"}},
    {binary_shape, CLM_E_SHAPE, {"binary cross-entropy", "[3, 5]", "[3]"}},
    {weighted_labels, CLM_E_SHAPE, {"weighted cross-entropy", "[3, 5]", "[4]"}},
    {weighted_weights, CLM_E_SHAPE, {"weighted cross-entropy", "[3, 5]", "class weights"}},
    {weighted_smoothing, CLM_E_ARG, {"weighted cross-entropy", "1.5", "from 0 to 1"}},
    {policy_y, CLM_E_SHAPE, {"Gaussian policy", "y [3, 2]", "[n, actions + 1]"}},
    {policy_std, CLM_E_SHAPE, {"Gaussian policy", "log_std [3]", "[actions]"}},
};
enum { BAD = sizeof bad / sizeof bad[0] };

START_TEST(errors) {
    ck_assert_int_eq(bad[_i].build(), CLM_INVALID);
    ck_assert_int_eq(clm_graph_status(g), bad[_i].status);
    for (int i = 0; i < 3; i++)
        ck_assert_msg(strstr(clm_last_error(), bad[_i].words[i]), "\"%s\" is not in \"%s\"", bad[_i].words[i],
                      clm_last_error());
}
END_TEST

int main(void) {
    Suite *suite = suite_create("losses");
    TCase *cases = tcase_create("losses");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, absolute);
    tcase_add_test(cases, huber);
    tcase_add_test(cases, binary);
    tcase_add_test(cases, weighted);
    tcase_add_test(cases, without_weights_it_is_cross_entropy);
    tcase_add_test(cases, policy);
    tcase_add_loop_test(cases, errors, 0, BAD);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
