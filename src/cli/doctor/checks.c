/* The lines of an examination, and its random numbers. */
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

double cli_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL); /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Sum of twelve uniforms: near enough to normal, and needs no library function that differs between machines. */
double cli_random_normal(uint64_t *state) {
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += cli_random(state);
    return sum;
}
