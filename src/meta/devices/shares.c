/* A meta-batch on several devices.
 *
 * Every device has a share: a run of consecutive tasks, with a copy of the parameters and an executable for them (share.c). A
 * gradient is
 *   1. the first share's parameters to the other devices, through the host, when they have changed;
 *   2. on every device at once, the sum of the gradients of its tasks, in task order;
 *   3. these sums, added up in double in the order of the devices, into the first share's gradient, from which the update is
 *   made.
 * So the same shares give the same bits. One device makes the update and the others copy its result, because devices round
 * differently: if each made its own, the copies would drift apart.
 *
 * Where several processes share the meta-batch, or several devices of one that might, tasks are summed apart: ranks.c.
 *
 * Each further device is driven by a thread of its own while a gradient is computed, so they work at the same time whether a
 * queue takes launches without waiting or not. The threads sleep between gradients and end with the meta-learner. Where no
 * thread can be had the devices work one after the other, which gives the same numbers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/integers.h"
#include "base/memory.h"
#include "base/thread.h"
#include "meta/internal.h"

/* ---- the devices' threads ---- */

static clm_status compute(const clm_job *j) {
    clm_share *m = j->share;
    const clm_meta *meta = j->meta;
    double began = clm_clock();
    if (m != meta->shares[0] && meta->moved) CLM_TRY(clm_tensor_write_f64(m->params, meta->values, clm_tensor_size(m->params)));
    CLM_TRY(clm_retry_run(m, j->variant, &j->batch, j->update ? m->optimizer : NULL, meta->options.tasks));
    if (m->sum && !m->request.apart) CLM_TRY(clm_tensor_read_f64(m->grad, m->sum, clm_tensor_size(m->grad)));
    m->seconds = clm_clock() - began;
    return CLM_OK;
}

static void do_job(clm_job *j) {
    j->status = compute(j);
    if (j->status != CLM_OK) snprintf(j->message, sizeof j->message, "%s", clm_last_error());
}

static void drive(void *argument) {
    clm_job *j = argument;
    clm_monitor_enter(j->monitor);
    while (j->state != CLM_JOB_OVER) {
        if (j->state != CLM_JOB_WANTED) {
            clm_monitor_wait(j->monitor);
            continue;
        }
        clm_monitor_leave(j->monitor);
        clm_device_work_for(j->user);
        do_job(j);
        clm_monitor_enter(j->monitor);
        j->state = CLM_JOB_DONE;
        clm_monitor_wake(j->monitor);
    }
    clm_monitor_leave(j->monitor);
}

static void order(clm_job *j, clm_job_state state) {
    clm_monitor_enter(j->monitor);
    j->user = clm_device_user();
    j->state = state;
    clm_monitor_wake(j->monitor);
    clm_monitor_leave(j->monitor);
}

static void await(clm_job *j) {
    clm_monitor_enter(j->monitor);
    while (j->state != CLM_JOB_DONE) clm_monitor_wait(j->monitor);
    clm_monitor_leave(j->monitor);
}

/* Threads for all shares but the first. */
static clm_status engage(clm_meta *meta) {
    if (meta->jobs) return CLM_OK;
    if (!(meta->jobs = clm_calloc(meta->n_shares, sizeof *meta->jobs))) return CLM_E_MEMORY;
    for (size_t s = 0; s < meta->n_shares; s++) {
        clm_job *j = &meta->jobs[s];
        *j = (clm_job){.share = meta->shares[s], .meta = meta};
        if (s == 0 || clm_monitor_create(&j->monitor) != CLM_OK) continue;
        if (clm_thread_start(&j->thread, drive, j) != CLM_OK) j->thread = NULL;
    }
    return CLM_OK;
}

void clm_shares_dismiss(clm_meta *meta) {
    for (size_t s = 1; meta->jobs && s < meta->n_shares; s++) {
        clm_job *j = &meta->jobs[s];
        if (j->thread) order(j, CLM_JOB_OVER);
        clm_thread_join(j->thread);
        clm_monitor_free(j->monitor);
    }
    free(meta->jobs);
    meta->jobs = NULL;
}

/* ---- one thread at a time ---- */

static clm_device *device_at(const clm_meta *meta, size_t i) { return i ? meta->shares[i - 1]->device : meta->whole; }

static void leave(clm_meta *meta, size_t count) {
    while (count--)
        if (device_at(meta, count)) clm_device_leave(device_at(meta, count));
}

