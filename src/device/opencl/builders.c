/* Kernels built by several processes, for drivers that keep one processor busy whatever the number of threads.
 *
 * PoCL compiles a kernel when it is first launched, under a lock of the whole process, and keeps the result on disk. So other
 * processes build the programs and launch each kernel once, one work-group of it on memory of their own, before this process
 * wants them. Each has a stretch of the kernels; then it goes through those of the others from their ends, and meets them. What
 * goes wrong there only costs time here.
 *
 * They are there until a kernel is launched, a device is closed or memory is short: what is built next is theirs too, and a
 * compiler takes half a second to read its library. Whoever uses them takes them, and puts them back.
 *
 * A mark in the cache tells that kernels have been built: they are not built apart again. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/children.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "device/opencl/job.h"
#include "device/opencl/opencl.h"

enum {
    FEWEST = 6,     /* kernels that are worth the start of processes, */
    MOST = 16,      /* of which so many are started, */
    SECONDS = 600,  /* and given so long */
    MARKS = 4 << 20 /* bytes of the folder of marks */
};
static const uint64_t PROCESS = 300 << 20; /* bytes that one needs */
#define ARGUMENT "--build-kernels"

static char *builder;
static bool is_builder; /* this process is one: it starts no others, whatever CLMAML_BUILDER says */

void clm_kernel_builder(const char *program) {
    free(builder);
    builder = program ? clm_strdup(program) : NULL;
}

static const char *builder_program(void) {
    const char *wanted = getenv("CLMAML_BUILDER");
    return is_builder ? NULL : wanted && *wanted ? wanted : builder;
}

/* A number alone. */
static bool count_in(const char *text, size_t *out) {
    char *end;
    const unsigned long n = strtoul(text, &end, 10);
    *out = n;
    return *text >= '0' && *text <= '9' && !*end && n <= 4ul * MOST;
}

/* As many as have memory to work in, of which some may be there. */
static clm_status processes_for(size_t kernels, size_t there, size_t *n) {
    const char *wanted = getenv("CLMAML_BUILD_PROCESSES");
    const uint64_t available = clm_available_memory(), room = available / PROCESS + there;
    *n = (size_t)clm_processors();
    if (*n > MOST) *n = MOST;
    if (wanted && *wanted && !count_in(wanted, n))
        return clm_fail(CLM_E_ARG, "CLMAML_BUILD_PROCESSES: \"%s\" is no number of processes from 0 to %d", wanted, 4 * MOST);
    if (available && *n > room) *n = (size_t)room;
    if (*n > kernels) *n = kernels;
    return CLM_OK;
}

/* ---- the driver's cache ---- */

/* Where PoCL keeps what it built; NULL when it does not. Free with free(). */
static char *driver_cache(void) {
    const char *own = getenv("POCL_CACHE_DIR"), *user = getenv("XDG_CACHE_HOME"), *home = getenv("HOME"),
               *wanted = getenv("POCL_KERNEL_CACHE");
    if (wanted && !strcmp(wanted, "0")) return NULL;
    if (own && *own) return clm_strdup(own);
    if (user && *user) return clm_path_join(user, "pocl/kcache");
    return home && *home ? clm_path_join(home, ".cache/pocl/kcache") : NULL;
}

/* Is there anything in it? Each program has a folder. */
static bool holds_programs(const char *place) {
    char **names = NULL;
    size_t count = 0;
    bool found = false;
    if (clm_directory_list(place, &names, &count) != CLM_OK) return false;
    for (size_t i = 0; i < count && !found; i++) {
        char *path = clm_path_join(place, names[i]);
        found = path && clm_path_is_directory(path);
        free(path);
    }
    clm_names_free(names, count);
    return found;
}

/* ---- the job ---- */

typedef struct order {
    clm_cl_device *d;
    const clm_cl_texts *texts;
    const clm_launch *launches;
    size_t count;            /* of launches */
    size_t *chosen, kernels; /* launches of different kernels */
} order;

static bool same_kernel(const order *o, size_t a, size_t b) {
    const clm_launch *x = &o->launches[a], *y = &o->launches[b];
    return o->texts->of[a] == o->texts->of[b] && !strcmp(x->entry, y->entry) && !memcmp(x->local, y->local, sizeof x->local);
}

