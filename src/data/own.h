/* Data of one's own: what pictures, arrays and tables share. */
#ifndef CLM_DATA_OWN_H
#define CLM_DATA_OWN_H

#include "base/memory.h"
#include "data/imageset.h"

/* What is drawn for the three splits: as many as are asked for, or, where there are fewer, in these proportions. */
typedef struct clm_own_parts {
    const size_t *asked; /* [CLM_SPLITS]; all 0: as 64, 16, 20, but each at least `least` where there are so many */
    uint64_t seed;
    size_t least;
} clm_own_parts;

/* order[total]: the numbers 0 .. total-1, first those of the training split, and so on, `counts` of each and in order; then
 * what is in none. */
void clm_own_draw_split(size_t total, const clm_own_parts *parts, uint32_t *order, size_t counts[CLM_SPLITS]);

/* Draws classes for the three splits by the counts and the seed of the options; `unused` stay without one. */
clm_status clm_own_split(clm_image_set *set, const clm_folder_options *options, size_t *unused);
/* Splits are given: class i of the set has splits[i]. */
clm_status clm_own_use_splits(clm_image_set *set, const int *splits);

/* How many classes there are by name: one that is in two splits is one. */
clm_status clm_own_count_classes(const clm_image_set *set, size_t *count);

/* ", split by seed 3", ", normalised by .." : what the description ends with. */
clm_status clm_own_describe(clm_image_set *set, const char *begin, const clm_folder_options *options, bool drawn);

/* "strict" takes what would be left out for an error that lists it: `left`, lines, `count` of them or more. */
clm_status clm_own_refuse(const char *where, const clm_text *left, size_t count);

/* FILE.npz, or a folder with x.npy. */
bool clm_is_arrays(const char *path);
clm_status clm_source_arrays(clm_source **out, const char *path, const clm_folder_options *options);

#endif
