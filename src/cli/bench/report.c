/* The table and the JSON of `clmaml bench`. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"

#include "base/json.h"
#include "base/lines.h"
#include "base/system.h"
#include "base/table.h"

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

/* ---- what is going on ---- */

static bool said;

void bench_say_nothing(void) {
    if (said) fputs("\r\033[K", stderr);
    said = false;
}

void bench_say(const char *format, ...) {
    char text[256];
    va_list args;
    if (!cli_can_redraw(stderr)) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "\r\033[K%.*s ..", cli_terminal_width(stderr) - 4, text);
    fflush(stderr);
    said = true;
}

/* ---- the table ---- */

/* A library without kernels for this processor: what is held against it would seem better than it is. */
static void note_slow_library(const bench_peaks *peaks) {
    double best = 0;
    for (size_t i = 1; i < peaks->n_gemm; i++) best = fmax(best, peaks->gemm[i].gflops);
    if (!peaks->has_blas || peaks->n_gemm < 2 || best > 0.5 * peaks->gemm[0].gflops) return;
    cli_note(
        "%s is slow, %.1f GFLOP/s where our own product reaches %.1f: the limit is held against the latter and may be too low; "
        "install OpenBLAS (Debian: apt-get install libopenblas0)",
        peaks->gemm[1].by, best, peaks->gemm[0].gflops);
}

void bench_report_peaks(const bench_peaks *peaks) {
    for (size_t i = 0; i < peaks->n_gemm; i++)
        cli_line(stdout, "%s %9.1f GFLOP/s  %s, %d x %d x %d\n", i ? "                " : "matrix product  ",
                 peaks->gemm[i].gflops, peaks->gemm[i].by, peaks->gemm[i].size, peaks->gemm[i].size, peaks->gemm[i].size);
    cli_line(stdout, "memory           %9.1f GB/s     a = b + 3 c over three arrays of %s\n", peaks->bandwidth * 1e-9,
             cli_bytes(peaks->bandwidth_bytes).s);
    fflush(stdout);
    note_slow_library(peaks);
}

static const cli_table table = {.column = {{"item, and the same in peers", -36},
                                           {"median ms", 9},
                                           {"min ms", 9},
                                           {"ms/task", 9},
                                           {"of limit", 8},
                                           {"at best", 8},
                                           {"GFLOP/s", 8},
                                           {"product", 8},
                                           {"launches", 9},
                                           {"host", 6},
                                           {"on device", 10},
                                           {"resident", 10},
                                           {"warm", 8},
                                           {"cold", 8}},
                                .count = 14,
                                .gap = 1};

void bench_report_head(void) {
    printf("\n");
    cli_table_head(&table, stdout);
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
        cli_line(stdout, "  %-34s not run: %s\n", peer->key, peer->problem);
        return;
    }
    double median = bench_times_median(peer->times);
    cli_line(stdout, "  %-34.34s %9s %9s %9s   %5.2f times ours, same within %.0e %10s%s\n", peer->name,
             bench_ms_text(median).s, bench_ms_text(bench_times_min(peer->times)).s, bench_ms_text(median / tasks).s,
             median / ours, peer->grad_error > peer->loss_error ? peer->grad_error : peer->loss_error,
             cli_bytes(peer->peak_bytes).s, median < ours ? "   FASTER" : "");
}

static cli_text number_text(double number, const char *unit) {
    cli_text text;
    snprintf(text.s, sizeof text.s, "%.1f%s", number, unit);
    return text;
}

static void print_times(bench_result *r) {
    const bench_item *item = &r->problem->item;
    const double median = bench_times_median(r->times), least = bench_times_min(r->times);
    const cli_text cells[] = {bench_ms_text(median),
                              bench_ms_text(least),
                              bench_ms_text(median / item->tasks),
                              fraction_text(r, limit_ms(r), median),
                              fraction_text(r, least_limit_ms(r), least),
                              number_text(r->run->flops / median * 1e-6, ""),
                              product_text(r),
                              cli_count(r->run->launches),
                              number_text(100 * r->host_seconds / r->wall_seconds, " %"),
                              cli_bytes(r->device_bytes),
                              r->warm.done ? cli_bytes(r->warm.peak_bytes) : (cli_text){"-"},
                              seconds_text(&r->warm),
                              seconds_text(&r->cold)};
    const char *row[CLI_COLUMNS_MOST] = {item->name};
    for (size_t i = 0; i < CLI_COUNT(cells); i++) row[i + 1] = cells[i].s;
    cli_table_row(&table, stdout, row);
}

void bench_report_peers(bench_peers *peers, double ours, int tasks) {
    for (size_t i = 0; i < peers->count; i++)
        if (!peers->peer[i].missing) print_peer(&peers->peer[i], ours, tasks);
}

void bench_report_item(bench_result *r) {
    const bench_item *item = &r->problem->item;
    print_times(r);
    if (!item->learner)
        cli_line(stdout, "  %s, %d of %d tasks at a time, %s\n", clm_checkpointing_name(r->run->plan.checkpointing),
                 r->run->plan.task_chunk, item->tasks, clm_plan_reason_text(r->run->plan.reason));
    bench_report_peers(r->peers, bench_times_median(r->times), item->tasks);
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

json_t *bench_json_times(bench_times *times) {
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
    cli_json_set(object, "ms", bench_json_times(peer->times));
    return object;
}

json_t *bench_json_peers(bench_peers *peers, double ours) {
    json_t *list = json_array();
    for (size_t i = 0; i < peers->count; i++) cli_json_append(list, json_peer(&peers->peer[i], ours));
    return list;
}

/* Single products, whose number of operations is that of the size. */
static json_t *json_yardstick(bench_result *r) {
    const bench_gemm *gemm = r->yardstick->gemm;
    if (!gemm || !r->yardstick->times->count) return json_null();
    return json_pack("{s:s, s:i, s:f, s:o}", "by", gemm->by, "size", gemm->size, "gflops",
                     bench_yardstick_gflops(r->yardstick, r->peaks), "ms", bench_json_times(r->yardstick->times));
}

json_t *bench_json_item(bench_result *r) {
    const bench_item *t = &r->problem->item;
    double median = bench_times_median(r->times);
    json_t *object = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b}", "item", t->name, "tasks", t->tasks,
                               "ways", t->ways, "shots", t->shots, "query", t->query, "steps", t->steps, "filters", t->filters,
                               "size", t->size, "channels", t->channels, "order",
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
    cli_json_set(object, "ms", bench_json_times(r->times));
    cli_json_set(object, "yardstick", json_yardstick(r));
    cli_json_set(object, "first_call_warm", json_first(&r->warm));
    cli_json_set(object, "first_call_cold", json_first(&r->cold));
    cli_json_set(object, "peers", bench_json_peers(r->peers, median));
    return object;
}
