/* The meta-gradient of a policy against that of the meta-learner and the slope of the surrogate, Fisher products against
 * reverse over reverse in double, the trust region. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/meta.h"
#include "support/policy.h"
#include "support/run.h"

static clm_test_acting acting;
static clm_policy *policy;

static void begin(clm_device *on, const clm_policy_options *options) {
    acting = clm_test_act(on, options);
    policy = acting.policy;
}

static void end(void) { clm_test_act_no_more(&acting); }

/* ---- gradients ---- */

static const struct {
    int steps, chunk;
    bool first_order;
} ways[] = {{1, 0, false}, {2, 1, false}, {2, 3, true}};
enum { WAYS = sizeof ways / sizeof *ways };

static void begin_way(clm_device *on, int i) {
    clm_policy_options o = clm_test_policy_options(ways[i].steps, ways[i].chunk);
    o.first_order = ways[i].first_order;
    begin(on, &o);
    CLM_TEST_OK(clm_policy_sample(policy, 4, 0));
}

static float *floats_of(const double *from, size_t n) {
    float *to = clm_calloc(n, sizeof *to);
    for (size_t i = 0; i < n; i++) to[i] = (float)from[i];
    return to;
}

/* Support sets [tasks, steps, R, ..] of sets [tasks, R, ..]. */
static float *support_of(bool x, int steps) {
    const size_t one = clm_tensor_size(x ? policy->sets[0].x : policy->sets[0].y) / TASKS;
    double *all = clm_calloc(one * TASKS * (size_t)steps, sizeof *all);
    for (int k = 0; k < steps; k++) {
        double *set = clm_test_numbers_of(x ? policy->sets[k].x : policy->sets[k].y);
        for (size_t t = 0; t < TASKS; t++)
            memcpy(all + (t * (size_t)steps + (size_t)k) * one, set + t * one, one * sizeof *all);
        free(set);
    }
    float *out = floats_of(all, one * TASKS * (size_t)steps);
    free(all);
    return out;
}

/* The meta-learner's gradient of the same batch; what it takes are floats, so the policy's sets are rounded first. */
static void meta_gradient(int way, double *gradient) {
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    clm_meta *meta = NULL;
    clm_batch batch = {0};
    const int steps = ways[way].steps;
    double *x = clm_test_numbers_of(policy->sets[steps].x), *y = clm_test_numbers_of(policy->sets[steps].y);
    o.tasks = TASKS;
    o.task = clm_policy_task_options(&policy->options);
    o.task.support = o.task.query = ROWS;
    CLM_TEST_OK(clm_meta_create(&meta, acting.device, acting.model, &o));
    CLM_TEST_OK(clm_policy_get(policy, policy->params));
    CLM_TEST_OK(clm_meta_set_params(meta, policy->params));
    float *const arrays[] = {support_of(true, steps), support_of(false, steps), floats_of(x, TASKS * ROWS * 2),
                             floats_of(y, TASKS * ROWS * 3)};
    batch.support_x = arrays[0], batch.support_y = arrays[1], batch.query_x = arrays[2], batch.query_y = arrays[3];
    CLM_TEST_OK(clm_meta_gradient(meta, &batch));
    for (size_t i = 0; i < policy->n_entries; i++)
        CLM_TEST_OK(clm_meta_read(meta, CLM_Q_GRAD, i, gradient + policy->entries[i].at));
    for (size_t i = 0; i < 4; i++) free(arrays[i]);
    free(x);
    free(y);
    clm_meta_free(meta);
}

static void round_sets(int steps) {
    for (int k = 0; k <= steps; k++) {
        clm_tensor *const tensors[] = {policy->sets[k].x, policy->sets[k].y};
        for (size_t i = 0; i < 2; i++) {
            double *data = clm_test_numbers_of(tensors[i]);
            float *rounded = floats_of(data, clm_tensor_size(tensors[i]));
            CLM_TEST_OK(clm_tensor_write(tensors[i], rounded, clm_tensor_size(tensors[i])));
            free(data);
            free(rounded);
        }
    }
}

START_TEST(gradient_is_that_of_the_meta_learner) {
    begin_way(clm_test_open_host(), _i);
    round_sets(ways[_i].steps);
    double *mine = clm_calloc(policy->elements, sizeof *mine), *theirs = clm_calloc(policy->elements, sizeof *theirs);
    CLM_TEST_OK(clm_policy_gradient(policy, mine));
    meta_gradient(_i, theirs);
    clm_test_expect_near(mine, theirs, policy->elements, 1e-10, "gradient");
    free(mine);
    free(theirs);
    end();
}
END_TEST

