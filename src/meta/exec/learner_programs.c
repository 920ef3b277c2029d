/* The five programs of a learner. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/internal.h"
#include "meta/exec/learner.h"

typedef struct learner_graph {
    clm_graph *g;
    clm_value theta[CLM_MAX_PARAMS], anchor[CLM_MAX_PARAMS], rate[CLM_MAX_PARAMS];
    clm_value state[CLM_MAX_STATE][CLM_MAX_PARAMS], scalar[CLM_MAX_STATE];
    clm_examples support;
    clm_bind binds[8 * CLM_MAX_PARAMS + 16];
    size_t n_binds;
    clm_value outputs[(1 + CLM_MAX_STATE) * CLM_MAX_PARAMS + 1];
    size_t n_outputs;
} learner_graph;

static void bind(learner_graph *b, clm_value v, clm_tensor *t) { b->binds[b->n_binds++] = (clm_bind){v, t}; }

static clm_value bound_input(learner_graph *b, const char *name, clm_tensor *t, bool per_task) {
    clm_value v = clm_input(b->g, name, clm_tensor_shape(t), per_task);
    bind(b, v, t);
    return v;
}

static void output(learner_graph *b, clm_value v, clm_tensor *t) {
    v = clm_copy_of(b->g, v, b->n_outputs);
    bind(b, v, t);
    b->outputs[b->n_outputs++] = v;
}

/* Of uneven tasks: what counts. set 0: support, 1: query. */
static clm_examples counting(learner_graph *b, const clm_learner *l, clm_examples e, int set) {
    clm_tensor *rows = l->counting[set], *outputs = l->counting[2];
    return clm_task_masked(b->g, e, rows ? bound_input(b, "rows", rows, true) : CLM_INVALID,
                           outputs ? bound_input(b, "outputs", outputs, true) : CLM_INVALID);
}

/* theta: set `from` of the adapted parameters, the shared ones for the rest; from -1: all shared. */
static clm_status graph_begin(learner_graph *b, const clm_learner *l, int from) {
    const clm_task *t = &l->task;
    memset(b, 0, sizeof *b);
    CLM_TRY(clm_graph_create(&b->g));
    clm_program_ask_few_passes(l->device, b->g);
    for (size_t i = 0; i < t->n; i++) {
        clm_tensor *shared = l->row[i] ? l->row[i] : l->shared[i];
        b->anchor[i] = b->theta[i] = clm_per_task(b->g, bound_input(b, t->entries[i].name, shared, false));
        b->rate[i] = CLM_INVALID;
        if (!clm_learner_adapts(l, i)) continue;
        if (from >= 0) b->theta[i] = bound_input(b, "theta", l->set[from][0][i], true);
        for (int s = 0; from >= 0 && s < t->rule->state; s++)
            b->state[s][i] = bound_input(b, "state", l->set[from][1 + s][i], true);
        clm_tensor *rate = l->rate[i] ? l->rate[i] : l->element_rate[i];
        if (rate) b->rate[i] = bound_input(b, "rate", rate, false);
    }
    for (int s = 0; s < t->rule->scalars; s++) b->scalar[s] = bound_input(b, "scalar", l->scalar[s], false);
    b->support = clm_task_examples(t, b->g, "support", t->options.support);
    bind(b, b->support.x, l->support_x);
    bind(b, b->support.y, l->support_y);
    b->support = counting(b, l, b->support, 0);
    return clm_graph_status(b->g);
}

static clm_status graph_end(learner_graph *b, clm_learner *l, clm_program **out) {
    clm_program_options o = CLM_PROGRAM_OPTIONS_INIT;
    o.tasks = l->options.tasks;
    o.workspace = l->workspace;
    CLM_TRY(clm_graph_status(b->g));
    if (!b->n_outputs) return CLM_OK; /* nothing is adapted */
    CLM_TRY(clm_program_create(out, l->device, b->g, b->outputs, b->n_outputs, &o));
    if (l->options.tasks == 1) clm_program_ask_team(*out);
    return clm_bind_all(*out, b->binds, b->n_binds);
}

