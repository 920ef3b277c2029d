/* `clmaml train`: settings from the command line, a preset or a run directory; then the loop; then the held-out classes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "base/system.h"
#include "config/folders.h"
#include "config/presets.h"
#include "config/protocol.h"
#include "config/readers.h"
#include "config/sources.h"
#include "train/run.h"
#include "train/trainer.h"

static clm_status no_source(void) {
    char names[256];
    cli_names_join(&cli_subject_names, "|", names, sizeof names);
    return cli_usage("say what to train on: clmaml train %s, or --preset NAME", names);
}

static clm_status settle_new(cli_settings *s, cli_args *args) {
    CLI_TRY(cli_setup_arguments(s, cli_settings_options, args));
    CLI_TRY(cli_presets_apply(s, args->given));
    if (!s->source[0]) return no_source();
    CLI_TRY(cli_source_check(s->source, cli_settings_options, args->given));
    CLI_TRY(cli_readers_check(s, cli_settings_options, args->given));
    cli_settings_settle(s);
    CLI_TRY(cli_settings_check(s));
    cli_path_make_absolute(s->data);
    if (!s->run[0]) CLI_TRY(cli_run_default_name(s->run, s));
    return cli_run_check_new(s->run);
}

/* The checkpoint to go on from; a run killed before its first one begins again, which its seed makes the same run. */
static clm_status settle_resumed(cli_settings *s, cli_args *args, cli_checkpoint *checkpoint) {
    cli_settings stored;
    char path[CLI_PATH_MAX];
    if (!s->run[0]) return cli_usage("--resume needs --run DIR, the directory of the run to go on with");
    CLI_TRY(cli_setup_arguments(s, cli_settings_options, args));
    CLI_TRY(cli_run_load_settings(s->run, &stored));
    CLI_TRY(clm_train_checkpoint_path(path, sizeof path, s->run, CLM_RANK_LAST));
    if (cli_path_exists(path)) {
        const char *difference;
        CLI_TRY(cli_checkpoint_load(checkpoint, path));
        if ((difference = cli_settings_difference(&stored, &checkpoint->settings)))
            return cli_fail(CLM_E_FORMAT, "%s belongs to another run than %s: they differ in %s", path, s->run, difference);
    }
    if (cli_names_find(&cli_source_names, stored.source) < 0) cli_path_make_absolute(stored.source); /* older runs */
    cli_path_make_absolute(s->data);
    CLI_TRY(cli_settings_resume(&stored, s, args->given, s->run));
    CLI_TRY(cli_source_check(stored.source, cli_settings_options, args->given));
    CLI_TRY(cli_readers_check(&stored, cli_settings_options, args->given));
    if (checkpoint->archive && checkpoint->iteration > (uint64_t)stored.iterations)
        return cli_usage("%s has made %llu iterations already; --iterations %lld is less", s->run,
                         (unsigned long long)checkpoint->iteration, (long long)stored.iterations);
    *s = stored;
    return cli_settings_check(s);
}

static clm_status prepare(cli_trainer *t, double began) {
    CLI_TRY(cli_trainer_told(clm_trainer_prepare(t->trainer)));
    printf("ready in %.1f s: %zu kernels built from source, %s of device memory allocated\n\n", cli_clock() - began,
           cli_split_kernels_built(&t->split), cli_bytes((double)cli_split_allocated(&t->split)).s);
    fflush(stdout);
    return CLM_OK;
}

/* An option that says nothing to the model may be what failed, and says more than the failure. */
static clm_status open_trainer(cli_trainer *t, const char *json, const bool *given) {
    const clm_status status = cli_trainer_open(t, json);
    if (t->source) CLI_TRY(cli_setup_check_split(&t->settings, t->source, cli_settings_options, given));
    if (t->model) CLI_TRY(cli_readers_check_model(&t->settings, t->model, cli_settings_options, given));
    return status;
}

/* What can be done with the run. */
static void print_next(const cli_trainer *t) {
    const char *run = t->settings.run;
    printf("learning curve: %s/curve.svg\n", run);
    if (!cli_source_of(t->settings.source)->regression && !cli_is_arrays(t->settings.source))
        printf("classes of your own: clmaml adapt %s --support FOLDER --out FILE.safetensors (FOLDER/CLASS/PICTURE)\n", run);
    else
        printf("more about it: clmaml eval %s\n", run);
}

static clm_status train(cli_trainer *t, cli_args *args) {
    clm_status status = CLM_OK;
    cli_checkpoint checkpoint = {0};
    t->settings = *(cli_settings *)args->settings;
    CLI_GOTO(t->settings.resume ? settle_resumed(&t->settings, args, &checkpoint) : settle_new(&t->settings, args));
    t->budget_given = args->given[cli_settings_row("tune-budget")];
    t->split_stored = t->settings.resume && !args->given[cli_settings_row("split")];
    CLI_GOTO(open_trainer(t, checkpoint.archive && checkpoint.model[0] ? checkpoint.model : NULL, args->given));
    cli_protocol_print(stdout, &t->settings, t->source, t->model, t->initial);
    fflush(stdout);
    double began = cli_clock();
    CLI_GOTO(cli_trainer_plan(t));
    cli_trainer_print_plan(t);
    CLI_GOTO(prepare(t, began));
    cli_signals_catch();
    CLI_GOTO(cli_trainer_run(t));
    cli_split_print_speeds(clm_trainer_meta(t->trainer), stdout);
    if (!clm_trainer_result(t->trainer)->stopped) CLI_GOTO(cli_trainer_test(t));
    if (!clm_trainer_result(t->trainer)->stopped) print_next(t);
out:
    if (status != CLM_OK && t->settings.run[0] && !args->given[cli_settings_row("run")]) cli_directory_give_up(t->settings.run);
    cli_checkpoint_close(&checkpoint);
    return status;
}

static int run_train(cli_args *args) {
    cli_trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer) return cli_exit(cli_fail(CLM_E_MEMORY, "out of memory"));
    cli_pipe_outlive();
    int exit_status = cli_exit(train(trainer, args));
    const clm_train_result *result = trainer->trainer ? clm_trainer_result(trainer->trainer) : NULL;
    if (exit_status == CLI_EXIT_OK && result && result->stopped) {
        fprintf(stderr, "clmaml: stopped after iteration %llu, nothing is lost; go on with: clmaml train --resume --run %s\n",
                (unsigned long long)result->last_checkpoint, trainer->settings.run);
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
    .max_positional = 2,
    .readers = cli_readers_help,
    .run = run_train,
};
