/* Pieces that stages of several algorithms are made of. */
#include "meta/exec/stages.h"

#include <string.h>

#include "meta/algorithm/algorithm.h"

clm_status clm_stage_theta(clm_stages *s, int k, int row, clm_value *theta) {
    for (size_t i = 0; i < s->task->n; i++) {
        theta[i] = CLM_INVALID;
        if (s->task->entries[i].adapted) theta[i] = clm_stage_get(s, (clm_slot){CLM_SLOT_THETA, k, i});
        if (theta[i] == CLM_INVALID) theta[i] = clm_stage_param(s, i, row);
    }
    return clm_graph_status(s->g);
}

clm_status clm_stage_open_step(clm_stages *s, int k, clm_stage_step *st) {
    const clm_task *t = s->task;
    memset(st, 0xff, sizeof *st); /* CLM_INVALID */
    CLM_TRY(clm_stage_theta(s, k, k, st->theta));
    st->step = (clm_inner_step){.number = k + 1, .theta = st->theta, .grad = st->grad, .rate = st->rate};
    if (t->algorithm->takes & CLM_TAKES(PROXIMAL)) st->step.anchor = st->anchor;
    for (int c = 0; k > 0 && c < t->rule->state; c++) st->step.state[c] = st->state[c];
    for (size_t i = 0; i < t->n; i++) {
        if (!t->entries[i].adapted) continue;
        st->rate[i] = clm_stage_rate(s, i, k);
        st->anchor[i] = clm_stage_param(s, i, 0);
        for (int c = 0; k > 0 && c < t->rule->state; c++)
            st->state[c][i] = clm_stage_get(s, (clm_slot){CLM_SLOT_STATE + (clm_slot_kind)c, k, i});
    }
    st->scored = clm_task_score(t, s->g, st->theta, clm_stage_support(s, k));
    CLM_TRY(clm_graph_status(s->g));
    return clm_grad(s->g, st->scored.loss, st->theta, t->n, st->grad);
}

static clm_status read_support(clm_stages *s, int k, clm_scored scored) {
    CLM_TRY(clm_stage_read(s, CLM_Q_SUPPORT_LOSS, (size_t)k, scored.loss));
    if (k > 0 || scored.accuracy == CLM_INVALID) return CLM_OK;
    return clm_stage_read(s, CLM_Q_SUPPORT_ACCURACY, 0, scored.accuracy);
}

clm_status clm_stage_make_step(clm_stages *s, int k) {
    const clm_task *t = s->task;
    clm_value next[CLM_MAX_PARAMS], state[CLM_MAX_STATE][CLM_MAX_PARAMS];
    clm_value *const states[CLM_MAX_STATE] = {state[0], state[1]};
    clm_stage_step st;
    CLM_TRY(clm_stage_open_step(s, k, &st));
    CLM_TRY(clm_inner_step_apply(t, s->g, &st.step, next, states));
    CLM_TRY(read_support(s, k, st.scored));
    for (size_t i = 0; i < t->n; i++) {
        if (!t->entries[i].adapted) continue;
        /* a parameter that the loss does not read has a step that is the same for all tasks */
        CLM_TRY(clm_stage_put(s, (clm_slot){CLM_SLOT_THETA, k + 1, i}, clm_per_task(s->g, next[i])));
        for (int c = 0; c < t->rule->state; c++)
            CLM_TRY(clm_stage_put(s, (clm_slot){CLM_SLOT_STATE + (clm_slot_kind)c, k + 1, i}, clm_per_task(s->g, state[c][i])));
        if (k + 1 == t->options.steps) CLM_TRY(clm_stage_read(s, CLM_Q_ADAPTED, i, next[i]));
    }
    return clm_graph_status(s->g);
}

clm_status clm_stage_score_query(clm_stages *s, int k, clm_value *theta, clm_scored *scored) {
    const clm_task *t = s->task;
    const clm_examples query = clm_stage_query(s, k);
    CLM_TRY(clm_stage_theta(s, k, k > 0 ? k - 1 : 0, theta));
    if (t->algorithm->output)
        *scored =
            clm_task_score_output(t, s->g, theta, t->algorithm->output(t, s->g, theta, clm_stage_support(s, 0), query), query);
    else
        *scored = clm_task_score(t, s->g, theta, query);
    CLM_TRY(clm_graph_status(s->g));
    CLM_TRY(clm_stage_read(s, CLM_Q_QUERY_LOSS, (size_t)k, scored->loss));
    if (clm_task_adapts(t) && k < t->options.steps) return CLM_OK;
    if (scored->accuracy != CLM_INVALID) CLM_TRY(clm_stage_read(s, CLM_Q_QUERY_ACCURACY, 0, scored->accuracy));
    return clm_stage_read(s, CLM_Q_QUERY_LOGITS, 0, scored->out);
}
