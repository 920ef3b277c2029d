/* Launches in pieces, and a bound on queued work, for devices with a watchdog (watchdog.c).
 *
 * A kernel that is expected to exceed the limit of a launch is cut along one dimension of its global size into runs of whole
 * work-groups, and measured while it runs; a kernel that turns out to be fast is not cut any more. Work-items are independent
 * and keep their global ids, so the results are the same bits. Kernels that use more than these (group ids, global sizes) are
 * never cut. */
#include <math.h>
#include <string.h>

#include "base/files.h"
#include "device/opencl/opencl.h"

/* Runs after which a measurement is believed: the first may include compilation. */
enum { MEASURED = 3, GROWTH = 8 };

/* Before work of so many seconds is queued: waits where the queue would exceed its bound. */
static clm_status make_room(clm_device *device, double seconds) {
    clm_cl_watchdog *w = &clm_cl(device)->watchdog;
    if (w->waiting == 0 || w->waiting + seconds <= w->queued) return CLM_OK;
    w->waits++;
    return clm_cl_finish(device);
}

/* What is queued and not flushed may not have begun: a device would be idle, and then busy for longer than a display can wait. */
static void flush_now_and_then(clm_cl_device *d) {
    enum { HELD_MOST = 16 };
    static const double seconds_most = 0.02;
    clm_cl_watchdog *w = &d->watchdog;
    const double most = w->launch / 4 < seconds_most ? w->launch / 4 : seconds_most;
    d->flushed_last = false;
    if (++w->held < HELD_MOST && w->unflushed < most) return;
    w->unflushed = 0;
    w->held = 0;
    w->flushes++;
    clm_cl_flush(d);
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
    clm_cl(d)->watchdog.pieces++;
    return clm_cl_enqueue_range(d, queue, k, from ? offset : NULL, global, NULL);
}

/* As many groups as are expected to fill the limit of a launch. */
static size_t fitting(double limit, double seconds, size_t groups, size_t left) {
    double n = floor((double)groups * limit / seconds);
    return n < 1 ? 1 : n < (double)left ? (size_t)n : left;
}

/* Waits for each piece; their total becomes the kernel's measurement. */
static clm_status measure_pieces(clm_device *d, cl_command_queue queue, clm_kernel *k) {
    clm_cl_watchdog *w = &clm_cl(d)->watchdog;
    const int axis = widest(k);
    const size_t groups = k->global[axis] / k->local[axis];
    double guess = clm_cl_watchdog_expected(w, k), total = 0;
    CLM_TRY(clm_cl_finish(d));
    for (size_t at = 0, n, most = groups; at < groups; at += n) {
        n = fitting(w->launch, guess, groups, groups - at);
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
    clm_cl_watchdog *w = &clm_cl(d)->watchdog;
    const int axis = widest(k);
    const size_t groups = k->global[axis] / k->local[axis];
    for (size_t at = 0, n; at < groups; at += n) {
        n = fitting(w->launch, seconds, groups, groups - at);
        double part = (double)n / (double)groups;
        CLM_TRY(make_room(d, seconds * part));
        CLM_TRY(enqueue_groups(d, clm_cl(d)->queue, k, axis, at, n));
        clm_cl_watchdog_queued(w, seconds * part, k->work * part);
        flush_now_and_then(clm_cl(d));
    }
    return CLM_OK;
}

clm_status clm_cl_enqueue_bounded(clm_device *d, clm_kernel *k) {
    clm_cl_watchdog *w = &clm_cl(d)->watchdog;
    if (clm_cl_watchdog_cuts(clm_cl(d), k)) {
        if (k->measured < MEASURED) return measure_pieces(d, clm_cl(d)->queue, k);
        return queue_pieces(d, k, k->seconds);
    }
    double seconds = clm_cl_watchdog_expected(w, k);
    CLM_TRY(make_room(d, seconds));
    CLM_TRY(clm_cl_enqueue_range(d, clm_cl(d)->queue, k, NULL, k->global, NULL));
    clm_cl_watchdog_queued(w, seconds, k->work);
    flush_now_and_then(clm_cl(d));
    return CLM_OK;
}

clm_status clm_cl_time_pieces(clm_device *d, cl_command_queue queue, clm_kernel *k, double *seconds) {
    k->measured = 0;
    CLM_TRY(measure_pieces(d, queue, k));
    *seconds = k->seconds;
    return CLM_OK;
}
