/* Data of one's own: what pictures and arrays share. */
#ifndef CLM_DATA_OWN_H
#define CLM_DATA_OWN_H

#include "data/imageset.h"

/* Draws classes for the three splits by the counts and the seed of the options; `unused` stay without one. */
clm_status clm_own_split(clm_image_set *set, const clm_folder_options *options, size_t *unused);
/* Splits are given: class i of the set has splits[i]. */
clm_status clm_own_use_splits(clm_image_set *set, const int *splits);

/* ", split by seed 3", ", normalised by .." : what the description ends with. */
clm_status clm_own_describe(clm_image_set *set, const char *begin, const clm_folder_options *options, bool drawn);

/* FILE.npz, or a folder with x.npy. */
bool clm_is_arrays(const char *path);
clm_status clm_source_arrays(clm_source **out, const char *path, const clm_folder_options *options);

#endif
