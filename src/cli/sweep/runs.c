/* The runs of a sweep: arguments, what train has against them, how they are told from one another. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings.h"
#include "sweep/sweep.h"
#include "train/check.h"

clm_status sweep_argument_add(sweep_arguments *a, const char *format, ...) {
    char text[CLI_PATH_MAX + 128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char **more = realloc(a->argv, ((size_t)a->argc + 2) * sizeof *more);
    if (!more) return cli_fail(CLM_E_MEMORY, "out of memory");
    a->argv = more;
    a->argv[a->argc] = strdup(text);
    a->argv[a->argc + 1] = NULL;
    return a->argv[a->argc++] ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

void sweep_arguments_free(sweep_arguments *a) {
    for (int i = 0; i < a->argc; i++) free(a->argv[i]);
    free(a->argv);
    *a = (sweep_arguments){0};
}

static clm_status add_options(sweep_arguments *a, const json_t *options) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)options, key, value) {
        char text[CLI_PATH_MAX];
        sweep_value_text(value, text, sizeof text);
        if (json_is_true(value)) CLI_TRY(sweep_argument_add(a, "--%s", key));
        if (!json_is_boolean(value) && *text) CLI_TRY(sweep_argument_add(a, "--%s=%s", key, text));
    }
    return CLM_OK;
}

clm_status sweep_arguments_make(const sweep *s, const sweep_run *run, sweep_arguments *out) {
    for (size_t i = 0; i < CLI_COUNT(s->subject) && s->subject[i]; i++) CLI_TRY(sweep_argument_add(out, "%s", s->subject[i]));
    CLI_TRY(add_options(out, s->options));
    CLI_TRY(add_options(out, run->settings));
    if (s->factor) CLI_TRY(sweep_argument_add(out, "--iterations=%lld", (long long)s->target[s->rounds - 1]));
    if (s->val_every && !json_object_get(run->settings, "val-every"))
        CLI_TRY(sweep_argument_add(out, "--val-every=%lld", (long long)s->val_every));
    return CLM_OK;
}

/* ---- before any is made ---- */

static clm_status check_facts(const sweep *s, const sweep_run *run, const cli_train_facts *facts) {
    if (!facts->validates)
        return sweep_refuse(s, "train", "%s has nothing to validate with, by which runs could be judged",
                            s->subject[0] ? s->subject[0] : "it");
    if (facts->regression != s->runs[0].regression)
        return sweep_refuse(s, "", "run %s has another score than the first, so that they cannot be compared", run->name);
    if (s->factor && s->target[0] % facts->val_every)
        return sweep_refuse(s, "halving",
                            "\"first\" %lld is no multiple of \"val-every\" %lld; runs are judged by a validation there",
                            (long long)s->target[0], (long long)facts->val_every);
    return CLM_OK;
}

static clm_status check_run(sweep *s, sweep_run *run, bool opens) {
    sweep_arguments arguments = {0}, copy = {0};
    cli_train_facts facts = {0};
    char message[2048], text[512];
    clm_status status = CLM_OK;
    CLI_GOTO(sweep_arguments_make(s, run, &arguments));
    copy.argc = arguments.argc;
    CLI_NEW(copy.argv, (size_t)copy.argc + 1);
    for (int i = 0; i < copy.argc; i++) copy.argv[i] = arguments.argv[i]; /* the parser changes the order */
    status = cli_train_check(copy.argc, copy.argv, opens, &facts);
    if (status != CLM_OK) {
        snprintf(message, sizeof message, "%s", cli_message());
        sweep_run_text(s, run, text, sizeof text);
        cli_forget();
        status = cli_fail(status, "%s: %s: %s", s->path, text, message);
        goto out;
    }
    run->iterations = facts.iterations;
    run->regression = facts.regression;
    CLI_GOTO(check_facts(s, run, &facts));
out:
    free(copy.argv);
    sweep_arguments_free(&arguments);
    return status;
}

clm_status sweep_check(sweep *s, bool opens) {
    for (size_t i = 0; i < s->n_runs; i++) CLI_TRY(check_run(s, &s->runs[i], opens));
    return CLM_OK;
}

/* ---- what they are ---- */

int64_t sweep_target(const sweep *s, const sweep_run *run, int round) { return s->factor ? s->target[round] : run->iterations; }

void sweep_run_text(const sweep *s, const sweep_run *run, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < s->n_varying && used < size; i++) {
        char value[CLI_PATH_MAX];
        sweep_value_text(json_object_get(run->settings, s->varying[i]), value, sizeof value);
        used += (size_t)snprintf(text + used, size - used, "%s%s %.100s", i ? ", " : "", s->varying[i], *value ? value : "no");
    }
}

clm_status sweep_run_path(const sweep *s, const sweep_run *run, char *path) { return cli_path(path, s->directory, run->name); }
