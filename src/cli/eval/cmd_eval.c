/* `clmaml eval`: a trained start on new tasks, after 0 .. K inner steps, for several numbers of query examples.
 *
 * The number of query examples matters where batch-norm takes its statistics from the query batch, so results are given for 1, 5
 * and 15 unless told otherwise, and the batch-norm mode is named.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/outputs.h"
#include "base/ranks.h"
#include "base/system.h"
#include "config/checkpoint.h"
#include "config/folders.h"
#include "config/pretrained.h"
#include "config/protocol.h"
#include "config/setup.h"
#include "config/sources.h"
#include "eval/scores.h"
#include "selftest/first_use.h"

enum { MAX_QUERIES = 16 };

typedef struct eval_settings {
    int64_t tasks, steps, shots, seed, ensemble;
    char model[CLI_PATH_MAX], query[CLI_PATH_MAX], data[CLI_PATH_MAX], device[CLI_PATH_MAX];
    int bn, split, which, test_rotations, within_alphabet, data_on;
    char scores[CLI_PATH_MAX];
    bool json, force, singly, uneven;
} eval_settings;

#define AT(field) offsetof(eval_settings, field)
enum { BN_OF_RUN = 2, BN_BOTH, ROTATIONS_OF_RUN = 2, WITHIN_OF_RUN = 2 };

static const cli_option options[] = {
    {"Options", "model", CLI_TEXT, 0, AT(model), 0, 0, "NAME",
     "a pretrained model instead of a run; `clmaml pretrained` lists them"},
    {NULL, "tasks", CLI_INT, 0, AT(tasks), 1, 1e7, "N", "number of tasks, which train calls --eval-tasks"},
    {NULL, "steps", CLI_INT, 0, AT(steps), CLI_AUTO, CLI_MAX_STEPS, "K|auto",
     "inner steps, from 0 to K; auto: those of the run's test, at least 10"},
    {NULL, "query", CLI_TEXT, 0, AT(query), 0, 0, "Q,..",
     "query examples per class; default: 1,5,15, or the run's for a regression or a table"},
    {NULL, "shots", CLI_INT, 0, AT(shots), 0, 1000, "K", "support examples per class; 0: as in the run"},
    {NULL, "uneven", CLI_FLAG, 0, AT(uneven), 0, 0, "",
     "tasks of as many sizes as the run was trained on (--ways A..N, --shots A..K), instead of the largest alone"},
    {NULL, "bn", CLI_CHOICE, 0, AT(bn), 0, 0, "transductive|support-stats|run|both",
     "batch-norm statistics: of the query batch at hand, of the support set as adapt and predict have it, as in the run, or "
     "both side by side"},
    {NULL, "singly", CLI_FLAG, 0, AT(singly), 0, 0, "", "predict each query alone too, beside all of a task together"},
    {NULL, "split", CLI_CHOICE, 0, AT(split), 0, 0, "train|validation|test", "classes to draw tasks from"},
    {NULL, "checkpoint", CLI_CHOICE, 0, AT(which), 0, 0, "best|last", "of a run directory"},
    {NULL, "ensemble", CLI_INT, 0, AT(ensemble), 1, CLI_MAX_ENSEMBLE, "N",
     "the N best checkpoints of a run directory together: the mean of their softmax outputs"},
    {NULL, "test-rotations", CLI_CHOICE, 0, AT(test_rotations), 0, 0, "no|yes|run",
     "omniglot: rotated test characters are classes of their own"},
    {NULL, "within-alphabet", CLI_CHOICE, 0, AT(within_alphabet), 0, 0, "no|yes|run",
     "omniglot: tasks of one alphabet, support and query by different people; without rotated characters unless these are "
     "asked for"},
    {NULL, "data", CLI_TEXT, 0, AT(data), 0, 0, "PATH", "where the data lies now; default: as in the run"},
    {NULL, "seed", CLI_INT, 0, AT(seed), CLI_AUTO, 9007199254740991.0, "N|auto", "of the tasks; auto: the run's"},
    {NULL, "device", CLI_TEXT, 0, AT(device), 0, 0, "WHICH", CLI_DEVICE_HELP},
    {NULL, "force", CLI_FLAG, 0, AT(force), 0, 0, "", CLI_FORCE_HELP},
    {NULL, "data-on", CLI_CHOICE, 0, AT(data_on), 0, 0, "auto|host|device", "where the images are kept, as for train"},
    {NULL, "json", CLI_FLAG, 0, AT(json), 0, 0, "", "print JSON"},
    {NULL, "scores", CLI_TEXT, 0, AT(scores), 0, 0, "FILE",
     "write the score of each task after each step as JSON, with what tells these tasks from others; of one column"},
    {.name = NULL},
};
static const eval_settings defaults = {.tasks = 600,
                                       .steps = -1,
                                       .seed = -1,
                                       .ensemble = 1,
                                       .bn = BN_BOTH,
                                       .split = CLM_SPLIT_TEST,
                                       .test_rotations = ROTATIONS_OF_RUN,
                                       .within_alphabet = WITHIN_OF_RUN};

/* One evaluation. */
typedef struct column {
    int query;
    clm_bn_mode bn;
    bool singly;
    clm_scores scores;
    int chosen[CLM_INITIALISATIONS_MOST]; /* tasks of each of several initialisations */
} column;

