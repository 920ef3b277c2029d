/* The training loop.
 *
 * Iteration i trains on tasks i T .. i T + T - 1 of the endless sequence that the seed starts, so the counter alone says what
 * comes next. After update n, in this order: a row of metrics, validation (which may write `best`), a checkpoint. A checkpoint
 * therefore holds the best score up to and including n, and a run resumed from it repeats nothing and leaves nothing out.
 */
#include <math.h>
#include <stdio.h>

#include "base/files.h"
#include "comm/comm.h"
#include "train/curve.h"
#include "train/internal.h"

/* The tasks of an iteration that are this process's. Those of the next are drawn in the meantime. */
static clm_status draw_batch(clm_trainer *t, uint64_t iteration, clm_batch *batch) {
    const clm_train_options *s = &t->options;
    const float *data[4], *labels[2];
    const int32_t *at[2];
    const bool numbers = t->resident.count > 0;
    int first, tasks;
    clm_comm_share(s->meta.comm, s->meta.tasks, &first, &tasks);
    if (!t->batches) {
        clm_prefetch_options o = CLM_PREFETCH_OPTIONS_INIT;
        o.seed = s->seed;
        o.tasks = tasks;
        o.batch_tasks = s->meta.tasks;
        o.first_task = first;
        o.ways = s->episodes.ways;
        o.shots = s->episodes.shots;
        o.query = s->episodes.query;
        o.support_sets = s->episodes.support_sets;
        o.joint_classes = s->episodes.joint_classes;
        o.ways_least = s->episodes.ways_least;
        o.shots_least = s->episodes.shots_least;
        o.augment = s->augment;
        o.first = iteration;
        o.numbers = numbers;
        CLM_TRY(clm_prefetch_create(&t->batches, t->source, &o));
    }
    if (numbers) {
        CLM_TRY(clm_prefetch_get_at(t->batches, iteration, at, labels));
        *batch = (clm_batch){.support_at = at[0], .support_y = labels[0], .query_at = at[1], .query_y = labels[1]};
        batch->sizes = clm_prefetch_sizes(t->batches);
        return CLM_OK;
    }
    CLM_TRY(clm_prefetch_get(t->batches, iteration, data));
    *batch = (clm_batch){.support_x = data[0], .support_y = data[1], .query_x = data[2], .query_y = data[3]};
    batch->sizes = clm_prefetch_sizes(t->batches);
    if (!clm_train_looks_at_tokens(t->source, t->model)) return CLM_OK;
    const clm_shape shape = clm_source_example_shape(t->source);
    const size_t numbers_of_one = (size_t)tasks * (size_t)s->episodes.ways * clm_shape_size(&shape);
    return clm_train_check_task(t->source, t->model, data[0],
                                numbers_of_one * (size_t)s->episodes.shots * (size_t)s->episodes.support_sets, data[2],
                                numbers_of_one * (size_t)s->episodes.query);
}

/* CLM_E_NUMERIC: the data are not finite, which may be left out. Of several processes all have to know, where they go on. */
static clm_status load_batch(clm_trainer *t, uint64_t iteration, bool goes_on, clm_batch *batch) {
    const clm_status status = draw_batch(t, iteration, batch);
    if (!goes_on || (status != CLM_OK && status != CLM_E_NUMERIC)) return status;
    return clm_comm_join(t->options.meta.comm, status);
}

/* Those of a multi-step loss that changes as training goes on depend on the iteration alone, so that a resumed run repeats them. */
static clm_status set_step_weights(clm_trainer *t, uint64_t iteration) {
    if (!t->options.anneal_over) return CLM_OK;
    clm_step_weights_annealed(t->steps, iteration, t->options.anneal_over, t->weights);
    return clm_meta_set_step_weights(t->meta, t->weights);
}

/* The gradient of the meta-parameters of one order. */
static clm_status read_gradient(clm_trainer *t, const clm_batch *batch, int order, double *out) {
    CLM_TRY(clm_meta_gradient_of_order(t->meta, batch, order));
    for (size_t i = 0; i < t->n_starts * clm_meta_param_count(t->meta); i++) {
        const size_t n = clm_meta_quantity_size(t->meta, CLM_Q_GRAD, i);
        if (n) CLM_TRY(clm_meta_read(t->meta, CLM_Q_GRAD, i, out));
        out += n;
    }
    return CLM_OK;
}

