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

/* ---- several initialisations in one archive ---- */

static const char key_starts[] = "clmaml.initialisations";

clm_status clm_archive_set_initialisations(clm_archive *archive, size_t starts) {
    char text[24];
    snprintf(text, sizeof text, "%zu", starts);
    return starts > 1 ? clm_archive_set_meta(archive, key_starts, text) : CLM_OK;
}

int clm_archive_initialisations(const clm_archive *archive) {
    const char *text = clm_archive_meta(archive, key_starts);
    const long n = text ? strtol(text, NULL, 10) : 1;
    return n > 1 && n <= CLM_INITIALISATIONS_MOST ? (int)n : 1;
}

static clm_status check_start(const clm_archive *archive, int start) {
    const int starts = clm_archive_initialisations(archive);
    if (start >= 0 && start < starts) return CLM_OK;
    return clm_fail(CLM_E_ARG, "initialisation %d of an archive that holds %d, which count from 0", start, starts);
}

typedef struct entry_name {
    char s[sizeof((clm_entry *)0)->name + 32];
} entry_name;

/* "param.0.weight", "initialisation-2.param.0.weight" */
static entry_name name_of(const clm_entry *e, int start) {
    entry_name name;
    if (start)
        snprintf(name.s, sizeof name.s, "initialisation-%d.%s", start + 1, e->name);
    else
        snprintf(name.s, sizeof name.s, "%s", e->name);
    return name;
}

/* ---- saving and loading ---- */

clm_status clm_params_save_of(clm_params *p, clm_archive *archive, clm_dtype dtype, int start) {
    for (size_t i = 0; i < p->task.n_entries; i++) {
        const clm_shape shape = clm_entry_shape(&p->task.entries[i]);
        CLM_TRY(clm_archive_add(archive, name_of(&p->task.entries[i], start).s, dtype, &shape, clm_params_values(p, i)));
    }
    return CLM_OK;
}

clm_status clm_params_save(clm_params *p, clm_archive *archive, clm_dtype dtype) {
    return clm_params_save_of(p, archive, dtype, 0);
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

clm_status clm_params_load_of(clm_params *p, const clm_archive *archive, int start) {
    CLM_TRY(check_start(archive, start));
    double *values = clm_calloc(p->task.elements, sizeof *values);
    clm_status status = CLM_OK;
    if (!values) return CLM_E_MEMORY;
    for (size_t i = 0; i < p->task.n_entries; i++) {
        const clm_entry *e = &p->task.entries[i];
        const clm_shape shape = clm_entry_shape(e);
        memcpy(values + e->at, p->values + e->at, e->size * sizeof *values);
        const entry_name name = name_of(e, start);
        if (!is_constant(e)) CLM_GOTO(clm_archive_read(archive, name.s, &shape, values + e->at, e->size));
        CLM_GOTO(check_finite(name.s, values + e->at, e->size));
    }
    memcpy(p->values, values, p->task.elements * sizeof *values);
out:
    free(values);
    return status;
}

clm_status clm_params_load(clm_params *p, const clm_archive *archive) { return clm_params_load_of(p, archive, 0); }

clm_status clm_params_load_average_of(clm_params *p, const clm_archive *archive, int start) {
    CLM_TRY(check_start(archive, start));
    const size_t n = (size_t)clm_archive_initialisations(archive) * p->task.learned;
    const clm_shape shape = clm_shape_of(1, (int)n);
    clm_status status = CLM_OK;
    if (!clm_archive_shape(archive, CLM_OPTIM_AVERAGE)) return CLM_OK;
    double *flat = clm_calloc(n, sizeof *flat);
    if (!flat) return CLM_E_MEMORY;
    CLM_GOTO(clm_archive_read(archive, CLM_OPTIM_AVERAGE, &shape, flat, n));
    for (size_t i = 0; i < p->task.n_entries; i++) {
        const clm_entry *e = &p->task.entries[i];
        if (e->learned) clm_entry_to_outer(e, flat + (size_t)start * p->task.learned + e->at, p->values + e->at);
    }
out:
    free(flat);
    return status;
}

clm_status clm_params_load_average(clm_params *p, const clm_archive *archive) {
    return clm_params_load_average_of(p, archive, 0);
}

void clm_params_copy(clm_params *to, const clm_params *from) {
    for (size_t i = 0; i < to->task.n_entries; i++) {
        const clm_entry *e = &to->task.entries[i];
        const size_t k = clm_params_find(from, e->name);
        if (k < from->task.n_entries && from->task.entries[k].size == e->size)
            memcpy(clm_params_values(to, i), from->values + from->task.entries[k].at, e->size * sizeof(double));
    }
}
