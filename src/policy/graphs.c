/* The programs of a policy learner, each for a run of consecutive tasks (a chunk), bound to views of the learner's tensors.
 *
 * With L_k the policy-gradient loss on the k-th set and H_k its Hessian at theta_k, an inner step is theta_{k+1} = theta_k -
 * rate grad L_k. Its Jacobian J = (1 - rate H_{K-1}) .. (1 - rate H_0) is applied by a Hessian-vector product, forward over
 * reverse, a step; as each H is symmetric, J^T is the same in the other order.
 *
 *   gradient    J^T grad of the surrogate at theta_K, on the last set
 *   fisher      J^T F J v: tangent through the inner loop, Fisher matrix of the policy at theta_K, adjoint. The mean KL
 * divergence from the policies at theta has its minimum there, so this is its Hessian times v trial       surrogate and KL
 * divergence at other parameters than those that the old means are of
 *
 * First order leaves the H out, and so takes 1 for J.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "policy/internal.h"

/* A graph under construction with the tensors of its inputs and outputs. */
typedef struct bound {
    clm_value value;
    clm_tensor *tensor; /* of all tasks, or shared */
    bool output;
} bound;

enum { BOUND_MOST = 4 * CLM_POLICY_ENTRIES_MOST + 64 };

typedef struct build {
    clm_policy *policy;
    clm_graph *g;
    bound bounds[BOUND_MOST];
    size_t n_bounds;
    size_t n; /* entries; the last is log_std */
    clm_value rate;
} build;

typedef struct values {
    clm_value v[CLM_POLICY_ENTRIES_MOST];
} values;

static void bind(build *b, clm_value value, clm_tensor *tensor, bool output) {
    b->bounds[b->n_bounds++] = (bound){value, tensor, output};
}

static clm_value input(build *b, const char *name, clm_tensor *tensor) {
    const clm_value v = clm_input(b->g, name, clm_tensor_shape(tensor), clm_tensor_tasks(tensor) > 0);
    bind(b, v, tensor, false);
    return v;
}

static void input_vector(build *b, const char *prefix, const clm_policy_vector *vector, values *out) {
    char name[128];
    *out = (values){{0}}; /* entries that there are not: no value of a graph */
    for (size_t i = 0; i < b->n; i++) {
        snprintf(name, sizeof name, "%s.%s", prefix, b->policy->entries[i].name);
        out->v[i] = input(b, name, vector->entry[i]);
    }
}

/* ---- pieces ---- */

static clm_value mean_of(build *b, const values *theta, clm_value x) {
    return clm_model_apply(b->policy->model, b->g, theta->v, x, NULL);
}

/* The loss of set k. */
static clm_value loss_of(build *b, const values *theta, clm_value x, clm_value y) {
    const clm_value log_std = theta->v[b->n - 1];
    return clm_gaussian_policy_loss(b->g, mean_of(b, theta, x), log_std, y, CLM_REDUCE_MEAN);
}

typedef struct step {
    clm_value loss;
    values theta;
} step;

/* theta_{k+1}, and what a product with H_k needs. */
static clm_status make_step(build *b, step *s, clm_value x, clm_value y, values *next) {
    values grad = {{0}};
    s->loss = loss_of(b, &s->theta, x, y);
    CLM_TRY(clm_grad(b->g, s->loss, s->theta.v, b->n, grad.v));
    for (size_t i = 0; i < b->n; i++) next->v[i] = clm_sub(b->g, s->theta.v[i], clm_mul(b->g, b->rate, grad.v[i]));
    return CLM_OK;
}

/* v <- (1 - rate H_k) v */
static clm_status through_step(build *b, const step *s, values *v) {
    values hv;
    if (b->policy->options.first_order) return CLM_OK;
    CLM_TRY(clm_hvp(b->g, s->loss, s->theta.v, v->v, b->n, hv.v));
    for (size_t i = 0; i < b->n; i++) v->v[i] = clm_sub(b->g, v->v[i], clm_mul(b->g, b->rate, hv.v[i]));
    return CLM_OK;
}

/* The inner loop from theta, an input; steps[k] for each of them, *last: theta_K. */
static clm_status unroll(build *b, step *steps, values *last) {
    clm_policy *p = b->policy;
    char name[32];
    input_vector(b, "theta", &p->theta, last);
    for (size_t i = 0; i < b->n; i++) last->v[i] = clm_per_task(b->g, last->v[i]);
    for (int k = 0; k < p->options.steps; k++) {
        snprintf(name, sizeof name, "x%d", k);
        const clm_value x = input(b, name, p->sets[k].x);
        snprintf(name, sizeof name, "y%d", k);
        const clm_value y = input(b, name, p->sets[k].y);
        steps[k].theta = *last;
        CLM_TRY(make_step(b, &steps[k], x, y, last));
    }
    return CLM_OK;
}

