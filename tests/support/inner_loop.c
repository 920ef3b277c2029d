/* See inner_loop.h. */
#include "support/inner_loop.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/run.h"

static bool is(const char *name, const char *other) { return strcmp(name, other) == 0; }

/* ---- masks: which tensors are adapted, learned ---- */

static bool begins(const char *name, const char *const *prefix, size_t n) {
    for (size_t k = 0; k < n; k++)
        if (strncmp(name, prefix[k], strlen(prefix[k])) == 0) return true;
    return false;
}

void clm_test_loop_masks(clm_test_loop *l, const clm_test_problem *p) {
    const clm_task_options *o = &p->options.task;
    const char *a = o->algorithm;
    memset(l, 0, sizeof *l);
    l->p = p;
    l->o = o;
    l->n = clm_model_param_count(p->model);
    l->first_order = o->first_order || is(a, "fomaml");
    l->norm_per_step = o->batch_norm_per_step || is(a, "maml++");
    l->rates = o->rates != CLM_RATES_FIXED ? o->rates
               : is(a, "metasgd")          ? CLM_RATES_PER_ELEMENT
               : is(a, "maml++")           ? CLM_RATES_PER_STEP
                                           : CLM_RATES_FIXED;
    ck_assert_uint_le(l->n, CLM_TEST_MOST);
    for (size_t i = 0; i < l->n; i++) {
        const clm_param *q = clm_model_param(p->model, i);
        const bool head = i + 2 >= l->n; /* all nets of family.c end with a linear layer */
        l->stepped[i] = l->norm_per_step && q->role == CLM_PARAM_BATCH_NORM;
        l->learned[i] = !begins(q->name, o->unlearned, o->n_unlearned);
        l->adapted[i] = !begins(q->name, o->freeze, o->n_freeze) && !l->stepped[i];
        if (is(a, "anil") || is(a, "finetune")) l->adapted[i] = l->adapted[i] && head;
        if (is(a, "boil")) l->adapted[i] = l->adapted[i] && !head;
        if (is(a, "protomaml")) l->learned[i] = l->learned[i] && !head;
        if (is(a, "protonet")) l->adapted[i] = false;
        if (!is(a, "cavia")) continue;
        l->adapted[i] = l->adapted[i] && q->role == CLM_PARAM_CONTEXT;
        l->learned[i] = l->learned[i] && q->role != CLM_PARAM_CONTEXT;
    }
}

/* ---- inputs ---- */

clm_value clm_test_loop_feed(clm_test_loop *l, clm_shape shape, bool per_task, double *data) {
    ck_assert_uint_lt(l->n_in, CLM_TEST_INPUTS);
    clm_value v = clm_input(l->g, "in", shape, per_task);
    l->in[l->n_in] = v;
    l->fed[l->n_in++] = data;
    return v;
}

double *clm_test_loop_values(const clm_test_problem *p, const char *prefix, size_t i, size_t row) {
    char name[96];
    const clm_param *q = clm_model_param(p->model, i);
    const size_t size = clm_shape_size(&q->shape);
    snprintf(name, sizeof name, "%s.%s", prefix, q->name);
    const size_t k = clm_params_find(p->params, name);
    ck_assert_msg(k < clm_params_count(p->params), "there are no values \"%s\"", name);
    const size_t rows = clm_params_get_info(p->params, k).size / size;
    double *inner = calloc(size, sizeof *inner);
    clm_layout_to_inner(q->layout, &q->shape, 1, clm_params_values(p->params, k) + (rows > 1 ? row : 0) * size, inner);
    return inner;
}

double *clm_test_loop_data(const clm_test_problem *p, int array, int step, clm_shape *shape) {
    const clm_task_options *o = &p->options.task;
    const clm_shape in = clm_model_in_shape(p->model), inner = clm_model_inner_in_shape(p->model);
    const size_t tasks = (size_t)p->options.tasks, n = (size_t)(array < 2 ? o->support : o->query);
    const size_t sets = array < 2 && o->support_per_step ? (size_t)o->steps : 1;
    const size_t each = p->batch.count[array] / (tasks * sets * n); /* numbers of an example */
    const clm_shape out = clm_model_out_shape(p->model);
    const clm_shape one = array % 2 == 0 ? inner : is(o->loss.name, "cross-entropy") ? (clm_shape){0} : out;
    *shape = (clm_shape){.rank = one.rank + 1, .dim = {(int32_t)n}};
    for (int k = 0; k < one.rank; k++) shape->dim[k + 1] = one.dim[k];
    double *data = calloc(tasks * n * each, sizeof *data), *moved = calloc(tasks * n * each, sizeof *moved);
    for (size_t t = 0; t < tasks; t++)
        for (size_t e = 0; e < n * each; e++)
            data[t * n * each + e] = p->batch.data[array][(t * sets + (sets > 1 ? (size_t)step : 0)) * n * each + e];
    clm_layout_to_inner(array % 2 == 0 && in.rank == 3 ? CLM_LAYOUT_CHW : CLM_LAYOUT_SAME, array % 2 == 0 ? &in : &one,
                        tasks * n, data, moved);
    free(data);
    return moved;
}

