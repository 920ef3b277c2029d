/* The rows of outer optimisers: update rules and schedules, and what they read of the options.
 *
 * A new rule is a function and a row in rules.c, a new schedule one in schedule.c. tests/meta/test_optimizer.c asks for a
 * reference of each. */
#ifndef CLM_META_OPTIMIZER_TABLE_H
#define CLM_META_OPTIMIZER_TABLE_H

#include "clmaml/graph.h"
#include "clmaml/optim.h"

enum { CLM_OPTIM_MOMENTS = 2 }; /* the most that a rule keeps */

/* Options that some rows read and others do not. */
typedef enum clm_optim_field {
    CLM_OPTIM_LR = 1 << 0,
    CLM_OPTIM_MOMENTUM = 1 << 1,
    CLM_OPTIM_BETA1 = 1 << 2,
    CLM_OPTIM_BETA2 = 1 << 3,
    CLM_OPTIM_DECAY = 1 << 4,
    CLM_OPTIM_EPS = 1 << 5,
    CLM_OPTIM_WEIGHT_DECAY = 1 << 6,
    CLM_OPTIM_WARMUP = 1 << 7,
    CLM_OPTIM_UPDATES = 1 << 8,
    CLM_OPTIM_LR_MIN = 1 << 9,
    CLM_OPTIM_FACTOR = 1 << 10
} clm_optim_field;
/* The bit of an option by its name in clm_optim_options; 0: none. */
unsigned clm_optim_field_named(const char *name);

/* One application of a rule, in values of shape [elements]. */
typedef struct clm_optim_step {
    const clm_optim_options *options;
    clm_value params;
    clm_value grad;                    /* mean over tasks, clipped, with weight decay unless that is decoupled */
    clm_value correction[2];           /* scalars 1 - beta1^(t + 1), 1 - beta2^(t + 1) */
    clm_value old[CLM_OPTIM_MOMENTS];  /* the rule's state, zero before the first update */
    clm_value next[CLM_OPTIM_MOMENTS]; /* what it becomes: set by the rule */
} clm_optim_step;

typedef struct clm_optim_rule {
    const char *name, *summary;
    int moments;                                        /* tensors of state, of the size of the parameters */
    bool decoupled;                                     /* weight decay takes part in the move, not in the gradient */
    unsigned uses;                                      /* clm_optim_field */
    clm_value (*move)(clm_graph *g, clm_optim_step *s); /* what is subtracted, times the rate */
} clm_optim_rule;
/* NULL: no such row. */
const clm_optim_rule *clm_optim_rule_find(const char *name);

typedef struct clm_optim_schedule {
    const char *name, *summary;
    unsigned uses;
    double (*rate)(const clm_optim_options *o, double t); /* t updates after the warm-up */
} clm_optim_schedule;
const clm_optim_schedule *clm_optim_schedule_find(const char *name);
double clm_optim_schedule_rate(const clm_optim_schedule *schedule, const clm_optim_options *o, uint64_t t);

/* CLM_E_ARG for options that make no sense, CLM_OK with their rows otherwise. */
clm_status clm_optim_check(const clm_optim_options *o, const clm_optim_rule **rule, const clm_optim_schedule **schedule);

#endif
