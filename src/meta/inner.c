/* theta_{k+1} = theta_k - A_k o g_k and its adjoint
 *
 *     lambda_k = lambda_{k+1} - H_k (A_k o lambda_{k+1}),     gradient of A_k: -lambda_{k+1} o g_k
 *
 * H v is the directional derivative of the gradient program (forward over reverse). The same sweep gives the mixed term for parameters
 * that are not adapted: their gradient is differentiated in the direction of the adapted ones.
 */
#include "meta/inner.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

clm_status clm_inner_init(clm_inner *inner, const clm_model *model, const char *const *adapt, size_t n_adapt) {
    inner->model = model;
    size_t used = 0, n = clm_model_param_count(model);
    if (n > CLM_MAX_PARAMS)
        return clm_fail(CLM_E_LIMIT, "the model has %zu parameter tensors; at most %d are possible", n, CLM_MAX_PARAMS);
    inner->n = n;
    for (size_t i = 0; i < inner->n; i++) {
        inner->adapted[i] = n_adapt == 0;
        for (size_t k = 0; k < n_adapt; k++)
            if (strncmp(clm_model_param(model, i)->name, adapt[k], strlen(adapt[k])) == 0) inner->adapted[i] = true;
        used += inner->adapted[i];
    }
    for (size_t k = 0; k < n_adapt; k++) {
        bool any = false;
        for (size_t i = 0; i < inner->n && !any; i++)
            any = strncmp(clm_model_param(model, i)->name, adapt[k], strlen(adapt[k])) == 0;
        if (!any) return clm_fail(CLM_E_ARG, "adapt: no parameter's name begins with \"%s\"", adapt[k]);
    }
    if (!used) return clm_fail(CLM_E_ARG, "no parameter is adapted: the inner loop would do nothing");
    return CLM_OK;
}

static clm_shape with_count(clm_shape one, int count) {
    clm_shape s = {.rank = one.rank + 1};
    s.dim[0] = count;
    for (int i = 0; i < one.rank; i++) s.dim[i + 1] = one.dim[i];
    return s;
}

clm_examples clm_inner_examples(const clm_inner *inner, clm_graph *g, const char *name, int count) {
    clm_shape y = inner->loss == CLM_LOSS_MSE ? with_count(clm_model_out_shape(inner->model), count) : clm_shape_of(1, count);
    clm_examples e;
    char label[64];
    snprintf(label, sizeof label, "%s.x", name);
    e.x = clm_input(g, label, with_count(clm_model_inner_in_shape(inner->model), count), true);
    snprintf(label, sizeof label, "%s.y", name);
    e.y = clm_input(g, label, y, true);
    return e;
}

clm_scored clm_inner_score(const clm_inner *inner, clm_graph *g, const clm_value *theta, clm_examples e, clm_bn_stats *stats) {
    clm_scored s = {.accuracy = CLM_INVALID};
    s.out = clm_model_apply(inner->model, g, theta, e.x, stats);
    if (inner->loss == CLM_LOSS_MSE) {
        s.loss = clm_mse(g, s.out, e.y, inner->reduction);
    } else {
        s.loss = clm_cross_entropy(g, s.out, e.y, inner->reduction);
        s.accuracy = clm_accuracy(g, s.out, e.y);
    }
    return s;
}

clm_value clm_inner_scaled(const clm_inner *inner, clm_graph *g, const clm_value *rate, size_t i, clm_value x) {
    return inner->rates == CLM_RATES_FIXED ? clm_scale(g, x, inner->inner_lr) : clm_mul(g, rate[i], x);
}

clm_status clm_inner_step(const clm_inner *inner, clm_graph *g, const clm_value *theta, const clm_value *rate,
                          clm_examples support, clm_scored *scored, clm_value *grad, clm_value *next) {
    *scored = clm_inner_score(inner, g, theta, support, NULL);
    CLM_TRY(clm_graph_status(g));
    CLM_TRY(clm_grad(g, scored->loss, theta, inner->n, grad));
    for (size_t i = 0; i < inner->n; i++)
        next[i] = inner->adapted[i] ? clm_sub(g, theta[i], clm_inner_scaled(inner, g, rate, i, grad[i])) : theta[i];
    return clm_graph_status(g);
}

clm_status clm_inner_adjoint(const clm_inner *inner, clm_graph *g, const clm_value *theta, const clm_value *rate,
                             const clm_value *grad, bool first_order, clm_value *lambda, clm_value *rate_grad) {
    clm_value v[CLM_MAX_PARAMS], hv[CLM_MAX_PARAMS];
    for (size_t i = 0; i < inner->n; i++) {
        bool a = inner->adapted[i];
        v[i] = a ? clm_inner_scaled(inner, g, rate, i, lambda[i]) : CLM_INVALID;
        hv[i] = rate_grad[i] = CLM_INVALID;
        if (!a || inner->rates == CLM_RATES_FIXED) continue;
        rate_grad[i] = clm_neg(g, clm_mul(g, lambda[i], grad[i]));
        if (inner->rates == CLM_RATES_PER_STEP) rate_grad[i] = clm_sum_all(g, rate_grad[i]);
    }
    CLM_TRY(clm_graph_status(g));
    if (!first_order) CLM_TRY(clm_jvp(g, theta, v, inner->n, grad, inner->n, hv));
    for (size_t i = 0; i < inner->n; i++)
        if (hv[i] != CLM_INVALID) lambda[i] = clm_sub(g, lambda[i], hv[i]);
    return clm_graph_status(g);
}