static void feed_rates(clm_test_loop *l) {
    const size_t K = (size_t)l->o->steps, whole = clm_params_find(l->p->params, "alpha");
    for (size_t i = 0; i < l->n; i++) {
        for (size_t k = 0; k < K; k++) l->rate[i][k] = clm_const(l->g, l->o->inner_lr);
        if (l->rates == CLM_RATES_PER_STEP) {
            for (size_t k = 0; k < K; k++) {
                double *one = calloc(1, sizeof *one);
                *one = clm_params_values(l->p->params, whole)[k * l->n + i];
                l->rate[i][k] = clm_test_loop_feed(l, (clm_shape){0}, false, one);
            }
        } else if (l->rates == CLM_RATES_PER_ELEMENT && l->adapted[i]) {
            l->rate[i][0] = clm_test_loop_feed(l, clm_model_param(l->p->model, i)->inner_shape, false,
                                               clm_test_loop_values(l->p, "alpha", i, 0));
            for (size_t k = 1; k < K; k++) l->rate[i][k] = l->rate[i][0];
        }
    }
}

static void feed_all(clm_test_loop *l) {
    const int K = l->o->steps;
    clm_shape shape;
    for (size_t i = 0; i < l->n; i++) {
        for (int k = 0; k < K; k++) {
            const bool again = k > 0 && !l->stepped[i];
            l->param[i][k] = again ? l->param[i][0]
                                   : clm_test_loop_feed(l, clm_model_param(l->p->model, i)->inner_shape, false,
                                                        clm_test_loop_values(l->p, "param", i, (size_t)k));
        }
    }
    feed_rates(l);
    clm_value *const at[4] = {l->support_x, l->support_y, &l->query_x, &l->query_y};
    for (int array = 0; array < 4; array++) {
        for (int k = 0; k < (array < 2 ? K : 1); k++) {
            const bool again = k > 0 && !l->o->support_per_step;
            double *data = again ? NULL : clm_test_loop_data(l->p, array, k, &shape);
            at[array][k] = again ? at[array][0] : clm_test_loop_feed(l, shape, true, data);
        }
    }
}

/* ---- losses ---- */

clm_value clm_test_loop_loss(const clm_test_loop *l, clm_value out, clm_value y) {
    const clm_reduction r = l->o->loss.reduction;
    if (is(l->o->loss.name, "mse")) return clm_mse(l->g, out, y, r);
    ck_assert_msg(is(l->o->loss.name, "cross-entropy"), "the loss %s is not written out here", l->o->loss.name);
    return clm_cross_entropy(l->g, out, y, r);
}

clm_value clm_test_loop_model_loss(clm_test_loop *l, const clm_value *theta, clm_value x, clm_value y) {
    return clm_test_loop_loss(l, clm_model_apply(l->p->model, l->g, theta, x, NULL), y);
}

/* ---- prototypes ---- */

/* Mean features of each class, [1, width] each. */
static void prototypes(clm_test_loop *l, clm_value features, clm_value y, int ways, clm_value *prototype) {
    const clm_shape s = clm_value_shape(l->g, features);
    for (int c = 0; c < ways; c++) {
        clm_value in = clm_reshape(l->g, clm_equal(l->g, y, clm_const(l->g, c)), clm_shape_of(2, s.dim[0], 1));
        clm_value sum = clm_sum(l->g, clm_mul(l->g, in, features), 1u, true);
        prototype[c] = clm_div(l->g, sum, clm_reshape(l->g, clm_sum_all(l->g, in), clm_shape_of(2, 1, 1)));
    }
}

static void prototypical_head(clm_test_loop *l, clm_value *theta) {
    clm_value prototype[16];
    const int ways = clm_model_out_shape(l->p->model).dim[0];
    clm_value f = clm_model_features(l->p->model, l->g, theta, l->support_x[0], NULL);
    prototypes(l, f, l->support_y[0], ways, prototype);
    clm_value all = clm_concat(l->g, prototype, (size_t)ways, 0);
    theta[l->n - 2] = clm_scale(l->g, all, 2);
    theta[l->n - 1] = clm_neg(l->g, clm_sum(l->g, clm_square(l->g, all), 2u, false));
}

