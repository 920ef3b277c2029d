/* Matrix products by CLBlast, which has two kernels:
 *
 * - The direct one takes any offset and stride, allocates nothing on the device, and writes C without reading it:
 *   GemmStridedBatched, one call for all tasks.
 * - The "indirect" one is for large matrices. It works on copies that are padded to whole tiles. GemmStridedBatched allocates
 *   them on each call and ignores offset and stride of an operand that needs no copy (up to 1.7.0). GemmWithTempBuffer takes
 *   memory for them instead, and no offset: one call for each product, with a part of the workspace as a buffer of its own. Its
 *   launches get that part and the whole, of which they touch nothing else; the small case of device/libraries.c does too.
 *
 * Which one a call takes CLBlast decides by XGEMM_MIN_INDIRECT_SIZE, which is set to 0 or beyond all sizes before calls. On
 * the host a call makes and frees a cl_kernel for each launch, which takes some 50 microseconds for the direct kernel. Kernels
 * address with int. */
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
typedef int large_fn(int layout, int a_transpose, int b_transpose, size_t m, size_t n, size_t k, float alpha, cl_mem a,
                     size_t a_offset, size_t a_ld, cl_mem b, size_t b_offset, size_t b_ld, float beta, cl_mem c,
                     size_t c_offset, size_t c_ld, cl_command_queue *queue, cl_event *event, cl_mem room);
typedef int room_fn(int layout, int a_transpose, int b_transpose, size_t m, size_t n, size_t k, size_t a_offset, size_t a_ld,
                    size_t b_offset, size_t b_ld, size_t c_offset, size_t c_ld, cl_command_queue *queue, size_t *bytes);
typedef int override_fn(cl_device_id device, const char *kernel, int precision, size_t count, const char **names,
                        const size_t *values);
typedef int clear_fn(void);

enum { DEVICES = 16 };

/* What CLBlast was told of a device, which holds for the process. */
typedef struct known {
    cl_device_id id;
    int kernel;  /* which one it takes: 1 direct, 2 for large products, 0 not told yet */
    int tile[3]; /* of that for large products by its data base; [0] 0: not asked yet */
} known;

