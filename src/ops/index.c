/* Operations with whole-number values: gather, scatter_add, one_hot, argmax.
 *
 * gather and scatter_add are linear in x and adjoint to each other; the index is not differentiable. Seen as
 * x [outer, entries, inner]:
 *   gather       y[o, j, i] = x[o, index[j], i]
 *   scatter_add  y[o, e, i] = sum over j in order of x[o, j, i] where index[j] = e
 * An index that is out of range, or NaN, points nowhere; a fraction is dropped. Attribute of both: i[0] the axis.
 *
 * one_hot and what argmax is made of are elementwise but for the place of an element along the last axis, which kernels know:
 * so they are computed inside the kernels that use them, and a loss needs no table of labels in memory. */
#include <math.h>

#include "ops/op.h"
#include "ops/shape.h"
#include "ops/tile.h"

typedef struct view3 {
    int outer, entries, inner;
} view3;

static view3 view_along(const clm_shape *s, int axis) {
    view3 v = {1, s->dim[axis], 1};
    for (int a = 0; a < s->rank; a++) {
        if (a < axis) v.outer *= s->dim[a];
        if (a > axis) v.inner *= s->dim[a];
    }
    return v;
}

static int64_t whole(double v, int n) { return v >= 0 && v < n ? (int64_t)v : -1; }

/* ---- gather, scatter_add ---- */

static clm_value indexed(clm_graph *g, clm_opcode op, const clm_value in[2], int axis, int size) {
    char text[80], it[80];
    double c;
    const char *name = clm_ops[op]->name;
    if (!clm_graph_valid(g, in, 2)) return CLM_INVALID;
    const clm_shape x = clm_value_shape(g, in[0]), index = clm_value_shape(g, in[1]);
    if (axis < 0 || axis >= x.rank)
        return clm_graph_error(g, CLM_E_SHAPE, "%s: %s has no axis %d", name, clm_shape_text(&x, text, sizeof text), axis);
    if (index.rank != 1)
        return clm_graph_error(g, CLM_E_SHAPE, "%s along axis %d of %s: the index has shape %s, must be [m]", name, axis,
                               clm_shape_text(&x, text, sizeof text), clm_shape_text(&index, it, sizeof it));
    if (op == CLM_OP_SCATTER_ADD && index.dim[0] != x.dim[axis])
        return clm_graph_error(g, CLM_E_SHAPE, "%s: axis %d of %s and the index %s differ in length", name, axis,
                               clm_shape_text(&x, text, sizeof text), clm_shape_text(&index, it, sizeof it));
    if (size < 1) return clm_graph_error(g, CLM_E_ARG, "%s: %d entries; at least 1 is needed", name, size);
    clm_shape shape = x;
    shape.dim[axis] = size;
    if (clm_is_fill(g, in[0], &c) && c == 0) return clm_fill(g, shape, 0);
    return clm_graph_add(g, op, in, 2, shape, &(clm_attr){.i = {axis}});
}

clm_value clm_gather(clm_graph *g, clm_value x, clm_value index, int axis) {
    const clm_shape s = clm_value_shape(g, index);
    return indexed(g, CLM_OP_GATHER, (clm_value[]){x, index}, axis, s.rank ? s.dim[0] : 1);
}

clm_value clm_scatter_add(clm_graph *g, clm_value x, clm_value index, int axis, int size) {
    return indexed(g, CLM_OP_SCATTER_ADD, (clm_value[]){x, index}, axis, size);
}

static clm_value gather_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    const clm_node *n = clm_node_at(g, y);
    const int axis = n->attr.i[0];
    return which ? CLM_INVALID : clm_scatter_add(g, gy, n->in[1], axis, clm_value_shape(g, n->in[0]).dim[axis]);
}

static clm_value scatter_add_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    const clm_node *n = clm_node_at(g, y);
    return which ? CLM_INVALID : clm_gather(g, gy, n->in[1], n->attr.i[0]);
}

static void gather_eval(const clm_eval *e) {
    const view3 x = view_along(&e->in_node[0]->shape, e->node->attr.i[0]), y = view_along(&e->node->shape, e->node->attr.i[0]);
    double *out = e->out;
    for (int o = 0; o < y.outer; o++)
        for (int j = 0; j < y.entries; j++) {
            const int64_t at = whole(e->in[1][j], x.entries);
            const double *from = e->in[0] + ((int64_t)o * x.entries + at) * x.inner;
            for (int i = 0; i < y.inner; i++) *out++ = at < 0 ? 0 : from[i];
        }
}

static void scatter_add_eval(const clm_eval *e) {
    const view3 x = view_along(&e->in_node[0]->shape, e->node->attr.i[0]), y = view_along(&e->node->shape, e->node->attr.i[0]);
    const size_t size = clm_shape_size(&e->node->shape);
    for (size_t i = 0; i < size; i++) e->out[i] = 0;
    for (int o = 0; o < x.outer; o++)
        for (int j = 0; j < x.entries; j++) {
            const int64_t at = whole(e->in[1][j], y.entries);
            const double *from = e->in[0] + ((int64_t)o * x.entries + j) * x.inner;
            if (at < 0) continue;
            for (int i = 0; i < y.inner; i++) e->out[((int64_t)o * y.entries + at) * y.inner + i] += from[i];
        }
}

