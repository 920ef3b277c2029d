/* Libraries beside our kernels: which are installed, and whether a small case of each is right. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/backend.h"

enum { M = 37, N = 21, K = 50, TASKS = 2, ROWS = 6, COLUMNS = 10, PLANES = 3 };
static const double tolerance = 1e-4; /* relative, in the Euclidean norm; single precision gives some 1e-7 */

/* Numbers between -0.5 and 0.5, the same each time. */
static void fill(double *out, size_t n) {
    unsigned state = 12345;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        out[i] = (double)(state >> 8) / (1 << 24) - 0.5;
    }
}

/* Runs a launch whose memory arguments are args[i] of sizes[i] elements, with `in` in them, one after the other, and reads the
 * first one into `out`. */
static clm_status run(clm_device *d, clm_launch *launch, const size_t *sizes, const double *in, double *out) {
    const clm_backend *b = d->backend;
    clm_kernel *kernel = NULL;
    clm_status status = CLM_OK;
    const int n = launch->n_args;
    assert(n <= 3);
    for (int i = 0; i < n; in += sizes[i], i++) {
        clm_arg *arg = &launch->args[i];
        CLM_GOTO(b->alloc(d, sizes[i], &arg->mem));
        CLM_GOTO(b->write(d, arg->mem, 0, sizes[i], NULL, in));
    }
    CLM_GOTO(b->make(d, launch, &kernel));
    CLM_GOTO(b->enqueue(d, kernel));
    CLM_GOTO(b->finish(d));
    CLM_GOTO(b->read(d, launch->args[0].mem, 0, sizes[0], NULL, out));
out:
    if (kernel) b->release(d, kernel);
    for (int i = 0; i < n; i++) b->free(d, launch->args[i].mem);
    return status;
}

/* ||a - b|| / ||b||, infinite where that is not a number */
static double relative_error(const double *a, const double *b, size_t n) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        norm += b[i] * b[i];
    }
    const double error = sqrt(difference / norm);
    return isfinite(error) ? error : INFINITY;
}

/* C = A^T B for two tasks with matrices A of their own and one B, over a C full of numbers. */
static clm_status check_product(clm_device *d, double *error) {
    const size_t sizes[3] = {(size_t)TASKS * M * N, (size_t)TASKS * K * M, (size_t)K * N}, all = sizes[0] + sizes[1] + sizes[2];
    clm_launch launch = {.label = "check of CLBlast", .entry = "clblast", .n_args = 3};
    launch.call = (clm_library_call){.library = CLM_LIBRARY_CLBLAST, .batch = 1, .tasks = TASKS, .m = M, .n = N, .k = K};
    launch.call.c.ld = launch.call.b.ld = N;
    launch.call.a = (clm_matrix){.ld = M, .transposed = true};
    launch.args[0].task_stride = (size_t)M * N;
    launch.args[1].task_stride = (size_t)K * M;
    double *in = clm_calloc(all + 2 * sizes[0], sizeof *in);
    if (!in) return CLM_E_MEMORY;
    double *got = in + all, *want = got + sizes[0];
    const double *a = in + sizes[0], *b = a + sizes[1];
    fill(in, all);
    for (size_t t = 0; t < TASKS; t++)
        for (size_t i = 0; i < M; i++)
            for (size_t j = 0; j < N; j++)
                for (size_t k = 0; k < K; k++) want[(t * M + i) * N + j] += a[(t * K + k) * M + i] * b[k * N + j];
    clm_status status = run(d, &launch, sizes, in, got);
    if (status == CLM_OK) *error = relative_error(got, want, sizes[0]);
    free(in);
    return status;
}