static double *theta_of(void) {
    double *theta = clm_calloc(policy->elements, sizeof *theta);
    CLM_TEST_OK(clm_tensor_read_f64(policy->theta.whole, theta, policy->elements));
    return theta;
}

/* The surrogate at parameters a little further along a direction rises by the gradient; the divergence is quadratic there, by
 * the Fisher product. */
START_TEST(surrogate_and_divergence_have_these_slopes) {
    begin_way(clm_test_open_host(), _i);
    const size_t n = policy->elements;
    const double h = 1e-5;
    double *theta = theta_of(), *v = clm_calloc(n, sizeof *v), *at = clm_calloc(n, sizeof *at), *g = clm_calloc(n, sizeof *g),
           *fv = clm_calloc(n, sizeof *fv), surrogate[3], kl[3], slope = 0, curve = 0;
    clm_test_draw_normal(v, n, 21);
    CLM_TEST_OK(clm_policy_gradient(policy, g));
    CLM_TEST_OK(clm_policy_fisher(policy, v, fv));
    for (int s = 0; s < 3; s++) {
        for (size_t i = 0; i < n; i++) at[i] = theta[i] + (s - 1) * h * v[i];
        CLM_TEST_OK(clm_policy_trial(policy, at, &surrogate[s], &kl[s]));
    }
    for (size_t i = 0; i < n; i++) slope += g[i] * v[i], curve += v[i] * fv[i];
    ck_assert_double_eq_tol(surrogate[1], 0, 1e-12);
    ck_assert_double_eq_tol(kl[1], 0, 1e-12);
    if (!ways[_i].first_order) {
        ck_assert_double_eq_tol((surrogate[2] - surrogate[0]) / (2 * h), slope, 1e-6 * fabs(slope) + 1e-8);
        ck_assert_double_eq_tol((kl[2] + kl[0]) / (h * h), curve, 1e-3 * curve);
    }
    double *after = theta_of();
    ck_assert_mem_eq(theta, after, n * sizeof *theta); /* a trial leaves theta as it was */
    double *const all[] = {theta, v, at, g, fv, after};
    for (size_t i = 0; i < 6; i++) free(all[i]);
    end();
}
END_TEST

/* ---- Fisher products: reverse over reverse in one graph of the whole divergence ---- */

typedef struct oracle {
    clm_graph *g;
    clm_value in[CLM_POLICY_ENTRIES_MOST + 16];
    const double *data[CLM_POLICY_ENTRIES_MOST + 16];
    double *owned[16];
    size_t n, n_owned;
} oracle;

static clm_value oracle_input(oracle *o, const char *name, clm_tensor *t) {
    o->in[o->n] = clm_input(o->g, name, clm_tensor_shape(t), clm_tensor_tasks(t) > 0);
    o->data[o->n] = o->owned[o->n_owned++] = clm_test_numbers_of(t);
    return o->in[o->n++];
}

static clm_value loss_at(oracle *o, const clm_value *theta, clm_value x, clm_value y) {
    return clm_gaussian_policy_loss(o->g, clm_model_apply(acting.model, o->g, theta, x, NULL), theta[policy->n_entries - 1], y,
                                    CLM_REDUCE_MEAN);
}

/* KL of the policies at theta from those at `old`, summed over tasks. */
static clm_value divergence(oracle *o, const clm_value *theta, const clm_value *old, clm_value x, clm_value weight) {
    clm_graph *g = o->g;
    const size_t last = policy->n_entries - 1;
    const clm_value a = clm_model_apply(acting.model, g, old, x, NULL), b = clm_model_apply(acting.model, g, theta, x, NULL);
    const clm_value va = clm_exp(g, clm_scale(g, old[last], 2)), vb = clm_exp(g, clm_scale(g, theta[last], 2));
    clm_value k = clm_div(g, clm_add(g, va, clm_square(g, clm_sub(g, a, b))), clm_scale(g, vb, 2));
    k = clm_add(g, clm_sub(g, k, clm_fill(g, clm_shape_of(1, 2), 0.5)), clm_sub(g, theta[last], old[last]));
    return clm_sum_tasks(g, clm_sum_all(g, clm_mul(g, k, clm_reshape(g, weight, clm_shape_of(2, ROWS, 1)))), CLM_INVALID);
}

