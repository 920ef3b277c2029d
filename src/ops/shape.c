/* Operations that move numbers without computing: reshape, transpose, slice, pad and, made of pads, concatenate.
 *
 * All are linear. Adjoint pairs: reshape/reshape, transpose by p/by the inverse of p, slice/pad. Attributes:
 *   transpose  i[a]      the axis of the input that becomes axis a
 *   slice      i[a]      first entry along axis a
 *   pad        i[a]      zeros before axis a; i[6 + a] zeros after it
 * For a device all three are one copy with a map from output to input, see `map`. */
#include "ops/shape.h"

#include <string.h>

#include "ops/op.h"
#include "ops/tile.h"

enum { AFTER = CLM_MAX_RANK, LONG_ROW = 8192 };

/* ---- reshape ---- */

clm_value clm_reshape(clm_graph *g, clm_value x, clm_shape shape) {
    char from[80], to[80];
    double c;
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    const clm_node *n = clm_node_at(g, x);
    if (shape.rank < 0 || shape.rank > CLM_MAX_RANK || clm_shape_size(&shape) != clm_shape_size(&n->shape)) {
        if (shape.rank < 0 || shape.rank > CLM_MAX_RANK) shape.rank = CLM_MAX_RANK;
        return clm_graph_error(g, CLM_E_SHAPE, "reshape: %s to %s changes the number of elements",
                               clm_shape_text(&n->shape, from, sizeof from), clm_shape_text(&shape, to, sizeof to));
    }
    if (clm_shape_equal(&n->shape, &shape)) return x;
    if (n->op == CLM_OP_RESHAPE) return clm_reshape(g, clm_graph_past(g, x), shape);
    if (clm_is_fill(g, x, &c)) return clm_fill(g, shape, c);
    return clm_graph_add(g, CLM_OP_RESHAPE, &x, 1, shape, NULL);
}

static clm_value reshape_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)which;
    return clm_reshape(g, gy, clm_value_shape(g, clm_node_at(g, y)->in[0]));
}

static void reshape_eval(const clm_eval *e) { memcpy(e->out, e->in[0], clm_shape_size(&e->node->shape) * sizeof *e->out); }

/* ---- transpose ---- */

clm_value clm_transpose(clm_graph *g, clm_value x, const int32_t *perm) {
    char text[80], order[80];
    double c;
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    const clm_node *n = clm_node_at(g, x);
    clm_shape shape = {.rank = n->shape.rank}, asked = {.rank = n->shape.rank};
    clm_attr attr = {0};
    unsigned seen = 0;
    bool moves = false;
    for (int a = 0; a < shape.rank; a++) {
        attr.i[a] = asked.dim[a] = perm[a];
        if (perm[a] < 0 || perm[a] >= shape.rank) continue;
        seen |= 1u << perm[a];
        moves |= perm[a] != a;
        shape.dim[a] = n->shape.dim[perm[a]];
    }
    if (seen != (1u << shape.rank) - 1) {
        for (int a = 0; a < shape.rank; a++) asked.dim[a] = perm[a];
        return clm_graph_error(g, CLM_E_SHAPE, "transpose: %s is no order of the %d axes of %s",
                               clm_shape_text(&asked, order, sizeof order), shape.rank,
                               clm_shape_text(&n->shape, text, sizeof text));
    }
    if (!moves) return x;
    if (clm_is_fill(g, x, &c)) return clm_fill(g, shape, c);
    if (n->op == CLM_OP_TRANSPOSE) {
        int32_t both[CLM_MAX_RANK] = {0};
        for (int a = 0; a < shape.rank; a++) both[a] = n->attr.i[perm[a]];
        return clm_transpose(g, clm_graph_past(g, x), both);
    }
    return clm_graph_add(g, CLM_OP_TRANSPOSE, &x, 1, shape, &attr);
}

static clm_value transpose_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)which;
    const clm_node *n = clm_node_at(g, y);
    int32_t inverse[CLM_MAX_RANK] = {0};
    for (int a = 0; a < n->shape.rank; a++) inverse[n->attr.i[a]] = a;
    return clm_transpose(g, gy, inverse);
}

/* ---- slice ---- */