/* v <- J^T v, summed over the chunk's tasks onto what is in the learner's gradient. */
static clm_status adjoint(build *b, const step *steps, values *v) {
    clm_policy *p = b->policy;
    values before;
    for (int k = p->options.steps; k-- > 0;) CLM_TRY(through_step(b, &steps[k], v));
    input_vector(b, "sum", &p->gradient, &before);
    for (size_t i = 0; i < b->n; i++) bind(b, clm_sum_tasks(b->g, v->v[i], before.v[i]), p->gradient.entry[i], true);
    return clm_graph_status(b->g);
}

/* ---- the graphs ---- */

static clm_status build_begin(build *b) {
    clm_policy *p = b->policy;
    values theta;
    input_vector(b, "theta", &p->theta, &theta);
    for (size_t i = 0; i < b->n; i++) bind(b, clm_per_task(b->g, theta.v[i]), p->phi.entry[i], true);
    return clm_graph_status(b->g);
}

static clm_status build_act(build *b) {
    clm_policy *p = b->policy;
    values phi;
    input_vector(b, "phi", &p->phi, &phi);
    bind(b, mean_of(b, &phi, input(b, "observation", p->observation)), p->mean, true);
    return clm_graph_status(b->g);
}

/* On set `set`. */
static clm_status build_adapt(build *b, int set) {
    clm_policy *p = b->policy;
    step s;
    values next;
    input_vector(b, "phi", &p->phi, &s.theta);
    const clm_value x = input(b, "x", p->sets[set].x), y = input(b, "y", p->sets[set].y);
    CLM_TRY(make_step(b, &s, x, y, &next));
    for (size_t i = 0; i < b->n; i++) bind(b, next.v[i], p->phi.entry[i], true);
    return clm_graph_status(b->g);
}

static clm_status build_gradient(build *b) {
    clm_policy *p = b->policy;
    const clm_samples *set = &p->sets[p->options.steps];
    step steps[CLM_POLICY_STEPS_MOST];
    values theta, lambda;
    CLM_TRY(unroll(b, steps, &theta));
    const clm_value x = input(b, "xq", set->x), y = input(b, "yq", set->y), loss = loss_of(b, &theta, x, y);
    CLM_TRY(clm_grad(b->g, loss, theta.v, b->n, lambda.v));
    bind(b, mean_of(b, &theta, x), p->old_mean, true);
    bind(b, clm_identity(b->g, theta.v[b->n - 1]), p->old_log_std, true);
    bind(b, loss, p->loss, true);
    return adjoint(b, steps, &lambda);
}

static clm_status build_fisher(build *b) {
    clm_policy *p = b->policy;
    clm_graph *g = b->g;
    const clm_samples *set = &p->sets[p->options.steps];
    step steps[CLM_POLICY_STEPS_MOST];
    values theta, v;
    const size_t last = b->n - 1;
    CLM_TRY(unroll(b, steps, &theta));
    input_vector(b, "v", &p->direction, &v);
    for (size_t i = 0; i < b->n; i++) v.v[i] = clm_per_task(g, v.v[i]);
    for (int k = 0; k < p->options.steps; k++) CLM_TRY(through_step(b, &steps[k], &v));
    /* of a row: the mean's tangent over the variance, weighted; of log_std: twice its tangent, as the weights sum to 1 */
    const clm_value mean = mean_of(b, &theta, input(b, "xq", set->x));
    const clm_value weight = clm_reshape(g, input(b, "weight", set->weight), clm_shape_of(2, p->rows, 1));
    clm_value tangent;
    CLM_TRY(clm_jvp(g, theta.v, v.v, b->n, &mean, 1, &tangent));
    const clm_value precision = clm_exp(g, clm_scale(g, theta.v[last], -2)), twice = clm_scale(g, v.v[last], 2);
    const clm_value cotangent = clm_mul(g, clm_mul(g, tangent, precision), weight);
    CLM_TRY(clm_vjp(g, &mean, &cotangent, 1, theta.v, b->n, v.v));
    v.v[last] = clm_add(g, v.v[last], twice);
    return adjoint(b, steps, &v);
}

