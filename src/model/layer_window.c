/* Layers that slide a window over an image [C, H, W] or a series [C, n]: convolution and pooling.
 *
 *   out = (in + 2 pad - dilation (kernel - 1) - 1) / stride + 1, rounded down
 *
 * A series is an image of height 1: [n, w, c] is seen as [n, 1, w, c], and there is no stride or padding in the height. */
#include "model/layer.h"

static bool is_series(const clm_layer *l) { return l->in.rank == 2; }

static clm_status window_shape(clm_layer *l, int kernel, int stride, int pad, int dilation) {
    for (int i = 1; i < l->in.rank; i++) {
        int64_t room = l->in.dim[i] + 2 * (int64_t)pad, span = dilation * (int64_t)(kernel - 1) + 1;
        if (span > room)
            return clm_fail(CLM_E_SHAPE, "a window of %lld does not fit into the %lld %s of its input's %s (padding included)",
                            (long long)span, (long long)room, is_series(l) ? "places" : "pixels",
                            is_series(l) ? "length"
                            : i == 1     ? "height"
                                         : "width");
        int64_t size = (room - span) / stride + 1;
        if (size > INT32_MAX)
            return clm_fail(CLM_E_LIMIT, "its output would be %lld %s", (long long)size, is_series(l) ? "long" : "pixels wide");
        l->out.dim[i] = (int32_t)size;
    }
    return CLM_OK;
}

/* [n, h, w, c] of what flows between layers, and back. */
static clm_value to_windows(clm_graph *g, const clm_layer *l, clm_value x) {
    if (!is_series(l)) return x;
    return reshape_examples(g, turn_channels_last(g, l, x), clm_shape_of(3, 1, (int)l->in.dim[1], (int)l->in.dim[0]));
}

static clm_value from_windows(clm_graph *g, const clm_layer *l, clm_value x) {
    if (!is_series(l)) return x;
    return turn_channels_last(g, l, reshape_examples(g, x, clm_shape_of(2, (int)l->out.dim[1], (int)l->out.dim[0])));
}

/* ---- convolution ---- */

/* Settings, output shape, and the weight's fan-in for `axes` axes of the window. */
static clm_status conv_settings(clm_layer *l, int axes, double *fan_in) {
    int ci = l->in.dim[0], co = setting(l, CLM_KEY_OUT, 0), k = setting(l, CLM_KEY_KERNEL, 3),
        groups = setting(l, CLM_KEY_GROUPS, 1);
    int stride = setting(l, CLM_KEY_STRIDE, 1), pad = setting(l, CLM_KEY_PAD, k / 2),
        dilation = setting(l, CLM_KEY_DILATION, 1);
    if (ci % groups != 0 || co % groups != 0)
        return clm_fail(CLM_E_SHAPE, "groups %d must divide both the %d channels of its input and the %d of its output", groups,
                        ci, co);
    CLM_TRY(window_shape(l, k, stride, pad, dilation));
    l->out.dim[0] = co;
    const int cig = ci / groups;
    *fan_in = (double)cig * k * (axes == 2 ? k : 1);
    return CLM_OK;
}

static clm_status add_conv_params(clm_model *m, clm_layer *l, clm_shape weight, clm_layout layout, double fan_in) {
    CLM_TRY(add_normal(m, l, "weight", weight, layout, fan_in, 2));
    return setting(l, CLM_KEY_BIAS, 1) ? add_constant(m, l, "bias", clm_shape_of(1, (int)weight.dim[0]), 0) : CLM_OK;
}

static int group_inputs(const clm_layer *l) { return l->in.dim[0] / (int)l->value[CLM_KEY_GROUPS]; }

clm_status clm_conv2d_infer(clm_model *m, clm_layer *l) {
    double fan_in = 0;
    CLM_TRY(need_image(l));
    CLM_TRY(conv_settings(l, 2, &fan_in));
    int k = (int)l->value[CLM_KEY_KERNEL];
    return add_conv_params(m, l, clm_shape_of(4, (int)l->out.dim[0], group_inputs(l), k, k), CLM_LAYOUT_OIHW, fan_in);
}

clm_status clm_conv1d_infer(clm_model *m, clm_layer *l) {
    double fan_in = 0;
    CLM_TRY(need_series(l));
    CLM_TRY(conv_settings(l, 1, &fan_in));
    return add_conv_params(m, l, clm_shape_of(3, (int)l->out.dim[0], group_inputs(l), (int)l->value[CLM_KEY_KERNEL]),
                           CLM_LAYOUT_OIW, fan_in);
}

/* [w, i, o] as [1, w, i, o] */
static clm_value filter_of(const clm_layer_run *run, const clm_layer *l) {
    clm_value filter = param(run, l, 0);
    const clm_shape s = clm_value_shape(run->g, filter);
    return is_series(l) ? clm_reshape(run->g, filter, clm_shape_of(4, 1, (int)s.dim[0], (int)s.dim[1], (int)s.dim[2])) : filter;
}

clm_value clm_conv_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    int s = (int)l->value[CLM_KEY_STRIDE], p = (int)l->value[CLM_KEY_PAD], d = (int)l->value[CLM_KEY_DILATION];
    clm_conv_options options = {{s, s}, {p, p}, {d, d}, (int)l->value[CLM_KEY_GROUPS]};
    if (is_series(l)) options.stride[0] = options.dilation[0] = 1, options.pad[0] = 0;
    clm_value y = clm_conv2d(run->g, to_windows(run->g, l, x), filter_of(run, l), &options);
    return from_windows(run->g, l, l->value[CLM_KEY_BIAS] != 0 ? clm_add(run->g, y, param(run, l, 1)) : y);
}

/* ---- pooling ---- */

clm_status clm_pool_infer(clm_model *m, clm_layer *l) {
    (void)m;
    CLM_TRY(need_image_or_series(l));
    int k = setting(l, CLM_KEY_KERNEL, 0), stride = setting(l, CLM_KEY_STRIDE, k), pad = setting(l, CLM_KEY_PAD, 0);
    if (pad > k / 2)
        return clm_fail(CLM_E_SHAPE, "pad %d is more than half of the kernel %d; at most %d is possible", pad, k, k / 2);
    return window_shape(l, k, stride, pad, 1);
}

static clm_pool_options pool_options(const clm_layer *l) {
    int k = (int)l->value[CLM_KEY_KERNEL], s = (int)l->value[CLM_KEY_STRIDE], p = (int)l->value[CLM_KEY_PAD];
    if (is_series(l)) return (clm_pool_options){{1, k}, {1, s}, {0, p}};
    return (clm_pool_options){{k, k}, {s, s}, {p, p}};
}

clm_value clm_maxpool_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_pool_options options = pool_options(l);
    return from_windows(run->g, l, clm_max_pool(run->g, to_windows(run->g, l, x), &options));
}

clm_value clm_avgpool_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_pool_options options = pool_options(l);
    return from_windows(run->g, l, clm_avg_pool(run->g, to_windows(run->g, l, x), &options));
}

clm_status clm_globalavgpool_infer(clm_model *m, clm_layer *l) {
    (void)m;
    CLM_TRY(need_image_or_series(l));
    l->out = clm_shape_of(1, (int)l->in.dim[0]);
    return CLM_OK;
}

clm_value clm_globalavgpool_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return is_series(l) ? clm_mean(run->g, x, 1u << 2, false) : clm_global_avg_pool(run->g, x);
}
