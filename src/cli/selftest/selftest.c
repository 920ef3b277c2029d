/* See selftest.h. */
#include "selftest/selftest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check/op_cases.h"
#include "selftest/gradient.h"
#include "selftest/trial.h"

/* What is tried where. Derivatives of operations are run by the meta-gradients alone: to build them one by one would take
 * most of the time. A CPU's compiler is slow, and is that of a tested system more often than a GPU's: there it is the least
 * that shows a fault. */
enum { EVERYWHERE, NOT_ON_CPU, ON_CPU };

static const struct {
    const char *name;
    int where;
} rows[] = {
    {"matmul", EVERYWHERE}, {"conv2d", EVERYWHERE},    {"max_pool", EVERYWHERE},       {"sum/middle", EVERYWHERE},
    {"gather", EVERYWHERE}, {"matmul/tn", NOT_ON_CPU}, {"conv2d/strided", NOT_ON_CPU}, {"conv2d_bwd_filter", NOT_ON_CPU},
    {"exp", NOT_ON_CPU},    {"softmax", NOT_ON_CPU},   {"scatter_add", NOT_ON_CPU},    {"transpose", NOT_ON_CPU},
    {"concat", NOT_ON_CPU},
};

/* Each with second derivatives of all its layers and of the cross-entropy. */
static const struct {
    const char *name, *network;
    int where;
} networks[] = {
    {"meta-gradient of a linear layer", "{\"in_shape\": [4], \"layers\": [{\"op\": \"linear\", \"out\": 3}]}", ON_CPU},
    {"meta-gradient of a convolution",
     /* large enough for the kernels that networks get: tiles in local memory, sums by work-groups, pairs, turned filters */
     "{\"in_shape\": [4, 8, 8], \"layers\": [{\"op\": \"conv2d\", \"out\": 16}, {\"op\": \"batchnorm\"}, {\"op\": \"relu\"}, "
     "{\"op\": \"conv2d\", \"out\": 16}, {\"op\": \"relu\"}, {\"op\": \"maxpool\", \"kernel\": 8}, {\"op\": \"flatten\"}, "
     "{\"op\": \"linear\", \"out\": 3}]}",
     NOT_ON_CPU},
};

static bool belongs(int where, const clm_device *device) {
    return where == EVERYWHERE || (where == ON_CPU) == (clm_device_get_info(device)->type == CLM_DEVICE_CPU);
}

static void say_step(const cli_selftest_listener *l, const char *text) {
    if (l->step) l->step(l->user, text);
}

static void say_failure(const cli_selftest_listener *l, const char *name) {
    l->finding(l->user, false, name, cli_message());
    cli_forget();
}

static void say_error(const cli_selftest_listener *l, const char *name, double error, double allowed) {
    char text[64];
    snprintf(text, sizeof text, "relative error %.1e (allowed %.0e)", error, allowed);
    l->finding(l->user, error <= allowed, name, text);
}

/* ---- operations ---- */

static const clm_op_case *find_row(const char *name) {
    for (size_t i = 0; i < clm_op_case_count(); i++)
        if (strcmp(clm_op_case_at(i)->name, name) == 0) return clm_op_case_at(i);
    return NULL;
}

static clm_status add_rows(cli_trial *trial, const clm_device *device) {
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        const clm_op_case *row = find_row(rows[i].name);
        if (!row) return cli_fail(CLM_E_STATE, "there is no operation %s", rows[i].name);
        if (!belongs(rows[i].where, device)) continue;
        CLI_TRY(cli_trial_add(trial, row, true, false));
    }
    return CLM_OK;
}

static void test_operations(clm_device *device, clm_device *host, const cli_selftest_listener *l) {
    double error[CLI_TRIAL_ROWS][CLI_TRIAL_GROUPS];
    cli_trial *trial = NULL;
    clm_status status = CLM_OK;
    say_step(l, "operations");
    CLI_GOTO(cli_trial_create(&trial));
    CLI_GOTO(add_rows(trial, device));
    CLI_GOTO(cli_trial_compare(trial, device, host, error, NULL));
    for (size_t i = 0; i < cli_trial_rows(trial); i++)
        say_error(l, cli_trial_name(cli_trial_row(trial, i)).s, error[i][CLI_TRIAL_VALUE],
                  cli_trial_tolerance[CLI_TRIAL_VALUE]);
out:
    if (status != CLM_OK) say_failure(l, "operations");
    cli_trial_free(trial);
}

/* ---- meta-gradients ---- */

static clm_meta_options second_order(void) {
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    o.tasks = 2;
    o.task.support = o.task.query = 6;
    o.task.ways = 3;
    o.task.steps = 1;
    o.task.inner_lr = 0.05;
    return o;
}

static void test_meta_gradient(clm_device *device, clm_device *host, size_t i, const cli_selftest_listener *l) {
    const clm_meta_options options = second_order();
    double error = INFINITY;
    say_step(l, networks[i].name);
    if (cli_gradient_compare(device, host, networks[i].network, &options, &error) == CLM_OK)
        say_error(l, networks[i].name, error, CLI_GRADIENT_TOLERANCE);
    else
        say_failure(l, networks[i].name);
}

void cli_selftest_run(clm_device *device, clm_device *host, const cli_selftest_listener *listener) {
    test_operations(device, host, listener);
    for (size_t i = 0; i < CLI_COUNT(networks); i++)
        if (belongs(networks[i].where, device)) test_meta_gradient(device, host, i, listener);
}

/* ---- the child ---- */

static void print_step(void *user, const char *text) {
    (void)user;
    printf("%s\n", text);
    fflush(stdout);
}

static void print_wrong(void *user, bool good, const char *name, const char *text) {
    bool *right = user;
    if (good) return;
    *right = false;
    printf(CLI_SELFTEST_WRONG "%s: %s\n", name, text);
    fflush(stdout);
}

int cli_selftest_child(int argc, char **argv) {
    clm_device *device = NULL, *host = NULL;
    bool right = true;
    const cli_selftest_listener listener = {print_step, print_wrong, &right};
    print_step(NULL, "opening it");
    if (clm_device_open(&device, argc > 0 ? argv[0] : NULL) != CLM_OK || clm_device_open(&host, "host") != CLM_OK) {
        printf("%s\n", cli_message());
        clm_device_close(device);
        return CLI_SELFTEST_NOT_OPEN;
    }
    cli_selftest_run(device, host, &listener);
    print_step(NULL, "closing it");
    clm_device_close(host);
    clm_device_close(device);
    return right ? CLI_EXIT_OK : CLI_EXIT_FAILURE;
}
