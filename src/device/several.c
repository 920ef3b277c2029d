/* Several devices at once: every device of a specification's list. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/backend.h"
#include "device/spec.h"

typedef struct opening {
    clm_device_info *list; /* of what exists */
    size_t count, *order;  /* order: room for the matches of one item */
    bool *used;            /* [count] opened already */
    clm_device **devices;
    size_t n, capacity;
} opening;

static clm_status add(opening *o, const clm_device_info *info, int part, int parts) {
    CLM_TRY(clm_grow(&o->devices, &o->capacity, o->n + 1, sizeof *o->devices));
    clm_device **out = &o->devices[o->n];
    clm_status status;
    if (info->type == CLM_DEVICE_HOST)
        status = parts == 1 ? clm_host_open(out, false) : clm_fail(CLM_E_DEVICE, "the host reference cannot be divided");
    else
        status = clm_opencl_open_sub_device(out, info->platform_index, info->device_index, part, parts);
    CLM_TRY(status == CLM_E_LIMIT ? clm_fail(CLM_E_DEVICE, "%s", clm_last_error()) : status);
    (*out)->info.chosen = true;
    o->n++;
    return CLM_OK;
}

/* Opens the first device that an item of the list names and that opens; or its parts. */
static clm_status open_item(opening *o, const char *item, int parts) {
    size_t found = 0;
    clm_status status = CLM_E_DEVICE;
    CLM_TRY(clm_device_spec_match(item, o->list, o->count, o->order, &found));
    for (size_t i = 0; i < found; i++) {
        const size_t at = o->order[i], before = o->n;
        if (o->used[at])
            return clm_fail(CLM_E_DEVICE, "\"%s\" is %s, which the list names before; name each device once, by P:D", item,
                            o->list[at].name);
        status = CLM_OK;
        for (int part = 0; part < parts && status == CLM_OK; part++) status = add(o, &o->list[at], part, parts);
        if (status == CLM_OK) {
            o->used[at] = true;
            return CLM_OK;
        }
        while (o->n > before) clm_device_close(o->devices[--o->n]);
    }
    return clm_fail_in(status, "device \"%s\"", item);
}

static clm_status open_items(opening *o, const char *spec) {
    for (const char *at = spec; at;) {
        const char *comma = strchr(at, ',');
        size_t length = comma ? (size_t)(comma - at) : strlen(at);
        while (length && strchr(" \t", at[length - 1])) length--;
        int parts = clm_device_spec_parts(at, &length);
        char *item = clm_format("%.*s", (int)length, at);
        if (!item) return CLM_E_MEMORY;
        clm_status status = parts ? open_item(o, item, parts)
                                  : clm_fail(CLM_E_DEVICE, "device \"%s\": it cannot be divided into no parts", item);
        free(item);
        CLM_TRY(status);
        at = comma ? comma + 1 : NULL;
    }
    return CLM_OK;
}

clm_status clm_device_open_all(clm_device ***out, size_t *count, const char *spec) {
    char warnings[512];
    opening o = {0};
    clm_status status = CLM_OK;
    const char *given = spec ? spec : getenv("CLMAML_DEVICE");
    *out = NULL;
    *count = 0;
    size_t length = given ? strlen(given) : 0;
    if (!given || (!strchr(given, ',') && clm_device_spec_parts(given, &length) == 1)) { /* one: others may replace it */
        CLM_GOTO(clm_grow(&o.devices, &o.capacity, 1, sizeof *o.devices));
        CLM_GOTO(clm_device_open(&o.devices[0], spec));
        o.n = 1;
    } else {
        CLM_GOTO(clm_device_list(&o.list, &o.count, warnings, sizeof warnings));
        o.order = clm_calloc(o.count, sizeof *o.order);
        o.used = clm_calloc(o.count, sizeof *o.used);
        if (!o.order || !o.used) CLM_GOTO(CLM_E_MEMORY);
        status = open_items(&o, given);
        if (status != CLM_OK && !spec) clm_fail_in(status, "CLMAML_DEVICE");
        CLM_GOTO(status);
    }
    *out = o.devices;
    *count = o.n;
    o.devices = NULL;
out:
    if (o.devices) clm_device_close_all(o.devices, o.n);
    clm_device_list_free(o.list);
    free(o.order);
    free(o.used);
    return status;
}

void clm_device_close_all(clm_device **devices, size_t count) {
    for (size_t i = 0; devices && i < count; i++) clm_device_close(devices[i]);
    free(devices);
}
