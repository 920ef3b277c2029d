/* The layers a list may name: for each its shape rule and parameters, then its values, then one row in the table.
 *
 * The semantics are PyTorch's. Images flow as [n, h, w, c], everything else as [n, outside shape..]. Whatever depends on the
 * outside order of axes (flatten, linear on an image, norms over tokens) is put into that order, computed, and put back, so
 * parameters mean the same as outside. */
#include "model/layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/internal.h"

#define BIT(KEY) (1u << CLM_KEY_##KEY)

static clm_value apply_list(const clm_layer_run *run, const clm_layer *layers, size_t count, clm_value x);

/* ---- linear: on the last outside axis ---- */

static clm_status linear_infer(clm_model *m, clm_layer *l) {
    int width = l->in.dim[l->in.rank - 1], out = setting(l, CLM_KEY_OUT, 0);
    l->out.dim[l->in.rank - 1] = out;
    CLM_TRY(add_normal(m, l, "weight", clm_shape_of(2, out, width), CLM_LAYOUT_SAME, width, 1));
    return setting(l, CLM_KEY_BIAS, 1) ? add_constant(m, l, "bias", clm_shape_of(1, out), 0) : CLM_OK;
}

static clm_value linear_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_value bias = l->value[CLM_KEY_BIAS] != 0 ? param(run, l, 1) : CLM_INVALID;
    if (l->in.rank != 3) return clm_linear(run->g, x, param(run, l, 0), bias);
    return images_to_inner(run->g, clm_linear(run->g, images_to_outer(run->g, x), param(run, l, 0), bias));
}

/* ---- convolution and pooling: out = (in + 2 pad - dilation (kernel - 1) - 1) / stride + 1, rounded down ---- */

static clm_status window_shape(clm_layer *l, int kernel, int stride, int pad, int dilation) {
    for (int i = 1; i < 3; i++) {
        int64_t room = l->in.dim[i] + 2 * (int64_t)pad, span = dilation * (int64_t)(kernel - 1) + 1;
        if (span > room)
            return clm_fail(CLM_E_SHAPE,
                            "a window of %lld does not fit into the %lld pixels of its input's %s (padding included)",
                            (long long)span, (long long)room, i == 1 ? "height" : "width");
        int64_t size = (room - span) / stride + 1;
        if (size > INT32_MAX) return clm_fail(CLM_E_LIMIT, "its output would be %lld pixels wide", (long long)size);
        l->out.dim[i] = (int32_t)size;
    }
    return CLM_OK;
}

static clm_status conv2d_infer(clm_model *m, clm_layer *l) {
    CLM_TRY(need_image(l));
    int ci = l->in.dim[0], co = setting(l, CLM_KEY_OUT, 0), k = setting(l, CLM_KEY_KERNEL, 3),
        groups = setting(l, CLM_KEY_GROUPS, 1);
    int stride = setting(l, CLM_KEY_STRIDE, 1), pad = setting(l, CLM_KEY_PAD, k / 2),
        dilation = setting(l, CLM_KEY_DILATION, 1);
    if (ci % groups != 0 || co % groups != 0)
        return clm_fail(CLM_E_SHAPE, "groups %d must divide both the %d channels of its input and the %d of its output", groups,
                        ci, co);
    CLM_TRY(window_shape(l, k, stride, pad, dilation));
    l->out.dim[0] = co;
    CLM_TRY(
        add_normal(m, l, "weight", clm_shape_of(4, co, ci / groups, k, k), CLM_LAYOUT_OIHW, (double)(ci / groups) * k * k, 2));
    return setting(l, CLM_KEY_BIAS, 1) ? add_constant(m, l, "bias", clm_shape_of(1, co), 0) : CLM_OK;
}

static clm_value conv2d_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    int s = (int)l->value[CLM_KEY_STRIDE], p = (int)l->value[CLM_KEY_PAD], d = (int)l->value[CLM_KEY_DILATION];
    clm_conv_options options = {{s, s}, {p, p}, {d, d}, (int)l->value[CLM_KEY_GROUPS]};
    clm_value y = clm_conv2d(run->g, x, param(run, l, 0), &options);
    return l->value[CLM_KEY_BIAS] != 0 ? clm_add(run->g, y, param(run, l, 1)) : y;
}

