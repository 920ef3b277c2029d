/* Self-attention over tokens, [tokens, width] -> the same. */
#include "model/layer.h"

/* ---- attention: one head over tokens, o(softmax(q k^T / sqrt(width)) v), no biases ---- */

clm_status clm_attention_infer(clm_model *m, clm_layer *l) {
    static const char *const names[] = {"q.weight", "k.weight", "v.weight", "o.weight"};
    CLM_TRY(need_tokens(l));
    int width = l->in.dim[1];
    for (int i = 0; i < 4; i++) CLM_TRY(add_normal(m, l, names[i], clm_shape_of(2, width, width), CLM_LAYOUT_SAME, width, 1));
    return CLM_OK;
}

clm_value clm_attention_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_graph *g = run->g;
    clm_value q = clm_linear(g, x, param(run, l, 0), CLM_INVALID), k = clm_linear(g, x, param(run, l, 1), CLM_INVALID);
    clm_value v = clm_linear(g, x, param(run, l, 2), CLM_INVALID);
    clm_value scores = clm_scale(g, clm_matmul(g, q, k, false, true), 1 / sqrt(l->in.dim[1]));
    return clm_linear(g, clm_matmul(g, clm_softmax(g, scores), v, false, false), param(run, l, 3), CLM_INVALID);
}

/* ---- multihead: PyTorch's MultiheadAttention, with its names ---- */

clm_status clm_multihead_infer(clm_model *m, clm_layer *l) {
    CLM_TRY(need_tokens(l));
    int width = l->in.dim[1], heads = setting(l, CLM_KEY_HEADS, 1);
    if (width % heads != 0) return clm_fail(CLM_E_SHAPE, "heads %d must divide the width %d of its tokens", heads, width);
    if (width > INT32_MAX / 3) return clm_fail(CLM_E_LIMIT, "the width %d of its tokens is too large", width);
    CLM_TRY(add_normal(m, l, "in_proj_weight", clm_shape_of(2, 3 * width, width), CLM_LAYOUT_SAME, width, 1));
    CLM_TRY(add_constant(m, l, "in_proj_bias", clm_shape_of(1, 3 * width), 0));
    CLM_TRY(add_normal(m, l, "out_proj.weight", clm_shape_of(2, width, width), CLM_LAYOUT_SAME, width, 1));
    return add_constant(m, l, "out_proj.bias", clm_shape_of(1, width), 0);
}

clm_value clm_multihead_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return clm_multihead_attention(run->g, x, (int)l->value[CLM_KEY_HEADS], param(run, l, 0), param(run, l, 1),
                                   param(run, l, 2), param(run, l, 3));
}
