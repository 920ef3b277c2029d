/* Every algorithm and every inner rule of the tables, device against host, on a small network that all of them can use. Algorithms
 * and rules are taken in pairs, so that each occurs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/parts.h"

enum { TASKS = 2, WAYS = 3, SUPPORT = 6, QUERY = 6, WIDTH = 4, STEPS = 2 };
static const double tolerance = 1e-4;

/* A context for CAVIA, batch-norm for MAML++, a linear head for ProtoMAML. */
static const char network[] =
    "{\"in_shape\": [4], \"layers\": [{\"op\": \"context\", \"size\": 3}, {\"op\": \"linear\", \"out\": 12}, "
    "{\"op\": \"batchnorm\"}, {\"op\": \"tanh\"}, {\"op\": \"linear\", \"out\": 3}]}";

static clm_meta_options options_of(const char *algorithm, const char *rule) {
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    o.tasks = TASKS;
    o.task.algorithm = algorithm;
    o.task.inner.rule = rule;
    o.task.support = SUPPORT;
    o.task.query = QUERY;
    o.task.ways = WAYS;
    if (clm_algorithm_uses(algorithm, "steps")) {
        o.task.steps = STEPS;
        o.task.inner_lr = 0.05;
    }
    if (clm_inner_rule_uses(rule, "eps")) {
        o.task.inner.eps = 1e-3; /* away from where the division by a root of nearly nothing multiplies rounding errors */
        o.task.inner.eps_root = 1e-4;
    }
    return o;
}

static double number_at(size_t i) { return sin(0.7 * (double)i + 0.3) + 0.5 * cos(2.3 * (double)i); }

static clm_status gradient(clm_device *device, const clm_model *model, const clm_meta_options *options, double *out,
                           size_t *n) {
    float x[2][TASKS * SUPPORT * WIDTH], y[2][TASKS * SUPPORT];
    const clm_batch batch = {.support_x = x[0], .support_y = y[0], .query_x = x[1], .query_y = y[1]};
    clm_status status = CLM_OK;
    clm_meta *meta = NULL;
    for (size_t i = 0; i < 2 * CLI_COUNT(x[0]); i++) x[i / CLI_COUNT(x[0])][i % CLI_COUNT(x[0])] = (float)number_at(i);
    for (size_t i = 0; i < 2 * CLI_COUNT(y[0]); i++) y[i / CLI_COUNT(y[0])][i % CLI_COUNT(y[0])] = (float)(i % WAYS);
    CLI_GOTO(clm_meta_create(&meta, device, model, options));
    CLI_GOTO(clm_meta_gradient(meta, &batch));
    *n = 0;
    for (size_t i = 0; i < clm_meta_param_count(meta); i++) {
        const size_t size = clm_meta_quantity_size(meta, CLM_Q_GRAD, i);
        if (size) CLI_GOTO(clm_meta_read(meta, CLM_Q_GRAD, i, out + *n));
        *n += size;
    }
out:
    clm_meta_free(meta);
    return status;
}

static clm_status examine(cli_report *report, clm_device *device, clm_device *host, const char *algorithm, const char *rule,
                          const char *name) {
    clm_status status = CLM_OK;
    clm_model *model = NULL;
    double *ours = NULL, *reference = NULL;
    cli_error_norm error = {0, 0};
    size_t n = 0;
    const clm_meta_options options = options_of(algorithm, rule);
    CLI_GOTO(clm_model_parse(&model, network, NULL));
    const size_t room = clm_model_param_elements(model) * (STEPS + 1);
    CLI_NEW(ours, room);
    CLI_NEW(reference, room);
    CLI_GOTO(gradient(device, model, &options, ours, &n));
    CLI_GOTO(gradient(host, model, &options, reference, &n));
    cli_error_add(&error, ours, reference, n);
    const double e = cli_error_value(&error);
    cli_report_check(report, e <= tolerance && isfinite(e) && error.reference > 0, name, "relative error %.1e (allowed %.0e)",
                     e, tolerance);
out:
    clm_model_free(model);
    free(ours);
    free(reference);
    return status;
}

void cli_doctor_family(cli_report *report, clm_device *device, clm_device *host) {
    size_t rule = 0;
    cli_report_line(report, "\nalgorithms and inner rules, their meta-gradients against the host reference");
    for (size_t i = 0; i < clm_algorithm_count(); i++) {
        const char *algorithm = clm_algorithm_name(i);
        const bool inner = clm_algorithm_uses(algorithm, "inner-rule");
        const char *with = inner ? clm_inner_rule_name(rule++ % clm_inner_rule_count()) : "sgd";
        char name[64];
        snprintf(name, sizeof name, inner ? "%s, %s" : "%s", algorithm, with);
        if (examine(report, device, host, algorithm, with, name) == CLM_OK) continue;
        cli_report_check(report, false, name, "%s", cli_message());
        cli_forget();
    }
}
