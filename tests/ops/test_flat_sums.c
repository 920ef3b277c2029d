/* Sums without sums in them (src/ops/flat_sum.c): values, gradients and Hessian-vector products of normalised arrays are those
 * of the sums as they are written, on the host, a CPU and a GPU; no sum of a gradient or a tangent is nested; what would lose
 * digits stays; and nobody differentiates with respect to what was taken apart. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "clmaml/clmaml.h"
#include "graph/internal.h"
#include "program/internal.h"
#include "support/numbers.h"
#include "support/run.h"

enum { TASKS = 2, N = 12, H = 3, W = 12, C = 12, SIZE = N * H * W * C, IN = 3, OUT = 1 + 2 * IN };

typedef clm_value (*normalise)(clm_graph *g, clm_value x, clm_value scale, clm_value shift);
static clm_value batch(clm_graph *g, clm_value x, clm_value scale, clm_value shift) {
    return clm_batch_norm(g, x, scale, shift, 1e-3, NULL, NULL);
}
static clm_value layer(clm_graph *g, clm_value x, clm_value scale, clm_value shift) {
    return clm_layer_norm(g, x, scale, shift, 1e-3);
}
static clm_value group(clm_graph *g, clm_value x, clm_value scale, clm_value shift) {
    return clm_group_norm(g, x, 3, scale, shift, 1e-3);
}
static const normalise norms[] = {batch, layer, group};
enum { NORMS = sizeof norms / sizeof *norms };

/* A loss of a normalised image between two operations with launches of their own, its gradient, its Hessian times a vector. */
typedef struct sample {
    clm_graph *g;
    clm_value in[2 * IN], out[OUT];
    double *data[2 * IN];
    size_t count[OUT];
} sample;

static clm_value turned(clm_graph *g, clm_value v) { return clm_transpose(g, v, (const int32_t[]){2, 1, 0, 3}); }

static void make(sample *s, normalise norm, bool flat, double mean) {
    const clm_shape shapes[IN] = {clm_shape_of(4, N, H, W, C), clm_shape_of(1, C), clm_shape_of(1, C)};
    clm_random r = clm_random_make(31, 1);
    memset(s, 0, sizeof *s);
    CLM_TEST_OK(clm_graph_create(&s->g));
    s->g->few_passes = flat;
    for (int i = 0; i < 2 * IN; i++) { /* the second half: the vector */
        s->in[i] = clm_input(s->g, "in", shapes[i % IN], i % IN == 0);
        const size_t n = clm_test_elements(s->g, s->in[i], TASKS);
        s->data[i] = calloc(n, sizeof(double));
        for (size_t k = 0; k < n; k++) s->data[i][k] = (double)(float)((i == 0 ? mean : 0) + clm_random_normal(&r));
    }
    const clm_value y = norm(s->g, turned(s->g, s->in[0]), s->in[1], s->in[2]);
    const clm_value z = clm_tanh(s->g, turned(s->g, clm_softplus(s->g, y)));
    s->out[0] = clm_mean_all(s->g, clm_mul(s->g, z, clm_sin(s->g, turned(s->g, z))));
    CLM_TEST_OK(clm_graph_status(s->g));
    CLM_TEST_OK(clm_grad(s->g, s->out[0], s->in, IN, s->out + 1));
    CLM_TEST_OK(clm_hvp(s->g, s->out[0], s->in, s->in + IN, IN, s->out + 1 + IN));
    for (int i = 0; i < OUT; i++) s->count[i] = clm_test_elements(s->g, s->out[i], TASKS);
}

static void discard(sample *s) {
    for (int i = 0; i < 2 * IN; i++) free(s->data[i]);
    clm_graph_free(s->g);
}

static void compute(clm_device *d, const sample *s, double *result[OUT]) {
    for (int i = 0; i < OUT; i++) result[i] = calloc(s->count[i], sizeof(double));
    CLM_TEST_OK(clm_test_run(d, s->g, TASKS, s->in, (const double *const *)s->data, 2 * IN, s->out, result, OUT));
}

