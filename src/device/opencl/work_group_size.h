/* Work-group sizes. Pure. */
#ifndef CLM_OPENCL_WORK_GROUP_SIZE_H
#define CLM_OPENCL_WORK_GROUP_SIZE_H

#include "base/error.h"
#include "clmaml/device.h"

typedef struct clm_work_group_limits {
    clm_device_type type;
    size_t group;       /* CL_KERNEL_WORK_GROUP_SIZE */
    size_t multiple;    /* CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE */
    size_t item[3];     /* CL_DEVICE_MAX_WORK_ITEM_SIZES */
    size_t required[3]; /* the kernel's reqd_work_group_size; 0: none */
} clm_work_group_limits;

/* Makes `local` legal for the kernel and `global` a multiple of it. local[0] 0 asks for a choice; a given size above the
 * kernel's limits is made smaller. Dimensions of `global` that are 0 become 1. Kernels that need a certain size have to say so
 * by reqd_work_group_size; one that the device cannot give is CLM_E_LIMIT. */
clm_status clm_work_group_choose(const clm_work_group_limits *limits, size_t global[3], size_t local[3]);

#endif
