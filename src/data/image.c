/* Which decoder reads a file, and what is the same for all of them: limits, orientation, transparency. */
#include "data/image.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/codec/codec.h"

enum { MAX_SIDE = 8192, ALWAYS = 1 << 22, PIXELS_OF_A_BYTE = 8192, OPAQUE = 255, TINGE = 8 };

/* ---- the kinds ---- */

typedef struct codec {
    const char *name, *library; /* library: NULL when this build has it */
    clm_status (*decode)(clm_image *image, const uint8_t *data, size_t size, int *orientation);
    size_t at; /* of the mark */
    const char *mark;
    size_t length;
    const char *endings[5]; /* of names, in small letters */
} codec;

#ifdef CLMAML_HAVE_JPEG
#define JPEG_DECODER NULL, clm_codec_jpeg
#else
#define JPEG_DECODER "libjpeg-turbo", NULL
#endif
#ifdef CLMAML_HAVE_WEBP
#define WEBP_DECODER NULL, clm_codec_webp
#else
#define WEBP_DECODER "libwebp", NULL
#endif
#ifdef CLMAML_HAVE_GIF
#define GIF_DECODER NULL, clm_codec_gif
#else
#define GIF_DECODER "giflib", NULL
#endif

/* In the order of clm_picture_kind. */
static const codec codecs[] = {
    [CLM_PICTURE_PNG] = {"PNG", NULL, clm_codec_png, 0, "\x89PNG\r\n\x1a\n", 8, {".png"}},
    [CLM_PICTURE_JPEG] = {"JPEG", JPEG_DECODER, 0, "\xff\xd8\xff", 3, {".jpg", ".jpeg", ".jpe", ".jfif"}},
    [CLM_PICTURE_WEBP] = {"WebP", WEBP_DECODER, 8, "WEBP", 4, {".webp"}},
    [CLM_PICTURE_GIF] = {"GIF", GIF_DECODER, 0, "GIF8", 4, {".gif"}},
    [CLM_PICTURE_BMP] = {"BMP", NULL, clm_codec_bmp, 0, "BM", 2, {".bmp", ".dib"}},
};
enum { CODECS = sizeof codecs / sizeof *codecs };

static const char *const refused[] = {".heic", ".heif", ".avif", ".tif", ".tiff", ".pnm", ".pbm", ".pgm", ".ppm", ".pam",
                                      ".jp2",  ".j2k",  ".jxl",  ".svg", ".ico",  ".tga", ".psd", ".xcf", ".qoi", ".pcx",
                                      ".exr",  ".hdr",  ".dng",  ".cr2", ".nef",  ".arw", ".raw", ".jpx", ".hif", ".apng"};

clm_picture_kind clm_picture_kind_of(const uint8_t *data, size_t size) {
    for (int k = 1; k < CODECS; k++) {
        const codec *c = &codecs[k];
        if (size >= c->at + c->length && memcmp(data + c->at, c->mark, c->length) == 0) return (clm_picture_kind)k;
    }
    return CLM_PICTURE_UNKNOWN;
}

/* `end` in small letters; `text` in any. */
static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), n = strlen(end);
    if (length < n) return false;
    for (text += length - n; *end; text++, end++)
        if ((*text >= 'A' && *text <= 'Z' ? *text - 'A' + 'a' : *text) != *end) return false;
    return true;
}

clm_file_kind clm_file_kind_of(const char *name) {
    for (int k = 1; k < CODECS; k++)
        for (size_t i = 0; i < 5 && codecs[k].endings[i]; i++)
            if (ends_with(name, codecs[k].endings[i])) return CLM_FILE_PICTURE;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (ends_with(name, refused[i])) return CLM_FILE_REFUSED;
    return CLM_FILE_OTHER;
}

const char *clm_picture_kinds(void) {
    return "PNG"
#ifdef CLMAML_HAVE_JPEG
           ", JPEG"
#endif
#ifdef CLMAML_HAVE_WEBP
           ", WebP"
#endif
#ifdef CLMAML_HAVE_GIF
           ", GIF"
#endif
           ", BMP";
}

