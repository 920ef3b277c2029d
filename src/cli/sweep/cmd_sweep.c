/* `clmaml sweep`: runs that differ in some settings, and which of them serves validation best. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/ranks.h"
#include "base/system.h"
#include "sweep/sweep.h"

typedef struct sweep_settings {
    char out[CLI_PATH_MAX], part[CLI_PATH_MAX];
    bool dry_run, retry;
} sweep_settings;

#define AT(field) offsetof(sweep_settings, field)

static const cli_option options[] = {
    {"Options", "out", CLI_TEXT, 0, AT(out), 0, 0, "DIR", "directory of the sweep; default: runs/NAME of NAME.json"},
    {NULL, "dry-run", CLI_FLAG, 0, AT(dry_run), 0, 0, "", "check everything and list the runs, and make none"},
    {NULL, "part", CLI_TEXT, 0, AT(part), 0, 0, "I/N",
     "make share I of N of the runs, as one of the processes of an array job; without it the rest is made, and the table"},
    {NULL, "retry", CLI_FLAG, 0, AT(retry), 0, 0, "", "try runs that have failed once more"},
    {.name = NULL},
};
static const sweep_settings defaults = {.out = ""};

static clm_status read_part(const char *text, sweep_work *work) {
    char *end = NULL;
    work->part = work->parts = 1;
    if (!*text) return CLM_OK;
    const long part = strtol(text, &end, 10);
    const long parts = end > text && *end == '/' ? strtol(end + 1, &end, 10) : 0;
    if (*end || part < 1 || part > parts || parts > SWEEP_RUNS_MOST)
        return cli_usage("--part '%s' is not I/N with I from 1 to N", text);
    work->part = (int)part;
    work->parts = (int)parts;
    return CLM_OK;
}

/* runs/lr of sweeps/lr.json: the same each time, so that the same command goes on. */
static clm_status settle_directory(sweep *s, const char *out) {
    const char *base = strrchr(s->path, '/') ? strrchr(s->path, '/') + 1 : s->path;
    const char *dot = strrchr(base, '.');
    char name[256];
    if (*out) {
        snprintf(s->directory, sizeof s->directory, "%s", out);
        for (size_t n = strlen(s->directory); n > 1 && s->directory[n - 1] == '/'; n--) s->directory[n - 1] = 0;
        return CLM_OK;
    }
    snprintf(name, sizeof name, "%.*s", (int)(dot && dot > base ? dot - base : (ptrdiff_t)strlen(base)), base);
    return cli_path(s->directory, "runs", name);
}

/* Rank 0 sees that all is well before anything is begun. */
static clm_status begin(sweep *s, const sweep_settings *settings, const sweep_work *work) {
    bool is_new = false;
    CLI_TRY(sweep_directory_look(s, &is_new));
    CLI_TRY(sweep_check(s, is_new || settings->dry_run));
    if (settings->dry_run) return CLM_OK;
    if (is_new) CLI_TRY(sweep_directory_begin(s));
    CLI_TRY(sweep_directory_lock(s, *settings->part ? work->part : 0, work->parts));
    for (size_t i = 0; i < s->n_runs && settings->retry; i++) CLI_TRY(sweep_failure_forget(s, &s->runs[i]));
    return CLM_OK;
}

/* The text of the file, which rank 0 reads. Free with free(). */
static clm_status read_file(const char *path, char **text) {
    clm_status status = cli_ranks_lead() ? cli_file_read(path, text) : CLM_OK;
    uint64_t length = status == CLM_OK && *text ? strlen(*text) : 0;
    CLI_TRY(cli_ranks_follow(status, &length, sizeof length));
    if (!cli_ranks_lead() && !(*text = calloc((size_t)length + 1, 1))) return cli_fail(CLM_E_MEMORY, "out of memory");
    return cli_ranks_follow(CLM_OK, *text, (size_t)length);
}

static bool all_failed(const sweep *s) {
    for (size_t i = 0; i < s->n_runs; i++)
        if (!s->runs[i].result.why[0]) return false;
    return true;
}

