/* `clmaml runs`: the runs below a directory, from the files that training writes: config.json, metrics.jsonl, result.json. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/system.h"
#include "base/table.h"
#include "config/checkpoint.h"
#include "config/episodes.h"
#include "config/setup.h"
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

/* A run holds no others. A link is followed to a run and no further: it may lead back up. */
static clm_status look_into(search *s, const char *directory) {
    const char *above = s->directory;
    char config[CLI_PATH_MAX];
    clm_status status = CLM_OK;
    CLI_TRY(cli_path(config, directory, "config.json"));
    if (cli_path_exists(config)) return remember(s, directory);
    if (s->depth == DEPTH_MAX || (s->depth > 0 && cli_is_link(directory))) return CLM_OK;
    s->directory = directory;
    s->depth++;
    status = cli_directory_visit(directory, visit, s);
    s->depth--;
    s->directory = above;
    if (status == CLM_OK || s->depth == 0) return status == CLM_OK ? s->status : status;
    cli_note("%s", cli_message()); /* what lies beside it can be read */
    cli_forget();
    return CLM_OK;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* ---- what each says ---- */

typedef struct validation {
    json_int_t iteration, best_iteration; /* of the last row, of the best score */
    double best;                          /* NAN: none yet */
} validation;

typedef struct reading {
    validation *v;
    const char *key; /* of the score */
    bool lower_is_better;
} reading;

static void read_row(void *user, const json_t *row) {
    const reading *r = user;
    validation *v = r->v;
    const json_t *score = json_object_get(row, r->key);
    const char *kind = json_string_value(json_object_get(row, "kind"));
    const double value = json_number_value(score);
    v->iteration = json_integer_value(json_object_get(row, "iteration"));
    if (!kind || strcmp(kind, "validation") != 0 || !json_is_number(score)) return;
    if (!isnan(v->best) && !(r->lower_is_better ? value < v->best : value > v->best)) return;
    v->best = value;
    v->best_iteration = v->iteration;
}

static clm_status read_metrics(validation *v, const char *directory, const char *key, bool lower_is_better) {
    char path[CLI_PATH_MAX];
    int damaged;
    *v = (validation){0, 0, NAN};
    reading r = {v, key, lower_is_better};
    CLI_TRY(cli_path(path, directory, "metrics.jsonl"));
    CLI_TRY(cli_json_lines(path, read_row, &r, &damaged));
    if (damaged) cli_note("%s: %d of its lines cannot be read, and are left out", path, damaged);
    return CLM_OK;
}

/* Of a run that is not over the last checkpoint may be ahead of the last row of metrics: it was written as the run was stopped. A
 * file that cannot be read tells nothing here. */
static void read_progress(validation *v, const char *directory, json_int_t planned) {
    long long iteration, of;
    if (v->iteration < planned && cli_checkpoint_progress(directory, &iteration, &of) && iteration > v->iteration)
        v->iteration = iteration;
}

/* The score of the test, null before it. */
static clm_status read_test(json_t **test, const char *directory, const json_t *config) {
    char path[CLI_PATH_MAX];
    *test = json_null();
    CLI_TRY(cli_path(path, directory, "result.json"));
    if (!cli_path_exists(path)) return CLM_OK;
    json_t *result = cli_json_load(path);
    if (!result) return CLM_E_FORMAT;
    if (cli_json_of_other_runs(config, result)) {
        cli_note("%s is of another run; clmaml train --resume --run %s writes it anew", path, cli_pasted(directory));
        json_decref(result);
        return CLM_OK;
    }
    json_decref(*test);
    *test = json_pack("{s:O?, s:O?}", "mean", json_object_get(result, "mean"), "interval", json_object_get(result, "interval"));
    json_decref(result);
    return *test ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

/* What a row holds of any run. Takes `test`. */
static clm_status make_row(json_t **run, const char *directory, const char *algorithm, bool first_order, const char *data,
                           const validation *v, json_int_t planned, json_t *test) {
    *run = json_pack("{s:o, s:s, s:b, s:o, s:I, s:I, s:o, s:I, s:o}", "directory", cli_json_path(directory), "algorithm",
                     algorithm, "first_order", first_order, "data", cli_json_path(data), "iterations", v->iteration, "planned",
                     planned, "best_validation", isnan(v->best) ? json_null() : json_real(v->best), "best_iteration",
                     v->best_iteration, "test", test);
    return *run ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

/* A run of episodes, whose scores are returns: in the program's words, or else in those of the library's record. */
static clm_status read_episodes(json_t **run, const char *directory, const json_t *config, const cli_episodes *episodes) {
    const json_t *record = json_object_get(config, "policy");
    validation v;
    json_t *test;
    CLI_TRY(read_metrics(&v, directory, "return_after", false));
    read_progress(&v, directory, json_integer_value(json_object_get(config, "iterations")));
    CLI_TRY(read_test(&test, directory, config));
    CLI_TRY(make_row(run, directory, "maml", json_is_true(json_object_get(record, "first_order")), episodes->environment, &v,
                     json_integer_value(json_object_get(config, "iterations")), test));
    cli_json_set(*run, "metric", json_string("return"));
    cli_json_set(*run, "episodes", json_integer(json_integer_value(json_object_get(record, "trajectories"))));
    return CLM_OK;
}

static clm_status read_examples(json_t **run, const char *directory, const json_t *config, const cli_settings *settings) {
    validation v;
    json_t *test;
    const bool regression = cli_source_of(settings->source)->regression && !cli_source_has_labels(settings);
    CLI_TRY(read_metrics(&v, directory, "query_after", regression));
    read_progress(&v, directory, (json_int_t)settings->iterations);
    CLI_TRY(read_test(&test, directory, config));
    CLI_TRY(make_row(run, directory, settings->algorithm, settings->first_order, settings->source, &v,
                     (json_int_t)settings->iterations, test));
    cli_json_set(*run, "regression", json_boolean(regression));
    cli_json_set(*run, "ways", json_integer((json_int_t)(regression ? 1 : settings->ways)));
    cli_json_set(*run, "shots", json_integer((json_int_t)settings->shots));
    if (settings->ways_least) cli_json_set(*run, "ways_least", json_integer((json_int_t)settings->ways_least));
    if (settings->shots_least) cli_json_set(*run, "shots_least", json_integer((json_int_t)settings->shots_least));
    if (strcmp(settings->source, "table") == 0 && settings->data[0]) cli_json_set(*run, "file", json_string(settings->data));
    if (settings->beside[0]) cli_json_set(*run, "beside", json_string(settings->beside));
    if (settings->initialisations > 1)
        cli_json_set(*run, "initialisations", json_integer((json_int_t)settings->initialisations));
    return CLM_OK;
}

static clm_status read_run(json_t **run, const char *directory, cli_settings *settings) {
    char path[CLI_PATH_MAX];
    clm_status status = CLM_OK;
    cli_episodes episodes;
    CLI_TRY(cli_path(path, directory, "config.json"));
    json_t *root = cli_json_load(path);
    if (!root) return CLM_E_FORMAT;
    if (cli_episodes_in_config(root, &episodes)) {
        CLI_GOTO(read_episodes(run, directory, root, &episodes));
    } else {
        CLI_GOTO(cli_settings_from_json(settings, json_object_get(root, "settings"), path));
        CLI_GOTO(read_examples(run, directory, root, settings));
    }
out:
    json_decref(root);
    return status;
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

/* "maml, first order, 3 initialisations" */
static void method_text(const json_t *run, char *text, size_t size) {
    const long long starts = number_of(run, "initialisations");
    int used = snprintf(text, size, "%s%s", text_of(run, "algorithm"),
                        json_is_true(json_object_get(run, "first_order")) ? ", first order" : "");
    if (starts > 1 && used > 0 && (size_t)used < size)
        snprintf(text + used, size - (size_t)used, ", %lld initialisations", starts);
}

/* The last part of a path. */
static const char *short_path(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* "glyphs", "glyphs, /data/birds:20", "table birds.csv"; brief: without the folders that they lie in */
static void data_text(const json_t *run, bool brief, char *text, size_t size) {
    const char *beside = text_of(run, "beside"), *file = text_of(run, "file"), *data = text_of(run, "data");
    snprintf(text, size, "%s%s%s%s%s", brief ? short_path(data) : data, file ? " " : "",
             !file   ? ""
             : brief ? short_path(file)
                     : file,
             beside ? "," : "", beside ? beside : "");
}

/* Below the folder that was looked through, where that is given. */
static const char *directory_text(const json_t *run, const char *below) {
    const char *directory = text_of(run, "directory");
    const size_t length = below ? strlen(below) : 0;
    if (!length || strncmp(directory, below, length) != 0) return directory;
    const char *rest = directory + length;
    while (*rest == '/') rest++;
    return *rest && (below[length - 1] == '/' || directory[length] == '/') ? rest : directory;
}

static cli_text task_text(const json_t *run) {
    const cli_text ways = cli_range_text(number_of(run, "ways_least"), number_of(run, "ways"));
    const cli_text shots = cli_range_text(number_of(run, "shots_least"), number_of(run, "shots"));
    cli_text text;
    if (json_object_get(run, "episodes"))
        snprintf(text.s, sizeof text.s, "%lld episode%s", number_of(run, "episodes"),
                 cli_plural((double)number_of(run, "episodes")));
    else if (number_of(run, "ways") == 1) /* points of a function, rows of a group */
        snprintf(text.s, sizeof text.s, "%.20s-shot", shots.s);
    else
        snprintf(text.s, sizeof text.s, "%.20s-way %.20s-shot", ways.s, shots.s);
    return text;
}

/* Accuracies are; errors and returns are numbers as they are. */
static bool is_percent(const json_t *run) {
    return !json_object_get(run, "episodes") && !json_is_true(json_object_get(run, "regression"));
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

static void print_run(const cli_table *table, const json_t *run, const char *below) {
    const bool regression = !is_percent(run);
    const cli_text task = task_text(run), best = score_text(json_object_get(run, "best_validation"), regression),
                   test = test_text(json_object_get(run, "test"), regression);
    char iterations[64], method[128], data[2 * CLI_PATH_MAX];
    method_text(run, method, sizeof method);
    data_text(run, below != NULL, data, sizeof data);
    snprintf(iterations, sizeof iterations, "%lld of %lld", number_of(run, "iterations"), number_of(run, "planned"));
    cli_table_row(table, stdout,
                  (const char *[]){cli_shown(directory_text(run, below)), cli_shown(method), cli_shown(data), task.s,
                                   iterations, best.s, test.s});
}

/* The columns, as wide as the rows need. below: the directory that rows are named from; NULL: names in full. */
static cli_table make_table(const json_t *runs, const char *below) {
    static const char *const heads[][2] = {
        /* in full, brief */
        {"directory", "directory"}, {"algorithm", "method"}, {"data", "data"}, {"task", "task"},
        {"iterations", "done"},     {"validation", "best"},  {"test", "test"}};
    cli_table table = {.count = CLI_COUNT(heads), .gap = 2};
    for (size_t k = 0; k < CLI_COUNT(heads); k++) {
        const char *head = heads[k][below != NULL];
        const int width = (int)strlen(head);
        table.column[k] = (cli_column){head, k == 4 || k == 5 ? width : -width};
    }
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        const cli_text task = task_text(run), test = test_text(json_object_get(run, "test"), !is_percent(run));
        char method[128], data[2 * CLI_PATH_MAX], iterations[64];
        method_text(run, method, sizeof method);
        data_text(run, below != NULL, data, sizeof data);
        snprintf(iterations, sizeof iterations, "%lld of %lld", number_of(run, "iterations"), number_of(run, "planned"));
        cli_table_widen(&table, 0, cli_shown(directory_text(run, below)));
        cli_table_widen(&table, 1, method);
        cli_table_widen(&table, 2, cli_shown(data));
        cli_table_widen(&table, 3, task.s);
        cli_table_widen(&table, 4, iterations);
        cli_table_widen(&table, 5, score_text(json_object_get(run, "best_validation"), !is_percent(run)).s);
        cli_table_widen(&table, 6, test.s);
    }
    return table;
}

/* Where names in full are too wide for the terminal, those below the directory stay a table more often. */
static void print_text(const json_t *runs, const char *directory) {
    const char *below = NULL;
    cli_table table = make_table(runs, below);
    if (!cli_table_fits(&table, stdout)) {
        below = directory;
        table = make_table(runs, below);
        table.gap = cli_table_fits(&table, stdout) ? 2 : 1;
        if (cli_table_fits(&table, stdout)) cli_line(stdout, "below %s\n", cli_shown(directory));
    }
    cli_table_head(&table, stdout);
    for (size_t i = 0; i < json_array_size(runs); i++) print_run(&table, json_array_get(runs, i), below);
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
    if (args->n_positional || cli_path_exists(directory)) CLI_GOTO(look_into(&found, directory)); /* no runs/ yet: no runs */
    if (found.count) qsort(found.found, found.count, sizeof *found.found, by_name);
    CLI_GOTO(read_all(runs, &found));
    if (s->json)
        status = print_json(runs);
    else if (found.count == 0)
        printf("no runs below %s\n", cli_shown(directory));
    else
        print_text(runs, directory);
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
               "regression errors, of episodes returns. The task of a policy is said in episodes under each set of parameters. "
               "On a narrow "
               "terminal runs are named from DIR on, and columns are called method, done and best.",
    .options = options,
    .settings_size = sizeof(runs_settings),
    .defaults = &defaults,
    .max_positional = 1,
    .run = run_runs,
};
