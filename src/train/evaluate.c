/* Evaluation of a meta-learned start: the learner adapts `chunk` tasks at once and predicts after every step.
 *
 * Tasks come from their index alone, so a result does not depend on the chunk. When the number of tasks is no multiple of it the
 * last chunk runs past the end and the surplus is not counted. Scores are computed here in double from the outputs.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/internal.h"
#include "train/scores.h"

typedef struct moments {
    double sum, squares, loss;
} moments;

struct clm_evaluator {
    const clm_source *source;
    const clm_model *model;
    clm_model *own; /* where it is not the one that was trained */
    clm_evaluator_options options;
    bool regression;
    size_t support, query;              /* counts of one task */
    size_t example, out, target;        /* elements of one example, one output, one y */
    double unit;                        /* of errors, squared: that of the data where there is one target */
    clm_learner *on_query, *on_support; /* on_support: NULL, or on_query when the sets are of one size */
    float *support_x, *support_y, *query_x, *query_y;
    int32_t *support_at, *query_at; /* numbers of images instead of images, or NULL */
    double *outputs;
    float *one_x; /* of `singly`: one example of every task, and its outputs */
    int32_t *one_at;
    double *one_output;
    clm_task_scores kept;
};

static clm_status create_learner(clm_learner **out, clm_device *device, const clm_evaluator *e, size_t query) {
    clm_learner_options options = CLM_LEARNER_OPTIONS_INIT;
    options.tasks = e->options.chunk;
    options.task = e->options.task;
    options.task.support = (int)e->support;
    options.task.query = (int)query;
    options.bn_mode = e->options.bn_mode;
    return clm_learner_create(out, device, e->model, &options);
}

static clm_status allocate(clm_evaluator *e) {
    clm_status status = CLM_OK;
    size_t chunk = (size_t)e->options.chunk, most = e->query > e->support ? e->query : e->support;
    CLM_NEW(e->support_x, chunk * e->support * e->example);
    CLM_NEW(e->support_y, chunk * e->support * e->target);
    CLM_NEW(e->query_x, chunk * e->query * e->example);
    CLM_NEW(e->query_y, chunk * e->query * e->target);
    CLM_NEW(e->outputs, chunk * most * e->out);
    if (!e->options.singly) return CLM_OK;
    CLM_NEW(e->one_x, chunk * e->example);
    CLM_NEW(e->one_at, chunk);
    CLM_NEW(e->one_output, chunk * e->out);
out:
    return status;
}

/* Several targets have no unit in common: their errors stay as they are standardised. */
static double unit_of(const clm_source *source) {
    const double *deviation;
    const bool units = clm_source_target_units(source, NULL, &deviation) && clm_source_target_shape(source).dim[0] == 1;
    return units ? deviation[0] * deviation[0] : 1;
}

const char *clm_score_metric(const clm_source *source) {
    if (!clm_source_is_regression(source)) return "accuracy";
    if (!clm_source_target_units(source, NULL, NULL)) return "mean squared error";
    return clm_source_target_shape(source).dim[0] == 1 ? "mean squared error in the unit of the target"
                                                       : "mean squared error of standardised targets";
}

static clm_status check(const clm_evaluator_options *o) {
    if (o->version != CLM_EVALUATOR_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "clm_evaluator_options of version %d; begin them with CLM_EVALUATOR_OPTIONS_INIT",
                        o->version);
    if (o->ways < 1 || o->shots < 1 || o->query < 1 || o->chunk < 1)
        return clm_fail(CLM_E_ARG, "evaluator: ways %d, shots %d, query %d and chunk %d must be at least 1", o->ways, o->shots,
                        o->query, o->chunk);
    return CLM_OK;
}

bool clm_task_is_joint(const clm_task_options *task) { return task->algorithm && strcmp(task->algorithm, "finetune") == 0; }

/* The model that adapts to tasks, where it is another one than is trained. */
static clm_status make_own(clm_evaluator *e, const clm_model *model) {
    clm_status status = CLM_OK;
    if (clm_task_is_joint(&e->options.task)) status = clm_model_with_outputs(&e->own, model, (int)e->out);
    e->model = e->own ? e->own : model;
    return status == CLM_OK ? status : clm_fail_in(status, "algorithm %s", e->options.task.algorithm);
}

