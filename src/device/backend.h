/* The device layer: what a back end provides. Two exist: opencl/ (floats) and host/ (the double-precision reference).
 *
 * Memory is counted in elements (float or double, as the back end keeps them). A launch is described once, bound to its memory
 * by `make`, and then queued any number of times by `enqueue`, which allocates nothing. Queues are in order.
 */
#ifndef CLM_DEVICE_BACKEND_H
#define CLM_DEVICE_BACKEND_H

#include <stdatomic.h>

#include "base/error.h"
#include "clmaml/device.h"

typedef struct clm_mem clm_mem;       /* back end's own */
typedef struct clm_kernel clm_kernel; /* back end's own: a launch bound to memory */
struct clm_lower;                     /* program/lower.h */
struct clm_choice;                    /* ops/choice.h */

#define CLM_MAX_ARGS 130
enum { CLM_CHAIN_MEMORIES = 40 }; /* of all launches in a task kernel, or in one launch of a team */

typedef enum clm_arg_kind {
    CLM_ARG_MEM,  /* becomes two kernel arguments: __global float *, uint2 (offset, task_stride) (elements) */
    CLM_ARG_INT,  /* int */
    CLM_ARG_FLOAT /* float */
} clm_arg_kind;

typedef struct clm_arg {
    clm_arg_kind kind;
    clm_mem *mem;
    size_t offset, task_stride;
    size_t size, tasks; /* what is there from offset on, of one task and of how many: for reports; 0: not known */
    int i;
    double f;
} clm_arg;

/* Libraries beside our kernels. A launch that calls one has a clm_library_call instead of a kernel's text, and these memory
 * arguments:
 *
 * CLM_LIBRARY_CLBLAST: c, a, b. C[m, n] = A[m, k] B[k, n] in row-major order, `batch` products for each of `tasks` tasks from
 * first_task on. A matrix begins at its argument's offset + task * task_stride + matrix.offset + index in the batch *
 * matrix.stride; strides of 0 share a and b. With a task_stride of its own, a matrix is memory that holds these tasks alone.
 * `large`: by its kernel for large products. Then there is a fourth argument, memory of `room` elements for its copies of one
 * product's matrices, whose offset is a multiple of info.base_alignment_bits; its tile says how many they are.
 *
 * CLM_LIBRARY_CLFFT: planes, and memory of the same size for in between. Transforms `batch` planes [rows, columns] of pairs
 * (real, imaginary) in place; the inverse includes the factor 1 / (rows columns). Both offsets are multiples of
 * info.base_alignment_bits. */
typedef enum clm_library { CLM_LIBRARY_NONE, CLM_LIBRARY_CLBLAST, CLM_LIBRARY_CLFFT, CLM_LIBRARY_COUNT } clm_library;

enum {
    CLM_CLBLAST_VALUES = 16, /* numbers in a set of CLBlast's parameters at most; their order is in opencl/gemm.c */
    CLM_CLBLAST_SIDE = 128   /* a multiple of all sides of tiles of its kernel for large products */
};

typedef struct clm_matrix {
    int ld; /* elements from row to row, as stored */
    size_t offset, stride, task_stride;
    bool transposed; /* stored with rows and columns exchanged */
} clm_matrix;

typedef struct clm_library_call {
    clm_library library;
    int batch;
    int tasks, first_task, m, n, k;
    clm_matrix c, a, b;
    bool large;
    size_t room;
    int rows, columns;
    bool inverse;
} clm_library_call;

typedef struct clm_launch {
    char label[96]; /* the operation, for errors and profiles */
    /* OpenCL */
    const char *file;           /* "conv2d.cl", or NULL when `source` is given; "common.cl" is always put before it */
    const char *source;         /* generated source */
    const char *entry;          /* kernel name */
    const char *defines;        /* "-DKH=3 -DKW=3", may be "" */
    size_t global[3], local[3]; /* local[0] 0: the driver's choice. global is a multiple of local. */
    /* host: runs the launch; the arguments' memory is reached with clm_host_data */
    void (*host)(const struct clm_launch *launch);
    const void *context; /* for host; must stay valid */
    /* OpenCL, instead of file, source and entry */
    clm_library_call call;
    clm_arg args[CLM_MAX_ARGS];
    int n_args;
    /* the kernel takes every run of CLM_ARG_INTs as int4s, the last padded with zeros: each argument costs drivers time */
    bool quads;
    double flops, bytes; /* for reports; 0: not counted */
    int team;            /* launches of which form_team has made it; 0: none */
} clm_launch;

