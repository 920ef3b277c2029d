/* The report of `clmaml doctor --report`. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdio.h>

#include "base/drivers.h"

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
