/* From settings to a trainer of the library. */
#include "train/trainer.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/drivers.h"
#include "base/json.h"
#include "base/ranks.h"
#include "base/system.h"
#include "config/folders.h"
#include "config/initial.h"
#include "eval/scores.h"
#include "tune/on_the_way.h"

/* ---- what the trainer says ---- */

static void on_progress(void *user, const clm_train_progress *state) {
    cli_trainer *t = user;
    t->state = *state;
    if (state->iteration == t->progress.start)
        t->progress.started = cli_clock(); /* what was done before says nothing of the time left */
    else
        cli_progress_update(&t->progress, state);
}

/* "  tasks 24 26 25 25 %": the share of each initialisation. */
static void shares_text(const clm_train_row *row, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (int s = 0; s < row->initialisations && used < size; s++)
        used += (size_t)snprintf(text + used, size - used, "%s %.0f", s ? "" : "  tasks", 100 * row->share[s]);
    if (used && used < size) snprintf(text + used, size - used, " %%");
}

static void on_row(void *user, const clm_train_row *row, bool is_best) {
    cli_trainer *t = user;
    clm_score score = {row->value[CLM_METRIC_QUERY_AFTER], row->value[CLM_METRIC_INTERVAL]};
    char text[256] = "", before[96] = "", share[96] = "", shares[160];
    if (row->kind != CLM_ROW_VALIDATION) return;
    if (isfinite(row->value[CLM_METRIC_QUERY_BEFORE]))
        snprintf(before, sizeof before, ", before adaptation %s",
                 cli_score_text(row->value[CLM_METRIC_QUERY_BEFORE], t->regression).s);
    if (t->validates)
        snprintf(text, sizeof text, "validation %s%s%s", cli_score_interval_text(&score, t->regression).s, before,
                 is_best ? "  best so far" : "");
    if (isfinite(row->value[CLM_METRIC_SECOND_ORDER]))
        snprintf(share, sizeof share, "  second-order share of the meta-gradient %.3g %%",
                 100 * row->value[CLM_METRIC_SECOND_ORDER]);
    shares_text(row, shares, sizeof shares);
    if (text[0] || share[0])
        cli_progress_say(&t->progress, "%6llu  %s%s%s", (unsigned long long)row->iteration, text, shares, share);
}

static void on_remark(void *user, const char *text) {
    cli_trainer *t = user;
    cli_progress_clear(&t->progress);
    cli_note("%s", cli_in_words(text));
}

static bool is_stopped(void *user) {
    const cli_trainer *t = user;
    const uint64_t after = (uint64_t)t->settings.stop_after;
    return cli_stop_requested() || (after && t->state.iteration >= after);
}

/* ---- opening ---- */

static void set_options(cli_trainer *t) {
    const cli_settings *s = &t->settings;
    const clm_train_options initial = CLM_TRAIN_OPTIONS_INIT;
    clm_train_options *o = &t->options;
    *o = initial;
    cli_setup_meta_options(&o->meta, s, &t->task);
    o->meta.comm = cli_ranks();
    o->episodes = cli_setup_episodes(s);
    o->augment = cli_setup_augment(s);
    o->iterations = (uint64_t)s->iterations;
    o->seed = (uint64_t)s->seed;
    o->validate_every = (uint64_t)s->val_every;
    o->validation_tasks = (int)s->val_tasks;
    o->test_tasks = (int)s->eval_tasks;
    o->test_steps = s->test_steps < 0 && clm_algorithm_uses(s->algorithm, "steps") ? -1 : cli_settings_test_steps(s);
    o->bn_mode = (clm_bn_mode)s->bn;
    o->ensemble = (int)s->ensemble;
    o->checkpoint_every = (uint64_t)s->checkpoint_every;
    o->keep = (int)s->keep;
    o->log_every = (uint64_t)s->log_every;
    o->anneal_over = cli_settings_anneals(s) ? (uint64_t)s->multi_step_over : 0;
    o->data_on = (clm_data_on)s->data_on;
    o->on_nan = (clm_on_nan)s->on_nan;
    o->balanced_until = s->balanced_until > 0 ? (uint64_t)s->balanced_until : 0;
    o->directory = s->run;
    o->resume = s->resume;
    o->progress = on_progress;
    o->row = on_row;
    o->remark = on_remark;
    o->stop = is_stopped;
    o->user = t;
}

/* What the settings say of a test goes into the run, so it is settled before anything is kept. */
static clm_status settle_data(cli_trainer *t) {
    cli_settings *s = &t->settings;
    t->regression = clm_source_is_regression(t->source);
    CLI_TRY(cli_setup_check_ways(s, t->source));
    t->validates = cli_setup_has_tasks(t->source, CLM_SPLIT_VALIDATION);
    if (cli_setup_has_tasks(t->source, CLM_SPLIT_TEST)) return CLM_OK;
    if (s->eval_tasks > 0 && !t->quiet)
        cli_note("%s has no test %s: nothing is tested at the end", s->source, cli_setup_drawn(t->source));
    s->eval_tasks = 0;
    return CLM_OK;
}

clm_status cli_trainer_open(cli_trainer *t, const char *json) {
    CLI_TRY(cli_setup_source(&t->source, &t->settings));
    if (!t->quiet) cli_folder_print_notes(t->source);
    cli_folder_settle(&t->settings, t->source);
    CLI_TRY(cli_setup_check_images(&t->settings, t->source, t->settings.data_on));
    CLI_TRY(cli_setup_classes(&t->settings, t->source));
    CLI_TRY(cli_setup_network(&t->settings, t->source));
    CLI_TRY(settle_data(t));
    CLI_TRY(cli_setup_model(&t->model, &t->settings, t->source, json));
    CLI_TRY(cli_setup_task_options(&t->task, &t->settings, t->model));
    set_options(t);
    CLI_TRY(cli_setup_told(clm_params_create(&t->initial, t->model, &t->task.options)));
    CLI_TRY(cli_initial_params(t->initial, &t->settings));
    t->options.init = t->initial;
    return clm_train_check(t->source, &t->options);
}

