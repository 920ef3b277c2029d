/* Inner update rules: the step is written, its adjoint is derived.
 *
 * A row says how one adapted tensor goes from theta_k to theta_{k+1}. Around it stands a chain of transforms of the gradient
 * (proximal term, clipping by value, clipping by norm, weight decay), over all adapted tensors together. The whole is built as
 * a small graph of its own, in which theta, the gradient g, the rate and the carried state are independent inputs; clm_vjp of
 * that graph gives the cotangents of all of them. Both are then copied into the graph at hand, with the actual values for the
 * inputs. The small graph has a reason: two parameters may have one gradient (identical nodes are one), and the builders
 * simplify past operands; neither can confuse inputs.
 */
#ifndef CLM_META_INNER_RULE_H
#define CLM_META_INNER_RULE_H

#include "meta/task.h"

typedef struct clm_rule_in {
    const clm_inner_options *options;
    clm_value theta, g, rate;       /* rate: a value that multiplies a step; a scalar, or of theta's shape */
    clm_value state[CLM_MAX_STATE]; /* of the step before */
    clm_value scalar[CLM_MAX_STATE];
} clm_rule_in;

typedef struct clm_rule_out {
    clm_value theta, state[CLM_MAX_STATE];
} clm_rule_out;

/* `scalar`: numbers that depend on the step alone, 1, 2, .., such as Adam's bias corrections. */
typedef struct clm_inner_rule {
    const char *name, *summary, *uses; /* uses: names of options, with spaces between */
    int state, scalars;
    double (*scalar)(const clm_inner_options *options, int which, int step);
    void (*step)(clm_graph *g, const clm_rule_in *in, clm_rule_out *out);
} clm_inner_rule;

const clm_inner_rule *clm_inner_rule_find(const char *name);
const char *clm_inner_rule_names(char *text, size_t size);
/* Numbers out of range, and options that the rule does not read. */
clm_status clm_inner_options_check(const clm_inner_rule *rule, const clm_inner_options *options);

/* An inner step of all adapted tensors. Arrays are over all parameters [n]; what is not adapted is CLM_INVALID or not read. */
typedef struct clm_inner_step {
    int number;                            /* 1, 2, .. */
    const clm_value *theta, *grad;         /* [n] */
    const clm_value *anchor;               /* [n] theta_0, for a proximal term; may be NULL otherwise */
    const clm_value *rate;                 /* [n]; CLM_INVALID: options.inner_lr */
    const clm_value *state[CLM_MAX_STATE]; /* [n]; NULL: zero, before the first step */
    const clm_value *scalar;               /* instead of the numbers of this step; NULL: constants */
} clm_inner_step;

/* Where the step leads: next[i], and next_state[s][i] for each carried tensor. */
clm_status clm_inner_step_apply(const clm_task *task, clm_graph *g, const clm_inner_step *step, clm_value *next,
                                clm_value *const *next_state);

/* Cotangents of what the step reads, from those of what it gives. In: next[i], state[s][i] (CLM_INVALID: zero). Out: theta[i],
 * grad[i], rate[i] (of a learned rate; per task), state[s][i]; CLM_INVALID: zero. */
typedef struct clm_inner_cotangents {
    clm_value next[CLM_MAX_PARAMS], next_state[CLM_MAX_STATE][CLM_MAX_PARAMS];
    clm_value theta[CLM_MAX_PARAMS], grad[CLM_MAX_PARAMS], rate[CLM_MAX_PARAMS], state[CLM_MAX_STATE][CLM_MAX_PARAMS];
} clm_inner_cotangents;
clm_status clm_inner_step_adjoint(const clm_task *task, clm_graph *g, const clm_inner_step *step, clm_inner_cotangents *c);

#endif
