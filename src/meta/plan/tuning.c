/* Tuning of what a meta-learner will run: its operations, then whole plans, whose times depend on them. */
#include <math.h>
#include <stdlib.h>

#include "base/files.h"
#include "base/log.h"
#include "meta/plan/plan.h"

static const double share_of_operations = 0.75; /* of a budget, where plans are measured too */

/* What was read before the first of them was tuned is out of date. */
static void forget_others(clm_share *const *shares, size_t n) {
    for (size_t s = 1; s < n; s++) clm_tune_forget(shares[s]->device);
}

static clm_status tune_operations(const clm_share *m, const clm_tune_options *o, size_t *changed) {
    clm_program **programs = NULL;
    size_t n = 0;
    CLM_TRY(clm_exec_programs(m, &programs, &n));
    const clm_status status = clm_tune_programs(programs, n, o, changed);
    free(programs);
    return status;
}

/* n equal parts of a device, or one device: what is stored for the first serves all. */
static clm_status tune_shares(clm_share *const *shares, size_t n, const clm_tune_options *o) {
    clm_share *first = shares[0];
    const double until = clm_clock() + o->budget;
    const bool plans = o->what != CLM_TUNE_OPERATIONS && clm_plan_open(first);
    clm_tune_options operations = *o;
    size_t changed = 0;
    bool plan_changed = false;
    CLM_TRY(clm_tune_store_check(first->device));
    if (plans) operations.budget *= share_of_operations;
    if (o->what != CLM_TUNE_PLANS) CLM_TRY(tune_operations(first, &operations, &changed));
    forget_others(shares, n);
    if (plans) {
        const clm_status status = clm_plan_tune(shares, n, o, until - clm_clock(), &plan_changed);
        /* The plan taken unmeasured serves as before. */
        if (status != CLM_OK) clm_log_write(CLM_LOG_INFO, "tune: plans were not measured: %s", clm_last_error());
        if (status == CLM_E_IO || !o->careful) CLM_TRY(status);
        forget_others(shares, n);
    }
    for (size_t s = 0; s < n; s++) CLM_TRY(clm_plan_share(shares[s]));
    return CLM_OK;
}

static clm_status tune(clm_meta *meta, const clm_tune_options *options) {
    const clm_tune_options defaults = CLM_TUNE_OPTIONS_INIT, *o = options ? options : &defaults;
    if (o->version != CLM_TUNE_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "tune: options of version %d; initialise them with CLM_TUNE_OPTIONS_INIT", o->version);
    for (size_t s = 0; s < meta->n_shares; s++)
        if (meta->shares[s]->prepared)
            return clm_fail(CLM_E_STATE, "meta: tune before clm_meta_prepare and before the first use");
    if (meta->whole) return tune_shares(meta->shares, meta->n_shares, o);
    for (size_t s = 0; s < meta->n_shares; s++) CLM_TRY(tune_shares(&meta->shares[s], 1, o));
    return CLM_OK;
}

clm_status clm_meta_tune(clm_meta *meta, const clm_tune_options *options) { CLM_IN_META(meta, tune(meta, options)); }
