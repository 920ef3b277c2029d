/* Pooling over windows of x [n, h, w, c]; w(o, k) = o * stride - pad + k is the input row (column) of window o, offset k.
 *
 *   max_pool_argmax  index[o] = first k = kh * KW + kw for which x[w(o, k)] is greatest; padding never wins, NaN is greatest
 *   pool_gather      y[o] = x[w(o, index[o])]                                  linear in x
 *   pool_scatter     x[i] = sum over the windows o that contain i, with w(o, index[o]) = i, of dy[o]        its adjoint
 *   avg_pool         y[o] = sum over k of x[w(o, k)] / (KH * KW), padding counting as zeros
 *   avg_pool_bwd     x[i] = sum over the windows o that contain i of dy[o] / (KH * KW)                      its adjoint
 *
 * max_pool is pool_gather at max_pool_argmax: its derivatives of any order are gathers and scatters by one index, computed
 * once, and what is done to every element is done to the pooled ones alone where few passes are wanted (ops/early_pool.c). Attributes of all: i[0..1] kernel, i[2..3] stride, i[4..5] padding (height, width). Shape inference makes every window
 * touch the image (padding < kernel), and windows that would stick out behind it are dropped. */
#include "ops/pool.h"

#include "ops/early_pool.h"

#include "ops/op.h"
#include "ops/tile.h"

typedef struct geometry {
    int n, h, w, c, oh, ow;      /* input and output */
    int k[2], stride[2], pad[2]; /* height, width */
} geometry;

static geometry geometry_of(const clm_node *n, const clm_shape *in, const clm_shape *out) {
    geometry p = {.n = in->dim[0], .h = in->dim[1], .w = in->dim[2], .c = in->dim[3], .oh = out->dim[1], .ow = out->dim[2]};
    for (int a = 0; a < 2; a++) p.k[a] = n->attr.i[a], p.stride[a] = n->attr.i[2 + a], p.pad[a] = n->attr.i[4 + a];
    return p;
}

static bool to_input(clm_opcode op) { return op == CLM_OP_POOL_SCATTER || op == CLM_OP_AVG_POOL_BWD; }

static geometry geometry_at(const clm_node *n, const clm_node *in) {
    return to_input(n->op) ? geometry_of(n, &n->shape, &in->shape) : geometry_of(n, &in->shape, &n->shape);
}

/* ---- builders ---- */

static clm_attr attr_of(const clm_pool_options *o) {
    return (clm_attr){.i = {o->kernel[0], o->kernel[1], o->stride[0], o->stride[1], o->pad[0], o->pad[1]}};
}

static clm_pool_options options_of(const clm_node *n) {
    const int32_t *i = n->attr.i;
    return (clm_pool_options){{i[0], i[1]}, {i[2], i[3]}, {i[4], i[5]}};
}

/* [n, h, w, c] -> [n, h', w', c]; false, with an error recorded, when the options or the image do not allow it. */
static bool pooled(clm_graph *g, const char *name, const clm_shape *x, const clm_pool_options *o, clm_shape *out) {
    char text[80];
    clm_shape_text(x, text, sizeof text);
    if (!o) {
        clm_graph_error(g, CLM_E_ARG, "%s: no options given", name);
        return false;
    }
    if (x->rank != 4) {
        clm_graph_error(g, CLM_E_SHAPE, "%s: the operand has shape %s, must be [n, h, w, c]", name, text);
        return false;
    }
    *out = *x;
    for (int a = 0; a < 2; a++) {
        const int64_t k = o->kernel[a], s = o->stride[a], p = o->pad[a], size = x->dim[1 + a] + 2 * p;
        if (k < 1 || s < 1 || p < 0 || p >= k) {
            clm_graph_error(g, CLM_E_ARG,
                            "%s of %s: kernel [%d, %d], stride [%d, %d], padding [%d, %d]: kernel and stride are at least 1, "
                            "padding is less than the kernel",
                            name, text, o->kernel[0], o->kernel[1], o->stride[0], o->stride[1], o->pad[0], o->pad[1]);
            return false;
        }
        if (size < k) {
            clm_graph_error(g, CLM_E_SHAPE, "%s: a window of [%d, %d] does not fit into %s with padding [%d, %d]", name,
                            o->kernel[0], o->kernel[1], text, o->pad[0], o->pad[1]);
            return false;
        }
        out->dim[1 + a] = (int32_t)((size - k) / s + 1);
    }
    return true;
}

