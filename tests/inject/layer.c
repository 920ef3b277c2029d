/* A layer between the OpenCL loader and the drivers (OPENCL_LAYERS): lets one OpenCL call fail, as a sick driver would.
 *
 * CLMAML_INJECT_KIND: the name of an OpenCL function. CLMAML_INJECT_AT: which call of it, from 1; 0: none. CLMAML_INJECT_CODE: the
 * error it gives. CLMAML_INJECT_IN: only in a process whose first argument is this; empty: in those whose first argument does not
 * begin with "--" (the program tries drivers and devices in processes of its own). places.h: the places from which functions are
 * called, and one of them alone.
 *
 * A call that fails does nothing, but for releases and waits: these are made, and fail then. A function that this lacks passes;
 * tests/inject/opencl.sh holds the rows to what src/device/opencl calls. */
#include <CL/cl.h>
#include <CL/cl_layer.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "places.h"

/* One row a function: HANDLE gives a handle and a code, CODE a code alone, LATE fails after the call. */
#define FUNCTIONS(HANDLE, CODE, LATE)                                                                                          \
    CODE(clGetPlatformIDs, (cl_uint n, cl_platform_id * out, cl_uint * count), (n, out, count))                                \
    CODE(clGetPlatformInfo, (cl_platform_id p, cl_platform_info what, size_t size, void *out, size_t *need),                   \
         (p, what, size, out, need))                                                                                           \
    CODE(clGetDeviceIDs, (cl_platform_id p, cl_device_type type, cl_uint n, cl_device_id * out, cl_uint * count),              \
         (p, type, n, out, count))                                                                                             \
    CODE(clGetDeviceInfo, (cl_device_id d, cl_device_info what, size_t size, void *out, size_t *need),                         \
         (d, what, size, out, need))                                                                                           \
    CODE(clCreateSubDevices,                                                                                                   \
         (cl_device_id d, const cl_device_partition_property *how, cl_uint n, cl_device_id *out, cl_uint *count),              \
         (d, how, n, out, count))                                                                                              \
    LATE(clReleaseDevice, (cl_device_id d), (d))                                                                               \
    HANDLE(cl_context, clCreateContext,                                                                                        \
           (const cl_context_properties *how, cl_uint n, const cl_device_id *d,                                                \
            void(CL_CALLBACK * notify)(const char *, const void *, size_t, void *), void *user, cl_int *code),                 \
           (how, n, d, notify, user, code))                                                                                    \
    LATE(clReleaseContext, (cl_context c), (c))                                                                                \
    CODE(clGetContextInfo, (cl_context c, cl_context_info what, size_t size, void *out, size_t *need),                         \
         (c, what, size, out, need))                                                                                           \
    HANDLE(cl_command_queue, clCreateCommandQueue,                                                                             \
           (cl_context c, cl_device_id d, cl_command_queue_properties how, cl_int * code), (c, d, how, code))                  \
    LATE(clReleaseCommandQueue, (cl_command_queue q), (q))                                                                     \
    CODE(clGetCommandQueueInfo, (cl_command_queue q, cl_command_queue_info what, size_t size, void *out, size_t *need),        \
         (q, what, size, out, need))                                                                                           \
    HANDLE(cl_mem, clCreateBuffer, (cl_context c, cl_mem_flags flags, size_t size, void *host, cl_int *code),                  \
           (c, flags, size, host, code))                                                                                       \
    HANDLE(cl_mem, clCreateSubBuffer,                                                                                          \
           (cl_mem m, cl_mem_flags flags, cl_buffer_create_type type, const void *how, cl_int *code),                          \
           (m, flags, type, how, code))                                                                                        \
    LATE(clReleaseMemObject, (cl_mem m), (m))                                                                                  \
    HANDLE(cl_program, clCreateProgramWithSource,                                                                              \
           (cl_context c, cl_uint n, const char **text, const size_t *length, cl_int *code), (c, n, text, length, code))       \
    HANDLE(cl_program, clCreateProgramWithBinary,                                                                              \
           (cl_context c, cl_uint n, const cl_device_id *d, const size_t *size, const unsigned char **binary, cl_int *each,    \
            cl_int *code),                                                                                                     \
           (c, n, d, size, binary, each, code))                                                                                \
    CODE(clRetainProgram, (cl_program p), (p))                                                                                 \
    LATE(clReleaseProgram, (cl_program p), (p))                                                                                \
    CODE(clBuildProgram,                                                                                                       \
         (cl_program p, cl_uint n, const cl_device_id *d, const char *options, void(CL_CALLBACK * notify)(cl_program, void *), \
          void *user),                                                                                                         \
         (p, n, d, options, notify, user))                                                                                     \
    CODE(clGetProgramInfo, (cl_program p, cl_program_info what, size_t size, void *out, size_t *need),                         \
         (p, what, size, out, need))                                                                                           \
    CODE(clGetProgramBuildInfo,                                                                                                \
         (cl_program p, cl_device_id d, cl_program_build_info what, size_t size, void *out, size_t *need),                     \
         (p, d, what, size, out, need))                                                                                        \
    HANDLE(cl_kernel, clCreateKernel, (cl_program p, const char *name, cl_int *code), (p, name, code))                         \
    LATE(clReleaseKernel, (cl_kernel k), (k))                                                                                  \
    CODE(clSetKernelArg, (cl_kernel k, cl_uint i, size_t size, const void *value), (k, i, size, value))                        \
    CODE(clGetKernelInfo, (cl_kernel k, cl_kernel_info what, size_t size, void *out, size_t *need),                            \
         (k, what, size, out, need))                                                                                           \
    CODE(clGetKernelWorkGroupInfo,                                                                                             \
         (cl_kernel k, cl_device_id d, cl_kernel_work_group_info what, size_t size, void *out, size_t *need),                  \
         (k, d, what, size, out, need))                                                                                        \
    LATE(clWaitForEvents, (cl_uint n, const cl_event *events), (n, events))                                                    \
    LATE(clReleaseEvent, (cl_event e), (e))                                                                                    \
    CODE(clGetEventProfilingInfo, (cl_event e, cl_profiling_info what, size_t size, void *out, size_t *need),                  \
         (e, what, size, out, need))                                                                                           \
    CODE(clFlush, (cl_command_queue q), (q))                                                                                   \
    CODE(clEnqueueMarkerWithWaitList, (cl_command_queue q, cl_uint n, const cl_event *after, cl_event *event),                 \
         (q, n, after, event))                                                                                                 \
    CODE(clEnqueueBarrierWithWaitList, (cl_command_queue q, cl_uint n, const cl_event *after, cl_event *event),                \
         (q, n, after, event))                                                                                                 \
    LATE(clFinish, (cl_command_queue q), (q))                                                                                  \
    CODE(clEnqueueReadBuffer,                                                                                                  \
         (cl_command_queue q, cl_mem m, cl_bool wait, size_t offset, size_t size, void *to, cl_uint n, const cl_event *after,  \
          cl_event *event),                                                                                                    \
         (q, m, wait, offset, size, to, n, after, event))                                                                      \
    CODE(clEnqueueWriteBuffer,                                                                                                 \
         (cl_command_queue q, cl_mem m, cl_bool wait, size_t offset, size_t size, const void *from, cl_uint n,                 \
          const cl_event *after, cl_event *event),                                                                             \
         (q, m, wait, offset, size, from, n, after, event))                                                                    \
    CODE(clEnqueueFillBuffer,                                                                                                  \
         (cl_command_queue q, cl_mem m, const void *what, size_t length, size_t offset, size_t size, cl_uint n,                \
          const cl_event *after, cl_event *event),                                                                             \
         (q, m, what, length, offset, size, n, after, event))                                                                  \
    CODE(clEnqueueCopyBuffer,                                                                                                  \
         (cl_command_queue q, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset, size_t size, cl_uint n,            \
          const cl_event *after, cl_event *event),                                                                             \
         (q, from, to, from_offset, to_offset, size, n, after, event))                                                         \
    HANDLE(void *, clEnqueueMapBuffer,                                                                                         \
           (cl_command_queue q, cl_mem m, cl_bool wait, cl_map_flags flags, size_t offset, size_t size, cl_uint n,             \
            const cl_event *after, cl_event *event, cl_int *code),                                                             \
           (q, m, wait, flags, offset, size, n, after, event, code))                                                           \
    CODE(clEnqueueUnmapMemObject, (cl_command_queue q, cl_mem m, void *at, cl_uint n, const cl_event *after, cl_event *event), \
         (q, m, at, n, after, event))                                                                                          \
    CODE(clEnqueueNDRangeKernel,                                                                                               \
         (cl_command_queue q, cl_kernel k, cl_uint dimensions, const size_t *offset, const size_t *global,                     \
          const size_t *local, cl_uint n, const cl_event *after, cl_event *event),                                             \
         (q, k, dimensions, offset, global, local, n, after, event))

