/* Device memory: one buffer for each allocation. Transfers wait unless they are queued (.._later); copies and fills are
 * queued. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "device/opencl/opencl.h"

/* Numbers converted at a time between double and the device's float. */
enum { CONVERT = 16384 };

/* Bytes. */
enum { SMALL = 65536, LARGE_PAGES = 1 << 26 };

/* Any refusal while memory is being made counts as a lack of it: drivers differ in which code they give. */
static clm_status check_alloc(clm_device *d, cl_int code, size_t bytes) {
    if (code == CL_SUCCESS) return CLM_OK;
    return clm_fail(CLM_E_MEMORY, "allocating %zu bytes on %s (%zu of %llu bytes are in use): %s (%d)", bytes, d->info.name,
                    d->allocated, (unsigned long long)d->info.global_memory, clm_cl_error_name(code), (int)code);
}

/* As a copy of zeros: for small buffers one call rather than a round trip through the queue, and for all where nothing may be
 * written to a part of a buffer. */
static cl_int create_whole(clm_cl_device *d, size_t bytes, cl_mem *out) {
    const size_t size = bytes ? bytes : sizeof(cl_float);
    cl_int code = CL_OUT_OF_HOST_MEMORY;
    void *zeros = calloc(1, size);
    *out = zeros ? clCreateBuffer(d->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, size, zeros, &code) : NULL;
    free(zeros);
    return code;
}

static bool maps(const clm_cl_device *d) { return d->base.info.unified_memory || d->avoid & CLM_AVOID_WRITES; }

/* Where `size` bytes at `offset` are in the memory of the host, until they are unmapped. Mapped for reading as well, memory
 * keeps its contents under checkers that regard a write-mapped region as overwritten. */
static void *map(clm_cl_device *d, cl_mem buffer, bool write, size_t offset, size_t size, cl_int *code) {
    d->base.counters.mapped += size;
    const cl_map_flags overwrite = d->avoid & CLM_AVOID_WRITES ? CL_MAP_READ | CL_MAP_WRITE : CL_MAP_WRITE_INVALIDATE_REGION;
    const double began = clm_wait_begin();
    void *mapped = NULL;
    *code = clm_cl_team_join(d);
    if (*code == CL_SUCCESS)
        mapped =
            clEnqueueMapBuffer(d->queue, buffer, CL_TRUE, write ? overwrite : CL_MAP_READ, offset, size, 0, NULL, NULL, code);
    clm_wait_end(began);
    return mapped;
}

static cl_int unmap(clm_cl_device *d, cl_mem buffer, void *mapped) {
    return clEnqueueUnmapMemObject(d->queue, buffer, mapped, 0, NULL, NULL);
}

/* Offset and count in elements. */
static cl_int fill_buffer(clm_cl_device *d, cl_mem buffer, size_t offset, size_t count, cl_float value) {
    const size_t size = sizeof value;
    cl_int code = clm_cl_team_join(d);
    if (code != CL_SUCCESS) return code;
    if (!(d->avoid & CLM_AVOID_WRITES))
        return clEnqueueFillBuffer(d->queue, buffer, &value, size, offset * size, count * size, 0, NULL, NULL);
    cl_float *mapped = map(d, buffer, true, offset * size, count * size, &code);
    if (code != CL_SUCCESS) return code;
    for (size_t i = 0; i < count; i++) mapped[i] = value;
    return unmap(d, buffer, mapped);
}

/* Passes over a dozen arrays larger than the caches spend a tenth of their time on translating small pages. */
static cl_int use_large_pages(clm_cl_device *d, cl_mem buffer, size_t bytes) {
    cl_int code;
    if (d->base.info.type != CLM_DEVICE_CPU || !d->base.info.unified_memory || bytes < LARGE_PAGES) return CL_SUCCESS;
    void *mapped = map(d, buffer, true, 0, bytes, &code);
    if (code != CL_SUCCESS) return code;
    clm_prefer_large_pages(mapped, bytes);
    return unmap(d, buffer, mapped);
}