static bool is_described(const clm_launch *launch) {
    for (int i = 0; i < launch->n_args; i++)
        if (launch->args[i].kind == CLM_ARG_MEM && !launch->args[i].size) return false;
    return launch->n_args > 0;
}

/* By their texts' order, in which they are built. */
static clm_status choose(order *o) {
    if (!(o->chosen = clm_calloc(o->count + 1, sizeof *o->chosen))) return CLM_E_MEMORY;
    for (size_t text = 0; text < o->texts->count; text++)
        for (size_t i = 0; i < o->count; i++) {
            bool known = o->texts->of[i] != text || !is_described(&o->launches[i]);
            for (size_t k = o->kernels; k-- > 0 && !known && o->texts->of[o->chosen[k]] == text;)
                known = same_kernel(o, o->chosen[k], i);
            if (!known) o->chosen[o->kernels++] = i;
        }
    return CLM_OK;
}

static uint64_t order_hash(const order *o, const char *driver_place) {
    const clm_device_info *info = &o->d->base.info;
    uint64_t h = clm_hash_text(clm_hash_text(CLM_HASH_SEED, driver_place), o->d->platform_version);
    h = clm_hash_text(clm_hash_text(h, info->driver), info->vendor);
    h = clm_hash(h, &o->d->avoid, sizeof o->d->avoid);
    h = clm_hash(h, info->name, clm_cl_name_length(o->d));
    for (size_t i = 0; i < o->texts->count; i++) h = clm_hash_text(h, o->texts->member[i].suffix);
    return h;
}

static char *describe(const order *o) {
    clm_text text = {0};
    clm_cl_job_begin(&text, o->d->base.info.platform_index, o->d->base.info.device_index, o->kernels);
    for (size_t i = 0; i < o->kernels; i++) {
        const size_t at = o->texts->of[o->chosen[i]];
        const clm_cl_member *m = &o->texts->member[at];
        clm_cl_job_add(&text, at / CLM_CL_JOINED, &o->launches[o->chosen[i]], m->text, m->defines);
    }
    if (text.failed) clm_text_free(&text);
    return text.data;
}

/* ---- the processes ---- */

typedef struct builders {
    clm_children *children;
    uint64_t key; /* what they were started for */
} builders;

static _Atomic(builders *) idle;

/* Killed: to end by themselves they would need tenths of a second to free what goes with them. */
static void end(builders *b) {
    if (b) clm_children_end(b->children);
    free(b);
}

static void put_back(builders *b) {
    if (b) end(atomic_exchange(&idle, b));
}

void clm_cl_builders_end(void) {
    if (atomic_load_explicit(&idle, memory_order_relaxed)) end(atomic_exchange(&idle, NULL));
}

/* Where what they hold is a good part of what is left, it would count when memory is planned. */
void clm_cl_builders_make_room(void) {
    builders *b = atomic_exchange(&idle, NULL);
    if (b && clm_children_count(b->children) * PROCESS > clm_available_memory() / 10)
        end(b);
    else
        put_back(b);
}

/* Those that were started for this; NULL: there are none. */
static builders *take(uint64_t key) {
    builders *b = atomic_exchange(&idle, NULL);
    if (!b || b->key == key) return b;
    end(b);
    return NULL;
}

static uint64_t key_of(const clm_cl_device *d, const char *program, const char *driver_place) {
    return clm_hash_text(clm_hash_text(clm_cl_kind(d), driver_place), program);
}

static clm_status start(builders **out, const char *program, size_t processes, uint64_t key) {
    char count[24];
    snprintf(count, sizeof count, "%zu", processes);
    if (!(*out = clm_calloc(1, sizeof **out))) return CLM_E_MEMORY;
    (*out)->key = key;
    const clm_status status = clm_children_start(&(*out)->children, program,
                                                 (const char *const[]){"clmaml", ARGUMENT, "{index}", count, NULL}, processes);
    if (status == CLM_OK) return CLM_OK;
    free(*out);
    *out = NULL;
    return status;
}

/* What failed once is of no use any more. */
static clm_status ask(builders **b, const char *job) {
    const clm_status status = clm_children_ask((*b)->children, job, SECONDS);
    if (status == CLM_OK) return CLM_OK;
    end(*b);
    *b = NULL;
    return status;
}

