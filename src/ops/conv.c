/* Two-dimensional convolution and its adjoints: builders, derivatives, double-precision reference.
 *
 * Images are [n, h, w, c], filters [kh, kw, ci/groups, co]. With stride s, padding p, dilation d:
 *   conv2d(x, w)           y[oy] = sum_k x[oy s - p + k d] w[k]          (and likewise along the width)
 *   conv2d_bwd_data(dy, f) dx[iy] = sum_k dy[(iy - p' + k d) / s] f[k],  p' = d (kh - 1) - p,  f = flip_filter(w)
 *   conv2d_bwd_filter      dw[k] = sum_oy x[oy s - p + k d] dy[oy]
 * All are linear in each operand. The adjoint in the data is thus a correlation of dy, stretched by the stride, with the
 * flipped filter: at stride 1 it is conv2d itself, and the builder emits that, so that one kernel serves both and the flipped
 * filter is shared by everything that needs it. The node conv2d_bwd_data is left for strides.
 *
 * Attributes of all three, as the convolution has them: i[0..1] stride, i[2..3] padding, i[4..5] dilation (height, width),
 * i[6] groups, i[7..8] height and width of the result: of the image for conv2d_bwd_data, of the filter for conv2d_bwd_filter, 0
 * for conv2d. flip_filter has i[6] alone.
 */
#include <string.h>

#include "ops/choice.h"
#include "ops/conv.h"

enum { STRIDE = 0, PAD = 2, DILATION = 4, GROUPS = 6, TARGET = 7 };

/* Numbers too large for an image or a filter, small enough that their products fit an int. */
enum { OPTION_LIMIT = 1 << 15 };

static clm_attr attr_from(const clm_conv_options *o, int target_h, int target_w) {
    clm_attr attr;
    memset(&attr, 0, sizeof attr);
    for (int k = 0; k < 2; k++) {
        attr.i[STRIDE + k] = o->stride[k];
        attr.i[PAD + k] = o->pad[k];
        attr.i[DILATION + k] = o->dilation[k];
    }
    attr.i[GROUPS] = o->groups;
    attr.i[TARGET] = target_h;
    attr.i[TARGET + 1] = target_w;
    return attr;
}

static clm_conv_options options_from(const clm_attr *attr) {
    clm_conv_options o = {.groups = attr->i[GROUPS]};
    for (int k = 0; k < 2; k++) {
        o.stride[k] = attr->i[STRIDE + k];
        o.pad[k] = attr->i[PAD + k];
        o.dilation[k] = attr->i[DILATION + k];
    }
    return o;
}

/* Positions of a filter of `kernel` on an axis of `size`; 0 or less: it does not fit. */
static int positions(int size, int kernel, const clm_conv_options *o, int axis) {
    int room = size + 2 * o->pad[axis] - o->dilation[axis] * (kernel - 1) - 1;
    return room < 0 ? 0 : room / o->stride[axis] + 1;
}

static bool options_good(clm_graph *g, const char *what, const clm_conv_options *o) {
    if (!o) {
        clm_graph_error(g, CLM_E_ARG, "%s: the options are NULL; CLM_CONV_INIT gives the usual ones", what);
        return false;
    }
    bool good = o->groups >= 1;
    for (int k = 0; k < 2; k++)
        good = good && o->stride[k] >= 1 && o->stride[k] <= OPTION_LIMIT && o->pad[k] >= 0 && o->pad[k] <= OPTION_LIMIT &&
               o->dilation[k] >= 1 && o->dilation[k] <= OPTION_LIMIT;
    if (!good)
        clm_graph_error(
            g, CLM_E_ARG,
            "%s: stride %dx%d, padding %dx%d, dilation %dx%d, groups %d: padding must be 0 or more, the others 1 or more, "
            "all at most %d",
            what, o->stride[0], o->stride[1], o->pad[0], o->pad[1], o->dilation[0], o->dilation[1], o->groups, OPTION_LIMIT);
    return good;
}

