/* Saving and restoring: parameters, rates, the optimiser's state and its counter, to and from an archive. Several devices hold
 * the same parameters and the first alone the optimiser's state, so an archive does not show how many there were. */
#include <stdlib.h>

#include "base/memory.h"
#include "meta/internal.h"

static clm_dtype stored_type(const clm_meta *meta) {
    return meta->shares[0]->device->backend->element_size == 8 ? CLM_F64 : CLM_F32;
}

/* Of each initialisation. */
static void close_params(const clm_meta *meta, clm_params *params) {
    for (size_t s = 0; params && s < meta->starts; s++) free(params[s].values);
    free(params);
}

/* Entries with the values at hand, and no more: the task is the meta-learner's. */
static clm_status open_params(clm_meta *meta, clm_params **out) {
    clm_status status = CLM_OK;
    clm_params *params = clm_calloc(meta->starts, sizeof *params);
    if (!params) return CLM_E_MEMORY;
    for (size_t s = 0; s < meta->starts; s++) {
        params[s].task = meta->task;
        params[s].values = clm_calloc(meta->task.elements, sizeof *params[s].values);
        if (!params[s].values) CLM_GOTO(CLM_E_MEMORY);
        CLM_GOTO(clm_meta_get_params_of(meta, (int)s, &params[s]));
    }
    *out = params;
    params = NULL;
out:
    close_params(meta, params);
    return status;
}

static clm_status save(clm_meta *meta, clm_archive *archive) {
    clm_params *params = NULL;
    clm_status status = CLM_OK;
    CLM_TRY(clm_meta_prepare(meta));
    CLM_TRY(open_params(meta, &params));
    CLM_GOTO(clm_archive_set_initialisations(archive, meta->starts));
    for (size_t s = 0; s < meta->starts; s++) CLM_GOTO(clm_params_save_of(&params[s], archive, stored_type(meta), (int)s));
    status = clm_optimizer_save(&meta->optimizer, archive, stored_type(meta));
out:
    close_params(meta, params);
    return status;
}

clm_status clm_meta_save(clm_meta *meta, clm_archive *archive) { CLM_IN_META(meta, save(meta, archive)); }

/* Everything is looked at before anything is changed. What an archive need not hold stays. */
static clm_status restore(clm_meta *meta, const clm_archive *archive) {
    clm_params *params = NULL;
    clm_status status = CLM_OK;
    if ((size_t)clm_archive_initialisations(archive) != meta->starts)
        return clm_fail(CLM_E_ARG, "the archive holds %d initialisations; this run has %zu",
                        clm_archive_initialisations(archive), meta->starts);
    CLM_TRY(clm_meta_prepare(meta));
    CLM_TRY(open_params(meta, &params));
    for (size_t s = 0; s < meta->starts; s++) CLM_GOTO(clm_params_load_of(&params[s], archive, (int)s));
    CLM_GOTO(clm_optimizer_restore(&meta->optimizer, archive, false));
    for (size_t s = 0; s < meta->starts; s++) CLM_GOTO(clm_meta_set_params_of(meta, (int)s, &params[s]));
    CLM_GOTO(clm_optimizer_restore(&meta->optimizer, archive, true));
out:
    close_params(meta, params);
    return status;
}

clm_status clm_meta_restore(clm_meta *meta, const clm_archive *archive) { CLM_IN_META(meta, restore(meta, archive)); }
