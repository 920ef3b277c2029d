/* Evaluation of a meta-learned start: the learner adapts `chunk` tasks at once and predicts after every step.
 *
 * Tasks come from their index alone, so a result does not depend on the chunk. When the number of tasks is no multiple of it the
 * last chunk runs past the end and the surplus is not counted. Scores are computed here in double from the outputs.
 */
#include "eval/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

typedef struct moments {
    double sum, squares, loss;
} moments;

struct cli_evaluator {
    const clm_source *source;
    const clm_model *model;
    clm_model *own; /* where it is not the one that was trained */
    cli_evaluator_options options;
    cli_task task;
    bool regression;
    size_t support, query;              /* counts of one task */
    size_t example, out, target;        /* elements of one example, one output, one y */
    double unit;                        /* of errors, squared: that of the data where there is one target */
    clm_learner *on_query, *on_support; /* on_support: NULL, or on_query when the sets are of one size */
    float *support_x, *support_y, *query_x, *query_y;
    int32_t *support_at, *query_at; /* numbers of images instead of images, or NULL */
    double *outputs;
};

static clm_status create_learner(clm_learner **out, clm_device *device, const cli_evaluator *e, size_t query) {
    clm_learner_options options = CLM_LEARNER_OPTIONS_INIT;
    options.tasks = e->options.chunk;
    options.task = e->task.options;
    options.task.support = (int)e->support;
    options.task.query = (int)query;
    options.bn_mode = e->options.bn;
    return clm_learner_create(out, device, e->model, &options);
}

static clm_status allocate(cli_evaluator *e) {
    clm_status status = CLM_OK;
    size_t chunk = (size_t)e->options.chunk, most = e->query > e->support ? e->query : e->support;
    CLI_NEW(e->support_x, chunk * e->support * e->example);
    CLI_NEW(e->support_y, chunk * e->support * e->target);
    CLI_NEW(e->query_x, chunk * e->query * e->example);
    CLI_NEW(e->query_y, chunk * e->query * e->target);
    CLI_NEW(e->outputs, chunk * most * e->out);
out:
    return status;
}

/* Several targets have no unit in common: their errors stay as they are standardised. */
static double unit_of(const clm_source *source) {
    const double *deviation;
    const bool units = clm_source_target_units(source, NULL, &deviation) && clm_source_target_shape(source).dim[0] == 1;
    return units ? deviation[0] * deviation[0] : 1;
}

const char *cli_score_metric(const clm_source *source) {
    if (!clm_source_is_regression(source)) return "accuracy";
    if (!clm_source_target_units(source, NULL, NULL)) return "mean squared error";
    return clm_source_target_shape(source).dim[0] == 1 ? "mean squared error in the unit of the target"
                                                       : "mean squared error of standardised targets";
}

clm_status cli_evaluator_create(cli_evaluator **out, clm_device *device, const clm_source *source, const clm_model *model,
                                const cli_settings *settings, const cli_evaluator_options *options) {
    clm_status status = CLM_OK;
    clm_shape in = clm_source_example_shape(source), target = clm_source_target_shape(source);
    cli_evaluator *e = NULL;
    *out = NULL;
    CLI_NEW(e, 1);
    e->source = source;
    CLI_GOTO(cli_setup_test_model(&e->own, settings, model));
    e->model = e->own ? e->own : model;
    e->options = *options;
    e->regression = clm_source_is_regression(source);
    e->support = (size_t)options->ways * (size_t)options->shots;
    e->query = (size_t)options->ways * (size_t)options->query;
    e->example = clm_shape_size(&in);
    e->target = clm_shape_size(&target);
    e->unit = unit_of(source);
    e->out = (size_t)cli_setup_outputs(settings, source);
    CLI_GOTO(cli_setup_task_options(&e->task, settings, e->model));
    CLI_GOTO(allocate(e));
    CLI_GOTO(create_learner(&e->on_query, device, e, e->query));
    if (options->with_support) {
        if (e->support == e->query)
            e->on_support = e->on_query;
        else
            CLI_GOTO(create_learner(&e->on_support, device, e, e->support));
    }
    *out = e;
    e = NULL;
out:
    cli_evaluator_free(e);
    return status;
}

void cli_evaluator_free(cli_evaluator *e) {
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
    free(e);
}

