/* Times a meta-gradient and its outer update, as training runs them: Conv-4, every task with images and labels of its own.
 *
 *   meta_step [--tasks 32] [--steps 1] [--ways 5] [--shots 1] [--query 1] [--filters 64] [--size 28] [--channels 1] [--runs 10]
 *             [--chunk 0] [--first-order] [--recompute] [--device WHICH] [--profile]
 *
 * Prints one line of JSON: milliseconds per meta-step (median, min), per task, arithmetic rate, launches, memory, first call. With
 * --profile the launches follow, slowest first.
 */
#include <clmaml/clmaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct setting {
    const char *name;
    int value;
} setting;

enum { TASKS, STEPS, WAYS, SHOTS, QUERY, FILTERS, SIZE, CHANNELS, RUNS, CHUNK, N_SETTINGS };
static setting settings[N_SETTINGS] = {{"--tasks", 32},   {"--steps", 1}, {"--ways", 5},     {"--shots", 1}, {"--query", 1},
                                       {"--filters", 64}, {"--size", 28}, {"--channels", 1}, {"--runs", 10}, {"--chunk", 0}};
static int first_order, recompute, profile;
static const char *device_name;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void need(clm_status status) {
    if (status == CLM_OK) return;
    fprintf(stderr, "meta_step: %s: %s\n", clm_status_name(status), clm_last_error());
    exit(1);
}

static int parse(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        int known = 1;
        if (!strcmp(argv[i], "--first-order"))
            first_order = 1;
        else if (!strcmp(argv[i], "--recompute"))
            recompute = 1;
        else if (!strcmp(argv[i], "--profile"))
            profile = 1;
        else if (!strcmp(argv[i], "--device") && i + 1 < argc)
            device_name = argv[++i];
        else
            known = 0;
        for (int s = 0; s < N_SETTINGS && !known; s++)
            if (!strcmp(argv[i], settings[s].name) && i + 1 < argc) {
                settings[s].value = atoi(argv[++i]);
                known = 1;
            }
        if (!known) {
            fprintf(stderr, "meta_step: unknown option %s; see the head of bench/meta_step.c\n", argv[i]);
            return 0;
        }
    }
    return 1;
}

static float *noise(size_t n) {
    float *x = malloc(n * sizeof *x);
    uint32_t state = 1;
    if (!x) exit(1);
    for (size_t i = 0; i < n; i++) x[i] = (float)((state = state * 1664525u + 1013904223u) >> 8) / 16777216.0f - 0.5f;
    return x;
}

static float *labels(size_t tasks, size_t n, int ways) {
    float *y = malloc(tasks * n * sizeof *y);
    if (!y) exit(1);
    for (size_t i = 0; i < tasks * n; i++) y[i] = (float)(i % n % (size_t)ways);
    return y;
}

static int increasing(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    clm_device *device;
    clm_model *model;
    clm_meta *meta;
    if (!parse(argc, argv)) return 2;
    int tasks = settings[TASKS].value, ways = settings[WAYS].value, runs = settings[RUNS].value;
    size_t support = (size_t)(ways * settings[SHOTS].value), query = (size_t)(ways * settings[QUERY].value);
    size_t image = (size_t)(settings[CHANNELS].value * settings[SIZE].value * settings[SIZE].value);
    clm_conv4_options net = {settings[FILTERS].value, ways, settings[CHANNELS].value, settings[SIZE].value, false};
    clm_meta_options options = CLM_META_OPTIONS_INIT;
    options.tasks = tasks;
    options.steps = settings[STEPS].value;
    options.support = (int)support;
    options.query = (int)query;
    options.task_chunk = settings[CHUNK].value;
    options.first_order = first_order;
    options.inner_lr = 0.01; /* images are noise: nothing is learned, and nothing overflows in many runs */
    options.checkpointing = recompute ? CLM_CHECKPOINT_RECOMPUTE : CLM_CHECKPOINT_AUTO;
    need(clm_device_open(&device, device_name));
    need(clm_model_conv4(&model, &net));
    double start = now();
    need(clm_meta_create(&meta, device, model, &options));
    clm_batch batch = {noise((size_t)tasks * support * image), labels((size_t)tasks, support, ways),
                       noise((size_t)tasks * query * image), labels((size_t)tasks, query, ways)};
    need(clm_meta_step(meta, &batch, NULL));
    double first = now() - start, *ms = malloc((size_t)runs * sizeof *ms);
    for (int i = 0; i < runs; i++) {
        double t = now();
        need(clm_meta_step(meta, &batch, NULL));
        ms[i] = (now() - t) * 1e3;
    }
    qsort(ms, (size_t)runs, sizeof *ms, increasing);
    clm_meta_plan plan = clm_meta_get_plan(meta);
    printf(
        "{\"device\": \"%s\", \"tasks\": %d, \"steps\": %d, \"ways\": %d, \"shots\": %d, \"query\": %d, \"filters\": %d, "
        "\"size\": %d, "
        "\"order\": %d, \"checkpointing\": \"%s\", \"chunk\": %d, \"ms_median\": %.2f, \"ms_min\": %.2f, \"ms_per_task\": %.3f, "
        "\"gflops\": %.1f, \"launches\": %zu, \"peak_bytes\": %zu, \"first_call_s\": %.2f}\n",
        clm_device_get_info(device)->name, tasks, options.steps, ways, settings[SHOTS].value, settings[QUERY].value, net.filters,
        net.size, first_order ? 1 : 2, plan.checkpointing == CLM_CHECKPOINT_STORE ? "store" : "recompute", plan.task_chunk,
        ms[runs / 2], ms[0], ms[runs / 2] / tasks, plan.flops / ms[runs / 2] * 1e-6, plan.launches,
        clm_device_peak_allocated(device), first);
    if (profile) need(clm_meta_profile(meta, 5, stdout));
    free((void *)batch.support_x);
    free((void *)batch.support_y);
    free((void *)batch.query_x);
    free((void *)batch.query_y);
    free(ms);
    clm_meta_free(meta);
    clm_model_free(model);
    clm_device_close(device);
    return 0;
}
