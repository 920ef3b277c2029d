/* Every layer of the table, device against host: the second-order meta-gradient of a small network around it. */
#include <math.h>

#include "doctor/parts.h"
#include "selftest/gradient.h"

enum { TASKS = 2, WAYS = 3, EXAMPLES = 3 };

static clm_meta_options second_order(void) {
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    o.tasks = TASKS;
    o.task.support = o.task.query = EXAMPLES;
    o.task.ways = WAYS;
    o.task.steps = 1;
    o.task.inner_lr = 0.05;
    return o;
}

void cli_doctor_layers(cli_report *report, clm_device *device, clm_device *host) {
    const clm_meta_options options = second_order();
    cli_report_line(report, "\nlayers, the second-order meta-gradient through each against the host reference");
    for (size_t i = 0; i < clm_layer_count(); i++) {
        char network[512];
        double e = INFINITY;
        const bool computed =
            cli_gradient_compare(device, host, clm_layer_trial(i, network, sizeof network), &options, &e) == CLM_OK;
        if (computed)
            cli_report_check(report, e <= CLI_GRADIENT_TOLERANCE, clm_layer_name(i), "relative error %.1e (allowed %.0e)", e,
                             CLI_GRADIENT_TOLERANCE);
        else
            cli_report_check(report, false, clm_layer_name(i), "%s", cli_message());
        cli_forget();
    }
}