typedef struct evaluation {
    eval_settings settings;
    cli_checkpoint checkpoint;
    char path[CLI_PATH_MAX];
    clm_source *source;
    clm_model *model;
    clm_device *device;
    /* Of the checkpoint, then of those beside it; or its several initialisations. */
    clm_params *members[CLI_MAX_ENSEMBLE];
    size_t n_starts;
    uint64_t iterations[CLI_MAX_ENSEMBLE];
    size_t n_members;
    cli_task task;
    clm_dataset *images; /* on the device; NULL: there are none */
    int queries[MAX_QUERIES];
    size_t n_queries;
    column columns[4 * MAX_QUERIES];
    size_t n_columns;
    bool both;   /* ways of batch-norm side by side */
    bool evened; /* tasks are of the run's largest size, where the run's have several */
    bool regression;
} evaluation;

static clm_status find_checkpoint(evaluation *e, const char *name, const bool *given) {
    if (given[cli_option_find(options, "checkpoint")] && cli_path_exists(name) && !cli_is_directory(name))
        return cli_usage("--checkpoint is for a run directory; %s is a checkpoint", name);
    return cli_checkpoint_find(e->path, sizeof e->path, name, e->settings.which != 0);
}

/* Of checkpoints without a fingerprint the words of the description tell, in which shots and rotations count too. */
static void note_data(const evaluation *e, const char *name) {
    const eval_settings *s = &e->settings;
    const bool same = s->shots == 0 && s->test_rotations == ROTATIONS_OF_RUN;
    if (same || clm_archive_meta(e->checkpoint.archive, "clmaml.data"))
        cli_checkpoint_note_data(&e->checkpoint, e->source, name);
}

/* The run's settings with what the command line changes. */
static void merge(evaluation *e) {
    cli_settings *run = &e->checkpoint.settings;
    const eval_settings *s = &e->settings;
    if (s->data[0]) memcpy(run->data, s->data, sizeof run->data);
    run->strict =
        run->strict && s->shots == 0 && (s->uneven || !run->shots_least); /* what is too small for others is left out */
    e->evened = !s->uneven && s->shots == 0 && (run->ways_least || run->shots_least);
    if (s->shots > 0) run->shots = s->shots;
    if (!s->uneven) run->ways_least = run->shots_least = 0;
    if (s->bn < BN_OF_RUN) run->bn = s->bn;
    if (s->within_alphabet != WITHIN_OF_RUN) run->within_alphabet = s->within_alphabet;
    if (s->within_alphabet == CLI_YES) run->test_rotations = CLI_NO;
    if (s->test_rotations != ROTATIONS_OF_RUN) run->test_rotations = s->test_rotations;
}

static clm_status check_uneven(const evaluation *e) {
    const cli_settings *run = &e->checkpoint.settings;
    if (!e->settings.uneven) return CLM_OK;
    if (e->settings.shots > 0)
        return cli_usage("--uneven and --shots exclude each other: the run says how many shots tasks have");
    if (run->ways_least || run->shots_least) return CLM_OK;
    return cli_usage("--uneven: %s was trained on tasks of one size, without --ways A..N or --shots A..K", e->path);
}

