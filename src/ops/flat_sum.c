/* Sums without sums in them, for graphs that want few passes (clm_graph.few_passes).
 *
 * The adjoint of a normalisation is a sum of g r + c d, where c has come from a sum over the same array: the kernel has to pass
 * over the array for c, again for the sum, and a third time for the result. But the sum is linear,
 *
 *   sum(g r + c d) = sum(g r) + c sum(d)
 *
 * so that one pass makes both sums; and a tangent of the variance, sum(d (t - m)) with m the mean of t, needs no pass for m:
 * sum(d t) - m sum(d). An array of many images does not stay in a cache from one pass to the next.
 *
 * Nodes know how deep sums are nested (clm_node.nested). Of the summand only the part that is nested deepest is taken apart,
 * down to what is nested less: additions, multiples, and products with something that is the same for all summed elements or nested
 * less. A product of two parts that are both nested deepest stays as it is (the square of x - mean(x): its digits would
 * cancel), as does a sum of arrays and a multiple of a factor that belongs to none, unless it cancels: the sum of x - mean(x) is
 * zero. */
#include "ops/flat_sum.h"

#include <math.h>

#include "ops/op.h"

enum { MOST_TERMS = 8 };
static const double NOTHING = 1e-12; /* of what scales add up to that cancel: counts, and their reciprocals */

/* ---- taking apart ---- */

/* scale * factor * sum(array): factor is the same for all summed elements; CLM_INVALID: 1. */
typedef struct term {
    clm_value factor, array;
    double scale, size; /* size: of the scales that were added up */
} term;

typedef struct terms {
    clm_graph *g;
    clm_shape shape; /* of the summand */
    unsigned axes;
    clm_value heavy; /* of the parts to take apart */
    int nested;
    term list[MOST_TERMS];
    int n;
} terms;

static clm_value times(clm_graph *g, clm_value a, clm_value b) {
    if (a == CLM_INVALID || b == CLM_INVALID) return a == CLM_INVALID ? b : a;
    return clm_mul(g, a, b);
}

/* Of c x, c a number: x; *scale takes c. */
static clm_value unscaled(const clm_graph *g, clm_value v, double *scale) {
    for (const clm_node *n; (n = clm_node_at(g, v))->op == CLM_OP_AFFINE && n->attr.f[1] == 0; v = n->in[0])
        *scale *= n->attr.f[0];
    return v;
}

/* With one more factor that all summed elements have. */
static term with_factor(clm_graph *g, term part, clm_value factor) {
    factor = unscaled(g, factor, &part.scale);
    part.factor = times(g, part.factor, factor);
    return part;
}

static bool is_deepest(const terms *t, clm_value v) {
    return t->g->nodes[v].heavy == t->heavy && t->g->nodes[v].nested == t->nested;
}

/* Something repeated along all axes that are summed: its operand. */
static clm_value factor_of(const terms *t, clm_value v) {
    const clm_node *n = clm_node_at(t->g, v);
    if (n->op != CLM_OP_BROADCAST) return CLM_INVALID;
    const clm_shape *from = &t->g->nodes[n->in[0]].shape;
    for (int i = 1; i <= t->shape.rank; i++)
        if ((t->axes >> (t->shape.rank - i) & 1) && i <= from->rank && from->dim[from->rank - i] != 1) return CLM_INVALID;
    return n->in[0];
}

static bool add_term(terms *t, term part) {
    if (t->n == MOST_TERMS) return false;
    t->list[t->n++] = part;
    return true;
}