/* Valid, and four axes each? */
static bool operands_good(clm_graph *g, const char *what, clm_value a, clm_value b) {
    const clm_value in[2] = {a, b};
    if (!clm_graph_valid(g, in, 2)) return false;
    const clm_shape *sa = &clm_node_at(g, a)->shape, *sb = &clm_node_at(g, b)->shape;
    if (sa->rank == 4 && sb->rank == 4) return true;
    char ta[96], tb[96];
    clm_graph_error(g, CLM_E_SHAPE,
                    "%s: operands of shapes %s and %s: both need four axes (images n h w c, filters kh kw ci/groups co)", what,
                    clm_shape_text(sa, ta, sizeof ta), clm_shape_text(sb, tb, sizeof tb));
    return false;
}

/* Do image x, filter w and result y [n, oh, ow, co] belong together? */
static bool shapes_good(clm_graph *g, const char *what, const clm_shape *x, const clm_shape *w, const clm_shape *y,
                        const clm_conv_options *o) {
    char tx[96], tw[96], ty[96];
    clm_shape_text(x, tx, sizeof tx);
    clm_shape_text(w, tw, sizeof tw);
    clm_shape_text(y, ty, sizeof ty);
    if (x->dim[3] != w->dim[2] * o->groups || w->dim[3] % o->groups != 0) {
        clm_graph_error(g, CLM_E_SHAPE,
                        "%s: image %s and filter %s do not fit with %d groups: the filter needs shape [kh, kw, %d/%d, co]",
                        what, tx, tw, o->groups, x->dim[3], o->groups);
        return false;
    }
    if (y->dim[1] < 1 || y->dim[2] < 1) {
        clm_graph_error(g, CLM_E_SHAPE, "%s: filter %s with dilation %dx%d is larger than the padded image %s (padding %dx%d)",
                        what, tw, o->dilation[0], o->dilation[1], tx, o->pad[0], o->pad[1]);
        return false;
    }
    if (y->dim[0] != x->dim[0] || y->dim[3] != w->dim[3] || y->dim[1] != positions(x->dim[1], w->dim[0], o, 0) ||
        y->dim[2] != positions(x->dim[2], w->dim[1], o, 1)) {
        clm_graph_error(g, CLM_E_SHAPE,
                        "%s: image %s with filter %s and stride %dx%d, padding %dx%d, dilation %dx%d does not give %s", what,
                        tx, tw, o->stride[0], o->stride[1], o->pad[0], o->pad[1], o->dilation[0], o->dilation[1], ty);
        return false;
    }
    return true;
}

clm_value clm_conv2d(clm_graph *g, clm_value x, clm_value filter, const clm_conv_options *options) {
    const char *what = "conv2d";
    if (!operands_good(g, what, x, filter) || !options_good(g, what, options)) return CLM_INVALID;
    clm_shape sx = clm_node_at(g, x)->shape, sw = clm_node_at(g, filter)->shape;
    clm_shape sy = clm_shape_of(4, sx.dim[0], positions(sx.dim[1], sw.dim[0], options, 0),
                                positions(sx.dim[2], sw.dim[1], options, 1), sw.dim[3]);
    if (!shapes_good(g, what, &sx, &sw, &sy, options)) return CLM_INVALID;
    const clm_value in[2] = {x, filter};
    clm_attr attr = attr_from(options, 0, 0);
    return clm_graph_add(g, CLM_OP_CONV2D, in, 2, sy, &attr);
}

