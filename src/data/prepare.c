/* Decoding by threads. Each takes the next picture, so that the first picture at fault is always found and named, however many
 * threads there are; the opening thread waits and tells how far they are. Memory: the result, and of each thread one file and
 * one decoded picture. */
#include "data/prepare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/files.h"
#include "base/thread.h"

enum { MOST_THREADS = 16 };

typedef struct work {
    const clm_catalog *catalog;
    clm_preparation preparation;
    uint8_t paper;
    uint8_t *pixels;
    size_t example; /* bytes of a result */
    clm_monitor *monitor;
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

static clm_status prepare_one(const work *w, tools *t, size_t index) {
    char *path = clm_path_join(w->catalog->root, w->catalog->pictures[index].path), *data = NULL;
    size_t size = 0;
    clm_status status = path ? clm_file_read(path, &data, &size) : CLM_E_MEMORY;
    if (status == CLM_OK) {
        status = clm_image_decode(&t->picture, (const uint8_t *)data, size, w->paper);
        if (status == CLM_OK)
            status = clm_image_prepare(&t->scratch, &t->picture, &w->preparation, w->pixels + index * w->example);
        if (status != CLM_OK) status = clm_fail_in(status, "%s", path);
    }
    free(data);
    free(path);
    return status;
}

static void note_failure(work *w, size_t index, clm_status status) {
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
    while (!w->stop && w->next < w->catalog->n_pictures) {
        const size_t index = w->next++;
        clm_monitor_leave(w->monitor);
        const clm_status status = prepare_one(w, &t, index);
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

/* Tells how far the threads are, about five times a second, and that they are done. */
static void watch(work *w, const clm_folder_options *o) {
    double told = clm_clock();
    size_t last = 0;
    clm_monitor_enter(w->monitor);
    while (w->running) {
        clm_monitor_wait(w->monitor);
        const double now = clm_clock();
        const size_t done = w->done;
        if (!o->progress || (now - told < 0.2 && done < w->catalog->n_pictures)) continue;
        told = now;
        last = done;
        clm_monitor_leave(w->monitor);
        const bool go_on = o->progress(o->context, done, w->catalog->n_pictures);
        clm_monitor_enter(w->monitor);
        if (go_on || w->stop) continue;
        w->stop = true;
        w->failed = 0;
        w->status = CLM_E_STATE;
        snprintf(w->message, sizeof w->message, "%s: stopped after %zu of %zu pictures", w->catalog->root, done,
                 w->catalog->n_pictures);
    }
    clm_monitor_leave(w->monitor);
    if (o->progress && !w->stop && last < w->catalog->n_pictures)
        (void)o->progress(o->context, w->catalog->n_pictures, w->catalog->n_pictures);
}

static clm_status run_threads(work *w, const clm_folder_options *o) {
    clm_thread *threads[MOST_THREADS] = {NULL};
    size_t count = (size_t)(o->threads > 0 ? o->threads : clm_processors());
    if (count > MOST_THREADS) count = MOST_THREADS;
    if (count > w->catalog->n_pictures) count = w->catalog->n_pictures;
    CLM_TRY(clm_monitor_create(&w->monitor));
    size_t started = 0;
    w->running = count;
    while (started < count && clm_thread_start(&threads[started], run, w) == CLM_OK) started++;
    clm_monitor_enter(w->monitor);
    w->running -= count - started;
    clm_monitor_leave(w->monitor);
    if (started) {
        watch(w, o);
    } else {
        w->running = 1; /* no threads here: this one works */
        run(w);
    }
    for (size_t i = 0; i < started; i++) clm_thread_join(threads[i]);
    clm_monitor_free(w->monitor);
    return w->status == CLM_OK ? CLM_OK : clm_fail(w->status, "%s", w->message);
}

/* Three channels to one, in place. */
static void make_grey(clm_prepared *p, size_t images, size_t area) {
    for (size_t i = 0; i < images; i++) {
        uint8_t *to = p->pixels + i * area; /* at or before what is read, pixel by pixel */
        clm_image_luma(p->pixels + i * area * 3, area, to);
    }
    void *smaller = realloc(p->memory, CLM_PREPARED_HEADER + images * area);
    if (smaller) p->memory = smaller;
    p->pixels = (uint8_t *)p->memory + CLM_PREPARED_HEADER;
    p->channels = 1;
}

/* A size a side that would fit. */
static clm_status check_memory(const clm_catalog *c, const clm_folder_options *o, size_t channels) {
    const double limit = 0.75 * (double)clm_physical_memory();
    const double bytes = (double)c->n_pictures * (double)channels * o->size * o->size;
    int size = o->size;
    if (limit <= 0 || bytes <= limit) return CLM_OK;
    while (size > 4 && (double)c->n_pictures * (double)channels * size * size > limit) size--;
    return clm_fail(CLM_E_LIMIT,
                    "%s: %zu pictures of %zux%dx%d take %s, more than three quarters of the memory; size %d would fit", c->root,
                    c->n_pictures, channels, o->size, o->size, clm_bytes_text(bytes).s, size);
}

static clm_status prepare(clm_prepared *out, const clm_catalog *c, const clm_folder_options *o) {
    const size_t area = (size_t)o->size * (size_t)o->size;
    work w = {.catalog = c, .paper = (uint8_t)o->background};
    out->channels = o->channels == 1 ? 1 : 3;
    w.preparation = (clm_preparation){
        .size = o->size, .channels = out->channels, .fit = o->fit, .invert = o->invert, .background = o->background};
    w.example = area * (size_t)out->channels;
    CLM_TRY(check_memory(c, o, (size_t)out->channels));
    out->memory = clm_calloc(CLM_PREPARED_HEADER + c->n_pictures * w.example, 1);
    if (!out->memory) return CLM_E_MEMORY;
    w.pixels = out->pixels = (uint8_t *)out->memory + CLM_PREPARED_HEADER;
    CLM_TRY(run_threads(&w, o));
    out->coloured = w.coloured;
    if (!o->channels && !w.coloured) make_grey(out, c->n_pictures, area);
    return CLM_OK;
}

clm_status clm_prepare_pictures(clm_prepared *out, const clm_catalog *c, const clm_folder_options *o) {
    *out = (clm_prepared){0};
    const uint64_t key = clm_prepared_key(c, o);
    if (clm_prepared_load(out, key, c->n_pictures, o->size)) return CLM_OK;
    const clm_status status = prepare(out, c, o);
    if (status == CLM_OK) {
        clm_prepared_store(out, key, c->n_pictures, o->size);
        return CLM_OK;
    }
    free(out->memory);
    *out = (clm_prepared){0};
    return status;
}
