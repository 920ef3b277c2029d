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

/* That of a run directory, the best or else (or `last`) the last; or the file that `run` names. */
clm_status cli_checkpoint_find(char *path, size_t size, const char *run, bool last);
/* The failure of a directory that holds none. */
clm_status cli_checkpoint_none(const char *directory);
/* That of one without `config`, its config.json. */
clm_status cli_run_none(const char *directory, const char *config);
/* An archive. Of a file that is none the failure says to give `wanted`, "a run directory or a checkpoint". */
clm_status cli_model_load(clm_archive **archive, const char *path, const char *wanted);
clm_status cli_checkpoint_load(cli_checkpoint *checkpoint, const char *path);
void cli_checkpoint_close(cli_checkpoint *checkpoint);

/* Says in a note that the data are not those of the run, where they are not. */
void cli_checkpoint_note_data(const cli_checkpoint *checkpoint, const clm_source *source, const char *run);

/* The iteration of the last checkpoint of a run directory, of examples or episodes, and how many its settings ask for (0: it does not
 * say). False where no checkpoint can be read. */
bool cli_checkpoint_progress(const char *run, long long *iteration, long long *planned);
/* Says in a note that the training of a run directory is not over; no word where that cannot be seen. */
void cli_checkpoint_note_unfinished(const char *run);

/* What is to be evaluated, of an initialisation, from 0: the moving average, where the run keeps one. A failure names the file. */
clm_status cli_checkpoint_params(const cli_checkpoint *checkpoint, const char *path, int initialisation, clm_params *params);

#endif
