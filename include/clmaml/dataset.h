/* Data sets on devices: images that are copied to a device once, so that of a task only the numbers of its images travel.
 *
 *     clm_images images;
 *     if (clm_source_images(source, &images) && clm_dataset_fits(device, &images, 0)) {     // or an array of your own
 *         clm_dataset_create(&dataset, device, &images);
 *         clm_meta_use_data(meta, &dataset, 1);
 *     }
 *     clm_source_sample_at(source, .., support_at, support_y, query_at, query_y);          // or clm_prefetch_get_at
 *     clm_batch batch = {.support_at = support_at, .support_y = support_y, .query_at = query_at, .query_y = query_y};
 *     clm_meta_step(meta, &batch, &report);
 *
 * Every result is, bit for bit, the one that the images themselves would give. Any number of meta-learners and learners of the
 * device may use a data set, which must outlive their use of it. Where a meta-learner works on parts of a CPU, each gets a
 * copy.
 */
#ifndef CLMAML_DATASET_H
#define CLMAML_DATASET_H

#include "data.h"
#include "device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clm_dataset clm_dataset;

/* Bytes of device memory that the images take: one for a pixel where they are bytes, otherwise four. */
CLM_API size_t clm_dataset_bytes(const clm_images *images);
/* Would the images leave enough to everything else: are they at most half of `memory` bytes (0: of CLMAML_MEMORY_LIMIT, or of
 * clm_device_memory_room), at most what is not allocated of it, and at most the device's largest allocation? */
CLM_API bool clm_dataset_fits(const clm_device *device, const clm_images *images, size_t memory);

/* Copies the images to the device, in one buffer. Errors: CLM_E_LIMIT where that is larger than the device's largest allocation
 * or memory, CLM_E_MEMORY where there is no room, CLM_E_ARG for a description that is none. */
CLM_API clm_status clm_dataset_create(clm_dataset **out, clm_device *device, const clm_images *images);
CLM_API void clm_dataset_free(clm_dataset *dataset); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
