/* A task in a graph: its examples, what its loss makes of them. */
#include <stdio.h>

#include "meta/algorithm/algorithm.h"
#include "meta/loss.h"

static clm_shape with_count(clm_shape one, int count) {
    clm_shape s = {.rank = one.rank + 1};
    s.dim[0] = count;
    for (int i = 0; i < one.rank; i++) s.dim[i + 1] = one.dim[i];
    return s;
}

clm_shape clm_task_target_shape(const clm_task *t) {
    if (t->loss->labels) return (clm_shape){0};
    return t->loss->target ? t->loss->target(t) : clm_model_out_shape(t->model);
}

clm_examples clm_task_examples(const clm_task *t, clm_graph *g, const char *name, int count) {
    clm_examples e = {.mask = CLM_INVALID, .outputs = CLM_INVALID, .dropout = {CLM_INVALID, 0}};
    char label[64];
    snprintf(label, sizeof label, "%s.x", name);
    e.x = clm_input(g, label, with_count(clm_model_inner_in_shape(t->model), count), true);
    snprintf(label, sizeof label, "%s.y", name);
    e.y = clm_input(g, label, with_count(clm_task_target_shape(t), count), true);
    return e;
}

clm_value clm_task_dropout_key(const clm_task *t, clm_graph *g) {
    if (!clm_model_has_dropout(t->model)) return CLM_INVALID;
    return clm_input(g, "dropout", clm_shape_of(1, CLM_DROPOUT_KEY), true);
}

static const clm_dropout *dropout_of(const clm_examples *e) { return e->dropout.key == CLM_INVALID ? NULL : &e->dropout; }

/* A gather rather than a product: not even NaN comes through. */
clm_examples clm_task_masked(clm_graph *g, clm_examples e, clm_value rows, clm_value outputs) {
    if (rows == CLM_INVALID) return e;
    e.mask = clm_step(g, clm_affine(g, rows, 1, 0.5));
    e.outputs = outputs;
    e.x = clm_gather(g, e.x, rows, 0);
    e.y = clm_gather(g, e.y, rows, 0);
    return e;
}

clm_value clm_task_count(clm_graph *g, clm_examples e) {
    return e.mask == CLM_INVALID ? clm_const(g, clm_value_shape(g, e.x).dim[0]) : clm_sum_all(g, e.mask);
}

/* Statistics are of what counts; own: where nobody asks for them. */
static clm_bn_stats *masked_stats(const clm_examples *e, clm_bn_stats *stats, clm_bn_stats *own) {
    if (e->mask == CLM_INVALID) return stats;
    if (!stats) stats = own;
    stats->masked = true;
    stats->mask = e->mask;
    return stats;
}

clm_value clm_task_apply(const clm_task *t, clm_graph *g, const clm_value *theta, clm_examples e, clm_bn_stats *stats) {
    clm_bn_stats own = {0};
    return clm_model_apply_dropout(t->model, g, theta, e.x, masked_stats(&e, stats, &own), dropout_of(&e));
}

clm_value clm_task_features(const clm_task *t, clm_graph *g, const clm_value *theta, clm_examples e) {
    clm_bn_stats own = {0};
    return clm_model_features_dropout(t->model, g, theta, e.x, masked_stats(&e, NULL, &own), dropout_of(&e));
}

clm_scored clm_task_score_output(const clm_task *t, clm_graph *g, const clm_value *theta, clm_value out, clm_examples e) {
    clm_scored s = {.out = out, .accuracy = CLM_INVALID};
    const bool masked = e.mask != CLM_INVALID;
    s.loss = masked ? t->loss->masked(t, g, theta, out, e) : t->loss->build(t, g, theta, out, e.y, t->options.loss.reduction);
    if (t->loss->labels) s.accuracy = masked ? clm_masked_accuracy(g, out, e) : clm_accuracy(g, out, e.y);
    return s;
}

clm_scored clm_task_score(const clm_task *t, clm_graph *g, const clm_value *theta, clm_examples e) {
    return clm_task_score_output(t, g, theta, clm_task_apply(t, g, theta, e, NULL), e);
}
