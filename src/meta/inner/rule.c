/* An inner step and its adjoint, by a small graph that is differentiated and copied into the graph at hand (rule.h). */
#include "meta/inner/rule.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/internal.h"

enum { THETA, GRAD, RATE, ANCHOR, STATE, INPUTS = STATE + CLM_MAX_STATE };

/* The step of all adapted tensors, on inputs. in[what][i] are CLM_INVALID where the step does not have them. */
typedef struct small {
    clm_graph *g;
    clm_value in[INPUTS][CLM_MAX_PARAMS], scalar[CLM_MAX_STATE];
    clm_value next[CLM_MAX_PARAMS], next_state[CLM_MAX_STATE][CLM_MAX_PARAMS];
    clm_value *map; /* of the small graph's values to those of the graph at hand */
    size_t mapped;
} small;

/* ---- the step ---- */

static clm_value input(small *m, clm_shape shape) { return clm_input(m->g, "", shape, true); }

static clm_status make_inputs(small *m, const clm_task *t, const clm_graph *g, const clm_inner_step *step) {
    for (int s = 0; s < t->rule->scalars; s++) {
        if (step->scalar)
            m->scalar[s] = input(m, (clm_shape){0});
        else
            m->scalar[s] = clm_const(m->g, t->rule->scalar(&t->options.inner, s, step->number));
    }
    for (size_t i = 0; i < t->n; i++) {
        const clm_shape shape = t->entries[i].inner_shape;
        if (!t->entries[i].adapted) continue;
        m->in[THETA][i] = input(m, shape);
        m->in[GRAD][i] = input(m, shape);
        if (step->rate[i] != CLM_INVALID) m->in[RATE][i] = input(m, clm_value_shape(g, step->rate[i]));
        if (step->anchor) m->in[ANCHOR][i] = input(m, shape);
        for (int s = 0; s < t->rule->state; s++)
            m->in[STATE + s][i] = step->state[s] ? input(m, shape) : clm_fill(m->g, shape, 0);
    }
    return clm_graph_status(m->g);
}

static clm_value sum_squares(small *m, const clm_task *t, const clm_value *grad) {
    clm_value sum = CLM_INVALID;
    for (size_t i = 0; i < t->n; i++) {
        if (!t->entries[i].adapted) continue;
        clm_value square = clm_sum_all(m->g, clm_mul(m->g, grad[i], grad[i]));
        sum = sum == CLM_INVALID ? square : clm_add(m->g, sum, square);
    }
    return sum;
}

/* The chain of transforms, in place. */
static void transform(small *m, const clm_task *t, clm_value *grad) {
    const clm_inner_options *o = &t->options.inner;
    clm_graph *g = m->g;
    for (size_t i = 0; i < t->n; i++) {
        if (!t->entries[i].adapted) continue;
        if (m->in[ANCHOR][i] != CLM_INVALID) /* of the proximal term */
            grad[i] = clm_add(g, grad[i], clm_scale(g, clm_sub(g, m->in[THETA][i], m->in[ANCHOR][i]), t->options.proximal));
        if (o->clip_value > 0) /* at the limit itself the derivative is that inside */
            grad[i] = clm_maximum(g, clm_minimum(g, grad[i], clm_const(g, o->clip_value)), clm_const(g, -o->clip_value));
    }
    if (o->clip_norm > 0) {
        /* min(1, c / norm), exactly 1 below c; by squares that are bounded from below, so that no root of 0 is differentiated */
        const double c = o->clip_norm;
        clm_value square = clm_maximum(g, clm_const(g, c * c / 4), sum_squares(m, t, grad));
        clm_value factor = clm_minimum(g, clm_const(g, 1), clm_scale(g, clm_rsqrt(g, square), c));
        for (size_t i = 0; i < t->n; i++)
            if (t->entries[i].adapted) grad[i] = clm_mul(g, grad[i], factor);
    }
    for (size_t i = 0; o->weight_decay > 0 && i < t->n; i++)
        if (t->entries[i].adapted) grad[i] = clm_add(g, grad[i], clm_scale(g, m->in[THETA][i], o->weight_decay));
}

