/* Max-pooling before elementwise arithmetic, for graphs that want few passes over images (clm_graph.few_passes).
 *
 * Gathering by an index selects elements, which commutes with what is done to every element:
 *
 *   gather(f(x, y, repeated c), index) = f(gather(x, index), gather(y, index), repeated c)
 *
 * and gathering by the index that a scatter has used gives back what was scattered. So normalisation and activation of an image
 * that is then pooled are computed where the pooled values are, a quarter of the places for windows of 2 x 2; and so is, by the
 * chain rule, every sum that their derivatives of any order have: those of batch-norm's scale, shift and statistics. Only the mean
 * and the variance themselves, and what goes into the convolution's adjoint, are left to passes over the image. Where a work-group of a GPU
 * makes all passes over an image in one launch (clm_graph.one_pass), more launches would cost more. The argmax is that of
 * f(x, y, c) as before, and values are the same bits. */
#include "ops/early_pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ops/op.h"
#include "ops/pool.h"

typedef struct walk {
    clm_graph *g;
    clm_value index;
    clm_shape out;
    clm_attr attr;   /* of the pooling */
    clm_value *done; /* by value of the graph as it was: its gathered form; CLM_INVALID: not yet */
} walk;

/* Is an array repeated over n [n, h, w, c] the same at all places of an image? */
static bool same_at_all_places(const clm_shape *from) {
    for (int i = 2; i <= 3; i++)
        if (i <= from->rank && from->dim[from->rank - i] != 1) return false;
    return true;
}

static clm_value gathered(walk *w, clm_value v);

static clm_value rebuilt(walk *w, const clm_node *n) {
    clm_graph *g = w->g;
    clm_value in[CLM_MAX_INPUTS] = {CLM_INVALID, CLM_INVALID};
    for (int i = 0; i < n->n_in; i++)
        if ((in[i] = gathered(w, n->in[i])) == CLM_INVALID) return CLM_INVALID;
    switch (n->op) {
    case CLM_OP_ADD: return clm_add(g, in[0], in[1]);
    case CLM_OP_SUB: return clm_sub(g, in[0], in[1]);
    case CLM_OP_MUL: return clm_mul(g, in[0], in[1]);
    case CLM_OP_DIV: return clm_div(g, in[0], in[1]);
    default: return clm_graph_add(g, n->op, in, n->n_in, w->out, &n->attr);
    }
}

static clm_value gathered(walk *w, clm_value v) {
    clm_graph *g = w->g;
    const clm_node n = *clm_node_at(g, v);
    const unsigned flags = clm_op_of(&n)->flags;
    clm_value y;
    if (w->done[v] != CLM_INVALID) return w->done[v];
    if (n.op == CLM_OP_FILL)
        y = clm_fill(g, w->out, n.attr.f[0]);
    else if (n.op == CLM_OP_POOL_SCATTER && n.in[1] == w->index && clm_pool_tiles(&w->attr) &&
             !memcmp(n.attr.i, w->attr.i, sizeof n.attr.i))
        y = clm_graph_past(g, v);
    else if (n.op == CLM_OP_BROADCAST && same_at_all_places(&g->nodes[n.in[0]].shape))
        y = clm_broadcast(g, clm_graph_past(g, v), w->out);
    else if (n.op != CLM_OP_BROADCAST && flags & CLM_OPF_ELEMENTWISE && !(flags & CLM_OPF_INDEX)) {
        g->nodes[v].passed = true;
        y = rebuilt(w, &n);
    } else
        y = clm_graph_add(g, CLM_OP_POOL_GATHER, (clm_value[]){v, w->index}, 2, w->out, &w->attr);
    return w->done[v] = y;
}

clm_value clm_early_pool(clm_graph *g, clm_value x, clm_value index, clm_shape out, const clm_attr *attr) {
    walk w = {.g = g, .index = index, .out = out, .attr = *attr};
    w.done = clm_calloc((size_t)x + 1, sizeof *w.done);
    if (!w.done) return clm_graph_error(g, CLM_E_MEMORY, "graph: out of memory");
    for (clm_value v = 0; v <= x; v++) w.done[v] = CLM_INVALID;
    const clm_value y = gathered(&w, x);
    free(w.done);
    return y;
}
