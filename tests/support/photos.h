/* Photographs made by the tests, in every kind of file, and folders of them. Pixels are red, green, blue. */
#ifndef CLM_TEST_PHOTOS_H
#define CLM_TEST_PHOTOS_H

#include <stddef.h>
#include <stdint.h>

/* A smooth picture with all colours, and no two sides alike. */
void clm_test_photo(int width, int height, uint8_t *pixels);

/* Free each with free(). */
uint8_t *clm_test_png16(const uint8_t *pixels, int width, int height, size_t *size); /* v becomes 257 v */
#ifdef CLMAML_HAVE_JPEG
/* channels: 1, 3, or 4: CMYK as Adobe writes it. orientation: 0, or a tag of EXIF. */
uint8_t *clm_test_jpeg(const uint8_t *pixels, int width, int height, int channels, int orientation, size_t *size);
#endif
#ifdef CLMAML_HAVE_WEBP
uint8_t *clm_test_webp(const uint8_t *pixels, int width, int height, int lossless, size_t *size);
#endif
#ifdef CLMAML_HAVE_GIF
/* Two frames, the first of the colours of `palette` at their indices; index `transparent`, or -1. */
uint8_t *clm_test_gif(const uint8_t *indices, int width, int height, const uint8_t palette[4][3], int transparent,
                      int interlace, size_t *size);
#endif
/* bits: 8 (the red channel, grey), 24, 32. */
uint8_t *clm_test_bmp(const uint8_t *pixels, int width, int height, int bits, int top_down, size_t *size);

/* A file below the directory, with the folders that it takes. */
void clm_test_write(const char *directory, const char *name, const void *data, size_t size);
void clm_test_write_text(const char *directory, const char *name, const char *text);
/* A PNG of one colour. */
void clm_test_write_flat(const char *directory, const char *name, int side, uint8_t red, uint8_t green, uint8_t blue);

/* An array of NumPy; `type` as its name, "<f4", or as a list of fields; `shape` as Python writes it, "(3, 4)". Free with free(). */
uint8_t *clm_test_npy(const char *type, const char *shape, const void *data, size_t bytes, size_t *size);

#endif
