/* Matrix products by CLBlast: GemmStridedBatched, one call for all tasks.
 *
 * CLBlast has two kernels. The "indirect" one is for large matrices, but allocates and fills temporary matrices on each call,
 * and up to 1.6.3 it ignores offset and stride of an operand that needs no temporary. So XGEMM_MIN_INDIRECT_SIZE is set beyond
 * all sizes: the direct kernel takes any offset and stride, allocates nothing on the device, and writes C without reading it.
 * On the host a call makes and frees a cl_kernel, which takes some 50 microseconds. Kernels address with int. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "device/opencl/libraries.h"

/* The part of CLBlast's C interface that is used, under names of our own, so that building needs no header. */
enum { ROW_MAJOR = 101, NOT_TRANSPOSED = 111, TRANSPOSED = 112, SINGLE = 32 };
typedef int gemm_fn(int layout, int a_transpose, int b_transpose, size_t m, size_t n, size_t k, float alpha, cl_mem a,
                    size_t a_offset, size_t a_ld, size_t a_stride, cl_mem b, size_t b_offset, size_t b_ld, size_t b_stride,
                    float beta, cl_mem c, size_t c_offset, size_t c_ld, size_t c_stride, size_t batch, cl_command_queue *queue,
                    cl_event *event);
typedef int override_fn(cl_device_id device, const char *kernel, int precision, size_t count, const char **names,
                        const size_t *values);
typedef int clear_fn(void);

static struct {
    clm_dynlib *file;
    gemm_fn *gemm;
    override_fn *override;
    clear_fn *clear;
    unsigned users;
} blast;

/* ---- loading ---- */

static const char *const file_names[] = {
#if defined(__APPLE__)
    "libclblast.1.dylib", "libclblast.dylib",
#else
    "libclblast.so.1", "libclblast.so",
#endif
    NULL};

/* CLBlast does not say its version, but its file's name mostly does: libclblast.so.1.5.3. */
static void version_from(const char *path, char *version, size_t size) {
    const char *mark = strstr(path, ".so.");
    snprintf(version, size, "%s", mark ? mark + 4 : "");
}

static bool clblast_load(char *version, size_t size, const char **path) {
    if (!blast.file) {
        clm_dynlib *file = NULL;
        if (clm_dynlib_open(&file, file_names) != CLM_OK) return false;
        if (!clm_dynlib_function(file, "CLBlastSgemmStridedBatched", &blast.gemm) ||
            !clm_dynlib_function(file, "CLBlastOverrideParameters", &blast.override) ||
            !clm_dynlib_function(file, "CLBlastClearCache", &blast.clear)) {
            clm_fail(CLM_E_IO, "%s is not CLBlast 1.3 or later", file_names[0]);
            clm_dynlib_close(file);
            return false;
        }
        blast.file = file;
    }
    *path = clm_dynlib_path(blast.file);
    version_from(*path, version, size);
    return true;
}

/* Status codes of its own, beside those of OpenCL. */
static const struct {
    int code;
    const char *meaning;
} meanings[] = {{-1017, "a dimension is zero"},
                {-1011, "matrix A is larger than its buffer"},
                {-1010, "matrix B is larger than its buffer"},
                {-1009, "matrix C is larger than its buffer"},
                {-2047, "a parameter is missing"},
                {-2046, "not enough local memory for its kernel"},
                {-2041, "it does not know the device"},
                {-2040, "unknown error"},
                {-2039, "unexpected error"}};

static clm_status check(clm_cl_device *d, int code, const char *what) {
    if (code == 0) return CLM_OK;
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (meanings[i].code == code)
            return clm_fail(CLM_E_DEVICE, "%s: CLBlast on %s: %s (%d)", what, d->base.info.name, meanings[i].meaning, code);
    return clm_cl_check(&d->base, code, "%s: CLBlast", what);
}

static clm_status clblast_attach(clm_cl_device *d) {
    const char *names[] = {"XGEMM_MIN_INDIRECT_SIZE"};
    const size_t values[] = {(size_t)1 << 20}; /* its cube has to fit */
    CLM_TRY(check(d, blast.override(d->id, "GemmRoutine", SINGLE, 1, names, values), "choosing the direct kernel"));
    blast.users++;
    return CLM_OK;
}

/* Its cache holds programs, and these hold the context. */
static void clblast_detach(clm_cl_device *d) {
    (void)d;
    if (--blast.users == 0) blast.clear();
}

