/* The plan of a meta-gradient under a memory limit: whether activations are kept or computed again, and how many tasks a launch
 * has.
 *
 * What was measured on the device (plan_tune.c) comes first, where it fits and the options leave it open. Else, in this order:
 * all activations kept, with as many tasks at a time as fit; then recomputation, likewise. On a CPU fewer tasks are taken at a
 * time where their values then stay in its cache. What a plan takes is known before anything is taken.
 *
 * Plans differ in speed and memory. The number of tasks at a time changes no bit of the results; keeping or recomputing may
 * change the last ones, where a compiler makes one instruction of a multiplication and an addition in one of the two and not in
 * the other. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "meta/internal.h"
#include "meta/plan/plan.h"

/* ---- one plan ---- */

static size_t total_bytes(const clm_share *m) {
    size_t bytes = clm_exec_bytes(m) + clm_tensor_bytes(m->params) + clm_tensor_bytes(m->grad);
    return m->optimizer ? bytes + clm_optimizer_bytes(m->optimizer) : bytes;
}

clm_status clm_plan_as(clm_share *m, clm_checkpointing checkpointing, int chunk) {
    if (m->optimizer) clm_optimizer_unplan(m->optimizer);
    CLM_TRY(clm_exec_plan(m, checkpointing, chunk));
    if (m->optimizer) CLM_TRY(clm_optimizer_plan(m->optimizer, m->exec.workspace));
    m->exec.plan.bytes = total_bytes(m);
    return CLM_OK;
}

int clm_plan_chunk_below(int tasks, int below) {
    int c = below - 1;
    while (c > 1 && tasks % c) c--;
    return c;
}

/* ---- the model's choice ---- */

/* Plans with as many tasks at a time as fit, from `chunk` downwards; *fits tells whether one does. */
static clm_status plan_within(clm_share *m, clm_checkpointing how, size_t limit, int chunk, bool fixed, bool *fits) {
    *fits = false;
    while (true) {
        clm_status status = clm_plan_as(m, how, chunk);
        if (status != CLM_OK && (status != CLM_E_LIMIT || fixed || chunk == 1)) return status;
        if (status == CLM_OK && m->exec.plan.bytes <= limit) {
            *fits = true;
            return CLM_OK;
        }
        if (fixed || chunk == 1) return CLM_OK;
        int guess = status == CLM_OK ? (int)((double)chunk * (double)limit / (double)m->exec.plan.bytes) + 1 : chunk;
        chunk = clm_plan_chunk_below(m->tasks, guess < chunk ? guess + 1 : chunk);
    }
}

double clm_plan_least_chunk(const clm_share *m, double units, double price) {
    const double launch = 20e-6, rate = 50e9; /* seconds; flops per second and compute unit: magnitudes, not measured here */
    const double task_time = m->exec.plan.flops / m->tasks / (rate * units);
    const int chunks = m->tasks / m->exec.plan.task_chunk;
    return launch * (double)m->exec.plan.launches / chunks / (price * task_time);
}

/* Tasks at a time that suit a CPU whose cache holds the values of some tasks, but not of all: as many as keep within 0.7 of it,
 * as long as launches cost at most 15 % of their work. Otherwise all that are planned now. */
static int chunk_for_cache(const clm_share *m) {
    const clm_device_info *d = &m->device->info;
    const int all = m->exec.plan.task_chunk;
    const double room = 0.7 * (double)d->cache, task_bytes = (double)m->exec.plan.bytes / all;
    const double least = clm_plan_least_chunk(m, d->compute_units, 0.15);
    if (task_bytes * all <= room) return all;
    for (int chunk = clm_plan_chunk_below(m->tasks, all); least <= chunk; chunk = clm_plan_chunk_below(m->tasks, chunk)) {
        if (chunk * task_bytes <= room) return chunk;
        if (chunk == 1) break;
    }
    return all;
}

/* On a part of a CPU, whose few cores have caches of their own before the one that the driver speaks of: as few as are worth
 * their launches. */
static int chunk_for_part(const clm_share *m) {
    const double least = clm_plan_least_chunk(m, m->device->info.compute_units, CLM_LAUNCH_PRICE);
    int best = m->exec.plan.task_chunk;
    for (int chunk = best; chunk >= 1 && least <= chunk; chunk--)
        if (m->tasks % chunk == 0) best = chunk;
    return best;
}

static int suitable_chunk(const clm_share *m) {
    if (m->device->info.type != CLM_DEVICE_CPU) return m->exec.plan.task_chunk;
    return m->device->is_sub_device ? chunk_for_part(m) : chunk_for_cache(m);
}

/* Why there are not all tasks at a time with everything kept, where the options leave it open. */
static clm_plan_reason reason_of(const clm_share *m) {
    const clm_request *o = &m->request;
    const bool recomputed = m->exec.plan.checkpointing == CLM_CHECKPOINT_RECOMPUTE && o->checkpointing == CLM_CHECKPOINT_AUTO;
    if (recomputed || (!o->task_chunk && m->exec.plan.task_chunk < m->tasks)) return CLM_PLAN_MEMORY;
    return o->task_chunk || o->checkpointing ? CLM_PLAN_ASKED : CLM_PLAN_WHOLE;
}

