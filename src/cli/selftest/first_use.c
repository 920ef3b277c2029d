/* See first_use.h. What is kept is a file CACHE/selftest/HASH for each combination of what may change the outcome; its text
 * says which, and counts only if it is that of the device at hand. A failure is not kept: it may have passed, as a lack of
 * memory does. */
#include "selftest/first_use.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/drivers.h"
#include "base/lines.h"
#include "base/system.h"
#include "selftest/selftest.h"

/* Of a test that prints nothing for so many times as long as a driver may be silent: a step builds a few programs. */
enum { TEST_PATIENCE = 4 };
enum { IDENTITY = 2048 };

typedef struct candidate {
    char spec[32], name[256], platform[128], driver[128], identity[IDENTITY];
} candidate;

typedef struct outcome {
    char step[512], wrong[512]; /* the last step, the first finding */
    size_t n_wrong;
} outcome;

/* ---- what is kept ---- */

static void identify(const clm_device *device, candidate *c) {
    const clm_device_info *d = clm_device_get_info(device);
    const char *emulated = getenv("CLMAML_EMULATE");
    snprintf(c->spec, sizeof c->spec, "%d:%d", d->platform_index, d->device_index);
    snprintf(c->name, sizeof c->name, "%s", d->name);
    char *part = strstr(c->name, ", part "); /* tested as the whole device */
    if (part) *part = 0;
    snprintf(c->platform, sizeof c->platform, "%s", d->platform);
    snprintf(c->driver, sizeof c->driver, "%s", d->driver);
    snprintf(c->identity, sizeof c->identity,
             "passed the self-test\nclmaml    %s\ndevice    %s, type %d\nplatform  %s, %s\ndriver    %s\nquirks    "
             "%s\nemulation %.512s\n",
             clm_version(), c->name, (int)d->type, d->platform, d->version, d->driver, clm_device_quirks(device),
             emulated ? emulated : "");
}

/* FNV-1a (Fowler, Noll and Vo). */
static unsigned long long hash(const char *text) {
    unsigned long long h = 0xcbf29ce484222325ULL;
    for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001b3ULL;
    return h;
}

/* Where the outcome is kept; false: nowhere. */
static bool place(const candidate *c, char *directory, char *path) {
    clm_cache_info cache;
    char name[32];
    snprintf(name, sizeof name, "%016llx", hash(c->identity));
    return clm_cache_describe(&cache) == CLM_OK && cache.enabled && cache.writable &&
           cli_path(directory, cache.directory, "selftest") == CLM_OK && cli_path(path, directory, name) == CLM_OK;
}

static bool has_passed(const char *path, const candidate *c) {
    char *text = NULL;
    const bool known = cli_path_exists(path) && cli_file_read(path, &text) == CLM_OK && strcmp(text, c->identity) == 0;
    free(text);
    cli_forget();
    return known;
}

/* A file that cannot be written is missed at the next start, no sooner. */
static void keep(const candidate *c) {
    char directory[CLI_PATH_MAX], path[CLI_PATH_MAX];
    if (!place(c, directory, path) || cli_directory_make(directory) != CLM_OK ||
        cli_file_write(path, c->identity, strlen(c->identity)) != CLM_OK)
        cli_forget();
}

void cli_first_use_passed(const clm_device *device) {
    candidate c;
    if (clm_device_get_info(device)->type == CLM_DEVICE_HOST) return;
    identify(device, &c);
    keep(&c);
}

/* ---- the test ---- */

static void note_line(void *user, const char *line) {
    outcome *o = user;
    const size_t length = strlen(CLI_SELFTEST_WRONG);
    if (strncmp(line, CLI_SELFTEST_WRONG, length) != 0)
        snprintf(o->step, sizeof o->step, "%s", line);
    else if (o->n_wrong++ == 0)
        snprintf(o->wrong, sizeof o->wrong, "%s", line + length);
}

/* What is said of a device that failed; "" when all is right. */
static void tell_fault(const cli_child_end *end, const outcome *o, double patience, char *fault, size_t size) {
    fault[0] = 0;
    if (end->hung)
        snprintf(fault, size, "said nothing for %g s at: %s", patience, o->step);
    else if (end->signal)
        snprintf(fault, size, "crashed (signal %d) at: %s", end->signal, o->step);
    else if (o->n_wrong > 1)
        snprintf(fault, size, "%s, and %zu more", o->wrong, o->n_wrong - 1);
    else if (o->n_wrong)
        snprintf(fault, size, "%s", o->wrong);
    else if (end->status)
        snprintf(fault, size, "ended the process (exit status %d) at: %s", end->status, o->step);
}

