/* The parts of a page. */
#ifndef CLI_REPORT_SECTIONS_H
#define CLI_REPORT_SECTIONS_H

#include "report/page.h"
#include "report/runs.h"

void section_head(page *p, size_t runs);
/* All runs in a table; of several their scores in a diagram, the differences of these, and the settings that differ. */
void section_together(page *p, const report_run *runs, size_t n);
/* One run: protocol, device, diagrams; the caller adds the pictures. */
void section_run(page *p, const report_run *run, size_t number);

#endif
