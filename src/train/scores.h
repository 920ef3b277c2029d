/* Scores of the single tasks of an evaluation, so that evaluations of the same tasks can be compared task by task. */
#ifndef CLM_TRAIN_SCORES_H
#define CLM_TRAIN_SCORES_H

#include "clmaml/train.h"

/* Start from {0}. */
typedef struct clm_task_scores {
    clm_split split; /* tasks first .. first+tasks-1 of the sequence that split and seed name */
    uint64_t seed, first;
    int tasks, steps, done; /* done: tasks scored; 0: no run is whole */
    double *query;          /* [steps + 1][tasks]; NULL: not kept */
    size_t room;            /* of query */
} clm_task_scores;

/* Forgets the last run. Allocates where a run is larger than all before. */
clm_status clm_task_scores_begin(clm_task_scores *scores, clm_split split, uint64_t seed, uint64_t first, int tasks, int steps);
void clm_task_scores_free(clm_task_scores *scores);
/* The episodes that an evaluator's tasks are. */
clm_episode_options clm_evaluator_episodes(const clm_evaluator_options *options);
/* From this task on; NULL: not kept. */
double *clm_task_scores_at(const clm_task_scores *scores, int step, int task);
clm_status clm_task_scores_save(const clm_task_scores *scores, const clm_source *source, const clm_evaluator_options *options,
                                const char *batch_norm, const char *path);

#endif
