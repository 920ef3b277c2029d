/* The live line on a terminal, or a plain line now and then elsewhere. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "base/common.h"

typedef struct cli_progress {
    uint64_t start, total; /* iterations: where this session began, where it ends */
    uint64_t printed;      /* that of the last line where nothing is drawn; 0: none */
    double started, last_line, last_draw;
    bool terminal, regression, drawn;
} cli_progress;

void cli_progress_begin(cli_progress *progress, uint64_t start, uint64_t total, bool regression);
void cli_progress_update(cli_progress *progress, const clm_train_progress *state);
/* Removes the bar, before something else is printed. */
void cli_progress_clear(cli_progress *progress);
/* A line of its own above the bar. */
void cli_progress_say(cli_progress *progress, const char *format, ...) CLI_PRINTF(2, 3);
void cli_progress_end(cli_progress *progress, const clm_train_progress *state);

#endif
