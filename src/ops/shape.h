/* Builders of the shape family that are not public. */
#ifndef CLM_OPS_SHAPE_H
#define CLM_OPS_SHAPE_H

#include "clmaml/graph.h"

/* First maximum over the last axis, as a whole number: [.., n] -> [..]. NaN counts as the greatest value. Derivative 0. */
clm_value clm_argmax(clm_graph *g, clm_value x);

#endif