/* From the image: `index` is CLM_INVALID for operations without one. */
static clm_value down(clm_graph *g, clm_opcode op, clm_value x, const clm_value *index, const clm_pool_options *options) {
    char text[80], it[80];
    clm_shape out;
    const clm_value in[2] = {x, index ? *index : x};
    const char *name = clm_ops[op]->name;
    if (!clm_graph_valid(g, in, 2)) return CLM_INVALID;
    const clm_shape shape = clm_value_shape(g, x), is = clm_value_shape(g, in[1]);
    if (!pooled(g, name, &shape, options, &out)) return CLM_INVALID;
    if (index && !clm_shape_equal(&is, &out))
        return clm_graph_error(g, CLM_E_SHAPE, "%s: the index has shape %s, the windows make it %s", name,
                               clm_shape_text(&is, it, sizeof it), clm_shape_text(&out, text, sizeof text));
    const clm_attr attr = attr_of(options);
    const bool large = (size_t)shape.dim[0] * (size_t)shape.dim[1] * (size_t)shape.dim[2] > g->one_pass;
    if (index && g->few_passes && large) return clm_early_pool(g, x, *index, out, &attr);
    return clm_graph_add(g, op, in, index ? 2 : 1, out, &attr);
}

/* To the image [n, h, w, c]. */
static clm_value up(clm_graph *g, clm_opcode op, clm_value dy, const clm_value *index, int h, int w,
                    const clm_pool_options *options) {
    char text[80], it[80], to[80];
    clm_shape out;
    const clm_value in[2] = {dy, index ? *index : dy};
    const char *name = clm_ops[op]->name;
    if (!clm_graph_valid(g, in, 2)) return CLM_INVALID;
    const clm_shape shape = clm_value_shape(g, dy), is = clm_value_shape(g, in[1]);
    clm_shape image = shape;
    if (shape.rank == 4) image.dim[1] = h, image.dim[2] = w;
    if (!pooled(g, name, &image, options, &out)) return CLM_INVALID;
    if (!clm_shape_equal(&shape, &out) || !clm_shape_equal(&is, &out))
        return clm_graph_error(g, CLM_E_SHAPE, "%s to %s: the windows make %s; the operands have %s and %s", name,
                               clm_shape_text(&image, to, sizeof to), clm_shape_text(&out, text, sizeof text),
                               clm_shape_text(&shape, it, sizeof it), clm_shape_text(&is, (char[80]){0}, 80));
    const clm_attr attr = attr_of(options);
    return clm_graph_add(g, op, in, index ? 2 : 1, image, &attr);
}

clm_value clm_max_pool_argmax(clm_graph *g, clm_value x, const clm_pool_options *options) {
    return down(g, CLM_OP_MAX_POOL_ARGMAX, x, NULL, options);
}

clm_value clm_pool_gather(clm_graph *g, clm_value x, clm_value index, const clm_pool_options *options) {
    return down(g, CLM_OP_POOL_GATHER, x, &index, options);
}

clm_value clm_pool_scatter(clm_graph *g, clm_value dy, clm_value index, int h, int w, const clm_pool_options *options) {
    return up(g, CLM_OP_POOL_SCATTER, dy, &index, h, w, options);
}

clm_value clm_avg_pool(clm_graph *g, clm_value x, const clm_pool_options *options) {
    return down(g, CLM_OP_AVG_POOL, x, NULL, options);
}

clm_value clm_avg_pool_bwd(clm_graph *g, clm_value dy, int h, int w, const clm_pool_options *options) {
    return up(g, CLM_OP_AVG_POOL_BWD, dy, NULL, h, w, options);
}

clm_value clm_max_pool(clm_graph *g, clm_value x, const clm_pool_options *options) {
    const clm_value index = clm_max_pool_argmax(g, x, options);
    return index == CLM_INVALID ? CLM_INVALID : clm_pool_gather(g, x, index, options);
}

/* ---- derivatives ---- */

static clm_value pool_gather_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    const clm_node *n = clm_node_at(g, y);
    const clm_pool_options options = options_of(n);
    const clm_shape x = clm_value_shape(g, n->in[0]);
    return which ? CLM_INVALID : clm_pool_scatter(g, gy, n->in[1], x.dim[1], x.dim[2], &options);
}

static clm_value pool_scatter_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    const clm_node *n = clm_node_at(g, y);
    const clm_pool_options options = options_of(n);
    return which ? CLM_INVALID : clm_pool_gather(g, gy, n->in[1], &options);
}

