/* A planned meta-gradient is run: for every chunk of tasks its batch, the programs, and what is read of them are queued, one
 * behind the other, and the device is waited for once, at the end. */
#include <stdio.h>

#include "base/memory.h"
#include "meta/internal.h"

static clm_status prepare_reading(const clm_share *m, clm_variant *v) {
    const clm_tensor *last = NULL;
    v->chunk_reads = 0;
    for (size_t i = 0; i < v->n_readouts; i++) {
        const clm_tensor *all = v->readouts[i].all; /* the readouts of a program follow one another */
        if (all && all != last) v->chunk_reads += clm_tensor_size(all);
        last = all ? all : last;
    }
    v->reading = clm_calloc((size_t)(m->tasks / m->exec.plan.task_chunk) * v->chunk_reads + 1, sizeof *v->reading);
    return v->reading ? CLM_OK : CLM_E_MEMORY;
}

clm_status clm_exec_prepare(clm_share *m) {
    clm_exec *x = &m->exec;
    for (size_t i = 0; i < x->n_tensors; i++) CLM_TRY(clm_tensor_commit(x->tensors[i]));
    for (size_t k = 0; k < x->n_variants; k++) {
        clm_variant *v = &x->variant[k];
        for (size_t i = 0; i < v->n_programs; i++) CLM_TRY(clm_program_prepare(v->programs[i]));
        if (!v->reading) CLM_TRY(prepare_reading(m, v));
    }
    return clm_feed_prepare(m);
}

/* Queues the transfer of what the readouts of a chunk share, or reads where nothing is gained by that. */
static clm_status read_chunk(clm_share *m, clm_variant *v, size_t chunk_index) {
    const bool later = clm_tensor_reads_later(m->device);
    const clm_tensor *queued = NULL;
    float *to = v->reading + chunk_index * v->chunk_reads;
    for (size_t i = 0; i < v->n_readouts; i++) {
        clm_readout *r = &v->readouts[i];
        const size_t n = r->count * (size_t)m->exec.plan.task_chunk;
        if (r->all && later) {
            if (r->all == queued) continue;
            queued = r->all;
            CLM_TRY(clm_tensor_read_later(r->all, to, clm_tensor_size(r->all)));
            to += clm_tensor_size(r->all);
            continue;
        }
        clm_tensor *t = r->tensor ? r->tensor : clm_program_tensor(v->programs[r->program], r->value);
        CLM_TRY(clm_tensor_read_f64(t, r->host + n * chunk_index, n));
    }
    return CLM_OK;
}

/* What came in these transfers. */
static void sort_reading(clm_share *m, clm_variant *v, size_t chunks) {
    if (!clm_tensor_reads_later(m->device)) return;
    for (size_t c = 0; c < chunks; c++) {
        const clm_tensor *of = NULL;
        const float *all = NULL, *next = v->reading + c * v->chunk_reads;
        for (size_t i = 0; i < v->n_readouts; i++) {
            clm_readout *r = &v->readouts[i];
            const size_t n = r->count * (size_t)m->exec.plan.task_chunk;
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

/* Queues the transfer of the gradients of a chunk's tasks. */
static clm_status read_apart(clm_share *m, size_t chunk_index) {
    clm_exec *x = &m->exec;
    const size_t n = x->apart ? clm_tensor_size(x->apart) : 0;
    if (!n) return CLM_OK;
    if (clm_tensor_reads_later(m->device)) return clm_tensor_read_later(x->apart, (float *)m->apart + n * chunk_index, n);
    return clm_tensor_read_f64(x->apart, (double *)m->apart + n * chunk_index, n);
}

static clm_status prepare_apart(clm_share *m) {
    const size_t size = clm_tensor_reads_later(m->device) ? sizeof(float) : sizeof(double);
    if (!m->exec.apart) return CLM_OK;
    if (!m->apart && !(m->apart = clm_calloc((size_t)m->tasks * m->task->learned, size))) return CLM_E_MEMORY;
    return m->exec.apart_cleared ? clm_tensor_fill(m->exec.apart, 0) : CLM_OK;
}

/* The weights of the multi-step loss, where they have changed. */
static clm_status write_weights(clm_share *m) {
    const size_t K = (size_t)m->task->options.steps;
    if (!m->exec.weights || m->exec.weights_written) return CLM_OK;
    if (!m->weights && !(m->weights = clm_calloc(K, sizeof *m->weights))) return CLM_E_MEMORY;
    for (size_t k = 0; k < K; k++) m->weights[k] = (float)m->task->weights[k];
    const bool floats = clm_tensor_reads_later(m->device);
    CLM_TRY(floats ? clm_tensor_write_later(m->exec.weights, m->weights, K)
                   : clm_tensor_write_f64(m->exec.weights, m->task->weights, K));
    m->exec.weights_written = true;
    return CLM_OK;
}

static clm_status queue_all(clm_share *m, clm_variant *v, const clm_batch *batch) {
    const int chunks = m->tasks / m->exec.plan.task_chunk;
    CLM_TRY(write_weights(m));
    clm_feed_make_keys(m);
    clm_feed_make_chosen(m, batch);
    clm_feed_make_counting(m, batch);
    if (m->exec.clears && !m->exec.apart) CLM_TRY(clm_tensor_fill(m->grad, 0));
    CLM_TRY(prepare_apart(m));
    for (int c = 0; c < chunks; c++) {
        CLM_TRY(clm_feed_chunk(m, batch, c));
        for (size_t i = 0; i < v->n_programs; i++) CLM_TRY(clm_program_run(v->programs[i]));
        CLM_TRY(read_chunk(m, v, (size_t)c));
        CLM_TRY(read_apart(m, (size_t)c));
    }
    return CLM_OK;
}

clm_status clm_exec_run(clm_share *m, size_t variant, const clm_batch *batch, clm_optimizer *update, int all_tasks) {
    clm_variant *v = &m->exec.variant[variant];
    CLM_TRY(clm_feed_check(m, m->tasks, batch));
    const clm_status status = queue_all(m, v, batch);
    if (status != CLM_OK) {
        char why[512];
        snprintf(why, sizeof why, "%s", clm_last_error());
        (void)clm_device_finish(m->device); /* the batch is the caller's, and may be on its way */
        return clm_fail(status, "%s", why);
    }
    CLM_TRY(update ? clm_optimizer_run(update, all_tasks) : clm_device_finish(m->device));
    sort_reading(m, v, (size_t)(m->tasks / m->exec.plan.task_chunk));
    return CLM_OK;
}
