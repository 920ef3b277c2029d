/* The trial of OpenCL drivers: the parent's side, and the child's.
 *
 * The child announces each step before it takes it ("loading", "opening 0:0 NAME"), so that the last line says what it died of. A driver
 * that survives alone may still die beside another (two versions of one compiler library in a process), hence the second trial together
 * and, should that fail, one by one. */
#include "base/drivers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

/* ---- the child ---- */

static void say(const char *word, const char *text) {
    printf("%s %s\n", word, text);
    fflush(stdout);
}

static void open_every_device(void) {
    clm_device_info *list = NULL;
    size_t count = 0, devices = 0, usable = 0;
    char warnings[2048] = "", text[512];
    say("step", "asking for its platforms and devices");
    if (clm_device_list(&list, &count, warnings, sizeof warnings) != CLM_OK) {
        say("trouble", cli_message());
        return;
    }
    if (warnings[0]) say("trouble", warnings);
    for (size_t i = 0; i < count; i++) {
        clm_device *device = NULL;
        char spec[32];
        if (list[i].type == CLM_DEVICE_HOST) continue;
        devices++;
        if (!list[i].available) continue;
        snprintf(spec, sizeof spec, "%d:%d", list[i].platform_index, list[i].device_index);
        snprintf(text, sizeof text, "opening %s", list[i].name);
        say("step", text);
        if (clm_device_open(&device, spec) == CLM_OK)
            usable++;
        else
            say("trouble", cli_message());
        clm_device_close(device);
    }
    snprintf(text, sizeof text, usable == devices ? "%zu device%s" : "%zu device%s, %zu usable", devices,
             devices == 1 ? "" : "s", usable);
    say("devices", text);
    clm_device_list_free(list);
}

int cli_drivers_probe(int argc, char **argv) {
    const char *library = argc > 0 ? argv[0] : "", *spec = argc > 1 ? argv[1] : CLI_EVERY_DEVICE;
    char why[512];
    double patience;
    if (cli_drivers_patience(&patience) == CLM_OK && patience > 0) cli_limit_lifetime(60 + 20 * patience);
    cli_environment_set("CLMAML_LOG", NULL); /* the parent says it all again */
    if (*library) {
        say("step", "being loaded");
        if (!cli_library_loads(library, why, sizeof why)) {
            say("trouble", why);
            return CLI_EXIT_OK;
        }
    }
    if (strcmp(spec, CLI_EVERY_DEVICE) == 0) {
        open_every_device();
    } else {
        clm_device *device = NULL;
        (void)clm_device_open(&device, *spec ? spec : NULL); /* a failure is told by the process that wants the device */
        clm_device_close(device);
    }
    say("step", "ending");
    return CLI_EXIT_OK;
}

/* ---- the parent ---- */

typedef struct trial {
    char step[512], trouble[512], devices[64];
} trial;

static void note_line(void *user, const char *line) {
    trial *t = user;
    if (strncmp(line, "step ", 5) == 0) snprintf(t->step, sizeof t->step, "%s", line + 5);
    if (strncmp(line, "trouble ", 8) == 0 && !t->trouble[0]) snprintf(t->trouble, sizeof t->trouble, "%s", line + 8);
    if (strncmp(line, "devices ", 8) == 0) snprintf(t->devices, sizeof t->devices, "%s", line + 8);
}

clm_status cli_drivers_patience(double *seconds) {
    const char *text = getenv("CLMAML_PROBE_SECONDS");
    char *end = NULL;
    *seconds = 30;
    if (!text || !*text) return CLM_OK;
    *seconds = strtod(text, &end);
    if (end == text || *end || !(*seconds >= 0 && *seconds <= 86400))
        return cli_fail(CLM_E_ARG, "CLMAML_PROBE_SECONDS is '%s'; it has to be a number of seconds from 0 to 86400", text);
    return CLM_OK;
}

/* Runs a trial; whether the child survived. `verdict` (may be NULL) receives what went wrong. */
static bool survives(const char *vendors, const char *library, const char *spec, trial *t, char *verdict, size_t size) {
    const char *arguments[] = {"--probe-driver", library, spec, NULL};
    cli_child child = {.arguments = arguments, .vendors = vendors, .quiet = true, .line = note_line, .user = t};
    cli_child_end end;
    *t = (trial){"starting", "", ""};
    if (cli_drivers_patience(&child.patience) != CLM_OK || child.patience <= 0 || cli_child_run(&child, &end) != CLM_OK) {
        cli_forget(); /* without processes there are no trials */
        return true;
    }
    if (!end.hung && !end.signal && end.status == 0) return true;
    if (!verdict) return false;
    if (end.hung)
        snprintf(verdict, size, "said nothing for %g s while %.300s", child.patience, t->step);
    else if (end.signal)
        snprintf(verdict, size, "crashed (signal %d) while %.300s", end.signal, t->step);
    else
        snprintf(verdict, size, "ended the process (exit status %d) while %.300s", end.status, t->step);
    return false;
}

