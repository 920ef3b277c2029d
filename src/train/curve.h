/* The learning curve of a run as an SVG picture. */
#ifndef CLM_TRAIN_CURVE_H
#define CLM_TRAIN_CURVE_H

#include "train/metrics.h"

typedef struct clm_curve {
    const char *title, *subtitle;
    bool regression; /* mean squared error on a logarithmic axis instead of accuracy */
    bool adapts;     /* there are inner steps */
    double chance;   /* accuracy of guessing; 0: not drawn */
} clm_curve;

clm_status clm_curve_write(const char *path, const clm_curve *curve, const clm_metrics *metrics);

#endif
