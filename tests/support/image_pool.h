/* Images of a test's own, as bytes and as floats, and what the library is to make of them. Each program that includes it has its own. */
#ifndef CLM_TEST_IMAGE_POOL_H
#define CLM_TEST_IMAGE_POOL_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "meta/internal.h"

static uint64_t seed; /* clm_test_seed() */

enum { MOST_CHANNELS = 5 };

typedef struct pool {
    clm_images images;
    size_t size; /* of an image */
    uint8_t *bytes;
    float *floats, values[MOST_CHANNELS * 256];
} pool;

static pool pool_make(size_t count, int channels, int height, int width, bool bytes) {
    clm_random r = clm_random_make(seed, 7);
    pool p = {.images = {.count = count, .channels = channels, .height = height, .width = width}};
    p.size = (size_t)channels * (size_t)height * (size_t)width;
    p.bytes = calloc(count * p.size, 1);
    p.floats = calloc(count * p.size, sizeof *p.floats);
    for (int i = 0; i < 256; i++) p.values[i] = (float)(clm_random_normal(&r) / 3);
    for (size_t i = 0; i < count * p.size; i++) {
        p.bytes[i] = (uint8_t)clm_random_below(&r, 256);
        p.floats[i] = bytes ? p.values[p.bytes[i]] : (float)clm_random_normal(&r);
    }
    return p;
}

static const clm_images *pool_images(pool *p, bool bytes) {
    p->images.bytes = bytes ? p->bytes : NULL;
    p->images.values = bytes ? p->values : NULL;
    p->images.floats = bytes ? NULL : p->floats;
    return &p->images;
}

static void pool_free(pool *p) {
    free(p->bytes);
    free(p->floats);
}

/* Image `number`, in the order of the array: turned anticlockwise one quarter at a time. */
static void pool_image(const pool *p, int32_t number, float *out) {
    const clm_images *i = &p->images;
    const size_t area = (size_t)i->height * (size_t)i->width, n = (size_t)i->width;
    float *before = calloc(area, sizeof *before);
    memcpy(out, p->floats + (size_t)(number / 4) * p->size, p->size * sizeof *out);
    for (int turn = 0; turn < number % 4; turn++)
        for (float *plane = out; plane < out + p->size; plane += area) {
            memcpy(before, plane, area * sizeof *before);
            for (size_t y = 0; y < n; y++) /* the last column becomes the first row */
                for (size_t x = 0; x < n; x++) plane[y * n + x] = before[x * n + n - 1 - y];
        }
    free(before);
}

#endif
