/* The test at the end of a run, on held-out tasks: the state that validation chose, and, of an ensemble, the best together. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "train/fits.h"
#include "train/internal.h"

json_t *clm_json_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *score_object(const clm_scores *scores) {
    json_t *object = json_object(), *steps = json_array();
    for (int k = 0; k <= scores->steps; k++) {
        json_t *entry = json_object();
        clm_json_set(entry, "steps", json_integer(k));
        clm_json_set(entry, "mean", clm_json_number(scores->query[k].mean));
        clm_json_set(entry, "interval", clm_json_number(scores->query[k].half));
        clm_json_append(steps, entry);
    }
    clm_json_set(object, "mean", clm_json_number(scores->query[scores->steps].mean));
    clm_json_set(object, "interval", clm_json_number(scores->query[scores->steps].half));
    clm_json_set(object, "after_steps", steps);
    return object;
}

static json_t *ensemble_object(const clm_train_result *r) {
    json_t *object = score_object(&r->together), *iterations = json_array();
    for (size_t i = 0; i < r->members; i++) clm_json_append(iterations, json_integer((json_int_t)r->member_iteration[i]));
    clm_json_set(object, "checkpoint_iterations", iterations);
    return object;
}

static json_t *kind_object(const clm_trainer *t, const clm_train_kind *kind) {
    json_t *object = json_object(), *chosen = json_array();
    clm_json_set(object, "kind", json_string(kind->name));
    clm_json_set(object, "tasks", json_integer(kind->tasks));
    for (size_t s = 0; s < t->n_starts; s++) clm_json_append(chosen, json_integer(kind->chosen[s]));
    clm_json_set(object, "chosen", chosen);
    clm_json_set(object, "mean", clm_json_number(kind->score.mean));
    clm_json_set(object, "interval", clm_json_number(kind->score.half));
    return object;
}

/* How many there are, the share of test tasks that each serves, and the same by kinds of tasks in numbers. */
static json_t *initialisations_object(const clm_trainer *t) {
    const clm_train_result *r = &t->result;
    json_t *object = json_object(), *shares = json_array(), *kinds = json_array();
    for (size_t s = 0; s < t->n_starts; s++) {
        int tasks = 0;
        for (int k = 0; k < r->kinds; k++) tasks += r->kind[k].chosen[s];
        clm_json_append(shares, json_real((double)tasks / r->test.tasks));
    }
    for (int k = 0; k < r->kinds; k++) clm_json_append(kinds, kind_object(t, &r->kind[k]));
    clm_json_set(object, "count", json_integer((json_int_t)t->n_starts));
    clm_json_set(object, "shares", shares);
    clm_json_set(object, "kinds", kinds);
    return object;
}

static clm_status write_result(const clm_trainer *t) {
    char path[CLM_TRAIN_PATH];
    const clm_train_result *r = &t->result;
    const clm_episode_options *s = &t->options.episodes;
    json_t *root = json_object(), *scores = score_object(&r->test);
    if (t->run.identity) clm_json_set(root, "run", json_string(clm_run_identity_text(&t->run).s));
    clm_json_set(root, "algorithm", json_string(t->algorithm));
    clm_json_set(root, "metric", json_string(clm_score_metric(t->source)));
    clm_json_set(root, "split", json_string("test"));
    clm_json_set(root, "tasks", json_integer(r->test.tasks));
    clm_json_set(root, "ways", json_integer(s->ways));
    clm_json_set(root, "shots", json_integer(s->shots));
    clm_json_set(root, "query", json_integer(s->query));
    if (s->ways_least > 0) clm_json_set(root, "ways_least", json_integer(s->ways_least));
    if (s->shots_least > 0) clm_json_set(root, "shots_least", json_integer(s->shots_least));
    clm_json_set(root, "test_steps", json_integer(r->test_steps));
    clm_json_set(root, "batch_norm", json_string(clm_model_bn_name(t->model, t->options.bn_mode)));
    clm_json_set(root, "checkpoint_iteration", json_integer((json_int_t)r->member_iteration[0]));
    clm_json_set(root, "chosen_by_validation", json_boolean(t->ranking.count > 0));
    json_object_update(root, scores);
    json_decref(scores);
    json_t *notes = clm_json_lines(clm_source_notes(t->source)), *changed = clm_json_lines(t->data_changed);
    json_array_extend(notes, changed);
    json_decref(changed);
    if (json_array_size(notes)) json_object_set(root, "notes", notes);
    json_decref(notes);
    if (r->members > 1) clm_json_set(root, "ensemble", ensemble_object(r));
    if (r->kinds > 0) clm_json_set(root, "initialisations", initialisations_object(t));
    char *text = clm_json_text(root, JSON_INDENT(2));
    json_decref(root);
    if (!text) return clm_fail(CLM_E_MEMORY, "out of memory");
    clm_status status = clm_train_path(path, t->run.directory, "result.json");
    if (status == CLM_OK) status = clm_file_write(path, text, strlen(text));
    free(text);
    return status;
}

