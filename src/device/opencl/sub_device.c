/* Sub-devices: some of a device's compute units as a device of its own (clCreateSubDevices). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/opencl/opencl.h"

/* What a driver says that does not divide the device, or not so; anything else is a failure. */
static bool is_refusal(cl_int code) {
    return code == CL_SUCCESS || code == CL_INVALID_VALUE || code == CL_DEVICE_PARTITION_FAILED ||
           code == CL_INVALID_DEVICE_PARTITION_COUNT || code == CL_INVALID_DEVICE;
}

clm_status clm_cl_divide(clm_cl_device *d, int index, int count) {
    cl_uint units = 0, made = 0;
    cl_device_id whole = d->id;
    clm_status status = CLM_OK;
    cl_int code = clGetDeviceInfo(whole, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    if (code != CL_SUCCESS)
        return clm_fail(CLM_E_DEVICE, "asking an OpenCL device for its compute units: %s (%d)", clm_cl_error_name(code),
                        (int)code);
    if (count < 1 || index < 0 || index >= count || (cl_uint)count > units)
        return clm_fail(CLM_E_LIMIT, "a device of %u compute units cannot be divided into %d parts", units, count);
    /* By counts: an equal partition may make one more sub-device of the units left over. */
    cl_device_partition_property *how = clm_calloc((size_t)count + 3, sizeof *how);
    cl_device_id *ids = clm_calloc((size_t)count, sizeof(cl_device_id));
    if (!how || !ids) CLM_GOTO(CLM_E_MEMORY);
    how[0] = CL_DEVICE_PARTITION_BY_COUNTS;
    for (int i = 0; i < count; i++) how[i + 1] = (cl_device_partition_property)(units / (cl_uint)count);
    how[count + 1] = CL_DEVICE_PARTITION_BY_COUNTS_LIST_END;
    code = clCreateSubDevices(whole, how, (cl_uint)count, ids, &made);
    if (code != CL_SUCCESS || made != (cl_uint)count) {
        status =
            clm_fail(is_refusal(code) ? CLM_E_LIMIT : CLM_E_DEVICE,
                     "the driver does not divide the device into %d parts: %s (%d)", count, clm_cl_error_name(code), (int)code);
        goto out;
    }
    for (int i = 0; i < count; i++)
        if (i != index) clReleaseDevice(ids[i]);
    d->id = ids[index];
    d->is_sub_device = true;
out:
    free(how);
    free(ids);
    return status;
}

static const char before_number[] = ", part ";

size_t clm_cl_name_length(const clm_cl_device *d) {
    const char *name = d->base.info.name, *end = NULL;
    for (const char *at = name; d->is_sub_device && (at = strstr(at, before_number)) != NULL; at++) end = at;
    return end ? (size_t)(end - name) : strlen(name);
}

void clm_cl_describe_sub_device(clm_device_info *info, int index, int count) {
    char ending[32];
    size_t used = strlen(info->name);
    int length = snprintf(ending, sizeof ending, "%s%d of %d", before_number, index + 1, count);
    if (used + (size_t)length >= sizeof info->name) used = sizeof info->name - (size_t)length - 1;
    memcpy(info->name + used, ending, (size_t)length + 1);
    info->global_memory /= (uint64_t)count; /* drivers report the whole memory for each */
    if (info->max_allocation > info->global_memory) info->max_allocation = info->global_memory;
}
