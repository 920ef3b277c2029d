/* A communicator made of MPI's: messages are begun without blocking and asked after until the deadline. Whoever waits sleeps for
 * moments that grow, as ranks may share cores, and MPI makes progress only while it is asked. */

#include "clmaml/mpi.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TAG = 1,
    PART = 1 << 30, /* bytes of a message: MPI counts in int */
    YIELDS = 200,   /* questions before a wait begins to sleep */
    LONGEST_NAP = 500 * 1000
};
static const double default_timeout = 600;

typedef struct world {
    MPI_Comm comm;
    int rank, size;
    double timeout;
    MPI_Request *sent; /* not known to be done */
    int *sent_to;      /* the rank of each */
    size_t n_sent, capacity;
    char (*hosts)[MPI_MAX_PROCESSOR_NAME + 1];
} world;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void nap(int *asked, long *nanoseconds) {
    if (++*asked < YIELDS) {
        sched_yield();
        return;
    }
    const struct timespec t = {0, *nanoseconds};
    nanosleep(&t, NULL);
    if (*nanoseconds < LONGEST_NAP) *nanoseconds += *nanoseconds / 4;
}

static clm_status failed(char *why, const char *what, int code) {
    char text[MPI_MAX_ERROR_STRING + 1] = "";
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) text[0] = 0;
    snprintf(why, CLM_COMM_WHY, "%s: %.200s", what, text[0] ? text : "MPI does not say why");
    return CLM_E_IO;
}

/* Until all are done. *late: the deadline came first, and the request that was waited for; NULL: it did not. */
static int wait_all(MPI_Request *requests, size_t n, double timeout, const MPI_Request **late) {
    const double deadline = now() + timeout;
    int done = 1, asked = 0;
    long nanoseconds = 10000;
    size_t at = 0;
    *late = NULL;
    for (;;) {
        int code = MPI_SUCCESS;
        while (at < n && (code = MPI_Test(&requests[at], &done, MPI_STATUS_IGNORE)) == MPI_SUCCESS && done) at++;
        if (code != MPI_SUCCESS || at == n) return code;
        if (now() > deadline) {
            *late = &requests[at];
            return MPI_SUCCESS;
        }
        nap(&asked, &nanoseconds);
    }
}

/* ---- the calls ---- */

static const char *host(void *user, int rank) { return ((world *)user)->hosts[rank]; }

static clm_status send_part(world *w, int to, const void *data, size_t bytes, char *why) {
    if (w->n_sent == w->capacity) {
        const size_t more = w->capacity ? 2 * w->capacity : 64;
        MPI_Request *grown = realloc(w->sent, more * sizeof *grown);
        if (grown) w->sent = grown;
        int *grown_to = realloc(w->sent_to, more * sizeof *grown_to);
        if (grown_to) w->sent_to = grown_to;
        if (!grown || !grown_to) {
            snprintf(why, CLM_COMM_WHY, "out of memory");
            return CLM_E_MEMORY;
        }
        w->capacity = more;
    }
    const int code = MPI_Isend(data, (int)bytes, MPI_BYTE, to, TAG, w->comm, &w->sent[w->n_sent]);
    if (code != MPI_SUCCESS) return failed(why, "a message cannot be sent", code);
    w->sent_to[w->n_sent++] = to;
    return CLM_OK;
}

static clm_status begin_send(void *user, int to, const void *data, size_t bytes, char *why) {
    for (size_t at = 0; at < bytes; at += PART) {
        const clm_status status =
            send_part(user, to, (const char *)data + at, bytes - at < PART ? bytes - at : (size_t)PART, why);
        if (status != CLM_OK) return status;
    }
    return CLM_OK;
}

/* The next message of a rank, with its bytes; *there stays false where the deadline comes first. Only what is known to fit is received: Open
 * MPI 4.1 writes past the end of a buffer that is too small for a message from the same host. */
