/* Layers that make sequences of tokens, [tokens, width], mark them, and make vectors of them again. */
#include "model/layer.h"

/* What positions and class tokens are drawn with, as in vision transformers (Dosovitskiy et al. 2021). */
static const double token_scale = 0.02;

/* ---- embedding: [tokens] of whole numbers -> the rows of a table that they name ---- */

clm_status clm_embedding_infer(clm_model *m, clm_layer *l) {
    CLM_TRY(need_whole_numbers(l));
    int count = setting(l, CLM_KEY_ENTRIES, 0), out = setting(l, CLM_KEY_OUT, 0);
    l->out = clm_shape_of(2, (int)l->in.dim[0], out);
    return add_normal(m, l, "weight", clm_shape_of(2, count, out), CLM_LAYOUT_SAME, 1, 1);
}

clm_value clm_embedding_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_graph *g = run->g;
    const int n = clm_value_shape(g, x).dim[0];
    clm_value index = clm_reshape(g, x, clm_shape_of(1, n * (int)l->in.dim[0]));
    clm_value rows = clm_gather(g, param(run, l, 0), index, 0);
    return clm_reshape(g, rows, clm_shape_of(3, n, (int)l->out.dim[0], (int)l->out.dim[1]));
}

/* ---- tokens: the places of an image, row by row, or of a series, with the channels as their width ---- */

clm_status clm_tokens_infer(clm_model *m, clm_layer *l) {
    (void)m;
    CLM_TRY(need_image_or_series(l));
    int places = l->in.rank == 3 ? (int)(l->in.dim[1] * l->in.dim[2]) : (int)l->in.dim[1];
    l->out = clm_shape_of(2, places, (int)l->in.dim[0]);
    return CLM_OK;
}

clm_value clm_tokens_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return reshape_examples(run->g, turn_channels_last(run->g, l, x), l->out);
}

/* ---- positions: adds an array of the input's shape ---- */

clm_status clm_positions_infer(clm_model *m, clm_layer *l) {
    return clm_model_add_param(m, l->path, "weight", l->in, clm_layout_of_example(&l->in), CLM_INIT_NORMAL, token_scale);
}

clm_value clm_positions_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return clm_add(run->g, x, param(run, l, 0));
}

/* ---- one token more in front, and back to it ---- */

clm_status clm_classtoken_infer(clm_model *m, clm_layer *l) {
    CLM_TRY(need_tokens(l));
    if (l->in.dim[0] == INT32_MAX) return clm_fail(CLM_E_LIMIT, "its output would have more than 2^31 - 1 tokens");
    l->out.dim[0] = l->in.dim[0] + 1;
    return clm_model_add_param(m, l->path, "weight", clm_shape_of(2, 1, (int)l->in.dim[1]), CLM_LAYOUT_SAME, CLM_INIT_NORMAL,
                               token_scale);
}

clm_value clm_classtoken_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_graph *g = run->g;
    clm_shape token = clm_shape_of(3, 1, 1, (int)l->in.dim[1]), tokens = token;
    tokens.dim[0] = clm_value_shape(g, x).dim[0];
    clm_value row = clm_broadcast(g, clm_reshape(g, param(run, l, 0), token), tokens);
    return clm_concat(g, (const clm_value[]){row, x}, 2, 1);
}

clm_status clm_one_token_infer(clm_model *m, clm_layer *l) {
    (void)m;
    CLM_TRY(need_tokens(l));
    l->out = clm_shape_of(1, (int)l->in.dim[1]);
    return CLM_OK;
}

clm_value clm_firsttoken_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_shape first = clm_value_shape(run->g, x);
    first.dim[1] = 1;
    return reshape_examples(run->g, clm_slice(run->g, x, (const int32_t[]){0, 0, 0}, first), l->out);
}

clm_value clm_meantokens_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    (void)l;
    return clm_mean(run->g, x, 1u << 1, false);
}
