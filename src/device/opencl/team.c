/* A team: the parts of a CPU, of one compute unit each, share the work-items of every launch of a program.
 *
 * Where a launch takes some 20 microseconds, a thread of the driver that sleeps between two launches costs as much: it is woken when
 * the next one is there, 10 to 30 microseconds late. In a team every part has a queue of its own, so that its thread goes from one
 * launch to the next, and waits in the kernel for the others to come to the same launch. Several launches are one kernel besides
 * (chain.h), which has one item for each part. A part always has the same share, so what it wrote is in its own cache.
 *
 * A part waits until all parts have counted as many launches as it has, does its share, and counts one more. Work-items are
 * independent, so results are the same bits.
 *
 * Parts have to make progress independently of one another, which OpenCL does not promise: a driver has to be known for it
 * (quirks.c). Two teams of a process would wait for each other's threads for ever: one at a time has them, and what others are given
 * is loose: launch by launch in the device's own queue, by the same kernels, without waiting in them. So it is for a while when a
 * team is much slower than it has been: threads that wait in a kernel do not sleep, and where other programs want the processors
 * they may wait for one that is not being executed. */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "base/memory.h"
#include "device/opencl/chain.h"

enum {
    MOST = CLM_CL_TEAM_MOST,
    LINE = 32,                     /* ints from one part's count to the next: no two share a line of the cache */
    STOP = MOST * LINE,            /* not 0: nobody waits */
    GATE = STOP + LINE,            /* ints in all */
    FIRST_COUNT = INT32_MAX - 100, /* counts wrap: soon, so that it shows if that does harm */
    STRIKES = 4,
    LOOSE = 50
};

/* A team that is SLOW times slower than at its best, or takes FAR_OFF times what is expected, twice in a row or so, is loose for LOOSE
 * waits. Its best becomes worse by FORGET with every wait. */
static const double SLOW = 1.6, FAR_OFF = 8, FORGET = 1.01;

/* Seconds that a launch costs the whole device and a team, and that a wait for parts costs; what a core does in a second, and how much
 * longer the same work takes in shares that are made beforehand: magnitudes. Kernels of a team take longer to build, so it is to be
 * faster by WORTH. */
static const double WHOLE_LAUNCH = 30e-6, TEAM_LAUNCH = 5e-6, TO_AND_FRO = 100e-6, FLOPS = 200e9, BYTES = 20e9, UNEVEN = 1.2,
                    WORTH = 1.1;

typedef struct clm_cl_team {
    int parts;
    cl_device_id id[MOST];
    cl_command_queue queue[MOST];
    clm_mem memory;
    cl_int *gate; /* its buffer, mapped */
    bool ahead;   /* its queues hold what the device's own does not know of */
    bool broken;  /* a launch is missing on some of the parts */
    /* Since the device was last waited for: has it been used; when was the first launch of parts queued, what seconds are all expected
     * to take, was one of them new, so that it had to be built? */
    bool used, fresh;
    double began, expected;
    double best; /* seconds that an expected one took at least */
    int strikes, loose;
} clm_cl_team;

/* Whose team has the threads: from its first launch until its work is known to be done. */
static _Atomic(const clm_cl_team *) holder;

static bool take_threads(const clm_cl_team *t) {
    const clm_cl_team *free = NULL;
    return atomic_load(&holder) == t || atomic_compare_exchange_strong(&holder, &free, t);
}

static void leave_threads(const clm_cl_team *t) {
    const clm_cl_team *mine = t;
    atomic_compare_exchange_strong(&holder, &mine, NULL);
}

/* ---- the device's parts ---- */

static void close_team(clm_cl_device *d, clm_cl_team *t) {
    for (int i = 0; i < t->parts; i++) {
        if (t->queue[i]) clFinish(t->queue[i]);
        if (t->queue[i]) clReleaseCommandQueue(t->queue[i]);
        if (t->id[i]) clReleaseDevice(t->id[i]);
    }
    leave_threads(t);
    if (t->gate) clEnqueueUnmapMemObject(d->queue, t->memory.buffer, t->gate, 0, NULL, NULL);
    if (t->gate) clFinish(d->queue);
    if (t->memory.buffer) clReleaseMemObject(t->memory.buffer);
    free(t);
}

void clm_cl_team_close(clm_cl_device *d) {
    if (d->team) close_team(d, d->team);
    d->team = NULL;
}