/* ---- decoding ---- */

clm_status clm_codec_check(uint64_t width, uint64_t height, size_t size) {
    if (width < 1 || height < 1) return clm_fail(CLM_E_FORMAT, "a picture without pixels; replace or remove it");
    if (width > MAX_SIDE || height > MAX_SIDE)
        return clm_fail(CLM_E_LIMIT, "a picture of %llux%llu pixels, at most %dx%d are read; make it smaller or remove it",
                        (unsigned long long)width, (unsigned long long)height, MAX_SIDE, MAX_SIDE);
    if (width * height > ALWAYS && width * height / PIXELS_OF_A_BYTE > size)
        return clm_fail(CLM_E_LIMIT, "a picture of %llux%llu pixels in %zu bytes, which can hold none; replace or remove it",
                        (unsigned long long)width, (unsigned long long)height, size);
    return CLM_OK;
}

clm_status clm_codec_begin(clm_image *image, uint64_t width, uint64_t height, int channels, size_t size) {
    CLM_TRY(clm_codec_check(width, height, size));
    CLM_TRY(clm_grow(&image->pixels, &image->capacity, (size_t)(width * height) * (size_t)channels, 1));
    image->width = (int)width;
    image->height = (int)height;
    image->channels = channels;
    return CLM_OK;
}

/* Takes the alpha away, in place: what is written is never ahead of what is read. */
static void lay_on(clm_image *image, unsigned paper) {
    const size_t count = (size_t)image->width * (size_t)image->height, n = (size_t)image->channels - 1;
    const uint8_t *from = image->pixels;
    uint8_t *to = image->pixels;
    for (size_t i = 0; i < count; i++, from += n + 1, to += n) {
        const unsigned alpha = from[n];
        for (size_t c = 0; c < n; c++) to[c] = (uint8_t)((from[c] * alpha + paper * (OPAQUE - alpha) + OPAQUE / 2) / OPAQUE);
    }
    image->channels = (int)n;
}

/* Compression leaves a tinge on grey: that is no colour. */
static bool has_colours(const clm_image *image) {
    const size_t count = (size_t)image->width * (size_t)image->height;
    const uint8_t *p = image->pixels;
    if (image->channels == 1) return false;
    for (size_t i = 0; i < count; i++, p += 3) {
        const int a = p[0], b = p[1], c = p[2];
        if (abs(a - b) > TINGE || abs(b - c) > TINGE || abs(a - c) > TINGE) return true;
    }
    return false;
}

/* Decoders say what is wrong, and where there is no other way than this, not what to do. */
static clm_status with_remedy(clm_status status) {
    if (status != CLM_E_FORMAT || strchr(clm_last_error(), ';')) return status;
    return clm_fail(status, "%s; replace or remove it", clm_last_error());
}

clm_status clm_image_decode(clm_image *image, const uint8_t *data, size_t size, uint8_t paper) {
    const codec *c = &codecs[clm_picture_kind_of(data, size)];
    int orientation = 1;
    if (!size) return clm_fail(CLM_E_FORMAT, "an empty file; replace or remove it");
    if (!c->name)
        return clm_fail(CLM_E_FORMAT,
                        "not a PNG, JPEG, WebP, GIF or BMP picture, whatever its name says; replace or remove it");
    if (!c->decode)
        return clm_fail(CLM_E_FORMAT,
                        "a %s picture, which this build does not read, for lack of %s: build it with that, or convert the "
                        "picture to PNG",
                        c->name, c->library);
    const clm_status status = c->decode(image, data, size, &orientation);
    if (status != CLM_OK) return with_remedy(status);
    assert(image->channels >= 1 && image->channels <= 4);
    if (image->channels == 2 || image->channels == 4) lay_on(image, paper);
    CLM_TRY(clm_codec_upright(image, orientation));
    image->coloured = has_colours(image);
    return CLM_OK;
}

void clm_image_free(clm_image *image) {
    free(image->pixels);
    *image = (clm_image){0};
}
