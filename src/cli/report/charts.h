/* Diagrams of a page, as SVG that takes its colours from the page's style. */
#ifndef CLI_REPORT_CHARTS_H
#define CLI_REPORT_CHARTS_H

#include "report/page.h"
#include "report/runs.h"

/* The test score after each inner step, with intervals. */
void chart_steps(page *p, const report_run *run);
/* Validation with intervals, training faint, over the outer updates. */
void chart_learning(page *p, const report_run *run);
/* Of several initialisations: the share of validation tasks that each serves. Nothing of one. */
void chart_shares(page *p, const report_run *run);
/* The test scores of the runs that have this metric, with intervals, a line each. */
void chart_scores(page *p, const report_run *runs, size_t n, const char *metric);

#endif