clm_value clm_slice(clm_graph *g, clm_value x, const int32_t *start, clm_shape shape) {
    char of[80], at[80], text[80];
    double c;
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    const clm_node *n = clm_node_at(g, x);
    clm_attr attr = {0};
    clm_shape first = {.rank = n->shape.rank};
    bool fits = shape.rank == n->shape.rank;
    for (int a = 0; a < n->shape.rank; a++) {
        attr.i[a] = first.dim[a] = start[a];
        fits = fits && start[a] >= 0 && shape.dim[a] >= 1 && (int64_t)start[a] + shape.dim[a] <= n->shape.dim[a];
    }
    if (!fits) {
        if (shape.rank < 0 || shape.rank > CLM_MAX_RANK) shape.rank = CLM_MAX_RANK;
        return clm_graph_error(g, CLM_E_SHAPE, "slice: %s from %s on does not lie within %s",
                               clm_shape_text(&shape, text, sizeof text), clm_shape_text(&first, at, sizeof at),
                               clm_shape_text(&n->shape, of, sizeof of));
    }
    if (clm_shape_equal(&shape, &n->shape)) return x;
    if (clm_is_fill(g, x, &c)) return clm_fill(g, shape, c);
    if (n->op == CLM_OP_SLICE) {
        int32_t both[CLM_MAX_RANK] = {0};
        for (int a = 0; a < shape.rank; a++) both[a] = start[a] + n->attr.i[a];
        return clm_slice(g, clm_graph_past(g, x), both, shape);
    }
    if (n->op == CLM_OP_PAD && clm_shape_equal(&shape, &clm_node_at(g, n->in[0])->shape) &&
        memcmp(attr.i, n->attr.i, CLM_MAX_RANK * sizeof attr.i[0]) == 0)
        return clm_graph_past(g, x);
    return clm_graph_add(g, CLM_OP_SLICE, &x, 1, shape, &attr);
}

static clm_value slice_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)which;
    const clm_node *n = clm_node_at(g, y), *x = clm_node_at(g, n->in[0]);
    int32_t before[CLM_MAX_RANK] = {0}, after[CLM_MAX_RANK] = {0};
    for (int a = 0; a < n->shape.rank; a++) {
        before[a] = n->attr.i[a];
        after[a] = x->shape.dim[a] - n->shape.dim[a] - before[a];
    }
    return clm_pad(g, gy, before, after);
}

/* ---- pad ---- */

clm_value clm_pad(clm_graph *g, clm_value x, const int32_t *before, const int32_t *after) {
    char text[80], b[80], f[80];
    double c;
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    const clm_node *n = clm_node_at(g, x);
    clm_shape shape = {.rank = n->shape.rank}, front = shape, back = shape;
    clm_attr attr = {0};
    bool fits = true;
    for (int a = 0; a < shape.rank; a++) {
        const int64_t size = (int64_t)before[a] + n->shape.dim[a] + after[a];
        attr.i[a] = front.dim[a] = before[a];
        attr.i[AFTER + a] = back.dim[a] = after[a];
        shape.dim[a] = (int32_t)size;
        fits = fits && before[a] >= 0 && after[a] >= 0 && size <= INT32_MAX;
    }
    if (!fits)
        return clm_graph_error(g, CLM_E_SHAPE, "pad: %s before and %s after %s: a count is negative or too large",
                               clm_shape_text(&front, b, sizeof b), clm_shape_text(&back, f, sizeof f),
                               clm_shape_text(&n->shape, text, sizeof text));
    if (clm_shape_equal(&shape, &n->shape)) return x;
    if (clm_is_fill(g, x, &c) && c == 0) return clm_fill(g, shape, 0);
    if (n->op == CLM_OP_PAD) {
        int32_t outer_before[CLM_MAX_RANK] = {0}, outer_after[CLM_MAX_RANK] = {0};
        for (int a = 0; a < shape.rank; a++) {
            outer_before[a] = before[a] + n->attr.i[a];
            outer_after[a] = after[a] + n->attr.i[AFTER + a];
        }
        return clm_pad(g, clm_graph_past(g, x), outer_before, outer_after);
    }
    return clm_graph_add(g, CLM_OP_PAD, &x, 1, shape, &attr);
}

static clm_value pad_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)which;
    const clm_node *n = clm_node_at(g, y);
    return clm_slice(
        g, gy, (int32_t[CLM_MAX_RANK]){n->attr.i[0], n->attr.i[1], n->attr.i[2], n->attr.i[3], n->attr.i[4], n->attr.i[5]},
        clm_value_shape(g, n->in[0]));
}

/* ---- concatenate ---- */

/* Parts first .. last - 1 next to each other. Halving keeps the copying at count * log(count) rather than count squared. */
static clm_value concat_range(clm_graph *g, const clm_value *x, size_t first, size_t last, int axis) {
    if (last - first == 1) return x[first];
    const size_t middle = first + (last - first) / 2;
    const clm_value a = concat_range(g, x, first, middle, axis), b = concat_range(g, x, middle, last, axis);
    const int32_t none[CLM_MAX_RANK] = {0};
    int32_t after[CLM_MAX_RANK] = {0}, before[CLM_MAX_RANK] = {0};
    after[axis] = clm_value_shape(g, b).dim[axis];
    before[axis] = clm_value_shape(g, a).dim[axis];
    if (a == CLM_INVALID || b == CLM_INVALID) return CLM_INVALID;
    return clm_add(g, clm_pad(g, a, none, after), clm_pad(g, b, before, none));
}