/* |x - y| / |y|; |x| where y is 0. */
static double relative_difference(const double *x, const double *y, size_t n) {
    double difference = 0, reference = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = x[i] - y[i];
        difference += d * d;
        reference += y[i] * y[i];
    }
    difference = sqrt(difference), reference = sqrt(reference);
    return reference > 0 ? difference / reference : difference;
}

/* |g - g_first_order| / |g| on the batch that comes next; NAN where it is not measured. */
static clm_status second_order_share(clm_trainer *t, double *share) {
    size_t n = 0;
    clm_batch batch;
    *share = NAN;
    if (!t->measures_share) return CLM_OK;
    for (size_t i = 0; i < t->n_starts * clm_meta_param_count(t->meta); i++)
        n += clm_meta_quantity_size(t->meta, CLM_Q_GRAD, i);
    const clm_status status = load_batch(t, clm_meta_iteration(t->meta), true, &batch);
    if (status == CLM_E_NUMERIC) return CLM_OK; /* the update that is given these data says so */
    CLM_TRY(status);
    CLM_TRY(clm_trainer_assign(t, clm_meta_iteration(t->meta), &batch));
    CLM_TRY(set_step_weights(t, clm_meta_iteration(t->meta)));
    CLM_TRY(read_gradient(t, &batch, 2, t->gradient));
    CLM_TRY(read_gradient(t, &batch, 1, t->other));
    *share = relative_difference(t->other, t->gradient, n);
    return CLM_OK;
}

static double seconds_so_far(const clm_trainer *t) { return t->seconds_before + clm_clock() - t->started; }

/* Where a score comes in the ranking; `ensemble` where it does not. The earlier of two equals stays ahead. */
static size_t rank_of(const clm_trainer *t, double score) {
    const clm_ranking *r = &t->ranking;
    const size_t most = (size_t)t->options.ensemble;
    size_t rank = 0;
    if (!isfinite(score)) return most;
    while (rank < r->count && !(t->regression ? score < r->entry[rank].score : score > r->entry[rank].score)) rank++;
    return rank;
}

static clm_status keep_ranked(clm_trainer *t, size_t rank, double score, uint64_t iteration) {
    clm_ranking *r = &t->ranking;
    if (r->count < (size_t)t->options.ensemble) r->count++;
    for (size_t k = r->count - 1; k > rank; k--) r->entry[k] = r->entry[k - 1];
    r->entry[rank] = (clm_ranked){score, iteration};
    if (!clm_trainer_leads(t)) return CLM_OK;
    if (t->has_run) return clm_run_save_ranked(&t->run, rank, t->meta, r);
    clm_trainer_keep_member(t, rank, iteration);
    return CLM_OK;
}

static void tell(const clm_trainer *t, const clm_train_row *row, bool is_best) {
    if (t->options.row) t->options.row(t->options.user, row, is_best);
}

/* Scores before and after adaptation; without inner steps there is no before. */
static void fill_row(clm_train_row *row, const clm_scores *scores, int steps) {
    if (steps > 0) {
        row->value[CLM_METRIC_SUPPORT_BEFORE] = scores->support[0].mean;
        row->value[CLM_METRIC_QUERY_BEFORE] = scores->query[0].mean;
    }
    row->value[CLM_METRIC_SUPPORT_AFTER] = scores->support[steps].mean;
    row->value[CLM_METRIC_QUERY_AFTER] = scores->query[steps].mean;
}