/* An algorithm without an inner loop predicts at once. */
static clm_status check_steps(evaluation *e, const bool *given) {
    const char *algorithm = e->checkpoint.settings.algorithm;
    const int of_run = cli_settings_test_steps(&e->checkpoint.settings);
    if (e->settings.steps < 0) e->settings.steps = of_run > 10 ? of_run : 10;
    if (clm_algorithm_uses(algorithm, "steps")) return CLM_OK;
    if (given[cli_option_find(options, "steps")] && e->settings.steps > 0)
        return cli_usage("--steps %lld: %s has no inner steps", (long long)e->settings.steps, algorithm);
    if (given[cli_option_find(options, "bn")] && e->settings.bn < BN_OF_RUN)
        return cli_usage("--bn says nothing to %s: each set is normalised by itself", algorithm);
    e->settings.steps = 0;
    return CLM_OK;
}

/* Numbers asked for must fit the data; of the default ones those that do not are left out. */
static clm_status choose_queries(evaluation *e) {
    double values[MAX_QUERIES];
    size_t count;
    const cli_settings *run = &e->checkpoint.settings;
    bool asked = e->settings.query[0] != 0;
    if (!asked && (e->regression || clm_source_labels(e->source)))
        snprintf(e->settings.query, sizeof e->settings.query, "%lld", (long long)run->query);
    CLI_TRY(cli_parse_list("--query", e->settings.query[0] ? e->settings.query : "1,5,15", values, MAX_QUERIES, &count));
    for (size_t i = 0; i < count; i++) {
        if (values[i] < 1 || values[i] > 1000 || values[i] != floor(values[i]))
            return cli_usage("--query: %g is not a whole number from 1 to 1000", values[i]);
        clm_episode_options kind = cli_setup_episodes(run);
        kind.query = (int)values[i];
        kind.support_sets = 1;
        kind.joint_classes = 0;
        clm_status status = clm_source_check_episode(e->source, (clm_split)e->settings.split, &kind);
        if (status != CLM_OK && (asked || e->n_queries == 0))
            return e->evened ? cli_fail(status, "%s; or --uneven or --shots K, for smaller tasks", cli_message()) : status;
        if (status == CLM_OK)
            e->queries[e->n_queries++] = (int)values[i];
        else
            cli_note("%d query examples per class are left out: %s", (int)values[i], cli_message());
    }
    return CLM_OK;
}

/* What is evaluated is what the run validated. */
static clm_status add_member(evaluation *e, const cli_checkpoint *checkpoint, const char *path) {
    clm_params **params = &e->members[e->n_members];
    const clm_status fits = clm_params_check(e->model, checkpoint->archive);
    if (fits != CLM_OK) return cli_fail_in(fits, "%s", path);
    e->n_starts = (size_t)clm_archive_initialisations(checkpoint->archive);
    for (size_t s = 0; s < e->n_starts; s++) {
        CLI_TRY(clm_params_create(&params[s], e->model, &e->task.options));
        CLI_TRY(cli_checkpoint_params(checkpoint, path, (int)s, params[s]));
    }
    e->iterations[e->n_members++] = checkpoint->iteration;
    return CLM_OK;
}

/* Is the best of a rank, from 1, there, and the run's? One that validation chose and that is lost or another is named. */
static clm_status check_member(const evaluation *e, const char *name, size_t rank, const char *path) {
    const long long asked = (long long)e->settings.ensemble, kept = (long long)e->checkpoint.settings.ensemble;
    if (clm_train_check_best(name, (int)rank) == CLM_E_FORMAT)
        return cli_fail(CLM_E_FORMAT, "%s; a lower --ensemble leaves it out", cli_message());
    if (cli_path_exists(path)) return CLM_OK;
    if ((long long)rank < kept)
        return cli_fail(CLM_E_IO,
                        "%s is not there: %s holds %zu of its %lld best checkpoints; a lower --ensemble leaves it out", path,
                        name, rank, kept);
    return cli_fail(CLM_E_IO, "%s keeps %zu best checkpoint%s, not %lld: it was trained with --ensemble %lld", name, rank,
                    cli_plural((double)rank), asked, kept);
}

