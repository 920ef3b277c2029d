/* Ranks as threads of one process: a communicator without a network, for tests. */
#ifndef CLM_TEST_RANKS_H
#define CLM_TEST_RANKS_H

#include <stdbool.h>

#include "clmaml/comm.h"

enum { CLM_TEST_RANKS_MOST = 8 };

/* Runs work(user, comm) in a thread for each rank, and waits for all. comm: the rank's, freed behind it. A rank that is not waited for
 * by another is waited for `timeout` seconds at most by receive. Returns how many bytes were sent in all. */
unsigned long long clm_test_ranks_run(int size, double timeout, void (*work)(void *user, clm_comm *comm), void *user);

#endif