static void expect_near(const sample *s, double *const a[OUT], double *const b[OUT], double tolerance, const char *what) {
    for (int i = 0; i < OUT; i++) {
        const double difference = clm_test_difference(a[i], b[i], s->count[i]);
        ck_assert_msg(difference < tolerance, "output %d, %s: difference %g", i, what, difference);
    }
}

static void free_all(double *result[OUT]) {
    for (int i = 0; i < OUT; i++) free(result[i]);
}

START_TEST(same_values) {
    static const char *const kinds[] = {"type=cpu", "type=gpu,dedicated_local=1"};
    const char *kind = kinds[_i / (NORMS + 1)];
    clm_device *host = clm_test_open_host(), *device;
    sample plain, flat;
    double *expected[OUT], *found[OUT], *there[OUT], *as_ever[OUT];
    const int norm = _i % (NORMS + 1);
    const double mean = norm == NORMS ? 30 : 0; /* of which squares lose digits */
    make(&plain, norms[norm % NORMS], false, mean);
    make(&flat, norms[norm % NORMS], true, mean);
    compute(host, &plain, expected);
    compute(host, &flat, found);
    expect_near(&plain, expected, found, 1e-10, "in double precision");
    device = clm_test_open_as(kind);
    compute(device, &plain, as_ever);
    compute(device, &flat, there);
    expect_near(&plain, expected, there, mean ? 1e-3 : 2e-5, kind);
    for (int i = 0; i < OUT; i++) { /* no worse than the sums as they are written, but for luck */
        const double plainly = clm_test_difference(expected[i], as_ever[i], plain.count[i]);
        const double flatly = clm_test_difference(expected[i], there[i], plain.count[i]);
        ck_assert_msg(flatly < 4 * plainly + 1e-6, "output %d: difference %g instead of %g", i, flatly, plainly);
    }
    free_all(expected);
    free_all(found);
    free_all(there);
    free_all(as_ever);
    discard(&plain);
    discard(&flat);
    clm_device_close(device);
    clm_device_close(host);
}
END_TEST

/* ---- what is taken apart ---- */

static void mark_live(const clm_graph *g, clm_value v, bool *live) {
    if (live[v]) return;
    live[v] = true;
    for (int i = 0; i < g->nodes[v].n_in; i++) mark_live(g, g->nodes[v].in[i], live);
}

/* The variance is a sum with another in it, and what a sum of a gradient or a tangent needs is there before. */
START_TEST(no_nested_sums) {
    sample s;
    make(&s, batch, true, 0);
    bool *live = calloc(s.g->count, sizeof *live);
    clm_value first = CLM_INVALID;
    int deepest_first = 0, deepest = 0;
    for (int i = 0; i < OUT; i++) mark_live(s.g, s.out[i], live);
    for (size_t v = 0; v < s.g->count; v++) {
        const clm_node *n = clm_node_at(s.g, (clm_value)v);
        if (!live[v] || n->op != CLM_OP_SUM || clm_shape_size(&n->shape) != C)
            continue; /* that of the loss is another matter */
        if (first == CLM_INVALID) first = n->heavy;
        int *depth = n->heavy == first ? &deepest_first : &deepest;
        if (n->nested > *depth) *depth = n->nested;
    }
    ck_assert_int_eq(deepest_first, 2);
    ck_assert_int_eq(deepest, 1);
    free(live);
    discard(&s);
}
END_TEST

static clm_graph *new_graph(clm_value *x, int height) {
    clm_graph *g;
    CLM_TEST_OK(clm_graph_create(&g));
    g->few_passes = true;
    *x = turned(g, clm_input(g, "x", clm_shape_of(4, N, height, W, C), true));
    return g;
}