clm_status clm_trainer_validate(clm_trainer *t) {
    const clm_train_options *s = &t->options;
    uint64_t iteration = clm_meta_iteration(t->meta);
    clm_train_row row = clm_row_empty(CLM_ROW_VALIDATION, iteration);
    size_t rank = (size_t)s->ensemble;
    CLM_TRY(second_order_share(t, &row.value[CLM_METRIC_SECOND_ORDER]));
    if (t->validates) {
        clm_scores scores;
        const int steps = t->test_steps;
        CLM_TRY(clm_trainer_load_evaluator(t, true));
        CLM_TRY(clm_evaluator_run(t->evaluator, CLM_SPLIT_VALIDATION, s->seed, 0, s->validation_tasks, steps, true, &scores));
        if (scores.tasks < s->validation_tasks) return CLM_OK; /* stopped by the user: a part of a validation says nothing */
        row.value[CLM_METRIC_LOSS] = scores.query_loss[steps];
        fill_row(&row, &scores, steps);
        row.value[CLM_METRIC_INTERVAL] = scores.query[steps].half;
        rank = rank_of(t, scores.query[steps].mean);
        clm_trainer_fill_shares(t, clm_evaluator_chosen(t->evaluator), scores.tasks, &row);
        clm_trainer_note_unused(t, &row);
    }
    row.value[CLM_METRIC_SECONDS] = seconds_so_far(t);
    if (s->on_nan == CLM_ON_NAN_SKIP) row.value[CLM_METRIC_SKIPPED] = (double)t->run.skipped;
    tell(t, &row, rank == 0);
    if (rank < (size_t)s->ensemble) CLM_TRY(keep_ranked(t, rank, row.value[CLM_METRIC_QUERY_AFTER], iteration));
    return clm_metrics_add(&t->run.metrics, &row);
}

static clm_status draw(const clm_trainer *t) {
    char path[CLM_TRAIN_PATH];
    clm_curve curve = {t->title, t->subtitle, t->regression, t->test_steps > 0,
                       1.0 / clm_source_outputs(t->source, t->options.episodes.ways)};
    CLM_TRY(clm_train_path(path, t->run.directory, "curve.svg"));
    return clm_curve_write(path, &curve, &t->run.metrics);
}

/* A run that goes on where it had ended makes no checkpoint; its picture may be gone. */
static clm_status draw_lost(const clm_trainer *t) {
    char path[CLM_TRAIN_PATH];
    if (!t->has_run) return CLM_OK;
    CLM_TRY(clm_train_path(path, t->run.directory, "curve.svg"));
    return clm_path_exists(path) ? CLM_OK : draw(t);
}

clm_status clm_trainer_checkpoint(clm_trainer *t) {
    uint64_t iteration = clm_meta_iteration(t->meta);
    if (t->last_checkpoint == iteration) return draw_lost(t);
    if (t->has_run) CLM_TRY(clm_run_save_last(&t->run, t->meta, &t->ranking));
    t->last_checkpoint = iteration;
    return t->has_run ? draw(t) : CLM_OK;
}

/* Accuracies before and after adaptation on the tasks of this iteration, with the parameters the iteration starts from. */
static clm_status measure_batch(clm_trainer *t, uint64_t iteration, clm_train_row *row) {
    const clm_train_options *s = &t->options;
    uint64_t tasks = (uint64_t)s->meta.tasks;
    clm_scores scores;
    const int steps = t->steps;
    CLM_TRY(clm_trainer_load_evaluator(t, false));
    CLM_TRY(clm_evaluator_run(t->evaluator, CLM_SPLIT_TRAIN, s->seed, iteration * tasks, (int)tasks, steps, true, &scores));
    fill_row(row, &scores, steps);
    t->state.support_before = row->value[CLM_METRIC_SUPPORT_BEFORE];
    t->state.support_after = row->value[CLM_METRIC_SUPPORT_AFTER];
    t->state.query_before = row->value[CLM_METRIC_QUERY_BEFORE];
    t->state.query_after = row->value[CLM_METRIC_QUERY_AFTER];
    return CLM_OK;
}

/* "; the checkpoint of iteration 7 is kept in ..", where there is one. */
static const char *kept_text(const clm_trainer *t, char *text, size_t size) {
    text[0] = 0;
    if (t->has_run)
        snprintf(text, size, "; the checkpoint of iteration %llu is kept in %s", (unsigned long long)t->last_checkpoint,
                 t->run.checkpoints);
    return text;
}