typedef struct clm_backend {
    size_t element_size; /* 4 or 8 */
    void (*close)(clm_device *d);
    /* Opens sub-device `index` of `count`, which share the compute units equally. CLM_E_LIMIT: the device is not divided, or not so.
     * NULL: it cannot be divided. */
    clm_status (*open_sub_device)(clm_device *d, int index, int count, clm_device **out);
    /* Zeroed memory, touched so that a lack of it shows here (CLM_E_MEMORY). At most info.max_allocation bytes. */
    clm_status (*alloc)(clm_device *d, size_t elements, clm_mem **out);
    void (*free)(clm_device *d, clm_mem *mem);
    /* Blocking transfers; exactly one of f32, f64 is not NULL. */
    clm_status (*write)(clm_device *d, clm_mem *mem, size_t offset, size_t count, const float *f32, const double *f64);
    clm_status (*read)(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *f32, double *f64);
    /* Queued transfers; the host's memory must not change until the queue has been waited for. NULL: `write` and `read` do not
     * wait for anything either. */
    clm_status (*write_later)(clm_device *d, clm_mem *mem, size_t offset, size_t count, const float *data);
    clm_status (*read_later)(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *data);
    /* Blocking. Bytes as they are, for kernels that read the memory as another type; offset and count in bytes. */
    clm_status (*write_bytes)(clm_device *d, clm_mem *mem, size_t offset, size_t count, const void *bytes);
    clm_status (*copy)(clm_device *d, clm_mem *from, size_t from_offset, clm_mem *to, size_t to_offset,
                       size_t count);                                                           /* queued */
    clm_status (*fill)(clm_device *d, clm_mem *mem, size_t offset, size_t count, double value); /* queued */
    /* Builds what many launches need, faster than one after the other. Optional (may be NULL), and so is calling it: `make`
     * builds what is missing and reports failures. */
    clm_status (*build)(clm_device *d, const clm_launch *launches, size_t count);
    clm_status (*make)(clm_device *d, const clm_launch *launch, clm_kernel **out);
    /* A task kernel: one launch in which each task executes all of these launches without waiting for other tasks. Each launch
     * reads and writes memory of its own task; other memory it only reads, and none of them writes it. All have the same number
     * of tasks, global[2], and none calls a library. NULL: not supported. */
    clm_status (*make_task_kernel)(clm_device *d, const clm_launch *launches, size_t count, clm_kernel **out);
    /* A team: the parts of a device share each of many launches, where the device as a whole is slow to begin with the next one. *found:
     * there is one that is expected to be faster with all of these. NULL: never. */
    clm_status (*find_team)(clm_device *d, const clm_launch *launches, size_t count, bool *found);
    /* After that: one launch that does some of these, in order, for `build` and `make`. Results are the same bits. out->source and
     * the memory of its first argument are the caller's, to be freed when kernels made of it are released. CLM_E_LIMIT: too many. */
    clm_status (*form_team)(clm_device *d, const clm_launch *launches, size_t count, clm_launch *out);
    void (*release)(clm_device *d, clm_kernel *kernel);
    clm_status (*enqueue)(clm_device *d, clm_kernel *kernel);
    clm_status (*finish)(clm_device *d);
    /* Runs one launch alone and times it, waiting: for doctor and profiles. Seconds. */
    clm_status (*time)(clm_device *d, clm_kernel *kernel, double *seconds);
    /* Can launches call this library here? *info (may be NULL) receives what is known of it in any case. NULL: no libraries. */
    bool (*library)(clm_device *d, clm_library library, clm_library_info *info);
    /* Replaces the parameters of a library's kernel, or of that for large products, on this device. CLM_E_DEVICE where the
     * library cannot be used. */
    clm_status (*library_set)(clm_device *d, clm_library library, bool large, const int *values);
    /* Along m, n, k the tile that a group of the library's kernel for large products computes by parameters of the library's
     * own. CLM_E_DEVICE where there is none. */
    clm_status (*library_tile)(clm_device *d, clm_library library, int tile[3]);
    /* Bytes of the device's memory that nobody uses now; 0: it does not say. NULL: it never does. */
    uint64_t (*free_memory)(const clm_device *d);
    /* A hash of all that tuning results depend on: device, driver, platform, kernel sources. NULL: nothing is tuned here. */
    uint64_t (*device_hash)(clm_device *d);
} clm_backend;

