/* `clmaml bench`: how fast is a meta-step here, how much of what the device can do is that, and how fast is it elsewhere?
 *
 * Our steps and those of the peers are timed in turns, so that a machine whose speed changes changes it for all.
 */
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/ranks.h"
#include "base/system.h"
#include "bench/bench.h"
#include "selftest/first_use.h"

#define FIELD(name) offsetof(bench_settings, name)

static const cli_option options[] = {
    {"Work", "rounds", CLI_INT, 0, FIELD(rounds), 1, 1000, "N", "turns of ours and of every peer"},
    {NULL, "tasks", CLI_INT, 0, FIELD(tasks), 1, 4096, "N", "tasks of a meta-batch instead of the item's own"},
    {NULL, "cold", CLI_FLAG, 0, FIELD(cold), 0, 0, "", "time the first call with empty kernel caches too"},
    {NULL, "profile", CLI_FLAG, 0, FIELD(profile), 0, 0, "",
     "time per kernel and shape, with arithmetic and memory traffic per second"},
    {NULL, "scaling", CLI_FLAG, 0, FIELD(scaling), 0, 0, "",
     "under mpirun: steps on more and more of its ranks, their efficiency and the share of communication"},
    {"Device", "device", CLI_TEXT, 0, FIELD(device), 0, 0, "WHICH", CLI_DEVICE_HELP},
    {NULL, "force", CLI_FLAG, 0, FIELD(force), 0, 0, "", CLI_FORCE_HELP},
    {NULL, "memory-limit", CLI_BYTES, 0, FIELD(memory_limit), 0, 0, "BYTES", "as for train"},
    {NULL, "checkpointing", CLI_CHOICE, 0, FIELD(checkpointing), 0, 0, "auto|store|recompute", "as for train"},
    {NULL, "chunk", CLI_INT, 0, FIELD(chunk), 0, 4096, "N", "tasks per launch; 0: as many as fit"},
    {NULL, "tune-plans", CLI_REAL, 0, FIELD(tune_plans), 0, 1e9, "SECONDS",
     "first measure plans of each item for so long, as clmaml tune --only plans; 0: do not"},
    {"Peers", "no-peers", CLI_FLAG, 0, FIELD(no_peers), 0, 0, "", "clMAML alone"},
    {NULL, "peers", CLI_TEXT, 0, FIELD(peers), 0, 0, "NAME,..",
     "these alone: torch, jax, or single ones such as torch-processes [all that are installed]"},
    {NULL, "python", CLI_TEXT, 0, FIELD(python), 0, 0, "PROGRAM",
     "the Python that has PyTorch or JAX [that of the active virtual environment, else python3]"},
    {NULL, "peer-seconds", CLI_REAL, 0, FIELD(peer_seconds), 1, 86400, "SECONDS",
     "how long a peer may take to be ready, or for a turn; compilers of whole steps take minutes"},
    {"Peaks", "no-peaks", CLI_FLAG, 0, FIELD(no_peaks), 0, 0, "", "do not measure them: no fraction of the limit"},
    {NULL, "blas", CLI_TEXT, 0, FIELD(blas), 0, 0, "LIBRARY",
     "shared library with cblas_sgemm [OpenBLAS or what else is found]"},
    {"Results", "json", CLI_TEXT, 0, FIELD(json), 0, 0, "FILE", "write everything, single times included, to a file"},
    {"For its own child processes", "blas-peak", CLI_FLAG, 0, FIELD(blas_peak), 0, 0, "",
     "only time the BLAS library; a line of JSON"},
    {NULL, "blas-turns", CLI_INT, 0, FIELD(blas_turns), 0, 16384, "N",
     "only time its products of N x N, for every line of input"},
    {NULL, "first-call", CLI_FLAG, 0, FIELD(first_call), 0, 0, "", "only make one step of one item; a line of JSON"},
    {.name = NULL},
};
static const bench_settings defaults = {.rounds = 5, .peer_seconds = 900};

typedef struct bench {
    const bench_settings *settings;
    bench_peaks peaks;
    json_t *items;
    char folder[CLI_PATH_MAX]; /* "": none yet */
} bench;

/* ---- one item ---- */

static clm_status time_step(bench_run *run, bench_result *r) {
    const double cpu = cli_thread_seconds() - clm_thread_wait_seconds(), start = cli_clock();
    CLI_TRY(bench_run_step(run));
    CLI_TRY(clm_device_finish(run->device));
    double wall = cli_clock() - start;
    r->host_seconds += cli_thread_seconds() - clm_thread_wait_seconds() - cpu;
    r->wall_seconds += wall;
    bench_times_add(r->times, wall * 1e3);
    return CLM_OK;
}

