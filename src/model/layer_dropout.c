/* Layers that drop at random in training: dropout (Srivastava et al. 2014) each number with probability `rate`; a residual layer
 * with `drop_path` its whole body, for each example (stochastic depth, Huang et al. 2016). What is left counts 1 / (1 - rate) times, so
 * that a model in use has nothing to make up for. */
#include "model/layer.h"

void clm_drop_declare(clm_model *m, clm_layer *l, clm_layer_key key) {
    if (l->value[key] > 0) l->drop = ++m->n_drops;
}

/* x times a mask of its shape, of which `axes` axes are not 1. */
static clm_value drop(const clm_layer_run *run, const clm_layer *l, double rate, int axes, clm_value x) {
    if (!run->dropout || !l->drop || x == CLM_INVALID) return x;
    clm_shape shape = clm_value_shape(run->g, x);
    for (int i = axes; i < shape.rank; i++) shape.dim[i] = 1;
    return clm_mul(run->g, x, clm_dropout_mask(run->g, run->dropout->key, shape, rate, run->dropout->pass, l->drop));
}

clm_status clm_dropout_infer(clm_model *m, clm_layer *l) {
    clm_drop_declare(m, l, CLM_KEY_RATE);
    return CLM_OK;
}

clm_value clm_dropout_apply(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return drop(run, l, l->value[CLM_KEY_RATE], CLM_MAX_RANK, x);
}

clm_value clm_drop_path(const clm_layer_run *run, const clm_layer *l, clm_value x) {
    return drop(run, l, l->value[CLM_KEY_DROP], 1, x);
}
