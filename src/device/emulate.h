/* Emulation of smaller or other devices: the environment variable CLMAML_EMULATE, for tests and to reproduce reports from other
 * devices. Pure but for the variable. */
#ifndef CLM_DEVICE_EMULATE_H
#define CLM_DEVICE_EMULATE_H

#include "base/error.h"
#include "clmaml/device.h"

/* When an emulated lack of memory shows. */
typedef enum clm_emulated_failure { CLM_FAIL_AT_ALLOCATION, CLM_FAIL_AT_LAUNCH, CLM_FAIL_AT_WAIT } clm_emulated_failure;

typedef struct clm_emulation {
    bool active;
    uint64_t real_memory; /* bytes that can be used, whatever the device says; 0: no such limit */
    uint64_t free_memory; /* bytes that are free while nothing is allocated here; 0: what the device or system says */
    clm_emulated_failure failure;
    bool no_fp64, no_fp16, no_images; /* kernels that use them are refused */
} clm_emulation;

/* Overrides what `info` says of a device by CLMAML_EMULATE, a list of key=value separated by commas (emulate.c has the keys).
 * Sizes only shrink and features only go: a device cannot be made to do more than it does. CLM_E_ARG for an unknown key or a
 * bad value. `emulation` (may be NULL) receives what has to be enforced elsewhere. */
clm_status clm_emulate(clm_device_info *info, clm_emulation *emulation);

/* Does a kernel text use a feature that is emulated away? Then CLM_E_LIMIT names it. */
clm_status clm_emulate_check_source(const clm_emulation *emulation, const char *text);

#endif
