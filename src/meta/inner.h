/* The inner loop as pieces of a graph, used alike by the unrolled program, the replayed programs and the learner. */
#ifndef CLM_META_INNER_H
#define CLM_META_INNER_H

#include "clmaml/meta.h"

#define CLM_MAX_PARAMS 256

/* What is learned and how; filled from clm_meta_options or clm_learner_options. */
typedef struct clm_inner {
    const clm_model *model;
    size_t n; /* parameter tensors */
    bool adapted[CLM_MAX_PARAMS];
    int support, query;
    clm_rates rates;
    double inner_lr;
    clm_loss loss;
    clm_reduction reduction;
} clm_inner;

clm_status clm_inner_init(clm_inner *inner, const clm_model *model, const char *const *adapt, size_t n_adapt);

/* Inputs of a graph for one set of examples of a task. */
typedef struct clm_examples {
    clm_value x, y;
} clm_examples;
clm_examples clm_inner_examples(const clm_inner *inner, clm_graph *g, const char *name, int count);

/* Output, loss and accuracy (CLM_INVALID for MSE) of parameters theta on examples. */
typedef struct clm_scored {
    clm_value out, loss, accuracy;
} clm_scored;
clm_scored clm_inner_score(const clm_inner *inner, clm_graph *g, const clm_value *theta, clm_examples e, clm_bn_stats *stats);

/* The rate of adapted parameter i as a value that multiplies its gradient; rate[i] is CLM_INVALID for fixed rates. */
clm_value clm_inner_scaled(const clm_inner *inner, clm_graph *g, const clm_value *rate, size_t i, clm_value x);

/* One inner step: scores the support set at theta, grad[i] for every parameter, next[i]. */
clm_status clm_inner_step(const clm_inner *inner, clm_graph *g, const clm_value *theta, const clm_value *rate,
                          clm_examples support, clm_scored *scored, clm_value *grad, clm_value *next);

/* The adjoint of that step: lambda (at next) becomes lambda at theta, and rate_grad[i] what the step adds to the gradient of rate i
 * (per task, not yet summed; CLM_INVALID for none). first_order drops the Hessian. */
clm_status clm_inner_adjoint(const clm_inner *inner, clm_graph *g, const clm_value *theta, const clm_value *rate,
                             const clm_value *grad, bool first_order, clm_value *lambda, clm_value *rate_grad);

#endif
