/* The parts of `clmaml doctor`.
 *
 * The examination runs in a process of its own (examine.c): it prints lines and counts what is wrong. Lines that begin with
 * CLI_DETAIL are for the report alone. The command itself (doctor.c) passes the lines on, tells how the process ended, and writes the
 * report (report.c). */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stdio.h>

#include "common.h"
#include "drivers.h"

#define CLI_DETAIL '|'

/* ---- in the examining process ---- */

typedef struct cli_report {
    bool details; /* wanted: they take time */
    size_t passed, failed;
} cli_report;

void cli_report_line(cli_report *report, const char *format, ...) CLI_PRINTF(2, 3);
/* One finding: "  name   text   OK". */
void cli_report_check(cli_report *report, bool good, const char *name, const char *format, ...) CLI_PRINTF(4, 5);

/* Every operation, its adjoint and the tangents of both on `device` against `host`. */
void cli_doctor_operations(cli_report *report, clm_device *device, clm_device *host);
/* Which libraries are there, and whether a small case of each is right. */
void cli_doctor_libraries(cli_report *report, clm_device *device);
/* Meta-gradients against `host`, their second-order share, memory, timing. */
void cli_doctor_meta(cli_report *report, clm_device *device, clm_device *host);

/* `clmaml --examine-device SPEC|"" details|brief`: exit status 0 when all is well, 1 when something is off, 3 when the device does not
 * open. */
int cli_doctor_examine(int argc, char **argv);
enum { CLI_EXAMINE_NOT_OPEN = 3 };

/* Random numbers for data: uniform in [0, 1), the same everywhere. */
double cli_random(uint64_t *state);
double cli_random_normal(uint64_t *state);

/* ---- in the command ---- */

/* What the report is made of, collected while the examination runs. */
typedef struct cli_findings {
    FILE *environment, *examination; /* temporary files */
    cli_driver *drivers;
    size_t driver_count;
    clm_device_info *devices;
    size_t device_count;
    char warnings[4096], verdict[1024];
} cli_findings;

/* Writes the report in one piece. The home directory becomes ~ in it. */
clm_status cli_report_write(const char *path, const cli_findings *findings);

#endif
