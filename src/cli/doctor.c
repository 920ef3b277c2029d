/* `clmaml doctor`: does everything work on this device, and are its numbers right? */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "doctor.h"
#include "system.h"

typedef struct doctor_settings {
    char device[CLI_PATH_MAX], report[CLI_PATH_MAX];
} doctor_settings;

static const cli_option options[] = {
    {"Options", "device", CLI_TEXT, 0, offsetof(doctor_settings, device), 0, 0, "WHICH", "as for train"},
    {NULL, "report", CLI_TEXT, 0, offsetof(doctor_settings, report), 0, 0, "FILE", "write the same text to a file"},
    {.name = NULL},
};
static const doctor_settings defaults = {"", ""};

void cli_report_line(cli_report *report, const char *format, ...) {
    FILE *to[2] = {stdout, report->file};
    for (int i = 0; i < 2; i++) {
        va_list args;
        if (!to[i]) continue;
        va_start(args, format);
        vfprintf(to[i], format, args);
        va_end(args);
        fputc('\n', to[i]);
        fflush(to[i]);
    }
}

void cli_report_check(cli_report *report, bool good, const char *name, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (good)
        report->passed++;
    else
        report->failed++;
    cli_report_line(report, "  %-26s %-40s %s", name, text, good ? "OK" : "FAIL");
}

/* Opens the device and runs x^2 on it. Runs in a child process: a driver that crashes while building a kernel takes only that
 * down. */
static int probe_device(const void *user) {
    const char *spec = user;
    const float three = 3;
    float nine = 0;
    clm_device *device;
    clm_graph *graph;
    clm_program *program;
    if (clm_device_open(&device, spec) != CLM_OK) return 2;
    if (clm_graph_create(&graph) != CLM_OK) return 3;
    clm_value x = clm_input(graph, "x", clm_shape_of(1, 1), false), y = clm_square(graph, x);
    if (clm_program_create(&program, device, graph, &y, 1, NULL) != CLM_OK) return 3;
    if (clm_program_prepare(program) != CLM_OK) return 4;
    if (clm_tensor_write(clm_program_tensor(program, x), &three, 1) != CLM_OK) return 5;
    if (clm_program_run(program) != CLM_OK) return 5;
    if (clm_tensor_read(clm_program_tensor(program, y), &nine, 1) != CLM_OK) return 5;
    return fabsf(nine - 9) < 1e-4F ? 0 : 6;
}

/* False when going on would only crash this process too. */
static bool probe(cli_report *report, const char *spec) {
    static const char *const stages[] = {"",
                                         "",
                                         "the device does not open",
                                         "planning fails",
                                         "the kernel does not build",
                                         "running the kernel fails",
                                         "the kernel's result is wrong"};
    int result = 0;
    if (cli_run_in_child(probe_device, spec, &result) != CLM_OK) {
        cli_report_check(report, false, "probe", "%s", cli_message());
        cli_forget();
        return true;
    }
    if (result >= 128)
        cli_report_check(report, false, "probe", "the driver crashed (signal %d) in a first small kernel", result - 128);
    else if (result != 0)
        cli_report_check(report, false, "probe", "%s", result < (int)CLI_COUNT(stages) ? stages[result] : "failed");
    else
        cli_report_check(report, true, "probe", "a small kernel builds and runs");
    return result < 128;
}

static void describe_device(cli_report *report, const clm_device *device) {
    static const char *const types[] = {"host", "CPU", "GPU", "accelerator"};
    const clm_device_info *d = clm_device_get_info(device);
    cli_report_line(report, "clmaml %s", clm_version());
    cli_report_line(report, "device    %s, %s", d->name, types[d->type]);
    cli_report_line(report, "platform  %s; %s; driver %s", d->platform, d->version, d->driver);
    cli_report_line(report, "limits    %u compute units, %s memory, at most %s in one piece, %s local, work-groups up to %zu\n",
                    d->compute_units, cli_bytes((double)d->global_memory).s, cli_bytes((double)d->max_allocation).s,
                    cli_bytes((double)d->local_memory).s, d->max_work_group_size);
}

static clm_status examine(cli_report *report, const char *spec) {
    clm_device *device = NULL, *host = NULL;
    clm_status status = CLM_OK;
    bool alive = probe(report, spec);
    if (!alive) goto out;
    CLI_GOTO(clm_device_open(&device, spec));
    CLI_GOTO(clm_device_open(&host, "host"));
    describe_device(report, device);
    double began = cli_clock();
    cli_doctor_operations(report, device, host);
    cli_doctor_meta(report, device, host);
    cli_report_line(report, "\n%zu kernels built, at most %s of device memory, %.1f s", clm_device_kernels_built(device),
                    cli_bytes((double)clm_device_peak_allocated(device)).s, cli_clock() - began);
out:
    clm_device_close(host);
    clm_device_close(device);
    return status;
}

static int run_doctor(cli_args *args) {
    const doctor_settings *s = args->settings;
    const char *spec = s->device[0] ? s->device : NULL;
    cli_report report = {0};
    if (s->report[0] && !(report.file = fopen(s->report, "w")))
        return cli_exit(cli_fail(CLM_E_IO, "cannot write %s: %s", s->report, strerror(errno)));
    clm_status status = examine(&report, spec);
    if (status == CLM_OK) cli_report_line(&report, "%zu checks OK, %zu FAIL", report.passed, report.failed);
    if (report.file && fclose(report.file) != 0 && status == CLM_OK)
        status = cli_fail(CLM_E_IO, "cannot write %s: %s", s->report, strerror(errno));
    if (status != CLM_OK) return cli_exit(status);
    return report.failed ? CLI_EXIT_FAILURE : CLI_EXIT_OK;
}

const cli_command cli_doctor = {
    .name = "doctor",
    .synopsis = "[--device WHICH] [--report FILE]",
    .summary = "check a device: every kernel, the meta-gradient, memory, time",
    .details = "Compares every operation, its adjoint and its tangents, and the meta-gradients of a small perceptron and a small "
               "Conv-4, with the "
               "double-precision host reference, and states the share of the meta-gradient that is second order. Exit status 1 "
               "when anything is off.",
    .options = options,
    .settings_size = sizeof(doctor_settings),
    .defaults = &defaults,
    .max_positional = 0,
    .run = run_doctor,
};