static clm_status build(small *m, const clm_task *t, const clm_graph *g, const clm_inner_step *step) {
    clm_value grad[CLM_MAX_PARAMS];
    memset(m, 0xff, sizeof *m); /* CLM_INVALID */
    m->g = NULL;
    m->map = NULL;
    m->mapped = 0;
    CLM_TRY(clm_graph_create(&m->g));
    CLM_TRY(make_inputs(m, t, g, step));
    memcpy(grad, m->in[GRAD], sizeof grad);
    transform(m, t, grad);
    for (size_t i = 0; i < t->n; i++) {
        if (!t->entries[i].adapted) continue;
        const clm_value rate = m->in[RATE][i];
        clm_rule_in in = {.options = &t->options.inner, .theta = m->in[THETA][i], .g = grad[i]};
        clm_rule_out out;
        in.rate = rate != CLM_INVALID ? rate : clm_const(m->g, t->options.inner_lr);
        for (int s = 0; s < t->rule->state; s++) in.state[s] = m->in[STATE + s][i];
        for (int s = 0; s < t->rule->scalars; s++) in.scalar[s] = m->scalar[s];
        t->rule->step(m->g, &in, &out);
        m->next[i] = out.theta;
        for (int s = 0; s < t->rule->state; s++) m->next_state[s][i] = out.state[s];
    }
    return clm_graph_status(m->g);
}

static void end(small *m) {
    clm_graph_free(m->g);
    free(m->map);
}

/* ---- copying ---- */

static clm_status map_inputs(small *m, const clm_task *t, const clm_inner_step *step) {
    m->mapped = m->g->count;
    m->map = malloc((m->mapped + 1) * sizeof *m->map);
    if (!m->map) return clm_fail(CLM_E_MEMORY, "out of memory");
    for (size_t v = 0; v < m->mapped; v++) m->map[v] = CLM_INVALID;
    for (int s = 0; step->scalar && s < t->rule->scalars; s++) m->map[m->scalar[s]] = step->scalar[s];
    for (size_t i = 0; i < t->n; i++) {
        if (!t->entries[i].adapted) continue;
        m->map[m->in[THETA][i]] = step->theta[i];
        m->map[m->in[GRAD][i]] = step->grad[i];
        if (m->in[RATE][i] != CLM_INVALID) m->map[m->in[RATE][i]] = step->rate[i];
        if (m->in[ANCHOR][i] != CLM_INVALID) m->map[m->in[ANCHOR][i]] = step->anchor[i];
        for (int s = 0; s < t->rule->state && step->state[s]; s++) m->map[m->in[STATE + s][i]] = step->state[s][i];
    }
    return CLM_OK;
}

/* The value of the graph at hand that stands for v of the small one, with everything it needs. Operands come before what is
 * made of them, so one pass in order does. */
