/* One test task of a run that learns from pictures, with what its model says of it. */
#ifndef CLI_REPORT_PICTURES_H
#define CLI_REPORT_PICTURES_H

#include "report/page.h"
#include "report/runs.h"

/* `device`: one for all runs of a page, opened by the first that needs it. A run that has no pictures, or whose data or
 * checkpoint are not there, gets a line that says so. */
void pictures_add(page *p, const report_run *run, clm_device **device, const char *spec);

#endif
