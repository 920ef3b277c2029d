/* What one waits for who uses a trained model: a learner is loaded from the file of a checkpoint, learns one task, names one query
 * and a batch of them, and is loaded again from the file of the adapted model. The device is open, kernels are built: they are what
 * the first call of the item "adaptation" costs. Every time is from the call to its return, and all of these wait for the device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/system.h"
#include "bench/bench.h"

typedef struct latency {
    const bench_problem *problem;
    clm_device *device;
    clm_load_options load;
    char folder[CLI_PATH_MAX], checkpoint[CLI_PATH_MAX], adapted[CLI_PATH_MAX];
    clm_learner *learner; /* of the checkpoint */
    clm_learner *one;     /* of the adapted model, planned for one query: a prediction costs what the planned number does */
    double *output;
} latency;

/* ---- what is timed ---- */

static clm_status load_from(const latency *l, const char *path, const clm_load_options *options) {
    clm_learner *learner = NULL;
    CLI_TRY(clm_learner_load(&learner, l->device, path, options));
    clm_learner_free(learner);
    return CLM_OK;
}

static clm_status load_checkpoint(const latency *l) { return load_from(l, l->checkpoint, &l->load); }

static clm_status load_adapted(const latency *l) { return load_from(l, l->adapted, NULL); }

static clm_status adapt(const latency *l) {
    CLI_TRY(clm_learner_adapt(l->learner, l->problem->data[0], l->problem->data[1]));
    return clm_device_finish(l->device);
}

static clm_status predict_one(const latency *l) { return clm_learner_predict(l->one, l->problem->data[2], 1, l->output); }

static clm_status predict_batch(const latency *l) {
    return clm_learner_predict(l->learner, l->problem->data[2], l->problem->query, l->output);
}

static const struct {
    const char *key, *what;
    clm_status (*call)(const latency *l);
} parts[] = {
    {"load", "load, from a checkpoint", load_checkpoint},
    {"adapt", "adapt to one task", adapt},
    {"predict_one", "predict one query", predict_one},
    {"predict_batch", "predict a batch", predict_batch},
    {"load_adapted", "load, from an adapted model", load_adapted},
};

/* ---- files ---- */

static clm_status write_checkpoint(const latency *l) {
    const bench_problem *p = l->problem;
    clm_task_options task = CLM_TASK_OPTIONS_INIT;
    clm_params *params = NULL;
    clm_archive *archive = NULL;
    clm_status status = CLM_OK;
    task.support = (int)p->support;
    task.query = (int)p->query;
    task.steps = p->item.steps;
    task.inner_lr = p->item.inner_lr;
    CLI_GOTO(clm_params_create(&params, p->model, &task));
    CLI_GOTO(clm_params_reset(params, 0));
    CLI_GOTO(clm_archive_create(&archive));
    CLI_GOTO(clm_params_save(params, archive, CLM_F32));
    CLI_GOTO(clm_learner_describe(archive, p->model, &task, p->item.shots, p->item.steps, NULL));
    CLI_GOTO(clm_archive_save(archive, l->checkpoint));
out:
    clm_archive_free(archive);
    clm_params_free(params);
    return status;
}

static clm_status prepare(latency *l) {
    const bench_problem *p = l->problem;
    CLI_TRY(cli_temporary_directory(l->folder, sizeof l->folder));
    CLI_TRY(cli_path(l->checkpoint, l->folder, "best.safetensors"));
    CLI_TRY(cli_path(l->adapted, l->folder, "adapted.safetensors"));
    CLI_TRY(write_checkpoint(l));
    l->load = (clm_load_options)CLM_LOAD_OPTIONS_INIT;
    l->load.query = (int)p->query;
    l->output = calloc(p->query * (size_t)p->item.ways, sizeof *l->output);
    if (!l->output) return cli_fail(CLM_E_MEMORY, "out of memory");
    CLI_TRY(clm_learner_load(&l->learner, l->device, l->checkpoint, &l->load));
    CLI_TRY(adapt(l));
    CLI_TRY(clm_learner_save(l->learner, l->adapted, NULL));
    clm_load_options one = CLM_LOAD_OPTIONS_INIT;
    one.query = 1;
    return clm_learner_load(&l->one, l->device, l->adapted, &one);
}

