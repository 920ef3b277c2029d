/* Libraries beside our kernels: which are installed, and whether a small case of each is right. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/integers.h"
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
 * first one into `out`. They are parts of one memory, as they are in a workspace. */
static clm_status run(clm_device *d, clm_launch *launch, const size_t *sizes, const double *in, double *out) {
    const clm_backend *b = d->backend;
    const size_t align = d->info.base_alignment_bits > 32 ? d->info.base_alignment_bits / 32 : 1;
    clm_kernel *kernel = NULL;
    clm_mem *mem = NULL;
    clm_status status = CLM_OK;
    size_t all = 0;
    for (int i = 0; i < launch->n_args; i++) {
        launch->args[i].offset = all;
        all += (sizes[i] + align - 1) / align * align;
    }
    CLM_GOTO(b->alloc(d, all, &mem));
    for (int i = 0; i < launch->n_args; in += sizes[i], i++) {
        launch->args[i].mem = mem;
        CLM_GOTO(b->write(d, mem, launch->args[i].offset, sizes[i], NULL, in));
    }
    CLM_GOTO(b->make(d, launch, &kernel));
    CLM_GOTO(b->enqueue(d, kernel));
    CLM_GOTO(b->finish(d));
    CLM_GOTO(b->read(d, mem, 0, sizes[0], NULL, out));
out:
    if (kernel) b->release(d, kernel);
    b->free(d, mem);
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
static clm_status check_product(clm_device *d, bool large, double *error) {
    const size_t room = large ? clm_large_product_room(M, N, K) : 0;
    const size_t sizes[4] = {(size_t)TASKS * M * N, (size_t)TASKS * K * M, (size_t)K * N, room};
    const size_t all = sizes[0] + sizes[1] + sizes[2] + room;
    clm_launch launch = {.label = "check of CLBlast", .entry = "clblast", .n_args = large ? 4 : 3};
    launch.call = (clm_library_call){.library = CLM_LIBRARY_CLBLAST, .batch = 1, .tasks = TASKS, .m = M, .n = N, .k = K};
    launch.call.large = large;
    launch.call.room = room;
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
    clm_launch inverse = launch;
    inverse.call.inverse = true;
    double *in = clm_calloc(5 * size, sizeof *in);
    if (!in) return CLM_E_MEMORY;
    double *got = in + 2 * size, *want = got + size;
    fill(in, size);
    transform(in, want);
    clm_status status = run(d, &launch, sizes, in, got);
    if (status == CLM_OK) *error = relative_error(got, want, size);
    double back = 0;
    if (status == CLM_OK) status = run(d, &inverse, sizes, want, got); /* after `want` comes the scratch memory: any numbers */
    if (status == CLM_OK) back = relative_error(got, in, size);
    if (back > *error) *error = back;
    free(in);
    return status;
}

static clm_status check_direct_product(clm_device *d, double *error) { return check_product(d, false, error); }

static clm_status (*const checks[CLM_LIBRARY_COUNT])(clm_device *d, double *error) = {
    [CLM_LIBRARY_CLBLAST] = check_direct_product, [CLM_LIBRARY_CLFFT] = check_transform};

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

static clm_status judge(const clm_device *d, const clm_library_info *info, const char *what, double off) {
    if (off <= tolerance) return CLM_OK;
    return clm_fail(CLM_E_DEVICE, "%s %s%s gives wrong results on %s: off by %.1e in a small case; it is not used", info->name,
                    info->version, what, d->info.name, off);
}

static clm_status check_large_product(clm_device *d, const clm_library_info *info, double *error) {
    CLM_TRY(check_product(d, true, error));
    return judge(d, info, "'s kernel for large products", *error);
}

clm_status clm_device_library_check(clm_device *device, size_t index, double *error) {
    clm_library_info info;
    double off = INFINITY, large = 0;
    if (!clm_device_library_at(device, index, &info)) return clm_fail(CLM_E_ARG, "there is no library with index %zu", index);
    if (error) *error = off;
    if (!info.usable) return clm_fail(CLM_E_DEVICE, "%s is not used: %s", info.name, info.reason);
    CLM_TRY(checks[index + 1](device, &off));
    if (error) *error = off;
    CLM_TRY(judge(device, &info, "", off));
    if (index + 1 != CLM_LIBRARY_CLBLAST || !clm_large_product_tile(device, (int[3]){0})) return CLM_OK;
    const clm_status status = check_large_product(device, &info, &large);
    if (error && large > off) *error = large;
    return status;
}

static clm_status failed_before(clm_device *d, clm_library library) {
    clm_library_info info;
    usable(d, library, &info);
    return clm_fail(CLM_E_DEVICE, "%s %s failed when it was tried on %s", info.name, info.version, d->info.name);
}

clm_status clm_library_good(clm_device *d, clm_library library) {
    signed char *state = &d->library_state[library];
    clm_library_info info;
    double off = INFINITY;
    if (*state > 0) return CLM_OK;
    if (*state < 0) return failed_before(d, library);
    *state = -1;
    if (!usable(d, library, &info)) return clm_fail(CLM_E_DEVICE, "%s is not used: %s", info.name, info.reason);
    if (checks[library](d, &off) != CLM_OK || judge(d, &info, "", off) != CLM_OK) return CLM_E_DEVICE;
    *state = 1;
    return CLM_OK;
}

/* On CPUs it is no match for our kernels and takes long to build. */
bool clm_large_product_tile(clm_device *d, int tile[3]) {
    int *known = d->large_tile;
    if (known[0] == 0) {
        const bool has = d->info.type != CLM_DEVICE_CPU && d->backend->library_tile &&
                         usable(d, CLM_LIBRARY_CLBLAST, &(clm_library_info){0});
        if (!has || d->backend->library_tile(d, CLM_LIBRARY_CLBLAST, known) != CLM_OK) known[0] = -1;
    }
    for (int i = 0; i < 3; i++) tile[i] = known[i];
    return known[0] > 0;
}

size_t clm_large_product_room(int m, int n, int k) {
    const size_t rows = (size_t)clm_rounded(m, CLM_CLBLAST_SIDE), columns = (size_t)clm_rounded(n, CLM_CLBLAST_SIDE),
                 depth = (size_t)clm_rounded(k, CLM_CLBLAST_SIDE);
    return rows * depth + depth * columns + rows * columns;
}

clm_status clm_large_product_good(clm_device *d) {
    clm_library_info info;
    double off = INFINITY;
    if (d->large_state > 0) return CLM_OK;
    if (d->large_state < 0) return failed_before(d, CLM_LIBRARY_CLBLAST);
    d->large_state = -1;
    if (!clm_large_product_tile(d, (int[3]){0}))
        return clm_fail(CLM_E_DEVICE, "CLBlast has no kernel for large products on %s", d->info.name);
    usable(d, CLM_LIBRARY_CLBLAST, &info);
    if (check_large_product(d, &info, &off) != CLM_OK) return CLM_E_DEVICE;
    d->large_state = 1;
    return CLM_OK;
}
