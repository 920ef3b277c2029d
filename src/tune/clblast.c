/* Parameters of CLBlast's direct kernel (XgemmDirect): WGD, MDIMCD, NDIMCD, MDIMAD, NDIMBD, KWID, VWMD, VWND, PADA, PADB.
 *
 * A work-group of MDIMCD x NDIMCD items makes a tile of WGD x WGD, with KWID steps of the sum unrolled and vectors of VWMD and
 * VWND; MDIMAD and NDIMBD arrange the items while the operands are copied to local memory, whose rows are padded by PADA and
 * PADB. WGD must be a multiple of KWID, of each of the four dimensions times the vector that goes with it, and of MDIMCD NDIMCD
 * over MDIMAD and over NDIMBD.
 *
 * CLBlast's data base knows many devices; for others it has defaults that may be far from good. */
#include "tune/clblast.h"

#include <math.h>
#include <stdlib.h>

#include "base/files.h"
#include "base/log.h"
#include "base/memory.h"
#include "tune/store.h"

static const char key[] = "CLBlast XgemmDirect 1"; /* another number when the table changes */

static const int sets[][CLM_CLBLAST_VALUES] = {
    /* GPUs: 64 to 256 items, tiles of 8 to 64 */
    {32, 8, 8, 8, 8, 2, 4, 4, 1, 1},
    {32, 16, 8, 16, 8, 2, 2, 4, 1, 1},
    {32, 16, 16, 16, 16, 2, 2, 2, 1, 1},
    {32, 8, 8, 8, 8, 8, 4, 2, 1, 1},
    {32, 8, 16, 8, 16, 8, 4, 2, 1, 1},
    {64, 16, 16, 16, 16, 2, 4, 4, 0, 0},
    {64, 8, 16, 8, 16, 8, 4, 4, 0, 0},
    {64, 8, 8, 8, 8, 8, 8, 4, 0, 0},
    {16, 8, 8, 8, 8, 2, 2, 2, 1, 1},
    {16, 16, 8, 16, 8, 2, 1, 2, 1, 1},
    {8, 8, 8, 8, 8, 2, 1, 1, 1, 1},
    /* few items with wide vectors */
    {16, 2, 2, 2, 2, 2, 4, 4, 0, 0},
    {32, 2, 2, 2, 2, 2, 8, 8, 0, 0},
};
enum { SETS = sizeof sets / sizeof *sets, TASKS = 4, ROUNDS = 3 };

/* What convolutions of a small image network ask for: y = col w, and dw = col^T dy. */
static const struct {
    int m, n, k;
    bool ta;
} products[] = {{980, 64, 576, false}, {576, 64, 980, true}};
enum { PRODUCTS = sizeof products / sizeof *products };

const int *clm_clblast_set_at(int index) { return index >= 0 && index < SETS ? sets[index] : NULL; }

clm_status clm_clblast_parameters(clm_device *device) {
    clm_tune_entry entry;
    if (!clm_tune_store_enabled(device) || !clm_tune_find(device, key, 1, &entry)) return CLM_OK;
    const int *set = clm_clblast_set_at(entry.value[0] - 1); /* 0: its own */
    return set ? device->backend->library_set(device, CLM_LIBRARY_CLBLAST, set) : CLM_OK;
}

/* ---- measuring ---- */

typedef struct trial {
    clm_device *device;
    clm_mem *memory[3]; /* c, a, b of the largest product, for TASKS tasks */
    size_t size[3];
    float *data[3], *right; /* what is in a and b; c, and what it was with CLBlast's own parameters */
} trial;

static void trial_close(trial *t) {
    for (int i = 0; i < 3; i++) {
        if (t->memory[i]) t->device->backend->free(t->device, t->memory[i]);
        free(t->data[i]);
    }
    free(t->right);
}

static clm_status trial_open(trial *t, clm_device *device) {
    const clm_backend *b = device->backend;
    unsigned state = 1;
    t->device = device;
    for (int p = 0; p < PRODUCTS; p++) {
        const int m = products[p].m, n = products[p].n, k = products[p].k;
        const size_t need[3] = {(size_t)(TASKS * m * n), (size_t)(TASKS * m * k), (size_t)(TASKS * k * n)};
        for (int i = 0; i < 3; i++)
            if (need[i] > t->size[i]) t->size[i] = need[i];
    }
    t->right = clm_calloc(PRODUCTS * t->size[0], sizeof *t->right);
    if (!t->right) return CLM_E_MEMORY;
    for (int i = 0; i < 3; i++) {
        if (!(t->data[i] = clm_calloc(t->size[i], sizeof *t->data[i]))) return CLM_E_MEMORY;
        CLM_TRY(b->alloc(device, t->size[i], &t->memory[i]));
        for (size_t e = 0; e < t->size[i]; e++) {
            state = state * 1664525u + 1013904223u;
            t->data[i][e] = (float)(state >> 8) / (1 << 24) - 0.5F;
        }
        CLM_TRY(b->write(device, t->memory[i], 0, t->size[i], t->data[i], NULL));
    }
    return CLM_OK;
}

