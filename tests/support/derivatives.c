#include "support/derivatives.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "clmaml/clmaml.h"
#include "support/numbers.h"

void clm_test_sample_make(clm_test_sample *s, bool few_passes, int tasks, const clm_shape *shapes, int n, int per_task,
                          uint64_t seed) {
    clm_random r = clm_random_make(seed, 1);
    memset(s, 0, sizeof *s);
    s->n = n;
    s->n_out = 1 + 2 * n;
    s->tasks = tasks;
    CLM_TEST_OK(clm_graph_create(&s->g));
    s->g->few_passes = few_passes;
    for (int i = 0; i < 2 * n; i++) {
        s->in[i] = clm_input(s->g, "in", shapes[i % n], i % n < per_task);
        const size_t elements = clm_test_elements(s->g, s->in[i], tasks);
        s->data[i] = calloc(elements, sizeof(double));
        for (size_t k = 0; k < elements; k++) s->data[i][k] = (double)(float)clm_random_normal(&r);
    }
}

void clm_test_sample_derive(clm_test_sample *s, clm_value loss) {
    s->out[0] = loss;
    CLM_TEST_OK(clm_graph_status(s->g));
    CLM_TEST_OK(clm_grad(s->g, loss, s->in, (size_t)s->n, s->out + 1));
    CLM_TEST_OK(clm_hvp(s->g, loss, s->in, s->in + s->n, (size_t)s->n, s->out + 1 + s->n));
    for (int i = 0; i < s->n_out; i++) s->count[i] = clm_test_elements(s->g, s->out[i], s->tasks);
}

void clm_test_sample_free(clm_test_sample *s) {
    for (int i = 0; i < 2 * s->n; i++) free(s->data[i]);
    clm_graph_free(s->g);
}

void clm_test_sample_run(clm_device *d, const clm_test_sample *s, double *result[CLM_TEST_MOST_OUT]) {
    for (int i = 0; i < s->n_out; i++) result[i] = calloc(s->count[i], sizeof(double));
    CLM_TEST_OK(clm_test_run(d, s->g, s->tasks, s->in, (const double *const *)s->data, 2 * (size_t)s->n, s->out, result,
                             (size_t)s->n_out));
}

void clm_test_free_results(const clm_test_sample *s, double *result[CLM_TEST_MOST_OUT]) {
    for (int i = 0; i < s->n_out; i++) free(result[i]);
}

void clm_test_sample_near(const clm_test_sample *s, double *const a[CLM_TEST_MOST_OUT], double *const b[CLM_TEST_MOST_OUT],
                          double tolerance, const char *what) {
    for (int i = 0; i < s->n_out; i++) {
        const double difference = clm_test_difference(a[i], b[i], s->count[i]);
        ck_assert_msg(difference < tolerance, "output %d, %s: difference %g", i, what, difference);
    }
}

static void mark_live(const clm_graph *g, clm_value v, bool *live) {
    if (live[v]) return;
    live[v] = true;
    for (int i = 0; i < g->nodes[v].n_in; i++) mark_live(g, g->nodes[v].in[i], live);
}

bool *clm_test_live(const clm_test_sample *s) {
    bool *live = calloc(s->g->count, sizeof *live);
    for (int i = 0; i < s->n_out; i++) mark_live(s->g, s->out[i], live);
    return live;
}

clm_value clm_test_turned(clm_graph *g, clm_value v) { return clm_transpose(g, v, (const int32_t[]){2, 1, 0, 3}); }
