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

/* One that cannot be read does not keep the others from their page, which says what is wrong with it; alone it is a failure. */
static clm_status open_runs(const cli_args *args, report_run *runs, size_t *n, page *left_out) {
    for (size_t i = 0; i < args->n_positional; i++) {
        const clm_status status = report_run_open(&runs[*n], args->positional[i]);
        if (status == CLM_OK) {
            ++*n;
            continue;
        }
        if (args->n_positional == 1 || status == CLM_E_MEMORY) return status;
        cli_note("left out: %s", cli_message());
        page_add(left_out, "<p class=\"note\">Left out: ");
        page_escape(left_out, cli_message());
        page_add(left_out, "</p>\n");
        report_run_close(&runs[*n]);
        cli_forget();
    }
    return *n ? CLM_OK : cli_fail(CLM_E_FORMAT, "none of %zu runs can be read", args->n_positional);
}

static clm_status report(const cli_args *args, report_run *runs, page *p, page *left_out, clm_device **device) {
    const report_settings *s = args->settings;
    size_t n = 0;
    CLI_TRY(check(args));
    CLI_TRY(open_runs(args, runs, &n, left_out));
    if (s->device[0]) CLI_TRY(cli_tested_open(device, s->device, false)); /* one that is asked for must be there */
    section_head(p, n);
    if (left_out->length) page_add(p, "%s", left_out->text);
    section_together(p, runs, n);
    for (size_t i = 0; i < n; i++) {
        section_run(p, &runs[i], i + 1);
        if (!s->no_pictures) pictures_add(p, &runs[i], device, s->device);
    }
    page_add(p, "<p class=\"note\">clMAML %s</p>\n</body>\n</html>\n", clm_version());
    if (p->failed || left_out->failed) return cli_fail(CLM_E_MEMORY, "out of memory");
    CLI_TRY(cli_file_write(s->out, p->text, p->length));
    cli_line(stdout, "%zu run%s: %s\n", n, n == 1 ? "" : "s", cli_shown(s->out));
    if (n == args->n_positional) return CLM_OK;
    return cli_fail(CLM_E_FORMAT, "%s holds %zu of %zu runs: what cannot be read is left out", s->out, n, args->n_positional);
}

static int run_report(cli_args *args) {
    drop_tables(args);
    page p = {0}, left_out = {0};
    clm_device *device = NULL;
    report_run *runs = calloc(REPORT_RUNS, sizeof *runs);
    if (!runs) return cli_exit(cli_fail(CLM_E_MEMORY, "out of memory"));
    const int exit_status = cli_exit(report(args, runs, &p, &left_out, &device));
    clm_device_close(device);
    for (size_t i = 0; i < REPORT_RUNS; i++) report_run_close(&runs[i]);
    free(runs);
    page_free(&p);
    page_free(&left_out);
    return exit_status;
}

const cli_command cli_report = {
    .name = "report",
    .synopsis = "RUN.. --out FILE [--option value ..]",
    .summary = "runs as one page for a browser, side by side",
    .details =
        "Writes an HTML file that needs nothing beside itself: of each run its protocol, its test score with interval, the "
        "scores after each inner step, the learning curve and its speed; of several the differences of their scores; and, "
        "of a run that learns from pictures or functions, test tasks with the predictions before and after adaptation. Of "
        "several runs one that cannot be read is left out: the page says why, and the exit status is 1.",
    .options = options,
    .settings_size = sizeof(report_settings),
    .defaults = &defaults,
    .max_positional = REPORT_RUNS + SWEEP_FILES,
    .run = run_report,
};
