/* The outer update, as a program over the flat vector of meta-parameters.
 *
 *   g = clipped(gradient / tasks) (+ decay p)
 *   SGD p - lr g;  momentum m = mu m + g, p - lr m
 *   Adam m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, p - lr (m / c1) / (sqrt(v / c2) + eps), c_i = 1 - b_i^t  (Kingma and Ba 2015)
 *   AdamW: additionally p - lr decay p  (Loshchilov and Hutter 2019)
 *
 * What changes from update to update arrives in a few scalars, so the program is built once.
 *
 * The update is queued together with the gradient that it is made from, so that the device goes on without asking the host. Numbers that
 * are not finite are seen afterwards: the update keeps what it replaces, and is undone then.
 */
#include <math.h>
#include <stdio.h>

#include "meta/internal.h"

enum { RATE, INVERSE_TASKS, CORRECTION1, CORRECTION2, N_SCALARS };

static clm_status scalar_inputs(clm_graph *g, clm_value *scalar, clm_bind *binds, const clm_outer *o) {
    static const char *const names[N_SCALARS] = {"rate", "inverse_tasks", "correction1", "correction2"};
    for (int i = 0; i < N_SCALARS; i++) {
        scalar[i] = clm_input(g, names[i], (clm_shape){0}, false);
        binds[i] = (clm_bind){scalar[i], o->scalar[i]};
    }
    return clm_graph_status(g);
}

static clm_value norm_of(clm_graph *g, clm_value x) { return clm_sqrt(g, clm_sum_all(g, clm_mul(g, x, x))); }

static clm_value clipped(clm_graph *g, const clm_optim_options *o, clm_value grad) {
    if (o->clip_kind == CLM_CLIP_VALUE)
        return clm_maximum(g, clm_minimum(g, grad, clm_const(g, o->clip)), clm_const(g, -o->clip));
    if (o->clip_kind == CLM_CLIP_NORM) {
        clm_value norm = clm_maximum(g, norm_of(g, grad), clm_const(g, o->clip)); /* factor clip / max(norm, clip) <= 1 */
        return clm_mul(g, grad, clm_div(g, clm_const(g, o->clip), norm));
    }
    return grad;
}

/* A copy that is an output of its own. */
static clm_value copy_of(clm_graph *g, clm_value v, int index) {
    clm_attr attr = {{index + 1}, {1, 0}};
    return clm_graph_add(g, CLM_OP_AFFINE, &v, 1, clm_value_shape(g, v), &attr);
}

typedef struct rule {
    clm_value p, first, second; /* in: state; out: new state, CLM_INVALID where there is none */
} rule;

static rule apply_rule(clm_graph *g, const clm_optim_options *o, const clm_value *scalar, rule s, clm_value grad) {
    rule n = {s.p, CLM_INVALID, CLM_INVALID};
    clm_value move = grad;
    if (o->kind == CLM_OPTIM_MOMENTUM) move = n.first = clm_add(g, clm_scale(g, s.first, o->momentum), grad);
    if (o->kind == CLM_OPTIM_ADAM || o->kind == CLM_OPTIM_ADAMW) {
        n.first = clm_add(g, clm_scale(g, s.first, o->beta1), clm_scale(g, grad, 1 - o->beta1));
        n.second = clm_add(g, clm_scale(g, s.second, o->beta2), clm_scale(g, clm_mul(g, grad, grad), 1 - o->beta2));
        clm_value root = clm_sqrt(g, clm_div(g, n.second, scalar[CORRECTION2]));
        move = clm_div(g, clm_div(g, n.first, scalar[CORRECTION1]), clm_affine(g, root, 1, o->eps));
    }
    if (o->kind == CLM_OPTIM_ADAMW) move = clm_add(g, move, clm_scale(g, s.p, o->weight_decay));
    n.p = clm_sub(g, s.p, clm_mul(g, scalar[RATE], move));
    return n;
}

