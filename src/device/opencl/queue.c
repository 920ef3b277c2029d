/* The command queue: launching, flushing, waiting. Kernels, transfers and library calls are built on it. */
#include "base/files.h"
#include "device/opencl/opencl.h"

enum { FLUSH_EVERY = 64 };

cl_int clm_cl_emulated_lack(clm_device *d, clm_emulated_failure at) {
    const clm_emulation *e = &clm_cl(d)->emulation;
    if (!e->real_memory || e->failure != at || d->allocated <= e->real_memory) return CL_SUCCESS;
    return at == CLM_FAIL_AT_WAIT ? CL_OUT_OF_RESOURCES : CL_MEM_OBJECT_ALLOCATION_FAILURE;
}

void clm_cl_flush(clm_cl_device *d) {
    d->base.counters.flushes++;
    clFlush(d->queue); /* a failure shows at the next command */
    d->unflushed = 0;
    d->flushed_last = true;
}

void clm_cl_queued(clm_cl_device *d) {
    d->flushed_last = false;
    if (++d->unflushed >= FLUSH_EVERY) clm_cl_flush(d);
}

/* clFinish right after clFlush returns at once in Mesa 22.3's rusticl, and did in clvk: then a marker is waited for. */
cl_int clm_cl_wait(clm_cl_device *d) {
    const cl_int joined = clm_cl_team_join(d);
    if (joined != CL_SUCCESS) return joined;
    cl_int code = d->flushed_last ? clEnqueueMarkerWithWaitList(d->queue, 0, NULL, NULL) : CL_SUCCESS;
    d->flushed_last = false;
    return code == CL_SUCCESS ? clFinish(d->queue) : code;
}

clm_status clm_cl_enqueue_range(clm_device *d, cl_command_queue queue, const clm_kernel *k, const size_t offset[3],
                                const size_t global[3], cl_event *event) {
    cl_int code = clm_cl_emulated_lack(d, CLM_FAIL_AT_LAUNCH);
    d->counters.launches++;
    if (code == CL_SUCCESS) code = clEnqueueNDRangeKernel(queue, k->kernel, 3, offset, global, k->local, 0, NULL, event);
    return clm_cl_check(d, code, "%s: launching kernel %s with global size %zu x %zu x %zu, local size %zu x %zu x %zu",
                        k->label, k->entry, global[0], global[1], global[2], k->local[0], k->local[1], k->local[2]);
}

clm_status clm_cl_finish(clm_device *d) {
    const double start = clm_clock(), began = clm_wait_begin();
    cl_int code = clm_cl_wait(clm_cl(d));
    clm_wait_end(began);
    d->counters.waits++;
    clm_cl_watchdog_idle(clm_cl(d), start);
    if (code == CL_SUCCESS) clm_cl_team_idle(clm_cl(d), start);
    if (code == CL_SUCCESS) code = clm_cl_emulated_lack(d, CLM_FAIL_AT_WAIT);
    return clm_cl_check(d, code, "waiting for queued work");
}
