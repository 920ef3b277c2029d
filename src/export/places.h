/* Where values lie in one array of floats, which is small: a value takes the place of others that nothing reads any more. */
#ifndef CLM_EXPORT_PLACES_H
#define CLM_EXPORT_PLACES_H

#include "export/internal.h"

#define CLM_PLACE_INPUT SIZE_MAX /* a value that is the input's elements */

typedef struct clm_places {
    size_t *at; /* of each value, in floats */
    size_t total;
} clm_places;

clm_status clm_places_create(clm_places *p, const clm_steps *steps);
void clm_places_free(clm_places *p);

#endif
