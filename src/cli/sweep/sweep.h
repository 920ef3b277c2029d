/* A sweep: runs of `train` that differ in some settings, made of a file, judged by their validation scores.
 *
 * All that decides what comes next is in the directories of the runs, and read from there: which have got how far, with which
 * score, and which have failed. So a sweep goes on wherever it was stopped, and is the same on any number of ranks. */
#ifndef CLI_SWEEP_H
#define CLI_SWEEP_H

#include <jansson.h>

#include "base/options.h"

enum { SWEEP_VARYING_MOST = 11, SWEEP_RUNS_MOST = 10000, SWEEP_ROUNDS_MOST = 20, SWEEP_NAME = 112, SWEEP_WHY = 480 };

/* What a run has reached. Scores and intervals as in clm_score, NAN where there is none. */
typedef struct sweep_score {
    bool reached;
    double mean, half;
    int64_t iteration; /* of the validation that it comes from */
} sweep_score;

typedef struct sweep_result {
    sweep_score at[SWEEP_ROUNDS_MOST]; /* when the round was over */
    sweep_score now;
    int64_t iterations;  /* of the last validation; -1: none yet */
    char why[SWEEP_WHY]; /* it has failed; "": it has not */
} sweep_result;

typedef struct sweep_run {
    char name[SWEEP_NAME]; /* of its directory, below the sweep's */
    json_t *settings;      /* the ones that vary, in the order of sweep.varying */
    int64_t iterations;    /* --iterations */
    bool regression;
    sweep_result result;
} sweep_run;

typedef struct sweep {
    const char *path; /* of the file */
    char directory[CLI_PATH_MAX];
    json_t *file;
    const json_t *options;                   /* of all runs; the file's */
    const char *subject[2];                  /* what train trains on, and a file behind it; NULL: none */
    const char *varying[SWEEP_VARYING_MOST]; /* options, in the order of the file */
    size_t n_varying, n_runs;
    sweep_run *runs;
    int rounds;                        /* 1 without halving */
    int64_t factor;                    /* 0 without halving */
    int64_t target[SWEEP_ROUNDS_MOST]; /* iterations at the end of a round; without halving those of the run, sweep_target */
    int64_t val_every;                 /* what halving needs, where the file does not say; 0: nothing */
    bool by_last;                      /* judged by the last validation, not by the best */
} sweep;

/* ---- the file (file.c, axes.c, draw.c) ---- */

/* Text of FILE; `path` names it in messages, and must live as long. Makes the list of runs. Free with sweep_close, also after a
 * failure. */
clm_status sweep_read(sweep *s, const char *path, const char *text);
void sweep_close(sweep *s);
/* Fills runs and what varies. */
clm_status sweep_expand(sweep *s);
/* A value of a random draw: of draw number `draw` of a seed, for an option. */
clm_status sweep_draw(json_t **out, const cli_option *option, const json_t *range, uint64_t seed, uint64_t draw);

/* "FILE: WHERE: .." with CLM_E_FORMAT. */
clm_status sweep_refuse(const sweep *s, const char *where, const char *format, ...) CLI_PRINTF(3, 4);
#ifdef __clang_analyzer__ /* as of cli_fail */
#define sweep_refuse(s, where, ...) (sweep_refuse((s), (where), __VA_ARGS__), CLM_E_FORMAT)
#endif
/* A key of an object that is none of `names`, and what it may have meant. */
clm_status sweep_check_keys(const sweep *s, const json_t *object, const char *where, const char *const *names, size_t n);
/* The option of train that a key names; an error where there is none, or where a sweep has no use for it. */
clm_status sweep_option(const sweep *s, const char *where, const char *key, const cli_option **out);
/* Whether train takes this value for the option. */
clm_status sweep_check_value(const sweep *s, const char *where, const cli_option *option, const json_t *value);
/* A whole number in a range. */
clm_status sweep_number(const sweep *s, const json_t *object, const char *where, const char *key, int64_t least, int64_t most,
                        int64_t *out);
/* A value as the command line has it, numbers by as few digits as they need; "" for false. */
void sweep_value_text(const json_t *value, char *text, size_t size);

/* ---- runs (runs.c) ---- */

/* Arguments of a run, those of train: argv ends with NULL. Free with sweep_arguments_free. */
typedef struct sweep_arguments {
    char **argv;
    int argc;
} sweep_arguments;
/* As a new run has them, without a directory. */
clm_status sweep_arguments_make(const sweep *s, const sweep_run *run, sweep_arguments *out);
clm_status sweep_argument_add(sweep_arguments *a, const char *format, ...) CLI_PRINTF(2, 3);
void sweep_arguments_free(sweep_arguments *a);
/* What train has against the runs; with `opens`, against their data and models too. Settles what is known of each. */
clm_status sweep_check(sweep *s, bool opens);
int64_t sweep_target(const sweep *s, const sweep_run *run, int round);
/* "outer-lr 0.001, steps 5" */
void sweep_run_text(const sweep *s, const sweep_run *run, char *text, size_t size);
clm_status sweep_run_path(const sweep *s, const sweep_run *run, char *path);

/* ---- the directory (directory.c) ---- */

/* Sees that the directory is of this file, or there is nothing in it yet (*is_new); makes nothing. */
clm_status sweep_directory_look(sweep *s, bool *is_new);
clm_status sweep_directory_begin(const sweep *s);
/* For this process alone, or of several parts for one of them; part 0: all of it. */
clm_status sweep_directory_lock(const sweep *s, int part, int parts);
/* What the directory of a run says. */
clm_status sweep_result_read(const sweep *s, sweep_run *run);
clm_status sweep_failure_write(const sweep *s, const sweep_run *run, const char *why);
clm_status sweep_failure_forget(const sweep *s, const sweep_run *run);

/* ---- rounds (rounds.c, work.c) ---- */

/* The runs of a round into `list` [n_runs], in their order. False: not known yet, as the round before is not over. */
bool sweep_round(const sweep *s, int round, size_t *list, size_t *count);
/* Is a comes before b in the table. */
bool sweep_is_better(const sweep *s, const sweep_score *a, const sweep_score *b, bool regression);

typedef struct sweep_work {
    int part, parts; /* this process's share: 1 of 1 */
    bool stopped;    /* by a signal */
    bool waits;      /* for other parts, before another round */
} sweep_work;

/* Collective. Makes what is to be made. */
clm_status sweep_make(sweep *s, sweep_work *work);

/* ---- at the end (table.c) ---- */

/* sweep.json, sweep.csv, and the table. */
clm_status sweep_table(const sweep *s);
/* What would be made. */
clm_status sweep_print_plan(const sweep *s);

#endif
