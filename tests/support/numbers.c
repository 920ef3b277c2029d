/* See numbers.h. */
#include "support/numbers.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t clm_test_seed(void) {
    static uint64_t seed;
    static bool known;
    if (known) return seed;
    const char *text = getenv("CLMAML_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    seed = text && text[0] ? strtoull(text, NULL, 0) : ((uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec) % 1000000007u;
    known = true;
    printf("seed %" PRIu64 " (CLMAML_TEST_SEED=%" PRIu64 " repeats this run)\n", seed, seed);
    fflush(stdout);
    return seed;
}

bool clm_test_tiny(void) {
    const char *text = getenv("CLMAML_TEST_TINY");
    return text && text[0] && !(text[0] == '0' && !text[1]);
}

double clm_test_norm(const double *a, size_t n) { return sqrt(clm_test_dot(a, a, n)); }

double clm_test_dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

double clm_test_difference(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) return INFINITY;
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    double scale = fmax(clm_test_norm(a, n), clm_test_norm(b, n));
    return sum > 0 ? sqrt(sum) / scale : 0.0;
}
