/* Sums without sums in them: see flat_sum.c. */
#ifndef CLM_OPS_FLAT_SUM_H
#define CLM_OPS_FLAT_SUM_H

#include "graph/internal.h"

/* The sum of x over `axes`, none of size 1, with those axes kept, by other sums that are nested less deeply; CLM_INVALID where
 * there is no such way, or it is of no use. */
clm_value clm_flat_sum(clm_graph *g, clm_value x, unsigned axes);

#endif
