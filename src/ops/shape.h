/* Builders of the shape family that are not public. */
#ifndef CLM_OPS_SHAPE_H
#define CLM_OPS_SHAPE_H

#include "clmaml/graph.h"

/* The entries of an axis one by one, which stays with size 1: x.dim[axis] values into `parts`. False on failure, with the
 * graph's error set. Halving, so that the adjoint pads count * log(count) rather than count squared. */
bool clm_split(clm_graph *g, clm_value x, int axis, clm_value *parts);

#endif
