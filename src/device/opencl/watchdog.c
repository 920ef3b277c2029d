/* Watchdog: estimates of kernel and queue times, for devices on which both are bounded. A GPU that also draws the screen is
 * reset by its system when one launch, or all queued work, takes too long.
 *
 *   expected seconds of a kernel = its last measurement, or work / rate * factor
 *
 * `rate` is what the slowest device of that size can do, and `factor` is learnt from every wait, so work is at first expected
 * to take longer than it does. pieces.c cuts launches by these estimates. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/number.h"
#include "device/opencl/opencl.h"

/* Seconds. Windows allows a GPU 2 in all; i915 some 10 of queued work. */
static const double launch_limit = 0.5;
/* Where the GPU shares its memory with the host it most likely draws the screen too, which is to stay usable. */
static const double shared_limit = 0.1;
/* Shorter times cannot be told from the wait itself. */
static const double shortest_wait = 1e-3;
/* A factor learnt from one wait also serves kernels slower than those waited for. */
enum { SLACK = 4, MOST = 10 };

clm_status clm_cl_watchdog_open(clm_cl_device *d) {
    const clm_device_info *info = &d->base.info;
    const char *text = getenv("CLMAML_MAX_LAUNCH_MS");
    clm_cl_watchdog *w = &d->watchdog;
    *w = (clm_cl_watchdog){.factor = 1};
    /* One operation a cycle and unit: a twentieth of what units can do. */
    w->rate = 1e6 * (info->clock_mhz ? info->clock_mhz : 300) * (info->compute_units ? info->compute_units : 1);
    if (info->type != CLM_DEVICE_CPU)
        w->launch = info->type == CLM_DEVICE_GPU && info->unified_memory ? shared_limit : launch_limit;
    if (text && *text) {
        const char *end;
        w->launch = clm_number_parse(text, &end) / 1e3;
        if (end == text || *end || !(w->launch >= 0) || !isfinite(w->launch))
            return clm_fail(CLM_E_ARG, "CLMAML_MAX_LAUNCH_MS: \"%s\" is not a number of milliseconds; 0 is no limit", text);
    }
    w->queued = 2 * w->launch;
    return CLM_OK;
}

/* ---- what a kernel costs ---- */

/* Do work-items use nothing but their own global id? */
static bool divisible(const char *text) {
    static const char *const asks[] = {"get_group_id", "get_num_groups", "get_global_size", "get_global_offset",
                                       "get_global_linear"};
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        if (strstr(text, asks[i])) return false;
    }
    return true;
}

void clm_cl_watchdog_examine(clm_kernel *k, const clm_launch *launch, const char *text) {
    enum { BYTE = 4, UNKNOWN = 1000 }; /* operations */
    double items = (double)k->global[0] * (double)k->global[1] * (double)k->global[2];
    double counted = launch->flops > BYTE * launch->bytes ? launch->flops : BYTE * launch->bytes;
    k->work = counted > items ? counted : counted > 0 ? items : UNKNOWN * items;
    k->divisible = divisible(text);
}

double clm_cl_watchdog_expected(const clm_cl_watchdog *w, const clm_kernel *k) {
    return k->measured ? k->seconds : k->work / w->rate * w->factor;
}

bool clm_cl_watchdog_cuts(const clm_cl_device *d, const clm_kernel *k) {
    return d->watchdog.launch > 0 && k->divisible && clm_cl_watchdog_expected(&d->watchdog, k) > d->watchdog.launch;
}

/* ---- what is queued ---- */

void clm_cl_watchdog_queued(clm_cl_watchdog *w, double seconds, double work) {
    if (w->work == 0) w->since = clm_clock();
    w->waiting += seconds;
    w->unflushed += seconds;
    w->work += work;
}

void clm_cl_watchdog_idle(clm_cl_device *d, double start) {
    clm_cl_watchdog *w = &d->watchdog;
    double now = clm_clock(), elapsed = now - w->since;
    bool mostly_waited = now - start > 0.5 * elapsed;
    if (elapsed < shortest_wait) elapsed = shortest_wait;
    double factor = w->work > 0 ? SLACK * elapsed * w->rate / w->work : w->factor;
    /* An upper bound on the device's time; an estimate of it only where the host mostly waited. The rate is so low that a
     * factor far above 1 has another cause, such as compiling at the first launch. */
    if (factor < w->factor || mostly_waited) w->factor = factor < MOST ? factor : MOST;
    w->waiting = w->unflushed = w->work = 0;
    w->held = d->unflushed = 0;
}
