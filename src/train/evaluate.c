/* Evaluation of a meta-learned start: the learner adapts `chunk` tasks at once and predicts after every step.
 *
 * Tasks come from their index alone, so a result does not depend on the chunk. When the number of tasks is no multiple of it the
 * last chunk runs past the end and the surplus is not counted. Scores are computed here in double from the outputs.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/interval.h"
#include "train/evaluator.h"

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
    if (e->options.task.uneven) {
        CLM_NEW(e->sizes, chunk);
        CLM_NEW(e->told, chunk);
        for (size_t t = 0; t < chunk; t++) e->sizes[t] = (clm_task_size){0, (int32_t)e->support, (int32_t)e->query};
    }
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
    if (o->ways_least < 0 || o->ways_least > o->ways || o->shots_least < 0 || o->shots_least > o->shots)
        return clm_fail(CLM_E_ARG, "evaluator: ways_least %d and shots_least %d must be from 0 to ways %d and shots %d",
                        o->ways_least, o->shots_least, o->ways, o->shots);
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
    CLM_TRY(clm_train_check_loss(source, &options->task));
    CLM_NEW(e, 1);
    e->source = source;
    e->options = *options;
    e->options.task.uneven = options->ways_least > 0 || options->shots_least > 0;
    e->out = (size_t)clm_source_outputs(source, options->ways);
    CLM_GOTO(make_own(e, model));
    e->regression = clm_source_is_regression(source);
    e->support = (size_t)options->ways * (size_t)options->shots;
    e->query = (size_t)options->ways * (size_t)options->query;
    e->example = clm_shape_size(&in);
    e->target = clm_shape_size(&target);
    e->unit = unit_of(source);
    CLM_GOTO(check_output(e));
    CLM_GOTO(clm_train_check_tokens(source, model, NULL));
    CLM_GOTO(allocate(e));
    CLM_GOTO(create_learner(&e->on_query, device, e, options->singly ? 1 : e->query));
    if (options->with_support) {
        if (options->singly || (e->support == e->query && !e->options.task.uneven))
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
    free(e->sizes);
    free(e->told);
    free(e->one_x);
    free(e->one_at);
    free(e->one_output);
    clm_task_scores_free(&e->kept);
    clm_evaluator_choose_free(e);
    free(e->scores);
    free(e->of_ranks);
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
    e->n_starts = 0;
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

/* Classes of a task, or numbers of its targets. */
static size_t outputs_of(const clm_evaluator *e, size_t task) {
    return e->sizes && e->sizes[task].ways ? (size_t)e->sizes[task].ways : e->out;
}

static size_t count_of(const clm_evaluator *e, const clm_example_set *set, size_t task) {
    if (!e->sizes) return set->count;
    return (size_t)(set->support ? e->sizes[task].support : e->sizes[task].query);
}

double clm_evaluator_score_task(const clm_evaluator *e, const double *outputs, const clm_example_set *set, size_t t,
                                double *loss) {
    const size_t count = count_of(e, set, t);
    const float *targets = set->y + t * set->count * e->target;
    outputs += t * set->count * e->out;
    double total = 0, sum = 0;
    for (size_t i = 0; i < count; i++) {
        const double *out = outputs + i * e->out;
        if (e->regression)
            total += squared_error(out, targets + i * e->target, e->target);
        else
            total += classify(out, outputs_of(e, t), (size_t)targets[i], &sum);
    }
    *loss = (e->regression ? total : sum) / (double)count;
    return (e->regression ? e->unit * total : total) / (double)count;
}

