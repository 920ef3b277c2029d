/* The metrics of a run: rows of numbers, kept as JSON lines and CSV. */
#ifndef CLI_METRICS_H
#define CLI_METRICS_H

#include <stdio.h>

#include "base/common.h"

/* One list makes the fields, their names in both files and the CSV's columns. before/after: adaptation; accuracies, or mean
 * squared errors of a regression; interval: half the 95 % interval of query_after. */
#define CLI_METRIC_LIST(X)              \
    X(LOSS, loss)                       \
    X(SUPPORT_LOSS, support_loss)       \
    X(SUPPORT_BEFORE, support_before)   \
    X(SUPPORT_AFTER, support_after)     \
    X(QUERY_BEFORE, query_before)       \
    X(QUERY_AFTER, query_after)         \
    X(INTERVAL, interval)               \
    X(GRAD_NORM, grad_norm)             \
    X(LR, lr)                           \
    X(SECOND_ORDER, second_order_share) \
    X(SECONDS, seconds)                 \
    X(TASKS_PER_SECOND, tasks_per_second)

typedef enum cli_metric {
#define CLI_METRIC_ENUM(NAME, name) CLI_METRIC_##NAME,
    CLI_METRIC_LIST(CLI_METRIC_ENUM)
#undef CLI_METRIC_ENUM
        CLI_METRIC_COUNT
} cli_metric;

typedef enum cli_row_kind { CLI_ROW_TRAIN, CLI_ROW_VALIDATION, CLI_ROW_KINDS } cli_row_kind;

typedef struct cli_row {
    uint64_t iteration; /* outer updates made */
    cli_row_kind kind;
    double value[CLI_METRIC_COUNT]; /* NAN: not measured */
} cli_row;

typedef struct cli_metrics {
    cli_row *rows;
    size_t count, capacity;
    FILE *jsonl, *csv;
    char jsonl_path[CLI_PATH_MAX], csv_path[CLI_PATH_MAX];
} cli_metrics;

cli_row cli_row_empty(cli_row_kind kind, uint64_t iteration);

/* Opens directory/metrics.jsonl and .csv. `resumed`: rows of an earlier session up to `upto` updates are kept, what follows is
 * cut off; otherwise the files begin anew. */
clm_status cli_metrics_open(cli_metrics *metrics, const char *directory, bool resumed, uint64_t upto);
/* Appends a row to memory and both files. */
clm_status cli_metrics_add(cli_metrics *metrics, const cli_row *row);
void cli_metrics_close(cli_metrics *metrics);

#endif
