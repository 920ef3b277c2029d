/* `clmaml runs`: the runs below a directory, from the files that training writes: config.json, metrics.jsonl, result.json. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/options.h"
#include "base/system.h"
#include "config/sources.h"
#include "eval/scores.h"

typedef struct runs_settings {
    bool json;
} runs_settings;

static const cli_option options[] = {
    {"Options", "json", CLI_FLAG, 0, offsetof(runs_settings, json), 0, 0, "", "print JSON"},
    {.name = NULL},
};
static const runs_settings defaults = {false};

/* ---- which there are ---- */

enum { DEPTH_MAX = 8 };

typedef struct search {
    char **found;
    size_t count, capacity;
    const char *directory; /* that is being looked through */
    int depth;
    clm_status status;
} search;

static clm_status remember(search *s, const char *path) {
    if (s->count == s->capacity) {
        char **larger = realloc(s->found, (s->capacity = 2 * s->capacity + 16) * sizeof *larger);
        if (!larger) return cli_fail(CLM_E_MEMORY, "out of memory");
        s->found = larger;
    }
    char *copy = strdup(path);
    if (!copy) return cli_fail(CLM_E_MEMORY, "out of memory");
    s->found[s->count++] = copy;
    return CLM_OK;
}

static clm_status look_into(search *s, const char *directory);

static void visit(void *user, const char *name) {
    search *s = user;
    char path[CLI_PATH_MAX];
    if (s->status != CLM_OK || name[0] == '.') return;
    s->status = cli_path(path, s->directory, name);
    if (s->status == CLM_OK && cli_is_directory(path)) s->status = look_into(s, path);
}

/* A run holds no others. */
static clm_status look_into(search *s, const char *directory) {
    const char *above = s->directory;
    char config[CLI_PATH_MAX];
    clm_status status = CLM_OK;
    CLI_TRY(cli_path(config, directory, "config.json"));
    if (cli_path_exists(config)) return remember(s, directory);
    if (s->depth == DEPTH_MAX) return CLM_OK;
    s->directory = directory;
    s->depth++;
    status = cli_directory_visit(directory, visit, s);
    s->depth--;
    s->directory = above;
    return status == CLM_OK ? s->status : status;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* ---- what each says ---- */

typedef struct validation {
    json_int_t iteration, best_iteration; /* of the last row, of the best score */
    double best;                          /* NAN: none yet */
} validation;

/* Lines of metrics.jsonl. The last one may be cut off where a run was killed. */
static clm_status read_metrics(validation *v, const char *directory, bool regression) {
    char path[CLI_PATH_MAX], *text = NULL;
    *v = (validation){0, 0, NAN};
    CLI_TRY(cli_path(path, directory, "metrics.jsonl"));
    if (!cli_path_exists(path)) return CLM_OK;
    CLI_TRY(cli_file_read(path, &text));
    for (char *line = text, *next; *line; line = next) {
        const size_t length = strcspn(line, "\n");
        next = line + length + (line[length] == '\n');
        json_t *row = json_loadb(line, length, 0, NULL);
        if (!row) continue;
        const json_t *score = json_object_get(row, "query_after");
        const char *kind = json_string_value(json_object_get(row, "kind"));
        const double value = json_number_value(score);
        v->iteration = json_integer_value(json_object_get(row, "iteration"));
        if (kind && strcmp(kind, "validation") == 0 && json_is_number(score) &&
            (isnan(v->best) || (regression ? value < v->best : value > v->best))) {
            v->best = value;
            v->best_iteration = v->iteration;
        }
        json_decref(row);
    }
    free(text);
    return CLM_OK;
}

/* The score of the test, null before it. */
static clm_status read_test(json_t **test, const char *directory) {
    char path[CLI_PATH_MAX];
    *test = json_null();
    CLI_TRY(cli_path(path, directory, "result.json"));
    if (!cli_path_exists(path)) return CLM_OK;
    json_t *result = cli_json_load(path);
    if (!result) return CLM_E_FORMAT;
    *test = json_pack("{s:O?, s:O?}", "mean", json_object_get(result, "mean"), "interval", json_object_get(result, "interval"));
    json_decref(result);
    return *test ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

static clm_status read_settings(cli_settings *settings, const char *directory) {
    char path[CLI_PATH_MAX];
    CLI_TRY(cli_path(path, directory, "config.json"));
    json_t *root = cli_json_load(path);
    if (!root) return CLM_E_FORMAT;
    *settings = cli_settings_defaults;
    const clm_status status = cli_settings_from_json(settings, json_object_get(root, "settings"), path);
    json_decref(root);
    return status;
}

static clm_status read_run(json_t **run, const char *directory, cli_settings *settings) {
    validation v;
    json_t *test;
    CLI_TRY(read_settings(settings, directory));
    const bool regression = cli_source_of(settings->source)->regression && !cli_source_has_labels(settings);
    CLI_TRY(read_metrics(&v, directory, regression));
    CLI_TRY(read_test(&test, directory));
    *run = json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:o, s:I, s:o}", "directory", directory, "algorithm",
                     settings->algorithm, "data", settings->source, "regression", regression, "ways",
                     (json_int_t)(regression ? 1 : settings->ways), "shots", (json_int_t)settings->shots, "iterations",
                     v.iteration, "planned", (json_int_t)settings->iterations, "best_validation",
                     isnan(v.best) ? json_null() : json_real(v.best), "best_iteration", v.best_iteration, "test", test);
    return *run ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

/* A run that cannot be read is named and left out. */
static clm_status read_all(json_t *runs, const search *s) {
    cli_settings *settings = malloc(sizeof *settings);
    if (!settings) return cli_fail(CLM_E_MEMORY, "out of memory");
    for (size_t i = 0; i < s->count; i++) {
        json_t *run = NULL;
        if (read_run(&run, s->found[i], settings) == CLM_OK) {
            cli_json_append(runs, run);
            continue;
        }
        cli_note("%s is left out: %s", s->found[i], cli_message());
        cli_forget();
    }
    free(settings);
    return CLM_OK;
}

/* ---- the list ---- */

static const char *text_of(const json_t *run, const char *key) { return json_string_value(json_object_get(run, key)); }
static long long number_of(const json_t *run, const char *key) { return json_integer_value(json_object_get(run, key)); }

static cli_text task_text(const json_t *run) {
    cli_text text;
    if (json_is_true(json_object_get(run, "regression")))
        snprintf(text.s, sizeof text.s, "%lld-shot", number_of(run, "shots"));
    else
        snprintf(text.s, sizeof text.s, "%lld-way %lld-shot", number_of(run, "ways"), number_of(run, "shots"));
    return text;
}

static cli_text score_text(const json_t *score, bool regression) {
    return json_is_number(score) ? cli_score_text(json_number_value(score), regression) : (cli_text){"-"};
}

static cli_text test_text(const json_t *test, bool regression) {
    const json_t *mean = json_object_get(test, "mean"), *half = json_object_get(test, "interval");
    const clm_score score = {.mean = json_number_value(mean), .half = json_number_value(half)};
    if (!json_is_number(mean) || !json_is_number(half)) return score_text(mean, regression);
    return cli_score_interval_text(&score, regression);
}

static void print_text(const json_t *runs) {
    static const char format[] = "%-*s  %-12s %-*s  %-15s %15s  %10s  %s\n";
    int directory = 9, data = 4;
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        if ((int)strlen(text_of(run, "directory")) > directory) directory = (int)strlen(text_of(run, "directory"));
        if ((int)strlen(text_of(run, "data")) > data) data = (int)strlen(text_of(run, "data"));
    }
    printf(format, directory, "directory", "algorithm", data, "data", "task", "iterations", "validation", "test");
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        const bool regression = json_is_true(json_object_get(run, "regression"));
        cli_text iterations;
        snprintf(iterations.s, sizeof iterations.s, "%lld of %lld", number_of(run, "iterations"), number_of(run, "planned"));
        printf(format, directory, cli_shown(text_of(run, "directory")), cli_shown(text_of(run, "algorithm")), data,
               cli_shown(text_of(run, "data")), task_text(run).s, iterations.s,
               score_text(json_object_get(run, "best_validation"), regression).s,
               test_text(json_object_get(run, "test"), regression).s);
    }
}

