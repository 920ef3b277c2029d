/* Tuning on the way to something else. */
#ifndef CLI_ON_THE_WAY_H
#define CLI_ON_THE_WAY_H

#include "base/common.h"

/* What --tune-budget means on a device when it is negative: 2 seconds, but none on a CPU. There a candidate takes a third of a second to
 * build, so that a few seconds try next to nothing, and the defaults are within a few per cent of the best. */
double cli_tune_budget(const clm_device *device, double asked);

/* Tunes what a meta-learner with these options would run, for at most `budget` seconds, where nothing is known; what was not reached
 * keeps its default for good. So only the first run on a device does anything here, and later ones have its bits. */
clm_status cli_tune_on_the_way(clm_device *device, const clm_model *model, const clm_meta_options *options, double budget);

#endif
