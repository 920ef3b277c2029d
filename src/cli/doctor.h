/* The parts of `clmaml doctor`: each writes its lines and counts what is wrong. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stdio.h>

#include "common.h"

typedef struct cli_report {
    FILE *file; /* beside stdout; NULL: none */
    size_t passed, failed;
} cli_report;

void cli_report_line(cli_report *report, const char *format, ...) CLI_PRINTF(2, 3);
/* One finding: "  name   text   OK". */
void cli_report_check(cli_report *report, bool good, const char *name, const char *format, ...) CLI_PRINTF(4, 5);

/* Every operation, its adjoint and the tangents of both on `device` against `host`. */
void cli_doctor_operations(cli_report *report, clm_device *device, clm_device *host);
/* Meta-gradients against `host`, their second-order share, memory, timing. */
void cli_doctor_meta(cli_report *report, clm_device *device, clm_device *host);

/* Random numbers for data: uniform in [0, 1), the same everywhere. */
double cli_random(uint64_t *state);
double cli_random_normal(uint64_t *state);

#endif
