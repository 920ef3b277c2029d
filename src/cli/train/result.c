/* The test at the end of a run: the checkpoint that validation chose on held-out tasks, and, with --ensemble, the best ones together. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "config/protocol.h"
#include "train/trainer.h"

/* The checkpoints under test, best first. */
typedef struct members {
    clm_params *params[CLI_MAX_ENSEMBLE];
    uint64_t iteration[CLI_MAX_ENSEMBLE];
    size_t count;
} members;

static json_t *score_object(const clm_scores *scores) {
    json_t *object = json_object(), *steps = json_array();
    for (int k = 0; k <= scores->steps; k++) {
        json_t *entry = json_object();
        json_object_set_new(entry, "steps", json_integer(k));
        json_object_set_new(entry, "mean", json_real(scores->query[k].mean));
        json_object_set_new(entry, "interval", json_real(scores->query[k].half));
        json_array_append_new(steps, entry);
    }
    json_object_set_new(object, "mean", json_real(scores->query[scores->steps].mean));
    json_object_set_new(object, "interval", json_real(scores->query[scores->steps].half));
    json_object_set_new(object, "after_steps", steps);
    return object;
}

static json_t *ensemble_object(const members *m, const clm_scores *scores) {
    json_t *object = score_object(scores), *iterations = json_array();
    for (size_t i = 0; i < m->count; i++) json_array_append_new(iterations, json_integer((json_int_t)m->iteration[i]));
    json_object_set_new(object, "checkpoint_iterations", iterations);
    return object;
}

static clm_status write_result(const cli_trainer *t, const members *m, const clm_scores *single, const clm_scores *together) {
    char path[CLI_PATH_MAX];
    const cli_settings *s = &t->settings;
    json_t *root = json_object(), *scores = score_object(single);
    json_object_set_new(root, "algorithm", json_string(s->algorithm));
    json_object_set_new(root, "metric", json_string(t->regression ? "mean squared error" : "accuracy"));
    json_object_set_new(root, "split", json_string("test"));
    json_object_set_new(root, "tasks", json_integer(single->tasks));
    json_object_set_new(root, "ways", json_integer(s->ways));
    json_object_set_new(root, "shots", json_integer(s->shots));
    json_object_set_new(root, "query", json_integer(s->query));
    json_object_set_new(root, "batch_norm", json_string(clm_model_bn_name(t->model, (clm_bn_mode)s->bn)));
    json_object_set_new(root, "checkpoint_iteration", json_integer((json_int_t)m->iteration[0]));
    json_object_update(root, scores);
    json_decref(scores);
    if (m->count > 1) json_object_set_new(root, "ensemble", ensemble_object(m, together));
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!text) return cli_fail(CLM_E_MEMORY, "out of memory");
    clm_status status = cli_path(path, t->run.directory, "result.json");
    if (status == CLM_OK) status = cli_file_write(path, text, strlen(text));
    free(text);
    return status;
}

/* "4.2 times below that": only where there is something to divide. */
static cli_text compared(double after, double before) {
    cli_text text;
    if (after > 0 && after < before)
        snprintf(text.s, sizeof text.s, "%.1f times below that", before / after);
    else if (after > before && before > 0)
        snprintf(text.s, sizeof text.s, "%.1f times above that", after / before);
    else
        snprintf(text.s, sizeof text.s, "%g", before);
    return text;
}

static void print_single(const cli_trainer *t, const clm_scores *scores, uint64_t iteration) {
    const cli_settings *s = &t->settings;
    const int last = scores->steps;
    printf("\ntest on %d tasks of held-out %s, checkpoint of iteration %llu, batch-norm %s\n", scores->tasks,
           t->regression ? "functions" : "classes", (unsigned long long)iteration,
           clm_model_bn_name(t->model, (clm_bn_mode)s->bn));
    for (int k = 0; k <= last && last > 0; k++)
        if (cli_score_is_shown(k, last))
            printf("  after %2d inner steps  %s\n", k, cli_score_interval_text(&scores->query[k], t->regression).s);
    if (last == 0) printf("  %s has no inner steps\n", s->algorithm);
    if (t->regression)
        printf("mean squared error %s (95 %% interval), %s before adaptation\n",
               cli_score_interval_text(&scores->query[last], true).s,
               compared(scores->query[last].mean, scores->query[0].mean).s);
    else
        printf("accuracy on held-out classes %s (95 %% interval), %lld-way %lld-shot, %lld query image%s per class\n",
               cli_score_interval_text(&scores->query[last], false).s, (long long)s->ways, (long long)s->shots,
               (long long)s->query, s->query == 1 ? "" : "s");
}

static void print_together(const cli_trainer *t, const members *m, const clm_scores *scores) {
    printf("%s of the mean output of the %zu best checkpoints %s (iterations",
           t->regression ? "mean squared error" : "accuracy", m->count,
           cli_score_interval_text(&scores->query[scores->steps], t->regression).s);
    for (size_t i = 0; i < m->count; i++) printf("%s %llu", i ? "," : "", (unsigned long long)m->iteration[i]);
    printf(")\n");
}

static clm_status load_member(cli_trainer *t, const char *name, members *m) {
    cli_checkpoint checkpoint = {0};
    char path[CLI_PATH_MAX];
    clm_status status = CLM_OK;
    CLI_GOTO(cli_run_checkpoint_path(path, t->run.directory, name));
    if (m->count > 0 && !cli_path_exists(path)) return CLM_OK;
    CLI_GOTO(cli_checkpoint_load(&checkpoint, path));
    CLI_GOTO(clm_params_create(&m->params[m->count], t->model, &t->task.options));
    CLI_GOTO(cli_checkpoint_params(&checkpoint, path, m->params[m->count]));
    m->iteration[m->count++] = checkpoint.iteration;
out:
    cli_checkpoint_close(&checkpoint);
    return status;
}

/* What validation chose, or the last state where there was nothing to choose by. */
static clm_status load_members(cli_trainer *t, members *m) {
    if (t->ranking.count == 0) return load_member(t, "last", m);
    for (size_t k = 0; k < t->ranking.count; k++) CLI_TRY(load_member(t, cli_rank_name(k).s, m));
    return CLM_OK;
}

static clm_status test(cli_trainer *t, const members *m, bool *stopped) {
    const cli_settings *s = &t->settings;
    const uint64_t seed = (uint64_t)s->seed;
    const int tasks = (int)s->eval_tasks, steps = cli_settings_test_steps(s);
    clm_scores single, together = {0};
    CLI_TRY(clm_evaluator_load(t->evaluator, m->params[0]));
    CLI_TRY(clm_evaluator_run(t->evaluator, CLM_SPLIT_TEST, seed, 0, tasks, steps, false, &single));
    if (m->count > 1)
        CLI_TRY(
            clm_evaluator_run_ensemble(t->evaluator, m->params, m->count, CLM_SPLIT_TEST, seed, 0, tasks, steps, &together));
    *stopped = single.tasks < tasks || (m->count > 1 && together.tasks < tasks);
    if (*stopped) return CLM_OK;
    print_single(t, &single, m->iteration[0]);
    if (m->count > 1) print_together(t, m, &together);
    return write_result(t, m, &single, &together);
}

clm_status cli_trainer_test(cli_trainer *t, bool *stopped) {
    members m = {.count = 0};
    clm_status status = CLM_OK;
    if (t->settings.eval_tasks == 0) return CLM_OK;
    CLI_GOTO(load_members(t, &m));
    CLI_GOTO(test(t, &m, stopped));
out:
    for (size_t i = 0; i < CLI_MAX_ENSEMBLE; i++) clm_params_free(m.params[i]);
    return status;
}