static clm_value avg_pool_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)which;
    const clm_node *n = clm_node_at(g, y);
    const clm_pool_options options = options_of(n);
    const clm_shape x = clm_value_shape(g, n->in[0]);
    return clm_avg_pool_bwd(g, gy, x.dim[1], x.dim[2], &options);
}

static clm_value avg_pool_bwd_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)which;
    const clm_pool_options options = options_of(clm_node_at(g, y));
    return clm_avg_pool(g, gy, &options);
}

/* ---- reference ---- */

/* Element of the image that offset k of the window of output element `o` lies on; -1: on padding. */
static int64_t image_at(const geometry *p, size_t o, int k) {
    const int c = (int)(o % (size_t)p->c);
    const size_t window = o / (size_t)p->c, row = window / (size_t)p->ow;
    const int64_t x = (int64_t)(window % (size_t)p->ow) * p->stride[1] - p->pad[1] + k % p->k[1];
    const int64_t y = (int64_t)(row % (size_t)p->oh) * p->stride[0] - p->pad[0] + k / p->k[1];
    if (x < 0 || x >= p->w || y < 0 || y >= p->h) return -1;
    return (((int64_t)(row / (size_t)p->oh) * p->h + y) * p->w + x) * p->c + c;
}

static size_t outputs(const geometry *p) { return (size_t)p->n * (size_t)p->oh * (size_t)p->ow * (size_t)p->c; }

static void max_pool_argmax_eval(const clm_eval *e) {
    const geometry p = geometry_at(e->node, e->in_node[0]);
    for (size_t o = 0; o < outputs(&p); o++) {
        double best = 0;
        int at = -1;
        for (int k = 0; k < p.k[0] * p.k[1]; k++) {
            const int64_t i = image_at(&p, o, k);
            if (i < 0 || (at >= 0 && (e->in[0][i] <= best || best != best))) continue;
            best = e->in[0][i];
            at = k;
        }
        e->out[o] = at;
    }
}

static int64_t chosen(const geometry *p, const clm_eval *e, size_t o) {
    const double k = e->in[1][o];
    return k >= 0 && k < p->k[0] * p->k[1] ? image_at(p, o, (int)k) : -1;
}

static void pool_gather_eval(const clm_eval *e) {
    const geometry p = geometry_at(e->node, e->in_node[0]);
    for (size_t o = 0; o < outputs(&p); o++) {
        const int64_t i = chosen(&p, e, o);
        e->out[o] = i < 0 ? 0 : e->in[0][i];
    }
}

static void pool_scatter_eval(const clm_eval *e) {
    const geometry p = geometry_at(e->node, e->in_node[0]);
    for (size_t i = 0; i < clm_shape_size(&e->node->shape); i++) e->out[i] = 0;
    for (size_t o = 0; o < outputs(&p); o++) {
        const int64_t i = chosen(&p, e, o);
        if (i >= 0) e->out[i] += e->in[0][o];
    }
}

static void avg_pool_eval(const clm_eval *e) {
    const geometry p = geometry_at(e->node, e->in_node[0]);
    for (size_t o = 0; o < outputs(&p); o++) {
        e->out[o] = 0;
        for (int k = 0; k < p.k[0] * p.k[1]; k++) {
            const int64_t i = image_at(&p, o, k);
            if (i >= 0) e->out[o] += e->in[0][i];
        }
        e->out[o] /= p.k[0] * p.k[1];
    }
}

static void avg_pool_bwd_eval(const clm_eval *e) {
    const geometry p = geometry_at(e->node, e->in_node[0]);
    for (size_t i = 0; i < clm_shape_size(&e->node->shape); i++) e->out[i] = 0;
    for (size_t o = 0; o < outputs(&p); o++)
        for (int k = 0; k < p.k[0] * p.k[1]; k++) {
            const int64_t i = image_at(&p, o, k);
            if (i >= 0) e->out[i] += e->in[0][o] / (p.k[0] * p.k[1]);
        }
}

/* ---- launches ---- */

static void define_geometry(clm_launch_spec *spec, const geometry *p) {
    const struct {
        const char *name;
        int value;
    } all[] = {{"N", p->n},          {"H", p->h},          {"W", p->w},       {"C", p->c},
               {"OH", p->oh},        {"OW", p->ow},        {"KH", p->k[0]},   {"KW", p->k[1]},
               {"SH", p->stride[0]}, {"SW", p->stride[1]}, {"PH", p->pad[0]}, {"PW", p->pad[1]}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) clm_spec_define(spec, all[i].name, all[i].value);
}

