/* Opening and closing an OpenCL device, and the table that makes it a back end. */
#include <stdlib.h>

#include "base/memory.h"
#include "device/opencl/libraries.h"

static void opencl_close(clm_device *device) {
    clm_cl_device *d = clm_cl(device);
    if (d->queue) clFinish(d->queue);
    clm_cl_libraries_detach(d);
    clm_cl_programs_free(d);
    if (d->timing_queue) clReleaseCommandQueue(d->timing_queue);
    if (d->queue) clReleaseCommandQueue(d->queue);
    if (d->context) clReleaseContext(d->context);
    if (d->part) clReleaseDevice(d->id);
    free(d->cache_directory);
    free(d);
}

/* Parts of parts are not made, and what an emulation says of a device could not be kept up by its parts together. */
static clm_status open_part(clm_device *device, int part, int parts, clm_device **out) {
    const clm_cl_device *d = clm_cl(device);
    if (d->part || d->emulation.active) return clm_fail(CLM_E_DEVICE, "%s is not to be divided", device->info.name);
    return clm_opencl_open_part(out, device->info.platform_index, device->info.device_index, part, parts);
}

static const clm_backend opencl_backend = {.element_size = sizeof(cl_float),
                                           .close = opencl_close,
                                           .part = open_part,
                                           .alloc = clm_cl_alloc,
                                           .free = clm_cl_free,
                                           .write = clm_cl_write,
                                           .read = clm_cl_read,
                                           .write_later = clm_cl_write_later,
                                           .read_later = clm_cl_read_later,
                                           .write_bytes = clm_cl_write_bytes,
                                           .copy = clm_cl_copy,
                                           .fill = clm_cl_fill,
                                           .build = clm_cl_build,
                                           .make = clm_cl_make,
                                           .chain = clm_cl_chain,
                                           .release = clm_cl_release,
                                           .enqueue = clm_cl_enqueue,
                                           .finish = clm_cl_finish,
                                           .time = clm_cl_time,
                                           .library = clm_cl_library_usable,
                                           .clblast_set = clm_cl_clblast_set,
                                           .signature = clm_cl_signature};

/* The limit of each of the first three dimensions. */
static void get_max_local(clm_cl_device *d) {
    size_t sizes[16] = {0}, need = 0;
    cl_int code = clGetDeviceInfo(d->id, CL_DEVICE_MAX_WORK_ITEM_SIZES, 0, NULL, &need);
    if (code == CL_SUCCESS && need <= sizeof sizes) clGetDeviceInfo(d->id, CL_DEVICE_MAX_WORK_ITEM_SIZES, need, sizes, NULL);
    const size_t most = d->base.info.max_work_group_size;
    for (int i = 0; i < 3; i++) d->max_local[i] = !sizes[i] ? 1 : sizes[i] < most ? sizes[i] : most;
}

clm_status clm_opencl_open(clm_device **out, int platform_index, int device_index) {
    return clm_opencl_open_part(out, platform_index, device_index, 0, 1);
}

clm_status clm_opencl_open_part(clm_device **out, int platform_index, int device_index, int part, int parts) {
    *out = NULL;
    clm_cl_device *d = clm_calloc(1, sizeof *d);
    if (!d) return CLM_E_MEMORY;
    clm_device *base = &d->base;
    clm_status status = CLM_OK;
    cl_int code = CL_SUCCESS;
    base->backend = &opencl_backend;
    CLM_GOTO(clm_cl_find(platform_index, device_index, &d->platform, &d->id));
    if (parts > 1) CLM_GOTO(clm_cl_divide(d, part, parts));
    CLM_GOTO(clm_cl_describe(d->platform, d->id, &base->info, &d->emulation));
    base->info.platform_index = platform_index;
    base->info.device_index = device_index;
    if (parts > 1) clm_cl_describe_part(&base->info, part, parts);
    CLM_GOTO(clm_cl_quirks(&base->info, &d->avoid, base->quirks, sizeof base->quirks));
    if (d->avoid & CLM_AVOID_GROUPS) base->info.max_work_group_size = 1;
    base->part = d->part;
    base->no_chains = d->avoid & CLM_AVOID_CHAINS;
    get_max_local(d);
    CLM_GOTO(clm_cl_pace_open(d));
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)d->platform, 0};
    d->context = clCreateContext(properties, 1, &d->id, NULL, NULL, &code);
    CLM_GOTO(clm_cl_check(base, code, "creating a context"));
    d->queue = clCreateCommandQueue(d->context, d->id, 0, &code);
    CLM_GOTO(clm_cl_check(base, code, "creating a command queue"));
    clm_cl_cache_open(d);
    *out = base;
    return CLM_OK;
out:
    opencl_close(base);
    return status;
}