/* A classifier has one output per way, a regression as many as the target; an embedding is scored by its distances. */
static clm_status check_output(const clm_evaluator *e) {
    const clm_shape out = clm_model_out_shape(e->model);
    char text[96];
    if (clm_algorithm_uses(e->options.task.algorithm, "ways")) return CLM_OK;
    if (out.rank == 1 && (size_t)out.dim[0] == e->out) return CLM_OK;
    return clm_fail(CLM_E_SHAPE, "the model's output is %s for one example; these tasks need [%zu]",
                    clm_shape_text(&out, text, sizeof text), e->out);
}

clm_status clm_evaluator_create(clm_evaluator **out, clm_device *device, const clm_source *source, const clm_model *model,
                                const clm_evaluator_options *options) {
    clm_status status = CLM_OK;
    clm_shape in = clm_source_example_shape(source), target = clm_source_target_shape(source);
    clm_evaluator *e = NULL;
    *out = NULL;
    CLM_TRY(check(options));
    CLM_NEW(e, 1);
    e->source = source;
    e->options = *options;
    e->out = (size_t)clm_source_outputs(source, options->ways);
    CLM_GOTO(make_own(e, model));
    e->regression = clm_source_is_regression(source);
    e->support = (size_t)options->ways * (size_t)options->shots;
    e->query = (size_t)options->ways * (size_t)options->query;
    e->example = clm_shape_size(&in);
    e->target = clm_shape_size(&target);
    e->unit = unit_of(source);
    CLM_GOTO(check_output(e));
    CLM_GOTO(allocate(e));
    CLM_GOTO(create_learner(&e->on_query, device, e, options->singly ? 1 : e->query));
    if (options->with_support) {
        if (options->singly || e->support == e->query)
            e->on_support = e->on_query;
        else
            CLM_GOTO(create_learner(&e->on_support, device, e, e->support));
    }
    *out = e;
    e = NULL;
out:
    clm_evaluator_free(e);
    return status;
}

void clm_evaluator_free(clm_evaluator *e) {
    if (!e) return;
    if (e->on_support != e->on_query) clm_learner_free(e->on_support);
    clm_learner_free(e->on_query);
    free(e->support_x);
    free(e->support_y);
    free(e->query_x);
    free(e->query_y);
    free(e->support_at);
    free(e->query_at);
    clm_model_free(e->own);
    free(e->outputs);
    free(e->one_x);
    free(e->one_at);
    free(e->one_output);
    clm_task_scores_free(&e->kept);
    free(e);
}

clm_status clm_evaluator_use_data(clm_evaluator *e, clm_dataset *dataset) {
    clm_status status = CLM_OK;
    CLM_GOTO(clm_learner_use_data(e->on_query, dataset));
    if (e->on_support && e->on_support != e->on_query) CLM_GOTO(clm_learner_use_data(e->on_support, dataset));
    free(e->support_at);
    free(e->query_at);
    e->support_at = e->query_at = NULL;
    if (!dataset) return CLM_OK;
    CLM_NEW(e->support_at, (size_t)e->options.chunk * e->support);
    CLM_NEW(e->query_at, (size_t)e->options.chunk * e->query);
out:
    return status;
}

clm_status clm_evaluator_load(clm_evaluator *e, clm_params *params) {
    CLM_TRY(clm_learner_set_params(e->on_query, params));
    return e->on_support && e->on_support != e->on_query ? clm_learner_set_params(e->on_support, params) : CLM_OK;
}

/* Right answers are counted strictly: an output that is not a number is wrong. Adds the cross-entropy to *loss. */
static bool classify(const double *out, size_t n, size_t label, double *loss) {
    size_t best = 0;
    double sum = 0;
    for (size_t j = 1; j < n; j++)
        if (out[j] > out[best]) best = j;
    for (size_t j = 0; j < n; j++) sum += exp(out[j] - out[best]);
    *loss += log(sum) + out[best] - out[label];
    return best == label && isfinite(sum);
}