clm_status clm_meta_enter(clm_meta *meta) {
    for (size_t i = 0; i <= meta->n_shares; i++) {
        clm_device *device = device_at(meta, i);
        const clm_status status = device ? clm_device_enter(device) : CLM_OK;
        if (status == CLM_OK) continue;
        leave(meta, i);
        return status;
    }
    return CLM_OK;
}

void clm_meta_leave(clm_meta *meta) { leave(meta, meta->n_shares + 1); }

/* ---- creation ---- */

clm_status clm_meta_check_options(const clm_meta_options *o) {
    clm_task_options task = o->task;
    if (o->version != CLM_META_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "meta: options of version %d; initialise them with CLM_META_OPTIONS_INIT", o->version);
    if (o->tasks < 1)
        return clm_fail(CLM_E_ARG,
                        "meta: %d tasks of %d support and %d query examples, %d inner steps: each must be at least 1", o->tasks,
                        o->task.support, o->task.query, o->task.steps);
    if (o->task_chunk < 0 || (o->task_chunk > 0 && o->tasks % o->task_chunk))
        return clm_fail(CLM_E_ARG, "meta: %d tasks cannot be run %d at a time; choose a divisor", o->tasks, o->task_chunk);
    if (o->initialisations < 0 || o->initialisations > CLM_INITIALISATIONS_MOST)
        return clm_fail(CLM_E_ARG, "meta: %d initialisations: 1 to %d are possible", o->initialisations,
                        CLM_INITIALISATIONS_MOST);
    if (o->initialisations > 1 && clm_comm_size(o->comm) > 1)
        return clm_fail(CLM_E_ARG, "meta: several initialisations are for one process, not for %d ranks",
                        clm_comm_size(o->comm));
    if (o->initialisations > 1 && o->keep_adapted)
        return clm_fail(CLM_E_ARG, "meta: keep_adapted and %d initialisations exclude each other", o->initialisations);
    CLM_TRY(clm_task_options_resolve(&task));
    if (!clm_algorithm_uses(task.algorithm, "first-order")) {
        if (o->both_orders) return clm_fail_unread("both_orders", "algorithm", task.algorithm);
        if (o->checkpointing != CLM_CHECKPOINT_AUTO) return clm_fail_unread("checkpointing", "algorithm", task.algorithm);
    }
    if (o->both_orders && task.first_order)
        return clm_fail(CLM_E_ARG, "both_orders has no use with %s%s: there is no second-order term to leave out",
                        task.algorithm, o->task.first_order ? " and first_order" : "");
    if ((int)o->checkpointing < 0 || o->checkpointing > CLM_CHECKPOINT_RECOMPUTE)
        return clm_fail(CLM_E_ARG, "checkpointing is %d; its values are those of clm_checkpointing", (int)o->checkpointing);
    if (o->first_order_until > 0 && (task.first_order || !clm_algorithm_uses(task.algorithm, "first-order")))
        return clm_fail(CLM_E_ARG, "meta: first_order_until has no use where there is no second-order term to begin with");
    return CLM_OK;
}

/* ranked: the tasks are those of one of several ranks. */
static clm_status check_shares(const clm_meta_share *shares, size_t n, int tasks, bool ranked) {
    long long sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (shares[i].tasks < 0) return clm_fail(CLM_E_ARG, "meta: share %zu has %d tasks", i, shares[i].tasks);
        sum += shares[i].tasks;
        for (size_t k = 0; k < i; k++)
            if (shares[k].device == shares[i].device)
                return clm_fail(CLM_E_ARG, "meta: shares %zu and %zu are on one device, %s; a device takes one share", k, i,
                                shares[i].device->info.name);
    }
    if (sum == tasks && tasks > 0) return CLM_OK;
    return clm_fail(CLM_E_ARG, "meta: the shares of %zu device%s have %lld tasks in all, %s has %d", n, n == 1 ? "" : "s", sum,
                    ranked ? "this rank's part of the meta-batch" : "the meta-batch", tasks);
}

/* What is asked of the plan of one share. A chunk that suits the whole need not divide a part. */
static clm_request request_of(const clm_meta_options *o, const clm_meta_share *share, size_t n) {
    clm_request r = {.checkpointing = o->checkpointing,
                     .task_chunk = clm_least(o->task_chunk, share->tasks),
                     .memory_limit = share->memory_limit ? share->memory_limit : o->memory_limit,
                     .keep_adapted = o->keep_adapted,
                     .both_orders = (o->both_orders || o->first_order_until > 0) && !o->task.first_order,
                     .apart = clm_comm_size(o->comm) > 1 || (o->comm && n > 1 && o->initialisations < 2)};
    while (r.task_chunk > 1 && share->tasks % r.task_chunk) r.task_chunk--;
    return r;
}

