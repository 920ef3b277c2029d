/* Our side of an item: a meta-step (or an adaptation and a prediction), and what others must get from the same weights and data. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

#include "base/json.h"

/* ---- start and step ---- */

static clm_status start_learner(bench_run *run) {
    const bench_problem *p = run->problem;
    clm_learner_options o = CLM_LEARNER_OPTIONS_INIT;
    clm_shape out = clm_model_out_shape(p->model);
    o.tasks = p->item.tasks;
    o.task.support = (int)p->support;
    o.task.query = (int)p->query;
    o.task.inner_lr = p->item.inner_lr;
    run->output = calloc((size_t)o.tasks * p->query * clm_shape_size(&out), sizeof *run->output);
    if (!run->output) return cli_fail(CLM_E_MEMORY, "out of memory");
    CLI_TRY(clm_learner_create(&run->learner, run->device, p->model, &o));
    clm_program_stats step = clm_learner_step_stats(run->learner), predict = clm_learner_predict_stats(run->learner);
    run->flops = p->item.steps * step.flops + predict.flops;
    run->traffic = p->item.steps * step.traffic + predict.traffic;
    run->launches = (size_t)p->item.steps * step.launches + predict.launches;
    run->bytes = clm_device_allocated(run->device);
    run->plan.task_chunk = o.tasks;
    return CLM_OK;
}

static clm_status create_meta(bench_run *run, const bench_settings *settings) {
    const bench_problem *p = run->problem;
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    bench_problem_options(p, &o);
    o.task_chunk = (int)settings->chunk;
    o.memory_limit = (size_t)settings->memory_limit;
    o.checkpointing = (clm_checkpointing)settings->checkpointing;
    return clm_meta_create(&run->meta, run->device, p->model, &o);
}

/* On a device opened for it alone: the memory it takes is not the item's. */
static clm_status tune_plans(const bench_problem *problem, const bench_settings *settings) {
    bench_run run = {.problem = problem};
    clm_tune_options tune = CLM_TUNE_OPTIONS_INIT;
    clm_status status = CLM_OK;
    tune.what = CLM_TUNE_PLANS;
    tune.budget = settings->tune_plans;
    tune.again = true;
    CLI_GOTO(clm_device_open(&run.device, settings->device[0] ? settings->device : NULL));
    CLI_GOTO(create_meta(&run, settings));
    CLI_GOTO(clm_meta_tune(run.meta, &tune));
out:
    bench_run_end(&run);
    return status;
}

static clm_status start_meta(bench_run *run, const bench_settings *settings) {
    CLI_TRY(create_meta(run, settings));
    CLI_TRY(clm_meta_prepare(run->meta));
    const clm_meta_plan plan = run->plan = clm_meta_get_plan(run->meta);
    run->flops = plan.flops;
    run->traffic = plan.traffic;
    run->launches = plan.launches;
    run->bytes = plan.bytes;
    return CLM_OK;
}

clm_status bench_run_start(bench_run *run, const bench_problem *problem, const bench_settings *settings) {
    *run = (bench_run){.problem = problem};
    if (settings->tune_plans > 0 && !settings->first_call && !problem->item.learner) CLI_TRY(tune_plans(problem, settings));
    CLI_TRY(clm_device_open(&run->device, settings->device[0] ? settings->device : NULL));
    return problem->item.learner ? start_learner(run) : start_meta(run, settings);
}

clm_status bench_run_step(bench_run *run) {
    const bench_problem *p = run->problem;
    clm_batch batch = bench_problem_batch(p);
    if (run->meta) return clm_meta_step(run->meta, &batch, NULL);
    CLI_TRY(clm_learner_begin(run->learner, batch.support_x, batch.support_y));
    for (int k = 0; k < p->item.steps; k++) CLI_TRY(clm_learner_step(run->learner, NULL));
    return clm_learner_predict(run->learner, batch.query_x, run->problem->query, run->output);
}

void bench_run_end(bench_run *run) {
    clm_meta_free(run->meta);
    clm_learner_free(run->learner);
    clm_device_close(run->device);
    free(run->output);
    memset(run, 0, sizeof *run);
}

/* ---- the file for the others ---- */

static clm_status add_floats(clm_archive *a, const char *name, int tasks, size_t examples, const float *data, size_t count) {
    clm_shape shape = clm_shape_of(3, tasks, (int)examples, (int)(count / ((size_t)tasks * examples)));
    double *wide = calloc(count + 1, sizeof *wide);
    if (!wide) return cli_fail(CLM_E_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) wide[i] = data[i];
    clm_status status = clm_archive_add(a, name, CLM_F32, &shape, wide);
    free(wide);
    return status;
}

