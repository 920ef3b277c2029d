/* Meta-learning as a whole, device against host: the meta-gradient of a small perceptron and of a small Conv-4, the share of it
 * that is second order, the memory predicted and allocated, the time of a meta-step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "doctor/parts.h"

static const double gradient_tolerance = 1e-4;

typedef struct probe {
    const char *name;
    clm_source *source;
    clm_model *model;
    clm_meta_options options;
    int ways, shots, query;
    float *data[4];
    clm_batch batch;
    double *gradient[2], *first_order; /* all parameters end to end: device, host */
} probe;

static clm_status sample(probe *p) {
    clm_status status = CLM_OK;
    clm_shape shape = clm_source_example_shape(p->source);
    size_t example = clm_shape_size(&shape), support = (size_t)p->options.task.support, query = (size_t)p->options.task.query;
    size_t tasks = (size_t)p->options.tasks, sizes[4] = {support * example, support, query * example, query};
    for (int i = 0; i < 4; i++) CLI_NEW(p->data[i], tasks * sizes[i]);
    for (size_t t = 0; t < tasks; t++)
        CLI_GOTO(clm_source_sample(p->source, CLM_SPLIT_TRAIN, 7, t, p->ways, p->shots, p->query, p->data[0] + t * sizes[0],
                                   p->data[1] + t * sizes[1], p->data[2] + t * sizes[2], p->data[3] + t * sizes[3]));
    p->batch = (clm_batch){.support_x = p->data[0], .support_y = p->data[1], .query_x = p->data[2], .query_y = p->data[3]};
out:
    return status;
}

static clm_status open_mlp(probe *p) {
    const clm_meta_options o = CLM_META_OPTIONS_INIT;
    p->name = "perceptron, sine, 3 steps";
    p->options = o;
    p->ways = 1;
    p->shots = p->query = 10;
    p->options.tasks = 4;
    p->options.task.support = p->options.task.query = 10;
    p->options.task.steps = 3;
    p->options.task.inner_lr = 0.01;
    p->options.task.loss.name = "mse";
    CLI_TRY(clm_source_sine(&p->source));
    CLI_TRY(clm_model_mlp(&p->model, 1, (const int[]){24, 24}, 2, 1));
    return sample(p);
}

static clm_status open_conv4(probe *p, int filters, int tasks, int steps) {
    const clm_meta_options o = CLM_META_OPTIONS_INIT;
    clm_conv4_options net = CLM_CONV4_OPTIONS_INIT;
    p->name = "Conv-4, glyphs, 2 steps";
    p->options = o;
    p->ways = 5;
    p->shots = p->query = 1;
    p->options.tasks = tasks;
    p->options.task.support = p->options.task.query = 5;
    p->options.task.steps = steps;
    net.filters = filters;
    CLI_TRY(clm_source_glyphs(&p->source, 28));
    CLI_TRY(clm_model_conv4(&p->model, &net));
    return sample(p);
}

static void close_probe(probe *p) {
    for (int i = 0; i < 4; i++) free(p->data[i]);
    for (int i = 0; i < 2; i++) free(p->gradient[i]);
    free(p->first_order);
    clm_model_free(p->model);
    clm_source_free(p->source);
}

static clm_status meta_gradient(const probe *p, clm_device *device, bool first_order, double **out) {
    clm_status status = CLM_OK;
    clm_meta_options options = p->options;
    clm_meta *meta = NULL;
    size_t at = 0;
    options.task.first_order = first_order;
    CLI_NEW(*out, clm_model_param_elements(p->model));
    CLI_GOTO(clm_meta_create(&meta, device, p->model, &options));
    CLI_GOTO(clm_meta_gradient(meta, &p->batch));
    for (size_t i = 0; i < clm_model_param_count(p->model); i++) {
        CLI_GOTO(clm_meta_read(meta, CLM_Q_GRAD, i, *out + at));
        at += clm_shape_size(&clm_model_param(p->model, i)->shape);
    }
out:
    clm_meta_free(meta);
    return status;
}

static clm_status compare_gradients(cli_report *report, probe *p, clm_device *device, clm_device *host) {
    size_t n = clm_model_param_elements(p->model);
    cli_error_norm error = {0, 0}, share = {0, 0};
    CLI_TRY(meta_gradient(p, device, false, &p->gradient[0]));
    CLI_TRY(meta_gradient(p, host, false, &p->gradient[1]));
    CLI_TRY(meta_gradient(p, device, true, &p->first_order));
    cli_error_add(&error, p->gradient[0], p->gradient[1], n);
    cli_error_add(&share, p->first_order, p->gradient[0], n);
    double e = cli_error_value(&error), s = cli_error_value(&share);
    cli_report_check(report, e <= gradient_tolerance && isfinite(e), p->name, "relative error %.1e (allowed %.0e)", e,
                     gradient_tolerance);
    cli_report_check(report, s > 1e-4 && isfinite(s), "  second-order share", "%.3g %% of the meta-gradient", 100 * s);
    return CLM_OK;
}

