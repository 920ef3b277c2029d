/* Device specifications.
 *
 *     spec        = alternative { "," alternative }
 *     alternative = ( type | P ":" D | name | type ":" name ) [ "/" parts ]
 *     type        = "gpu" | "cpu" | "accelerator" | "host"
 *
 * Types are compared whole, names are any part of a platform's or device's name, both without regard to case. Alternatives are
 * tried from left to right; the devices that one of them names are ordered as the default choice orders them:
 * type, then memory of its own before memory shared with the host, then compute. */
#include "device/spec.h"

#include <ctype.h>
#include <string.h>

#include "base/memory.h"

/* In the order of preference. */
static const struct {
    clm_device_type type;
    const char *name;
} types[] = {
    {CLM_DEVICE_GPU, "gpu"},
    {CLM_DEVICE_ACCELERATOR, "accelerator"},
    {CLM_DEVICE_CPU, "cpu"},
    {CLM_DEVICE_HOST, "host"},
};
enum { TYPES = sizeof types / sizeof *types };

typedef struct slice {
    const char *text;
    size_t length;
} slice;

static size_t type_rank(clm_device_type type) {
    size_t i = 0;
    while (i < TYPES - 1 && types[i].type != type) i++;
    return i;
}

const char *clm_device_type_name(clm_device_type type) { return types[type_rank(type)].name; }

/* ---- preference ---- */

/* Compute units of different makers' GPUs are not the same thing, hence only a figure to compare like with like. On CPUs a unit
 * is as wide as its vectors, which tells compilers that vectorise from those that interpret. */
static double compute(const clm_device_info *d) {
    double lanes = d->type == CLM_DEVICE_CPU && d->float_vector_width ? d->float_vector_width : 1.0;
    return (double)d->compute_units * (d->clock_mhz ? d->clock_mhz : 1.0) * lanes;
}

static bool preferred(const clm_device_info *a, const clm_device_info *b) {
    if (a->type != b->type) return type_rank(a->type) < type_rank(b->type);
    if (a->type == CLM_DEVICE_GPU && a->unified_memory != b->unified_memory) return b->unified_memory;
    return compute(a) > compute(b);
}

/* Puts device i into its place among order[first..found-1]; equals stay in the list's order. */
static void insert(const clm_device_info *list, size_t i, size_t *order, size_t first, size_t *found) {
    for (size_t k = 0; k < *found; k++) {
        if (order[k] == i) return;
    }
    size_t at = (*found)++;
    for (; at > first && preferred(&list[i], &list[order[at - 1]]); at--) order[at] = order[at - 1];
    order[at] = i;
}

/* ---- matching ---- */

static bool same_text(const char *a, const char *b, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (tolower((unsigned char)a[i]) != tolower((unsigned char)b[i])) return false;
    }
    return true;
}

static bool is_word(slice s, const char *word) { return s.length == strlen(word) && same_text(s.text, word, s.length); }

static bool contains(const char *name, slice part) {
    size_t length = strlen(name);
    for (size_t i = 0; part.length && i + part.length <= length; i++) {
        if (same_text(name + i, part.text, part.length)) return true;
    }
    return false;
}

static slice trimmed(slice s) {
    while (s.length && isspace((unsigned char)s.text[0])) s.text++, s.length--;
    while (s.length && isspace((unsigned char)s.text[s.length - 1])) s.length--;
    return s;
}

static bool parse_index(slice s, int *value) {
    if (s.length == 0 || s.length > 6) return false;
    *value = 0;
    for (size_t i = 0; i < s.length; i++) {
        if (!isdigit((unsigned char)s.text[i])) return false;
        *value = 10 * *value + (s.text[i] - '0');
    }
    return true;
}

static bool parse_type(slice s, clm_device_type *type) {
    for (size_t i = 0; i < TYPES; i++) {
        if (is_word(s, types[i].name)) {
            *type = types[i].type;
            return true;
        }
    }
    return false;
}

static bool named(const clm_device_info *d, slice name) { return contains(d->name, name) || contains(d->platform, name); }

static bool matches(const clm_device_info *d, slice s) {
    clm_device_type type;
    if (parse_type(s, &type)) return d->type == type;
    const char *colon = memchr(s.text, ':', s.length);
    if (colon) {
        slice left = trimmed((slice){s.text, (size_t)(colon - s.text)});
        slice right = trimmed((slice){colon + 1, s.length - (size_t)(colon + 1 - s.text)});
        int platform, device;
        if (parse_index(left, &platform) && parse_index(right, &device)) {
            return d->platform_index == platform && d->device_index == device;
        }
        if (parse_type(left, &type)) return d->type == type && named(d, right);
    }
    return named(d, s);
}

int clm_device_spec_parts(const char *text, size_t *length) {
    size_t digits = 0;
    int parts;
    while (digits < *length && isdigit((unsigned char)text[*length - digits - 1])) digits++;
    if (!digits || digits == *length || text[*length - digits - 1] != '/') return 1;
    bool good = parse_index((slice){text + *length - digits, digits}, &parts) && parts > 0;
    *length -= digits + 1;
    return good ? parts : 0;
}

/* ---- the answer ---- */

static clm_status fail_none(const char *spec, const clm_device_info *list, size_t count) {
    clm_text have = {0};
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        const clm_device_info *d = &list[i];
        const char *separator = i ? "; " : "", *note = d->available ? "" : " (not usable)";
        if (d->type == CLM_DEVICE_HOST) {
            clm_text_add(&have, "%shost", separator);
            continue;
        }
        any = true;
        clm_text_add(&have, "%s%d:%d %s \"%s\" of \"%s\"%s", separator, d->platform_index, d->device_index,
                     clm_device_type_name(d->type), d->name, d->platform, note);
    }
    const char *text = have.data && !have.failed ? have.data : "nothing";
    clm_status status;
    if (spec)
        status = clm_fail(CLM_E_DEVICE, "no device matches \"%s\"; there are: %s", spec, text);
    else if (any)
        status = clm_fail(CLM_E_DEVICE, "no usable OpenCL device; there are: %s", text);
    else
        status =
            clm_fail(CLM_E_DEVICE,
                     "no OpenCL device found: install an OpenCL driver for your hardware (pocl-opencl-icd runs on any CPU), "
                     "or choose \"host\", the slow reference");
    clm_text_free(&have);
    return status;
}

clm_status clm_device_spec_match(const char *spec, const clm_device_info *list, size_t count, size_t *order, size_t *found) {
    *found = 0;
    if (!spec) {
        for (size_t i = 0; i < count; i++) {
            if (list[i].available && list[i].type != CLM_DEVICE_HOST) insert(list, i, order, 0, found);
        }
    }
    for (const char *at = spec; at;) {
        const char *comma = strchr(at, ',');
        slice s = trimmed((slice){at, comma ? (size_t)(comma - at) : strlen(at)});
        size_t first = *found;
        clm_device_spec_parts(s.text, &s.length); /* one device is meant: the whole of it */
        for (size_t i = 0; s.length && i < count; i++) {
            if (list[i].available && matches(&list[i], s)) insert(list, i, order, first, found);
        }
        at = comma ? comma + 1 : NULL;
    }
    return *found ? CLM_OK : fail_none(spec, list, count);
}