static clm_status build_start(clm_learner *l, learner_graph *b) {
    const clm_task *t = &l->task;
    clm_value begin[CLM_MAX_PARAMS];
    CLM_TRY(graph_begin(b, l, -1));
    memcpy(begin, b->theta, sizeof begin);
    if (t->algorithm->begin) CLM_TRY(t->algorithm->begin(t, b->g, b->theta, b->support, begin));
    for (size_t i = 0; i < t->n; i++) {
        if (!clm_learner_adapts(l, i)) continue;
        output(b, begin[i], l->set[0][0][i]);
        for (int s = 0; s < t->rule->state; s++)
            output(b, clm_per_task(b->g, clm_fill(b->g, t->entries[i].inner_shape, 0)), l->set[0][1 + s][i]);
    }
    return graph_end(b, l, &l->start);
}

static clm_status build_step(clm_learner *l, learner_graph *b, int from) {
    const clm_task *t = &l->task;
    clm_value grad[CLM_MAX_PARAMS], next[CLM_MAX_PARAMS], state[CLM_MAX_STATE][CLM_MAX_PARAMS];
    clm_value *const states[CLM_MAX_STATE] = {state[0], state[1]};
    CLM_TRY(graph_begin(b, l, from));
    if (!clm_task_adapts(t)) return CLM_OK;
    const clm_scored s = clm_task_score(t, b->g, b->theta, b->support);
    CLM_TRY(clm_graph_status(b->g));
    CLM_TRY(clm_grad(b->g, s.loss, b->theta, t->n, grad));
    clm_inner_step step = {.number = 1, .theta = b->theta, .grad = grad, .rate = b->rate};
    if (t->algorithm->takes & CLM_TAKES(PROXIMAL)) step.anchor = b->anchor;
    for (int c = 0; c < t->rule->state; c++) step.state[c] = b->state[c];
    if (t->rule->scalars) step.scalar = b->scalar;
    CLM_TRY(clm_inner_step_apply(t, b->g, &step, next, states));
    bind(b, s.loss, l->loss[from]);
    b->outputs[b->n_outputs++] = s.loss;
    for (size_t i = 0; i < t->n; i++) {
        if (!clm_learner_adapts(l, i)) continue;
        output(b, next[i], l->set[1 - from][0][i]);
        for (int c = 0; c < t->rule->state; c++) output(b, state[c][i], l->set[1 - from][1 + c][i]);
    }
    return graph_end(b, l, &l->step[from]);
}

static clm_value build_output(const clm_learner *l, learner_graph *b, clm_examples query) {
    const clm_task *t = &l->task;
    clm_bn_stats stats = {0};
    if (t->algorithm->output) return t->algorithm->output(t, b->g, b->theta, b->support, query);
    if (l->options.bn_mode == CLM_BN_SUPPORT_STATS) {
        clm_task_apply(t, b->g, b->theta, b->support, &stats);
        stats.use = true;
        stats.next = 0;
        return clm_model_apply(t->model, b->g, b->theta, query.x, &stats);
    }
    return clm_task_apply(t, b->g, b->theta, query, NULL);
}

static clm_status build_predict(clm_learner *l, learner_graph *b, int from) {
    CLM_TRY(graph_begin(b, l, from));
    clm_examples query = clm_task_examples(&l->task, b->g, "query", l->task.options.query);
    bind(b, query.x, l->query_x);
    query = counting(b, l, query, 1);
    clm_value out = build_output(l, b, query);
    CLM_TRY(clm_graph_status(b->g));
    output(b, clm_per_task(b->g, out), l->out[from]);
    return graph_end(b, l, &l->predict[from]);
}

/* ---- of a learner from a file: statistics and last layer are made of the support set once, and predictions take them ---- */

static clm_status kept(clm_learner *l, learner_graph *b, clm_value v, clm_tensor **tensor) {
    if (!*tensor) CLM_TRY(clm_tensor_create(tensor, l->device, clm_value_shape(b->g, v), l->options.tasks));
    output(b, clm_per_task(b->g, v), *tensor);
    return CLM_OK;
}