static clm_status make_product(const trial *t, int p, clm_kernel **out) {
    const int m = products[p].m, n = products[p].n, k = products[p].k;
    clm_launch launch = {.label = "tuning of CLBlast", .entry = "CLBlast", .n_args = 3};
    launch.call = (clm_library_call){.library = CLM_LIBRARY_CLBLAST, .batch = 1, .tasks = TASKS, .m = m, .n = n, .k = k};
    launch.call.a = (clm_matrix){.ld = products[p].ta ? m : k, .transposed = products[p].ta};
    launch.call.b.ld = launch.call.c.ld = n;
    const int strides[3] = {m * n, m * k, k * n};
    for (int i = 0; i < 3; i++) launch.args[i] = (clm_arg){.mem = t->memory[i], .task_stride = (size_t)strides[i]};
    return t->device->backend->make(t->device, &launch, out);
}

/* The least of some timings of product p; its result is compared with `right`, or becomes it when `first`. */
static clm_status time_product(trial *t, int p, bool first, double *seconds) {
    const clm_backend *b = t->device->backend;
    const size_t size = (size_t)TASKS * (size_t)products[p].m * (size_t)products[p].n;
    float *right = t->right + (size_t)p * t->size[0];
    clm_kernel *kernel = NULL;
    clm_status status = CLM_OK;
    double error = 0, norm = 0, one;
    *seconds = INFINITY;
    CLM_GOTO(make_product(t, p, &kernel));
    CLM_GOTO(b->fill(t->device, t->memory[0], 0, size, NAN));
    CLM_GOTO(b->enqueue(t->device, kernel));
    CLM_GOTO(b->read(t->device, t->memory[0], 0, size, t->data[0], NULL));
    for (size_t i = 0; i < size; i++) {
        const double off = (double)t->data[0][i] - right[i];
        error += off * off;
        norm += (double)right[i] * right[i];
        if (first) right[i] = t->data[0][i];
    }
    if (!first && !(error <= 1e-10 * norm)) CLM_GOTO(clm_fail(CLM_E_NUMERIC, "CLBlast: wrong results with these parameters"));
    for (int i = 0; i < ROUNDS; i++) {
        CLM_GOTO(b->time(t->device, kernel, &one));
        *seconds = fmin(*seconds, one);
    }
out:
    if (kernel) b->release(t->device, kernel);
    return status;
}

static clm_status time_all(trial *t, bool first, double *seconds) {
    double one;
    *seconds = 0;
    for (int p = 0; p < PRODUCTS; p++) {
        CLM_TRY(time_product(t, p, first, &one));
        *seconds += one;
    }
    return CLM_OK;
}

static bool fits(const clm_device *d, const int *set) {
    const int wgd = set[0];
    const size_t local = sizeof(float) * (size_t)(wgd * (wgd + set[8]) + wgd * (wgd + set[9]));
    return local <= d->info.local_memory && (size_t)set[1] * (size_t)set[2] <= d->info.max_work_group_size;
}

clm_status clm_clblast_tune(clm_device *device, double seconds, clm_clblast_result *result) {
    const double until = clm_clock() + (seconds > 0 ? seconds : INFINITY);
    trial t = {0};
    clm_clblast_result r = {.best = -1};
    int best_set = -1;
    double best_time = INFINITY, one;
    clm_status status = CLM_OK;
    CLM_GOTO(clm_library_good(device, CLM_LIBRARY_CLBLAST));
    CLM_GOTO(trial_open(&t, device));
    CLM_GOTO(time_all(&t, true, &r.stock));
    for (int i = 0; i < SETS && (r.tried == 0 || clm_clock() < until); i++) {
        if (!fits(device, sets[i])) continue;
        r.tried++;
        if (device->backend->library_set(device, CLM_LIBRARY_CLBLAST, sets[i]) != CLM_OK ||
            time_all(&t, false, &one) != CLM_OK) {
            clm_log_write(CLM_LOG_INFO, "tune: CLBlast, set %d: %s", i, clm_last_error());
            r.failed++;
            continue;
        }
        clm_log_write(CLM_LOG_INFO, "tune: CLBlast, set %d: %.3f ms, %.3f ms by its data base", i, one * 1e3, r.stock * 1e3);
        if (one >= best_time) continue;
        best_time = one;
        best_set = i;
    }
    if (best_set >= 0) CLM_GOTO(device->backend->library_set(device, CLM_LIBRARY_CLBLAST, sets[best_set]));
    if (best_time < r.stock) r.best = best_set;
    r.seconds = fmin(best_time, r.stock);
    clm_tune_entry entry = {
        .implementation = "clblast", .tasks = 1, .seconds = r.seconds, .default_seconds = r.stock, .tried = r.tried};
    entry.value[0] = r.best + 1;
    CLM_GOTO(clm_tune_keep(device, key, &entry, true));
    *result = r;
out:
    trial_close(&t);
    return status;
}

void clm_clblast_tune_once(clm_device *device) {
    clm_tune_entry entry;
    clm_clblast_result result;
    if (device->info.type == CLM_DEVICE_CPU || !device->backend->library || !clm_tune_store_enabled(device)) return;
    if (!device->backend->library(device, CLM_LIBRARY_CLBLAST, NULL) || clm_tune_find(device, key, 1, &entry)) return;
    if (clm_clblast_tune(device, 0, &result) != CLM_OK) clm_log_write(CLM_LOG_INFO, "tune: CLBlast: %s", clm_last_error());
}
