/* A layer between the OpenCL loader and a driver that works, which makes it misbehave as CLMAML_TEST_FAULT says, a word and a text:
 *
 *     skip=KERNEL     launches of kernels whose name holds the text do nothing, so that their results are wrong
 *     crash=KERNEL    they crash
 *     hang=KERNEL     they never return
 *     driver=VERSION  the driver says that this is its version; may stand before another one, with a comma between
 *
 * Both loaders in use load the libraries that OPENCL_LAYERS names. Used by tests/fault/selftest.sh. */
#include <CL/cl.h>
#include <CL/cl_layer.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cl_icd_dispatch layer;
static const cl_icd_dispatch *driver;

/* The text of a word; NULL: it is not there. */
static const char *fault(const char *word, char *text, size_t size) {
    const char *at = getenv("CLMAML_TEST_FAULT");
    const size_t length = strlen(word);
    for (; at && *at; at += strcspn(at, ","), at += *at == ',') {
        if (strncmp(at, word, length) != 0 || at[length] != '=') continue;
        const size_t n = strcspn(at + length + 1, ",");
        if (n >= size) return NULL;
        memcpy(text, at + length + 1, n);
        text[n] = 0;
        return text;
    }
    return NULL;
}

static int is_meant(const char *word, cl_kernel kernel) {
    char name[256] = "", text[64];
    if (driver->clGetKernelInfo(kernel, CL_KERNEL_FUNCTION_NAME, sizeof name - 1, name, NULL) != CL_SUCCESS) return 0;
    return fault(word, text, sizeof text) && strstr(name, text);
}

static cl_int CL_API_CALL launch(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                                 const size_t *global, const size_t *local, cl_uint count, const cl_event *after,
                                 cl_event *event) {
    if (is_meant("crash", kernel)) {
        signal(SIGSEGV, SIG_DFL); /* sanitizers catch it otherwise */
        raise(SIGSEGV);
    }
    while (is_meant("hang", kernel)) pause();
    if (is_meant("skip", kernel)) return driver->clEnqueueMarkerWithWaitList(queue, count, after, event);
    return driver->clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, global, local, count, after, event);
}

static cl_int CL_API_CALL device_info(cl_device_id device, cl_device_info what, size_t size, void *out, size_t *need) {
    char version[64];
    if (what != CL_DRIVER_VERSION || !fault("driver", version, sizeof version))
        return driver->clGetDeviceInfo(device, what, size, out, need);
    if (need) *need = strlen(version) + 1;
    if (out && size <= strlen(version)) return CL_INVALID_VALUE;
    if (out) memcpy(out, version, strlen(version) + 1);
    return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t size, void *out, size_t *need) {
    const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    if (what != CL_LAYER_API_VERSION || (out && size < sizeof version)) return CL_INVALID_VALUE;
    if (out) memcpy(out, &version, sizeof version);
    if (need) *need = sizeof version;
    return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL clInitLayer(cl_uint count, const cl_icd_dispatch *target, cl_uint *count_out,
                                            const cl_icd_dispatch **out) {
    size_t bytes = count * sizeof(void *);
    if (!target || !count_out || !out) return CL_INVALID_VALUE;
    if (bytes > sizeof layer) bytes = sizeof layer;
    driver = target;
    memcpy(&layer, target, bytes);
    layer.clEnqueueNDRangeKernel = launch;
    layer.clGetDeviceInfo = device_info;
    *count_out = (cl_uint)(bytes / sizeof(void *));
    *out = &layer;
    return CL_SUCCESS;
}
