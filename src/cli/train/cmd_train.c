/* `clmaml train`: settings from the command line, a preset or a run directory; then the loop; then the held-out classes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/options.h"
#include "base/ranks.h"
#include "base/system.h"
#include "config/beside.h"
#include "config/folders.h"
#include "config/presets.h"
#include "config/protocol.h"
#include "config/readers.h"
#include "config/sources.h"
#include "train/check.h"
#include "train/navigation.h"
#include "train/run.h"
#include "train/trainer.h"

extern const cli_command cli_train;

static clm_status no_source(void) {
    char names[256];
    cli_names_join(&cli_trained_names, "|", names, sizeof names);
    return cli_usage("say what to train on: clmaml train %s, or --preset NAME", names);
}

/* Its own table of options reads the command line only where its name comes first. */
static clm_status check_variant(const cli_args *args) {
    const char *name = args->n_positional ? args->positional[0] : "";
    if (!cli_command_variant(&cli_train, name)) return CLM_OK;
    return cli_usage("%s has options of its own and stands in front of them: clmaml train %s [--option value ..]", name, name);
}

/* All but the directory. */
static clm_status settle_settings(cli_settings *s, cli_args *args) {
    CLI_TRY(check_variant(args));
    CLI_TRY(cli_setup_arguments(s, cli_settings_options, args));
    CLI_TRY(cli_presets_apply(s, args->given));
    if (!s->source[0]) return no_source();
    if (args->given[cli_settings_row("data")] && args->n_positional &&
        (cli_is_directory(args->positional[0]) || cli_is_arrays(args->positional[0])))
        return cli_usage("--data %s beside %s: a new run takes what it is given by name; --data says where that lies now to "
                         "--resume and eval",
                         s->data, args->positional[0]);
    CLI_TRY(cli_beside_settle(s));
    CLI_TRY(cli_source_check(s, cli_settings_options, args->given));
    CLI_TRY(cli_beside_check(s));
    CLI_TRY(cli_source_check_pairs(s, cli_settings_options, args->given));
    CLI_TRY(cli_readers_check(s, cli_settings_options, args->given));
    cli_settings_settle(s);
    CLI_TRY(cli_settings_check(s));
    cli_path_make_absolute(s->data);
    return cli_settings_check_texts(s);
}

static clm_status settle_new(cli_settings *s, cli_args *args) {
    CLI_TRY(settle_settings(s, args));
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
    CLI_TRY(clm_train_checkpoint_path(path, sizeof path, s->run, CLM_RANK_NEWEST));
    if (cli_path_exists(path)) {
        const char *difference;
        CLI_TRY(cli_checkpoint_load(checkpoint, path));
        if ((difference = cli_settings_difference(&stored, &checkpoint->settings)))
            return cli_fail(
                CLM_E_FORMAT,
                "%s belongs to another run than %s: they differ in %s; put the run's own back, or move this one away and "
                "the run goes on from the newest of its own; where config.json is another run's, move that away",
                path, s->run, difference);
    }
    if (cli_names_find(&cli_source_names, stored.source) < 0) cli_path_make_absolute(stored.source); /* older runs */
    cli_path_make_absolute(s->data);
    CLI_TRY(cli_settings_resume(&stored, s, args->given, s->run));
    CLI_TRY(cli_source_check(&stored, cli_settings_options, args->given));
    CLI_TRY(cli_readers_check(&stored, cli_settings_options, args->given));
    if (checkpoint->archive && checkpoint->iteration > (uint64_t)stored.iterations)
        return cli_usage("%s has made %llu iterations already; --iterations %lld is less", s->run,
                         (unsigned long long)checkpoint->iteration, (long long)stored.iterations);
    *s = stored;
    return cli_settings_check(s);
}

/* With a subject beside it, --resume begins a run that is not there yet: so the same command starts it and, after a failure, goes on. */
static bool begins(const cli_settings *s, const cli_args *args) {
    char path[CLI_PATH_MAX];
    if (!s->resume || (!args->n_positional && !args->given[cli_settings_row("preset")]) || !s->run[0]) return !s->resume;
    return cli_path(path, s->run, "config.json") == CLM_OK && !cli_path_exists(path);
}

