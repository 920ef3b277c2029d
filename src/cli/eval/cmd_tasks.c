/* `clmaml tasks`: how far the tasks of a run agree on what the parameters should become: cosines of their meta-gradients.
 *
 * An entry is the mean cosine over pairs of tasks, one of either group, and on the diagonal over pairs of different tasks of the group: what
 * it says does not depend on how many tasks there are. Of tasks that stand for themselves the diagonal is 1.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/options.h"
#include "base/outputs.h"
#include "base/system.h"
#include "config/checkpoint.h"
#include "config/folders.h"
#include "config/setup.h"
#include "eval/matrix.h"
#include "selftest/first_use.h"

typedef struct tasks_settings {
    int64_t tasks, seed;
    char out[CLI_PATH_MAX], device[CLI_PATH_MAX];
    int split, by;
    bool force;
} tasks_settings;

#define AT(field) offsetof(tasks_settings, field)
enum { BY_AUTO, BY_GROUP, BY_TASK, MOST_RUNS = 16 };

static const cli_option options[] = {
    {"Options", "tasks", CLI_INT, 0, AT(tasks), 2, 100000, "N", "tasks of each group, or in all where each stands for itself"},
    {NULL, "by", CLI_CHOICE, 0, AT(by), 0, 0, "auto|group|task",
     "groups are the kinds of functions, and the data of several runs; auto: those, where there is more than one"},
    {NULL, "split", CLI_CHOICE, 0, AT(split), 0, 0, "train|validation|test", "classes to draw tasks from"},
    {NULL, "out", CLI_TEXT, 0, AT(out), 0, 0, "PREFIX",
     "PREFIX.csv and PREFIX.svg are written, older ones replaced; .csv or .svg at its end is left out; of a directory DIR they "
     "are DIR/tasks.csv and .svg; default: RUN"},
    {NULL, "seed", CLI_INT, 0, AT(seed), CLI_AUTO, 9007199254740991.0, "N|auto", "of the tasks; auto: the run's"},
    {NULL, "device", CLI_TEXT, 0, AT(device), 0, 0, "WHICH", CLI_DEVICE_HELP},
    {NULL, "force", CLI_FLAG, 0, AT(force), 0, 0, "", CLI_FORCE_HELP},
    {.name = NULL},
};
static const tasks_settings defaults = {.tasks = 32, .seed = -1, .split = CLM_SPLIT_TRAIN};

typedef struct group {
    char name[96];
    double *sum; /* of gradients over their lengths */
    size_t tasks;
} group;

typedef struct comparison {
    tasks_settings settings;
    char path[CLI_PATH_MAX];
    cli_checkpoint checkpoint[MOST_RUNS];
    clm_source *source[MOST_RUNS];
    const char *name[MOST_RUNS];
    size_t runs;
    clm_model *model;
    clm_device *device;
    clm_params *params;
    cli_task task;
    clm_meta *meta;
    clm_episode_options episode;
    float *support_x, *support_y, *query_x, *query_y;
    double *gradient;
    size_t length; /* numbers of a gradient */
    group groups[MATRIX_MOST];
    size_t n;
    bool single;
    size_t flat; /* tasks whose gradient is 0 or not finite */
} comparison;

/* ---- opening ---- */

/* Gradients of tasks of one size are compared. What is too small for it is left out. */
static void be_of_one_size(cli_settings *s) {
    s->strict = s->strict && !s->shots_least;
    s->ways_least = s->shots_least = 0;
}

/* The data of the first run, and of further ones as far as its model takes them. */
static clm_status open_run(comparison *c, const char *run) {
    const size_t i = c->runs;
    char path[CLI_PATH_MAX];
    CLI_TRY(cli_checkpoint_find(path, sizeof path, run, false));
    CLI_TRY(cli_checkpoint_load(&c->checkpoint[i], path));
    c->runs++;
    c->name[i] = run;
    be_of_one_size(&c->checkpoint[i].settings);
    CLI_TRY(cli_setup_source(&c->source[i], &c->checkpoint[i].settings));
    cli_folder_print_notes(c->source[i]);
    cli_checkpoint_note_data(&c->checkpoint[i], c->source[i], run);
    if (i == 0) {
        memcpy(c->path, path, sizeof path);
        return CLM_OK;
    }
    const clm_shape a = clm_source_example_shape(c->source[0]), b = clm_source_example_shape(c->source[i]);
    char x[64], y[64];
    const int ways = (int)c->checkpoint[0].settings.ways;
    if (!clm_shape_equal(&a, &b))
        return cli_fail(CLM_E_SHAPE, "%s: its examples are %s, and the model of %s takes %s", run,
                        clm_shape_text(&b, y, sizeof y), c->name[0], clm_shape_text(&a, x, sizeof x));
    if (clm_source_is_regression(c->source[0]) == clm_source_is_regression(c->source[i]) &&
        clm_source_outputs(c->source[0], ways) == clm_source_outputs(c->source[i], ways))
        return CLM_OK;
    return cli_fail(CLM_E_SHAPE, "%s: its targets are not those that the model of %s has outputs for", run, c->name[0]);
}