#define CODE_ENTRY(name, ...) ENTRY_##name,
#define HANDLE_ENTRY(type, name, ...) ENTRY_##name,
enum entry { FUNCTIONS(HANDLE_ENTRY, CODE_ENTRY, CODE_ENTRY) ENTRIES };

#define CODE_NAME(name, ...) #name,
#define HANDLE_NAME(type, name, ...) #name,
static const char *const names[ENTRIES] = {FUNCTIONS(HANDLE_NAME, CODE_NAME, CODE_NAME)};

static const cl_icd_dispatch *driver;
static cl_icd_dispatch layer;
static atomic_long calls[ENTRIES];
static int chosen = ENTRIES; /* enum entry; ENTRIES: none */
static long fail_at;
static cl_int error = CL_OUT_OF_RESOURCES;

static int fails(enum entry entry) {
    return place_is_meant(names[entry]) && atomic_fetch_add(&calls[entry], 1) + 1 == fail_at && (int)entry == chosen;
}

#define CODE_FUNCTION(name, parameters, arguments) \
    static cl_int CL_API_CALL fail_##name parameters { return fails(ENTRY_##name) ? error : driver->name arguments; }
#define LATE_FUNCTION(name, parameters, arguments)     \
    static cl_int CL_API_CALL fail_##name parameters { \
        const cl_int made = driver->name arguments;    \
        return fails(ENTRY_##name) ? error : made;     \
    }