static clm_status fail_share(clm_status status, const clm_meta *meta, const clm_device *device, int first, int tasks) {
    if (tasks == meta->options.tasks) return status;
    first += meta->first;
    return clm_fail_in(status, "%s, tasks %d to %d of %d", device->info.name, first, first + tasks - 1, meta->options.tasks);
}

static clm_status add_shares(clm_meta *meta, const clm_meta_share *shares, size_t n) {
    int first = 0;
    for (size_t i = 0; i < n; i++) {
        if (!shares[i].tasks) continue;
        const clm_request request = request_of(&meta->options, &shares[i], n);
        clm_status status = clm_share_create(&meta->shares[meta->n_shares], meta, &shares[i], first, &request);
        if (status != CLM_OK) return fail_share(status, meta, shares[i].device, first, shares[i].tasks);
        meta->n_shares++;
        first += shares[i].tasks;
    }
    return CLM_OK;
}

clm_status clm_shares_create(clm_meta **out, const clm_meta_share *shares, size_t n, const clm_model *model,
                             const clm_meta_options *options) {
    clm_status status = CLM_OK;
    int first, tasks;
    *out = NULL;
    CLM_TRY(clm_meta_check_options(options));
    clm_comm_share(options->comm, options->tasks, &first, &tasks);
    if (tasks < 1)
        return clm_fail(CLM_E_ARG, "meta: %d ranks for the %d tasks of a meta-batch; use as many as there are tasks at most",
                        clm_comm_size(options->comm), options->tasks);
    CLM_TRY(check_shares(shares, n, tasks, clm_comm_size(options->comm) > 1));
    clm_meta *meta = clm_calloc(1, sizeof *meta);
    if (!meta) return CLM_E_MEMORY;
    CLM_GOTO(clm_task_init(&meta->task, model, &options->task));
    meta->options = *options;
    meta->options.task = meta->task.options;
    meta->starts = options->initialisations > 1 ? (size_t)options->initialisations : 1;
    meta->first = first;
    meta->tasks = tasks;
    if (!(meta->shares = clm_calloc(n, sizeof *meta->shares))) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(add_shares(meta, shares, n));
    *out = meta;
    meta = NULL;
out:
    clm_meta_free(meta);
    return status;
}

void clm_meta_free(clm_meta *meta) {
    if (!meta) return;
    clm_shares_dismiss(meta);
    for (size_t s = 0; meta->shares && s < meta->n_shares; s++) clm_share_free(meta->shares[s]);
    free(meta->shares);
    free(meta->values);
    free(meta->total);
    clm_task_free(&meta->task);
    free(meta);
}

clm_status clm_shares_prepare(clm_meta *meta) {
    const bool ranks = clm_ranks_are_there(meta);
    if (meta->n_shares == 1 && !ranks) return CLM_OK;
    if (meta->n_shares > 1) CLM_TRY(engage(meta));
    if (ranks && !meta->total && !(meta->total = clm_calloc(meta->task.elements, sizeof(double)))) return CLM_E_MEMORY;
    if (!meta->values && !(meta->values = clm_calloc(clm_tensor_size(meta->shares[0]->params), sizeof *meta->values)))
        return CLM_E_MEMORY;
    for (size_t s = 0; s < meta->n_shares && !ranks; s++) {
        clm_share *m = meta->shares[s];
        if (!m->sum && !(m->sum = clm_calloc(clm_tensor_size(m->grad), sizeof *m->sum))) return CLM_E_MEMORY;
    }
    return CLM_OK;
}

/* ---- reports ---- */

static clm_meta_plan plan_of(const clm_share *m) {
    clm_meta_plan plan = m->exec.plan;
    plan.limit = m->limit;
    plan.limit_reason = m->limit_reason;
    return plan;
}

