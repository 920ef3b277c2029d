/* Evaluation from several initialisations: a task is adapted from each, and belongs to the one with the lowest support loss after
 * the steps. That loss is the one that one more inner step would begin with, so it is what the inner loop descends. Query sets
 * decide nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/evaluator.h"

/* Of one set of one task. */
typedef struct clm_start_score {
    double score, loss;
} start_score;

enum { QUERY, SUPPORT, SETS };

void clm_evaluator_choose_free(clm_evaluator *e) {
    free(e->start_losses);
    free(e->start_cells);
    free(e->chosen);
}

clm_status clm_evaluator_load_all(clm_evaluator *e, clm_params *const *params, size_t n) {
    clm_status status = CLM_OK;
    if (n < 1 || n > CLM_INITIALISATIONS_MOST)
        return clm_fail(CLM_E_ARG, "evaluator: %zu initialisations: 1 to %d are possible", n, CLM_INITIALISATIONS_MOST);
    if (n == 1) return clm_evaluator_load(e, params[0]);
    if (!clm_algorithm_uses(e->options.task.algorithm, "steps"))
        return clm_fail(CLM_E_ARG, "evaluator: %zu initialisations of %s, which has no inner steps to choose by", n,
                        e->options.task.algorithm);
    if (!e->start_losses) CLM_NEW(e->start_losses, (size_t)CLM_INITIALISATIONS_MOST * (size_t)e->options.chunk);
    for (size_t s = 0; s < n; s++) e->starts[s] = params[s];
    e->n_starts = n;
out:
    return status;
}

const int32_t *clm_evaluator_chosen(const clm_evaluator *e) { return e->chose ? e->chosen : NULL; }

clm_status clm_evaluator_choose_begin(clm_evaluator *e, int tasks, int steps) {
    const size_t cells = e->n_starts * (size_t)(steps + 1) * SETS * (size_t)e->options.chunk;
    clm_status status = CLM_OK;
    e->chose = e->n_starts > 0;
    if (e->chosen_room < (size_t)tasks && e->chose) {
        free(e->chosen);
        e->chosen_room = 0;
        CLM_NEW(e->chosen, tasks);
        e->chosen_room = (size_t)tasks;
    }
    if (e->start_room < cells) {
        free(e->start_cells);
        e->start_room = 0;
        CLM_NEW(e->start_cells, cells);
        e->start_room = cells;
    }
out:
    return status;
}

static bool has_second(const clm_evaluator *e) { return e->on_support && e->on_support != e->on_query; }

/* What initialisation `start` scores after k steps, [chunk]. */
static start_score *cells_at(const clm_evaluator *e, size_t start, int steps, int k, int set) {
    return e->start_cells + ((start * (size_t)(steps + 1) + (size_t)k) * SETS + (size_t)set) * (size_t)e->options.chunk;
}

static clm_status score(clm_evaluator *e, clm_learner *learner, const clm_example_set *set, int tasks, start_score *to) {
    CLM_TRY(clm_evaluator_predict(e, learner, set));
    for (size_t t = 0; t < (size_t)tasks; t++) to[t].score = clm_evaluator_score_task(e, e->outputs, set, t, &to[t].loss);
    return CLM_OK;
}

static clm_status load(clm_evaluator *e, size_t start) {
    CLM_TRY(clm_learner_set_params(e->on_query, e->starts[start]));
    return has_second(e) ? clm_learner_set_params(e->on_support, e->starts[start]) : CLM_OK;
}

/* One chunk from one initialisation through all steps, and what its support loss is then. */
static clm_status run_start(clm_evaluator *e, size_t start, int tasks, int steps, bool ends_only) {
    const clm_example_set support = {e->support_x, e->support_y, e->support_at, e->support, true};
    const clm_example_set query = {e->query_x, e->query_y, e->query_at, e->query, false};
    CLM_TRY(load(e, start));
    CLM_TRY(clm_evaluator_begin(e, e->on_query, &support, &query));
    if (has_second(e)) CLM_TRY(clm_evaluator_begin(e, e->on_support, &support, &support));
    for (int k = 0; k <= steps; k++) {
        if (k > 0) CLM_TRY(clm_learner_step(e->on_query, NULL));
        if (k > 0 && has_second(e)) CLM_TRY(clm_learner_step(e->on_support, NULL));
        if (ends_only && k > 0 && k < steps) continue;
        CLM_TRY(score(e, e->on_query, &query, tasks, cells_at(e, start, steps, k, QUERY)));
        if (e->on_support) CLM_TRY(score(e, e->on_support, &support, tasks, cells_at(e, start, steps, k, SUPPORT)));
    }
    return clm_learner_step(e->on_query, e->start_losses + start * (size_t)e->options.chunk);
}

