/* CLBlast and clFFT: found while the program runs (base/dynlib.h), called for launches that ask for them.
 *
 * Both keep state of their own for the whole process, which this guards by one lock, and which is cleared when the last device
 * that used them is closed. */
#ifndef CLM_OPENCL_LIBRARIES_H
#define CLM_OPENCL_LIBRARIES_H

#include "base/dynlib.h"
#include "device/opencl/opencl.h"

/* What a library is to this directory. `attach` is called once for a device before the first call, `detach` when that device is
 * closed; all functions run inside the lock. */
typedef struct clm_cl_library {
    const char *name, *switch_off;                                       /* an environment variable: anything but empty or 0 */
    bool (*load)(char *version, size_t version_size, const char **path); /* false with the reason as last error */
    clm_status (*attach)(clm_cl_device *d);
    void (*detach)(clm_cl_device *d);
    clm_status (*set)(clm_cl_device *d, bool large, const int *values); /* parameters of its kernels; NULL: it has none */
    clm_status (*tile)(clm_cl_device *d, int tile[3]); /* of its kernel for large products; NULL: it has none */
    clm_status (*make)(clm_cl_device *d, const clm_launch *launch, struct clm_cl_call *call);
    clm_status (*enqueue)(clm_cl_device *d, cl_command_queue queue, const struct clm_cl_call *call, const char *label);
} clm_cl_library;
extern const clm_cl_library clm_cl_clblast, clm_cl_clfft;

/* A launch that calls a library. */
typedef struct clm_cl_call {
    const clm_cl_library *library;
    clm_library_call what;
    bool spoilt, fails; /* its results are made wrong, calling it fails: for tests */
    /* products: buffers of c, a, b; `loops` calls of `count` products each */
    cl_mem buffer[3];
    size_t offset[3], stride[3], loop_stride[3], count, loops;
    /* parts of buffers, owned by the call: planes and what is in between for transforms, `between` for copies of products */
    cl_mem planes, between;
    size_t plan;
} clm_cl_call;

/* libraries.c */
bool clm_cl_library_usable(clm_device *d, clm_library library, clm_library_info *info);
clm_status clm_cl_library_set(clm_device *d, clm_library library, bool large, const int *values);
clm_status clm_cl_library_tile(clm_device *d, clm_library library, int tile[3]);
/* `bytes` of an argument's memory as a buffer of its own, which the caller releases. */
clm_status clm_cl_part(clm_cl_device *d, const clm_arg *arg, size_t bytes, const char *label, cl_mem *out);
clm_status clm_cl_call_make(clm_device *d, const clm_launch *launch, clm_cl_call **out);
clm_status clm_cl_call_enqueue(clm_device *d, cl_command_queue queue, const clm_cl_call *call, const char *label);
void clm_cl_call_free(clm_cl_call *call);
/* Before the queue is released, with nothing in it. */
void clm_cl_libraries_detach(clm_cl_device *d);

/* For tests: launches made from now on call this library wrongly. */
extern clm_library clm_cl_spoilt_library;
/* Or fail at it. */
extern bool clm_cl_spoilt_fails;

#endif
