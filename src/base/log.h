/* The log: lines that the user asked for, by CLMAML_LOG or clm_log_set. Without either this does nothing. */
#ifndef CLM_BASE_LOG_H
#define CLM_BASE_LOG_H

#include <stdbool.h>

#include "base/error.h"
#include "clmaml/environment.h"

/* Is anyone listening at this level? For what is costly to say. */
bool clm_log_wanted(clm_log_level level);
/* One line, without a line end. Never changes the last error. */
void clm_log_write(clm_log_level level, const char *format, ...) CLM_PRINTF(2, 3);

/* Whether CLMAML_LOG can be understood and its file be opened. The log itself has no way to fail. */
clm_status clm_log_check(void);

/* The level that "error", "info:FILE", .. names, and the file after the colon (NULL: stderr). False when it is none. */
bool clm_log_parse(const char *text, clm_log_level *level, const char **file);

#endif
