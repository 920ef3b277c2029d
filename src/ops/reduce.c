/* Broadcast and reductions over axes and over tasks.
 *
 * broadcast: axes aligned at the last one, size 1 (or absent) repeats; adjoint of sum.
 * sum, reduce_max: attr.i[0] holds the axes as bits; reduced axes stay with size 1 (a reshape drops them). The OpenCL kernels
 * are generated together with the elementwise operations that feed them (src/program/codegen/codegen.c).
 * sum_tasks: adds up the task axis in task order, starting from operand 1 if there is one: the same bits however the tasks are
 * split into chunks. per_task: the converse, a view with task stride 0.
 */
#include <math.h>

#include "ops/flat_sum.h"
#include "ops/op.h"
#include "program/lower.h"

enum { IMAGE_AXES = 1 << 1 | 1 << 2 }; /* height and width of [n, h, w, c] */

/* ---- index helper: walks a shape in C order while following another with strides ---- */

static void strides_onto(const clm_shape *from, const clm_shape *onto, size_t *stride) {
    /* stride[i]: step in `from` for axis i of `onto`; 0 where `from` repeats */
    size_t step = 1;
    for (int i = 1; i <= onto->rank; i++) {
        int d = i <= from->rank ? from->dim[from->rank - i] : 1;
        stride[onto->rank - i] = d == 1 ? 0 : step;
        step *= (size_t)d;
    }
}

static bool next_index(const clm_shape *shape, int *index, const size_t *stride, size_t *at) {
    for (int i = shape->rank - 1; i >= 0; i--) {
        *at += stride[i];
        if (++index[i] < shape->dim[i]) return true;
        *at -= stride[i] * (size_t)shape->dim[i];
        index[i] = 0;
    }
    return false;
}

/* ---- broadcast ---- */

static bool broadcasts(const clm_shape *from, const clm_shape *to) {
    if (from->rank > to->rank) return false;
    for (int i = 1; i <= from->rank; i++) {
        int d = from->dim[from->rank - i];
        if (d != 1 && d != to->dim[to->rank - i]) return false;
    }
    return true;
}

clm_value clm_broadcast(clm_graph *g, clm_value x, clm_shape shape) {
    char from[80], to[80];
    double c;
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    const clm_node *n = clm_node_at(g, x);
    if (clm_shape_equal(&n->shape, &shape)) return x;
    if (shape.rank > CLM_MAX_RANK || !broadcasts(&n->shape, &shape))
        return clm_graph_error(g, CLM_E_SHAPE, "broadcast: shape %s does not broadcast to %s",
                               clm_shape_text(&n->shape, from, sizeof from), clm_shape_text(&shape, to, sizeof to));
    if (clm_is_fill(g, x, &c)) return clm_fill(g, shape, c);
    if (n->op == CLM_OP_BROADCAST) return clm_broadcast(g, clm_graph_past(g, x), shape);
    return clm_graph_add(g, CLM_OP_BROADCAST, &x, 1, shape, NULL);
}

/* Sums gy over what was repeated. */
static clm_value broadcast_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)which;
    clm_shape from = g->nodes[g->nodes[y].in[0]].shape, to = g->nodes[y].shape;
    unsigned axes = 0;
    for (int i = 1; i <= to.rank; i++) {
        int d = i <= from.rank ? from.dim[from.rank - i] : 1;
        if (d == 1 && to.dim[to.rank - i] != 1) axes |= 1u << (to.rank - i);
    }
    return clm_reshape(g, clm_sum(g, gy, axes, true), from);
}

static void broadcast_eval(const clm_eval *e) {
    size_t stride[CLM_MAX_RANK] = {0}, at = 0, i = 0;
    int index[CLM_MAX_RANK] = {0};
    strides_onto(&e->in_node[0]->shape, &e->node->shape, stride);
    do e->out[i++] = e->in[0][at];
    while (next_index(&e->node->shape, index, stride, &at));
}

