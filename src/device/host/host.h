/* The host reference as a device. */
#ifndef CLM_DEVICE_HOST_H
#define CLM_DEVICE_HOST_H

#include "device/backend.h"

/* What clm_device_list says of it. */
void clm_host_describe(clm_device_info *info);

#endif