static clm_status finish(const sweep *s, const sweep_settings *settings, const sweep_work *work) {
    if (!cli_ranks_lead() || work->stopped) return CLM_OK;
    if (*settings->part) {
        cli_line(stdout, "part %d of %d: %s\n", work->part, work->parts,
                 work->waits
                     ? "its share of this round is made; when the other parts' are, the same command makes that of the next"
                     : "made; the same command without --part makes what is left of other parts, and the table");
        return CLM_OK;
    }
    CLI_TRY(sweep_table(s));
    if (all_failed(s)) return cli_fail(CLM_E_STATE, "all %zu runs failed; the first: %s", s->n_runs, s->runs[0].result.why);
    return CLM_OK;
}

/* Collective. Rank 0 first, so that its message is the one that is told. */
static clm_status settle(sweep *s, const char *path, const char *text, const sweep_settings *settings, const sweep_work *work) {
    const bool leads = cli_ranks_lead();
    clm_status status = CLM_OK;
    if (leads) {
        status = sweep_read(s, path, text);
        if (status == CLM_OK) status = settle_directory(s, settings->out);
        if (status == CLM_OK) status = begin(s, settings, work);
    }
    CLI_TRY(cli_ranks_follow(status, s->directory, sizeof s->directory));
    if (leads) return CLM_OK;
    CLI_TRY(sweep_read(s, path, text));
    return sweep_check(s, false);
}

static clm_status make(sweep *s, const cli_args *args, sweep_work *work) {
    const sweep_settings *settings = args->settings;
    char *text = NULL;
    clm_status status = CLM_OK;
    if (args->n_positional == 0) return cli_usage("say what to try: clmaml sweep FILE.json; clmaml sweep --help describes it");
    CLI_TRY(read_part(settings->part, work));
    CLI_TRY(cli_ranks_open("sweep"));
    CLI_GOTO(read_file(args->positional[0], &text));
    CLI_GOTO(settle(s, args->positional[0], text, settings, work));
    if (settings->dry_run) {
        if (cli_ranks_lead()) CLI_GOTO(sweep_print_plan(s));
        goto out;
    }
    cli_signals_catch(
        cli_ranks_lead()
            ? "clmaml: stopping as soon as its runs have saved their state; the same signal again ends it at once\n"
            : NULL);
    CLI_GOTO(sweep_make(s, work));
    CLI_GOTO(finish(s, settings, work));
out:
    free(text);
    return status;
}

static int run_sweep(cli_args *args) {
    sweep *s = calloc(1, sizeof *s);
    sweep_work work = {0};
    if (!s) return cli_exit(cli_fail(CLM_E_MEMORY, "out of memory"));
    cli_pipe_outlive();
    int exit_status = cli_exit(make(s, args, &work));
    if (exit_status == CLI_EXIT_OK && work.stopped) {
        if (cli_ranks_lead()) cli_line(stderr, "clmaml: stopped, nothing is lost; the same command goes on\n");
        exit_status = CLI_EXIT_INTERRUPTED;
    }
    sweep_close(s);
    free(s);
    return cli_ranks_close(exit_status);
}

const cli_command cli_sweep = {
    .name = "sweep",
    .synopsis = "FILE [--option value ..]",
    .summary = "train with many settings, and see which validate best",
    .details =
        "FILE is JSON. \"train\" says what to train on and \"options\" what all runs have, by the names of train's options; "
        "\"grid\" or "
        "\"random\", or both, say what varies:\n\n"
        "{\"train\": \"omniglot\", \"options\": {\"data\": \"DIR\", \"ways\": 5, \"anil\": true}, \"grid\": {\"steps\": [1, "
        "5]}, "
        "\"random\": {\"draws\": 20, \"seed\": 1, \"ranges\": {\"outer-lr\": {\"log-uniform\": [0.0001, 0.01]}}}, "
        "\"halving\": {\"factor\": 3, \"first\": 500, \"total\": 13500}}\n\n"
        "With \"halving\" all runs are made to iteration \"first\", and the best, one in \"factor\", go on to as many times "
        "more, up to "
        "\"total\". Each run is a directory as train makes it. Validation alone decides, by its best score or, with \"judge\": "
        "\"last\", its "
        "last. The same command goes on where it was stopped. mpirun shares the runs out, and --part does for array jobs.",
    .options = options,
    .settings_size = sizeof(sweep_settings),
    .defaults = &defaults,
    .max_positional = 1,
    .run = run_sweep,
};
