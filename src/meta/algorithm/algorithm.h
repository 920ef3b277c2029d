/* The table of algorithms. To add one: its file here, its line in table.c (and docs/extending.md for the rest).
 *
 * An algorithm is a list of stages over named values that pass between them (exec/stages.h). It says which stages there are and
 * what each builds; how they become programs, what is kept or computed again, on which devices, is not its business.
 */
#ifndef CLM_META_ALGORITHM_H
#define CLM_META_ALGORITHM_H

#include "meta/exec/stages.h"

/* Options that an algorithm may read. X(NAME, "name"). */
#define CLM_TAKES_LIST(X)                   \
    X(STEPS, "steps")                       \
    X(INNER, "inner-rule")                  \
    X(ORDER, "first-order")                 \
    X(RATES, "rates")                       \
    X(WEIGHTS, "step-weights")              \
    X(MASKS, "adapt")                       \
    X(SUPPORT_PER_STEP, "support-per-step") \
    X(NORM_PER_STEP, "batch-norm-per-step") \
    X(PROXIMAL, "proximal")                 \
    X(WAYS, "ways")

typedef enum clm_takes_bit {
#define CLM_TAKES_BIT(NAME, text) CLM_TAKES_BIT_##NAME,
    CLM_TAKES_LIST(CLM_TAKES_BIT)
#undef CLM_TAKES_BIT
        CLM_TAKES_BITS
} clm_takes_bit;
#define CLM_TAKES(NAME) (1u << CLM_TAKES_BIT_##NAME)

typedef struct clm_algorithm {
    clm_algorithm_info info;
    unsigned takes;
    /* What the name implies, in options that were left as they are initially; CLM_E_ARG where they contradict it. NULL: nothing. */
    clm_status (*imply)(clm_task_options *options);
    /* Masks, where the options give none: which parameters are learned, adapted. NULL: all are both. */
    clm_status (*declare)(clm_task *task);
    /* The stages in order, into list (NULL: none is written); returns how many. */
    size_t (*stages)(const clm_task *task, clm_stage *list);
    clm_status (*build)(clm_stages *s, const clm_stage *stage);
    /* theta_0 [n] of a task from the learned parameters and its support set, where they differ; NULL. out[i] begins as
     * theta[i]. */
    clm_status (*begin)(const clm_task *task, clm_graph *g, const clm_value *theta, clm_examples support, clm_value *out);
    /* Outputs for a query set, where not the model's alone; NULL. */
    clm_value (*output)(const clm_task *task, clm_graph *g, const clm_value *theta, clm_examples support, clm_examples query);
    /* A linear layer on the model's output that scores the classes of the support set as `output` does, up to a number of each
     * example; stats records batch-norm. NULL: the model's output is it. */
    clm_status (*head)(const clm_task *task, clm_graph *g, const clm_value *theta, clm_examples support, clm_bn_stats *stats,
                       clm_value *weight, clm_value *bias);
    bool one_inner_loss; /* all inner steps descend one function: dropout has the same masks in each */
} clm_algorithm;

/* NULL: no such row. */
const clm_algorithm *clm_algorithm_find(const char *name);
/* Options that the algorithm does not read and that are not as they are initially. */
clm_status clm_algorithm_check(const clm_algorithm *algorithm, const clm_task_options *options);

/* Stages and builder of MAML, for its relatives. */
size_t clm_maml_stages(const clm_task *task, clm_stage *list);
clm_status clm_maml_build(clm_stages *s, const clm_stage *stage);

#endif
