/* What a meta-gradient leaves behind: losses, outputs and gradients in outside layout, and the update made from them.
 *
 * Per-task results are put together from the devices' shares in task order; the gradient in the first share is the sum of all. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "meta/internal.h"

clm_status clm_meta_gradient(clm_meta *m, const clm_batch *batch) {
    CLM_TRY(clm_meta_prepare(m));
    CLM_TRY(clm_split_gradient(m, batch, false));
    return clm_device_finish(m->device);
}

size_t clm_meta_quantity_size(const clm_meta *m, clm_quantity what, size_t index) {
    size_t tasks = (size_t)m->tasks;
    clm_shape out = clm_model_out_shape(m->inner.model);
    switch (what) {
    case CLM_Q_SUPPORT_LOSS: return tasks * (size_t)m->options.steps;
    case CLM_Q_QUERY_LOSS:
    case CLM_Q_SUPPORT_ACCURACY:
    case CLM_Q_QUERY_ACCURACY: return tasks;
    case CLM_Q_QUERY_LOGITS: return tasks * (size_t)m->inner.query * clm_shape_size(&out);
    case CLM_Q_ADAPTED: return index < m->inner.n ? tasks * (m->param_at[index + 1] - m->param_at[index]) : 0;
    case CLM_Q_GRAD: return index < m->inner.n ? m->param_at[index + 1] - m->param_at[index] : 0;
    case CLM_Q_RATE_GRAD: return clm_meta_rate_size(m, index);
    }
    return 0;
}

static clm_status read_adapted(clm_meta *m, size_t i, double *out) {
    const clm_param *p = clm_model_param(m->inner.model, i);
    size_t n = clm_shape_size(&p->shape), tasks = (size_t)m->tasks;
    if (m->inner.adapted[i]) {
        for (size_t s = 0; s < m->n_shares; s++) {
            const clm_meta *share = m->shares[s];
            const clm_readout *r = clm_gradient_readout(share, CLM_Q_ADAPTED, i);
            if (!r) return clm_fail(CLM_E_STATE, "meta: adapted parameters are kept with the option keep_adapted only");
            clm_layout_to_outer(p->layout, &p->shape, (size_t)share->options.tasks, r->host, out + (size_t)share->first * n);
        }
        return CLM_OK;
    }
    CLM_TRY(clm_meta_get_param(m, i, out)); /* not adapted: every task's is the meta-parameter */
    for (size_t t = 1; t < tasks; t++) memcpy(out + t * n, out, n * sizeof *out);
    return CLM_OK;
}

/* Adds a share's numbers of each task, times `weight`, to out[task * stride .. + count of the readout). */
static void add_readout(const clm_meta *share, clm_quantity what, size_t index, double weight, size_t stride, double *out) {
    const clm_readout *r = clm_gradient_readout(share, what, index);
    if (!r) return;
    for (size_t t = 0; t < (size_t)share->options.tasks; t++)
        for (size_t e = 0; e < r->count; e++) out[((size_t)share->first + t) * stride + e] += weight * r->host[t * r->count + e];
}

/* Query losses of several steps are weighted; of one step as they are. */
static void read_share(const clm_meta *share, const clm_meta *m, clm_quantity what, size_t stride, double *out) {
    int K = m->options.steps;
    if (what == CLM_Q_QUERY_LOSS)
        for (int k = 1; k <= K; k++) add_readout(share, what, (size_t)k, m->weights ? m->weights[k - 1] : 1, stride, out);
    else if (what == CLM_Q_SUPPORT_LOSS)
        for (int k = 0; k < K; k++) add_readout(share, what, (size_t)k, 1, stride, out + k);
    else
        add_readout(share, what, 0, 1, stride, out);
}

clm_status clm_meta_read(clm_meta *m, clm_quantity what, size_t index, double *out) {
    size_t tasks = (size_t)m->tasks, n = clm_meta_quantity_size(m, what, index);
    if (!m->computed) return clm_fail(CLM_E_STATE, "meta: nothing has been computed yet");
    if (n == 0) return clm_fail(CLM_E_ARG, "meta: there is no quantity %d with index %zu", (int)what, index);
    if (what == CLM_Q_GRAD) return clm_param_read(m->inner.model, index, m->param_grad[index], 1, 1.0 / (double)tasks, out);
    if (what == CLM_Q_ADAPTED) return read_adapted(m, index, out);
    if (what == CLM_Q_RATE_GRAD) {
        if (m->options.rates == CLM_RATES_PER_STEP) return clm_meta_step_rates(m, m->grad, NULL, 1.0 / (double)tasks, out);
        return clm_param_read(m->inner.model, index, m->rate_grad[index], 1, 1.0 / (double)tasks, out);
    }
    for (size_t e = 0; e < n; e++) out[e] = 0;
    for (size_t s = 0; s < m->n_shares; s++) read_share(m->shares[s], m, what, n / tasks, out);
    return CLM_OK;
}

/* ---- the update ---- */

static clm_status mean_of(clm_meta *m, clm_quantity what, double *mean) {
    size_t n = clm_meta_quantity_size(m, what, 0), tasks = (size_t)m->tasks;
    double *data = clm_calloc(n, sizeof *data);
    if (!data) return CLM_E_MEMORY;
    clm_status status = clm_meta_read(m, what, 0, data);
    *mean = 0;
    for (size_t t = 0; t < tasks; t++) *mean += data[t * (n / tasks)] / (double)tasks; /* the first of each task */
    free(data);
    return status;
}

static clm_status read_report(clm_meta *m, clm_meta_report *r) {
    CLM_TRY(mean_of(m, CLM_Q_SUPPORT_LOSS, &r->support_loss));
    CLM_TRY(mean_of(m, CLM_Q_QUERY_LOSS, &r->query_loss));
    CLM_TRY(mean_of(m, CLM_Q_SUPPORT_ACCURACY, &r->support_accuracy));
    CLM_TRY(mean_of(m, CLM_Q_QUERY_ACCURACY, &r->query_accuracy));
    CLM_TRY(clm_optimizer_norm(&m->outer, &r->grad_norm));
    r->lr = clm_optimizer_rate(&m->outer);
    return CLM_OK;
}

clm_status clm_meta_step(clm_meta *m, const clm_batch *batch, clm_meta_report *report) {
    clm_meta_report r = {0};
    CLM_TRY(clm_meta_prepare(m));
    CLM_TRY(clm_split_gradient(m, batch, true));
    const clm_status status = read_report(m, &r);
    if (report && status == CLM_OK) *report = r;
    if (status == CLM_OK && isfinite(r.query_loss) && isfinite(r.support_loss) && isfinite(r.grad_norm)) {
        m->moved = true;
        clm_optimizer_accept(&m->outer);
        return CLM_OK;
    }
    CLM_TRY(clm_optimizer_undo(&m->outer));
    CLM_TRY(status);
    return clm_fail(
        CLM_E_NUMERIC,
        "the meta-step gave a number that is not finite (support loss %g, query loss %g, gradient norm %g); nothing was "
        "updated: lower the inner rate (%g) or the outer rate (%g), or clip the gradient",
        r.support_loss, r.query_loss, r.grad_norm, m->options.inner_lr, r.lr);
}
