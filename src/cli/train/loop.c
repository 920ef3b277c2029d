/* The training loop.
 *
 * Iteration i trains on tasks i T .. i T + T - 1 of the endless sequence that the seed starts, so the counter alone says what
 * comes next. After update n, in this order: a row of metrics, validation (which may write `best`), a checkpoint. A checkpoint
 * therefore holds the best score up to and including n, and a run resumed from it repeats nothing and leaves nothing out.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/system.h"
#include "config/protocol.h"
#include "train/curve.h"
#include "train/trainer.h"

/* The tasks of an iteration. Those of the next are drawn in the meantime. */
static clm_status load_batch(cli_trainer *t, uint64_t iteration, clm_batch *batch) {
    const cli_settings *s = &t->settings;
    const float *data[4], *labels[2];
    const int32_t *at[2];
    const bool numbers = t->resident.count > 0;
    if (!t->batches) {
        clm_prefetch_options o = CLM_PREFETCH_OPTIONS_INIT;
        o.seed = (uint64_t)s->seed;
        o.tasks = (int)s->meta_batch;
        const clm_episode_options episodes = cli_setup_episodes(s);
        o.ways = episodes.ways;
        o.shots = episodes.shots;
        o.query = episodes.query;
        o.support_sets = episodes.support_sets;
        o.joint_classes = episodes.joint_classes;
        o.augment = cli_setup_augment(s);
        o.first = iteration;
        o.numbers = numbers;
        CLI_TRY(clm_prefetch_create(&t->batches, t->source, &o));
    }
    if (numbers) {
        CLI_TRY(clm_prefetch_get_at(t->batches, iteration, at, labels));
        *batch = (clm_batch){.support_at = at[0], .support_y = labels[0], .query_at = at[1], .query_y = labels[1]};
        return CLM_OK;
    }
    CLI_TRY(clm_prefetch_get(t->batches, iteration, data));
    *batch = (clm_batch){.support_x = data[0], .support_y = data[1], .query_x = data[2], .query_y = data[3]};
    return CLM_OK;
}

/* Those of a multi-step loss that changes as training goes on depend on the iteration alone, so that a resumed run repeats them. */
static clm_status set_step_weights(cli_trainer *t, uint64_t iteration) {
    size_t count;
    if (!cli_settings_anneals(&t->settings)) return CLM_OK;
    CLI_TRY(cli_settings_step_weights(&t->settings, iteration, t->task.weights, &count));
    return clm_meta_set_step_weights(t->meta, t->task.weights);
}

/* The gradient of the meta-parameters of one order. */
static clm_status read_gradient(cli_trainer *t, const clm_batch *batch, int order, double *out) {
    CLI_TRY(clm_meta_gradient_of_order(t->meta, batch, order));
    for (size_t i = 0; i < clm_meta_param_count(t->meta); i++) {
        const size_t n = clm_meta_quantity_size(t->meta, CLM_Q_GRAD, i);
        if (n) CLI_TRY(clm_meta_read(t->meta, CLM_Q_GRAD, i, out));
        out += n;
    }
    return CLM_OK;
}

/* |g - g_first_order| / |g| on the batch that comes next; NAN where it is not measured. */
static clm_status second_order_share(cli_trainer *t, double *share) {
    cli_error_norm error = {0};
    size_t n = 0;
    clm_batch batch;
    *share = NAN;
    if (!t->measures_share) return CLM_OK;
    for (size_t i = 0; i < clm_meta_param_count(t->meta); i++) n += clm_meta_quantity_size(t->meta, CLM_Q_GRAD, i);
    CLI_TRY(load_batch(t, clm_meta_iteration(t->meta), &batch));
    CLI_TRY(set_step_weights(t, clm_meta_iteration(t->meta)));
    CLI_TRY(read_gradient(t, &batch, 2, t->gradient));
    CLI_TRY(read_gradient(t, &batch, 1, t->other));
    cli_error_add(&error, t->other, t->gradient, n);
    *share = cli_error_value(&error);
    return CLM_OK;
}

static double seconds_so_far(const cli_trainer *t) { return t->seconds_before + cli_clock() - t->started; }

/* Where a score comes in the ranking; `ensemble` where it does not. The earlier of two equals stays ahead. */
static size_t rank_of(const cli_trainer *t, double score) {
    const cli_ranking *r = &t->ranking;
    const size_t most = (size_t)t->settings.ensemble;
    size_t rank = 0;
    if (!isfinite(score)) return most;
    while (rank < r->count && !(t->regression ? score < r->entry[rank].score : score > r->entry[rank].score)) rank++;
    return rank;
}

static clm_status keep_ranked(cli_trainer *t, size_t rank, double score, uint64_t iteration) {
    cli_ranking *r = &t->ranking;
    if (r->count < (size_t)t->settings.ensemble) r->count++;
    for (size_t k = r->count - 1; k > rank; k--) r->entry[k] = r->entry[k - 1];
    r->entry[rank] = (cli_ranked){score, iteration};
    return cli_run_save_ranked(&t->run, rank, t->meta, &t->settings, t->source, t->model, r);
}

