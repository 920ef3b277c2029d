/* The layers a list may name: for each its shape rule and parameters, then its values, then one row in the table. Families are
 * in files of their own, layer_*.c.
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
    int rank = l->in.rank;
    return to_inner(run->g, rank, clm_linear(run->g, to_outer(run->g, rank, x), param(run, l, 0), bias));
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

static clm_status reshape_infer(clm_model *m, clm_layer *l) {
    char in[96], out[96];
    (void)m;
    l->out = l->shape;
    clm_status status = clm_model_check_example(&l->out);
    if (status != CLM_OK) return clm_fail_in(status, "\"shape\"");
    if (clm_shape_size(&l->out) == clm_shape_size(&l->in)) return CLM_OK;
    return clm_fail(CLM_E_SHAPE, "\"shape\" %s has another number of elements than its input, %s",
                    clm_shape_text(&l->out, out, sizeof(out)), clm_shape_text(&l->in, in, sizeof(in)));
}

/* From outside order to outside order. */
static clm_value reshape_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    x = to_outer(run->g, l->in.rank, x);
    return to_inner(run->g, l->out.rank, reshape_examples(run->g, x, l->out));
}

/* ---- residual: skip(x) + body(x); an empty list keeps x as it is ---- */

static const clm_shape *end_shape(const clm_layer *l, const clm_layer *list, size_t count) {
    return count ? &list[count - 1].out : &l->in;
}

static clm_status residual_infer(clm_model *m, clm_layer *l) {
    const clm_shape *body = end_shape(l, l->body, l->n_body), *skip = end_shape(l, l->skip, l->n_skip);
    char made[96], kept[96];
    (void)m;
    l->out = *skip;
    if (clm_shape_equal(body, skip)) return CLM_OK;
    clm_shape_text(body, made, sizeof(made));
    clm_shape_text(skip, kept, sizeof(kept));
    if (l->n_skip) return clm_fail(CLM_E_SHAPE, "its body and its skip must make the same shape, not %s and %s", made, kept);
    return clm_fail(CLM_E_SHAPE, "its body must keep the shape, but makes %s of %s; or add a \"skip\" that makes it too", made,
                    kept);
}

/* The body first: batch-norm statistics are in the order of the parameters. */
static clm_value residual_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_value body = apply_list(run, l->body, l->n_body, x);
    return clm_add(run->g, apply_list(run, l->skip, l->n_skip, x), body);
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

static clm_value hardtanh(clm_graph *g, clm_value x) { return clm_hardtanh(g, x, -1, 1); }
static clm_value relu6(clm_graph *g, clm_value x) { return clm_hardtanh(g, x, 0, 6); }

/* ---- the table ---- */

#define CONV_KEYS (BIT(KERNEL) | BIT(STRIDE) | BIT(PAD) | BIT(DILATION) | BIT(GROUPS) | BIT(BIAS))

