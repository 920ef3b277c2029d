/* What a binding to another language has to know of these headers: where the fields of structures are, what their INIT macros
 * say, and the values of constants. A binding that asks holds no copy of them that could go stale, and serves whichever library
 * it finds; python/ is one.
 *
 * All functions may be called from any thread; what they return is the library's and stays.
 */
#ifndef CLMAML_BINDING_H
#define CLMAML_BINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Structure `index`, counted from 0, after those that it contains; false past the last. *initial: [size] bytes as its INIT
 * macro makes them, NULL where it has none. */
CLM_API bool clm_binding_structure_at(size_t index, const char **name, size_t *size, const void **initial);

/* Field `index` of a structure, in the order of the header; false past the last, and for a structure that is not listed. *type
 * is a type of C ("int", "unsigned long", "double", "bool", ..; an enum is an integer), followed by [] for an array; "text" for
 * const char *, "pointer" for any other pointer; or the name of a structure. *size is that of the whole field. */
CLM_API bool clm_binding_field_at(const char *structure, size_t index, const char **name, const char **type, size_t *offset,
                                  size_t *size);

/* Constant `index` of the enumerations: "CLM_RATES_PER_STEP"; false past the last. */
CLM_API bool clm_binding_constant_at(size_t index, const char **name, int *value);

#ifdef __cplusplus
}
#endif
#endif