static bool disjoint(const geometry *p) {
    return p->stride[0] == p->k[0] && p->stride[1] == p->k[1] && p->pad[0] == 0 && p->pad[1] == 0;
}

/* Rows of the grid that items go over: images times rows of windows, or of the image, and its columns. Windows that do not
 * overlap are gone over when writing the image too, with those that stick out of it. */
static void grid(const clm_node *n, const geometry *p, int *rows, int *columns) {
    const bool image = to_input(n->op);
    const int high = !image ? p->oh : disjoint(p) ? (p->h + p->k[0] - 1) / p->k[0] : p->h;
    *rows = p->n * high;
    *columns = !image ? p->ow : disjoint(p) ? (p->w + p->k[1] - 1) / p->k[1] : p->w;
}

static clm_status pool_lower(struct clm_lower *l, clm_value y) {
    const clm_graph *g = clm_lower_graph(l);
    const clm_node *n = clm_node_at(g, y);
    const geometry p = geometry_at(n, clm_node_at(g, n->in[0]));
    const bool serial = clm_tile_serial(l), by_index = n->op == CLM_OP_POOL_GATHER || n->op == CLM_OP_POOL_SCATTER;
    const int tasks = clm_lower_tasks(l, y), vec = clm_tile_vector(l, p.c);
    int rows, columns;
    grid(n, &p, &rows, &columns);
    const int item_c = serial ? p.c : vec, item_w = serial ? columns : 1;
    const double cost = (double)item_w * item_c * (to_input(n->op) ? 2 : p.k[0] * p.k[1]);
    const int per_item = clm_tile_rows(l, rows, cost, tasks);

    clm_launch_spec spec = {.file = "pool.cl"};
    const char *const entry[2][2] = {{n->op == CLM_OP_MAX_POOL_ARGMAX ? "max_pool_argmax" : "avg_pool", "pool_gather"},
                                     {"avg_pool_bwd", "pool_scatter"}};
    spec.entry = entry[to_input(n->op)][by_index];
    define_geometry(&spec, &p);
    clm_spec_define(&spec, "VEC", vec);
    clm_spec_define(&spec, "ITEM_C", item_c);
    clm_spec_define(&spec, "ITEM_W", item_w);
    clm_spec_define(&spec, "ROWS", per_item);
    clm_spec_define(&spec, "GRID_ROWS", rows);
    clm_spec_define(&spec, "GRID_COLUMNS", columns);
    clm_spec_define(&spec, "DISJOINT", disjoint(&p));
    const size_t parts = (size_t)(columns / item_w) * (size_t)(p.c / item_c);
    clm_tile_global(l, &spec, (size_t)((rows + per_item - 1) / per_item) * parts, tasks);
    spec.bytes = 4.0 * tasks * ((double)p.n * p.h * p.w * p.c + (by_index ? 2.0 : 1.0) * (double)outputs(&p));
    return clm_lower_launch(l, y, &spec, (clm_value[]){n->in[0], by_index ? n->in[1] : y, y}, by_index ? 3 : 2, NULL, 0);
}

const clm_op clm_row_max_pool_argmax = {
    .name = "max_pool_argmax", .flags = CLM_OPF_CONSTANT, .n_in = 1, .eval = max_pool_argmax_eval, .lower = pool_lower};
const clm_op clm_row_pool_gather = {.name = "pool_gather",
                                    .flags = CLM_OPF_LINEAR,
                                    .n_in = 2,
                                    .vjp = pool_gather_vjp,
                                    .eval = pool_gather_eval,
                                    .lower = pool_lower};
const clm_op clm_row_pool_scatter = {.name = "pool_scatter",
                                     .flags = CLM_OPF_LINEAR,
                                     .n_in = 2,
                                     .vjp = pool_scatter_vjp,
                                     .eval = pool_scatter_eval,
                                     .lower = pool_lower};
const clm_op clm_row_avg_pool = {
    .name = "avg_pool", .flags = CLM_OPF_LINEAR, .n_in = 1, .vjp = avg_pool_vjp, .eval = avg_pool_eval, .lower = pool_lower};
const clm_op clm_row_avg_pool_bwd = {.name = "avg_pool_bwd",
                                     .flags = CLM_OPF_LINEAR,
                                     .n_in = 1,
                                     .vjp = avg_pool_bwd_vjp,
                                     .eval = avg_pool_bwd_eval,
                                     .lower = pool_lower};
