/* Batches on their way to a device: the images themselves, copied for every chunk of tasks, or numbers of images of a data set
 * that stays there, from which a launch makes the chunk's tensors. Both leave the same bits in them. Images are written while
 * the device computes the chunk before: the batch must stay as it is until the device has been waited for. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "meta/internal.h"

size_t clm_feed_bytes(const clm_share *m) {
    return m->data ? clm_pick_bytes(m->exec.batch[0], m->exec.batch[1]) + clm_pick_bytes(m->exec.batch[2], m->exec.batch[3])
                   : 0;
}

static clm_status prepare_counting(clm_share *m) {
    clm_exec *x = &m->exec;
    for (int i = 0; i < 3; i++) {
        if (!x->counting[i] || x->counting_at[i]) continue;
        const size_t n = clm_tensor_size(x->counting[i]) / (size_t)x->plan.task_chunk * (size_t)m->tasks;
        if (!(x->counting_at[i] = clm_calloc(n, sizeof(float)))) return CLM_E_MEMORY;
    }
    return CLM_OK;
}

clm_status clm_feed_prepare(clm_share *m) {
    const bool differs = clm_input_differs(m->task->model);
    const size_t support = clm_tensor_size(m->exec.batch[0]), query = clm_tensor_size(m->exec.batch[2]);
    for (size_t i = 0; i < 2 && m->data; i++)
        if (!m->exec.pick[i])
            CLM_TRY(clm_pick_create(&m->exec.pick[i], m->data, m->exec.batch[2 * i], m->exec.batch[2 * i + 1], differs));
    if (m->exec.packed && !m->packing && !(m->packing = clm_calloc(CLM_WRITE_TOGETHER, sizeof *m->packing)))
        return CLM_E_MEMORY;
    if (m->exec.keys && !m->exec.keys_at && !(m->exec.keys_at = clm_calloc((size_t)m->tasks * CLM_DROPOUT_KEY, sizeof(float))))
        return CLM_E_MEMORY;
    if (m->exec.chosen && !m->exec.chosen_at && !(m->exec.chosen_at = clm_calloc((size_t)m->tasks, sizeof(float))))
        return CLM_E_MEMORY;
    CLM_TRY(prepare_counting(m));
    if (m->staging || !differs) return CLM_OK;
    m->staging = clm_calloc(support > query ? support : query, sizeof *m->staging);
    return m->staging ? CLM_OK : CLM_E_MEMORY;
}

void clm_feed_free(clm_share *m) {
    for (int i = 0; i < 2; i++) clm_pick_free(m->exec.pick[i]);
    m->exec.pick[0] = m->exec.pick[1] = NULL;
}

static clm_status check_set(const clm_share *m, int tasks, const clm_set *set, const float *x, const int32_t *at,
                            const float *y) {
    if (at && !m->data)
        return clm_fail(CLM_E_STATE, "meta: the %s set has numbers of images and there is no data set; see clm_meta_use_data",
                        set->name);
    if (!at && !x) return clm_fail(CLM_E_ARG, "meta: the %s set has neither images nor numbers of images", set->name);
    if (at) CLM_TRY(clm_dataset_check_numbers(m->data, tasks, set->name, at, set->examples));
    if (!at) CLM_TRY(clm_task_check_tokens(m->task, tasks, set, x));
    return clm_task_check_labels(m->task, tasks, set, y);
}

clm_status clm_feed_check(const clm_share *m, int tasks, const clm_batch *b) {
    for (int t = 0; b->chosen && t < tasks; t++)
        if (b->chosen[t] < 0 || (size_t)b->chosen[t] >= m->starts)
            return clm_fail(CLM_E_ARG, "meta: task %d belongs to initialisation %d, of %zu, which count from 0", t,
                            (int)b->chosen[t], m->starts);
    const clm_set support = clm_task_set(m->task, false, b->sizes), query = clm_task_set(m->task, true, b->sizes);
    CLM_TRY(clm_task_check_sizes(m->task, tasks, b->sizes));
    CLM_TRY(check_set(m, tasks, &support, b->support_x, b->support_at, b->support_y));
    return check_set(m, tasks, &query, b->query_x, b->query_at, b->query_y);
}

static const float *part(const float *data, size_t at) { return data ? data + at : NULL; }

clm_batch clm_feed_part(const clm_share *m, const clm_batch *batch) {
    size_t at[4];
    for (int i = 0; i < 4; i++)
        at[i] = clm_tensor_size(m->exec.batch[i]) / (size_t)clm_tensor_tasks(m->exec.batch[i]) * (size_t)m->first;
    clm_batch b = {.support_x = part(batch->support_x, at[0]),
                   .support_y = batch->support_y + at[1],
                   .query_x = part(batch->query_x, at[2]),
                   .query_y = batch->query_y + at[3],
                   .sizes = batch->sizes ? batch->sizes + m->first : NULL};
    if (batch->support_at) b.support_at = batch->support_at + (size_t)m->first * (size_t)clm_task_support(m->task);
    if (batch->chosen) b.chosen = batch->chosen + m->first;
    if (batch->query_at) b.query_at = batch->query_at + (size_t)m->first * (size_t)m->task->options.query;
    return b;
}

/* Set 0: support, 1: query. */
static clm_status feed_set(clm_share *m, int set, const float *x, const int32_t *at, const float *y, size_t chunk_index) {
    clm_tensor *const *to = m->exec.batch + (set ? 2 : 0), *to_x = to[0], *to_y = to[1];
    const size_t examples =
        (size_t)(set ? m->task->options.query : clm_task_support(m->task)) * (size_t)m->exec.plan.task_chunk;
    y += clm_tensor_size(to_y) * chunk_index;
    if (at) return clm_pick_run(m->exec.pick[set], at + examples * chunk_index, y);
    x += clm_tensor_size(to_x) * chunk_index;
    const float *inner = clm_input_to_inner(m->task->model, x, examples, m->staging);
    if (inner == x)
        CLM_TRY(clm_tensor_write_later(to_x, x, clm_tensor_size(to_x)));
    else /* there is room for one set */
        CLM_TRY(clm_tensor_write(to_x, inner, clm_tensor_size(to_x)));
    return clm_tensor_write_later(to_y, y, clm_tensor_size(to_y));
}

