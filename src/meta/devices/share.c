/* One device's share of a meta-learner: flat vectors, views of them, an executable planned under a memory limit. */
#include <stdlib.h>

#include "base/memory.h"
#include "meta/internal.h"

static clm_status reserve_vectors(clm_share *m) {
    const clm_task *t = m->task;
    const size_t learned = m->starts * t->learned, views = m->starts * t->n_leaves;
    if (m->starts * t->elements > INT32_MAX)
        return clm_fail(CLM_E_LIMIT,
                        "meta: %zu initialisations of %zu parameters and rates; fewer than 2^31 numbers are possible",
                        m->starts, t->elements);
    CLM_TRY(clm_tensor_reserve(&m->params, m->device, clm_shape_of(1, (int)(m->starts * t->elements)), 0));
    CLM_TRY(clm_tensor_reserve(&m->grad, m->device, clm_shape_of(1, (int)learned), 0));
    m->value = clm_calloc(views, sizeof(clm_tensor *));
    m->gradient = clm_calloc(views, sizeof(clm_tensor *));
    if (!m->value || !m->gradient) return CLM_E_MEMORY;
    for (size_t l = 0; l < views; l++) {
        const clm_leaf *leaf = &t->leaves[l % t->n_leaves];
        const size_t at = clm_flat_place(t, m->starts, l / t->n_leaves, leaf->at);
        CLM_TRY(clm_tensor_view(&m->value[l], m->params, at, leaf->shape, 0));
        if (leaf->learned) CLM_TRY(clm_tensor_view(&m->gradient[l], m->grad, at, leaf->shape, 0));
    }
    m->learned = m->params;
    if (t->learned == t->elements) return CLM_OK;
    m->learned = NULL;
    return clm_tensor_view(&m->learned, m->params, 0, clm_shape_of(1, (int)learned), 0);
}

clm_status clm_share_create(clm_share **out, clm_meta *meta, const clm_meta_share *share, int first,
                            const clm_request *request) {
    clm_status status = CLM_OK;
    *out = NULL;
    clm_share *m = clm_calloc(1, sizeof *m);
    if (!m) return CLM_E_MEMORY;
    m->device = share->device;
    m->task = &meta->task;
    m->request = *request;
    m->tasks = share->tasks;
    m->first = first;
    m->starts = meta->starts;
    m->place = meta->first + first;
    CLM_GOTO(reserve_vectors(m));
    if (!meta->n_shares) {
        m->optimizer = &meta->optimizer;
        CLM_GOTO(clm_optimizer_init(m->optimizer, m->device, m->learned, m->grad, &meta->options.optim));
        meta->options.optim = m->optimizer->options; /* the caller's strings may go */
    }
    CLM_GOTO(clm_plan_share(m));
    *out = m;
    m = NULL;
out:
    clm_share_free(m);
    return status;
}

void clm_share_free(clm_share *m) {
    if (!m) return;
    if (m->optimizer) clm_optimizer_free(m->optimizer);
    clm_exec_free(m);
    for (size_t l = 0; l < m->starts * m->task->n_leaves; l++) {
        if (m->value) clm_tensor_free(m->value[l]);
        if (m->gradient) clm_tensor_free(m->gradient[l]);
    }
    if (m->learned != m->params) clm_tensor_free(m->learned);
    clm_tensor_free(m->params);
    clm_tensor_free(m->grad);
    free(m->value);
    free(m->gradient);
    free(m->staging);
    free(m->packing);
    free(m->weights);
    free(m->sum);
    free(m->apart);
    free(m);
}

clm_status clm_share_write_initial(clm_share *m) {
    const clm_task *t = m->task;
    const size_t all = m->starts * t->elements;
    double *data = clm_calloc(all, sizeof *data), *outer = clm_calloc(t->elements, sizeof *outer);
    clm_status status = data && outer ? CLM_OK : CLM_E_MEMORY;
    for (size_t k = 0; k < m->starts * t->n_entries && status == CLM_OK; k++) {
        const size_t start = k / t->n_entries, i = k % t->n_entries;
        clm_task_initial(t, i, start, outer);
        clm_entry_to_inner(&t->entries[i], outer, data + clm_flat_place(t, m->starts, start, t->entries[i].at));
    }
    if (status == CLM_OK) status = clm_tensor_write_f64(m->params, data, all);
    free(data);
    free(outer);
    return status;
}

clm_status clm_share_prepare(clm_share *m) {
    if (m->prepared) return CLM_OK;
    CLM_TRY(clm_retry_prepare(m));
    if (m->optimizer) CLM_TRY(clm_share_write_initial(m));
    m->prepared = true;
    return CLM_OK;
}
