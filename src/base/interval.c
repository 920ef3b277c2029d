#include "base/interval.h"

#include <math.h>
#include <stddef.h>

/* The 97.5 % quantile of Student's t. From 10 degrees of freedom on by its expansion around that of the normal distribution, z (Abramowitz
 * and Stegun, Handbook of Mathematical Functions, 26.7.5), within 4e-6 of it. */
static double quantile(double degrees) {
    static const double few[] = {12.706204736174676, 4.302652729749459, 3.182446305283706,
                                 2.7764451051977908, 2.570581835636314, 2.446911851144966,
                                 2.364624251592783,  2.306004135204166, 2.2621571627982036};
    const size_t n = sizeof few / sizeof *few;
    if (degrees < (double)(n + 1)) return few[(size_t)degrees - 1];
    const double z = 1.959963984540054, s = z * z, v = degrees;
    const double first = z * (s + 1) / 4, second = z * ((5 * s + 16) * s + 3) / 96,
                 third = z * (((3 * s + 19) * s + 17) * s - 15) / 384,
                 fourth = z * ((((79 * s + 776) * s + 1482) * s - 1920) * s - 945) / 92160;
    return z + (first + (second + (third + fourth / v) / v) / v) / v;
}

double clm_interval_half(double variance, double n) {
    if (n < 2 || !isfinite(variance)) return NAN;
    return quantile(n - 1) * sqrt(fmax(variance, 0) / n);
}
