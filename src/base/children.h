/* Processes that work for this one. */
#ifndef CLM_BASE_CHILDREN_H
#define CLM_BASE_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct clm_children clm_children;

/* Starts the program at a path (without a slash: looked up in PATH) `count` times, with these arguments (the program's name first,
 * NULL last), {index} in them replaced by the number of the process. A process gets what it is asked, line by line, on its standard
 * input, which is a socket, and answers each line there with an empty one (clm_children_line, clm_children_answer); what it
 * prints is dropped. CLM_E_IO: one could not be started. End them with clm_children_end. */
clm_status clm_children_start(clm_children **out, const char *path, const char *const *arguments, size_t count);
size_t clm_children_count(const clm_children *c);
/* Asks all of them the same, and waits for their answers. CLM_E_IO: one has not answered in so many seconds, or has ended; they are
 * of no use any more. */
clm_status clm_children_ask(clm_children *c, const char *line, double seconds);
/* They are killed. NULL: there is nothing to do. */
void clm_children_end(clm_children *c);

/* In such a process: the next line, without its end, to be freed with free(). NULL: there is none, or an empty one. */
char *clm_children_line(void);
/* False: nobody listens. */
bool clm_children_answer(void);

#endif
