/* Tuning of what a meta-learner will run: its operations, then whole plans, whose times depend on them. */
#include <math.h>

#include "base/files.h"
#include "base/log.h"
#include "meta/plan.h"

static const double share_of_operations = 0.75; /* of a budget, where plans are measured too */

static clm_status tune_share(clm_meta *share, const clm_tune_options *o) {
    const double until = clm_clock() + o->budget;
    const bool plans = o->what != CLM_TUNE_OPERATIONS && clm_plan_open(share);
    clm_tune_options operations = *o;
    size_t operations_changed = 0;
    bool plan_changed = false;
    if (plans) operations.budget *= share_of_operations;
    if (o->what != CLM_TUNE_PLANS)
        CLM_TRY(clm_tune_programs(share->programs, share->n_programs, &operations, &operations_changed));
    if (plans) {
        const clm_status status = clm_plan_tune(share, o, until - clm_clock(), &plan_changed);
        /* The plan taken unmeasured serves as before. */
        if (status != CLM_OK) clm_log_write(CLM_LOG_INFO, "tune: plans were not measured: %s", clm_last_error());
        if (status == CLM_E_IO || !o->careful) CLM_TRY(status);
    }
    return plans || operations_changed ? clm_meta_plan_share(share) : CLM_OK;
}

clm_status clm_meta_tune(clm_meta *meta, const clm_tune_options *options) {
    const clm_tune_options defaults = CLM_TUNE_OPTIONS_INIT, *o = options ? options : &defaults;
    if (o->version != CLM_TUNE_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "tune: options of version %d; initialise them with CLM_TUNE_OPTIONS_INIT", o->version);
    for (size_t s = 0; s < meta->n_shares; s++)
        if (meta->shares[s]->prepared)
            return clm_fail(CLM_E_STATE, "meta: tune before clm_meta_prepare and before the first use");
    for (size_t s = 0; s < meta->n_shares; s++) {
        CLM_TRY(clm_tune_store_check(meta->shares[s]->device));
        /* Parts of one device are alike: the others find what was stored for the first. */
        CLM_TRY(meta->whole && s > 0 ? clm_meta_plan_share(meta->shares[s]) : tune_share(meta->shares[s], o));
    }
    return CLM_OK;
}
