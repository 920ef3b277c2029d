/* One device's share of a meta-learner: flat vectors, views of them, an executable planned under a memory limit. */
#include <stdlib.h>

#include "base/memory.h"
#include "meta/internal.h"

static clm_status reserve_vectors(clm_share *m) {
    const clm_task *t = m->task;
    CLM_TRY(clm_tensor_reserve(&m->params, m->device, clm_shape_of(1, (int)t->elements), 0));
    CLM_TRY(clm_tensor_reserve(&m->grad, m->device, clm_shape_of(1, (int)t->learned), 0));
    m->value = clm_calloc(t->n_leaves, sizeof(clm_tensor *));
    m->gradient = clm_calloc(t->n_leaves, sizeof(clm_tensor *));
    if (!m->value || !m->gradient) return CLM_E_MEMORY;
    for (size_t l = 0; l < t->n_leaves; l++) {
        const clm_leaf *leaf = &t->leaves[l];
        CLM_TRY(clm_tensor_view(&m->value[l], m->params, leaf->at, leaf->shape, 0));
        if (leaf->learned) CLM_TRY(clm_tensor_view(&m->gradient[l], m->grad, leaf->at, leaf->shape, 0));
    }
    m->learned = m->params;
    if (t->learned == t->elements) return CLM_OK;
    m->learned = NULL;
    return clm_tensor_view(&m->learned, m->params, 0, clm_shape_of(1, (int)t->learned), 0);
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
    for (size_t l = 0; l < m->task->n_leaves; l++) {
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
    free(m);
}

clm_status clm_share_write_initial(clm_share *m) {
    const clm_task *t = m->task;
    double *data = clm_calloc(t->elements, sizeof *data), *outer = clm_calloc(t->elements, sizeof *outer);
    clm_status status = data && outer ? CLM_OK : CLM_E_MEMORY;
    for (size_t i = 0; i < t->n_entries && status == CLM_OK; i++) {
        clm_task_initial(t, i, 0, outer);
        clm_entry_to_inner(&t->entries[i], outer, data + t->entries[i].at);
    }
    if (status == CLM_OK) status = clm_tensor_write_f64(m->params, data, t->elements);
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
