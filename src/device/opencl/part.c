/* A part of a device: some of its compute units, as a device of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/opencl/opencl.h"

clm_status clm_cl_divide(clm_cl_device *d, int part, int parts) {
    cl_uint units = 0, count = 0;
    cl_device_id whole = d->id;
    clm_status status = CLM_OK;
    clGetDeviceInfo(whole, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    if (parts < 1 || part < 0 || part >= parts || (cl_uint)parts > units)
        return clm_fail(CLM_E_DEVICE, "a device of %u compute units cannot be divided into %d parts", units, parts);
    /* By counts, which gives as many parts as asked for; dividing equally may leave units over and make another part of them. */
    cl_device_partition_property *how = clm_calloc((size_t)parts + 3, sizeof *how);
    cl_device_id *ids = clm_calloc((size_t)parts, sizeof(cl_device_id));
    if (!how || !ids) CLM_GOTO(CLM_E_MEMORY);
    how[0] = CL_DEVICE_PARTITION_BY_COUNTS;
    for (int i = 0; i < parts; i++) how[i + 1] = (cl_device_partition_property)(units / (cl_uint)parts);
    how[parts + 1] = CL_DEVICE_PARTITION_BY_COUNTS_LIST_END;
    cl_int code = clCreateSubDevices(whole, how, (cl_uint)parts, ids, &count);
    if (code != CL_SUCCESS || count != (cl_uint)parts) {
        status = clm_fail(CLM_E_DEVICE, "the driver does not divide the device into %d parts: %s (%d)", parts,
                          clm_cl_error_name(code), (int)code);
        goto out;
    }
    for (int i = 0; i < parts; i++)
        if (i != part) clReleaseDevice(ids[i]);
    d->id = ids[part];
    d->part = true;
out:
    free(how);
    free(ids);
    return status;
}

static const char before_part[] = ", part ";

size_t clm_cl_name_length(const clm_cl_device *d) {
    const char *name = d->base.info.name, *end = NULL;
    for (const char *at = name; d->part && (at = strstr(at, before_part)) != NULL; at++) end = at;
    return end ? (size_t)(end - name) : strlen(name);
}

void clm_cl_describe_part(clm_device_info *info, int part, int parts) {
    char ending[32];
    size_t used = strlen(info->name);
    int length = snprintf(ending, sizeof ending, "%s%d of %d", before_part, part + 1, parts);
    if (used + (size_t)length >= sizeof info->name) used = sizeof info->name - (size_t)length - 1;
    memcpy(info->name + used, ending, (size_t)length + 1);
    info->global_memory /= (uint64_t)parts; /* drivers give each part the memory of the whole */
    if (info->max_allocation > info->global_memory) info->max_allocation = info->global_memory;
}
