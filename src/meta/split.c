/* A meta-batch on several devices.
 *
 * Every device has a share: a run of consecutive tasks and a meta-learner of its own for them (meta.c). A gradient is
 *   1. the head's parameters to the other devices, through the host, when they have changed;
 *   2. on every device at once, the sum of the gradients of its tasks, in task order;
 *   3. these sums, added up in double in the order of the devices, into the head's gradient, from which it makes the update.
 * So the same shares give the same bits. One device makes the update and the others copy its result, because devices round
 * differently: were each to make its own, the copies would drift apart.
 *
 * Each further device is driven by a thread of its own while a gradient is computed, so they work at the same time whether a queue
 * takes launches without waiting or not. The threads sleep between gradients and end with the head. Where no thread can be had
 * the devices take turns, which gives the same numbers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "base/thread.h"
#include "meta/internal.h"

/* ---- the devices' threads ---- */

static clm_status compute(const clm_job *j) {
    clm_meta *m = j->share;
    double began = clm_clock();
    if (m != j->head && j->head->moved) CLM_TRY(clm_tensor_write_f64(m->params, j->head->values, m->elements));
    CLM_TRY(clm_fit_run(m, &j->batch, j->update));
    if (m->sum) CLM_TRY(clm_tensor_read_f64(m->grad, m->sum, m->elements));
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
        do_job(j);
        clm_monitor_enter(j->monitor);
        j->state = CLM_JOB_DONE;
        clm_monitor_wake(j->monitor);
    }
    clm_monitor_leave(j->monitor);
}

