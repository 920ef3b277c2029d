/* The differences of the test scores of several runs, with intervals. */
#ifndef CLI_REPORT_DIFFERENCES_H
#define CLI_REPORT_DIFFERENCES_H

#include "report/page.h"
#include "report/runs.h"

void differences_add(page *p, const report_run *runs, size_t n);

#endif