static clm_status pool_infer(clm_model *m, clm_layer *l) {
    (void)m;
    CLM_TRY(need_image(l));
    int k = setting(l, CLM_KEY_KERNEL, 0), stride = setting(l, CLM_KEY_STRIDE, k), pad = setting(l, CLM_KEY_PAD, 0);
    if (pad > k / 2) return clm_fail(CLM_E_SHAPE, "pad %d is more than half of the kernel %d", pad, k);
    return window_shape(l, k, stride, pad, 1);
}

static clm_pool_options pool_options(const clm_layer *l) {
    int k = (int)l->value[CLM_KEY_KERNEL], s = (int)l->value[CLM_KEY_STRIDE], p = (int)l->value[CLM_KEY_PAD];
    return (clm_pool_options){{k, k}, {s, s}, {p, p}};
}

static clm_value maxpool_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_pool_options options = pool_options(l);
    return clm_max_pool(run->g, x, &options);
}

static clm_value avgpool_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_pool_options options = pool_options(l);
    return clm_avg_pool(run->g, x, &options);
}

static clm_status globalavgpool_infer(clm_model *m, clm_layer *l) {
    (void)m;
    CLM_TRY(need_image(l));
    l->out = clm_shape_of(1, (int)l->in.dim[0]);
    return CLM_OK;
}

static clm_value globalavgpool_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    (void)l;
    return clm_global_avg_pool(run->g, x);
}

/* ---- normalisation ---- */

static clm_status add_norm_params(clm_model *m, clm_layer *l, clm_shape shape) {
    real_setting(l, CLM_KEY_EPS, 1e-5);
    CLM_TRY(add_constant(m, l, "weight", shape, 1));
    return add_constant(m, l, "bias", shape, 0);
}

static clm_status batchnorm_infer(clm_model *m, clm_layer *l) {
    CLM_TRY(add_norm_params(m, l, clm_shape_of(1, (int)l->in.dim[0])));
    set_role(m, l, CLM_PARAM_BATCH_NORM);
    return CLM_OK;
}

static clm_value batchnorm_use(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_bn_stats *s = run->stats;
    if (s->next >= s->count)
        return clm_graph_error(run->g, CLM_E_STATE, "layer %s: batch-norm statistics were recorded for %zu layers only",
                               l->path, s->count);
    size_t i = s->next++;
    return clm_normalize(run->g, x, s->mean[i], s->var[i], param(run, l, 0), param(run, l, 1), l->value[CLM_KEY_EPS]);
}

static clm_value batchnorm_record(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_bn_stats *s = run->stats;
    size_t room = sizeof(s->mean) / sizeof(s->mean[0]);
    if (s && s->count >= room)
        return clm_graph_error(run->g, CLM_E_LIMIT, "layer %s: statistics can be kept of %zu batch-norm layers only", l->path,
                               room);
    clm_value mean, var;
    clm_value y = clm_batch_norm(run->g, x, param(run, l, 0), param(run, l, 1), l->value[CLM_KEY_EPS], &mean, &var);
    if (s) {
        s->mean[s->count] = mean;
        s->var[s->count++] = var;
    }
    return y;
}

static clm_value batchnorm_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    x = turn_channels_last(run->g, l, x);
    x = run->stats && run->stats->use ? batchnorm_use(run, l, x) : batchnorm_record(run, l, x);
    return turn_channels_last(run->g, l, x);
}

static clm_status layernorm_infer(clm_model *m, clm_layer *l) { return add_norm_params(m, l, l->in); }

static clm_value layernorm_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return clm_layer_norm(run->g, x, param(run, l, 0), param(run, l, 1), l->value[CLM_KEY_EPS]);
}

static clm_status groupnorm_infer(clm_model *m, clm_layer *l) {
    int c = l->in.dim[0], groups = setting(l, CLM_KEY_GROUPS, 1);
    if (c % groups != 0) return clm_fail(CLM_E_SHAPE, "groups %d must divide the %d channels of its input", groups, c);
    return add_norm_params(m, l, clm_shape_of(1, c));
}

static clm_value groupnorm_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_value y = turn_channels_last(run->g, l, x);
    y = clm_group_norm(run->g, y, (int)l->value[CLM_KEY_GROUPS], param(run, l, 0), param(run, l, 1), l->value[CLM_KEY_EPS]);
    return turn_channels_last(run->g, l, y);
}