static clm_status build_freeze(clm_learner *l, learner_graph *b, int from) {
    const clm_task *t = &l->task;
    clm_learner_use *u = l->use;
    clm_bn_stats stats = {0};
    clm_value weight, bias;
    CLM_TRY(graph_begin(b, l, from));
    if (t->algorithm->head)
        CLM_TRY(t->algorithm->head(t, b->g, b->theta, b->support, &stats, &weight, &bias));
    else
        clm_model_apply(t->model, b->g, b->theta, b->support.x, &stats);
    CLM_TRY(clm_graph_status(b->g));
    u->n_stats = stats.count;
    for (size_t i = 0; i < stats.count; i++) {
        CLM_TRY(kept(l, b, stats.mean[i], &u->mean[i]));
        CLM_TRY(kept(l, b, stats.var[i], &u->var[i]));
    }
    if (t->algorithm->head) {
        CLM_TRY(kept(l, b, weight, &u->weight));
        CLM_TRY(kept(l, b, bias, &u->bias));
    }
    return u->adapted ? CLM_OK : graph_end(b, l, &u->freeze[from]);
}

static clm_status build_use(clm_learner *l, learner_graph *b, int from) {
    const clm_learner_use *u = l->use;
    clm_bn_stats stats = {.use = true, .count = u->n_stats};
    CLM_TRY(graph_begin(b, l, from));
    clm_examples query = clm_task_examples(&l->task, b->g, "query", l->task.options.query);
    bind(b, query.x, l->query_x);
    for (size_t i = 0; i < u->n_stats; i++) {
        stats.mean[i] = bound_input(b, "mean", u->mean[i], true);
        stats.var[i] = bound_input(b, "var", u->var[i], true);
    }
    clm_value out = clm_model_apply(l->task.model, b->g, b->theta, query.x, &stats);
    if (u->weight)
        out = clm_linear(b->g, out, bound_input(b, "weight", u->weight, true), bound_input(b, "bias", u->bias, true));
    CLM_TRY(clm_graph_status(b->g));
    output(b, clm_per_task(b->g, out), l->out[from]);
    return graph_end(b, l, &l->predict[from]);
}

/* An adapted model is its parameters alone, which `start` brings to the first set. */
static bool is_left_out(const clm_learner *l, int from, bool step) { return l->use && l->use->adapted && (step || from > 0); }

static clm_status build_pair(clm_learner *l, learner_graph *b, clm_status (*build)(clm_learner *, learner_graph *, int),
                             bool step) {
    clm_status status = CLM_OK;
    for (int from = 0; from < 2 && status == CLM_OK; from++) {
        if (!is_left_out(l, from, step)) status = build(l, b, from);
        clm_graph_free(b->g);
        b->g = NULL;
    }
    return status;
}

clm_status clm_learner_build(clm_learner *l) {
    clm_learner_use *u = l->use;
    learner_graph *b = clm_calloc(1, sizeof *b);
    clm_status status = b ? CLM_OK : CLM_E_MEMORY;
    if (status != CLM_OK) goto out;
    status = build_start(l, b);
    clm_graph_free(b->g);
    b->g = NULL;
    if (status == CLM_OK) status = build_pair(l, b, build_step, true);
    if (status == CLM_OK && u) status = build_pair(l, b, build_freeze, false);
    if (status == CLM_OK) status = build_pair(l, b, u ? build_use : build_predict, false);
    clm_program *const made[] = {l->start,      l->step[0],   l->step[1], u ? u->freeze[0] : NULL, u ? u->freeze[1] : NULL,
                                 l->predict[0], l->predict[1]};
    clm_program *all[sizeof made / sizeof *made];
    size_t n = 0;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if (made[i]) all[n++] = made[i];
    if (status == CLM_OK) status = clm_programs_prepare(all, n);
out:
    free(b);
    return status;
}
