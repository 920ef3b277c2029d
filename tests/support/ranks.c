#include "support/ranks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct message {
    struct message *next;
    size_t bytes;
    char data[];
} message;

typedef struct world {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    message *first[CLM_TEST_RANKS_MOST][CLM_TEST_RANKS_MOST], *last[CLM_TEST_RANKS_MOST][CLM_TEST_RANKS_MOST]; /* [from][to] */
    unsigned long long sent;
    bool aborted;
} world;

typedef struct rank {
    world *w;
    int rank, size;
    double timeout;
    pthread_t thread;
    void (*work)(void *user, clm_comm *comm);
    void *user;
} rank;

static const char *host(void *user, int r) {
    static const char *const names[CLM_TEST_RANKS_MOST] = {"h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7"};
    (void)user;
    return names[r];
}

static clm_status begin_send(void *user, int to, const void *data, size_t bytes, char *why) {
    rank *r = user;
    message *m = malloc(sizeof *m + bytes);
    (void)why;
    m->next = NULL;
    m->bytes = bytes;
    memcpy(m->data, data, bytes);
    pthread_mutex_lock(&r->w->lock);
    message **last = &r->w->last[r->rank][to];
    if (*last)
        (*last)->next = m;
    else
        r->w->first[r->rank][to] = m;
    *last = m;
    r->w->sent += bytes;
    pthread_cond_broadcast(&r->w->changed);
    pthread_mutex_unlock(&r->w->lock);
    return CLM_OK;
}

static clm_status take(rank *r, int from, void *data, size_t bytes, char *why) {
    message *m = r->w->first[from][r->rank];
    if (!m) {
        snprintf(why, CLM_COMM_WHY, r->w->aborted ? "all ranks were ended" : "nothing came from rank %d", from);
        return CLM_E_IO;
    }
    r->w->first[from][r->rank] = m->next;
    if (!m->next) r->w->last[from][r->rank] = NULL;
    const bool fits = m->bytes == bytes;
    if (fits) memcpy(data, m->data, bytes);
    if (!fits) snprintf(why, CLM_COMM_WHY, "rank %d sent %zu bytes instead of %zu", from, m->bytes, bytes);
    free(m);
    return fits ? CLM_OK : CLM_E_IO;
}

static clm_status receive(void *user, int from, void *data, size_t bytes, char *why) {
    rank *r = user;
    struct timespec deadline;
    int late = 0;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += (time_t)r->timeout;
    deadline.tv_nsec += (long)((r->timeout - (double)(time_t)r->timeout) * 1e9);
    if (deadline.tv_nsec >= 1000000000) deadline.tv_sec++, deadline.tv_nsec -= 1000000000;
    pthread_mutex_lock(&r->w->lock);
    while (!r->w->first[from][r->rank] && !r->w->aborted && !late)
        late = pthread_cond_timedwait(&r->w->changed, &r->w->lock, &deadline);
    const clm_status status = take(r, from, data, bytes, why);
    pthread_mutex_unlock(&r->w->lock);
    return status;
}

static clm_status finish(void *user, char *why) {
    (void)user;
    (void)why;
    return CLM_OK;
}

static void end_all(void *user, int exit_status) {
    rank *r = user;
    (void)exit_status;
    pthread_mutex_lock(&r->w->lock);
    r->w->aborted = true;
    pthread_cond_broadcast(&r->w->changed);
    pthread_mutex_unlock(&r->w->lock);
}

static void *run(void *argument) {
    rank *r = argument;
    clm_comm *comm = NULL;
    const clm_comm_calls calls = {.version = CLM_COMM_CALLS_VERSION,
                                  .rank = r->rank,
                                  .size = r->size,
                                  .local_rank = r->rank,
                                  .local_size = r->size,
                                  .timeout = r->timeout,
                                  .user = r,
                                  .host = host,
                                  .send = begin_send,
                                  .receive = receive,
                                  .finish = finish,
                                  .abort = end_all};
    if (clm_comm_create(&comm, &calls) == CLM_OK) r->work(r->user, comm);
    clm_comm_free(comm);
    return NULL;
}

unsigned long long clm_test_ranks_run(int size, double timeout, void (*work)(void *user, clm_comm *comm), void *user) {
    world *w = calloc(1, sizeof *w);
    rank ranks[CLM_TEST_RANKS_MOST];
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    for (int i = 0; i < size; i++) {
        ranks[i] = (rank){.w = w, .rank = i, .size = size, .timeout = timeout, .work = work, .user = user};
        pthread_create(&ranks[i].thread, NULL, run, &ranks[i]);
    }
    for (int i = 0; i < size; i++) pthread_join(ranks[i].thread, NULL);
    for (int a = 0; a < CLM_TEST_RANKS_MOST; a++)
        for (int b = 0; b < CLM_TEST_RANKS_MOST; b++)
            while (w->first[a][b]) {
                message *m = w->first[a][b];
                w->first[a][b] = m->next;
                free(m);
            }
    const unsigned long long sent = w->sent;
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return sent;
}