static clm_value broadcast_jvp(clm_graph *g, clm_value y, const clm_value *t) {
    return clm_broadcast(g, t[0], g->nodes[y].shape);
}

const clm_op clm_row_broadcast = {.name = "broadcast",
                                  .flags = CLM_OPF_ELEMENTWISE,
                                  .n_in = 1,
                                  .vjp = broadcast_vjp,
                                  .jvp = broadcast_jvp,
                                  .eval = broadcast_eval};

/* ---- sum and maximum over axes ---- */

static clm_shape reduced_shape(clm_shape s, unsigned axes, bool keep) {
    clm_shape r = {0};
    for (int i = 0; i < s.rank; i++) {
        if (!(axes >> i & 1))
            r.dim[r.rank++] = s.dim[i];
        else if (keep)
            r.dim[r.rank++] = 1;
    }
    return r;
}

static bool check_axes(clm_graph *g, clm_opcode op, clm_value x, unsigned axes) {
    char text[80];
    if (!clm_graph_valid(g, &x, 1)) return false;
    if (axes >> g->nodes[x].shape.rank == 0) return true;
    clm_graph_error(g, CLM_E_SHAPE, "%s: axes 0x%x name an axis that shape %s does not have", clm_ops[op]->name, axes,
                    clm_shape_text(&g->nodes[x].shape, text, sizeof text));
    return false;
}

static clm_value reduce(clm_graph *g, clm_opcode op, clm_value x, unsigned axes, bool keep) {
    clm_shape s = g->nodes[x].shape;
    unsigned real = 0; /* axes of size 1 need no work */
    for (int i = 0; i < s.rank; i++)
        if ((axes >> i & 1) && s.dim[i] != 1) real |= 1u << i;
    clm_value y = x;
    if (real && op == CLM_OP_SUM && g->few_passes) y = clm_flat_sum(g, x, real);
    if (real && (y == x || y == CLM_INVALID)) {
        clm_attr attr = {{(int32_t)real}, {0}};
        y = clm_graph_add(g, op, &x, 1, reduced_shape(s, real, true), &attr);
    }
    return keep ? y : clm_reshape(g, y, reduced_shape(s, axes, false));
}

clm_value clm_sum(clm_graph *g, clm_value x, unsigned axes, bool keep) {
    double c = 0;
    if (!check_axes(g, CLM_OP_SUM, x, axes)) return CLM_INVALID;
    const clm_node *n = clm_node_at(g, x);
    if (g->few_passes && n->op == CLM_OP_POOL_SCATTER && (axes & IMAGE_AXES) == IMAGE_AXES) /* each element is there once */
        return clm_sum(g, clm_graph_past(g, x), axes, keep);
    if (n->op == CLM_OP_BROADCAST || clm_is_fill(g, x, &c)) { /* what was only repeated is counted, not summed */
        clm_shape from = n->op == CLM_OP_FILL ? (clm_shape){0} : g->nodes[n->in[0]].shape, to = n->shape, part = to;
        clm_value inner = n->op == CLM_OP_FILL ? CLM_INVALID : n->in[0];
        double count = 1;
        bool any = false;
        for (int i = 1; i <= to.rank; i++) {
            int d = i <= from.rank ? from.dim[from.rank - i] : 1, axis = to.rank - i;
            if (!(axes >> axis & 1) || d != 1 || to.dim[axis] == 1) continue;
            count *= to.dim[axis];
            part.dim[axis] = 1;
            any = true;
        }
        if (any) {
            if (inner == CLM_INVALID) return clm_fill(g, reduced_shape(to, axes, keep), c * count);
            return clm_scale(g, clm_sum(g, clm_broadcast(g, clm_graph_past(g, x), part), axes, keep), count);
        }
    }
    return reduce(g, CLM_OP_SUM, x, axes, keep);
}

