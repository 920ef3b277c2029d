/* Batches made ahead by a thread.
 *
 * Batch i goes to slot i mod (ahead + 1). The thread makes `next`, `next` + 1, .. as long as they are at most `ahead` past `current`, the
 * batch in use, so that no two of current .. current + ahead meet in a slot and the one in use is never written. Asking for a batch sets `next`
 * anew, so a jump needs nothing more; a batch under way that is out of reach then is broken off after its task. All but the data of slots is guarded by the monitor,
 * and a slot's data belongs to the thread while it is MAKING and to the caller otherwise.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "base/thread.h"
#include "clmaml/data.h"
#include "data/augment.h"

enum { NUMBER = 4 }; /* bytes of what a slot holds */
_Static_assert(sizeof(float) == NUMBER && sizeof(int32_t) == NUMBER, "floats and numbers of images have one size");

typedef enum slot_state { EMPTY, MAKING, READY } slot_state;

typedef struct slot {
    slot_state state;
    uint64_t index;       /* of its batch, unless EMPTY */
    void *data[4];        /* floats; with the option `numbers`, numbers of images in 0 and 2 */
    clm_task_size *sizes; /* [tasks]; NULL: tasks are of one size */
    clm_status status;    /* how making it ended, when READY */
    char message[1024];
} slot;

struct clm_prefetch {
    const clm_source *source;
    clm_prefetch_options options;
    clm_episode_options episode;
    size_t count[4]; /* numbers of a task */
    float *scratch;  /* of augmentation: one example; NULL: there is none */
    slot *slots;
    size_t n_slots;
    clm_thread *thread; /* NULL: the caller makes its batches */
    clm_monitor *monitor;
    uint64_t current, next;
    bool stop;
    double waited; /* seconds; the caller's */
};

static slot *slot_of(clm_prefetch *p, uint64_t index) { return &p->slots[index % p->n_slots]; }

static bool is_ready(clm_prefetch *p, uint64_t index) {
    const slot *s = slot_of(p, index);
    return s->state == READY && s->index == index;
}

static bool within_reach(const clm_prefetch *p, uint64_t index) {
    return index >= p->current && index - p->current <= (uint64_t)p->options.ahead;
}

static void augment(const clm_prefetch *p, uint64_t task, float *support, float *query) {
    const clm_prefetch_options *o = &p->options;
    const clm_shape shape = clm_source_example_shape(p->source);
    const size_t size = clm_shape_size(&shape), n = p->count[0] / size;
    for (size_t i = 0; i < n + p->count[2] / size; i++)
        clm_augment_picture(&o->augment, p->source, o->seed, task, i, i < n ? support + i * size : query + (i - n) * size,
                            p->scratch);
}

static clm_status draw_task(clm_prefetch *p, const slot *s, size_t t) {
    const clm_prefetch_options *o = &p->options;
    clm_episode to = {.support_y = (float *)s->data[1] + t * p->count[1], .query_y = (float *)s->data[3] + t * p->count[3]};
    if (o->numbers) {
        to.support_at = (int32_t *)s->data[0] + t * p->count[0];
        to.query_at = (int32_t *)s->data[2] + t * p->count[2];
    } else {
        to.support_x = (float *)s->data[0] + t * p->count[0];
        to.query_x = (float *)s->data[2] + t * p->count[2];
    }
    if (s->sizes) to.size = &s->sizes[t];
    const uint64_t all = (uint64_t)(o->batch_tasks ? o->batch_tasks : o->tasks);
    const uint64_t task = s->index * all + (uint64_t)o->first_task + t;
    CLM_TRY(clm_source_draw(p->source, o->split, o->seed, task, &p->episode, &to));
    if (p->scratch) augment(p, task, to.support_x, to.query_x);
    return CLM_OK;
}

/* Is the batch that is being made still of use? */
static bool wanted(clm_prefetch *p, uint64_t index) {
    clm_monitor_enter(p->monitor);
    bool yes = !p->stop && within_reach(p, index);
    clm_monitor_leave(p->monitor);
    return yes;
}