/* theta becomes theta_K of each task. */
static void unroll(oracle *o, int steps, clm_value *theta) {
    char name[16];
    for (size_t i = 0; i < policy->n_entries; i++) theta[i] = clm_per_task(o->g, theta[i]);
    for (int k = 0; k < steps; k++) {
        clm_value grad[CLM_POLICY_ENTRIES_MOST];
        snprintf(name, sizeof name, "x%d", k);
        const clm_value x = oracle_input(o, name, policy->sets[k].x);
        snprintf(name, sizeof name, "y%d", k);
        const clm_value y = oracle_input(o, name, policy->sets[k].y);
        CLM_TEST_OK(clm_grad(o->g, loss_at(o, theta, x, y), theta, policy->n_entries, grad));
        for (size_t i = 0; i < policy->n_entries; i++) theta[i] = clm_sub(o->g, theta[i], clm_scale(o->g, grad[i], 0.1));
    }
}

static void oracle_product(int steps, const double *v, double *out) {
    oracle o = {0};
    const size_t n = policy->n_entries;
    clm_value leaf[CLM_POLICY_ENTRIES_MOST], theta[CLM_POLICY_ENTRIES_MOST], old[CLM_POLICY_ENTRIES_MOST],
        grad[CLM_POLICY_ENTRIES_MOST], hv[CLM_POLICY_ENTRIES_MOST], dot = CLM_INVALID;
    double *results[CLM_POLICY_ENTRIES_MOST];
    CLM_TEST_OK(clm_graph_create(&o.g));
    for (size_t i = 0; i < n; i++) theta[i] = leaf[i] = oracle_input(&o, policy->entries[i].name, policy->theta.entry[i]);
    unroll(&o, steps, theta);
    for (size_t i = 0; i < n; i++) old[i] = clm_stop_gradient(o.g, theta[i]);
    const clm_samples *last = &policy->sets[steps];
    const clm_value kl = divergence(&o, theta, old, oracle_input(&o, "x", last->x), oracle_input(&o, "w", last->weight));
    CLM_TEST_OK(clm_grad(o.g, kl, leaf, n, grad));
    for (size_t i = 0; i < n; i++) {
        o.in[o.n] = clm_input(o.g, "v", policy->entries[i].shape, false);
        o.data[o.n] = v + policy->entries[i].at;
        const clm_value term = clm_sum_all(o.g, clm_mul(o.g, grad[i], o.in[o.n++]));
        dot = dot == CLM_INVALID ? term : clm_add(o.g, dot, term);
        results[i] = out + policy->entries[i].at;
    }
    CLM_TEST_OK(clm_grad(o.g, dot, leaf, n, hv));
    CLM_TEST_OK(clm_test_run(acting.device, o.g, TASKS, o.in, o.data, o.n, hv, results, n));
    for (size_t i = 0; i < policy->elements; i++) out[i] /= TASKS;
    for (size_t i = 0; i < o.n_owned; i++) free(o.owned[i]);
    clm_graph_free(o.g);
}

START_TEST(fisher_product_is_reverse_over_reverse) {
    begin_way(clm_test_open_host(), _i);
    const size_t n = policy->elements;
    double *v = clm_calloc(n, sizeof *v), *mine = clm_calloc(n, sizeof *mine), *theirs = clm_calloc(n, sizeof *theirs);
    clm_test_draw_normal(v, n, 31);
    CLM_TEST_OK(clm_policy_fisher(policy, v, mine));
    oracle_product(ways[_i].steps, v, theirs);
    if (ways[_i].first_order)
        ck_assert(clm_test_apart(mine, theirs, n) > 1e-4); /* which leaves the Hessians out */
    else
        clm_test_expect_near(mine, theirs, n, 1e-10, "Fisher product");
    free(v);
    free(mine);
    free(theirs);
    end();
}
END_TEST

/* ---- what products at the same parameters have in common ---- */

static double *product_along(const double *v) {
    double *product = clm_calloc(policy->elements, sizeof *product);
    CLM_TEST_OK(clm_policy_fisher(policy, v, product));
    return product;
}

static double *product_after_gradient(const double *v) {
    double *gradient = clm_calloc(policy->elements, sizeof *gradient);
    CLM_TEST_OK(clm_policy_gradient(policy, gradient));
    free(gradient);
    return product_along(v);
}

