/* Confidence intervals of means. */
#ifndef CLM_BASE_INTERVAL_H
#define CLM_BASE_INTERVAL_H

/* Half the width of the 95 % interval of the mean of n values with this sample variance, by Student's t with n - 1 degrees of freedom; NAN
 * where n < 2 or the variance is not finite. A variance below 0 by rounding counts as 0. */
double clm_interval_half(double variance, double n);

#endif
