/* Seeds, random numbers, norms and comparisons for tests. */
#ifndef CLM_TEST_NUMBERS_H
#define CLM_TEST_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CLMAML_TEST_SEED, or a fresh one drawn from the clock; printed when first asked for, so that a failure can be repeated. Ask
 * once before Check forks. */
uint64_t clm_test_seed(void);
/* CLMAML_TEST_TINY is set: small shapes only, for implementations a thousand times slower than the hardware. */
bool clm_test_tiny(void);

double clm_test_norm(const double *a, size_t n);
double clm_test_dot(const double *a, const double *b, size_t n);
/* ||a - b|| / max(||a||, ||b||); 0 when both are zero, infinite when any element is not finite. */
double clm_test_difference(const double *a, const double *b, size_t n);

#endif