/* The first of the lowest; a loss that is not a number is none. `stride`: from one initialisation's to the next one's. */
static int32_t lowest(const double *losses, size_t n, size_t stride) {
    size_t best = 0;
    for (size_t s = 1; s < n; s++)
        if (losses[s * stride] < losses[best * stride] || (isnan(losses[best * stride]) && !isnan(losses[s * stride])))
            best = s;
    return (int32_t)best;
}

clm_status clm_evaluator_run_choosing(clm_evaluator *e, int done, int tasks, int steps, bool ends_only, clm_moments *query,
                                      clm_moments *support) {
    for (size_t s = 0; s < e->n_starts; s++) CLM_TRY(run_start(e, s, tasks, steps, ends_only));
    for (size_t t = 0; t < (size_t)tasks; t++)
        e->chosen[(size_t)done + t] = lowest(e->start_losses + t, e->n_starts, (size_t)e->options.chunk);
    for (int k = 0; k <= steps; k++) {
        double *kept = clm_task_scores_at(&e->kept, k, done);
        if (ends_only && k > 0 && k < steps) continue;
        for (size_t t = 0; t < (size_t)tasks; t++) {
            const size_t start = (size_t)e->chosen[(size_t)done + t];
            const start_score *q = cells_at(e, start, steps, k, QUERY) + t, *s = cells_at(e, start, steps, k, SUPPORT) + t;
            clm_moments_add(&query[k], q->score, q->loss);
            if (e->on_support) clm_moments_add(&support[k], s->score, s->loss);
            if (kept) kept[t] = q->score;
        }
    }
    return CLM_OK;
}

/* ---- tasks of the caller ---- */

/* Tasks first .. first+chunk-1 into the evaluator's memory; behind the last one the last again. */
static void take_chunk(clm_evaluator *e, const float *x, const int32_t *at, const float *y, const clm_task_size *sizes,
                       int first, int tasks) {
    const clm_task_size whole = {0, (int32_t)e->support, (int32_t)e->query};
    const size_t n = e->support, in = n * e->example, out = n * e->target;
    for (size_t t = 0; t < (size_t)e->options.chunk; t++) {
        const size_t from = (size_t)(first + (int)t < tasks ? first + (int)t : tasks - 1);
        if (e->sizes) e->sizes[t] = sizes ? sizes[from] : whole;
        if (at) memcpy(e->support_at + t * n, at + from * n, n * sizeof *at);
        if (!at) memcpy(e->support_x + t * in, x + from * in, in * sizeof *x);
        memcpy(e->support_y + t * out, y + from * out, out * sizeof *y);
    }
}

static clm_status losses_of(clm_evaluator *e, const clm_example_set *support, int steps, double *losses) {
    const clm_example_set query = {.count = e->query}; /* nothing is predicted */
    CLM_TRY(clm_evaluator_begin(e, e->on_query, support, &query));
    for (int k = 0; k < steps; k++) CLM_TRY(clm_learner_step(e->on_query, NULL));
    return clm_learner_step(e->on_query, losses);
}

clm_status clm_evaluator_support_losses(clm_evaluator *e, const float *support_x, const int32_t *support_at,
                                        const float *support_y, const clm_task_size *sizes, int tasks, int steps,
                                        double *losses) {
    const int chunk = e->options.chunk;
    if (!e->n_starts) return clm_fail(CLM_E_STATE, "evaluator: several initialisations come first, by clm_evaluator_load_all");
    if (sizes && !e->sizes)
        return clm_fail(CLM_E_STATE, "evaluator: tasks are planned as of one size; set ways_least or shots_least");
    if (support_at && !e->support_at) return clm_fail(CLM_E_STATE, "evaluator: numbers of images, and no data set");
    const clm_example_set set = {e->support_x, e->support_y, support_at ? e->support_at : NULL, e->support, true};
    for (size_t s = 0; s < e->n_starts; s++) {
        CLM_TRY(clm_learner_set_params(e->on_query, e->starts[s]));
        for (int first = 0; first < tasks; first += chunk) {
            take_chunk(e, support_x, support_at, support_y, sizes, first, tasks);
            CLM_TRY(losses_of(e, &set, steps, e->start_losses));
            for (int t = first; t < tasks && t < first + chunk; t++)
                losses[s * (size_t)tasks + (size_t)t] = e->start_losses[t - first];
        }
    }
    return CLM_OK;
}
