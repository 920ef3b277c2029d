/* A graph that is split by dependence computes what it computed, and its second half none of what can be kept. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "clmaml/clmaml.h"
#include "ops/op.h"
#include "program/split.h"
#include "support/numbers.h"
#include "support/run.h"

enum { N = 20, TASKS = 3, INPUTS = 6, VARYING = 2, VALUES = 32, OUTPUTS = 4, MOST_IN = INPUTS + VALUES };

static uint64_t seed;

static clm_graph *graph_new(void) {
    clm_graph *g = NULL;
    CLM_TEST_OK(clm_graph_create(&g));
    return g;
}

/* ---- random graphs of [N, N] ---- */

typedef struct sample {
    clm_graph *g;
    clm_value in[MOST_IN], out[OUTPUTS]; /* the first VARYING inputs vary */
    double *data[MOST_IN];
    size_t n_in;
} sample;

static void draw(sample *s, clm_random *r, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        const size_t size = clm_test_elements(s->g, s->in[i], TASKS);
        if (!s->data[i]) s->data[i] = calloc(size, sizeof(double));
        for (size_t k = 0; k < size; k++) s->data[i][k] = clm_random_normal(r);
    }
}

/* Numbers stay of size 1. */
static clm_value random_value(clm_graph *g, clm_random *r, const clm_value *pool, size_t n) {
    const clm_value a = pool[clm_random_below(r, (uint32_t)n)], b = pool[clm_random_below(r, (uint32_t)n)];
    const clm_shape thin = clm_shape_of(2, N, 3);
    switch (clm_random_below(r, 8)) {
    case 0: return clm_add(g, clm_scale(g, a, 0.5), b);
    case 1: return clm_mul(g, clm_tanh(g, a), b);
    case 2: return clm_tanh(g, a);
    case 3: return clm_scale(g, clm_add(g, a, clm_sum(g, b, 1u << clm_random_below(r, 2), true)), 1.0 / N);
    case 4: return clm_transpose(g, a, (const int32_t[]){1, 0});
    case 5:
        return clm_matmul(g, clm_slice(g, a, (const int32_t[]){0, 0}, thin), clm_slice(g, b, (const int32_t[]){0, 2}, thin),
                          false, true);
    case 6: return clm_mul(g, a, clm_tanh(g, clm_reduce_max(g, b, 1u << clm_random_below(r, 2), true)));
    default: return clm_scale(g, clm_matmul(g, a, b, false, clm_random_below(r, 2)), 1.0 / N);
    }
}

static sample sample_new(uint64_t number) {
    clm_random r = clm_random_make(seed, number);
    sample s = {.g = graph_new()};
    clm_value pool[INPUTS + VALUES];
    for (size_t i = 0; i < INPUTS; i++) pool[i] = s.in[s.n_in++] = clm_input(s.g, "x", clm_shape_of(2, N, N), i % 3 != 2);
    for (size_t i = INPUTS; i < INPUTS + VALUES; i++) pool[i] = random_value(s.g, &r, pool, i);
    s.out[0] = clm_matmul(s.g, s.in[0], pool[INPUTS + VALUES - 1], false, false);
    s.out[1] = clm_mul(s.g, s.in[1], clm_matmul(s.g, s.in[3], s.in[4], false, false)); /* a product that is kept */
    s.out[2] = pool[INPUTS + VALUES - 2];
    s.out[3] = clm_sum_tasks(s.g, pool[INPUTS + VALUES / 2], s.in[2]);
    draw(&s, &r, 0, INPUTS);
    return s;
}

static void sample_free(sample *s) {
    for (size_t i = 0; i < s->n_in; i++) free(s->data[i]);
    clm_graph_free(s->g);
}

/* One behind the other; free(). */
static double *run(clm_device *device, sample *s, const clm_value *values, size_t n, size_t *size) {
    double *results[MOST_IN], *all;
    *size = 0;
    for (size_t i = 0; i < n; i++) *size += clm_test_elements(s->g, values[i], TASKS);
    all = calloc(*size + 1, sizeof *all);
    for (size_t i = 0, at = 0; i < n; at += clm_test_elements(s->g, values[i], TASKS), i++) results[i] = all + at;
    CLM_TEST_OK(clm_test_run(device, s->g, TASKS, s->in, (const double *const *)s->data, s->n_in, values, results, n));
    return all;
}

/* What is kept becomes numbers of the second half's inputs. */
static void feed_kept(clm_device *device, sample *s, const clm_cut *cut) {
    size_t size;
    double *all = run(device, s, cut->kept, cut->n, &size), *at = all;
    for (size_t i = 0; i < cut->n; i++) {
        const size_t one = clm_test_elements(s->g, cut->kept[i], TASKS);
        s->in[s->n_in] = cut->input[i];
        s->data[s->n_in] = calloc(one, sizeof(double));
        memcpy(s->data[s->n_in++], at, one * sizeof(double));
        at += one;
    }
    free(all);
}

