/* Libraries that are looked for while the program runs, so that one binary works with and without them. */
#ifndef CLM_BASE_DYNLIB_H
#define CLM_BASE_DYNLIB_H

#include <stdbool.h>

#include "base/error.h"

typedef struct clm_dynlib clm_dynlib;

/* Opens the first of `names` (file names, NULL at the end) that loads: in the directory of this library or of the program that
 * it is linked into, in the directory ../lib beside that, then wherever the system looks. CLM_E_IO when there is none. */
clm_status clm_dynlib_open(clm_dynlib **out, const char *const *names);
/* NULL is allowed. */
void clm_dynlib_close(clm_dynlib *library);
/* Stores the address of a function in *function, which is a pointer to a function; false when there is no such symbol. */
bool clm_dynlib_function(clm_dynlib *library, const char *symbol, void *function);
/* The file it was loaded from, symbolic links resolved. */
const char *clm_dynlib_path(const clm_dynlib *library);

/* One lock for all libraries that keep state of their own between calls and do not guard it. */
void clm_dynlib_enter(void);
void clm_dynlib_leave(void);

#endif
