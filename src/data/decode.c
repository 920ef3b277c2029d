/* Each thread takes the next picture, so that the first picture at fault is always found and named, however many threads there
 * are; the calling thread waits and tells how far they are. Memory, beside the result: of each thread one file and one decoded
 * picture. */
#include "data/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/thread.h"

enum { MOST_THREADS = 16 };

typedef struct work {
    const clm_decoding *job;
    uint8_t *pixels;
    size_t example;                /* bytes of a result */
    clm_monitor *monitor, *reader; /* reader: inside, one thread reads; NULL: all may */
    /* Guarded by the monitor. */
    size_t next, done, coloured, running;
    bool stop;
    size_t failed; /* the first picture that could not be had */
    clm_status status;
    char message[1024];
} work;

typedef struct tools { /* of a thread */
    clm_image picture;
    clm_resample scratch;
} tools;

static clm_status read_one(const work *w, size_t index, char **data, size_t *size) {
    if (!w->reader) return w->job->read(w->job->context, index, data, size);
    clm_monitor_enter(w->reader);
    const clm_status status = w->job->read(w->job->context, index, data, size);
    clm_monitor_leave(w->reader);
    return status;
}

static clm_status decode_one(const work *w, tools *t, size_t index) {
    const clm_decoding *job = w->job;
    char *data = NULL, *name = NULL;
    size_t size = 0;
    clm_status status = read_one(w, index, &data, &size);
    if (status == CLM_OK) {
        status = clm_image_decode(&t->picture, (const uint8_t *)data, size, job->paper);
        if (status == CLM_OK)
            status = clm_image_prepare(&t->scratch, &t->picture, &job->preparation, w->pixels + index * w->example);
        if (status != CLM_OK && !job->lost && (name = job->name(job->context, index))) status = clm_fail_in(status, "%s", name);
    }
    free(name);
    free(data);
    return status;
}

/* Is it the picture, and not the machine? */
static bool is_of_picture(clm_status status) { return status == CLM_E_FORMAT || status == CLM_E_LIMIT || status == CLM_E_IO; }

static void note_failure(work *w, size_t index, clm_status status) {
    if (w->job->lost && is_of_picture(status)) {
        status = w->job->lost(w->job->context, index, status, clm_last_error());
        if (status == CLM_OK) return;
    }
    w->stop = true;
    if (w->status != CLM_OK && w->failed < index) return;
    w->failed = index;
    w->status = status;
    snprintf(w->message, sizeof w->message, "%s", clm_last_error());
}

static void run(void *argument) {
    work *w = argument;
    tools t = {0};
    clm_monitor_enter(w->monitor);
    while (!w->stop && w->next < w->job->count) {
        const size_t index = w->next++;
        clm_monitor_leave(w->monitor);
        const clm_status status = decode_one(w, &t, index);
        clm_monitor_enter(w->monitor);
        if (status != CLM_OK) note_failure(w, index, status);
        w->coloured += status == CLM_OK && t.picture.coloured;
        w->done++;
        clm_monitor_wake(w->monitor);
    }
    w->running--;
    clm_monitor_wake(w->monitor);
    clm_monitor_leave(w->monitor);
    clm_image_free(&t.picture);
    clm_resample_free(&t.scratch);
}

static void stop_after(work *w, size_t done) {
    w->stop = true;
    w->failed = 0;
    w->status = CLM_E_STATE;
    snprintf(w->message, sizeof w->message, "%s: stopped after %zu of %zu pictures", w->job->origin, done, w->job->count);
}

/* Tells how far the threads are, about five times a second, and that they are done. */
static void watch(work *w) {
    const clm_decoding *o = w->job;
    double told = clm_clock();
    size_t last = 0;
    clm_monitor_enter(w->monitor);
    while (w->running) {
        clm_monitor_wait(w->monitor);
        const double now = clm_clock();
        const size_t done = w->done;
        if (!o->progress || (now - told < 0.2 && done < w->job->count)) continue;
        told = now;
        last = done;
        clm_monitor_leave(w->monitor);
        const bool go_on = o->progress(o->progress_context, done, w->job->count);
        clm_monitor_enter(w->monitor);
        if (!go_on && !w->stop) stop_after(w, done);
    }
    clm_monitor_leave(w->monitor);
    const size_t all = w->job->count; /* the threads may have been done before this one came to look */
    if (o->progress && !w->stop && last < all && !o->progress(o->progress_context, all, all)) stop_after(w, all);
}

static clm_status run_threads(work *w) {
    clm_thread *threads[MOST_THREADS] = {NULL};
    size_t count = (size_t)(w->job->threads > 0 ? w->job->threads : clm_processors());
    if (count > MOST_THREADS) count = MOST_THREADS;
    if (count > w->job->count) count = w->job->count;
    size_t started = 0;
    w->running = count;
    while (started < count && clm_thread_start(&threads[started], run, w) == CLM_OK) started++;
    clm_monitor_enter(w->monitor);
    w->running -= count - started;
    clm_monitor_leave(w->monitor);
    if (started) {
        watch(w);
    } else {
        w->running = 1; /* no threads here: this one works */
        run(w);
    }
    for (size_t i = 0; i < started; i++) clm_thread_join(threads[i]);
    return w->status == CLM_OK ? CLM_OK : clm_fail(w->status, "%s", w->message);
}

clm_status clm_decode(const clm_decoding *job, uint8_t *out, size_t *coloured) {
    const size_t side = (size_t)job->preparation.size;
    work w = {.job = job, .pixels = out, .example = side * side * (size_t)job->preparation.channels};
    clm_status status = CLM_OK;
    if (!job->count) return CLM_OK;
    CLM_GOTO(clm_monitor_create(&w.monitor));
    if (job->alone) CLM_GOTO(clm_monitor_create(&w.reader));
    status = run_threads(&w);
    *coloured = w.coloured;
out:
    clm_monitor_free(w.reader);
    clm_monitor_free(w.monitor);
    return status;
}
