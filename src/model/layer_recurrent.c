/* Recurrent layers over tokens, [tokens, width] -> [tokens, out], or with "last" the [out] of the last token. One layer in one
 * direction; names, shapes and order of gates are PyTorch's (weight_ih_l0, ..). */
#include "model/layer.h"

static clm_status recurrent_infer(clm_model *m, clm_layer *l, int gates) {
    CLM_TRY(need_tokens(l));
    int width = l->in.dim[1], out = setting(l, CLM_KEY_OUT, 0);
    if (out > INT32_MAX / gates) return clm_fail(CLM_E_LIMIT, "\"out\" %d is too large", out);
    int rows = gates * out;
    l->out = setting(l, CLM_KEY_LAST, 0) ? clm_shape_of(1, out) : clm_shape_of(2, (int)l->in.dim[0], out);
    CLM_TRY(add_normal(m, l, "weight_ih_l0", clm_shape_of(2, rows, width), CLM_LAYOUT_SAME, width, 1));
    CLM_TRY(add_normal(m, l, "weight_hh_l0", clm_shape_of(2, rows, out), CLM_LAYOUT_SAME, out, 1));
    CLM_TRY(add_constant(m, l, "bias_ih_l0", clm_shape_of(1, rows), 0));
    return add_constant(m, l, "bias_hh_l0", clm_shape_of(1, rows), 0);
}

clm_status clm_rnn_infer(clm_model *m, clm_layer *l) { return recurrent_infer(m, l, 1); }
clm_status clm_gru_infer(clm_model *m, clm_layer *l) { return recurrent_infer(m, l, 3); }
clm_status clm_lstm_infer(clm_model *m, clm_layer *l) { return recurrent_infer(m, l, 4); }

static clm_recurrent_weights weights_of(const clm_layer_run *run, const clm_layer *l) {
    return (clm_recurrent_weights){param(run, l, 0), param(run, l, 1), param(run, l, 2), param(run, l, 3)};
}

clm_value clm_rnn_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_recurrent_weights weights = weights_of(run, l);
    return clm_rnn(run->g, x, &weights, l->value[CLM_KEY_LAST] != 0);
}

clm_value clm_gru_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_recurrent_weights weights = weights_of(run, l);
    return clm_gru(run->g, x, &weights, l->value[CLM_KEY_LAST] != 0);
}

clm_value clm_lstm_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_recurrent_weights weights = weights_of(run, l);
    return clm_lstm(run->g, x, &weights, l->value[CLM_KEY_LAST] != 0);
}