/* ---- parameters ---- */

static clm_status clblast_set(clm_cl_device *d, const int *values) {
    const char *names[CLM_CLBLAST_VALUES] = {"WGD",  "MDIMCD", "NDIMCD", "MDIMAD", "NDIMBD",
                                             "KWID", "VWMD",   "VWND",   "PADA",   "PADB"};
    size_t sizes[CLM_CLBLAST_VALUES];
    for (size_t i = 0; i < CLM_CLBLAST_VALUES; i++) sizes[i] = (size_t)values[i];
    return check(d, blast.override(d->id, "XgemmDirect", SINGLE, CLM_CLBLAST_VALUES, names, sizes), "setting parameters");
}

/* ---- calls ---- */

/* Products of a batch and of all tasks are one sequence if they lie at equal distances; otherwise the fewer of both are looped
 * over. */
static void arrange(clm_cl_call *call, const size_t *task_stride) {
    const clm_matrix *m[3] = {&call->what.c, &call->what.a, &call->what.b};
    const size_t batch = (size_t)call->what.batch, tasks = (size_t)call->what.tasks;
    bool joined = tasks == 1;
    if (tasks > 1 && batch > 1)
        joined = task_stride[0] == m[0]->stride * batch && task_stride[1] == m[1]->stride * batch &&
                 task_stride[2] == m[2]->stride * batch;
    const bool by_task = !joined && tasks >= batch; /* one call has all tasks of one product */
    call->count = joined ? batch * tasks : by_task ? tasks : batch;
    call->loops = batch * tasks / call->count;
    for (int i = 0; i < 3; i++) {
        call->stride[i] = by_task ? task_stride[i] : m[i]->stride;
        call->loop_stride[i] = by_task ? m[i]->stride : task_stride[i];
    }
}

static clm_status clblast_make(clm_cl_device *d, const clm_launch *launch, clm_cl_call *call) {
    const clm_library_call *w = &call->what;
    const clm_matrix *m[3] = {&w->c, &w->a, &w->b};
    size_t task_stride[3];
    (void)d;
    for (int i = 0; i < 3; i++) {
        const clm_arg *arg = &launch->args[i];
        task_stride[i] = m[i]->task_stride ? m[i]->task_stride : arg->task_stride;
        call->buffer[i] = arg->mem->buffer;
        call->offset[i] = arg->offset + m[i]->offset;
        if (!m[i]->task_stride) call->offset[i] += (size_t)w->first_task * arg->task_stride;
        const size_t end = call->offset[i] + (size_t)w->tasks * task_stride[i] + (size_t)w->batch * m[i]->stride;
        if (end > INT_MAX || arg->mem->elements > INT_MAX)
            return clm_fail(CLM_E_LIMIT, "%s: CLBlast counts elements in 31 bits, a matrix reaches element %zu", launch->label,
                            end);
    }
    arrange(call, task_stride);
    return CLM_OK;
}

static clm_status clblast_enqueue(clm_cl_device *d, cl_command_queue queue, const clm_cl_call *call, const char *label) {
    const clm_library_call *w = &call->what;
    const float alpha = call->spoilt ? 1.01F : 1.0F;
    size_t at[3];
    for (int i = 0; i < 3; i++) at[i] = call->offset[i];
    for (size_t loop = 0; loop < call->loops; loop++) {
        CLM_TRY(check(d,
                      blast.gemm(ROW_MAJOR, w->a.transposed ? TRANSPOSED : NOT_TRANSPOSED,
                                 w->b.transposed ? TRANSPOSED : NOT_TRANSPOSED, (size_t)w->m, (size_t)w->n, (size_t)w->k, alpha,
                                 call->buffer[1], at[1], (size_t)w->a.ld, call->stride[1], call->buffer[2], at[2],
                                 (size_t)w->b.ld, call->stride[2], 0.0F, call->buffer[0], at[0], (size_t)w->c.ld,
                                 call->stride[0], call->count, &queue, NULL),
                      label));
        for (int i = 0; i < 3; i++) at[i] += call->loop_stride[i];
    }
    return CLM_OK;
}

const clm_cl_library clm_cl_clblast = {.name = "CLBlast",
                                       .switch_off = "CLMAML_NO_CLBLAST",
                                       .load = clblast_load,
                                       .attach = clblast_attach,
                                       .detach = clblast_detach,
                                       .set = clblast_set,
                                       .make = clblast_make,
                                       .enqueue = clblast_enqueue};
