/* Stages: what an algorithm builds its meta-gradient from.
 *
 * A stage adds values to the graph at hand and passes tensors on to later stages by name: a slot is a kind, a step and a
 * parameter. There are two executors (build.c). *store* puts all stages into one graph: what two stages compute alike is one
 * node, so nothing is computed twice. *recompute* makes each stage a program of its own and keeps only the slots between them,
 * in memory that slots whose lives do not overlap share. An algorithm is written once and does not know which it is.
 */
#ifndef CLM_META_STAGES_H
#define CLM_META_STAGES_H

#include "clmaml/meta.h"
#include "meta/inner/rule.h"
#include "meta/task.h"

typedef enum clm_stage_kind {
    CLM_STAGE_BEGIN,         /* theta_0 from the support set */
    CLM_STAGE_STEP,          /* inner step k: theta_k -> theta_{k+1} */
    CLM_STAGE_QUERY,         /* query loss at theta_K, and its gradient */
    CLM_STAGE_ADJOINT,       /* of inner step k: cotangents at theta_{k+1} -> at theta_k */
    CLM_STAGE_BEGIN_ADJOINT, /* of the beginning */
    CLM_STAGE_SOLVE,         /* iteration k of a linear solver */
    CLM_STAGE_FINISH
} clm_stage_kind;

typedef struct clm_stage {
    clm_stage_kind kind;
    int k;
} clm_stage;

typedef enum clm_slot_kind {
    CLM_SLOT_THETA,
    CLM_SLOT_STATE, /* CLM_MAX_STATE kinds: carried state of the inner rule */
    CLM_SLOT_COTANGENT = CLM_SLOT_STATE + CLM_MAX_STATE,
    CLM_SLOT_STATE_COTANGENT, /* CLM_MAX_STATE kinds */
    CLM_SLOT_SOLUTION = CLM_SLOT_STATE_COTANGENT + CLM_MAX_STATE,
    CLM_SLOT_RESIDUAL,
    CLM_SLOT_DIRECTION,
    CLM_SLOT_RESIDUAL_SQUARE,
    CLM_SLOT_QUERY_GRADIENT,
    CLM_SLOT_GRADIENT /* of a leaf, on its way to the last stage that adds to it: the executor's own */
} clm_slot_kind;

typedef struct clm_slot {
    clm_slot_kind kind;
    int step;
    size_t i; /* parameter */
} clm_slot;

struct clm_builder; /* build.c */

typedef struct clm_stages {
    const clm_task *task;
    bool first_order;
    clm_graph *g;
    struct clm_builder *builder;
} clm_stages;

/* Parameter i as it is learned (row `step` where there is one for each step), seen per task. */
clm_value clm_stage_param(clm_stages *s, size_t i, int step);
/* Learned rate of parameter i at a step, shared; CLM_INVALID: it is not learned. */
clm_value clm_stage_rate(clm_stages *s, size_t i, int step);
/* Weight w_k of the query loss after k steps, k = 1 .. K: a shared scalar; CLM_INVALID: the plain loss. */
clm_value clm_stage_weight(clm_stages *s, int k);
/* The support set as inner step `step` sees it, and the query set after k steps: each has a pass of its own for dropout. */
clm_examples clm_stage_support(clm_stages *s, int step);
clm_examples clm_stage_query(clm_stages *s, int k);

/* Passes a per-task value on to later stages, or to this one. */
clm_status clm_stage_put(clm_stages *s, clm_slot slot, clm_value v);
/* The value of a slot that a stage before has put; CLM_INVALID, without an error, where none has. */
clm_value clm_stage_get(clm_stages *s, clm_slot slot);

/* Adds a per-task value to the gradient of parameter i (its row of `step`), or of its rate. Nothing for what is not learned. */
clm_status clm_stage_add_gradient(clm_stages *s, size_t i, int step, clm_value v);
clm_status clm_stage_add_rate_gradient(clm_stages *s, size_t i, int step, clm_value v);

/* The host reads every task's numbers of v, as this quantity. */
clm_status clm_stage_read(clm_stages *s, clm_quantity what, size_t index, clm_value v);
/* The stage has the query examples, the most of all, and is to take little memory. */
void clm_stage_prefer_memory(clm_stages *s);

/* ---- pieces that algorithms share (pieces.c) ---- */

/* theta_k: adapted tensors from their slots where a stage has put them, the rest as learned, in the rows of step `row`. */
clm_status clm_stage_theta(clm_stages *s, int k, int row, clm_value *theta);

/* Inner step k with all that it reads: the support set scored at theta_k, the gradient of every parameter. */
typedef struct clm_stage_step {
    clm_value theta[CLM_MAX_PARAMS], grad[CLM_MAX_PARAMS], rate[CLM_MAX_PARAMS], anchor[CLM_MAX_PARAMS];
    clm_value state[CLM_MAX_STATE][CLM_MAX_PARAMS];
    clm_inner_step step; /* of the arrays above */
    clm_scored scored;
} clm_stage_step;
clm_status clm_stage_open_step(clm_stages *s, int k, clm_stage_step *step);
/* What STEP k does: the step made, theta_{k+1} and the carried state put, the support loss read. */
clm_status clm_stage_make_step(clm_stages *s, int k);
/* Query set at theta_k scored and read; *scored as it came. */
clm_status clm_stage_score_query(clm_stages *s, int k, clm_value *theta, clm_scored *scored);

#endif