clm_value clm_concat(clm_graph *g, const clm_value *x, size_t count, int axis) {
    char first[80], other[80];
    if (count == 0) return clm_graph_error(g, CLM_E_ARG, "concat: nothing to concatenate");
    for (size_t i = 0; i < count; i++)
        if (!clm_graph_valid(g, &x[i], 1)) return CLM_INVALID;
    const clm_shape s = clm_value_shape(g, x[0]);
    if (axis < 0 || axis >= s.rank)
        return clm_graph_error(g, CLM_E_SHAPE, "concat: %s has no axis %d", clm_shape_text(&s, first, sizeof first), axis);
    for (size_t i = 1; i < count; i++) {
        const clm_shape t = clm_value_shape(g, x[i]);
        clm_shape like = t;
        if (t.rank == s.rank) like.dim[axis] = s.dim[axis];
        if (!clm_shape_equal(&like, &s))
            return clm_graph_error(g, CLM_E_SHAPE, "concat: part %zu, %s, differs from part 0, %s, in more than axis %d", i,
                                   clm_shape_text(&t, other, sizeof other), clm_shape_text(&s, first, sizeof first), axis);
    }
    return concat_range(g, x, 0, count, axis);
}

/* ---- split ---- */

/* Not by clm_slice, which would take the slice of a slice from where that came from. */
static clm_value part_of(clm_graph *g, clm_value x, int axis, int first, int count) {
    clm_shape shape = clm_value_shape(g, x);
    clm_attr attr = {0};
    double c;
    shape.dim[axis] = count;
    attr.i[axis] = first;
    return clm_is_fill(g, x, &c) ? clm_fill(g, shape, c) : clm_graph_add(g, CLM_OP_SLICE, &x, 1, shape, &attr);
}

bool clm_split(clm_graph *g, clm_value x, int axis, clm_value *parts) {
    if (!clm_graph_valid(g, &x, 1)) return false;
    const int count = clm_value_shape(g, x).dim[axis], half = count / 2;
    if (count == 1) {
        parts[0] = x;
        return true;
    }
    return clm_split(g, part_of(g, x, axis, 0, half), axis, parts) &&
           clm_split(g, part_of(g, x, axis, half, count - half), axis, parts + half);
}

/* ---- the map ---- */

/* y[i] = x[base + sum of stride[a] * i[a]] where lo[a] <= i[a] < hi[a] for all axes a, else 0. Output axes, the last
 * fastest. */
typedef struct map {
    int rank;
    int dim[CLM_MAX_RANK], stride[CLM_MAX_RANK], lo[CLM_MAX_RANK], hi[CLM_MAX_RANK], base;
} map;

static map map_of(const clm_node *n, const clm_shape *x) {
    map m = {.rank = n->shape.rank};
    int stride[CLM_MAX_RANK] = {0};
    for (int a = x->rank - 1, s = 1; a >= 0; s *= x->dim[a--]) stride[a] = s;
    for (int a = 0; a < m.rank; a++) {
        const int from = n->op == CLM_OP_TRANSPOSE ? n->attr.i[a] : a;
        m.dim[a] = m.hi[a] = n->shape.dim[a];
        m.stride[a] = stride[from];
        if (n->op == CLM_OP_SLICE) m.base += n->attr.i[a] * stride[a];
        if (n->op == CLM_OP_PAD) {
            m.base -= n->attr.i[a] * stride[a];
            m.lo[a] = n->attr.i[a];
            m.hi[a] = m.lo[a] + x->dim[a];
        }
    }
    return m;
}

