/* Between outside and inside layout, and binding: shared by meta-learner and learner. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/internal.h"
#include "meta/internal.h"

clm_status clm_bind_all(clm_program *p, const clm_bind *binds, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (binds[i].tensor && clm_program_has(p, binds[i].value))
            CLM_TRY(clm_program_bind(p, binds[i].value, binds[i].tensor));
    return CLM_OK;
}

clm_value clm_copy_of(clm_graph *g, clm_value v, size_t index) {
    clm_attr attr = {{(int32_t)index + 1}, {1, 0}};
    return clm_graph_add(g, CLM_OP_AFFINE, &v, 1, clm_value_shape(g, v), &attr);
}

bool clm_input_differs(const clm_model *model) {
    clm_shape s = clm_model_in_shape(model);
    return s.rank == 3 && s.dim[0] != 1 && s.dim[1] * s.dim[2] != 1;
}

const float *clm_input_to_inner(const clm_model *model, const float *data, size_t examples, float *staging) {
    if (!clm_input_differs(model)) return data;
    clm_shape s = clm_model_in_shape(model);
    size_t channels = (size_t)s.dim[0], pixels = (size_t)s.dim[1] * (size_t)s.dim[2];
    for (size_t e = 0; e < examples; e++)
        for (size_t c = 0; c < channels; c++)
            for (size_t p = 0; p < pixels; p++)
                staging[(e * pixels + p) * channels + c] = data[(e * channels + c) * pixels + p];
    return staging;
}

static size_t rows_of(const clm_entry *e) { return e->rows ? (size_t)e->rows : 1; }

clm_status clm_entry_write(const clm_entry *e, clm_tensor *to, const double *data) {
    double *inner = clm_calloc(e->size, sizeof *inner);
    if (!inner) return CLM_E_MEMORY;
    clm_entry_to_inner(e, data, inner);
    clm_status status = clm_tensor_write_f64(to, inner, e->size);
    free(inner);
    return status;
}

clm_status clm_entry_read(const clm_entry *e, clm_tensor *from, size_t count, double scale, double *data) {
    const size_t n = e->size * count;
    double *inner = clm_calloc(n, sizeof *inner);
    if (!inner) return CLM_E_MEMORY;
    clm_status status = clm_tensor_read_f64(from, inner, n);
    for (size_t k = 0; k < n && status == CLM_OK; k++) inner[k] *= scale;
    if (status == CLM_OK) clm_layout_to_outer(e->layout, &e->shape, rows_of(e) * count, inner, data);
    free(inner);
    return status;
}

static clm_status view_flat(const clm_entry *e, clm_tensor *flat, size_t at, clm_tensor **view) {
    return clm_tensor_view(view, flat, at, clm_shape_of(1, (int)e->size), 0);
}

clm_status clm_entry_write_flat(const clm_entry *e, clm_tensor *flat, size_t at, const double *data) {
    clm_tensor *view = NULL;
    CLM_TRY(view_flat(e, flat, at, &view));
    clm_status status = clm_entry_write(e, view, data);
    clm_tensor_free(view);
    return status;
}

clm_status clm_entry_read_flat(const clm_entry *e, clm_tensor *flat, size_t at, double scale, double *data) {
    clm_tensor *view = NULL;
    CLM_TRY(view_flat(e, flat, at, &view));
    clm_status status = clm_entry_read(e, view, 1, scale, data);
    clm_tensor_free(view);
    return status;
}