static clm_status stopped_by_numbers(const clm_trainer *t, clm_status status, uint64_t iteration) {
    char reason[1024], kept[CLM_TRAIN_PATH + 64];
    snprintf(reason, sizeof reason, "%s", clm_last_error());
    return clm_fail(status, "iteration %llu: %s%s", (unsigned long long)(iteration + 1), reason,
                    kept_text(t, kept, sizeof kept));
}

static void fill_step(clm_train_row *row, const clm_meta_report *report) {
    row->value[CLM_METRIC_LOSS] = report->query_loss;
    row->value[CLM_METRIC_SUPPORT_LOSS] = report->support_loss;
    row->value[CLM_METRIC_GRAD_NORM] = report->grad_norm;
    row->value[CLM_METRIC_LR] = report->lr;
}

static double waited(const clm_trainer *t) { return t->batches ? clm_prefetch_waited(t->batches) : 0; }

static void add_time(clm_train_time *to, double update, double wait) {
    to->updates += update;
    to->waits += wait;
}

/* The share of the wait; NAN: there was no update. */
static double wait_of(const clm_train_time *t) { return t->updates > 0 ? t->waits / t->updates : NAN; }

enum { MOST_SKIPPED = 100 };

/* The state stays as it is, and the next tasks have their turn. Where none gives numbers any more, to go on is of no use. */
static clm_status skip(clm_trainer *t, uint64_t iteration) {
    char reason[1024];
    snprintf(reason, sizeof reason, "%s", clm_last_error());
    if (t->run.skipped == 0) clm_trainer_remark(t, "iteration %llu is left out: %s", (unsigned long long)iteration + 1, reason);
    if (++t->skipped_in_a_row > MOST_SKIPPED)
        return clm_fail(CLM_E_NUMERIC, "%s; the %d iterations before it were left out as well", reason, MOST_SKIPPED);
    clm_meta_skip(t->meta);
    snprintf(t->skipped_why, sizeof t->skipped_why, ": %.500s", reason);
    t->run.skipped++;
    t->state.iteration = iteration + 1;
    return CLM_OK;
}

static clm_status step(clm_trainer *t, uint64_t iteration) {
    const clm_train_options *s = &t->options;
    bool logs = (iteration + 1) % s->log_every == 0 || iteration == 0;
    clm_train_row row = clm_row_empty(CLM_ROW_TRAIN, iteration + 1);
    clm_meta_report report;
    clm_batch batch = {0}; /* as it stays where the data are not finite */
    clm_status status = logs ? measure_batch(t, iteration, &row) : CLM_OK;
    const double began = clm_clock(), waited_before = waited(t);
    if (status == CLM_OK) status = load_batch(t, iteration, s->on_nan == CLM_ON_NAN_SKIP, &batch);
    const double wait = waited(t) - waited_before;
    const bool drawn = status == CLM_OK;
    if (drawn) CLM_TRY(clm_trainer_assign(t, iteration, &batch));
    if (drawn) CLM_TRY(set_step_weights(t, iteration));
    if (drawn) status = clm_meta_step(t->meta, &batch, &report);
    const bool skips = status == CLM_E_NUMERIC && s->on_nan == CLM_ON_NAN_SKIP;
    if (skips) status = skip(t, iteration);
    if (status == CLM_E_NUMERIC) return stopped_by_numbers(t, status, iteration);
    CLM_TRY(status);
    if (!skips) t->skipped_in_a_row = 0;
    const double took = clm_clock() - began;
    add_time(&t->since_row, took, wait);
    add_time(&t->all, took, wait);
    t->step_seconds = t->step_seconds > 0 ? 0.9 * t->step_seconds + 0.1 * took : took;
    t->state.iteration = iteration + 1;
    if (!skips) t->state.loss = report.query_loss;
    t->state.tasks_per_second = (double)s->meta.tasks / t->step_seconds;
    if (!logs) return CLM_OK;
    if (!skips) fill_step(&row, &report);
    clm_trainer_fill_shares(t, batch.chosen, s->meta.tasks, &row);
    if (s->on_nan == CLM_ON_NAN_SKIP) row.value[CLM_METRIC_SKIPPED] = (double)t->run.skipped;
    row.value[CLM_METRIC_SECONDS] = seconds_so_far(t);
    row.value[CLM_METRIC_TASKS_PER_SECOND] = t->state.tasks_per_second;
    row.value[CLM_METRIC_DATA_WAIT] = wait_of(&t->since_row);
    t->since_row = (clm_train_time){0, 0};
    CLM_TRY(clm_metrics_add(&t->run.metrics, &row));
    tell(t, &row, false);
    return CLM_OK;
}

