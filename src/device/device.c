/* Devices: the list of all back ends' devices, the choice among them, and the public functions that pass on to a back end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "base/memory.h"
#include "device/backend.h"
#include "device/spec.h"

/* What NULL stands for: the environment's choice, or NULL still for the default. */
static const char *effective_spec(const char *spec) {
    if (!spec) spec = getenv("CLMAML_DEVICE");
    return spec && *spec ? spec : NULL;
}

/* OpenCL's devices, then the host reference; `chosen` is left unset. */
static clm_status list_all(clm_device_info **out, size_t *count, char *warnings, size_t warnings_size) {
    clm_device_info *list = NULL;
    size_t n = 0;
    *out = NULL;
    *count = 0;
    CLM_TRY(clm_opencl_list(&list, &n, warnings, warnings_size));
    size_t capacity = n;
    clm_status status = clm_grow(&list, &capacity, n + 1, sizeof *list);
    if (status != CLM_OK) {
        free(list);
        return status;
    }
    clm_host_describe(&list[n]);
    *out = list;
    *count = n + 1;
    return CLM_OK;
}

clm_status clm_device_list(clm_device_info **out, size_t *count, char *warnings, size_t warnings_size) {
    CLM_TRY(list_all(out, count, warnings, warnings_size));
    size_t found = 0, *order = clm_calloc(*count, sizeof *order);
    if (!order) {
        clm_device_list_free(*out);
        *out = NULL;
        *count = 0;
        return CLM_E_MEMORY;
    }
    /* That nothing matches is no failure of listing. */
    if (clm_device_spec_match(effective_spec(NULL), *out, *count, order, &found) == CLM_OK) (*out)[order[0]].chosen = true;
    free(order);
    return CLM_OK;
}

void clm_device_list_free(clm_device_info *list) { free(list); }

static clm_status open_one(clm_device **out, const clm_device_info *info) {
    if (info->type == CLM_DEVICE_HOST) return clm_host_open(out, false);
    return clm_opencl_open(out, info->platform_index, info->device_index);
}

static void log_choice(const clm_device_info *d, const char *wanted) {
    clm_log_write(CLM_LOG_INFO, "device %d:%d %s, platform %s, %s, driver %s, for \"%s\"", d->platform_index, d->device_index,
                  d->name, d->platform, d->version, d->driver, wanted ? wanted : "(default)");
}

clm_status clm_device_open(clm_device **out, const char *spec) {
    char warnings[512];
    clm_device_info *list = NULL;
    size_t count = 0, found = 0, *order = NULL;
    clm_status status = CLM_OK;
    *out = NULL;
    const char *wanted = effective_spec(spec);
    CLM_TRY(clm_log_check());
    if (wanted && !strcmp(wanted, "host")) return clm_host_open(out, false); /* also where no driver lets itself be loaded */
    if (wanted && !strcmp(wanted, "host-float")) return clm_host_open(out, true);
    CLM_GOTO(list_all(&list, &count, warnings, sizeof warnings));
    if (!(order = clm_calloc(count, sizeof *order))) CLM_GOTO(CLM_E_MEMORY);
    status = clm_device_spec_match(wanted, list, count, order, &found);
    if (status != CLM_OK) {
        if (warnings[0]) clm_fail(status, "%s (%s)", clm_last_error(), warnings);
        if (!spec && wanted) clm_fail_in(status, "CLMAML_DEVICE");
        goto out;
    }
    /* One that does not open is passed over; if none does, the first one's error is what the user has to know. */
    char first_error[1024] = "";
    for (size_t i = 0; i < found; i++) {
        clm_status opened = open_one(out, &list[order[i]]);
        if (opened == CLM_OK) goto out;
        clm_log_write(CLM_LOG_ERROR, "device %s of %s is passed over: %s", list[order[i]].name, list[order[i]].platform,
                      clm_last_error());
        if (i == 0) {
            status = opened;
            snprintf(first_error, sizeof first_error, "%s", clm_last_error());
        }
    }
    status = clm_fail(status, "%s", first_error);
out:
    if (*out) {
        (*out)->info.chosen = true;
        status = CLM_OK;
        log_choice(&(*out)->info, wanted);
    }
    free(order);
    clm_device_list_free(list);
    return status;
}

void clm_device_close(clm_device *device) {
    if (!device) return;
    for (int i = 0; i < device->n_sub_devices; i++) clm_device_close(device->sub_devices[i]);
    free(device->sub_devices);
    if (device->tune_free) device->tune_free(device);
    device->backend->close(device);
}

