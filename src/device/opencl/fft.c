/* Fourier transforms by clFFT: batches of two-dimensional transforms of complex numbers, in place.
 *
 * clFFT takes whole buffers, so a call has a part of the workspace as a sub-buffer; the memory plan aligns scratch memory for
 * that. Plans are made once for a device and a shape. Baking one compiles kernels, and clFFT, unlike us, does not keep them on
 * disk unless its CLFFT_CACHE_PATH says where. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "device/opencl/libraries.h"

/* The part of clFFT's interface that is used, under names of our own, so that building needs no header. */
enum { DIMENSION_2D = 2, SINGLE = 1, INTERLEAVED = 1, IN_PLACE = 1, FORWARD = -1, BACKWARD = 1, NOT_IMPLEMENTED = 4096 };
typedef struct setup_data {
    cl_uint major, minor, patch;
    cl_ulong debug;
} setup_data;

static struct {
    clm_dynlib *file;
    int (*version)(cl_uint *major, cl_uint *minor, cl_uint *patch);
    int (*setup)(const setup_data *data);
    int (*teardown)(void);
    int (*create)(size_t *plan, cl_context context, int dimension, const size_t *lengths);
    int (*precision)(size_t plan, int precision);
    int (*layout)(size_t plan, int in, int out);
    int (*place)(size_t plan, int place);
    int (*batch)(size_t plan, size_t size);
    int (*bake)(size_t plan, cl_uint count, cl_command_queue *queue, void *notify, void *user);
    int (*between)(size_t plan, size_t *bytes);
    int (*transform)(size_t plan, int direction, cl_uint count, cl_command_queue *queue, cl_uint waits, const cl_event *wait,
                     cl_event *events, cl_mem *in, cl_mem *out, cl_mem between);
    int (*destroy)(size_t *plan);
    unsigned users;
} fft;

/* A baked plan of a device. */
struct clm_cl_plan {
    int rows, columns, batch;
    size_t handle;
};

/* ---- loading ---- */

static const char *const file_names[] = {
#if defined(__APPLE__)
    "libclFFT.2.dylib", "libclFFT.dylib",
#else
    "libclFFT.so.2", "libclFFT.so",
#endif
    NULL};

static bool find_functions(clm_dynlib *file) {
    const struct {
        const char *name;
        void *function;
    } table[] = {{"clfftGetVersion", &fft.version},
                 {"clfftSetup", &fft.setup},
                 {"clfftTeardown", &fft.teardown},
                 {"clfftCreateDefaultPlan", &fft.create},
                 {"clfftSetPlanPrecision", &fft.precision},
                 {"clfftSetLayout", &fft.layout},
                 {"clfftSetResultLocation", &fft.place},
                 {"clfftSetPlanBatchSize", &fft.batch},
                 {"clfftBakePlan", &fft.bake},
                 {"clfftGetTmpBufSize", &fft.between},
                 {"clfftEnqueueTransform", &fft.transform},
                 {"clfftDestroyPlan", &fft.destroy}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!clm_dynlib_function(file, table[i].name, table[i].function)) return false;
    return true;
}

static bool clfft_load(char *version, size_t size, const char **path) {
    cl_uint major = 0, minor = 0, patch = 0;
    if (!fft.file) {
        clm_dynlib *file = NULL;
        if (clm_dynlib_open(&file, file_names) != CLM_OK) return false;
        if (!find_functions(file)) {
            clm_fail(CLM_E_IO, "%s is not clFFT 2.12 or later", file_names[0]);
            clm_dynlib_close(file);
            return false;
        }
        fft.file = file;
    }
    fft.version(&major, &minor, &patch);
    snprintf(version, size, "%u.%u.%u", (unsigned)major, (unsigned)minor, (unsigned)patch);
    *path = clm_dynlib_path(fft.file);
    return true;
}

/* Status codes are those of OpenCL, and some of its own from 4096. */
static clm_status check(clm_cl_device *d, int code, const char *what) {
    if (code >= NOT_IMPLEMENTED)
        return clm_fail(CLM_E_DEVICE, "%s: clFFT on %s: it cannot do this (%d)", what, d->base.info.name, code);
    return clm_cl_check(&d->base, code, "%s: clFFT", what);
}