static void say_validation(cli_trainer *t, const cli_row *row, bool is_best) {
    clm_score score = {row->value[CLI_METRIC_QUERY_AFTER], row->value[CLI_METRIC_INTERVAL]};
    char text[256] = "", before[96] = "", share[96] = "";
    if (isfinite(row->value[CLI_METRIC_QUERY_BEFORE]))
        snprintf(before, sizeof before, ", before adaptation %s",
                 cli_score_text(row->value[CLI_METRIC_QUERY_BEFORE], t->regression).s);
    if (t->validates)
        snprintf(text, sizeof text, "validation %s%s%s", cli_score_interval_text(&score, t->regression).s, before,
                 is_best ? "  best so far" : "");
    if (isfinite(row->value[CLI_METRIC_SECOND_ORDER]))
        snprintf(share, sizeof share, "  second-order share of the meta-gradient %.3g %%",
                 100 * row->value[CLI_METRIC_SECOND_ORDER]);
    if (text[0] || share[0]) cli_progress_say(&t->progress, "%6llu  %s%s", (unsigned long long)row->iteration, text, share);
}

/* Scores before and after adaptation; without inner steps there is no before. */
static void fill_row(cli_row *row, const clm_scores *scores, int steps) {
    if (steps > 0) {
        row->value[CLI_METRIC_SUPPORT_BEFORE] = scores->support[0].mean;
        row->value[CLI_METRIC_QUERY_BEFORE] = scores->query[0].mean;
    }
    row->value[CLI_METRIC_SUPPORT_AFTER] = scores->support[steps].mean;
    row->value[CLI_METRIC_QUERY_AFTER] = scores->query[steps].mean;
}

clm_status cli_trainer_validate(cli_trainer *t) {
    const cli_settings *s = &t->settings;
    uint64_t iteration = clm_meta_iteration(t->meta);
    cli_row row = cli_row_empty(CLI_ROW_VALIDATION, iteration);
    size_t rank = (size_t)s->ensemble;
    CLI_TRY(second_order_share(t, &row.value[CLI_METRIC_SECOND_ORDER]));
    if (t->validates) {
        clm_scores scores;
        int steps = cli_settings_test_steps(s);
        CLI_TRY(cli_trainer_load_evaluator(t, true));
        CLI_TRY(clm_evaluator_run(t->evaluator, CLM_SPLIT_VALIDATION, (uint64_t)s->seed, 0, (int)s->val_tasks, steps, true,
                                  &scores));
        if (scores.tasks < s->val_tasks) return CLM_OK; /* stopped by the user: a part of a validation says nothing */
        row.value[CLI_METRIC_LOSS] = scores.query_loss[steps];
        fill_row(&row, &scores, steps);
        row.value[CLI_METRIC_INTERVAL] = scores.query[steps].half;
        rank = rank_of(t, scores.query[steps].mean);
    }
    row.value[CLI_METRIC_SECONDS] = seconds_so_far(t);
    say_validation(t, &row, rank == 0);
    if (rank < (size_t)s->ensemble) CLI_TRY(keep_ranked(t, rank, row.value[CLI_METRIC_QUERY_AFTER], iteration));
    return cli_metrics_add(&t->run.metrics, &row);
}

clm_status cli_trainer_checkpoint(cli_trainer *t) {
    uint64_t iteration = clm_meta_iteration(t->meta);
    if (t->last_checkpoint == iteration) return CLM_OK;
    CLI_TRY(cli_run_save_last(&t->run, t->meta, &t->settings, t->source, t->model, &t->ranking));
    t->last_checkpoint = iteration;
    return cli_trainer_draw(t);
}

clm_status cli_trainer_draw(cli_trainer *t) {
    const cli_settings *s = &t->settings;
    char path[CLI_PATH_MAX], method[128], title[256], inner[128] = "", subtitle[512];
    const char *bn = clm_model_bn_name(t->model, (clm_bn_mode)s->bn), *name = clm_source_name(t->source);
    const bool normalised = strncmp(bn, "none", 4) != 0;
    const int test = cli_settings_test_steps(s);
    cli_protocol_title(s, method, sizeof method);
    if (t->regression)
        snprintf(title, sizeof title, "%.100s, %lld shots: %s", name, (long long)s->shots, method);
    else
        snprintf(title, sizeof title, "%.100s, %lld-way %lld-shot: %s", name, (long long)s->ways, (long long)s->shots, method);
    if (test > 0)
        snprintf(inner, sizeof inner, "%lld inner step%s at rate %g, at validation %d step%s; ", (long long)s->steps,
                 s->steps == 1 ? "" : "s", s->inner_lr, test, test == 1 ? "" : "s");
    snprintf(subtitle, sizeof subtitle, "%smeta-batch %lld%s%s", inner, (long long)s->meta_batch,
             normalised ? ", batch-norm " : "", normalised ? bn : "");
    cli_curve curve = {title, subtitle, t->regression, test > 0, 1.0 / (double)s->ways};
    CLI_TRY(cli_path(path, t->run.directory, "curve.svg"));
    return cli_curve_write(path, &curve, &t->run.metrics);
}

