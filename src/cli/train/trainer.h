/* One training run in memory: its objects, its loop, its measurements. */
#ifndef CLI_TRAINER_H
#define CLI_TRAINER_H

#include "config/resident.h"
#include "config/setup.h"
#include "eval/scores.h"
#include "train/progress.h"
#include "train/run.h"
#include "train/split.h"

typedef struct cli_trainer {
    cli_settings settings;
    clm_source *source;
    clm_model *model;
    cli_split split;
    bool split_stored;  /* settings.split is that of the run, not of the command line */
    clm_device *device; /* the first of the devices: evaluates */
    clm_meta *meta;
    bool measures_share; /* the meta-learner can leave out the second-order term, to tell its share of the gradient */
    clm_evaluator *evaluator;
    cli_task task;
    clm_params *params; /* on their way from the meta-learner to the evaluator */
    cli_run run;
    bool regression, validates;
    int64_t memory_limit;    /* bytes of device memory for everything; 0: none is set */
    size_t evaluation_bytes; /* device memory of the evaluator */

    cli_resident resident;

    clm_prefetch *batches;    /* made ahead; from the first that is asked for */
    double *gradient, *other; /* of all parameters, one behind the other */

    cli_ranking ranking; /* by validation */
    uint64_t last_checkpoint;
    double seconds_before, started; /* training time of earlier sessions; when this one began */
    double step_seconds;            /* moving average */
    cli_progress progress;
    cli_progress_state state;
} cli_trainer;

/* Opens source and model. `json` (may be NULL): the model as a checkpoint keeps it. */
clm_status cli_trainer_open(cli_trainer *trainer, const char *json);
/* Opens the devices, shares the tasks out, plans everything, sets the initial parameters. */
clm_status cli_trainer_plan(cli_trainer *trainer);
/* Copies the images to the devices, where they are to be; after everything else is prepared. */
clm_status cli_trainer_load_images(cli_trainer *trainer);
/* Gives the evaluator the parameters; average: those of the moving average, where one is kept. */
clm_status cli_trainer_load_evaluator(cli_trainer *trainer, bool average);
void cli_trainer_close(cli_trainer *trainer);

/* Trains from the meta-learner's iteration to settings.iterations, or until the user asks to stop. *stopped says which. */
clm_status cli_trainer_loop(cli_trainer *trainer, bool *stopped);

/* Tests on held-out tasks, prints and writes result.json; *stopped: the user asked to stop before it was done. */
clm_status cli_trainer_test(cli_trainer *trainer, bool *stopped);

/* Validates the state at hand and keeps it as `best` when it is. */
clm_status cli_trainer_validate(cli_trainer *trainer);
/* Writes the last checkpoint when there is none of this iteration yet. */
clm_status cli_trainer_checkpoint(cli_trainer *trainer);
/* Writes curve.svg. */
clm_status cli_trainer_draw(cli_trainer *trainer);

#endif
