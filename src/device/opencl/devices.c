/* What OpenCL devices exist. No driver at all, a platform without a device and a platform that fails to open are all
 * ordinary. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread.h"
#include "device/opencl/opencl.h"

/* Without any driver the loader says this rather than a count of zero. */
#define PLATFORM_NOT_FOUND_KHR (-1001)

/* ---- asking ---- */

/* What the loader or a driver is asked for the first time makes the threads that it computes with. They are not to have the signals of the
 * process: PoCL's run a linker as a program, Ctrl-C in a terminal goes to that as well, and PoCL aborts the process when its linker ends. So
 * a thread that leaves signals to others asks. */
typedef struct question {
    cl_platform_id platform; /* whose devices; NULL: which platforms */
    cl_uint room;
    cl_platform_id *platforms;
    cl_device_id *devices;
    cl_uint *count;
    cl_int code;
} question;

static void put(void *argument) {
    question *q = argument;
    q->code = q->platform ? clGetDeviceIDs(q->platform, CL_DEVICE_TYPE_ALL, q->room, q->devices, q->count)
                          : clGetPlatformIDs(q->room, q->platforms, q->count);
}

static cl_int answer(question q) {
    clm_thread *thread;
    if (clm_thread_start(&thread, put, &q) == CLM_OK)
        clm_thread_join(thread);
    else
        put(&q);
    return q.code;
}

static cl_int list_platforms(cl_platform_id **out, cl_uint *count) {
    *out = NULL;
    *count = 0;
    cl_int code = answer((question){.count = count});
    if (code == PLATFORM_NOT_FOUND_KHR || (code == CL_SUCCESS && *count == 0)) {
        *count = 0;
        return CL_SUCCESS;
    }
    if (code != CL_SUCCESS) return code;
    *out = clm_calloc(*count, sizeof **out);
    if (!*out) return CL_OUT_OF_HOST_MEMORY;
    return answer((question){.room = *count, .platforms = *out});
}

static cl_int list_devices(cl_platform_id platform, cl_device_id **out, cl_uint *count) {
    *out = NULL;
    *count = 0;
    cl_int code = answer((question){.platform = platform, .count = count});
    if (code == CL_DEVICE_NOT_FOUND || (code == CL_SUCCESS && *count == 0)) {
        *count = 0;
        return CL_SUCCESS;
    }
    if (code != CL_SUCCESS) return code;
    *out = clm_calloc(*count, sizeof **out);
    if (!*out) return CL_OUT_OF_HOST_MEMORY;
    return answer((question){.platform = platform, .room = *count, .devices = *out});
}

/* ---- describing ---- */

/* Questions about a device or its platform. What a driver does not know (CL_INVALID_VALUE) stays as it was; the first failure of
 * another kind is kept, because a device that is described wrongly computes in other ways. */
typedef struct questions {
    cl_platform_id platform;
    cl_device_id id; /* NULL: about the platform */
    cl_int code;
    cl_uint what; /* failed with that code */
} questions;

/* True when there is an answer. */
static bool ask(questions *q, cl_uint what, size_t size, void *out, size_t *need) {
    const cl_int code =
        q->id ? clGetDeviceInfo(q->id, what, size, out, need) : clGetPlatformInfo(q->platform, what, size, out, need);
    if (code != CL_SUCCESS && code != CL_INVALID_VALUE && q->code == CL_SUCCESS) {
        q->code = code;
        q->what = what;
    }
    return code == CL_SUCCESS;
}

/* Free with free(); NULL: no answer. */
static char *ask_text(questions *q, cl_uint what) {
    size_t need = 0;
    if (!ask(q, what, 0, NULL, &need) || need == 0) return NULL;
    char *text = clm_calloc(need + 1, 1);
    if (!text) q->code = CL_OUT_OF_HOST_MEMORY;
    if (text && ask(q, what, need, text, NULL)) return text;
    free(text);
    return NULL;
}

