/* Saving and restoring: parameters, rates, the optimiser's state and its counter, to and from an archive. Several devices hold
 * the same parameters and the first alone the optimiser's state, so an archive does not show how many there were. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "meta/internal.h"

static clm_dtype stored_type(const clm_meta *m) { return m->device->backend->element_size == 8 ? CLM_F64 : CLM_F32; }

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

clm_status clm_meta_save(clm_meta *m, clm_archive *archive) {
    CLM_TRY(clm_meta_prepare(m));
    CLM_TRY(exchange(m, archive, NULL, false, false));
    CLM_TRY(exchange(m, archive, NULL, true, false));
    return clm_optimizer_save(&m->outer, archive, stored_type(m));
}

clm_status clm_meta_restore(clm_meta *m, const clm_archive *archive) {
    CLM_TRY(clm_meta_prepare(m));
    for (int write = 0; write < 2; write++) { /* everything is looked at before anything is changed */
        CLM_TRY(clm_optimizer_restore(&m->outer, archive, write));
        CLM_TRY(exchange(m, NULL, archive, false, write));
        CLM_TRY(exchange(m, NULL, archive, true, write));
    }
    return CLM_OK;
}
