/* Libraries beside our kernels: whether they can be used on a device, and launches that call them. */
#include "device/opencl/libraries.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"

clm_library clm_cl_spoilt_library = CLM_LIBRARY_NONE;
bool clm_cl_spoilt_fails = false;

static const clm_cl_library *const table[CLM_LIBRARY_COUNT] = {
    [CLM_LIBRARY_CLBLAST] = &clm_cl_clblast, [CLM_LIBRARY_CLFFT] = &clm_cl_clfft};

#if defined(CLMAML_WITHOUT_CLBLAST)
#define HAS_CLBLAST false
#else
#define HAS_CLBLAST true
#endif
#if defined(CLMAML_WITHOUT_CLFFT)
#define HAS_CLFFT false
#else
#define HAS_CLFFT true
#endif
static const bool built_in[CLM_LIBRARY_COUNT] = {[CLM_LIBRARY_CLBLAST] = HAS_CLBLAST, [CLM_LIBRARY_CLFFT] = HAS_CLFFT};

/* ---- usable? ---- */

static bool switched_off(const char *variable) {
    const char *value = getenv(variable);
    return value && *value && strcmp(value, "0") != 0;
}

/* Libraries choose their own work-groups, so a device whose limits are lowered (CLMAML_EMULATE, a quirk) cannot have them. */
static bool has_its_limits(const clm_cl_device *d) {
    size_t group = SIZE_MAX; /* no answer: not known to have them */
    cl_ulong local = CL_ULONG_MAX;
    clGetDeviceInfo(d->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL);
    clGetDeviceInfo(d->id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local, &local, NULL);
    return d->base.info.max_work_group_size >= group && d->base.info.local_memory >= local;
}

/* Fills *info, and attaches the device to a library that is usable. */
static void find(clm_cl_device *d, clm_library which, clm_library_info *info) {
    const clm_cl_library *library = table[which];
    const char *path = "";
    clm_status status = CLM_OK;
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "%s", library->name);
    if (!built_in[which])
        snprintf(info->reason, sizeof info->reason, "left out when this was built");
    else if (switched_off(library->switch_off))
        snprintf(info->reason, sizeof info->reason, "switched off by %s", library->switch_off);
    else if (!has_its_limits(d))
        snprintf(info->reason, sizeof info->reason, "the limits of the device are lowered");
    else if (!library->load(info->version, sizeof info->version, &path))
        status = CLM_E_IO;
    else
        status = library->attach(d);
    snprintf(info->path, sizeof info->path, "%s", path);
    if (status != CLM_OK) snprintf(info->reason, sizeof info->reason, "%s", clm_last_error());
    info->usable = !info->reason[0];
}

bool clm_cl_library_usable(clm_device *device, clm_library library, clm_library_info *info) {
    clm_cl_device *d = clm_cl(device);
    clm_library_info *known = &d->libraries[library];
    if (!known->name[0]) {
        clm_dynlib_enter();
        find(d, library, known);
        clm_dynlib_leave();
        clm_log_write(CLM_LOG_INFO, "%s %s: %s%s", known->name, known->version,
                      known->usable ? known->path : "not used: ", known->reason);
    }
    if (info) *info = *known;
    return known->usable;
}

clm_status clm_cl_library_set(clm_device *device, clm_library library, bool large, const int *values) {
    if (!clm_cl_library_usable(device, library, NULL) || !table[library]->set)
        return clm_fail(CLM_E_DEVICE, "%s cannot be used", table[library]->name);
    clm_dynlib_enter();
    clm_status status = table[library]->set(clm_cl(device), large, values);
    clm_dynlib_leave();
    return status;
}

clm_status clm_cl_library_tile(clm_device *device, clm_library library, int tile[3]) {
    if (!clm_cl_library_usable(device, library, NULL) || !table[library]->tile)
        return clm_fail(CLM_E_DEVICE, "%s cannot be used", table[library]->name);
    clm_dynlib_enter();
    clm_status status = table[library]->tile(clm_cl(device), tile);
    clm_dynlib_leave();
    return status;
}

void clm_cl_libraries_detach(clm_cl_device *d) {
    for (int i = CLM_LIBRARY_NONE + 1; i < CLM_LIBRARY_COUNT; i++) {
        if (!d->libraries[i].usable) continue;
        clm_dynlib_enter();
        table[i]->detach(d);
        clm_dynlib_leave();
    }
}

/* ---- launches ---- */

clm_status clm_cl_part(clm_cl_device *d, const clm_arg *arg, size_t bytes, const char *label, cl_mem *out) {
    const cl_buffer_region region = {arg->offset * sizeof(cl_float), bytes};
    cl_int code = CL_SUCCESS;
    *out = clCreateSubBuffer(arg->mem->buffer, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
    return clm_cl_check(&d->base, code, "%s: part of a buffer at byte %zu", label, region.origin);
}

void clm_cl_call_free(clm_cl_call *call) {
    if (!call) return;
    if (call->planes) clReleaseMemObject(call->planes);
    if (call->between) clReleaseMemObject(call->between);
    free(call);
}

clm_status clm_cl_call_make(clm_device *device, const clm_launch *launch, clm_cl_call **out) {
    clm_cl_device *d = clm_cl(device);
    const clm_library which = launch->call.library;
    *out = NULL;
    if (!clm_cl_library_usable(device, which, NULL))
        return clm_fail(CLM_E_DEVICE, "%s: %s cannot be used on %s: %s", launch->label, table[which]->name, device->info.name,
                        d->libraries[which].reason);
    clm_cl_call *call = clm_calloc(1, sizeof *call);
    if (!call) return CLM_E_MEMORY;
    call->library = table[which];
    call->what = launch->call;
    call->spoilt = clm_cl_spoilt_library == which;
    call->fails = call->spoilt && clm_cl_spoilt_fails;
    clm_dynlib_enter();
    clm_status status = call->library->make(d, launch, call);
    clm_dynlib_leave();
    if (status != CLM_OK) {
        clm_cl_call_free(call);
        return status;
    }
    *out = call;
    return CLM_OK;
}

clm_status clm_cl_call_enqueue(clm_device *device, cl_command_queue queue, const clm_cl_call *call, const char *label) {
    cl_int code = call->fails ? CL_OUT_OF_RESOURCES : clm_cl_emulated_lack(device, CLM_FAIL_AT_LAUNCH);
    CLM_TRY(clm_cl_check(device, code, "%s: calling %s", label, call->library->name));
    clm_dynlib_enter();
    clm_status status = call->library->enqueue(clm_cl(device), queue, call, label);
    clm_dynlib_leave();
    return status;
}
