/* Batches on their way to a device: the images themselves, copied for every chunk of tasks, or numbers of images of a data set that
 * stays there, from which a launch makes the chunk's tensors. Both leave the same bits in them. Images are written while the device
 * computes the chunk before: the batch must stay as it is until the device has been waited for. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "meta/internal.h"

size_t clm_feed_bytes(const clm_meta *m) {
    return m->data ? clm_pick_bytes(m->batch[0], m->batch[1]) + clm_pick_bytes(m->batch[2], m->batch[3]) : 0;
}

clm_status clm_feed_prepare(clm_meta *m) {
    const bool differs = clm_inner_input_differs(m->inner.model);
    const size_t support = clm_tensor_size(m->batch[0]), query = clm_tensor_size(m->batch[2]);
    for (int i = 0; i < 2 && m->data; i++)
        if (!m->pick[i]) CLM_TRY(clm_pick_create(&m->pick[i], m->data, m->batch[2 * i], m->batch[2 * i + 1], differs));
    if (m->packed && !m->packing && !(m->packing = clm_calloc(CLM_WRITE_TOGETHER, sizeof *m->packing))) return CLM_E_MEMORY;
    if (m->staging || !differs) return CLM_OK;
    m->staging = clm_calloc(support > query ? support : query, sizeof *m->staging);
    return m->staging ? CLM_OK : CLM_E_MEMORY;
}

void clm_feed_free(clm_meta *m) {
    for (int i = 0; i < 2; i++) clm_pick_free(m->pick[i]);
    m->pick[0] = m->pick[1] = NULL;
}

static clm_status check_set(const clm_meta *m, int tasks, const char *what, const float *x, const int32_t *at, const float *y,
                            int examples) {
    if (at && !m->data)
        return clm_fail(CLM_E_STATE, "meta: the %s set has numbers of images and there is no data set; see clm_meta_use_data",
                        what);
    if (!at && !x) return clm_fail(CLM_E_ARG, "meta: the %s set has neither images nor numbers of images", what);
    if (at) CLM_TRY(clm_dataset_check_numbers(m->data, tasks, what, at, examples));
    return clm_labels_check(&m->inner, tasks, what, y, examples);
}

clm_status clm_feed_check(const clm_meta *m, int tasks, const clm_batch *b) {
    CLM_TRY(check_set(m, tasks, "support", b->support_x, b->support_at, b->support_y, m->inner.support));
    return check_set(m, tasks, "query", b->query_x, b->query_at, b->query_y, m->inner.query);
}

static const float *part(const float *data, size_t at) { return data ? data + at : NULL; }

clm_batch clm_feed_part(const clm_meta *m, const clm_batch *batch) {
    size_t at[4];
    for (int i = 0; i < 4; i++) at[i] = clm_tensor_size(m->batch[i]) / (size_t)clm_tensor_tasks(m->batch[i]) * (size_t)m->first;
    clm_batch b = {.support_x = part(batch->support_x, at[0]),
                   .support_y = batch->support_y + at[1],
                   .query_x = part(batch->query_x, at[2]),
                   .query_y = batch->query_y + at[3]};
    if (batch->support_at) b.support_at = batch->support_at + (size_t)m->first * (size_t)m->inner.support;
    if (batch->query_at) b.query_at = batch->query_at + (size_t)m->first * (size_t)m->inner.query;
    return b;
}

/* Set 0: support, 1: query. */
static clm_status feed_set(clm_meta *m, int set, const float *x, const int32_t *at, const float *y, size_t chunk_index) {
    clm_tensor *to_x = m->batch[2 * set], *to_y = m->batch[2 * set + 1];
    const size_t examples = (size_t)(set ? m->inner.query : m->inner.support) * (size_t)m->plan.task_chunk;
    y += clm_tensor_size(to_y) * chunk_index;
    if (at) return clm_pick_run(m->pick[set], at + examples * chunk_index, y);
    x += clm_tensor_size(to_x) * chunk_index;
    const float *inner = clm_inner_input(m->inner.model, x, examples, m->staging);
    if (inner == x)
        CLM_TRY(clm_tensor_write_later(to_x, x, clm_tensor_size(to_x)));
    else /* there is room for one set */
        CLM_TRY(clm_tensor_write(to_x, inner, clm_tensor_size(to_x)));
    return clm_tensor_write_later(to_y, y, clm_tensor_size(to_y));
}