static void show_progress(const clm_trainer *t) {
    if (t->options.progress) t->options.progress(t->options.user, &t->state);
}

/* Is there a validation after n updates? */
static bool is_due(const clm_trainer *t, uint64_t n) {
    return n % t->options.validate_every == 0 || n == t->options.iterations;
}

/* Not where a run was stopped in the middle of it: then the checkpoint is older than the validation. */
static bool is_validated(const clm_trainer *t, uint64_t n) {
    const clm_metrics *m = &t->run.metrics;
    for (size_t i = 0; i < m->count; i++)
        if (m->rows[i].kind == CLM_ROW_VALIDATION && m->rows[i].iteration == n) return true;
    return false;
}

static clm_status iterate(clm_trainer *t) {
    const clm_train_options *s = &t->options;
    uint64_t n = clm_meta_iteration(t->meta), total = s->iterations;
    bool validated = is_validated(t, n), stops = false;
    CLM_TRY(clm_trainer_decide(t, &validated));
    if (t->saves_anew) { /* before anything else of the run is lost */
        t->last_checkpoint = UINT64_MAX;
        CLM_TRY(clm_trainer_checkpoint(t));
    }
    if (is_due(t, n) && !validated) {
        CLM_TRY(clm_trainer_validate(t));
        t->last_checkpoint = UINT64_MAX;
        CLM_TRY(clm_trainer_checkpoint(t)); /* a full or failing disk shows before any work is lost */
    }
    show_progress(t);
    CLM_TRY(clm_trainer_stops(t, &stops));
    while (n < total && !stops) {
        CLM_TRY(step(t, n));
        n++;
        bool last = n == total;
        if (is_due(t, n)) CLM_TRY(clm_trainer_validate(t));
        if (n % s->checkpoint_every == 0 || last) CLM_TRY(clm_trainer_checkpoint(t));
        show_progress(t);
        CLM_TRY(clm_trainer_stops(t, &stops));
    }
    t->result.stopped = n < total || stops;
    return clm_trainer_checkpoint(t);
}

void clm_trainer_sum_up(clm_trainer *t) {
    clm_train_result *r = &t->result;
    const clm_ranked *best = t->ranking.count ? &t->ranking.entry[0] : NULL;
    r->iteration = clm_meta_iteration(t->meta);
    r->last_checkpoint = t->last_checkpoint == UINT64_MAX ? 0 : t->last_checkpoint;
    r->best_iteration = best ? best->iteration : r->iteration;
    r->best_score = best ? best->score : NAN;
    r->skipped = t->run.skipped;
    r->data_wait = wait_of(&t->all);
}

/* A run that updated nothing at all has learned nothing, however short it is. */
static clm_status check_skipped(const clm_trainer *t) {
    const clm_train_result *r = &t->result;
    char kept[CLM_TRAIN_PATH + 64];
    if (r->stopped || r->skipped == 0 || r->skipped < r->iteration) return CLM_OK;
    return clm_fail(CLM_E_NUMERIC, "none of the %llu updates was finite, and all of them were left out%s%s",
                    (unsigned long long)r->iteration, t->skipped_why, kept_text(t, kept, sizeof kept));
}

clm_status clm_trainer_run(clm_trainer *t) {
    CLM_TRY(clm_trainer_prepare(t));
    t->started = clm_clock();
    t->state = (clm_train_progress){clm_meta_iteration(t->meta), NAN, NAN, NAN, NAN, NAN, 0};
    const clm_status status = iterate(t);
    clm_trainer_sum_up(t);
    return status == CLM_OK ? check_skipped(t) : status;
}
