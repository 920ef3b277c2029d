/* The test at the end of a run, on held-out tasks: the state that validation chose, and, of an ensemble, the best together. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "train/internal.h"

json_t *clm_json_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *score_object(const clm_scores *scores) {
    json_t *object = json_object(), *steps = json_array();
    for (int k = 0; k <= scores->steps; k++) {
        json_t *entry = json_object();
        json_object_set_new(entry, "steps", json_integer(k));
        json_object_set_new(entry, "mean", clm_json_number(scores->query[k].mean));
        json_object_set_new(entry, "interval", clm_json_number(scores->query[k].half));
        json_array_append_new(steps, entry);
    }
    json_object_set_new(object, "mean", clm_json_number(scores->query[scores->steps].mean));
    json_object_set_new(object, "interval", clm_json_number(scores->query[scores->steps].half));
    json_object_set_new(object, "after_steps", steps);
    return object;
}

static json_t *ensemble_object(const clm_train_result *r) {
    json_t *object = score_object(&r->together), *iterations = json_array();
    for (size_t i = 0; i < r->members; i++) json_array_append_new(iterations, json_integer((json_int_t)r->member_iteration[i]));
    json_object_set_new(object, "checkpoint_iterations", iterations);
    return object;
}

static clm_status write_result(const clm_trainer *t) {
    char path[CLM_TRAIN_PATH];
    const clm_train_result *r = &t->result;
    const clm_episode_options *s = &t->options.episodes;
    json_t *root = json_object(), *scores = score_object(&r->test);
    json_object_set_new(root, "algorithm", json_string(t->algorithm));
    json_object_set_new(root, "metric", json_string(clm_score_metric(t->source)));
    json_object_set_new(root, "split", json_string("test"));
    json_object_set_new(root, "tasks", json_integer(r->test.tasks));
    json_object_set_new(root, "ways", json_integer(s->ways));
    json_object_set_new(root, "shots", json_integer(s->shots));
    json_object_set_new(root, "query", json_integer(s->query));
    json_object_set_new(root, "batch_norm", json_string(clm_model_bn_name(t->model, t->options.bn_mode)));
    json_object_set_new(root, "checkpoint_iteration", json_integer((json_int_t)r->member_iteration[0]));
    json_object_update(root, scores);
    json_decref(scores);
    if (r->members > 1) json_object_set_new(root, "ensemble", ensemble_object(r));
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!text) return clm_fail(CLM_E_MEMORY, "out of memory");
    clm_status status = clm_train_path(path, t->run.directory, "result.json");
    if (status == CLM_OK) status = clm_file_write(path, text, strlen(text));
    free(text);
    return status;
}

/* ---- the states under test ---- */

static clm_status load_member(clm_trainer *t, const char *name) {
    clm_train_checkpoint said = {0};
    clm_archive *archive = NULL;
    char path[CLM_TRAIN_PATH];
    clm_status status = CLM_OK;
    CLM_TRY(clm_run_checkpoint_path(path, t->run.directory, name));
    if (t->n_members > 0 && !clm_path_exists(path)) return CLM_OK;
    CLM_TRY(clm_archive_load(&archive, path));
    CLM_GOTO(clm_train_read_checkpoint(archive, &said));
    CLM_GOTO(clm_checkpoint_params(archive, path, t->options.meta.optim.average > 0, t->members[t->n_members]));
    t->member_iteration[t->n_members++] = said.iteration;
out:
    clm_archive_free(archive);
    return status;
}

/* The state at hand, of the moving average where one is kept. */
static clm_status take_last(clm_trainer *t) {
    clm_params *params = t->members[0];
    t->member_iteration[0] = clm_meta_iteration(t->meta);
    t->n_members = 1;
    return t->options.meta.optim.average > 0 ? clm_meta_get_average(t->meta, params) : clm_meta_get_params(t->meta, params);
}

clm_status clm_trainer_load_members(clm_trainer *t) {
    const size_t count = t->ranking.count;
    if (!t->has_run && count > 0) return CLM_OK;
    t->n_members = 0;
    if (!t->has_run) return take_last(t);
    if (count == 0) return load_member(t, "last");
    for (size_t k = 0; k < count; k++) CLM_TRY(load_member(t, clm_rank_name(k).s));
    return CLM_OK;
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
    clm_params_copy(params, t->params);
}

clm_status clm_trainer_best(clm_trainer *t, clm_params *best) {
    CLM_TRY(clm_trainer_load_members(t));
    clm_params_copy(best, t->members[0]);
    return CLM_OK;
}

/* ---- the test ---- */

static clm_status test(clm_trainer *t, clm_scores *single, clm_scores *together) {
    const clm_train_options *o = &t->options;
    const int tasks = o->test_tasks, steps = t->test_steps;
    CLM_TRY(clm_evaluator_load(t->evaluator, t->members[0]));
    CLM_TRY(clm_evaluator_run(t->evaluator, CLM_SPLIT_TEST, o->seed, 0, tasks, steps, false, single));
    if (t->n_members > 1)
        CLM_TRY(clm_evaluator_run_ensemble(t->evaluator, t->members, t->n_members, CLM_SPLIT_TEST, o->seed, 0, tasks, steps,
                                           together));
    t->result.stopped = single->tasks < tasks || (t->n_members > 1 && together->tasks < tasks);
    return CLM_OK;
}

clm_status clm_trainer_test(clm_trainer *t) {
    clm_train_result *r = &t->result;
    clm_scores single, together = {0};
    if (t->options.test_tasks == 0) return CLM_OK;
    CLM_TRY(clm_trainer_load_members(t));
    CLM_TRY(test(t, &single, &together));
    if (r->stopped) return CLM_OK;
    r->test = single;
    r->together = together;
    r->members = t->n_members;
    memcpy(r->member_iteration, t->member_iteration, sizeof r->member_iteration);
    return t->has_run ? write_result(t) : CLM_OK;
}