static clm_status divide(clm_cl_device *d, clm_cl_team *t) {
    cl_device_partition_property how[MOST + 3] = {CL_DEVICE_PARTITION_BY_COUNTS};
    cl_uint made = 0;
    for (int i = 0; i < t->parts; i++) how[i + 1] = 1;
    how[t->parts + 1] = CL_DEVICE_PARTITION_BY_COUNTS_LIST_END;
    const cl_int code = clCreateSubDevices(d->id, how, (cl_uint)t->parts, t->id, &made);
    if (code == CL_SUCCESS && made == (cl_uint)t->parts) return CLM_OK;
    return clm_fail(CLM_E_LIMIT, "%s is not divided into %d parts: %s (%d)", d->base.info.name, t->parts,
                    clm_cl_error_name(code), (int)code);
}

/* It stays mapped: the driver is one whose kernels see the same memory. */
static cl_int make_gate(clm_cl_device *d, clm_cl_team *t) {
    const size_t size = GATE * sizeof *t->gate;
    cl_int code = CL_SUCCESS;
    t->memory.elements = GATE;
    t->memory.buffer = clCreateBuffer(d->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, size, NULL, &code);
    if (code == CL_SUCCESS)
        t->gate =
            clEnqueueMapBuffer(d->queue, t->memory.buffer, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, size, 0, NULL, NULL, &code);
    if (code == CL_SUCCESS) memset(t->gate, 0, size);
    for (int i = 0; i < t->parts && code == CL_SUCCESS; i++) t->gate[(size_t)i * LINE] = FIRST_COUNT;
    return code;
}

static clm_status open_team(clm_cl_device *d, int parts) {
    clm_cl_team *t = clm_calloc(1, sizeof *t);
    cl_int code = CL_SUCCESS;
    clm_status status = CLM_OK;
    if (!t) return CLM_E_MEMORY;
    t->parts = parts;
    CLM_GOTO(divide(d, t));
    CLM_GOTO(clm_cl_check(&d->base, make_gate(d, t), "making the counts of a team"));
    for (int i = 0; i < parts; i++) {
        t->queue[i] = clCreateCommandQueue(d->context, t->id[i], 0, &code);
        CLM_GOTO(clm_cl_check(&d->base, code, "creating a command queue of a team"));
    }
    d->team = t;
    return CLM_OK;
out:
    close_team(d, t);
    return status;
}

/* ---- which programs ---- */

/* CLMAML_CPU_TEAM: *most is 0 for "auto". */
static clm_status wanted(int *most) {
    const char *text = getenv("CLMAML_CPU_TEAM");
    char *end;
    *most = 0;
    if (!text || !*text || !strcmp(text, "auto")) return CLM_OK;
    const long n = strtol(text, &end, 10);
    if (*end || n < 1 || n > MOST) return clm_fail(CLM_E_ARG, "CLMAML_CPU_TEAM=%s: auto, or a number from 1 to %d", text, MOST);
    *most = (int)n;
    return CLM_OK;
}

static double seconds_of(const clm_launch *l) { return l->flops / FLOPS + l->bytes / BYTES; }

/* Items are independent, alone in their groups, and have no memory in common. */
static bool is_divisible(const clm_launch *l, const char *text) {
    const double items = (double)l->global[0] * (double)l->global[1] * (double)l->global[2];
    return l->call.library == CLM_LIBRARY_NONE && l->local[0] * l->local[1] * l->local[2] <= 1 && items <= INT32_MAX / MOST &&
           !strstr(text, "__local ");
}

/* How many parts are expected to be faster than the whole device; 1: none are. */
static clm_status parts_for(const clm_cl_device *d, const clm_launch *launches, size_t count, int *parts) {
    const int units = (int)d->base.info.compute_units, processors = clm_processors();
    const int room = units < processors ? units : processors, few = room < MOST ? room : MOST;
    double work = 0;
    int most;
    *parts = 1;
    CLM_TRY(wanted(&most));
    if (!(d->avoid & CLM_AVOID_SLEEP) || d->is_sub_device || d->emulation.active || d->watchdog.launch > 0) return CLM_OK;
    if (most) {
        *parts = most < units ? most : units;
        return CLM_OK;
    }
    for (size_t i = 0; i < count; i++) work += seconds_of(&launches[i]);
    const double whole = work / units + WHOLE_LAUNCH * (double)count, team = UNEVEN * work / few + TEAM_LAUNCH * (double)count;
    if (few > 1 && WORTH * team < whole) *parts = few;
    clm_log_write(CLM_LOG_DEBUG, "%zu launches: %.2g s by the whole device, %.2g by a team of %d, as expected", count, whole,
                  team, few);
    return CLM_OK;
}