/* `place`: our folder, `driver_place` the driver's. `b`: started where there are none, NULL after a failure. */
static clm_status build_apart(order *o, const char *program, size_t processes, builders **b, const char *place,
                              const char *driver_place) {
    const double began = clm_clock();
    clm_status status = CLM_OK;
    char *text = NULL, *job = NULL;
    char *mark = clm_format("%s/%016" PRIx64, place, order_hash(o, driver_place));
    if (!mark) return CLM_E_MEMORY;
    if (clm_path_exists(mark) && holds_programs(driver_place)) {
        clm_cache_touch(mark);
        goto out;
    }
    text = describe(o);
    job = clm_format("%s.job-%" PRIx64, mark, clm_hash(CLM_HASH_SEED, &began, sizeof began));
    if (!text || !job) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(clm_file_replace(job, text, strlen(text)));
    if (!*b) CLM_GOTO(start(b, program, processes, key_of(o->d, program, driver_place)));
    clm_building_tell(&o->d->base, o->kernels, false);
    status = ask(b, job);
    clm_building_tell(&o->d->base, o->kernels, true);
    CLM_GOTO(status);
    clm_log_write(CLM_LOG_DEBUG, "%zu kernels built in %.3f s by %zu processes", o->kernels, clm_clock() - began,
                  clm_children_count((*b)->children));
    status = clm_file_replace(mark, "", 0);
out:
    if (job) clm_file_remove(job);
    free(text);
    free(job);
    free(mark);
    return status;
}

clm_status clm_cl_build_apart(clm_cl_device *d, const clm_launch *launches, size_t count, const clm_cl_texts *texts) {
    order o = {.d = d, .texts = texts, .launches = launches, .count = count};
    const char *program = builder_program();
    size_t processes = 0;
    if (!(d->avoid & CLM_AVOID_ONE_PROCESS) || texts->count < FEWEST || !program) return CLM_OK;
    CLM_TRY(choose(&o));
    char *driver_place = driver_cache(), *place = NULL;
    builders *b = driver_place ? take(key_of(d, program, driver_place)) : NULL;
    const size_t there = b ? clm_children_count(b->children) : 0;
    const clm_status status = processes_for(o.kernels, there, &processes);
    if (there < processes) {
        end(b);
        b = NULL;
    }
    if (status == CLM_OK && processes > 1 && driver_place) place = clm_cache_place("builders");
    if (place) clm_cache_prune(place, MARKS);
    if (place && build_apart(&o, program, processes, &b, place, driver_place) != CLM_OK)
        clm_log_write(CLM_LOG_INFO, "kernels are built by one process: %s", clm_last_error());
    put_back(b);
    free(o.chosen);
    free(place);
    free(driver_place);
    return status;
}

/* ---- a process ---- */

typedef struct worker {
    clm_cl_job job;
    clm_device *device;
    clm_mem *memory; /* for all arguments */
    bool *built;     /* the launch's program is; set at the first launch of each */
    size_t room;     /* elements of memory */
    size_t index, count;
} worker;

static size_t need_of(const clm_launch *launch) {
    size_t most = 0;
    for (int i = 0; i < launch->n_args; i++) {
        const clm_arg *arg = &launch->args[i];
        if (arg->kind != CLM_ARG_MEM || !arg->tasks) continue;
        const size_t rest = arg->tasks - 1;
        if (rest && arg->task_stride > (SIZE_MAX / 2 - arg->size) / rest) return SIZE_MAX;
        if (arg->task_stride * rest + arg->size > most) most = arg->task_stride * rest + arg->size;
    }
    return most;
}

/* All that belong to the program of launch i, as clm_cl_build joined them. */
static clm_status build_program(worker *w, size_t i) {
    const clm_cl_job_launch *all = w->job.launches;
    size_t first = i, last = i;
    clm_status status = CLM_OK;
    while (first > 0 && all[first - 1].program == all[i].program) first--;
    while (last < w->job.count && all[last].program == all[i].program) last++;
    if (w->built[first]) return CLM_OK;
    clm_launch *launches = clm_calloc(last - first, sizeof *launches);
    if (!launches) return CLM_E_MEMORY;
    for (size_t k = first; k < last; k++) launches[k - first] = all[k].launch;
    status = clm_cl_build(w->device, launches, last - first);
    free(launches);
    w->built[first] = status == CLM_OK;
    return status;
}

