/* An outer optimiser's state to and from an archive. The names are those of the first archives there were. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "meta/optimizer/optimizer.h"

/* The parameters are saved by whoever knows their names. */
static const char *const names[CLM_STATES] = {NULL, "optim.first", "optim.second", CLM_OPTIM_AVERAGE};

/* Is this part of the state in the archive, once it is saved? */
static bool is_saved(const clm_optimizer *o, int i) {
    return names[i] && o->state[i] && (i != CLM_STATE_AVERAGE || o->averaged);
}

clm_status clm_optimizer_save(clm_optimizer *o, clm_archive *archive, clm_dtype dtype) {
    const clm_shape shape = clm_tensor_shape(o->grad), scalar = {0};
    const size_t n = clm_tensor_size(o->grad);
    const double t = (double)o->t;
    clm_status status = CLM_OK;
    double *data = clm_calloc(n, sizeof *data);
    if (!data) return CLM_E_MEMORY;
    for (int i = 0; i < CLM_STATES; i++) {
        if (!is_saved(o, i)) continue;
        CLM_GOTO(clm_tensor_read_f64(o->state[i], data, n));
        CLM_GOTO(clm_archive_add(archive, names[i], dtype, &shape, data));
    }
    CLM_GOTO(clm_archive_set_meta(archive, "optim.kind", o->rule->name));
    status = clm_archive_add(archive, "optim.updates", CLM_I64, &scalar, &t);
out:
    free(data);
    return status;
}

static clm_status read_updates(const clm_optimizer *o, const clm_archive *archive, uint64_t *updates) {
    const clm_shape scalar = {0};
    const char *rule = clm_archive_meta(archive, "optim.kind");
    double t = 0;
    if (rule && strcmp(rule, o->rule->name) != 0)
        return clm_fail(CLM_E_ARG, "the archive holds the state of optimiser %s; this run uses %s", rule, o->rule->name);
    CLM_TRY(clm_archive_read(archive, "optim.updates", &scalar, &t, 1));
    if (!(t >= 0 && t <= 0x1p53 && t == floor(t)))
        return clm_fail(CLM_E_FORMAT, "meta: the archive speaks of %g outer updates", t);
    *updates = (uint64_t)t;
    return CLM_OK;
}

clm_status clm_optimizer_restore(clm_optimizer *o, const clm_archive *archive, bool write) {
    const clm_shape shape = clm_tensor_shape(o->grad);
    const size_t n = clm_tensor_size(o->grad);
    const bool averaged = o->state[CLM_STATE_AVERAGE] && clm_archive_shape(archive, names[CLM_STATE_AVERAGE]);
    uint64_t updates = 0;
    clm_status status = CLM_OK;
    CLM_TRY(read_updates(o, archive, &updates));
    double *data = clm_calloc(n, sizeof *data);
    if (!data) return CLM_E_MEMORY;
    for (int i = 0; i < CLM_STATES; i++) {
        if (!names[i] || !o->state[i]) continue;
        if (i == CLM_STATE_AVERAGE && !averaged)
            memset(data, 0, n * sizeof *data);
        else
            CLM_GOTO(clm_archive_read(archive, names[i], &shape, data, n));
        if (write) CLM_GOTO(clm_tensor_write_f64(o->state[i], data, n));
    }
    if (write) {
        o->t = updates;
        o->averaged = averaged;
        o->queued = false;
    }
out:
    free(data);
    return status;
}