/* ---- shape ---- */

static clm_status flatten_infer(clm_model *m, clm_layer *l) {
    (void)m;
    l->out = clm_shape_of(1, (int)clm_shape_size(&l->in));
    return CLM_OK;
}

/* C, H, W order as outside, so that a following linear layer's weight needs no conversion. */
static clm_value flatten_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    bool same_order = l->in.rank != 3 || l->in.dim[0] == 1 || (l->in.dim[1] == 1 && l->in.dim[2] == 1);
    if (!same_order) x = images_to_outer(run->g, x);
    if (x == CLM_INVALID) return CLM_INVALID;
    return clm_reshape(run->g, x, clm_shape_of(2, (int)clm_value_shape(run->g, x).dim[0], (int)l->out.dim[0]));
}

static clm_status meantokens_infer(clm_model *m, clm_layer *l) {
    (void)m;
    CLM_TRY(need_tokens(l));
    l->out = clm_shape_of(1, (int)l->in.dim[1]);
    return CLM_OK;
}

static clm_value meantokens_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    (void)l;
    return clm_mean(run->g, x, 1u << 1, false);
}

/* ---- residual: x + body(x) ---- */

static clm_status residual_infer(clm_model *m, clm_layer *l) {
    char in[96], out[96];
    (void)m;
    if (l->n_body == 0 || clm_shape_equal(&l->body[l->n_body - 1].out, &l->in)) return CLM_OK;
    return clm_fail(CLM_E_SHAPE, "its body must keep the shape, but makes %s of %s",
                    clm_shape_text(&l->body[l->n_body - 1].out, out, sizeof(out)), clm_shape_text(&l->in, in, sizeof(in)));
}

static clm_value residual_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return clm_add(run->g, x, apply_list(run, l->body, l->n_body, x));
}

/* ---- attention: one head over tokens, o(softmax(q k^T / sqrt(width)) v), no biases ---- */

static clm_status attention_infer(clm_model *m, clm_layer *l) {
    static const char *const names[] = {"q.weight", "k.weight", "v.weight", "o.weight"};
    CLM_TRY(need_tokens(l));
    int width = l->in.dim[1];
    for (int i = 0; i < 4; i++) CLM_TRY(add_normal(m, l, names[i], clm_shape_of(2, width, width), CLM_LAYOUT_SAME, width, 1));
    return CLM_OK;
}

static clm_value attention_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_graph *g = run->g;
    clm_value q = clm_linear(g, x, param(run, l, 0), CLM_INVALID), k = clm_linear(g, x, param(run, l, 1), CLM_INVALID);
    clm_value v = clm_linear(g, x, param(run, l, 2), CLM_INVALID);
    clm_value scores = clm_scale(g, clm_matmul(g, q, k, false, true), 1 / sqrt(l->in.dim[1]));
    return clm_linear(g, clm_matmul(g, clm_softmax(g, scores), v, false, false), param(run, l, 3), CLM_INVALID);
}

/* ---- activations with a setting ---- */

static clm_status elu_infer(clm_model *m, clm_layer *l) {
    (void)m;
    real_setting(l, CLM_KEY_ALPHA, 1);
    return CLM_OK;
}

static clm_value elu_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return clm_elu(run->g, x, l->value[CLM_KEY_ALPHA]);
}

static clm_status leaky_relu_infer(clm_model *m, clm_layer *l) {
    (void)m;
    real_setting(l, CLM_KEY_SLOPE, 0.01);
    return CLM_OK;
}

static clm_value leaky_relu_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return clm_leaky_relu(run->g, x, l->value[CLM_KEY_SLOPE]);
}

/* ---- the table ---- */

