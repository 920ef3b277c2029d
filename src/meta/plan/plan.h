/* Inside the planning of a meta-gradient: the choice (plan.c), what was measured (plan_store.c), the measurement (plan_tune.c). */
#ifndef CLM_META_PLAN_H
#define CLM_META_PLAN_H

#include "meta/internal.h"
#include "tune/store.h"

typedef struct clm_plan_choice {
    clm_checkpointing checkpointing;
    int chunk;
} clm_plan_choice;

/* Plans so, for the whole that a share takes: meta-gradient and, on the first share, update. */
clm_status clm_plan_as(clm_share *m, clm_checkpointing checkpointing, int chunk);
/* The first plan under `limit`; where there is none, *fits is false and the plan the smallest. By what was measured or the
 * model, and by the model alone. */
clm_status clm_plan_under(clm_share *m, size_t limit, bool *fits);
clm_status clm_plan_by_model(clm_share *m, size_t limit, bool *fits);
/* Bytes: the options', else CLMAML_MEMORY_LIMIT, else what clm_device_room leaves beside what is allocated. */
clm_status clm_plan_limit(const clm_share *m, size_t *limit, clm_limit_reason *reason);
/* Tasks at a time from which launches cost no more than the part `price` of the work of `units` compute units, by magnitude;
 * may exceed all tasks. For what is planned now. */
#define CLM_LAUNCH_PRICE 0.04
double clm_plan_least_chunk(const clm_share *m, double units, double price);
/* The largest divisor of `tasks` that is below `below`, at least 1. */
int clm_plan_chunk_below(int tasks, int below);

/* ---- what was measured ---- */

/* Is there anything to choose, and a place where it is kept? */
bool clm_plan_open(const clm_share *m);
/* A choice for this share, which need not fit its limit. False: none was measured, or what is stored makes no sense. */
bool clm_plan_find(clm_share *m, clm_plan_choice *choice);
/* What is stored for exactly this number of tasks and this limit; it may stand for "not measured" (tried is 0). */
bool clm_plan_known(clm_share *m, clm_tune_entry *entry, clm_plan_choice *choice, clm_plan_choice *standard);
/* Keeps it, with times and `tried` from the entry. `replace` false: what is there stays. */
clm_status clm_plan_keep(clm_share *m, clm_plan_choice choice, clm_plan_choice standard, clm_tune_entry entry, bool replace);
/* "meta-gradient of order 2, 5 steps, ..": what a choice is kept for. */
const char *clm_plan_key(clm_share *m, int limit_class, char *text, size_t size);
/* Limits on memory that are told apart: 0 for what the device has, else the power of two below the bytes asked for. */
int clm_plan_limit_class(const clm_share *m);

/* Measures plans on n equal parts of a device, or one device, for about `seconds` (without a budget: no limit), keeps the best
 * for the first, which the others can find, and reports. *changed: there is a choice that there was not. */
clm_status clm_plan_tune(clm_share *const *shares, size_t n, const clm_tune_options *options, double seconds, bool *changed);

#endif
