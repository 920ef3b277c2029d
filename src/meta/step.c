/* The meta-gradient of a batch, and the outer update made from it. */
#include <math.h>

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

static clm_status step(clm_meta *meta, const clm_batch *batch, clm_meta_report *report) {
    clm_meta_report r = {0};
    CLM_TRY(clm_meta_prepare(meta));
    CLM_TRY(clm_shares_gradient(meta, variant_now(meta), batch, true));
    const clm_status status = clm_result_report(meta, &r);
    if (report && status == CLM_OK) *report = r;
    if (status == CLM_OK && isfinite(r.query_loss) && isfinite(r.support_loss) && isfinite(r.grad_norm)) {
        meta->moved = true;
        clm_optimizer_accept(&meta->optimizer);
        return CLM_OK;
    }
    CLM_TRY(clm_optimizer_undo(&meta->optimizer));
    CLM_TRY(status);
    return clm_fail(
        CLM_E_NUMERIC,
        "the meta-step gave a number that is not finite (support loss %g, query loss %g, gradient norm %g); nothing was "
        "updated: lower the inner rate (%g) or the outer rate (%g), or clip the gradient",
        r.support_loss, r.query_loss, r.grad_norm, meta->task.options.inner_lr, r.lr);
}

clm_status clm_meta_step(clm_meta *meta, const clm_batch *batch, clm_meta_report *report) {
    CLM_IN_META(meta, step(meta, batch, report));
}