static clm_status print_json(const json_t *runs) {
    char *text = cli_json_text(runs, JSON_INDENT(2));
    if (!text) return cli_fail(CLM_E_MEMORY, "out of memory");
    cli_stdout_print(text);
    cli_stdout_print("\n");
    free(text);
    return CLM_OK;
}

static int run_runs(cli_args *args) {
    const runs_settings *s = args->settings;
    const char *directory = args->n_positional ? args->positional[0] : "runs";
    search found = {.status = CLM_OK};
    clm_status status = CLM_OK;
    json_t *runs = json_array();
    if (!runs) return cli_exit(cli_fail(CLM_E_MEMORY, "out of memory"));
    CLI_GOTO(look_into(&found, directory));
    if (found.count) qsort(found.found, found.count, sizeof *found.found, by_name);
    CLI_GOTO(read_all(runs, &found));
    if (s->json)
        status = print_json(runs);
    else if (found.count == 0)
        printf("no runs below %s\n", cli_shown(directory));
    else
        print_text(runs);
out:
    for (size_t i = 0; i < found.count; i++) free(found.found[i]);
    free(found.found);
    json_decref(runs);
    return cli_exit(status);
}

const cli_command cli_runs = {
    .name = "runs",
    .synopsis = "[DIR] [--json]",
    .summary = "list runs: data, iterations, validation, test",
    .details = "Lists the run directories below DIR, runs/ when none is named: algorithm, data, task, iterations done of those "
               "planned, the best score in validation, and the test's with its 95 % interval. Scores are accuracies, of a "
               "regression errors.",
    .options = options,
    .settings_size = sizeof(runs_settings),
    .defaults = &defaults,
    .max_positional = 1,
    .run = run_runs,
};