clm_value clm_conv2d_bwd_data(clm_graph *g, clm_value dy, clm_value filter, int h, int w, const clm_conv_options *options) {
    const char *what = "conv2d_bwd_data";
    if (!operands_good(g, what, dy, filter) || !options_good(g, what, options)) return CLM_INVALID;
    clm_shape sy = clm_node_at(g, dy)->shape, sw = clm_node_at(g, filter)->shape;
    clm_shape sx = clm_shape_of(4, sy.dim[0], h, w, sw.dim[2] * options->groups);
    if (!shapes_good(g, what, &sx, &sw, &sy, options)) return CLM_INVALID;
    clm_value flipped = clm_flip_filter(g, filter, options->groups);
    int ph = options->dilation[0] * (sw.dim[0] - 1) - options->pad[0],
        pw = options->dilation[1] * (sw.dim[1] - 1) - options->pad[1];
    if (options->stride[0] == 1 && options->stride[1] == 1 && ph >= 0 && pw >= 0) {
        clm_conv_options turned = *options;
        turned.pad[0] = ph;
        turned.pad[1] = pw;
        return clm_conv2d(g, dy, flipped, &turned);
    }
    const clm_value in[2] = {dy, flipped};
    clm_attr attr = attr_from(options, h, w);
    return clm_graph_add(g, CLM_OP_CONV2D_BWD_DATA, in, 2, sx, &attr);
}

clm_value clm_conv2d_bwd_filter(clm_graph *g, clm_value x, clm_value dy, int kh, int kw, const clm_conv_options *options) {
    const char *what = "conv2d_bwd_filter";
    if (!operands_good(g, what, x, dy) || !options_good(g, what, options)) return CLM_INVALID;
    if (kh < 1 || kw < 1) return clm_graph_error(g, CLM_E_ARG, "%s: a filter of %dx%d", what, kh, kw);
    clm_shape sx = clm_node_at(g, x)->shape, sy = clm_node_at(g, dy)->shape;
    clm_shape sw = clm_shape_of(4, kh, kw, sx.dim[3] / options->groups, sy.dim[3]);
    if (!shapes_good(g, what, &sx, &sw, &sy, options)) return CLM_INVALID;
    const clm_value in[2] = {x, dy};
    clm_attr attr = attr_from(options, kh, kw);
    return clm_graph_add(g, CLM_OP_CONV2D_BWD_FILTER, in, 2, sw, &attr);
}

clm_value clm_flip_filter(clm_graph *g, clm_value w, int groups) {
    if (!clm_graph_valid(g, &w, 1)) return CLM_INVALID;
    const clm_node *node = clm_node_at(g, w);
    if (node->op == CLM_OP_FLIP_FILTER && node->attr.i[GROUPS] == groups) return clm_graph_past(g, w);
    const clm_shape s = node->shape;
    if (s.rank != 4 || groups < 1 || s.dim[3] % groups != 0) {
        char text[96];
        return clm_graph_error(g, CLM_E_SHAPE, "flip_filter: %s is no filter [kh, kw, ci/groups, co] of %d groups",
                               clm_shape_text(&s, text, sizeof text), groups);
    }
    clm_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.i[GROUPS] = groups;
    return clm_graph_add(g, CLM_OP_FLIP_FILTER, &w, 1,
                         clm_shape_of(4, s.dim[0], s.dim[1], s.dim[3] / groups, s.dim[2] * groups), &attr);
}

/* ---- derivatives ---- */

static clm_value conv2d_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    const clm_node node = *clm_node_at(g, y); /* a copy: building moves the nodes */
    const clm_shape x = clm_node_at(g, node.in[0])->shape, w = clm_node_at(g, node.in[1])->shape;
    clm_conv_options o = options_from(&node.attr);
    if (which == 0) return clm_conv2d_bwd_data(g, gy, node.in[1], x.dim[1], x.dim[2], &o);
    return clm_conv2d_bwd_filter(g, node.in[0], gy, w.dim[0], w.dim[1], &o);
}

static clm_value conv2d_bwd_data_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    const clm_node node = *clm_node_at(g, y);
    const clm_shape flipped = clm_node_at(g, node.in[1])->shape;
    clm_conv_options o = options_from(&node.attr);
    if (which == 0) return clm_conv2d(g, gy, clm_flip_filter(g, node.in[1], o.groups), &o);
    return clm_flip_filter(g, clm_conv2d_bwd_filter(g, gy, node.in[0], flipped.dim[0], flipped.dim[1], &o), o.groups);
}

