/* Failures collected rather than thrown: one test runs many rows and names all that are wrong. */
#ifndef CLM_TEST_REPORT_H
#define CLM_TEST_REPORT_H

#include "base/error.h"
#include "base/memory.h"

typedef struct clm_test_report {
    const char *where; /* put before every line; may change as the test goes on */
    clm_text text;
    size_t failures, checks;
} clm_test_report;

/* Counts a check; when `ok` is false, adds "where: message" to the report. Returns ok. */
int clm_test_expect(clm_test_report *report, int ok, const char *format, ...) CLM_PRINTF(3, 4);
/* The same for a library call; the message is the library's. */
int clm_test_expect_ok(clm_test_report *report, clm_status status, const char *what);
/* Prints the lines on stderr, frees the report and fails the Check test if there are any, or if nothing was checked. */
void clm_test_report_finish(clm_test_report *report);

#endif
