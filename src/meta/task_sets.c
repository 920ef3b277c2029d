/* The sets of examples of a batch on the host: which of them count, and whether what counts can be. */
#include <math.h>

#include "meta/task.h"

clm_set clm_task_set(const clm_task *t, bool query, const clm_task_size *sizes) {
    const int support = t->options.support, of_query = t->options.query;
    return query ? (clm_set){"query", of_query, of_query, true, sizes}
                 : (clm_set){"support", clm_task_support(t), support, false, sizes};
}

/* Of every part of a task's set. */
static int counting(const clm_set *s, size_t task) {
    return !s->sizes ? s->part : s->query ? s->sizes[task].query : s->sizes[task].support;
}

static bool counts(const clm_set *s, size_t task, size_t example) {
    return example % (size_t)s->part < (size_t)counting(s, task);
}

static clm_status check_size(const clm_task *t, size_t task, const clm_task_size *size) {
    const clm_task_options *o = &t->options;
    const int classes = clm_task_classes(t);
    if (size->support < 1 || size->support > o->support)
        return clm_fail(CLM_E_ARG, "sizes: task %zu has %d support examples; 1 to %d (support) are possible", task,
                        (int)size->support, o->support);
    if (size->query < 1 || size->query > o->query)
        return clm_fail(CLM_E_ARG, "sizes: task %zu has %d query examples; 1 to %d (query) are possible", task,
                        (int)size->query, o->query);
    if (size->ways && !classes)
        return clm_fail(CLM_E_ARG, "sizes: task %zu has %d ways, and the loss %s has no classes; give 0", task, (int)size->ways,
                        o->loss.name);
    if (size->ways < 0 || size->ways > classes)
        return clm_fail(CLM_E_ARG, "sizes: task %zu has %d ways; 1 to %d are told apart", task, (int)size->ways, classes);
    return CLM_OK;
}

clm_status clm_task_check_sizes(const clm_task *t, int tasks, const clm_task_size *sizes) {
    if (sizes && !t->options.uneven)
        return clm_fail(CLM_E_ARG, "sizes: tasks are planned as of one size; set clm_task_options.uneven");
    for (size_t i = 0; sizes && i < (size_t)tasks; i++) CLM_TRY(check_size(t, i, &sizes[i]));
    return CLM_OK;
}

static int ways_of(const clm_task *t, const clm_task_size *size) {
    return size && size->ways ? size->ways : clm_task_classes(t);
}

clm_status clm_task_check_labels(const clm_task *t, int tasks, const clm_set *set, const float *labels) {
    if (!clm_task_classes(t)) return CLM_OK;
    for (size_t i = 0; i < (size_t)tasks; i++) {
        const int ways = ways_of(t, set->sizes ? &set->sizes[i] : NULL);
        for (size_t e = 0; e < (size_t)set->examples; e++) {
            const float y = labels[i * (size_t)set->examples + e];
            if (!counts(set, i, e) || (y >= 0 && y < (float)ways && y == floorf(y))) continue;
            return clm_fail(CLM_E_ARG, "task %zu, %s example %zu has the label %g; the %s classes are 0 to %d", i, set->name, e,
                            (double)y, set->sizes ? "task's" : "model's", ways - 1);
        }
    }
    return CLM_OK;
}

clm_status clm_task_check_tokens(const clm_task *t, int tasks, const clm_set *set, const float *x) {
    const clm_shape in = clm_model_in_shape(t->model);
    const size_t size = clm_shape_size(&in), examples = (size_t)set->examples, part = (size_t)set->part;
    clm_status status = CLM_OK;
    if (!set->sizes) status = clm_model_check_tokens(t->model, x, (size_t)tasks * examples * size);
    for (size_t p = 0; set->sizes && p < (size_t)tasks * examples / part && status == CLM_OK; p++)
        status = clm_model_check_tokens(t->model, x + p * part * size, (size_t)counting(set, p / (examples / part)) * size);
    return status == CLM_OK ? CLM_OK : clm_fail_in(status, "the %s set", set->name);
}

void clm_task_fill_rows(const clm_set *set, size_t task, float *rows) {
    for (size_t e = 0; e < (size_t)set->part; e++) rows[e] = counts(set, task, e) ? (float)e : -1;
}

void clm_task_fill_outputs(const clm_task *t, const clm_task_size *size, float *outputs) {
    const int classes = clm_task_classes(t), ways = ways_of(t, size);
    for (int j = 0; j < classes; j++) outputs[j] = j < ways;
}
