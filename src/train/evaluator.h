/* Inside an evaluator: evaluate.c adapts and scores, choose.c does so from several initialisations. */
#ifndef CLM_TRAIN_EVALUATOR_H
#define CLM_TRAIN_EVALUATOR_H

#include "train/internal.h"
#include "train/scores.h"

/* What a task came to. */
typedef struct clm_task_score {
    double score, loss;
} clm_task_score;

typedef struct clm_moments {
    double sum, squares, loss;
    clm_task_score *tape; /* where tasks are written down instead, to be added up when it is their turn; or NULL */
} clm_moments;

/* A run over tasks. */
typedef struct clm_run_over {
    clm_split split;
    uint64_t seed, first;
    int tasks, steps, done;
    bool ends_only;
    clm_params *const *members; /* of an ensemble, or NULL */
    size_t n_members;
    double *votes; /* of an ensemble */
    clm_moments query[CLM_SCORE_STEPS_MOST + 1], support[CLM_SCORE_STEPS_MOST + 1];
} clm_run_over;

struct clm_evaluator {
    const clm_source *source;
    const clm_model *model;
    clm_model *own; /* where it is not the one that was trained */
    clm_evaluator_options options;
    bool regression;
    size_t support, query;              /* counts of one task */
    size_t example, out, target;        /* elements of one example, one output, one y */
    double unit;                        /* of errors, squared: that of the data where there is one target */
    clm_learner *on_query, *on_support; /* on_support: NULL, or on_query when the sets are of one size */
    float *support_x, *support_y, *query_x, *query_y;
    int32_t *support_at, *query_at; /* numbers of images instead of images, or NULL */
    clm_task_size *sizes, *told; /* [chunk] of the tasks at hand, and as a learner is told them; NULL: they are of one size */
    double *outputs;
    float *one_x; /* of `singly`: one example of every task, and its outputs */
    int32_t *one_at;
    double *one_output;
    clm_task_scores kept;
    /* Several initialisations (choose.c). */
    clm_params *starts[CLM_INITIALISATIONS_MOST];
    size_t n_starts;                     /* 0: the learners have the one there is */
    double *start_losses;                /* [n_starts, chunk] */
    struct clm_start_score *start_cells; /* what each would score */
    size_t start_room;                   /* of start_cells */
    int32_t *chosen;                     /* [tasks of a run] */
    size_t chosen_room;
    bool chose;                        /* the last run did */
    clm_task_score *scores, *of_ranks; /* of a chunk, [query, support][steps + 1][chunk]; of one of each rank (rounds.c) */
};

/* A set of examples: images, or their numbers. */
typedef struct clm_example_set {
    const float *x, *y;
    const int32_t *at;
    size_t count; /* of a task, the most */
    bool support; /* or query */
} clm_example_set;

/* Back to the initial parameters, with these support sets; `scored` is what will be predicted. */
clm_status clm_evaluator_begin(clm_evaluator *e, clm_learner *learner, const clm_example_set *support,
                               const clm_example_set *scored);
/* Outputs of a set, into e->outputs. */
clm_status clm_evaluator_predict(clm_evaluator *e, clm_learner *learner, const clm_example_set *set);
/* Score of task t of a set, of the outputs [chunk, count, out] of all. */
double clm_evaluator_score_task(const clm_evaluator *e, const double *outputs, const clm_example_set *set, size_t t,
                                double *loss);
void clm_moments_add(clm_moments *m, double score, double loss);

/* Draws and scores a chunk from task `at` of the run on, of which `tasks` count. */
clm_status clm_evaluator_run_chunk(clm_evaluator *e, clm_run_over *r, int at, int tasks);

/* ---- rounds.c ---- */
/* All chunks, on one process or on several, added up in task order. */
clm_status clm_evaluator_run_all(clm_evaluator *e, clm_run_over *r);

/* ---- choose.c ---- */
/* Room for a run of so many tasks over so many steps. */
clm_status clm_evaluator_choose_begin(clm_evaluator *e, int tasks, int steps);
/* One chunk from every initialisation; what counts of a task is that which it chooses. */
clm_status clm_evaluator_run_choosing(clm_evaluator *e, int done, int tasks, int steps, bool ends_only, clm_moments *query,
                                      clm_moments *support);
void clm_evaluator_choose_free(clm_evaluator *e);

#endif
