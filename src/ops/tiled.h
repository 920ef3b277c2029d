/* What implementations that compute by tiles in local memory share. */
#ifndef CLM_OPS_TILED_H
#define CLM_OPS_TILED_H

#include "program/lower.h"

/* By the model of tiled.c: multiply-adds of a lane, or what takes as long, for one that is of use, on a device that is busy; by the direct
 * kernels where no tile is better. */
double clm_tiled_useful_cost(const clm_lower *l, clm_value y);
/* The same of short algorithms; infinite where they cannot compute y. */
double clm_short_useful_cost(const clm_lower *l, clm_value y);
/* The launch of y from its operands; where `segments` is more than 0, of so many parts of its sums, y's `size` elements each, and a
 * second one that adds them up in order. `spec` gets its bytes. */
clm_status clm_tiled_launch(clm_lower *l, clm_value y, clm_launch_spec *spec, size_t size, int segments);

#endif
