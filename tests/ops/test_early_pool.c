/* Pooling before elementwise arithmetic (src/ops/early_pool.c): values, gradients and Hessian-vector products of normalised images
 * are those of the graph as it is written, on the host, a CPU and a GPU, whatever the windows; no pass over an image is left but those
 * for its mean and variance; what kernels take along with the greatest element is right for ties, infinities and NaN; and nobody
 * differentiates with respect to what was passed. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "clmaml/clmaml.h"
#include "ops/op.h"
#include "ops/pool.h"
#include "program/internal.h"
#include "support/derivatives.h"

enum { TASKS = 2, N = 6, C = 12, IN = 4 };

typedef struct config {
    int h, w;
    clm_pool_options pool;
} config;
static const config configs[] = {
    {20, 16, {.kernel = {2, 2}, .stride = {2, 2}}},
    {21, 13, {.kernel = {2, 2}, .stride = {2, 2}}}, /* rows and columns outside of windows */
    {18, 17, {.kernel = {3, 2}, .stride = {3, 2}}},
    {17, 16, {.kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}}}, /* windows that overlap, and padding */
};
enum { CONFIGS = sizeof configs / sizeof *configs };

/* A loss of an image that is normalised, added to another one, activated and pooled. */
static void make(clm_test_sample *s, const config *c, bool early) {
    const clm_shape image = clm_shape_of(4, c->w, c->h, N, C), channels = clm_shape_of(1, C);
    const clm_shape shapes[IN] = {image, image, channels, channels};
    clm_test_sample_make(s, early, TASKS, shapes, IN, 2, 47);
    const clm_value x = clm_test_turned(s->g, s->in[0]), other = clm_test_turned(s->g, s->in[1]);
    clm_value y = clm_batch_norm(s->g, x, s->in[2], s->in[3], 1e-3, NULL, NULL);
    y = clm_max_pool(s->g, clm_softplus(s->g, clm_add(s->g, y, clm_scale(s->g, clm_sin(s->g, other), 0.5))), &c->pool);
    y = clm_tanh(s->g, clm_test_turned(s->g, y));
    clm_test_sample_derive(s, clm_mean_all(s->g, clm_mul(s->g, y, clm_sin(s->g, y))));
}

START_TEST(same_values) {
    static const char *const kinds[] = {"type=cpu", "type=gpu,dedicated_local=1", "type=gpu,dedicated_local=0"};
    clm_device *host = clm_test_open_host();
    clm_test_sample plain, early;
    double *expected[CLM_TEST_MOST_OUT], *found[CLM_TEST_MOST_OUT];
    make(&plain, &configs[_i], false);
    make(&early, &configs[_i], true);
    clm_test_sample_run(host, &plain, expected);
    clm_test_sample_run(host, &early, found);
    clm_test_sample_near(&plain, expected, found, 1e-12, "in double precision");
    clm_test_free_results(&early, found);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        clm_device *device = clm_test_open_as(kinds[i]);
        clm_test_sample_run(device, &early, found);
        clm_test_sample_near(&plain, expected, found, 5e-5, kinds[i]);
        clm_test_free_results(&early, found);
        clm_device_close(device);
    }
    clm_test_free_results(&plain, expected);
    clm_test_sample_free(&plain);
    clm_test_sample_free(&early);
    clm_device_close(host);
}
END_TEST

/* ---- passes ---- */

/* Sums over a whole image that outputs need. */
static int sums_of_images(const clm_test_sample *s) {
    bool *live = clm_test_live(s);
    int count = 0;
    for (size_t v = 0; v < s->g->count; v++) {
        const clm_node *n = clm_node_at(s->g, (clm_value)v);
        if (!live[v] || n->op != CLM_OP_SUM) continue;
        const clm_shape *of = &s->g->nodes[n->in[0]].shape;
        count += of->rank == 4 && of->dim[1] == configs[0].h && of->dim[2] == configs[0].w;
    }
    free(live);
    return count;
}

START_TEST(few_passes) {
    clm_test_sample plain, early;
    make(&plain, &configs[0], false);
    make(&early, &configs[0], true);
    ck_assert_int_eq(sums_of_images(&early), 4); /* of x, of its squares; of the tangent, and of its product with x */
    ck_assert_int_gt(sums_of_images(&plain), 10);
    clm_test_sample_free(&plain);
    clm_test_sample_free(&early);
}
END_TEST

START_TEST(what_stays) {
    const clm_pool_options pool = {.kernel = {2, 2}, .stride = {2, 2}};
    clm_graph *g;
    CLM_TEST_OK(clm_graph_create(&g));
    g->few_passes = true;
    const clm_value x = clm_input(g, "x", clm_shape_of(4, N, 8, 8, C), true),
                    row = clm_input(g, "row", clm_shape_of(2, 8, C), true);
    const clm_value index = clm_max_pool_argmax(g, x, &pool);
    /* what differs from place to place is gathered */
    const clm_value sum = clm_pool_gather(g, clm_mul(g, x, row), index, &pool);
    ck_assert_int_eq(g->nodes[sum].op, CLM_OP_MUL);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(g->nodes[g->nodes[sum].in[i]].op, CLM_OP_POOL_GATHER);
    /* what was scattered by the same index is had back, where windows do not overlap */
    const clm_value y = clm_input(g, "y", clm_shape_of(4, N, 4, 4, C), true);
    ck_assert_int_eq(clm_pool_gather(g, clm_pool_scatter(g, y, index, 8, 8, &pool), index, &pool), y);
    const clm_pool_options overlap = {.kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}};
    const clm_value there = clm_max_pool_argmax(g, x, &overlap), back = clm_pool_scatter(g, y, there, 8, 8, &overlap);
    ck_assert_int_eq(g->nodes[clm_pool_gather(g, back, there, &overlap)].op, CLM_OP_POOL_GATHER);
    /* each scattered element is in a sum over the image once */
    const clm_value total = clm_sum(g, back, 7, true);
    ck_assert_int_eq(g->nodes[total].in[0], y);
    ck_assert_int_eq(g->nodes[clm_sum(g, back, 5, true)].in[0], back); /* over rows alone */
    CLM_TEST_OK(clm_graph_status(g));
    clm_graph_free(g);
}
END_TEST

