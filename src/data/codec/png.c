/* PNG by libpng. Its simplified interface would be shorter, but takes 16 bits for linear light and mixes alpha there: the same
 * drawing stored in two ways would be two pictures. Here samples are what the file says. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "data/codec/codec.h"

typedef struct reader {
    const uint8_t *data;
    size_t size, at;
    char message[160];
} reader;

static void on_error(png_structp png, png_const_charp text) {
    reader *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep to, png_size_t size) {
    reader *r = png_get_io_ptr(png);
    if (size > r->size - r->at) png_error(png, "it ends early");
    memcpy(to, r->data + r->at, size);
    r->at += size;
}

static void find_orientation(png_structp png, png_infop info, int *orientation) {
#ifdef PNG_eXIf_SUPPORTED
    png_uint_32 size = 0;
    png_bytep exif = NULL;
    if (png_get_eXIf_1(png, info, &size, &exif)) *orientation = clm_exif_orientation(exif, size);
#else
    (void)png;
    (void)info;
    (void)orientation;
#endif
}

/* Jumps to whoever has set the jump when libpng finds a fault. */
static clm_status read_picture(png_structp png, png_infop info, size_t size, clm_image *image, int *orientation) {
    png_read_info(png, info);
    const png_uint_32 width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    CLM_TRY(clm_codec_check(width, height, size)); /* libpng takes memory for rows next */
    png_set_scale_16(png);
    png_set_expand(png); /* palettes, less than 8 bits, transparent colours */
    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    CLM_TRY(clm_codec_begin(image, width, height, png_get_channels(png, info), size));
    const size_t row = (size_t)width * (size_t)image->channels;
    if (png_get_rowbytes(png, info) != row) png_error(png, "rows of another length");
    for (int pass = 0; pass < passes; pass++)
        for (png_uint_32 y = 0; y < height; y++) png_read_row(png, image->pixels + y * row, NULL);
    find_orientation(png, info, orientation);
    return CLM_OK;
}

/* Do the chunks before the pixels lie within the file? Libpng takes memory for what a chunk claims of its length. */
static bool has_whole_chunks(const uint8_t *data, size_t size) {
    for (size_t at = 8; at + 8 <= size;) {
        const uint32_t length =
            (uint32_t)data[at] << 24 | (uint32_t)data[at + 1] << 16 | (uint32_t)data[at + 2] << 8 | data[at + 3];
        if (memcmp(data + at + 4, "IDAT", 4) == 0) break;
        if (length > size - at - 8) return false;
        at += 12 + (size_t)length;
    }
    return true;
}

clm_status clm_codec_png(clm_image *image, const uint8_t *data, size_t size, int *orientation) {
    reader r = {.data = data, .size = size};
    if (!has_whole_chunks(data, size)) return clm_fail(CLM_E_FORMAT, "a damaged PNG picture (it ends early)");
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return clm_fail(CLM_E_MEMORY, "libpng gets no memory");
    }
    png_set_read_fn(png, &r, on_read);
    volatile clm_status status = CLM_OK;
    if (setjmp(png_jmpbuf(png)))
        status = clm_fail(CLM_E_FORMAT, "a damaged PNG picture (%s)", r.message);
    else
        status = read_picture(png, info, size, image, orientation);
    png_destroy_read_struct(&png, &info, NULL);
    return status;
}