/* Minus the squared distance to each prototype, [n, ways]. */
static clm_value distances(clm_test_loop *l, const clm_value *theta) {
    clm_value prototype[16], score[16];
    const int ways = l->o->ways;
    clm_value q = clm_model_apply(l->p->model, l->g, theta, l->query_x, NULL);
    prototypes(l, clm_model_apply(l->p->model, l->g, theta, l->support_x[0], NULL), l->support_y[0], ways, prototype);
    for (int c = 0; c < ways; c++)
        score[c] = clm_neg(l->g, clm_sum(l->g, clm_square(l->g, clm_sub(l->g, q, prototype[c])), 2u, true));
    return clm_concat(l->g, score, (size_t)ways, 1);
}

/* ---- the step ---- */

static clm_value clipped(clm_graph *g, clm_value x, double limit) {
    clm_value outside = clm_step(g, clm_affine(g, clm_abs(g, x), 1, -limit));
    clm_value inside = clm_affine(g, outside, -1, 1);
    return clm_add(g, clm_mul(g, inside, x), clm_scale(g, clm_mul(g, outside, clm_sign(g, x)), limit));
}

/* c / norm where that is below 1. */
static clm_value norm_factor(clm_test_loop *l, const clm_value *grad) {
    const double c = l->o->inner.clip_norm;
    clm_value sum = CLM_INVALID;
    for (size_t i = 0; i < l->n; i++) {
        if (!l->adapted[i]) continue;
        clm_value square = clm_sum_all(l->g, clm_square(l->g, grad[i]));
        sum = sum == CLM_INVALID ? square : clm_add(l->g, sum, square);
    }
    clm_value norm = clm_sqrt(l->g, sum), above = clm_step(l->g, clm_affine(l->g, norm, 1, -c));
    clm_value less = clm_affine(l->g, clm_div(l->g, clm_const(l->g, c), norm), 1, -1);
    return clm_affine(l->g, clm_mul(l->g, above, less), 1, 1);
}

static void transform(clm_test_loop *l, const clm_value *theta, const clm_value *anchor, clm_value *grad) {
    const clm_inner_options *o = &l->o->inner;
    for (size_t i = 0; i < l->n; i++) {
        if (l->first_order) grad[i] = clm_stop_gradient(l->g, grad[i]);
        if (is(l->o->algorithm, "imaml"))
            grad[i] = clm_add(l->g, grad[i], clm_scale(l->g, clm_sub(l->g, theta[i], anchor[i]), l->o->proximal));
        if (o->clip_value > 0) grad[i] = clipped(l->g, grad[i], o->clip_value);
    }
    const clm_value factor = o->clip_norm > 0 ? norm_factor(l, grad) : CLM_INVALID;
    for (size_t i = 0; i < l->n; i++) {
        if (factor != CLM_INVALID) grad[i] = clm_mul(l->g, grad[i], factor);
        if (o->weight_decay > 0) grad[i] = clm_add(l->g, grad[i], clm_scale(l->g, theta[i], o->weight_decay));
    }
}

/* a x + b y, where x may be CLM_INVALID: zero. */
static clm_value mix(clm_graph *g, double a, clm_value x, double b, clm_value y) {
    clm_value second = clm_scale(g, y, b);
    return x == CLM_INVALID ? second : clm_add(g, clm_scale(g, x, a), second);
}

/* Where the rule moves one tensor, before the rate; its state in place. */
static clm_value move(clm_test_loop *l, clm_value g, int k, clm_value *state) {
    const clm_inner_options *o = &l->o->inner;
    clm_graph *graph = l->g;
    if (is(o->rule, "sgd")) return g;
    if (is(o->rule, "momentum")) return state[0] = mix(graph, o->momentum, state[0], 1, g);
    if (is(o->rule, "nesterov")) {
        state[0] = mix(graph, o->momentum, state[0], 1, g);
        return mix(graph, o->momentum, state[0], 1, g);
    }
    if (is(o->rule, "adam")) {
        state[0] = mix(graph, o->beta1, state[0], 1 - o->beta1, g);
        state[1] = mix(graph, o->beta2, state[1], 1 - o->beta2, clm_square(graph, g));
        clm_value m = clm_scale(graph, state[0], 1 / (1 - pow(o->beta1, k + 1)));
        clm_value v = clm_scale(graph, state[1], 1 / (1 - pow(o->beta2, k + 1)));
        return clm_div(graph, m, clm_affine(graph, clm_sqrt(graph, clm_affine(graph, v, 1, o->eps_root)), 1, o->eps));
    }
    ck_assert_msg(is(o->rule, "rmsprop"), "the inner rule \"%s\" is not written out in tests/support/inner_loop.c", o->rule);
    state[0] = mix(graph, o->decay, state[0], 1 - o->decay, clm_square(graph, g));
    return clm_div(graph, g, clm_affine(graph, clm_sqrt(graph, clm_affine(graph, state[0], 1, o->eps_root)), 1, o->eps));
}

