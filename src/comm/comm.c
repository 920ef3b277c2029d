/* Communicators: what all ways of passing bytes share.
 *
 * Everything is made of messages from one rank to another, each of which is waited for with a deadline, so that a message can say
 * which rank did not answer. A broadcast goes along a binomial tree, a sum in task order along the chain of the ranks. */
#include "comm/comm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"

struct clm_comm {
    clm_comm_calls calls;
    double seconds;
};

clm_status clm_comm_create(clm_comm **out, const clm_comm_calls *calls) {
    *out = NULL;
    if (calls->version != CLM_COMM_CALLS_VERSION)
        return clm_fail(CLM_E_ARG, "clm_comm_calls of version %d, this library's is %d", calls->version,
                        CLM_COMM_CALLS_VERSION);
    if (calls->size < 1 || calls->rank < 0 || calls->rank >= calls->size || !(calls->timeout > 0))
        return clm_fail(CLM_E_ARG, "communicator: rank %d of %d, timeout %g s", calls->rank, calls->size, calls->timeout);
    clm_comm *comm = clm_calloc(1, sizeof *comm);
    if (!comm) return CLM_E_MEMORY;
    comm->calls = *calls;
    *out = comm;
    return CLM_OK;
}

void clm_comm_free(clm_comm *comm) {
    if (!comm) return;
    if (comm->calls.free) comm->calls.free(comm->calls.user);
    free(comm);
}

clm_status clm_comm_create_first(clm_comm **out, const clm_comm *comm, int size) {
    *out = NULL;
    if (!comm || size < 1 || size > comm->calls.size)
        return clm_fail(CLM_E_ARG, "communicator: the first %d of %d ranks", size, clm_comm_size(comm));
    if (comm->calls.rank >= size) return CLM_OK;
    clm_comm_calls calls = comm->calls;
    calls.size = size;
    calls.free = NULL;
    return clm_comm_create(out, &calls);
}

int clm_comm_rank(const clm_comm *comm) { return comm ? comm->calls.rank : 0; }
int clm_comm_size(const clm_comm *comm) { return comm ? comm->calls.size : 1; }
int clm_comm_local_rank(const clm_comm *comm) { return comm ? comm->calls.local_rank : 0; }
int clm_comm_local_size(const clm_comm *comm) { return comm ? comm->calls.local_size : 1; }
double clm_comm_seconds(const clm_comm *comm) { return comm ? comm->seconds : 0; }

const char *clm_comm_host(const clm_comm *comm, int rank) {
    if (!comm || rank < 0 || rank >= comm->calls.size) return "";
    return comm->calls.host(comm->calls.user, rank);
}

void clm_comm_share(const clm_comm *comm, int tasks, int *first, int *count) {
    const int rank = clm_comm_rank(comm), size = clm_comm_size(comm), each = tasks / size, more = tasks % size;
    *count = each + (rank < more);
    *first = rank * each + (rank < more ? rank : more);
}

void clm_comm_abort(clm_comm *comm, int exit_status) {
    if (clm_comm_size(comm) > 1) comm->calls.abort(comm->calls.user, exit_status);
}

/* ---- messages ---- */

static clm_status told(const clm_comm *comm, clm_status status, const char *why) {
    const int rank = comm->calls.rank;
    return clm_fail(status, "rank %d on %s: %s", rank, clm_comm_host(comm, rank), why);
}

static clm_status send(clm_comm *comm, int to, const void *data, size_t bytes) {
    char why[CLM_COMM_WHY] = "";
    const clm_status status = comm->calls.send(comm->calls.user, to, data, bytes, why);
    return status == CLM_OK ? CLM_OK : told(comm, status, why);
}

static clm_status receive(clm_comm *comm, int from, void *data, size_t bytes) {
    char why[CLM_COMM_WHY] = "";
    const clm_status status = comm->calls.receive(comm->calls.user, from, data, bytes, why);
    return status == CLM_OK ? CLM_OK : told(comm, status, why);
}

