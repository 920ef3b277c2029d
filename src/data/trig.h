/* Sine and cosine of plain IEEE arithmetic. The system's mathematical library differs from machine to machine in last bits; a
 * task has to be the same everywhere. */
#ifndef CLM_DATA_TRIG_H
#define CLM_DATA_TRIG_H

#include <math.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF /* a fused multiply-add would change last bits; gcc fuses nothing under -std=c11 */
#endif

#define CLM_PI 3.14159265358979323846

/* x = k pi + t, |t| <= pi/2; Taylor series to t^21, error below 1e-15 for moderate x. */
static inline double clm_sine(double x) {
    double k = floor(x / CLM_PI + 0.5), t = x - k * CLM_PI, t2 = t * t, sum = 1.0;
    for (int n = 20; n >= 2; n -= 2) sum = 1.0 - sum * t2 / (n * (n + 1));
    return fmod(k, 2.0) == 0.0 ? t * sum : -t * sum;
}

static inline double clm_cosine(double x) { return clm_sine(x + 0.5 * CLM_PI); }

#endif
