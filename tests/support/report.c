/* See report.h. */
#include "support/report.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>

int clm_test_expect(clm_test_report *report, int ok, const char *format, ...) {
    report->checks++;
    if (ok) return ok;
    report->failures++;
    char message[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    clm_text_add(&report->text, "%s: %s\n", report->where ? report->where : "", message);
    return ok;
}

int clm_test_expect_ok(clm_test_report *report, clm_status status, const char *what) {
    return clm_test_expect(report, status == CLM_OK, "%s: %s: %s", what, clm_status_name(status), clm_last_error());
}

void clm_test_report_finish(clm_test_report *report) {
    size_t failures = report->failures, checks = report->checks;
    if (failures && report->text.data) {
        fputs(report->text.data, stderr);
        fflush(stderr);
    }
    clm_text_free(&report->text);
    ck_assert_msg(checks > 0, "nothing was checked");
    ck_assert_msg(failures == 0, "%zu of %zu checks failed; they are listed above on stderr", failures, checks);
}
