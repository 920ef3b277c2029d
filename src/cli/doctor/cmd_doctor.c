/* `clmaml doctor`: does everything work on this device, and are its numbers right? The drivers are tried and the device is examined in
 * processes of their own, so that this one lives to tell. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/options.h"
#include "base/system.h"
#include "doctor/checks.h"
#include "doctor/environment.h"
#include "doctor/examine.h"
#include "doctor/report.h"

typedef struct doctor_settings {
    char device[CLI_PATH_MAX], report[CLI_PATH_MAX];
    bool quick;
} doctor_settings;

static const cli_option options[] = {
    {"Options", "device", CLI_TEXT, 0, offsetof(doctor_settings, device), 0, 0, "WHICH", CLI_DEVICE_HELP},
    {NULL, "report", CLI_TEXT, 0, offsetof(doctor_settings, report), 0, 0, "FILE",
     "write a report to attach to a bug report: also drivers, all devices, environment, kernels, cache"},
    {NULL, "quick", CLI_FLAG, 0, offsetof(doctor_settings, quick), 0, 0, "",
     "only what is tested at the first use of a device: some operations and a meta-gradient"},
    {.name = NULL},
};
static const doctor_settings defaults = {"", "", false};

/* Of an examination that prints nothing for so many times as long as a driver may be silent: one line can be much work. */
enum { EXAMINE_PATIENCE = 20 };

typedef struct listener {
    FILE *report; /* NULL: none */
    char last[512];
} listener;

static void pass_on(void *user, const char *line) {
    listener *l = user;
    if (l->report) fprintf(l->report, "%s\n", line[0] == CLI_DETAIL ? line + 1 : line);
    if (line[0] == CLI_DETAIL) return;
    cli_line(stdout, "%s\n", line);
    fflush(stdout);
    if (line[0]) snprintf(l->last, sizeof l->last, "%s", line + strspn(line, " "));
}

/* Runs the examination; *failed when something is wrong with the device. */
static clm_status examine(const doctor_settings *s, cli_findings *f, bool *failed) {
    const char *arguments[] = {"--examine-device", s->device, s->report[0] ? "details" : "brief", s->quick ? "quick" : NULL,
                               NULL};
    listener l = {.report = f->examination, .last = "it opened the device"};
    cli_child child = {.arguments = arguments, .line = pass_on, .user = &l};
    cli_child_end end;
    CLI_TRY(cli_drivers_patience(&child.patience));
    child.patience *= EXAMINE_PATIENCE;
    CLI_TRY(cli_child_run(&child, &end));
    *failed = end.hung || end.signal || end.status != 0;
    if (end.hung)
        snprintf(f->verdict, sizeof f->verdict, "the driver hangs: nothing came for %g s after \"%s\"", child.patience, l.last);
    else if (end.signal)
        snprintf(f->verdict, sizeof f->verdict, "the driver crashed (signal %d) after \"%s\"", end.signal, l.last);
    else if (end.status == CLI_EXAMINE_NOT_OPEN)
        snprintf(f->verdict, sizeof f->verdict, "the device does not open");
    else if (end.status > CLI_EXIT_FAILURE)
        snprintf(f->verdict, sizeof f->verdict, "the driver ended the process (exit status %d) after \"%s\"", end.status,
                 l.last);
    else
        snprintf(f->verdict, sizeof f->verdict, end.status ? "something is wrong" : "all is well");
    if (end.hung || end.signal || end.status > CLI_EXAMINE_NOT_OPEN) cli_line(stderr, "clmaml: %s\n", f->verdict);
    return CLM_OK;
}

static clm_status list_devices(cli_findings *f) {
    CLI_TRY(cli_drivers_try(&f->drivers, &f->driver_count));
    for (size_t i = 0; i < f->driver_count; i++) {
        const cli_driver *d = &f->drivers[i];
        if (d->suspect) cli_note("OpenCL driver %s%s: %s", d->path, d->left_out ? " is left out" : "", d->verdict);
    }
    return CLM_OK;
}

static clm_status open_temporary(FILE **file) {
    *file = tmpfile();
    return *file ? CLM_OK : cli_fail(CLM_E_IO, "cannot make a temporary file: %s", strerror(errno));
}

static int run_doctor(cli_args *args) {
    const doctor_settings *s = args->settings;
    cli_findings found = {0};
    bool failed = false;
    clm_status status = CLM_OK;
    if (s->report[0]) {
        CLI_GOTO(open_temporary(&found.environment));
        CLI_GOTO(open_temporary(&found.examination));
        CLI_GOTO(cli_report_write(s->report, &found)); /* a place that cannot be written to shows now, not after minutes */
        cli_environment_print(found.environment, false);
    }
    CLI_GOTO(cli_refuse_parts(s->device[0] ? s->device : NULL));
    cli_note_one_device(s->device[0] ? s->device : NULL, NULL);
    CLI_GOTO(list_devices(&found));
    CLI_GOTO(examine(s, &found, &failed));
    if (s->report[0]) {
        /* Not before: the examination has had the drivers to itself, and what crashed there is known. */
        if (clm_device_list(&found.devices, &found.device_count, found.warnings, sizeof found.warnings) != CLM_OK) {
            snprintf(found.warnings, sizeof found.warnings, "%s", cli_message());
            cli_forget();
        }
        CLI_GOTO(cli_report_write(s->report, &found));
    }
out:
    clm_device_list_free(found.devices);
    free(found.drivers);
    if (found.environment) fclose(found.environment);
    if (found.examination) fclose(found.examination);
    if (status != CLM_OK) return cli_exit(status);
    return failed ? CLI_EXIT_FAILURE : CLI_EXIT_OK;
}

const cli_command cli_doctor = {
    .name = "doctor",
    .synopsis = "[--device WHICH] [--report FILE] [--quick]",
    .summary = "check a device: every kernel, the meta-gradient, memory, time",
    .details =
        "Compares every operation, its adjoint and its tangents, the meta-gradients through every layer, of every algorithm "
        "and inner rule, of a small perceptron and a small Conv-4, with the double-precision host reference, and states the "
        "share of "
        "the meta-gradient that is second order. Exit status 1 "
        "when anything is off.",
    .options = options,
    .settings_size = sizeof(doctor_settings),
    .defaults = &defaults,
    .max_positional = 0,
    .run = run_doctor,
};
