/* See derivation.h. */
#include "support/derivation.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/inner_loop.h"
#include "support/numbers.h"
#include "support/run.h"

enum { OUTPUTS = 512, ELEMENTS = 64 };

/* Values of a graph to be computed together; elements of each, with the task axis. */
typedef struct wanted {
    clm_value value[OUTPUTS];
    double *result[OUTPUTS];
    size_t n;
} wanted;

static double *want(wanted *w, const clm_test_loop *l, clm_value v) {
    const size_t size = clm_test_elements(l->g, v, l->p->options.tasks);
    ck_assert_uint_lt(w->n, OUTPUTS);
    w->value[w->n] = v;
    return w->result[w->n++] = calloc(size, sizeof(double));
}

static void compute(wanted *w, clm_test_loop *l, clm_device *host) {
    clm_test_loop_run(l, host, l->p->options.tasks, w->value, w->result, w->n);
}

static void wanted_free(wanted *w) {
    for (size_t i = 0; i < w->n; i++) free(w->result[i]);
}

static double *extend(clm_test_vector *v, size_t n) {
    v->data = realloc(v->data, (v->n + n + 1) * sizeof *v->data);
    memset(v->data + v->n, 0, n * sizeof *v->data);
    v->n += n;
    return v->data + v->n - n;
}

static size_t size_of(const clm_test_loop *l, size_t i) { return clm_shape_size(&clm_model_param(l->p->model, i)->shape); }

/* `inner`, in inside layout and times `scale`, behind v in outside layout. NULL: zeros. */
static void append(clm_test_vector *v, const clm_test_loop *l, size_t i, const double *inner, double scale) {
    const clm_param *q = clm_model_param(l->p->model, i);
    const size_t n = size_of(l, i);
    double *at = extend(v, n);
    if (!inner) return;
    clm_layout_to_outer(q->layout, &q->shape, 1, inner, at);
    for (size_t e = 0; e < n; e++) at[e] *= scale;
}

/* ---- by differentiating the whole ---- */

static void derive_unrolled(clm_test_derivation *d, clm_test_loop *l, clm_device *host) {
    clm_value in[OUTPUTS], grad[OUTPUTS];
    double *of_param[CLM_TEST_MOST][CLM_TEST_STEPS] = {{NULL}}, *of_rate[CLM_TEST_MOST][CLM_TEST_STEPS] = {{NULL}};
    const int K = l->o->steps > 0 ? l->o->steps : 1;
    const double scale = 1.0 / l->p->options.tasks;
    size_t n = 0, at = 0;
    wanted w = {.n = 0};
    for (size_t i = 0; i < l->n; i++)
        for (int k = 0; k < (l->stepped[i] ? K : 1); k++) in[n++] = l->param[i][k];
    for (size_t i = 0; l->rates != CLM_RATES_FIXED && i < l->n; i++)
        for (int k = 0; k < (l->rates == CLM_RATES_PER_STEP ? K : 1) && l->adapted[i]; k++) in[n++] = l->rate[i][k];
    ck_assert_uint_lt(n, OUTPUTS);
    CLM_TEST_OK(clm_grad(l->g, l->joint ? l->joint : l->loss, in, n, grad));
    for (size_t i = 0; i < l->n; i++)
        for (int k = 0; k < (l->stepped[i] ? K : 1); k++) of_param[i][k] = want(&w, l, grad[at++]);
    for (size_t i = 0; l->rates != CLM_RATES_FIXED && i < l->n; i++)
        for (int k = 0; k < (l->rates == CLM_RATES_PER_STEP ? K : 1) && l->adapted[i]; k++)
            of_rate[i][k] = want(&w, l, grad[at++]);
    compute(&w, l, host);
    for (size_t i = 0; i < l->n; i++)
        for (int k = 0; k < (l->stepped[i] ? K : 1) && l->learned[i]; k++) append(&d->gradient, l, i, of_param[i][k], scale);
    for (int k = 0; l->rates == CLM_RATES_PER_STEP && k < K; k++)
        for (size_t i = 0; i < l->n; i++) *extend(&d->gradient, 1) = of_rate[i][k] ? scale * *of_rate[i][k] : 0;
    for (size_t i = 0; l->rates == CLM_RATES_PER_ELEMENT && i < l->n; i++)
        if (l->adapted[i]) append(&d->gradient, l, i, of_rate[i][0], scale);
    wanted_free(&w);
}