static clm_value conv2d_bwd_filter_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    const clm_node node = *clm_node_at(g, y);
    const clm_shape x = clm_node_at(g, node.in[0])->shape;
    clm_conv_options o = options_from(&node.attr);
    if (which == 0) return clm_conv2d_bwd_data(g, node.in[1], gy, x.dim[1], x.dim[2], &o);
    return clm_conv2d(g, node.in[0], gy, &o);
}

static clm_value flip_filter_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)which;
    return clm_flip_filter(g, gy, clm_node_at(g, y)->attr.i[GROUPS]);
}

/* ---- geometry and reference ---- */

clm_conv_geometry clm_conv_geometry_of(const clm_node *node, const clm_node *a, const clm_node *b) {
    const int32_t *i = node->attr.i;
    const bool bwd_data = node->op == CLM_OP_CONV2D_BWD_DATA, bwd_filter = node->op == CLM_OP_CONV2D_BWD_FILTER;
    const clm_shape *x = &a->shape, *w = bwd_filter ? &node->shape : &b->shape, *y = bwd_filter ? &b->shape : &node->shape;
    clm_conv_geometry c = {.n = x->dim[0], .h = x->dim[1], .w = x->dim[2], .ci = x->dim[3], .oh = y->dim[1], .ow = y->dim[2]};
    c.co = y->dim[3];
    c.kh = w->dim[0];
    c.kw = w->dim[1];
    c.groups = i[GROUPS];
    c.dh = i[DILATION];
    c.dw = i[DILATION + 1];
    c.sh = bwd_data ? 1 : i[STRIDE];
    c.sw = bwd_data ? 1 : i[STRIDE + 1];
    c.uh = bwd_data ? i[STRIDE] : 1;
    c.uw = bwd_data ? i[STRIDE + 1] : 1;
    c.ph = bwd_data ? c.dh * (c.kh - 1) - i[PAD] : i[PAD];
    c.pw = bwd_data ? c.dw * (c.kw - 1) - i[PAD + 1] : i[PAD + 1];
    return c;
}

double clm_conv_flops(const clm_conv_geometry *c) {
    const int cig = c->ci / c->groups;
    return 2.0 * c->n * c->oh * c->ow * c->co * c->kh * c->kw * cig / (c->uh * c->uw);
}

/* The entry of x that output position `o` and filter position `k` meet on an axis of `size`; -1: none. */
static int meet(int o, int k, int s, int p, int d, int u, int size) {
    int i = o * s - p + k * d;
    return i >= 0 && i % u == 0 && i / u < size ? i / u : -1;
}

/* One meeting of a pixel of x with a pixel of y through the filter's entry w [ci/groups, co]. */
typedef void (*meeting)(const clm_conv_geometry *c, const double *x, const double *w, const double *y, double *out);

static void add_to_y(const clm_conv_geometry *c, const double *x, const double *w, const double *y, double *out) {
    (void)y;
    const int cig = c->ci / c->groups, cog = c->co / c->groups;
    for (int g = 0; g < c->groups; g++)
        for (int i = 0; i < cig; i++) {
            const double xi = x[g * cig + i], *wi = w + (size_t)i * c->co + (size_t)g * cog;
            for (int o = 0; o < cog; o++) out[g * cog + o] += xi * wi[o];
        }
}

static void add_to_w(const clm_conv_geometry *c, const double *x, const double *w, const double *y, double *out) {
    (void)w;
    const int cig = c->ci / c->groups, cog = c->co / c->groups;
    for (int g = 0; g < c->groups; g++)
        for (int i = 0; i < cig; i++) {
            const double xi = x[g * cig + i], *yi = y + (size_t)g * cog;
            double *wi = out + (size_t)i * c->co + (size_t)g * cog;
            for (int o = 0; o < cog; o++) wi[o] += xi * yi[o];
        }
}

