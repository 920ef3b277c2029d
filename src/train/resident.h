/* Where the images of a run are kept: on the host, which sends every batch, or on each device, which picks them by number. */
#ifndef CLM_TRAIN_RESIDENT_H
#define CLM_TRAIN_RESIDENT_H

#include "clmaml/train.h"

typedef struct clm_resident {
    clm_images images;
    bool wanted, demanded;  /* demanded: not having them on the device is an error */
    clm_dataset **datasets; /* in the order of the devices */
    size_t count;           /* 0: the images are on the host */
} clm_resident;

/* A device, the memory that it may have in all (0: what it has) and what is left of that beside everything else. */
typedef struct clm_room {
    clm_device *device;
    size_t limit, left;
    bool divided; /* into parts, each of which would take a copy of the images */
} clm_room;

/* What the source has and the options ask for: CLM_DATA_DEVICE where the source has no images is an error. */
clm_status clm_resident_open(clm_resident *resident, const clm_source *source, clm_data_on data_on);
/* Device memory to be left to images that are demanded, with the numbers of `examples` examples, where `device` may be divided. */
size_t clm_resident_reserve(const clm_resident *resident, const clm_device *device, size_t examples);
/* What they take, with the copies that a meta-learner's parts need. */
size_t clm_resident_bytes(const clm_resident *resident, const clm_meta *meta);
/* Under CLM_DATA_AUTO: they are wanted when each device has room for them, half of its memory is enough, and none is divided:
 * there copies would take memory, and save no time. */
void clm_resident_decide(clm_resident *resident, const clm_room *rooms, size_t n, size_t examples);
/* Copies the images that are wanted. */
clm_status clm_resident_load(clm_resident *resident, const clm_room *rooms, size_t n);
void clm_resident_close(clm_resident *resident);

#endif
