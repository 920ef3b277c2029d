/* Photographs written with the libraries that read them, but for BMP. */
#include "support/photos.h"

#include <check.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef CLMAML_HAVE_JPEG
#include <jpeglib.h>
#endif
#ifdef CLMAML_HAVE_WEBP
#include <webp/encode.h>
#endif
#ifdef CLMAML_HAVE_GIF
#include <gif_lib.h>
#endif

#include "base/files.h"
#include "base/memory.h"
#include "support/pictures.h"

void clm_test_photo(int width, int height, uint8_t *pixels) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const double u = (double)x / width, v = (double)y / height;
            *pixels++ = (uint8_t)(40 + 200 * u);
            *pixels++ = (uint8_t)(30 + 190 * v * v);
            *pixels++ = (uint8_t)(128 + 100 * sin(3 * u + 2 * v));
        }
}

uint8_t *clm_test_png16(const uint8_t *pixels, int width, int height, size_t *size) {
    const size_t row = (size_t)width * 6;
    FILE *file = tmpfile();
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    uint8_t *wide = malloc(row);
    png_init_io(png, file);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 16, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int pass = png_set_interlace_handling(png); pass > 0; pass--)
        for (int y = 0; y < height; y++) {
            for (size_t i = 0; i < row; i++) wide[i] = pixels[(size_t)y * row / 2 + i / 2];
            png_write_row(png, wide);
        }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    free(wide);
    *size = (size_t)ftell(file);
    uint8_t *data = malloc(*size);
    rewind(file);
    ck_assert_uint_eq(fread(data, 1, *size, file), *size);
    fclose(file);
    return data;
}

#ifdef CLMAML_HAVE_JPEG
static void write_orientation(struct jpeg_compress_struct *jpeg, int orientation) {
    uint8_t exif[] = {'E', 'x',  'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
                      1,   0x12, 0,   3,   0, 0, 0,   1,   0, 0,  0, 0, 0, 0, 0, 0};
    exif[25] = (uint8_t)orientation;
    if (orientation) jpeg_write_marker(jpeg, JPEG_APP0 + 1, exif, sizeof exif);
}

uint8_t *clm_test_jpeg(const uint8_t *pixels, int width, int height, int channels, int orientation, size_t *size) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr error;
    unsigned char *data = NULL;
    unsigned long bytes = 0;
    jpeg.err = jpeg_std_error(&error);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &data, &bytes);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = channels;
    jpeg.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 100, TRUE);
    jpeg.write_Adobe_marker = channels == 4;
    for (int c = 0; c < channels; c++) jpeg.comp_info[c].h_samp_factor = jpeg.comp_info[c].v_samp_factor = 1;
    jpeg_start_compress(&jpeg, TRUE);
    write_orientation(&jpeg, orientation);
    uint8_t *row = malloc((size_t)width * 4);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++)
                row[x * channels + c] = c < 3 ? pixels[((size_t)y * (size_t)width + (size_t)x) * 3 + (size_t)c] : 255;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    free(row);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    *size = bytes;
    return data;
}
#endif

#ifdef CLMAML_HAVE_WEBP
uint8_t *clm_test_webp(const uint8_t *pixels, int width, int height, int lossless, size_t *size) {
    uint8_t *data = NULL, *copy;
    *size = lossless ? WebPEncodeLosslessRGB(pixels, width, height, 3 * width, &data)
                     : WebPEncodeRGB(pixels, width, height, 3 * width, 100, &data);
    ck_assert_uint_gt(*size, 0);
    copy = malloc(*size);
    memcpy(copy, data, *size);
    WebPFree(data);
    return copy;
}
#endif

#ifdef CLMAML_HAVE_GIF
typedef struct buffer {
    uint8_t data[65536];
    size_t size;
} buffer;

static int append(GifFileType *gif, const GifByteType *data, int size) {
    buffer *to = gif->UserData;
    ck_assert_uint_le(to->size + (size_t)size, sizeof to->data);
    memcpy(to->data + to->size, data, (size_t)size);
    to->size += (size_t)size;
    return size;
}

static void put_frame(GifFileType *gif, const uint8_t *indices, int width, int height, int interlace) {
    static const int first[4] = {0, 4, 2, 1}, every[4] = {8, 8, 4, 2};
    uint8_t line[1024];
    ck_assert_int_eq(EGifPutImageDesc(gif, 0, 0, width, height, interlace, NULL), GIF_OK);
    for (int pass = 0; pass < (interlace ? 4 : 1); pass++)
        for (int y = interlace ? first[pass] : 0; y < height; y += interlace ? every[pass] : 1) {
            memcpy(line, indices + y * width, (size_t)width);
            ck_assert_int_eq(EGifPutLine(gif, line, width), GIF_OK);
        }
}

