/* Device memory: one buffer an allocation. Transfers wait, copies and fills are queued. */
#include <stdlib.h>

#include "base/files.h"
#include "base/memory.h"
#include "device/opencl/opencl.h"

/* Numbers converted at a time between double and the device's float. */
enum { CONVERT = 16384 };

/* Bytes. */
enum { SMALL = 65536 };

/* Any refusal while memory is being made counts as a lack of it: drivers differ in which code they give. */
static clm_status check_alloc(clm_device *d, cl_int code, size_t bytes) {
    if (code == CL_SUCCESS) return CLM_OK;
    return clm_fail(CLM_E_MEMORY, "allocating %zu bytes on %s (%zu of %llu bytes are in use): %s (%d)", bytes, d->info.name,
                    d->allocated, (unsigned long long)d->info.global_memory, clm_cl_error_name(code), (int)code);
}

/* Small buffers begin as a copy of zeros: one call rather than a round trip through the queue. Besides, memory checkers see every
 * byte of them initialised, which some miss in a fill. */
static cl_int create_small(clm_cl_device *d, size_t bytes, cl_mem *out) {
    char zeros[SMALL] = {0};
    cl_int code = CL_SUCCESS;
    *out = clCreateBuffer(d->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, bytes ? bytes : sizeof(cl_float), zeros, &code);
    return code;
}

/* Offset and count in elements. */
static cl_int fill_buffer(clm_cl_device *d, cl_mem buffer, size_t offset, size_t count, cl_float value) {
    enum { PART = 4096 };
    const size_t size = sizeof value;
    cl_float part[PART];
    cl_int code = CL_SUCCESS;
    if (!(d->avoid & CLM_AVOID_FILL))
        return clEnqueueFillBuffer(d->queue, buffer, &value, size, offset * size, count * size, 0, NULL, NULL);
    for (size_t i = 0; i < PART; i++) part[i] = value;
    for (size_t done = 0, n; done < count && code == CL_SUCCESS; done += n) {
        n = count - done < PART ? count - done : PART;
        code = clEnqueueWriteBuffer(d->queue, buffer, CL_TRUE, (offset + done) * size, n * size, part, 0, NULL, NULL);
    }
    return code;
}

