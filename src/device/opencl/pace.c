/* Launches in pieces, and a bound on queued work, for devices with a watchdog: a GPU that also draws the screen is reset by its system
 * when one launch, or what is queued, takes too long.
 *
 *   expected seconds of a kernel = its last measurement, or work / rate * factor
 *
 * `rate` is what the slowest device of that size could do and `factor` is learnt from every wait, so work is at first taken to be longer
 * than it is. A kernel that is expected to take longer than a launch may is cut along one dimension of its global size into runs of whole
 * work-groups, and measured while it runs; where it turns out to be fast, it is not cut any more. Work-items are independent and keep
 * their global ids, so the numbers are the same bits. Kernels that ask for more than that (group ids, global sizes) stay whole. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "device/opencl/opencl.h"

/* Seconds. Windows allows a GPU 2 in all; i915 some 10 of queued work. */
static const double launch_limit = 0.5;
/* Runs after which a measurement is believed: the first may have compiled something. */
enum { MEASURED = 3, GROWTH = 8 };
/* Less than that cannot be told from the wait itself. */
static const double shortest_wait = 1e-3;
/* What is learnt from one wait goes for kernels that are slower than those waited for. */
enum { SLACK = 4, MOST = 10 };

clm_status clm_cl_pace_open(clm_cl_device *d) {
    const clm_device_info *info = &d->base.info;
    const char *text = getenv("CLMAML_MAX_LAUNCH_MS");
    clm_cl_pace *p = &d->pace;
    *p = (clm_cl_pace){.factor = 1};
    /* One operation a cycle and unit: a twentieth of what units can do. */
    p->rate = 1e6 * (info->clock_mhz ? info->clock_mhz : 300) * (info->compute_units ? info->compute_units : 1);
    if (info->type != CLM_DEVICE_CPU) p->launch = launch_limit;
    if (text && *text) {
        char *end;
        p->launch = strtod(text, &end) / 1e3;
        if (end == text || *end || !(p->launch >= 0) || !isfinite(p->launch))
            return clm_fail(CLM_E_ARG, "CLMAML_MAX_LAUNCH_MS: \"%s\" is not a number of milliseconds; 0 is no limit", text);
    }
    p->queued = 2 * p->launch;
    return CLM_OK;
}

/* ---- what a kernel costs ---- */

/* Do work-items ask for nothing but their own global id, whatever else there is? */
static bool divisible(const char *text) {
    static const char *const asks[] = {"get_group_id", "get_num_groups", "get_global_size", "get_global_offset",
                                       "get_global_linear"};
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        if (strstr(text, asks[i])) return false;
    }
    return true;
}

void clm_cl_pace_kernel(clm_kernel *k, const clm_launch *launch, const char *text) {
    enum { BYTE = 4, UNKNOWN = 1000 }; /* operations */
    double items = (double)k->global[0] * (double)k->global[1] * (double)k->global[2];
    double counted = launch->flops > BYTE * launch->bytes ? launch->flops : BYTE * launch->bytes;
    k->work = counted > items ? counted : counted > 0 ? items : UNKNOWN * items;
    k->divisible = divisible(text);
}

static double expected(const clm_cl_pace *p, const clm_kernel *k) {
    return k->measured ? k->seconds : k->work / p->rate * p->factor;
}

/* ---- the queue ---- */

static void queued(clm_cl_pace *p, double seconds, double work) {
    if (p->work == 0) p->since = clm_clock();
    p->waiting += seconds;
    p->unflushed += seconds;
    p->work += work;
}

void clm_cl_idle(clm_cl_device *d, double start) {
    clm_cl_pace *p = &d->pace;
    double now = clm_clock(), elapsed = now - p->since;
    bool mostly_waited = now - start > 0.5 * elapsed;
    if (elapsed < shortest_wait) elapsed = shortest_wait;
    double factor = p->work > 0 ? SLACK * elapsed * p->rate / p->work : p->factor;
    /* The device took no longer than that; it took so long only where the host did nothing else but wait. The rate is so low that a
     * factor far above 1 speaks of something else, such as compiling at the first launch. */
    if (factor < p->factor || mostly_waited) p->factor = factor < MOST ? factor : MOST;
    p->waiting = p->unflushed = p->work = 0;
    d->unflushed = 0;
}

/* Before work of so many seconds is queued: waits where it would be too much. */
static clm_status make_room(clm_device *device, double seconds) {
    clm_cl_pace *p = &clm_cl(device)->pace;
    if (p->waiting == 0 || p->waiting + seconds <= p->queued) return CLM_OK;
    p->waits++;
    return clm_cl_finish(device);
}

