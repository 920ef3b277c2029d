/* Reptile (Nichol et al. 2018): the meta-gradient is the mean over tasks of theta - theta_K, for an outer rule such as SGD.
 * With one task in a meta-batch it is the serial version. The query set is scored for the record and has no part in the
 * gradient. */
#include "meta/algorithm/algorithm.h"

static size_t stages(const clm_task *t, clm_stage *list) {
    const int K = t->options.steps;
    for (int k = 0; list && k < K; k++) list[k] = (clm_stage){CLM_STAGE_STEP, k};
    if (list) list[K] = (clm_stage){CLM_STAGE_QUERY, K};
    if (list) list[K + 1] = (clm_stage){CLM_STAGE_FINISH, K};
    return (size_t)K + 2;
}

static clm_status build_finish(clm_stages *s) {
    const clm_task *t = s->task;
    for (size_t i = 0; i < t->n; i++) {
        if (!t->entries[i].adapted) continue;
        clm_value end = clm_stage_get(s, (clm_slot){CLM_SLOT_THETA, t->options.steps, i});
        CLM_TRY(clm_stage_add_gradient(s, i, 0, clm_sub(s->g, clm_stage_param(s, i, 0), end)));
    }
    return clm_graph_status(s->g);
}

static clm_status build(clm_stages *s, const clm_stage *stage) {
    clm_value theta[CLM_MAX_PARAMS];
    clm_scored scored;
    if (stage->kind == CLM_STAGE_STEP) return clm_stage_make_step(s, stage->k);
    if (stage->kind == CLM_STAGE_QUERY) return clm_stage_score_query(s, stage->k, theta, &scored);
    return build_finish(s);
}

const clm_algorithm clm_algorithm_reptile = {
    .info = {"reptile", "Reptile", "Nichol et al. 2018", "all parameters", "all parameters", "3 F K", "independent of K"},
    .takes = CLM_TAKES(STEPS) | CLM_TAKES(INNER) | CLM_TAKES(MASKS) | CLM_TAKES(SUPPORT_PER_STEP),
    .stages = stages,
    .build = build,
};
