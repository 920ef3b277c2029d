/* Decoders of picture files, one file a format. To add one: a function here, a row in the table of src/data/image.c.
 *
 * A decoder reads a whole file from memory into `image`, whose channels it makes 1 grey, 2 grey and alpha, 3 colour or 4 colour
 * and alpha, by clm_codec_begin, and sets `orientation` where the file has one. It refuses what is damaged or ends early. */
#ifndef CLM_DATA_CODEC_H
#define CLM_DATA_CODEC_H

#include "data/image.h"

clm_status clm_codec_png(clm_image *image, const uint8_t *data, size_t size, int *orientation);
clm_status clm_codec_jpeg(clm_image *image, const uint8_t *data, size_t size, int *orientation);
clm_status clm_codec_webp(clm_image *image, const uint8_t *data, size_t size, int *orientation);
clm_status clm_codec_gif(clm_image *image, const uint8_t *data, size_t size, int *orientation);
clm_status clm_codec_bmp(clm_image *image, const uint8_t *data, size_t size, int *orientation);

/* May a picture have these dimensions, in a file of `size` bytes? One of hostile dimensions must not take the machine's
 * memory: CLM_E_LIMIT for more than 8192 pixels a side, or more than 2^22 pixels and 8192 for each byte of the file, which
 * no picture has whose pixels are not all alike. */
clm_status clm_codec_check(uint64_t width, uint64_t height, size_t size);
/* The same, then room for the pixels. */
clm_status clm_codec_begin(clm_image *image, uint64_t width, uint64_t height, int channels, size_t size);

/* The orientation, 1 to 8, that EXIF data hold, which begin as a TIFF file does or with "Exif\0\0" before that; 1 where there
 * is none. */
int clm_exif_orientation(const uint8_t *data, size_t size);

/* Turns and mirrors the picture so that it is upright. */
clm_status clm_codec_upright(clm_image *image, int orientation);

#endif
