/* The last error: one message per thread, and the names of the status codes. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE 4096

static _Thread_local char last_message[MESSAGE_SIZE];

const char *clm_last_error(void) { return last_message; }

#undef clm_fail
clm_status clm_fail(clm_status status, const char *format, ...) {
    char text[MESSAGE_SIZE]; /* apart, because the arguments may point into the last message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(last_message, text, sizeof text);
    return status;
}

/* What does not fit is cut off. */
static void append(char text[MESSAGE_SIZE], const char *more) {
    const size_t used = strlen(text), room = MESSAGE_SIZE - 1 - used, length = strnlen(more, room);
    memcpy(text + used, more, length);
    text[used + length] = 0;
}

clm_status clm_fail_in(clm_status status, const char *format, ...) {
    char text[MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    append(text, ": ");
    append(text, last_message);
    memcpy(last_message, text, sizeof text);
    return status;
}

clm_status clm_fail_unread(const char *option, const char *what, const char *row) {
    return clm_fail(CLM_E_ARG, "%s: the %s %s does not read this option; leave it as it is initially", option, what, row);
}

const char *clm_status_name(clm_status status) {
    static const char *const names[] = {
#define STATUS_NAME(name, text) "CLM_" #name,
        CLM_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    };
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "CLM_UNKNOWN";
}

const char *clm_version(void) { return CLMAML_VERSION; }