static void say_turn(const bench *b, const bench_result *r, int64_t round, const char *who) {
    bench_say("%s: round %d of %d, %s", r->problem->item.name, (int)round + 1, (int)b->settings->rounds, who);
}

static clm_status take_turns(const bench *b, bench_run *run, bench_result *r) {
    CLI_TRY(bench_run_step(run)); /* the first two are not counted: memory is touched, clocks rise */
    CLI_TRY(time_step(run, r));
    int burst = bench_burst(r->times->ms[0]);
    r->times->count = 0;
    r->host_seconds = r->wall_seconds = 0;
    for (int64_t round = 0; round < b->settings->rounds; round++) {
        say_turn(b, r, round, "clmaml");
        for (int i = 0; i < burst; i++) CLI_TRY(time_step(run, r));
        CLI_TRY(bench_yardstick_turn(r->yardstick, r->peaks));
        for (size_t p = 0; p < r->peers->count; p++) {
            if (r->peers->peer[p].child) say_turn(b, r, round, r->peers->peer[p].key);
            bench_peer_turn(&r->peers->peer[p], b->settings->peer_seconds);
        }
        if (cli_stop_requested()) return cli_fail(CLM_E_STATE, "stopped in round %d", (int)round + 1);
    }
    return CLM_OK;
}

static clm_status write_expected(bench *b, bench_run *run) {
    char path[CLI_PATH_MAX];
    if (!b->folder[0]) CLI_TRY(cli_temporary_directory(b->folder, sizeof b->folder));
    CLI_TRY(cli_path(path, b->folder, "problem.safetensors"));
    return bench_run_expected(run, path);
}

static clm_status print_profile(const bench_run *run) {
    puts("");
    FILE *to = cli_lines_begin(stdout);
    clm_status status = run->meta ? clm_meta_profile(run->meta, 5, to) : clm_learner_profile(run->learner, 5, to);
    cli_lines_end(to, stdout);
    puts("");
    return status;
}

