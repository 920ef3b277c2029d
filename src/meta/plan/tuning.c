/* Tuning of what a meta-learner will run: its operations, then whole plans, whose times depend on them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "meta/plan/plan.h"

static const double share_of_operations = 0.75; /* of a budget, where plans are measured too */

/* What was read before the first of them was tuned is out of date. */
static void forget_others(clm_share *const *shares, size_t n) {
    for (size_t s = 1; s < n; s++) clm_tune_forget(shares[s]->device);
}

/* Plans are measured one against the other, on rank 0; what it has found becomes everybody's. */
static clm_status tune_plans(clm_share *const *shares, size_t n, const clm_tune_options *o, double seconds, bool *changed) {
    struct {
        clm_status status;
        bool found, changed;
        clm_plan_choice choice, standard;
        clm_tune_entry entry;
        char why[256];
    } all;
    if (clm_comm_size(o->comm) == 1) return clm_plan_tune(shares, n, o, seconds, changed);
    memset(&all, 0, sizeof all);
    if (clm_comm_rank(o->comm) == 0) {
        all.status = clm_plan_tune(shares, n, o, seconds, &all.changed);
        if (all.status != CLM_OK) snprintf(all.why, sizeof all.why, "%s", clm_last_error());
        all.found = all.status == CLM_OK && clm_plan_known(shares[0], &all.entry, &all.choice, &all.standard);
    }
    CLM_TRY(clm_comm_broadcast(o->comm, &all, sizeof all));
    *changed = all.changed;
    if (all.status != CLM_OK) return clm_fail(all.status, "%s", all.why);
    if (!all.found || clm_comm_rank(o->comm) == 0) return CLM_OK;
    return clm_plan_keep(shares[0], all.choice, all.standard, all.entry, true);
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
        const clm_status status = tune_plans(shares, n, o, until - clm_clock(), &plan_changed);
        /* The plan taken unmeasured serves as before. */
        if (status != CLM_OK) clm_log_write(CLM_LOG_INFO, "tune: plans were not measured: %s", clm_last_error());
        if (status == CLM_E_IO || !o->careful) CLM_TRY(status);
        forget_others(shares, n);
    }
    for (size_t s = 0; s < n; s++) CLM_TRY(clm_plan_share(shares[s]));
    return CLM_OK;
}

static clm_status tune(clm_meta *meta, const clm_tune_options *options) {
    if (clm_ranks_are_there(meta))
        return clm_fail(CLM_E_STATE,
                        "meta: to tune is for a meta-learner without a communicator; its choices serve those that have one");
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
