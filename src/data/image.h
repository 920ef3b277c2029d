/* Pictures: from the bytes of a file to a small square of bytes. */
#ifndef CLM_DATA_IMAGE_H
#define CLM_DATA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "clmaml/data.h"

/* A picture, 0 black to 255 white, row by row, its channels side by side. Reused from picture to picture; begin with {0}. */
typedef struct clm_image {
    int width, height;
    uint8_t *pixels;
    size_t capacity;
    int channels;  /* 1 grey or 3 red, green, blue */
    bool coloured; /* channels of some pixel differ by more than 8 levels */
} clm_image;

/* The kinds of files, told by how they begin and not by their names. */
typedef enum clm_picture_kind {
    CLM_PICTURE_UNKNOWN,
    CLM_PICTURE_PNG,
    CLM_PICTURE_JPEG,
    CLM_PICTURE_WEBP,
    CLM_PICTURE_GIF,
    CLM_PICTURE_BMP
} clm_picture_kind;
clm_picture_kind clm_picture_kind_of(const uint8_t *data, size_t size);

typedef enum clm_file_kind {
    CLM_FILE_PICTURE, /* of a kind that is read, with the library that this takes */
    CLM_FILE_REFUSED, /* a picture of another kind */
    CLM_FILE_OTHER
} clm_file_kind;
/* By the end of a file's name. */
clm_file_kind clm_file_kind_of(const char *name);

/* "PNG, JPEG": the kinds that this build reads. */
const char *clm_picture_kinds(void);

/* Any PNG (1 to 16 bits, grey, palette, colour, with or without alpha), JPEG, WebP, BMP, or the first frame of a GIF, upright
 * as its EXIF orientation says. Bytes are those of the file: 16 bits are rounded to 8, and no gamma or colour profile is
 * applied. Where the picture is transparent, `paper` shows: alpha mixes the stored bytes. Grey stays one channel. The error
 * does not name the file: the caller knows it. */
clm_status clm_image_decode(clm_image *image, const uint8_t *data, size_t size, uint8_t paper);
void clm_image_free(clm_image *image);

#define CLM_IMAGE_LARGEST 512 /* pixels a side after resampling */

/* Working memory of resampling that grows as needed; the caller keeps it from call to call and frees it. */
typedef struct clm_resample {
    uint32_t *rows;
    uint16_t *shorts;
    uint64_t *running;
    size_t capacity, shorts_capacity, running_capacity;
    uint8_t *planes;
    size_t planes_capacity;
} clm_resample;
void clm_resample_free(clm_resample *scratch);

/* Box filter: every pixel of the result is the mean of the picture over the area it covers, rounded once; the mean of the whole
 * is kept. Bytes: mean and deviation are another matter. Grey of a coloured picture is the luma of Rec. 601, as in JPEG and Pillow, of the resampled colours. */
clm_status clm_image_prepare(clm_resample *scratch, const clm_image *image, const clm_preparation *p, uint8_t *out);

/* The same, stretched and in grey. */
clm_status clm_image_resample(clm_resample *scratch, const clm_image *image, int size, bool invert, uint8_t *out);

/* What bytes of a channel with this mean and deviation stand for. */
void clm_image_values(double mean, double deviation, float values[256]);

/* Three planes of `area` bytes to one. */
void clm_image_luma(const uint8_t *planes, size_t area, uint8_t *out);

/* out = values[in], turned anticlockwise by `turns` quarter turns, which is for square images alone. */
void clm_image_turn_by(const uint8_t *in, int height, int width, int turns, const float values[256], float *out);
/* out = in / 255 turned; both size x size. */
void clm_image_turn(const uint8_t *in, int size, int turns, float *out);

#endif
