/* Pictures: from the bytes of a PNG file to a small grey square. */
#ifndef CLM_DATA_IMAGE_H
#define CLM_DATA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A grey picture, 0 black to 255 white, row by row. Reused from picture to picture; begin with {0}. */
typedef struct clm_image {
    int width, height;
    uint8_t *pixels;
    size_t capacity;
} clm_image;

/* Any PNG (1 to 16 bits, grey, palette, colour, with or without alpha) as 8-bit grey by luminance. Where the picture is
 * transparent, `paper` shows. The error does not name the file: the caller knows it. */
clm_status clm_image_decode(clm_image *image, const uint8_t *data, size_t size, uint8_t paper);
void clm_image_free(clm_image *image);

#define CLM_IMAGE_LARGEST 512 /* pixels a side after resampling */

/* Box filter: every pixel of the size x size result is the mean of the picture over the area it covers, rounded once; the mean of
 * the whole is kept. Width and height are scaled each to size. `invert` takes 255 minus the result. `scratch` is working memory
 * that grows as needed; the caller keeps it from call to call and frees it. */
typedef struct clm_resample {
    uint32_t *rows;
    size_t capacity;
} clm_resample;
clm_status clm_image_resample(clm_resample *scratch, const clm_image *image, int size, bool invert, uint8_t *out);
void clm_resample_free(clm_resample *scratch);

/* out = in / 255 turned anticlockwise by `turns` quarter turns; both size x size. */
void clm_image_turn(const uint8_t *in, int size, int turns, float *out);

#endif
