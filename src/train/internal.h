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

struct clm_trainer {
    clm_train_options options; /* settled. Of what they point to, only callbacks and custom losses are still there */
    const char *algorithm;     /* the table's name */
    char *note, *title, *subtitle;
    clm_archive *described; /* what a learner needs to know of the run, as metadata */
    const clm_source *source;
    const clm_model *model;
    bool regression, validates;
    int steps, test_steps; /* inner steps in training, and at validation and test */

    clm_meta_share *shares;
    size_t n_shares;
    clm_device *device;    /* the first of the devices: evaluates */
    uint64_t memory_limit; /* bytes of device memory for everything; 0: none is set */
    bool limit_is_of_environment;
    size_t evaluation_bytes; /* device memory of the evaluator */
    clm_meta *meta;
    bool measures_share; /* the meta-learner can leave out the second-order term, to tell its share of the gradient */
    clm_evaluator *evaluator;
    clm_params *params; /* on their way from the meta-learner to the evaluator */
    clm_resident resident;

    clm_prefetch *batches;    /* made ahead; from the first that is asked for */
    double *gradient, *other; /* of all parameters, one behind the other */
    double *weights;          /* of a multi-step loss that is annealed */

    /* The best states. Without a directory they are kept here, else read from there when they are asked for. */
    clm_params *members[CLM_ENSEMBLE_MOST];
    uint64_t member_iteration[CLM_ENSEMBLE_MOST];
    size_t n_members;

    clm_run run;
    bool has_run, continues, prepared; /* there is a directory; it goes on from a checkpoint; clm_trainer_prepare is done */
    clm_ranking ranking;               /* by validation */
    uint64_t last_checkpoint;
    double seconds_before, started; /* training time of earlier sessions; when this one began */
    double step_seconds;            /* moving average */
    clm_train_progress state;
    clm_train_result result;
};

/* Does it train on all classes at once, with an output for each, and adapt a model with one for each class of a task? */
bool clm_task_is_joint(const clm_task_options *task);

/* Copies the options, checked and with what follows from them filled in, and what they come to. The model may be NULL. */
clm_status clm_trainer_settle(clm_trainer *trainer, const clm_source *source, const clm_train_options *options);
bool clm_trainer_stops(const clm_trainer *trainer);
void clm_trainer_remark(const clm_trainer *trainer, const char *format, ...) CLM_PRINTF(2, 3);
/* Gives the evaluator the parameters; average: those of the moving average, where one is kept. */
clm_status clm_trainer_load_evaluator(clm_trainer *trainer, bool average);
/* Validates the state at hand and keeps it as `best` when it is. */
clm_status clm_trainer_validate(clm_trainer *trainer);
/* Writes the last checkpoint when there is none of this iteration yet, and curve.svg. */
clm_status clm_trainer_checkpoint(clm_trainer *trainer);
/* The result so far, but for the test. */
void clm_trainer_sum_up(clm_trainer *trainer);
/* What a source's description says behind where the data lie, which may change. NULL is allowed. */
const char *clm_train_said_of(const char *description);
/* Title and subtitle of the curve, while the options are whole. */
clm_status clm_trainer_entitle(clm_trainer *trainer, const clm_task_options *task);
/* Fills in `members`, best first: what validation chose, or the last state where there was nothing to choose by. */
clm_status clm_trainer_load_members(clm_trainer *trainer);
/* Without a directory: the state in `params` becomes that of a rank; those from this rank on fall back by one. */
void clm_trainer_keep_member(clm_trainer *trainer, size_t rank, uint64_t iteration);

#endif
