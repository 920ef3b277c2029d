/* Processes that work and end. */
#ifndef CLM_BASE_CHILDREN_H
#define CLM_BASE_CHILDREN_H

#include <stddef.h>

#include "base/error.h"

/* Runs the program at a path (without a slash: looked up in PATH) `count` times at once, with these arguments (the program's name
 * first, NULL last), {index} in them replaced by the number of the process, and waits for all. They read nothing and what they
 * write is dropped. Those that have not ended in so many seconds are killed. CLM_E_IO: one could not be started, was killed, or
 * ended with something but 0. */
clm_status clm_children_run(const char *path, const char *const *arguments, size_t count, double seconds);

#endif
