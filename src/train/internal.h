/* What the parts of training share: the trainer. evaluate.c, metrics, curve, resident, run and record know nothing of it. */
#ifndef CLM_TRAIN_INTERNAL_H
#define CLM_TRAIN_INTERNAL_H

#include "base/memory.h"
#include "clmaml/train.h"
#include "train/resident.h"
#include "train/run.h"

/* clm_calloc into `pointer`, or out with CLM_E_MEMORY. */
#define CLM_NEW(pointer, count)                                     \
    do {                                                            \
        (pointer) = clm_calloc((size_t)(count), sizeof *(pointer)); \
        if (!(pointer)) CLM_GOTO(CLM_E_MEMORY);                     \
    } while (0)

/* Seconds that updates took, and of these the seconds that they waited for their batches. */
typedef struct clm_train_time {
    double updates, waits;
} clm_train_time;

struct clm_trainer {
    clm_train_options options; /* settled. Of what they point to, only callbacks and custom losses are still there */
    const char *algorithm;     /* the table's name */
    char *note, *title, *subtitle;
    clm_archive *described; /* what a learner needs to know of the run, as metadata */
    const clm_source *source;
    const clm_model *model;
    bool regression, validates;
    char data_changed[1024]; /* how the data differ from those that the run was begun with; "": not */
    bool saves_anew;         /* the last checkpoint is gone, or names a best one that is */
    int steps, test_steps;   /* inner steps in training, and at validation and test */

    clm_meta_share *shares;
    size_t n_shares;
    clm_device *device;    /* the first of the devices: evaluates */
    uint64_t memory_limit; /* bytes of device memory for everything; 0: none is set */
    bool limit_is_of_environment;
    size_t evaluation_bytes; /* device memory of the evaluator */
    clm_meta *meta;
    bool measures_share; /* the meta-learner can leave out the second-order term, to tell its share of the gradient */
    clm_evaluator *evaluator;
    size_t n_starts;                              /* initialisations */
    clm_params *params[CLM_INITIALISATIONS_MOST]; /* of each, on their way from the meta-learner to the evaluator */
    double *losses;                               /* [n_starts, tasks] of support sets */
    int32_t *chosen;                              /* [tasks]: where the tasks of the batch at hand belong */
    size_t unused;                                /* initialisations that no task chose at the last validation */
    clm_resident resident;

    clm_prefetch *batches;    /* made ahead; from the first that is asked for */
    double *gradient, *other; /* of all parameters, one behind the other */
    double *weights;          /* of a multi-step loss that is annealed */

    /* The best states; of several initialisations those of the best. Without a directory they are kept here, else read from there
     * when they are asked for. */
    clm_params *members[CLM_ENSEMBLE_MOST];
    uint64_t member_iteration[CLM_ENSEMBLE_MOST];
    size_t n_members;

    clm_run run;
    bool has_run, continues, prepared; /* there is a directory; it goes on from a checkpoint; clm_trainer_prepare is done */
    clm_ranking ranking;               /* by validation */
    uint64_t last_checkpoint;
    char newest[CLM_TRAIN_PATH];    /* the checkpoint that a resumed run goes on from */
    int skipped_in_a_row;           /* updates that were left out; in all: run.skipped */
    char skipped_why[512];          /* of the last of these in this session */
    double seconds_before, started; /* training time of earlier sessions; when this one began */
    double step_seconds;            /* moving average */
    clm_train_time since_row, all;  /* since the last training row; in this session */
    clm_train_progress state;
    clm_train_result result;
};

/* Does it train on all classes at once, with an output for each, and adapt a model with one for each class of a task? */
bool clm_task_is_joint(const clm_task_options *task);

/* Copies the options, checked and with what follows from them filled in, and what they come to. The model may be NULL. */
clm_status clm_trainer_settle(clm_trainer *trainer, const clm_source *source, const clm_train_options *options);

/* targets.c: CLM_E_ARG for a loss of classes where there are numbers to predict, or the other way round. Other losses are the
 * task's to refuse. */
clm_status clm_train_check_loss(const clm_source *source, const clm_task_options *task);

/* tokens.c: of a model that begins with an embedding. The episodes (NULL: none) are those of a first task to look at where the
 * source does not hold its examples; then every task that is drawn is to be looked at. */
clm_status clm_train_check_tokens(const clm_source *source, const clm_model *model, const clm_episode_options *episodes);
bool clm_train_looks_at_tokens(const clm_source *source, const clm_model *model);
/* support, query: numbers of all examples together. */
clm_status clm_train_check_task(const clm_source *source, const clm_model *model, const float *support_x, size_t support,
                                const float *query_x, size_t query);

/* resume.c: takes the directory of the options, where they name one; goes on from its newest checkpoint, once the meta-learner is there
 * (`continues`); writes what a run begins with. */
clm_status clm_trainer_open_directory(clm_trainer *trainer, const clm_train_options *settled);
clm_status clm_trainer_restore(clm_trainer *trainer);
clm_status clm_trainer_begin_run(clm_trainer *trainer);

/* ranks.c: of several processes. Without a communicator this one leads, and nothing is exchanged. All but the first are collective. */
bool clm_trainer_leads(const clm_trainer *trainer);
/* Sees that all ranks have the same options and data. */
clm_status clm_trainer_agree(const clm_trainer *trainer, const clm_train_options *settled);
/* What rank 0 found becomes that of all. */
clm_status clm_trainer_decide(const clm_trainer *trainer, bool *what);
clm_status clm_trainer_stops(const clm_trainer *trainer, bool *stops);
/* Rank 0's parameters, ranking and counters, as a run begins; its parameters of a kind; the states under test. */
clm_status clm_trainer_share_state(clm_trainer *trainer);
clm_status clm_trainer_share_params(const clm_trainer *trainer, clm_params *params);
clm_status clm_trainer_share_members(clm_trainer *trainer);

void clm_trainer_remark(const clm_trainer *trainer, const char *format, ...) CLM_PRINTF(2, 3);
/* assign.c: where the tasks of an iteration's batch belong, NULL with one initialisation; the shares of the first `tasks` entries
 * in a row; what became of the test's tasks; a remark where an initialisation serves no validation task. */
clm_status clm_trainer_assign(clm_trainer *trainer, uint64_t iteration, clm_batch *batch);
void clm_trainer_fill_shares(const clm_trainer *trainer, const int32_t *chosen, int tasks, clm_train_row *row);
clm_status clm_trainer_list_kinds(clm_trainer *trainer);
void clm_trainer_note_unused(clm_trainer *trainer, const clm_train_row *row);
/* Gives the evaluator the parameters; average: those of the moving average, where one is kept. */
clm_status clm_trainer_load_evaluator(clm_trainer *trainer, bool average);
/* Validates the state at hand and keeps it as `best` when it is. */
clm_status clm_trainer_validate(clm_trainer *trainer);
/* Writes the last checkpoint when there is none of this iteration yet, and curve.svg. */
clm_status clm_trainer_checkpoint(clm_trainer *trainer);
/* The result so far, but for the test. */
void clm_trainer_sum_up(clm_trainer *trainer);
/* Title and subtitle of the curve, while the options are whole. */
clm_status clm_trainer_entitle(clm_trainer *trainer, const clm_task_options *task);
/* Fills in `members`, best first: what validation chose, or the last state where there was nothing to choose by. */
clm_status clm_trainer_load_members(clm_trainer *trainer);
/* Without a directory: the state in `params` becomes that of a rank; those from this rank on fall back by one. */
void clm_trainer_keep_member(clm_trainer *trainer, size_t rank, uint64_t iteration);

#endif
