/* Pictures of all kinds that are read, prepared for a model. */
#include <stdlib.h>

#include "data/image.h"
#include "fuzz.h"

static void run(const uint8_t *data, size_t size) {
    static const clm_preparation ways[] = {{12, 3, CLM_FIT_CROP, false, 255, {0}, {1, 1, 1}},
                                           {12, 1, CLM_FIT_PAD, true, 0, {0}, {1, 1, 1}}};
    clm_image picture = {0};
    clm_resample scratch = {0};
    uint8_t bytes[3 * 12 * 12];
    if (clm_image_decode(&picture, data, size, 255) == CLM_OK) {
        fuzz_check(picture.width > 0 && picture.height > 0 && (picture.channels == 1 || picture.channels == 3),
                   "picture: its shape");
        for (size_t i = 0; i < 2; i++) (void)clm_image_prepare(&scratch, &picture, &ways[i], bytes);
    }
    clm_image_free(&picture);
    clm_resample_free(&scratch);
}

/* What decoders allocate for 2^22 pixels and, beyond, for 8192 pixels a byte: see docs/data.md. */
const fuzz_target fuzz_this = {run, (size_t)24 << 22, 24 * 8192};