/* All four arrays in one transfer. */
static clm_status feed_packed(clm_share *m, const clm_batch *b, size_t chunk_index) {
    const float *from[4] = {b->support_x, b->support_y, b->query_x, b->query_y};
    const size_t whole = clm_tensor_size(m->exec.packed), at = chunk_index % (CLM_WRITE_TOGETHER / whole);
    if (at == 0 && chunk_index > 0) CLM_TRY(clm_device_finish(m->device)); /* what was packed before is on its way */
    float *const packing = m->packing + at * whole, *to = packing;
    for (int i = 0; i < 4; i++) {
        const size_t size = clm_tensor_size(m->exec.batch[i]);
        const size_t examples =
            (size_t)(i < 2 ? clm_task_support(m->task) : m->task->options.query) * (size_t)m->exec.plan.task_chunk;
        const float *data = from[i] + size * chunk_index;
        if (i % 2 == 0) data = clm_input_to_inner(m->task->model, data, examples, m->staging);
        memcpy(to, data, size * sizeof *to);
        to += size;
    }
    return clm_tensor_write_later(m->exec.packed, packing, whole);
}

void clm_feed_make_chosen(clm_share *m, const clm_batch *b) {
    for (int t = 0; m->exec.chosen && t < m->tasks; t++) m->exec.chosen_at[t] = b->chosen ? (float)b->chosen[t] : 0;
}

static clm_status feed_chosen(clm_share *m, size_t chunk_index) {
    const size_t n = m->exec.chosen ? clm_tensor_size(m->exec.chosen) : 0;
    return n ? clm_tensor_write_later(m->exec.chosen, m->exec.chosen_at + n * chunk_index, n) : CLM_OK;
}

void clm_feed_make_keys(clm_share *m) {
    for (int t = 0; m->exec.keys && t < m->tasks; t++)
        clm_dropout_key(m->seed, m->updates, (uint32_t)(m->place + t), m->exec.keys_at + (size_t)t * CLM_DROPOUT_KEY);
}

static clm_status feed_keys(clm_share *m, size_t chunk_index) {
    const size_t n = m->exec.keys ? clm_tensor_size(m->exec.keys) : 0;
    return n ? clm_tensor_write_later(m->exec.keys, m->exec.keys_at + n * chunk_index, n) : CLM_OK;
}

