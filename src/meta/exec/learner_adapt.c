/* A learner from a file adapts. From a run with several initialisations it begins with the one whose support loss is lowest after the
 * steps; that is the one that one more inner step would begin with, as in training. */
#include <math.h>

#include "meta/exec/learner.h"

static clm_status try_start(clm_learner *l, int start, const float *support_x, const float *support_y, double *loss) {
    CLM_TRY(clm_learner_set_params(l, l->use->starts[start]));
    CLM_TRY(clm_learner_begin(l, support_x, support_y));
    for (int k = 0; k < l->use->steps; k++) CLM_TRY(clm_learner_step(l, NULL));
    return clm_learner_step(l, loss);
}

static clm_status choose(clm_learner *l, const float *support_x, const float *support_y) {
    double least = INFINITY;
    l->use->chosen = 0;
    for (int s = 0; s < l->use->n_starts; s++) {
        double loss;
        CLM_TRY(try_start(l, s, support_x, support_y, &loss));
        if (!(loss < least)) continue;
        least = loss;
        l->use->chosen = s;
    }
    return clm_learner_set_params(l, l->use->starts[l->use->chosen]);
}

clm_status clm_learner_adapt(clm_learner *l, const float *support_x, const float *support_y) {
    if (!l->use)
        return clm_fail(CLM_E_STATE, "learner: it comes from no file; clm_learner_begin and clm_learner_step adapt it");
    if (l->use->adapted) return clm_fail(CLM_E_STATE, "learner: the model of this file is adapted already; load a checkpoint");
    if (l->use->starts) CLM_TRY(choose(l, support_x, support_y));
    CLM_TRY(clm_learner_begin(l, support_x, support_y));
    for (int k = 0; k < l->use->steps; k++) CLM_TRY(clm_learner_step(l, NULL));
    return clm_learner_freeze(l);
}