static clm_status open_meta(comparison *c) {
    clm_meta_options o;
    const cli_settings *s = &c->checkpoint[0].settings;
    CLI_TRY(cli_setup_model(&c->model, s, c->source[0], c->checkpoint[0].model[0] ? c->checkpoint[0].model : NULL));
    CLI_TRY(cli_setup_task_options(&c->task, s, c->model));
    CLI_TRY(clm_params_create(&c->params, c->model, &c->task.options));
    if (s->initialisations > 1)
        return cli_usage(
            "%s has %lld initialisations: meta-gradients at different parameters cannot be compared; `clmaml eval %s` counts "
            "the tasks that each of them serves",
            c->name[0], (long long)s->initialisations, cli_pasted(c->name[0]));
    CLI_TRY(cli_checkpoint_params(&c->checkpoint[0], c->path, 0, c->params));
    CLI_TRY(cli_tested_open(&c->device, c->settings.device[0] ? c->settings.device : NULL, c->settings.force));
    cli_setup_meta_options(&o, s, &c->task);
    o.tasks = 1, o.task_chunk = 0, o.both_orders = false, o.first_order_until = 0;
    CLI_TRY(clm_meta_create(&c->meta, c->device, c->model, &o));
    return clm_meta_set_params(c->meta, c->params);
}

static clm_status make_room(comparison *c) {
    clm_status status = CLM_OK;
    const clm_shape shape = clm_source_example_shape(c->source[0]), target = clm_source_target_shape(c->source[0]);
    const size_t x = clm_shape_size(&shape), y = clm_shape_size(&target), ways = (size_t)c->episode.ways;
    const size_t support = ways * (size_t)c->episode.shots * (size_t)c->episode.support_sets;
    const size_t query = ways * (size_t)c->episode.query;
    for (size_t i = 0; i < clm_meta_param_count(c->meta); i++) c->length += clm_meta_quantity_size(c->meta, CLM_Q_GRAD, i);
    CLI_NEW(c->support_x, support * x);
    CLI_NEW(c->support_y, support * y);
    CLI_NEW(c->query_x, query * x);
    CLI_NEW(c->query_y, query * y);
    CLI_NEW(c->gradient, c->length);
out:
    return status;
}

/* ---- gradients ---- */

static clm_status find_group(comparison *c, const char *name, group **out) {
    for (size_t i = 0; i < c->n && !c->single; i++)
        if (strcmp(c->groups[i].name, name) == 0) {
            *out = &c->groups[i];
            return CLM_OK;
        }
    if (c->n == MATRIX_MOST) return cli_usage("more than %d tasks or groups; give a smaller --tasks", MATRIX_MOST);
    group *g = *out = &c->groups[c->n];
    g->sum = calloc(c->length, sizeof *g->sum);
    if (!g->sum) return cli_fail(CLM_E_MEMORY, "out of memory");
    snprintf(g->name, sizeof g->name, "%s", name);
    c->n++;
    return CLM_OK;
}

/* "omniglot", "line", "mixture line": the run where there are several, and the kind of function. */
static void name_group(const comparison *c, size_t run, const char *kind, char *name, size_t size) {
    const char *base = strrchr(c->name[run], '/');
    base = base && base[1] ? base + 1 : c->name[run];
    if (c->runs == 1)
        snprintf(name, size, "%s", kind ? kind : "all");
    else
        snprintf(name, size, "%.60s%s%s", base, kind ? " " : "", kind ? kind : "");
}

static clm_status read_gradient(comparison *c, double *length) {
    double *at = c->gradient, square = 0;
    for (size_t i = 0; i < clm_meta_param_count(c->meta); i++) {
        const size_t n = clm_meta_quantity_size(c->meta, CLM_Q_GRAD, i);
        if (n) CLI_TRY(clm_meta_read(c->meta, CLM_Q_GRAD, i, at));
        at += n;
    }
    for (size_t i = 0; i < c->length; i++) square += c->gradient[i] * c->gradient[i];
    *length = sqrt(square);
    return CLM_OK;
}

