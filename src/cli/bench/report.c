/* The table and the JSON of `clmaml bench`. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"

#include "base/json.h"

cli_text bench_ms_text(double ms) {
    cli_text text;
    snprintf(text.s, sizeof text.s, "%.*f", ms < 1 ? 3 : ms < 100 ? 2 : 1, ms);
    return text;
}

static cli_text seconds_text(const bench_first *first) {
    cli_text text = {"-"};
    if (first->done) snprintf(text.s, sizeof text.s, "%.2f s", first->seconds);
    return text;
}

void bench_report_peaks(const bench_peaks *peaks) {
    for (size_t i = 0; i < peaks->n_gemm; i++)
        printf("%s %9.1f GFLOP/s  %s, %d x %d x %d\n", i ? "                " : "matrix product  ", peaks->gemm[i].gflops,
               peaks->gemm[i].by, peaks->gemm[i].size, peaks->gemm[i].size, peaks->gemm[i].size);
    printf("memory           %9.1f GB/s     a = b + 3 c over three arrays of %s\n", peaks->bandwidth * 1e-9,
           cli_bytes(peaks->bandwidth_bytes).s);
}

void bench_report_head(void) {
    printf("\n%-36s %9s %9s %9s %8s %8s %8s %8s %9s %6s %10s %10s %8s %8s\n", "item, and the same in peers", "median ms",
           "min ms", "ms/task", "of limit", "at best", "GFLOP/s", "product", "launches", "host", "on device", "resident",
           "warm", "cold");
}

/* Milliseconds of the direct convolutions and products at the rate that the fastest product had meanwhile, by the median; and at the
 * best rate of the whole run. */
static double limit_ms(const bench_result *r) { return r->run->flops / bench_yardstick_gflops(r->yardstick, r->peaks) * 1e-6; }
static double least_limit_ms(const bench_result *r) { return r->run->flops / r->peaks->gflops * 1e-6; }

static cli_text fraction_text(const bench_result *r, double limit, double ms) {
    cli_text text = {"-"};
    if (isfinite(r->peaks->gflops)) snprintf(text.s, sizeof text.s, "%.1f %%", 100 * limit / ms);
    return text;
}

static cli_text product_text(const bench_result *r) {
    cli_text text = {"-"};
    if (isfinite(r->peaks->gflops)) snprintf(text.s, sizeof text.s, "%.1f", bench_yardstick_gflops(r->yardstick, r->peaks));
    return text;
}

static void print_peer(bench_peer *peer, double ours, int tasks) {
    if (peer->problem[0]) {
        printf("  %-34s not run: %s\n", peer->key, peer->problem);
        return;
    }
    double median = bench_times_median(peer->times);
    printf("  %-34.34s %9s %9s %9s   %5.2f times ours, same within %.0e %10s%s\n", peer->name, bench_ms_text(median).s,
           bench_ms_text(bench_times_min(peer->times)).s, bench_ms_text(median / tasks).s, median / ours,
           peer->grad_error > peer->loss_error ? peer->grad_error : peer->loss_error, cli_bytes(peer->peak_bytes).s,
           median < ours ? "   FASTER" : "");
}

void bench_report_item(bench_result *r) {
    const bench_item *item = &r->problem->item;
    double median = bench_times_median(r->times), least = bench_times_min(r->times);
    printf("%-36s %9s %9s %9s %8s %8s %8.1f %8s %9zu %4.1f %% %10s %10s %8s %8s\n", item->name, bench_ms_text(median).s,
           bench_ms_text(least).s, bench_ms_text(median / item->tasks).s, fraction_text(r, limit_ms(r), median).s,
           fraction_text(r, least_limit_ms(r), least).s, r->run->flops / median * 1e-6, product_text(r).s, r->run->launches,
           100 * r->host_seconds / r->wall_seconds, cli_bytes(r->device_bytes).s,
           r->warm.done ? cli_bytes(r->warm.peak_bytes).s : "-", seconds_text(&r->warm).s, seconds_text(&r->cold).s);
    if (!item->learner)
        printf("  %s, %d of %d tasks at a time, %s\n", clm_checkpointing_name(r->run->plan.checkpointing),
               r->run->plan.task_chunk, item->tasks, clm_plan_reason_text(r->run->plan.reason));
    for (size_t i = 0; i < r->peers->count; i++)
        if (!r->peers->peer[i].missing) print_peer(&r->peers->peer[i], median, item->tasks);
    fflush(stdout);
}

