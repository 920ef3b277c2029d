/* A meta-gradient of a small network on made-up examples, on a device against the host reference. */
#ifndef CLI_GRADIENT_H
#define CLI_GRADIENT_H

#include "base/common.h"

/* Relative error that a meta-gradient may have. */
#define CLI_GRADIENT_TOLERANCE 1e-4

/* The relative error of the whole meta-gradient, of losses or of outputs, whichever is largest. `network` is the text of a model
 * file whose output has options->task.ways elements; the labels go round the classes. INFINITY where it is no number, or where
 * the gradient of the reference is nothing but zeros, which shows nothing. */
clm_status cli_gradient_compare(clm_device *device, clm_device *host, const char *network, const clm_meta_options *options,
                                double *error);

#endif
