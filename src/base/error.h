/* Errors: one message per thread, set where something fails and passed up as a status. */
#ifndef CLM_BASE_ERROR_H
#define CLM_BASE_ERROR_H

#include "clmaml/status.h"

#if defined(__GNUC__)
#define CLM_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define CLM_PRINTF(fmt, first)
#endif

/* Records the message and returns `status`. */
clm_status clm_fail(clm_status status, const char *format, ...) CLM_PRINTF(2, 3);
#ifdef __clang_analyzer__ /* which sees one file at a time, and would take CLM_OK for possible */
#define clm_fail(status, ...) (clm_fail((status), __VA_ARGS__), (status))
#endif
/* Puts `format..: ` before the message already recorded and returns `status`. */
clm_status clm_fail_in(clm_status status, const char *format, ...) CLM_PRINTF(2, 3);

/* CLM_E_ARG for an option that a row of a table does not read, and that was given all the same: "momentum: the inner rule sgd
 * does not read it, .." */
clm_status clm_fail_unread(const char *option, const char *what, const char *row);

#define CLM_TRY(expression)                          \
    do {                                             \
        clm_status try_status = (expression);        \
        if (try_status != CLM_OK) return try_status; \
    } while (0)

/* For functions that clean up at `out:` and return `status`. */
#define CLM_GOTO(expression)            \
    do {                                \
        status = (expression);          \
        if (status != CLM_OK) goto out; \
    } while (0)

#endif