/* ---- JSON ---- */

json_t *bench_json_peaks(const bench_peaks *peaks) {
    json_t *gemm = json_array();
    for (size_t i = 0; i < peaks->n_gemm; i++)
        cli_json_append(gemm, json_pack("{s:s, s:f, s:i}", "by", peaks->gemm[i].by, "gflops", peaks->gemm[i].gflops, "size",
                                        peaks->gemm[i].size));
    return json_pack("{s:o, s:f, s:f, s:f}", "gemm", gemm, "gflops", peaks->gflops, "bytes_per_second", peaks->bandwidth,
                     "array_bytes", peaks->bandwidth_bytes);
}

static json_t *json_first(const bench_first *first) {
    if (!first->done) return json_null();
    return json_pack("{s:f, s:f, s:I}", "seconds", first->seconds, "peak_resident_bytes", first->peak_bytes, "programs_built",
                     (json_int_t)first->built);
}

static json_t *json_times(bench_times *times) {
    json_t *samples = json_array();
    double median = bench_times_median(times), least = bench_times_min(times);
    for (size_t i = 0; i < times->count; i++) cli_json_append(samples, json_real(times->ms[i]));
    return json_pack("{s:f, s:f, s:o}", "median", median, "min", least, "samples", samples);
}

static json_t *json_peer(bench_peer *peer, double ours) {
    if (peer->problem[0])
        return json_pack("{s:s, s:s, s:b}", "key", peer->key, "not_run", peer->problem, "missing", peer->missing);
    double median = bench_times_median(peer->times);
    json_t *object =
        json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f}", "key", peer->key, "name", peer->name, "ratio", median / ours, "loss",
                  peer->loss, "loss_error", peer->loss_error, "grad_error", peer->grad_error, "peak_bytes", peer->peak_bytes);
    cli_json_set(object, "ms", json_times(peer->times));
    return object;
}

/* Single products, whose number of operations is that of the size. */
static json_t *json_yardstick(bench_result *r) {
    const bench_gemm *gemm = r->yardstick->gemm;
    if (!gemm || !r->yardstick->times->count) return json_null();
    return json_pack("{s:s, s:i, s:f, s:o}", "by", gemm->by, "size", gemm->size, "gflops",
                     bench_yardstick_gflops(r->yardstick, r->peaks), "ms", json_times(r->yardstick->times));
}

json_t *bench_json_item(bench_result *r) {
    const bench_item *t = &r->problem->item;
    double median = bench_times_median(r->times);
    json_t *peers = json_array(), *object;
    for (size_t i = 0; i < r->peers->count; i++) cli_json_append(peers, json_peer(&r->peers->peer[i], median));
    object = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b}", "item", t->name, "tasks", t->tasks, "ways",
                       t->ways, "shots", t->shots, "query", t->query, "steps", t->steps, "filters", t->filters, "size", t->size,
                       "channels", t->channels, "order",
                       t->learner       ? 0
                       : t->first_order ? 1
                                        : 2,
                       "adaptation_only", t->learner);
    const double least = bench_times_min(r->times);
    const clm_meta_plan *p = &r->run->plan;
    json_t *plan =
        json_pack("{s:s?, s:s?, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:f, s:I}", "checkpointing",
                  t->learner ? NULL : clm_checkpointing_name(p->checkpointing), "plan_chosen",
                  t->learner ? NULL : clm_plan_reason_text(p->reason), "task_chunk", p->task_chunk, "ms_per_task",
                  median / t->tasks, "flops", r->run->flops, "traffic_bytes", r->run->traffic, "limit_ms", limit_ms(r),
                  "fraction_of_limit", limit_ms(r) / median, "least_limit_ms", least_limit_ms(r), "best_fraction_of_limit",
                  least_limit_ms(r) / least, "traffic_ms", r->run->traffic / r->peaks->bandwidth * 1e3, "gflops",
                  r->run->flops / median * 1e-6, "launches", (json_int_t)r->run->launches, "host_fraction",
                  r->host_seconds / r->wall_seconds, "device_bytes", (json_int_t)r->device_bytes);
    json_object_update(object, plan);
    json_decref(plan);
    cli_json_set(object, "ms", json_times(r->times));
    cli_json_set(object, "yardstick", json_yardstick(r));
    cli_json_set(object, "first_call_warm", json_first(&r->warm));
    cli_json_set(object, "first_call_cold", json_first(&r->cold));
    cli_json_set(object, "peers", peers);
    return object;
}
