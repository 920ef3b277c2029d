/* What the device can do in practice: arithmetic by a matrix product, memory bandwidth by a = b + 3 c over arrays larger than caches.
 * Both are programs of this library, so the product is the best implementation that it has on the device. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "bench/bench.h"

/* Seconds of one run of a prepared program, the least of many in about `budget` seconds. */
static clm_status time_program(clm_device *device, clm_program *program, double budget, double *best) {
    double end = cli_clock() + budget;
    *best = INFINITY;
    CLI_TRY(clm_program_run(program));
    CLI_TRY(clm_device_finish(device));
    do {
        double start = cli_clock();
        CLI_TRY(clm_program_run(program));
        CLI_TRY(clm_device_finish(device));
        *best = fmin(*best, cli_clock() - start);
    } while (cli_clock() < end);
    return CLM_OK;
}

/* Builds, and fills the inputs with small numbers. */
static clm_status make_program(clm_program **program, clm_device *device, clm_graph *g, const clm_value *in, size_t n_in,
                               clm_value out) {
    float *data = NULL;
    clm_status status = CLM_OK;
    CLI_GOTO(clm_program_create(program, device, g, &out, 1, NULL));
    CLI_GOTO(clm_program_prepare(*program));
    for (size_t i = 0; i < n_in; i++) {
        clm_tensor *tensor = clm_program_tensor(*program, in[i]);
        size_t count = clm_tensor_size(tensor);
        if (!data) CLI_NEW(data, count);
        for (size_t k = 0; k < count; k++) data[k] = (float)(k % 17) / 17;
        CLI_GOTO(clm_tensor_write(tensor, data, count));
    }
out:
    free(data);
    return status;
}

static clm_status make_product(clm_program **program, clm_device *device, int n) {
    clm_graph *g = NULL;
    clm_status status = CLM_OK;
    CLI_GOTO(clm_graph_create(&g));
    clm_value in[2] = {clm_input(g, "a", clm_shape_of(2, n, n), false), clm_input(g, "b", clm_shape_of(2, n, n), false)};
    CLI_GOTO(make_program(program, device, g, in, 2, clm_matmul(g, in[0], in[1], false, false)));
out:
    clm_graph_free(g);
    return status;
}

static clm_status measure_product(clm_device *device, int n, double *gflops) {
    clm_program *program = NULL;
    double seconds = 0;
    clm_status status = CLM_OK;
    CLI_GOTO(make_product(&program, device, n));
    CLI_GOTO(time_program(device, program, 0.3, &seconds));
    *gflops = 2.0 * n * n * n / seconds * 1e-9;
out:
    clm_program_free(program);
    return status;
}

static clm_status measure_products(bench_peaks *peaks, clm_device *device) {
    static const int sizes[] = {128, 512, 1024, 2048, 4096};
    clm_device_type type = clm_device_get_info(device)->type;
    bench_gemm best = {"clmaml", 0, 0};
    for (size_t i = 0; i < CLI_COUNT(sizes); i++) {
        double gflops = 0, n = sizes[i];
        if (i > 0 && 2 * n * n * n > best.gflops * 1e9) break; /* would take more than a second */
        if (n > 2048 && type == CLM_DEVICE_CPU) break;
        CLI_TRY(measure_product(device, sizes[i], &gflops));
        if (gflops > best.gflops) best.gflops = gflops, best.size = sizes[i];
    }
    peaks->gemm[peaks->n_gemm++] = best;
    return CLM_OK;
}

/* Elements of an array: a quarter of a gibibyte, or what the device has room for. */
static int triad_elements(const clm_device_info *info) {
    uint64_t bytes = info->type == CLM_DEVICE_HOST ? 1 << 22 : 1 << 28;
    if (info->max_allocation && bytes > info->max_allocation / 2) bytes = info->max_allocation / 2;
    if (info->global_memory && bytes > info->global_memory / 8) bytes = info->global_memory / 8;
    return (int)(bytes / sizeof(float));
}

static clm_status measure_bandwidth(bench_peaks *peaks, clm_device *device) {
    const clm_device_info *info = clm_device_get_info(device);
    int n = triad_elements(info);
    clm_graph *g = NULL;
    clm_program *program = NULL;
    double seconds = 0;
    clm_status status = CLM_OK;
    CLI_GOTO(clm_graph_create(&g));
    clm_value in[2] = {clm_input(g, "b", clm_shape_of(1, n), false), clm_input(g, "c", clm_shape_of(1, n), false)};
    CLI_GOTO(make_program(&program, device, g, in, 2, clm_add(g, in[0], clm_scale(g, in[1], 3))));
    CLI_GOTO(time_program(device, program, 0.5, &seconds));
    peaks->bandwidth_bytes = (double)n * (info->type == CLM_DEVICE_HOST ? sizeof(double) : sizeof(float));
    peaks->bandwidth = 3 * peaks->bandwidth_bytes / seconds;
out:
    clm_program_free(program);
    clm_graph_free(g);
    return status;
}

clm_status bench_peaks_measure(bench_peaks *peaks, clm_device *device, const bench_settings *settings) {
    *peaks = (bench_peaks){0};
    CLI_TRY(measure_products(peaks, device));
    peaks->gflops = peaks->gemm[0].gflops;
    if (clm_device_get_info(device)->type == CLM_DEVICE_CPU) bench_blas_measure(peaks, settings);
    return measure_bandwidth(peaks, device);
}

/* ---- a product in turns with something else ---- */

struct bench_product {
    clm_device *device; /* its own: its memory is not the item's */
    clm_program *program;
};

clm_status bench_product_start(bench_product **out, const char *device, int size) {
    bench_product *p = NULL;
    clm_status status = CLM_OK;
    CLI_NEW(p, 1);
    CLI_GOTO(clm_device_open(&p->device, device));
    CLI_GOTO(make_product(&p->program, p->device, size));
out:
    if (status != CLM_OK) bench_product_end(p), p = NULL;
    *out = p;
    return status;
}

clm_status bench_product_turn(bench_product *p, bench_times *times) {
    const double end = cli_clock() + BENCH_TURN_MS * 1e-3;
    do {
        const double start = cli_clock();
        CLI_TRY(clm_program_run(p->program));
        CLI_TRY(clm_device_finish(p->device));
        bench_times_add(times, (cli_clock() - start) * 1e3);
    } while (cli_clock() < end);
    return CLM_OK;
}

void bench_product_end(bench_product *p) {
    if (!p) return;
    clm_program_free(p->program);
    clm_device_close(p->device);
    free(p);
}