/* All four arrays in one transfer. */
static clm_status feed_packed(clm_meta *m, const clm_batch *b, size_t chunk_index) {
    const float *from[4] = {b->support_x, b->support_y, b->query_x, b->query_y};
    const size_t whole = clm_tensor_size(m->packed), at = chunk_index % (CLM_WRITE_TOGETHER / whole);
    if (at == 0 && chunk_index > 0) CLM_TRY(clm_device_finish(m->device)); /* what was packed before is on its way */
    float *const packing = m->packing + at * whole, *to = packing;
    for (int i = 0; i < 4; i++) {
        const size_t size = clm_tensor_size(m->batch[i]);
        const size_t examples = (size_t)(i < 2 ? m->inner.support : m->inner.query) * (size_t)m->plan.task_chunk;
        const float *data = from[i] + size * chunk_index;
        if (i % 2 == 0) data = clm_inner_input(m->inner.model, data, examples, m->staging);
        memcpy(to, data, size * sizeof *to);
        to += size;
    }
    return clm_tensor_write_later(m->packed, packing, whole);
}

clm_status clm_feed_chunk(clm_meta *m, const clm_batch *b, int chunk_index) {
    if (m->packed && !b->support_at && !b->query_at) return feed_packed(m, b, (size_t)chunk_index);
    CLM_TRY(feed_set(m, 0, b->support_x, b->support_at, b->support_y, (size_t)chunk_index));
    return feed_set(m, 1, b->query_x, b->query_at, b->query_y, (size_t)chunk_index);
}

/* ---- which data ---- */

/* NULL in *out: there is none. Parts of a divided device get copies. */
static clm_status find(const clm_meta *head, const clm_meta *m, clm_dataset *const *datasets, size_t n, const clm_dataset **out) {
    const clm_device *wanted = head->whole ? head->whole : m->device;
    *out = NULL;
    for (size_t i = 0; i < n; i++) {
        if (clm_dataset_device(datasets[i]) != wanted) continue;
        if (head->whole) return clm_dataset_on_sub_device(datasets[i], m->device, out);
        *out = datasets[i];
        break;
    }
    return CLM_OK;
}

static clm_status use(clm_meta *m, const clm_dataset *data) {
    clm_feed_free(m);
    m->plan.bytes -= clm_feed_bytes(m);
    m->data = data;
    m->plan.bytes += clm_feed_bytes(m);
    return m->prepared ? clm_feed_prepare(m) : CLM_OK;
}

clm_status clm_meta_use_data(clm_meta *head, clm_dataset *const *datasets, size_t n) {
    const clm_shape in = clm_model_in_shape(head->inner.model);
    clm_status status = CLM_OK;
    for (size_t s = 0; s < head->n_shares && n; s++) {
        const clm_dataset *data = NULL;
        CLM_TRY(find(head, head->shares[s], datasets, n, &data));
        if (!data)
            return clm_fail(CLM_E_ARG, "meta: no data set on %s, which computes a part", head->shares[s]->device->info.name);
        CLM_TRY(clm_dataset_check_shape(data, &in));
    }
    for (size_t s = 0; s < head->n_shares && status == CLM_OK; s++) {
        const clm_dataset *data = NULL;
        status = find(head, head->shares[s], datasets, n, &data);
        if (status == CLM_OK) status = use(head->shares[s], data);
    }
    for (size_t s = 0; s < head->n_shares && status != CLM_OK; s++) (void)use(head->shares[s], NULL);
    return status;
}