static clm_status measure(bench *b, bench_run *run, bench_result *r) {
    const bench_settings *s = b->settings;
    clm_device_type type = clm_device_get_info(run->device)->type;
    if (!s->no_peers) {
        CLI_TRY(write_expected(b, run));
        CLI_TRY(bench_peers_start(r->peers, s, r->problem, type, b->folder));
    }
    if (!s->no_peaks) CLI_TRY(bench_yardstick_start(r->yardstick, &b->peaks, s));
    CLI_TRY(take_turns(b, run, r));
    bench_peers_end(r->peers);
    r->device_bytes = (double)clm_device_peak_allocated(run->device);
    bench_say("%s: a first step in a fresh process", r->problem->item.name);
    CLI_TRY(bench_first_measure(&r->warm, &r->problem->item, s, false));
    if (r->warm.built) CLI_TRY(bench_first_measure(&r->warm, &r->problem->item, s, false)); /* the caches were not warm */
    if (s->cold) CLI_TRY(bench_first_measure(&r->cold, &r->problem->item, s, true));
    bench_say_nothing();
    bench_report_item(r);
    if (s->profile) CLI_TRY(print_profile(run));
    return json_array_append_new(b->items, bench_json_item(r)) == 0 ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

static clm_status run_step_item(bench *b, const bench_item *item) {
    bench_problem problem = {0};
    bench_run run = {0};
    bench_peers peers = {0};
    bench_yardstick yardstick = {0};
    bench_times *times = NULL;
    clm_status status = CLM_OK;
    CLI_NEW(times, 1);
    CLI_GOTO(bench_problem_make(&problem, item, b->settings));
    CLI_GOTO(bench_run_start(&run, &problem, b->settings));
    bench_result result = {
        .problem = &problem, .run = &run, .peaks = &b->peaks, .yardstick = &yardstick, .peers = &peers, .times = times};
    CLI_GOTO(measure(b, &run, &result));
out:
    bench_peers_free(&peers);
    bench_yardstick_end(&yardstick);
    bench_run_end(&run);
    bench_problem_free(&problem);
    free(times);
    return status;
}

static clm_status run_navigation(bench *b, const bench_item *item) {
    if (!b->folder[0]) CLI_TRY(cli_temporary_directory(b->folder, sizeof b->folder));
    return bench_navigation(item, b->settings, b->folder, b->items);
}

static clm_status run_item(bench *b, const bench_item *item) {
    bench_say("%s: planned and built", item->name);
    const clm_status status = item->latency  ? bench_latency(item, b->settings, b->items)
                              : item->policy ? run_navigation(b, item)
                                             : run_step_item(b, item);
    bench_say_nothing();
    return status == CLM_OK ? status : cli_fail_in(status, "%s", item->name);
}

/* ---- the command ---- */

static clm_status describe_device(const bench *b, json_t **out) {
    clm_device *device = NULL;
    CLI_TRY(cli_tested_open(&device, b->settings->device[0] ? b->settings->device : NULL, b->settings->force));
    const clm_device_info *d = clm_device_get_info(device);
    cli_line(stdout, "clmaml %s on %s, %s, driver %s, %u compute unit%s\n", clm_version(), d->name, d->platform, d->driver,
             d->compute_units, cli_plural(d->compute_units));
    *out = json_pack("{s:s, s:s, s:s, s:s, s:i}", "name", d->name, "platform", d->platform, "driver", d->driver, "version",
                     d->version, "compute_units", (int)d->compute_units);
    clm_device_close(device);
    return CLM_OK;
}

static clm_status measure_peaks(bench *b) {
    clm_device *device = NULL;
    clm_status status = CLM_OK;
    b->peaks.gflops = b->peaks.bandwidth = HUGE_VAL; /* not measured: no fraction */
    if (b->settings->no_peaks) return CLM_OK;
    CLI_GOTO(clm_device_open(&device, b->settings->device[0] ? b->settings->device : NULL));
    bench_say("matrix products and memory bandwidth");
    CLI_GOTO(bench_peaks_measure(&b->peaks, device, b->settings));
    bench_say_nothing();
    bench_report_peaks(&b->peaks);
out:
    bench_say_nothing();
    clm_device_close(device);
    return status;
}

static clm_status write_json(const bench *b, json_t *device) {
    json_t *root = json_pack("{s:s, s:O, s:o, s:O}", "clmaml", clm_version(), "device", device, "peaks",
                             b->settings->no_peaks ? json_null() : bench_json_peaks(&b->peaks), "items", b->items);
    char *text = cli_json_text(root, JSON_INDENT(1) | JSON_REAL_PRECISION(8));
    clm_status status = text ? cli_file_write(b->settings->json, text, strlen(text)) : cli_fail(CLM_E_MEMORY, "out of memory");
    free(text);
    json_decref(root);
    return status;
}

static clm_status run_all(bench *b, const bench_item *const *items, size_t count) {
    json_t *device = NULL;
    clm_status status = CLM_OK;
    assert(items[0]);
    if (!(b->items = json_array())) return cli_fail(CLM_E_MEMORY, "out of memory");
    cli_signals_catch("clmaml: stopping after this round; the same signal again ends it at once\n");
    CLI_GOTO(describe_device(b, &device));
    CLI_GOTO(measure_peaks(b));
    if (count > 1 || !items[0]->latency) bench_report_head();
    for (size_t i = 0; i < count; i++) CLI_GOTO(run_item(b, items[i]));
    if (b->settings->json[0]) CLI_GOTO(write_json(b, device));
out:
    if (b->folder[0]) cli_remove_tree(b->folder);
    json_decref(device);
    json_decref(b->items);
    return status;
}

/* What an item does not read is a mistake where it is the only one. */
static clm_status check_unread(const cli_args *args, const bench_item *item) {
    static const struct {
        const char *option;
        bool latency, policy; /* does not read it */
    } rows[] = {{"tasks", true, false},        {"cold", true, true},         {"profile", true, false},
                {"first-call", true, true},    {"memory-limit", true, true}, {"checkpointing", true, true},
                {"chunk", true, false},        {"tune-plans", true, true},   {"python", true, false},
                {"peer-seconds", true, false}, {"peers", true, false},       {"blas", true, true}};
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        if (!args->given[cli_option_find(options, rows[i].option)]) continue;
        if (item->latency && rows[i].latency)
            return cli_usage("--%s says nothing to latency: it has no meta-steps and no peers", rows[i].option);
        if (item->policy && rows[i].policy)
            return cli_usage("--%s says nothing to navigation: its iterations have no meta-steps that are planned or held "
                             "against a peak",
                             rows[i].option);
    }
    return CLM_OK;
}

