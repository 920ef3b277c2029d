/* The update as two programs over the flat vector of meta-parameters: one measures the gradient's norm, the other updates.
 *
 *   g = clipped(gradient / tasks) (+ decay p),   p' = p - rate move (- rate decay p),   move by the rule (rules.c)
 *   average' = keep average + (1 - keep) p'      keep = 0 for the first
 *
 * What changes from update to update arrives in a few scalars, so the programs are built once for a plan. All that an update
 * replaces it copies first, in the same launches.
 */
#include "meta/optimizer/update.h"
#include "base/error.h"
#include "graph/internal.h"

typedef struct pair {
    clm_value value;
    clm_tensor *tensor;
} pair;

/* Those that the program has. */
static clm_status bind_all(clm_program *p, const pair *pairs, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (clm_program_has(p, pairs[i].value)) CLM_TRY(clm_program_bind(p, pairs[i].value, pairs[i].tensor));
    return CLM_OK;
}

static clm_status scalar_inputs(clm_graph *g, clm_value *scalar, pair *binds, const clm_optimizer *o) {
    static const char *const names[CLM_SCALARS] = {"rate", "inverse_tasks", "correction1", "correction2", "keep"};
    for (size_t i = 0; i < o->n_scalars; i++) {
        scalar[i] = clm_input(g, names[i], (clm_shape){0}, false);
        binds[i] = (pair){scalar[i], o->scalar[i]};
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

/* in, out: by CLM_STATE_..; CLM_INVALID where there is none, or nothing new. */
static void apply(clm_graph *g, const clm_optimizer *o, const clm_value *scalar, const clm_value *in, clm_value grad,
                  clm_value *out) {
    const clm_optim_options *options = &o->options;
    const clm_value params = in[CLM_STATE_PARAMS];
    clm_optim_step s = {.options = options,
                        .params = params,
                        .grad = clipped(g, options, clm_mul(g, grad, scalar[CLM_SCALAR_INVERSE_TASKS])),
                        .correction = {scalar[CLM_SCALAR_CORRECTION1], scalar[CLM_SCALAR_CORRECTION2]},
                        .old = {in[CLM_STATE_FIRST], in[CLM_STATE_SECOND]},
                        .next = {CLM_INVALID, CLM_INVALID}};
    if (options->weight_decay != 0 && !o->rule->decoupled)
        s.grad = clm_add(g, s.grad, clm_scale(g, params, options->weight_decay));
    clm_value move = o->rule->move(g, &s);
    if (o->rule->decoupled) move = clm_add(g, move, clm_scale(g, params, options->weight_decay));
    out[CLM_STATE_PARAMS] = clm_sub(g, params, clm_mul(g, scalar[CLM_SCALAR_RATE], move));
    out[CLM_STATE_FIRST] = s.next[0];
    out[CLM_STATE_SECOND] = s.next[1];
    out[CLM_STATE_AVERAGE] = CLM_INVALID;
    if (!o->state[CLM_STATE_AVERAGE]) return;
    const clm_value keep = scalar[CLM_SCALAR_KEEP];
    out[CLM_STATE_AVERAGE] =
        clm_add(g, clm_mul(g, keep, in[CLM_STATE_AVERAGE]), clm_mul(g, clm_affine(g, keep, -1, 1), out[CLM_STATE_PARAMS]));
}

clm_status clm_update_program(clm_optimizer *o, clm_workspace *workspace) {
    static const char *const names[CLM_STATES] = {"params", "first", "second", "average"};
    clm_graph *g = NULL;
    clm_status status = CLM_OK;
    clm_value scalar[CLM_SCALARS], in[CLM_STATES], out[CLM_STATES], outputs[2 * CLM_STATES];
    pair binds[CLM_SCALARS + 1 + 3 * CLM_STATES];
    clm_overwrite over[CLM_STATES];
    size_t n = o->n_scalars, n_outputs = 0, n_over = 0;
    clm_program_options po = CLM_PROGRAM_OPTIONS_INIT;
    po.workspace = workspace;
    CLM_GOTO(clm_graph_create(&g));
    CLM_GOTO(scalar_inputs(g, scalar, binds, o));
    const clm_shape shape = clm_tensor_shape(o->state[CLM_STATE_PARAMS]);
    for (int i = 0; i < CLM_STATE_AVERAGE; i++)
        in[i] = clm_input(g, names[i], shape, false); /* the program drops what no rule reads */
    const clm_value grad = clm_input(g, "grad", shape, false);
    in[CLM_STATE_AVERAGE] = o->state[CLM_STATE_AVERAGE] ? clm_input(g, names[CLM_STATE_AVERAGE], shape, false) : CLM_INVALID;
    binds[n++] = (pair){grad, o->grad};
    apply(g, o, scalar, in, grad, out);
    for (int i = 0; i < CLM_STATES; i++) {
        if (out[i] == CLM_INVALID) continue;
        over[n_over++] = (clm_overwrite){out[i], in[i]};
        outputs[n_outputs++] = out[i];
        outputs[n_outputs++] = copy_of(g, in[i], i);
        binds[n++] = (pair){in[i], o->state[i]};
        binds[n++] = (pair){out[i], o->state[i]};
        binds[n++] = (pair){outputs[n_outputs - 1], o->kept[i]};
    }
    po.overwrite = over;
    po.n_overwrite = n_over;
    CLM_GOTO(clm_program_create(&o->update, o->device, g, outputs, n_outputs, &po));
    CLM_GOTO(bind_all(o->update, binds, n));
out:
    clm_graph_free(g);
    return status;
}

clm_status clm_measure_program(clm_optimizer *o, clm_workspace *workspace) {
    clm_graph *g = NULL;
    clm_status status = CLM_OK;
    clm_value scalar[CLM_SCALARS] = {0};
    pair binds[CLM_SCALARS + 2] = {0};
    clm_program_options po = CLM_PROGRAM_OPTIONS_INIT;
    po.workspace = workspace;
    CLM_GOTO(clm_graph_create(&g));
    CLM_GOTO(scalar_inputs(g, scalar, binds, o));
    clm_value grad = clm_input(g, "grad", clm_tensor_shape(o->grad), false);
    clm_value norm = norm_of(g, clm_mul(g, grad, scalar[CLM_SCALAR_INVERSE_TASKS]));
    binds[o->n_scalars] = (pair){grad, o->grad};
    binds[o->n_scalars + 1] = (pair){norm, o->norm};
    CLM_GOTO(clm_program_create(&o->measure, o->device, g, &norm, 1, &po));
    CLM_GOTO(bind_all(o->measure, binds, o->n_scalars + 2));
out:
    clm_graph_free(g);
    return status;
}
