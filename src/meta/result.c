/* What a meta-gradient leaves behind: losses, outputs and gradients in outside layout.
 *
 * Per-task results are put together from the devices' shares in task order; the gradient in the first share is the sum of all. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "meta/algorithm/algorithm.h"
#include "meta/internal.h"

size_t clm_meta_quantity_size(const clm_meta *m, clm_quantity what, size_t index) {
    const clm_task *t = &m->task;
    const size_t tasks = (size_t)m->tasks, outputs = (size_t)clm_task_classes(t);
    const clm_shape out = clm_model_out_shape(t->model);
    switch (what) {
    case CLM_Q_SUPPORT_LOSS: return clm_task_adapts(t) ? tasks * (size_t)t->options.steps : 0;
    case CLM_Q_QUERY_LOSS:
    case CLM_Q_SUPPORT_ACCURACY:
    case CLM_Q_QUERY_ACCURACY: return tasks;
    case CLM_Q_QUERY_LOGITS: return tasks * (size_t)t->options.query * (t->algorithm->output ? outputs : clm_shape_size(&out));
    case CLM_Q_ADAPTED: return index < t->n ? tasks * t->entries[index].size : 0;
    case CLM_Q_GRAD: return index < m->starts * t->n && t->entries[index % t->n].learned ? t->entries[index % t->n].size : 0;
    case CLM_Q_RATE_GRAD: return index < m->starts * t->n ? clm_meta_rate_size(m, index % t->n) : 0;
    }
    return 0;
}

static clm_status read_adapted(clm_meta *m, size_t i, double *out) {
    const clm_entry *e = &m->task.entries[i];
    const size_t tasks = (size_t)m->tasks;
    if (e->adapted) {
        for (size_t s = 0; s < m->n_shares; s++) {
            const clm_share *share = m->shares[s];
            const clm_readout *r = clm_exec_readout(share, m->variant, CLM_Q_ADAPTED, i);
            if (!r && m->options.keep_adapted)
                return clm_fail(CLM_E_STATE, "meta: %s adapts nothing while it trains; see clm_learner_get_adapted",
                                m->task.algorithm->info.name);
            if (!r) return clm_fail(CLM_E_STATE, "meta: adapted parameters are kept with the option keep_adapted only");
            clm_layout_to_outer(e->layout, &e->shape, (size_t)share->tasks, r->host, out + (size_t)share->first * e->size);
        }
        return CLM_OK;
    }
    CLM_TRY(clm_meta_get_param(m, i, out)); /* not adapted: every task's is the meta-parameter */
    for (size_t t = 1; t < tasks; t++) memcpy(out + t * e->size, out, e->size * sizeof *out);
    return CLM_OK;
}

/* Adds a share's numbers of each task, times `weight`, to out[task * stride .. + count of the readout). */
static void add_readout(const clm_share *share, size_t variant, clm_quantity what, size_t index, double weight, size_t stride,
                        double *out) {
    const clm_readout *r = clm_exec_readout(share, variant, what, index);
    if (!r) return;
    for (size_t t = 0; t < (size_t)share->tasks; t++)
        for (size_t e = 0; e < r->count; e++)
            out[((size_t)share->first + t) * stride + e] += weight * r->host[t * r->count + e];
}

/* Query losses of several steps are weighted; of one step as they are. */
static void read_share(const clm_share *share, const clm_meta *m, clm_quantity what, size_t stride, double *out) {
    const int K = m->task.options.steps;
    const double *w = m->task.weights;
    if (what == CLM_Q_QUERY_LOSS)
        for (int k = 0; k <= K; k++) add_readout(share, m->variant, what, (size_t)k, w ? w[k - (k > 0)] : 1, stride, out);
    else if (what == CLM_Q_SUPPORT_LOSS)
        for (int k = 0; k < K; k++) add_readout(share, m->variant, what, (size_t)k, 1, stride, out + k);
    else
        add_readout(share, m->variant, what, 0, 1, stride, out);
}

static clm_status read_gradient(clm_meta *m, size_t start, size_t entry, double *out) {
    const clm_entry *e = &m->task.entries[entry];
    if (clm_ranks_are_there(m) && !m->summed)
        return clm_fail(CLM_E_STATE,
                        "meta: the gradient of a step is on rank 0 alone; clm_meta_gradient leaves it on all ranks");
    return clm_entry_read_flat(e, m->shares[0]->grad, clm_flat_place(&m->task, m->starts, start, e->at),
                               1.0 / (double)m->options.tasks, out);
}

clm_status clm_meta_read(clm_meta *m, clm_quantity what, size_t index, double *out) {
    const size_t tasks = (size_t)m->tasks, n = clm_meta_quantity_size(m, what, index);
    if (!m->computed) return clm_fail(CLM_E_STATE, "meta: nothing has been computed yet");
    if (n == 0) return clm_fail(CLM_E_ARG, "meta: there is no quantity %d with index %zu", (int)what, index);
    const size_t start = index / m->task.n, own = index % m->task.n;
    if (what == CLM_Q_GRAD) return read_gradient(m, start, own, out);
    if (what == CLM_Q_RATE_GRAD) return read_gradient(m, start, clm_task_rate_entry(&m->task, own), out);
    if (what == CLM_Q_ADAPTED) return read_adapted(m, index, out);
    for (size_t e = 0; e < n; e++) out[e] = 0;
    for (size_t s = 0; s < m->n_shares; s++) read_share(m->shares[s], m, what, n / tasks, out);
    return CLM_OK;
}

/* ---- the report of a step ---- */

/* The first number of each task, as there are several of the support loss. */
static clm_status first_of_tasks(clm_meta *m, clm_quantity what, double *out) {
    const size_t n = clm_meta_quantity_size(m, what, 0), tasks = (size_t)m->tasks;
    if (n == 0) return CLM_OK;
    double *data = clm_calloc(n, sizeof *data);
    if (!data) return CLM_E_MEMORY;
    const clm_status status = clm_meta_read(m, what, 0, data);
    for (size_t t = 0; t < tasks; t++) out[t] = data[t * (n / tasks)];
    free(data);
    return status;
}

clm_status clm_result_report(clm_meta *m, clm_meta_report *r) {
    static const clm_quantity of[] = {CLM_Q_SUPPORT_LOSS, CLM_Q_QUERY_LOSS, CLM_Q_SUPPORT_ACCURACY, CLM_Q_QUERY_ACCURACY};
    enum { N = sizeof of / sizeof *of };
    double *const means[N] = {&r->support_loss, &r->query_loss, &r->support_accuracy, &r->query_accuracy}, mean[N] = {0};
    const size_t tasks = (size_t)m->tasks;
    clm_status status = CLM_OK;
    double *data = clm_calloc(N * tasks, sizeof *data);
    if (!data) return CLM_E_MEMORY;
    for (size_t i = 0; i < N; i++) CLM_GOTO(first_of_tasks(m, of[i], data + i * tasks));
    CLM_GOTO(clm_ranks_means(m, data, N, mean));
    for (size_t i = 0; i < N; i++) *means[i] = mean[i];
    r->lr = clm_optimizer_rate(&m->optimizer);
    if (clm_comm_rank(m->options.comm) == 0) status = clm_optimizer_norm(&m->optimizer, &r->grad_norm);
out:
    free(data);
    return status;
}
