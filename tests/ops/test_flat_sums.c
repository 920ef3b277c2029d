/* Sums without sums in them (src/ops/flat_sum.c): values, gradients and Hessian-vector products of normalised arrays are those
 * of the sums as they are written, on the host, a CPU and a GPU; no sum of a gradient or a tangent is nested; what would lose
 * digits stays; and nobody differentiates with respect to what was taken apart. */
#include <check.h>
#include <stdlib.h>

#include "clmaml/clmaml.h"
#include "program/internal.h"
#include "support/derivatives.h"
#include "support/numbers.h"

enum { TASKS = 2, N = 12, H = 3, W = 12, C = 12, SIZE = N * H * W * C, IN = 3 };

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

/* A loss of a normalised image between two operations with launches of their own. */
static void make(clm_test_sample *s, normalise norm, bool flat, double mean) {
    const clm_shape shapes[IN] = {clm_shape_of(4, N, H, W, C), clm_shape_of(1, C), clm_shape_of(1, C)};
    clm_test_sample_make(s, flat, TASKS, shapes, IN, 1, 31);
    for (size_t k = 0; k < clm_test_elements(s->g, s->in[0], TASKS); k++) s->data[0][k] = (double)(float)(s->data[0][k] + mean);
    const clm_value y = norm(s->g, clm_test_turned(s->g, s->in[0]), s->in[1], s->in[2]);
    const clm_value z = clm_tanh(s->g, clm_test_turned(s->g, clm_softplus(s->g, y)));
    clm_test_sample_derive(s, clm_mean_all(s->g, clm_mul(s->g, z, clm_sin(s->g, clm_test_turned(s->g, z)))));
}

START_TEST(same_values) {
    static const char *const kinds[] = {"type=cpu", "type=gpu,dedicated_local=1"};
    const char *kind = kinds[_i / (NORMS + 1)];
    clm_device *host = clm_test_open_host(), *device;
    clm_test_sample plain, flat;
    double *expected[CLM_TEST_MOST_OUT], *found[CLM_TEST_MOST_OUT], *there[CLM_TEST_MOST_OUT], *as_ever[CLM_TEST_MOST_OUT];
    const int norm = _i % (NORMS + 1);
    const double mean = norm == NORMS ? 30 : 0; /* of which squares lose digits */
    make(&plain, norms[norm % NORMS], false, mean);
    make(&flat, norms[norm % NORMS], true, mean);
    clm_test_sample_run(host, &plain, expected);
    clm_test_sample_run(host, &flat, found);
    clm_test_sample_near(&plain, expected, found, 1e-10, "in double precision");
    device = clm_test_open_as(kind);
    clm_test_sample_run(device, &plain, as_ever);
    clm_test_sample_run(device, &flat, there);
    clm_test_sample_near(&plain, expected, there, mean ? 1e-3 : 2e-5, kind);
    for (int i = 0; i < plain.n_out; i++) { /* no worse than the sums as they are written, but for luck */
        const double plainly = clm_test_difference(expected[i], as_ever[i], plain.count[i]);
        const double flatly = clm_test_difference(expected[i], there[i], plain.count[i]);
        ck_assert_msg(flatly < 4 * plainly + 1e-6, "output %d: difference %g instead of %g", i, flatly, plainly);
    }
    clm_test_free_results(&plain, expected);
    clm_test_free_results(&plain, found);
    clm_test_free_results(&plain, there);
    clm_test_free_results(&plain, as_ever);
    clm_test_sample_free(&plain);
    clm_test_sample_free(&flat);
    clm_device_close(device);
    clm_device_close(host);
}
END_TEST

/* ---- what is taken apart ---- */

/* The variance is a sum with another in it, and what a sum of a gradient or a tangent needs is there before. */
START_TEST(no_nested_sums) {
    clm_test_sample s;
    make(&s, batch, true, 0);
    bool *live = clm_test_live(&s);
    clm_value first = CLM_INVALID;
    int deepest_first = 0, deepest = 0;
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
    clm_test_sample_free(&s);
}
END_TEST

static clm_graph *new_graph(clm_value *x, int height) {
    clm_graph *g;
    CLM_TEST_OK(clm_graph_create(&g));
    g->few_passes = true;
    *x = clm_test_turned(g, clm_input(g, "x", clm_shape_of(4, N, height, W, C), true));
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
