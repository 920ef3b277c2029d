/* Saving and restoring: parameters, rates, the optimiser's state and its counter, to and from an archive. Several devices hold
 * the same parameters and the first alone the optimiser's state, so an archive does not show how many there were. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "meta/internal.h"

static clm_dtype stored_type(const clm_meta *m) { return m->device->backend->element_size == 8 ? CLM_F64 : CLM_F32; }

static clm_status save_tensor(clm_meta *m, clm_archive *a, const char *name, clm_tensor *t) {
    if (!t) return CLM_OK;
    size_t n = clm_tensor_size(t);
    clm_shape shape = clm_tensor_shape(t);
    double *data = clm_calloc(n, sizeof *data);
    if (!data) return CLM_E_MEMORY;
    clm_status status = clm_tensor_read_f64(t, data, n);
    if (status == CLM_OK) status = clm_archive_add(a, name, stored_type(m), &shape, data);
    free(data);
    return status;
}

static clm_status restore_tensor(const clm_archive *a, const char *name, clm_tensor *t, bool write) {
    if (!t) return CLM_OK;
    size_t n = clm_tensor_size(t);
    clm_shape shape = clm_tensor_shape(t);
    double *data = clm_calloc(n, sizeof *data);
    if (!data) return CLM_E_MEMORY;
    clm_status status = clm_archive_read(a, name, &shape, data, n);
    if (status == CLM_OK && write) status = clm_tensor_write_f64(t, data, n);
    free(data);
    return status;
}

/* What an archive calls parameter or rate i, and its shape there. */
static void archive_name(const clm_meta *m, bool rate, size_t i, char *name, size_t size, clm_shape *shape) {
    bool step = rate && m->options.rates == CLM_RATES_PER_STEP;
    *shape = step ? clm_shape_of(2, m->options.steps, (int)m->inner.n) : clm_model_param(m->inner.model, i)->shape;
    if (step)
        snprintf(name, size, "alpha");
    else
        snprintf(name, size, "%s.%s", rate ? "alpha" : "param", clm_model_param(m->inner.model, i)->name);
}

/* Moves every parameter, or every rate, into the archive or out of it; out of it only for show unless `write`. */
static clm_status exchange(clm_meta *m, clm_archive *to, const clm_archive *from, bool rate, bool write) {
    for (size_t i = 0; i < m->inner.n; i++) {
        char name[96];
        clm_shape shape;
        size_t n = rate ? clm_meta_rate_size(m, i) : m->param_at[i + 1] - m->param_at[i];
        if (!n) continue;
        archive_name(m, rate, i, name, sizeof name, &shape);
        double *data = clm_calloc(n, sizeof *data);
        if (!data) return CLM_E_MEMORY;
        clm_status status;
        if (to) {
            status = rate ? clm_meta_get_rate(m, i, data) : clm_meta_get_param(m, i, data);
            if (status == CLM_OK) status = clm_archive_add(to, name, stored_type(m), &shape, data);
        } else {
            status = clm_archive_read(from, name, &shape, data, n);
            if (status == CLM_OK && write) status = rate ? clm_meta_set_rate(m, i, data) : clm_meta_set_param(m, i, data);
        }
        free(data);
        CLM_TRY(status);
    }
    return CLM_OK;
}

static const char *const optim_names[] = {
    [CLM_OPTIM_SGD] = "sgd", [CLM_OPTIM_MOMENTUM] = "momentum", [CLM_OPTIM_ADAM] = "adam", [CLM_OPTIM_ADAMW] = "adamw"};

clm_status clm_meta_save(clm_meta *m, clm_archive *archive) {
    double t = (double)m->outer.t;
    clm_shape scalar = {0};
    CLM_TRY(clm_meta_prepare(m));
    CLM_TRY(exchange(m, archive, NULL, false, false));
    CLM_TRY(exchange(m, archive, NULL, true, false));
    CLM_TRY(save_tensor(m, archive, "optim.first", m->outer.first));
    CLM_TRY(save_tensor(m, archive, "optim.second", m->outer.second));
    CLM_TRY(clm_archive_set_meta(archive, "optim.kind", optim_names[m->options.optim.kind]));
    return clm_archive_add(archive, "optim.updates", CLM_I64, &scalar, &t);
}

clm_status clm_meta_restore(clm_meta *m, const clm_archive *archive) {
    double t = 0;
    clm_shape scalar = {0};
    CLM_TRY(clm_meta_prepare(m));
    const char *kind = clm_archive_meta(archive, "optim.kind"), *own = optim_names[m->options.optim.kind];
    if (kind && strcmp(kind, own) != 0)
        return clm_fail(CLM_E_ARG, "the archive holds the state of optimiser %s; this run uses %s", kind, own);
    CLM_TRY(clm_archive_read(archive, "optim.updates", &scalar, &t, 1));
    if (!(t >= 0 && t <= 0x1p53 && t == floor(t)))
        return clm_fail(CLM_E_FORMAT, "meta: the archive speaks of %g outer updates", t);
    for (int write = 0; write < 2; write++) { /* everything is looked at before anything is changed */
        CLM_TRY(exchange(m, NULL, archive, false, write));
        CLM_TRY(exchange(m, NULL, archive, true, write));
        CLM_TRY(restore_tensor(archive, "optim.first", m->outer.first, write));
        CLM_TRY(restore_tensor(archive, "optim.second", m->outer.second, write));
    }
    m->outer.t = (uint64_t)t;
    return CLM_OK;
}
