/* The plan of a meta-gradient under a memory limit.
 *
 * Tried in this order: all activations kept, with as many tasks at a time as fit; then recomputation, likewise. What a plan takes is known
 * before anything is taken. On a CPU, fewer tasks are taken at a time where their values then stay in its cache. Yet a device may have less than it says: another program, or the screen, uses it too, and drivers put memory
 * behind buffers at the first use. So a lack of memory, whether it shows at the allocation, at a launch or in a wait, leads to the next
 * smaller plan, and what was being computed is computed again from the start. */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/memory.h"
#include "meta/internal.h"

/* ---- a plan that fits ---- */

static size_t total_bytes(const clm_meta *m) {
    size_t bytes = clm_gradient_bytes(m) + clm_tensor_bytes(m->params) + clm_tensor_bytes(m->grad);
    return m->shares ? bytes + clm_outer_bytes(&m->outer) : bytes;
}

static clm_status plan_as(clm_meta *m, clm_checkpointing checkpointing, int chunk) {
    clm_outer_free(&m->outer);
    CLM_TRY(clm_gradient_plan(m, checkpointing, chunk));
    if (m->shares) CLM_TRY(clm_outer_init(&m->outer, m->device, m->workspace, m->params, m->grad, &m->options.optim));
    m->plan.bytes = total_bytes(m);
    return CLM_OK;
}

/* The largest divisor of n that is below `below`. */
static int next_chunk(int n, int below) {
    int c = below - 1;
    while (c > 1 && n % c) c--;
    return c;
}

/* Plans with as many tasks at a time as fit, from `chunk` downwards; *fits tells whether one does. */
static clm_status plan_within(clm_meta *m, clm_checkpointing how, size_t limit, int chunk, bool fixed, bool *fits) {
    *fits = false;
    while (true) {
        clm_status status = plan_as(m, how, chunk);
        if (status != CLM_OK && (status != CLM_E_LIMIT || fixed || chunk == 1)) return status;
        if (status == CLM_OK && m->plan.bytes <= limit) {
            *fits = true;
            return CLM_OK;
        }
        if (fixed || chunk == 1) return CLM_OK;
        int guess = status == CLM_OK ? (int)((double)chunk * (double)limit / (double)m->plan.bytes) + 1 : chunk;
        chunk = next_chunk(m->options.tasks, guess < chunk ? guess + 1 : chunk);
    }
}

/* Tasks at a time that suit a CPU whose cache holds the values of some tasks, but not of all: as many as keep within 0.7 of it,
 * as long as the work of a launch is worth its price. Otherwise all that are planned now. */
static int chunk_for_cache(const clm_meta *m) {
    const double launch = 20e-6, rate = 50e9; /* seconds; flops per second and compute unit: magnitudes, not measured here */
    const clm_device_info *d = &m->device->info;
    const int all = m->plan.task_chunk;
    const double room = 0.7 * (double)d->cache, task_bytes = (double)m->plan.bytes / all;
    const double overhead = launch * (double)m->plan.launches / (m->options.tasks / all);
    const double task_time = m->plan.flops / m->options.tasks / (rate * d->compute_units);
    if (d->type != CLM_DEVICE_CPU || task_bytes * all <= room) return all;
    for (int chunk = next_chunk(m->options.tasks, all); overhead <= 0.15 * chunk * task_time;
         chunk = next_chunk(m->options.tasks, chunk)) {
        if (chunk * task_bytes <= room) return chunk;
        if (chunk == 1) break;
    }
    return all;
}

/* The first plan under `limit`; where there is none, *fits is false and the plan the smallest. */
static clm_status plan_under(clm_meta *m, size_t limit, bool *fits) {
    clm_checkpointing asked = m->options.checkpointing;
    bool fixed = m->options.task_chunk > 0;
    int chunk = fixed ? m->options.task_chunk : m->options.tasks;
    *fits = false;
    if (asked != CLM_CHECKPOINT_RECOMPUTE) {
        clm_status status = plan_within(m, CLM_CHECKPOINT_STORE, limit, chunk, fixed, fits);
        if (status != CLM_OK && (status != CLM_E_LIMIT || asked == CLM_CHECKPOINT_STORE)) return status;
    }
    if (*fits && !fixed && (chunk = chunk_for_cache(m)) < m->plan.task_chunk) return plan_as(m, CLM_CHECKPOINT_STORE, chunk);
    if (*fits || asked == CLM_CHECKPOINT_STORE) return CLM_OK;
    return plan_within(m, CLM_CHECKPOINT_RECOMPUTE, limit, chunk, fixed, fits);
}

static clm_status limit_of(const clm_meta *m, size_t *limit) {
    uint64_t device = m->device->info.global_memory, variable = 0;
    CLM_TRY(clm_memory_limit(&variable));
    *limit = device ? (size_t)(device - device / 10) : SIZE_MAX;
    if (variable) *limit = variable < SIZE_MAX ? (size_t)variable : SIZE_MAX;
    if (m->options.memory_limit) *limit = m->options.memory_limit;
    return CLM_OK;
}

static const char *const names[] = {"auto", "store", "recompute"};