START_TEST(halves_compute_the_whole) {
    const bool on_host = _i % 2;
    clm_device *device = on_host ? clm_test_open_host() : clm_test_open_opencl();
    sample s = sample_new((uint64_t)_i / 2);
    clm_random r = clm_random_make(seed, 1000 + (uint64_t)_i);
    clm_value split[OUTPUTS];
    clm_cut cut;
    size_t size;
    memcpy(split, s.out, sizeof split);
    CLM_TEST_OK(clm_graph_split(s.g, s.in, VARYING, split, OUTPUTS, &cut));
    ck_assert_uint_gt(cut.n, 0);
    feed_kept(device, &s, &cut);
    for (int again = 0; again < 2; again++) {
        double *whole = run(device, &s, s.out, OUTPUTS, &size), *halves = run(device, &s, split, OUTPUTS, &size);
        if (on_host)
            ck_assert_mem_eq(whole, halves, size * sizeof *whole);
        else
            ck_assert_double_le(clm_test_difference(whole, halves, size), 1e-5);
        free(whole);
        free(halves);
        draw(&s, &r, 0, VARYING); /* what is kept stays as it is */
    }
    clm_cut_free(&cut);
    sample_free(&s);
    clm_device_close(device);
}
END_TEST

/* In the second half all that is not elementwise, a view or a thin product depends on what varies. */
START_TEST(nothing_costly_is_left) {
    sample s = sample_new((uint64_t)_i);
    clm_value split[OUTPUTS];
    clm_cut cut;
    memcpy(split, s.out, sizeof split);
    CLM_TEST_OK(clm_graph_split(s.g, s.in, VARYING, split, OUTPUTS, &cut));
    bool *varies = calloc(s.g->count, sizeof *varies), *needed = calloc(s.g->count, sizeof *needed);
    for (size_t i = 0; i < VARYING; i++) varies[s.in[i]] = true;
    for (size_t v = 0; v < s.g->count; v++)
        for (int i = 0; i < s.g->nodes[v].n_in; i++) varies[v] |= varies[s.g->nodes[v].in[i]];
    for (size_t i = 0; i < OUTPUTS; i++) needed[split[i]] = true;
    size_t costly = 0;
    for (size_t v = s.g->count; v-- > 0;) {
        const clm_node *n = &s.g->nodes[v];
        if (!needed[v]) continue;
        for (int i = 0; i < n->n_in; i++) needed[n->in[i]] = true;
        const bool cheap = clm_op_of(n)->flags & (CLM_OPF_ELEMENTWISE | CLM_OPF_VIEW | CLM_OPF_LEAF);
        const bool thin = n->op == CLM_OP_MATMUL && s.g->nodes[n->in[0]].shape.dim[1] == 3;
        costly += !cheap && !thin;
        ck_assert_msg(cheap || thin || varies[v], "%s is computed again", clm_op_of(n)->name);
    }
    ck_assert_uint_gt(costly, 0);
    for (size_t i = 0; i < cut.n; i++) ck_assert_msg(!varies[cut.kept[i]], "value %zu that is kept varies", i);
    for (size_t i = 0; i < cut.n; i++) ck_assert_msg(needed[cut.input[i]], "value %zu is kept for nothing", i);
    clm_cut_free(&cut);
    free(varies);
    free(needed);
    sample_free(&s);
}
END_TEST

/* ---- where the cut is ---- */

START_TEST(results_of_products_and_sums_are_kept) {
    clm_graph *g = graph_new();
    const clm_shape square = clm_shape_of(2, N, N), narrow = clm_shape_of(2, N, 3);
    const clm_value a = clm_input(g, "a", square, true), x = clm_input(g, "x", narrow, true),
                    w = clm_input(g, "w", narrow, false);
    const clm_value v = clm_input(g, "v", square, false), h = clm_tanh(g, clm_matmul(g, x, w, false, true));
    const clm_value p = clm_matmul(g, h, a, false, false), s = clm_sum(g, clm_exp(g, a), 1u, true);
    const clm_value other = clm_matmul(g, a, a, false, false); /* an output that does not vary */
    clm_value out[] = {clm_mul(g, v, clm_tanh(g, clm_add(g, p, s))), clm_matmul(g, v, h, false, false), clm_tanh(g, other),
                       clm_exp(g, v)};
    clm_matmul(g, p, p, false, false); /* of no use */
    const clm_value exponent = out[3];
    clm_cut cut;
    CLM_TEST_OK(clm_graph_split(g, &v, 1, out, 4, &cut));
    ck_assert_uint_eq(cut.n, 3);
    ck_assert_int_eq(cut.kept[0], p < s ? p : s);
    ck_assert_int_eq(cut.kept[1], p < s ? s : p);
    ck_assert_int_eq(cut.kept[2], other);
    ck_assert_int_eq(out[3], exponent);
    ck_assert(clm_value_per_task(g, cut.input[0]) && clm_value_per_task(g, out[0]));
    clm_cut_free(&cut);
    const clm_value before[] = {out[1], exponent};
    CLM_TEST_OK(clm_graph_split(g, (const clm_value[]){v, a, x, w}, 4, out + 1, 1, &cut)); /* all of it varies */
    ck_assert_uint_eq(cut.n, 0);
    ck_assert_int_eq(out[1], before[0]);
    clm_cut_free(&cut);
    const clm_value foreign = 100000;
    ck_assert_int_eq(clm_graph_split(g, &foreign, 1, out, 1, &cut), CLM_E_ARG);
    clm_graph_free(g);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("split");
    TCase *t = tcase_create("split");
    seed = clm_test_seed();
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, halves_compute_the_whole, 0, 6);
    tcase_add_loop_test(t, nothing_costly_is_left, 0, 20);
    tcase_add_test(t, results_of_products_and_sums_are_kept);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
