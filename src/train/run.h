/* A run directory:
 *   config.json             the note or the options, the data, the model, the devices
 *   metrics.jsonl .csv      metrics, a row each logging interval and validation
 *   checkpoints/last.safetensors, best.safetensors, best-2.safetensors .., 00001000.safetensors ..
 *   curve.svg, result.json  at each checkpoint; at the end of the run
 *   fits.svg                there, of a regression on functions of one number
 *   scores.json             at the end: of single test tasks
 */
#ifndef CLM_TRAIN_RUN_H
#define CLM_TRAIN_RUN_H

#include <jansson.h>

#include "train/metrics.h"

/* The best checkpoints of a run by validation, best first. */
typedef struct clm_ranked {
    double score;
    uint64_t iteration;
} clm_ranked;
typedef struct clm_ranking {
    clm_ranked entry[CLM_ENSEMBLE_MOST];
    size_t count; /* 0: not validated yet */
} clm_ranking;

typedef struct clm_run {
    char directory[CLM_TRAIN_PATH], checkpoints[CLM_TRAIN_PATH];
    clm_metrics metrics;
    int lock;    /* of the directory; -1: none */
    bool locked; /* or this file system knows no locks */
    /* What a checkpoint says beside its arrays. The caller's. */
    const char *note;
    const clm_source *source;
    const clm_model *model;
    const clm_archive *described; /* its metadata: see clm_learner_describe */
    clm_bn_mode bn_mode;
    size_t ensemble, keep; /* see clm_train_options */
    uint64_t skipped;      /* updates that were left out, of all sessions */
    uint64_t identity;     /* what tells it from others, in config.json and every checkpoint; 0: one of before that was so */
} clm_run;

/* The paths; changes nothing. The fields of what a checkpoint says are set by the caller. */
clm_status clm_run_set(clm_run *run, const char *directory);
/* No other process may use the directory, which is there, until the run is closed; CLM_E_STATE where one does. */
clm_status clm_run_lock(clm_run *run);
/* Makes the directories and config.json, locks, opens the metrics. continued: metrics up to `iteration` are kept, others cut off. */
clm_status clm_run_open(clm_run *run, const clm_meta_share *shares, size_t n_shares, bool continued, uint64_t iteration);
void clm_run_close(clm_run *run);

/* What config.json holds under "settings", as text; free(). */
clm_status clm_run_read_note(const clm_run *run, char **out);
/* The same of a checkpoint. */
clm_status clm_run_read_note_of(const char *path, char **out);
/* The devices, with their drivers, that config.json names, where they are not these; else, and where it is lost, NULL;
 * free(). For before clm_run_open, which
 * writes it anew. */
clm_status clm_run_devices_before(const clm_run *run, const clm_meta_share *shares, size_t n_shares, char **out);

/* Writes the state at hand as the checkpoint of a rank; those from this rank on fall back by one. */
clm_status clm_run_save_ranked(clm_run *run, size_t rank, clm_meta *meta, const clm_ranking *ranking);
/* The whole checkpoints under all names that a ranked one may have, of a run that was killed too. */
enum { CLM_RANKED_NAMES = 2 * CLM_ENSEMBLE_MOST + 2 };
typedef struct clm_run_ranked {
    clm_ranked entry[CLM_RANKED_NAMES];
    size_t count;
} clm_run_ranked;
clm_status clm_run_ranked_there(const clm_run *run, clm_run_ranked *out);
/* The file `from` as the checkpoint of a rank. */
clm_status clm_run_put_back(const clm_run *run, size_t rank, const char *from);
/* A ranked checkpoint that is not the run's own, or damaged, gets another name, which is free: kept, with CLM_TRAIN_PATH bytes; "": there is
 * none of this rank. */
clm_status clm_run_set_aside(const clm_run *run, size_t rank, char *kept);
/* Names the ranked checkpoints as this ranking has them: a run that was killed may have gone on from it. */
clm_status clm_run_rank(clm_run *run, const clm_ranking *ranking);
/* Writes the numbered checkpoint and `last`; drops old numbered ones. */
clm_status clm_run_save_last(clm_run *run, clm_meta *meta, const clm_ranking *ranking);

/* null for what is not finite. */
json_t *clm_json_number(double value);

/* ---- checkpoints (checkpoint.c) ---- */

/* Writes checkpoints/NAME.safetensors: the meta-learner's arrays and counters, the note, the model, the best so far. It holds no
 * time of day, so that the checkpoints of a resumed run are those of one never stopped, bit for bit. */
clm_status clm_run_save(clm_run *run, const char *name, clm_meta *meta, const clm_ranking *ranking);
/* "RUN/checkpoints/NAME.safetensors"; path has CLM_TRAIN_PATH bytes. */
clm_status clm_run_checkpoint_path(char *path, const char *directory, const char *name);
/* CLM_E_FORMAT, with its reason as the last error: the file is missing, not as it was written, or not of this run
 * (0: of any). */
clm_status clm_run_look_at(const char *path, uint64_t run);
/* The same, and what was looked at; NULL after a failure. */
clm_status clm_run_load(clm_archive **archive, const char *path, uint64_t run);
/* Do both say what they are, and is it not the same? */
bool clm_run_is_foreign(const clm_archive *archive, uint64_t run);
/* As it is written. */
typedef struct clm_run_text {
    char s[20];
} clm_run_text;
clm_run_text clm_run_identity_text(const clm_run *run);
uint64_t clm_run_identity_in(const clm_archive *archive);
/* By config.json; 0: it does not say. */
uint64_t clm_run_identity_of(const char *directory);
/* The numbered checkpoint that is this ranked state; "": there is none. */
clm_status clm_run_find_state(char *path, const clm_run *run, const clm_ranked *ranked);
/* Is this the file of a numbered checkpoint, and of which iteration? */
bool clm_run_numbered(const char *name, uint64_t *iteration);
/* "best", "best-2", ..: the name of the checkpoint of this rank, from 0. */
typedef struct clm_rank_text {
    char s[32];
} clm_rank_text;
clm_rank_text clm_rank_name(size_t rank);
void clm_ranking_read(clm_ranking *ranking, const clm_archive *archive);
/* What a ranked checkpoint was ranked for. False: it is none. */
bool clm_ranked_of(const clm_archive *archive, clm_ranked *out);
bool clm_ranked_equal(const clm_ranked *a, const clm_ranked *b);
/* Is the file the checkpoint that a run, which has `reached` this iteration, ranked so? CLM_E_FORMAT: it is missing, damaged, or another. One
 * that is newer counts as its own: a run that was killed saves it before `last`. */
clm_status clm_run_check_ranked(const char *path, size_t rank, const clm_ranking *chosen, uint64_t reached, uint64_t run);
uint64_t clm_run_read_skipped(const clm_archive *archive);
/* What a source's description says behind where the data lie, which may change. NULL is allowed. */
const char *clm_train_said_of(const char *description);
/* What is to be evaluated, of an initialisation: the moving average, where one is kept. A failure names the file. */
clm_status clm_checkpoint_params(const clm_archive *archive, const char *path, bool average, int start, clm_params *params);

#endif
