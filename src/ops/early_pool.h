/* Max-pooling before elementwise arithmetic: see early_pool.c. */
#ifndef CLM_OPS_EARLY_POOL_H
#define CLM_OPS_EARLY_POOL_H

#include "graph/internal.h"

/* The elements of x [n, h, w, c] that `index` chooses; out: [n, h', w', c], attr: the windows, both as of pool_gather. */
clm_value clm_early_pool(clm_graph *g, clm_value x, clm_value index, clm_shape out, const clm_attr *attr);

#endif
