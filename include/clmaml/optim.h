/* Outer optimisers: update rules over all meta-parameters at once. */
#ifndef CLMAML_OPTIM_H
#define CLMAML_OPTIM_H

#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum clm_optim_kind { CLM_OPTIM_SGD, CLM_OPTIM_MOMENTUM, CLM_OPTIM_ADAM, CLM_OPTIM_ADAMW } clm_optim_kind;
typedef enum clm_clip {
    CLM_CLIP_NONE,
    CLM_CLIP_VALUE /* each element to +-clip */,
    CLM_CLIP_NORM /* global L2 norm to clip */
} clm_clip;

typedef struct clm_optim_options {
    clm_optim_kind kind;
    double lr;
    double momentum;          /* momentum */
    double beta1, beta2, eps; /* Adam, AdamW (Kingma and Ba 2015; Loshchilov and Hutter 2019) */
    double weight_decay;      /* AdamW: decoupled; others: added to the clipped gradient */
    clm_clip clip_kind;
    double clip;
    uint64_t cosine_iterations; /* 0: constant rate; otherwise lr falls to lr_min along half a cosine over so many updates */
    double lr_min;
} clm_optim_options;
#define CLM_OPTIM_OPTIONS_INIT \
    { CLM_OPTIM_ADAM, 1e-3, 0.9, 0.9, 0.999, 1e-8, 0.0, CLM_CLIP_NONE, 0.0, 0, 0.0 }

/* The rate of update t = 0, 1, .. */
CLM_API double clm_optim_rate(const clm_optim_options *options, uint64_t t);

#ifdef __cplusplus
}
#endif
#endif
