/* From rewards to advantages: returns R_t = r_t + gamma R_{t+1}; a baseline V = b . f, linear in the features f of observation
 * and time, fitted to the returns of the task's trajectories by least squares with a small ridge (Duan et al. 2016);
 * generalised advantage estimation A_t = r_t + gamma V_{t+1} - V_t + gamma lambda A_{t+1} with V = 0 behind an episode's end
 * (Schulman et al. 2016); mean 0 and deviation 1 over the task. On OpenCL devices by kernels/advantage.cl, on the host
 * reference by what is here.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/internal.h"

enum { FEATURES_MOST = 2 * CLM_POLICY_OBSERVATION_MOST + 4, PASSES = 3 };
static const double ridge = 1e-5, least_deviation = 1e-8;

/* ---- in C ---- */

static void features_of(const double *x, int n, int time, double *f) {
    const double s = 0.01 * time;
    for (int i = 0; i < n; i++) {
        f[i] = fmax(-10, fmin(10, x[i]));
        f[n + i] = f[i] * f[i];
    }
    double *const of_time = f + 2 * (size_t)n;
    of_time[0] = s;
    of_time[1] = s * s;
    f[2 * n + 2] = s * s * s;
    f[2 * n + 3] = 1;
}

/* Solves (gram + ridge) b = right by a Cholesky factor; gram [m, m] is overwritten. */
static void solve(double *gram, const double *right, int m, double *b) {
    for (int i = 0; i < m; i++) gram[i * m + i] += ridge;
    for (int i = 0; i < m; i++) {
        b[i] = right[i];
        for (int j = 0; j <= i; j++) {
            for (int k = 0; k < j; k++) gram[i * m + j] -= gram[i * m + k] * gram[j * m + k];
            if (j < i) gram[i * m + j] /= gram[j * m + j];
            if (j < i) b[i] -= gram[i * m + j] * b[j];
        }
        gram[i * m + i] = sqrt(fmax(gram[i * m + i], 1e-300));
        b[i] /= gram[i * m + i];
    }
    for (int i = m - 1; i >= 0; i--) {
        for (int k = i + 1; k < m; k++) b[i] -= gram[k * m + i] * b[k];
        b[i] /= gram[i * m + i];
    }
}

static void fit(const double *x, const double *returns, const double *alive, int n, int trajectories, int horizon, double *b) {
    const int m = 2 * n + 4;
    double gram[FEATURES_MOST * FEATURES_MOST] = {0}, right[FEATURES_MOST] = {0}, f[FEATURES_MOST];
    for (int row = 0; row < trajectories * horizon; row++) {
        if (!(alive[row] > 0)) continue;
        features_of(x + (size_t)row * (size_t)n, n, row % horizon, f);
        for (int i = 0; i < m; i++) {
            for (int k = 0; k <= i; k++) gram[i * m + k] += f[i] * f[k];
            right[i] += f[i] * returns[row];
        }
    }
    solve(gram, right, m, b);
}

static double value_of(const double *x, int n, int time, const double *b) {
    double f[FEATURES_MOST], value = 0;
    features_of(x, n, time, f);
    for (int i = 0; i < 2 * n + 4; i++) value += b[i] * f[i];
    return value;
}

/* [R]: discounted returns, and [trajectories] sums. */
static void sum_up(const double *reward, const double *alive, int trajectories, int horizon, double discount, double *returns,
                   double *total) {
    for (int i = 0; i < trajectories; i++) {
        double later = 0;
        total[i] = 0;
        for (int row = (i + 1) * horizon; row-- > i * horizon;) {
            const double r = alive[row] > 0 ? reward[row] : 0;
            returns[row] = later = r + discount * later;
            total[i] += r;
        }
    }
}

static void normalise(double *advantage, const double *alive, int rows, double *weight) {
    double count = 0, mean = 0, squares = 0;
    for (int row = 0; row < rows; row++) {
        count += alive[row] > 0;
        mean += alive[row] > 0 ? advantage[row] : 0;
    }
    mean /= count;
    for (int row = 0; row < rows; row++) squares += alive[row] > 0 ? (advantage[row] - mean) * (advantage[row] - mean) : 0;
    const double scale = 1 / (sqrt(squares / count) + least_deviation) * (rows / count);
    for (int row = 0; row < rows; row++) {
        advantage[row] = alive[row] > 0 ? (advantage[row] - mean) * scale : 0;
        weight[row] = alive[row] > 0 ? 1 / count : 0;
    }
}

