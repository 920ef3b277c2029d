/* Retry when memory is short: a device has less than it says where another program, or the screen, uses it too, and drivers put
 * memory behind buffers at the first use. So a lack of memory, whether it shows at the allocation, at a launch or in a wait,
 * leads to the next smaller plan (plan.c), and what was being computed is computed again from the start. */
#include <stdio.h>

#include "base/bytes.h"
#include "base/log.h"
#include "meta/plan/plan.h"

clm_status clm_retry_commit(clm_share *m) {
    CLM_TRY(clm_tensor_commit(m->params));
    CLM_TRY(clm_tensor_commit(m->grad));
    CLM_TRY(clm_exec_prepare(m));
    if (m->optimizer) CLM_TRY(clm_optimizer_prepare(m->optimizer));
    return clm_device_finish(m->device); /* what was queued so far may show a lack of memory as well */
}

/* Sizes that fit in one after the other: the largest plan that takes three quarters of the last. */
static clm_status commit_smaller(clm_share *m, const char *why) {
    clm_status status = CLM_E_MEMORY;
    while (status == CLM_E_MEMORY) {
        size_t was = m->exec.plan.bytes;
        bool fits = false;
        CLM_TRY(clm_plan_under(m, was - was / 4, &fits));
        m->exec.plan.reason = CLM_PLAN_MEMORY;
        if (!fits)
            return clm_fail(CLM_E_MEMORY,
                            "%s; the device gives less memory than it says, and %s are the least this takes (checkpointing %s, "
                            "%d task%s at a time): close other programs that use the device%s%s or use a smaller model",
                            why, clm_bytes_text((double)m->exec.plan.bytes).s,
                            clm_checkpointing_name(m->exec.plan.checkpointing), m->exec.plan.task_chunk,
                            m->exec.plan.task_chunk == 1 ? "" : "s", m->request.task_chunk ? ", leave the task chunk open" : "",
                            m->request.checkpointing == CLM_CHECKPOINT_STORE ? ", allow recomputation" : "");
        clm_log_write(CLM_LOG_INFO, "%s gives less memory than it says: now %d tasks at a time, checkpointing %s, %s (%s)",
                      m->device->info.name, m->exec.plan.task_chunk, clm_checkpointing_name(m->exec.plan.checkpointing),
                      clm_bytes_text((double)m->exec.plan.bytes).s, why);
        status = clm_retry_commit(m);
    }
    return status;
}

/* After a lack of memory: another executable, that takes less. The old one goes first: on some devices nothing works before. */
static clm_status shrink(clm_share *m) {
    char why[512];
    snprintf(why, sizeof why, "%s", clm_last_error());
    if (m->optimizer) clm_optimizer_unplan(m->optimizer);
    clm_exec_free(m);
    (void)clm_device_finish(m->device);
    if (m->optimizer) CLM_TRY(clm_optimizer_undo(m->optimizer));
    return commit_smaller(m, why);
}

clm_status clm_retry_prepare(clm_share *m) {
    clm_status status = clm_retry_commit(m);
    return status == CLM_E_MEMORY ? shrink(m) : status;
}

clm_status clm_retry_run(clm_share *m, size_t variant, const clm_batch *batch, clm_optimizer *update, int all_tasks) {
    clm_status status;
    while ((status = clm_exec_run(m, variant, batch, update, all_tasks)) == CLM_E_MEMORY) CLM_TRY(shrink(m));
    return status;
}