static void flush_now_and_then(clm_cl_device *d) {
    if (d->pace.unflushed < d->pace.launch / 4) return;
    d->pace.unflushed = 0;
    d->unflushed = 0;
    clFlush(d->queue);
}

/* ---- pieces ---- */

/* The dimension with the most work-groups. */
static int widest(const clm_kernel *k) {
    int best = 0;
    for (int i = 1; i < 3; i++) {
        if (k->global[i] / k->local[i] > k->global[best] / k->local[best]) best = i;
    }
    return best;
}

static clm_status enqueue_groups(clm_device *d, cl_command_queue queue, const clm_kernel *k, int axis, size_t from,
                                 size_t count) {
    size_t offset[3] = {0}, global[3];
    memcpy(global, k->global, sizeof global);
    offset[axis] = from * k->local[axis];
    global[axis] = count * k->local[axis];
    clm_cl(d)->pace.pieces++;
    return clm_cl_enqueue_range(d, queue, k, from ? offset : NULL, global, NULL);
}

/* As many groups as are expected to take as long as a launch may. */
static size_t fitting(double limit, double seconds, size_t groups, size_t left) {
    double n = floor((double)groups * limit / seconds);
    return n < 1 ? 1 : n < (double)left ? (size_t)n : left;
}

/* Each piece is waited for; what all of them took becomes the kernel's measurement. */
static clm_status measure_pieces(clm_device *d, cl_command_queue queue, clm_kernel *k) {
    clm_cl_pace *p = &clm_cl(d)->pace;
    const int axis = widest(k);
    const size_t groups = k->global[axis] / k->local[axis];
    double guess = expected(p, k), total = 0;
    CLM_TRY(clm_cl_finish(d));
    for (size_t at = 0, n, most = groups; at < groups; at += n) {
        n = fitting(p->launch, guess, groups, groups - at);
        if (n > most) n = most;
        double start = clm_clock();
        CLM_TRY(enqueue_groups(d, queue, k, axis, at, n));
        CLM_TRY(clm_cl_check(d, clFinish(queue), "%s: waiting for kernel %s", k->label, k->entry));
        double seconds = clm_clock() - start;
        total += seconds;
        guess = seconds * (double)groups / (double)n;
        most = n * GROWTH; /* a short piece tells little of a long one */
    }
    if (!k->measured || total < k->seconds) k->seconds = total;
    k->measured++;
    return clm_cl_finish(d);
}

static clm_status queue_pieces(clm_device *d, const clm_kernel *k, double seconds) {
    clm_cl_pace *p = &clm_cl(d)->pace;
    const int axis = widest(k);
    const size_t groups = k->global[axis] / k->local[axis];
    for (size_t at = 0, n; at < groups; at += n) {
        n = fitting(p->launch, seconds, groups, groups - at);
        double part = (double)n / (double)groups;
        CLM_TRY(make_room(d, seconds * part));
        CLM_TRY(enqueue_groups(d, clm_cl(d)->queue, k, axis, at, n));
        queued(p, seconds * part, k->work * part);
        flush_now_and_then(clm_cl(d));
    }
    return CLM_OK;
}

bool clm_cl_must_cut(const clm_cl_device *d, const clm_kernel *k) {
    return d->pace.launch > 0 && k->divisible && expected(&d->pace, k) > d->pace.launch;
}

clm_status clm_cl_enqueue_paced(clm_device *d, clm_kernel *k) {
    clm_cl_pace *p = &clm_cl(d)->pace;
    if (clm_cl_must_cut(clm_cl(d), k)) {
        if (k->measured < MEASURED) return measure_pieces(d, clm_cl(d)->queue, k);
        return queue_pieces(d, k, k->seconds);
    }
    double seconds = expected(p, k);
    CLM_TRY(make_room(d, seconds));
    CLM_TRY(clm_cl_enqueue_range(d, clm_cl(d)->queue, k, NULL, k->global, NULL));
    queued(p, seconds, k->work);
    flush_now_and_then(clm_cl(d));
    return CLM_OK;
}

clm_status clm_cl_time_pieces(clm_device *d, cl_command_queue queue, clm_kernel *k, double *seconds) {
    k->measured = 0;
    CLM_TRY(measure_pieces(d, queue, k));
    *seconds = k->seconds;
    return CLM_OK;
}
