/* A communicator made of MPI's, in a library of its own: libclmaml_mpi, CMake target clMAML::clmaml_mpi, which is there when
 * clMAML was built with an MPI. The rest of clMAML needs none.
 *
 * Messages are sent and received without blocking and asked after until the deadline, CLMAML_MPI_TIMEOUT seconds. While a rank
 * waits it sleeps for moments, so that ranks may share cores.
 */
#ifndef CLMAML_MPI_H
#define CLMAML_MPI_H

#include <mpi.h>

#include "comm.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define CLM_MPI_API
#else
#define CLM_MPI_API __attribute__((visibility("default")))
#endif

/* Collective. MPI is initialised, by the thread that will use the communicator or with MPI_THREAD_SERIALIZED; `comm` is
 * duplicated. On failure *out is NULL and `why` says what happened; errors of MPI's that are fatal by its handler are not caught
 * before the duplicate is there. */
CLM_MPI_API clm_status clm_comm_create_mpi(clm_comm **out, MPI_Comm comm, char why[CLM_COMM_WHY]);

/* For programs that load this library when they are started by a launcher: MPI_Init_thread, and a communicator of all ranks. */
CLM_MPI_API clm_status clm_comm_create_mpi_world(clm_comm **out, char why[CLM_COMM_WHY]);
/* Frees it, and MPI_Finalize. Collective: waits for the others, not longer than MPI does. */
CLM_MPI_API void clm_comm_free_mpi_world(clm_comm *comm);

#ifdef __cplusplus
}
#endif
#endif
