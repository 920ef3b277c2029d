/* A device with less memory than it says: another program, or the screen, uses it too, and drivers put memory behind buffers at the
 * first use. So a lack of memory, whether it shows at the allocation, at a launch or in a wait, leads to the next smaller plan (plan.c),
 * and what was being computed is computed again from the start. */
#include <stdio.h>

#include "base/bytes.h"
#include "base/log.h"
#include "meta/plan.h"

clm_status clm_fit_commit(clm_meta *m) {
    CLM_TRY(clm_tensor_commit(m->params));
    CLM_TRY(clm_tensor_commit(m->grad));
    CLM_TRY(clm_gradient_prepare(m));
    if (m->shares) CLM_TRY(clm_optimizer_prepare(&m->outer));
    return clm_device_finish(m->device); /* what was queued so far may show a lack of memory as well */
}

/* Sizes that fit in one after the other: the largest plan that takes three quarters of the last. */
static clm_status commit_smaller(clm_meta *m, const char *why) {
    clm_status status = CLM_E_MEMORY;
    while (status == CLM_E_MEMORY) {
        size_t was = m->plan.bytes;
        bool fits = false;
        CLM_TRY(clm_plan_under(m, was - was / 4, &fits));
        m->plan.reason = CLM_PLAN_MEMORY;
        if (!fits)
            return clm_fail(CLM_E_MEMORY,
                            "%s; the device gives less memory than it says, and %s are the least this takes (checkpointing %s, "
                            "%d task%s at a time): close other programs that use the device%s%s or use a smaller model",
                            why, clm_bytes_text((double)m->plan.bytes).s, clm_checkpointing_name(m->plan.checkpointing),
                            m->plan.task_chunk, m->plan.task_chunk == 1 ? "" : "s",
                            m->options.task_chunk ? ", leave the task chunk open" : "",
                            m->options.checkpointing == CLM_CHECKPOINT_STORE ? ", allow recomputation" : "");
        clm_log_write(CLM_LOG_INFO, "%s gives less memory than it says: now %d tasks at a time, checkpointing %s, %s (%s)",
                      m->device->info.name, m->plan.task_chunk, clm_checkpointing_name(m->plan.checkpointing),
                      clm_bytes_text((double)m->plan.bytes).s, why);
        status = clm_fit_commit(m);
    }
    return status;
}

/* After a lack of memory: everything anew with less. */
static clm_status shrink(clm_meta *m) {
    char why[512];
    snprintf(why, sizeof why, "%s", clm_last_error());
    /* First the memory that is too much: on some devices nothing works before. */
    clm_optimizer_unplan(&m->outer);
    clm_gradient_free(m);
    (void)clm_device_finish(m->device);
    CLM_TRY(clm_optimizer_undo(&m->outer)); /* where that failed as well */
    return commit_smaller(m, why);
}

clm_status clm_fit_prepare(clm_meta *m) {
    clm_status status = clm_fit_commit(m);
    return status == CLM_E_MEMORY ? shrink(m) : status;
}

clm_status clm_fit_run(clm_meta *m, const clm_batch *batch, bool update) {
    clm_status status;
    while ((status = clm_gradient_run(m, batch, update ? &m->outer : NULL)) == CLM_E_MEMORY) CLM_TRY(shrink(m));
    return status;
}
