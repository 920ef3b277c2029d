/* Derivatives of graphs, as further values of the same graph.
 *
 * vjp walks back from the outputs and adds up cotangents; jvp walks forward from the inputs. Symbolic zeros (CLM_INVALID inside
 * this file) keep both from building what is known to be zero. The values given as inputs are taken as independent: neither sweep
 * goes past them. hvp is forward over reverse.
 *
 * This is the one place where the task axis meets differentiation: a shared operand of a per-task node was used once by every
 * task, so its cotangent is the sum over tasks.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "clmaml/graph.h"
#include "ops/op.h"

/* Per-value notes of one sweep, over the values that existed when it began. */
typedef struct sweep {
    size_t count;
    clm_value *slot;      /* cotangent or tangent, CLM_INVALID: zero */
    unsigned char *flags; /* IS_INPUT, DEPENDS, WANTED */
} sweep;

enum { IS_INPUT = 1, DEPENDS = 2, WANTED = 4 };

static clm_status sweep_begin(sweep *s, clm_graph *g, const clm_value *inputs, size_t n_inputs, const clm_value *outputs,
                              size_t n_outputs) {
    s->count = g->count;
    s->slot = malloc((s->count + 1) * sizeof *s->slot);
    s->flags = clm_calloc(s->count + 1, 1);
    if (!s->slot || !s->flags) return clm_fail(CLM_E_MEMORY, "differentiation: out of memory");
    for (size_t v = 0; v < s->count; v++) s->slot[v] = CLM_INVALID;
    for (size_t i = 0; i < n_inputs; i++) s->flags[inputs[i]] |= IS_INPUT | DEPENDS;
    for (size_t i = 0; i < n_outputs; i++)
        if (outputs[i] != CLM_INVALID) s->flags[outputs[i]] |= WANTED;
    for (size_t v = s->count; v-- > 0;) {
        if (!(s->flags[v] & WANTED) || (s->flags[v] & IS_INPUT)) continue;
        const clm_node *n = &g->nodes[v];
        for (int i = 0; i < n->n_in; i++) s->flags[n->in[i]] |= WANTED;
    }
    for (size_t v = 0; v < s->count; v++) {
        const clm_node *n = &g->nodes[v];
        if (clm_ops[n->op]->flags & CLM_OPF_CONSTANT) continue;
        for (int i = 0; i < n->n_in; i++) s->flags[v] |= s->flags[n->in[i]] & DEPENDS;
    }
    return CLM_OK;
}

static void sweep_end(sweep *s) {
    free(s->slot);
    free(s->flags);
}

static clm_status check_values(clm_graph *g, const char *what, const clm_value *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!clm_graph_valid(g, &values[i], 1)) {
            clm_graph_error(g, CLM_E_ARG, "%s: value %zu is not of this graph", what, i);
            break;
        }
    return clm_graph_status(g);
}

/* Inputs that later values still depend on as they were written (see clm_graph_past). */
static clm_status check_inputs(clm_graph *g, const char *what, const clm_value *inputs, size_t n) {
    CLM_TRY(check_values(g, what, inputs, n));
    for (size_t i = 0; i < n; i++)
        if (g->nodes[inputs[i]].passed)
            clm_graph_error(
                g, CLM_E_ARG,
                "%s: value %zu, made by %s, was simplified away in what was built on it; build on clm_identity of it "
                "and differentiate with respect to that",
                what, i, clm_ops[g->nodes[inputs[i]].op]->name);
    return clm_graph_status(g);
}

/* ---- reverse ---- */

static clm_value node_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    const clm_op *op = clm_ops[g->nodes[y].op];
    if (op->vjp) return op->vjp(g, y, gy, which);
    if (op->derivative) return clm_mul(g, gy, op->derivative(g, y));
    return CLM_INVALID;
}

static void reverse_node(clm_graph *g, sweep *s, clm_value v) {
    clm_node n = g->nodes[v]; /* a copy: the array moves as nodes are added */
    for (int i = 0; i < n.n_in; i++) {
        clm_value x = n.in[i];
        if (!(s->flags[x] & DEPENDS)) continue;
        clm_value c = node_vjp(g, v, s->slot[v], i);
        if (c == CLM_INVALID) continue;
        if (n.per_task && !g->nodes[x].per_task) c = clm_sum_tasks(g, c, CLM_INVALID);
        s->slot[x] = s->slot[x] == CLM_INVALID ? c : clm_add(g, s->slot[x], c);
    }
}

clm_status clm_vjp(clm_graph *g, const clm_value *outputs, const clm_value *cotangents, size_t n_outputs,
                   const clm_value *inputs, size_t n_inputs, clm_value *grads) {
    sweep s = {0};
    clm_status status = CLM_OK;
    char a[80], b[80];
    CLM_GOTO(check_values(g, "vjp: output", outputs, n_outputs));
    CLM_GOTO(check_values(g, "vjp: cotangent", cotangents, n_outputs));
    CLM_GOTO(check_inputs(g, "vjp: input", inputs, n_inputs));
    CLM_GOTO(sweep_begin(&s, g, inputs, n_inputs, outputs, n_outputs));
    for (size_t i = 0; i < n_outputs; i++) {
        clm_value y = outputs[i], c = cotangents[i];
        assert(y != CLM_INVALID && c != CLM_INVALID);
        if (!clm_shape_equal(&g->nodes[y].shape, &g->nodes[c].shape))
            clm_graph_error(g, CLM_E_SHAPE, "vjp: cotangent %zu has shape %s, its output %s", i,
                            clm_shape_text(&g->nodes[c].shape, a, sizeof a), clm_shape_text(&g->nodes[y].shape, b, sizeof b));
        else
            s.slot[y] = s.slot[y] == CLM_INVALID ? c : clm_add(g, s.slot[y], c);
    }
    for (size_t v = s.count; v-- > 0;) {
        unsigned f = s.flags[v];
        if (s.slot[v] != CLM_INVALID && (f & WANTED) && (f & DEPENDS) && !(f & IS_INPUT)) reverse_node(g, &s, (clm_value)v);
    }
    for (size_t i = 0; i < n_inputs; i++) {
        clm_value x = inputs[i];
        grads[i] = s.slot[x] != CLM_INVALID ? s.slot[x] : clm_fill(g, g->nodes[x].shape, 0);
    }
    status = clm_graph_status(g);
out:
    sweep_end(&s);
    return status;
}