static int await(world *w, int from, MPI_Message *message, int *count, int *there) {
    const double deadline = now() + w->timeout;
    MPI_Status status;
    int asked = 0;
    long nanoseconds = 10000;
    for (*there = 0;;) {
        const int code = MPI_Improbe(from, TAG, w->comm, there, message, &status);
        if (code != MPI_SUCCESS) return code;
        if (*there) return MPI_Get_count(&status, MPI_BYTE, count);
        if (now() > deadline) return MPI_SUCCESS;
        nap(&asked, &nanoseconds);
    }
}

static clm_status receive_part(world *w, int from, void *data, size_t bytes, char *why) {
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Request request = MPI_REQUEST_NULL;
    const MPI_Request *late = NULL;
    int count = 0, there = 0, code = await(w, from, &message, &count, &there);
    if (code == MPI_SUCCESS && there && count != (int)bytes) {
        snprintf(why, CLM_COMM_WHY, "rank %d on %.200s sent %d bytes where %zu were expected: it does something else", from,
                 w->hosts[from], count, bytes);
        return CLM_E_IO;
    }
    if (code == MPI_SUCCESS && there) code = MPI_Imrecv(data, (int)bytes, MPI_BYTE, &message, &request);
    if (code == MPI_SUCCESS && there) code = wait_all(&request, 1, w->timeout, &late);
    if (code != MPI_SUCCESS) {
        char what[256];
        snprintf(what, sizeof what, "nothing can be received from rank %d on %.150s", from, w->hosts[from]);
        return failed(why, what, code);
    }
    if (there && !late) return CLM_OK;
    snprintf(why, CLM_COMM_WHY,
             "nothing came from rank %d on %.200s in %g s: it hangs or is stopped, or takes longer than CLMAML_MPI_TIMEOUT",
             from, w->hosts[from], w->timeout);
    return CLM_E_IO;
}

static clm_status receive(void *user, int from, void *data, size_t bytes, char *why) {
    for (size_t at = 0; at < bytes; at += PART) {
        const clm_status status =
            receive_part(user, from, (char *)data + at, bytes - at < PART ? bytes - at : (size_t)PART, why);
        if (status != CLM_OK) return status;
    }
    return CLM_OK;
}

static clm_status finish(void *user, char *why) {
    world *w = user;
    const MPI_Request *late = NULL;
    const int code = w->n_sent ? wait_all(w->sent, w->n_sent, w->timeout, &late) : MPI_SUCCESS;
    if (code != MPI_SUCCESS) return failed(why, "a message cannot be sent", code);
    if (late) {
        const int to = w->sent_to[late - w->sent];
        snprintf(why, CLM_COMM_WHY,
                 "rank %d on %.200s did not take in %g s what was sent to it: it hangs or is stopped, or takes longer than "
                 "CLMAML_MPI_TIMEOUT",
                 to, w->hosts[to], w->timeout);
        return CLM_E_IO;
    }
    w->n_sent = 0;
    return CLM_OK;
}

static void end_all(void *user, int exit_status) { MPI_Abort(((world *)user)->comm, exit_status); }

static void free_world(void *user) {
    world *w = user;
    int over = 0;
    if (w->comm != MPI_COMM_NULL && MPI_Finalized(&over) == MPI_SUCCESS && !over && w->n_sent == 0) MPI_Comm_free(&w->comm);
    free(w->hosts);
    free(w->sent);
    free(w->sent_to);
    free(w);
}

/* ---- making one ---- */

static clm_status read_timeout(double *seconds, char *why) {
    const char *text = getenv("CLMAML_MPI_TIMEOUT");
    char *end = NULL;
    *seconds = default_timeout;
    if (!text || !*text) return CLM_OK;
    *seconds = strtod(text, &end);
    if (*end == 0 && *seconds > 0 && *seconds <= 1e6) return CLM_OK;
    snprintf(why, CLM_COMM_WHY, "CLMAML_MPI_TIMEOUT=%.200s: seconds, a number from above 0 to 1e6", text);
    return CLM_E_ARG;
}