/* Adds the terms of part * v, where part.array is a factor of all summands. */
static bool take_apart(terms *t, clm_value v, term part) {
    const clm_node n = *clm_node_at(t->g, v);
    const clm_value factor = factor_of(t, v);
    if (factor != CLM_INVALID && is_deepest(t, v)) return add_term(t, with_factor(t->g, part, factor));
    if (!is_deepest(t, v)) return add_term(t, (term){part.factor, times(t->g, part.array, v), part.scale, 0});
    if (n.op == CLM_OP_AFFINE && n.attr.f[1] == 0)
        return take_apart(t, n.in[0], (term){part.factor, part.array, part.scale * n.attr.f[0], 0});
    if (n.op == CLM_OP_ADD || n.op == CLM_OP_SUB) {
        const double sign = n.op == CLM_OP_SUB ? -1 : 1;
        return take_apart(t, n.in[0], part) && take_apart(t, n.in[1], (term){part.factor, part.array, sign * part.scale, 0});
    }
    if (n.op != CLM_OP_MUL) return false;
    for (int i = 0; i < 2; i++) {
        const clm_value one = n.in[i], other = n.in[1 - i], repeated = factor_of(t, one);
        if (repeated != CLM_INVALID) return take_apart(t, other, with_factor(t->g, part, repeated));
        if (!is_deepest(t, one)) return take_apart(t, other, (term){part.factor, times(t->g, part.array, one), part.scale, 0});
    }
    return false;
}

/* What v was taken apart into does not depend on it and on what lies between: see clm_graph_past. */
static void mark(terms *t, clm_value v) {
    clm_node *n = &t->g->nodes[v];
    if (!is_deepest(t, v) || n->passed) return;
    n->passed = true;
    for (int i = 0; i < n->n_in && factor_of(t, v) == CLM_INVALID; i++) mark(t, n->in[i]);
}

static double count_of(const terms *t) {
    double count = 1;
    for (int i = 0; i < t->shape.rank; i++)
        if (t->axes >> i & 1) count *= t->shape.dim[i];
    return count;
}

static bool vanishes(clm_graph *g, clm_value x, unsigned axes);

/* The terms become scale * array, of arrays of the sum's shape; equal ones are one, and what cancels is gone: the mean of x, as
 * often as there are elements, from the sum of x. False when there are sums and a factor without one that does not cancel. */
static bool add_up(terms *t) {
    clm_graph *g = t->g;
    int n = 0;
    for (int i = 0; i < t->n; i++) {
        term one = t->list[i];
        const bool alone = one.array == CLM_INVALID;
        if (alone) one.scale *= count_of(t);
        if (!alone && vanishes(g, one.array, t->axes)) continue;
        one.array = alone ? one.factor : times(g, one.factor, unscaled(g, clm_sum(g, one.array, t->axes, true), &one.scale));
        one.factor = alone ? one.array : CLM_INVALID;
        int at = 0;
        while (at < n && t->list[at].array != one.array) at++;
        if (at == n) t->list[n++] = (term){CLM_INVALID, one.array, 0, 0};
        t->list[at].scale += one.scale;
        t->list[at].size += fabs(one.scale);
        if (alone) t->list[at].factor = one.array;
    }
    int alone = 0;
    t->n = 0;
    for (int i = 0; i < n; i++) {
        if (fabs(t->list[i].scale) <= NOTHING * t->list[i].size) continue;
        alone += t->list[i].factor != CLM_INVALID;
        t->list[t->n++] = t->list[i];
    }
    return !alone || alone == t->n;
}

static bool find_terms(terms *t, clm_graph *g, clm_value x, unsigned axes) {
    const clm_node *n = clm_node_at(g, x);
    *t = (terms){.g = g, .shape = n->shape, .axes = axes, .heavy = n->heavy, .nested = n->nested};
    return t->nested && clm_shape_size(&t->shape) >= CLM_LARGE_SUM &&
           take_apart(t, x, (term){CLM_INVALID, CLM_INVALID, 1, 0}) && add_up(t);
}

static bool vanishes(clm_graph *g, clm_value x, unsigned axes) {
    terms t;
    return find_terms(&t, g, x, axes) && t.n == 0;
}

clm_value clm_flat_sum(clm_graph *g, clm_value x, unsigned axes) {
    clm_value sum = CLM_INVALID;
    terms t;
    if (!find_terms(&t, g, x, axes)) return CLM_INVALID;
    for (int i = 0; i < t.n; i++) {
        const clm_value scaled = clm_scale(g, t.list[i].array, t.list[i].scale);
        sum = sum == CLM_INVALID ? scaled : clm_add(g, sum, scaled);
    }
    mark(&t, x);
    return t.n ? sum : clm_fill(g, clm_shape_kept(t.shape, axes), 0);
}