uint8_t *clm_test_gif(const uint8_t *indices, int width, int height, const uint8_t palette[4][3], int transparent,
                      int interlace, size_t *size) {
    static buffer to;
    int code = 0;
    GifColorType colours[4];
    to.size = 0;
    for (int i = 0; i < 4; i++) colours[i] = (GifColorType){palette[i][0], palette[i][1], palette[i][2]};
    ColorMapObject *map = GifMakeMapObject(4, colours);
    GifFileType *gif = EGifOpen(&to, append, &code);
    EGifSetGifVersion(gif, true);
    ck_assert_int_eq(EGifPutScreenDesc(gif, width, height, 2, 0, map), GIF_OK);
    if (transparent >= 0) {
        GifByteType block[4];
        const GraphicsControlBlock control = {.TransparentColor = transparent};
        EGifGCBToExtension(&control, block);
        ck_assert_int_eq(EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, block), GIF_OK);
    }
    put_frame(gif, indices, width, height, interlace);
    uint8_t *blank = calloc((size_t)width, (size_t)height);
    put_frame(gif, blank, width, height, 0);
    free(blank);
    EGifCloseFile(gif, &code);
    GifFreeMapObject(map);
    uint8_t *data = malloc(to.size);
    memcpy(data, to.data, to.size);
    *size = to.size;
    return data;
}
#endif

static void put(uint8_t *to, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> (8 * i));
}

uint8_t *clm_test_bmp(const uint8_t *pixels, int width, int height, int bits, int top_down, size_t *size) {
    const size_t palette = bits == 8 ? 1024 : 0, begin = 54 + palette, row = ((size_t)width * (size_t)bits + 31) / 32 * 4;
    *size = begin + row * (size_t)height;
    uint8_t *data = calloc(*size, 1);
    memcpy(data, "BM", 2);
    put(data + 2, (uint32_t)*size, 4);
    put(data + 10, (uint32_t)begin, 4);
    put(data + 14, 40, 4);
    put(data + 18, (uint32_t)width, 4);
    put(data + 22, (uint32_t)(top_down ? -height : height), 4);
    put(data + 26, 1, 2);
    put(data + 28, (uint32_t)bits, 2);
    for (size_t i = 0; i < palette; i++) data[54 + i] = i % 4 < 3 ? (uint8_t)(i / 4) : 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const uint8_t *from = pixels + ((size_t)y * (size_t)width + (size_t)x) * 3;
            uint8_t *to = data + begin + row * (size_t)(top_down ? y : height - 1 - y) + (size_t)x * (size_t)bits / 8;
            for (int c = 0; c < (bits == 8 ? 1 : 3); c++) to[c] = from[bits == 8 ? 0 : 2 - c];
        }
    return data;
}

void clm_test_write(const char *directory, const char *name, const void *data, size_t size) {
    char *path = clm_path_join(directory, name), *slash = strrchr(path, '/');
    *slash = 0;
    ck_assert_int_eq(clm_directory_make(path), CLM_OK);
    *slash = '/';
    ck_assert_int_eq(clm_file_write(path, data, size), CLM_OK);
    free(path);
}

void clm_test_write_text(const char *directory, const char *name, const char *text) {
    clm_test_write(directory, name, text, strlen(text));
}

void clm_test_write_flat(const char *directory, const char *name, int side, uint8_t red, uint8_t green, uint8_t blue) {
    uint8_t *pixels = malloc((size_t)side * (size_t)side * 3);
    for (int i = 0; i < side * side; i++) pixels[3 * i] = red, pixels[3 * i + 1] = green, pixels[3 * i + 2] = blue;
    size_t size;
    uint8_t *png = clm_test_png(pixels, side, side, PNG_FORMAT_RGB, &size);
    clm_test_write(directory, name, png, size);
    free(pixels);
    free(png);
}

uint8_t *clm_test_npy(const char *type, const char *shape, const void *data, size_t bytes, size_t *size) {
    uint8_t *npy = calloc(bytes + 128, 1);
    char header[119];
    const char *quote = *type == '[' ? "" : "'";
    snprintf(header, sizeof header, "{'descr': %s%s%s, 'fortran_order': False, 'shape': %s, }", quote, type, quote, shape);
    memcpy(npy, "\x93NUMPY\x01\x00\x76\x00", 10);
    memset(npy + 10, ' ', 118);
    memcpy(npy + 10, header, strlen(header));
    npy[127] = '\n';
    memcpy(npy + 128, data, bytes);
    *size = bytes + 128;
    return npy;
}
