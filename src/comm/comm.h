/* Sums over the ranks of a communicator, for the library alone. */
#ifndef CLM_COMM_INTERNAL_H
#define CLM_COMM_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "clmaml/comm.h"

/* Adds a rank's own terms, one after the other, to elements from .. from + n - 1 of a sum; `sum` points to the first of these. */
typedef void (*clm_comm_add)(const void *user, size_t from, size_t n, void *sum);

/* Collective. sum[i] = ((0 + terms of rank 0) + terms of rank 1) + .. : the order of the ranks and, within one, its own. The sum
 * goes from rank to rank in pieces, so that all add at the same time. It is on rank 0 at the end; `sum`, n elements of `size` bytes
 * whose zero is all bits 0, is overwritten on the others. */
clm_status clm_comm_sum(clm_comm *comm, void *sum, size_t n, size_t size, clm_comm_add add, const void *user);

/* Collective. How the ranks did, told with each one's status: that of the first rank that failed, and its message, on all; CLM_OK where
 * none did. What only one rank can know, as that its data are not finite, becomes known to all. */
clm_status clm_comm_join(clm_comm *comm, clm_status status);

#endif