static clm_status wait_one(world *w, MPI_Request *request, const char *what, int code, char *why) {
    const MPI_Request *late = NULL;
    if (code == MPI_SUCCESS) code = wait_all(request, 1, w->timeout, &late);
    if (code != MPI_SUCCESS) return failed(why, what, code);
    if (!late) return CLM_OK;
    snprintf(why, CLM_COMM_WHY, "%s: not all ranks came together in %g s (CLMAML_MPI_TIMEOUT)", what, w->timeout);
    return CLM_E_IO;
}

static clm_status meet(world *w, MPI_Comm comm, char *why) {
    static const char what[] = "the ranks cannot come together";
    char name[MPI_MAX_PROCESSOR_NAME + 1] = "";
    MPI_Request request = MPI_REQUEST_NULL;
    int length = 0;
    clm_status status = wait_one(w, &request, what, MPI_Comm_idup(comm, &w->comm, &request), why);
    if (status != CLM_OK) return status;
    MPI_Comm_set_errhandler(w->comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(w->comm, &w->rank);
    MPI_Comm_size(w->comm, &w->size);
    if (MPI_Get_processor_name(name, &length) != MPI_SUCCESS) snprintf(name, sizeof name, "an unknown host");
    if (!(w->hosts = calloc((size_t)w->size, sizeof *w->hosts))) {
        snprintf(why, CLM_COMM_WHY, "out of memory");
        return CLM_E_MEMORY;
    }
    const int code = MPI_Iallgather(name, (int)sizeof name, MPI_CHAR, w->hosts, (int)sizeof name, MPI_CHAR, w->comm, &request);
    return wait_one(w, &request, what, code, why);
}

static clm_comm_calls calls_of(world *w) {
    clm_comm_calls calls = {.version = CLM_COMM_CALLS_VERSION,
                            .rank = w->rank,
                            .size = w->size,
                            .timeout = w->timeout,
                            .user = w,
                            .host = host,
                            .send = begin_send,
                            .receive = receive,
                            .finish = finish,
                            .abort = end_all,
                            .free = free_world};
    for (int r = 0; r < w->size; r++) {
        const bool here = strcmp(w->hosts[r], w->hosts[w->rank]) == 0;
        calls.local_size += here;
        calls.local_rank += here && r < w->rank;
    }
    return calls;
}

clm_status clm_comm_create_mpi(clm_comm **out, MPI_Comm comm, char why[CLM_COMM_WHY]) {
    *out = NULL;
    *why = 0;
    world *w = calloc(1, sizeof *w);
    if (!w) {
        snprintf(why, CLM_COMM_WHY, "out of memory");
        return CLM_E_MEMORY;
    }
    w->comm = MPI_COMM_NULL;
    clm_status status = read_timeout(&w->timeout, why);
    if (status == CLM_OK) status = meet(w, comm, why);
    if (status == CLM_OK) {
        const clm_comm_calls calls = calls_of(w);
        status = clm_comm_create(out, &calls);
        if (status != CLM_OK) snprintf(why, CLM_COMM_WHY, "%s", clm_last_error());
    }
    if (status != CLM_OK) free_world(w);
    return status;
}

clm_status clm_comm_create_mpi_world(clm_comm **out, char why[CLM_COMM_WHY]) {
    int given = 0;
    *out = NULL;
    /* Other threads drive devices and draw tasks; they call nothing of MPI's. */
    const int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given);
    if (code != MPI_SUCCESS) return failed(why, "MPI cannot be initialised", code);
    if (given >= MPI_THREAD_FUNNELED) return clm_comm_create_mpi(out, MPI_COMM_WORLD, why);
    snprintf(why, CLM_COMM_WHY, "this MPI was built without threads (MPI_THREAD_FUNNELED)");
    return CLM_E_STATE;
}

void clm_comm_free_mpi_world(clm_comm *comm) {
    clm_comm_free(comm);
    MPI_Finalize();
}
