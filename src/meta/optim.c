/* The schedule of the outer rate.
 *
 *   lr(t) = lr_min + (lr - lr_min) (1 + cos(pi t / T)) / 2   for t < T, lr_min from T on (Loshchilov and Hutter 2017) */
#include "clmaml/optim.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

double clm_optim_rate(const clm_optim_options *options, uint64_t t) {
    uint64_t end = options->cosine_iterations;
    if (end == 0) return options->lr;
    if (t >= end) return options->lr_min;
    return options->lr_min + (options->lr - options->lr_min) * 0.5 * (1 + cos(pi * (double)t / (double)end));
}