/* ---- folders of drivers ---- */

static char folder[CLI_PATH_MAX]; /* "": not made yet */

static void remove_folder(void) {
    if (folder[0]) cli_remove_tree(folder);
}

/* A folder of the chosen drivers' .icd files: both loaders understand a folder, one of them no single file. */
static clm_status make_folder(const cli_driver *list, const bool *chosen, size_t count, const char *name, char *path) {
    if (!folder[0]) {
        CLI_TRY(cli_temporary_directory(folder, sizeof folder));
        atexit(remove_folder);
    }
    CLI_TRY(cli_path(path, folder, name));
    cli_remove_tree(path);
    CLI_TRY(cli_directory_make(path));
    for (size_t i = 0; i < count; i++) {
        char file[CLI_PATH_MAX], text[CLI_PATH_MAX + 1];
        const char *base = strrchr(list[i].path, '/');
        if (!chosen[i] || !list[i].library[0]) continue;
        base = base ? base + 1 : list[i].path;
        size_t length = strlen(base);
        CLI_TRY(cli_path(file, path, base));
        if (length < 4 || strcmp(base + length - 4, ".icd") != 0) snprintf(file, sizeof file, "%.900s/%zu.icd", path, i);
        int size = snprintf(text, sizeof text, "%s\n", list[i].library);
        CLI_TRY(cli_file_write(file, text, (size_t)size));
    }
    return CLM_OK;
}

static clm_status try_alone(cli_driver *list, size_t i, size_t count, bool *chosen) {
    char path[CLI_PATH_MAX];
    trial t;
    for (size_t k = 0; k < count; k++) chosen[k] = k == i;
    CLI_TRY(make_folder(list, chosen, count, "one", path));
    cli_driver *d = &list[i];
    d->left_out = !survives(path, d->library, CLI_EVERY_DEVICE, &t, d->verdict, sizeof d->verdict);
    d->suspect = d->left_out || t.trouble[0];
    if (!d->left_out) snprintf(d->verdict, sizeof d->verdict, "%s", t.trouble[0] ? t.trouble : t.devices);
    return CLM_OK;
}

/* Those that survived alone, one added to the others at a time. */
static clm_status try_one_by_one(cli_driver *list, size_t count, bool *chosen) {
    char path[CLI_PATH_MAX];
    trial t;
    memset(chosen, 0, count * sizeof *chosen);
    for (size_t i = 0; i < count; i++) {
        if (list[i].left_out) continue;
        chosen[i] = true;
        CLI_TRY(make_folder(list, chosen, count, "some", path));
        if (survives(path, "", CLI_EVERY_DEVICE, &t, NULL, 0)) continue;
        chosen[i] = false;
        list[i].left_out = list[i].suspect = true;
        snprintf(list[i].verdict, sizeof list[i].verdict, "works alone, but crashes together with the drivers before it");
    }
    return CLM_OK;
}

static clm_status try_together(cli_driver *list, size_t count, bool *chosen) {
    char path[CLI_PATH_MAX];
    trial t;
    size_t alive = 0;
    for (size_t i = 0; i < count; i++) alive += chosen[i] = !list[i].left_out;
    if (alive == count && (count < 2 || survives(NULL, "", CLI_EVERY_DEVICE, &t, NULL, 0))) return CLM_OK;
    CLI_TRY(make_folder(list, chosen, count, "good", path));
    if (alive > 1 && !survives(path, "", CLI_EVERY_DEVICE, &t, NULL, 0)) {
        CLI_TRY(try_one_by_one(list, count, chosen));
        CLI_TRY(make_folder(list, chosen, count, "good", path));
    }
    cli_environment_set("OCL_ICD_VENDORS", path);
    return CLM_OK;
}

clm_status cli_drivers_try(cli_driver **out, size_t *count) {
    bool *chosen = NULL;
    double patience;
    clm_status status = CLM_OK;
    *out = NULL;
    *count = 0;
    CLI_TRY(cli_drivers_patience(&patience));
    CLI_TRY(cli_drivers_find(out, count));
    if (!*count) return CLM_OK;
    CLI_NEW(chosen, *count);
    for (size_t i = 0; i < *count && patience > 0 && status == CLM_OK; i++) status = try_alone(*out, i, *count, chosen);
    if (patience > 0 && status == CLM_OK) status = try_together(*out, *count, chosen);
    if (patience > 0 && status == CLM_OK) goto out;
    /* A sick machine is no reason to say nothing of its devices. */
    if (patience > 0) cli_note("OpenCL drivers are not tried one by one: %s", cli_message());
    for (size_t i = 0; i < *count; i++)
        if (!(*out)[i].verdict[0])
            snprintf((*out)[i].verdict, sizeof(*out)[i].verdict, "not tried%s",
                     patience > 0 ? "" : ": CLMAML_PROBE_SECONDS is 0");
    cli_forget();
    status = CLM_OK;
out:
    free(chosen);
    return status;
}

