/* Pictures of training tasks, changed at random. */
#ifndef CLM_DATA_AUGMENT_H
#define CLM_DATA_AUGMENT_H

#include "data/source.h"

/* CLM_E_ARG for what is out of range, or for a source whose examples are no pictures. */
clm_status clm_augment_check(const clm_augment_options *options, const clm_source *source);
bool clm_augment_is_on(const clm_augment_options *options);

/* Example number `example` of task `task`, [channels, height, width], in place; the numbers depend on these three alone.
 * scratch: as many floats. */
void clm_augment_picture(const clm_augment_options *options, const clm_source *source, uint64_t seed, uint64_t task,
                         uint64_t example, float *x, float *scratch);

#endif
