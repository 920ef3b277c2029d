/* The lines of an examination. */
#include "doctor/checks.h"

#include <stdarg.h>
#include <stdio.h>

/* Each line at once: should the driver crash, the last one says where. */
void cli_report_line(cli_report *report, const char *format, ...) {
    va_list args;
    (void)report;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
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
    cli_report_line(report, "  %-26s %-46s %s", name, text, good ? "OK" : "FAIL");
}
