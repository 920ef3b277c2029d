/* The families as one list, and how inputs are drawn. See op_cases.h. */
#include "support/op_cases.h"

#include <math.h>
#include <stdlib.h>

static const clm_op_family *const families[] = {&clm_test_elementwise_cases, &clm_test_shape_cases, &clm_test_matmul_cases,
                                                &clm_test_network_cases};
enum { FAMILY_COUNT = sizeof families / sizeof families[0] };

size_t clm_test_case_count(void) {
    size_t count = 0;
    for (size_t f = 0; f < FAMILY_COUNT; f++) count += families[f]->count;
    return count;
}

const clm_op_case *clm_test_case(size_t i) {
    for (size_t f = 0; f < FAMILY_COUNT; f++) {
        if (i < families[f]->count) return &families[f]->rows[i];
        i -= families[f]->count;
    }
    return NULL;
}

/* Shuffled points of a grid with step 1/128, each moved by at most 0.3 of a step; `phase` moves the whole grid. */
static void draw_grid(clm_random *random, double phase, double *data, size_t count) {
    uint32_t *order = malloc(count * sizeof *order);
    if (!order) abort();
    for (size_t i = 0; i < count; i++) order[i] = (uint32_t)i;
    clm_random_shuffle(random, order, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        data[i] = ((double)order[i] - (double)(count / 2) + phase + 0.3 * clm_random_uniform(random)) / 128;
    free(order);
}

static double draw_signed(clm_random *random, double low, double high) {
    double magnitude = low + (high - low) * clm_random_uniform(random);
    return clm_random_below(random, 2) ? magnitude : -magnitude;
}

static double draw_one(clm_test_draw draw, int limit, clm_random *random) {
    switch (draw) {
    case CLM_TEST_NORMAL: return clm_random_normal(random);
    case CLM_TEST_AWAY: return draw_signed(random, 0.4, 1.5);
    case CLM_TEST_POSITIVE: return 0.5 + 1.5 * clm_random_uniform(random);
    case CLM_TEST_WIDE: return draw_signed(random, 0.2, clm_random_below(random, 16) ? 3.0 : 95.0);
    case CLM_TEST_TIED: return (double)clm_random_below(random, 3) - 1.0;
    case CLM_TEST_INDEX: return (double)clm_random_below(random, (uint32_t)limit);
    case CLM_TEST_OUTSIDE:
        if (clm_random_below(random, 8)) return (double)clm_random_below(random, (uint32_t)limit);
        return clm_random_below(random, 2) ? -1.0 : (double)limit;
    case CLM_TEST_DISTINCT:
    case CLM_TEST_BETWEEN: break;
    }
    return NAN;
}

void clm_test_draw_input(clm_test_draw draw, int limit, clm_random *random, double *data, size_t count) {
    if (draw == CLM_TEST_DISTINCT || draw == CLM_TEST_BETWEEN) {
        draw_grid(random, draw == CLM_TEST_BETWEEN ? 0.5 : 0.0, data, count);
    } else {
        for (size_t i = 0; i < count; i++) data[i] = draw_one(draw, limit, random);
    }
    for (size_t i = 0; i < count; i++) data[i] = (double)(float)data[i];
}