/* Visits all meetings; out is y or, when `to_w`, the filter. */
static void each_meeting(const clm_conv_geometry *c, const double *x, const double *w, const double *y, double *out,
                         bool to_w) {
    const meeting visit = to_w ? add_to_w : add_to_y;
    const size_t entry = (size_t)(c->ci / c->groups) * c->co;
    for (int n = 0; n < c->n; n++)
        for (int oy = 0; oy < c->oh; oy++)
            for (int ox = 0; ox < c->ow; ox++) {
                const size_t at_y = (((size_t)n * c->oh + oy) * c->ow + ox) * c->co;
                for (int k = 0; k < c->kh * c->kw; k++) {
                    const int iy = meet(oy, k / c->kw, c->sh, c->ph, c->dh, c->uh, c->h);
                    const int ix = meet(ox, k % c->kw, c->sw, c->pw, c->dw, c->uw, c->w);
                    if (iy < 0 || ix < 0) continue;
                    const double *at_x = x + (((size_t)n * c->h + iy) * c->w + ix) * c->ci;
                    visit(c, at_x, to_w ? NULL : w + k * entry, to_w ? y + at_y : NULL, out + (to_w ? k * entry : at_y));
                }
            }
}

static void conv2d_eval(const clm_eval *e) {
    const clm_conv_geometry c = clm_conv_geometry_of(e->node, e->in_node[0], e->in_node[1]);
    memset(e->out, 0, clm_shape_size(&e->node->shape) * sizeof *e->out);
    each_meeting(&c, e->in[0], e->in[1], NULL, e->out, false);
}

static void conv2d_bwd_filter_eval(const clm_eval *e) {
    const clm_conv_geometry c = clm_conv_geometry_of(e->node, e->in_node[0], e->in_node[1]);
    memset(e->out, 0, clm_shape_size(&e->node->shape) * sizeof *e->out);
    each_meeting(&c, e->in[0], NULL, e->in[1], e->out, true);
}

static void flip_filter_eval(const clm_eval *e) {
    const clm_shape *s = &e->node->shape;
    const int taps = s->dim[0] * s->dim[1], groups = e->node->attr.i[GROUPS], rows = s->dim[2], columns = s->dim[3] / groups;
    for (int k = 0; k < taps; k++)
        for (int r = 0; r < rows; r++)
            for (int g = 0; g < groups; g++)
                for (int i = 0; i < columns; i++)
                    e->out[((size_t)k * rows + r) * s->dim[3] + (size_t)g * columns + i] =
                        e->in[0][((size_t)(taps - 1 - k) * columns + i) * rows * groups + (size_t)g * rows + r];
}

const clm_op clm_row_conv2d = {.name = "conv2d",
                               .flags = CLM_OPF_MULTILINEAR,
                               .n_in = 2,
                               .vjp = conv2d_vjp,
                               .eval = conv2d_eval,
                               .lower = clm_choice_lower};
const clm_op clm_row_conv2d_bwd_data = {.name = "conv2d_bwd_data",
                                        .flags = CLM_OPF_MULTILINEAR,
                                        .n_in = 2,
                                        .vjp = conv2d_bwd_data_vjp,
                                        .eval = conv2d_eval,
                                        .lower = clm_choice_lower};
const clm_op clm_row_conv2d_bwd_filter = {.name = "conv2d_bwd_filter",
                                          .flags = CLM_OPF_MULTILINEAR,
                                          .n_in = 2,
                                          .vjp = conv2d_bwd_filter_vjp,
                                          .eval = conv2d_bwd_filter_eval,
                                          .lower = clm_choice_lower};
const clm_op clm_row_flip_filter = {.name = "flip_filter",
                                    .flags = CLM_OPF_LINEAR,
                                    .n_in = 1,
                                    .vjp = flip_filter_vjp,
                                    .eval = flip_filter_eval,
                                    .lower = clm_flip_filter_lower};