/* Parameter i, and its meta-gradient when there is one. */
static clm_status add_param(const bench_run *run, clm_archive *a, size_t i) {
    const bench_problem *p = run->problem;
    const clm_param *param = clm_model_param(p->model, i);
    char name[32];
    double *data = calloc(clm_shape_size(&param->shape) + 1, sizeof *data);
    if (!data) return cli_fail(CLM_E_MEMORY, "out of memory");
    bench_problem_param(p, i, data);
    snprintf(name, sizeof name, "param.%zu", i);
    clm_status status = clm_archive_add(a, name, CLM_F32, &param->shape, data);
    snprintf(name, sizeof name, "grad.%zu", i);
    if (status == CLM_OK && run->meta) status = clm_meta_read(run->meta, CLM_Q_GRAD, i, data);
    if (status == CLM_OK && run->meta) status = clm_archive_add(a, name, CLM_F32, &param->shape, data);
    free(data);
    return status;
}

static clm_status add_description(const bench_run *run, clm_archive *a) {
    const bench_item *t = &run->problem->item;
    json_t *object = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b, s:f, s:f, s:i, s:b}", "item", t->name,
                               "tasks", t->tasks, "steps", t->steps, "ways", t->ways, "filters", t->filters, "channels",
                               t->channels, "size", t->size, "parameters", (int)clm_model_param_count(run->problem->model),
                               "first_order", t->first_order, "learner", t->learner, "inner_lr", t->inner_lr, "outer_lr", 1e-3,
                               "query", (int)run->problem->query, "strided", t->strided);
    char *text = cli_json_text(object, 0);
    clm_status status = text ? clm_archive_set_meta(a, "problem", text) : cli_fail(CLM_E_MEMORY, "out of memory");
    free(text);
    json_decref(object);
    return status;
}

static clm_status add_result(bench_run *run, clm_archive *a) {
    const bench_problem *p = run->problem;
    clm_batch batch = bench_problem_batch(p);
    if (run->learner) {
        clm_shape out = clm_model_out_shape(p->model),
                  shape = clm_shape_of(3, p->item.tasks, (int)p->query, (int)clm_shape_size(&out));
        CLI_TRY(bench_run_step(run));
        return clm_archive_add(a, "output", CLM_F32, &shape, run->output);
    }
    clm_shape shape = clm_shape_of(1, p->item.tasks);
    double *loss = calloc((size_t)p->item.tasks, sizeof *loss);
    clm_status status = loss ? clm_meta_gradient(run->meta, &batch) : cli_fail(CLM_E_MEMORY, "out of memory");
    if (status == CLM_OK) status = clm_meta_read(run->meta, CLM_Q_QUERY_LOSS, 0, loss);
    if (status == CLM_OK) status = clm_archive_add(a, "loss", CLM_F32, &shape, loss);
    free(loss);
    return status;
}

clm_status bench_run_expected(bench_run *run, const char *path) {
    static const char *const names[4] = {"support_x", "support_y", "query_x", "query_y"};
    const bench_problem *p = run->problem;
    clm_archive *a = NULL;
    clm_status status = CLM_OK;
    CLI_GOTO(clm_archive_create(&a));
    CLI_GOTO(add_description(run, a));
    CLI_GOTO(add_result(run, a));
    for (int i = 0; i < 4; i++)
        CLI_GOTO(add_floats(a, names[i], p->item.tasks, i < 2 ? p->support : p->query, p->data[i], p->count[i]));
    for (size_t i = 0; i < clm_model_param_count(p->model); i++) CLI_GOTO(add_param(run, a, i));
    CLI_GOTO(clm_archive_save(a, path));
out:
    clm_archive_free(a);
    return status;
}

/* ---- times ---- */

void bench_times_add(bench_times *times, double ms) {
    if (times->count < BENCH_MAX_SAMPLES) times->ms[times->count++] = ms;
}

static int increasing(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double bench_times_median(bench_times *times) {
    size_t n = times->count;
    if (!n) return NAN;
    qsort(times->ms, n, sizeof *times->ms, increasing);
    return n % 2 ? times->ms[n / 2] : 0.5 * (times->ms[n / 2 - 1] + times->ms[n / 2]);
}

double bench_times_min(bench_times *times) {
    bench_times_median(times);
    return times->count ? times->ms[0] : NAN;
}

int bench_burst(double step_ms) {
    double steps = 500 / (step_ms > 0.001 ? step_ms : 0.001);
    return steps < 1 ? 1 : steps > 200 ? 200 : (int)steps;
}
