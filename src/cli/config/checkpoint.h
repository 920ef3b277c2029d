/* The checkpoints of a run: archives of the meta-learner's state, with the settings and the model. */
#ifndef CLI_CHECKPOINT_H
#define CLI_CHECKPOINT_H

#include "config/settings.h"

/* What a checkpoint says beside its arrays. Texts belong to the archive. */
typedef struct cli_checkpoint {
    clm_archive *archive;
    cli_settings settings;
    const char *model; /* JSON */
    uint64_t iteration, best_iteration;
    double best_score; /* NAN: not validated yet */
} cli_checkpoint;

/* "RUN/checkpoints/NAME.safetensors" */
clm_status cli_run_checkpoint_path(char *path, const char *directory, const char *name);

clm_status cli_checkpoint_load(cli_checkpoint *checkpoint, const char *path);
void cli_checkpoint_close(cli_checkpoint *checkpoint);

/* The state at hand; best_score: NAN when it is not validated yet. */
clm_status cli_checkpoint_write(const char *path, clm_meta *meta, const cli_settings *settings, const clm_source *source,
                                const clm_model *model, double best_score, uint64_t best_iteration);

#endif
