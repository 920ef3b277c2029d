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
    const clm_value scale = param(run, l, 0), shift = param(run, l, 1);
    const double eps = l->value[CLM_KEY_EPS];
    clm_value mean, var;
    const clm_value y = s && s->masked ? clm_masked_batch_norm(run->g, x, s->mask, scale, shift, eps, &mean, &var)
                                       : clm_batch_norm(run->g, x, scale, shift, eps, &mean, &var);
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
    return clm_fail(CLM_E_SHAPE, "\"shape\" %s has another number of elements than its input, %s: it needs %zu",
                    clm_shape_text(&l->out, out, sizeof(out)), clm_shape_text(&l->in, in, sizeof(in)), clm_shape_size(&l->in));
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
    clm_drop_declare(m, l, CLM_KEY_DROP);
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
    clm_value body = clm_drop_path(run, l, apply_list(run, l->body, l->n_body, x));
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

static clm_status sign_infer(clm_model *m, clm_layer *l) {
    (void)m;
    real_setting(l, CLM_KEY_GRADIENT, 1);
    return CLM_OK;
}

static clm_value sign_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return clm_straight_sign(run->g, x, l->value[CLM_KEY_GRADIENT]);
}

static clm_status round_infer(clm_model *m, clm_layer *l) {
    (void)m;
    real_setting(l, CLM_KEY_GRADIENT, HUGE_VAL);
    return CLM_OK;
}

static clm_value round_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return clm_straight_round(run->g, x, l->value[CLM_KEY_GRADIENT]);
}

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
    {"sign", 0, BIT(GRADIENT), sign_infer, sign_apply, NULL, false},
    {"round", 0, BIT(GRADIENT), round_infer, round_apply, NULL, false},
    {"softmax", 0, 0, NULL, clm_softmax_apply, NULL, false},
    {"log_softmax", 0, 0, NULL, clm_log_softmax_apply, NULL, false},
    {"maxpool", BIT(KERNEL), BIT(STRIDE) | BIT(PAD), clm_pool_infer, clm_maxpool_apply, NULL, false},
    {"avgpool", BIT(KERNEL), BIT(STRIDE) | BIT(PAD), clm_pool_infer, clm_avgpool_apply, NULL, false},
    {"globalavgpool", 0, 0, clm_globalavgpool_infer, clm_globalavgpool_apply, NULL, false},
    {"flatten", 0, 0, flatten_infer, flatten_apply, NULL, false},
    {"reshape", BIT(SHAPE), 0, reshape_infer, reshape_apply, NULL, false},
    {"dropout", BIT(RATE), 0, clm_dropout_infer, clm_dropout_apply, NULL, false},
    {"residual", BIT(BODY), BIT(SKIP) | BIT(DROP), residual_infer, residual_apply, NULL, false},
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

/* ---- how to try each of them: the shape of its input, one for all of a rank so that kernels are shared, and what it is told ---- */

#define LAYER(op) "{\"op\": \"" op "\"}"

static const struct trial {
    const char *op, *in, *told;
} trials[] = {
    {"linear", "6", "\"out\": 5"},
    {"conv2d", "4, 5, 3", "\"out\": 3, \"stride\": 2"},
    {"conv1d", "4, 6", "\"out\": 4, \"dilation\": 2"},
    {"batchnorm", "4, 5, 3", ""},
    {"layernorm", "4, 5, 3", ""},
    {"groupnorm", "4, 5, 3", "\"groups\": 2"},
    {"rmsnorm", "4, 6", ""},
    {"lastnorm", "4, 6", ""},
    {"relu", "6", ""},
    {"tanh", "6", ""},
    {"sigmoid", "6", ""},
    {"gelu", "6", ""},
    {"silu", "6", ""},
    {"mish", "6", ""},
    {"softplus", "6", ""},
    {"elu", "6", "\"alpha\": 0.7"},
    {"leaky_relu", "6", "\"slope\": 0.2"},
    {"hardtanh", "6", ""},
    {"relu6", "6", ""},
    {"sign", "6", ""},
    {"round", "6", "\"gradient\": \"clip\""},
    {"softmax", "4, 6", ""},
    {"log_softmax", "4, 6", ""},
    {"maxpool", "4, 5, 3", "\"kernel\": 2"},
    {"avgpool", "4, 5, 3", "\"kernel\": 3, \"stride\": 2, \"pad\": 1"},
    {"globalavgpool", "4, 5, 3", ""},
    {"flatten", "4, 5, 3", ""},
    {"reshape", "4, 5, 3", "\"shape\": [10, 6]"},
    {"dropout", "6", "\"rate\": 0.4"},
    {"residual", "6",
     "\"body\": [{\"op\": \"linear\", \"out\": 5}, " LAYER("tanh") "], \"skip\": [{\"op\": \"linear\", \"out\": 5}]"},
    {"rnn", "4, 6", "\"out\": 3"},
    {"gru", "4, 6", "\"out\": 3"},
    {"lstm", "4, 6", "\"out\": 3, \"last\": true"},
    {"attention", "4, 6", ""},
    {"multihead", "4, 6", "\"heads\": 2"},
    {"embedding", "4", "\"count\": 5, \"out\": 3"},
    {"tokens", "4, 5, 3", ""},
    {"positions", "4, 6", ""},
    {"classtoken", "4, 6", ""},
    {"firsttoken", "4, 6", ""},
    {"meantokens", "4, 6", ""},
    {"context", "5", "\"size\": 2"},
    {"film", "4, 5, 3", "\"size\": 2"},
};

