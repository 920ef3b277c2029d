/* Parameters of CLBlast's kernels.
 *
 * The direct one (XgemmDirect): WGD, MDIMCD, NDIMCD, MDIMAD, NDIMBD, KWID, VWMD, VWND, PADA, PADB.
 *
 * A work-group of MDIMCD x NDIMCD items makes a tile of WGD x WGD, with KWID steps of the sum unrolled and vectors of VWMD and
 * VWND; MDIMAD and NDIMBD arrange the items while the operands are copied to local memory, whose rows are padded by PADA and
 * PADB. WGD must be a multiple of KWID, of each of the four dimensions times the vector that goes with it, and of MDIMCD NDIMCD
 * over MDIMAD and over NDIMBD.
 *
 * That for large products (Xgemm): MWG, NWG, KWG, MDIMC, NDIMC, MDIMA, NDIMB, KWI, VWM, VWN, STRM, STRN, SA, SB, GEMMK, KREG. A
 * work-group of MDIMC x NDIMC items makes a tile of MWG x NWG, KWG deep, with KWI steps unrolled and vectors of VWM and VWN,
 * which are STRM, STRN: apart from each other; SA, SB: A, B by local memory, copied by items arranged MDIMA and NDIMB wide.
 * The sides of a tile divide CLM_CLBLAST_SIDE and are multiples of the dimensions times their vectors; KWG is one of KWI, and
 * of MDIMC NDIMC over MDIMA and over NDIMB. GEMMK and KREG say how sums lie in registers: 0 and 1 are the plain way.
 *
 * CLBlast's data base knows many devices; for others it has defaults that may be far from good. */
#include "tune/clblast.h"

#include <math.h>
#include <stdlib.h>

#include "base/files.h"
#include "base/log.h"
#include "base/memory.h"
#include "tune/store.h"