static clm_status load_members(evaluation *e, const char *name) {
    char path[CLI_PATH_MAX];
    CLI_TRY(cli_setup_task_options(&e->task, &e->checkpoint.settings, e->model));
    CLI_TRY(add_member(e, &e->checkpoint, e->path));
    if (e->settings.ensemble > 1 && e->n_starts > 1)
        return cli_usage("--ensemble says nothing to %s, whose %zu initialisations share the tasks", name, e->n_starts);
    if (e->settings.ensemble > 1 && (!cli_is_directory(name) || e->settings.which != 0))
        return cli_usage("--ensemble is for the best checkpoints of a run directory");
    for (size_t k = 1; k < (size_t)e->settings.ensemble; k++) {
        cli_checkpoint other = {0};
        CLI_TRY(clm_train_checkpoint_path(path, sizeof path, name, (int)k));
        CLI_TRY(check_member(e, name, k, path));
        clm_status status = cli_checkpoint_load(&other, path);
        if (status == CLM_OK) status = add_member(e, &other, path);
        cli_checkpoint_close(&other);
        CLI_TRY(status);
        for (size_t i = 0; i + 1 < e->n_members; i++)
            if (e->iterations[i] == e->iterations[e->n_members - 1])
                return cli_fail(CLM_E_FORMAT,
                                "%s and %s are the same state, of iteration %llu; a lower --ensemble leaves one out", path,
                                i ? "another of the best" : e->path, (unsigned long long)e->iterations[i]);
    }
    return CLM_OK;
}

/* Evaluation is small: what it leaves of the memory is enough. */
static clm_status load_images(evaluation *e) {
    clm_images images;
    const bool demanded = e->settings.data_on == CLM_DATA_DEVICE;
    if (e->settings.data_on == CLM_DATA_HOST || !clm_source_images(e->source, &images)) return CLM_OK;
    if (!demanded && !clm_dataset_fits(e->device, &images, 0)) return CLM_OK;
    const clm_status status = clm_dataset_create(&e->images, e->device, &images);
    if (status == CLM_OK) return CLM_OK;
    if (demanded) return cli_fail_in(status, "--data-on device");
    cli_note("the images stay on the host: %s", cli_message());
    return CLM_OK;
}

/* A device that is new is tested by the first of a host's ranks. */
static clm_status open_device(evaluation *e) {
    const bool first = clm_comm_local_rank(cli_ranks()) == 0;
    char text[CLI_PATH_MAX];
    const char *spec = NULL;
    CLI_TRY(cli_ranks_device(e->settings.device, text, &spec));
    if (!first) CLI_TRY(cli_ranks_meet());
    CLI_TRY(cli_tested_open(&e->device, spec, e->settings.force));
    if (first) CLI_TRY(cli_ranks_meet());
    return cli_ranks_note_mixed(&e->device, 1);
}

static clm_status open_all(evaluation *e, const char *name, const bool *given) {
    CLI_TRY(find_checkpoint(e, name, given));
    CLI_TRY(cli_checkpoint_load(&e->checkpoint, e->path));
    CLI_TRY(cli_source_check(&e->checkpoint.settings, options, given));
    CLI_TRY(check_steps(e, given));
    if (e->settings.within_alphabet == CLI_YES && e->settings.split != CLM_SPLIT_TEST)
        return cli_usage("--within-alphabet yes is for test tasks, not for --split %s",
                         cli_split_name((clm_split)e->settings.split));
    CLI_TRY(check_uneven(e));
    merge(e);
    CLI_TRY(cli_setup_source(&e->source, &e->checkpoint.settings));
    if (cli_ranks_lead()) cli_checkpoint_note_unfinished(name);
    if (cli_ranks_lead()) cli_folder_print_notes(e->source);
    note_data(e, name);
    CLI_TRY(cli_setup_check_images(&e->checkpoint.settings, e->source, e->settings.data_on));
    e->regression = clm_source_is_regression(e->source);
    CLI_TRY(choose_queries(e));
    CLI_TRY(
        cli_setup_model(&e->model, &e->checkpoint.settings, e->source, e->checkpoint.model[0] ? e->checkpoint.model : NULL));
    if (given[cli_option_find(options, "bn")] && e->settings.bn < BN_OF_RUN && !clm_model_has_batch_norm(e->model))
        return cli_usage("--bn says nothing to the model of %s, which is without batch-norm", e->path);
    CLI_TRY(open_device(e));
    CLI_TRY(load_members(e, name));
    return load_images(e);
}