static double squared_error(const double *out, const float *target, size_t n) {
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        double d = out[k] - (double)target[k];
        sum += d * d;
    }
    return sum / (double)n;
}

/* Score of one task's outputs [count, out]. */
static double score_task(const clm_evaluator *e, const double *outputs, const float *targets, size_t count, double *loss) {
    double total = 0, sum = 0;
    for (size_t i = 0; i < count; i++) {
        const double *out = outputs + i * e->out;
        if (e->regression)
            total += squared_error(out, targets + i * e->target, e->target);
        else
            total += classify(out, e->out, (size_t)targets[i], &sum);
    }
    *loss = (e->regression ? total : sum) / (double)count;
    return (e->regression ? e->unit * total : total) / (double)count;
}

/* A set of examples: images, or their numbers. */
typedef struct example_set {
    const float *x, *y;
    const int32_t *at;
    size_t count; /* of a task */
} example_set;

/* Example i of every task, on its own. */
static clm_status predict_one(clm_evaluator *e, clm_learner *learner, const example_set *set, size_t i) {
    const size_t tasks = (size_t)e->options.chunk, bytes = e->example * sizeof *set->x;
    for (size_t t = 0; t < tasks && set->at; t++) e->one_at[t] = set->at[t * set->count + i];
    for (size_t t = 0; t < tasks && !set->at; t++)
        memcpy(e->one_x + t * e->example, set->x + (t * set->count + i) * e->example, bytes);
    CLM_TRY(set->at ? clm_learner_predict_at(learner, e->one_at, e->one_output)
                    : clm_learner_predict(learner, e->one_x, 1, e->one_output));
    for (size_t t = 0; t < tasks; t++)
        memcpy(e->outputs + (t * set->count + i) * e->out, e->one_output + t * e->out, e->out * sizeof *e->outputs);
    return CLM_OK;
}

/* Into e->outputs. */
static clm_status predict(clm_evaluator *e, clm_learner *learner, const example_set *set) {
    if (e->options.singly) {
        for (size_t i = 0; i < set->count; i++) CLM_TRY(predict_one(e, learner, set, i));
        return CLM_OK;
    }
    return set->at ? clm_learner_predict_at(learner, set->at, e->outputs)
                   : clm_learner_predict(learner, set->x, set->count, e->outputs);
}

/* kept: [tasks], or NULL. */
static void add_scores(const clm_evaluator *e, const double *outputs, const example_set *set, int tasks, moments *m,
                       double *kept) {
    const size_t count = set->count;
    for (size_t t = 0; t < (size_t)tasks; t++) {
        double loss, score = score_task(e, outputs + t * count * e->out, set->y + t * count * e->target, count, &loss);
        m->sum += score;
        m->squares += score * score;
        m->loss += loss;
        if (kept) kept[t] = score;
    }
}

static clm_status score_chunk(clm_evaluator *e, clm_learner *learner, const example_set *set, int tasks, moments *m,
                              double *kept) {
    CLM_TRY(predict(e, learner, set));
    add_scores(e, e->outputs, set, tasks, m, kept);
    return CLM_OK;
}

static clm_status begin(clm_learner *learner, const example_set *support) {
    return support->at ? clm_learner_begin_at(learner, support->at, support->y)
                       : clm_learner_begin(learner, support->x, support->y);
}

/* One chunk through all steps; `tasks` of its tasks count, the first of which is number `done` of the run. */
static clm_status run_chunk(clm_evaluator *e, int done, int tasks, int steps, bool ends_only, moments *query,
                            moments *support) {
    const example_set support_set = {e->support_x, e->support_y, e->support_at, e->support};
    const example_set query_set = {e->query_x, e->query_y, e->query_at, e->query};
    bool second = e->on_support && e->on_support != e->on_query;
    CLM_TRY(begin(e->on_query, &support_set));
    if (second) CLM_TRY(begin(e->on_support, &support_set));
    for (int k = 0; k <= steps; k++) {
        if (k > 0) {
            CLM_TRY(clm_learner_step(e->on_query, NULL));
            if (second) CLM_TRY(clm_learner_step(e->on_support, NULL));
        }
        if (ends_only && k > 0 && k < steps) continue;
        CLM_TRY(score_chunk(e, e->on_query, &query_set, tasks, &query[k], clm_task_scores_at(&e->kept, k, done)));
        if (e->on_support) CLM_TRY(score_chunk(e, e->on_support, &support_set, tasks, &support[k], NULL));
    }
    return CLM_OK;
}

