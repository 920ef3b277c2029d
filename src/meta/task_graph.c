/* A task in a graph: its examples, what its loss makes of them. */
#include <math.h>
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
    clm_examples e;
    char label[64];
    snprintf(label, sizeof label, "%s.x", name);
    e.x = clm_input(g, label, with_count(clm_model_inner_in_shape(t->model), count), true);
    snprintf(label, sizeof label, "%s.y", name);
    e.y = clm_input(g, label, with_count(clm_task_target_shape(t), count), true);
    return e;
}

clm_scored clm_task_score_output(const clm_task *t, clm_graph *g, const clm_value *theta, clm_value out, clm_value y) {
    clm_scored s = {.out = out, .accuracy = CLM_INVALID};
    s.loss = t->loss->build(t, g, theta, out, y);
    if (t->loss->labels) s.accuracy = clm_accuracy(g, out, y);
    return s;
}

clm_scored clm_task_score(const clm_task *t, clm_graph *g, const clm_value *theta, clm_examples e) {
    return clm_task_score_output(t, g, theta, clm_model_apply(t->model, g, theta, e.x, NULL), e.y);
}

clm_status clm_task_check_labels(const clm_task *t, int tasks, const char *what, const float *labels, int examples) {
    const int classes = clm_task_classes(t);
    if (!classes) return CLM_OK;
    for (size_t e = 0; e < (size_t)examples * (size_t)tasks; e++) {
        float y = labels[e];
        if (y >= 0 && y < (float)classes && y == floorf(y)) continue;
        return clm_fail(CLM_E_ARG, "task %zu, %s example %zu has the label %g; the model's classes are 0 to %d",
                        e / (size_t)examples, what, e % (size_t)examples, (double)y, classes - 1);
    }
    return CLM_OK;
}
