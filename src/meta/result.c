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
    const size_t tasks = (size_t)m->options.tasks, outputs = (size_t)clm_task_classes(t);
    const clm_shape out = clm_model_out_shape(t->model);
    switch (what) {
    case CLM_Q_SUPPORT_LOSS: return clm_task_adapts(t) ? tasks * (size_t)t->options.steps : 0;
    case CLM_Q_QUERY_LOSS:
    case CLM_Q_SUPPORT_ACCURACY:
    case CLM_Q_QUERY_ACCURACY: return tasks;
    case CLM_Q_QUERY_LOGITS: return tasks * (size_t)t->options.query * (t->algorithm->output ? outputs : clm_shape_size(&out));
    case CLM_Q_ADAPTED: return index < t->n ? tasks * t->entries[index].size : 0;
    case CLM_Q_GRAD: return index < t->n && t->entries[index].learned ? t->entries[index].size : 0;
    case CLM_Q_RATE_GRAD: return clm_meta_rate_size(m, index);
    }
    return 0;
}

static clm_status read_adapted(clm_meta *m, size_t i, double *out) {
    const clm_entry *e = &m->task.entries[i];
    const size_t tasks = (size_t)m->options.tasks;
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

static clm_status read_gradient(clm_meta *m, size_t entry, double *out) {
    return clm_entry_read_flat(&m->task.entries[entry], m->shares[0]->grad, 1.0 / (double)m->options.tasks, out);
}

clm_status clm_meta_read(clm_meta *m, clm_quantity what, size_t index, double *out) {
    const size_t tasks = (size_t)m->options.tasks, n = clm_meta_quantity_size(m, what, index);
    if (!m->computed) return clm_fail(CLM_E_STATE, "meta: nothing has been computed yet");
    if (n == 0) return clm_fail(CLM_E_ARG, "meta: there is no quantity %d with index %zu", (int)what, index);
    if (what == CLM_Q_GRAD) return read_gradient(m, index, out);
    if (what == CLM_Q_RATE_GRAD) return read_gradient(m, clm_task_rate_entry(&m->task, index), out);
    if (what == CLM_Q_ADAPTED) return read_adapted(m, index, out);
    for (size_t e = 0; e < n; e++) out[e] = 0;
    for (size_t s = 0; s < m->n_shares; s++) read_share(m->shares[s], m, what, n / tasks, out);
    return CLM_OK;
}

/* ---- the report of a step ---- */

static clm_status mean_of(clm_meta *m, clm_quantity what, double *mean) {
    const size_t n = clm_meta_quantity_size(m, what, 0), tasks = (size_t)m->options.tasks;
    *mean = 0;
    if (n == 0) return CLM_OK;
    double *data = clm_calloc(n, sizeof *data);
    if (!data) return CLM_E_MEMORY;
    clm_status status = clm_meta_read(m, what, 0, data);
    for (size_t t = 0; t < tasks; t++) *mean += data[t * (n / tasks)] / (double)tasks; /* the first of each task */
    free(data);
    return status;
}

clm_status clm_result_report(clm_meta *m, clm_meta_report *r) {
    CLM_TRY(mean_of(m, CLM_Q_SUPPORT_LOSS, &r->support_loss));
    CLM_TRY(mean_of(m, CLM_Q_QUERY_LOSS, &r->query_loss));
    CLM_TRY(mean_of(m, CLM_Q_SUPPORT_ACCURACY, &r->support_accuracy));
    CLM_TRY(mean_of(m, CLM_Q_QUERY_ACCURACY, &r->query_accuracy));
    CLM_TRY(clm_optimizer_norm(&m->optimizer, &r->grad_norm));
    r->lr = clm_optimizer_rate(&m->optimizer);
    return CLM_OK;
}
