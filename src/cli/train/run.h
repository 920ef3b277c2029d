/* A run directory:
 *   config.json             the settings, the data, the model, the devices
 *   metrics.jsonl .csv      metrics, a row each logging interval and validation
 *   checkpoints/last.safetensors, best.safetensors, best-2.safetensors .., 00001000.safetensors ..
 *   curve.svg, result.json  at the end of the run and of each session
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "config/checkpoint.h"
#include "config/settings.h"
#include "train/metrics.h"
#include "train/split.h"

typedef struct cli_run {
    char directory[CLI_PATH_MAX], checkpoints[CLI_PATH_MAX];
    cli_metrics metrics;
} cli_run;

/* A directory name for a run that was given none. */
clm_status cli_run_default_name(char *path, const cli_settings *settings);
/* Errors when a new run cannot begin here. Changes nothing. */
clm_status cli_run_check_new(const char *directory);

/* Makes the directories and config.json, opens the metrics. */
clm_status cli_run_begin(cli_run *run, const cli_settings *settings, const clm_source *source, const clm_model *model,
                         const cli_split *split);
/* Opens an existing run; metrics after `iteration` are cut off. */
clm_status cli_run_continue(cli_run *run, const cli_settings *settings, const clm_source *source, const clm_model *model,
                            const cli_split *split, uint64_t iteration);
void cli_run_close(cli_run *run);

/* Settings that a run directory was started with. */
clm_status cli_run_load_settings(const char *directory, cli_settings *settings);
/* Writes checkpoints/NAME.safetensors. */
clm_status cli_run_save(cli_run *run, const char *name, clm_meta *meta, const cli_settings *settings, const clm_source *source,
                        const clm_model *model, const cli_ranking *ranking);
/* Writes the state at hand as the checkpoint of a rank; those from this rank on fall back by one. */
clm_status cli_run_save_ranked(cli_run *run, size_t rank, clm_meta *meta, const cli_settings *settings,
                               const clm_source *source, const clm_model *model, const cli_ranking *ranking);
/* Names the ranked checkpoints as this ranking has them: a run that was killed may have gone on from it. */
clm_status cli_run_rank(cli_run *run, const cli_ranking *ranking);
/* Writes the numbered checkpoint and `last`; drops old numbered ones. */
clm_status cli_run_save_last(cli_run *run, clm_meta *meta, const cli_settings *settings, const clm_source *source,
                             const clm_model *model, const cli_ranking *ranking);

#endif