/* Accuracies before and after adaptation on the tasks of this iteration, with the parameters the iteration starts from. */
static clm_status measure_batch(cli_trainer *t, uint64_t iteration, cli_row *row) {
    const cli_settings *s = &t->settings;
    uint64_t tasks = (uint64_t)s->meta_batch;
    clm_scores scores;
    const int steps = clm_algorithm_uses(s->algorithm, "steps") ? (int)s->steps : 0;
    CLI_TRY(cli_trainer_load_evaluator(t, false));
    CLI_TRY(clm_evaluator_run(t->evaluator, CLM_SPLIT_TRAIN, (uint64_t)s->seed, iteration * tasks, (int)tasks, steps, true,
                              &scores));
    fill_row(row, &scores, steps);
    t->state.support_before = row->value[CLI_METRIC_SUPPORT_BEFORE];
    t->state.support_after = row->value[CLI_METRIC_SUPPORT_AFTER];
    t->state.query_before = row->value[CLI_METRIC_QUERY_BEFORE];
    t->state.query_after = row->value[CLI_METRIC_QUERY_AFTER];
    return CLM_OK;
}

static clm_status stopped_by_numbers(const cli_trainer *t, clm_status status, uint64_t iteration) {
    char reason[1024];
    snprintf(reason, sizeof reason, "%s", cli_message());
    return cli_fail(status,
                    "iteration %llu: %s (--inner-lr, --outer-lr, --clip-norm); the checkpoint of iteration %llu is kept in %s",
                    (unsigned long long)(iteration + 1), reason, (unsigned long long)t->last_checkpoint, t->run.checkpoints);
}

static clm_status step(cli_trainer *t, uint64_t iteration) {
    const cli_settings *s = &t->settings;
    bool logs = (iteration + 1) % (uint64_t)s->log_every == 0 || iteration == 0;
    cli_row row = cli_row_empty(CLI_ROW_TRAIN, iteration + 1);
    clm_meta_report report;
    if (logs) CLI_TRY(measure_batch(t, iteration, &row));
    double began = cli_clock();
    clm_batch batch;
    CLI_TRY(load_batch(t, iteration, &batch));
    CLI_TRY(set_step_weights(t, iteration));
    clm_status status = clm_meta_step(t->meta, &batch, &report);
    if (status == CLM_E_NUMERIC) return stopped_by_numbers(t, status, iteration);
    CLI_TRY(status);
    double took = cli_clock() - began;
    t->step_seconds = t->step_seconds > 0 ? 0.9 * t->step_seconds + 0.1 * took : took;
    t->state.iteration = iteration + 1;
    t->state.loss = report.query_loss;
    t->state.tasks_per_second = (double)s->meta_batch / t->step_seconds;
    if (!logs) return CLM_OK;
    row.value[CLI_METRIC_LOSS] = report.query_loss;
    row.value[CLI_METRIC_SUPPORT_LOSS] = report.support_loss;
    row.value[CLI_METRIC_GRAD_NORM] = report.grad_norm;
    row.value[CLI_METRIC_LR] = report.lr;
    row.value[CLI_METRIC_SECONDS] = seconds_so_far(t);
    row.value[CLI_METRIC_TASKS_PER_SECOND] = t->state.tasks_per_second;
    return cli_metrics_add(&t->run.metrics, &row);
}

static clm_status iterate(cli_trainer *t, bool *stopped) {
    const cli_settings *s = &t->settings;
    uint64_t n = clm_meta_iteration(t->meta), total = (uint64_t)s->iterations;
    if (n == 0) {
        CLI_TRY(cli_trainer_validate(t));
        CLI_TRY(cli_trainer_checkpoint(t)); /* a full or failing disk shows before any work is lost */
        t->progress.started = cli_clock();  /* what was done once says nothing of the time left */
    }
    while (n < total && !cli_stop_requested()) {
        CLI_TRY(step(t, n));
        n++;
        bool last = n == total;
        if (n % (uint64_t)s->val_every == 0 || last) CLI_TRY(cli_trainer_validate(t));
        if (n % (uint64_t)s->checkpoint_every == 0 || last) CLI_TRY(cli_trainer_checkpoint(t));
        cli_progress_update(&t->progress, &t->state);
    }
    *stopped = n < total || cli_stop_requested();
    return cli_trainer_checkpoint(t);
}

clm_status cli_trainer_loop(cli_trainer *t, bool *stopped) {
    uint64_t n = clm_meta_iteration(t->meta), total = (uint64_t)t->settings.iterations;
    *stopped = false;
    t->started = cli_clock();
    t->state = (cli_progress_state){n, NAN, NAN, NAN, NAN, NAN, 0};
    cli_progress_begin(&t->progress, n, total > n ? total : n, t->regression);
    clm_status status = iterate(t, stopped);
    cli_progress_end(&t->progress, &t->state);
    return status;
}