#define HANDLE_FUNCTION(type, name, parameters, arguments)       \
    static type CL_API_CALL fail_##name parameters {             \
        if (!fails(ENTRY_##name)) return driver->name arguments; \
        if (code) *code = error;                                 \
        return NULL;                                             \
    }
FUNCTIONS(HANDLE_FUNCTION, CODE_FUNCTION, LATE_FUNCTION)

/* Is this a process that is meant? */
static int is_meant(void) {
    char text[4096];
    const char *wanted = getenv("CLMAML_INJECT_IN");
    FILE *file = fopen("/proc/self/cmdline", "r");
    size_t n = file ? fread(text, 1, sizeof text - 2, file) : 0;
    if (file) fclose(file);
    text[n] = text[n + 1] = 0;
    const char *first = text + strlen(text) + 1;
    return wanted && *wanted ? strcmp(first, wanted) == 0 : strncmp(first, "--", 2) != 0;
}

static void choose(void) {
    const char *kind = getenv("CLMAML_INJECT_KIND"), *at = getenv("CLMAML_INJECT_AT"), *code = getenv("CLMAML_INJECT_CODE");
    if (!is_meant()) return;
    fail_at = at ? atol(at) : 0;
    if (code) error = atoi(code);
    for (int i = 0; i < ENTRIES; i++)
        if (kind && strcmp(kind, names[i]) == 0) chosen = i;
    places_begin();
    atexit(places_end);
}

CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t size, void *out, size_t *need) {
    const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    if (what != CL_LAYER_API_VERSION || (out && size < sizeof version)) return CL_INVALID_VALUE;
    if (out) memcpy(out, &version, sizeof version);
    if (need) *need = sizeof version;
    return CL_SUCCESS;
}

#define CODE_INSTALL(name, ...) layer.name = fail_##name;
#define HANDLE_INSTALL(type, name, ...) layer.name = fail_##name;

CL_API_ENTRY cl_int CL_API_CALL clInitLayer(cl_uint count, const cl_icd_dispatch *target, cl_uint *count_out,
                                            const cl_icd_dispatch **out) {
    size_t bytes = count * sizeof(void *);
    if (!target || !count_out || !out) return CL_INVALID_VALUE;
    if (bytes > sizeof layer) bytes = sizeof layer;
    driver = target;
    memcpy(&layer, target, bytes);
    FUNCTIONS(HANDLE_INSTALL, CODE_INSTALL, CODE_INSTALL)
    choose();
    *count_out = (cl_uint)(bytes / sizeof(void *));
    *out = &layer;
    return CL_SUCCESS;
}