clm_status clm_meta_plan_share(clm_meta *m) {
    size_t limit = 0;
    bool fits = false;
    CLM_TRY(limit_of(m, &limit));
    CLM_TRY(plan_under(m, limit, &fits));
    if (fits) {
        clm_log_write(CLM_LOG_INFO, "memory plan: %s, %d of %d tasks at a time, %zu of at most %zu bytes, %zu launches",
                      names[m->plan.checkpointing], m->plan.task_chunk, m->options.tasks, m->plan.bytes, limit, m->plan.launches);
        return CLM_OK;
    }
    clm_checkpointing asked = m->options.checkpointing;
    return clm_fail(
        CLM_E_LIMIT,
        "memory limit of %s is too small: with checkpointing %s and %d task%s at a time this needs %s; raise --memory-limit (as "
        "an option of the library memory_limit) or CLMAML_MEMORY_LIMIT%s or use a smaller model",
        clm_bytes_text((double)limit).s, names[asked], m->plan.task_chunk, m->plan.task_chunk == 1 ? "" : "s",
        clm_bytes_text((double)m->plan.bytes).s, asked == CLM_CHECKPOINT_STORE ? ", allow recomputation" : "");
}

/* ---- a device with less memory than it says ---- */

static clm_status commit(clm_meta *m) {
    CLM_TRY(clm_tensor_commit(m->params));
    CLM_TRY(clm_tensor_commit(m->grad));
    CLM_TRY(clm_gradient_prepare(m));
    if (m->shares) CLM_TRY(clm_outer_prepare(&m->outer));
    return clm_device_finish(m->device); /* what was queued so far may show a lack of memory as well */
}

/* The optimiser's state, while its tensors are made anew. */
typedef struct state {
    uint64_t t;
    double *moment[2];
} state;

static clm_status keep_state(clm_meta *m, state *s) {
    clm_tensor *tensor[2] = {m->outer.first, m->outer.second};
    *s = (state){.t = m->outer.t};
    /* First the memory that is too much: on some devices nothing works before. */
    clm_program_free(m->outer.measure);
    clm_program_free(m->outer.update);
    m->outer.measure = m->outer.update = NULL;
    clm_gradient_free(m);
    (void)clm_device_finish(m->device);
    for (int i = 0; i < 2 && s->t > 0; i++) {
        if (!tensor[i]) continue;
        s->moment[i] = clm_calloc(m->elements, sizeof(double));
        if (!s->moment[i]) return CLM_E_MEMORY;
        CLM_TRY(clm_tensor_read_f64(tensor[i], s->moment[i], m->elements));
    }
    return CLM_OK;
}

static clm_status restore_state(clm_meta *m, const state *s) {
    clm_tensor *tensor[2] = {m->outer.first, m->outer.second};
    m->outer.t = s->t;
    for (int i = 0; i < 2; i++)
        if (s->moment[i]) CLM_TRY(clm_tensor_write_f64(tensor[i], s->moment[i], m->elements));
    return CLM_OK;
}

/* Sizes that fit in one after the other: the largest plan that takes three quarters of the last. */
static clm_status commit_smaller(clm_meta *m, const char *why) {
    clm_status status = CLM_E_MEMORY;
    while (status == CLM_E_MEMORY) {
        size_t was = m->plan.bytes;
        bool fits = false;
        CLM_TRY(plan_under(m, was - was / 4, &fits));
        if (!fits)
            return clm_fail(CLM_E_MEMORY,
                            "%s; the device gives less memory than it says, and %s are the least this takes (checkpointing %s, "
                            "%d task%s at a time): close other programs that use the device%s%s or use a smaller model",
                            why, clm_bytes_text((double)m->plan.bytes).s, names[m->plan.checkpointing], m->plan.task_chunk,
                            m->plan.task_chunk == 1 ? "" : "s", m->options.task_chunk ? ", leave the task chunk open" : "",
                            m->options.checkpointing == CLM_CHECKPOINT_STORE ? ", allow recomputation" : "");
        clm_log_write(CLM_LOG_INFO, "%s gives less memory than it says: now %d tasks at a time, checkpointing %s, %s (%s)",
                      m->device->info.name, m->plan.task_chunk, names[m->plan.checkpointing],
                      clm_bytes_text((double)m->plan.bytes).s, why);
        status = commit(m);
    }
    return status;
}

/* After a lack of memory: everything anew with less. */
static clm_status shrink(clm_meta *m) {
    char why[512];
    state kept;
    snprintf(why, sizeof why, "%s", clm_last_error());
    clm_status status = CLM_OK;
    CLM_GOTO(keep_state(m, &kept));
    CLM_GOTO(commit_smaller(m, why));
    status = restore_state(m, &kept);
out:
    free(kept.moment[0]);
    free(kept.moment[1]);
    return status;
}

clm_status clm_fit_prepare(clm_meta *m) {
    clm_status status = commit(m);
    return status == CLM_E_MEMORY ? shrink(m) : status;
}

clm_status clm_fit_run(clm_meta *m, const clm_batch *batch) {
    clm_status status;
    while ((status = clm_gradient_run(m, batch)) == CLM_E_MEMORY) CLM_TRY(shrink(m));
    return status;
}
