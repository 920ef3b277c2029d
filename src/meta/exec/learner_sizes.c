/* Uneven tasks of a learner: which examples and outputs of each count. */
#include <stdlib.h>

#include "base/memory.h"
#include "meta/exec/learner.h"

clm_status clm_learner_make_counting(clm_learner *l) {
    const clm_task *t = &l->task;
    const int size[3] = {t->options.support, t->options.query, clm_task_classes(t)};
    if (!t->options.uneven) return CLM_OK;
    if (!(l->sizes = clm_calloc((size_t)l->options.tasks, sizeof *l->sizes))) return CLM_E_MEMORY;
    for (int i = 0; i < 3; i++)
        if (size[i]) CLM_TRY(clm_tensor_create(&l->counting[i], l->device, clm_shape_of(1, size[i]), l->options.tasks));
    return CLM_OK;
}

/* which: rows of the support set, of the query set, outputs. */
static clm_status write_counting(clm_learner *l, int which, float *at) {
    const size_t tasks = (size_t)l->options.tasks, n = clm_tensor_size(l->counting[which]) / tasks;
    const clm_set set = clm_task_set(&l->task, which == 1, l->sizes);
    for (size_t t = 0; t < tasks; t++)
        if (which < 2)
            clm_task_fill_rows(&set, t, at + t * n);
        else
            clm_task_fill_outputs(&l->task, &l->sizes[t], at + t * n);
    return clm_tensor_write(l->counting[which], at, tasks * n);
}

static clm_status set_sizes(clm_learner *l, const clm_task_size *sizes) {
    const clm_task_size whole = {0, l->task.options.support, l->task.options.query};
    clm_status status = CLM_OK;
    if (!l->sizes) return clm_fail(CLM_E_STATE, "learner: tasks are planned as of one size; set clm_task_options.uneven");
    CLM_TRY(clm_task_check_sizes(&l->task, l->options.tasks, sizes));
    for (int t = 0; t < l->options.tasks; t++) l->sizes[t] = sizes ? sizes[t] : whole;
    l->begun = false;
    for (int i = 0; i < 3 && status == CLM_OK; i++) {
        if (!l->counting[i]) continue;
        float *at = clm_calloc(clm_tensor_size(l->counting[i]), sizeof *at);
        status = at ? write_counting(l, i, at) : CLM_E_MEMORY;
        free(at);
    }
    return status;
}

clm_status clm_learner_set_sizes(clm_learner *l, const clm_task_size *sizes) { CLM_IN_DEVICE(l->device, set_sizes(l, sizes)); }