static clm_status build_update(clm_outer *o, clm_device *device, clm_workspace *workspace) {
    clm_graph *g = NULL;
    clm_status status = CLM_OK;
    clm_value scalar[N_SCALARS], outputs[6];
    clm_bind binds[N_SCALARS + 10];
    clm_overwrite over[3];
    size_t n = N_SCALARS, n_outputs = 0, n_over = 0;
    clm_program_options po = CLM_PROGRAM_OPTIONS_INIT;
    po.workspace = workspace;
    CLM_GOTO(clm_graph_create(&g));
    CLM_GOTO(scalar_inputs(g, scalar, binds, o));
    clm_shape shape = clm_tensor_shape(o->params);
    rule s = {clm_input(g, "params", shape, false), clm_input(g, "first", shape, false), clm_input(g, "second", shape, false)};
    clm_value grad = clm_input(g, "grad", shape, false), mean = clm_mul(g, grad, scalar[INVERSE_TASKS]);
    clm_value descent = clipped(g, &o->options, mean);
    if (o->options.weight_decay != 0 && o->options.kind != CLM_OPTIM_ADAMW)
        descent = clm_add(g, descent, clm_scale(g, s.p, o->options.weight_decay));
    rule next = apply_rule(g, &o->options, scalar, s, descent);
    clm_value in[4] = {s.p, s.first, s.second, grad}, out[3] = {next.p, next.first, next.second};
    clm_tensor *tensors[4] = {o->params, o->first, o->second, o->grad};
    for (int i = 0; i < 4; i++) binds[n++] = (clm_bind){in[i], tensors[i]};
    for (int i = 0; i < 3; i++) {
        if (out[i] == CLM_INVALID) continue;
        over[n_over++] = (clm_overwrite){out[i], in[i]};
        outputs[n_outputs++] = out[i];
        binds[n++] = (clm_bind){out[i], tensors[i]};
        outputs[n_outputs] = copy_of(g, in[i], i);
        binds[n++] = (clm_bind){outputs[n_outputs++], o->kept[i]};
    }
    po.overwrite = over;
    po.n_overwrite = n_over;
    CLM_GOTO(clm_program_create(&o->update, device, g, outputs, n_outputs, &po));
    CLM_GOTO(clm_bind_all(o->update, binds, n));
out:
    clm_graph_free(g);
    return status;
}

static clm_status build_measure(clm_outer *o, clm_device *device, clm_workspace *workspace) {
    clm_graph *g = NULL;
    clm_status status = CLM_OK;
    clm_value scalar[N_SCALARS];
    clm_bind binds[N_SCALARS + 2];
    clm_program_options po = CLM_PROGRAM_OPTIONS_INIT;
    po.workspace = workspace;
    CLM_GOTO(clm_graph_create(&g));
    CLM_GOTO(scalar_inputs(g, scalar, binds, o));
    clm_value grad = clm_input(g, "grad", clm_tensor_shape(o->grad), false);
    clm_value norm = norm_of(g, clm_mul(g, grad, scalar[INVERSE_TASKS]));
    binds[N_SCALARS] = (clm_bind){grad, o->grad};
    binds[N_SCALARS + 1] = (clm_bind){norm, o->norm};
    CLM_GOTO(clm_program_create(&o->measure, device, g, &norm, 1, &po));
    CLM_GOTO(clm_bind_all(o->measure, binds, N_SCALARS + 2));
out:
    clm_graph_free(g);
    return status;
}

static clm_status check_optim(const clm_optim_options *o) {
    if (!(o->lr >= 0) || !isfinite(o->lr))
        return clm_fail(CLM_E_ARG, "the outer rate %g must be a number and not negative", o->lr);
    if (o->kind < CLM_OPTIM_SGD || o->kind > CLM_OPTIM_ADAMW) return clm_fail(CLM_E_ARG, "unknown optimiser %d", (int)o->kind);
    if (o->clip_kind != CLM_CLIP_NONE && !(o->clip > 0))
        return clm_fail(CLM_E_ARG, "clipping at %g: it must be above 0", o->clip);
    if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1))
        return clm_fail(CLM_E_ARG, "Adam's betas %g and %g must lie in [0, 1)", o->beta1, o->beta2);
    return CLM_OK;
}

clm_status clm_outer_init(clm_outer *o, clm_device *device, clm_workspace *workspace, clm_tensor *params, clm_tensor *grad,
                          const clm_optim_options *options) {
    CLM_TRY(check_optim(options));
    o->options = *options;
    o->params = params;
    o->grad = grad;
    clm_shape shape = clm_tensor_shape(params);
    bool adam = options->kind == CLM_OPTIM_ADAM || options->kind == CLM_OPTIM_ADAMW;
    if (adam || options->kind == CLM_OPTIM_MOMENTUM) CLM_TRY(clm_tensor_reserve(&o->first, device, shape, 0));
    if (adam) CLM_TRY(clm_tensor_reserve(&o->second, device, shape, 0));
    clm_tensor *const state[3] = {o->params, o->first, o->second};
    for (int i = 0; i < 3; i++)
        if (state[i]) CLM_TRY(clm_tensor_reserve(&o->kept[i], device, shape, 0));
    CLM_TRY(clm_tensor_reserve(&o->norm, device, (clm_shape){0}, 0));
    CLM_TRY(clm_tensor_reserve(&o->scalars, device, clm_shape_of(1, N_SCALARS), 0));
    for (size_t i = 0; i < N_SCALARS; i++) CLM_TRY(clm_tensor_view(&o->scalar[i], o->scalars, i, (clm_shape){0}, 0));
    CLM_TRY(build_measure(o, device, workspace));
    return build_update(o, device, workspace);
}