/* The data of another run may have words that the model has no row for. */
static clm_status check_tokens(const comparison *c, size_t run) {
    const clm_shape one = clm_source_example_shape(c->source[run]);
    const size_t n = (size_t)c->episode.ways * clm_shape_size(&one), sets = (size_t)c->episode.support_sets;
    clm_status status = clm_model_check_tokens(c->model, c->support_x, n * (size_t)c->episode.shots * sets);
    if (status == CLM_OK) status = clm_model_check_tokens(c->model, c->query_x, n * (size_t)c->episode.query);
    return status == CLM_OK ? status : cli_fail_in(CLM_E_FORMAT, "%s, an example of a task", c->name[run]);
}

static clm_status add_task(comparison *c, size_t run, uint64_t seed, uint64_t index) {
    const clm_split split = (clm_split)c->settings.split;
    const clm_episode e = {c->support_x, c->support_y, c->query_x, c->query_y, NULL, NULL, NULL};
    const clm_batch batch = {
        .support_x = c->support_x, .support_y = c->support_y, .query_x = c->query_x, .query_y = c->query_y};
    const char *kind = clm_source_function(c->source[run], split, seed, index);
    char name[96];
    double length;
    group *g = NULL;
    CLI_TRY(clm_source_draw(c->source[run], split, seed, index, &c->episode, &e));
    CLI_TRY(check_tokens(c, run));
    CLI_TRY(clm_meta_gradient(c->meta, &batch));
    CLI_TRY(read_gradient(c, &length));
    if (!(length > 0) || !isfinite(length)) {
        c->flat++;
        return CLM_OK;
    }
    name_group(c, run, kind, name, sizeof name);
    if (c->single) snprintf(name, sizeof name, "%llu%s%.60s", (unsigned long long)index, kind ? " " : "", kind ? kind : "");
    CLI_TRY(find_group(c, name, &g));
    for (size_t i = 0; g && i < c->length; i++) g->sum[i] += c->gradient[i] / length;
    if (g) g->tasks++;
    return CLM_OK;
}

/* As many tasks of each kind: those of a kind that has enough are passed over, undrawn. */
static clm_status add_run(comparison *c, size_t run) {
    const tasks_settings *s = &c->settings;
    const uint64_t seed = (uint64_t)(s->seed >= 0 ? s->seed : c->checkpoint[0].settings.seed);
    const char *kinds[MATRIX_MOST];
    size_t counts[MATRIX_MOST] = {0}, n = 0, done = 0;
    for (uint64_t index = 0; index < (uint64_t)s->tasks * 1000; index++) {
        const char *kind = clm_source_function(c->source[run], (clm_split)s->split, seed, index);
        size_t i = 0;
        while (i < n && kind && strcmp(kinds[i], kind) != 0) i++;
        if (i == n) kinds[n++] = kind;
        if (counts[i] == (size_t)s->tasks) continue;
        CLI_TRY(add_task(c, run, seed, index));
        done += ++counts[i] == (size_t)s->tasks;
        if (done == n && (!kind || c->single || index > (uint64_t)s->tasks * 8)) break;
        if (c->single && index + 1 == (uint64_t)s->tasks) break;
    }
    return CLM_OK;
}

/* ---- the matrix ---- */

static double entry(const comparison *c, size_t i, size_t j) {
    const group *a = &c->groups[i], *b = &c->groups[j];
    const double n = (double)a->tasks, m = (double)b->tasks;
    double product = 0;
    for (size_t k = 0; k < c->length; k++) product += a->sum[k] * b->sum[k];
    if (i != j) return product / (n * m);
    return n > 1 ? (product - n) / (n * (n - 1)) : 1;
}

/* Whoever names one of the two files means both. */
static clm_status find_prefix(char *prefix, const char *out, const char *run) {
    if (!out[0] || cli_is_directory(out)) return cli_path(prefix, out[0] ? out : run, "tasks");
    snprintf(prefix, CLI_PATH_MAX, "%s", out);
    if (cli_ends_with(out, ".csv") || cli_ends_with(out, ".svg")) prefix[strlen(prefix) - 4] = 0;
    return CLM_OK;
}

/* Before the work begins. */
static clm_status check_out(const comparison *c, const char *run) {
    char prefix[CLI_PATH_MAX], table[CLI_PATH_MAX + 4];
    if (!c->settings.out[0] && cli_path_exists(run) && !cli_is_directory(run))
        return cli_usage("give --out PREFIX: %s is a checkpoint, not a run directory", run);
    CLI_TRY(cli_output_check_run("--out", c->settings.out));
    CLI_TRY(cli_output_check_directory(c->settings.out));
    CLI_TRY(find_prefix(prefix, c->settings.out, run));
    snprintf(table, sizeof table, "%s.csv", prefix);
    return cli_output_check_run("--out", table);
}