static clm_status finish(clm_comm *comm) {
    char why[CLM_COMM_WHY] = "";
    const clm_status status = comm->calls.finish(comm->calls.user, why);
    return status == CLM_OK ? CLM_OK : told(comm, status, why);
}

/* Adds the time of a collective call to what there is of it. */
#define TIMED(comm, call)                       \
    do {                                        \
        const double began = clm_clock();       \
        const clm_status made = (call);         \
        (comm)->seconds += clm_clock() - began; \
        return made;                            \
    } while (0)

/* ---- from one to all, from all to all ---- */

/* Rank r has it from r without its lowest bit, and gives it to r + every lower power of two. */
static clm_status broadcast(clm_comm *comm, void *data, size_t bytes) {
    const int rank = comm->calls.rank, size = comm->calls.size;
    int bit = 1;
    while (bit < size && !(rank & bit)) bit <<= 1;
    if (rank) CLM_TRY(receive(comm, rank - bit, data, bytes));
    for (bit >>= 1; bit > 0; bit >>= 1)
        if (rank + bit < size) CLM_TRY(send(comm, rank + bit, data, bytes));
    return finish(comm);
}

clm_status clm_comm_broadcast(clm_comm *comm, void *data, size_t bytes) {
    if (clm_comm_size(comm) == 1 || bytes == 0) return CLM_OK;
    TIMED(comm, broadcast(comm, data, bytes));
}

static clm_status all_gather(clm_comm *comm, const void *mine, size_t bytes, char *all) {
    const int rank = comm->calls.rank, size = comm->calls.size;
    if (rank) {
        CLM_TRY(send(comm, 0, mine, bytes));
        CLM_TRY(finish(comm));
    }
    for (int r = 1; r < size && !rank; r++) CLM_TRY(receive(comm, r, all + (size_t)r * bytes, bytes));
    return broadcast(comm, all, (size_t)size * bytes);
}

clm_status clm_comm_all_gather(clm_comm *comm, const void *mine, size_t bytes, void *all) {
    if (bytes == 0) return CLM_OK;
    if (clm_comm_rank(comm) == 0) memmove(all, mine, bytes);
    if (clm_comm_size(comm) == 1) return CLM_OK;
    TIMED(comm, all_gather(comm, mine, bytes, all));
}

/* ---- agreement ---- */

static size_t line_length(const char *text) { return strcspn(text, "\n"); }

/* A line in words; what is long is cut. */
static int line_text(const char *line, size_t length, const char **text) {
    *text = length ? line : "nothing";
    return length == 0 ? (int)strlen(*text) : length < 100 ? (int)length : 100;
}

/* The first line of `other` that is not that of `own`, in words; "" where they are the same. */
static void first_difference(const char *own, const char *other, char *said, size_t size) {
    *said = 0;
    while (*own || *other) {
        const size_t n = line_length(own), m = line_length(other);
        const char *there, *here;
        if (n != m || memcmp(own, other, n) != 0) {
            const int of_there = line_text(other, m, &there), of_here = line_text(own, n, &here);
            snprintf(said, size, "%.*s there, %.*s on rank 0", of_there, there, of_here, here);
            return;
        }
        own += n + (own[n] == '\n');
        other += m + (other[m] == '\n');
    }
}

/* On rank 0: looks at the text of every other rank, all of which are read. */
static clm_status compare_all(clm_comm *comm, const char *what, const char *text, char verdict[CLM_COMM_WHY]) {
    for (int r = 1; r < comm->calls.size; r++) {
        uint64_t length = 0;
        char difference[256];
        CLM_TRY(receive(comm, r, &length, sizeof length));
        char *other = clm_calloc((size_t)length + 1, 1);
        if (!other) return CLM_E_MEMORY;
        const clm_status status = length ? receive(comm, r, other, (size_t)length) : CLM_OK;
        if (status == CLM_OK) first_difference(text, other, difference, sizeof difference);
        free(other);
        CLM_TRY(status);
        if (*difference && !*verdict)
            snprintf(verdict, CLM_COMM_WHY, "rank %d on %s has other %s than rank 0 on %s: %s", r, clm_comm_host(comm, r), what,
                     clm_comm_host(comm, 0), difference);
    }
    return CLM_OK;
}

