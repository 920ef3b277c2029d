/* One training run of the program: the settings become what the library's trainer is given, and what it says is shown. */
#ifndef CLI_TRAINER_H
#define CLI_TRAINER_H

#include "config/checkpoint.h"
#include "config/setup.h"
#include "train/progress.h"
#include "train/split.h"

typedef struct cli_trainer {
    cli_settings settings;
    clm_source *source;
    clm_model *model;
    cli_split split;
    bool budget_given; /* --tune-budget, on the command line */
    bool quiet;        /* opened only to see whether all fits: nothing is remarked */
    bool split_stored; /* settings.split is that of the run, not of the command line */
    cli_task task;
    clm_train_options options;
    clm_params *initial; /* what a new run begins with */
    char *note;          /* the settings as JSON */
    clm_trainer *trainer;
    bool regression, validates;
    cli_progress progress;
    clm_train_progress state;
} cli_trainer;

/* Opens source and model, and sees that they fit. `json` (may be NULL): the model as a checkpoint keeps it. */
clm_status cli_trainer_open(cli_trainer *trainer, const char *json);
/* Opens the devices, shares the tasks out, plans everything, restores what is resumed. */
clm_status cli_trainer_plan(cli_trainer *trainer);
void cli_trainer_close(cli_trainer *trainer);

/* Trains, with progress on stdout. */
clm_status cli_trainer_run(cli_trainer *trainer);
/* Tests on held-out tasks and prints what came of it, unless the user stops it. */
clm_status cli_trainer_test(cli_trainer *trainer);

/* Collective. */
clm_status cli_trainer_print_plan(const cli_trainer *trainer);
/* What each of several devices did in the last iteration. */
void cli_trainer_print_speeds(const cli_trainer *trainer);

#endif
