/* The programs of a policy learner, each for a run of consecutive tasks (a chunk), bound to views of the learner's tensors.
 *
 * With L_k the policy-gradient loss on the k-th set and H_k its Hessian at theta_k, an inner step is theta_{k+1} = theta_k -
 * rate grad L_k. Its Jacobian J = (1 - rate H_{K-1}) .. (1 - rate H_0) is applied by a Hessian-vector product, forward over
 * reverse, a step; as each H is symmetric, J^T is the same in the other order.
 *
 *   gradient    J^T grad of the surrogate at theta_K, on the last set
 *   fisher      J^T F J v: tangent through the inner loop, Fisher matrix of the policy at theta_K, adjoint. The mean KL
 *               divergence from the policies at theta has its minimum there, so this is its Hessian times v
 *   trial       surrogate and KL divergence at other parameters than those that the old means are of
 *
 * First order leaves the H out, and so takes 1 for J.
 *
 * Conjugate gradients ask for many products at the same theta. Gradient and Fisher product are values of one graph, which is
 * split by dependence on v: what the products need and v does not change, the gradient's program leaves in tensors (`kept`).
 * Where memory does not suffice for these, the Fisher product's program computes all of it each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "policy/internal.h"
#include "program/split.h"

/* The programs that one graph is for, by their outputs. */
typedef enum part { FIRST, GRADIENT = FIRST, FISHER, PARTS } part;

typedef struct bound {
    clm_value value;
    clm_tensor *tensor; /* of all tasks, or shared */
} bound;

typedef struct bounds {
    bound *at;
    size_t n, capacity;
} bounds;

typedef struct values {
    clm_value v[CLM_POLICY_ENTRIES_MOST];
} values;

/* A graph under construction with the tensors of its inputs and outputs. */
typedef struct build {
    clm_policy *policy;
    clm_graph *g;
    bounds inputs, outputs[PARTS];
    part part; /* whose outputs are added */
    size_t n;  /* entries; the last is log_std */
    clm_value rate;
} build;

static void bind(build *b, bounds *to, clm_value value, clm_tensor *tensor) {
    if (clm_grow(&to->at, &to->capacity, to->n + 1, sizeof *to->at) == CLM_OK)
        to->at[to->n++] = (bound){value, tensor};
    else
        clm_graph_error(b->g, CLM_E_MEMORY, "policy: out of memory");
}

static void output(build *b, clm_value value, clm_tensor *tensor) { bind(b, &b->outputs[b->part], value, tensor); }

