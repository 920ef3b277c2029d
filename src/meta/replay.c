/* A planned meta-gradient is run: for every chunk of tasks its batch, the programs, and what is read of them are queued, one behind the
 * other, and the device is waited for once, at the end. */
#include <stdio.h>

#include "base/memory.h"
#include "meta/internal.h"

static clm_status prepare_reading(clm_meta *m) {
    const clm_tensor *last = NULL;
    m->chunk_reads = 0;
    for (size_t i = 0; i < m->n_readouts; i++) {
        const clm_tensor *all = m->readouts[i].all; /* the readouts of a program follow one another */
        if (all && all != last) m->chunk_reads += clm_tensor_size(all);
        last = all ? all : last;
    }
    m->reading = clm_calloc((size_t)(m->options.tasks / m->plan.task_chunk) * m->chunk_reads + 1, sizeof *m->reading);
    return m->reading ? CLM_OK : CLM_E_MEMORY;
}

clm_status clm_gradient_prepare(clm_meta *m) {
    for (size_t i = 0; i < m->n_tensors; i++) CLM_TRY(clm_tensor_commit(m->tensors[i]));
    for (size_t i = 0; i < m->n_programs; i++) CLM_TRY(clm_program_prepare(m->programs[i]));
    if (!m->reading) CLM_TRY(prepare_reading(m));
    return clm_feed_prepare(m);
}

/* Queues the transfer of what the readouts of a chunk share, or reads where nothing is gained by that. */
static clm_status read_chunk(clm_meta *m, size_t chunk_index) {
    const bool later = clm_tensor_reads_later(m->device);
    const clm_tensor *queued = NULL;
    float *to = m->reading + chunk_index * m->chunk_reads;
    for (size_t i = 0; i < m->n_readouts; i++) {
        clm_readout *r = &m->readouts[i];
        const size_t n = r->count * (size_t)m->plan.task_chunk;
        if (r->all && later) {
            if (r->all == queued) continue;
            queued = r->all;
            CLM_TRY(clm_tensor_read_later(r->all, to, clm_tensor_size(r->all)));
            to += clm_tensor_size(r->all);
            continue;
        }
        clm_tensor *t = r->tensor ? r->tensor : clm_program_tensor(m->programs[r->program], r->value);
        CLM_TRY(clm_tensor_read_f64(t, r->host + n * chunk_index, n));
    }
    return CLM_OK;
}

/* What came in these transfers. */
static void sort_reading(clm_meta *m, size_t chunks) {
    if (!clm_tensor_reads_later(m->device)) return;
    for (size_t c = 0; c < chunks; c++) {
        const clm_tensor *of = NULL;
        const float *all = NULL, *next = m->reading + c * m->chunk_reads;
        for (size_t i = 0; i < m->n_readouts; i++) {
            clm_readout *r = &m->readouts[i];
            const size_t n = r->count * (size_t)m->plan.task_chunk;
            if (!r->all) continue;
            if (r->all != of) {
                of = r->all;
                all = next;
                next += clm_tensor_size(of);
            }
            for (size_t e = 0; e < n; e++) r->host[n * c + e] = (double)all[r->at + e];
        }
    }
}

static clm_status queue_all(clm_meta *m, const clm_batch *batch) {
    const int chunks = m->options.tasks / m->plan.task_chunk;
    if (!m->all_at_once) CLM_TRY(clm_tensor_fill(m->grad, 0));
    for (int c = 0; c < chunks; c++) {
        CLM_TRY(clm_feed_chunk(m, batch, c));
        for (size_t i = 0; i < m->n_programs; i++) CLM_TRY(clm_program_run(m->programs[i]));
        CLM_TRY(read_chunk(m, (size_t)c));
    }
    return CLM_OK;
}

clm_status clm_gradient_run(clm_meta *m, const clm_batch *batch, clm_optimizer *update) {
    CLM_TRY(clm_feed_check(m, m->options.tasks, batch));
    m->computed = false;
    const clm_status status = queue_all(m, batch);
    if (status != CLM_OK) {
        char why[512];
        snprintf(why, sizeof why, "%s", clm_last_error());
        (void)clm_device_finish(m->device); /* the batch is the caller's, and may be on its way */
        return clm_fail(status, "%s", why);
    }
    CLM_TRY(update ? clm_optimizer_run(update, m->tasks) : clm_device_finish(m->device));
    sort_reading(m, (size_t)(m->options.tasks / m->plan.task_chunk));
    m->computed = true;
    return CLM_OK;
}