clm_value clm_mean(clm_graph *g, clm_value x, unsigned axes, bool keep) {
    if (!check_axes(g, CLM_OP_SUM, x, axes)) return CLM_INVALID;
    double count = 1;
    for (int i = 0; i < g->nodes[x].shape.rank; i++)
        if (axes >> i & 1) count *= g->nodes[x].shape.dim[i];
    return clm_scale(g, clm_sum(g, x, axes, keep), 1 / count);
}

clm_value clm_reduce_max(clm_graph *g, clm_value x, unsigned axes, bool keep) {
    return check_axes(g, CLM_OP_REDUCE_MAX, x, axes) ? reduce(g, CLM_OP_REDUCE_MAX, x, axes, keep) : CLM_INVALID;
}

static unsigned all_axes(const clm_graph *g, clm_value x) { return (1u << clm_value_shape(g, x).rank) - 1; }
clm_value clm_sum_all(clm_graph *g, clm_value x) { return clm_sum(g, x, all_axes(g, x), false); }
clm_value clm_mean_all(clm_graph *g, clm_value x) { return clm_mean(g, x, all_axes(g, x), false); }

static clm_value sum_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)which;
    return clm_broadcast(g, gy, g->nodes[g->nodes[y].in[0]].shape);
}

static clm_value sum_jvp(clm_graph *g, clm_value y, const clm_value *t) {
    return clm_sum(g, t[0], (unsigned)g->nodes[y].attr.i[0], true);
}

static void reduce_eval(const clm_eval *e, bool maximum) {
    const clm_shape *from = &e->in_node[0]->shape;
    size_t stride[CLM_MAX_RANK] = {0}, at = 0, i = 0, n = clm_shape_size(&e->node->shape);
    int index[CLM_MAX_RANK] = {0};
    strides_onto(&e->node->shape, from, stride);
    for (size_t k = 0; k < n; k++) e->out[k] = maximum ? -HUGE_VAL : 0;
    do {
        double v = e->in[0][i++];
        if (!maximum)
            e->out[at] += v;
        else if (v > e->out[at] || v != v)
            e->out[at] = v;
    } while (next_index(from, index, stride, &at));
}
static void sum_eval(const clm_eval *e) { reduce_eval(e, false); }
static void reduce_max_eval(const clm_eval *e) { reduce_eval(e, true); }

const clm_op clm_row_sum = {.name = "sum", .n_in = 1, .vjp = sum_vjp, .jvp = sum_jvp, .eval = sum_eval};

/* The share of each element in the maximum: 1 / (number of ties) where it is reached. */
static clm_value max_share(clm_graph *g, clm_value y) {
    clm_value x = g->nodes[y].in[0];
    clm_shape s = g->nodes[x].shape;
    unsigned axes = (unsigned)g->nodes[y].attr.i[0];
    clm_value mask = clm_equal(g, x, clm_broadcast(g, y, s));
    return clm_div(g, mask, clm_sum(g, mask, axes, true));
}

static clm_value reduce_max_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)which;
    return clm_mul(g, max_share(g, y), gy);
}

static clm_value reduce_max_jvp(clm_graph *g, clm_value y, const clm_value *t) {
    unsigned axes = (unsigned)g->nodes[y].attr.i[0];
    return clm_sum(g, clm_mul(g, max_share(g, y), t[0]), axes, true);
}

const clm_op clm_row_reduce_max = {
    .name = "reduce_max", .n_in = 1, .vjp = reduce_max_vjp, .jvp = reduce_max_jvp, .eval = reduce_max_eval};

/* ---- the task axis ---- */

clm_value clm_per_task(clm_graph *g, clm_value x) {
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    return g->nodes[x].per_task ? x : clm_graph_add(g, CLM_OP_PER_TASK, &x, 1, g->nodes[x].shape, NULL);
}