void clm_feed_make_counting(clm_share *m, const clm_batch *b) {
    float *const *at = m->exec.counting_at;
    const clm_set sets[2] = {clm_task_set(m->task, false, b->sizes), clm_task_set(m->task, true, b->sizes)};
    for (size_t t = 0; m->task->options.uneven && t < (size_t)m->tasks; t++) {
        for (int i = 0; i < 2; i++) clm_task_fill_rows(&sets[i], t, at[i] + t * (size_t)sets[i].part);
        if (at[2])
            clm_task_fill_outputs(m->task, b->sizes ? &b->sizes[t] : NULL, at[2] + t * (size_t)clm_task_classes(m->task));
    }
}

static clm_status feed_counting(clm_share *m, size_t chunk_index) {
    for (int i = 0; i < 3; i++) {
        clm_tensor *to = m->exec.counting[i];
        const size_t n = to ? clm_tensor_size(to) : 0;
        if (n) CLM_TRY(clm_tensor_write_later(to, m->exec.counting_at[i] + n * chunk_index, n));
    }
    return CLM_OK;
}

clm_status clm_feed_chunk(clm_share *m, const clm_batch *b, int chunk_index) {
    CLM_TRY(feed_keys(m, (size_t)chunk_index));
    CLM_TRY(feed_chosen(m, (size_t)chunk_index));
    CLM_TRY(feed_counting(m, (size_t)chunk_index));
    if (m->exec.packed && !b->support_at && !b->query_at) return feed_packed(m, b, (size_t)chunk_index);
    CLM_TRY(feed_set(m, 0, b->support_x, b->support_at, b->support_y, (size_t)chunk_index));
    return feed_set(m, 1, b->query_x, b->query_at, b->query_y, (size_t)chunk_index);
}

/* ---- made-up tasks ---- */

clm_status clm_feed_random(const clm_share *m, int tasks, uint64_t seed, float *data[4]) {
    const uint32_t classes = (uint32_t)clm_task_classes(m->task);
    clm_random random = clm_random_make(seed, 2);
    for (int i = 0; i < 4; i++) {
        const clm_tensor *t = m->exec.batch[i];
        const size_t n = clm_tensor_size(t) / (size_t)clm_tensor_tasks(t) * (size_t)tasks;
        if (!(data[i] = clm_calloc(n, sizeof *data[i]))) return CLM_E_MEMORY;
        for (size_t e = 0; e < n; e++)
            data[i][e] = i % 2 && classes ? (float)clm_random_below(&random, classes) : (float)clm_random_normal(&random);
    }
    return CLM_OK;
}

/* ---- which data ---- */

/* NULL in *out: there is none. Parts of a divided device get copies. */
static clm_status find(const clm_meta *meta, const clm_share *m, clm_dataset *const *datasets, size_t n,
                       const clm_dataset **out) {
    const clm_device *wanted = meta->whole ? meta->whole : m->device;
    *out = NULL;
    for (size_t i = 0; i < n; i++) {
        if (clm_dataset_device(datasets[i]) != wanted) continue;
        if (meta->whole) return clm_dataset_on_sub_device(datasets[i], m->device, out);
        *out = datasets[i];
        break;
    }
    return CLM_OK;
}

static clm_status use(clm_share *m, const clm_dataset *data) {
    clm_feed_free(m);
    m->exec.plan.bytes -= clm_feed_bytes(m);
    m->data = data;
    m->exec.plan.bytes += clm_feed_bytes(m);
    return m->prepared ? clm_feed_prepare(m) : CLM_OK;
}

clm_status clm_meta_use_data(clm_meta *meta, clm_dataset *const *datasets, size_t n) {
    const clm_shape in = clm_model_in_shape(meta->task.model);
    clm_status status = CLM_OK;
    for (size_t s = 0; s < meta->n_shares && n; s++) {
        const clm_dataset *data = NULL;
        CLM_TRY(find(meta, meta->shares[s], datasets, n, &data));
        if (!data)
            return clm_fail(CLM_E_ARG, "meta: no data set on %s, which computes a part", meta->shares[s]->device->info.name);
        CLM_TRY(clm_dataset_check_shape(data, &in));
    }
    for (size_t s = 0; s < meta->n_shares && status == CLM_OK; s++) {
        const clm_dataset *data = NULL;
        status = find(meta, meta->shares[s], datasets, n, &data);
        if (status == CLM_OK) status = use(meta->shares[s], data);
    }
    for (size_t s = 0; s < meta->n_shares && status != CLM_OK; s++) (void)use(meta->shares[s], NULL);
    return status;
}
