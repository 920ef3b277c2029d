/* PNG decoding through libpng's simplified interface, which reads every kind of PNG from memory and prints nothing, and area
 * resampling in whole numbers: result pixel j of m covers [j n, (j+1) n) and picture pixel i of n covers [i m, (i+1) m) in units
 * of 1/m of a picture pixel, so the overlaps are whole and their sum is exactly n. */
#include "data/image.h"

#include <assert.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* A picture of hostile dimensions must not take the machine's memory. */
enum { MAX_SIDE = 8192 };

clm_status clm_image_decode(clm_image *image, const uint8_t *data, size_t size, uint8_t paper) {
    if (size < 8 || png_sig_cmp(data, 0, 8) != 0) return clm_fail(CLM_E_FORMAT, "not a PNG picture; replace or remove it");
    png_image png;
    memset(&png, 0, sizeof png);
    png.version = PNG_IMAGE_VERSION;
    clm_status status = CLM_OK;
    if (!png_image_begin_read_from_memory(&png, data, size))
        CLM_GOTO(clm_fail(CLM_E_FORMAT, "a damaged PNG picture (%s)", png.message));
    if (png.width > MAX_SIDE || png.height > MAX_SIDE)
        CLM_GOTO(clm_fail(CLM_E_LIMIT, "a picture of %ux%u pixels; at most %dx%d are read", (unsigned)png.width,
                          (unsigned)png.height, MAX_SIDE, MAX_SIDE));
    png.format = PNG_FORMAT_GRAY;
    CLM_GOTO(clm_grow(&image->pixels, &image->capacity, PNG_IMAGE_SIZE(png), 1));
    image->width = (int)png.width;
    image->height = (int)png.height;
    png_color background = {paper, paper, paper};
    if (!png_image_finish_read(&png, &background, image->pixels, 0, NULL))
        status = clm_fail(CLM_E_FORMAT, "a damaged PNG picture (%s)", png.message);
out:
    png_image_free(&png);
    return status;
}

void clm_image_free(clm_image *image) {
    free(image->pixels);
    *image = (clm_image){0};
}

/* The pixels first .. last of n that result pixel j of m touches, each m parts wide; `before` parts of the first and `after`
 * parts of the last are outside. */
typedef struct cover {
    uint32_t first, last, before, after;
} cover;

static cover cover_of(uint32_t j, uint32_t m, uint32_t n) {
    uint32_t low = j * n, high = low + n, first = low / m, last = (high - 1) / m;
    return (cover){first, last, low - first * m, (last + 1) * m - high};
}

/* One row of n pixels to m sums, each n times the mean: the pixels touched in full, less what is outside. */
static void resample_row(const uint8_t *row, const cover *covers, uint32_t m, uint32_t *out) {
    for (uint32_t j = 0; j < m; j++) {
        cover c = covers[j];
        uint32_t sum = 0;
        for (uint32_t i = c.first; i <= c.last; i++) sum += row[i];
        out[j] = sum * m - c.before * row[c.first] - c.after * row[c.last];
    }
}

/* Those sums of h rows of a picture w wide to row j of the result. */
static void resample_column(const uint32_t *rows, uint32_t w, uint32_t h, uint32_t j, uint32_t m, uint8_t *out) {
    cover c = cover_of(j, m, h);
    uint64_t area = (uint64_t)w * h;
    for (uint32_t x = 0; x < m; x++) {
        uint64_t sum = 0;
        for (uint32_t i = c.first; i <= c.last; i++) sum += rows[(size_t)i * m + x];
        sum = sum * m - (uint64_t)c.before * rows[(size_t)c.first * m + x] - (uint64_t)c.after * rows[(size_t)c.last * m + x];
        out[x] = (uint8_t)((sum + area / 2) / area);
    }
}

clm_status clm_image_resample(clm_resample *scratch, const clm_image *image, int size, bool invert, uint8_t *out) {
    assert(size >= 1 && size <= CLM_IMAGE_LARGEST);
    uint32_t w = (uint32_t)image->width, h = (uint32_t)image->height, m = (uint32_t)size;
    CLM_TRY(clm_grow(&scratch->rows, &scratch->capacity, (size_t)h * m, sizeof *scratch->rows));
    cover covers[CLM_IMAGE_LARGEST];
    for (uint32_t j = 0; j < m; j++) covers[j] = cover_of(j, m, w);
    for (uint32_t y = 0; y < h; y++) resample_row(image->pixels + (size_t)y * w, covers, m, scratch->rows + (size_t)y * m);
    for (uint32_t j = 0; j < m; j++) resample_column(scratch->rows, w, h, j, m, out + (size_t)j * m);
    for (size_t i = 0; invert && i < (size_t)m * m; i++) out[i] = (uint8_t)(255 - out[i]);
    return CLM_OK;
}

void clm_resample_free(clm_resample *scratch) {
    free(scratch->rows);
    *scratch = (clm_resample){0};
}

void clm_image_turn(const uint8_t *in, int size, int turns, float *out) {
    int n = size - 1;
    ptrdiff_t from, along, down; /* out(y, x) = in[from + x along + y down] */
    switch (turns & 3) {
    case 0: from = 0, along = 1, down = size; break;
    case 1: from = n, along = size, down = -1; break;
    case 2: from = (ptrdiff_t)size * size - 1, along = -1, down = -size; break;
    default: from = (ptrdiff_t)n * size, along = -size, down = 1; break;
    }
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) out[(ptrdiff_t)y * size + x] = (float)in[from + x * along + y * down] / 255.0f;
}