static clm_status write_all(const comparison *c, const char *run) {
    clm_status status = CLM_OK;
    matrix *m = calloc(1, sizeof *m);
    char prefix[CLI_PATH_MAX];
    if (!m) return cli_fail(CLM_E_MEMORY, "out of memory");
    m->n = c->n;
    for (size_t i = 0; i < c->n; i++) m->name[i] = c->groups[i].name;
    for (size_t i = 0; i < c->n * c->n; i++) m->value[i / c->n][i % c->n] = entry(c, i / c->n, i % c->n);
    snprintf(m->title, sizeof m->title, "cosines of meta-gradients, %s", cli_shown(clm_source_name(c->source[0])));
    snprintf(m->subtitle, sizeof m->subtitle, "%lld task%s%s of %s %s, at iteration %llu", (long long)c->settings.tasks,
             c->settings.tasks == 1 ? "" : "s", c->single ? "" : " of each group", cli_split_name((clm_split)c->settings.split),
             cli_setup_drawn(c->source[0]), (unsigned long long)c->checkpoint[0].iteration);
    CLI_GOTO(find_prefix(prefix, c->settings.out, run));
    CLI_GOTO(matrix_write(m, prefix));
    if (!c->single) matrix_print(m);
    cli_line(stdout, "%s\n%s.csv\n%s.svg\n", m->subtitle, cli_shown(prefix), cli_shown(prefix));
out:
    free(m);
    return status;
}

/* Are there several kinds of functions? */
static bool has_kinds(const clm_source *source) {
    const char *first = clm_source_function(source, CLM_SPLIT_TRAIN, 0, 0);
    for (uint64_t index = 1; index < 1000 && first; index++)
        if (strcmp(clm_source_function(source, CLM_SPLIT_TRAIN, 0, index), first) != 0) return true;
    return false;
}

static clm_status compare(comparison *c, const cli_args *args) {
    if (args->n_positional == 0) return cli_usage("say of which run: clmaml tasks RUN");
    c->settings = *(const tasks_settings *)args->settings;
    CLI_TRY(check_out(c, args->positional[0]));
    for (size_t i = 0; i < args->n_positional; i++) CLI_TRY(open_run(c, args->positional[i]));
    c->single = c->settings.by == BY_TASK || (c->settings.by == BY_AUTO && c->runs == 1 && !has_kinds(c->source[0]));
    if (c->single && c->runs > 1) return cli_usage("--by task is of one run; of several the groups are compared");
    if (c->single && c->settings.tasks > MATRIX_MOST)
        return cli_usage("--tasks %lld: of single tasks %d at most", (long long)c->settings.tasks, MATRIX_MOST);
    CLI_TRY(open_meta(c));
    c->episode = cli_setup_episodes(&c->checkpoint[0].settings);
    CLI_TRY(make_room(c));
    for (size_t i = 0; i < c->runs; i++) CLI_TRY(add_run(c, i));
    if (c->flat) cli_note("%zu tasks are left out: their meta-gradients are 0 or not finite", c->flat);
    if (c->n == 0) return cli_fail(CLM_E_NUMERIC, "no task has a meta-gradient that is finite and not 0");
    return write_all(c, args->positional[0]);
}

static int run_tasks(cli_args *args) {
    comparison *c = calloc(1, sizeof *c);
    if (!c) return cli_exit(cli_fail(CLM_E_MEMORY, "out of memory"));
    const int exit_status = cli_exit(compare(c, args));
    for (size_t i = 0; i < c->n; i++) free(c->groups[i].sum);
    free(c->support_x), free(c->support_y), free(c->query_x), free(c->query_y), free(c->gradient);
    clm_meta_free(c->meta);
    clm_params_free(c->params);
    clm_device_close(c->device);
    clm_model_free(c->model);
    for (size_t i = 0; i < c->runs; i++) {
        clm_source_free(c->source[i]);
        cli_checkpoint_close(&c->checkpoint[i]);
    }
    free(c);
    return exit_status;
}

const cli_command cli_tasks = {
    .name = "tasks",
    .synopsis = "RUN.. [--option value ..]",
    .summary = "how far tasks agree: cosines of their meta-gradients",
    .details =
        "Computes the meta-gradient of single tasks at the best checkpoint of a run, and writes the cosines between them as a "
        "table and as a picture. Tasks of kinds of functions, and those of the data of further runs, are groups, of which it "
        "is the mean over pairs of tasks; on the diagonal over pairs within the group. What pulls the parameters in "
        "different ways is below 0.",
    .options = options,
    .settings_size = sizeof(tasks_settings),
    .defaults = &defaults,
    .max_positional = MOST_RUNS,
    .run = run_tasks,
};
