/* Between outside and inside layout, checks of labels, and binding: shared by trainer and learner. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "meta/internal.h"

clm_status clm_bind_all(clm_program *p, const clm_bind *binds, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (binds[i].tensor && clm_program_has(p, binds[i].value)) CLM_TRY(clm_program_bind(p, binds[i].value, binds[i].tensor));
    return CLM_OK;
}

clm_status clm_labels_check(const clm_inner *inner, int tasks, const char *what, const float *labels, int examples) {
    clm_shape out = clm_model_out_shape(inner->model);
    int classes = out.dim[out.rank - 1];
    if (inner->loss != CLM_LOSS_CROSS_ENTROPY) return CLM_OK;
    for (size_t e = 0; e < (size_t)examples * (size_t)tasks; e++) {
        float y = labels[e];
        if (y >= 0 && y < (float)classes && y == floorf(y)) continue;
        return clm_fail(CLM_E_ARG, "task %zu, %s example %zu has the label %g; the model's classes are 0 to %d",
                        e / (size_t)examples, what, e % (size_t)examples, (double)y, classes - 1);
    }
    return CLM_OK;
}

bool clm_inner_input_differs(const clm_model *model) {
    clm_shape s = clm_model_in_shape(model);
    return s.rank == 3 && s.dim[0] != 1 && s.dim[1] * s.dim[2] != 1;
}

const float *clm_inner_input(const clm_model *model, const float *data, size_t examples, float *staging) {
    if (!clm_inner_input_differs(model)) return data;
    clm_shape s = clm_model_in_shape(model);
    size_t channels = (size_t)s.dim[0], pixels = (size_t)s.dim[1] * (size_t)s.dim[2];
    for (size_t e = 0; e < examples; e++)
        for (size_t c = 0; c < channels; c++)
            for (size_t p = 0; p < pixels; p++) staging[(e * pixels + p) * channels + c] = data[(e * channels + c) * pixels + p];
    return staging;
}

clm_status clm_param_write(const clm_model *model, size_t i, clm_tensor *to, const double *data) {
    const clm_param *param = clm_model_param(model, i);
    size_t n = clm_shape_size(&param->shape);
    double *inner = clm_calloc(n, sizeof *inner);
    if (!inner) return CLM_E_MEMORY;
    clm_layout_to_inner(param->layout, &param->shape, 1, data, inner);
    clm_status status = clm_tensor_write_f64(to, inner, n);
    free(inner);
    return status;
}

clm_status clm_param_read(const clm_model *model, size_t i, clm_tensor *from, size_t count, double scale, double *data) {
    const clm_param *param = clm_model_param(model, i);
    size_t n = clm_shape_size(&param->shape) * count;
    double *inner = clm_calloc(n, sizeof *inner);
    if (!inner) return CLM_E_MEMORY;
    clm_status status = clm_tensor_read_f64(from, inner, n);
    if (status == CLM_OK) {
        for (size_t k = 0; k < n; k++) inner[k] *= scale;
        clm_layout_to_outer(param->layout, &param->shape, count, inner, data);
    }
    free(inner);
    return status;
}