/* A GPU whose work-groups share what they pass over has small images in one launch as it is. */
START_TEST(small_images_on_gpus) {
    const clm_pool_options pool = {.kernel = {2, 2}, .stride = {2, 2}};
    static const char *const kinds[] = {"type=cpu", "type=gpu,dedicated_local=1", "type=gpu,dedicated_local=0"};
    for (int i = 0; i < 3; i++)
        for (int size = 28; size <= 84; size += 56) {
            clm_device *d = clm_test_open_as(kinds[i]);
            clm_graph *g;
            CLM_TEST_OK(clm_graph_create(&g));
            clm_program_ask_few_passes(d, g);
            const clm_value x = clm_input(g, "x", clm_shape_of(4, 5, size, size, C), true);
            const bool early = g->nodes[clm_max_pool(g, clm_relu(g, x), &pool)].op == CLM_OP_RELU;
            ck_assert_int_eq(early, i != 1 || size == 84);
            clm_graph_free(g);
            clm_device_close(d);
        }
}
END_TEST

START_TEST(what_has_no_derivative_says_so) {
    const clm_pool_options pool = {.kernel = {2, 2}, .stride = {2, 2}};
    clm_value grad;
    clm_graph *g;
    CLM_TEST_OK(clm_graph_create(&g));
    g->few_passes = true;
    const clm_value x = clm_input(g, "x", clm_shape_of(4, N, 8, 8, C), true), active = clm_relu(g, x);
    const clm_value y = clm_sum_all(g, clm_max_pool(g, active, &pool));
    CLM_TEST_OK(clm_grad(g, y, &x, 1, &grad));
    ck_assert_int_eq(clm_grad(g, y, &active, 1, &grad), CLM_E_ARG);
    clm_graph_free(g);
}
END_TEST

/* ---- what is taken along with the greatest element ---- */

START_TEST(taken_along) {
    enum { H = 9, W = 10, SIZE = 2 * H * W * C, POOLED = 2 * (H / 2) * (W / 2) * C, RESULTS = 4 };
    static const double values[] = {-INFINITY, NAN, INFINITY, 0, -0.0, 1, 2, -3};
    const clm_pool_options pool = {.kernel = {2, 2}, .stride = {2, 2}};
    static const char *const kinds[] = {"type=cpu", "type=gpu"};
    static double x[SIZE], other[SIZE];
    double *expected[RESULTS], *found[RESULTS];
    clm_random r = clm_random_make(5, (uint64_t)_i);
    clm_graph *g;
    CLM_TEST_OK(clm_graph_create(&g));
    const clm_value in[2] = {clm_input(g, "x", clm_shape_of(4, 2, H, W, C), true),
                             clm_input(g, "other", clm_shape_of(4, 2, H, W, C), true)};
    for (int i = 0; i < SIZE; i++) { /* the first image is infinite all over, but for its last windows */
        x[i] = i < SIZE / 3 ? -INFINITY : values[(size_t)(clm_random_uniform(&r) * sizeof values / sizeof *values)];
        other[i] = (double)(float)clm_random_normal(&r);
    }
    const clm_value index = clm_max_pool_argmax(g, in[0], &pool),
                    taken = clm_pool_gather(g, clm_scale(g, in[1], 3), index, &pool);
    const clm_value greatest = clm_pool_gather(g, in[0], index, &pool);
    const clm_value out[RESULTS] = {index, taken, greatest, clm_add(g, clm_tanh(g, taken), clm_scale(g, taken, 0.1))};
    clm_device *host = clm_test_open_host(), *device = clm_test_open_as(kinds[_i]);
    for (int i = 0; i < RESULTS; i++) expected[i] = calloc(POOLED, sizeof(double)), found[i] = calloc(POOLED, sizeof(double));
    CLM_TEST_OK(clm_test_run(host, g, 1, in, (const double *const[]){x, other}, 2, out, expected, RESULTS));
    CLM_TEST_OK(clm_test_run(device, g, 1, in, (const double *const[]){x, other}, 2, out, found, RESULTS));
    for (int i = 0; i < RESULTS; i++)
        for (int k = 0; k < POOLED; k++) {
            const double a = expected[i][k], b = found[i][k];
            ck_assert_msg(a == b || (isnan(a) && isnan(b)) || fabs(a - b) < 1e-6, "output %d, element %d: %g instead of %g", i,
                          k, b, a);
        }
    for (int i = 0; i < RESULTS; i++) free(expected[i]), free(found[i]);
    clm_graph_free(g);
    clm_device_close(device);
    clm_device_close(host);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("early_pool");
    TCase *values = tcase_create("values"), *graphs = tcase_create("graphs");
    tcase_set_timeout(values, 0); /* ctest has one */
    tcase_set_timeout(graphs, 0);
    tcase_add_loop_test(values, same_values, 0, CONFIGS);
    tcase_add_loop_test(values, taken_along, 0, 2);
    tcase_add_test(graphs, few_passes);
    tcase_add_test(graphs, what_stays);
    tcase_add_test(graphs, small_images_on_gpus);
    tcase_add_test(graphs, what_has_no_derivative_says_so);
    suite_add_tcase(suite, values);
    suite_add_tcase(suite, graphs);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