/* ---- opening ---- */

void cli_drivers_guard(const char *spec) {
    cli_driver *list = NULL;
    size_t count = 0;
    trial t;
    const char *wanted = spec ? spec : getenv("CLMAML_DEVICE");
    const bool host = wanted && (strcmp(wanted, "host") == 0 || strcmp(wanted, "host-float") == 0);
    if (host || survives(NULL, "", spec ? spec : "", &t, NULL, 0)) return;
    if (cli_drivers_try(&list, &count) != CLM_OK) cli_forget(); /* then the drivers have to do as they are */
    for (size_t i = 0; i < count; i++)
        if (list[i].left_out) cli_note("the OpenCL driver %s is left out: it %s", list[i].path, list[i].verdict);
    free(list);
}

/* "/2" of an item at the end of which parts are asked for, as in 0:0/2; NULL: none does. */
static const char *parts_in(const char *list) {
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        const char *end = at + strcspn(at, ","), *digits = end;
        while (digits > at && digits[-1] >= '0' && digits[-1] <= '9') digits--;
        if (digits < end && digits - at > 1 && digits[-1] == '/') return digits - 1;
    }
    return NULL;
}

clm_status cli_refuse_parts(const char *spec) {
    const char *parts = spec ? parts_in(spec) : NULL;
    if (!parts) return CLM_OK;
    return cli_usage("--device %s divides a device into parts, and this command uses a whole one: leave out %.*s", spec,
                     (int)strcspn(parts, ","), parts);
}

void cli_note_one_device(const char *spec, const clm_device *device) {
    const char *wanted = spec ? spec : getenv("CLMAML_DEVICE");
    if (!spec && wanted && parts_in(wanted))
        cli_note("CLMAML_DEVICE=%s divides a device into parts; this command uses the whole of it", wanted);
    if (!wanted || !strchr(wanted, ',')) return;
    cli_note("\"%s\" names several devices; this command uses the first that matches%s%s", wanted, device ? ": " : "",
             device ? clm_device_get_info(device)->name : "");
}

/* "pocl.icd: 0 devices; nv.icd: libnv.so: cannot open shared object file": why the drivers that there are offer nothing. */
static void list_verdicts(const cli_driver *list, size_t count, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < count && used < size; i++) {
        const char *base = strrchr(list[i].path, '/');
        used += (size_t)snprintf(text + used, size - used, "%s%s: %.200s", i ? "; " : "", base ? base + 1 : list[i].path,
                                 list[i].verdict[0] ? list[i].verdict : "no platform");
    }
}

void cli_drivers_absence(const cli_driver *list, size_t count, char *text, size_t size) {
    char verdicts[1600];
    bool pocl = false;
    list_verdicts(list, count, verdicts, sizeof verdicts);
    for (size_t i = 0; i < count; i++) pocl = pocl || strstr(list[i].path, "pocl") || strstr(list[i].library, "pocl");
    snprintf(text, size, "%zu driver%s installed, and none offers a device (%s)%s", count, count == 1 ? " is" : "s are",
             verdicts, pocl ? ". PoCL needs a directory for its cache: HOME or POCL_CACHE_DIR" : "");
}

clm_status cli_drivers_explain(clm_status status) {
    static const char none[] = "no OpenCL device found";
    cli_driver *list = NULL;
    size_t count = 0;
    char text[2048], message[1024];
    if (status != CLM_E_DEVICE || strncmp(cli_message(), none, strlen(none)) != 0) return status;
    snprintf(message, sizeof message, "%s", cli_message());
    if (cli_drivers_try(&list, &count) == CLM_OK && count) {
        cli_drivers_absence(list, count, text, sizeof text);
        status = cli_fail(status, "no OpenCL device: %s; clmaml devices --verbose says more", text);
    } else {
        status = cli_fail(status, "%s", message);
    }
    free(list);
    return status;
}

static clm_status open_guarded(clm_device **out, const char *spec) {
    cli_stdout_guard(true);
    cli_drivers_guard(spec);
    const clm_status status = clm_device_open(out, spec);
    cli_stdout_guard(false);
    return status;
}

clm_status cli_device_open(clm_device **out, const char *spec) {
    double patience;
    *out = NULL;
    CLI_TRY(cli_refuse_parts(spec));
    CLI_TRY(cli_drivers_patience(&patience));
    CLI_TRY(cli_drivers_explain(open_guarded(out, spec)));
    cli_note_one_device(spec, *out);
    return CLM_OK;
}