/* ---- the states under test ---- */

/* As `last` where nothing was ranked. */
static clm_status load_member(clm_trainer *t, const char *name, const clm_ranked *ranked) {
    clm_train_checkpoint said = {0};
    clm_ranked found;
    clm_archive *archive = NULL;
    char path[CLM_TRAIN_PATH];
    clm_status status = CLM_OK;
    CLM_TRY(clm_run_checkpoint_path(path, t->run.directory, name));
    if (t->n_members > 0 && !clm_path_exists(path)) return CLM_OK;
    CLM_TRY(clm_archive_load(&archive, path));
    CLM_GOTO(clm_train_read_checkpoint(archive, &said));
    if (ranked && !(clm_ranked_of(archive, &found) && clm_ranked_equal(&found, ranked)))
        CLM_GOTO(clm_fail(CLM_E_FORMAT,
                          "%s is not the checkpoint of iteration %llu that validation chose: it was put there since; "
                          "resume the run, which then tests its last state",
                          path, (unsigned long long)ranked->iteration));
    for (size_t s = 0; s < t->n_starts; s++)
        CLM_GOTO(clm_checkpoint_params(archive, path, t->options.meta.optim.average > 0, (int)s, t->members[t->n_members + s]));
    t->member_iteration[t->n_members++] = said.iteration;
out:
    clm_archive_free(archive);
    return status;
}

/* The state at hand, of the moving average where one is kept. */
static clm_status take_last(clm_trainer *t) {
    t->member_iteration[0] = clm_meta_iteration(t->meta);
    t->n_members = 1;
    for (size_t s = 0; s < t->n_starts; s++)
        CLM_TRY(t->options.meta.optim.average > 0 ? clm_meta_get_average_of(t->meta, (int)s, t->members[s])
                                                  : clm_meta_get_params_of(t->meta, (int)s, t->members[s]));
    return CLM_OK;
}

static clm_status load_members(clm_trainer *t) {
    const size_t count = t->ranking.count;
    if (!clm_trainer_leads(t)) return CLM_OK;
    if (!t->has_run && count > 0) return CLM_OK;
    t->n_members = 0;
    if (!t->has_run) return take_last(t);
    if (count == 0) return load_member(t, "last", NULL);
    for (size_t k = 0; k < count; k++) CLM_TRY(load_member(t, clm_rank_name(k).s, &t->ranking.entry[k]));
    return CLM_OK;
}

clm_status clm_trainer_load_members(clm_trainer *t) {
    CLM_TRY(load_members(t));
    return clm_trainer_share_members(t);
}

void clm_trainer_keep_member(clm_trainer *t, size_t rank, uint64_t iteration) {
    const size_t last = t->ranking.count - 1;
    clm_params *params = t->members[last];
    for (size_t k = last; k > rank; k--) {
        t->members[k] = t->members[k - 1];
        t->member_iteration[k] = t->member_iteration[k - 1];
    }
    t->members[rank] = params;
    t->member_iteration[rank] = iteration;
    t->n_members = last + 1;
    clm_params_copy(params, t->params[0]);
    for (size_t s = 1; s < t->n_starts; s++) clm_params_copy(t->members[s], t->params[s]); /* there is one rank then */
}

clm_status clm_trainer_best_of(clm_trainer *t, int start, clm_params *best) {
    if (start < 0 || (size_t)start >= t->n_starts)
        return clm_fail(CLM_E_ARG, "training: initialisation %d of %zu, which count from 0", start, t->n_starts);
    CLM_TRY(clm_trainer_load_members(t));
    clm_params_copy(best, t->members[start]);
    return CLM_OK;
}

clm_status clm_trainer_best(clm_trainer *t, clm_params *best) { return clm_trainer_best_of(t, 0, best); }

/* ---- how many steps ---- */

/* The checkpoints under test say it to who uses them. */
static clm_status tell_checkpoint(const clm_trainer *t, const char *name) {
    char path[CLM_TRAIN_PATH], *text = NULL;
    clm_archive *archive = NULL;
    json_t *task = NULL;
    clm_status status = CLM_OK;
    CLM_TRY(clm_run_checkpoint_path(path, t->run.directory, name));
    if (!clm_path_exists(path)) return CLM_OK;
    CLM_TRY(clm_archive_load(&archive, path));
    const char *said = clm_archive_meta(archive, "clmaml.task");
    if (!said || !(task = json_loads(said, 0, NULL))) goto out;
    clm_json_set(task, "test_steps", json_integer(t->test_steps));
    if (!(text = clm_json_text(task, JSON_COMPACT))) CLM_GOTO(clm_fail(CLM_E_MEMORY, "out of memory"));
    CLM_GOTO(clm_archive_set_meta(archive, "clmaml.task", text));
    CLM_GOTO(clm_archive_save(archive, path));
out:
    json_decref(task);
    free(text);
    clm_archive_free(archive);
    return status;
}