clm_status clm_plan_by_model(clm_share *m, size_t limit, bool *fits) {
    clm_checkpointing asked = m->request.checkpointing;
    bool fixed = m->request.task_chunk > 0;
    int chunk = fixed ? m->request.task_chunk : m->tasks;
    *fits = false;
    if (asked != CLM_CHECKPOINT_RECOMPUTE) {
        clm_status status = plan_within(m, CLM_CHECKPOINT_STORE, limit, chunk, fixed, fits);
        if (status != CLM_OK && (status != CLM_E_LIMIT || asked == CLM_CHECKPOINT_STORE)) return status;
    }
    if (!*fits && asked != CLM_CHECKPOINT_STORE) CLM_TRY(plan_within(m, CLM_CHECKPOINT_RECOMPUTE, limit, chunk, fixed, fits));
    m->exec.plan.reason = reason_of(m);
    if (!*fits || fixed || (chunk = suitable_chunk(m)) >= m->exec.plan.task_chunk) return CLM_OK;
    clm_plan_reason reason = m->exec.plan.reason == CLM_PLAN_MEMORY ? CLM_PLAN_MEMORY : CLM_PLAN_CACHE;
    CLM_TRY(clm_plan_as(m, m->exec.plan.checkpointing, chunk));
    m->exec.plan.reason = reason;
    return CLM_OK;
}

/* ---- the choice ---- */

clm_status clm_plan_under(clm_share *m, size_t limit, bool *fits) {
    clm_plan_choice choice;
    *fits = false;
    if (clm_plan_find(m, &choice)) {
        clm_status status = clm_plan_as(m, choice.checkpointing, choice.chunk);
        if (status != CLM_OK && status != CLM_E_LIMIT) return status;
        m->exec.plan.reason = CLM_PLAN_MEASURED;
        *fits = status == CLM_OK && m->exec.plan.bytes <= limit;
        if (*fits) return CLM_OK;
    }
    return clm_plan_by_model(m, limit, fits);
}

clm_status clm_plan_limit(const clm_share *m, size_t *limit, clm_limit_reason *reason) {
    uint64_t bytes = m->request.memory_limit;
    bool of_free = false;
    if (!bytes) CLM_TRY(clm_memory_limit(&bytes));
    *reason = CLM_LIMIT_ASKED;
    if (!bytes && (bytes = clm_device_room(m->device, &of_free)) > 0) {
        const uint64_t taken = clm_device_allocated(m->device);
        bytes = taken < bytes ? bytes - taken : 1;
        *reason = of_free ? CLM_LIMIT_FREE : CLM_LIMIT_DEVICE;
    }
    *limit = bytes && bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
    return CLM_OK;
}

clm_status clm_plan_share(clm_share *m) {
    size_t limit = 0;
    bool fits = false;
    CLM_TRY(clm_plan_limit(m, &limit, &m->limit_reason));
    CLM_TRY(clm_plan_under(m, limit, &fits));
    m->limit = limit;
    if (fits) {
        clm_log_write(CLM_LOG_INFO,
                      "memory plan: %s, %d of %d tasks at a time (%s), %zu of at most %zu bytes (%s), %zu launches",
                      clm_checkpointing_name(m->exec.plan.checkpointing), m->exec.plan.task_chunk, m->tasks,
                      clm_plan_reason_text(m->exec.plan.reason), m->exec.plan.bytes, limit,
                      clm_limit_reason_text(m->limit_reason), m->exec.plan.launches);
        return CLM_OK;
    }
    clm_checkpointing asked = m->request.checkpointing;
    return clm_fail(CLM_E_LIMIT,
                    "memory limit of %s (%s) is too small: with checkpointing %s and %d task%s at a time this needs %s; raise "
                    "memory_limit or CLMAML_MEMORY_LIMIT%s%s or use a smaller model",
                    clm_bytes_text((double)limit).s, clm_limit_reason_text(m->limit_reason), clm_checkpointing_name(asked),
                    m->exec.plan.task_chunk, m->exec.plan.task_chunk == 1 ? "" : "s",
                    clm_bytes_text((double)m->exec.plan.bytes).s,
                    m->request.task_chunk > 1 ? ", leave the task chunk open" : "",
                    asked == CLM_CHECKPOINT_STORE ? ", allow recomputation" : "");
}

const char *clm_checkpointing_name(clm_checkpointing checkpointing) {
    static const char *const names[] = {"auto", "store", "recompute"};
    return (size_t)checkpointing < sizeof names / sizeof *names ? names[checkpointing] : "";
}

const char *clm_limit_reason_text(clm_limit_reason reason) {
    static const char *const texts[] = {"of what was asked for", "of nine tenths of the device's memory",
                                        "of nine tenths of the memory that is free"};
    return (size_t)reason < sizeof texts / sizeof *texts ? texts[reason] : "";
}

const char *clm_plan_reason_text(clm_plan_reason reason) {
    static const char *const texts[] = {"as asked for", "everything at once", "to stay under the memory limit",
                                        "so that values stay in the processor's cache", "as measured"};
    return (size_t)reason < sizeof texts / sizeof *texts ? texts[reason] : "";
}