static clm_status clfft_attach(clm_cl_device *d) {
    setup_data data = {0};
    fft.version(&data.major, &data.minor, &data.patch);
    if (fft.users == 0) CLM_TRY(check(d, fft.setup(&data), "starting"));
    fft.users++;
    return CLM_OK;
}

static void clfft_detach(clm_cl_device *d) {
    for (size_t i = 0; i < d->plan_count; i++) fft.destroy(&d->plans[i].handle);
    free(d->plans);
    d->plans = NULL;
    d->plan_count = d->plan_capacity = 0;
    if (--fft.users == 0) fft.teardown();
}

/* ---- plans ---- */

static clm_status bake(clm_cl_device *d, struct clm_cl_plan *plan, const char *label) {
    const size_t lengths[2] = {(size_t)plan->columns, (size_t)plan->rows};
    clm_status status = CLM_OK;
    CLM_TRY(check(d, fft.create(&plan->handle, d->context, DIMENSION_2D, lengths), label));
    CLM_GOTO(check(d, fft.precision(plan->handle, SINGLE), label));
    CLM_GOTO(check(d, fft.layout(plan->handle, INTERLEAVED, INTERLEAVED), label));
    CLM_GOTO(check(d, fft.place(plan->handle, IN_PLACE), label));
    CLM_GOTO(check(d, fft.batch(plan->handle, (size_t)plan->batch), label));
    CLM_GOTO(check(d, fft.bake(plan->handle, 1, &d->queue, NULL, NULL), label));
    return CLM_OK;
out:
    fft.destroy(&plan->handle);
    return status;
}

static clm_status plan_for(clm_cl_device *d, const clm_library_call *w, const char *label, size_t *handle) {
    for (size_t i = 0; i < d->plan_count; i++) {
        const struct clm_cl_plan *p = &d->plans[i];
        if (p->rows != w->rows || p->columns != w->columns || p->batch != w->batch) continue;
        *handle = p->handle;
        return CLM_OK;
    }
    struct clm_cl_plan plan = {.rows = w->rows, .columns = w->columns, .batch = w->batch};
    CLM_TRY(clm_grow(&d->plans, &d->plan_capacity, d->plan_count + 1, sizeof *d->plans));
    CLM_TRY(bake(d, &plan, label));
    d->plans[d->plan_count++] = plan;
    *handle = plan.handle;
    return CLM_OK;
}

/* ---- calls ---- */

static clm_status clfft_make(clm_cl_device *d, const clm_launch *launch, clm_cl_call *call) {
    const clm_library_call *w = &call->what;
    const size_t bytes = (size_t)w->batch * (size_t)w->rows * (size_t)w->columns * 2 * sizeof(cl_float);
    size_t between = 0;
    CLM_TRY(plan_for(d, w, launch->label, &call->plan));
    CLM_TRY(check(d, fft.between(call->plan, &between), launch->label));
    if (between > bytes)
        return clm_fail(CLM_E_LIMIT, "%s: clFFT needs %zu bytes beside the %zu of the planes", launch->label, between, bytes);
    CLM_TRY(clm_cl_part(d, &launch->args[0], bytes, launch->label, &call->planes));
    return between ? clm_cl_part(d, &launch->args[1], bytes, launch->label, &call->between) : CLM_OK;
}

static clm_status clfft_enqueue(clm_cl_device *d, cl_command_queue queue, const clm_cl_call *call, const char *label) {
    cl_mem planes = call->planes;
    const int direction = call->what.inverse != call->spoilt ? BACKWARD : FORWARD;
    return check(d, fft.transform(call->plan, direction, 1, &queue, 0, NULL, NULL, &planes, NULL, call->between), label);
}

const clm_cl_library clm_cl_clfft = {.name = "clFFT",
                                     .switch_off = "CLMAML_NO_CLFFT",
                                     .load = clfft_load,
                                     .attach = clfft_attach,
                                     .detach = clfft_detach,
                                     .make = clfft_make,
                                     .enqueue = clfft_enqueue};
