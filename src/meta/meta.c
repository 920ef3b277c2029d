/* A meta-learner's parameters and settings, to and from the caller. Creation is in devices/shares.c, gradient and update are in
 * step.c, what a gradient leaves behind is in result.c. */
#include <string.h>

#include "meta/internal.h"

/* ---- preparation ---- */

static clm_status prepare(clm_meta *meta) {
    for (size_t s = 0; s < meta->n_shares; s++) {
        if (!meta->shares[s]->prepared) meta->moved = true;
        clm_status status = clm_share_prepare(meta->shares[s]);
        if (status != CLM_OK && meta->n_shares > 1) return clm_fail_in(status, "%s", meta->shares[s]->device->info.name);
        CLM_TRY(status);
    }
    return clm_shares_prepare(meta);
}

clm_status clm_meta_prepare(clm_meta *meta) { CLM_IN_META(meta, prepare(meta)); }

clm_status clm_meta_profile(clm_meta *meta, int runs, FILE *to) {
    CLM_TRY(clm_meta_prepare(meta));
    for (size_t s = 0; s < meta->n_shares; s++) {
        const clm_share *m = meta->shares[s];
        const clm_variant *v = &m->exec.variant[0];
        if (meta->n_shares > 1) fprintf(to, "%s, %d of %d tasks\n", m->device->info.name, m->tasks, meta->options.tasks);
        CLM_TRY(clm_programs_profile(v->programs, v->n_programs, runs, to));
    }
    return CLM_OK;
}

const char *clm_meta_implementations(const clm_meta *meta, char *text, size_t size) {
    uint32_t rows = 0;
    for (size_t s = 0; s < meta->n_shares; s++) {
        const clm_variant *v = &meta->shares[s]->exec.variant[0];
        for (size_t i = 0; i < v->n_programs; i++) rows |= v->programs[i]->implementations;
    }
    return clm_program_implementation_names(rows, text, size);
}

uint64_t clm_meta_iteration(const clm_meta *meta) { return meta->optimizer.t; }

clm_status clm_meta_set_step_weights(clm_meta *meta, const double *weights) {
    const size_t K = (size_t)meta->task.options.steps;
    if (!meta->task.weights)
        return clm_fail(CLM_E_STATE, "meta: there are no step weights to change; give some in the options");
    if (!weights) return clm_fail(CLM_E_ARG, "step_weights: there are none");
    CLM_TRY(clm_task_check_weights(weights, (int)K));
    if (memcmp(meta->task.weights, weights, K * sizeof *weights) == 0) return CLM_OK;
    memcpy(meta->task.weights, weights, K * sizeof *weights);
    for (size_t s = 0; s < meta->n_shares; s++) meta->shares[s]->exec.weights_written = false;
    return CLM_OK;
}

void clm_meta_set_dropout_seed(clm_meta *meta, uint64_t seed) {
    for (size_t s = 0; s < meta->n_shares; s++) meta->shares[s]->seed = seed;
}

/* ---- parameters and rates ---- */

static clm_tensor *flat(const clm_meta *meta) { return meta->shares[0]->params; }

static clm_status check_param(const clm_meta *meta, size_t i) {
    if (i < meta->task.n) return CLM_OK;
    return clm_fail(CLM_E_ARG, "meta: parameter %zu of %zu", i, meta->task.n);
}

static size_t place(const clm_meta *meta, size_t start, size_t entry) {
    return clm_flat_place(&meta->task, meta->starts, start, meta->task.entries[entry].at);
}

static clm_status write_entry(clm_meta *meta, size_t start, size_t entry, const double *data) {
    CLM_TRY(clm_meta_prepare(meta));
    meta->moved = true;
    return clm_entry_write_flat(&meta->task.entries[entry], flat(meta), place(meta, start, entry), data);
}

static clm_status read_entry(clm_meta *meta, size_t entry, double *data) {
    CLM_TRY(clm_meta_prepare(meta));
    return clm_entry_read_flat(&meta->task.entries[entry], flat(meta), place(meta, 0, entry), 1, data);
}

int clm_meta_initialisations(const clm_meta *meta) { return (int)meta->starts; }