static clm_status indexed_lower(struct clm_lower *l, clm_value y) {
    const clm_node *n = clm_node_at(clm_lower_graph(l), y);
    const view3 x = view_along(&clm_node_at(clm_lower_graph(l), n->in[0])->shape, n->attr.i[0]),
                v = view_along(&n->shape, n->attr.i[0]);
    const int vec = clm_tile_vector(l, v.inner), cols = clm_tile_serial(l) ? v.inner : vec, tasks = clm_lower_tasks(l, y);
    const int rows = v.outer * v.entries;
    const double reads = n->op == CLM_OP_SCATTER_ADD ? x.entries : 1;
    const int per_item = clm_tile_rows(l, rows, cols * reads, tasks);
    clm_launch_spec spec = {.file = "shape.cl", .entry = clm_ops[n->op]->name};
    clm_spec_define(&spec, "X_ENTRIES", x.entries);
    clm_spec_define(&spec, "Y_ENTRIES", v.entries);
    clm_spec_define(&spec, "INNER", v.inner);
    clm_spec_define(&spec, "OUTER", v.outer);
    clm_spec_define(&spec, "VEC", vec);
    clm_spec_define(&spec, "COLS", cols);
    clm_spec_define(&spec, "ROWS", per_item);
    clm_tile_global(l, &spec, (size_t)((rows + per_item - 1) / per_item) * (size_t)(v.inner / cols), tasks);
    spec.bytes = 4.0 * tasks * v.inner * v.outer * ((double)x.entries + v.entries);
    return clm_lower_launch(l, y, &spec, (clm_value[]){n->in[0], n->in[1], y}, 3, NULL, 0);
}

/* ---- one_hot ---- */

clm_value clm_one_hot(clm_graph *g, clm_value labels, int n) {
    char text[80];
    if (!clm_graph_valid(g, &labels, 1)) return CLM_INVALID;
    clm_shape shape = clm_value_shape(g, labels);
    if (n < 1 || shape.rank >= CLM_MAX_RANK)
        return clm_graph_error(g, CLM_E_SHAPE,
                               "one_hot: labels %s with %d classes; at least 1 class and at most %d axes with that of the "
                               "classes",
                               clm_shape_text(&shape, text, sizeof text), n, CLM_MAX_RANK);
    shape.dim[shape.rank++] = 1;
    clm_value column = clm_reshape(g, labels, shape);
    shape.dim[shape.rank - 1] = n;
    column = clm_broadcast(g, column, shape);
    return clm_graph_add(g, CLM_OP_ONE_HOT, &column, 1, shape, NULL);
}

static int last_axis(const clm_shape *s) { return s->rank ? s->dim[s->rank - 1] : 1; }

static void one_hot_eval(const clm_eval *e) {
    const int n = last_axis(&e->node->shape);
    const size_t size = clm_shape_size(&e->node->shape);
    for (size_t i = 0; i < size; i++) e->out[i] = whole(e->in[0][i], n) == (int64_t)(i % (size_t)n);
}

/* ---- argmax ---- */

/* max over j of place(x, max x)[j], where place is -j at the maxima and -infinity elsewhere: the index of the first one,
 * negated. */
clm_value clm_argmax(clm_graph *g, clm_value x) {
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    clm_shape shape = clm_value_shape(g, x), result = shape;
    if (shape.rank < 1) return clm_graph_error(g, CLM_E_SHAPE, "argmax: the operand is a scalar, [], and has no last axis");
    const unsigned last = 1u << (shape.rank - 1);
    const clm_value greatest = clm_broadcast(g, clm_reduce_max(g, x, last, true), shape);
    const clm_value place = clm_graph_add(g, CLM_OP_PLACE, (clm_value[]){x, greatest}, 2, shape, NULL);
    result.dim[--result.rank] = 0;
    return clm_reshape(g, clm_neg(g, clm_reduce_max(g, place, last, true)), result);
}

static void place_eval(const clm_eval *e) {
    const size_t n = (size_t)last_axis(&e->node->shape), size = clm_shape_size(&e->node->shape);
    for (size_t i = 0; i < size; i++) {
        const double x = e->in[0][i];
        e->out[i] = x == e->in[1][i] || x != x ? -(double)(i % n) : -HUGE_VAL;
    }
}

/* ---- rows ---- */

const clm_op clm_row_gather = {
    .name = "gather", .flags = CLM_OPF_LINEAR, .n_in = 2, .vjp = gather_vjp, .eval = gather_eval, .lower = indexed_lower};
const clm_op clm_row_scatter_add = {.name = "scatter_add",
                                    .flags = CLM_OPF_LINEAR,
                                    .n_in = 2,
                                    .vjp = scatter_add_vjp,
                                    .eval = scatter_add_eval,
                                    .lower = indexed_lower};
/* A fraction of a label is dropped; a label below 0, past the last class or NaN is in no interval [j, j + 1). */
const clm_op clm_row_one_hot = {.name = "one_hot",
                                .flags = CLM_OPF_ELEMENTWISE | CLM_OPF_CONSTANT | CLM_OPF_INDEX,
                                .n_in = 1,
                                .eval = one_hot_eval,
                                .expression = "((a >= $i) & (a < $i + (F)(1.0f))) ? (F)(1.0f) : (F)(0.0f)",
                                .cost = 2};
const clm_op clm_row_place = {.name = "place",
                              .flags = CLM_OPF_ELEMENTWISE | CLM_OPF_CONSTANT | CLM_OPF_INDEX,
                              .n_in = 2,
                              .eval = place_eval,
                              .expression = "((a == b) | (a != a)) ? -$i : (F)(-INFINITY)",
                              .cost = 2};