struct clm_device {
    const clm_backend *backend;
    _Atomic(const void *) user; /* clm_device_enter; NULL: nobody */
    int entered;                /* times, by that user */
    clm_device_info info;
    size_t allocated, peak_allocated; /* bytes; kept by the back ends */
    clm_device_counters counters;     /* likewise; OpenCL only */
    size_t kernels_built;
    clm_device **sub_devices; /* clm_device_open_sub_devices */
    int n_sub_devices;
    bool is_sub_device;
    int parts;            /* of which it is one: they share its memory; 0 or 1: it is whole */
    bool single;          /* of the host reference: what an operation or a transfer writes is rounded to float */
    bool few_registers;   /* of a lane: 128 floats */
    bool no_task_kernels; /* the driver cannot compile them: the back end's make_task_kernel must not be called */
    char quirks[160];     /* names of the driver quirks that are worked around */
    /* Kept for layers above (ops/choice.h, tune/store.h). */
    bool (*choose)(void *user, const struct clm_lower *l, int32_t y, struct clm_choice *choice);
    void *choose_user;
    struct clm_tune_memory *tune;
    signed char library_state[CLM_LIBRARY_COUNT]; /* 1: its results were right, -1: it cannot be used, 0: not tried */
    signed char large_state;                      /* the same for CLBlast's kernel for large products */
    int large_tile[3];                            /* its tile; [0] 0: not asked yet, -1: it has none */
    void (*tune_free)(clm_device *d);             /* NULL: nothing to free */
};

/* Bytes that may be planned with where nobody sets a limit, those that are allocated through the device included: nine tenths of
 * its memory, and of what is free of it. *of_free (may be NULL): whether the latter is the smaller. Devices that share the host's
 * memory have free what the system has available, the others what their driver says. 0: nothing is known. */
uint64_t clm_device_room(const clm_device *d, bool *of_free);

/* A device and what is made from it belong to one thread at a time: a public function is inside from its beginning to its end, and
 * that of another thread fails meanwhile (CLM_E_STATE). Calls nest. */
clm_status clm_device_enter(clm_device *d);
void clm_device_leave(clm_device *d);
/* Returns from the function with what `call` returns. */
#define CLM_IN_DEVICE(d, call)                  \
    do {                                        \
        clm_device *clm_entered = (d);          \
        CLM_TRY(clm_device_enter(clm_entered)); \
        const clm_status clm_inside = (call);   \
        clm_device_leave(clm_entered);          \
        return clm_inside;                      \
    } while (0)
/* This thread, as the user of devices; and from now on this thread works for that one, which waits for it. */
const void *clm_device_user(void);
void clm_device_work_for(const void *user);

/* Opens `n` equal sub-devices, d->sub_devices, which are closed with the device. CLM_E_LIMIT where that is not possible.
 * Sub-devices have kernels and queues of their own; what is allocated and built through them counts for the whole device. Their
 * number cannot change afterwards. */
clm_status clm_device_open_sub_devices(clm_device *d, int n);

/* Can launches call this library here, and was a small case of it right? Otherwise CLM_E_DEVICE. Tried once. */
clm_status clm_library_good(clm_device *d, clm_library library);
/* The same for CLBlast's kernel for large products. */
clm_status clm_large_product_good(clm_device *d);
/* Its tile (library_tile), asked for once; false where it cannot be called here. Builds nothing. */
bool clm_large_product_tile(clm_device *d, int tile[3]);
/* The room of a call with these sizes, rounded up to any tile, so that other parameters need no more. */
size_t clm_large_product_room(int m, int n, int k);

/* The memory of a host-device argument. */
double *clm_host_data(const clm_mem *mem);

/* Around every wait for a device: clm_wait_end takes what clm_wait_begin gave. */
double clm_wait_begin(void);
void clm_wait_end(double began);

/* `single`: every result is rounded to float. */
clm_status clm_host_open(clm_device **out, bool single);
/* What clm_device_list says of the host reference. */
void clm_host_describe(clm_device_info *info);
clm_status clm_opencl_open(clm_device **out, int platform_index, int device_index);
/* Sub-device `index` of `count`, which share the compute units equally; `count` 1: the whole device. */
clm_status clm_opencl_open_sub_device(clm_device **out, int platform_index, int device_index, int index, int count);
/* All OpenCL devices; *out is allocated with malloc. No platform at all gives count 0 and CLM_OK. */
clm_status clm_opencl_list(clm_device_info **out, size_t *count, char *warnings, size_t warnings_size);

/* Before and after what is built from source, for clm_building_set. */
void clm_building_tell(const clm_device *device, size_t count, bool done);

#endif
