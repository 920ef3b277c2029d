/* y = a sin(x - p): the regression problem of Finn et al. 2017. a uniform in [0.1, 5], p in [0, pi], x in [-5, 5]. */
#include <stdlib.h>

#include "base/memory.h"
#include "data/source.h"
#include "data/trig.h"

static clm_status regress(const clm_source *source, clm_split split, clm_random task, clm_random *points, int count, float *x,
                          float *y) {
    (void)source;
    (void)split;
    double amplitude = 0.1 + 4.9 * clm_random_uniform(&task), phase = CLM_PI * clm_random_uniform(&task);
    for (int i = 0; i < count; i++) {
        float at = (float)(-5.0 + 10.0 * clm_random_uniform(points));
        if (x) x[i] = at;
        if (y) y[i] = (float)(amplitude * clm_sine((double)at - phase));
    }
    return CLM_OK;
}

static void destroy(clm_source *source) { free(source); }

static const clm_source_ops sine_ops = {.regress = regress, .destroy = destroy};

clm_status clm_source_sine(clm_source **out) {
    *out = NULL;
    clm_source *source = clm_calloc(1, sizeof *source);
    if (!source) return CLM_E_MEMORY;
    *source = (clm_source){.ops = &sine_ops, .name = "sine", .shape = clm_shape_of(1, 1)};
    source->description =
        clm_strdup("sine: y = a sin(x - p), a in [0.1, 5], p in [0, pi], x in [-5, 5]; endless, splits by random stream");
    if (!source->description) {
        clm_source_free(source);
        return CLM_E_MEMORY;
    }
    *out = source;
    return CLM_OK;
}