static clm_value scaled_square(clm_graph *g, clm_value difference, clm_value log_std) {
    return clm_scale(g, clm_square(g, clm_mul(g, difference, clm_exp(g, clm_neg(g, log_std)))), 0.5);
}

static clm_status build_trial(build *b) {
    clm_policy *p = b->policy;
    clm_graph *g = b->g;
    const clm_samples *set = &p->sets[p->options.steps];
    const int actions = p->environment.action;
    step steps[CLM_POLICY_STEPS_MOST];
    values theta;
    CLM_TRY(unroll(b, steps, &theta));
    const clm_value x = input(b, "xq", set->x), y = input(b, "yq", set->y), weight = input(b, "weight", set->weight);
    const clm_value old_mean = input(b, "old.mean", p->old_mean), old = input(b, "old.log_std", p->old_log_std);
    const clm_value mean = mean_of(b, &theta, x), new = theta.v[b->n - 1], wider = clm_sub(g, new, old);
    const clm_value action = clm_slice(g, y, (const int32_t[]){0, 0}, clm_shape_of(2, p->rows, actions));
    const clm_value advantage = clm_slice(g, y, (const int32_t[]){0, actions}, clm_shape_of(2, p->rows, 1));
    /* log density ratio: of each action (z_old^2 - z_new^2) / 2 - (log_std - old) */
    clm_value terms =
        clm_sub(g, scaled_square(g, clm_sub(g, action, old_mean), old), scaled_square(g, clm_sub(g, action, mean), new));
    const clm_value ratio = clm_exp(g, clm_sum(g, clm_sub(g, terms, wider), 2u, true));
    bind(b, clm_neg(g, clm_mean_all(g, clm_mul(g, ratio, advantage))), p->loss, true);
    /* KL(old, new), of each action log_std - old + (variance_old + (mean_old - mean)^2) / (2 variance) - 1/2 */
    const clm_value variances = clm_affine(g, clm_exp(g, clm_scale(g, wider, -2)), 0.5, -0.5);
    terms = clm_add(g, clm_add(g, wider, variances), scaled_square(g, clm_sub(g, old_mean, mean), new));
    const clm_value rows = clm_mul(g, clm_sum(g, terms, 2u, true), clm_reshape(g, weight, clm_shape_of(2, p->rows, 1)));
    bind(b, clm_sum_all(g, rows), p->kl, true);
    return clm_graph_status(g);
}

/* ---- from a graph to its programs ---- */

static clm_status view_of(clm_policy *p, clm_tensor *whole, int first, int tasks, clm_tensor **out) {
    clm_policy_programs *all = &p->programs;
    const size_t size = clm_tensor_size(whole) / (size_t)(whole->tasks > 0 ? whole->tasks : 1);
    *out = whole;
    if (whole->tasks == 0 || whole->tasks == tasks) return CLM_OK;
    CLM_TRY(clm_grow(&all->views, &all->views_capacity, all->n_views + 1, sizeof *all->views));
    CLM_TRY(clm_tensor_view(out, whole, (size_t)first * size, clm_tensor_shape(whole), tasks));
    all->views[all->n_views++] = *out;
    return CLM_OK;
}

static clm_status create_program(build *b, int first, int tasks, clm_program **out) {
    clm_policy *p = b->policy;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    clm_value outputs[BOUND_MOST];
    size_t n = 0;
    options.tasks = tasks;
    options.workspace = p->programs.workspace;
    for (size_t i = 0; i < b->n_bounds; i++)
        if (b->bounds[i].output) outputs[n++] = b->bounds[i].value;
    CLM_TRY(clm_program_create(out, p->device, b->g, outputs, n, &options));
    for (size_t i = 0; i < b->n_bounds; i++) {
        clm_tensor *tensor;
        CLM_TRY(view_of(p, b->bounds[i].tensor, first, tasks, &tensor));
        if (!b->bounds[i].output && !clm_program_has(*out, b->bounds[i].value)) continue;
        CLM_TRY(clm_program_bind(*out, b->bounds[i].value, tensor));
    }
    return CLM_OK;
}

/* A program for each chunk of tasks. */
static clm_status create_all(build *b, int chunk, clm_program ***out) {
    const int tasks = b->policy->options.tasks, count = tasks / chunk;
    *out = clm_calloc((size_t)count, sizeof **out);
    if (!*out) return CLM_E_MEMORY;
    for (int i = 0; i < count; i++) CLM_TRY(create_program(b, i * chunk, chunk, &(*out)[i]));
    return CLM_OK;
}

