/* The learning curve of a run as an SVG picture. */
#ifndef CLI_CURVE_H
#define CLI_CURVE_H

#include "train/metrics.h"

typedef struct cli_curve {
    const char *title, *subtitle;
    bool regression; /* mean squared error on a logarithmic axis instead of accuracy */
    bool adapts;     /* there are inner steps */
    double chance;   /* accuracy of guessing; 0: not drawn */
} cli_curve;

clm_status cli_curve_write(const char *path, const cli_curve *curve, const cli_metrics *metrics);

#endif