/* Compiles a kernel by launching one work-group. */
static clm_status try_launch(worker *w, size_t i) {
    clm_launch *launch = &w->job.launches[i].launch;
    clm_kernel *kernel = NULL;
    clm_status status = CLM_OK;
    if (need_of(launch) > w->room) return CLM_OK;
    for (int k = 0; k < launch->n_args; k++)
        if (launch->args[k].kind == CLM_ARG_MEM) launch->args[k].mem = w->memory;
    CLM_TRY(build_program(w, i));
    CLM_TRY(clm_cl_make(w->device, launch, &kernel));
    CLM_GOTO(clm_cl_enqueue_range(w->device, clm_cl(w->device)->queue, kernel, NULL, kernel->local, NULL));
    status = clm_cl_finish(w->device);
out:
    clm_cl_release(w->device, kernel);
    return status;
}

/* The launch with which the stretch of a process begins: equal amounts of text. */
static size_t stretch_begin(const worker *w, size_t index, size_t count) {
    size_t whole = 0, before = 0, i = 0;
    for (size_t k = 0; k < w->job.count; k++) whole += strlen(w->job.launches[k].launch.source);
    for (; i < w->job.count && before * count < whole * index; i++) before += strlen(w->job.launches[i].launch.source);
    return i;
}

static clm_status launch_all(worker *w) {
    const size_t index = w->index, count = w->count;
    for (size_t i = stretch_begin(w, index, count); i < stretch_begin(w, index + 1, count); i++) CLM_TRY(try_launch(w, i));
    for (size_t k = 1; k < count; k++) {
        const size_t other = (index + k) % count, begin = stretch_begin(w, other, count);
        for (size_t i = stretch_begin(w, other + 1, count); i-- > begin;) CLM_TRY(try_launch(w, i));
    }
    return CLM_OK;
}

/* As much as one of the launches needs, unless that is more than this process may take. */
static clm_status make_room(worker *w) {
    const size_t most = (size_t)(clm_available_memory() / 4 / w->count / sizeof(float));
    w->room = 1;
    for (size_t i = 0; i < w->job.count; i++) {
        const size_t need = need_of(&w->job.launches[i].launch);
        if (need > w->room && need <= most) w->room = need;
    }
    return clm_cl_alloc(w->device, w->room, &w->memory);
}

static clm_status work(worker *w, const char *path) {
    char *text = NULL;
    clm_status status = CLM_OK;
    CLM_GOTO(clm_file_read(path, &text, NULL));
    CLM_GOTO(clm_cl_job_read(text, &w->job));
    if (!w->device) CLM_GOTO(clm_opencl_open(&w->device, w->job.platform, w->job.device));
    CLM_GOTO(make_room(w));
    if (!(w->built = clm_calloc(w->job.count + 1, sizeof *w->built))) CLM_GOTO(CLM_E_MEMORY);
    status = launch_all(w);
out:
    if (w->memory) clm_cl_free(w->device, w->memory);
    clm_cl_job_free(&w->job);
    free(w->built);
    free(text);
    w->memory = NULL;
    w->built = NULL;
    return status;
}

bool clm_kernel_builder_main(int argc, char **argv, int *exit_status) {
    worker w = {0};
    if (argc != 4 || strcmp(argv[1], ARGUMENT) != 0) return false;
    is_builder = true;
    clm_status status = count_in(argv[2], &w.index) && count_in(argv[3], &w.count) && w.index < w.count
                            ? CLM_OK
                            : clm_fail(CLM_E_ARG, "%s: %s of %s is no process", ARGUMENT, argv[2], argv[3]);
    for (char *path; status == CLM_OK && (path = clm_children_line()); free(path)) {
        status = work(&w, path);
        if (status == CLM_OK && !clm_children_answer()) status = clm_fail(CLM_E_IO, "%s: nobody listens", ARGUMENT);
    }
    if (status != CLM_OK) fprintf(stderr, "%s\n", clm_last_error());
    clm_device_close(w.device);
    *exit_status = status != CLM_OK;
    return true;
}