static clm_status check_start(const clm_meta *meta, int start) {
    if (start >= 0 && (size_t)start < meta->starts) return CLM_OK;
    return clm_fail(CLM_E_ARG, "meta: initialisation %d of %zu, which count from 0", start, meta->starts);
}

clm_status clm_meta_set_param(clm_meta *meta, size_t i, const double *data) {
    CLM_TRY(check_param(meta, i));
    return write_entry(meta, 0, i, data);
}

clm_status clm_meta_get_param(clm_meta *meta, size_t i, double *data) {
    CLM_TRY(check_param(meta, i));
    return read_entry(meta, i, data);
}

size_t clm_meta_param_count(const clm_meta *meta) { return meta->task.n; }
clm_shape clm_meta_target_shape(const clm_meta *meta) { return clm_task_target_shape(&meta->task); }
bool clm_meta_is_adapted(const clm_meta *meta, size_t i) { return i < meta->task.n && meta->task.entries[i].adapted; }
bool clm_meta_is_learned(const clm_meta *meta, size_t i) { return i < meta->task.n && meta->task.entries[i].learned; }

size_t clm_meta_rate_size(const clm_meta *meta, size_t i) {
    const size_t e = clm_task_rate_entry(&meta->task, i);
    return e < meta->task.n_entries ? meta->task.entries[e].size : 0;
}

static clm_status check_rate(const clm_meta *meta, size_t i) {
    if (clm_meta_rate_size(meta, i)) return CLM_OK;
    return clm_fail(CLM_E_ARG, "meta: there are no learned rates %zu", i);
}

clm_status clm_meta_set_rate(clm_meta *meta, size_t i, const double *data) {
    CLM_TRY(check_rate(meta, i));
    return write_entry(meta, 0, clm_task_rate_entry(&meta->task, i), data);
}

clm_status clm_meta_get_rate(clm_meta *meta, size_t i, double *data) {
    CLM_TRY(check_rate(meta, i));
    return read_entry(meta, clm_task_rate_entry(&meta->task, i), data);
}

static clm_status set_params(clm_meta *meta, int start, clm_params *params) {
    CLM_TRY(check_start(meta, start));
    for (size_t i = 0; i < meta->task.n_entries; i++) {
        const size_t k = clm_params_find(params, meta->task.entries[i].name);
        if (k < params->task.n_entries && params->task.entries[k].size == meta->task.entries[i].size)
            CLM_TRY(write_entry(meta, (size_t)start, i, clm_params_values(params, k)));
    }
    return CLM_OK;
}

clm_status clm_meta_set_params_of(clm_meta *meta, int start, clm_params *params) {
    CLM_IN_META(meta, set_params(meta, start, params));
}

clm_status clm_meta_set_params(clm_meta *meta, clm_params *params) { return clm_meta_set_params_of(meta, 0, params); }

static clm_status get_params(clm_meta *meta, int start, clm_params *params, clm_tensor *learned) {
    CLM_TRY(check_start(meta, start));
    CLM_TRY(clm_meta_prepare(meta));
    for (size_t i = 0; i < meta->task.n_entries; i++) {
        const clm_entry *e = &meta->task.entries[i];
        const size_t k = clm_params_find(params, e->name);
        if (k >= params->task.n_entries || params->task.entries[k].size != e->size) continue;
        CLM_TRY(clm_entry_read_flat(e, e->learned ? learned : flat(meta), place(meta, (size_t)start, i), 1,
                                    clm_params_values(params, k)));
    }
    return CLM_OK;
}

clm_status clm_meta_get_params_of(clm_meta *meta, int start, clm_params *params) {
    return get_params(meta, start, params, flat(meta));
}

clm_status clm_meta_get_params(clm_meta *meta, clm_params *params) { return clm_meta_get_params_of(meta, 0, params); }

clm_status clm_meta_get_average_of(clm_meta *meta, int start, clm_params *params) {
    clm_tensor *average = clm_optimizer_average(&meta->optimizer);
    if (!average) return clm_fail(CLM_E_STATE, "meta: no moving average is kept; see clm_optim_options.average");
    return get_params(meta, start, params, average);
}

clm_status clm_meta_get_average(clm_meta *meta, clm_params *params) { return clm_meta_get_average_of(meta, 0, params); }