/* Before anything is planned, so that all programs of a run make the same choices as those of a resumed one. */
static clm_status tune(cli_trainer *t) {
    const cli_settings *s = &t->settings;
    bool host = true;
    assert(t->split.count > 0);
    if (clm_comm_size(cli_ranks()) > 1) { /* each would measure for itself, and might choose otherwise */
        if (t->budget_given && s->tune_budget > 0)
            return cli_usage("--tune-budget is for one process; several use what `clmaml tune` has found before");
        return CLM_OK;
    }
    for (size_t i = 0; i < t->split.count; i++)
        host = host && clm_device_get_info(t->split.devices[i])->type == CLM_DEVICE_HOST;
    if (host && t->budget_given && s->tune_budget > 0)
        return cli_usage("--tune-budget says nothing to the host device, which has no kernels to choose from; leave it out");
    clm_meta_options options = t->options.meta;
    options.comm = NULL;
    options.tasks = (int)((s->meta_batch + (int64_t)t->split.count - 1) / (int64_t)t->split.count);
    options.task_chunk = options.task_chunk < options.tasks ? options.task_chunk : options.tasks;
    for (size_t i = 0; i < t->split.count; i++)
        CLI_TRY(
            cli_tune_on_the_way(t->split.devices[i], t->model, &options, cli_tune_budget(t->split.devices[i], s->tune_budget)));
    return CLM_OK;
}

/* Of several processes each shares its tasks out to its devices. Where these are of one kind no bit depends on that, so it is no setting of
 * the run; where they are not, no trial may decide, as it does not come out the same twice. */
static clm_status share_out_own(cli_trainer *t, clm_meta_options *trial) {
    int first;
    clm_comm_share(cli_ranks(), (int)t->settings.meta_batch, &first, &trial->tasks);
    if (cli_ranks_are_mixed(t->split.devices, t->split.count)) {
        const int n = (int)t->split.count;
        for (int i = 0; i < n; i++) t->split.shares[i].tasks = trial->tasks / n + (i < trial->tasks % n);
        return CLM_OK;
    }
    cli_settings *own = malloc(sizeof *own);
    if (!own) return cli_fail(CLM_E_MEMORY, "out of memory");
    *own = t->settings;
    own->split[0] = 0;
    trial->task_chunk = 0;
    const clm_status status = cli_split_tasks(&t->split, own, false, t->model, trial);
    free(own);
    return status;
}

static clm_status share_out(cli_trainer *t) {
    clm_meta_options trial = t->options.meta;
    trial.both_orders = false;
    trial.comm = NULL;
    if (clm_comm_size(cli_ranks()) > 1) {
        if (t->settings.split[0] && !t->split_stored)
            return cli_usage("--split is for one process; several share their tasks out themselves");
        t->settings.split[0] = 0;
        return share_out_own(t, &trial);
    }
    return cli_split_tasks(&t->split, &t->settings, t->split_stored, t->model, &trial);
}

static clm_status write_note(cli_trainer *t) {
    CLI_TRY(cli_settings_check_texts(&t->settings));
    json_t *settings = cli_settings_to_json(&t->settings);
    t->note = cli_json_text(settings, 0);
    json_decref(settings);
    t->options.note = t->note;
    return t->note ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

/* A device that is new is tested by the first of a host's ranks. */
static clm_status open_devices(cli_trainer *t) {
    const cli_settings *s = &t->settings;
    const bool first = clm_comm_local_rank(cli_ranks()) == 0;
    char text[CLI_PATH_MAX];
    const char *spec = NULL;
    int at, tasks;
    if (clm_comm_size(cli_ranks()) > s->meta_batch)
        return cli_usage("%d ranks for --meta-batch %lld: start as many as there are tasks at most", clm_comm_size(cli_ranks()),
                         (long long)s->meta_batch);
    clm_comm_share(cli_ranks(), (int)s->meta_batch, &at, &tasks);
    CLI_TRY(cli_ranks_device(s->device, text, &spec));
    if (!first) CLI_TRY(cli_ranks_meet());
    CLI_TRY(cli_split_open(&t->split, spec, tasks, s->force));
    if (first) CLI_TRY(cli_ranks_meet());
    return cli_ranks_note_mixed(t->split.devices, t->split.count);
}

clm_status cli_trainer_plan(cli_trainer *t) {
    CLI_TRY(open_devices(t));
    CLI_TRY(tune(t));
    CLI_TRY(share_out(t));
    CLI_TRY(write_note(t));
    return clm_trainer_create(&t->trainer, t->split.shares, t->split.count, t->source, t->model, &t->options);
}

void cli_trainer_close(cli_trainer *t) {
    clm_trainer_free(t->trainer);
    cli_split_close(&t->split);
    clm_params_free(t->initial);
    clm_model_free(t->model);
    clm_source_free(t->source);
    free(t->note);
    memset(t, 0, sizeof *t);
}

/* ---- running ---- */

clm_status cli_trainer_run(cli_trainer *t) {
    const uint64_t n = clm_meta_iteration(clm_trainer_meta(t->trainer)), total = t->options.iterations;
    t->state = (clm_train_progress){n, NAN, NAN, NAN, NAN, NAN, 0};
    cli_progress_begin(&t->progress, n, total > n ? total : n, t->regression);
    const clm_status status = clm_trainer_run(t->trainer);
    cli_progress_end(&t->progress, &t->state);
    return status;
}
