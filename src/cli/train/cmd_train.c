/* `clmaml train`: settings from the command line, a preset or a run directory; then the loop; then the held-out classes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "base/system.h"
#include "config/presets.h"
#include "config/protocol.h"
#include "config/readers.h"
#include "config/sources.h"
#include "train/trainer.h"

static clm_status no_source(void) {
    char names[256];
    cli_names_join(&cli_subject_names, "|", names, sizeof names);
    return cli_usage("say what to train on: clmaml train %s, or --preset NAME", names);
}

static clm_status settle_new(cli_settings *s, const cli_args *args) {
    if (args->n_positional > 0) CLI_TRY(cli_setup_resolve(s, args->positional[0]));
    CLI_TRY(cli_presets_apply(s, args->given));
    if (!s->source[0]) return no_source();
    CLI_TRY(cli_source_check(s->source, cli_settings_options, args->given));
    CLI_TRY(cli_readers_check(s, cli_settings_options, args->given));
    cli_settings_settle(s);
    CLI_TRY(cli_settings_check(s));
    if (!s->run[0]) CLI_TRY(cli_run_default_name(s->run, s));
    return cli_run_check_new(s->run);
}

/* The checkpoint to go on from; a run killed before its first one begins again, which its seed makes the same run. */
static clm_status settle_resumed(cli_settings *s, cli_args *args, cli_checkpoint *checkpoint) {
    cli_settings stored;
    char path[CLI_PATH_MAX];
    if (!s->run[0]) return cli_usage("--resume needs --run DIR, the directory of the run to go on with");
    if (args->n_positional > 0) CLI_TRY(cli_setup_resolve(s, args->positional[0]));
    CLI_TRY(cli_run_load_settings(s->run, &stored));
    CLI_TRY(cli_run_checkpoint_path(path, s->run, "last"));
    if (cli_path_exists(path)) {
        const char *difference;
        CLI_TRY(cli_checkpoint_load(checkpoint, path));
        if ((difference = cli_settings_difference(&stored, &checkpoint->settings)))
            return cli_fail(CLM_E_FORMAT, "%s belongs to another run than %s: they differ in %s", path, s->run, difference);
    }
    CLI_TRY(cli_settings_resume(&stored, s, args->given, s->run));
    CLI_TRY(cli_source_check(stored.source, cli_settings_options, args->given));
    CLI_TRY(cli_readers_check(&stored, cli_settings_options, args->given));
    *s = stored;
    return cli_settings_check(s);
}

static clm_status restore(cli_trainer *t, const cli_checkpoint *checkpoint) {
    char path[CLI_PATH_MAX];
    CLI_TRY(cli_run_checkpoint_path(path, t->settings.run, "last"));
    clm_status status = clm_meta_restore(t->meta, checkpoint->archive);
    if (status != CLM_OK) return strstr(cli_message(), path) ? status : cli_fail_in(status, "%s", path);
    t->ranking = checkpoint->ranking;
    t->last_checkpoint = clm_meta_iteration(t->meta);
    if (t->last_checkpoint > (uint64_t)t->settings.iterations)
        return cli_usage("%s has made %llu iterations already; --iterations %lld is less", t->settings.run,
                         (unsigned long long)t->last_checkpoint, (long long)t->settings.iterations);
    return CLM_OK;
}

static clm_status begin_run(cli_trainer *t, const cli_checkpoint *checkpoint) {
    const cli_settings *s = &t->settings;
    if (!s->resume || !checkpoint->archive) return cli_run_begin(&t->run, s, t->source, t->model, &t->split);
    CLI_TRY(cli_run_continue(&t->run, s, t->source, t->model, &t->split, t->last_checkpoint));
    if (s->ensemble > 1) CLI_TRY(cli_run_rank(&t->run, &t->ranking));
    cli_metrics *metrics = &t->run.metrics;
    for (size_t i = 0; i < metrics->count; i++)
        t->seconds_before = fmax(t->seconds_before, metrics->rows[i].value[CLI_METRIC_SECONDS]);
    return CLM_OK;
}