clm_status clm_cl_team_find(clm_device *device, const clm_launch *launches, size_t count, bool *found) {
    clm_cl_device *d = clm_cl(device);
    const char *text = NULL;
    int parts;
    *found = false;
    CLM_TRY(parts_for(d, launches, count, &parts));
    if (parts < 2) return CLM_OK;
    for (size_t i = 0; i < count; i++) {
        CLM_TRY(clm_cl_text(d, &launches[i], &text));
        if (!is_divisible(&launches[i], text)) return CLM_OK;
    }
    const clm_status status = d->team ? CLM_OK : open_team(d, parts);
    *found = status == CLM_OK && !d->team->broken;
    return status == CLM_E_LIMIT ? CLM_OK : status;
}

/* ---- the kernel ---- */

/* The arguments are a table, the gate and buffers, then these ints: how many launches from which on; the first work-item's part; how
 * many parts there are, below 0 where they do not wait. Without launches nothing is done. The table begins with the place of each.
 * (A part that is chosen by whether they wait makes the compiler write the whole kernel twice.) */
enum { STEPS, FIRST, PART, PARTS, INTS };

static const char functions[] =
    "#if defined(__x86_64__) && defined(__clang__)\n"
    "#define TEAM_PAUSE() __builtin_ia32_pause()\n"
    "#else\n"
    "#define TEAM_PAUSE()\n"
    "#endif\n"
    "static void team_wait(volatile __global int *gate, const int part, const int parts) {\n"
    "  const int mine = gate[part * TEAM_LINE];\n"
    "  for (int k = 0; k < parts; k++)\n"
    "  {\n"
    "    while ((int)((uint)gate[k * TEAM_LINE] - (uint)mine) < 0 && !gate[TEAM_STOP]) TEAM_PAUSE();\n"
    "    atomic_or(gate + k * TEAM_LINE, 0);\n" /* what was written before that count is read after it */
    "  }\n"
    "}\n"
    "static void team_count(volatile __global int *gate, const int part) {\n"
    "  atomic_inc(gate + part * TEAM_LINE);\n"
    "}\n";

/* Functions of a chain have names of their own: lines that do not begin with the word are left alone when texts are joined. */
static void add_indented(clm_text *out, const char *text) {
    for (const char *next; (next = strstr(text, "\nstatic ")); text = next + 1)
        clm_text_add(out, "%.*s\n ", (int)(next - text), text);
    clm_text_add(out, "%s", text);
}

static char *text_of(clm_cl_chain *c) {
    clm_text out = {0};
    char *chain = c->text.data;
    const bool failed = c->text.failed;
    c->text = (clm_text){0};
    clm_text_add(&out, "#define TEAM_LINE %d\n#define TEAM_STOP %d\n%s", LINE, STOP, functions);
    add_indented(&out, chain ? chain : "");
    clm_text_add(
        &out,
        "__kernel void team(__global const float *table, const uint2 table_at, __global float *count, const uint2 count_at");
    for (int b = 0; b < c->n_buffers; b++) clm_text_add(&out, ", __global float *b%d, const uint2 b%d_at", b, b);
    clm_text_add(&out,
                 ", const int4 place) {\n"
                 "  const int steps = place.s%d, waits = place.s%d > 0, parts = abs(place.s%d);\n"
                 "  const int part = place.s%d + (int)get_global_id(0);\n"
                 "  __global const int *t = (__global const int *)table;\n"
                 "  t += t[place.s%d];\n"
                 "  volatile __global int *gate = (volatile __global int *)count;\n"
                 "  __global float *base[%d] = {",
                 STEPS, PARTS, PARTS, PART, FIRST, c->n_buffers);
    for (int b = 0; b < c->n_buffers; b++) clm_text_add(&out, "%sb%d", b ? ", " : "", b);
    clm_text_add(&out, "};\n  for (int step = 0; step < steps; step++) {\n    if (waits) team_wait(gate, part, parts);\n");
    clm_cl_chain_cases(c);
    clm_text_add(&out, "%s    if (waits) team_count(gate, part);\n  }\n}\n", c->text.data ? c->text.data : "");
    if (failed || out.failed || c->text.failed || !chain) clm_text_free(&out);
    free(chain);
    return out.data;
}

