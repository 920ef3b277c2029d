/* What items are held against: the fastest matrix product that was found, timed in turns with the steps. On a machine whose speed changes,
 * a peak measured at another moment would say as much about the moment as about the step.
 *
 *     of limit = (operations / median rate of the products) / median time of a step
 */
#include <stdlib.h>

#include "bench/bench.h"

enum { ANSWER_SECONDS = 120, ANSWER_SIZE = 65536 };

clm_status bench_yardstick_start(bench_yardstick *y, const bench_peaks *peaks, const bench_settings *settings) {
    clm_status status = CLM_OK;
    y->gemm = &peaks->gemm[peaks->best];
    CLI_NEW(y->times, 1);
    if (peaks->best > 0) /* the first is ours */
        CLI_GOTO(bench_blas_start(&y->child, peaks, settings));
    else
        CLI_GOTO(bench_product_start(&y->product, settings->device[0] ? settings->device : NULL, y->gemm->size));
out:
    return status;
}

static clm_status ask_child(bench_yardstick *y) {
    char *text = malloc(ANSWER_SIZE);
    json_t *answer = NULL, *value;
    size_t i;
    clm_status status = text ? cli_process_send(y->child, "turn") : cli_fail(CLM_E_MEMORY, "out of memory");
    if (status == CLM_OK) status = cli_process_receive(y->child, ANSWER_SECONDS, text, ANSWER_SIZE);
    if (status == CLM_OK) answer = json_loads(text, 0, NULL);
    json_array_foreach(json_object_get(answer, "ms"), i, value) bench_times_add(y->times, json_number_value(value));
    json_decref(answer);
    free(text);
    return status;
}

static double gflops_of(const bench_gemm *gemm, double ms) {
    const double n = gemm->size;
    return 2 * n * n * n / ms * 1e-6;
}

clm_status bench_yardstick_turn(bench_yardstick *y, bench_peaks *peaks) {
    if (y->product) CLI_TRY(bench_product_turn(y->product, y->times));
    if (y->child && ask_child(y) != CLM_OK) {
        cli_note("the BLAS library takes no more turns: %s", cli_message());
        cli_forget();
        cli_process_end(y->child);
        y->child = NULL;
    }
    if (!y->times || !y->times->count) return CLM_OK;
    bench_gemm *best = &peaks->gemm[peaks->best];
    const double gflops = gflops_of(best, bench_times_min(y->times));
    if (gflops > best->gflops) best->gflops = peaks->gflops = gflops;
    return CLM_OK;
}

double bench_yardstick_gflops(bench_yardstick *y, const bench_peaks *peaks) {
    return y->times && y->times->count ? gflops_of(y->gemm, bench_times_median(y->times)) : peaks->gflops;
}

void bench_yardstick_end(bench_yardstick *y) {
    cli_process_end(y->child);
    bench_product_end(y->product);
    free(y->times);
    *y = (bench_yardstick){0};
}
