/* `clmaml adapt`: learns the classes in a folder, and keeps what it has learned as one file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/options.h"
#include "base/outputs.h"
#include "base/system.h"
#include "config/pretrained.h"
#include "config/settings.h"
#include "use/use.h"

typedef struct adapt_settings {
    char model[CLI_PATH_MAX], support[CLI_PATH_MAX], out[CLI_PATH_MAX], device[CLI_PATH_MAX];
    int64_t steps;
    bool force;
} adapt_settings;

#define AT(field) offsetof(adapt_settings, field)

static const cli_option options[] = {
    {"Options", "model", CLI_TEXT, 0, AT(model), 0, 0, "NAME",
     "a pretrained model instead of a run; `clmaml pretrained` lists them"},
    {NULL, "support", CLI_TEXT, 0, AT(support), 0, 0, "FOLDER", "a folder of pictures for each class to be learned"},
    {NULL, "out", CLI_TEXT, 0, AT(out), 0, 0, "FILE", "where the adapted model goes; an older one is replaced, no other file"},
    {NULL, "steps", CLI_INT, 0, AT(steps), CLI_AUTO, CLI_MAX_STEPS, "K|auto",
     "inner steps; auto: as many as the run tested with"},
    {NULL, "device", CLI_TEXT, 0, AT(device), 0, 0, "WHICH", CLI_DEVICE_HELP},
    {NULL, "force", CLI_FLAG, 0, AT(force), 0, 0, "", CLI_FORCE_HELP},
    {.name = NULL},
};
static const adapt_settings defaults = {.steps = -1};

/* Only an adapted model is replaced: another file of that name was meant for something else. */
static clm_status check_replaced(const char *out) {
    clm_archive *archive = NULL;
    if (!cli_is_regular_file(out)) return CLM_OK;
    const bool adapted = clm_archive_load(&archive, out) == CLM_OK && clm_archive_meta(archive, "clmaml.adapted");
    clm_archive_free(archive);
    cli_forget();
    return adapted ? CLM_OK : cli_usage("--out %s is there, and is no adapted model; give another name, or remove it", out);
}

static clm_status adapt(const cli_args *args, cli_use *u) {
    const adapt_settings *s = args->settings;
    char path[CLI_PATH_MAX];
    CLI_TRY(cli_pretrained_or(path, s->model, args->n_positional ? args->positional[0] : NULL,
                              "say what to adapt: clmaml adapt RUN|CHECKPOINT|--model NAME --support FOLDER --out FILE"));
    if (!s->support[0]) return cli_usage("give --support FOLDER, with a folder of pictures for each class");
    CLI_TRY(cli_output_check(s->out, "the adapted model"));
    if (cli_is_same_file(s->out, path)) return cli_usage("--out %s is the checkpoint itself; give another name", s->out);
    CLI_TRY(check_replaced(s->out));
    const double began = cli_clock();
    CLI_TRY(cli_use_open(u, path, "a run directory or a checkpoint", s->support, (int)s->steps, s->device, s->force));
    CLI_TRY(clm_learner_save(u->learner, s->out, (const char *const *)u->names));
    char steps[32] = "";
    if (u->info.steps) snprintf(steps, sizeof steps, "%d step%s of ", u->info.steps, u->info.steps == 1 ? "" : "s");
    cli_line(stdout, "%zu classes learned from %zu pictures by %s%s, in %.2f s with loading: %s\n", u->n_names, u->examples,
             steps, u->info.algorithm, cli_clock() - began, cli_shown(s->out));
    const clm_learner_info info = clm_learner_get_info(u->learner);
    if (info.initialisations > 1)
        cli_line(stdout, "from initialisation %d of %d, whose support loss is the lowest\n", info.chosen + 1,
                 info.initialisations);
    cli_line(stdout, "next: clmaml predict %s PICTURE|FOLDER..\n", cli_pasted(s->out));
    return CLM_OK;
}

static int run_adapt(cli_args *args) {
    cli_use use = {0};
    const int exit_status = cli_exit(adapt(args, &use));
    cli_use_close(&use);
    return exit_status;
}

const cli_command cli_adapt = {
    .name = "adapt",
    .synopsis = "RUN|CHECKPOINT|--model NAME --support FOLDER --out FILE [--option value ..]",
    .summary = "learn new classes from a few pictures of each",
    .details = "Takes a trained run and a folder with a folder of pictures for each class, however many each has, and writes a "
               "model that tells these classes apart. Fewer classes than the run's --ways may be learned; more by protonet, "
               "protomaml and finetune alone. The file holds all that `clmaml predict` needs.",
    .options = options,
    .settings_size = sizeof(adapt_settings),
    .defaults = &defaults,
    .max_positional = 1,
    .run = run_adapt,
};
