/* The host reference: memory is arrays of double, a launch is a C function. Plain on purpose: what OpenCL computes is compared
 * with what runs here. Everything runs at once when it is queued.
 *
 * In single precision each number is rounded to float once it is computed: what float rounding alone does to a result, in
 * whatever order a device adds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "device/backend.h"

struct clm_mem {
    double *data;
    size_t elements;
};

struct clm_kernel {
    clm_launch launch;
};

double *clm_host_data(const clm_mem *mem) { return mem->data; }

void clm_host_describe(clm_device_info *info) {
    *info = (clm_device_info){.type = CLM_DEVICE_HOST,
                              .platform_index = -1,
                              .device_index = -1,
                              .compute_units = 1,
                              .max_work_group_size = 1,
                              .float_vector_width = 1,
                              .base_alignment_bits = 64,
                              .fp64 = true,
                              .unified_memory = true,
                              .available = true};
    snprintf(info->platform, sizeof info->platform, "clMAML");
    snprintf(info->name, sizeof info->name, "host reference in double precision");
    snprintf(info->driver, sizeof info->driver, "%s", clm_version());
    uint64_t memory = clm_physical_memory();
    info->global_memory = info->max_allocation = memory ? memory : SIZE_MAX;
}

/* ---- memory ---- */

static clm_status host_alloc(clm_device *d, size_t elements, clm_mem **out) {
    *out = NULL;
    if (elements > d->info.max_allocation / sizeof(double)) {
        return clm_fail(CLM_E_MEMORY, "host: %zu numbers do not fit into memory", elements);
    }
    clm_mem *mem = clm_calloc(1, sizeof *mem);
    if (!mem) return CLM_E_MEMORY;
    mem->data = clm_calloc(elements, sizeof(double));
    if (!mem->data) {
        free(mem);
        return CLM_E_MEMORY;
    }
    mem->elements = elements;
    d->allocated += elements * sizeof(double);
    if (d->allocated > d->peak_allocated) d->peak_allocated = d->allocated;
    *out = mem;
    return CLM_OK;
}

static void host_free(clm_device *d, clm_mem *mem) {
    if (!mem) return;
    d->allocated -= mem->elements * sizeof(double);
    free(mem->data);
    free(mem);
}

static clm_status check_range(const clm_mem *mem, const char *what, size_t offset, size_t count) {
    if (offset <= mem->elements && count <= mem->elements - offset) return CLM_OK;
    return clm_fail(CLM_E_ARG, "host: %s of %zu elements at %zu passes the end of a buffer of %zu", what, count, offset,
                    mem->elements);
}

static double kept(const clm_device *d, double x) { return d->single ? (double)(float)x : x; }

static clm_status host_write(clm_device *d, clm_mem *mem, size_t offset, size_t count, const float *f32, const double *f64) {
    CLM_TRY(check_range(mem, "write", offset, count));
    for (size_t i = 0; i < count; i++) mem->data[offset + i] = f32 ? (double)f32[i] : kept(d, f64[i]);
    return CLM_OK;
}

static clm_status host_read(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *f32, double *f64) {
    (void)d;
    CLM_TRY(check_range(mem, "read", offset, count));
    for (size_t i = 0; i < count; i++) {
        if (f32)
            f32[i] = (float)mem->data[offset + i];
        else
            f64[i] = mem->data[offset + i];
    }
    return CLM_OK;
}

static clm_status host_write_bytes(clm_device *d, clm_mem *mem, size_t offset, size_t count, const void *bytes) {
    const size_t size = mem->elements * sizeof(double);
    (void)d;
    if (offset > size || count > size - offset)
        return clm_fail(CLM_E_ARG, "host: write of %zu bytes at %zu passes the end of a buffer of %zu", count, offset, size);
    if (count) memcpy((char *)mem->data + offset, bytes, count);
    return CLM_OK;
}

static clm_status host_copy(clm_device *d, clm_mem *from, size_t from_offset, clm_mem *to, size_t to_offset, size_t count) {
    (void)d;
    CLM_TRY(check_range(from, "copy", from_offset, count));
    CLM_TRY(check_range(to, "copy", to_offset, count));
    if (count) memmove(to->data + to_offset, from->data + from_offset, count * sizeof(double));
    return CLM_OK;
}

static clm_status host_fill(clm_device *d, clm_mem *mem, size_t offset, size_t count, double value) {
    CLM_TRY(check_range(mem, "fill", offset, count));
    for (size_t i = 0; i < count; i++) mem->data[offset + i] = kept(d, value);
    return CLM_OK;
}

/* ---- launches ---- */

static clm_status host_make(clm_device *d, const clm_launch *launch, clm_kernel **out) {
    (void)d;
    *out = NULL;
    if (!launch->host) return clm_fail(CLM_E_ARG, "host: %s has no host function", launch->label);
    clm_kernel *kernel = clm_calloc(1, sizeof *kernel);
    if (!kernel) return CLM_E_MEMORY;
    kernel->launch = *launch;
    /* The caller's strings need not live as long as the kernel does. */
    kernel->launch.file = kernel->launch.source = kernel->launch.entry = kernel->launch.defines = NULL;
    *out = kernel;
    return CLM_OK;
}

static void host_release(clm_device *d, clm_kernel *kernel) {
    (void)d;
    free(kernel);
}

static clm_status host_enqueue(clm_device *d, clm_kernel *kernel) {
    (void)d;
    kernel->launch.host(&kernel->launch);
    return CLM_OK;
}

static clm_status host_finish(clm_device *d) {
    (void)d;
    return CLM_OK;
}

static clm_status host_time(clm_device *d, clm_kernel *kernel, double *seconds) {
    double start = clm_clock();
    CLM_TRY(host_enqueue(d, kernel));
    *seconds = clm_clock() - start;
    return CLM_OK;
}

static void host_close(clm_device *d) { free(d); }

static const clm_backend host_backend = {.element_size = sizeof(double),
                                         .close = host_close,
                                         .alloc = host_alloc,
                                         .free = host_free,
                                         .write = host_write,
                                         .read = host_read,
                                         .write_bytes = host_write_bytes,
                                         .copy = host_copy,
                                         .fill = host_fill,
                                         .make = host_make,
                                         .release = host_release,
                                         .enqueue = host_enqueue,
                                         .finish = host_finish,
                                         .time = host_time};

clm_status clm_host_open(clm_device **out, bool single) {
    clm_device *d = *out = clm_calloc(1, sizeof **out);
    if (!d) return CLM_E_MEMORY;
    d->backend = &host_backend;
    d->single = single;
    clm_host_describe(&d->info);
    if (single) snprintf(d->info.name, sizeof d->info.name, "host reference rounded to single precision");
    return CLM_OK;
}
