/* What a regression on functions of one number has learned, as an SVG picture: test tasks with their true curve, the support points, and what
 * the model says before adaptation, after one step and after all of them (Finn et al. 2017, figure 2). */
#ifndef CLM_TRAIN_FITS_H
#define CLM_TRAIN_FITS_H

#include "clmaml/learner.h"

/* Is there something to be drawn: functions of one number to one number? */
bool clm_fits_suit(const clm_source *source);

/* Adapts the model in `archive` to test tasks of the source, `shots` points each, and draws them; of a source with kinds of functions one
 * task of each kind. */
clm_status clm_fits_write(const char *path, clm_device *device, const clm_archive *archive, const clm_source *source,
                          uint64_t seed, int shots, const char *title, const char *subtitle);

#endif