/* Numbers of queries, and of each the ways of batch-norm, that of the run first. */
static void list_columns(evaluation *e) {
    const clm_bn_mode own = (clm_bn_mode)e->checkpoint.settings.bn;
    const bool inner = clm_algorithm_uses(e->checkpoint.settings.algorithm, "steps");
    const bool both = e->settings.bn == BN_BOTH && inner && clm_model_has_batch_norm(e->model);
    for (size_t i = 0; i < e->n_queries; i++)
        for (int k = 0; k < (both ? 2 : 1); k++)
            for (int singly = 0; singly < (e->settings.singly ? 2 : 1); singly++)
                e->columns[e->n_columns++] = (column){.query = e->queries[i],
                                                      .bn = k ? (own ? CLM_BN_TRANSDUCTIVE : CLM_BN_SUPPORT_STATS) : own,
                                                      .singly = singly};
    e->both = both;
}

static clm_status check_scores(const evaluation *e) {
    CLI_TRY(cli_output_check_run("--scores", e->settings.scores));
    if (!e->settings.scores[0] || e->n_columns == 1) return CLM_OK;
    return cli_usage("--scores holds one column, not %zu: give one number for --query%s%s", e->n_columns,
                     e->both ? " and --bn transductive, support-stats or run" : "",
                     e->settings.singly ? ", without --singly" : "");
}

static void count_chosen(const evaluation *e, column *c, const int32_t *chosen) {
    for (int64_t i = 0; chosen && i < e->settings.tasks; i++) c->chosen[chosen[i]]++;
}

static clm_status evaluate_one(evaluation *e, column *c) {
    const cli_settings *run = &e->checkpoint.settings;
    uint64_t seed = (uint64_t)(e->settings.seed >= 0 ? e->settings.seed : run->seed);
    clm_evaluator_options how = CLM_EVALUATOR_OPTIONS_INIT;
    clm_evaluator *evaluator = NULL;
    clm_status status = CLM_OK;
    how.ways = (int)run->ways;
    how.shots = (int)run->shots;
    how.query = c->query;
    how.ways_least = (int)run->ways_least;
    how.shots_least = (int)run->shots_least;
    how.task = e->task.options;
    how.bn_mode = c->bn;
    how.singly = c->singly;
    how.keep = e->settings.scores[0] != 0;
    how.comm = cli_ranks();
    CLI_GOTO(clm_evaluator_create(&evaluator, e->device, e->source, e->model, &how));
    if (e->images) CLI_GOTO(clm_evaluator_use_data(evaluator, e->images));
    if (e->n_members > 1) {
        CLI_GOTO(clm_evaluator_run_ensemble(evaluator, e->members, e->n_members, (clm_split)e->settings.split, seed, 0,
                                            (int)e->settings.tasks, (int)e->settings.steps, &c->scores));
    } else {
        CLI_GOTO(clm_evaluator_load_all(evaluator, e->members, e->n_starts));
        CLI_GOTO(clm_evaluator_run(evaluator, (clm_split)e->settings.split, seed, 0, (int)e->settings.tasks,
                                   (int)e->settings.steps, false, &c->scores));
        count_chosen(e, c, clm_evaluator_chosen(evaluator));
    }
    if (e->settings.scores[0] && cli_ranks_lead()) CLI_GOTO(clm_evaluator_save_scores(evaluator, e->settings.scores));
out:
    clm_evaluator_free(evaluator);
    return status;
}

/* "accuracy, mean +- 95 % interval" */
static void print_metric(FILE *to, const evaluation *e) {
    fprintf(to, "; %s, ", clm_score_metric(e->source));
    fprintf(to, e->settings.tasks > 1 ? "mean +- 95 %% interval\n" : "of one task, which has no interval\n");
}

/* What was evaluated, and on what. */
static void print_head(FILE *to, const evaluation *e) {
    const cli_settings *run = &e->checkpoint.settings;
    const cli_text ways = cli_range_text(run->ways_least, run->ways), shots = cli_range_text(run->shots_least, run->shots);
    fprintf(to, "%s, iteration %llu", cli_shown(e->path), (unsigned long long)e->iterations[0]);
    for (size_t i = 1; i < e->n_members; i++) fprintf(to, ", %llu", (unsigned long long)e->iterations[i]);
    fprintf(to, "%s, %s\n", e->n_members > 1 ? " together" : "", cli_shown(run->algorithm));
    fprintf(to, "%s\n", cli_shown(clm_source_description(e->source)));
    fprintf(to, "%lld task%s of %s %s, seed %lld, ", (long long)e->settings.tasks, cli_plural((double)e->settings.tasks),
            cli_split_name((clm_split)e->settings.split), cli_setup_drawn(e->source),
            (long long)(e->settings.seed >= 0 ? e->settings.seed : run->seed));
    if (e->regression)
        fprintf(to, "%s shot%s", shots.s, cli_plural((double)run->shots));
    else if (clm_source_labels(e->source))
        fprintf(to, "%d classes, %s shot%s", cli_setup_outputs(run, e->source), shots.s, cli_plural((double)run->shots));
    else
        fprintf(to, "%s-way %s-shot%s%s", ways.s, shots.s, e->both ? "" : ", batch-norm ",
                e->both ? "" : clm_model_bn_name(e->model, (clm_bn_mode)run->bn));
    print_metric(to, e);
}

