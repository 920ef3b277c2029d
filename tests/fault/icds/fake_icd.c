/* An OpenCL driver that misbehaves, for the tests of tests/fault/drivers.sh. One source, one library for each value of BEHAVIOUR.
 *
 * It has one platform and one device, which claims to be a large GPU, so that it is the default choice wherever it is listed. */
#include <CL/cl.h>
#include <CL/cl_ext.h>
#include <CL/cl_icd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CRASH_AT_LOAD = 1,
    ABORT_AT_PLATFORMS,
    EXIT_AT_PLATFORMS,
    HANG_AT_DEVICES,
    CRASH_AT_CONTEXT,
    CRASH_AT_BUILD,
    NO_DEVICE,
    DEVICES_FAIL,
    CONTEXT_FAILS
};

/* All handles are the address of this: the loader looks for the table of functions at their beginning. */
static struct fake { const cl_icd_dispatch *dispatch; } fake;

static void crash(void) {
    signal(SIGSEGV, SIG_DFL); /* sanitizers catch it otherwise */
    raise(SIGSEGV);
}

__attribute__((constructor)) static void loaded(void) {
    if (BEHAVIOUR == CRASH_AT_LOAD) crash();
}

static cl_int give(const void *value, size_t value_size, size_t size, void *out, size_t *need) {
    if (need) *need = value_size;
    if (out && size < value_size) return CL_INVALID_VALUE;
    if (out) memcpy(out, value, value_size);
    return CL_SUCCESS;
}

static cl_int give_text(const char *text, size_t size, void *out, size_t *need) {
    return give(text, strlen(text) + 1, size, out, need);
}

static cl_int CL_API_CALL platform_info(cl_platform_id platform, cl_platform_info what, size_t size, void *out, size_t *need) {
    (void)platform;
    switch (what) {
    case CL_PLATFORM_NAME: return give_text("Faulty", size, out, need);
    case CL_PLATFORM_VENDOR: return give_text("Faulty vendor", size, out, need);
    case CL_PLATFORM_VERSION: return give_text("OpenCL 1.2 faulty", size, out, need);
    case CL_PLATFORM_PROFILE: return give_text("FULL_PROFILE", size, out, need);
    case CL_PLATFORM_EXTENSIONS: return give_text("cl_khr_icd", size, out, need);
    case CL_PLATFORM_ICD_SUFFIX_KHR: return give_text("FAULTY", size, out, need);
    default: return CL_INVALID_VALUE;
    }
}

static cl_int CL_API_CALL device_ids(cl_platform_id platform, cl_device_type type, cl_uint room, cl_device_id *out,
                                     cl_uint *count) {
    (void)platform;
    if (BEHAVIOUR == HANG_AT_DEVICES)
        for (;;) pause();
    if (BEHAVIOUR == DEVICES_FAIL) return CL_OUT_OF_HOST_MEMORY;
    if (BEHAVIOUR == NO_DEVICE || !(type & CL_DEVICE_TYPE_GPU)) return CL_DEVICE_NOT_FOUND;
    if (out && room) out[0] = (cl_device_id)(void *)&fake;
    if (count) *count = 1;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL device_info(cl_device_id device, cl_device_info what, size_t size, void *out, size_t *need) {
    static const struct {
        cl_device_info what;
        const char *text;
    } texts[] = {{CL_DEVICE_NAME, "Faulty device"},
                 {CL_DEVICE_VENDOR, "Faulty vendor"},
                 {CL_DRIVER_VERSION, "1.0"},
                 {CL_DEVICE_VERSION, "OpenCL 1.2 faulty"},
                 {CL_DEVICE_EXTENSIONS, ""}};
    static const struct {
        cl_device_info what;
        cl_ulong value;
        size_t size;
    } numbers[] = {{CL_DEVICE_TYPE, CL_DEVICE_TYPE_GPU, sizeof(cl_device_type)},
                   {CL_DEVICE_MAX_COMPUTE_UNITS, 64, sizeof(cl_uint)},
                   {CL_DEVICE_MAX_CLOCK_FREQUENCY, 1000, sizeof(cl_uint)},
                   {CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, 1, sizeof(cl_uint)},
                   {CL_DEVICE_MEM_BASE_ADDR_ALIGN, 1024, sizeof(cl_uint)},
                   {CL_DEVICE_GLOBAL_MEM_SIZE, (cl_ulong)1 << 30, sizeof(cl_ulong)},
                   {CL_DEVICE_MAX_MEM_ALLOC_SIZE, (cl_ulong)1 << 28, sizeof(cl_ulong)},
                   {CL_DEVICE_LOCAL_MEM_SIZE, 32768, sizeof(cl_ulong)},
                   {CL_DEVICE_HOST_UNIFIED_MEMORY, CL_FALSE, sizeof(cl_bool)},
                   {CL_DEVICE_MAX_WORK_GROUP_SIZE, 256, sizeof(size_t)},
                   {CL_DEVICE_AVAILABLE, CL_TRUE, sizeof(cl_bool)},
                   {CL_DEVICE_COMPILER_AVAILABLE, CL_TRUE, sizeof(cl_bool)},
                   {CL_DEVICE_ENDIAN_LITTLE, CL_TRUE, sizeof(cl_bool)}};
    static const size_t item_sizes[3] = {256, 256, 256};
    (void)device;
    if (what == CL_DEVICE_MAX_WORK_ITEM_SIZES) return give(item_sizes, sizeof item_sizes, size, out, need);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].what == what) return give_text(texts[i].text, size, out, need);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].what == what) return give(&numbers[i].value, numbers[i].size, size, out, need); /* little-endian */
    return CL_INVALID_VALUE;
}