clm_status clm_advantage_of(const double *x, const double *reward, const double *alive, int n, int trajectories, int horizon,
                            double discount, double lambda, double *advantage, double *weight, double *total) {
    const int rows = trajectories * horizon;
    double b[FEATURES_MOST], *returns = clm_calloc((size_t)rows, sizeof *returns);
    if (!returns) return CLM_E_MEMORY;
    sum_up(reward, alive, trajectories, horizon, discount, returns, total);
    fit(x, returns, alive, n, trajectories, horizon, b);
    for (int i = 0; i < trajectories; i++) {
        double later = 0, value_later = 0;
        for (int row = (i + 1) * horizon; row-- > i * horizon;) {
            if (alive[row] > 0) {
                const double value = value_of(x + (size_t)row * (size_t)n, n, row % horizon, b);
                later = reward[row] + discount * value_later - value + discount * lambda * later;
                value_later = value;
            }
            advantage[row] = later;
        }
    }
    normalise(advantage, alive, rows, weight);
    free(returns);
    return CLM_OK;
}

/* ---- on a device ---- */

/* What is between the launches. */
enum { RETURNS, GRAM, MOMENTS, BASELINE, FACTOR, ADVANTAGE, STATS, SCRATCH };

struct clm_advantage {
    clm_device *device;
    const clm_samples *samples;
    int tasks, trajectories, horizon, observation, action;
    double discount, lambda;
    clm_tensor *scratch[SCRATCH];
    clm_kernel *returns, *gram, *moments, *solve, *advantages, *normalise;
    double *host; /* of the host reference: arrays of a task, one behind the other */
};

/* A launch of the file: its tensors, then trajectories, horizon and numbers where it has them. */
typedef struct launch {
    const char *entry;
    clm_kernel **kernel;
    clm_tensor *tensors[8];
    size_t items[2]; /* the first two of the global size */
    int ints;        /* of trajectories, horizon */
    double floats[2];
    int n_floats;
} launch;

static clm_status make(clm_advantage *a, const launch *of) {
    char defines[64];
    clm_launch *l = clm_calloc(1, sizeof *l);
    if (!l) return CLM_E_MEMORY;
    snprintf(defines, sizeof defines, " -DOBSERVATION=%d -DACTION=%d", a->observation, a->action);
    *l = (clm_launch){.file = "advantage.cl", .entry = of->entry, .defines = defines};
    snprintf(l->label, sizeof l->label, "advantage: %s", of->entry);
    l->global[0] = of->items[0];
    l->global[1] = of->items[1];
    l->global[2] = (size_t)a->tasks;
    for (size_t i = 0; i < sizeof of->tensors / sizeof *of->tensors && of->tensors[i]; i++)
        l->args[l->n_args++] = (clm_arg){.kind = CLM_ARG_MEM,
                                         .mem = of->tensors[i]->root->mem,
                                         .offset = of->tensors[i]->offset,
                                         .task_stride = clm_tensor_size(of->tensors[i]) / (size_t)a->tasks};
    const int ints[] = {a->trajectories, a->horizon};
    for (int i = 0; i < of->ints; i++) l->args[l->n_args++] = (clm_arg){.kind = CLM_ARG_INT, .i = ints[i]};
    for (int i = 0; i < of->n_floats; i++) l->args[l->n_args++] = (clm_arg){.kind = CLM_ARG_FLOAT, .f = of->floats[i]};
    const clm_status status = a->device->backend->make(a->device, l, of->kernel);
    free(l);
    return status;
}