/* ---- ensembles ---- */

/* Adds a member's share to the votes: outputs of a regression as they are, others through softmax. */
static void add_votes(const clm_evaluator *e, size_t examples, double share, double *votes) {
    for (size_t i = 0; i < examples; i++) {
        const double *out = e->outputs + i * e->out;
        double *to = votes + i * e->out, most = out[0], sum = 0;
        for (size_t j = 1; j < e->out; j++) most = fmax(most, out[j]);
        for (size_t j = 0; j < e->out; j++) sum += exp(out[j] - most);
        for (size_t j = 0; j < e->out; j++) to[j] += share * (e->regression ? out[j] : exp(out[j] - most) / sum);
    }
}

/* One chunk by every member; the scores are of logarithms, as outputs are, of the mean. */
static clm_status run_chunk_together(clm_evaluator *e, clm_params *const *members, size_t n, int done, int tasks, int steps,
                                     double *votes, moments *query) {
    const example_set support_set = {e->support_x, e->support_y, e->support_at, e->support};
    const example_set query_set = {e->query_x, e->query_y, e->query_at, e->query};
    const size_t examples = (size_t)e->options.chunk * e->query, numbers = examples * e->out;
    memset(votes, 0, (size_t)(steps + 1) * numbers * sizeof *votes);
    for (size_t m = 0; m < n; m++) {
        CLM_TRY(clm_learner_set_params(e->on_query, members[m]));
        CLM_TRY(begin(e->on_query, &support_set));
        for (int k = 0; k <= steps; k++) {
            if (k > 0) CLM_TRY(clm_learner_step(e->on_query, NULL));
            CLM_TRY(predict(e, e->on_query, &query_set));
            add_votes(e, examples, 1.0 / (double)n, votes + (size_t)k * numbers);
        }
    }
    for (int k = 0; k <= steps; k++) {
        double *mean = votes + (size_t)k * numbers;
        for (size_t i = 0; i < numbers && !e->regression; i++) mean[i] = log(mean[i]);
        add_scores(e, mean, &query_set, tasks, &query[k], clm_task_scores_at(&e->kept, k, done));
    }
    return CLM_OK;
}

/* ---- runs ---- */

/* Fills tasks first .. first+count-1 of a sequence into arrays [count, n, ..]. */
static clm_status sample(const clm_source *source, clm_split split, uint64_t seed, uint64_t first, int count, int ways,
                         int shots, int query, float *support_x, float *support_y, float *query_x, float *query_y) {
    const clm_shape shape = clm_source_example_shape(source), of_target = clm_source_target_shape(source);
    const size_t example = clm_shape_size(&shape), target = clm_shape_size(&of_target);
    const size_t support = (size_t)ways * (size_t)shots, queries = (size_t)ways * (size_t)query;
    for (size_t t = 0; t < (size_t)count; t++)
        CLM_TRY(clm_source_sample(source, split, seed, first + t, ways, shots, query, support_x + t * support * example,
                                  support_y + t * support * target, query_x + t * queries * example,
                                  query_y + t * queries * target));
    return CLM_OK;
}

/* The tasks from `first` on, one chunk. */
static clm_status draw_chunk(clm_evaluator *e, clm_split split, uint64_t seed, uint64_t first) {
    const clm_evaluator_options *o = &e->options;
    if (!e->query_at)
        return sample(e->source, split, seed, first, o->chunk, o->ways, o->shots, o->query, e->support_x, e->support_y,
                      e->query_x, e->query_y);
    for (size_t t = 0; t < (size_t)o->chunk; t++)
        CLM_TRY(clm_source_sample_at(e->source, split, seed, first + t, o->ways, o->shots, o->query,
                                     e->support_at + t * e->support, e->support_y + t * e->support, e->query_at + t * e->query,
                                     e->query_y + t * e->query));
    return CLM_OK;
}