/* A text without the white space that some drivers put around it; cut where it does not fit. */
static void get_text(questions *q, cl_uint what, char *out, size_t size) {
    char *text = ask_text(q, what);
    snprintf(out, size, "%s", text ? text + strspn(text, " \t") : "");
    for (size_t n = strlen(out); n && (out[n - 1] == ' ' || out[n - 1] == '\n'); n--) out[n - 1] = 0;
    free(text);
}

/* Is `word` one of the words of the list of extensions? As a whole: cl_khr_fp16 is part of other names. */
static bool has_extension(const char *list, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = list; at && *at; at += strspn(at, " ")) {
        const size_t n = strcspn(at, " ");
        if (n == length && !strncmp(at, word, n)) return true;
        at += n;
    }
    return false;
}

static clm_status failed_answer(const questions *q) {
    if (q->code == CL_SUCCESS) return CLM_OK;
    return clm_fail(CLM_E_DEVICE, "asking an OpenCL %s for its property 0x%x: %s (%d)", q->id ? "device" : "platform",
                    (unsigned)q->what, clm_cl_error_name(q->code), (int)q->code);
}

clm_status clm_cl_platform_text(cl_platform_id platform, cl_platform_info what, char *out, size_t size) {
    questions q = {.platform = platform};
    get_text(&q, what, out, size);
    return failed_answer(&q);
}

/* A device may be of several types at once (simulators are of all): what runs on the processor counts as a CPU. */
static clm_device_type type_of(cl_device_type type) {
    if (type & CL_DEVICE_TYPE_CPU) return CLM_DEVICE_CPU;
    if (type & CL_DEVICE_TYPE_GPU) return CLM_DEVICE_GPU;
    return CLM_DEVICE_ACCELERATOR;
}

#define GET(q, what, variable) ask(q, what, sizeof(variable), &(variable), NULL)

/* "OpenCL 1.2 .." or later */
static bool is_recent(const char *version) {
    char *end = NULL;
    if (strncmp(version, "OpenCL ", 7) != 0) return false;
    const long major = strtol(version + 7, &end, 10);
    if (*end != '.') return false;
    return major > 1 || (major == 1 && strtol(end + 1, NULL, 10) >= 2);
}

static bool usable(questions *q, const char *version) {
    cl_bool available = CL_FALSE, compiler = CL_FALSE, little = CL_FALSE;
    GET(q, CL_DEVICE_AVAILABLE, available);
    GET(q, CL_DEVICE_COMPILER_AVAILABLE, compiler);
    GET(q, CL_DEVICE_ENDIAN_LITTLE, little);
    return available && compiler && little && is_recent(version);
}

static void get_item_sizes(questions *q, size_t sizes[3]) {
    size_t all[16] = {0}, need = 0;
    if (ask(q, CL_DEVICE_MAX_WORK_ITEM_SIZES, 0, NULL, &need) && need <= sizeof all)
        ask(q, CL_DEVICE_MAX_WORK_ITEM_SIZES, need, all, NULL);
    memcpy(sizes, all, 3 * sizeof *sizes);
}

/* The largest work-group that lies along the first dimension. */
static size_t largest_group(questions *q) {
    size_t group = 0, sizes[3];
    GET(q, CL_DEVICE_MAX_WORK_GROUP_SIZE, group);
    get_item_sizes(q, sizes);
    if (sizes[0] && sizes[0] < group) group = sizes[0];
    return group ? group : 1;
}

clm_status clm_cl_item_sizes(cl_device_id id, size_t sizes[3]) {
    questions q = {.id = id};
    get_item_sizes(&q, sizes);
    return failed_answer(&q);
}

