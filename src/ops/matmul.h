/* Matrix products: the sizes of a node, for all that compute it. */
#ifndef CLM_OPS_MATMUL_H
#define CLM_OPS_MATMUL_H

#include "program/lower.h"

/* C[m, n] = A[m, k] B[k, n], `batch` times for a task; ta, tb: A, B are stored transposed. */
typedef struct clm_matmul_sizes {
    int m, n, k, batch;
    int a_batch, b_batch; /* elements from one matrix to the next; 0: one for all */
    bool ta, tb;
} clm_matmul_sizes;

clm_matmul_sizes clm_matmul_sizes_at(const clm_lower *l, clm_value y);
/* Terms that an element of the product y is the sum of: k. */
int clm_matmul_terms(const clm_graph *g, clm_value y);

#endif