/* One line on stderr: it is a matter of seconds where compilers are slow, so the beginning is shown at once. */
static clm_status test(const candidate *c) {
    enum { SHORT_OUTCOME = 16 }; /* " FAILED, 12.3 s" */
    const char *arguments[] = {"--test-device", c->spec, NULL};
    outcome o = {.step = "starting"};
    cli_child child = {.arguments = arguments, .quiet = true, .line = note_line, .user = &o};
    cli_child_end end;
    char fault[1024];
    CLI_TRY(cli_drivers_patience(&child.patience));
    child.patience *= TEST_PATIENCE;
    fflush(stdout);
    cli_line_begin(stderr, SHORT_OUTCOME, "clmaml: note: checking %s for the first time ..", c->name);
    fflush(stderr);
    const double began = cli_clock();
    if (cli_child_run(&child, &end) != CLM_OK || (!end.hung && !end.signal && end.status == CLI_SELFTEST_NOT_OPEN)) {
        fprintf(stderr, " not possible: %s\n", end.status == CLI_SELFTEST_NOT_OPEN ? o.step : cli_message());
        cli_forget();
        return CLM_OK;
    }
    tell_fault(&end, &o, child.patience, fault, sizeof fault);
    fprintf(stderr, fault[0] ? " FAILED, %.1f s\n" : " ok, %.1f s\n", cli_clock() - began);
    if (fault[0])
        return cli_fail(CLM_E_DEVICE,
                        "%s (%s, driver %s) fails its self-test and is not used: %s. `clmaml doctor --device %s` says more; "
                        "--force, or CLMAML_FORCE=1, uses it all the same",
                        c->name, c->platform, c->driver, fault, cli_pasted(c->spec));
    keep(c);
    return CLM_OK;
}

/* ---- opening ---- */

static bool is_forced(bool force) {
    const char *text = getenv("CLMAML_FORCE");
    return force || (text && *text && strcmp(text, "0") != 0);
}

/* Those of the devices that have to be tested; equal ones, as parts of one device are, once. `found` has room for all. */
static size_t find_unknown(clm_device *const *devices, size_t count, candidate *found) {
    char directory[CLI_PATH_MAX], path[CLI_PATH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (clm_device_get_info(devices[i])->type == CLM_DEVICE_HOST) continue;
        identify(devices[i], &found[n]);
        bool known = !place(&found[n], directory, path) || has_passed(path, &found[n]);
        for (size_t k = 0; k < n && !known; k++) known = strcmp(found[k].identity, found[n].identity) == 0;
        if (!known) n++;
    }
    return n;
}

/* Opens one device, or all of the list. */
static clm_status open_them(clm_device ***out, size_t *count, const char *spec, bool all) {
    clm_status status = CLM_OK;
    *count = 0;
    if (all) return clm_device_open_all(out, count, spec);
    CLI_NEW(*out, 1);
    CLI_GOTO(clm_device_open(*out, spec));
    *count = 1;
out:
    if (status != CLM_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

static clm_status open_guarded(clm_device ***out, size_t *count, const char *spec, bool all) {
    cli_stdout_guard(true);
    cli_drivers_guard(spec);
    const clm_status status = open_them(out, count, spec, all);
    cli_stdout_guard(false);
    return status;
}

static clm_status open_tested(clm_device ***out, size_t *count, const char *spec, bool all, bool force) {
    candidate *unknown = NULL;
    clm_status status = CLM_OK;
    double patience;
    CLI_TRY(cli_drivers_patience(&patience));
    CLI_TRY(cli_drivers_explain(open_guarded(out, count, spec, all)));
    if (is_forced(force)) return CLM_OK;
    CLI_NEW(unknown, *count);
    const size_t n = find_unknown(*out, *count, unknown);
    if (n == 0) goto out;
    clm_device_close_all(*out, *count);
    *out = NULL;
    *count = 0;
    for (size_t i = 0; i < n; i++) CLI_GOTO(test(&unknown[i]));
    CLI_GOTO(open_them(out, count, spec, all));
out:
    if (status != CLM_OK) {
        clm_device_close_all(*out, *count);
        *out = NULL;
    }
    free(unknown);
    return status;
}

clm_status cli_tested_open(clm_device **out, const char *spec, bool force) {
    clm_device **devices = NULL;
    size_t count = 0;
    *out = NULL;
    CLI_TRY(cli_refuse_parts(spec));
    CLI_TRY(open_tested(&devices, &count, spec, false, force));
    *out = devices[0];
    free(devices);
    cli_note_one_device(spec, *out);
    return CLM_OK;
}

clm_status cli_tested_open_all(clm_device ***out, size_t *count, const char *spec, bool force) {
    *out = NULL;
    return open_tested(out, count, spec, true, force);
}