clm_status cli_evaluator_use_data(cli_evaluator *e, clm_dataset *dataset) {
    clm_status status = CLM_OK;
    CLI_GOTO(clm_learner_use_data(e->on_query, dataset));
    if (e->on_support && e->on_support != e->on_query) CLI_GOTO(clm_learner_use_data(e->on_support, dataset));
    free(e->support_at);
    free(e->query_at);
    e->support_at = e->query_at = NULL;
    if (!dataset) return CLM_OK;
    CLI_NEW(e->support_at, (size_t)e->options.chunk * e->support);
    CLI_NEW(e->query_at, (size_t)e->options.chunk * e->query);
out:
    return status;
}

clm_status cli_evaluator_load(cli_evaluator *e, clm_params *params) {
    CLI_TRY(clm_learner_set_params(e->on_query, params));
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
static double score_task(const cli_evaluator *e, const double *outputs, const float *targets, size_t count, double *loss) {
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

/* Into e->outputs. */
static clm_status predict(cli_evaluator *e, clm_learner *learner, const example_set *set) {
    return set->at ? clm_learner_predict_at(learner, set->at, e->outputs) : clm_learner_predict(learner, set->x, set->count, e->outputs);
}

static void add_scores(const cli_evaluator *e, const double *outputs, const example_set *set, int tasks, moments *m) {
    const size_t count = set->count;
    for (size_t t = 0; t < (size_t)tasks; t++) {
        double loss, score = score_task(e, outputs + t * count * e->out, set->y + t * count * e->target, count, &loss);
        m->sum += score;
        m->squares += score * score;
        m->loss += loss;
    }
}

static clm_status score_chunk(cli_evaluator *e, clm_learner *learner, const example_set *set, int tasks, moments *m) {
    CLI_TRY(predict(e, learner, set));
    add_scores(e, e->outputs, set, tasks, m);
    return CLM_OK;
}

static clm_status begin(clm_learner *learner, const example_set *support) {
    return support->at ? clm_learner_begin_at(learner, support->at, support->y)
                       : clm_learner_begin(learner, support->x, support->y);
}

/* One chunk through all steps; `tasks` of its tasks count. */
static clm_status run_chunk(cli_evaluator *e, int tasks, int steps, bool ends_only, moments *query, moments *support) {
    const example_set support_set = {e->support_x, e->support_y, e->support_at, e->support};
    const example_set query_set = {e->query_x, e->query_y, e->query_at, e->query};
    bool second = e->on_support && e->on_support != e->on_query;
    CLI_TRY(begin(e->on_query, &support_set));
    if (second) CLI_TRY(begin(e->on_support, &support_set));
    for (int k = 0; k <= steps; k++) {
        if (k > 0) {
            CLI_TRY(clm_learner_step(e->on_query, NULL));
            if (second) CLI_TRY(clm_learner_step(e->on_support, NULL));
        }
        if (ends_only && k > 0 && k < steps) continue;
        CLI_TRY(score_chunk(e, e->on_query, &query_set, tasks, &query[k]));
        if (e->on_support) CLI_TRY(score_chunk(e, e->on_support, &support_set, tasks, &support[k]));
    }
    return CLM_OK;
}

/* ---- ensembles ---- */

/* Adds a member's share to the votes: outputs of a regression as they are, others through softmax. */
static void add_votes(const cli_evaluator *e, size_t examples, double share, double *votes) {
    for (size_t i = 0; i < examples; i++) {
        const double *out = e->outputs + i * e->out;
        double *to = votes + i * e->out, most = out[0], sum = 0;
        for (size_t j = 1; j < e->out; j++) most = fmax(most, out[j]);
        for (size_t j = 0; j < e->out; j++) sum += exp(out[j] - most);
        for (size_t j = 0; j < e->out; j++) to[j] += share * (e->regression ? out[j] : exp(out[j] - most) / sum);
    }
}

/* One chunk by every member; the scores are of logarithms, as outputs are, of the mean. */
static clm_status run_chunk_together(cli_evaluator *e, clm_params *const *members, size_t n, int tasks, int steps,
                                     double *votes, moments *query) {
    const example_set support_set = {e->support_x, e->support_y, e->support_at, e->support};
    const example_set query_set = {e->query_x, e->query_y, e->query_at, e->query};
    const size_t examples = (size_t)e->options.chunk * e->query, numbers = examples * e->out;
    memset(votes, 0, (size_t)(steps + 1) * numbers * sizeof *votes);
    for (size_t m = 0; m < n; m++) {
        CLI_TRY(clm_learner_set_params(e->on_query, members[m]));
        CLI_TRY(begin(e->on_query, &support_set));
        for (int k = 0; k <= steps; k++) {
            if (k > 0) CLI_TRY(clm_learner_step(e->on_query, NULL));
            CLI_TRY(predict(e, e->on_query, &query_set));
            add_votes(e, examples, 1.0 / (double)n, votes + (size_t)k * numbers);
        }
    }
    for (int k = 0; k <= steps; k++) {
        double *mean = votes + (size_t)k * numbers;
        for (size_t i = 0; i < numbers && !e->regression; i++) mean[i] = log(mean[i]);
        add_scores(e, mean, &query_set, tasks, &query[k]);
    }
    return CLM_OK;
}

/* ---- runs ---- */

/* The tasks from `first` on, one chunk. */
static clm_status draw_chunk(cli_evaluator *e, clm_split split, uint64_t seed, uint64_t first) {
    const cli_evaluator_options *o = &e->options;
    if (!e->query_at)
        return cli_setup_sample(e->source, split, seed, first, o->chunk, o->ways, o->shots, o->query, e->support_x,
                                e->support_y, e->query_x, e->query_y);
    for (size_t t = 0; t < (size_t)o->chunk; t++)
        CLI_TRY(clm_source_sample_at(e->source, split, seed, first + t, o->ways, o->shots, o->query,
                                     e->support_at + t * e->support, e->support_y + t * e->support, e->query_at + t * e->query,
                                     e->query_y + t * e->query));
    return CLM_OK;
}

static cli_score summary(const moments *m, int tasks) {
    double n = tasks, mean = m->sum / n, variance = n > 1 ? (m->squares - n * mean * mean) / (n - 1) : 0;
    return (cli_score){mean, 1.96 * sqrt((variance > 0 ? variance : 0) / n)};
}

static void summarise(cli_scores *scores, const moments *query, const moments *support, int steps, int done) {
    memset(scores, 0, sizeof *scores);
    scores->steps = steps;
    scores->tasks = done;
    for (int k = 0; k <= steps && done > 0; k++) {
        scores->query[k] = summary(&query[k], done);
        scores->support[k] = summary(&support[k], done);
        scores->query_loss[k] = query[k].loss / done;
    }
}

clm_status cli_evaluator_run(cli_evaluator *e, clm_split split, uint64_t seed, uint64_t first, int tasks, int steps,
                             bool ends_only, cli_scores *scores) {
    moments query[CLI_MAX_STEPS + 1] = {{0, 0, 0}}, support[CLI_MAX_STEPS + 1] = {{0, 0, 0}};
    const cli_evaluator_options *o = &e->options;
    int done = 0;
    while (done < tasks && !(done > 0 && cli_stop_requested())) {
        int count = tasks - done < o->chunk ? tasks - done : o->chunk;
        CLI_TRY(draw_chunk(e, split, seed, first + (uint64_t)done));
        CLI_TRY(run_chunk(e, count, steps, ends_only, query, support));
        done += count;
    }
    summarise(scores, query, support, steps, done);
    return CLM_OK;
}

clm_status cli_evaluator_run_ensemble(cli_evaluator *e, clm_params *const *members, size_t n, clm_split split, uint64_t seed,
                                      uint64_t first, int tasks, int steps, cli_scores *scores) {
    moments query[CLI_MAX_STEPS + 1] = {{0, 0, 0}}, support[CLI_MAX_STEPS + 1] = {{0, 0, 0}};
    const int chunk = e->options.chunk;
    clm_status status = CLM_OK;
    double *votes = NULL;
    int done = 0;
    CLI_NEW(votes, (size_t)(steps + 1) * (size_t)chunk * e->query * e->out);
    while (done < tasks && !(done > 0 && cli_stop_requested())) {
        int count = tasks - done < chunk ? tasks - done : chunk;
        CLI_GOTO(draw_chunk(e, split, seed, first + (uint64_t)done));
        CLI_GOTO(run_chunk_together(e, members, n, count, steps, votes, query));
        done += count;
    }
    summarise(scores, query, support, steps, done);
out:
    free(votes);
    return status;
}

cli_text cli_score_text(double score, bool regression) {
    cli_text text;
    if (regression)
        snprintf(text.s, sizeof text.s, "%.4g", score);
    else
        snprintf(text.s, sizeof text.s, "%.1f %%", 100 * score);
    return text;
}

bool cli_score_is_shown(int k, int steps) { return steps <= 20 || k % 10 == 0 || k == 1 || k == steps; }

cli_text cli_score_interval_text(const cli_score *score, bool regression) {
    cli_text text;
    if (regression)
        snprintf(text.s, sizeof text.s, "%.4f +- %.4f", score->mean, score->half);
    else
        snprintf(text.s, sizeof text.s, "%.2f +- %.2f %%", 100 * score->mean, 100 * score->half);
    return text;
}