static clm_score summary(const moments *m, int tasks) {
    double n = tasks, mean = m->sum / n, variance = n > 1 ? (m->squares - n * mean * mean) / (n - 1) : 0;
    return (clm_score){mean, 1.96 * sqrt((variance > 0 ? variance : 0) / n)};
}

static void summarise(clm_scores *scores, const moments *query, const moments *support, int steps, int done) {
    memset(scores, 0, sizeof *scores);
    scores->steps = steps;
    scores->tasks = done;
    for (int k = 0; k <= steps && done > 0; k++) {
        scores->query[k] = summary(&query[k], done);
        scores->support[k] = summary(&support[k], done);
        scores->query_loss[k] = query[k].loss / done;
    }
}

static bool asks_to_stop(const clm_evaluator *e) { return e->options.stop && e->options.stop(e->options.user); }

static clm_status check_run(int tasks, int steps) {
    if (tasks >= 1 && steps >= 0 && steps <= CLM_SCORE_STEPS_MOST) return CLM_OK;
    return clm_fail(CLM_E_ARG, "evaluation of %d tasks over %d steps; at least 1 task, and 0 to %d steps", tasks, steps,
                    CLM_SCORE_STEPS_MOST);
}

clm_status clm_evaluator_run(clm_evaluator *e, clm_split split, uint64_t seed, uint64_t first, int tasks, int steps,
                             bool ends_only, clm_scores *scores) {
    moments query[CLM_SCORE_STEPS_MOST + 1] = {{0, 0, 0}}, support[CLM_SCORE_STEPS_MOST + 1] = {{0, 0, 0}};
    const clm_evaluator_options *o = &e->options;
    int done = 0;
    CLM_TRY(check_run(tasks, steps));
    if (o->keep) CLM_TRY(clm_task_scores_begin(&e->kept, split, seed, first, tasks, steps));
    while (done < tasks && !(done > 0 && asks_to_stop(e))) {
        int count = tasks - done < o->chunk ? tasks - done : o->chunk;
        CLM_TRY(draw_chunk(e, split, seed, first + (uint64_t)done));
        CLM_TRY(run_chunk(e, done, count, steps, ends_only, query, support));
        done += count;
    }
    e->kept.done = done;
    summarise(scores, query, support, steps, done);
    return CLM_OK;
}

clm_status clm_evaluator_run_ensemble(clm_evaluator *e, clm_params *const *members, size_t n, clm_split split, uint64_t seed,
                                      uint64_t first, int tasks, int steps, clm_scores *scores) {
    moments query[CLM_SCORE_STEPS_MOST + 1] = {{0, 0, 0}}, support[CLM_SCORE_STEPS_MOST + 1] = {{0, 0, 0}};
    const int chunk = e->options.chunk;
    clm_status status = CLM_OK;
    double *votes = NULL;
    int done = 0;
    CLM_TRY(check_run(tasks, steps));
    if (e->options.keep) CLM_TRY(clm_task_scores_begin(&e->kept, split, seed, first, tasks, steps));
    CLM_NEW(votes, (size_t)(steps + 1) * (size_t)chunk * e->query * e->out);
    while (done < tasks && !(done > 0 && asks_to_stop(e))) {
        int count = tasks - done < chunk ? tasks - done : chunk;
        CLM_GOTO(draw_chunk(e, split, seed, first + (uint64_t)done));
        CLM_GOTO(run_chunk_together(e, members, n, done, count, steps, votes, query));
        done += count;
    }
    e->kept.done = done;
    summarise(scores, query, support, steps, done);
out:
    free(votes);
    return status;
}

const double *clm_evaluator_scores(const clm_evaluator *e, int k) {
    return e->options.keep && e->kept.done > 0 && k >= 0 && k <= e->kept.steps ? clm_task_scores_at(&e->kept, k, 0) : NULL;
}

clm_status clm_evaluator_save_scores(const clm_evaluator *e, const char *path) {
    return clm_task_scores_save(&e->kept, e->source, &e->options, clm_model_bn_name(e->model, e->options.bn_mode), path);
}
