/* Reads a run directory: config.json, metrics.jsonl, result.json, scores.json. */
#include "report/runs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/system.h"
#include "config/checkpoint.h"
#include "config/episodes.h"
#include "config/sources.h"

const char *report_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

double report_number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *report_metric(const report_run *run) {
    const char *metric = report_text(run->result, "metric");
    return metric[0] ? metric : run->percent ? "accuracy" : "error";
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Of those that are numbers. */
static double median(double *values, size_t n) {
    qsort(values, n, sizeof *values, ascending);
    return n ? (values[(n - 1) / 2] + values[n / 2]) / 2 : NAN;
}

static clm_status find_speed(report_run *run) {
    clm_status status = CLM_OK;
    double *speeds = NULL, *waits = NULL;
    size_t n = 0, m = 0;
    CLI_NEW(speeds, run->n_rows);
    CLI_NEW(waits, run->n_rows);
    for (size_t i = 0; i < run->n_rows; i++) {
        if (isfinite(run->rows[i].speed)) speeds[n++] = run->rows[i].speed;
        if (isfinite(run->rows[i].wait)) waits[m++] = run->rows[i].wait;
    }
    run->speed = median(speeds, n);
    run->wait = median(waits, m);
out:
    free(speeds);
    free(waits);
    return status;
}

static void read_shares(report_row *row, const json_t *shares) {
    const size_t n = json_array_size(shares);
    for (size_t s = 0; s < n && n <= CLM_INITIALISATIONS_MOST && json_is_number(json_array_get(shares, s)); s++) {
        row->share[s] = json_number_value(json_array_get(shares, s));
        row->initialisations = (int)s + 1;
    }
}

static void read_row(report_run *run, const json_t *said) {
    report_row *row = &run->rows[run->n_rows];
    row->iteration = report_number(said, "iteration");
    row->score = report_number(said, "query_after");
    row->half = report_number(said, "interval");
    row->speed = report_number(said, "tasks_per_second");
    row->wait = report_number(said, "data_wait");
    row->validation = strcmp(report_text(said, "kind"), "validation") == 0;
    read_shares(row, json_object_get(said, "shares"));
    if (isfinite(row->iteration) && row->iteration >= 0) run->n_rows++;
}

/* NULL where there is none. A run that goes on, be it over, writes anew what is damaged; one of another program does not go on by
 * this one. */
static clm_status read_file(const report_run *run, const char *name, json_t **said) {
    char path[CLI_PATH_MAX], *text = NULL;
    CLI_TRY(cli_path(path, run->name, name));
    if (!cli_path_exists(path)) return CLM_OK;
    CLI_TRY(cli_file_read(path, &text)); /* what cannot be opened is not damaged */
    free(text);
    *said = cli_json_load(path);
    if (*said) return CLM_OK;
    if (run->config && !run->has_settings) return CLM_E_FORMAT;
    return cli_fail(CLM_E_FORMAT, "%s; `clmaml train --resume --run %s` writes it anew", cli_message(), cli_pasted(run->name));
}

/* A run that was killed may have left half a line, and one at work may be writing it. */
static clm_status read_rows(report_run *run) {
    char path[CLI_PATH_MAX], *text = NULL;
    clm_status status = CLM_OK;
    size_t lines = 0;
    CLI_TRY(cli_path(path, run->name, "metrics.jsonl"));
    if (!cli_path_exists(path)) return CLM_OK;
    CLI_TRY(cli_file_read(path, &text));
    for (const char *c = text; *c; c++) lines += *c == '\n';
    CLI_NEW(run->rows, lines);
    for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        json_t *said = json_loadb(line, (size_t)(end - line), 0, NULL);
        if (said) read_row(run, said);
        json_decref(said);
    }
out:
    free(text);
    return status;
}