/* A product is that of the parameters and sets at hand, whether or not there was a gradient since they changed. */
START_TEST(products_are_of_what_is_at_hand) {
    begin_way(clm_test_open_host(), _i);
    const size_t bytes = policy->elements * sizeof(double);
    double *v = clm_calloc(1, bytes), *before = NULL;
    clm_test_draw_normal(v, policy->elements, 51);
    ck_assert_uint_gt(policy->programs.n_kept, 0);
    for (int change = 0; change < 3; change++) {
        if (change == 1) CLM_TEST_OK(clm_policy_sample(policy, 4, TASKS));
        if (change == 2) CLM_TEST_OK(clm_params_reset(policy->params, 9));
        if (change == 2) CLM_TEST_OK(clm_policy_set(policy, policy->params));
        double *first = product_along(v), *second = product_after_gradient(v);
        ck_assert_mem_eq(first, second, bytes);
        if (before) ck_assert(clm_test_apart(first, before, policy->elements) > 1e-6);
        free(before);
        free(second);
        before = first;
    }
    free(before);
    free(v);
    end();
}
END_TEST

/* Where there is no memory to keep anything in, it is computed for each product. */
START_TEST(what_cannot_be_kept_is_computed_again) {
    begin_way(clm_test_open_host(), _i);
    const size_t bytes = policy->elements * sizeof(double), allocated = clm_device_allocated(acting.device);
    double *v = clm_calloc(1, bytes);
    size_t kept = 0;
    char limit[32];
    clm_test_draw_normal(v, policy->elements, 61);
    double *roomy = product_after_gradient(v);
    for (size_t i = 0; i < policy->programs.n_kept; i++) kept += clm_tensor_bytes(policy->programs.kept[i]);
    ck_assert_uint_gt(kept, 0);
    ck_assert_uint_gt(allocated, kept);
    end();
    snprintf(limit, sizeof limit, "%zu", allocated - 1); /* one byte less than all of it */
    setenv("CLMAML_MEMORY_LIMIT", limit, 1);
    begin_way(clm_test_open_host(), _i);
    unsetenv("CLMAML_MEMORY_LIMIT");
    ck_assert_uint_eq(policy->programs.n_kept, 0);
    ck_assert_uint_lt(clm_device_allocated(acting.device), allocated);
    double *narrow = product_after_gradient(v);
    ck_assert_mem_eq(roomy, narrow, bytes);
    free(roomy);
    free(narrow);
    free(v);
    end();
}
END_TEST