START_TEST(what_stays) {
    clm_value x;
    clm_graph *g = new_graph(&x, H);
    const clm_value mean = clm_mean(g, x, 7, true), centred = clm_sub(g, x, mean), sum = clm_sum(g, x, 7, true);
    /* a product of two that are as deep, a function, and a factor that does not cancel */
    const clm_value stay[] = {clm_mul(g, centred, centred), clm_exp(g, centred),
                              clm_add(g, x, clm_sum(g, clm_exp(g, centred), 7, true))};
    for (int i = 0; i < 3; i++) {
        const clm_value y = clm_sum(g, stay[i], 7, true);
        ck_assert_int_eq(g->nodes[y].op, CLM_OP_SUM);
        ck_assert_int_eq(g->nodes[y].in[0], stay[i]);
    }
    /* a factor that varies along an axis that is summed */
    const clm_value rows = clm_sum(g, x, 3, true), some = clm_mul(g, x, rows), of_rows = clm_sum(g, some, 7, true);
    ck_assert_int_eq(g->nodes[of_rows].in[0], some);
    /* what vanishes takes no pass, and neither does a factor alone */
    const clm_value zero = clm_sum(g, centred, 7, true), deep = clm_sum(g, clm_exp(g, centred), 7, true);
    double c = 1;
    ck_assert(clm_is_fill(g, zero, &c) && c == 0);
    const clm_value shifted = clm_sum(g, clm_add(g, clm_mul(g, centred, deep), deep), 7, true);
    ck_assert_int_eq(g->nodes[shifted].op, CLM_OP_AFFINE);
    ck_assert_int_eq(g->nodes[shifted].in[0], deep);
    /* taken apart: a multiple of what another sum is */
    const clm_value y = clm_sum(g, clm_mul(g, x, sum), 7, true);
    ck_assert_int_eq(g->nodes[y].op, CLM_OP_MUL);
    CLM_TEST_OK(clm_graph_status(g));
    clm_graph_free(g);
    g = new_graph(&x, 1); /* few elements */
    const clm_value few = clm_mul(g, x, clm_sum(g, x, 7, true)), of_few = clm_sum(g, few, 7, true);
    ck_assert_int_eq(g->nodes[of_few].in[0], few);
    clm_graph_free(g);
}
END_TEST

START_TEST(what_has_no_derivative_says_so) {
    clm_value x, grad;
    clm_graph *g = new_graph(&x, H);
    const clm_value product = clm_mul(g, x, clm_sum(g, x, 7, true)), y = clm_sum_all(g, clm_sum(g, product, 7, true));
    CLM_TEST_OK(clm_grad(g, y, &x, 1, &grad));
    ck_assert_int_eq(clm_grad(g, y, &product, 1, &grad), CLM_E_ARG);
    clm_graph_free(g);
}
END_TEST

START_TEST(everywhere_but_on_the_host) {
    static const char *const types[] = {"type=cpu", "type=gpu"};
    clm_graph *g;
    CLM_TEST_OK(clm_graph_create(&g));
    for (int i = 0; i < 2; i++) {
        clm_device *d = clm_test_open_as(types[i]);
        clm_program_ask_few_passes(d, g);
        ck_assert(g->few_passes);
        clm_device_close(d);
    }
    clm_device *host = clm_test_open_host();
    clm_program_ask_few_passes(host, g);
    ck_assert(!g->few_passes);
    clm_graph_free(g);
    clm_device_close(host);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("flat_sums");
    TCase *values = tcase_create("values"), *graphs = tcase_create("graphs");
    tcase_set_timeout(values, 0); /* ctest has one */
    tcase_set_timeout(graphs, 0);
    tcase_add_loop_test(values, same_values, 0, 2 * (NORMS + 1));
    tcase_add_test(graphs, no_nested_sums);
    tcase_add_test(graphs, what_stays);
    tcase_add_test(graphs, what_has_no_derivative_says_so);
    tcase_add_test(graphs, everywhere_but_on_the_host);
    suite_add_tcase(suite, values);
    suite_add_tcase(suite, graphs);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