/* Drivers make large buffers lazily: filling one now shows here whether there is room for it. */
static cl_int create_large(clm_cl_device *d, size_t bytes, cl_mem *out) {
    cl_int code = CL_SUCCESS;
    *out = clCreateBuffer(d->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    if (code == CL_SUCCESS) code = fill_buffer(d, *out, 0, bytes / sizeof(cl_float), 0.0f);
    return code == CL_SUCCESS ? clFinish(d->queue) : code;
}

cl_int clm_cl_emulated_lack(clm_device *d, clm_emulated_failure at) {
    const clm_emulation *e = &clm_cl(d)->emulation;
    if (!e->real_memory || e->failure != at || d->allocated <= e->real_memory) return CL_SUCCESS;
    return at == CLM_FAIL_AT_WAIT ? CL_OUT_OF_RESOURCES : CL_MEM_OBJECT_ALLOCATION_FAILURE;
}

clm_status clm_cl_alloc(clm_device *d, size_t elements, clm_mem **out) {
    *out = NULL;
    size_t bytes = elements * sizeof(cl_float);
    if (elements > d->info.max_allocation / sizeof(cl_float)) {
        return clm_fail(CLM_E_MEMORY, "%zu numbers asked for in one piece, %s allows at most %llu bytes", elements, d->info.name,
                        (unsigned long long)d->info.max_allocation);
    }
    /* Drivers that overcommit would let the system kill the process, or swap, where this refuses. */
    if (bytes > d->info.global_memory || d->allocated > d->info.global_memory - bytes) {
        return check_alloc(d, CL_MEM_OBJECT_ALLOCATION_FAILURE, bytes);
    }
    clm_mem *mem = clm_calloc(1, sizeof *mem);
    if (!mem) return CLM_E_MEMORY;
    mem->elements = elements;
    cl_int code = bytes <= SMALL ? create_small(clm_cl(d), bytes, &mem->buffer) : create_large(clm_cl(d), bytes, &mem->buffer);
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

static clm_status write_floats(clm_device *d, clm_mem *mem, size_t offset, size_t count, const float *data) {
    double start = clm_clock();
    cl_int code = clEnqueueWriteBuffer(clm_cl(d)->queue, mem->buffer, CL_TRUE, offset * sizeof(cl_float),
                                       count * sizeof(cl_float), data, 0, NULL, NULL);
    clm_cl_idle(clm_cl(d), start);
    return clm_cl_check(d, code, "writing %zu numbers", count);
}

static clm_status read_floats(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *data) {
    double start = clm_clock();
    cl_int code = clEnqueueReadBuffer(clm_cl(d)->queue, mem->buffer, CL_TRUE, offset * sizeof(cl_float), count * sizeof(cl_float),
                                      data, 0, NULL, NULL);
    clm_cl_idle(clm_cl(d), start);
    if (code == CL_SUCCESS) code = clm_cl_emulated_lack(d, CLM_FAIL_AT_WAIT);
    return clm_cl_check(d, code, "reading %zu numbers", count);
}

clm_status clm_cl_write(clm_device *d, clm_mem *mem, size_t offset, size_t count, const float *f32, const double *f64) {
    CLM_TRY(check_range(d, mem, "write", offset, count));
    if (count == 0) return CLM_OK;
    if (f32) return write_floats(d, mem, offset, count, f32);
    float *part = clm_calloc(count < CONVERT ? count : CONVERT, sizeof *part);
    if (!part) return CLM_E_MEMORY;
    clm_status status = CLM_OK;
    for (size_t done = 0, n; done < count && status == CLM_OK; done += n) {
        n = count - done < CONVERT ? count - done : CONVERT;
        for (size_t i = 0; i < n; i++) part[i] = (float)f64[done + i];
        status = write_floats(d, mem, offset + done, n, part);
    }
    free(part);
    return status;
}

clm_status clm_cl_read(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *f32, double *f64) {
    CLM_TRY(check_range(d, mem, "read", offset, count));
    if (count == 0) return CLM_OK;
    if (f32) return read_floats(d, mem, offset, count, f32);
    float *part = clm_calloc(count < CONVERT ? count : CONVERT, sizeof *part);
    if (!part) return CLM_E_MEMORY;
    clm_status status = CLM_OK;
    for (size_t done = 0, n; done < count && status == CLM_OK; done += n) {
        n = count - done < CONVERT ? count - done : CONVERT;
        status = read_floats(d, mem, offset + done, n, part);
        for (size_t i = 0; i < n && status == CLM_OK; i++) f64[done + i] = (double)part[i];
    }
    free(part);
    return status;
}

clm_status clm_cl_copy(clm_device *d, clm_mem *from, size_t from_offset, clm_mem *to, size_t to_offset, size_t count) {
    CLM_TRY(check_range(d, from, "copy", from_offset, count));
    CLM_TRY(check_range(d, to, "copy", to_offset, count));
    if (count == 0) return CLM_OK;
    const size_t size = sizeof(cl_float);
    cl_int code = clEnqueueCopyBuffer(clm_cl(d)->queue, from->buffer, to->buffer, from_offset * size, to_offset * size,
                                      count * size, 0, NULL, NULL);
    clm_cl_queued(clm_cl(d));
    return clm_cl_check(d, code, "copying %zu numbers", count);
}

clm_status clm_cl_fill(clm_device *d, clm_mem *mem, size_t offset, size_t count, double value) {
    CLM_TRY(check_range(d, mem, "fill", offset, count));
    if (count == 0) return CLM_OK;
    cl_int code = fill_buffer(clm_cl(d), mem->buffer, offset, count, (cl_float)value);
    clm_cl_queued(clm_cl(d));
    return clm_cl_check(d, code, "filling %zu numbers", count);
}
