/* The cores of a CPU apart.
 *
 * One launch after the other on all cores leaves each waiting for the slowest, and a task's values wander from one core's cache
 * to another's between launches. So where a meta-batch's tasks are large enough, a CPU is divided into equal parts, each with
 * its share of the tasks as if it were a device (shares.c): nobody waits before the gradients are added up. The shares are
 * equal and the number of parts depends on the device and the tasks alone, so the same run gives the same bits. Other numbers
 * of parts, by CLMAML_CPU_PARTS, add up in another order. */
#include <stdlib.h>
#include <string.h>

#include "base/integers.h"
#include "base/log.h"
#include "base/memory.h"
#include "meta/plan/plan.h"

static const double most_idle = 0.15; /* of all parts' time, where the tasks do not come out even */

/* CLMAML_CPU_PARTS: *parts is 0 for "auto". */
static clm_status asked_parts(int *parts) {
    const char *text = getenv("CLMAML_CPU_PARTS");
    char *end = NULL;
    *parts = 0;
    if (!text || !*text || !strcmp(text, "auto")) return CLM_OK;
    long n = strtol(text, &end, 10);
    if (*end || n < 1 || n > 1024) return clm_fail(CLM_E_ARG, "CLMAML_CPU_PARTS=%s: auto, or a number from 1 to 1024", text);
    *parts = (int)n;
    return CLM_OK;
}

/* By default as many parts as make the compute units come out even, and as have enough to do, as `m`, on the whole device, is
 * planned. 1: it stays whole. */
static int parts_for(const clm_share *m) {
    const int units = (int)m->device->info.compute_units, tasks = m->tasks;
    for (int n = clm_least(clm_least(units, tasks), CLM_CPU_PARTS_MOST); n > 1; n--) {
        const int share = clm_over(tasks, n);
        if (units % n || share * n > (1 + most_idle) * tasks) continue;
        if (clm_plan_least_chunk(m, (double)units / n, CLM_LAUNCH_PRICE) <= share) return n;
    }
    return 1;
}

/* On the parts, as the options have it; each may take an equal part of the memory. */
static clm_status create_divided(clm_meta **out, const clm_share *one, int n, const clm_model *model,
                                 const clm_meta_options *options) {
    clm_device *device = one->device;
    const size_t limit = one->limit;
    CLM_TRY(clm_device_open_sub_devices(device, n));
    clm_meta_share *shares = clm_calloc((size_t)n, sizeof *shares);
    if (!shares) return CLM_E_MEMORY;
    for (int i = 0; i < n; i++)
        shares[i] = (clm_meta_share){.device = device->sub_devices[i],
                                     .tasks = one->tasks / n + (i < one->tasks % n),
                                     .memory_limit = limit / (size_t)n};
    clm_status status = clm_shares_create(out, shares, (size_t)n, model, options);
    free(shares);
    return status;
}

/* Not at the price of computing things twice. */
static bool keeps_plan(const clm_meta *divided, const clm_share *one) {
    for (size_t s = 0; s < divided->n_shares; s++)
        if (divided->shares[s]->exec.plan.checkpointing != one->exec.plan.checkpointing &&
            divided->shares[s]->exec.plan.reason == CLM_PLAN_MEMORY)
            return false;
    return true;
}

/* Replaces a meta-learner on a whole device by one on its parts, where that is better. */
static clm_status divide(clm_meta **meta, const clm_model *model, const clm_meta_options *options) {
    clm_device *device = (*meta)->shares[0]->device;
    clm_meta *divided = NULL;
    int parts = 0;
    CLM_TRY(asked_parts(&parts));
    if (device->info.type != CLM_DEVICE_CPU || device->is_sub_device || !device->backend->open_sub_device) return CLM_OK;
    parts =
        parts ? clm_least(clm_least(parts, (int)device->info.compute_units), (*meta)->tasks) : parts_for((*meta)->shares[0]);
    if (parts < 2) return CLM_OK;
    const clm_status status = create_divided(&divided, (*meta)->shares[0], parts, model, options);
    if (status == CLM_E_LIMIT) {
        clm_log_write(CLM_LOG_INFO, "%s is used as a whole: %s", device->info.name, clm_last_error());
    } else if (status != CLM_OK) {
        return status; /* what fails once may not fail when the run is resumed: other parts would give other bits */
    } else if (keeps_plan(divided, (*meta)->shares[0])) {
        divided->whole = device;
        divided->whole_limit = (*meta)->shares[0]->limit;
        divided->whole_limit_reason = (*meta)->shares[0]->limit_reason;
        clm_meta_free(*meta);
        *meta = divided;
        return CLM_OK;
    }
    clm_meta_free(divided);
    return CLM_OK;
}

static clm_status create(clm_meta **out, const clm_meta_share *shares, size_t n, const clm_model *model,
                         const clm_meta_options *options) {
    CLM_TRY(clm_shares_create(out, shares, n, model, options));
    clm_status status = (*out)->n_shares == 1 ? divide(out, model, options) : CLM_OK;
    if (status == CLM_OK) status = clm_ranks_agree(*out);
    if (status == CLM_OK) return CLM_OK;
    clm_meta_free(*out);
    *out = NULL;
    return status;
}

clm_status clm_meta_create_on(clm_meta **out, const clm_meta_share *shares, size_t n, const clm_model *model,
                              const clm_meta_options *options) {
    clm_status status = CLM_OK;
    size_t entered = 0;
    *out = NULL;
    for (; entered < n; entered++) CLM_GOTO(clm_device_enter(shares[entered].device));
    status = create(out, shares, n, model, options);
out:
    while (entered--) clm_device_leave(shares[entered].device);
    return status;
}

clm_status clm_meta_create(clm_meta **out, clm_device *device, const clm_model *model, const clm_meta_options *options) {
    clm_meta_share whole = {.device = device};
    int first;
    clm_comm_share(options->comm, options->tasks, &first, &whole.tasks);
    return clm_meta_create_on(out, &whole, 1, model, options);
}
