/* Evaluation of a meta-learned beginning, and whole training runs: tasks made ahead, validation, checkpoints, the best of them,
 * a test, a learning curve. What `clmaml train` does, for sources and models of one's own:
 *
 *     clm_train_options options = CLM_TRAIN_OPTIONS_INIT;
 *     options.episodes.shots = 5;
 *     options.iterations = 2000;
 *     options.directory = "runs/mine";
 *     clm_train(device, source, model, &options, params, &result);
 *
 * Task i of a split is a function of source, split, seed and i (data.h), and an iteration of its number, so the same options on
 * the same device give the same bits, whether or not a run was stopped and resumed in between.
 *
 * Threading: an evaluator or a trainer belongs to one thread at a time, as its devices do; so do the calls of its callbacks. The
 * device, the source and the model must outlive it. Options are read while it is created, what they point to included, but for
 * callbacks, their `user`, and clm_loss_options.user.
 */
#ifndef CLMAML_TRAIN_H
#define CLMAML_TRAIN_H

#include "data.h"
#include "meta.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- evaluation ---- */

/* Mean over tasks and half the width of its 95 % interval: 1.96 standard errors. */
typedef struct clm_score {
    double mean, half;
} clm_score;

enum { CLM_SCORE_STEPS_MOST = 100 };

/* What one evaluation yields. Entry k is after k inner steps, 0 .. steps. score: accuracy, or mean squared error of a
 * regression. */
typedef struct clm_scores {
    int steps, tasks;
    clm_score query[CLM_SCORE_STEPS_MOST + 1], support[CLM_SCORE_STEPS_MOST + 1];
    double query_loss[CLM_SCORE_STEPS_MOST + 1];
} clm_scores;

typedef struct clm_evaluator clm_evaluator;

typedef struct clm_evaluator_options {
    int version; /* CLM_EVALUATOR_OPTIONS_VERSION */
    int ways, shots, query;
    int chunk;             /* tasks adapted at once */
    clm_task_options task; /* those of the meta-learner; support and query are ways * shots and ways * query */
    clm_bn_mode bn_mode;
    bool with_support;        /* score support sets too */
    bool (*stop)(void *user); /* asked after every chunk; true: enough. May be NULL */
    void *user;
} clm_evaluator_options;
#define CLM_EVALUATOR_OPTIONS_VERSION 1
#define CLM_EVALUATOR_OPTIONS_INIT \
    { CLM_EVALUATOR_OPTIONS_VERSION, 5, 1, 1, 16, CLM_TASK_OPTIONS_INIT, CLM_BN_TRANSDUCTIVE, false, NULL, NULL }

/* The model is that which is trained. Of an algorithm that trains on all classes at once (finetune) its last layer, which must
 * be linear, is replaced by one of `ways` outputs. Errors: CLM_E_ARG for options, CLM_E_MEMORY, .. of the device. */
CLM_API clm_status clm_evaluator_create(clm_evaluator **out, clm_device *device, const clm_source *source,
                                        const clm_model *model, const clm_evaluator_options *options);
CLM_API void clm_evaluator_free(clm_evaluator *evaluator); /* NULL is allowed */

/* From now on tasks name images of the data set, which is on the same device; they are the same tasks. NULL: none any more. */
CLM_API clm_status clm_evaluator_use_data(clm_evaluator *evaluator, clm_dataset *dataset);

/* Takes over parameters and rates, by name: what both have. */
CLM_API clm_status clm_evaluator_load(clm_evaluator *evaluator, clm_params *params);

/* Adapts to tasks first .. first+tasks-1 of the sequence that split and seed name, and scores their query sets. ends_only: only
 * entries 0 and `steps` are scored. scores->tasks is less than `tasks` when `stop` said so. */
CLM_API clm_status clm_evaluator_run(clm_evaluator *evaluator, clm_split split, uint64_t seed, uint64_t first, int tasks,
                                     int steps, bool ends_only, clm_scores *scores);

/* The same of several sets of parameters together: their softmax outputs, or the outputs of a regression, are averaged. Every
 * number of steps is scored, on query sets alone. Afterwards the parameters are those of the last set. */
CLM_API clm_status clm_evaluator_run_ensemble(clm_evaluator *evaluator, clm_params *const *members, size_t n, clm_split split,
                                              uint64_t seed, uint64_t first, int tasks, int steps, clm_scores *scores);

#ifdef __cplusplus
}
#endif
#endif