static clm_status open_sub_devices(clm_device *d, int n) {
    if (!d->backend->open_sub_device) return clm_fail(CLM_E_LIMIT, "%s cannot be divided", d->info.name);
    if (!(d->sub_devices = clm_calloc((size_t)n, sizeof(clm_device *)))) return CLM_E_MEMORY;
    clm_status status = CLM_OK;
    for (; d->n_sub_devices < n && status == CLM_OK; d->n_sub_devices += status == CLM_OK)
        status = d->backend->open_sub_device(d, d->n_sub_devices, n, &d->sub_devices[d->n_sub_devices]);
    if (status == CLM_OK) return CLM_OK;
    while (d->n_sub_devices > 0) clm_device_close(d->sub_devices[--d->n_sub_devices]);
    free(d->sub_devices);
    d->sub_devices = NULL;
    return status;
}

clm_status clm_device_open_sub_devices(clm_device *d, int n) {
    if (d->n_sub_devices && d->n_sub_devices != n)
        return clm_fail(CLM_E_STATE, "%s is divided into %d sub-devices already, not %d", d->info.name, d->n_sub_devices, n);
    if (!d->n_sub_devices) CLM_TRY(open_sub_devices(d, n));
    for (int i = 0; i < n; i++) { /* choices forced on the whole device */
        d->sub_devices[i]->choose = d->choose;
        d->sub_devices[i]->choose_user = d->choose_user;
    }
    return CLM_OK;
}

/* ---- memory ---- */

/* 0: not known. */
static uint64_t free_memory(const clm_device *d) {
    const uint64_t said = d->backend->free_memory ? d->backend->free_memory(d) : 0;
    const bool of_host = d->info.unified_memory || d->info.type == CLM_DEVICE_CPU || d->info.type == CLM_DEVICE_HOST;
    const uint64_t of_system = of_host ? clm_available_memory() : 0;
    return said && (!of_system || said < of_system) ? said : of_system;
}

static uint64_t nine_tenths(uint64_t bytes) { return bytes - bytes / 10; }

uint64_t clm_device_room(const clm_device *d, bool *of_free) {
    const uint64_t all = d->info.global_memory, left = free_memory(d), parts = d->parts > 1 ? (uint64_t)d->parts : 1;
    const uint64_t usable = left ? (left + clm_device_allocated(d)) / parts : 0;
    const bool less = usable && (!all || usable < all);
    if (of_free) *of_free = less;
    return nine_tenths(less ? usable : all);
}

uint64_t clm_device_memory_room(const clm_device *device) { return clm_device_room(device, NULL); }

/* ---- one thread at a time ---- */

static _Thread_local char this_thread;
static _Thread_local const void *works_for;

const void *clm_device_user(void) { return works_for ? works_for : &this_thread; }

void clm_device_work_for(const void *user) { works_for = user; }

clm_status clm_device_enter(clm_device *d) {
    const void *user = NULL, *me = clm_device_user();
    if (!atomic_compare_exchange_strong(&d->user, &user, me) && user != me)
        return clm_fail(
            CLM_E_STATE,
            "%s is in use by another thread: a device and what is made from it belong to one thread at a time; open it "
            "once for each thread",
            d->info.name);
    d->entered++;
    return CLM_OK;
}

void clm_device_leave(clm_device *d) {
    if (--d->entered == 0) atomic_store(&d->user, NULL);
}

const clm_device_info *clm_device_get_info(const clm_device *device) { return &device->info; }

static _Thread_local double waited;

double clm_wait_begin(void) { return clm_thread_seconds(); }
void clm_wait_end(double began) { waited += clm_thread_seconds() - began; }
double clm_thread_wait_seconds(void) { return waited; }

clm_status clm_device_finish(clm_device *device) { CLM_IN_DEVICE(device, device->backend->finish(device)); }

size_t clm_device_allocated(const clm_device *device) {
    size_t bytes = device->allocated;
    for (int i = 0; i < device->n_sub_devices; i++) bytes += clm_device_allocated(device->sub_devices[i]);
    return bytes;
}

clm_device_counters clm_device_get_counters(const clm_device *device) {
    clm_device_counters sum = device->counters;
    for (int i = 0; i < device->n_sub_devices; i++) {
        const clm_device_counters part = clm_device_get_counters(device->sub_devices[i]);
        sum.launches += part.launches;
        sum.flushes += part.flushes;
        sum.waits += part.waits;
        sum.copied += part.copied;
        sum.mapped += part.mapped;
    }
    return sum;
}

size_t clm_device_peak_allocated(const clm_device *device) {
    size_t bytes = device->peak_allocated;
    for (int i = 0; i < device->n_sub_devices; i++) bytes += clm_device_peak_allocated(device->sub_devices[i]);
    return bytes;
}

size_t clm_device_kernels_built(const clm_device *device) {
    size_t built = device->kernels_built;
    for (int i = 0; i < device->n_sub_devices; i++) built += clm_device_kernels_built(device->sub_devices[i]);
    return built;
}

const char *clm_device_quirks(const clm_device *device) { return device->quirks; }