clm_status clm_cl_describe(cl_platform_id platform, cl_device_id id, clm_device_info *info, clm_emulation *emulation) {
    cl_device_type type = 0;
    cl_uint units = 0, clock = 0, width = 0, alignment = 0, bits = 0;
    cl_ulong global = 0, allocation = 0, local = 0, cache = 0;
    cl_bool unified = CL_FALSE, images = CL_FALSE;
    cl_device_local_mem_type local_type = CL_NONE;
    questions about = {.id = id}, *q = &about;
    char *extensions = ask_text(q, CL_DEVICE_EXTENSIONS);
    GET(q, CL_DEVICE_TYPE, type);
    GET(q, CL_DEVICE_MAX_COMPUTE_UNITS, units);
    GET(q, CL_DEVICE_MAX_CLOCK_FREQUENCY, clock);
    GET(q, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, width);
    GET(q, CL_DEVICE_MEM_BASE_ADDR_ALIGN, alignment);
    GET(q, CL_DEVICE_GLOBAL_MEM_SIZE, global);
    GET(q, CL_DEVICE_MAX_MEM_ALLOC_SIZE, allocation);
    GET(q, CL_DEVICE_LOCAL_MEM_SIZE, local);
    GET(q, CL_DEVICE_HOST_UNIFIED_MEMORY, unified);
    GET(q, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, cache);
    GET(q, CL_DEVICE_LOCAL_MEM_TYPE, local_type);
    GET(q, CL_DEVICE_ADDRESS_BITS, bits);
    GET(q, CL_DEVICE_IMAGE_SUPPORT, images);
    *info = (clm_device_info){.type = type_of(type),
                              .compute_units = units,
                              .clock_mhz = clock,
                              .global_memory = global,
                              .max_allocation = allocation,
                              .local_memory = local,
                              .dedicated_local_memory = local_type == CL_LOCAL,
                              .max_work_group_size = largest_group(q),
                              .float_vector_width = width ? width : 1,
                              .base_alignment_bits = alignment,
                              .fp64 = has_extension(extensions, "cl_khr_fp64"),
                              .fp16 = has_extension(extensions, "cl_khr_fp16"),
                              .images = images == CL_TRUE,
                              .address_bits = bits ? bits : 32,
                              .cache = cache,
                              .unified_memory = unified == CL_TRUE};
    if (info->address_bits == 32 && info->global_memory > UINT32_MAX) info->global_memory = UINT32_MAX;
    free(extensions);
    CLM_TRY(clm_cl_platform_text(platform, CL_PLATFORM_NAME, info->platform, sizeof info->platform));
    get_text(q, CL_DEVICE_NAME, info->name, sizeof info->name);
    get_text(q, CL_DEVICE_VENDOR, info->vendor, sizeof info->vendor);
    get_text(q, CL_DRIVER_VERSION, info->driver, sizeof info->driver);
    get_text(q, CL_DEVICE_VERSION, info->version, sizeof info->version);
    info->available = usable(q, info->version);
    CLM_TRY(failed_answer(q));
    return clm_emulate(info, emulation);
}

/* cl_intel_required_subgroup_size goes with threads of 4 KB for 8 lanes, or 8 KB for 16: 128 floats for each in its widest form. */
bool clm_cl_few_registers(cl_device_id id) {
    questions q = {.id = id};
    char *extensions = ask_text(&q, CL_DEVICE_EXTENSIONS);
    const bool few = has_extension(extensions, "cl_intel_required_subgroup_size");
    free(extensions);
    return few;
}

/* cl_amd_device_attribute_query: kilobytes that are free in all, and in the largest block. No other vendor tells. */
#define DEVICE_GLOBAL_FREE_MEMORY_AMD 0x4039