static const clm_layer_kind kinds[] = {
    {"linear", BIT(OUT), BIT(BIAS), linear_infer, linear_apply, NULL, true},
    {"conv2d", BIT(OUT), BIT(KERNEL) | BIT(STRIDE) | BIT(PAD) | BIT(DILATION) | BIT(GROUPS) | BIT(BIAS), conv2d_infer,
     conv2d_apply, NULL, true},
    {"batchnorm", 0, BIT(EPS), batchnorm_infer, batchnorm_apply, NULL, false},
    {"layernorm", 0, BIT(EPS), layernorm_infer, layernorm_apply, NULL, false},
    {"groupnorm", BIT(GROUPS), BIT(EPS), groupnorm_infer, groupnorm_apply, NULL, false},
    {"relu", 0, 0, NULL, NULL, clm_relu, false},
    {"tanh", 0, 0, NULL, NULL, clm_tanh, false},
    {"sigmoid", 0, 0, NULL, NULL, clm_sigmoid, false},
    {"gelu", 0, 0, NULL, NULL, clm_gelu, false},
    {"silu", 0, 0, NULL, NULL, clm_silu, false},
    {"softplus", 0, 0, NULL, NULL, clm_softplus, false},
    {"elu", 0, BIT(ALPHA), elu_infer, elu_apply, NULL, false},
    {"leaky_relu", 0, BIT(SLOPE), leaky_relu_infer, leaky_relu_apply, NULL, false},
    {"maxpool", BIT(KERNEL), BIT(STRIDE) | BIT(PAD), pool_infer, maxpool_apply, NULL, false},
    {"avgpool", BIT(KERNEL), BIT(STRIDE) | BIT(PAD), pool_infer, avgpool_apply, NULL, false},
    {"globalavgpool", 0, 0, globalavgpool_infer, globalavgpool_apply, NULL, false},
    {"flatten", 0, 0, flatten_infer, flatten_apply, NULL, false},
    {"residual", BIT(BODY), 0, residual_infer, residual_apply, NULL, false},
    {"attention", 0, 0, attention_infer, attention_apply, NULL, true},
    {"meantokens", 0, 0, meantokens_infer, meantokens_apply, NULL, false},
    {"context", BIT(SIZE), 0, clm_context_infer, clm_context_apply, NULL, false},
    {"film", BIT(SIZE), 0, clm_film_infer, clm_film_apply, NULL, false},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

const clm_layer_kind *clm_layer_kind_find(const char *op) {
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].op, op) == 0) return &kinds[i];
    return NULL;
}

const char *clm_layer_kind_names(char *text, size_t size) {
    size_t length = 0;
    text[0] = 0;
    for (int i = 0; i < KINDS && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i ? ", " : "", kinds[i].op);
    return text;
}

static clm_value apply_list(const clm_layer_run *run, const clm_layer *layers, size_t count, clm_value x) {
    for (size_t i = 0; i < count && x != CLM_INVALID; i++) {
        const clm_layer *l = &layers[i];
        x = l->kind->unary ? l->kind->unary(run->g, x) : l->kind->apply(run, l, x);
    }
    return x;
}

clm_value clm_layers_output(const clm_layer_run *run, const clm_model *model, clm_value x) {
    x = apply_list(run, model->layers, model->n_layers, x);
    return model->out.rank == 3 ? images_to_outer(run->g, x) : x;
}

clm_value clm_layers_features(const clm_layer_run *run, const clm_model *model, clm_value x) {
    char text[96];
    const clm_layer *last = &model->layers[model->n_layers - 1];
    if (last->kind->infer != linear_infer || last->in.rank != 1)
        return clm_graph_error(run->g, CLM_E_ARG,
                               "layer %s (%s) on %s: a model's features are what its last layer is given, which must be linear "
                               "and on a vector",
                               last->path, last->kind->op, clm_shape_text(&last->in, text, sizeof(text)));
    return apply_list(run, model->layers, model->n_layers - 1, x);
}

static bool has_map(const clm_layer *l) {
    for (size_t i = 0; i < l->n_body; i++)
        if (has_map(&l->body[i])) return true;
    return l->kind->map;
}

/* A body's parameters come before the layer's own. */
static size_t first_param(const clm_layer *l) { return l->n_body ? first_param(&l->body[0]) : l->first_param; }

bool clm_layers_head(const clm_layer *layers, size_t count, size_t *first) {
    for (size_t i = count; i-- > 0;) {
        if (!has_map(&layers[i])) continue;
        *first = first_param(&layers[i]);
        return true;
    }
    return false;
}

void clm_layers_free(clm_layer *layers, size_t count) {
    for (size_t i = 0; layers && i < count; i++) clm_layers_free(layers[i].body, layers[i].n_body);
    free(layers);
}
