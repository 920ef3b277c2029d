/* `clmaml report`: runs as one page that needs nothing beside itself. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/options.h"
#include "base/system.h"
#include "report/pictures.h"
#include "report/sections.h"

typedef struct report_settings {
    char out[CLI_PATH_MAX], device[CLI_PATH_MAX];
    bool no_pictures;
} report_settings;

#define AT(field) offsetof(report_settings, field)

static const cli_option options[] = {
    {"Options", "out", CLI_TEXT, 0, AT(out), 0, 0, "FILE", "where the page goes; an older one is replaced"},
    {NULL, "no-pictures", CLI_FLAG, 0, AT(no_pictures), 0, 0, "", "leave out the pictures of a test task, which open the data"},
    {NULL, "device", CLI_TEXT, 0, AT(device), 0, 0, "WHICH", "that adapts to these pictures, as for train"},
    {.name = NULL},
};
static const report_settings defaults = {.out = ""};

static clm_status check(const cli_args *args) {
    const report_settings *s = args->settings;
    if (args->n_positional == 0) return cli_usage("say what to report: clmaml report RUN.. --out FILE.html");
    if (args->n_positional > REPORT_RUNS) return cli_usage("a page holds at most %d runs", REPORT_RUNS);
    if (!s->out[0]) return cli_usage("give --out FILE, where the page goes");
    if (cli_is_directory(s->out)) return cli_usage("--out %s is a directory", s->out);
    return CLM_OK;
}

static clm_status report(const cli_args *args, report_run *runs, page *p) {
    const report_settings *s = args->settings;
    const size_t n = args->n_positional;
    clm_device *device = NULL;
    CLI_TRY(check(args));
    for (size_t i = 0; i < n; i++) CLI_TRY(report_run_open(&runs[i], args->positional[i]));
    section_head(p, n);
    section_together(p, runs, n);
    for (size_t i = 0; i < n; i++) {
        section_run(p, &runs[i], i + 1);
        if (!s->no_pictures) pictures_add(p, &runs[i], &device, s->device);
    }
    clm_device_close(device);
    page_add(p, "<p class=\"note\">clMAML %s</p>\n</body>\n</html>\n", clm_version());
    if (p->failed) return cli_fail(CLM_E_MEMORY, "out of memory");
    CLI_TRY(cli_file_write(s->out, p->text, p->length));
    printf("%zu run%s: %s\n", n, n == 1 ? "" : "s", s->out);
    return CLM_OK;
}

static int run_report(cli_args *args) {
    page p = {0};
    report_run *runs = calloc(REPORT_RUNS, sizeof *runs);
    if (!runs) return cli_exit(cli_fail(CLM_E_MEMORY, "out of memory"));
    const int exit_status = cli_exit(report(args, runs, &p));
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
        "of a run that learns from pictures, a test task with the predictions before and after adaptation.",
    .options = options,
    .settings_size = sizeof(report_settings),
    .defaults = &defaults,
    .max_positional = REPORT_RUNS,
    .run = run_report,
};