/* ---- times ---- */

static clm_status time_call(const latency *l, size_t part, bench_times *times) {
    const double start = cli_clock();
    CLI_TRY(parts[part].call(l));
    bench_times_add(times, (cli_clock() - start) * 1e3);
    return CLM_OK;
}

/* As bench_burst has it, in every round. */
static clm_status measure(const latency *l, size_t part, int64_t rounds, bench_times *times) {
    /* The first is not counted: kernels are built, memory is touched. The second says how long it takes, unless it takes long. */
    CLI_TRY(time_call(l, part, times));
    if (times->ms[0] < 2000) CLI_TRY(time_call(l, part, times));
    const int burst = bench_burst(times->ms[times->count - 1]);
    times->count = 0;
    for (int64_t round = 0; round < rounds; round++) {
        for (int i = 0; i < burst; i++) CLI_TRY(time_call(l, part, times));
        if (cli_stop_requested()) return cli_fail(CLM_E_STATE, "stopped in round %d", (int)round + 1);
    }
    return CLM_OK;
}

static void report(json_t *entry, const bench_problem *p, size_t part, bench_times *times) {
    const bool batch = parts[part].call == predict_batch;
    const double median = bench_times_median(times), least = bench_times_min(times);
    char what[64];
    snprintf(what, sizeof what, batch ? "%s of %zu queries" : "%s", parts[part].what, p->query);
    cli_line(stdout, "  %-34s %9s %9s   median and least of %zu\n", what, bench_ms_text(median).s, bench_ms_text(least).s,
             times->count);
    fflush(stdout);
    cli_json_set(entry, parts[part].key,
                 json_pack("{s:f, s:f, s:I}", "median", median, "min", least, "repetitions", (json_int_t)times->count));
}

static clm_status measure_all(const latency *l, const bench_settings *settings, json_t *items) {
    const bench_item *item = &l->problem->item;
    bench_times *times = calloc(1, sizeof *times);
    clm_status status = times ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
    json_t *entry = json_object();
    cli_line(stdout, "%-36s of a trained model: Conv-4 of %d filters, %d-way %d-shot, %d steps\n", item->name, item->filters,
             item->ways, item->shots, item->steps);
    cli_json_set(entry, "item", json_string(item->name));
    cli_json_set(entry, "query", json_integer((json_int_t)l->problem->query));
    for (size_t i = 0; i < CLI_COUNT(parts) && status == CLM_OK; i++) {
        times->count = 0;
        status = measure(l, i, settings->rounds, times);
        if (status == CLM_OK) report(entry, l->problem, i, times);
    }
    if (status == CLM_OK)
        cli_json_append(items, entry);
    else
        json_decref(entry);
    free(times);
    return status;
}

clm_status bench_latency(const bench_item *item, const bench_settings *settings, json_t *items) {
    bench_settings own = *settings;
    bench_problem problem = {0};
    latency l = {.problem = &problem};
    clm_status status = CLM_OK;
    own.tasks = 0; /* a learner from a file has one task */
    CLI_GOTO(bench_problem_make(&problem, item, &own));
    CLI_GOTO(clm_device_open(&l.device, settings->device[0] ? settings->device : NULL));
    CLI_GOTO(prepare(&l));
    CLI_GOTO(measure_all(&l, settings, items));
out:
    clm_learner_free(l.learner);
    clm_learner_free(l.one);
    free(l.output);
    clm_device_close(l.device);
    bench_problem_free(&problem);
    if (l.folder[0]) cli_remove_tree(l.folder);
    return status;
}
