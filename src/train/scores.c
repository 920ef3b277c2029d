/* Scores of single tasks: kept while tasks are scored, written as JSON beside what tells these tasks from others.
 *
 * A task is a function of source, split, seed and index. A source's description does not say what its files hold, so a hash of
 * the first tasks' numbers stands beside it; the numbers themselves are hashed, for where images are changes no task. */
#include "train/scores.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "train/internal.h"

enum { HASHED_TASKS = 16 };
static const char *const split_names[] = {"train", "validation", "test"};

clm_status clm_task_scores_begin(clm_task_scores *s, clm_split split, uint64_t seed, uint64_t first, int tasks, int steps) {
    const size_t count = (size_t)tasks * (size_t)(steps + 1);
    clm_status status = CLM_OK;
    s->done = 0;
    if (s->room < count) {
        free(s->query);
        s->room = 0;
        CLM_NEW(s->query, count);
        s->room = count;
    }
    s->split = split;
    s->seed = seed;
    s->first = first;
    s->tasks = tasks;
    s->steps = steps;
    for (size_t i = 0; i < count; i++) s->query[i] = NAN;
out:
    return status;
}

void clm_task_scores_free(clm_task_scores *s) {
    free(s->query);
    *s = (clm_task_scores){0};
}

double *clm_task_scores_at(const clm_task_scores *s, int step, int task) {
    return s->query ? s->query + (size_t)step * (size_t)s->tasks + (size_t)task : NULL;
}

clm_episode_options clm_evaluator_episodes(const clm_evaluator_options *o) {
    clm_episode_options kind = CLM_EPISODE_OPTIONS_INIT;
    kind.ways = o->ways;
    kind.shots = o->shots;
    kind.query = o->query;
    kind.ways_least = o->ways_least;
    kind.shots_least = o->shots_least;
    return kind;
}

/* ---- what tells tasks apart ---- */

static clm_status hash_tasks(const clm_task_scores *s, const clm_source *source, const clm_evaluator_options *o,
                             uint64_t *hash) {
    const clm_shape of_example = clm_source_example_shape(source), of_target = clm_source_target_shape(source);
    const size_t example = clm_shape_size(&of_example), target = clm_shape_size(&of_target);
    const size_t support = (size_t)o->ways * (size_t)o->shots, query = (size_t)o->ways * (size_t)o->query;
    const size_t count[4] = {support * example, support * target, query * example, query * target};
    const clm_episode_options kind = clm_evaluator_episodes(o);
    float *set[4] = {NULL, NULL, NULL, NULL};
    clm_status status = CLM_OK;
    *hash = CLM_HASH_SEED;
    for (int i = 0; i < 4; i++) CLM_NEW(set[i], count[i]);
    const clm_episode to = {.support_x = set[0], .support_y = set[1], .query_x = set[2], .query_y = set[3]};
    for (int t = 0; t < s->done && t < HASHED_TASKS; t++) {
        CLM_GOTO(clm_source_draw(source, s->split, s->seed, s->first + (uint64_t)t, &kind, &to));
        for (int i = 0; i < 4; i++) *hash = clm_hash(*hash, set[i], count[i] * sizeof *set[i]);
    }
out:
    for (int i = 0; i < 4; i++) free(set[i]);
    return status;
}

static json_t *name_tasks(const clm_task_scores *s, const clm_source *source, const clm_evaluator_options *o, uint64_t hash) {
    json_t *tasks = json_object();
    char content[20];
    snprintf(content, sizeof content, "%016llx", (unsigned long long)hash);
    clm_json_set(tasks, "source", json_string(clm_train_said_of(clm_source_description(source))));
    clm_json_set(tasks, "split", json_string(split_names[s->split]));
    clm_json_set(tasks, "seed", json_integer((json_int_t)s->seed));
    clm_json_set(tasks, "first", json_integer((json_int_t)s->first));
    clm_json_set(tasks, "count", json_integer(s->done));
    clm_json_set(tasks, "ways", json_integer(o->ways));
    clm_json_set(tasks, "shots", json_integer(o->shots));
    clm_json_set(tasks, "query", json_integer(o->query));
    if (o->ways_least > 0) clm_json_set(tasks, "ways_least", json_integer(o->ways_least));
    if (o->shots_least > 0) clm_json_set(tasks, "shots_least", json_integer(o->shots_least));
    clm_json_set(tasks, "content", json_string(content));
    return tasks;
}

clm_status clm_task_scores_save(const clm_task_scores *s, const clm_source *source, const clm_evaluator_options *o,
                                const char *batch_norm, const char *path) {
    uint64_t hash;
    if (!o->keep || s->done == 0)
        return clm_fail(CLM_E_STATE,
                        "there are no scores of single tasks: they are those of a run of an evaluator with `keep`");
    CLM_TRY(hash_tasks(s, source, o, &hash));
    json_t *root = json_object(), *steps = json_array();
    for (int k = 0; k <= s->steps; k++) {
        json_t *scores = json_array();
        const double *score = clm_task_scores_at(s, k, 0);
        for (int t = 0; t < s->done; t++) clm_json_append(scores, isfinite(score[t]) ? json_real(score[t]) : json_null());
        clm_json_append(steps, scores);
    }
    clm_json_set(root, "tasks", name_tasks(s, source, o, hash));
    clm_json_set(root, "metric", json_string(clm_score_metric(source)));
    clm_json_set(root, "batch_norm", json_string(batch_norm));
    clm_json_set(root, "singly", json_boolean(o->singly));
    clm_json_set(root, "scores", steps);
    char *text = clm_json_text(root, JSON_COMPACT);
    json_decref(root);
    if (!text) return clm_fail(CLM_E_MEMORY, "out of memory");
    const clm_status status = clm_file_write(path, text, strlen(text));
    free(text);
    return status;
}
