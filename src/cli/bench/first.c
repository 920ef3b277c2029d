/* The first call: a process of its own opens the device, plans, builds and makes one step. Warm with the caches as they are; cold with all
 * caches of kernels, ours and the driver's, in a folder that is empty. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/system.h"
#include "bench/bench.h"

enum { FIRST_SECONDS = 900 };

/* Where this library and the OpenCL drivers keep what they have built. */
static const char *const caches[] = {"CLMAML_CACHE_DIR", "POCL_CACHE_DIR",        "CUDA_CACHE_PATH",
                                     "NEO_CACHE_DIR",    "MESA_SHADER_CACHE_DIR", "XDG_CACHE_HOME"};

clm_status bench_first_print(const bench_item *item, const bench_settings *settings) {
    bench_problem problem;
    bench_run run = {0};
    char *text = NULL;
    json_t *line = NULL;
    double start = cli_clock();
    clm_status status = bench_problem_make(&problem, item, settings);
    if (status == CLM_OK) status = bench_run_start(&run, &problem, settings);
    double prepared = cli_clock();
    if (status == CLM_OK) status = bench_run_step(&run);
    if (status == CLM_OK) status = clm_device_finish(run.device);
    if (status == CLM_OK)
        line = json_pack("{s:f, s:f, s:f, s:I}", "prepare_s", prepared - start, "step_s", cli_clock() - prepared, "peak_bytes",
                         cli_peak_memory(), "built", (json_int_t)clm_device_kernels_built(run.device));
    if (line) text = cli_json_text(line, 0);
    if (text) {
        puts(text);
        fflush(stdout);
    }
    free(text);
    json_decref(line);
    bench_run_end(&run);
    bench_problem_free(&problem);
    return status;
}

static clm_status run_child(bench_first *first, const bench_item *item, const bench_settings *settings,
                            const char *const *environment) {
    char program[CLI_PATH_MAX], tasks[32], chunk[32], limit[32], line[1024];
    const char *argv[20] = {program,           "bench",
                            item->name,        "--first-call",
                            "--checkpointing", clm_checkpointing_name((clm_checkpointing)settings->checkpointing)};
    int n = 6;
    cli_process *child = NULL;
    json_t *answer = NULL;
    cli_program_path(program, sizeof program);
    snprintf(tasks, sizeof tasks, "--tasks=%lld", (long long)settings->tasks);
    snprintf(chunk, sizeof chunk, "--chunk=%lld", (long long)settings->chunk);
    snprintf(limit, sizeof limit, "--memory-limit=%lld", (long long)settings->memory_limit);
    if (settings->tasks) argv[n++] = tasks;
    argv[n++] = chunk;
    argv[n++] = limit;
    if (settings->device[0]) argv[n++] = "--device", argv[n++] = settings->device;
    double start = cli_clock();
    clm_status status = cli_process_start(&child, argv, environment);
    if (status == CLM_OK) status = cli_process_receive(child, FIRST_SECONDS, line, sizeof line);
    first->seconds = cli_clock() - start;
    cli_process_end(child);
    if (status == CLM_OK && !(answer = json_loads(line, 0, NULL)))
        status = cli_fail(CLM_E_FORMAT, "the first call said '%.80s'", line);
    if (status == CLM_OK) {
        first->done = true;
        first->peak_bytes = json_number_value(json_object_get(answer, "peak_bytes"));
        first->built = (size_t)json_integer_value(json_object_get(answer, "built"));
    }
    json_decref(answer);
    return status == CLM_OK ? status : cli_fail_in(status, "first call in a process of its own");
}

clm_status bench_first_measure(bench_first *first, const bench_item *item, const bench_settings *settings, bool cold) {
    char folder[CLI_PATH_MAX], values[CLI_COUNT(caches)][CLI_PATH_MAX + 64];
    const char *environment[CLI_COUNT(caches) + 1] = {NULL};
    *first = (bench_first){0};
    if (!cold) return run_child(first, item, settings, NULL);
    CLI_TRY(cli_temporary_directory(folder, sizeof folder));
    for (size_t i = 0; i < CLI_COUNT(caches); i++) {
        snprintf(values[i], sizeof values[i], "%s=%s", caches[i], folder);
        environment[i] = values[i];
    }
    clm_status status = run_child(first, item, settings, environment);
    cli_remove_tree(folder);
    return status;
}