static clm_status create_on_device(clm_advantage *a) {
    const clm_samples *s = a->samples;
    const int m = 2 * a->observation + 4, entries = m * (m + 1) / 2, n = a->trajectories, rows = n * a->horizon;
    const int sizes[SCRATCH] = {rows, n * entries, n * m, m, m * m, rows, 3 * n};
    const size_t items = (size_t)n;
    clm_tensor **t = a->scratch;
    for (int i = 0; i < SCRATCH; i++) CLM_TRY(clm_tensor_create(&t[i], a->device, clm_shape_of(1, sizes[i]), a->tasks));
    const launch launches[] = {
        {"returns", &a->returns, {t[RETURNS], s->total, s->reward, s->alive}, {items, 1}, 2, {a->discount}, 1},
        {"gram", &a->gram, {t[GRAM], s->x, s->alive}, {(size_t)entries, items}, 2, {0}, 0},
        {"moments", &a->moments, {t[MOMENTS], s->x, s->alive, t[RETURNS], t[BASELINE]}, {(size_t)m, items}, 2, {0}, 0},
        {"solve", &a->solve, {t[BASELINE], t[FACTOR], t[GRAM], t[MOMENTS]}, {1, 1}, 1, {ridge}, 1},
        {"advantages",
         &a->advantages,
         {t[ADVANTAGE], t[STATS], s->x, s->reward, s->alive, t[BASELINE]},
         {items, 1},
         2,
         {a->discount, a->lambda},
         2},
        {"normalise", &a->normalise, {s->y, s->weight, t[ADVANTAGE], t[STATS], s->alive}, {items, 1}, 2, {0}, 0}};
    for (size_t i = 0; i < sizeof launches / sizeof *launches; i++) CLM_TRY(make(a, &launches[i]));
    return CLM_OK;
}

clm_status clm_advantage_create(clm_advantage **out, clm_device *device, const clm_samples *samples, int tasks,
                                int trajectories, int horizon, double discount, double lambda) {
    clm_advantage *a = *out = clm_calloc(1, sizeof *a);
    if (!a) return CLM_E_MEMORY;
    *a = (clm_advantage){.device = device,
                         .samples = samples,
                         .tasks = tasks,
                         .trajectories = trajectories,
                         .horizon = horizon,
                         .observation = clm_tensor_shape(samples->x).dim[1],
                         .action = clm_tensor_shape(samples->y).dim[1] - 1,
                         .discount = discount,
                         .lambda = lambda};
    if (device->info.type != CLM_DEVICE_HOST) return create_on_device(a);
    const size_t rows = (size_t)trajectories * (size_t)horizon;
    a->host = clm_calloc(rows, sizeof *a->host);
    return a->host ? CLM_OK : CLM_E_MEMORY;
}

void clm_advantage_free(clm_advantage *a) {
    if (!a) return;
    clm_kernel *const kernels[] = {a->returns, a->gram, a->moments, a->solve, a->advantages, a->normalise};
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (kernels[i]) a->device->backend->release(a->device, kernels[i]);
    for (int i = 0; i < SCRATCH; i++) clm_tensor_free(a->scratch[i]);
    free(a->host);
    free(a);
}

static const double *task_of(const clm_tensor *t, int task) {
    return clm_host_data(t->root->mem) + t->offset + (size_t)task * (clm_tensor_size(t) / (size_t)t->tasks);
}

static clm_status run_on_host(clm_advantage *a) {
    const clm_samples *s = a->samples;
    const int rows = a->trajectories * a->horizon, width = a->action + 1;
    for (int task = 0; task < a->tasks; task++) {
        double *y = (double *)task_of(s->y, task), *weight = (double *)task_of(s->weight, task);
        CLM_TRY(clm_advantage_of(task_of(s->x, task), task_of(s->reward, task), task_of(s->alive, task), a->observation,
                                 a->trajectories, a->horizon, a->discount, a->lambda, a->host, weight,
                                 (double *)task_of(s->total, task)));
        for (int row = 0; row < rows; row++) y[row * width + a->action] = a->host[row];
    }
    return CLM_OK;
}

clm_status clm_advantage_run(clm_advantage *a) {
    const clm_backend *b = a->device->backend;
    if (a->host) return run_on_host(a);
    CLM_TRY(clm_tensor_fill(a->scratch[BASELINE], 0));
    CLM_TRY(b->enqueue(a->device, a->returns));
    CLM_TRY(b->enqueue(a->device, a->gram));
    for (int pass = 0; pass < PASSES; pass++) {
        CLM_TRY(b->enqueue(a->device, a->moments));
        CLM_TRY(b->enqueue(a->device, a->solve));
    }
    CLM_TRY(b->enqueue(a->device, a->advantages));
    return b->enqueue(a->device, a->normalise);
}
