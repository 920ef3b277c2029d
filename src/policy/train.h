/* What the parts of a policy's training run share: train.c the loop, evaluate.c validation, test and the picture, run.c the
 * directory and checkpoints, record.c the options in words. */
#ifndef CLM_POLICY_TRAIN_H
#define CLM_POLICY_TRAIN_H

#include "policy/internal.h"

typedef struct clm_policy_trainer {
    clm_policy_train_options options;
    clm_device *device;
    const clm_model *model;
    clm_policy *policy;
    clm_policy_log log;
    uint64_t iteration;
    clm_params *best; /* of the best validation so far */
    uint64_t best_iteration;
    double best_return; /* NAN: nothing validated yet */
    clm_trust trust;
    double *theta, *gradient, *returns; /* [elements], [elements], [tasks] */
    double started, seconds_before;     /* training time of earlier sessions */
    char *record;                       /* the options as JSON */
    clm_policy_result result;
} clm_policy_trainer;

/* Mean over tasks, and half its 95 % interval. */
typedef struct clm_policy_score {
    double sum, squares;
    size_t n;
} clm_policy_score;
void clm_policy_score_add(clm_policy_score *score, const double *values, size_t n);
double clm_policy_score_mean(const clm_policy_score *score);
double clm_policy_score_half(const clm_policy_score *score);

/* Returns of `tasks` tasks, made up to whole meta-batches, after 0, 1, .. steps: scores [steps + 1]. stopped: by the callback.
 */
clm_status clm_policy_evaluate(clm_policy_trainer *trainer, clm_policy_purpose purpose, int tasks, int steps,
                               clm_policy_score *scores, bool *stopped);
/* trajectories.svg of the policy at hand, which has had so many updates; of navigation alone. */
clm_status clm_policy_show(clm_policy_trainer *trainer, uint64_t updates);

/* What makes two runs different ones: the options but for the number of iterations, the environment, the model. free() */
char *clm_policy_record(const clm_policy_train_options *options, const clm_environment *environment, const clm_model *model);
/* CLM_E_STATE names what differs. */
clm_status clm_policy_record_check(const char *was, const char *is, const char *where);

bool clm_policy_run_has_checkpoint(const char *directory);
/* Makes and locks the directory, writes config.json, opens the metrics, once it is known whether the run goes on. */
clm_status clm_policy_run_open(clm_policy_trainer *trainer, bool resumed);
/* Parameters, optimiser, counters from the last checkpoint; the best state from its own. */
clm_status clm_policy_run_restore(clm_policy_trainer *trainer);
/* checkpoints/NAME.safetensors of the state at hand. */
clm_status clm_policy_run_save(clm_policy_trainer *trainer, const char *name);
clm_status clm_policy_run_write_result(const clm_policy_trainer *trainer);

#endif