/* ---- Reptile ---- */

static void derive_reptile(clm_test_derivation *d, clm_test_loop *l, clm_device *host) {
    double *of[CLM_TEST_MOST] = {NULL};
    wanted w = {.n = 0};
    for (size_t i = 0; i < l->n; i++) {
        if (!l->adapted[i]) continue;
        clm_value moved = clm_sub(l->g, clm_per_task(l->g, l->param[i][0]), l->theta[i]);
        of[i] = want(&w, l, clm_sum_tasks(l->g, moved, CLM_INVALID));
    }
    compute(&w, l, host);
    for (size_t i = 0; i < l->n; i++)
        if (l->learned[i]) append(&d->gradient, l, i, of[i], 1.0 / l->p->options.tasks);
    wanted_free(&w);
}

/* ---- iMAML: (I + H / lambda) x = b on a dense H ---- */

typedef struct dense {
    size_t n, all; /* elements of adapted tensors; of all */
    bool adapted[ELEMENTS];
    double b[ELEMENTS], row[ELEMENTS][ELEMENTS], x[ELEMENTS]; /* over all elements; rows and x of adapted ones */
} dense;

static double product(const dense *s, const double *v, size_t e) {
    double sum = 0;
    for (size_t k = 0; k < s->all; k++)
        if (s->adapted[k]) sum += s->row[k][e] * v[k];
    return sum;
}

static void solve_cg(dense *s, double lambda, int iterations) {
    double r[ELEMENTS], p[ELEMENTS], ap[ELEMENTS], rr = 0;
    for (size_t e = 0; e < s->all; e++) {
        s->x[e] = 0;
        r[e] = p[e] = s->adapted[e] ? s->b[e] : 0;
        rr += r[e] * r[e];
    }
    for (int j = 0; j < iterations; j++) {
        double pap = 0, next = 0;
        for (size_t e = 0; e < s->all; e++) ap[e] = s->adapted[e] ? p[e] + product(s, p, e) / lambda : 0;
        for (size_t e = 0; e < s->all; e++) pap += p[e] * ap[e];
        for (size_t e = 0; e < s->all; e++) {
            s->x[e] += rr / pap * p[e];
            r[e] -= rr / pap * ap[e];
            next += r[e] * r[e];
        }
        for (size_t e = 0; e < s->all; e++) p[e] = r[e] + next / rr * p[e];
        rr = next;
    }
}

static void solve_neumann(dense *s, double lambda, int iterations) {
    double next[ELEMENTS];
    for (size_t e = 0; e < s->all; e++) s->x[e] = s->adapted[e] ? s->b[e] : 0;
    for (int j = 0; j < iterations; j++) {
        for (size_t e = 0; e < s->all; e++) next[e] = s->adapted[e] ? s->b[e] - product(s, s->x, e) / lambda : 0;
        memcpy(s->x, next, sizeof next);
    }
}

/* The meta-gradient of one task over all elements, into out. */
static void solve(dense *s, const clm_task_options *o, double *out) {
    if (o->solver == CLM_SOLVER_NEUMANN)
        solve_neumann(s, o->proximal, o->solver_steps);
    else
        solve_cg(s, o->proximal, o->solver_steps);
    for (size_t e = 0; e < s->all; e++) out[e] += s->adapted[e] ? s->x[e] : s->b[e] - product(s, s->x, e) / o->proximal;
}

