/* Opening and closing an OpenCL device, and the table that makes it a back end. */
#include <stdlib.h>

#include "base/memory.h"
#include "device/opencl/libraries.h"

static void opencl_close(clm_device *device) {
    clm_cl_device *d = clm_cl(device);
    clm_cl_builders_end();
    if (d->queue) clm_cl_wait(d);
    clm_cl_libraries_detach(d);
    clm_cl_team_close(d);
    clm_cl_programs_free(d);
    if (d->timing_queue) clReleaseCommandQueue(d->timing_queue);
    if (d->queue) clReleaseCommandQueue(d->queue);
    if (d->context) clReleaseContext(d->context);
    if (d->is_sub_device) clReleaseDevice(d->id);
    free(d->cache_directory);
    free(d);
}

/* A sub-device is not divided again. Nor is an emulated device: its limits would not hold for its sub-devices together. */
static clm_status open_sub_device(clm_device *device, int index, int count, clm_device **out) {
    const clm_cl_device *d = clm_cl(device);
    if (d->is_sub_device || d->emulation.active) return clm_fail(CLM_E_LIMIT, "%s is not to be divided", device->info.name);
    return clm_opencl_open_sub_device(out, device->info.platform_index, device->info.device_index, index, count);
}

static const clm_backend opencl_backend = {.element_size = sizeof(cl_float),
                                           .close = opencl_close,
                                           .open_sub_device = open_sub_device,
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
                                           .make_task_kernel = clm_cl_make_task_kernel,
                                           .find_team = clm_cl_team_find,
                                           .form_team = clm_cl_team_form,
                                           .release = clm_cl_release,
                                           .enqueue = clm_cl_enqueue,
                                           .finish = clm_cl_finish,
                                           .time = clm_cl_time,
                                           .library = clm_cl_library_usable,
                                           .library_set = clm_cl_library_set,
                                           .library_tile = clm_cl_library_tile,
                                           .free_memory = clm_cl_free_memory,
                                           .device_hash = clm_cl_device_hash};

/* The limit of each of the first three dimensions. */
static clm_status get_max_local(clm_cl_device *d) {
    size_t sizes[3];
    CLM_TRY(clm_cl_item_sizes(d->id, sizes));
    const size_t most = d->base.info.max_work_group_size;
    for (int i = 0; i < 3; i++) d->max_local[i] = !sizes[i] ? 1 : sizes[i] < most ? sizes[i] : most;
    return CLM_OK;
}

/* Part of the keys of caches. */
static clm_status name_platform(clm_cl_device *d) {
    CLM_TRY(clm_cl_platform_text(d->platform, CL_PLATFORM_NAME, d->platform_name, sizeof d->platform_name));
    return clm_cl_platform_text(d->platform, CL_PLATFORM_VERSION, d->platform_version, sizeof d->platform_version);
}

clm_status clm_opencl_open(clm_device **out, int platform_index, int device_index) {
    return clm_opencl_open_sub_device(out, platform_index, device_index, 0, 1);
}

clm_status clm_opencl_open_sub_device(clm_device **out, int platform_index, int device_index, int index, int count) {
    *out = NULL;
    clm_cl_device *d = clm_calloc(1, sizeof *d);
    if (!d) return CLM_E_MEMORY;
    clm_device *base = &d->base;
    clm_status status = CLM_OK;
    cl_int code = CL_SUCCESS;
    base->backend = &opencl_backend;
    CLM_GOTO(clm_cl_find(platform_index, device_index, &d->platform, &d->id));
    if (count > 1) CLM_GOTO(clm_cl_divide(d, index, count));
    CLM_GOTO(clm_cl_describe(d->platform, d->id, &base->info, &d->emulation));
    base->info.platform_index = platform_index;
    base->info.device_index = device_index;
    if (count > 1) clm_cl_describe_sub_device(&base->info, index, count);
    CLM_GOTO(clm_cl_quirks(&base->info, &d->avoid, base->quirks, sizeof base->quirks));
    if (d->avoid & CLM_AVOID_GROUPS) base->info.max_work_group_size = 1;
    base->is_sub_device = d->is_sub_device;
    base->parts = count;
    base->few_registers = base->info.type == CLM_DEVICE_GPU && clm_cl_few_registers(d->id);
    base->no_task_kernels = d->avoid & CLM_AVOID_TASK_KERNELS;
    CLM_GOTO(get_max_local(d));
    CLM_GOTO(name_platform(d));
    CLM_GOTO(clm_cl_watchdog_open(d));
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
