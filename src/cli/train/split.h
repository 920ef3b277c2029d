/* The devices of a training run, and the share of each in the tasks of a meta-batch. */
#ifndef CLI_SPLIT_H
#define CLI_SPLIT_H

#include <stdio.h>

#include "config/settings.h"

typedef struct cli_split {
    clm_device **devices;
    clm_meta_share *shares;
    double *speeds; /* tasks per second in the trial; NULL when none was made */
    size_t count;
} cli_split;

/* Opens every device of the specification (NULL: environment, then default); the first has all tasks.
 * A new one is tested unless `force`. */
clm_status cli_split_open(cli_split *split, const char *spec, int tasks, bool force);
void cli_split_close(cli_split *split);

/* Shares the tasks out as settings->split says, or else in proportion to speeds that are measured, and writes the outcome there.
 * `stored`: the text comes from the run; when it does not fit the devices it is measured anew rather than refused. */
clm_status cli_split_tasks(cli_split *split, cli_settings *settings, bool stored, const clm_model *model,
                           const clm_meta_options *options);

/* A line for each device. */
void cli_split_print(const cli_split *split, const clm_meta *meta, FILE *to);
/* Tasks per second of each device in the last gradient, for runs on several. */
void cli_split_print_speeds(const clm_meta *meta, FILE *to);

/* Over all devices: bytes allocated, kernels built from source. */
size_t cli_split_allocated(const cli_split *split);
size_t cli_split_kernels_built(const cli_split *split);

#endif
