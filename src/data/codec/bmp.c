/* BMP, read here: the libraries that read it well (SDL, gdk-pixbuf, libgd) bring a desktop along, and a whole reader is shorter
 * than the use of one. Uncompressed pictures of 1, 4, 8, 16, 24 and 32 bits with any masks; run lengths and embedded JPEG are
 * refused by name. */
#include <assert.h>
#include <string.h>

#include "data/codec/codec.h"

enum { FILE_HEADER = 14, OLD_HEADER = 12, INFO_HEADER = 40, RGB = 0, BITFIELDS = 3, ALPHA_BITFIELDS = 6 };

typedef struct bmp {
    const uint8_t *data;
    size_t size, pixels, palette;
    uint32_t width, height, bits, compression, colours, entry; /* entry: bytes of a colour of the palette */
    uint32_t masks[4];                                         /* red, green, blue, alpha */
    bool top_down;
} bmp;

static uint32_t number(const bmp *b, size_t at, int bytes) {
    uint32_t value = 0;
    for (int i = bytes - 1; i >= 0; i--) value = value << 8 | (at + (size_t)i < b->size ? b->data[at + (size_t)i] : 0u);
    return value;
}

static clm_status damaged(const char *why) { return clm_fail(CLM_E_FORMAT, "a damaged BMP picture (%s)", why); }

static void find_masks(bmp *b, uint32_t header) {
    static const uint32_t usual16[4] = {0x7c00, 0x3e0, 0x1f, 0}, usual32[4] = {0xff0000, 0xff00, 0xff, 0};
    memcpy(b->masks, b->bits == 16 ? usual16 : usual32, sizeof b->masks);
    if (b->compression == RGB) return;
    const int count = header >= 56 || b->compression == ALPHA_BITFIELDS ? 4 : 3; /* also where they follow the header */
    for (int i = 0; i < count; i++) b->masks[i] = number(b, FILE_HEADER + INFO_HEADER + 4 * (size_t)i, 4);
}

static clm_status read_header(bmp *b) {
    const uint32_t header = number(b, FILE_HEADER, 4);
    const bool old = header == OLD_HEADER;
    if (b->size < FILE_HEADER + OLD_HEADER || (!old && header < INFO_HEADER) || header > b->size - FILE_HEADER)
        return damaged("its header is cut off");
    b->pixels = number(b, 10, 4);
    b->width = old ? number(b, 18, 2) : number(b, 18, 4);
    b->height = old ? number(b, 20, 2) : number(b, 22, 4);
    b->bits = number(b, old ? 24 : 28, 2);
    b->compression = old ? RGB : number(b, 30, 4);
    b->top_down = !old && b->height > INT32_MAX;
    if (b->top_down) b->height = 0u - b->height;
    if (b->compression != RGB && !((b->compression == BITFIELDS || b->compression == ALPHA_BITFIELDS) && b->bits >= 16))
        return clm_fail(CLM_E_FORMAT, "a compressed BMP picture (method %u); convert it to PNG or remove it",
                        (unsigned)b->compression);
    if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 16 && b->bits != 24 && b->bits != 32)
        return clm_fail(CLM_E_FORMAT, "a BMP picture of %u bits a pixel; convert it to PNG or remove it", (unsigned)b->bits);
    b->entry = old ? 3 : 4;
    b->colours = b->bits > 8 ? 0 : old ? 0 : number(b, 46, 4);
    if (b->bits <= 8 && (!b->colours || b->colours > 1u << b->bits)) b->colours = 1u << b->bits;
    b->palette = FILE_HEADER + header + (header == INFO_HEADER && b->compression == BITFIELDS ? 12 : 0);
    find_masks(b, header);
    return CLM_OK;
}

/* The bits that the mask names, as 0 .. 255. */
static uint8_t masked(uint32_t pixel, uint32_t mask) {
    if (!mask) return 0;
    while (!(mask & 1)) mask >>= 1, pixel >>= 1;
    return (uint8_t)(((uint64_t)(pixel & mask) * 255 + mask / 2) / mask);
}

static clm_status read_row(const bmp *b, size_t at, int channels, uint8_t *to) {
    for (uint32_t x = 0; x < b->width; x++, to += channels) {
        if (b->bits > 8) {
            const uint32_t pixel = number(b, at + (size_t)x * (b->bits / 8), (int)b->bits / 8);
            for (int c = 0; c < channels; c++) to[c] = masked(pixel, b->masks[c]);
            continue;
        }
        const size_t bit = (size_t)x * b->bits;
        const uint32_t index = b->data[at + bit / 8] >> (8 - b->bits - bit % 8) & ((1u << b->bits) - 1);
        if (index >= b->colours) return damaged("a colour that is not in its table");
        for (int c = 0; c < 3; c++) to[c] = b->data[b->palette + (size_t)index * b->entry + 2 - (size_t)c];
    }
    return CLM_OK;
}

clm_status clm_codec_bmp(clm_image *image, const uint8_t *data, size_t size, int *orientation) {
    bmp b = {.data = data, .size = size};
    (void)orientation; /* BMP has none but upside down */
    CLM_TRY(read_header(&b));
    const int channels = b.bits > 8 && b.masks[3] ? 4 : 3;
    CLM_TRY(clm_codec_check(b.width, b.height, size));
    const uint64_t row = ((uint64_t)b.width * b.bits + 31) / 32 * 4;
    assert(row > 0 && b.entry > 0);
    if (b.bits <= 8 && (b.palette > size || (size - b.palette) / b.entry < b.colours)) return damaged("its palette is cut off");
    if (b.pixels > size || (size - b.pixels) / row < b.height) return damaged("it ends early");
    CLM_TRY(clm_codec_begin(image, b.width, b.height, channels, size));
    for (uint32_t y = 0; y < b.height; y++) {
        const size_t line = b.top_down ? y : b.height - 1 - y;
        CLM_TRY(read_row(&b, b.pixels + (size_t)(y * row), channels, image->pixels + line * b.width * (size_t)channels));
    }
    return CLM_OK;
}
