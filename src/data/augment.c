/* Augmentation of training tasks, from counters: a run that goes on draws what it would have drawn.
 *
 * Where: a square of the picture, of a random share of its area and place, moved and perhaps mirrored, becomes the picture, by
 * bilinear interpolation; beyond an edge its pixels are repeated. Colour: values from 0 to 1 have their saturation, contrast and
 * brightness each multiplied by a factor of its own (Howard 2013), in this order, and are clamped. */
#include "data/augment.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"

bool clm_augment_is_on(const clm_augment_options *o) { return o->flip > 0 || o->shift > 0 || o->crop < 1 || o->jitter > 0; }

clm_status clm_augment_check(const clm_augment_options *o, const clm_source *source) {
    clm_preparation p;
    if (o->version != CLM_AUGMENT_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "augment: options of version %d; initialise them with CLM_AUGMENT_OPTIONS_INIT", o->version);
    if (!(o->flip >= 0 && o->flip <= 1)) return clm_fail(CLM_E_ARG, "augment: flip %g is no probability", o->flip);
    if (!(o->shift >= 0 && o->shift <= 1)) return clm_fail(CLM_E_ARG, "augment: shift %g must lie in [0, 1]", o->shift);
    if (!(o->crop > 0 && o->crop <= 1)) return clm_fail(CLM_E_ARG, "augment: crop %g must lie in (0, 1]", o->crop);
    if (!(o->jitter >= 0 && o->jitter < 1)) return clm_fail(CLM_E_ARG, "augment: jitter %g must lie in [0, 1)", o->jitter);
    if (!clm_augment_is_on(o) || clm_source_get_preparation(source, &p)) return CLM_OK;
    return clm_fail(CLM_E_ARG, "augment: the examples of %s are no pictures", clm_source_name(source));
}

/* ---- where ---- */

static float at(const float *plane, int size, int y, int x) {
    y = y < 0 ? 0 : y >= size ? size - 1 : y;
    x = x < 0 ? 0 : x >= size ? size - 1 : x;
    return plane[y * size + x];
}

static float between(const float *plane, int size, double y, double x) {
    const double fy = floor(y), fx = floor(x), ay = y - fy, ax = x - fx;
    const int iy = (int)fy, ix = (int)fx;
    const double top = (1 - ax) * (double)at(plane, size, iy, ix) + ax * (double)at(plane, size, iy, ix + 1);
    const double below = (1 - ax) * (double)at(plane, size, iy + 1, ix) + ax * (double)at(plane, size, iy + 1, ix + 1);
    return (float)((1 - ay) * top + ay * below);
}

/* The same numbers are drawn whatever the options, so that one option does not change what another draws. */
static void move(const clm_augment_options *o, clm_random *r, int channels, int size, float *x, float *scratch) {
    const bool mirrored = clm_random_uniform(r) < o->flip;
    const double side = sqrt(o->crop + (1 - o->crop) * clm_random_uniform(r)) * size;
    const double room_y = clm_random_uniform(r), room_x = clm_random_uniform(r);
    const double shift_y = floor((2 * clm_random_uniform(r) - 1) * (o->shift * size) + 0.5),
                 shift_x = floor((2 * clm_random_uniform(r) - 1) * (o->shift * size) + 0.5);
    const double scale = side / size, y0 = (size - side) * room_y + shift_y, x0 = (size - side) * room_x + shift_x;
    const size_t area = (size_t)size * (size_t)size;
    if (!mirrored && o->shift == 0 && o->crop == 1) return;
    memcpy(scratch, x, area * (size_t)channels * sizeof *x);
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++) {
                const int k = mirrored ? size - 1 - j : j;
                *x++ = between(scratch + (size_t)c * area, size, y0 + (i + 0.5) * scale - 0.5, x0 + (k + 0.5) * scale - 0.5);
            }
}

/* ---- colour ---- */

static double factor(clm_random *r, double jitter) { return 1 + jitter * (2 * clm_random_uniform(r) - 1); }

static double luma(const double *v, int channels) { return channels == 3 ? 0.299 * v[0] + 0.587 * v[1] + 0.114 * v[2] : v[0]; }

static void jitter(const clm_augment_options *o, clm_random *r, const clm_preparation *p, float *x) {
    const size_t area = (size_t)p->size * (size_t)p->size;
    const double saturation = factor(r, o->jitter), contrast = factor(r, o->jitter), brightness = factor(r, o->jitter);
    double mean = 0, v[3] = {0};
    if (o->jitter == 0) return;
    for (size_t i = 0; i < area; i++) {
        for (int c = 0; c < p->channels; c++) v[c] = (double)x[(size_t)c * area + i] * p->deviation[c] + p->mean[c];
        mean += luma(v, p->channels) / (double)area;
    }
    for (size_t i = 0; i < area; i++) {
        for (int c = 0; c < p->channels; c++) v[c] = (double)x[(size_t)c * area + i] * p->deviation[c] + p->mean[c];
        const double grey = luma(v, p->channels);
        for (int c = 0; c < p->channels; c++) {
            const double coloured = grey + (v[c] - grey) * saturation,
                         whole = (mean + (coloured - mean) * contrast) * brightness;
            const double kept = whole < 0 ? 0 : whole > 1 ? 1 : whole;
            x[(size_t)c * area + i] = (float)((kept - p->mean[c]) / p->deviation[c]);
        }
    }
}

void clm_augment_picture(const clm_augment_options *o, const clm_source *source, uint64_t seed, uint64_t task, uint64_t example,
                         float *x, float *scratch) {
    const clm_preparation *p = &source->preparation;
    const uint64_t name[] = {seed, task};
    clm_random r = clm_random_make(clm_hash(clm_hash_text(CLM_HASH_SEED, "augment"), name, sizeof name), example);
    move(o, &r, p->channels, p->size, x, scratch);
    jitter(o, &r, p, x);
}