/* Outside the monitor. True when the batch is whole, or failed. */
static bool make(clm_prefetch *p, slot *s) {
    s->status = CLM_OK;
    for (size_t t = 0; t < (size_t)p->options.tasks && s->status == CLM_OK; t++) {
        if (!wanted(p, s->index)) return false;
        s->status = draw_task(p, s, t);
    }
    if (s->status != CLM_OK) snprintf(s->message, sizeof s->message, "%s", clm_last_error());
    return true;
}

static void work(void *argument) {
    clm_prefetch *p = argument;
    clm_monitor_enter(p->monitor);
    while (!p->stop) {
        if (!within_reach(p, p->next)) {
            clm_monitor_wait(p->monitor);
            continue;
        }
        slot *s = slot_of(p, p->next);
        if (!is_ready(p, p->next)) {
            s->state = MAKING;
            s->index = p->next;
            clm_monitor_leave(p->monitor);
            bool whole = make(p, s);
            clm_monitor_enter(p->monitor);
            s->state = whole ? READY : EMPTY;
            clm_monitor_wake(p->monitor);
            if (s->index != p->next) continue; /* a jump meanwhile */
        }
        if (is_ready(p, p->next)) p->next++;
    }
    clm_monitor_leave(p->monitor);
}

/* ---- public ---- */

static clm_status allocate(clm_prefetch *p) {
    const clm_prefetch_options *o = &p->options;
    clm_shape shape = clm_source_example_shape(p->source), target_shape = clm_source_target_shape(p->source);
    size_t target = clm_shape_size(&target_shape), example = o->numbers ? 1 : clm_shape_size(&shape),
           support = (size_t)o->ways * (size_t)o->shots * (size_t)o->support_sets, query = (size_t)o->ways * (size_t)o->query;
    const size_t count[4] = {support * example, support * target, query * example, query * target};
    p->slots = clm_calloc(p->n_slots, sizeof *p->slots);
    if (!p->slots) return CLM_E_MEMORY;
    for (int i = 0; i < 4; i++) {
        p->count[i] = count[i];
        for (size_t s = 0; s < p->n_slots; s++)
            if (!(p->slots[s].data[i] = clm_calloc(count[i] * (size_t)o->tasks, NUMBER))) return CLM_E_MEMORY;
    }
    for (size_t s = 0; s < p->n_slots && (o->ways_least > 0 || o->shots_least > 0); s++)
        if (!(p->slots[s].sizes = clm_calloc((size_t)o->tasks, sizeof *p->slots[s].sizes))) return CLM_E_MEMORY;
    if (clm_augment_is_on(&o->augment) && !(p->scratch = clm_calloc(example, sizeof *p->scratch))) return CLM_E_MEMORY;
    return CLM_OK;
}

clm_status clm_prefetch_create(clm_prefetch **out, const clm_source *source, const clm_prefetch_options *options) {
    const clm_prefetch_options *o = options;
    clm_status status = CLM_OK;
    *out = NULL;
    if (o->version != CLM_PREFETCH_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "prefetch: options of version %d; initialise them with CLM_PREFETCH_OPTIONS_INIT",
                        o->version);
    if (o->tasks < 1 || o->ahead < 1 || o->ahead > 1024)
        return clm_fail(CLM_E_ARG, "prefetch: batches of %d tasks, %d ahead: at least 1 task, 1 to 1024 batches", o->tasks,
                        o->ahead);
    if (o->first_task < 0 || (o->batch_tasks ? o->first_task > o->batch_tasks - o->tasks : o->first_task > 0))
        return clm_fail(CLM_E_ARG, "prefetch: tasks %d to %d of batches of %d", o->first_task, o->first_task + o->tasks - 1,
                        o->batch_tasks ? o->batch_tasks : o->tasks);
    if (o->numbers) CLM_TRY(clm_source_check_numbers(source));
    CLM_TRY(clm_augment_check(&o->augment, source));
    if (o->numbers && clm_augment_is_on(&o->augment))
        return clm_fail(CLM_E_ARG, "prefetch: numbers of images leave nothing to augment");
    const clm_episode_options episode = {CLM_EPISODE_OPTIONS_VERSION,
                                         o->ways,
                                         o->shots,
                                         o->query,
                                         o->support_sets,
                                         o->joint_classes,
                                         o->ways_least,
                                         o->shots_least};
    CLM_TRY(clm_source_check_episode(source, o->split, &episode));
    clm_prefetch *p = clm_calloc(1, sizeof *p);
    if (!p) return CLM_E_MEMORY;
    p->source = source;
    p->options = *o;
    p->episode = episode;
    p->n_slots = (size_t)o->ahead + 1;
    p->current = p->next = o->first;
    CLM_GOTO(clm_monitor_create(&p->monitor));
    CLM_GOTO(allocate(p));
    if (clm_thread_start(&p->thread, work, p) != CLM_OK) p->thread = NULL;
    *out = p;
    p = NULL;
out:
    clm_prefetch_free(p);
    return status;
}