clm_status clm_grad(clm_graph *g, clm_value scalar, const clm_value *inputs, size_t n_inputs, clm_value *grads) {
    char text[80];
    CLM_TRY(check_values(g, "grad: the function", &scalar, 1));
    if (clm_shape_size(&g->nodes[scalar].shape) != 1)
        clm_graph_error(g, CLM_E_SHAPE, "grad: the function has shape %s; a gradient is of a scalar",
                        clm_shape_text(&g->nodes[scalar].shape, text, sizeof text));
    clm_value one = clm_fill(g, g->nodes[scalar].shape, 1);
    return clm_vjp(g, &scalar, &one, 1, inputs, n_inputs, grads);
}

/* ---- forward ---- */

/* Product rule: the operation itself with one operand replaced by its tangent, summed over the operands. */
static clm_value multilinear_jvp(clm_graph *g, clm_value y, const clm_value *t, int linear_inputs) {
    clm_node n = g->nodes[y];
    clm_value sum = CLM_INVALID;
    for (int i = 0; i < linear_inputs && i < n.n_in; i++) {
        if (t[i] == CLM_INVALID) continue;
        clm_value in[CLM_MAX_INPUTS];
        for (int k = 0; k < n.n_in; k++) in[k] = k == i ? t[i] : n.in[k];
        clm_value term = clm_graph_add(g, n.op, in, n.n_in, n.shape, &n.attr);
        sum = sum == CLM_INVALID ? term : clm_add(g, sum, term);
    }
    return sum;
}

static clm_value node_jvp(clm_graph *g, clm_value y, const clm_value *t) {
    const clm_op *op = clm_ops[g->nodes[y].op];
    if (op->jvp) return op->jvp(g, y, t);
    if (op->derivative) return clm_mul(g, t[0], op->derivative(g, y));
    if (op->flags & CLM_OPF_MULTILINEAR) return multilinear_jvp(g, y, t, 2);
    if (op->flags & CLM_OPF_LINEAR) return t[0] == CLM_INVALID ? CLM_INVALID : multilinear_jvp(g, y, t, 1);
    return CLM_INVALID;
}

clm_status clm_jvp(clm_graph *g, const clm_value *inputs, const clm_value *tangents, size_t n_inputs, const clm_value *outputs,
                   size_t n_outputs, clm_value *tangents_out) {
    sweep s = {0};
    clm_status status = CLM_OK;
    char a[80], b[80];
    CLM_GOTO(check_inputs(g, "jvp: input", inputs, n_inputs));
    CLM_GOTO(sweep_begin(&s, g, inputs, n_inputs, outputs, n_outputs));
    for (size_t i = 0; i < n_inputs; i++) {
        if (tangents[i] == CLM_INVALID) continue;
        CLM_GOTO(check_values(g, "jvp: tangent", &tangents[i], 1));
        if (!clm_shape_equal(&g->nodes[inputs[i]].shape, &g->nodes[tangents[i]].shape))
            clm_graph_error(g, CLM_E_SHAPE, "jvp: tangent %zu has shape %s, its input %s", i,
                            clm_shape_text(&g->nodes[tangents[i]].shape, a, sizeof a),
                            clm_shape_text(&g->nodes[inputs[i]].shape, b, sizeof b));
        s.slot[inputs[i]] = tangents[i];
    }
    for (size_t v = 0; v < s.count; v++) {
        unsigned f = s.flags[v];
        if (!(f & WANTED) || !(f & DEPENDS) || (f & IS_INPUT)) continue;
        clm_value t[CLM_MAX_INPUTS];
        bool any = false;
        for (int i = 0; i < CLM_MAX_INPUTS; i++) t[i] = CLM_INVALID;
        for (int i = 0; i < g->nodes[v].n_in; i++) {
            t[i] = s.slot[g->nodes[v].in[i]];
            any |= t[i] != CLM_INVALID;
        }
        if (any) s.slot[v] = node_jvp(g, (clm_value)v, t);
    }
    for (size_t i = 0; i < n_outputs; i++) tangents_out[i] = outputs[i] == CLM_INVALID ? CLM_INVALID : s.slot[outputs[i]];
    status = clm_graph_status(g);
out:
    sweep_end(&s);
    return status;
}

clm_status clm_hvp(clm_graph *g, clm_value scalar, const clm_value *inputs, const clm_value *v, size_t n_inputs,
                   clm_value *hv) {
    clm_value *grads = clm_calloc(n_inputs + 1, sizeof *grads);
    clm_status status = CLM_OK;
    if (!grads) return CLM_E_MEMORY;
    CLM_GOTO(clm_grad(g, scalar, inputs, n_inputs, grads));
    CLM_GOTO(clm_jvp(g, inputs, v, n_inputs, grads, n_inputs, hv));
    for (size_t i = 0; i < n_inputs; i++)
        if (hv[i] == CLM_INVALID) hv[i] = clm_fill(g, g->nodes[inputs[i]].shape, 0);
out:
    free(grads);
    return status;
}