/* The sum over tasks that a shared operand needs is made by the differentiation code for all operations alike. */
static clm_value per_task_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)g, (void)y, (void)which;
    return gy;
}
static clm_value per_task_jvp(clm_graph *g, clm_value y, const clm_value *t) {
    (void)y;
    return clm_per_task(g, t[0]);
}

static void copy_eval(const clm_eval *e) {
    size_t n = clm_shape_size(&e->node->shape);
    for (size_t i = 0; i < n; i++) e->out[i] = e->in[0][i];
}

const clm_op clm_row_per_task = {
    .name = "per_task", .flags = CLM_OPF_VIEW, .n_in = 1, .vjp = per_task_vjp, .jvp = per_task_jvp, .eval = copy_eval};

clm_value clm_sum_tasks(clm_graph *g, clm_value x, clm_value initial) {
    clm_value in[2] = {x, initial};
    char a[80], b[80];
    int n_in = initial == CLM_INVALID ? 1 : 2;
    if (!clm_graph_valid(g, in, n_in)) return CLM_INVALID;
    if (n_in == 2 && (!clm_shape_equal(&g->nodes[x].shape, &g->nodes[initial].shape) || g->nodes[initial].per_task))
        return clm_graph_error(g, CLM_E_SHAPE, "sum_tasks: the initial value, shape %s, must be shared and of shape %s",
                               clm_shape_text(&g->nodes[initial].shape, a, sizeof a),
                               clm_shape_text(&g->nodes[x].shape, b, sizeof b));
    return clm_graph_add(g, CLM_OP_SUM_TASKS, in, n_in, g->nodes[x].shape, NULL);
}

static clm_value sum_tasks_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    /* A shared operand was counted once per task. */
    bool counted = which == 0 && !g->nodes[g->nodes[y].in[0]].per_task;
    return counted ? clm_sum_tasks(g, gy, CLM_INVALID) : gy;
}

static clm_value sum_tasks_jvp(clm_graph *g, clm_value y, const clm_value *t) {
    (void)y;
    if (t[0] == CLM_INVALID) return t[1];
    return clm_sum_tasks(g, t[0], g->nodes[y].n_in == 2 ? t[1] : CLM_INVALID);
}

static void sum_tasks_eval(const clm_eval *e) {
    size_t n = clm_shape_size(&e->node->shape);
    for (size_t i = 0; i < n; i++) {
        double sum = e->node->n_in == 2 ? e->in[1][i] : 0;
        for (int t = 0; t < e->tasks; t++) sum += e->in[0][(size_t)t * e->in_stride[0] + i];
        e->out[i] = sum;
    }
}

static clm_status sum_tasks_lower(clm_lower *l, clm_value y) {
    const clm_graph *g = clm_lower_graph(l);
    const clm_node *n = clm_node_at(g, y);
    int size = (int)clm_shape_size(&n->shape);
    bool cpu = clm_lower_device(l)->type == CLM_DEVICE_CPU;
    int items = cpu ? 256 : 1;
    clm_launch_spec spec = {.file = "tasks.cl", .entry = n->n_in == 2 ? "sum_tasks_from" : "sum_tasks"};
    clm_spec_define(&spec, "ITEMS", items);
    spec.global[0] = ((size_t)size + (size_t)items - 1) / (size_t)items;
    spec.global[1] = spec.global[2] = 1;
    clm_value values[3] = {y, n->in[0], n->n_in == 2 ? n->in[1] : CLM_INVALID};
    int ints[2] = {size, clm_lower_tasks(l, CLM_INVALID)};
    return clm_lower_launch(l, y, &spec, values, n->n_in + 1, ints, 2);
}

const clm_op clm_row_sum_tasks = {.name = "sum_tasks",
                                  .flags = CLM_OPF_TASKS,
                                  .n_in = 2,
                                  .vjp = sum_tasks_vjp,
                                  .jvp = sum_tasks_jvp,
                                  .eval = sum_tasks_eval,
                                  .lower = sum_tasks_lower};
