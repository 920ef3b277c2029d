/* What the files of a run say, for people. */
#ifndef CLI_REPORT_RUNS_H
#define CLI_REPORT_RUNS_H

#include <jansson.h>

#include "config/settings.h"

enum { REPORT_RUNS = 32 };

typedef struct report_row {
    double iteration, score, half, speed, wait; /* NAN: not there */
    bool validation;
    int initialisations; /* 0: there is one */
    double share[CLM_INITIALISATIONS_MOST];
} report_row;

typedef struct report_run {
    const char *name;        /* the directory, as it was given */
    json_t *config, *result; /* result: NULL, not tested yet */
    cli_settings settings;
    bool has_settings; /* or another program's run, whose note is its own */
    report_row *rows;
    size_t n_rows;
    bool validates;    /* false: it had no tasks for that */
    double speed;      /* median of tasks a second; NAN: unknown */
    double wait;       /* median share of updates' time that they waited for data; NAN: unknown */
    double mean, half; /* of the test; NAN: not finite, or there is none */
    bool percent;      /* the score is an accuracy */
    json_t *tasks;     /* what tells the test tasks from others; NULL: their single scores are not there */
    double *scores;    /* of each test task, NAN: not finite */
    size_t n_scores;
} report_run;

/* config.json must be there. Frees nothing on failure: report_run_close does. */
clm_status report_run_open(report_run *run, const char *directory);
void report_run_close(report_run *run);

/* "" and NAN where there is no such thing. */
const char *report_text(const json_t *object, const char *key);
double report_number(const json_t *object, const char *key);
/* "accuracy", "mean squared error". */
const char *report_metric(const report_run *run);

#endif