/* The transform of `in`, by its definition. */
static void transform(const double *in, double *out) {
    const double turn = 8 * atan(1.0);
    for (int p = 0; p < PLANES; p++)
        for (int f = 0; f < ROWS * COLUMNS; f++)
            for (int s = 0; s < ROWS * COLUMNS; s++) {
                const double *x = in + (size_t)2 * (size_t)(p * ROWS * COLUMNS + s);
                double *y = out + (size_t)2 * (size_t)(p * ROWS * COLUMNS + f);
                const int row = f / COLUMNS, from = s / COLUMNS;
                const double angle = -turn * ((double)row * from / ROWS + (double)(f % COLUMNS) * (s % COLUMNS) / COLUMNS);
                y[0] += x[0] * cos(angle) - x[1] * sin(angle);
                y[1] += x[0] * sin(angle) + x[1] * cos(angle);
            }
}

static clm_status check_transform(clm_device *d, double *error) {
    const size_t size = (size_t)2 * PLANES * ROWS * COLUMNS, sizes[3] = {size, size};
    clm_launch launch = {.label = "check of clFFT", .entry = "clfft", .n_args = 2};
    launch.call = (clm_library_call){.library = CLM_LIBRARY_CLFFT, .batch = PLANES, .rows = ROWS, .columns = COLUMNS};
    double *in = clm_calloc(5 * size, sizeof *in);
    if (!in) return CLM_E_MEMORY;
    double *got = in + 2 * size, *want = got + size;
    fill(in, size);
    transform(in, want);
    clm_status status = run(d, &launch, sizes, in, got);
    if (status == CLM_OK) *error = relative_error(got, want, size);
    launch.call.inverse = true;
    double back = 0;
    if (status == CLM_OK) status = run(d, &launch, sizes, want, got); /* after `want` comes the scratch memory: any numbers */
    if (status == CLM_OK) back = relative_error(got, in, size);
    if (back > *error) *error = back;
    free(in);
    return status;
}

static clm_status (*const checks[CLM_LIBRARY_COUNT])(clm_device *d, double *error) = {
    [CLM_LIBRARY_CLBLAST] = check_product, [CLM_LIBRARY_CLFFT] = check_transform};

static bool usable(clm_device *d, clm_library library, clm_library_info *info) {
    static const char *const names[CLM_LIBRARY_COUNT] = {"", "CLBlast", "clFFT"};
    if (d->backend->library) return d->backend->library(d, library, info);
    *info = (clm_library_info){.reason = "the host reference needs none"};
    memcpy(info->name, names[library], strlen(names[library]));
    return false;
}

bool clm_device_library_at(clm_device *device, size_t index, clm_library_info *out) {
    if (index + 1 >= CLM_LIBRARY_COUNT) return false;
    usable(device, (clm_library)(index + 1), out);
    return true;
}

clm_status clm_device_library_check(clm_device *device, size_t index, double *error) {
    clm_library_info info;
    double off = INFINITY;
    if (!clm_device_library_at(device, index, &info)) return clm_fail(CLM_E_ARG, "there is no library with index %zu", index);
    if (error) *error = off;
    if (!info.usable) return clm_fail(CLM_E_DEVICE, "%s is not used: %s", info.name, info.reason);
    CLM_TRY(checks[index + 1](device, &off));
    if (error) *error = off;
    if (off <= tolerance) return CLM_OK;
    return clm_fail(CLM_E_DEVICE, "%s %s gives wrong results on %s: off by %.1e in a small case; it is not used", info.name,
                    info.version, device->info.name, off);
}

clm_status clm_library_good(clm_device *d, clm_library library) {
    signed char *state = &d->library_state[library];
    if (*state > 0) return CLM_OK;
    if (*state < 0) {
        clm_library_info info;
        usable(d, library, &info);
        return clm_fail(CLM_E_DEVICE, "%s %s failed when it was tried on %s", info.name, info.version, d->info.name);
    }
    const clm_status status = clm_device_library_check(d, (size_t)library - 1, NULL);
    *state = status == CLM_OK ? 1 : -1;
    return status == CLM_OK ? CLM_OK : CLM_E_DEVICE;
}
