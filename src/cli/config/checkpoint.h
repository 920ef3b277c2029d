/* The checkpoints of a run: archives of the meta-learner's state, with the settings and the model. */
#ifndef CLI_CHECKPOINT_H
#define CLI_CHECKPOINT_H

#include "config/settings.h"

/* What a checkpoint says beside its arrays. Texts belong to the archive. */
typedef struct cli_checkpoint {
    clm_archive *archive;
    cli_settings settings;
    const char *model; /* JSON */
    uint64_t iteration;
} cli_checkpoint;

clm_status cli_checkpoint_load(cli_checkpoint *checkpoint, const char *path);
void cli_checkpoint_close(cli_checkpoint *checkpoint);

/* What is to be evaluated: the moving average, where the run keeps one. A failure names the file. */
clm_status cli_checkpoint_params(const cli_checkpoint *checkpoint, const char *path, clm_params *params);

#endif
