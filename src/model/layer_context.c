/* Layers with a context, a vector of a few numbers that stands for the task: adapted while the rest of the model is not, and 0
 * when a task begins (CAVIA, Zintgraf et al. 2019). Each layer has one of its own. */
#include "model/layer.h"

static clm_status add_context(clm_model *m, const clm_layer *l, int size) {
    CLM_TRY(add_constant(m, l, "context", clm_shape_of(1, size), 0));
    set_role(m, l, CLM_PARAM_CONTEXT);
    return CLM_OK;
}

static clm_value context_row(const clm_layer_run *run, const clm_layer *l) {
    return clm_reshape(run->g, param(run, l, 0), clm_shape_of(2, 1, (int)l->value[CLM_KEY_SIZE]));
}

/* ---- context: behind the features ---- */

clm_status clm_context_infer(clm_model *m, clm_layer *l) {
    CLM_TRY(need_vector(l));
    int size = setting(l, CLM_KEY_SIZE, 0);
    if (size > INT32_MAX - l->in.dim[0]) return clm_fail(CLM_E_LIMIT, "its output would be longer than 2^31 - 1 numbers");
    l->out.dim[0] = l->in.dim[0] + size;
    return add_context(m, l, size);
}

clm_value clm_context_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_shape rows = clm_shape_of(2, (int)clm_value_shape(run->g, x).dim[0], (int)l->value[CLM_KEY_SIZE]);
    return clm_concat(run->g, (const clm_value[]){x, clm_broadcast(run->g, context_row(run, l), rows)}, 2, 1);
}

/* ---- film: gamma x + beta for each channel, (gamma, beta) = weight context + bias (Perez et al. 2018). It begins as the
 * identity: gamma's bias is 1, beta's 0. The weight has variance 1 / size, as CAVIA's code draws it. ---- */

clm_status clm_film_infer(clm_model *m, clm_layer *l) {
    int channels = l->in.dim[0], size = setting(l, CLM_KEY_SIZE, 0);
    if (channels > INT32_MAX / 2) return clm_fail(CLM_E_LIMIT, "%d channels are too many", channels);
    CLM_TRY(add_context(m, l, size));
    CLM_TRY(add_normal(m, l, "weight", clm_shape_of(2, 2 * channels, size), CLM_LAYOUT_SAME, size, 1));
    return clm_model_add_param(m, l->path, "bias", clm_shape_of(1, 2 * channels), CLM_LAYOUT_SAME, CLM_INIT_FIRST_HALF, 1);
}

clm_value clm_film_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    int channels = l->in.dim[0];
    clm_graph *g = run->g;
    clm_shape row = clm_shape_of(2, 1, channels);
    clm_value both = clm_linear(g, context_row(run, l), param(run, l, 1), param(run, l, 2));
    clm_value gamma = clm_slice(g, both, (const int32_t[]){0, 0}, row);
    clm_value beta = clm_slice(g, both, (const int32_t[]){0, channels}, row);
    x = turn_channels_last(g, l, x);
    return turn_channels_last(g, l, clm_add(g, clm_mul(g, x, gamma), beta));
}