static clm_value input(build *b, const char *name, clm_tensor *tensor) {
    const clm_value v = clm_input(b->g, name, clm_tensor_shape(tensor), clm_tensor_tasks(tensor) > 0);
    bind(b, &b->inputs, v, tensor);
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

/* v <- J^T v, summed over the chunk's tasks onto what is in the learner's gradient, an input that *before becomes. */
static clm_status adjoint(build *b, const step *steps, values *v, values *before) {
    clm_policy *p = b->policy;
    for (int k = p->options.steps; k-- > 0;) CLM_TRY(through_step(b, &steps[k], v));
    input_vector(b, "sum", &p->gradient, before);
    for (size_t i = 0; i < b->n; i++) output(b, clm_sum_tasks(b->g, v->v[i], before->v[i]), p->gradient.entry[i]);
    return clm_graph_status(b->g);
}

/* ---- the graphs ---- */

static clm_status build_begin(build *b) {
    clm_policy *p = b->policy;
    values theta = {{0}};
    input_vector(b, "theta", &p->theta, &theta);
    for (size_t i = 0; i < b->n; i++) output(b, clm_per_task(b->g, theta.v[i]), p->phi.entry[i]);
    return clm_graph_status(b->g);
}

static clm_status build_act(build *b) {
    clm_policy *p = b->policy;
    values phi = {{0}};
    input_vector(b, "phi", &p->phi, &phi);
    output(b, mean_of(b, &phi, input(b, "observation", p->observation)), p->mean);
    return clm_graph_status(b->g);
}

/* On set `set`. */
static clm_status build_adapt(build *b, int set) {
    clm_policy *p = b->policy;
    step s;
    values next = {{0}};
    input_vector(b, "phi", &p->phi, &s.theta);
    const clm_value x = input(b, "x", p->sets[set].x), y = input(b, "y", p->sets[set].y);
    CLM_TRY(make_step(b, &s, x, y, &next));
    for (size_t i = 0; i < b->n; i++) output(b, next.v[i], p->phi.entry[i]);
    return clm_graph_status(b->g);
}

typedef struct inner_loop {
    step steps[CLM_POLICY_STEPS_MOST];
    values theta; /* theta_K */
    clm_value x;  /* of the set behind the last step */
} inner_loop;

static clm_status build_gradient(build *b, const inner_loop *loop) {
    clm_policy *p = b->policy;
    const values *theta = &loop->theta;
    const clm_value loss = loss_of(b, theta, loop->x, input(b, "yq", p->sets[p->options.steps].y));
    values lambda, before;
    b->part = GRADIENT;
    CLM_TRY(clm_grad(b->g, loss, theta->v, b->n, lambda.v));
    output(b, mean_of(b, theta, loop->x), p->old_mean);
    output(b, clm_identity(b->g, theta->v[b->n - 1]), p->old_log_std);
    output(b, loss, p->loss);
    return adjoint(b, loop->steps, &lambda, &before);
}

/* varying [2 n]: inputs that are others in every product. */
static clm_status build_fisher(build *b, const inner_loop *loop, clm_value *varying) {
    clm_policy *p = b->policy;
    clm_graph *g = b->g;
    const values *theta = &loop->theta;
    values v, before;
    const size_t last = b->n - 1;
    b->part = FISHER;
    input_vector(b, "v", &p->direction, &v);
    memcpy(varying, v.v, b->n * sizeof *varying);
    for (size_t i = 0; i < b->n; i++) v.v[i] = clm_per_task(g, v.v[i]);
    for (int k = 0; k < p->options.steps; k++) CLM_TRY(through_step(b, &loop->steps[k], &v));
    /* of a row: the mean's tangent over the variance, weighted; of log_std: twice its tangent, as the weights sum to 1 */
    const clm_value mean = mean_of(b, theta, loop->x);
    const clm_value weight = clm_reshape(g, input(b, "weight", p->sets[p->options.steps].weight), clm_shape_of(2, p->rows, 1));
    clm_value tangent;
    CLM_TRY(clm_jvp(g, theta->v, v.v, b->n, &mean, 1, &tangent));
    const clm_value precision = clm_exp(g, clm_scale(g, theta->v[last], -2)), twice = clm_scale(g, v.v[last], 2);
    const clm_value cotangent = clm_mul(g, clm_mul(g, tangent, precision), weight);
    CLM_TRY(clm_vjp(g, &mean, &cotangent, 1, theta->v, b->n, v.v));
    v.v[last] = clm_add(g, v.v[last], twice);
    CLM_TRY(adjoint(b, loop->steps, &v, &before));
    memcpy(varying + b->n, before.v, b->n * sizeof *varying);
    return CLM_OK;
}

/* ---- what Fisher products at one theta have in common ---- */

static bool is_output(const bounds *outputs, clm_value v) {
    for (size_t i = 0; i < outputs->n; i++)
        if (outputs->at[i].value == v) return true;
    return false;
}

/* The i-th of the values at the cut is written by the gradient's program and read by the Fisher product's. */
static clm_status keep_value(build *b, const clm_cut *cut, size_t i) {
    clm_policy *p = b->policy;
    const clm_value v = cut->kept[i];
    const int tasks = clm_value_per_task(b->g, v) ? p->options.tasks : 0;
    clm_tensor **tensor = &p->programs.kept[p->programs.n_kept];
    CLM_TRY(clm_tensor_reserve(tensor, p->device, clm_value_shape(b->g, v), tasks));
    p->programs.n_kept++;
    b->part = GRADIENT;
    output(b, is_output(&b->outputs[GRADIENT], v) ? clm_identity(b->g, v) : v, *tensor);
    bind(b, &b->inputs, cut->input[i], *tensor);
    return clm_graph_status(b->g);
}

static clm_status keep(build *b, const clm_value *varying) {
    clm_policy_programs *all = &b->policy->programs;
    bounds *products = &b->outputs[FISHER];
    clm_cut cut = {0};
    clm_status status = CLM_OK;
    values out;
    for (size_t i = 0; i < products->n; i++) out.v[i] = products->at[i].value;
    CLM_GOTO(clm_graph_split(b->g, varying, 2 * b->n, out.v, products->n, &cut));
    for (size_t i = 0; i < products->n; i++) products->at[i].value = out.v[i];
    all->kept = clm_calloc(cut.n + 1, sizeof(clm_tensor *));
    CLM_GOTO(all->kept ? CLM_OK : CLM_E_MEMORY);
    for (size_t i = 0; i < cut.n; i++) CLM_GOTO(keep_value(b, &cut, i));
out:
    clm_cut_free(&cut);
    return status;
}

/* Gradient and, for a trust region, Fisher product. */
static clm_status build_update(build *b, bool keeping) {
    clm_policy *p = b->policy;
    inner_loop loop;
    clm_value varying[2 * CLM_POLICY_ENTRIES_MOST];
    CLM_TRY(unroll(b, loop.steps, &loop.theta));
    loop.x = input(b, "xq", p->sets[p->options.steps].x);
    CLM_TRY(build_gradient(b, &loop));
    if (p->options.outer != CLM_OUTER_TRPO) return CLM_OK;
    CLM_TRY(build_fisher(b, &loop, varying));
    return keeping ? keep(b, varying) : CLM_OK;
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
    output(b, clm_neg(g, clm_mean_all(g, clm_mul(g, ratio, advantage))), p->loss);
    /* KL(old, new), of each action log_std - old + (variance_old + (mean_old - mean)^2) / (2 variance) - 1/2 */
    const clm_value variances = clm_affine(g, clm_exp(g, clm_scale(g, wider, -2)), 0.5, -0.5);
    terms = clm_add(g, clm_add(g, wider, variances), scaled_square(g, clm_sub(g, old_mean, mean), new));
    const clm_value rows = clm_mul(g, clm_sum(g, terms, 2u, true), clm_reshape(g, weight, clm_shape_of(2, p->rows, 1)));
    output(b, clm_sum_all(g, rows), p->kl);
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

static clm_status bind_all(build *b, const bounds *list, bool read, int first, int tasks, clm_program *program) {
    for (size_t i = 0; i < list->n; i++) {
        clm_tensor *tensor;
        if (read && !clm_program_has(program, list->at[i].value)) continue;
        CLM_TRY(view_of(b->policy, list->at[i].tensor, first, tasks, &tensor));
        CLM_TRY(clm_program_bind(program, list->at[i].value, tensor));
    }
    return CLM_OK;
}

static clm_status create_program(build *b, part which, int first, int tasks, clm_program **out) {
    clm_policy *p = b->policy;
    const bounds *outputs = &b->outputs[which];
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = tasks;
    options.workspace = p->programs.workspace;
    clm_value *list = clm_calloc(outputs->n + 1, sizeof *list);
    if (!list) return CLM_E_MEMORY;
    for (size_t i = 0; i < outputs->n; i++) list[i] = outputs->at[i].value;
    const clm_status status = clm_program_create(out, p->device, b->g, list, outputs->n, &options);
    free(list);
    CLM_TRY(status);
    CLM_TRY(bind_all(b, &b->inputs, true, first, tasks, *out));
    return bind_all(b, outputs, false, first, tasks, *out);
}

/* A program for each chunk of tasks. */
static clm_status create_all(build *b, part which, clm_program ***out) {
    const int tasks = b->policy->options.tasks, chunk = b->policy->chunk, count = tasks / chunk;
    *out = clm_calloc((size_t)count, sizeof **out);
    if (!*out) return CLM_E_MEMORY;
    for (int i = 0; i < count; i++) CLM_TRY(create_program(b, which, i * chunk, chunk, &(*out)[i]));
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
    if (!b) return;
    clm_graph_free(b->g);
    free(b->inputs.at);
    for (int i = 0; i < PARTS; i++) free(b->outputs[i].at);
    free(b);
}

/* Of all tasks at once. */
static clm_status create_one(clm_policy *p, clm_status (*make)(build *b), clm_program **out) {
    build *b = NULL;
    clm_status status = begin(&b, p);
    if (status == CLM_OK) status = make(b);
    if (status == CLM_OK) status = create_program(b, FIRST, 0, p->options.tasks, out);
    end(b);
    return status;
}

static clm_status create_adapt(clm_policy *p, int set, clm_program ***out) {
    build *b = NULL;
    clm_status status = begin(&b, p);
    if (status == CLM_OK) status = build_adapt(b, set);
    if (status == CLM_OK) status = create_all(b, FIRST, out);
    end(b);
    return status;
}

static clm_status create_trial(clm_policy *p) {
    build *b = NULL;
    clm_status status = begin(&b, p);
    if (status == CLM_OK) status = build_trial(b);
    if (status == CLM_OK) status = create_all(b, FIRST, &p->programs.trial);
    end(b);
    return status;
}

static clm_status create_update(clm_policy *p, bool keeping) {
    build *b = NULL;
    clm_status status = begin(&b, p);
    if (status == CLM_OK) status = build_update(b, keeping);
    if (status == CLM_OK) status = create_all(b, GRADIENT, &p->programs.gradient);
    if (status == CLM_OK && p->options.outer == CLM_OUTER_TRPO) status = create_all(b, FISHER, &p->programs.fisher);
    end(b);
    return status;
}

static clm_status prepare(clm_program **programs, int count) {
    for (int i = 0; programs && i < count; i++) CLM_TRY(clm_program_prepare(programs[i]));
    return CLM_OK;
}

/* ---- memory ---- */

static double tensors_of(clm_program *const *programs, int count) {
    double bytes = 0;
    for (int i = 0; programs && i < count; i++) bytes += (double)clm_program_get_stats(programs[i]).tensor_bytes;
    return bytes;
}

/* What is allocated already, what is kept for Fisher products, the programs' own tensors and their workspace. */
static double memory_need(const clm_policy *p) {
    const clm_policy_programs *all = &p->programs;
    const int chunks = p->options.tasks / p->chunk;
    double need = (double)p->device->allocated + (double)clm_workspace_bytes(all->workspace);
    for (size_t i = 0; i < all->n_kept; i++) need += (double)clm_tensor_bytes(all->kept[i]);
    need += tensors_of(&all->begin, 1) + tensors_of(&all->act, 1) + tensors_of(all->gradient, chunks);
    for (int k = 0; k <= p->options.steps; k++) need += tensors_of(all->adapt[k], chunks);
    return need + tensors_of(all->fisher, chunks) + tensors_of(all->trial, chunks);
}

/* Can what is kept be kept? */
static bool has_room(const clm_policy *p, uint64_t limit) {
    const uint64_t most = p->device->info.max_allocation;
    for (size_t i = 0; i < p->programs.n_kept; i++)
        if (most && clm_tensor_bytes(p->programs.kept[i]) > most) return false;
    return memory_need(p) <= (double)limit;
}

static clm_status check_memory(const clm_policy *p, uint64_t limit) {
    const double need = memory_need(p);
    if (need <= (double)limit) return CLM_OK;
    return clm_fail(
        CLM_E_LIMIT,
        "a policy's training takes %.1f MiB on %s, of which %.1f MiB may be used; take a smaller task_chunk, or fewer "
        "tasks, trajectories or time steps",
        need / 1048576, p->device->info.name, (double)limit / 1048576);
}

static clm_status plan(clm_policy *p, bool keeping) {
    clm_policy_programs *all = &p->programs;
    CLM_TRY(clm_workspace_create(&all->workspace, p->device));
    CLM_TRY(create_one(p, build_begin, &all->begin));
    CLM_TRY(create_one(p, build_act, &all->act));
    for (int k = 0; k <= p->options.steps; k++) CLM_TRY(create_adapt(p, k, &all->adapt[k]));
    CLM_TRY(create_update(p, keeping));
    return p->options.outer == CLM_OUTER_TRPO ? create_trial(p) : CLM_OK;
}

clm_status clm_policy_programs_create(clm_policy *p) {
    clm_policy_programs *all = &p->programs;
    const int chunks = p->options.tasks / p->chunk;
    uint64_t limit = 0;
    CLM_TRY(clm_memory_limit(&limit));
    if (!limit) limit = p->device->info.global_memory / 10 * 9;
    CLM_TRY(plan(p, true));
    if (all->n_kept && !has_room(p, limit)) {
        clm_policy_programs_free(all, chunks);
        CLM_TRY(plan(p, false));
    }
    CLM_TRY(check_memory(p, limit));
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
    for (size_t i = 0; i < all->n_kept; i++) clm_tensor_free(all->kept[i]);
    free(all->kept);
    clm_workspace_free(all->workspace);
    *all = (clm_policy_programs){0};
}
