/* Builders of the pooling family that are not public. */
#ifndef CLM_OPS_POOL_H
#define CLM_OPS_POOL_H

#include "graph/internal.h"

/* Where each window of x [n, h, w, c] has its first maximum: kh * KW + kw, a whole number. -> [n, h', w', c] */
clm_value clm_max_pool_argmax(clm_graph *g, clm_value x, const clm_pool_options *options);
/* The element of each window of x that index [n, h', w', c] points to, and the adjoint of that: dy -> [n, h, w, c]. */
clm_value clm_pool_gather(clm_graph *g, clm_value x, clm_value index, const clm_pool_options *options);
clm_value clm_pool_scatter(clm_graph *g, clm_value dy, clm_value index, int h, int w, const clm_pool_options *options);
/* Adjoint of clm_avg_pool: dy [n, h', w', c] -> [n, h, w, c] */
clm_value clm_avg_pool_bwd(clm_graph *g, clm_value dy, int h, int w, const clm_pool_options *options);

/* Are the windows of a pooling's attributes adjacent, without padding? */
static inline bool clm_pool_tiles(const clm_attr *a) {
    return a->i[0] == a->i[2] && a->i[1] == a->i[3] && a->i[4] == 0 && a->i[5] == 0;
}

#endif