/* Example i of every task, on its own. */
static clm_status predict_one(clm_evaluator *e, clm_learner *learner, const clm_example_set *set, size_t i) {
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
clm_status clm_evaluator_predict(clm_evaluator *e, clm_learner *learner, const clm_example_set *set) {
    if (e->options.singly) {
        for (size_t i = 0; i < set->count; i++) CLM_TRY(predict_one(e, learner, set, i));
        return CLM_OK;
    }
    return set->at ? clm_learner_predict_at(learner, set->at, e->outputs)
                   : clm_learner_predict(learner, set->x, set->count, e->outputs);
}

void clm_moments_add(clm_moments *m, double score, double loss) {
    if (m->tape) {
        *m->tape++ = (clm_task_score){score, loss};
        return;
    }
    m->sum += score;
    m->squares += score * score;
    m->loss += loss;
}

/* kept: [tasks], or NULL. */
static void add_scores(const clm_evaluator *e, const double *outputs, const clm_example_set *set, int tasks, clm_moments *m,
                       double *kept) {
    for (size_t t = 0; t < (size_t)tasks; t++) {
        double loss;
        const double score = clm_evaluator_score_task(e, outputs, set, t, &loss);
        clm_moments_add(m, score, loss);
        if (kept) kept[t] = score;
    }
}

static clm_status score_chunk(clm_evaluator *e, clm_learner *learner, const clm_example_set *set, int tasks, clm_moments *m,
                              double *kept) {
    CLM_TRY(clm_evaluator_predict(e, learner, set));
    add_scores(e, e->outputs, set, tasks, m, kept);
    return CLM_OK;
}

clm_status clm_evaluator_begin(clm_evaluator *e, clm_learner *learner, const clm_example_set *support,
                               const clm_example_set *scored) {
    for (size_t t = 0; e->sizes && t < (size_t)e->options.chunk; t++) {
        e->told[t] = e->sizes[t];
        e->told[t].query = e->options.singly ? 1 : (int32_t)count_of(e, scored, t);
    }
    if (e->sizes) CLM_TRY(clm_learner_set_sizes(learner, e->told));
    return support->at ? clm_learner_begin_at(learner, support->at, support->y)
                       : clm_learner_begin(learner, support->x, support->y);
}

/* One chunk through all steps; `tasks` of its tasks count, the first of which is number `done` of the run. */
static clm_status run_chunk(clm_evaluator *e, int done, int tasks, int steps, bool ends_only, clm_moments *query,
                            clm_moments *support) {
    const clm_example_set support_set = {e->support_x, e->support_y, e->support_at, e->support, true};
    const clm_example_set query_set = {e->query_x, e->query_y, e->query_at, e->query, false};
    bool second = e->on_support && e->on_support != e->on_query;
    CLM_TRY(clm_evaluator_begin(e, e->on_query, &support_set, &query_set));
    if (second) CLM_TRY(clm_evaluator_begin(e, e->on_support, &support_set, &support_set));
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
        const size_t n = outputs_of(e, i / e->query);
        for (size_t j = 1; j < n; j++) most = fmax(most, out[j]);
        for (size_t j = 0; j < n; j++) sum += exp(out[j] - most);
        for (size_t j = 0; j < n; j++) to[j] += share * (e->regression ? out[j] : exp(out[j] - most) / sum);
    }
}

