/* Several processes that work on one meta-batch: the ranks of a communicator.
 *
 * A communicator says which rank this process is and of how many, and passes bytes between ranks. The library knows no network:
 * whoever makes a communicator gives the calls. <clmaml/mpi.h> makes one of an MPI_Comm.
 *
 *     clm_comm_create_mpi(&comm, MPI_COMM_WORLD, why);
 *     options.meta.comm = comm;                   // clm_train_options; clm_meta_options.comm, clm_evaluator_options.comm
 *     clm_train(device, source, model, &options, params, &result);    // on every rank, with the same options
 *
 * Functions that are said to be collective are called by all ranks, in the same order. Wherever NULL stands for a communicator,
 * this process is alone: rank 0 of 1.
 *
 * No wait lasts longer than the communicator's timeout. What comes of a rank that is gone, hangs or fails is CLM_E_IO with its
 * number and host; a rank that fails itself tells nobody, and is to call clm_comm_abort. After a failure a communicator is of no
 * more use but for that. Threading: a communicator belongs to one thread at a time.
 */
#ifndef CLMAML_COMM_H
#define CLMAML_COMM_H

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clm_comm clm_comm;

enum { CLM_COMM_WHY = 512 };

/* How bytes get from rank to rank. Calls that fail return a status and say in `why` what happened, without this rank's name. What
 * one rank sends to another arrives in order. */
typedef struct clm_comm_calls {
    int version; /* CLM_COMM_CALLS_VERSION */
    int rank, size;
    int local_rank, local_size; /* among the ranks on this host */
    double timeout;             /* the most seconds that a call may wait */
    void *user;
    const char *(*host)(void *user, int rank); /* the name of its machine; the user's */
    /* Begins to send; `data` stays as it is until `finish`. */
    clm_status (*send)(void *user, int to, const void *data, size_t bytes, char why[CLM_COMM_WHY]);
    /* Waits for the next bytes of a rank, which must be as many. */
    clm_status (*receive)(void *user, int from, void *data, size_t bytes, char why[CLM_COMM_WHY]);
    /* Waits until all that was sent is on its way. */
    clm_status (*finish)(void *user, char why[CLM_COMM_WHY]);
    void (*abort)(void *user, int exit_status); /* ends all ranks; need not return */
    void (*free)(void *user);                   /* NULL: nothing to be freed */
} clm_comm_calls;
#define CLM_COMM_CALLS_VERSION 1

/* The calls are copied. CLM_E_ARG for a rank or a size that cannot be. */
CLM_API clm_status clm_comm_create(clm_comm **out, const clm_comm_calls *calls);
CLM_API void clm_comm_free(clm_comm *comm); /* NULL is allowed */
/* The first `size` ranks of a communicator as one of their own, by the same calls, which must outlive it; *out is NULL on the others. While
 * it is in use, the whole is not. */
CLM_API clm_status clm_comm_create_first(clm_comm **out, const clm_comm *comm, int size);

CLM_API int clm_comm_rank(const clm_comm *comm);
CLM_API int clm_comm_size(const clm_comm *comm);
CLM_API int clm_comm_local_rank(const clm_comm *comm);
CLM_API int clm_comm_local_size(const clm_comm *comm);
/* The name of a rank's machine; "" where there is no such rank. */
CLM_API const char *clm_comm_host(const clm_comm *comm, int rank);
/* Seconds that this rank has spent in collective calls so far: sending, receiving, and waiting for others. */
CLM_API double clm_comm_seconds(const clm_comm *comm);

/* The consecutive ones of `tasks` tasks that are this rank's: equal numbers, but for one more on the first ranks where that does not
 * come out even. */
CLM_API void clm_comm_share(const clm_comm *comm, int tasks, int *first, int *count);

/* Collective. Rank 0's bytes to all. */
CLM_API clm_status clm_comm_broadcast(clm_comm *comm, void *data, size_t bytes);
/* Collective. Every rank's bytes, the same number of all, one rank behind the other, to all. all: [size * bytes]. */
CLM_API clm_status clm_comm_all_gather(clm_comm *comm, const void *mine, size_t bytes, void *all);
/* Collective. CLM_E_STATE on all ranks when the text of one is not that of rank 0, with the first line that differs, the rank and
 * its host. `what` says in the message what the texts are of, "options". */
CLM_API clm_status clm_comm_agree(clm_comm *comm, const char *what, const char *text);

/* Ends all ranks of a communicator, this one with the exit status. `comm` NULL or alone: does nothing. */
CLM_API void clm_comm_abort(clm_comm *comm, int exit_status);

#ifdef __cplusplus
}
#endif
#endif