size_t clm_layer_count(void) { return KINDS; }
const char *clm_layer_name(size_t i) { return i < KINDS ? kinds[i].op : NULL; }

/* What learns before it, so that derivatives go through it: of the shape of its input. Tokens come from nowhere. */
static const char *before(const clm_layer_kind *kind, const char *in, char *text, size_t size) {
    const char *last = strrchr(in, ','), *image = strchr(in, ',') == last ? NULL : in;
    if (kind->infer == clm_embedding_infer) return "";
    if (image)
        snprintf(text, size, "{\"op\": \"conv2d\", \"out\": %ld}, ", strtol(in, NULL, 10));
    else
        snprintf(text, size, "{\"op\": \"linear\", \"out\": %ld}, ", strtol(last ? last + 1 : in, NULL, 10));
    return text;
}

const char *clm_layer_trial(size_t i, char *text, size_t size) {
    char first[64];
    if (size) text[0] = 0;
    for (size_t k = 0; i < KINDS && k < sizeof(trials) / sizeof(trials[0]); k++) {
        const struct trial *t = &trials[k];
        if (strcmp(t->op, kinds[i].op) != 0) continue;
        snprintf(text, size,
                 "{\"in_shape\": [%s], \"layers\": [%s{\"op\": \"%s\"%s%s}, " LAYER(
                     "flatten") ", {\"op\": \"linear\", \"out\": 3}]}",
                 t->in, before(&kinds[i], t->in, first, sizeof(first)), t->op, *t->told ? ", " : "", t->told);
    }
    return text;
}

/* ---- finding ---- */

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

typedef bool (*is_kind)(const clm_layer_kind *kind);

static bool is_map(const clm_layer_kind *kind) { return kind->map; }
static bool is_linear_or_convolution(const clm_layer_kind *kind) {
    return kind->infer == linear_infer || kind->infer == clm_conv2d_infer || kind->infer == clm_conv1d_infer;
}

static bool list_has(const clm_layer *layers, size_t count, is_kind is);

/* Is the layer of this kind, or has it one in its lists? */
static bool holds(const clm_layer *l, is_kind is) {
    return is(l->kind) || list_has(l->body, l->n_body, is) || list_has(l->skip, l->n_skip, is);
}

static bool list_has(const clm_layer *layers, size_t count, is_kind is) {
    for (size_t i = 0; i < count; i++)
        if (holds(&layers[i], is)) return true;
    return false;
}

static size_t find_last(const clm_layer *layers, size_t count, is_kind is) {
    for (size_t i = count; i-- > 0;)
        if (holds(&layers[i], is)) return i;
    return count;
}

/* The parameters of a body come before those of a skip, and these before the layer's own. */
size_t clm_layer_first_param(const clm_layer *l) {
    return l->n_body ? clm_layer_first_param(&l->body[0]) : l->n_skip ? clm_layer_first_param(&l->skip[0]) : l->first_param;
}

size_t clm_layers_head_layer(const clm_layer *layers, size_t count) {
    return find_last(layers, count, is_linear_or_convolution);
}

bool clm_layers_head(const clm_layer *layers, size_t count, size_t *first) {
    size_t i = clm_layers_head_layer(layers, count);
    if (i == count) i = find_last(layers, count, is_map);
    if (i == count) return false;
    *first = clm_layer_first_param(&layers[i]);
    return true;
}

/* Does the layer hand the numbers of its input on, in another shape at most? */
static bool keeps_numbers(const clm_layer_kind *kind) {
    return kind->infer == flatten_infer || kind->infer == reshape_infer || kind->infer == clm_tokens_infer;
}

static const clm_layer *fewer(const clm_layer *a, const clm_layer *b) {
    return !a || (b && b->value[CLM_KEY_ENTRIES] < a->value[CLM_KEY_ENTRIES]) ? b : a;
}

const clm_layer *clm_layers_tokens(const clm_layer *layers, size_t count) {
    const clm_layer *found = NULL;
    for (size_t i = 0; i < count; i++) {
        const clm_layer *l = &layers[i];
        if (l->kind->infer == clm_embedding_infer) return fewer(found, l);
        if (keeps_numbers(l->kind)) continue;
        found = fewer(found, clm_layers_tokens(l->body, l->n_body));
        return fewer(found, clm_layers_tokens(l->skip, l->n_skip));
    }
    return found;
}

void clm_layers_free(clm_layer *layers, size_t count) {
    for (size_t i = 0; layers && i < count; i++) {
        clm_layers_free(layers[i].body, layers[i].n_body);
        clm_layers_free(layers[i].skip, layers[i].n_skip);
    }
    free(layers);
}
