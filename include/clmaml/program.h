/* Programs: a graph planned for a device, then replayed.
 *
 * Creation simplifies, fuses, schedules and plans memory, so the memory a program will take is known before any is taken.
 * Running allocates nothing, compiles nothing and waits for nothing.
 *
 *     clm_program_create(&p, device, graph, outputs, n, &options);
 *     clm_program_bind(p, value, tensor);      // any input or output; the rest get tensors of their own
 *     clm_program_prepare(p);                  // allocates, builds kernels
 *     clm_tensor_write(clm_program_tensor(p, x), data, count);
 *     clm_program_run(p);
 *     clm_tensor_read(clm_program_tensor(p, y), data, count);   // waits
 */
#ifndef CLMAML_PROGRAM_H
#define CLMAML_PROGRAM_H

#include "device.h"
#include "graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- tensors: device memory for one value ---- */
typedef struct clm_tensor clm_tensor;

/* tasks 0: shared; otherwise [tasks, shape..], contiguous. Filled with zeros. */
CLM_API clm_status clm_tensor_create(clm_tensor **out, clm_device *device, clm_shape shape, int tasks);
/* Elements [offset, offset + size) of `parent` seen with another shape; the parent must outlive the view. */
CLM_API clm_status clm_tensor_view(clm_tensor **out, clm_tensor *parent, size_t offset, clm_shape shape, int tasks);
CLM_API void clm_tensor_free(clm_tensor *tensor);         /* NULL is allowed */
CLM_API size_t clm_tensor_size(const clm_tensor *tensor); /* elements, tasks included */
CLM_API clm_shape clm_tensor_shape(const clm_tensor *tensor);
CLM_API int clm_tensor_tasks(const clm_tensor *tensor);
/* Copies `count` = clm_tensor_size elements; blocking. The host reference keeps doubles, OpenCL devices floats. */
CLM_API clm_status clm_tensor_write(clm_tensor *tensor, const float *data, size_t count);
CLM_API clm_status clm_tensor_write_f64(clm_tensor *tensor, const double *data, size_t count);
CLM_API clm_status clm_tensor_read(clm_tensor *tensor, float *data, size_t count);
CLM_API clm_status clm_tensor_read_f64(clm_tensor *tensor, double *data, size_t count);
/* Device to device, same device and size; queued. */
CLM_API clm_status clm_tensor_copy(clm_tensor *to, const clm_tensor *from);

/* ---- a workspace: intermediate memory that programs which run one after the other share ---- */
typedef struct clm_workspace clm_workspace;
CLM_API clm_status clm_workspace_create(clm_workspace **out, clm_device *device);
CLM_API void clm_workspace_free(clm_workspace *workspace);
CLM_API size_t clm_workspace_bytes(const clm_workspace *workspace); /* what the programs created so far need */

/* An output that will be bound to the tensor of an input. */
typedef struct clm_overwrite {
    clm_value output, input;
} clm_overwrite;

typedef struct clm_program_options {
    int version;              /* CLM_PROGRAM_OPTIONS_VERSION */
    int tasks;                /* length of the task axis; at least 1 */
    clm_workspace *workspace; /* NULL: one of its own. Create all programs of a workspace before preparing the first. */
    bool no_fusion;           /* one kernel per operation: for tests */
    bool no_plan;             /* no two values share memory: for tests */
    bool poison;              /* fill the workspace with NaN before every run: for tests */
    bool thrifty; /* compute large values that inputs give a second time rather than keep them, where that saves memory */
    /* Said in advance, it may spare a copy: each element of the output is then written where that of the input has been read. */
    const clm_overwrite *overwrite;
    size_t n_overwrite;
} clm_program_options;
#define CLM_PROGRAM_OPTIONS_VERSION 1
#define CLM_PROGRAM_OPTIONS_INIT \
    { CLM_PROGRAM_OPTIONS_VERSION, 1, NULL, false, false, false, false, NULL, 0 }

typedef struct clm_program clm_program;

/* `outputs` are the values to be kept; everything they do not need is dropped. The graph must outlive the
 * creation only; it gains a copy of every output that is an input or a view. */
CLM_API clm_status clm_program_create(clm_program **out, clm_device *device, clm_graph *graph, const clm_value *outputs,
                                      size_t n_outputs, const clm_program_options *options);
CLM_API void clm_program_free(clm_program *program);
/* Reads the input, or writes the output, in `tensor` (not owned; same shape and tasks). An output may share its tensor with an
 * input: it is written after everything has been read. Before clm_program_prepare. */
CLM_API clm_status clm_program_bind(clm_program *program, clm_value value, clm_tensor *tensor);
CLM_API clm_status clm_program_prepare(clm_program *program);
/* The tensor of an input or output; NULL for other values and before clm_program_prepare. */
CLM_API clm_tensor *clm_program_tensor(clm_program *program, clm_value value);
/* Queues the whole program. */
CLM_API clm_status clm_program_run(clm_program *program);

typedef struct clm_program_stats {
    size_t workspace_bytes; /* intermediate values */
    size_t tensor_bytes;    /* inputs and outputs that are not bound */
    size_t launches, kernels;
    double flops;   /* multiply-adds counted as two, of matrix products and convolutions, for all tasks */
    double traffic; /* bytes that the launches read and write, every array once a launch */
} clm_program_stats;
CLM_API clm_program_stats clm_program_get_stats(const clm_program *program);
/* Runs every launch alone, `runs` times, and writes a table: launches of one kernel on one shape in a line, with the sum of their median
 * times and the arithmetic and memory traffic per second, the slowest first. The program must be prepared; the numbers it works on are
 * whatever its tensors hold. */
CLM_API clm_status clm_program_profile(clm_program *program, int runs, FILE *to);
/* The launches, one a line. */
CLM_API clm_status clm_program_print(const clm_program *program, FILE *to);

#ifdef __cplusplus
}
#endif
#endif
