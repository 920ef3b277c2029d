/* `clmaml report`: runs as one page that needs nothing beside itself. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/drivers.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/outputs.h"
#include "base/system.h"
#include "report/pictures.h"
#include "report/sections.h"
#include "selftest/first_use.h"

typedef struct report_settings {
    char out[CLI_PATH_MAX], device[CLI_PATH_MAX];
    bool no_pictures;
} report_settings;

#define AT(field) offsetof(report_settings, field)

static const cli_option options[] = {
    {"Options", "out", CLI_TEXT, 0, AT(out), 0, 0, "FILE", "where the page goes; an older one is replaced"},
    {NULL, "no-pictures", CLI_FLAG, 0, AT(no_pictures), 0, 0, "", "leave out the pictures of a test task, which open the data"},
    {NULL, "device", CLI_TEXT, 0, AT(device), 0, 0, "WHICH", "that adapts to these pictures: " CLI_DEVICE_HELP},
    {.name = NULL},
};
enum { SWEEP_FILES = 3 };
static const report_settings defaults = {.out = ""};

/* All that lies in the directory of a sweep names the files of its table, too. */
static void drop_tables(cli_args *args) {
    static const char *const names[SWEEP_FILES] = {"plan.json", "sweep.json", "sweep.csv"};
    size_t kept = 0;
    for (size_t i = 0; i < args->n_positional; i++) {
        const char *path = args->positional[i], *slash = strrchr(path, '/');
        bool is_table = false;
        for (size_t k = 0; k < SWEEP_FILES; k++) is_table = is_table || (slash && strcmp(slash + 1, names[k]) == 0);
        if (!is_table) args->positional[kept++] = path;
    }
    args->n_positional = kept;
}

static clm_status check(const cli_args *args) {
    const report_settings *s = args->settings;
    if (args->n_positional == 0) return cli_usage("say what to report: clmaml report RUN.. --out FILE.html");
    if (args->n_positional > REPORT_RUNS) return cli_usage("a page holds at most %d runs", REPORT_RUNS);
    CLI_TRY(cli_output_check(s->out, "the page"));
    CLI_TRY(cli_output_check_kind(s->out, "<!DOCTYPE html>", "page"));
    if (s->device[0] && s->no_pictures) return cli_usage("--device is for pictures; it says nothing beside --no-pictures");
    return s->device[0] ? cli_refuse_parts(s->device) : CLM_OK;
}

static clm_status report(const cli_args *args, report_run *runs, page *p, clm_device **device) {
    const report_settings *s = args->settings;
    const size_t n = args->n_positional;
    CLI_TRY(check(args));
    for (size_t i = 0; i < n; i++) CLI_TRY(report_run_open(&runs[i], args->positional[i]));
    if (s->device[0]) CLI_TRY(cli_tested_open(device, s->device, false)); /* one that is asked for must be there */
    section_head(p, n);
    section_together(p, runs, n);
    for (size_t i = 0; i < n; i++) {
        section_run(p, &runs[i], i + 1);
        if (!s->no_pictures) pictures_add(p, &runs[i], device, s->device);
    }
    page_add(p, "<p class=\"note\">clMAML %s</p>\n</body>\n</html>\n", clm_version());
    if (p->failed) return cli_fail(CLM_E_MEMORY, "out of memory");
    CLI_TRY(cli_file_write(s->out, p->text, p->length));
    cli_line(stdout, "%zu run%s: %s\n", n, n == 1 ? "" : "s", cli_shown(s->out));
    return CLM_OK;
}

static int run_report(cli_args *args) {
    drop_tables(args);
    page p = {0};
    clm_device *device = NULL;
    report_run *runs = calloc(REPORT_RUNS, sizeof *runs);
    if (!runs) return cli_exit(cli_fail(CLM_E_MEMORY, "out of memory"));
    const int exit_status = cli_exit(report(args, runs, &p, &device));
    clm_device_close(device);
    for (size_t i = 0; i < REPORT_RUNS; i++) report_run_close(&runs[i]);
    free(runs);
    page_free(&p);
    return exit_status;
}

const cli_command cli_report = {
    .name = "report",
    .synopsis = "RUN.. --out FILE [--option value ..]",
    .summary = "runs as one page for a browser, side by side",
    .details =
        "Writes an HTML file that needs nothing beside itself: of each run its protocol, its test score with interval, the "
        "scores after each inner step, the learning curve and its speed; of several the differences of their scores; and, "
        "of a run that learns from pictures or functions, test tasks with the predictions before and after adaptation.",
    .options = options,
    .settings_size = sizeof(report_settings),
    .defaults = &defaults,
    .max_positional = REPORT_RUNS + SWEEP_FILES,
    .run = run_report,
};
