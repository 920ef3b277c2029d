/* Small arithmetic on counts: not negative, and far from the ends of int. */
#ifndef CLM_BASE_INTEGERS_H
#define CLM_BASE_INTEGERS_H

static inline int clm_least(int a, int b) { return a < b ? a : b; }
static inline int clm_most(int a, int b) { return a > b ? a : b; }
static inline int clm_over(int a, int b) { return (a + b - 1) / b; }       /* a / b rounded up */
static inline int clm_rounded(int a, int b) { return clm_over(a, b) * b; } /* a rounded up to a multiple of b */

#endif