clm_meta_plan clm_meta_get_plan(const clm_meta *meta) {
    clm_meta_plan all = plan_of(meta->shares[0]);
    all.parts = meta->whole ? (int)meta->n_shares : 1;
    if (meta->whole) {
        all.limit = meta->whole_limit;
        all.limit_reason = meta->whole_limit_reason;
    }
    for (size_t s = 1; s < meta->n_shares; s++) {
        const clm_meta_plan p_of = plan_of(meta->shares[s]), *p = &p_of;
        if (!meta->whole) all.limit = p->limit < SIZE_MAX - all.limit ? all.limit + p->limit : SIZE_MAX;
        all.bytes += p->bytes;
        all.launches += p->launches;
        all.kernels += p->kernels;
        all.flops += p->flops;
        all.traffic += p->traffic;
    }
    return all;
}

size_t clm_meta_part_count(const clm_meta *meta) { return meta->whole ? 1 : meta->n_shares; }

/* A divided device counts as the one it is. */
static clm_meta_part whole_part(const clm_meta *meta) {
    clm_meta_part part = {.device = meta->whole, .first = meta->first, .tasks = meta->tasks, .plan = clm_meta_get_plan(meta)};
    for (size_t s = 0; s < meta->n_shares; s++)
        if (meta->shares[s]->seconds > part.seconds) part.seconds = meta->shares[s]->seconds;
    return part;
}

clm_meta_part clm_meta_get_part(const clm_meta *meta, size_t i) {
    const clm_share *m = meta->shares[i];
    if (meta->whole) return whole_part(meta);
    return (clm_meta_part){
        .device = m->device, .first = m->place, .tasks = m->tasks, .seconds = m->seconds, .plan = plan_of(m)};
}

/* ---- the gradient ---- */

static void run_all(clm_job *jobs, size_t n) {
    for (size_t s = 1; s < n; s++)
        if (jobs[s].thread) order(&jobs[s], CLM_JOB_WANTED);
    do_job(&jobs[0]);
    for (size_t s = 1; s < n; s++) {
        if (!jobs[s].thread)
            do_job(&jobs[s]);
        else
            await(&jobs[s]);
    }
}

/* The sums of all devices, into the first share's gradient. */
static clm_status add_up(clm_meta *meta) {
    clm_share *first = meta->shares[0];
    for (size_t s = 1; s < meta->n_shares; s++)
        for (size_t e = 0; e < clm_tensor_size(first->grad); e++) first->sum[e] += meta->shares[s]->sum[e];
    return clm_tensor_write_f64(first->grad, first->sum, clm_tensor_size(first->grad));
}

static clm_status gradient_of_all(clm_meta *meta, size_t variant, const clm_batch *batch) {
    clm_job *jobs = meta->jobs;
    CLM_TRY(clm_feed_check(meta->shares[0], meta->tasks, batch));
    if (meta->moved)
        CLM_TRY(clm_tensor_read_f64(meta->shares[0]->params, meta->values, clm_tensor_size(meta->shares[0]->params)));
    for (size_t s = 0; s < meta->n_shares; s++) {
        jobs[s].batch = clm_feed_part(meta->shares[s], batch);
        jobs[s].variant = variant;
    }
    run_all(jobs, meta->n_shares);
    for (size_t s = 0; s < meta->n_shares; s++) {
        const clm_share *m = jobs[s].share;
        if (jobs[s].status == CLM_OK) continue;
        clm_fail(jobs[s].status, "%s", jobs[s].message);
        return fail_share(jobs[s].status, meta, m->device, m->first, m->tasks);
    }
    meta->moved = false;
    return clm_ranks_are_there(meta) ? CLM_OK : add_up(meta);
}

static clm_status gradient_of_one(clm_meta *meta, size_t variant, const clm_batch *batch, bool update) {
    return compute(&(clm_job){.share = meta->shares[0], .meta = meta, .batch = *batch, .variant = variant, .update = update});
}

clm_status clm_shares_gradient(clm_meta *meta, size_t variant, const clm_batch *batch, bool update) {
    meta->computed = false;
    for (size_t s = 0; s < meta->n_shares; s++) meta->shares[s]->updates = meta->optimizer.t;
    const bool ranks = clm_ranks_are_there(meta), alone = meta->n_shares == 1 && !ranks;
    clm_status status =
        meta->n_shares == 1 ? gradient_of_one(meta, variant, batch, update && alone) : gradient_of_all(meta, variant, batch);
    if (status == CLM_OK && ranks) status = clm_ranks_add_up(meta, !update);
    if (status == CLM_OK && update && !alone && clm_comm_rank(meta->options.comm) == 0)
        status = clm_optimizer_run(&meta->optimizer, meta->options.tasks);
    meta->computed = status == CLM_OK;
    meta->variant = variant;
    return status;
}
