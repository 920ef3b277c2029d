/* What an examination finds: lines on stdout, one at a time, and how many of them say that something is wrong. */
#ifndef CLI_CHECKS_H
#define CLI_CHECKS_H

#include "base/common.h"

/* Begins lines that are for the report alone. */
#define CLI_DETAIL '|'

typedef struct cli_report {
    bool details; /* wanted: they take time */
    size_t passed, failed;
} cli_report;

void cli_report_line(cli_report *report, const char *format, ...) CLI_PRINTF(2, 3);
/* One finding: "  name   text   OK". */
void cli_report_check(cli_report *report, bool good, const char *name, const char *format, ...) CLI_PRINTF(4, 5);

#endif