static void take_step(clm_test_loop *l, int k, clm_value *theta, const clm_value *anchor, clm_value (*state)[2]) {
    clm_value grad[CLM_TEST_MOST];
    clm_value loss = clm_test_loop_model_loss(l, theta, l->support_x[k], l->support_y[k]);
    CLM_TEST_OK(clm_grad(l->g, loss, theta, l->n, grad));
    transform(l, theta, anchor, grad);
    for (size_t i = 0; i < l->n; i++) {
        if (!l->adapted[i]) continue;
        clm_value step = clm_mul(l->g, l->rate[i][k], move(l, grad[i], k, state[i]));
        theta[i] = clm_identity(l->g, clm_sub(l->g, theta[i], step));
    }
}

/* w_k times the query loss after k + 1 steps. */
static void add_query_loss(clm_test_loop *l, int k, const clm_value *theta) {
    const double *w = l->o->step_weights;
    if (!w && k + 1 < l->o->steps) return;
    clm_value loss = clm_test_loop_model_loss(l, theta, l->query_x, l->query_y);
    loss = clm_scale(l->g, loss, w ? w[k] : 1);
    l->loss = l->loss == CLM_INVALID ? loss : clm_add(l->g, l->loss, loss);
}

static void begin(clm_test_loop *l, clm_value *theta) {
    for (size_t i = 0; i < l->n; i++) theta[i] = clm_per_task(l->g, l->param[i][0]);
    if (is(l->o->algorithm, "protomaml")) prototypical_head(l, theta);
    for (size_t i = l->n - 2; i < l->n && is(l->o->algorithm, "finetune"); i++) /* from zero */
        theta[i] = clm_mul(l->g, theta[i], clm_const(l->g, 0));
    for (size_t i = 0; i < l->n; i++) theta[i] = clm_identity(l->g, theta[i]);
}

void clm_test_loop_build(clm_test_loop *l, const clm_test_problem *p) {
    clm_value theta[CLM_TEST_MOST], anchor[CLM_TEST_MOST], state[CLM_TEST_MOST][2];
    clm_test_loop_masks(l, p);
    CLM_TEST_OK(clm_graph_create(&l->g));
    feed_all(l);
    l->loss = CLM_INVALID;
    begin(l, theta);
    memcpy(anchor, theta, sizeof anchor);
    memset(state, 0xff, sizeof state); /* CLM_INVALID */
    const bool joint = is(l->o->algorithm, "finetune") || is(l->o->algorithm, "pretrain");
    for (int k = 0; k < l->o->steps && p->kind->way != CLM_TEST_PROTOTYPES; k++) {
        for (size_t i = 0; i < l->n; i++)
            if (l->stepped[i]) theta[i] = clm_identity(l->g, clm_per_task(l->g, l->param[i][k]));
        take_step(l, k, theta, anchor, state);
        if (!joint) add_query_loss(l, k, theta);
    }
    if (p->kind->way == CLM_TEST_PROTOTYPES) l->loss = clm_test_loop_loss(l, distances(l, theta), l->query_y);
    if (joint) { /* the gradient is that of plain training, before any step */
        clm_value plain[CLM_TEST_MOST];
        for (size_t i = 0; i < l->n; i++) plain[i] = clm_per_task(l->g, l->param[i][0]);
        clm_value s = clm_test_loop_model_loss(l, plain, l->support_x[0], l->support_y[0]);
        l->loss = clm_test_loop_model_loss(l, plain, l->query_x, l->query_y);
        l->joint = clm_add(l->g, clm_scale(l->g, s, (double)l->o->support / (l->o->support + l->o->query)),
                           clm_scale(l->g, l->loss, (double)l->o->query / (l->o->support + l->o->query)));
    }
    memcpy(l->theta, theta, sizeof theta);
    CLM_TEST_OK(clm_graph_status(l->g));
}

void clm_test_loop_free(clm_test_loop *l) {
    for (size_t i = 0; i < l->n_in; i++) free(l->fed[i]);
    clm_graph_free(l->g);
}

void clm_test_loop_run(clm_test_loop *l, clm_device *host, int tasks, const clm_value *outputs, double *const *results,
                       size_t n) {
    CLM_TEST_OK(clm_test_run(host, l->g, tasks, l->in, (const double *const *)l->fed, l->n_in, outputs, results, n));
}