/* Drivers make large buffers lazily: filling one now shows here whether there is room for it. */
static cl_int create_large(clm_cl_device *d, size_t bytes, cl_mem *out) {
    cl_int code = CL_SUCCESS;
    *out = clCreateBuffer(d->context, CL_MEM_READ_WRITE | (d->base.info.unified_memory ? CL_MEM_ALLOC_HOST_PTR : 0), bytes,
                          NULL, &code);
    if (code == CL_SUCCESS) code = use_large_pages(d, *out, bytes);
    if (code == CL_SUCCESS) code = fill_buffer(d, *out, 0, bytes / sizeof(cl_float), 0.0f);
    return code == CL_SUCCESS ? clFinish(d->queue) : code;
}

clm_status clm_cl_alloc(clm_device *d, size_t elements, clm_mem **out) {
    *out = NULL;
    size_t bytes = elements * sizeof(cl_float);
    if (elements > d->info.max_allocation / sizeof(cl_float)) {
        return clm_fail(CLM_E_MEMORY, "%zu numbers asked for in one piece, %s allows at most %llu bytes", elements,
                        d->info.name, (unsigned long long)d->info.max_allocation);
    }
    /* Drivers that overcommit would let the system kill the process, or swap, where this refuses. */
    if (bytes > d->info.global_memory || d->allocated > d->info.global_memory - bytes) {
        return check_alloc(d, CL_MEM_OBJECT_ALLOCATION_FAILURE, bytes);
    }
    clm_mem *mem = clm_calloc(1, sizeof *mem);
    if (!mem) return CLM_E_MEMORY;
    mem->elements = elements;
    clm_cl_device *cl = clm_cl(d);
    const bool whole = bytes <= SMALL || cl->avoid & CLM_AVOID_WRITES;
    cl_int code = whole ? create_whole(cl, bytes, &mem->buffer) : create_large(cl, bytes, &mem->buffer);
    d->allocated += bytes;
    if (code == CL_SUCCESS) code = clm_cl_emulated_lack(d, CLM_FAIL_AT_ALLOCATION);
    if (code != CL_SUCCESS) d->allocated -= bytes;
    clm_status status = check_alloc(d, code, bytes);
    if (status != CLM_OK) {
        if (mem->buffer) clReleaseMemObject(mem->buffer);
        free(mem);
        return status;
    }
    if (d->allocated > d->peak_allocated) d->peak_allocated = d->allocated;
    *out = mem;
    return CLM_OK;
}

void clm_cl_free(clm_device *d, clm_mem *mem) {
    if (!mem) return;
    clReleaseMemObject(mem->buffer);
    d->allocated -= mem->elements * sizeof(cl_float);
    free(mem);
}

static clm_status check_range(clm_device *d, const clm_mem *mem, const char *what, size_t offset, size_t count) {
    if (offset <= mem->elements && count <= mem->elements - offset) return CLM_OK;
    return clm_fail(CLM_E_ARG, "%s of %zu elements at %zu on %s passes the end of a buffer of %zu", what, count, offset,
                    d->info.name, mem->elements);
}

/* What a transfer moves: floats as they are, or doubles, converted. */
typedef struct transfer {
    float *f32;
    double *f64;
    bool write;
} transfer;

static void move(const transfer *t, size_t from, cl_float *device, size_t count) {
    assert(t->f32 || t->f64);
    if (t->f32 && t->write)
        memcpy(device, t->f32 + from, count * sizeof *device);
    else if (t->f32)
        memcpy(t->f32 + from, device, count * sizeof *device);
    else if (t->write)
        for (size_t i = 0; i < count; i++) device[i] = (cl_float)t->f64[from + i];
    else
        for (size_t i = 0; i < count; i++) t->f64[from + i] = (double)device[i];
}