static const clm_layer_kind kinds[] = {
    {"linear", BIT(OUT), BIT(BIAS), linear_infer, linear_apply, NULL, true},
    {"conv2d", BIT(OUT), CONV_KEYS, clm_conv2d_infer, clm_conv_apply, NULL, true},
    {"conv1d", BIT(OUT), CONV_KEYS, clm_conv1d_infer, clm_conv_apply, NULL, true},
    {"batchnorm", 0, BIT(EPS), batchnorm_infer, batchnorm_apply, NULL, false},
    {"layernorm", 0, BIT(EPS), layernorm_infer, layernorm_apply, NULL, false},
    {"groupnorm", BIT(GROUPS), BIT(EPS), groupnorm_infer, groupnorm_apply, NULL, false},
    {"rmsnorm", 0, BIT(EPS), clm_rmsnorm_infer, clm_rmsnorm_apply, NULL, false},
    {"lastnorm", 0, BIT(EPS), clm_lastnorm_infer, clm_lastnorm_apply, NULL, false},
    {"relu", 0, 0, NULL, NULL, clm_relu, false},
    {"tanh", 0, 0, NULL, NULL, clm_tanh, false},
    {"sigmoid", 0, 0, NULL, NULL, clm_sigmoid, false},
    {"gelu", 0, 0, NULL, NULL, clm_gelu, false},
    {"silu", 0, 0, NULL, NULL, clm_silu, false},
    {"mish", 0, 0, NULL, NULL, clm_mish, false},
    {"softplus", 0, 0, NULL, NULL, clm_softplus, false},
    {"elu", 0, BIT(ALPHA), elu_infer, elu_apply, NULL, false},
    {"leaky_relu", 0, BIT(SLOPE), leaky_relu_infer, leaky_relu_apply, NULL, false},
    {"hardtanh", 0, 0, NULL, NULL, hardtanh, false},
    {"relu6", 0, 0, NULL, NULL, relu6, false},
    {"softmax", 0, 0, NULL, clm_softmax_apply, NULL, false},
    {"log_softmax", 0, 0, NULL, clm_log_softmax_apply, NULL, false},
    {"maxpool", BIT(KERNEL), BIT(STRIDE) | BIT(PAD), clm_pool_infer, clm_maxpool_apply, NULL, false},
    {"avgpool", BIT(KERNEL), BIT(STRIDE) | BIT(PAD), clm_pool_infer, clm_avgpool_apply, NULL, false},
    {"globalavgpool", 0, 0, clm_globalavgpool_infer, clm_globalavgpool_apply, NULL, false},
    {"flatten", 0, 0, flatten_infer, flatten_apply, NULL, false},
    {"reshape", BIT(SHAPE), 0, reshape_infer, reshape_apply, NULL, false},
    {"residual", BIT(BODY), BIT(SKIP), residual_infer, residual_apply, NULL, false},
    {"rnn", BIT(OUT), BIT(LAST), clm_rnn_infer, clm_rnn_apply, NULL, true},
    {"gru", BIT(OUT), BIT(LAST), clm_gru_infer, clm_gru_apply, NULL, true},
    {"lstm", BIT(OUT), BIT(LAST), clm_lstm_infer, clm_lstm_apply, NULL, true},
    {"attention", 0, 0, clm_attention_infer, clm_attention_apply, NULL, true},
    {"multihead", BIT(HEADS), 0, clm_multihead_infer, clm_multihead_apply, NULL, true},
    {"embedding", BIT(ENTRIES) | BIT(OUT), 0, clm_embedding_infer, clm_embedding_apply, NULL, true},
    {"tokens", 0, 0, clm_tokens_infer, clm_tokens_apply, NULL, false},
    {"positions", 0, 0, clm_positions_infer, clm_positions_apply, NULL, false},
    {"classtoken", 0, 0, clm_classtoken_infer, clm_classtoken_apply, NULL, false},
    {"firsttoken", 0, 0, clm_one_token_infer, clm_firsttoken_apply, NULL, false},
    {"meantokens", 0, 0, clm_one_token_infer, clm_meantokens_apply, NULL, false},
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

const char *clm_layer_kind_nearest(const char *op) {
    const char *words[KINDS];
    for (int i = 0; i < KINDS; i++) words[i] = kinds[i].op;
    return clm_nearest_word(op, words, KINDS);
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
    return to_outer(run->g, model->out.rank, x);
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

static bool list_has_map(const clm_layer *layers, size_t count);

static bool has_map(const clm_layer *l) {
    return l->kind->map || list_has_map(l->body, l->n_body) || list_has_map(l->skip, l->n_skip);
}

static bool list_has_map(const clm_layer *layers, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (has_map(&layers[i])) return true;
    return false;
}

/* The parameters of a body come before those of a skip, and these before the layer's own. */
size_t clm_layer_first_param(const clm_layer *l) {
    return l->n_body ? clm_layer_first_param(&l->body[0]) : l->n_skip ? clm_layer_first_param(&l->skip[0]) : l->first_param;
}

bool clm_layers_head(const clm_layer *layers, size_t count, size_t *first) {
    for (size_t i = count; i-- > 0;) {
        if (!has_map(&layers[i])) continue;
        *first = clm_layer_first_param(&layers[i]);
        return true;
    }
    return false;
}

void clm_layers_free(clm_layer *layers, size_t count) {
    for (size_t i = 0; layers && i < count; i++) {
        clm_layers_free(layers[i].body, layers[i].n_body);
        clm_layers_free(layers[i].skip, layers[i].n_skip);
    }
    free(layers);
}