static void report_failure(cli_report *report, const char *name) {
    cli_report_check(report, false, name, "%s", cli_message());
    cli_forget();
}

/* The launches of a meta-gradient that take longest, as lines of the report alone. */
static clm_status list_kernels(cli_report *report, clm_meta *meta) {
    enum { MOST = 60 };
    char line[1024];
    FILE *file = tmpfile();
    if (!file) return cli_fail(CLM_E_IO, "cannot make a temporary file");
    clm_status status = clm_meta_profile(meta, 3, file);
    rewind(file);
    if (status == CLM_OK)
        cli_report_line(report, "%c\n%ckernels of that meta-gradient, the slowest first", CLI_DETAIL, CLI_DETAIL);
    for (int n = 0; n < MOST && status == CLM_OK && fgets(line, sizeof line, file); n++) {
        line[strcspn(line, "\n")] = 0;
        cli_report_line(report, "%c  %s", CLI_DETAIL, line);
    }
    fclose(file);
    return status;
}

static clm_status measure(cli_report *report, const probe *p, clm_device *device) {
    enum { STEPS = 3 };
    clm_status status = CLM_OK;
    clm_meta *meta = NULL;
    clm_meta_report last;
    size_t before = clm_device_allocated(device);
    CLI_GOTO(clm_meta_create(&meta, device, p->model, &p->options));
    double began = cli_clock();
    CLI_GOTO(clm_meta_prepare(meta));
    double preparing = cli_clock() - began;
    clm_meta_plan plan = clm_meta_get_plan(meta);
    size_t taken = clm_device_allocated(device) - before;
    cli_report_check(report, taken == plan.bytes, "memory", "predicted %s, allocated %s", cli_bytes((double)plan.bytes).s,
                     cli_bytes((double)taken).s);
    cli_report_line(report, "plan      checkpointing %s, %d of %d tasks per launch, %s",
                    clm_checkpointing_name(plan.checkpointing), plan.task_chunk, p->options.tasks,
                    clm_plan_reason_text(plan.reason));
    if (plan.limit < SIZE_MAX)
        cli_report_line(report, "limit     %s, %s", cli_bytes((double)plan.limit).s, clm_limit_reason_text(plan.limit_reason));
    CLI_GOTO(clm_meta_step(meta, &p->batch, &last)); /* the first launch of a kernel may be slow */
    began = cli_clock();
    for (int i = 0; i < STEPS; i++) CLI_GOTO(clm_meta_step(meta, &p->batch, &last));
    double seconds = (cli_clock() - began) / STEPS;
    cli_report_check(report, isfinite(last.query_loss), "time",
                     "%.1f ms a meta-step, %.1f tasks/s, %.1f GFLOP/s (preparing took %.1f s)", 1e3 * seconds,
                     p->options.tasks / seconds, plan.flops / seconds * 1e-9, preparing);
    if (report->details) CLI_GOTO(list_kernels(report, meta));
out:
    clm_meta_free(meta);
    return status;
}

void cli_doctor_meta(cli_report *report, clm_device *device, clm_device *host) {
    probe mlp = {0}, conv = {0}, timed = {0};
    cli_report_line(report, "\nmeta-gradient, against the host reference in double precision");
    if (open_mlp(&mlp) != CLM_OK || compare_gradients(report, &mlp, device, host) != CLM_OK)
        report_failure(report, "perceptron");
    if (open_conv4(&conv, 8, 2, 2) != CLM_OK || compare_gradients(report, &conv, device, host) != CLM_OK)
        report_failure(report, "Conv-4");
    bool is_host = clm_device_get_info(device)->type == CLM_DEVICE_HOST;
    int filters = is_host ? 4 : 32, tasks = is_host ? 2 : 8;
    cli_report_line(report, "\nmemory and time: 5-way 1-shot Conv-4, %d filters, %d tasks, 1 inner step", filters, tasks);
    if (open_conv4(&timed, filters, tasks, 1) != CLM_OK || measure(report, &timed, device) != CLM_OK)
        report_failure(report, "meta-step");
    close_probe(&mlp);
    close_probe(&conv);
    close_probe(&timed);
}