void clm_outer_free(clm_outer *o) {
    clm_program_free(o->measure);
    clm_program_free(o->update);
    for (size_t i = 0; i < N_SCALARS; i++) clm_tensor_free(o->scalar[i]);
    for (int i = 0; i < 3; i++) clm_tensor_free(o->kept[i]);
    clm_tensor_free(o->scalars);
    clm_tensor_free(o->norm);
    clm_tensor_free(o->first);
    clm_tensor_free(o->second);
    *o = (clm_outer){0};
}

clm_status clm_outer_prepare(clm_outer *o) {
    clm_tensor *const tensors[7] = {o->first, o->second, o->norm, o->scalars, o->kept[0], o->kept[1], o->kept[2]};
    for (int i = 0; i < 7; i++)
        if (tensors[i]) CLM_TRY(clm_tensor_commit(tensors[i]));
    CLM_TRY(clm_program_prepare(o->measure));
    return clm_program_prepare(o->update);
}

size_t clm_outer_bytes(const clm_outer *o) {
    const clm_tensor *const tensors[7] = {o->first, o->second, o->norm, o->scalars, o->kept[0], o->kept[1], o->kept[2]};
    size_t bytes = clm_program_get_stats(o->measure).tensor_bytes + clm_program_get_stats(o->update).tensor_bytes;
    for (int i = 0; i < 7; i++)
        if (tensors[i]) bytes += clm_tensor_bytes(tensors[i]);
    return bytes;
}

static clm_status write_scalars(clm_outer *o, int tasks) {
    const double t = (double)(o->t + 1);
    const double v[N_SCALARS] = {clm_optim_rate(&o->options, o->t), 1.0 / tasks, 1 - pow(o->options.beta1, t),
                                 1 - pow(o->options.beta2, t)};
    if (!clm_tensor_reads_later(o->scalars->device)) return clm_tensor_write_f64(o->scalars, v, N_SCALARS);
    for (int i = 0; i < N_SCALARS; i++) o->values[i] = (float)v[i];
    return clm_tensor_write_later(o->scalars, o->values, N_SCALARS);
}

/* The norm is read last: once it is there, so is the update. */
static const float not_there = -1;

static clm_status queue(clm_outer *o, int tasks) {
    o->length = not_there;
    o->queued = false;
    CLM_TRY(write_scalars(o, tasks));
    CLM_TRY(clm_program_run(o->measure));
    CLM_TRY(clm_program_run(o->update));
    o->queued = true;
    return clm_tensor_reads_later(o->norm->device) ? clm_tensor_read_later(o->norm, &o->length, 1) : CLM_OK;
}

clm_status clm_outer_run(clm_outer *o, int tasks) {
    char why[512];
    const clm_status status = queue(o, tasks);
    if (status != CLM_OK) snprintf(why, sizeof why, "%s", clm_last_error());
    const clm_status waited = clm_device_finish(o->params->device);
    if (status == CLM_OK && waited == CLM_OK) return CLM_OK;
    if (status == CLM_OK) snprintf(why, sizeof why, "%s", clm_last_error());
    o->queued = o->queued && (waited == CLM_OK || o->length != not_there); /* otherwise it was not made */
    (void)clm_outer_undo(o);
    return clm_fail(status == CLM_OK ? waited : status, "%s", why);
}

clm_status clm_outer_norm(const clm_outer *o, double *norm) {
    if (!clm_tensor_reads_later(o->norm->device)) return clm_tensor_read_f64(o->norm, norm, 1);
    *norm = (double)o->length;
    return CLM_OK;
}

void clm_outer_accept(clm_outer *o) {
    o->t++;
    o->queued = false;
}

clm_status clm_outer_undo(clm_outer *o) {
    clm_tensor *const state[3] = {o->params, o->first, o->second};
    for (int i = 0; i < 3 && o->queued; i++)
        if (o->kept[i]) CLM_TRY(clm_tensor_copy(state[i], o->kept[i]));
    o->queued = false;
    return clm_device_finish(o->params->device);
}
