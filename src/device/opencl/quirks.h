/* Driver quirks: known faults, and what is avoided because of them. */
#ifndef CLM_OPENCL_QUIRKS_H
#define CLM_OPENCL_QUIRKS_H

#include "base/error.h"
#include "clmaml/device.h"

enum {
    CLM_AVOID_WRITES = 1,         /* writing and filling parts of buffers: they begin as zeros and are mapped */
    CLM_AVOID_OPTIMIZER = 2,      /* programs are built with -cl-opt-disable */
    CLM_AVOID_GROUPS = 4,         /* work-groups of more than one item */
    CLM_AVOID_BINARIES = 8,       /* the cache of programs: the driver has one of its own */
    CLM_AVOID_TASK_KERNELS = 16,  /* task kernels */
    CLM_AVOID_ONE_PROCESS = 32,   /* compiling many kernels in one process: builders.c */
    CLM_AVOID_SLEEP = 64,         /* threads that sleep between small launches: team.c */
    CLM_AVOID_WHOLE_KERNELS = 128 /* kernels that do the work themselves, instead of calling a function: apart.c */
};

/* One entry. Texts match as parts of the device's, NULL matches all; versions are those of the driver, as "22.3.6". */
typedef struct clm_cl_quirk {
    const char *name;
    const char *platform, *device;
    int type;                  /* a clm_device_type; -1: any */
    const char *from, *before; /* first version that has it, first that has it no more; NULL: no end */
    unsigned avoid;
    const char *why;
} clm_cl_quirk;

/* Entry `index`, NULL past the last. */
const clm_cl_quirk *clm_cl_quirk_at(size_t index);
/* Does the entry hold for the device? */
bool clm_cl_quirk_matches(const clm_cl_quirk *quirk, const clm_device_info *info);
/* -1, 0, 1 as version a is lower, equal, higher than b; compares number by number and skips any text before the first. */
int clm_cl_version_compare(const char *a, const char *b);

/* What to avoid on a device: the entries that match, changed by CLMAML_QUIRKS ("none", "+NAME", "-NAME", with commas). Their
 * names go to `names`. CLM_E_ARG for a name that no entry has. */
clm_status clm_cl_quirks(const clm_device_info *info, unsigned *avoid, char *names, size_t size);

#endif
