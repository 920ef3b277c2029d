/* Every algorithm and every inner rule of the tables, device against host, on a small network that all of them can use. Algorithms
 * and rules are taken in pairs, so that each occurs. */
#include <math.h>
#include <stdio.h>

#include "doctor/parts.h"
#include "selftest/gradient.h"

enum { TASKS = 2, WAYS = 3, SUPPORT = 6, QUERY = 6, STEPS = 2 };

/* A context for CAVIA, batch-norm for MAML++, a linear head for ProtoMAML. */
static const char network[] =
    "{\"in_shape\": [4], \"layers\": [{\"op\": \"context\", \"size\": 3}, {\"op\": \"linear\", \"out\": 12}, "
    "{\"op\": \"batchnorm\"}, {\"op\": \"tanh\"}, {\"op\": \"linear\", \"out\": 3}]}";

/* Layers that drop in training: of every pass another part. */
static const char dropping[] =
    "{\"in_shape\": [4], \"layers\": [{\"op\": \"linear\", \"out\": 12}, {\"op\": \"tanh\"}, {\"op\": \"dropout\", \"rate\": "
    "0.3}, "
    "{\"op\": \"residual\", \"body\": [{\"op\": \"linear\", \"out\": 12}, {\"op\": \"tanh\"}], \"drop_path\": 0.3}, "
    "{\"op\": \"linear\", \"out\": 3}]}";

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

static void examine(cli_report *report, clm_device *device, clm_device *host, const char *algorithm, const char *rule,
                    const char *layers, const char *name) {
    const clm_meta_options options = options_of(algorithm, rule);
    double e = INFINITY;
    if (cli_gradient_compare(device, host, layers, &options, &e) == CLM_OK) {
        cli_report_check(report, e <= CLI_GRADIENT_TOLERANCE, name, "relative error %.1e (allowed %.0e)", e,
                         CLI_GRADIENT_TOLERANCE);
        return;
    }
    cli_report_check(report, false, name, "%s", cli_message());
    cli_forget();
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
        examine(report, device, host, algorithm, with, network, name);
    }
    examine(report, device, host, "maml", "sgd", dropping, "maml, dropout, drop_path");
}