static void order(clm_job *j, clm_job_state state) {
    clm_monitor_enter(j->monitor);
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
static clm_status engage(clm_meta *head) {
    if (head->jobs) return CLM_OK;
    if (!(head->jobs = clm_calloc(head->n_shares, sizeof *head->jobs))) return CLM_E_MEMORY;
    for (size_t s = 0; s < head->n_shares; s++) {
        clm_job *j = &head->jobs[s];
        *j = (clm_job){.share = head->shares[s], .head = head};
        if (s == 0 || clm_monitor_create(&j->monitor) != CLM_OK) continue;
        if (clm_thread_start(&j->thread, drive, j) != CLM_OK) j->thread = NULL;
    }
    return CLM_OK;
}

static void dismiss(clm_meta *head) {
    for (size_t s = 1; head->jobs && s < head->n_shares; s++) {
        clm_job *j = &head->jobs[s];
        if (j->thread) order(j, CLM_JOB_OVER);
        clm_thread_join(j->thread);
        clm_monitor_free(j->monitor);
    }
    free(head->jobs);
    head->jobs = NULL;
}

/* ---- creation ---- */

static clm_status check_shares(const clm_meta_share *shares, size_t n, int tasks) {
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
    return clm_fail(CLM_E_ARG, "meta: the shares of %zu device%s have %lld tasks in all, the meta-batch has %d", n,
                    n == 1 ? "" : "s", sum, tasks);
}

/* The options of one share. A chunk that suits the whole need not divide a part. */
static clm_meta_options options_of(const clm_meta_options *options, const clm_meta_share *share) {
    clm_meta_options o = *options;
    o.tasks = share->tasks;
    if (share->memory_limit) o.memory_limit = share->memory_limit;
    if (o.task_chunk > o.tasks) o.task_chunk = o.tasks;
    while (o.task_chunk > 1 && o.tasks % o.task_chunk) o.task_chunk--;
    return o;
}

static clm_status fail_share(clm_status status, const clm_meta *head, const clm_device *device, int first, int tasks) {
    if (tasks == head->tasks) return status;
    return clm_fail_in(status, "%s, tasks %d to %d of %d", device->info.name, first, first + tasks - 1, head->tasks);
}

static clm_status add_share(clm_meta **head, const clm_meta_share *share, int first, const clm_model *model,
                            const clm_meta_options *options) {
    clm_meta_options own = options_of(options, share);
    clm_meta *m = NULL, probe = {.tasks = options->tasks};
    clm_status status = clm_meta_create_share(&m, share->device, model, &own, *head == NULL);
    if (status != CLM_OK) return fail_share(status, &probe, share->device, first, share->tasks);
    m->first = first;
    if (!*head) {
        *head = m;
        m->tasks = options->tasks;
        return CLM_OK;
    }
    (*head)->shares[(*head)->n_shares++] = m;
    return CLM_OK;
}

clm_status clm_split_create(clm_meta **out, const clm_meta_share *shares, size_t n, const clm_model *model,
                            const clm_meta_options *options) {
    clm_meta *head = NULL;
    clm_status status = CLM_OK;
    int first = 0;
    *out = NULL;
    CLM_TRY(clm_meta_check_options(options));
    CLM_TRY(check_shares(shares, n, options->tasks));
    for (size_t i = 0; i < n; i++) {
        if (!shares[i].tasks) continue;
        CLM_GOTO(add_share(&head, &shares[i], first, model, options));
        size_t capacity = head->n_shares;
        CLM_GOTO(clm_grow(&head->shares, &capacity, n, sizeof *head->shares));
        first += shares[i].tasks;
    }
    *out = head;
    head = NULL;
out:
    clm_meta_free(head);
    return status;
}

void clm_meta_free(clm_meta *head) {
    if (!head) return;
    dismiss(head);
    for (size_t s = 1; s < head->n_shares; s++) clm_meta_free_share(head->shares[s]);
    clm_meta_free_share(head);
}

clm_status clm_split_prepare(clm_meta *head) {
    if (head->n_shares == 1) return CLM_OK;
    CLM_TRY(engage(head));
    if (!head->values && !(head->values = clm_calloc(head->elements, sizeof *head->values))) return CLM_E_MEMORY;
    for (size_t s = 0; s < head->n_shares; s++) {
        clm_meta *m = head->shares[s];
        if (!m->sum && !(m->sum = clm_calloc(m->elements, sizeof *m->sum))) return CLM_E_MEMORY;
    }
    return CLM_OK;
}

/* ---- reports ---- */

clm_meta_plan clm_meta_get_plan(const clm_meta *head) {
    clm_meta_plan all = head->plan;
    all.parts = head->whole ? (int)head->n_shares : 1;
    for (size_t s = 1; s < head->n_shares; s++) {
        const clm_meta_plan *p = &head->shares[s]->plan;
        all.bytes += p->bytes;
        all.launches += p->launches;
        all.kernels += p->kernels;
        all.flops += p->flops;
        all.traffic += p->traffic;
    }
    return all;
}

size_t clm_meta_part_count(const clm_meta *head) { return head->whole ? 1 : head->n_shares; }

/* A divided device counts as the one it is. */
static clm_meta_part whole_part(const clm_meta *head) {
    clm_meta_part part = {.device = head->whole, .tasks = head->tasks, .plan = clm_meta_get_plan(head)};
    for (size_t s = 0; s < head->n_shares; s++)
        if (head->shares[s]->seconds > part.seconds) part.seconds = head->shares[s]->seconds;
    return part;
}

clm_meta_part clm_meta_get_part(const clm_meta *head, size_t i) {
    const clm_meta *m = head->shares[i];
    if (head->whole) return whole_part(head);
    return (clm_meta_part){
        .device = m->device, .first = m->first, .tasks = m->options.tasks, .seconds = m->seconds, .plan = m->plan};
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

/* The sums of all devices, into the head's gradient. */
static clm_status add_up(clm_meta *head) {
    for (size_t s = 1; s < head->n_shares; s++)
        for (size_t e = 0; e < head->elements; e++) head->sum[e] += head->shares[s]->sum[e];
    return clm_tensor_write_f64(head->grad, head->sum, head->elements);
}

static clm_status gradient_of_all(clm_meta *head, const clm_batch *batch) {
    clm_job *jobs = head->jobs;
    CLM_TRY(clm_feed_check(head, head->tasks, batch));
    if (head->moved) CLM_TRY(clm_tensor_read_f64(head->params, head->values, head->elements));
    for (size_t s = 0; s < head->n_shares; s++) jobs[s].batch = clm_feed_part(head->shares[s], batch);
    run_all(jobs, head->n_shares);
    for (size_t s = 0; s < head->n_shares; s++) {
        const clm_meta *m = jobs[s].share;
        if (jobs[s].status == CLM_OK) continue;
        clm_fail(jobs[s].status, "%s", jobs[s].message);
        return fail_share(jobs[s].status, head, m->device, m->first, m->options.tasks);
    }
    head->moved = false;
    return add_up(head);
}

clm_status clm_split_gradient(clm_meta *head, const clm_batch *batch, bool update) {
    head->computed = false;
    if (head->n_shares == 1) return compute(&(clm_job){.share = head, .head = head, .batch = *batch, .update = update});
    clm_status status = gradient_of_all(head, batch);
    if (status == CLM_OK && update) status = clm_optimizer_run(&head->outer, head->tasks);
    head->computed = status == CLM_OK;
    return status;
}