/* One chunk by every member; the scores are of logarithms, as outputs are, of the mean. */
static clm_status run_chunk_together(clm_evaluator *e, clm_params *const *members, size_t n, int done, int tasks, int steps,
                                     double *votes, clm_moments *query) {
    const clm_example_set support_set = {e->support_x, e->support_y, e->support_at, e->support, true};
    const clm_example_set query_set = {e->query_x, e->query_y, e->query_at, e->query, false};
    const size_t examples = (size_t)e->options.chunk * e->query, numbers = examples * e->out;
    memset(votes, 0, (size_t)(steps + 1) * numbers * sizeof *votes);
    for (size_t m = 0; m < n; m++) {
        CLM_TRY(clm_learner_set_params(e->on_query, members[m]));
        CLM_TRY(clm_evaluator_begin(e, e->on_query, &support_set, &query_set));
        for (int k = 0; k <= steps; k++) {
            if (k > 0) CLM_TRY(clm_learner_step(e->on_query, NULL));
            CLM_TRY(clm_evaluator_predict(e, e->on_query, &query_set));
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

/* Where task t of a chunk goes. */
static clm_episode place_of(const clm_evaluator *e, size_t t) {
    const size_t support = t * e->support, query = t * e->query;
    clm_episode to = {.support_y = e->support_y + support * e->target, .query_y = e->query_y + query * e->target};
    if (e->sizes) to.size = &e->sizes[t];
    if (e->query_at) {
        to.support_at = e->support_at + support;
        to.query_at = e->query_at + query;
    } else {
        to.support_x = e->support_x + support * e->example;
        to.query_x = e->query_x + query * e->example;
    }
    return to;
}

/* The tasks from `first` on, as many as count. The rest of a chunk is what it was: no task looks at another. */
static clm_status draw_chunk(clm_evaluator *e, clm_split split, uint64_t seed, uint64_t first, int count) {
    const size_t tasks = (size_t)count, numbers = tasks * e->example;
    const clm_episode_options kind = clm_evaluator_episodes(&e->options);
    for (size_t t = 0; t < tasks; t++) {
        const clm_episode to = place_of(e, t);
        CLM_TRY(clm_source_draw(e->source, split, seed, first + t, &kind, &to));
    }
    if (e->query_at || !clm_train_looks_at_tokens(e->source, e->model)) return CLM_OK;
    return clm_train_check_task(e->source, e->model, e->support_x, numbers * e->support, e->query_x, numbers * e->query);
}

double clm_score_half(double variance, size_t n) { return clm_interval_half(variance, (double)n); }

static clm_score summary(const clm_moments *m, int tasks) {
    const double n = tasks, mean = m->sum / n;
    return (clm_score){mean, tasks < 2 ? NAN : clm_interval_half((m->squares - n * mean * mean) / (n - 1), n)};
}

static void summarise(clm_scores *scores, const clm_run_over *r) {
    memset(scores, 0, sizeof *scores);
    scores->steps = r->steps;
    scores->tasks = r->done;
    for (int k = 0; k <= r->steps && r->done > 0; k++) {
        scores->query[k] = summary(&r->query[k], r->done);
        scores->support[k] = summary(&r->support[k], r->done);
        scores->query_loss[k] = r->query[k].loss / r->done;
    }
}

static clm_status check_run(const clm_evaluator *e, int tasks, int steps) {
    const int size = clm_comm_size(e->options.comm);
    if (e->n_starts && size > 1)
        return clm_fail(CLM_E_ARG, "evaluation of several initialisations is for one process, not for %d ranks", size);
    if (tasks >= 1 && steps >= 0 && steps <= CLM_SCORE_STEPS_MOST) return CLM_OK;
    return clm_fail(CLM_E_ARG, "evaluation of %d tasks over %d steps; at least 1 task, and 0 to %d steps", tasks, steps,
                    CLM_SCORE_STEPS_MOST);
}

clm_status clm_evaluator_run_chunk(clm_evaluator *e, clm_run_over *r, int at, int tasks) {
    CLM_TRY(draw_chunk(e, r->split, r->seed, r->first + (uint64_t)at, tasks));
    if (r->members) return run_chunk_together(e, r->members, r->n_members, at, tasks, r->steps, r->votes, r->query);
    return e->n_starts ? clm_evaluator_run_choosing(e, at, tasks, r->steps, r->ends_only, r->query, r->support)
                       : run_chunk(e, at, tasks, r->steps, r->ends_only, r->query, r->support);
}

clm_status clm_evaluator_run(clm_evaluator *e, clm_split split, uint64_t seed, uint64_t first, int tasks, int steps,
                             bool ends_only, clm_scores *scores) {
    clm_run_over r = {.split = split, .seed = seed, .first = first, .tasks = tasks, .steps = steps, .ends_only = ends_only};
    CLM_TRY(check_run(e, tasks, steps));
    if (e->options.keep) CLM_TRY(clm_task_scores_begin(&e->kept, split, seed, first, tasks, steps));
    CLM_TRY(clm_evaluator_choose_begin(e, tasks, steps));
    CLM_TRY(clm_evaluator_run_all(e, &r));
    e->kept.done = r.done;
    summarise(scores, &r);
    return CLM_OK;
}

clm_status clm_evaluator_run_ensemble(clm_evaluator *e, clm_params *const *members, size_t n, clm_split split, uint64_t seed,
                                      uint64_t first, int tasks, int steps, clm_scores *scores) {
    clm_run_over r = {
        .split = split, .seed = seed, .first = first, .tasks = tasks, .steps = steps, .members = members, .n_members = n};
    clm_status status = CLM_OK;
    e->n_starts = 0; /* the members are one each */
    e->chose = false;
    CLM_TRY(check_run(e, tasks, steps));
    if (e->options.keep) CLM_TRY(clm_task_scores_begin(&e->kept, split, seed, first, tasks, steps));
    CLM_NEW(r.votes, (size_t)(steps + 1) * (size_t)e->options.chunk * e->query * e->out);
    CLM_GOTO(clm_evaluator_run_all(e, &r));
    e->kept.done = r.done;
    summarise(scores, &r);
out:
    free(r.votes);
    return status;
}

const double *clm_evaluator_scores(const clm_evaluator *e, int k) {
    return e->options.keep && e->kept.done > 0 && k >= 0 && k <= e->kept.steps ? clm_task_scores_at(&e->kept, k, 0) : NULL;
}

clm_status clm_evaluator_save_scores(const clm_evaluator *e, const char *path) {
    return clm_task_scores_save(&e->kept, e->source, &e->options, clm_model_bn_name(e->model, e->options.bn_mode), path);
}
