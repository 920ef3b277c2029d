/* Layers composed from operations: their derivatives need nothing of their own. loss.c has the losses. */
#include "ops/op.h"

static unsigned axes_but_last(const clm_shape *s) { return (1u << (s->rank - 1)) - 1; }

static bool need_rank(clm_graph *g, const char *what, clm_value x, int least) {
    char text[80];
    if (!clm_graph_valid(g, &x, 1)) return false;
    if (g->nodes[x].shape.rank >= least) return true;
    clm_graph_error(g, CLM_E_SHAPE, "%s: needs at least %d axes, not shape %s", what, least,
                    clm_shape_text(&g->nodes[x].shape, text, sizeof text));
    return false;
}

clm_value clm_global_avg_pool(clm_graph *g, clm_value x) {
    if (!need_rank(g, "global average pool", x, 4)) return CLM_INVALID;
    return clm_mean(g, x, 2u | 4u, false);
}

/* ---- normalisation ---- */

static clm_value scale_shift(clm_graph *g, clm_value x, clm_value scale, clm_value shift) {
    if (scale != CLM_INVALID) x = clm_mul(g, x, scale);
    if (shift != CLM_INVALID) x = clm_add(g, x, shift);
    return x;
}

/* (x - mean) / sqrt(var + eps) with the statistics over `axes`; two passes, so that a large mean costs no digits */
static clm_value standardize(clm_graph *g, clm_value x, unsigned axes, double eps, clm_value *mean_out, clm_value *var_out) {
    clm_value mean = clm_mean(g, x, axes, true);
    clm_value centred = clm_sub(g, x, mean);
    clm_value var = clm_mean(g, clm_mul(g, centred, centred), axes, true);
    if (mean_out) *mean_out = mean;
    if (var_out) *var_out = var;
    return clm_mul(g, centred, clm_rsqrt(g, clm_affine(g, var, 1, eps)));
}

clm_value clm_batch_norm(clm_graph *g, clm_value x, clm_value scale, clm_value shift, double eps, clm_value *mean_out,
                         clm_value *var_out) {
    if (!need_rank(g, "batch-norm", x, 2)) return CLM_INVALID;
    return scale_shift(g, standardize(g, x, axes_but_last(&g->nodes[x].shape), eps, mean_out, var_out), scale, shift);
}

/* mean = sum_i m_i x_i / sum_i m_i, and so the variance, each example with all its places */
clm_value clm_masked_batch_norm(clm_graph *g, clm_value x, clm_value mask, clm_value scale, clm_value shift, double eps,
                                clm_value *mean_out, clm_value *var_out) {
    char xt[80], mt[80];
    if (!need_rank(g, "masked batch-norm", x, 2) || !clm_graph_valid(g, &mask, 1)) return CLM_INVALID;
    const clm_shape s = g->nodes[x].shape, m = g->nodes[mask].shape;
    if (m.rank != 1 || m.dim[0] != s.dim[0])
        return clm_graph_error(g, CLM_E_SHAPE, "masked batch-norm: the mask must be [n], not %s for x %s",
                               clm_shape_text(&m, mt, sizeof mt), clm_shape_text(&s, xt, sizeof xt));
    clm_shape column = s;
    for (int i = 1; i < s.rank; i++) column.dim[i] = 1;
    const unsigned axes = axes_but_last(&s);
    const double places = (double)clm_shape_size(&s) / s.dim[0] / s.dim[s.rank - 1];
    const clm_value weight = clm_reshape(g, mask, column), count = clm_scale(g, clm_sum_all(g, mask), places);
    const clm_value mean = clm_div(g, clm_sum(g, clm_mul(g, x, weight), axes, true), count);
    const clm_value centred = clm_sub(g, x, mean), square = clm_mul(g, centred, centred);
    const clm_value var = clm_div(g, clm_sum(g, clm_mul(g, square, weight), axes, true), count);
    if (mean_out) *mean_out = mean;
    if (var_out) *var_out = var;
    return scale_shift(g, clm_mul(g, centred, clm_rsqrt(g, clm_affine(g, var, 1, eps))), scale, shift);
}

clm_value clm_normalize(clm_graph *g, clm_value x, clm_value mean, clm_value var, clm_value scale, clm_value shift,
                        double eps) {
    clm_value centred = clm_sub(g, x, mean);
    return scale_shift(g, clm_mul(g, centred, clm_rsqrt(g, clm_affine(g, var, 1, eps))), scale, shift);
}

clm_value clm_layer_norm(clm_graph *g, clm_value x, clm_value scale, clm_value shift, double eps) {
    if (!need_rank(g, "layer-norm", x, 2)) return CLM_INVALID;
    unsigned axes = ((1u << g->nodes[x].shape.rank) - 1) & ~1u;
    return scale_shift(g, standardize(g, x, axes, eps, NULL, NULL), scale, shift);
}

clm_value clm_rms_norm(clm_graph *g, clm_value x, clm_value scale, double eps) {
    if (!need_rank(g, "rms-norm", x, 1)) return CLM_INVALID;
    clm_value square = clm_mean(g, clm_mul(g, x, x), 1u << (g->nodes[x].shape.rank - 1), true);
    return scale_shift(g, clm_mul(g, x, clm_rsqrt(g, clm_affine(g, square, 1, eps))), scale, CLM_INVALID);
}

clm_value clm_group_norm(clm_graph *g, clm_value x, int groups, clm_value scale, clm_value shift, double eps) {
    char text[80];
    if (!need_rank(g, "group-norm", x, 2)) return CLM_INVALID;
    clm_shape s = g->nodes[x].shape;
    int channels = s.dim[s.rank - 1];
    if (groups < 1 || channels % groups)
        return clm_graph_error(g, CLM_E_SHAPE, "group-norm: %d groups do not divide the %d channels of shape %s", groups,
                               channels, clm_shape_text(&s, text, sizeof text));
    size_t between = clm_shape_size(&s) / (size_t)s.dim[0] / (size_t)channels;
    clm_shape split = clm_shape_of(4, s.dim[0], (int)between, groups, channels / groups);
    clm_value y = standardize(g, clm_reshape(g, x, split), 2u | 8u, eps, NULL, NULL);
    return scale_shift(g, clm_reshape(g, y, s), scale, shift);
}

/* ---- softmax ---- */

/* x minus its maximum over the last axis. Both functions below are invariant to the shift, so leaving it out of the derivative
 * is exact. */
static clm_value shifted(clm_graph *g, clm_value x, unsigned *axis) {
    *axis = 1u << (g->nodes[x].shape.rank - 1);
    return clm_sub(g, x, clm_stop_gradient(g, clm_reduce_max(g, x, *axis, true)));
}

clm_value clm_softmax(clm_graph *g, clm_value x) {
    unsigned axis;
    if (!need_rank(g, "softmax", x, 1)) return CLM_INVALID;
    clm_value e = clm_exp(g, shifted(g, x, &axis));
    return clm_div(g, e, clm_sum(g, e, axis, true));
}

clm_value clm_log_softmax(clm_graph *g, clm_value x) {
    unsigned axis;
    if (!need_rank(g, "log-softmax", x, 1)) return CLM_INVALID;
    clm_value z = shifted(g, x, &axis);
    return clm_sub(g, z, clm_log(g, clm_sum(g, clm_exp(g, z), axis, true)));
}
