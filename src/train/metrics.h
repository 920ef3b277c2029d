/* The metrics of a run: rows of numbers, kept as JSON lines, as CSV and as TensorBoard reads them. */
#ifndef CLM_TRAIN_METRICS_H
#define CLM_TRAIN_METRICS_H

#include <stdio.h>

#include "clmaml/train.h"

enum { CLM_TRAIN_PATH = 1024 }; /* bytes of a path */
/* "directory/name"; CLM_E_LIMIT where that is longer. */
clm_status clm_train_path(char path[CLM_TRAIN_PATH], const char *directory, const char *name);

typedef struct clm_metrics {
    clm_train_row *rows;
    size_t count, capacity;
    FILE *jsonl, *csv, *events;
    char jsonl_path[CLM_TRAIN_PATH], csv_path[CLM_TRAIN_PATH], events_path[CLM_TRAIN_PATH];
    int initialisations; /* shares of a row, see clm_train_row; the caller's, before opening */
    double began;        /* seconds since 1970, as if the run had never stopped */
    struct {
        bool known;
        uint64_t iteration;
        double score;
    } best;       /* of validation, as the checkpoints say; the caller's, before opening */
    bool foreign; /* the rows that were found say otherwise */
} clm_metrics;

clm_train_row clm_row_empty(clm_row_kind kind, uint64_t iteration);

/* Opens directory/metrics.jsonl, metrics.csv and events.out.tfevents.clmaml. `resumed`: rows of an earlier session up to `upto` updates are kept, what follows is
 * cut off; otherwise the files begin anew. Of the first two, which say the
 * same, one may be lost, or another run's by the best validation. */
clm_status clm_metrics_open(clm_metrics *metrics, const char *directory, bool resumed, uint64_t upto);
/* Appends a row to memory and all files. */
clm_status clm_metrics_add(clm_metrics *metrics, const clm_train_row *row);
void clm_metrics_close(clm_metrics *metrics);

#endif