clm_status clm_cl_team_form(clm_device *device, const clm_launch *launches, size_t count, clm_launch *out) {
    clm_cl_device *d = clm_cl(device);
    clm_cl_chain c = {.d = d,
                      .launches = launches,
                      .count = count,
                      .sizes = 3,
                      .loop = "for (int n = t[1] * t[2] * t[3], k = n * part / parts; k < n * (part + 1) / parts; k++)",
                      .indices = "k % t[1], k / t[1] % t[2], k / (t[1] * t[2])",
                      .apart = d->avoid & CLM_AVOID_WHOLE_KERNELS,
                      .joined = true};
    clm_mem *table = NULL;
    cl_int *whole = NULL;
    char *text = NULL;
    clm_status status = CLM_OK;
    *out = (clm_launch){.entry = "team", .defines = "", .quads = true};
    CLM_GOTO(clm_cl_chain_open(&c));
    if (!(text = text_of(&c))) CLM_GOTO(clm_fail(CLM_E_MEMORY, "building the kernel of a team: out of memory"));
    if (!(whole = clm_calloc(count + c.table_size, sizeof *whole))) CLM_GOTO(CLM_E_MEMORY);
    for (size_t i = 0; i < count; i++) whole[i] = (cl_int)(count + c.place[i]);
    memcpy(whole + count, c.table, c.table_size * sizeof *whole);
    CLM_GOTO(clm_cl_alloc(device, count + c.table_size, &table));
    CLM_GOTO(clm_cl_write_bytes(device, table, 0, (count + c.table_size) * sizeof *whole, whole));
    snprintf(out->label, sizeof out->label, "team of %zu launches", count);
    for (int i = 0; i < 3; i++) out->global[i] = 1;
    out->args[out->n_args++] = (clm_arg){.kind = CLM_ARG_MEM, .mem = table, .size = count + c.table_size, .tasks = 1};
    out->args[out->n_args++] = (clm_arg){.kind = CLM_ARG_MEM, .mem = &d->team->memory, .size = GATE, .tasks = 1};
    for (int b = 0; b < c.n_buffers; b++)
        out->args[out->n_args++] = (clm_arg){.kind = CLM_ARG_MEM, .mem = c.buffer[b], .size = 1, .tasks = 1};
    for (int i = 0; i < INTS; i++) out->args[out->n_args++] = (clm_arg){.kind = CLM_ARG_INT};
    for (size_t i = 0; i < count; i++) {
        out->flops += launches[i].flops;
        out->bytes += launches[i].bytes;
    }
    out->team = (int)count;
    out->source = text;
    table = NULL;
    text = NULL;
out:
    clm_cl_free(device, table);
    free(whole);
    free(text);
    clm_cl_chain_close(&c);
    return status;
}

int clm_cl_team_members(const clm_cl_device *d, const clm_launch *l) { return d->team->parts + l->team; }

void clm_cl_team_place(const clm_cl_device *d, clm_launch *l, int member) {
    clm_arg *ints = &l->args[l->n_args - INTS];
    const bool loose = member >= d->team->parts;
    ints[STEPS].i = loose ? 1 : l->team;
    ints[FIRST].i = loose ? member - d->team->parts : 0;
    ints[PART].i = loose ? 0 : member;
    ints[PARTS].i = loose ? -d->team->parts : d->team->parts;
}

double clm_cl_team_expected(const clm_cl_device *d, const clm_launch *l) {
    return seconds_of(l) / d->team->parts + TEAM_LAUNCH * l->team;
}

/* ---- running ---- */

/* What is queued in `to` from now on waits for all that is queued in `from`. */
static cl_int cross(const cl_command_queue *from, int n_from, const cl_command_queue *to, int n_to) {
    cl_event events[MOST] = {NULL};
    cl_int code = CL_SUCCESS;
    for (int i = 0; i < n_from && code == CL_SUCCESS; i++) {
        code = clEnqueueMarkerWithWaitList(from[i], 0, NULL, &events[i]);
        if (code == CL_SUCCESS) code = clFlush(from[i]);
    }
    for (int i = 0; i < n_to && code == CL_SUCCESS; i++)
        code = clEnqueueBarrierWithWaitList(to[i], (cl_uint)n_from, events, NULL);
    for (int i = 0; i < n_from; i++)
        if (events[i]) clReleaseEvent(events[i]);
    return code;
}