/* Memory that is shared with the host is mapped, which saves a copy; the pointer is valid until the buffer is unmapped. */
static cl_int transfer_mapped(clm_cl_device *d, clm_mem *mem, size_t offset, size_t count, const transfer *t) {
    const size_t size = sizeof(cl_float);
    cl_int code;
    cl_float *mapped = map(d, mem->buffer, t->write, offset * size, count * size, &code);
    if (code != CL_SUCCESS) return code;
    move(t, 0, mapped, count);
    return unmap(d, mem->buffer, mapped);
}

static cl_int transfer_floats(clm_cl_device *d, clm_mem *mem, size_t offset, size_t count, float *data, bool write,
                              cl_bool wait) {
    const size_t size = sizeof(cl_float);
    d->base.counters.copied += count * size;
    cl_int code = clm_cl_team_join(d);
    if (code != CL_SUCCESS) return code;
    const double began = wait ? clm_wait_begin() : 0;
    code = write ? clEnqueueWriteBuffer(d->queue, mem->buffer, wait, offset * size, count * size, data, 0, NULL, NULL)
                 : clEnqueueReadBuffer(d->queue, mem->buffer, wait, offset * size, count * size, data, 0, NULL, NULL);
    if (wait) clm_wait_end(began);
    return code;
}

static cl_int transfer_doubles(clm_cl_device *d, clm_mem *mem, size_t offset, size_t count, const transfer *t) {
    cl_float *part = clm_calloc(count < CONVERT ? count : CONVERT, sizeof *part);
    cl_int code = part ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    for (size_t done = 0, n; done < count && code == CL_SUCCESS; done += n) {
        n = count - done < CONVERT ? count - done : CONVERT;
        if (t->write) move(t, done, part, n);
        code = transfer_floats(d, mem, offset + done, n, part, t->write, CL_TRUE);
        if (!t->write && code == CL_SUCCESS) move(t, done, part, n);
    }
    free(part);
    return code;
}

static clm_status transfer_all(clm_device *d, clm_mem *mem, size_t offset, size_t count, const transfer *t) {
    const char *what = t->write ? "write" : "read";
    CLM_TRY(check_range(d, mem, what, offset, count));
    if (count == 0) return CLM_OK;
    double start = clm_clock();
    cl_int code;
    if (maps(clm_cl(d)))
        code = transfer_mapped(clm_cl(d), mem, offset, count, t);
    else if (t->f32)
        code = transfer_floats(clm_cl(d), mem, offset, count, t->f32, t->write, CL_TRUE);
    else
        code = transfer_doubles(clm_cl(d), mem, offset, count, t);
    clm_cl_watchdog_idle(clm_cl(d), start);
    if (code == CL_SUCCESS) clm_cl_team_idle(clm_cl(d), start);
    if (code == CL_SUCCESS && !t->write) code = clm_cl_emulated_lack(d, CLM_FAIL_AT_WAIT);
    return clm_cl_check(d, code, "%s of %zu numbers", what, count);
}

clm_status clm_cl_write(clm_device *d, clm_mem *mem, size_t offset, size_t count, const float *f32, const double *f64) {
    transfer t = {.f32 = (float *)f32, .f64 = (double *)f64, .write = true}; /* only read then */
    return transfer_all(d, mem, offset, count, &t);
}

clm_status clm_cl_read(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *f32, double *f64) {
    return transfer_all(d, mem, offset, count, &(transfer){.f32 = f32, .f64 = f64});
}

/* Also where memory is shared with the host: mapping would wait for the queue. */
static clm_status transfer_later(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *data, bool write) {
    const char *what = write ? "write" : "read";
    CLM_TRY(check_range(d, mem, what, offset, count));
    if (count == 0) return CLM_OK;
    if (clm_cl(d)->avoid & CLM_AVOID_WRITES)
        return transfer_all(d, mem, offset, count, &(transfer){.f32 = data, .write = write});
    cl_int code = transfer_floats(clm_cl(d), mem, offset, count, data, write, CL_FALSE);
    clm_cl_queued(clm_cl(d));
    return clm_cl_check(d, code, "%s of %zu numbers", what, count);
}

