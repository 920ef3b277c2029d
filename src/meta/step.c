/* The meta-gradient of a batch, and the outer update made from it. */
#include <math.h>

#include "base/number.h"
#include "meta/internal.h"

static clm_status gradient(clm_meta *meta, const clm_batch *batch, int order) {
    const bool other = order == 1 && !meta->task.options.first_order;
    if (order != 1 && order != 2) return clm_fail(CLM_E_ARG, "meta: there is no gradient of order %d", order);
    if (other && meta->shares[0]->exec.n_variants < 2)
        return clm_fail(CLM_E_STATE, "meta: the first-order gradient was not planned; set both_orders");
    CLM_TRY(clm_meta_prepare(meta));
    CLM_TRY(clm_shares_gradient(meta, other, batch, false));
    return clm_device_finish(meta->shares[0]->device);
}

clm_status clm_meta_gradient_of_order(clm_meta *meta, const clm_batch *batch, int order) {
    CLM_IN_META(meta, gradient(meta, batch, order));
}

clm_status clm_meta_gradient(clm_meta *meta, const clm_batch *batch) { return clm_meta_gradient_of_order(meta, batch, 2); }

/* Derivative-order annealing. */
static size_t variant_now(const clm_meta *meta) { return meta->optimizer.t < meta->options.first_order_until ? 1 : 0; }

/* Other ranks follow rank 0: its norm, and what it has updated. Their optimisers count along. */
static clm_status follow(clm_meta *meta, clm_meta_report *r, bool *finite) {
    clm_comm *comm = meta->options.comm;
    CLM_TRY(clm_comm_broadcast(comm, &r->grad_norm, sizeof r->grad_norm));
    *finite = isfinite(r->query_loss) && isfinite(r->support_loss) && isfinite(r->grad_norm);
    if (!*finite) return CLM_OK;
    if (clm_comm_rank(comm) > 0) clm_optimizer_skip(&meta->optimizer);
    return clm_ranks_pass_on(meta);
}

static clm_status step(clm_meta *meta, const clm_batch *batch, clm_meta_report *report) {
    clm_meta_report r = {0};
    bool finite = false;
    CLM_TRY(clm_meta_prepare(meta));
    CLM_TRY(clm_shares_gradient(meta, variant_now(meta), batch, true));
    clm_status status = clm_result_report(meta, &r);
    if (status == CLM_OK) status = follow(meta, &r, &finite);
    if (report && status == CLM_OK) *report = r;
    if (status == CLM_OK && finite) {
        meta->moved = true;
        if (clm_comm_rank(meta->options.comm) == 0) clm_optimizer_accept(&meta->optimizer);
        return CLM_OK;
    }
    CLM_TRY(clm_optimizer_undo(&meta->optimizer));
    CLM_TRY(status);
    return clm_fail(
        CLM_E_NUMERIC,
        "the meta-step gave a number that is not finite (support loss %s, query loss %s, gradient norm %s); nothing was "
        "updated: lower the inner rate (%g) or the outer rate (%g), or clip the gradient (inner_lr, optim.lr, optim.clip)",
        clm_number_text(r.support_loss, 6).s, clm_number_text(r.query_loss, 6).s, clm_number_text(r.grad_norm, 6).s,
        meta->task.options.inner_lr, r.lr);
}

clm_status clm_meta_step(clm_meta *meta, const clm_batch *batch, clm_meta_report *report) {
    CLM_IN_META(meta, step(meta, batch, report));
}

void clm_meta_skip(clm_meta *meta) { clm_optimizer_skip(&meta->optimizer); }