cl_int clm_cl_team_join(clm_cl_device *d) {
    clm_cl_team *t = d->team;
    if (!t || !t->ahead) return CL_SUCCESS;
    const cl_int code = cross(t->queue, t->parts, &d->queue, 1);
    t->ahead = code != CL_SUCCESS;
    return code;
}

static clm_status begin(clm_cl_device *d) {
    clm_cl_team *t = d->team;
    CLM_TRY(clm_cl_check(&d->base, cross(&d->queue, 1, t->queue, t->parts), "beginning the work of a team"));
    t->ahead = true;
    if (t->expected == 0) t->began = clm_clock();
    if (t->expected == 0) t->expected = TO_AND_FRO;
    return CLM_OK;
}

static cl_int queue_kernel(cl_command_queue queue, cl_kernel kernel, size_t items) {
    const size_t global[3] = {items, 1, 1}, local[3] = {1, 1, 1};
    return clEnqueueNDRangeKernel(queue, kernel, 3, NULL, global, local, 0, NULL, NULL);
}

/* Parts that have a launch would wait for ever for those that have not. */
static cl_int queue_together(clm_cl_team *t, const clm_kernel *k) {
    cl_int code = CL_SUCCESS;
    for (int m = 0; m < t->parts && code == CL_SUCCESS; m++) {
        code = queue_kernel(t->queue[m], k->members[m], 1);
        t->broken = t->broken || (code != CL_SUCCESS && m > 0);
    }
    if (t->broken) ((volatile cl_int *)t->gate)[STOP] = 1;
    t->expected += k->expected;
    return code;
}

static cl_int queue_loose(clm_cl_device *d, const clm_kernel *k) {
    const clm_cl_team *t = d->team;
    cl_int code = clm_cl_team_join(d);
    for (int m = t->parts; m < k->n_members && code == CL_SUCCESS; m++) {
        code = queue_kernel(d->queue, k->members[m], (size_t)t->parts);
        if (code == CL_SUCCESS) clm_cl_queued(d);
    }
    return code;
}

clm_status clm_cl_team_enqueue(clm_device *device, clm_kernel *k) {
    clm_cl_device *d = clm_cl(device);
    clm_cl_team *t = d->team;
    /* The first launch of a kernel builds it, which may fail on one part alone. */
    const bool together = k->launched && !t->broken && t->loose == 0 && take_threads(t);
    cl_int code = clm_cl_emulated_lack(device, CLM_FAIL_AT_LAUNCH);
    t->used = true;
    if (together && !t->ahead) CLM_TRY(begin(d));
    t->fresh = t->fresh || !k->launched;
    k->launched = true;
    device->counters.launches += together ? 1 : (size_t)(k->n_members - t->parts);
    if (code == CL_SUCCESS) code = together ? queue_together(t, k) : queue_loose(d, k);
    return clm_cl_check(device, code, "%s: launching kernel %s by a team of %d", k->label, k->entry, t->parts);
}

void clm_cl_team_rest(clm_cl_device *d, int waits) {
    d->team->loose = waits;
    d->team->strikes = 0;
}

void clm_cl_team_unjudged(clm_cl_device *d) {
    if (d->team) d->team->fresh = true;
}

/* Two slow waits weigh as much as four fast ones. */
static void judge(clm_cl_device *d, double seconds) {
    clm_cl_team *t = d->team;
    const double each = seconds / t->expected;
    const bool slow = (t->best > 0 && each > SLOW * t->best) || each > FAR_OFF;
    t->best = t->best > 0 ? fmin(each, FORGET * t->best) : each;
    t->strikes += slow ? 2 : t->strikes > 0 ? -1 : 0;
    if (t->strikes >= STRIKES) clm_cl_team_rest(d, LOOSE);
}

/* Only a wait that took a good part of the time tells how long the work did. */
void clm_cl_team_idle(clm_cl_device *d, double waited_since) {
    clm_cl_team *t = d->team;
    if (!t || !t->used || t->ahead) return;
    const double now = clm_clock();
    leave_threads(t);
    if (t->loose > 0)
        t->loose--;
    else if (t->expected > 0 && !t->fresh && now - waited_since > 0.3 * (now - t->began))
        judge(d, now - t->began);
    t->used = t->fresh = false;
    t->expected = 0;
}