/* The device's products and gradients are the host's. Samples are the host's for both. */
START_TEST(devices_agree) {
    begin_way(clm_test_open_host(), _i);
    const size_t n = policy->elements, bytes = n * sizeof(double);
    clm_test_acting on_host = acting;
    clm_policy *host = policy;
    double *v = clm_calloc(1, bytes), *g[2], *f[2], surrogate[2], kl[2], *at = clm_calloc(1, bytes), *theta = theta_of();
    clm_test_draw_normal(v, n, 41);
    begin_way(clm_test_open_opencl(), _i);
    for (int k = 0; k <= ways[_i].steps; k++) {
        clm_tensor *const from[] = {host->sets[k].x, host->sets[k].y, host->sets[k].weight}, *const to[] = {
                                                                                                 policy->sets[k].x,
                                                                                                 policy->sets[k].y,
                                                                                                 policy->sets[k].weight};
        for (size_t i = 0; i < 3; i++) {
            double *data = clm_test_numbers_of(from[i]);
            CLM_TEST_OK(clm_tensor_write_f64(to[i], data, clm_tensor_size(to[i])));
            free(data);
        }
    }
    for (size_t i = 0; i < n; i++) at[i] = theta[i] + 0.02 * v[i];
    clm_policy *const both[] = {host, policy};
    for (int i = 0; i < 2; i++) {
        g[i] = clm_calloc(1, bytes), f[i] = clm_calloc(1, bytes);
        CLM_TEST_OK(clm_policy_gradient(both[i], g[i]));
        CLM_TEST_OK(clm_policy_fisher(both[i], v, f[i]));
        CLM_TEST_OK(clm_policy_trial(both[i], at, &surrogate[i], &kl[i]));
    }
    clm_test_expect_near(g[1], g[0], n, 1e-4, "gradient");
    clm_test_expect_near(f[1], f[0], n, 1e-4, "Fisher product");
    ck_assert_double_eq_tol(surrogate[1], surrogate[0], 1e-4);
    ck_assert_double_eq_tol(kl[1], kl[0], 1e-4 * kl[0] + 1e-6);
    double *const all[] = {v, at, theta, g[0], g[1], f[0], f[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    end();
    clm_test_act_no_more(&on_host);
}
END_TEST

/* ---- the trust region ---- */

/* F = diag(1, 4, 9): surrogate g . (x - 1), divergence d . F d / 2 with d = x - 1. */
static const double diagonal[3] = {1, 4, 9}, slope[3] = {1, -2, 0.5};
typedef struct bowl {
    bool false_divergence; /* larger than F says, as far from quadratic */
    int trials;
} bowl;

static clm_status bowl_product(void *user, const double *v, double *out) {
    (void)user;
    for (int i = 0; i < 3; i++) out[i] = diagonal[i] * v[i];
    return CLM_OK;
}

static clm_status bowl_trial(void *user, const double *x, double *surrogate, double *kl) {
    bowl *b = user;
    *surrogate = *kl = 0;
    for (int i = 0; i < 3; i++) {
        *surrogate += slope[i] * (x[i] - 1);
        *kl += diagonal[i] * (x[i] - 1) * (x[i] - 1) / 2 * (b->false_divergence ? 3 : 0.999999);
    }
    b->trials++;
    return CLM_OK;
}

START_TEST(a_step_stays_in_its_region) {
    double x[3] = {1, 1, 1}, work[3 * CLM_TRUST_WORK];
    bowl b = {false, 0};
    const clm_trust trust = {3, 0.01, 0, 0.8, 10, 15, bowl_product, bowl_trial, &b, work};
    clm_trust_report report;
    CLM_TEST_OK(clm_trust_step(&trust, slope, 0, x, &report));
    double size = 0, natural[3];
    for (int i = 0; i < 3; i++) {
        natural[i] = slope[i] / diagonal[i];
        size += slope[i] * natural[i];
    }
    for (int i = 0; i < 3; i++) ck_assert_double_eq_tol(x[i], 1 - sqrt(0.02 / size) * natural[i], 1e-6);
    ck_assert_int_eq(report.tries, 1);
    ck_assert_double_le(report.kl, 0.01);
    ck_assert_double_lt(report.surrogate, 0);
    ck_assert_double_lt(report.residual, 1e-8);
    x[0] = x[1] = x[2] = 1;
    b = (bowl){true, 0};
    CLM_TEST_OK(clm_trust_step(&trust, slope, 0, x, &report)); /* 0.8^(2 i) * 3 <= 1 first at i = 3 */
    ck_assert_int_eq(report.tries, 4);
    ck_assert_double_le(report.kl, 0.01);
}
END_TEST

START_TEST(a_step_that_does_not_help_is_not_made) {
    double x[3] = {1, 1, 1}, work[3 * CLM_TRUST_WORK];
    bowl b = {false, 0};
    const clm_trust trust = {3, 0.01, 0, 0.8, 10, 15, bowl_product, bowl_trial, &b, work};
    clm_trust_report report;
    CLM_TEST_OK(clm_trust_step(&trust, slope, -100, x, &report)); /* no step gets below this */
    ck_assert_int_eq(report.tries, 0);
    ck_assert_int_eq(b.trials, 15);
    for (int i = 0; i < 3; i++) ck_assert_double_eq(x[i], 1);
    CLM_TEST_OK(clm_trust_step(&trust, (const double[]){NAN, 0, 0}, 0, x, &report));
    ck_assert_int_eq(report.tries, 0);
    for (int i = 0; i < 3; i++) ck_assert_double_eq(x[i], 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("gradients");
    TCase *t = tcase_create("gradients");
    tcase_add_loop_test(t, gradient_is_that_of_the_meta_learner, 0, WAYS);
    tcase_add_loop_test(t, surrogate_and_divergence_have_these_slopes, 0, WAYS);
    tcase_add_loop_test(t, fisher_product_is_reverse_over_reverse, 0, WAYS);
    tcase_add_loop_test(t, products_are_of_what_is_at_hand, 0, WAYS);
    tcase_add_loop_test(t, what_cannot_be_kept_is_computed_again, 0, WAYS);
    tcase_add_loop_test(t, devices_agree, 0, WAYS);
    suite_add_tcase(suite, t);
    t = tcase_create("trust region");
    tcase_add_test(t, a_step_stays_in_its_region);
    tcase_add_test(t, a_step_that_does_not_help_is_not_made);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
