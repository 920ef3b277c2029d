/* WebP by libwebp, lossy and lossless. The chunk with the orientation is found here, as libwebp itself passes over it. */
#ifdef CLMAML_HAVE_WEBP
#include <string.h>

#include <webp/decode.h>

#include "data/codec/codec.h"

/* RIFF: after 12 bytes chunks of a name, a size and that many bytes, to an even number. */
static void find_orientation(const uint8_t *data, size_t size, int *orientation) {
    for (size_t at = 12; at + 8 <= size;) {
        const uint8_t *chunk = data + at;
        const size_t bytes = (size_t)chunk[4] | (size_t)chunk[5] << 8 | (size_t)chunk[6] << 16 | (size_t)chunk[7] << 24;
        if (bytes > size - at - 8) return;
        if (memcmp(chunk, "EXIF", 4) == 0) *orientation = clm_exif_orientation(chunk + 8, bytes);
        at += 8 + bytes + (bytes & 1);
    }
}

clm_status clm_codec_webp(clm_image *image, const uint8_t *data, size_t size, int *orientation) {
    WebPBitstreamFeatures features;
    if (WebPGetFeatures(data, size, &features) != VP8_STATUS_OK) return clm_fail(CLM_E_FORMAT, "a damaged WebP picture");
    if (features.has_animation)
        return clm_fail(CLM_E_FORMAT, "an animated WebP picture; save one of its frames as a picture, or remove it");
    const int channels = features.has_alpha ? 4 : 3, row = features.width * channels;
    CLM_TRY(clm_codec_begin(image, (uint64_t)features.width, (uint64_t)features.height, channels, size));
    const size_t bytes = (size_t)row * (size_t)features.height;
    const uint8_t *done = channels == 4 ? WebPDecodeRGBAInto(data, size, image->pixels, bytes, row)
                                        : WebPDecodeRGBInto(data, size, image->pixels, bytes, row);
    if (!done) return clm_fail(CLM_E_FORMAT, "a damaged WebP picture (its data end early or make no sense)");
    find_orientation(data, size, orientation);
    return CLM_OK;
}
#else
typedef int clm_no_webp; /* a file must hold something */
#endif