enum { STEPS_WIDTH = 11, COLUMN_WIDTH = 22 };

/* Columns that stand beside each other: on a terminal those that fit, of one number of queries together where that is possible. */
static size_t columns_at_once(const evaluation *e) {
    if (!cli_is_terminal(stdout)) return e->n_columns;
    const int room = cli_terminal_width(stdout) - 1 - STEPS_WIDTH;
    const size_t fit = room < COLUMN_WIDTH ? 1 : (size_t)(room / COLUMN_WIDTH);
    size_t group = e->n_queries > 0 ? e->n_columns / e->n_queries : 1;
    if (group == 0) group = 1;
    return fit > group ? fit - fit % group : fit;
}

static void print_columns(const evaluation *e, size_t from, size_t to) {
    const bool rows = e->regression || clm_source_labels(e->source) > 0;
    if (e->both) {
        printf("\n%-*s", STEPS_WIDTH, "batch-norm");
        for (size_t i = from; i < to; i++) printf("%*s", COLUMN_WIDTH, clm_bn_mode_name(e->columns[i].bn));
    }
    if (e->settings.singly) {
        printf("\n%-*s", STEPS_WIDTH, "queries");
        for (size_t i = from; i < to; i++) printf("%*s", COLUMN_WIDTH, e->columns[i].singly ? "one at a time" : "together");
    }
    printf("\n%-*s", STEPS_WIDTH, "inner steps");
    for (size_t i = from; i < to; i++) {
        char head[48];
        snprintf(head, sizeof head, rows ? "%d query points" : "query %d per class", e->columns[i].query);
        printf("%*s", COLUMN_WIDTH, head);
    }
    for (int k = 0; k <= e->settings.steps; k++) {
        if (!cli_score_is_shown(k, (int)e->settings.steps)) continue;
        printf("\n%*d", STEPS_WIDTH, k);
        for (size_t i = from; i < to; i++)
            printf("%*s", COLUMN_WIDTH, cli_score_interval_text(&e->columns[i].scores.query[k], e->regression).s);
    }
    for (size_t s = 0; s < e->n_starts && e->n_starts > 1; s++) {
        printf("\n%s%-*zu", s ? "" : "tasks of each initialisation\n", STEPS_WIDTH, s + 1);
        for (size_t i = from; i < to; i++) printf("%*d", COLUMN_WIDTH, e->columns[i].chosen[s]);
    }
    printf("\n");
}

static void print_table(const evaluation *e) {
    const size_t at_once = columns_at_once(e);
    FILE *lines = cli_lines_begin(stdout);
    print_head(lines, e);
    cli_lines_end(lines, stdout);
    for (size_t from = 0; from < e->n_columns; from += at_once)
        print_columns(e, from, from + at_once < e->n_columns ? from + at_once : e->n_columns);
}

