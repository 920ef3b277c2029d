/* Threads and monitors by POSIX threads. */
#include "base/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct clm_thread {
    pthread_t id;
    void (*work)(void *argument);
    void *argument;
};

struct clm_monitor {
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

static void *run(void *thread) {
    clm_thread *t = thread;
    t->work(t->argument);
    return NULL;
}

/* All but those by which the thread itself is told of a fault: blocked, they end the process whatever it has made of them. */
static void fill_signals(sigset_t *set) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigfillset(set);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(set, faults[i]);
}

clm_status clm_thread_start(clm_thread **out, void (*work)(void *argument), void *argument) {
    sigset_t signals, before;
    *out = NULL;
    clm_thread *t = clm_calloc(1, sizeof *t);
    if (!t) return CLM_E_MEMORY;
    t->work = work;
    t->argument = argument;
    fill_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, &before); /* inherited by the new thread */
    int code = pthread_create(&t->id, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) {
        *out = t;
        return CLM_OK;
    }
    free(t);
    return clm_fail(CLM_E_MEMORY, "no thread can be started: %s", strerror(code));
}

void clm_thread_join(clm_thread *t) {
    if (!t) return;
    pthread_join(t->id, NULL);
    free(t);
}

clm_status clm_monitor_create(clm_monitor **out) {
    *out = NULL;
    clm_monitor *m = clm_calloc(1, sizeof *m);
    if (!m) return CLM_E_MEMORY;
    int code = pthread_mutex_init(&m->lock, NULL);
    if (code == 0 && (code = pthread_cond_init(&m->changed, NULL)) != 0) pthread_mutex_destroy(&m->lock);
    if (code == 0) {
        *out = m;
        return CLM_OK;
    }
    free(m);
    return clm_fail(CLM_E_MEMORY, "no lock can be made: %s", strerror(code));
}

void clm_monitor_free(clm_monitor *m) {
    if (!m) return;
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void clm_monitor_enter(clm_monitor *m) { pthread_mutex_lock(&m->lock); }
void clm_monitor_leave(clm_monitor *m) { pthread_mutex_unlock(&m->lock); }
void clm_monitor_wait(clm_monitor *m) { pthread_cond_wait(&m->changed, &m->lock); }
void clm_monitor_wake(clm_monitor *m) { pthread_cond_broadcast(&m->changed); }
