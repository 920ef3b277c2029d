/* See draw.h. */
#include "check/draw.h"

#include <math.h>

/* The next number of splitmix64 (Steele, Lea and Flood 2014). */
static uint64_t next(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static double uniform(uint64_t *state) { return (double)(next(state) >> 11) * 0x1p-53; }

static size_t below(uint64_t *state, size_t n) { return (size_t)(uniform(state) * (double)n); }

/* Sum of twelve uniforms: near enough to normal, and needs no library function that differs between machines. */
static double normal(uint64_t *state) {
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += uniform(state);
    return sum;
}

static double from_both_signs(uint64_t *state, double low, double high) {
    double magnitude = low + (high - low) * uniform(state);
    return below(state, 2) ? magnitude : -magnitude;
}

uint64_t clm_draw_start(uint64_t seed, const char *text) {
    uint64_t state = seed;
    for (; *text; text++) state = next(&state) ^ (unsigned char)*text;
    return state;
}

/* Shuffled points of a grid with step 1/128, each moved by at most 0.3 of a step; `phase` moves the whole grid. */
static void draw_grid(uint64_t *state, double phase, double *data, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t k = below(state, i + 1);
        data[i] = data[k];
        data[k] = (double)i;
    }
    const size_t middle = count / 2;
    for (size_t i = 0; i < count; i++) data[i] = (data[i] - (double)middle + phase + 0.3 * uniform(state)) / 128;
}

static double draw_one(clm_draw draw, int limit, uint64_t *state) {
    switch (draw) {
    case CLM_DRAW_NORMAL: return normal(state);
    case CLM_DRAW_AWAY: return from_both_signs(state, 0.4, 1.5);
    case CLM_DRAW_POSITIVE: return 0.5 + 1.5 * uniform(state);
    case CLM_DRAW_WIDE: return from_both_signs(state, 0.2, below(state, 16) ? 3.0 : 95.0);
    case CLM_DRAW_TIED: return (double)below(state, 3) - 1.0;
    case CLM_DRAW_INDEX: return (double)below(state, (size_t)limit);
    case CLM_DRAW_OUTSIDE:
        if (below(state, 8)) return (double)below(state, (size_t)limit);
        return below(state, 2) ? -1.0 : (double)limit;
    case CLM_DRAW_DISTINCT:
    case CLM_DRAW_BETWEEN: break;
    }
    return NAN;
}

void clm_draw_fill(clm_draw draw, int limit, uint64_t *state, double *data, size_t count) {
    if (draw == CLM_DRAW_DISTINCT || draw == CLM_DRAW_BETWEEN) {
        draw_grid(state, draw == CLM_DRAW_BETWEEN ? 0.5 : 0.0, data, count);
    } else {
        for (size_t i = 0; i < count; i++) data[i] = draw_one(draw, limit, state);
    }
    for (size_t i = 0; i < count; i++) data[i] = (double)(float)data[i];
}