static const int direct_sets[][CLM_CLBLAST_VALUES] = {
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

static const int large_sets[][CLM_CLBLAST_VALUES] = {
    {128, 128, 16, 16, 16, 16, 16, 2, 4, 4, 1, 1, 1, 1, 0, 1}, /* 8 x 8 sums an item */
    {64, 64, 16, 8, 8, 8, 8, 2, 4, 4, 0, 0, 1, 1, 0, 1},       /* the same */
    {128, 128, 16, 16, 8, 16, 8, 2, 4, 4, 1, 1, 1, 1, 0, 1},   /* 8 x 16 */
    {128, 64, 16, 16, 8, 16, 8, 2, 4, 4, 0, 0, 1, 1, 0, 1},    /* 8 x 8 */
    {64, 64, 16, 16, 8, 16, 8, 2, 4, 4, 0, 0, 1, 1, 0, 1},     /* 4 x 8 */
    {64, 64, 32, 16, 16, 16, 16, 2, 2, 2, 0, 0, 1, 1, 0, 1},   /* 4 x 4 */
    {64, 64, 16, 8, 8, 8, 8, 2, 4, 4, 0, 0, 0, 0, 0, 1},       /* 8 x 8 without local memory */
};

typedef struct product {
    int m, n, k;
    bool ta;
} product;

enum { PRODUCTS = 2, ROUNDS = 3 };
static const double LEAST_SECONDS = 2; /* every set is built, see clm_first_use_seconds */

/* What is tuned: a kernel with its sets, measured on what is asked of it. */
static const struct {
    const char *key; /* another number when the table of sets changes */
    const int (*sets)[CLM_CLBLAST_VALUES];
    int count, tasks;
    product products[PRODUCTS];
} kernels[] = {
    /* convolutions of a small image network: y = col w, and dw = col^T dy */
    {"CLBlast XgemmDirect 1",
     direct_sets,
     sizeof direct_sets / sizeof *direct_sets,
     4,
     {{980, 64, 576, false}, {576, 64, 980, true}}},
    /* layers of a transformer: y = x w, and dw = x^T dy */
    {"CLBlast Xgemm 1",
     large_sets,
     sizeof large_sets / sizeof *large_sets,
     1,
     {{1600, 512, 512, false}, {512, 512, 1600, true}}},
};

const int *clm_clblast_set_at(bool large, int index) {
    return index >= 0 && index < kernels[large].count ? kernels[large].sets[index] : NULL;
}

clm_status clm_clblast_parameters(clm_device *device, bool large) {
    clm_tune_entry entry;
    if (!clm_tune_store_enabled(device) || !clm_tune_find(device, kernels[large].key, 1, &entry)) return CLM_OK;
    const int *set = clm_clblast_set_at(large, entry.value[0] - 1); /* 0: its own */
    return set ? device->backend->library_set(device, CLM_LIBRARY_CLBLAST, large, set) : CLM_OK;
}

/* ---- measuring ---- */

typedef struct trial {
    clm_device *device;
    bool large;
    clm_mem *memory[4]; /* c, a, b of the largest product, for all tasks; for copies */
    size_t size[4];
    float *data[3], *right; /* what is in a and b; c, and what it was with CLBlast's own parameters */
} trial;

static void trial_close(trial *t) {
    for (int i = 0; i < 4; i++)
        if (t->memory[i]) t->device->backend->free(t->device, t->memory[i]);
    for (int i = 0; i < 3; i++) free(t->data[i]);
    free(t->right);
}

static clm_status trial_open(trial *t, clm_device *device, bool large) {
    const clm_backend *b = device->backend;
    unsigned state = 1;
    t->device = device;
    t->large = large;
    for (int p = 0; p < PRODUCTS; p++) {
        const product *w = &kernels[large].products[p];
        const int tasks = kernels[large].tasks;
        const size_t need[4] = {(size_t)(tasks * w->m * w->n), (size_t)(tasks * w->m * w->k), (size_t)(tasks * w->k * w->n),
                                large ? clm_large_product_room(w->m, w->n, w->k) : 0};
        for (int i = 0; i < 4; i++)
            if (need[i] > t->size[i]) t->size[i] = need[i];
    }
    if (large) CLM_TRY(b->alloc(device, t->size[3], &t->memory[3]));
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

static clm_status make_product(const trial *t, const product *w, clm_kernel **out) {
    const int m = w->m, n = w->n, k = w->k, tasks = kernels[t->large].tasks;
    clm_launch launch = {.label = "tuning of CLBlast", .entry = "CLBlast", .n_args = t->large ? 4 : 3};
    launch.call = (clm_library_call){.library = CLM_LIBRARY_CLBLAST, .batch = 1, .tasks = tasks, .m = m, .n = n, .k = k};
    launch.call.large = t->large;
    launch.call.room = t->size[3];
    launch.call.a = (clm_matrix){.ld = w->ta ? m : k, .transposed = w->ta};
    launch.call.b.ld = launch.call.c.ld = n;
    const int strides[4] = {m * n, m * k, k * n};
    for (int i = 0; i < launch.n_args; i++) launch.args[i] = (clm_arg){.mem = t->memory[i], .task_stride = (size_t)strides[i]};
    return t->device->backend->make(t->device, &launch, out);
}

/* The least of some timings of product p; its result is compared with `right`, or becomes it when `first`. */
static clm_status time_product(trial *t, int p, bool first, double *seconds) {
    const clm_backend *b = t->device->backend;
    const product *w = &kernels[t->large].products[p];
    const size_t size = (size_t)kernels[t->large].tasks * (size_t)w->m * (size_t)w->n;
    float *right = t->right + (size_t)p * t->size[0];
    clm_kernel *kernel = NULL;
    clm_status status = CLM_OK;
    double error = 0, norm = 0, one;
    *seconds = INFINITY;
    CLM_GOTO(make_product(t, w, &kernel));
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

static bool fits(const clm_device *d, bool large, const int *set) {
    const int tile = set[0];
    const size_t direct = (size_t)tile * (size_t)(2 * tile + set[8] + set[9]);
    const size_t local = sizeof(float) * (large ? (size_t)set[2] * (size_t)(set[12] * set[0] + set[13] * set[1]) : direct);
    const size_t items = large ? (size_t)(set[3] * set[4]) : (size_t)(set[1] * set[2]);
    return local <= d->info.local_memory && items <= d->info.max_work_group_size;
}

/* Tries the sets; *best_set -1: none is right. */
static void try_sets(trial *t, double until, clm_clblast_result *r, int *best_set, double *best_time) {
    clm_device *device = t->device;
    double one;
    for (int i = 0; i < kernels[t->large].count && (r->tried == 0 || clm_clock() < until); i++) {
        const int *set = kernels[t->large].sets[i];
        if (!fits(device, t->large, set)) continue;
        r->tried++;
        if (device->backend->library_set(device, CLM_LIBRARY_CLBLAST, t->large, set) != CLM_OK ||
            time_all(t, false, &one) != CLM_OK) {
            clm_log_write(CLM_LOG_INFO, "tune: %s, set %d: %s", kernels[t->large].key, i, clm_last_error());
            r->failed++;
            continue;
        }
        clm_log_write(CLM_LOG_INFO, "tune: %s, set %d: %.3f ms, %.3f ms by its data base", kernels[t->large].key, i, one * 1e3,
                      r->stock * 1e3);
        if (one >= *best_time) continue;
        *best_time = one;
        *best_set = i;
    }
}

/* `tried` 0: nothing was measured, its own parameters are kept so that they stay. */
static clm_status keep(clm_device *device, bool large, const clm_clblast_result *r) {
    clm_tune_entry entry = {
        .implementation = "clblast", .tasks = 1, .seconds = r->seconds, .default_seconds = r->stock, .tried = r->tried};
    entry.value[0] = r->best + 1;
    return clm_tune_keep(device, kernels[large].key, &entry, true);
}

clm_status clm_clblast_tune(clm_device *device, bool large, double seconds, clm_clblast_result *result) {
    const double until = clm_clock() + (seconds > 0 ? seconds : INFINITY);
    trial t = {0};
    clm_clblast_result r = {.best = -1};
    int best_set = -1;
    double best_time = INFINITY;
    clm_status status = CLM_OK;
    CLM_GOTO(large ? clm_large_product_good(device) : clm_library_good(device, CLM_LIBRARY_CLBLAST));
    CLM_GOTO(trial_open(&t, device, large));
    CLM_GOTO(time_all(&t, true, &r.stock));
    try_sets(&t, until, &r, &best_set, &best_time);
    if (best_set >= 0)
        CLM_GOTO(device->backend->library_set(device, CLM_LIBRARY_CLBLAST, large, kernels[large].sets[best_set]));
    if (best_time < r.stock) r.best = best_set;
    r.seconds = fmin(best_time, r.stock);
    CLM_GOTO(keep(device, large, &r));
    *result = r;
out:
    trial_close(&t);
    return status;
}

void clm_clblast_tune_once(clm_device *device, bool large, double seconds) {
    clm_tune_entry entry;
    clm_clblast_result result = {.best = -1};
    if (device->info.type == CLM_DEVICE_CPU || !device->backend->library || !clm_tune_store_enabled(device)) return;
    if (!device->backend->library(device, CLM_LIBRARY_CLBLAST, NULL)) return;
    if (clm_tune_find(device, kernels[large].key, 1, &entry) && (entry.tried > 0 || seconds >= 0)) return;
    clm_status status = seconds >= 0 && seconds < LEAST_SECONDS ? keep(device, large, &result)
                                                                : clm_clblast_tune(device, large, fmax(seconds, 0), &result);
    if (status != CLM_OK) clm_log_write(CLM_LOG_INFO, "tune: CLBlast: %s", clm_last_error());
}
