/* From settings to a trainer of the library. */
#include "train/trainer.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/drivers.h"
#include "base/json.h"
#include "base/system.h"
#include "config/folders.h"
#include "config/initial.h"
#include "eval/scores.h"
#include "tune/on_the_way.h"

clm_status cli_trainer_told(clm_status status) {
    static const char *const words[][2] = {{"memory_limit", "--memory-limit"},
                                           {"data_on", "--data-on"},
                                           {"inner_lr, optim.lr, optim.clip", "--inner-lr, --outer-lr, --clip-norm"}};
    char text[4096];
    size_t used = 0;
    if (status == CLM_OK) return status;
    for (const char *at = cli_message(); *at && used + 64 < sizeof text;) {
        size_t i = 0;
        while (i < CLI_COUNT(words) && strncmp(at, words[i][0], strlen(words[i][0])) != 0) i++;
        if (i == CLI_COUNT(words)) {
            text[used++] = *at++;
            continue;
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "%s", words[i][1]);
        at += strlen(words[i][0]);
    }
    text[used] = 0;
    return cli_fail(status, "%s", text);
}

/* ---- what the trainer says ---- */

static void on_progress(void *user, const clm_train_progress *state) {
    cli_trainer *t = user;
    t->state = *state;
    if (state->iteration == t->progress.start)
        t->progress.started = cli_clock(); /* what was done before says nothing of the time left */
    else
        cli_progress_update(&t->progress, state);
}

static void on_row(void *user, const clm_train_row *row, bool is_best) {
    cli_trainer *t = user;
    clm_score score = {row->value[CLM_METRIC_QUERY_AFTER], row->value[CLM_METRIC_INTERVAL]};
    char text[256] = "", before[96] = "", share[96] = "";
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
    if (text[0] || share[0]) cli_progress_say(&t->progress, "%6llu  %s%s", (unsigned long long)row->iteration, text, share);
}

static void on_remark(void *user, const char *text) {
    (void)user;
    cli_note("%s", text);
}

static bool is_stopped(void *user) {
    (void)user;
    return cli_stop_requested();
}

/* ---- opening ---- */

static void set_options(cli_trainer *t) {
    const cli_settings *s = &t->settings;
    const clm_train_options initial = CLM_TRAIN_OPTIONS_INIT;
    clm_train_options *o = &t->options;
    *o = initial;
    cli_setup_meta_options(&o->meta, s, &t->task);
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
    if (s->eval_tasks > 0) cli_note("%s has no test %s: nothing is tested at the end", s->source, cli_setup_drawn(t->source));
    s->eval_tasks = 0;
    return CLM_OK;
}

clm_status cli_trainer_open(cli_trainer *t, const char *json) {
    CLI_TRY(cli_setup_source(&t->source, &t->settings));
    cli_folder_print_notes(t->source);
    cli_folder_settle(&t->settings, t->source);
    CLI_TRY(cli_setup_check_images(t->source, t->settings.data_on));
    CLI_TRY(cli_setup_classes(&t->settings, t->source));
    CLI_TRY(cli_setup_network(&t->settings, t->source));
    CLI_TRY(settle_data(t));
    CLI_TRY(cli_setup_model(&t->model, &t->settings, t->source, json));
    CLI_TRY(cli_setup_task_options(&t->task, &t->settings, t->model));
    set_options(t);
    CLI_TRY(cli_setup_told(clm_params_create(&t->initial, t->model, &t->task.options)));
    CLI_TRY(cli_initial_params(t->initial, &t->settings));
    t->options.init = t->initial;
    return cli_trainer_told(clm_train_check(t->source, &t->options));
}

/* Before anything is planned, so that all programs of a run make the same choices as those of a resumed one. */
static clm_status tune(cli_trainer *t) {
    const cli_settings *s = &t->settings;
    bool host = true;
    assert(t->split.count > 0);
    for (size_t i = 0; i < t->split.count; i++)
        host = host && clm_device_get_info(t->split.devices[i])->type == CLM_DEVICE_HOST;
    if (host && t->budget_given && s->tune_budget > 0)
        return cli_usage("--tune-budget says nothing to the host device, which has no kernels to choose from; leave it out");
    clm_meta_options options = t->options.meta;
    options.tasks = (int)((s->meta_batch + (int64_t)t->split.count - 1) / (int64_t)t->split.count);
    options.task_chunk = options.task_chunk < options.tasks ? options.task_chunk : options.tasks;
    for (size_t i = 0; i < t->split.count; i++)
        CLI_TRY(
            cli_tune_on_the_way(t->split.devices[i], t->model, &options, cli_tune_budget(t->split.devices[i], s->tune_budget)));
    return CLM_OK;
}

static clm_status share_out(cli_trainer *t) {
    clm_meta_options trial = t->options.meta;
    trial.both_orders = false;
    return cli_split_tasks(&t->split, &t->settings, t->split_stored, t->model, &trial);
}

static clm_status write_note(cli_trainer *t) {
    json_t *settings = cli_settings_to_json(&t->settings);
    t->note = cli_json_text(settings, 0);
    json_decref(settings);
    t->options.note = t->note;
    return t->note ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

clm_status cli_trainer_plan(cli_trainer *t) {
    const cli_settings *s = &t->settings;
    CLI_TRY(cli_split_open(&t->split, s->device[0] ? s->device : NULL, (int)s->meta_batch, s->force));
    CLI_TRY(tune(t));
    CLI_TRY(share_out(t));
    CLI_TRY(write_note(t));
    return cli_trainer_told(clm_trainer_create(&t->trainer, t->split.shares, t->split.count, t->source, t->model, &t->options));
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
    const clm_status status = cli_trainer_told(clm_trainer_run(t->trainer));
    cli_progress_end(&t->progress, &t->state);
    return status;
}