/* The fewest steps whose score on the validation tasks none surpasses. */
static clm_status choose_steps(clm_trainer *t) {
    const clm_train_options *o = &t->options;
    const int twice = 2 * t->steps, most = twice > 10 ? twice < CLM_SCORE_STEPS_MOST ? twice : CLM_SCORE_STEPS_MOST : 10;
    clm_scores scores;
    int best = 0;
    if (o->test_steps >= 0 || t->steps == 0 || !t->validates) return CLM_OK;
    CLM_TRY(clm_evaluator_load_all(t->evaluator, t->members, t->n_starts));
    CLM_TRY(clm_evaluator_run(t->evaluator, CLM_SPLIT_VALIDATION, o->seed, 0, o->validation_tasks, most, false, &scores));
    if (scores.tasks < o->validation_tasks) return CLM_OK; /* stopped */
    for (int k = 1; k <= most; k++) {
        const double gain = scores.query[k].mean - scores.query[best].mean;
        if (t->regression ? gain < 0 : gain > 0) best = k;
    }
    t->test_steps = best > 0 ? best : 1;
    t->result.steps_tried = most;
    clm_trainer_remark(t, "%d inner step%s at test: of 1 to %d the best on %d validation tasks%s", t->test_steps,
                       t->test_steps == 1 ? "" : "s", most, o->validation_tasks,
                       t->test_steps == most ? ", the most that were tried" : "");
    for (size_t k = 0; t->has_run && k < t->n_members; k++)
        CLM_TRY(tell_checkpoint(t, t->ranking.count ? clm_rank_name(k).s : "last"));
    return CLM_OK;
}

/* ---- the test ---- */

/* The single state comes last: the evaluator then has the scores of its tasks. */
static clm_status test(clm_trainer *t, clm_scores *single, clm_scores *together) {
    const clm_train_options *o = &t->options;
    const int tasks = o->test_tasks, steps = t->test_steps;
    if (t->n_members > 1)
        CLM_TRY(clm_evaluator_run_ensemble(t->evaluator, t->members, t->n_members, CLM_SPLIT_TEST, o->seed, 0, tasks, steps,
                                           together));
    t->result.stopped = t->n_members > 1 && together->tasks < tasks;
    if (t->result.stopped) return CLM_OK;
    CLM_TRY(clm_evaluator_load_all(t->evaluator, t->members, t->n_starts));
    CLM_TRY(clm_evaluator_run(t->evaluator, CLM_SPLIT_TEST, o->seed, 0, tasks, steps, false, single));
    t->result.stopped = single->tasks < tasks;
    return CLM_OK;
}

/* Before the result, which so never stands beside scores of an earlier test. */
static clm_status keep_scores(const clm_trainer *t) {
    const clm_train_options *o = &t->options;
    const double *scores = clm_evaluator_scores(t->evaluator, t->test_steps);
    char path[CLM_TRAIN_PATH];
    if (!scores) return CLM_OK;
    if (o->test_scores) memcpy(o->test_scores, scores, (size_t)o->test_tasks * sizeof *scores);
    if (!t->has_run || o->test_tasks > CLM_TRAIN_SCORES_MOST) return CLM_OK;
    CLM_TRY(clm_train_path(path, t->run.directory, "scores.json"));
    return clm_evaluator_save_scores(t->evaluator, path);
}

/* A picture is no reason to fail. */
static void draw_fits(clm_trainer *t) {
    char from[CLM_TRAIN_PATH], to[CLM_TRAIN_PATH];
    clm_archive *archive = NULL;
    clm_status status = CLM_OK;
    if (!t->has_run || !clm_fits_suit(t->source)) return;
    CLM_GOTO(clm_run_checkpoint_path(from, t->run.directory, t->ranking.count ? clm_rank_name(0).s : "last"));
    CLM_GOTO(clm_train_path(to, t->run.directory, "fits.svg"));
    CLM_GOTO(clm_archive_load(&archive, from));
    CLM_GOTO(
        clm_fits_write(to, t->device, archive, t->source, t->options.seed, t->options.episodes.shots, t->title, t->subtitle));
out:
    if (status != CLM_OK) clm_trainer_remark(t, "no picture of fits: %s", clm_last_error());
    clm_archive_free(archive);
}

clm_status clm_trainer_test(clm_trainer *t) {
    clm_train_result *r = &t->result;
    clm_scores single, together = {0};
    if (t->options.test_tasks == 0) return CLM_OK;
    CLM_TRY(clm_trainer_load_members(t));
    CLM_TRY(choose_steps(t));
    CLM_TRY(test(t, &single, &together));
    r->test_steps = t->test_steps;
    if (r->stopped) return CLM_OK;
    r->test = single;
    r->together = together;
    r->members = t->n_members;
    memcpy(r->member_iteration, t->member_iteration, sizeof r->member_iteration);
    CLM_TRY(clm_trainer_list_kinds(t));
    CLM_TRY(keep_scores(t));
    if (t->has_run) CLM_TRY(write_result(t));
    draw_fits(t);
    return CLM_OK;
}