/* null for what is not finite. */
static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static clm_status print_json(const evaluation *e) {
    const cli_settings *run = &e->checkpoint.settings;
    json_t *results = json_array();
    for (size_t i = 0; i < e->n_columns; i++) {
        json_t *steps = json_array();
        for (int k = 0; k <= e->settings.steps; k++)
            cli_json_append(steps, json_pack("{s:i, s:o, s:o}", "steps", k, "mean", number(e->columns[i].scores.query[k].mean),
                                             "interval", number(e->columns[i].scores.query[k].half)));
        cli_json_append(results, json_pack("{s:i, s:s, s:b, s:o}", "query", e->columns[i].query, "batch_norm",
                                           clm_model_bn_name(e->model, e->columns[i].bn), "singly", e->columns[i].singly,
                                           "after_steps", steps));
        if (e->n_starts > 1) {
            json_t *chosen = json_array();
            for (size_t s = 0; s < e->n_starts; s++) cli_json_append(chosen, json_integer(e->columns[i].chosen[s]));
            cli_json_set(json_array_get(results, json_array_size(results) - 1), "initialisations", chosen);
        }
    }
    json_t *root = json_pack(
        "{s:o, s:s, s:I, s:o, s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:o}", "checkpoint", cli_json_path(e->path), "algorithm",
        run->algorithm, "iteration", (json_int_t)e->checkpoint.iteration, "source",
        cli_json_path(clm_source_description(e->source)), "split", cli_split_name((clm_split)e->settings.split), "tasks",
        (json_int_t)e->settings.tasks, "seed", (json_int_t)(e->settings.seed >= 0 ? e->settings.seed : run->seed), "ways",
        (json_int_t)run->ways, "shots", (json_int_t)run->shots, "metric", clm_score_metric(e->source), "batch_norm",
        clm_model_bn_name(e->model, (clm_bn_mode)run->bn), "interval", "95 % over tasks", "results", results);
    json_t *members = json_array();
    for (size_t i = 0; i < e->n_members; i++) cli_json_append(members, json_integer((json_int_t)e->iterations[i]));
    if (root && run->ways_least) cli_json_set(root, "ways_least", json_integer((json_int_t)run->ways_least));
    if (root && run->shots_least) cli_json_set(root, "shots_least", json_integer((json_int_t)run->shots_least));
    if (root && e->n_members > 1) json_object_set(root, "ensemble", members);
    json_decref(members);
    if (root && clm_source_notes(e->source)) cli_json_set(root, "notes", cli_json_of_lines(clm_source_notes(e->source)));
    char *text = root ? cli_json_text(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (!text) return cli_fail(CLM_E_MEMORY, "out of memory");
    cli_stdout_print(text);
    cli_stdout_print("\n");
    free(text);
    return CLM_OK;
}

static void note_not_finite(const evaluation *e) {
    size_t odd = 0;
    for (size_t i = 0; i < e->n_columns; i++) odd += !isfinite(e->columns[i].scores.query[e->settings.steps].mean);
    if (odd)
        cli_note("the result is not finite: training or adaptation diverged; fewer --steps, or a training with lower rates");
}

static clm_status eval(evaluation *e, const cli_args *args) {
    char path[CLI_PATH_MAX];
    e->settings = *(const eval_settings *)args->settings;
    CLI_TRY(cli_ranks_open("eval"));
    CLI_TRY(cli_pretrained_or(path, e->settings.model, args->n_positional ? args->positional[0] : NULL,
                              "say what to evaluate: clmaml eval RUN|CHECKPOINT|--model NAME"));
    CLI_TRY(open_all(e, path, args->given));
    list_columns(e);
    CLI_TRY(check_scores(e));
    for (size_t i = 0; i < e->n_columns; i++) CLI_TRY(evaluate_one(e, &e->columns[i]));
    if (!cli_ranks_lead()) return CLM_OK;
    note_not_finite(e);
    if (e->settings.json) return print_json(e);
    print_table(e);
    return CLM_OK;
}

static int run_eval(cli_args *args) {
    evaluation *e = calloc(1, sizeof *e);
    if (!e) return cli_exit(cli_fail(CLM_E_MEMORY, "out of memory"));
    int exit_status = cli_exit(eval(e, args));
    for (size_t i = 0; i < CLI_MAX_ENSEMBLE; i++) clm_params_free(e->members[i]);
    clm_dataset_free(e->images);
    clm_device_close(e->device);
    clm_model_free(e->model);
    clm_source_free(e->source);
    cli_checkpoint_close(&e->checkpoint);
    free(e);
    return cli_ranks_close(exit_status);
}

const cli_command cli_eval = {
    .name = "eval",
    .synopsis = "RUN|CHECKPOINT|--model NAME [--option value ..]",
    .summary = "accuracy of a run or a checkpoint on new tasks",
    .details =
        "Adapts to tasks of held-out classes and reports the score on their query sets after every number of inner steps, "
        "as mean and 95 % "
        "interval over tasks. Of a run directory the best checkpoint by validation is taken.",
    .options = options,
    .settings_size = sizeof(eval_settings),
    .defaults = &defaults,
    .max_positional = 1,
    .run = run_eval,
};