static clm_status begin(build **out, clm_policy *p) {
    build *b = *out = clm_calloc(1, sizeof *b);
    if (!b) return CLM_E_MEMORY;
    b->policy = p;
    b->n = p->n_entries;
    CLM_TRY(clm_graph_create(&b->g));
    b->rate = input(b, "rate", p->rate);
    return CLM_OK;
}

static void end(build *b) {
    if (b) clm_graph_free(b->g);
    free(b);
}

/* Of all tasks at once. */
static clm_status create_one(clm_policy *p, clm_status (*make)(build *b), clm_program **out) {
    build *b = NULL;
    clm_status status = begin(&b, p);
    if (status == CLM_OK) status = make(b);
    if (status == CLM_OK) status = create_program(b, 0, p->options.tasks, out);
    end(b);
    return status;
}

static clm_status create_adapt(clm_policy *p, int set, clm_program ***out) {
    build *b = NULL;
    clm_status status = begin(&b, p);
    if (status == CLM_OK) status = build_adapt(b, set);
    if (status == CLM_OK) status = create_all(b, p->chunk, out);
    end(b);
    return status;
}

static clm_status create_of(clm_policy *p, clm_status (*make)(build *b), clm_program ***out) {
    build *b = NULL;
    clm_status status = begin(&b, p);
    if (status == CLM_OK) status = make(b);
    if (status == CLM_OK) status = create_all(b, p->chunk, out);
    end(b);
    return status;
}

static clm_status prepare(clm_program **programs, int count) {
    for (int i = 0; programs && i < count; i++) CLM_TRY(clm_program_prepare(programs[i]));
    return CLM_OK;
}

/* What is allocated already, the tensors of the programs, and their workspace. */
static clm_status check_memory(const clm_policy *p) {
    const double need = (double)p->device->allocated + (double)clm_workspace_bytes(p->programs.workspace);
    uint64_t limit = 0;
    CLM_TRY(clm_memory_limit(&limit));
    if (!limit) limit = p->device->info.global_memory / 10 * 9;
    if (need <= (double)limit) return CLM_OK;
    return clm_fail(
        CLM_E_LIMIT,
        "a policy's training takes %.1f MiB on %s, of which %.1f MiB may be used; take a smaller task_chunk, or fewer "
        "tasks, trajectories or time steps",
        need / 1048576, p->device->info.name, (double)limit / 1048576);
}

clm_status clm_policy_programs_create(clm_policy *p) {
    clm_policy_programs *all = &p->programs;
    const int chunks = p->options.tasks / p->chunk;
    CLM_TRY(clm_workspace_create(&all->workspace, p->device));
    CLM_TRY(create_one(p, build_begin, &all->begin));
    CLM_TRY(create_one(p, build_act, &all->act));
    for (int k = 0; k <= p->options.steps; k++) CLM_TRY(create_adapt(p, k, &all->adapt[k]));
    CLM_TRY(create_of(p, build_gradient, &all->gradient));
    if (p->options.outer == CLM_OUTER_TRPO) {
        CLM_TRY(create_of(p, build_fisher, &all->fisher));
        CLM_TRY(create_of(p, build_trial, &all->trial));
    }
    CLM_TRY(check_memory(p));
    CLM_TRY(clm_program_prepare(all->begin));
    CLM_TRY(clm_program_prepare(all->act));
    for (int k = 0; k <= p->options.steps; k++) CLM_TRY(prepare(all->adapt[k], chunks));
    CLM_TRY(prepare(all->gradient, chunks));
    CLM_TRY(prepare(all->fisher, chunks));
    return prepare(all->trial, chunks);
}

static void free_all(clm_program **programs, int count) {
    for (int i = 0; programs && i < count; i++) clm_program_free(programs[i]);
    free(programs);
}

void clm_policy_programs_free(clm_policy_programs *all, int chunks) {
    clm_program_free(all->begin);
    clm_program_free(all->act);
    for (int k = 0; k <= CLM_POLICY_STEPS_MOST; k++) free_all(all->adapt[k], chunks);
    free_all(all->gradient, chunks);
    free_all(all->fisher, chunks);
    free_all(all->trial, chunks);
    for (size_t i = 0; i < all->n_views; i++) clm_tensor_free(all->views[i]);
    free(all->views);
    clm_workspace_free(all->workspace);
    *all = (clm_policy_programs){0};
}
