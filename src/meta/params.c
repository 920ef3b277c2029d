/* Meta-parameters on the host: the entries of a task with their values. */
#include "clmaml/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "meta/internal.h"

clm_status clm_params_create(clm_params **out, const clm_model *model, const clm_task_options *options) {
    clm_status status = CLM_OK;
    *out = NULL;
    clm_params *p = clm_calloc(1, sizeof *p);
    if (!p) return CLM_E_MEMORY;
    CLM_GOTO(clm_task_init(&p->task, model, options));
    p->values = clm_calloc(p->task.elements, sizeof *p->values);
    status = p->values ? clm_params_reset(p, 0) : CLM_E_MEMORY;
out:
    if (status == CLM_OK)
        *out = p;
    else
        clm_params_free(p);
    return status;
}

void clm_params_free(clm_params *p) {
    if (!p) return;
    clm_task_free(&p->task);
    free(p->values);
    free(p);
}

size_t clm_params_count(const clm_params *p) { return p->task.n_entries; }

clm_params_info clm_params_get_info(const clm_params *p, size_t i) {
    if (i >= p->task.n_entries) return (clm_params_info){0};
    const clm_entry *e = &p->task.entries[i];
    return (clm_params_info){.name = e->name,
                             .shape = clm_entry_shape(e),
                             .size = e->size,
                             .learned = e->learned,
                             .adapted = e->adapted,
                             .per_step = e->rows > 0,
                             .rate = e->rate};
}

size_t clm_params_find(const clm_params *p, const char *name) {
    size_t i = 0;
    while (i < p->task.n_entries && strcmp(p->task.entries[i].name, name) != 0) i++;
    return i;
}

double *clm_params_values(clm_params *p, size_t i) { return i < p->task.n_entries ? p->values + p->task.entries[i].at : NULL; }

clm_status clm_params_reset(clm_params *p, uint64_t seed) {
    for (size_t i = 0; i < p->task.n_entries; i++) clm_task_initial(&p->task, i, seed, clm_params_values(p, i));
    return CLM_OK;
}

clm_status clm_params_save(clm_params *p, clm_archive *archive, clm_dtype dtype) {
    for (size_t i = 0; i < p->task.n_entries; i++) {
        const clm_shape shape = clm_entry_shape(&p->task.entries[i]);
        CLM_TRY(clm_archive_add(archive, p->task.entries[i].name, dtype, &shape, clm_params_values(p, i)));
    }
    return CLM_OK;
}

clm_status clm_params_check(const clm_model *model, const clm_archive *archive) {
    for (size_t i = 0; i < clm_model_param_count(model); i++) {
        const clm_param *p = clm_model_param(model, i);
        char name[sizeof p->name + 8];
        snprintf(name, sizeof name, "param.%s", p->name);
        const clm_shape *stored = clm_archive_shape(archive, name);
        if (!stored) return clm_fail(CLM_E_FORMAT, "there is no array \"%s\", which the model has", name);
        if (clm_shape_size(stored) < clm_shape_size(&p->shape))
            return clm_fail(CLM_E_SHAPE, "array \"%s\" has %zu elements, the model's %zu", name, clm_shape_size(stored),
                            clm_shape_size(&p->shape));
    }
    return CLM_OK;
}

/* A model that computes with these would say nothing, for every input. */
static clm_status check_finite(const char *name, const double *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return clm_fail(CLM_E_NUMERIC, "array \"%s\": element %zu is not finite; take an earlier checkpoint", name, i);
    return CLM_OK;
}

/* Constants of the loss are the options' and need not be in an archive. */
static bool is_constant(const clm_entry *e) { return e->initial != NULL; }

clm_status clm_params_load(clm_params *p, const clm_archive *archive) {
    double *values = clm_calloc(p->task.elements, sizeof *values);
    clm_status status = CLM_OK;
    if (!values) return CLM_E_MEMORY;
    for (size_t i = 0; i < p->task.n_entries; i++) {
        const clm_entry *e = &p->task.entries[i];
        const clm_shape shape = clm_entry_shape(e);
        memcpy(values + e->at, p->values + e->at, e->size * sizeof *values);
        if (!is_constant(e)) CLM_GOTO(clm_archive_read(archive, e->name, &shape, values + e->at, e->size));
        CLM_GOTO(check_finite(e->name, values + e->at, e->size));
    }
    memcpy(p->values, values, p->task.elements * sizeof *values);
out:
    free(values);
    return status;
}

clm_status clm_params_load_average(clm_params *p, const clm_archive *archive) {
    const clm_shape shape = clm_shape_of(1, (int)p->task.learned);
    clm_status status = CLM_OK;
    if (!clm_archive_shape(archive, CLM_OPTIM_AVERAGE)) return CLM_OK;
    double *flat = clm_calloc(p->task.learned, sizeof *flat);
    if (!flat) return CLM_E_MEMORY;
    CLM_GOTO(clm_archive_read(archive, CLM_OPTIM_AVERAGE, &shape, flat, p->task.learned));
    for (size_t i = 0; i < p->task.n_entries; i++) {
        const clm_entry *e = &p->task.entries[i];
        if (e->learned) clm_entry_to_outer(e, flat + e->at, p->values + e->at);
    }
out:
    free(flat);
    return status;
}

void clm_params_copy(clm_params *to, const clm_params *from) {
    for (size_t i = 0; i < to->task.n_entries; i++) {
        const clm_entry *e = &to->task.entries[i];
        const size_t k = clm_params_find(from, e->name);
        if (k < from->task.n_entries && from->task.entries[k].size == e->size)
            memcpy(clm_params_values(to, i), from->values + from->task.entries[k].at, e->size * sizeof(double));
    }
}
