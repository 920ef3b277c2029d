/* The examination of a device, in a process of its own: does a small kernel run, is every operation right and how fast, is the
 * meta-gradient right, is the predicted memory the allocated one. */
#include "doctor/examine.h"

#include <math.h>
#include <string.h>

#include "base/drivers.h"
#include "base/system.h"
#include "doctor/parts.h"
#include "selftest/first_use.h"
#include "selftest/selftest.h"

/* x^2 of one number: what fails here fails everywhere, and says so shortly. */
static clm_status square_three(clm_device *device, float *nine) {
    const float three = 3;
    clm_graph *graph = NULL;
    clm_program *program = NULL;
    clm_status status = CLM_OK;
    CLI_GOTO(clm_graph_create(&graph));
    clm_value x = clm_input(graph, "x", clm_shape_of(1, 1), false), y = clm_square(graph, x);
    CLI_GOTO(clm_program_create(&program, device, graph, &y, 1, NULL));
    CLI_GOTO(clm_program_prepare(program));
    CLI_GOTO(clm_tensor_write(clm_program_tensor(program, x), &three, 1));
    CLI_GOTO(clm_program_run(program));
    CLI_GOTO(clm_tensor_read(clm_program_tensor(program, y), nine, 1));
out:
    clm_program_free(program);
    clm_graph_free(graph);
    return status;
}

static bool first_kernel(cli_report *report, clm_device *device) {
    float nine = 0;
    bool right = false;
    if (square_three(device, &nine) != CLM_OK)
        cli_report_check(report, false, "first kernel", "%s", cli_message());
    else if (!(right = fabsf(nine - 9) < 1e-4F))
        cli_report_check(report, false, "first kernel", "runs, but 3 x 3 is %g", (double)nine);
    else
        cli_report_check(report, true, "first kernel", "a small kernel builds and runs");
    cli_forget();
    return right;
}

static void describe_device(cli_report *report, const clm_device *device) {
    static const char *const types[] = {"host", "CPU", "GPU", "accelerator"};
    const clm_device_info *d = clm_device_get_info(device);
    const char *quirks = clm_device_quirks(device);
    cli_report_line(report, "clmaml %s", clm_version());
    cli_report_line(report, "device    %s, %s", d->name, types[d->type]);
    cli_report_line(report, "platform  %s; %s; driver %s", d->platform, d->version, d->driver);
    cli_report_line(report, "limits    %u compute unit%s, %s memory, at most %s in one piece, %s local, work-groups up to %zu",
                    d->compute_units, cli_plural(d->compute_units), cli_bytes((double)d->global_memory).s,
                    cli_bytes((double)d->max_allocation).s, cli_bytes((double)d->local_memory).s, d->max_work_group_size);
    cli_report_line(report, "quirks    %s\n", *quirks ? quirks : "none");
}

static void report_finding(void *user, bool good, const char *name, const char *text) {
    cli_report_check(user, good, name, "%s", text);
}

static void examine_all(cli_report *report, clm_device *device, clm_device *host) {
    cli_doctor_operations(report, device, host);
    cli_doctor_layers(report, device, host);
    cli_doctor_family(report, device, host);
    cli_doctor_meta(report, device, host);
    cli_doctor_libraries(report, device, false);
}

static void report_choice(void *user, const char *text) { cli_report_line(user, "%c  %s", CLI_DETAIL, text); }

/* For the database of choices: a section to be added to it. */
static void report_tuning(cli_report *report, clm_device *device) {
    size_t kept = 0;
    if (!report->details) return;
    cli_report_line(report, "%c\n%cwhat tuning has found here, as a section of src/tune/database.txt", CLI_DETAIL, CLI_DETAIL);
    if (clm_tune_export(device, report_choice, report, &kept) != CLM_OK)
        cli_report_line(report, "%c  # %s", CLI_DETAIL, cli_message());
    else
        cli_report_line(report, "%c  # the default is the fastest of %zu operations more that were measured", CLI_DETAIL, kept);
    cli_forget();
}

int cli_doctor_examine(int argc, char **argv) {
    const char *spec = argc > 0 && *argv[0] ? argv[0] : NULL;
    cli_report report = {.details = argc > 1 && strcmp(argv[1], "details") == 0};
    const bool quick = argc > 2 && strcmp(argv[2], "quick") == 0;
    const cli_selftest_listener listener = {.finding = report_finding, .user = &report};
    clm_device *device = NULL, *host = NULL;
    if (cli_drivers_explain(clm_device_open(&device, spec)) != CLM_OK || clm_device_open(&host, "host") != CLM_OK) {
        clm_device_close(device);
        (void)cli_exit(CLM_E_DEVICE);
        return CLI_EXAMINE_NOT_OPEN;
    }
    describe_device(&report, device);
    double began = cli_clock();
    if (first_kernel(&report, device)) {
        if (quick) {
            cli_selftest_run(device, host, &listener);
            cli_doctor_libraries(&report, device, true);
        } else {
            examine_all(&report, device, host);
        }
    }
    report_tuning(&report, device);
    cli_report_line(&report, "\n%zu kernels built, at most %s of device memory, %.1f s", clm_device_kernels_built(device),
                    cli_bytes((double)clm_device_peak_allocated(device)).s, cli_clock() - began);
    cli_report_line(&report, "%zu checks OK, %zu FAIL", report.passed, report.failed);
    if (!report.failed) cli_first_use_passed(device);
    clm_device_close(host);
    clm_device_close(device);
    return report.failed ? CLI_EXIT_FAILURE : CLI_EXIT_OK;
}
