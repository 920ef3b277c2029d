/* Tensors: a piece of device memory with a shape. */
#include <stdlib.h>

#include "base/memory.h"
#include "program/internal.h"

static clm_status check_count(const clm_tensor *t, const char *what, size_t count) {
    if (!t->root->mem) return clm_fail(CLM_E_STATE, "%s: the tensor has no memory, or lost it when the device ran out", what);
    if (count == clm_tensor_size(t)) return CLM_OK;
    char text[80];
    return clm_fail(CLM_E_SHAPE, "%s: %zu numbers for a tensor of shape %s%s, which has %zu", what, count,
                    clm_shape_text(&t->shape, text, sizeof text), t->tasks ? " per task" : "", clm_tensor_size(t));
}

clm_status clm_tensor_reserve(clm_tensor **out, clm_device *device, clm_shape shape, int tasks) {
    clm_tensor *t = *out = clm_calloc(1, sizeof *t);
    if (!t) return CLM_E_MEMORY;
    *t = (clm_tensor){.device = device, .root = t, .shape = shape, .tasks = tasks};
    return CLM_OK;
}

clm_status clm_tensor_commit(clm_tensor *t) {
    if (t->root->mem) return CLM_OK;
    return t->device->backend->alloc(t->device, clm_tensor_size(t->root), &t->root->mem);
}

void clm_tensor_release(clm_tensor *t) {
    if (t->mem) t->device->backend->free(t->device, t->mem);
    t->mem = NULL;
}

/* Of what a caller may pass: values of a graph have been checked. */
static clm_status check_shape(const char *what, const clm_shape *shape, int tasks) {
    char text[80];
    size_t size = 1;
    bool fits = shape->rank >= 0 && shape->rank <= CLM_MAX_RANK && tasks >= 0;
    for (int i = 0; fits && i < shape->rank; i++) fits = shape->dim[i] >= 1 && (size *= (size_t)shape->dim[i]) <= INT32_MAX;
    if (fits) return CLM_OK;
    return clm_fail(CLM_E_SHAPE, "%s: shape %s, %d tasks: at most %d axes, nothing empty or negative, fewer than 2^31 elements",
                    what, clm_shape_text(shape, text, sizeof text), tasks, CLM_MAX_RANK);
}

clm_status clm_tensor_create(clm_tensor **out, clm_device *device, clm_shape shape, int tasks) {
    *out = NULL;
    CLM_TRY(check_shape("tensor", &shape, tasks));
    CLM_TRY(clm_tensor_reserve(out, device, shape, tasks));
    clm_status status = clm_tensor_commit(*out);
    if (status != CLM_OK) {
        clm_tensor_free(*out);
        *out = NULL;
    }
    return status;
}

clm_status clm_tensor_view(clm_tensor **out, clm_tensor *parent, size_t offset, clm_shape shape, int tasks) {
    *out = NULL;
    CLM_TRY(check_shape("tensor view", &shape, tasks));
    clm_tensor *t = clm_calloc(1, sizeof *t);
    if (!t) return CLM_E_MEMORY;
    *t = (clm_tensor){
        .device = parent->device, .root = parent->root, .offset = parent->offset + offset, .shape = shape, .tasks = tasks};
    size_t size = clm_tensor_size(t), whole = clm_tensor_size(parent);
    if (offset > whole || size > whole - offset) {
        free(t);
        return clm_fail(CLM_E_SHAPE, "tensor view: %zu elements from %zu on of a tensor of %zu", size, offset, whole);
    }
    *out = t;
    return CLM_OK;
}

void clm_tensor_free(clm_tensor *t) {
    if (!t) return;
    if (t->mem) t->device->backend->free(t->device, t->mem);
    free(t);
}

clm_status clm_tensor_fill(clm_tensor *t, double value) {
    return t->device->backend->fill(t->device, t->root->mem, t->offset, clm_tensor_size(t), value);
}

size_t clm_tensor_bytes(const clm_tensor *t) { return clm_tensor_size(t) * t->device->backend->element_size; }

