/* Outer optimisers: an update rule over all meta-parameters at once, a schedule of its rate, clipping, and a moving average of
 * the result.
 *
 * Update t = 0, 1, .. of the flat vector p of meta-parameters (learned inner rates included) by the mean gradient g over the
 * tasks:
 *
 *     g <- clipped g, + weight_decay p unless the rule has it decoupled
 *     p <- p - rate(t) move(g), - rate(t) weight_decay p where it is
 *
 * Rules and schedules are rows of tables and are named; the functions below list them with what they read of the options.
 */
#ifndef CLMAML_OPTIM_H
#define CLMAML_OPTIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum clm_clip {
    CLM_CLIP_NONE,
    CLM_CLIP_VALUE /* each element to +-clip */,
    CLM_CLIP_NORM /* global L2 norm to clip */
} clm_clip;

/* The strings are read when something is created with the options, and may go afterwards. What neither the
 * rule nor the schedule reads must be 0 or as it is initially. */
typedef struct clm_optim_options {
    int version;      /* CLM_OPTIM_OPTIONS_VERSION */
    const char *rule; /* clm_optim_rule_name */
    double lr;        /* rate */
    double momentum;  /* part of the last move that is kept */
    double beta1,
        beta2;    /* decays of the moments; a rule may be published with others than these defaults: docs/algorithms.md */
    double decay; /* of the mean of squares */
    double eps;   /* added to the root */
    double weight_decay; /* decoupled where the rule has it so, else added to the clipped gradient */
    clm_clip clip_kind;
    double clip;
    const char *schedule; /* clm_optim_schedule_name */
    uint64_t warmup;      /* updates over which the rate rises linearly, lr / warmup at the first, lr at the last; 0: none */
    uint64_t schedule_updates; /* over how many the schedule goes, counted from the end of the warm-up */
    double lr_min, factor;
    double average; /* d in average <- d average + (1 - d) p after every update, from a copy of p after the first; 0: none */
} clm_optim_options;
#define CLM_OPTIM_OPTIONS_VERSION 1
/* Adam at a constant rate. */
#define CLM_OPTIM_OPTIONS_INIT                                                                                                \
    {                                                                                                                         \
        CLM_OPTIM_OPTIONS_VERSION, "adam", 1e-3, 0.9, 0.9, 0.999, 0.99, 1e-8, 0.0, CLM_CLIP_NONE, 0.0, "constant", 0, 0, 0.0, \
            0.1, 0.0                                                                                                          \
    }

/* The rate of update t = 0, 1, ..; NaN where the options name no schedule that there is, or not what it needs. */
CLM_API double clm_optim_rate(const clm_optim_options *options, uint64_t t);

/* ---- what there is ---- names and summaries are the library's; NULL for i out of range. */
CLM_API size_t clm_optim_rule_count(void);
CLM_API const char *clm_optim_rule_name(size_t i);
CLM_API const char *clm_optim_rule_summary(size_t i); /* formula and source, on one line */
/* Does the rule of this name read this option, named as a field of clm_optim_options: "momentum", "beta1", ..? False for names
 * that are not known, and for options that are no matter of the rule, such as clip. */
CLM_API bool clm_optim_rule_uses(const char *rule, const char *option);

CLM_API size_t clm_optim_schedule_count(void);
CLM_API const char *clm_optim_schedule_name(size_t i);
CLM_API const char *clm_optim_schedule_summary(size_t i);
/* Likewise for "schedule_updates", "lr_min", "factor", and "warmup" and "lr", which all schedules read. */
CLM_API bool clm_optim_schedule_uses(const char *schedule, const char *option);

#ifdef __cplusplus
}
#endif
#endif