/* Of several processes each step is timed alone. */
static clm_status check_scaling(const cli_args *args) {
    static const char *const others[] = {"cold", "profile",      "chunk",    "tune-plans", "no-peers",   "peers",     "python",
                                         "blas", "peer-seconds", "no-peaks", "blas-peak",  "blas-turns", "first-call"};
    for (size_t i = 0; i < CLI_COUNT(others); i++)
        if (args->given[cli_option_find(options, others[i])])
            return cli_usage("--%s says nothing to --scaling, which times meta-steps alone", others[i]);
    return args->n_positional ? CLM_OK : cli_usage("--scaling: say of what, as in clmaml bench sine --scaling");
}

static int run_scaling(const cli_args *args, const bench_settings *settings) {
    const bench_item *items[CLI_MAX_POSITIONALS] = {0};
    clm_status status = check_scaling(args);
    for (size_t i = 0; i < args->n_positional && status == CLM_OK; i++)
        if (!(items[i] = bench_item_find(args->positional[i])))
            status = CLM_E_ARG;
        else if (items[i]->latency || items[i]->policy)
            status = cli_usage("--scaling says nothing to %s, which has no meta-steps", items[i]->name);
    if (status == CLM_OK) status = bench_scaling(items, args->n_positional, settings);
    return cli_ranks_close(cli_exit(status));
}

static int run_bench(cli_args *args) {
    const bench_item *items[CLI_MAX_POSITIONALS] = {0};
    bench_settings settings = *(const bench_settings *)args->settings;
    bench b = {.settings = &settings};
    size_t count = args->n_positional ? args->n_positional : bench_item_count;
    if (settings.scaling) return run_scaling(args, &settings);
    for (size_t i = 0; i < count; i++) {
        items[i] = args->n_positional ? bench_item_find(args->positional[i]) : &bench_items[i];
        if (!items[i]) return cli_exit(CLM_E_ARG);
    }
    if (b.settings->blas_peak) return cli_exit(bench_blas_print(b.settings));
    if (b.settings->blas_turns) return cli_exit(bench_blas_turns(b.settings));
    if (count == 1 && check_unread(args, items[0]) != CLM_OK) return cli_exit(CLM_E_ARG);
    if (bench_peers_check(settings.peers) != CLM_OK) return cli_exit(CLM_E_ARG);
    if (settings.no_peers && (settings.peers[0] || settings.python[0]))
        return cli_exit(cli_usage("--%s says nothing with --no-peers", settings.peers[0] ? "peers" : "python"));
    if (count == 1 && (items[0]->latency || items[0]->policy))
        settings.no_peaks = true; /* there is nothing to hold against them */
    if (b.settings->first_call) return cli_exit(bench_first_print(items[0], b.settings));
    clm_status status = run_all(&b, items, count);
    if (status != CLM_OK && cli_stop_requested()) return CLI_EXIT_INTERRUPTED;
    return cli_exit(status);
}

static size_t item_count(void) { return bench_item_count; }
static const char *item_name(size_t i) { return bench_items[i].name; }

const cli_command cli_bench = {
    .name = "bench",
    .synopsis = "[ITEM ..] [--option value ..]",
    .summary = "time meta-steps against what the device can do and against PyTorch and JAX",
    .details =
        "Measures the device's matrix products and memory bandwidth, then for every work item the time of a meta-step, the "
        "fraction "
        "that the arithmetic alone would take at the peak, host time, memory and first call, in turns with the same work in "
        "PyTorch and JAX where they are installed. Items: omniglot-1step, omniglot-1step-fo, omniglot-5step, omniglot-5step-fo "
        "(5-way 1-shot, 32 tasks; fo: first order), omniglot-20way (5 steps, 16 tasks), omniglot-strided (the network of the "
        "presets for Omniglot, 1 step), omniglot-20way-strided (the same, 5 steps, 16 tasks), miniimagenet (5-way 5-shot, 5 "
        "steps, 4 "
        "tasks), sine (5 steps, 25 tasks), adaptation (one task, 5 steps and a prediction, no outer loop), navigation (an "
        "iteration of train navigation: episodes, meta-gradient, TRPO; 20 tasks), latency (what a "
        "user of a trained model waits for: loading it from a "
        "file, adapting to one task, predicting one query and a batch). All when none is named.",
    .options = options,
    .settings_size = sizeof(bench_settings),
    .defaults = &defaults,
    .max_positional = CLI_MAX_POSITIONALS,
    .words = CLI_NAMES(item_count, item_name, NULL),
    .run = run_bench,
};