static clm_status agree(clm_comm *comm, const char *what, const char *text) {
    char verdict[CLM_COMM_WHY] = "";
    const uint64_t length = strlen(text);
    if (comm->calls.rank) {
        CLM_TRY(send(comm, 0, &length, sizeof length));
        if (length) CLM_TRY(send(comm, 0, text, (size_t)length));
        CLM_TRY(finish(comm));
    } else {
        CLM_TRY(compare_all(comm, what, text, verdict));
    }
    CLM_TRY(broadcast(comm, verdict, sizeof verdict));
    return *verdict ? clm_fail(CLM_E_STATE, "%s", verdict) : CLM_OK;
}

clm_status clm_comm_agree(clm_comm *comm, const char *what, const char *text) {
    if (clm_comm_size(comm) == 1) return CLM_OK;
    TIMED(comm, agree(comm, what, text));
}

static clm_status join(clm_comm *comm, clm_status status, int *all) {
    const int rank = comm->calls.rank, mine = (int)status;
    char message[1024] = "";
    int first = 0;
    CLM_TRY(all_gather(comm, &mine, sizeof mine, (char *)all));
    while (first < comm->calls.size && all[first] == CLM_OK) first++;
    if (first == comm->calls.size) return CLM_OK;
    if (rank == first) snprintf(message, sizeof message, "%s", clm_last_error());
    if (rank == first && rank) {
        CLM_TRY(send(comm, 0, message, sizeof message));
        CLM_TRY(finish(comm));
    }
    if (!rank && first) CLM_TRY(receive(comm, first, message, sizeof message));
    CLM_TRY(broadcast(comm, message, sizeof message));
    return clm_fail((clm_status)all[first], "%s", message);
}

clm_status clm_comm_join(clm_comm *comm, clm_status status) {
    if (clm_comm_size(comm) == 1) return status;
    int *all = clm_calloc((size_t)clm_comm_size(comm), sizeof *all);
    if (!all) return CLM_E_MEMORY;
    const double began = clm_clock();
    all[0] = (int)status;
    status = join(comm, status, all);
    comm->seconds += clm_clock() - began;
    free(all);
    return status;
}

/* ---- sums ---- */

/* Small enough that a rank adds a piece while the next adds the one before, large enough to be worth a message. */
enum { PIECE = 1 << 16 };

/* Piece by piece from the rank before, added to, and to the next; from the last to rank 0. */
static clm_status sum_along(clm_comm *comm, char *sum, size_t n, size_t size, clm_comm_add add, const void *user) {
    const int rank = comm->calls.rank, last = comm->calls.size - 1;
    const size_t most = PIECE / size;
    for (size_t at = 0; at < n; at += most) {
        const size_t count = n - at < most ? n - at : most;
        char *piece = sum + at * size;
        if (rank) CLM_TRY(receive(comm, rank - 1, piece, count * size));
        add(user, at, count, piece);
        if (last > 0) CLM_TRY(send(comm, rank == last ? 0 : rank + 1, piece, count * size));
    }
    CLM_TRY(finish(comm));
    for (size_t at = 0; at < n && last > 0 && rank == 0; at += most)
        CLM_TRY(receive(comm, last, sum + at * size, (n - at < most ? n - at : most) * size));
    return CLM_OK;
}

clm_status clm_comm_sum(clm_comm *comm, void *sum, size_t n, size_t size, clm_comm_add add, const void *user) {
    if (clm_comm_rank(comm) == 0) memset(sum, 0, n * size);
    if (clm_comm_size(comm) == 1) {
        add(user, 0, n, sum);
        return CLM_OK;
    }
    TIMED(comm, sum_along(comm, sum, n, size, add, user));
}
