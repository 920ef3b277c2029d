/* The operations, on odd shapes, device against host: those rows of check/op_cases.h that are for an examination, each with
 * its derivatives (selftest/trial.h). Each row runs twice: with every operand per task, and with the operands after the
 * first shared by all tasks (for one operand: shared). A line shows the worse of the two. */
#include <math.h>
#include <stdio.h>

#include "doctor/parts.h"
#include "selftest/trial.h"

/* Raises error[group] to the errors of one variant; NAN where nothing was compared. */
static clm_status compare_variant(const clm_op_case *c, bool all_per_task, clm_device *device, clm_device *host, double *error,
                                  double *seconds) {
    cli_trial *trial = NULL;
    double found[1][CLI_TRIAL_GROUPS];
    clm_status status = CLM_OK;
    CLI_GOTO(cli_trial_create(&trial));
    CLI_GOTO(cli_trial_add(trial, c, all_per_task, true));
    CLI_GOTO(cli_trial_compare(trial, device, host, found, seconds));
    for (int k = 0; k < CLI_TRIAL_GROUPS; k++)
        if (!isnan(found[0][k]) && !(found[0][k] <= error[k])) error[k] = found[0][k];
out:
    cli_trial_free(trial);
    return status;
}

static void error_text(double error, double limit, char *text, size_t size) {
    if (isnan(error))
        snprintf(text, size, "%9s ", "-");
    else
        snprintf(text, size, "%9.1e%c", error, error <= limit ? ' ' : '!');
}

static void check_case(cli_report *report, const clm_op_case *c, clm_device *device, clm_device *host) {
    double error[CLI_TRIAL_GROUPS] = {NAN, NAN, NAN}, seconds = 0;
    char column[CLI_TRIAL_GROUPS][24];
    const cli_text name = cli_trial_name(c);
    bool good = true;
    for (int variant = 0; variant < 2; variant++) {
        if (compare_variant(c, variant == 1, device, host, error, &seconds) == CLM_OK) continue;
        cli_report_check(report, false, name.s, "%s", cli_message());
        cli_forget();
        return;
    }
    for (int k = 0; k < CLI_TRIAL_GROUPS; k++) {
        good = good && (isnan(error[k]) || error[k] <= cli_trial_tolerance[k]);
        error_text(error[k], cli_trial_tolerance[k], column[k], sizeof column[k]);
    }
    cli_report_check(report, good, name.s, "%s %s %s %8.0f us", column[0], column[1], column[2], 1e6 * seconds);
}

void cli_doctor_operations(cli_report *report, clm_device *device, clm_device *host) {
    cli_report_line(report, "operations: relative error against the host reference; time of all that a row computes, %d tasks",
                    CLI_TRIAL_TASKS);
    cli_report_line(report, "  %-26s %9s  %9s  %9s  %11s", "", "value", "adjoint", "tangents", "time");
    cli_report_line(report, "  %-26s %9.0e  %9.0e  %9.0e", "allowed", cli_trial_tolerance[CLI_TRIAL_VALUE],
                    cli_trial_tolerance[CLI_TRIAL_ADJOINT], cli_trial_tolerance[CLI_TRIAL_TANGENTS]);
    for (size_t i = 0; i < clm_op_case_count(); i++)
        if (clm_op_case_is_examined(clm_op_case_at(i))) check_case(report, clm_op_case_at(i), device, host);
}