static void derive_implicit(clm_test_derivation *d, clm_test_loop *l, clm_device *host) {
    clm_value phi[CLM_TEST_MOST], gs[CLM_TEST_MOST], b[CLM_TEST_MOST], second[CLM_TEST_MOST];
    double *of_b[CLM_TEST_MOST], *of_row[ELEMENTS][CLM_TEST_MOST];
    const int tasks = l->p->options.tasks;
    wanted *w = calloc(1, sizeof *w);
    dense *s = calloc(1, sizeof *s);
    size_t rows = 0;
    for (size_t i = 0; i < l->n; i++) phi[i] = clm_identity(l->g, clm_per_task(l->g, l->theta[i]));
    CLM_TEST_OK(clm_grad(l->g, clm_test_loop_model_loss(l, phi, l->support_x[0], l->support_y[0]), phi, l->n, gs));
    CLM_TEST_OK(clm_grad(l->g, clm_test_loop_model_loss(l, phi, l->query_x, l->query_y), phi, l->n, b));
    for (size_t i = 0; i < l->n; i++) of_b[i] = want(w, l, clm_per_task(l->g, b[i]));
    for (size_t i = 0; i < l->n; i++) {
        clm_value flat = clm_reshape(l->g, gs[i], clm_shape_of(1, (int)size_of(l, i)));
        for (size_t e = 0; e < size_of(l, i); e++, rows++) {
            ck_assert_uint_lt(rows, ELEMENTS);
            s->adapted[rows] = l->adapted[i];
            if (!l->adapted[i]) continue;
            clm_value one = clm_slice(l->g, flat, (const int32_t[]){(int32_t)e}, clm_shape_of(1, 1));
            CLM_TEST_OK(clm_grad(l->g, clm_reshape(l->g, one, (clm_shape){0}), phi, l->n, second));
            for (size_t k = 0; k < l->n; k++) of_row[rows][k] = want(w, l, clm_per_task(l->g, second[k]));
        }
    }
    s->all = rows;
    compute(w, l, host);
    double *sum = calloc(rows, sizeof *sum);
    for (int t = 0; t < tasks; t++) {
        for (size_t i = 0, e = 0; i < l->n; e += size_of(l, i), i++) {
            const size_t n = size_of(l, i);
            memcpy(s->b + e, of_b[i] + (size_t)t * n, n * sizeof(double));
            for (size_t r = 0; r < rows; r++)
                if (s->adapted[r]) memcpy(s->row[r] + e, of_row[r][i] + (size_t)t * n, n * sizeof(double));
        }
        solve(s, l->o, sum);
    }
    for (size_t i = 0, e = 0; i < l->n; e += size_of(l, i), i++)
        if (l->learned[i]) append(&d->gradient, l, i, sum + e, 1.0 / tasks);
    free(sum);
    free(s);
    wanted_free(w);
    free(w);
}

/* ---- all of them ---- */

void clm_test_derive(clm_test_derivation *d, clm_device *host, const clm_test_problem *p) {
    clm_test_loop *l = calloc(1, sizeof *l);
    wanted w = {.n = 0};
    memset(d, 0, sizeof *d);
    clm_test_loop_build(l, p);
    const double *loss = want(&w, l, l->loss);
    compute(&w, l, host);
    memcpy(extend(&d->query_loss, (size_t)p->options.tasks), loss, (size_t)p->options.tasks * sizeof *loss);
    wanted_free(&w);
    if (p->kind->way == CLM_TEST_REPTILE)
        derive_reptile(d, l, host);
    else if (p->kind->way == CLM_TEST_IMPLICIT)
        derive_implicit(d, l, host);
    else
        derive_unrolled(d, l, host);
    clm_test_loop_free(l);
    free(l);
}

void clm_test_derivation_free(clm_test_derivation *d) {
    clm_test_vector_free(&d->gradient);
    clm_test_vector_free(&d->query_loss);
}
