/* Layers over the last outside axis: the width of tokens, the numbers of a vector, the columns of an image. */
#include "model/layer.h"

static int last_dim(const clm_layer *l) { return l->in.dim[l->in.rank - 1]; }

static clm_status add_scale(clm_model *m, clm_layer *l) {
    real_setting(l, CLM_KEY_EPS, 1e-5);
    return add_constant(m, l, "weight", clm_shape_of(1, last_dim(l)), 1);
}

clm_status clm_rmsnorm_infer(clm_model *m, clm_layer *l) { return add_scale(m, l); }

clm_value clm_rmsnorm_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    x = clm_rms_norm(run->g, to_outer(run->g, l->in.rank, x), param(run, l, 0), l->value[CLM_KEY_EPS]);
    return to_inner(run->g, l->in.rank, x);
}

clm_status clm_lastnorm_infer(clm_model *m, clm_layer *l) {
    CLM_TRY(add_scale(m, l));
    return add_constant(m, l, "bias", clm_shape_of(1, last_dim(l)), 0);
}

/* Layer-norm of rows. */
clm_value clm_lastnorm_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    clm_graph *g = run->g;
    x = to_outer(g, l->in.rank, x);
    const clm_shape s = clm_value_shape(g, x);
    clm_value rows = clm_reshape(g, x, clm_shape_of(2, (int)(clm_shape_size(&s) / (size_t)last_dim(l)), last_dim(l)));
    clm_value y = clm_layer_norm(g, rows, param(run, l, 0), param(run, l, 1), l->value[CLM_KEY_EPS]);
    return y == CLM_INVALID ? y : to_inner(g, l->in.rank, clm_reshape(g, y, s));
}

clm_value clm_softmax_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return to_inner(run->g, l->in.rank, clm_softmax(run->g, to_outer(run->g, l->in.rank, x)));
}

clm_value clm_log_softmax_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return to_inner(run->g, l->in.rank, clm_log_softmax(run->g, to_outer(run->g, l->in.rank, x)));
}
