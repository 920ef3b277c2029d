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

/* A part of a picture, and the part of the result that it becomes. */
typedef struct part {
    const uint8_t *from;  /* channels side by side */
    size_t channels, row; /* bytes to the next pixel and to the next row */
    uint32_t w, h;
    uint8_t *to; /* one channel behind the other, `area` apart */
    size_t to_row, area;
    uint32_t mw, mh;
} part;

enum { MOST_SHORT = 257 }; /* bytes that add up to 16 bits */

static void add_short(const part *p, const uint8_t *first, const uint8_t *last, uint16_t *restrict sums) {
    const size_t n = p->w * p->channels, stride = p->row;
    for (size_t x = 0; x < n; x++) sums[x] = first[x];
    for (const uint8_t *row = first; row < last;) {
        row += stride;
        for (size_t x = 0; x < n; x++) sums[x] = (uint16_t)(sums[x] + row[x]);
    }
}

static void add_long(const part *p, const uint8_t *first, const uint8_t *last, uint32_t *restrict sums) {
    const size_t n = p->w * p->channels, stride = p->row;
    for (size_t x = 0; x < n; x++) sums[x] = first[x];
    for (const uint8_t *row = first; row < last;) {
        row += stride;
        for (size_t x = 0; x < n; x++) sums[x] += row[x];
    }
}

/* The rows of the picture that row j of the result touches, to one of sums, each h times the mean: those touched in full, less
 * what is outside. Rows come before columns, as neighbours in memory are added up many at a time. */
static void sum_rows(const part *p, uint32_t j, uint32_t *restrict sums, uint16_t *restrict shorts) {
    const cover c = cover_of(j, p->mh, p->h);
    const uint8_t *restrict first = p->from + c.first * p->row, *restrict last = p->from + c.last * p->row;
    const size_t n = p->w * p->channels;
    const uint32_t mh = p->mh;
    if (c.last - c.first < MOST_SHORT) {
        add_short(p, first, last, shorts);
        for (size_t x = 0; x < n; x++) sums[x] = shorts[x] * mh - c.before * first[x] - c.after * last[x];
    } else {
        add_long(p, first, last, sums);
        for (size_t x = 0; x < n; x++) sums[x] = sums[x] * mh - c.before * first[x] - c.after * last[x];
    }
}

/* n / d to the nearest, where the quotient is small: the estimate is at most one off. */
static inline uint8_t divide(uint64_t n, uint64_t d, double inverse) {
    n += d / 2;
    const int64_t q = (int64_t)((double)n * inverse), rest = (int64_t)(n - (uint64_t)q * d);
    return (uint8_t)(q + (rest >= (int64_t)d) - (rest < 0));
}

/* That row of sums to row j of the result, each pixel w h times its mean, by differences of running sums. */
static void sum_columns(const part *p, uint32_t j, const cover *restrict covers, const uint32_t *restrict sums,
                        uint64_t *restrict running) {
    const uint64_t area = (uint64_t)p->w * p->h;
    const double inverse = 1.0 / (double)area;
    const size_t channels = p->channels;
    const uint32_t w = p->w, mw = p->mw;
    for (size_t k = 0; k < channels; k++, sums++) {
        uint8_t *restrict out = p->to + k * p->area + (size_t)j * p->to_row;
        uint64_t so_far = 0;
        for (uint32_t x = 0; x < w; x++) {
            running[x] = so_far;
            so_far += sums[x * channels];
        }
        running[w] = so_far;
        for (uint32_t x = 0; x < mw; x++) {
            const cover c = covers[x];
            const uint64_t sum = (running[c.last + 1] - running[c.first]) * mw;
            const uint64_t outside =
                (uint64_t)c.before * sums[c.first * channels] + (uint64_t)c.after * sums[c.last * channels];
            out[x] = divide(sum - outside, area, inverse);
        }
    }
}

static clm_status resample(clm_resample *scratch, const part *p) {
    cover covers[CLM_IMAGE_LARGEST];
    const size_t n = (p->w + 1) * p->channels;
    CLM_TRY(clm_grow(&scratch->rows, &scratch->capacity, n, sizeof *scratch->rows));
    CLM_TRY(clm_grow(&scratch->shorts, &scratch->shorts_capacity, n, sizeof *scratch->shorts));
    CLM_TRY(clm_grow(&scratch->running, &scratch->running_capacity, n, sizeof *scratch->running));
    for (uint32_t x = 0; x < p->mw; x++) covers[x] = cover_of(x, p->mw, p->w);
    for (uint32_t j = 0; j < p->mh; j++) {
        sum_rows(p, j, scratch->rows, scratch->shorts);
        sum_columns(p, j, covers, scratch->rows, scratch->running);
    }
    return CLM_OK;
}

/* Which part of the picture becomes which part of the result. */
static part fit(const clm_image *image, const clm_preparation *prepared, uint8_t *out) {
    const uint32_t w = (uint32_t)image->width, h = (uint32_t)image->height, m = (uint32_t)prepared->size, less = w < h ? w : h;
    part p = {
        .from = image->pixels, .channels = (size_t)image->channels, .w = w, .h = h, .to = out, .to_row = m, .mw = m, .mh = m};
    p.area = (size_t)m * m;
    p.row = w * p.channels;
    if (prepared->fit == CLM_FIT_CROP) {
        p.from += (h - less) / 2 * p.row + (w - less) / 2 * p.channels;
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
    const part p = fit(image, prepared, out);
    return resample(scratch, &p);
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

void clm_image_values(double mean, double deviation, float values[256]) {
    const bool plain = mean == 0 && deviation == 1;
    for (int i = 0; i < 256; i++) values[i] = plain ? (float)i / 255.0f : (float)((i / 255.0 - mean) / deviation);
}

void clm_resample_free(clm_resample *scratch) {
    free(scratch->rows);
    free(scratch->shorts);
    free(scratch->running);
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
