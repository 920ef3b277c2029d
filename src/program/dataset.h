/* Picking examples out of a data set on a device: numbers of images in, a tensor of examples out. */
#ifndef CLM_PROGRAM_DATASET_H
#define CLM_PROGRAM_DATASET_H

#include "clmaml/dataset.h"
#include "clmaml/program.h"

typedef struct clm_pick clm_pick;

clm_device *clm_dataset_device(const clm_dataset *data);
/* The same images on a part of the data set's device: a copy, made at the first call and freed with the data set. */
clm_status clm_dataset_on_sub_device(clm_dataset *data, clm_device *part, const clm_dataset **out);
/* Do its images have this shape: channels, height, width, or any shape of as many elements that is not one of images? */
clm_status clm_dataset_check_shape(const clm_dataset *data, const clm_shape *shape);
/* Numbers [tasks, examples] must be those of images. */
clm_status clm_dataset_check_numbers(const clm_dataset *data, int tasks, const char *what, const int32_t *at, int examples);

/* Fills x [tasks][examples, ..], whose examples have their channels last if `last` is set, and y [tasks][examples] (may be
 * NULL) with labels. Both have their memory already, and keep it for the life of the pick. */
clm_status clm_pick_create(clm_pick **out, const clm_dataset *data, clm_tensor *x, clm_tensor *y, bool last);
void clm_pick_free(clm_pick *pick); /* NULL is allowed */
/* Device memory that it takes. */
size_t clm_pick_bytes(const clm_tensor *x, const clm_tensor *y);
/* Numbers must have been checked. Numbers and labels are copied to the device, which waits for earlier work; the rest is
 * queued. */
clm_status clm_pick_run(clm_pick *pick, const int32_t *at, const float *labels);

#endif
