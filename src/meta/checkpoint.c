/* Saving and restoring: parameters, rates, the optimiser's state and its counter, to and from an archive. Several devices hold
 * the same parameters and the first alone the optimiser's state, so an archive does not show how many there were. */
#include <stdlib.h>

#include "base/memory.h"
#include "meta/internal.h"

static clm_dtype stored_type(const clm_meta *meta) {
    return meta->shares[0]->device->backend->element_size == 8 ? CLM_F64 : CLM_F32;
}

/* Entries with values, and no more: the task is the meta-learner's. */
static clm_status open_params(const clm_meta *meta, clm_params *p) {
    *p = (clm_params){.task = meta->task};
    p->values = clm_calloc(meta->task.elements, sizeof *p->values);
    return p->values ? CLM_OK : CLM_E_MEMORY;
}

static clm_status save(clm_meta *meta, clm_archive *archive) {
    clm_params params;
    CLM_TRY(clm_meta_prepare(meta));
    CLM_TRY(open_params(meta, &params));
    clm_status status = clm_meta_get_params(meta, &params);
    if (status == CLM_OK) status = clm_params_save(&params, archive, stored_type(meta));
    if (status == CLM_OK) status = clm_optimizer_save(&meta->optimizer, archive, stored_type(meta));
    free(params.values);
    return status;
}

clm_status clm_meta_save(clm_meta *meta, clm_archive *archive) { CLM_IN_META(meta, save(meta, archive)); }

/* Everything is looked at before anything is changed. */
static clm_status restore(clm_meta *meta, const clm_archive *archive) {
    clm_params params;
    clm_status status = CLM_OK;
    CLM_TRY(clm_meta_prepare(meta));
    CLM_TRY(open_params(meta, &params));
    CLM_GOTO(clm_meta_get_params(meta, &params)); /* what an archive need not hold stays */
    CLM_GOTO(clm_params_load(&params, archive));
    CLM_GOTO(clm_optimizer_restore(&meta->optimizer, archive, false));
    CLM_GOTO(clm_meta_set_params(meta, &params));
    CLM_GOTO(clm_optimizer_restore(&meta->optimizer, archive, true));
out:
    free(params.values);
    return status;
}

clm_status clm_meta_restore(clm_meta *meta, const clm_archive *archive) { CLM_IN_META(meta, restore(meta, archive)); }