void clm_prefetch_free(clm_prefetch *p) {
    if (!p) return;
    if (p->thread) {
        clm_monitor_enter(p->monitor);
        p->stop = true;
        clm_monitor_wake(p->monitor);
        clm_monitor_leave(p->monitor);
        clm_thread_join(p->thread);
    }
    for (size_t s = 0; p->slots && s < p->n_slots; s++) {
        for (int i = 0; i < 4; i++) free(p->slots[s].data[i]);
        free(p->slots[s].sizes);
    }
    free(p->slots);
    free(p->scratch);
    clm_monitor_free(p->monitor);
    free(p);
}

/* Waits for the thread, or does its work. The clock is asked only where there is something to wait for. */
static void obtain(clm_prefetch *p, uint64_t index) {
    slot *s = slot_of(p, index);
    clm_monitor_enter(p->monitor);
    p->current = index;
    p->next = is_ready(p, index) ? index + 1 : index; /* what is ready beyond that is passed over */
    clm_monitor_wake(p->monitor);
    const bool waits = !is_ready(p, index);
    const double began = waits ? clm_clock() : 0;
    while (p->thread && !is_ready(p, index)) clm_monitor_wait(p->monitor);
    clm_monitor_leave(p->monitor);
    if (!is_ready(p, index)) {
        s->index = index;
        make(p, s);
        s->state = READY;
    }
    if (waits) p->waited += clm_clock() - began;
}

static clm_status get(clm_prefetch *p, uint64_t index, bool numbers, const slot **out) {
    if (p->options.numbers != numbers)
        return clm_fail(CLM_E_STATE, "prefetch: this one draws %s: %s", p->options.numbers ? "numbers of images" : "images",
                        p->options.numbers ? "clm_prefetch_get_at gives them" : "clm_prefetch_get gives them");
    obtain(p, index);
    *out = slot_of(p, index);
    return (*out)->status == CLM_OK ? CLM_OK : clm_fail((*out)->status, "%s", (*out)->message);
}

clm_status clm_prefetch_get(clm_prefetch *p, uint64_t index, const float *batch[4]) {
    const slot *s = NULL;
    CLM_TRY(get(p, index, false, &s));
    for (int i = 0; i < 4; i++) batch[i] = s->data[i];
    return CLM_OK;
}

clm_status clm_prefetch_get_at(clm_prefetch *p, uint64_t index, const int32_t *at[2], const float *labels[2]) {
    const slot *s = NULL;
    CLM_TRY(get(p, index, true, &s));
    for (size_t i = 0; i < 2; i++) {
        at[i] = s->data[2 * i];
        labels[i] = s->data[2 * i + 1];
    }
    return CLM_OK;
}

double clm_prefetch_waited(const clm_prefetch *p) { return p->waited; }

const clm_task_size *clm_prefetch_sizes(const clm_prefetch *p) { return p->slots[p->current % p->n_slots].sizes; }
