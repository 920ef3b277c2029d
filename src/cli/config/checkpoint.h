/* The checkpoints of a run: archives of the meta-learner's state, with the settings and the model. */
#ifndef CLI_CHECKPOINT_H
#define CLI_CHECKPOINT_H

#include "config/settings.h"

/* The best checkpoints of a run by validation, best first: --ensemble says how many. */
typedef struct cli_ranked {
    double score;
    uint64_t iteration;
} cli_ranked;
typedef struct cli_ranking {
    cli_ranked entry[CLI_MAX_ENSEMBLE];
    size_t count; /* 0: not validated yet */
} cli_ranking;

/* What a checkpoint says beside its arrays. Texts belong to the archive. */
typedef struct cli_checkpoint {
    clm_archive *archive;
    cli_settings settings;
    const char *model; /* JSON */
    uint64_t iteration;
    cli_ranking ranking;
} cli_checkpoint;

/* "RUN/checkpoints/NAME.safetensors" */
clm_status cli_run_checkpoint_path(char *path, const char *directory, const char *name);

clm_status cli_checkpoint_load(cli_checkpoint *checkpoint, const char *path);
void cli_checkpoint_close(cli_checkpoint *checkpoint);

/* What is to be evaluated: the moving average, where the run keeps one. A failure names the file. */
clm_status cli_checkpoint_params(const cli_checkpoint *checkpoint, const char *path, clm_params *params);

/* "best", "best-2", ..: the name of the checkpoint of this rank, from 0. */
cli_text cli_rank_name(size_t rank);

/* The state at hand. */
clm_status cli_checkpoint_write(const char *path, clm_meta *meta, const cli_settings *settings, const clm_source *source,
                                const clm_model *model, const cli_ranking *ranking);

#endif