static void print_plan(const cli_trainer *t) {
    clm_meta_plan plan = clm_meta_get_plan(t->meta);
    size_t images = cli_resident_bytes(&t->resident, t->meta);
    size_t evaluation = t->evaluation_bytes;
    cli_split_print(&t->split, t->meta, stdout);
    printf("plan\n  checkpointing %s, %d tasks per launch, %s; a meta-gradient is %zu launches of %zu kernels, %.3g GFLOP\n",
           clm_checkpointing_name(plan.checkpointing), plan.task_chunk, clm_plan_reason_text(plan.reason), plan.launches,
           plan.kernels, plan.flops * 1e-9);
    printf("  predicted peak device memory %s: meta-gradient %s%s, evaluation %s\n",
           cli_bytes((double)(plan.bytes + evaluation + images)).s, cli_bytes((double)plan.bytes).s,
           t->measures_share ? " with its first-order part" : "", cli_bytes((double)evaluation).s);
    if (images) printf("  images on the device: %zu in %s\n", t->resident.images.count, cli_bytes((double)images).s);
    printf("run directory\n  %s\n", t->settings.run);
    fflush(stdout);
}

static clm_status prepare(cli_trainer *t, double began) {
    CLI_TRY(clm_meta_prepare(t->meta));
    CLI_TRY(cli_trainer_load_images(t));
    printf("ready in %.1f s: %zu kernels built from source, %s of device memory allocated\n\n", cli_clock() - began,
           cli_split_kernels_built(&t->split), cli_bytes((double)cli_split_allocated(&t->split)).s);
    fflush(stdout);
    return CLM_OK;
}

/* An option that says nothing to the model may be what failed, and says more than the failure. */
static clm_status open_trainer(cli_trainer *t, const char *json, const bool *given) {
    const clm_status status = cli_trainer_open(t, json);
    if (t->model) CLI_TRY(cli_readers_check_model(&t->settings, t->model, cli_settings_options, given));
    return status;
}

static clm_status train(cli_trainer *t, cli_args *args, bool *stopped) {
    clm_status status = CLM_OK;
    cli_checkpoint checkpoint = {0};
    t->settings = *(cli_settings *)args->settings;
    t->last_checkpoint = UINT64_MAX;
    CLI_GOTO(t->settings.resume ? settle_resumed(&t->settings, args, &checkpoint) : settle_new(&t->settings, args));
    t->split_stored = t->settings.resume && !args->given[cli_settings_row("split")];
    CLI_GOTO(open_trainer(t, checkpoint.archive && checkpoint.model[0] ? checkpoint.model : NULL, args->given));
    cli_protocol_print(stdout, &t->settings, t->source, t->model);
    fflush(stdout);
    double began = cli_clock();
    CLI_GOTO(cli_trainer_plan(t));
    if (checkpoint.archive) CLI_GOTO(restore(t, &checkpoint));
    print_plan(t);
    CLI_GOTO(begin_run(t, &checkpoint));
    CLI_GOTO(prepare(t, began));
    cli_signals_catch();
    CLI_GOTO(cli_trainer_loop(t, stopped));
    cli_split_print_speeds(t->meta, stdout);
    if (!*stopped) CLI_GOTO(cli_trainer_test(t, stopped));
    if (!*stopped) printf("learning curve: %s/curve.svg\n", t->run.directory);
out:
    cli_checkpoint_close(&checkpoint);
    return status;
}

static int run_train(cli_args *args) {
    bool stopped = false;
    cli_trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer) return cli_exit(cli_fail(CLM_E_MEMORY, "out of memory"));
    int exit_status = cli_exit(train(trainer, args, &stopped));
    if (exit_status == CLI_EXIT_OK && stopped) {
        fprintf(stderr, "clmaml: stopped after iteration %llu, nothing is lost; go on with: clmaml train --resume --run %s\n",
                (unsigned long long)trainer->last_checkpoint, trainer->settings.run);
        exit_status = CLI_EXIT_INTERRUPTED;
    }
    cli_trainer_close(trainer);
    free(trainer);
    return exit_status;
}

const cli_command cli_train = {
    .name = "train",
    .synopsis = "SUBJECT [--option value ..]",
    .subjects = &cli_subject_names,
    .summary = "meta-learn a starting point from tasks",
    .details = "Trains a network so that a few inner steps on a few examples of new classes suffice: by second-order MAML, or "
               "by another --algorithm. What to train on:",
    .options = cli_settings_options,
    .settings_size = sizeof(cli_settings),
    .defaults = &cli_settings_defaults,
    .max_positional = 1,
    .readers = cli_readers_help,
    .run = run_train,
};
