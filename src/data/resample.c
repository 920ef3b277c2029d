/* Area resampling in whole numbers: result pixel j of m covers [j n, (j+1) n) and picture pixel i of n covers [i m, (i+1) m) in
 * units of 1/m of a picture pixel, so the overlaps are whole and their sum is exactly n. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/image.h"

/* The pixels first .. last of n that result pixel j of m touches, each m parts wide; `before` parts of the first and `after`
 * parts of the last are outside. */
typedef struct cover {
    uint32_t first, last, before, after;
} cover;

static cover cover_of(uint32_t j, uint32_t m, uint32_t n) {
    uint32_t low = j * n, high = low + n, first = low / m, last = (high - 1) / m;
    return (cover){first, last, low - first * m, (last + 1) * m - high};
}

/* One channel of a part of a picture, and of the part of the result that it becomes. */
typedef struct plane {
    const uint8_t *from;
    size_t step, row; /* bytes to the next pixel and to the next row */
    uint32_t w, h;
    uint8_t *to;
    size_t to_row;
    uint32_t mw, mh;
} plane;

/* One row of n pixels to m sums, each n times the mean: the pixels touched in full, less what is outside. */
static void resample_row(const uint8_t *row, size_t step, const cover *covers, uint32_t m, uint32_t *out) {
    for (uint32_t j = 0; j < m; j++) {
        cover c = covers[j];
        uint32_t sum = 0;
        for (uint32_t i = c.first; i <= c.last; i++) sum += row[i * step];
        out[j] = sum * m - c.before * row[c.first * step] - c.after * row[c.last * step];
    }
}

/* Those sums of h rows of a picture w wide to row j of the result. */
static void resample_column(const uint32_t *rows, const plane *p, uint32_t j) {
    cover c = cover_of(j, p->mh, p->h);
    uint64_t area = (uint64_t)p->w * p->h;
    uint8_t *out = p->to + (size_t)j * p->to_row;
    for (uint32_t x = 0; x < p->mw; x++) {
        uint64_t sum = 0;
        for (uint32_t i = c.first; i <= c.last; i++) sum += rows[(size_t)i * p->mw + x];
        sum = sum * p->mh - (uint64_t)c.before * rows[(size_t)c.first * p->mw + x] -
              (uint64_t)c.after * rows[(size_t)c.last * p->mw + x];
        out[x] = (uint8_t)((sum + area / 2) / area);
    }
}

static clm_status resample(clm_resample *scratch, const plane *p) {
    cover covers[CLM_IMAGE_LARGEST];
    CLM_TRY(clm_grow(&scratch->rows, &scratch->capacity, (size_t)p->h * p->mw, sizeof *scratch->rows));
    for (uint32_t j = 0; j < p->mw; j++) covers[j] = cover_of(j, p->mw, p->w);
    for (uint32_t y = 0; y < p->h; y++)
        resample_row(p->from + (size_t)y * p->row, p->step, covers, p->mw, scratch->rows + (size_t)y * p->mw);
    for (uint32_t j = 0; j < p->mh; j++) resample_column(scratch->rows, p, j);
    return CLM_OK;
}

/* Which part of the picture becomes which part of the result. */
static plane fit(const clm_image *image, const clm_preparation *prepared, uint8_t *out) {
    const uint32_t w = (uint32_t)image->width, h = (uint32_t)image->height, m = (uint32_t)prepared->size, less = w < h ? w : h;
    plane p = {
        .from = image->pixels, .step = (size_t)image->channels, .w = w, .h = h, .to = out, .to_row = m, .mw = m, .mh = m};
    p.row = w * p.step;
    if (prepared->fit == CLM_FIT_CROP) {
        p.from += (h - less) / 2 * p.row + (w - less) / 2 * p.step;
        p.w = p.h = less;
    } else if (prepared->fit == CLM_FIT_PAD) {
        const uint32_t more = w > h ? w : h;
        p.mw = (w * m + more / 2) / more;
        p.mh = (h * m + more / 2) / more;
        if (!p.mw) p.mw = 1;
        if (!p.mh) p.mh = 1;
        p.to += (size_t)((m - p.mh) / 2) * m + (m - p.mw) / 2;
    }
    return p;
}