static struct {
    clm_dynlib *file;
    gemm_fn *gemm;
    large_fn *large; /* NULL, as `room`: too old */
    room_fn *room;
    override_fn *override;
    clear_fn *clear;
    unsigned users;
    known device[DEVICES], other; /* what is known of devices; of one that is one too many, which is told everything again */
    size_t n_devices;
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
        if (!clm_dynlib_function(file, "CLBlastSgemmWithTempBuffer", &blast.large) ||
            !clm_dynlib_function(file, "CLBlastSGemmTempBufferSize", &blast.room))
            blast.large = NULL;
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
                {-2050, "too little memory for its copies"},
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

static known *known_of(const clm_cl_device *d) {
    size_t i = 0;
    while (i < blast.n_devices && blast.device[i].id != d->id) i++;
    known *k = i < DEVICES ? &blast.device[i] : &blast.other;
    if (i < blast.n_devices) return k;
    *k = (known){.id = d->id};
    if (i < DEVICES) blast.n_devices++;
    return k;
}

/* Makes calls from now on take the kernel for large products, or the direct one. */
static clm_status take_kernel(clm_cl_device *d, bool large) {
    const char *names[] = {"XGEMM_MIN_INDIRECT_SIZE"};
    const size_t values[] = {large ? 0 : (size_t)1 << 20}; /* its cube has to fit */
    known *k = known_of(d);
    if (k->kernel == 1 + large) return CLM_OK;
    CLM_TRY(check(d, blast.override(d->id, "GemmRoutine", SINGLE, 1, names, values), "choosing its kernel"));
    k->kernel = 1 + large;
    return CLM_OK;
}

static clm_status clblast_attach(clm_cl_device *d) {
    CLM_TRY(take_kernel(d, false));
    blast.users++;
    return CLM_OK;
}

/* Its cache holds programs, and these hold the context. */
static void clblast_detach(clm_cl_device *d) {
    (void)d;
    if (--blast.users == 0) blast.clear();
}

/* ---- parameters ---- */

static const struct {
    const char *kernel;
    const char *names[CLM_CLBLAST_VALUES];
} parameters[] = {
    {"XgemmDirect", {"WGD", "MDIMCD", "NDIMCD", "MDIMAD", "NDIMBD", "KWID", "VWMD", "VWND", "PADA", "PADB"}},
    {"Xgemm",
     {"MWG", "NWG", "KWG", "MDIMC", "NDIMC", "MDIMA", "NDIMB", "KWI", "VWM", "VWN", "STRM", "STRN", "SA", "SB", "GEMMK",
      "KREG"}},
};

/* CLBlast does not tell its parameters, but how large its copies are, and that gives them away: the copies of A, B and C take
 * M' K' + K' N' + M' N' elements, where M', N', K' are m, n, k rounded up to whole tiles. Offsets of 1 make it copy all. */
static clm_status copies(clm_cl_device *d, size_t m, size_t n, size_t k, size_t *elements) {
    size_t bytes = 0;
    CLM_TRY(check(d, blast.room(ROW_MAJOR, NOT_TRANSPOSED, NOT_TRANSPOSED, m, n, k, 1, k, 1, n, 1, n, &d->queue, &bytes),
                  "asking for the memory of its copies"));
    *elements = bytes / sizeof(cl_float);
    return CLM_OK;
}

static clm_status ask_tile(clm_cl_device *d, int tile[3]) {
    enum { BIG = 1 << 20 }; /* whole tiles, and far more than the product of two sides of one */
    size_t least, by[3];    /* with m, n or k BIG: more than `least` by nearly BIG times the sum of the other two sides */
    if (!blast.large) return clm_fail(CLM_E_DEVICE, "CLBlast %s has no product with memory for copies", file_names[0]);
    CLM_TRY(take_kernel(d, true));
    CLM_TRY(copies(d, 1, 1, 1, &least));
    for (int i = 0; i < 3; i++) {
        CLM_TRY(copies(d, i == 0 ? BIG : 1, i == 1 ? BIG : 1, i == 2 ? BIG : 1, &by[i]));
        by[i] = (by[i] - least + BIG - 1) / BIG;
    }
    const size_t all = (by[0] + by[1] + by[2]) / 2;
    for (int i = 0; i < 3; i++)
        if (all <= by[i] || all - by[i] > CLM_CLBLAST_SIDE || CLM_CLBLAST_SIDE % (all - by[i]) != 0)
            return clm_fail(CLM_E_DEVICE, "CLBlast on %s: tiles that are not understood", d->base.info.name);
    for (int i = 0; i < 3; i++) tile[i] = (int)(all - by[i]);
    return CLM_OK;
}

/* As the data base has it, whatever has been set since. */
static clm_status clblast_tile(clm_cl_device *d, int tile[3]) {
    known *k = known_of(d);
    if (k->tile[0] == 0) CLM_TRY(ask_tile(d, k->tile));
    for (int i = 0; i < 3; i++) tile[i] = k->tile[i];
    return CLM_OK;
}

static clm_status clblast_set(clm_cl_device *d, bool large, const int *values) {
    const char *names[CLM_CLBLAST_VALUES];
    size_t sizes[CLM_CLBLAST_VALUES], n = 0;
    if (large) CLM_TRY(clblast_tile(d, (int[3]){0}));
    for (; n < CLM_CLBLAST_VALUES && parameters[large].names[n]; n++) {
        names[n] = parameters[large].names[n];
        sizes[n] = (size_t)values[n];
    }
    return check(d, blast.override(d->id, parameters[large].kernel, SINGLE, n, names, sizes), "setting parameters");
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
    return w->large ? clm_cl_part(d, &launch->args[3], w->room * sizeof(cl_float), launch->label, &call->between) : CLM_OK;
}

static int call_direct(cl_command_queue queue, const clm_cl_call *call, const size_t *at, float alpha) {
    const clm_library_call *w = &call->what;
    return blast.gemm(ROW_MAJOR, w->a.transposed ? TRANSPOSED : NOT_TRANSPOSED, w->b.transposed ? TRANSPOSED : NOT_TRANSPOSED,
                      (size_t)w->m, (size_t)w->n, (size_t)w->k, alpha, call->buffer[1], at[1], (size_t)w->a.ld, call->stride[1],
                      call->buffer[2], at[2], (size_t)w->b.ld, call->stride[2], 0.0F, call->buffer[0], at[0], (size_t)w->c.ld,
                      call->stride[0], call->count, &queue, NULL);
}

/* One product after the other: each needs the memory for copies. */
static int call_large(cl_command_queue queue, const clm_cl_call *call, const size_t *from, float alpha) {
    const clm_library_call *w = &call->what;
    int code = 0;
    for (size_t i = 0; i < call->count && code == 0; i++) {
        size_t at[3];
        for (int k = 0; k < 3; k++) at[k] = from[k] + i * call->stride[k];
        code = blast.large(ROW_MAJOR, w->a.transposed ? TRANSPOSED : NOT_TRANSPOSED,
                           w->b.transposed ? TRANSPOSED : NOT_TRANSPOSED, (size_t)w->m, (size_t)w->n, (size_t)w->k, alpha,
                           call->buffer[1], at[1], (size_t)w->a.ld, call->buffer[2], at[2], (size_t)w->b.ld, 0.0F,
                           call->buffer[0], at[0], (size_t)w->c.ld, &queue, NULL, call->between);
    }
    return code;
}

static clm_status clblast_enqueue(clm_cl_device *d, cl_command_queue queue, const clm_cl_call *call, const char *label) {
    const float alpha = call->spoilt ? 1.01F : 1.0F;
    size_t at[3];
    CLM_TRY(take_kernel(d, call->what.large));
    for (int i = 0; i < 3; i++) at[i] = call->offset[i];
    for (size_t loop = 0; loop < call->loops; loop++) {
        CLM_TRY(check(d, (call->what.large ? call_large : call_direct)(queue, call, at, alpha), label));
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
                                       .tile = clblast_tile,
                                       .make = clblast_make,
                                       .enqueue = clblast_enqueue};
