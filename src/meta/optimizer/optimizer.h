/* The outer optimiser: state and programs that update one flat vector of parameters by one flat gradient.
 *
 * State (moments, the moving average, what an update replaces, a few scalars) is made once and stays. The programs belong to a
 * plan: they are made on its workspace and made anew with it, without touching the state.
 *
 *     clm_optimizer_init(&o, device, params, grad, &options);    // reserves the state
 *     clm_optimizer_plan(&o, workspace);                         // programs; again after clm_optimizer_unplan or as it is
 *     clm_optimizer_prepare(&o);                                 // allocates, builds kernels
 *     clm_optimizer_run(&o, tasks);                              // an update, to be accepted or undone
 *
 * A struct of zeros is an optimiser that is not there: it may be freed, unplanned, undone and asked for its bytes.
 */
#ifndef CLM_META_OPTIMIZER_H
#define CLM_META_OPTIMIZER_H

#include "clmaml/checkpoint.h"
#include "meta/optimizer/table.h"
#include "program/internal.h"

/* The array of an archive that holds the moving average, flat: learned entries in their order, inside layout. */
#define CLM_OPTIM_AVERAGE "optim.average"

/* What an update replaces. */
enum { CLM_STATE_PARAMS, CLM_STATE_FIRST, CLM_STATE_SECOND, CLM_STATE_AVERAGE, CLM_STATES };
/* What changes from update to update; the last one only where there is an average. */
enum {
    CLM_SCALAR_RATE,
    CLM_SCALAR_INVERSE_TASKS,
    CLM_SCALAR_CORRECTION1,
    CLM_SCALAR_CORRECTION2,
    CLM_SCALAR_KEEP,
    CLM_SCALARS
};

typedef struct clm_optimizer {
    clm_device *device;
    clm_optim_options options; /* a copy, whose strings are the rows' */
    const clm_optim_rule *rule;
    const clm_optim_schedule *schedule;
    clm_tensor *grad;                                 /* not owned */
    clm_tensor *state[CLM_STATES];                    /* params, not owned; moments; average; NULL where there is none */
    clm_tensor *kept[CLM_STATES];                     /* as they were before the last update */
    clm_tensor *scalars, *scalar[CLM_SCALARS], *norm; /* scalar: views */
    size_t n_scalars;
    clm_program *measure, *update;
    uint64_t t;                        /* updates made */
    bool averaged;                     /* the average holds something */
    bool queued;                       /* an update that is neither accepted nor undone */
    float values[CLM_SCALARS], length; /* of `scalars` and `norm`, on their way */
} clm_optimizer;

/* Reserves the state. params and grad, tensors or views of shape [elements] that are not shared out to tasks, must outlive it;
 * they are committed by whoever owns them. The options are copied. CLM_E_ARG where they make no sense. After a failure `o` is
 * to be freed as after success. */
clm_status clm_optimizer_init(clm_optimizer *o, clm_device *device, clm_tensor *params, clm_tensor *grad,
                              const clm_optim_options *options);
void clm_optimizer_free(clm_optimizer *o); /* leaves zeros */

/* Makes the programs on a workspace, in place of earlier ones. The workspace must outlive them. */
clm_status clm_optimizer_plan(clm_optimizer *o, clm_workspace *workspace);
/* Frees the programs alone. */
void clm_optimizer_unplan(clm_optimizer *o);
/* Commits the state and prepares the programs. May be called again, after a failure and after planning anew. */
clm_status clm_optimizer_prepare(clm_optimizer *o);
/* Device memory of state and programs, that of params, grad and the workspace not counted. */
size_t clm_optimizer_bytes(const clm_optimizer *o);

/* Measures the L2 norm of the gradient / tasks and makes the update, which is then to be accepted or undone; waits. Where it
 * fails, nothing is updated: as a rule, because undoing may fail as well where memory is short, and is then to be asked for
 * once more, by clm_optimizer_undo. */
clm_status clm_optimizer_run(clm_optimizer *o, int tasks);
clm_status clm_optimizer_norm(const clm_optimizer *o, double *norm);
/* The rate of the next update, or of one that is neither accepted nor undone. */
double clm_optimizer_rate(const clm_optimizer *o);
void clm_optimizer_accept(clm_optimizer *o);
/* Counts an update that was not made. */
void clm_optimizer_skip(clm_optimizer *o);
/* Puts back what the last update replaced, bit by bit, and waits; does nothing where there is none to undo. */
clm_status clm_optimizer_undo(clm_optimizer *o);

/* The moving average, for reading: the parameters themselves before the first update; NULL without options.average. */
clm_tensor *clm_optimizer_average(const clm_optimizer *o);

/* Moments, average and counters to and from an archive: arrays "optim.first", "optim.second" (the rule's state in its order)
 * and "optim.average" of shape [elements], where there are any; "optim.updates"; metadata "optim.kind", the rule's name. */
clm_status clm_optimizer_save(clm_optimizer *o, clm_archive *archive, clm_dtype dtype);
/* write false: only looks whether everything is there and fits. An average that the archive lacks starts anew with the next
 * update. */
clm_status clm_optimizer_restore(clm_optimizer *o, const clm_archive *archive, bool write);

#endif
