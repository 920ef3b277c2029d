/* Device hash: a hash of all that tuning results depend on, from the device to the kernel sources. */
#include <stdlib.h>

#include "base/hash.h"
#include "device/opencl/embedded.h"
#include "device/opencl/opencl.h"

uint64_t clm_cl_device_hash(clm_device *device) {
    const clm_cl_device *d = clm_cl(device);
    const clm_device_info *info = &device->info;
    const char *const texts[] = {info->platform, info->vendor, info->version, info->driver, getenv("CLMAML_KERNEL_DIR")};
    uint64_t h = clm_hash_text(CLM_HASH_SEED, d->platform_version);
    /* equal sub-devices have one hash: the compute units tell them from the whole device */
    h = clm_hash(h, info->name, clm_cl_name_length(d));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) h = clm_hash_text(h, texts[i] ? texts[i] : "");
    h = clm_hash(h, &info->compute_units, sizeof info->compute_units);
    for (const clm_embedded_kernel *k = clm_embedded_kernels; k->name; k++) h = clm_hash_text(h, k->source);
    return h;
}