clm_status clm_cl_write_later(clm_device *d, clm_mem *mem, size_t offset, size_t count, const float *data) {
    return transfer_later(d, mem, offset, count, (float *)data, true); /* only read then */
}

clm_status clm_cl_read_later(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *data) {
    return transfer_later(d, mem, offset, count, data, false);
}

static cl_int write_mapped(clm_cl_device *d, clm_mem *mem, size_t offset, size_t count, const void *bytes) {
    cl_int code;
    void *mapped = map(d, mem->buffer, true, offset, count, &code);
    if (code != CL_SUCCESS) return code;
    memcpy(mapped, bytes, count);
    return unmap(d, mem->buffer, mapped);
}

clm_status clm_cl_write_bytes(clm_device *d, clm_mem *mem, size_t offset, size_t count, const void *bytes) {
    const size_t size = mem->elements * sizeof(cl_float);
    clm_cl_device *cl = clm_cl(d);
    if (offset > size || count > size - offset)
        return clm_fail(CLM_E_ARG, "write of %zu bytes at %zu on %s passes the end of a buffer of %zu", count, offset,
                        d->info.name, size);
    if (count == 0) return CLM_OK;
    double start = clm_clock();
    if (!maps(cl)) d->counters.copied += count;
    cl_int code = clm_cl_team_join(cl);
    if (code == CL_SUCCESS)
        code = maps(cl) ? write_mapped(cl, mem, offset, count, bytes)
                        : clEnqueueWriteBuffer(cl->queue, mem->buffer, CL_TRUE, offset, count, bytes, 0, NULL, NULL);
    clm_cl_watchdog_idle(cl, start);
    if (code == CL_SUCCESS) clm_cl_team_idle(cl, start);
    return clm_cl_check(d, code, "write of %zu bytes", count);
}

static cl_int copy_mapped(clm_cl_device *d, clm_mem *from, size_t from_offset, clm_mem *to, size_t to_offset, size_t size) {
    cl_int code, back;
    void *source = map(d, from->buffer, false, from_offset, size, &code);
    if (code != CL_SUCCESS) return code;
    void *target = map(d, to->buffer, true, to_offset, size, &code);
    if (code == CL_SUCCESS) {
        memcpy(target, source, size);
        code = unmap(d, to->buffer, target);
    }
    back = unmap(d, from->buffer, source);
    return code != CL_SUCCESS ? code : back;
}

clm_status clm_cl_copy(clm_device *d, clm_mem *from, size_t from_offset, clm_mem *to, size_t to_offset, size_t count) {
    CLM_TRY(check_range(d, from, "copy", from_offset, count));
    CLM_TRY(check_range(d, to, "copy", to_offset, count));
    if (count == 0) return CLM_OK;
    const size_t size = sizeof(cl_float);
    clm_cl_device *cl = clm_cl(d);
    cl_int code = clm_cl_team_join(cl);
    if (code == CL_SUCCESS)
        code = cl->avoid & CLM_AVOID_WRITES ? copy_mapped(cl, from, from_offset * size, to, to_offset * size, count * size)
                                            : clEnqueueCopyBuffer(cl->queue, from->buffer, to->buffer, from_offset * size,
                                                                  to_offset * size, count * size, 0, NULL, NULL);
    clm_cl_queued(cl);
    return clm_cl_check(d, code, "copying %zu numbers", count);
}

clm_status clm_cl_fill(clm_device *d, clm_mem *mem, size_t offset, size_t count, double value) {
    CLM_TRY(check_range(d, mem, "fill", offset, count));
    if (count == 0) return CLM_OK;
    cl_int code = fill_buffer(clm_cl(d), mem->buffer, offset, count, (cl_float)value);
    clm_cl_queued(clm_cl(d));
    return clm_cl_check(d, code, "filling %zu numbers", count);
}