static void *made(cl_int *code) {
    if (code) *code = CL_SUCCESS;
    return &fake;
}

static cl_context CL_API_CALL create_context(const cl_context_properties *properties, cl_uint count,
                                             const cl_device_id *devices,
                                             void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user,
                                             cl_int *code) {
    (void)properties, (void)count, (void)devices, (void)notify, (void)user;
    if (BEHAVIOUR == CRASH_AT_CONTEXT) crash();
    if (BEHAVIOUR == CONTEXT_FAILS) {
        if (code) *code = CL_OUT_OF_RESOURCES;
        return NULL;
    }
    return made(code);
}

static cl_command_queue CL_API_CALL create_queue(cl_context context, cl_device_id device,
                                                 cl_command_queue_properties properties, cl_int *code) {
    (void)context, (void)device, (void)properties;
    return made(code);
}

static cl_mem CL_API_CALL create_buffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code) {
    (void)context, (void)flags, (void)size, (void)host;
    return made(code);
}

static cl_program CL_API_CALL create_program(cl_context context, cl_uint count, const char **texts, const size_t *lengths,
                                             cl_int *code) {
    (void)context, (void)count, (void)texts, (void)lengths;
    return made(code);
}

static cl_int CL_API_CALL build_program(cl_program program, cl_uint count, const cl_device_id *devices, const char *options,
                                        void(CL_CALLBACK *notify)(cl_program, void *), void *user) {
    (void)program, (void)count, (void)devices, (void)options, (void)notify, (void)user;
    if (BEHAVIOUR == CRASH_AT_BUILD) crash();
    return CL_BUILD_PROGRAM_FAILURE;
}

static cl_int CL_API_CALL build_info(cl_program program, cl_device_id device, cl_program_build_info what, size_t size,
                                     void *out, size_t *need) {
    (void)program, (void)device, (void)what;
    return give_text("a faulty compiler", size, out, need);
}

static cl_int CL_API_CALL release_context(cl_context x) { return x ? CL_SUCCESS : CL_INVALID_CONTEXT; }
static cl_int CL_API_CALL release_queue(cl_command_queue x) { return x ? CL_SUCCESS : CL_INVALID_COMMAND_QUEUE; }
static cl_int CL_API_CALL release_buffer(cl_mem x) { return x ? CL_SUCCESS : CL_INVALID_MEM_OBJECT; }
static cl_int CL_API_CALL release_program(cl_program x) { return x ? CL_SUCCESS : CL_INVALID_PROGRAM; }

static const cl_icd_dispatch dispatch = {.clGetPlatformInfo = platform_info,
                                         .clGetDeviceIDs = device_ids,
                                         .clGetDeviceInfo = device_info,
                                         .clCreateContext = create_context,
                                         .clReleaseContext = release_context,
                                         .clCreateCommandQueue = create_queue,
                                         .clReleaseCommandQueue = release_queue,
                                         .clFinish = release_queue,
                                         .clFlush = release_queue,
                                         .clCreateBuffer = create_buffer,
                                         .clReleaseMemObject = release_buffer,
                                         .clCreateProgramWithSource = create_program,
                                         .clBuildProgram = build_program,
                                         .clGetProgramBuildInfo = build_info,
                                         .clReleaseProgram = release_program};

CL_API_ENTRY cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint room, cl_platform_id *out, cl_uint *count) {
    if (BEHAVIOUR == ABORT_AT_PLATFORMS) abort();
    if (BEHAVIOUR == EXIT_AT_PLATFORMS) _exit(3);
    fake.dispatch = &dispatch;
    if (out && room) out[0] = (cl_platform_id)(void *)&fake;
    if (count) *count = 1;
    return CL_SUCCESS;
}

CL_API_ENTRY void *CL_API_CALL clGetExtensionFunctionAddress(const char *name) {
    union {
        clIcdGetPlatformIDsKHR_fn function;
        void *address;
    } ids = {clIcdGetPlatformIDsKHR};
    return strcmp(name, "clIcdGetPlatformIDsKHR") == 0 ? ids.address : NULL;
}

CL_API_ENTRY cl_int CL_API_CALL clGetPlatformInfo(cl_platform_id platform, cl_platform_info what, size_t size, void *out,
                                                  size_t *need) {
    return platform_info(platform, what, size, out, need);
}