static clm_status settle(cli_settings *s, cli_args *args, cli_checkpoint *checkpoint) {
    if (!begins(s, args)) return settle_resumed(s, args, checkpoint);
    s->resume = false;
    return settle_new(s, args);
}

/* Rank 0 settles what the run is; the others receive it, with the model of the checkpoint, if there is one, in *model. */
static clm_status settle_for_all(cli_settings *s, cli_args *args, cli_checkpoint *checkpoint, char **model) {
    clm_status status = cli_ranks_lead() ? settle(s, args, checkpoint) : CLM_OK;
    const char *own = status == CLM_OK && checkpoint->archive && checkpoint->model[0] ? checkpoint->model : "";
    uint64_t length = strlen(own);
    CLI_TRY(cli_ranks_follow(status, s, sizeof *s));
    CLI_TRY(cli_ranks_follow(CLM_OK, &length, sizeof length));
    if (!length) return CLM_OK;
    if (!(*model = calloc((size_t)length + 1, 1))) return cli_fail(CLM_E_MEMORY, "out of memory");
    if (cli_ranks_lead()) memcpy(*model, own, (size_t)length);
    return cli_ranks_follow(CLM_OK, *model, (size_t)length);
}

static clm_status prepare(cli_trainer *t, double began) {
    CLI_TRY(clm_trainer_prepare(t->trainer));
    cli_line(stdout, "ready in %.1f s: %zu kernels built from source, %s of device memory allocated\n\n", cli_clock() - began,
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

/* Only of functions of one number, and only behind a test. */
static void print_fits(const cli_trainer *t) {
    char path[CLI_PATH_MAX];
    if (cli_path(path, t->settings.run, "fits.svg") == CLM_OK && cli_path_exists(path))
        cli_line(stdout, "fits of test tasks: %s\n", cli_shown(path));
    cli_forget();
}

static void print_protocol(const cli_trainer *t) {
    FILE *lines = cli_lines_begin(stdout);
    cli_protocol_print(lines, &t->settings, t->validates ? CLI_CHOICE_MADE : CLI_CHOICE_NONE, t->source, t->model, t->initial);
    cli_lines_end(lines, stdout);
}

/* Where the device could have done more. Less than a thousandth is not worth a word. */
static void print_wait(const cli_trainer *t) {
    const double wait = clm_trainer_result(t->trainer)->data_wait;
    if (wait >= 0.001)
        cli_line(stdout, "updates waited %.1f %% of their time for data%s\n", 100 * wait,
                 wait < 0.1 ? "" : ": drawing tasks is what takes long here");
}

/* What can be done with the run. */
static void print_next(const cli_trainer *t) {
    const char *run = t->settings.run;
    const clm_train_result *r = clm_trainer_result(t->trainer);
    if (r->skipped > 0)
        cli_note("%llu of %llu updates were not finite and are left out", (unsigned long long)r->skipped,
                 (unsigned long long)r->iteration);
    if (t->validates && !isfinite(r->best_score))
        cli_note("the checkpoint that validation chose is lost: tested is the last one, of iteration %llu",
                 (unsigned long long)r->iteration);
    cli_line(stdout, "learning curve: %s/curve.svg\n", cli_shown(run));
    print_fits(t);
    if (!cli_source_of(t->settings.source)->regression && !cli_is_arrays(t->settings.source) && !t->settings.beside[0])
        cli_line(stdout,
                 "classes of your own: clmaml adapt %s --support FOLDER --out FILE.safetensors (FOLDER/CLASS/PICTURE)\n",
                 cli_pasted(run));
    else
        cli_line(stdout, "more about it: clmaml eval %s\n", cli_pasted(run));
}

static clm_status train(cli_trainer *t, cli_args *args) {
    clm_status status = CLM_OK;
    cli_checkpoint checkpoint = {0};
    char *model = NULL;
    t->settings = *(cli_settings *)args->settings;
    CLI_GOTO(cli_ranks_open("train"));
    CLI_GOTO(settle_for_all(&t->settings, args, &checkpoint, &model));
    t->budget_given = args->given[cli_settings_row("tune-budget")];
    t->split_stored = t->settings.resume && !args->given[cli_settings_row("split")];
    CLI_GOTO(open_trainer(t, model, args->given));
    print_protocol(t);
    fflush(stdout);
    double began = cli_clock();
    CLI_GOTO(cli_trainer_plan(t));
    CLI_GOTO(cli_trainer_print_plan(t));
    CLI_GOTO(prepare(t, began));
    cli_signals_catch(cli_ranks_lead() ? "clmaml: stopping after this update; the same signal again ends it at once\n" : NULL);
    CLI_GOTO(cli_trainer_run(t));
    cli_trainer_print_speeds(t);
    print_wait(t);
    if (!clm_trainer_result(t->trainer)->stopped) CLI_GOTO(cli_trainer_test(t));
    if (!clm_trainer_result(t->trainer)->stopped) print_next(t);
out:
    if (status != CLM_OK && cli_ranks_lead() && t->settings.run[0] && !args->given[cli_settings_row("run")])
        cli_directory_give_up(t->settings.run);
    cli_checkpoint_close(&checkpoint);
    free(model);
    return status;
}

static int run_train(cli_args *args) {
    cli_trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer) return cli_exit(cli_fail(CLM_E_MEMORY, "out of memory"));
    cli_pipe_outlive();
    int exit_status = cli_exit(train(trainer, args));
    const clm_train_result *result = trainer->trainer ? clm_trainer_result(trainer->trainer) : NULL;
    if (exit_status == CLI_EXIT_OK && result && result->stopped && trainer->settings.stop_after && !cli_stop_requested()) {
        cli_line(stdout, "stopped after iteration %llu, as --stop-after says; go on with: clmaml train --resume --run %s\n",
                 (unsigned long long)result->last_checkpoint, cli_shown(trainer->settings.run));
    } else if (exit_status == CLI_EXIT_OK && result && result->stopped) {
        cli_line(stderr, "clmaml: stopped after iteration %llu, nothing is lost; go on with: clmaml train --resume --run %s\n",
                 (unsigned long long)result->last_checkpoint, cli_pasted(trainer->settings.run));
        exit_status = CLI_EXIT_INTERRUPTED;
    }
    cli_trainer_close(trainer);
    free(trainer);
    return cli_ranks_close(exit_status);
}

/* ---- looked at beforehand ---- */

static clm_status check_all(cli_trainer *t, cli_args *args, bool opens, cli_train_facts *facts) {
    t->quiet = true;
    t->settings = *(cli_settings *)args->settings;
    CLI_TRY(settle_settings(&t->settings, args));
    if (opens) CLI_TRY(open_trainer(t, NULL, args->given));
    const cli_settings *s = &t->settings;
    facts->regression = opens ? t->regression : cli_source_of(s->source)->regression && !cli_source_has_labels(s);
    facts->validates = !opens || t->validates;
    facts->iterations = s->iterations;
    facts->val_every = s->val_every;
    return CLM_OK;
}

clm_status cli_train_check(int argc, char **argv, bool opens, cli_train_facts *facts) {
    clm_status status = CLM_OK;
    cli_trainer *trainer = NULL;
    cli_settings *settings = NULL;
    cli_args *args = NULL;
    CLI_NEW(trainer, 1);
    CLI_NEW(settings, 1);
    CLI_NEW(args, 1);
    *settings = cli_settings_defaults;
    args->settings = settings;
    CLI_GOTO(cli_options_parse(&cli_train, argc, argv, args));
    CLI_GOTO(check_all(trainer, args, opens, facts));
out:
    if (trainer) cli_trainer_close(trainer);
    free(trainer);
    free(settings);
    free(args);
    return status;
}

static const cli_command *const variants[] = {&cli_train_navigation, NULL};

const cli_command cli_train = {
    .name = "train",
    .synopsis = "SUBJECT [--option value ..]",
    .subjects = &cli_trained_names,
    .summary = "meta-learn a starting point from tasks",
    .details = "Trains a network so that a few inner steps on a few examples of new classes suffice: by second-order MAML, or "
               "by another --algorithm. What to train on:",
    .options = cli_settings_options,
    .settings_size = sizeof(cli_settings),
    .defaults = &cli_settings_defaults,
    .max_positional = 2,
    .readers = cli_readers_help,
    .run = run_train,
    .variants = variants,
};
