/* Parameters of CLBlast's kernels for a device: measured once, kept among the results of tuning. `large`: those of its kernel
 * for large products, else of the direct one. */
#ifndef CLM_TUNE_CLBLAST_H
#define CLM_TUNE_CLBLAST_H

#include "device/backend.h"

/* Gives CLBlast the parameters that are stored for the device; without any it keeps those of its own data base. */
clm_status clm_clblast_parameters(clm_device *device, bool large);

/* Set `index` of those that are tried, as clm_backend.library_set takes them; NULL past the end. */
const int *clm_clblast_set_at(bool large, int index);

typedef struct clm_clblast_result {
    int best;              /* a set, or -1: the data base's */
    double seconds, stock; /* of the products measured, with the best set and with the data base's */
    int tried, failed;     /* sets */
} clm_clblast_result;

/* Compares, for about `seconds` (0: no limit) and at least with one set, its data base's parameters and the sets by right
 * results and time, and keeps the best. In this process the best set stays even when the data base's parameters are better,
 * because CLBlast has no way back to them; the next process gets those. */
clm_status clm_clblast_tune(clm_device *device, bool large, double seconds, clm_clblast_result *result);
/* The same unless parameters are stored, CLBlast cannot be used, or the device is a CPU, where it is no match for our kernels.
 * `seconds` negative: no limit, and what was stored unmeasured is measured. Fewer than it takes to build a few sets: its own
 * parameters are stored, so that they stay. Failures are left to the log: nothing depends on it. */
void clm_clblast_tune_once(clm_device *device, bool large, double seconds);

#endif
