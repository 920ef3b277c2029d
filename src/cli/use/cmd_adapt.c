/* `clmaml adapt`: learns the classes in a folder, and keeps what it has learned as one file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "base/system.h"
#include "config/settings.h"
#include "use/use.h"

typedef struct adapt_settings {
    char support[CLI_PATH_MAX], out[CLI_PATH_MAX], device[CLI_PATH_MAX];
    int64_t steps;
    bool force;
} adapt_settings;

#define AT(field) offsetof(adapt_settings, field)

static const cli_option options[] = {
    {"Options", "support", CLI_TEXT, 0, AT(support), 0, 0, "FOLDER", "a folder of pictures for each class to be learned"},
    {NULL, "out", CLI_TEXT, 0, AT(out), 0, 0, "FILE", "where the adapted model goes; an older one is replaced"},
    {NULL, "steps", CLI_INT, 0, AT(steps), -1, CLI_MAX_STEPS, "K", "inner steps; -1: as many as the run tested with"},
    {NULL, "device", CLI_TEXT, 0, AT(device), 0, 0, "WHICH", "as for train"},
    {NULL, "force", CLI_FLAG, 0, AT(force), 0, 0, "", "as for train"},
    {.name = NULL},
};
static const adapt_settings defaults = {.steps = -1};

static clm_status adapt(const cli_args *args, cli_use *u) {
    const adapt_settings *s = args->settings;
    if (args->n_positional == 0) return cli_usage("say what to adapt: clmaml adapt RUN|CHECKPOINT --support FOLDER --out FILE");
    if (!s->support[0]) return cli_usage("give --support FOLDER, with a folder of pictures for each class");
    if (!s->out[0]) return cli_usage("give --out FILE, where the adapted model goes");
    if (cli_is_directory(s->out)) return cli_usage("--out %s is a directory", s->out);
    if (cli_is_same_file(s->out, args->positional[0]))
        return cli_usage("--out %s is the checkpoint itself; give another name", s->out);
    const double began = cli_clock();
    CLI_TRY(cli_use_open(u, args->positional[0], s->support, (int)s->steps, s->device, s->force));
    CLI_TRY(clm_learner_save(u->learner, s->out, (const char *const *)u->names));
    printf("%zu classes learned from %zu pictures by %d step%s of %s, in %.2f s with loading: %s\n", u->n_names, u->examples,
           u->info.steps, u->info.steps == 1 ? "" : "s", u->info.algorithm, cli_clock() - began, s->out);
    printf("next: clmaml predict %s PICTURE|FOLDER..\n", s->out);
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
    .synopsis = "RUN|CHECKPOINT --support FOLDER --out FILE [--option value ..]",
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
