/* Tuning of what a meta-learner will run. */
#include "meta/internal.h"

clm_status clm_meta_tune(clm_meta *meta, const clm_tune_options *options) {
    for (size_t s = 0; s < meta->n_shares; s++)
        if (meta->shares[s]->prepared)
            return clm_fail(CLM_E_STATE, "meta: tune before clm_meta_prepare and before the first use");
    for (size_t s = 0; s < meta->n_shares; s++) {
        clm_meta *share = meta->shares[s];
        size_t changed = 0;
        CLM_TRY(clm_tune_programs(share->programs, share->n_programs, options, &changed));
        if (changed) CLM_TRY(clm_meta_plan_share(share));
    }
    return CLM_OK;
}