size_t clm_tensor_size(const clm_tensor *t) { return clm_shape_size(&t->shape) * (size_t)(t->tasks > 0 ? t->tasks : 1); }
clm_shape clm_tensor_shape(const clm_tensor *t) { return t->shape; }
int clm_tensor_tasks(const clm_tensor *t) { return t->tasks; }

static clm_status write_floats(clm_tensor *t, const float *data, size_t count) {
    CLM_TRY(check_count(t, "tensor write", count));
    return t->device->backend->write(t->device, t->root->mem, t->offset, count, data, NULL);
}

clm_status clm_tensor_write(clm_tensor *t, const float *data, size_t count) {
    CLM_IN_DEVICE(t->device, write_floats(t, data, count));
}

static clm_status write_doubles(clm_tensor *t, const double *data, size_t count) {
    CLM_TRY(check_count(t, "tensor write", count));
    return t->device->backend->write(t->device, t->root->mem, t->offset, count, NULL, data);
}

clm_status clm_tensor_write_f64(clm_tensor *t, const double *data, size_t count) {
    CLM_IN_DEVICE(t->device, write_doubles(t, data, count));
}

static clm_status read_floats(clm_tensor *t, float *data, size_t count) {
    CLM_TRY(check_count(t, "tensor read", count));
    return t->device->backend->read(t->device, t->root->mem, t->offset, count, data, NULL);
}

clm_status clm_tensor_read(clm_tensor *t, float *data, size_t count) { CLM_IN_DEVICE(t->device, read_floats(t, data, count)); }

static clm_status read_doubles(clm_tensor *t, double *data, size_t count) {
    CLM_TRY(check_count(t, "tensor read", count));
    return t->device->backend->read(t->device, t->root->mem, t->offset, count, NULL, data);
}

clm_status clm_tensor_read_f64(clm_tensor *t, double *data, size_t count) {
    CLM_IN_DEVICE(t->device, read_doubles(t, data, count));
}

bool clm_tensor_reads_later(const clm_device *device) { return device->backend->read_later != NULL; }

clm_status clm_tensor_write_later(clm_tensor *t, const float *data, size_t count) {
    const clm_backend *b = t->device->backend;
    CLM_TRY(check_count(t, "tensor write", count));
    if (b->write_later) return b->write_later(t->device, t->root->mem, t->offset, count, data);
    return b->write(t->device, t->root->mem, t->offset, count, data, NULL);
}

clm_status clm_tensor_read_later(clm_tensor *t, float *data, size_t count) {
    const clm_backend *b = t->device->backend;
    CLM_TRY(check_count(t, "tensor read", count));
    if (b->read_later) return b->read_later(t->device, t->root->mem, t->offset, count, data);
    return b->read(t->device, t->root->mem, t->offset, count, data, NULL);
}

clm_status clm_tensor_copy(clm_tensor *to, const clm_tensor *from) {
    CLM_TRY(check_count(from, "tensor copy", clm_tensor_size(to)));
    if (to->device != from->device) return clm_fail(CLM_E_ARG, "tensor copy: the tensors belong to different devices");
    return to->device->backend->copy(to->device, from->root->mem, from->offset, to->root->mem, to->offset, clm_tensor_size(to));
}

/* ---- workspace ---- */

clm_status clm_workspace_create(clm_workspace **out, clm_device *device) {
    *out = clm_calloc(1, sizeof **out);
    if (!*out) return CLM_E_MEMORY;
    (*out)->device = device;
    return CLM_OK;
}

void clm_workspace_free(clm_workspace *w) {
    if (!w) return;
    for (size_t i = 0; i < w->count; i++)
        if (w->mem && w->mem[i]) w->device->backend->free(w->device, w->mem[i]);
    free(w->mem);
    free(w->need);
    free(w);
}

size_t clm_workspace_bytes(const clm_workspace *w) {
    size_t sum = 0;
    for (size_t i = 0; i < w->count; i++) sum += w->need[i];
    return sum * w->device->backend->element_size;
}
