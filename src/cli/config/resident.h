/* Where the images of a run are kept: on the host, which sends every batch, or on each device, which picks them by number. */
#ifndef CLI_RESIDENT_H
#define CLI_RESIDENT_H

#include "base/common.h"

enum { CLI_DATA_AUTO, CLI_DATA_HOST, CLI_DATA_DEVICE }; /* --data-on */

typedef struct cli_resident {
    clm_images images;
    bool wanted, demanded;  /* demanded: not having them on the device is an error */
    clm_dataset **datasets; /* in the order of the devices */
    size_t count;           /* 0: the images are on the host */
} cli_resident;

/* A device, the memory that it may have in all (0: what it has) and what is left of that beside everything else. */
typedef struct cli_room {
    clm_device *device;
    size_t limit, left;
    bool divided; /* into parts, each of which would take a copy of the images */
} cli_room;

/* What the source has and the user asks for: `device` where the source has no images is an error. */
clm_status cli_resident_open(cli_resident *resident, const clm_source *source, int data_on);
/* Device memory to be left to images that are demanded, with the numbers of `examples` examples, where `device` may be divided. */
size_t cli_resident_reserve(const cli_resident *resident, const clm_device *device, size_t examples);
/* What they take, with the copies that a meta-learner's parts need. */
size_t cli_resident_bytes(const cli_resident *resident, const clm_meta *meta);
/* Under `auto`: they are wanted when each device has room for them, half of its memory is enough, and none is divided: there
 * copies would take memory, and save no time. */
void cli_resident_decide(cli_resident *resident, const cli_room *rooms, size_t n, size_t examples);
/* Copies the images that are wanted. Where they were not demanded a failure is a remark, and they stay on the host. */
clm_status cli_resident_load(cli_resident *resident, const cli_room *rooms, size_t n);
void cli_resident_close(cli_resident *resident);

#endif
