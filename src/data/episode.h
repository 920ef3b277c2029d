/* What drawing and checking episodes share (source.c, episode.c). */
#ifndef CLM_DATA_EPISODE_H
#define CLM_DATA_EPISODE_H

#include "data/source.h"

/* Is a task one group of rows? */
bool clm_source_has_groups(const clm_source *source);
clm_status clm_source_check_split(const clm_source *source, clm_split split);
/* Classes that tasks are drawn from. */
size_t clm_episode_classes(const clm_source *source, clm_split split, const clm_episode_options *options);
/* The families that classes of a task are of one of; *count 0: any classes make a task. */
const clm_family *clm_episode_families(const clm_source *source, clm_split split, size_t *count);
/* The n-th of the families with so many classes; NULL past the last. */
const clm_family *clm_episode_family(const clm_family *families, size_t count, size_t ways, size_t n);

#endif