/* Where there are no tasks to validate by, the rows of kind validation have no scores, while training has: they are left out. */
static void settle_validation(report_run *run) {
    bool scored = false, trained = false;
    size_t kept = 0;
    for (size_t i = 0; i < run->n_rows; i++) {
        const report_row *row = &run->rows[i];
        if (row->validation)
            scored = scored || isfinite(row->score);
        else
            trained = isfinite(row->score);
    }
    run->validates = scored || !trained;
    for (size_t i = 0; i < run->n_rows; i++)
        if (run->validates || !run->rows[i].validation) run->rows[kept++] = run->rows[i];
    run->n_rows = kept;
}

/* Scores that are not those of result.json, as a test that was cut off may leave, count as absent. */
static bool fit_result(const report_run *run) {
    double sum = 0;
    for (size_t i = 0; i < run->n_scores; i++) sum += run->scores[i];
    const double mean = sum / (double)run->n_scores, most = 1e-9 * fmax(1, fabs(run->mean));
    return (double)run->n_scores == report_number(run->result, "tasks") &&
           (isfinite(mean) ? fabs(mean - run->mean) <= most : !isfinite(run->mean));
}

/* Of the last step, which is that of the test. */
static clm_status take_scores(report_run *run, const json_t *said) {
    const json_t *steps = json_object_get(said, "scores");
    const json_t *scores = json_array_get(steps, json_array_size(steps) - 1);
    clm_status status = CLM_OK;
    const size_t n = json_array_size(scores);
    if (n == 0) return CLM_OK;
    CLI_NEW(run->scores, n);
    run->n_scores = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *score = json_array_get(scores, i);
        run->scores[i] = json_is_number(score) ? json_number_value(score) : NAN;
    }
    if (fit_result(run)) run->tasks = json_incref(json_object_get(said, "tasks"));
out:
    return status;
}

static clm_status read_scores(report_run *run) {
    json_t *said = NULL;
    if (run->result) CLI_TRY(read_file(run, "scores.json", &said));
    if (!said) return CLM_OK;
    const clm_status status = take_scores(run, said);
    json_decref(said);
    return status;
}

static clm_status read_config(report_run *run) {
    char path[CLI_PATH_MAX];
    cli_episodes episodes;
    CLI_TRY(cli_path(path, run->name, "config.json"));
    CLI_TRY(read_file(run, "config.json", &run->config));
    if (!run->config) return cli_run_none(run->name, path);
    if (cli_episodes_in_config(run->config, &episodes)) /* returns over updates are no scores after steps */
        return cli_fail(CLM_E_ARG,
                        "%s is a run of episodes, of which there is no page; its directory holds curve.svg and metrics.csv",
                        run->name);
    run->has_settings =
        cli_settings_from_json(&run->settings, json_object_get(run->config, "settings"), "config.json") == CLM_OK;
    cli_forget();
    return CLM_OK;
}

clm_status report_run_open(report_run *run, const char *directory) {
    run->name = directory;
    run->mean = run->half = run->speed = run->wait = NAN;
    CLI_TRY(read_config(run));
    CLI_TRY(read_file(run, "result.json", &run->result));
    if (cli_json_of_other_runs(run->config, run->result))
        return cli_fail(CLM_E_FORMAT, "%s/result.json is of another run; `clmaml train --resume --run %s` writes it anew",
                        run->name, cli_pasted(run->name));
    run->percent = run->result ? strcmp(report_text(run->result, "metric"), "accuracy") == 0
                               : !run->has_settings || cli_source_has_labels(&run->settings) ||
                                     !cli_source_of(run->settings.source)->regression;
    run->mean = report_number(run->result, "mean");
    run->half = report_number(run->result, "interval");
    CLI_TRY(read_scores(run));
    CLI_TRY(read_rows(run));
    settle_validation(run);
    return find_speed(run);
}

void report_run_close(report_run *run) {
    json_decref(run->config);
    json_decref(run->result);
    json_decref(run->tasks);
    free(run->scores);
    free(run->rows);
    memset(run, 0, sizeof *run);
}