static void copy_needed(small *m, clm_graph *g, const clm_value *outputs, size_t n) {
    unsigned char *needed = clm_calloc(m->mapped + 1, 1);
    if (!needed) {
        clm_graph_error(g, CLM_E_MEMORY, "out of memory");
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (outputs[i] != CLM_INVALID) needed[outputs[i]] = 1;
    for (size_t v = m->mapped; v-- > 0;)
        for (int k = 0; needed[v] && k < m->g->nodes[v].n_in; k++) needed[m->g->nodes[v].in[k]] = 1;
    for (size_t v = 0; v < m->mapped; v++) {
        if (!needed[v] || m->map[v] != CLM_INVALID) continue;
        const clm_node *node = &m->g->nodes[v];
        clm_value in[CLM_MAX_INPUTS];
        assert(node->op != CLM_OP_INPUT); /* all have been mapped */
        for (int k = 0; k < node->n_in; k++) in[k] = m->map[node->in[k]];
        m->map[v] = clm_graph_add(g, node->op, in, node->n_in, node->shape, &node->attr);
    }
    free(needed);
}

static clm_value mapped(const small *m, clm_value v) { return v == CLM_INVALID ? CLM_INVALID : m->map[v]; }

clm_status clm_inner_step_apply(const clm_task *t, clm_graph *g, const clm_inner_step *step, clm_value *next,
                                clm_value *const *next_state) {
    clm_status status = CLM_OK;
    small *m = clm_calloc(1, sizeof *m);
    if (!m) return CLM_E_MEMORY;
    CLM_GOTO(build(m, t, g, step));
    CLM_GOTO(map_inputs(m, t, step));
    copy_needed(m, g, m->next, t->n);
    for (int s = 0; s < t->rule->state; s++) copy_needed(m, g, m->next_state[s], t->n);
    for (size_t i = 0; i < t->n; i++) {
        next[i] = t->entries[i].adapted ? mapped(m, m->next[i]) : step->theta[i];
        for (int s = 0; s < t->rule->state; s++) next_state[s][i] = mapped(m, m->next_state[s][i]);
    }
    status = clm_graph_status(g);
out:
    end(m);
    free(m);
    return status;
}

/* ---- the adjoint ---- */

/* What is differentiated, and inputs of the small graph for the cotangents, with what these stand for. */
typedef struct cotangents {
    clm_value output[(1 + CLM_MAX_STATE) * CLM_MAX_PARAMS], of[(1 + CLM_MAX_STATE) * CLM_MAX_PARAMS];
    clm_value actual[(1 + CLM_MAX_STATE) * CLM_MAX_PARAMS];
    size_t n;
    clm_value input[INPUTS * CLM_MAX_PARAMS], grad[INPUTS * CLM_MAX_PARAMS], *to[INPUTS * CLM_MAX_PARAMS];
    size_t n_inputs;
} cotangents;

static void add_output(small *m, cotangents *c, clm_value output, clm_value cotangent) {
    if (output == CLM_INVALID || cotangent == CLM_INVALID) return;
    c->output[c->n] = output;
    c->of[c->n] = input(m, clm_value_shape(m->g, output));
    c->actual[c->n++] = cotangent;
}

static void add_input(const small *m, cotangents *c, clm_value in, clm_value *to) {
    *to = CLM_INVALID;
    if (in == CLM_INVALID || m->g->nodes[in].op != CLM_OP_INPUT) return;
    c->input[c->n_inputs] = in;
    c->to[c->n_inputs++] = to;
}

static clm_status differentiate(small *m, cotangents *c, const clm_task *t, clm_inner_cotangents *io) {
    for (size_t i = 0; i < t->n; i++) {
        if (t->entries[i].adapted) add_output(m, c, m->next[i], io->next[i]);
        for (int s = 0; t->entries[i].adapted && s < t->rule->state; s++)
            add_output(m, c, m->next_state[s][i], io->next_state[s][i]);
    }
    for (size_t i = 0; i < t->n; i++) {
        add_input(m, c, m->in[THETA][i], &io->theta[i]);
        add_input(m, c, m->in[GRAD][i], &io->grad[i]);
        add_input(m, c, m->in[RATE][i], &io->rate[i]);
        for (int s = 0; s < CLM_MAX_STATE; s++) add_input(m, c, m->in[STATE + s][i], &io->state[s][i]);
    }
    CLM_TRY(clm_graph_status(m->g));
    return clm_vjp(m->g, c->output, c->of, c->n, c->input, c->n_inputs, c->grad);
}

clm_status clm_inner_step_adjoint(const clm_task *t, clm_graph *g, const clm_inner_step *step, clm_inner_cotangents *io) {
    clm_status status = CLM_OK;
    small *m = clm_calloc(1, sizeof *m);
    cotangents *c = clm_calloc(1, sizeof *c);
    if (!m || !c) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(build(m, t, g, step));
    CLM_GOTO(differentiate(m, c, t, io));
    CLM_GOTO(map_inputs(m, t, step));
    for (size_t k = 0; k < c->n; k++) m->map[c->of[k]] = c->actual[k];
    for (size_t k = 0; k < c->n_inputs; k++)
        if (clm_is_fill(m->g, c->grad[k], NULL)) c->grad[k] = CLM_INVALID; /* zero */
    copy_needed(m, g, c->grad, c->n_inputs);
    for (size_t k = 0; k < c->n_inputs; k++) *c->to[k] = mapped(m, c->grad[k]);
    status = clm_graph_status(g);
out:
    if (m) end(m);
    free(m);
    free(c);
    return status;
}
