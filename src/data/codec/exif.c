/* The orientation of a photograph (EXIF 2.3, tag 0x0112 of the first directory), read here: it is one number of a small table,
 * and no library is needed for it. Libraries hand over the block itself: JPEG's APP1 segment, PNG's eXIf and WebP's EXIF chunk.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/codec/codec.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_BYTES = 12 };

/* A number of `bytes` bytes; 0 beyond the end. */
static uint32_t number(const uint8_t *data, size_t size, size_t at, int bytes, bool big) {
    uint32_t value = 0;
    if (at > size || size - at < (size_t)bytes) return 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | data[at + (size_t)(big ? i : bytes - 1 - i)];
    return value;
}

int clm_exif_orientation(const uint8_t *data, size_t size) {
    if (size >= 6 && memcmp(data, "Exif\0\0", 6) == 0) data += 6, size -= 6;
    if (size < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0)) return 1;
    const bool big = data[0] == 'M';
    const size_t directory = number(data, size, 4, 4, big), entries = number(data, size, directory, 2, big);
    for (size_t i = 0; i < entries; i++) {
        const size_t at = directory + 2 + i * ENTRY_BYTES;
        if (at + ENTRY_BYTES > size) break;
        if (number(data, size, at, 2, big) != TAG_ORIENTATION || number(data, size, at + 2, 2, big) != TYPE_SHORT) continue;
        const uint32_t value = number(data, size, at + 8, 2, big);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

/* Where the upper left pixel of the upright picture is in the stored one, and the steps there for one to the right and one
 * down; counted from the edges: 1 is the far one, +1 and -1 along rows, +2 and -2 along columns. */
typedef struct way {
    int right, bottom, along, down;
} way;
static const way ways[9] = {[2] = {1, 0, -1, 2}, [3] = {1, 1, -1, -2}, [4] = {0, 1, 1, -2}, [5] = {0, 0, 2, 1},
                            [6] = {0, 1, -2, 1}, [7] = {1, 1, -2, -1}, [8] = {1, 0, 2, -1}};

static ptrdiff_t step(int direction, ptrdiff_t row) {
    const ptrdiff_t size = direction == 2 || direction == -2 ? row : 1;
    return direction < 0 ? -size : size;
}

clm_status clm_codec_upright(clm_image *image, int orientation) {
    if (orientation < 2 || orientation > 8) return CLM_OK;
    const way *w = &ways[orientation];
    const size_t channels = (size_t)image->channels;
    const ptrdiff_t row = image->width, along = step(w->along, row), down = step(w->down, row);
    const int width = orientation < 5 ? image->width : image->height, height = orientation < 5 ? image->height : image->width;
    const ptrdiff_t from = (w->right ? image->width - 1 : 0) + (w->bottom ? (image->height - 1) * row : 0);
    const size_t size = (size_t)width * (size_t)height * channels;
    uint8_t *upright = clm_calloc(size, 1), *to = upright;
    if (!upright) return CLM_E_MEMORY;
    for (ptrdiff_t y = 0; y < height; y++)
        for (ptrdiff_t x = 0; x < width; x++, to += channels)
            memcpy(to, image->pixels + (size_t)(from + x * along + y * down) * channels, channels);
    free(image->pixels);
    image->pixels = upright;
    image->capacity = size;
    image->width = width;
    image->height = height;
    return CLM_OK;
}
