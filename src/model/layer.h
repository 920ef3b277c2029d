/* What the files of layers share: settings, orders of axes, checks, parameters. */
#ifndef CLM_MODEL_LAYER_H
#define CLM_MODEL_LAYER_H

#include <math.h>

#include "model/internal.h"

static inline int setting(clm_layer *l, clm_layer_key key, int otherwise) {
    if (!(l->given & (1u << key))) l->value[key] = otherwise;
    return (int)l->value[key];
}

static inline void real_setting(clm_layer *l, clm_layer_key key, double otherwise) {
    if (!(l->given & (1u << key))) l->value[key] = otherwise;
}

static inline clm_value param(const clm_layer_run *run, const clm_layer *l, size_t i) {
    return run->params[l->first_param + i];
}

static inline clm_value images_to_outer(clm_graph *g, clm_value x) {
    return clm_transpose(g, x, (const int32_t[]){0, 3, 1, 2});
}
static inline clm_value images_to_inner(clm_graph *g, clm_value x) {
    return clm_transpose(g, x, (const int32_t[]){0, 2, 3, 1});
}

static inline clm_value to_outer(clm_graph *g, int rank, clm_value x) { return rank == 3 ? images_to_outer(g, x) : x; }
static inline clm_value to_inner(clm_graph *g, int rank, clm_value x) { return rank == 3 ? images_to_inner(g, x) : x; }

/* x [n, ..] as [n, one..], which has as many elements. */
static inline clm_value reshape_examples(clm_graph *g, clm_value x, clm_shape one) {
    const clm_shape s = clm_value_shape(g, x);
    for (int i = one.rank++; i > 0; i--) one.dim[i] = one.dim[i - 1];
    one.dim[0] = s.dim[0];
    return x == CLM_INVALID ? x : clm_reshape(g, x, one);
}

/* Channels are the first outside axis. It is already last inside but for [n, tokens, width], which is turned round. */
static inline clm_value turn_channels_last(clm_graph *g, const clm_layer *l, clm_value x) {
    return l->in.rank == 2 ? clm_transpose(g, x, (const int32_t[]){0, 2, 1}) : x;
}

/* What `instead` says of an input with one axis, two, three: the remedy. */
static inline clm_status need_rank(const clm_layer *l, int rank, const char *what, const char *const instead[3]) {
    char text[96];
    if (l->in.rank == rank) return CLM_OK;
    return clm_fail(CLM_E_SHAPE, "its input must be %s, but has shape %s; %s", what, clm_shape_text(&l->in, text, sizeof(text)),
                    instead[l->in.rank - 1]);
}

static inline clm_status need_vector(const clm_layer *l) {
    static const char *const instead[] = {"", "put flatten, meantokens or globalavgpool before it",
                                          "put flatten or globalavgpool before it"};
    return need_rank(l, 1, "a vector [n]", instead);
}

static inline clm_status need_image(const clm_layer *l) {
    static const char *const instead[] = {"put reshape before it, to [C, H, W]",
                                          "conv1d is for a series; or put reshape before it, to [C, H, W]", ""};
    return need_rank(l, 3, "an image [C, H, W]", instead);
}

static inline clm_status need_series(const clm_layer *l) {
    static const char *const instead[] = {"put reshape before it, to [C, n]", "", "conv2d is for images"};
    return need_rank(l, 2, "a series [C, n]", instead);
}

static inline clm_status need_image_or_series(const clm_layer *l) {
    static const char *const instead[] = {"put reshape before it, or put it before what makes a vector", "", ""};
    return l->in.rank == 2 ? CLM_OK : need_rank(l, 3, "an image [C, H, W] or a series [C, n]", instead);
}

static inline clm_status need_tokens(const clm_layer *l) {
    static const char *const instead[] = {"put reshape before it, or embedding where these are whole numbers", "",
                                          "put tokens before it, which makes [H W, C] of an image"};
    return need_rank(l, 2, "a sequence [tokens, width]", instead);
}

static inline clm_status need_whole_numbers(const clm_layer *l) {
    static const char *const instead[] = {"", "put flatten before it", "put flatten before it"};
    return need_rank(l, 1, "a vector [tokens] of whole numbers", instead);
}

static inline clm_status add_normal(clm_model *m, const clm_layer *l, const char *name, clm_shape shape, clm_layout layout,
                                    double fan_in, double gain) {
    return clm_model_add_param(m, l->path, name, shape, layout, CLM_INIT_NORMAL, sqrt(gain / fan_in));
}

static inline clm_status add_constant(clm_model *m, const clm_layer *l, const char *name, clm_shape shape, double value) {
    return clm_model_add_param(m, l->path, name, shape, clm_layout_of_example(&shape), CLM_INIT_CONSTANT, value);
}

/* What the layer's parameters so far are. */
static inline void set_role(clm_model *m, const clm_layer *l, clm_param_role role) {
    for (size_t i = l->first_param; i < m->n_params; i++) m->params[i].role = role;
}

/* layer_window.c */
clm_status clm_conv2d_infer(clm_model *m, clm_layer *l);
clm_status clm_conv1d_infer(clm_model *m, clm_layer *l);
clm_value clm_conv_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_status clm_pool_infer(clm_model *m, clm_layer *l);
clm_value clm_maxpool_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_value clm_avgpool_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_status clm_globalavgpool_infer(clm_model *m, clm_layer *l);
clm_value clm_globalavgpool_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
/* layer_last_axis.c */
clm_status clm_rmsnorm_infer(clm_model *m, clm_layer *l);
clm_value clm_rmsnorm_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_status clm_lastnorm_infer(clm_model *m, clm_layer *l);
clm_value clm_lastnorm_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_value clm_softmax_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_value clm_log_softmax_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
/* layer_recurrent.c */
clm_status clm_rnn_infer(clm_model *m, clm_layer *l);
clm_status clm_gru_infer(clm_model *m, clm_layer *l);
clm_status clm_lstm_infer(clm_model *m, clm_layer *l);
clm_value clm_rnn_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_value clm_gru_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_value clm_lstm_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
/* layer_attention.c */
clm_status clm_attention_infer(clm_model *m, clm_layer *l);
clm_value clm_attention_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_status clm_multihead_infer(clm_model *m, clm_layer *l);
clm_value clm_multihead_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
/* layer_sequence.c */
clm_status clm_embedding_infer(clm_model *m, clm_layer *l);
clm_value clm_embedding_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_status clm_tokens_infer(clm_model *m, clm_layer *l);
clm_value clm_tokens_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_status clm_positions_infer(clm_model *m, clm_layer *l);
clm_value clm_positions_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_status clm_classtoken_infer(clm_model *m, clm_layer *l);
clm_value clm_classtoken_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_status clm_one_token_infer(clm_model *m, clm_layer *l);
clm_value clm_firsttoken_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_value clm_meantokens_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
/* layer_context.c */
clm_status clm_context_infer(clm_model *m, clm_layer *l);
clm_value clm_context_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
clm_status clm_film_infer(clm_model *m, clm_layer *l);
clm_value clm_film_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);

/* layer_dropout.c */
clm_status clm_dropout_infer(clm_model *m, clm_layer *l);
clm_value clm_dropout_apply(const clm_layer_run *run, const clm_layer *l, clm_value x);
/* Numbers a layer that drops with the rate under `key`, if that is not 0. */
void clm_drop_declare(clm_model *m, clm_layer *l, clm_layer_key key);
/* Examples of x are dropped whole, where the layer's "drop_path" and the run say so. */
clm_value clm_drop_path(const clm_layer_run *run, const clm_layer *l, clm_value x);

#endif
