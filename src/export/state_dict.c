/* A PyTorch state dict: the arrays alone. num_batches_tracked, which PyTorch's batch-norm keeps and does not use, is 0. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/checkpoint.h"
#include "export/internal.h"

static bool has(clm_step_kind kind) {
    (void)kind;
    return true;
}

static clm_status add_array(clm_archive *to, const clm_array *a) {
    double *values = clm_calloc(a->count, sizeof *values);
    if (!values) return CLM_E_MEMORY;
    for (size_t i = 0; i < a->count; i++) values[i] = a->data[i];
    const clm_status status = clm_archive_add(to, a->name, CLM_F32, &a->shape, values);
    free(values);
    return status;
}

static clm_status add_count(clm_archive *to, const clm_layer *l) {
    char name[sizeof l->path + 32];
    const clm_shape scalar = {0};
    snprintf(name, sizeof name, "%s.num_batches_tracked", l->path);
    return clm_archive_add(to, name, CLM_I64, &scalar, &(double){0});
}

static clm_status fill(const clm_steps *s, clm_archive *to) {
    for (size_t i = 0; i < s->n_arrays; i++)
        if (!s->arrays[i].derived) CLM_TRY(add_array(to, &s->arrays[i]));
    for (size_t i = 0; i < s->count; i++)
        if (s->steps[i].kind == CLM_STEP_NORM) CLM_TRY(add_count(to, s->steps[i].layer));
    CLM_TRY(clm_archive_set_meta(to, "format", "pt"));
    if (s->preparation) CLM_TRY(clm_archive_set_meta(to, "clmaml.preparation", s->preparation));
    if (s->classes) CLM_TRY(clm_archive_set_meta(to, "clmaml.classes", s->classes));
    return CLM_OK;
}

static clm_status write(const clm_steps *s, const char *path) {
    clm_archive *to = NULL;
    clm_status status = CLM_OK;
    CLM_GOTO(clm_archive_create(&to));
    CLM_GOTO(fill(s, to));
    CLM_GOTO(clm_archive_save(to, path));
out:
    clm_archive_free(to);
    return status;
}

const clm_export_format clm_export_format_safetensors = {"safetensors", "the state dict of a PyTorch model of the same layers",
                                                         has, write};