/* All channels of the picture, [channels, size, size]. */
static clm_status make_planes(clm_resample *scratch, const clm_image *image, const clm_preparation *prepared, uint8_t *out) {
    const size_t area = (size_t)prepared->size * (size_t)prepared->size;
    if (prepared->fit == CLM_FIT_PAD) memset(out, prepared->background, area * (size_t)image->channels);
    plane p = fit(image, prepared, out);
    for (int c = 0; c < image->channels; c++, p.from++, p.to += area) CLM_TRY(resample(scratch, &p));
    return CLM_OK;
}

/* Weights in 1/65536, which add up to 1: grey stays as it is. */
void clm_image_luma(const uint8_t *planes, size_t area, uint8_t *out) {
    for (size_t i = 0; i < area; i++)
        out[i] = (uint8_t)((19595u * planes[i] + 38470u * planes[area + i] + 7471u * planes[2 * area + i] + 32768u) >> 16);
}

clm_status clm_image_prepare(clm_resample *scratch, const clm_image *image, const clm_preparation *p, uint8_t *out) {
    const size_t area = (size_t)p->size * (size_t)p->size;
    assert(p->size >= 1 && p->size <= CLM_IMAGE_LARGEST && (p->channels == 1 || p->channels == 3));
    assert(image->channels == 1 || image->channels == 3);
    if (image->channels > p->channels) {
        CLM_TRY(clm_grow(&scratch->planes, &scratch->planes_capacity, 3 * area, 1));
        CLM_TRY(make_planes(scratch, image, p, scratch->planes));
        clm_image_luma(scratch->planes, area, out);
    } else {
        CLM_TRY(make_planes(scratch, image, p, out));
        for (int c = image->channels; c < p->channels; c++) memcpy(out + (size_t)c * area, out, area);
    }
    for (size_t i = 0; p->invert && i < area * (size_t)p->channels; i++) out[i] = (uint8_t)(255 - out[i]);
    return CLM_OK;
}

clm_status clm_image_resample(clm_resample *scratch, const clm_image *image, int size, bool invert, uint8_t *out) {
    const clm_preparation p = {.size = size, .channels = 1, .fit = CLM_FIT_STRETCH, .invert = invert};
    return clm_image_prepare(scratch, image, &p, out);
}

void clm_image_values(const clm_preparation *p, int channel, float values[256]) {
    const double mean = p->mean[channel], deviation = p->deviation[channel];
    const bool plain = mean == 0 && deviation == 1;
    for (int i = 0; i < 256; i++) values[i] = plain ? (float)i / 255.0f : (float)((i / 255.0 - mean) / deviation);
}

void clm_resample_free(clm_resample *scratch) {
    free(scratch->rows);
    free(scratch->planes);
    *scratch = (clm_resample){0};
}

void clm_image_turn_by(const uint8_t *in, int height, int width, int turns, const float values[256], float *out) {
    const ptrdiff_t w = width, last = (ptrdiff_t)height * width - 1;
    ptrdiff_t from, along, down; /* out(y, x) = in[from + x along + y down] */
    assert(turns % 4 == 0 || height == width);
    switch (turns & 3) {
    case 0: from = 0, along = 1, down = w; break;
    case 1: from = w - 1, along = w, down = -1; break;
    case 2: from = last, along = -1, down = -w; break;
    default: from = last - (w - 1), along = -w, down = 1; break;
    }
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) out[(ptrdiff_t)y * width + x] = values[in[from + x * along + y * down]];
}

void clm_image_turn(const uint8_t *in, int size, int turns, float *out) {
    float values[256];
    for (int i = 0; i < 256; i++) values[i] = (float)i / 255.0f;
    clm_image_turn_by(in, size, size, turns, values, out);
}