/* Axes that are contiguous in both become one; then the rank is made 6 by axes of 1 in front. */
static void map_collapse(map *m) {
    int dim[CLM_MAX_RANK], stride[CLM_MAX_RANK], lo[CLM_MAX_RANK], hi[CLM_MAX_RANK], n = 0;
    for (int a = m->rank - 1; a >= 0; a--) {
        const bool whole = n && lo[n - 1] == 0 && hi[n - 1] == dim[n - 1];
        const bool one = m->dim[a] == 1 && m->hi[a] == 1;
        if (one && n) continue;
        if (whole && (dim[n - 1] == 1 || m->stride[a] == stride[n - 1] * dim[n - 1])) {
            const int inner = dim[n - 1];
            stride[n - 1] = inner == 1 ? m->stride[a] : stride[n - 1];
            dim[n - 1] = m->dim[a] * inner;
            lo[n - 1] = m->lo[a] * inner;
            hi[n - 1] = m->hi[a] * inner;
            continue;
        }
        dim[n] = m->dim[a], stride[n] = m->stride[a], lo[n] = m->lo[a], hi[n] = m->hi[a];
        n++;
    }
    for (int i = 0; i < CLM_MAX_RANK; i++) {
        const int a = CLM_MAX_RANK - 1 - i;
        m->dim[a] = i < n ? dim[i] : 1;
        m->stride[a] = i < n ? stride[i] : 0;
        m->lo[a] = i < n ? lo[i] : 0;
        m->hi[a] = i < n ? hi[i] : 1;
    }
    m->rank = CLM_MAX_RANK;
}

static void map_eval(const clm_eval *e) {
    map m = map_of(e->node, &e->in_node[0]->shape);
    map_collapse(&m);
    const size_t size = clm_shape_size(&e->node->shape);
    for (size_t i = 0; i < size; i++) {
        int64_t at = m.base;
        bool inside = true;
        size_t rest = i;
        for (int a = CLM_MAX_RANK - 1; a >= 0; rest /= (size_t)m.dim[a--]) {
            const int k = (int)(rest % (size_t)m.dim[a]);
            at += (int64_t)m.stride[a] * k;
            inside = inside && k >= m.lo[a] && k < m.hi[a];
        }
        e->out[i] = inside ? e->in[0][at] : 0;
    }
}

static clm_status map_lower(struct clm_lower *l, clm_value y) {
    const clm_node *n = clm_node_at(clm_lower_graph(l), y);
    map m = map_of(n, &clm_node_at(clm_lower_graph(l), n->in[0])->shape);
    map_collapse(&m);
    const int last = CLM_MAX_RANK - 1, tasks = clm_lower_tasks(l, y), row = m.dim[last];
    const int rows = (int)(clm_shape_size(&n->shape) / (size_t)row);
    int vec = m.stride[last] == 1 ? clm_tile_vector(l, row) : 1;
    while (m.lo[last] % vec || m.hi[last] % vec) vec /= 2;
    const int cols = !clm_tile_serial(l) ? vec : row < LONG_ROW ? row : LONG_ROW;
    const int per_item = clm_tile_rows(l, rows, cols, tasks);

    clm_launch_spec spec = {.file = "shape.cl", .entry = "move"};
    static const char *const name[4][CLM_MAX_RANK] = {{"D0", "D1", "D2", "D3", "D4", "D5"},
                                                      {"S0", "S1", "S2", "S3", "S4", "S5"},
                                                      {"LO0", "LO1", "LO2", "LO3", "LO4", "LO5"},
                                                      {"HI0", "HI1", "HI2", "HI3", "HI4", "HI5"}};
    const int *const value[4] = {m.dim, m.stride, m.lo, m.hi};
    for (int k = 0; k < 4; k++)
        for (int a = 0; a < CLM_MAX_RANK; a++) clm_spec_define(&spec, name[k][a], value[k][a]);
    clm_spec_define(&spec, "BASE", m.base);
    clm_spec_define(&spec, "VEC", vec);
    clm_spec_define(&spec, "COLS", cols);
    clm_spec_define(&spec, "ROWS", per_item);
    clm_tile_global(l, &spec, (size_t)((rows + per_item - 1) / per_item) * (size_t)((row + cols - 1) / cols), tasks);
    spec.bytes = 8.0 * rows * row * tasks;
    return clm_lower_launch(l, y, &spec, (clm_value[]){n->in[0], y}, 2, NULL, 0);
}

const clm_op clm_row_reshape = {
    .name = "reshape", .flags = CLM_OPF_LINEAR | CLM_OPF_VIEW, .n_in = 1, .vjp = reshape_vjp, .eval = reshape_eval};
const clm_op clm_row_transpose = {
    .name = "transpose", .flags = CLM_OPF_LINEAR, .n_in = 1, .vjp = transpose_vjp, .eval = map_eval, .lower = map_lower};
const clm_op clm_row_slice = {
    .name = "slice", .flags = CLM_OPF_LINEAR, .n_in = 1, .vjp = slice_vjp, .eval = map_eval, .lower = map_lower};
const clm_op clm_row_pad = {
    .name = "pad", .flags = CLM_OPF_LINEAR, .n_in = 1, .vjp = pad_vjp, .eval = map_eval, .lower = map_lower};