uint64_t clm_cl_free_memory(const clm_device *device) {
    const clm_cl_device *d = (const clm_cl_device *)device;
    const uint64_t emulated = d->emulation.free_memory;
    questions about = {.id = d->id}, *q = &about;
    size_t kilobytes[2] = {0};
    clm_cl_builders_make_room();
    if (emulated) return emulated > device->allocated ? emulated - device->allocated : 1;
    char *extensions = ask_text(q, CL_DEVICE_EXTENSIONS);
    if (has_extension(extensions, "cl_amd_device_attribute_query")) GET(q, DEVICE_GLOBAL_FREE_MEMORY_AMD, kilobytes);
    free(extensions);
    return 1024 * (uint64_t)kilobytes[0];
}

/* ---- listing ---- */

typedef struct device_list {
    clm_device_info *items;
    size_t count, capacity;
    clm_text warnings;
} device_list;

static void warn(device_list *list, const char *platform, int index, const char *what) {
    clm_text_add(&list->warnings, "%splatform %d \"%s\": %s", list->warnings.length ? "; " : "", index, platform, what);
}

static clm_status add_platform(device_list *list, cl_platform_id platform, int index) {
    char name[128];
    cl_device_id *ids = NULL;
    cl_uint n = 0;
    clm_status status = CLM_OK;
    (void)clm_cl_platform_text(platform, CL_PLATFORM_NAME, name, sizeof name);
    cl_int code = list_devices(platform, &ids, &n);
    if (code != CL_SUCCESS) {
        warn(list, name, index, clm_cl_error_name(code));
        goto out;
    }
    for (cl_uint i = 0; i < n; i++) {
        CLM_GOTO(clm_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items));
        clm_device_info *info = &list->items[list->count++];
        status = clm_cl_describe(platform, ids[i], info, NULL);
        if (status == CLM_E_DEVICE) {
            info->available = false;
            warn(list, name, index, clm_last_error());
        } else
            CLM_GOTO(status);
        info->platform_index = index;
        info->device_index = (int)i;
        if (!info->available && status == CLM_OK)
            warn(list, name, index, "a device is not available, has no compiler, or is older than OpenCL 1.2");
    }
    status = CLM_OK;
out:
    free(ids);
    return status;
}

clm_status clm_opencl_list(clm_device_info **out, size_t *count, char *warnings, size_t warnings_size) {
    device_list list = {0};
    cl_platform_id *platforms = NULL;
    cl_uint n = 0;
    clm_status status = CLM_OK;
    *out = NULL;
    *count = 0;
    cl_int code = list_platforms(&platforms, &n);
    if (code != CL_SUCCESS) {
        clm_text_add(&list.warnings, "the OpenCL loader does not list platforms: %s", clm_cl_error_name(code));
        n = 0;
    }
    for (cl_uint i = 0; i < n; i++) CLM_GOTO(add_platform(&list, platforms[i], (int)i));
    if (warnings && warnings_size) snprintf(warnings, warnings_size, "%s", list.warnings.data ? list.warnings.data : "");
    *out = list.items;
    *count = list.count;
    list.items = NULL;
out:
    clm_text_free(&list.warnings);
    free(list.items);
    free(platforms);
    return status;
}

clm_status clm_cl_find(int platform_index, int device_index, cl_platform_id *platform, cl_device_id *id) {
    cl_platform_id *platforms = NULL;
    cl_device_id *ids = NULL;
    cl_uint n_platforms = 0, n = 0;
    cl_int code = list_platforms(&platforms, &n_platforms);
    bool found = false;
    if (code == CL_SUCCESS && platform_index >= 0 && (cl_uint)platform_index < n_platforms) {
        *platform = platforms[platform_index];
        code = list_devices(*platform, &ids, &n);
        found = code == CL_SUCCESS && device_index >= 0 && (cl_uint)device_index < n;
        if (found) *id = ids[device_index];
    }
    free(ids);
    free(platforms);
    if (found) return CLM_OK;
    if (code != CL_SUCCESS) return clm_fail(CLM_E_DEVICE, "OpenCL does not list its devices: %s", clm_cl_error_name(code));
    return clm_fail(CLM_E_DEVICE, "there is no OpenCL device %d:%d", platform_index, device_index);
}
