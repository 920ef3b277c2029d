/* `clmaml devices`: every platform and device with what matters here, the one that would be chosen marked. */
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "system.h"

typedef struct devices_settings {
    bool json, verbose;
} devices_settings;

static const cli_option options[] = {
    {"Options", "json", CLI_FLAG, 0, offsetof(devices_settings, json), 0, 0, "", "print JSON"},
    {NULL, "verbose", CLI_FLAG, 0, offsetof(devices_settings, verbose), 0, 0, "",
     "drivers, limits, and the environment variables that count"},
    {.name = NULL},
};
static const devices_settings defaults = {false, false};

static const char *const type_names[] = {"host", "cpu", "gpu", "accelerator"};

static const struct {
    const char *name, *meaning;
} variables[] = {
    {"CLMAML_DEVICE", "the device, as --device"},
    {"CLMAML_CACHE_DIR", "where built kernels are kept"},
    {"CLMAML_NO_CACHE", "anything but 0: built kernels are not kept"},
    {"CLMAML_KERNEL_DIR", "kernel sources read from here instead of the library (development)"},
};

static void specification(const clm_device_info *d, char *text, size_t size) {
    if (d->type == CLM_DEVICE_HOST)
        snprintf(text, size, "host");
    else
        snprintf(text, size, "%d:%d", d->platform_index, d->device_index);
}

static void print_details(const clm_device_info *d) {
    printf("      platform %s, vendor %s\n      driver %s, %s\n", d->platform, d->vendor, d->driver, d->version);
    printf("      work-group size up to %zu, float vectors of %u, base alignment %u bits%s%s%s%s\n", d->max_work_group_size,
           d->float_vector_width, d->base_alignment_bits, d->fp64 ? ", fp64" : "", d->fp16 ? ", fp16" : "",
           d->unified_memory ? ", memory shared with the host" : "", d->available ? "" : ", NOT AVAILABLE");
}

static void print_table(const clm_device_info *list, size_t count, bool verbose) {
    size_t name_width = 4, platform_width = 8;
    for (size_t i = 0; i < count; i++) {
        if (strlen(list[i].name) > name_width) name_width = strlen(list[i].name);
        if (strlen(list[i].platform) > platform_width) platform_width = strlen(list[i].platform);
    }
    if (name_width > 44) name_width = 44;
    if (platform_width > 32) platform_width = 32;
    printf("  %-5s %-11s %-*s %-*s %5s %8s %10s %10s %10s\n", "P:D", "type", (int)name_width, "name", (int)platform_width,
           "platform", "units", "clock", "memory", "largest", "local");
    for (size_t i = 0; i < count; i++) {
        const clm_device_info *d = &list[i];
        char spec[32], clock[24] = "-";
        specification(d, spec, sizeof spec);
        if (d->clock_mhz) snprintf(clock, sizeof clock, "%u MHz", d->clock_mhz);
        printf("%c %-5s %-11s %-*.*s %-*.*s %5u %8s %10s %10s %10s\n", d->chosen ? '*' : ' ', spec, type_names[d->type],
               (int)name_width, (int)name_width, d->name, (int)platform_width, (int)platform_width, d->platform, d->compute_units,
               clock, d->global_memory ? cli_bytes((double)d->global_memory).s : "-",
               d->max_allocation ? cli_bytes((double)d->max_allocation).s : "-",
               d->local_memory ? cli_bytes((double)d->local_memory).s : "-");
        if (verbose && d->type != CLM_DEVICE_HOST) print_details(d);
    }
}

static void print_variables(void) {
    printf("\nenvironment\n");
    for (size_t i = 0; i < CLI_COUNT(variables); i++) {
        const char *value = getenv(variables[i].name);
        printf("  %-18s %-24s %s\n", variables[i].name, value ? value : "(not set)", variables[i].meaning);
    }
}

static void print_unknown_variable(void *user, const char *entry) {
    size_t length = strcspn(entry, "=");
    (void)user;
    for (size_t i = 0; i < CLI_COUNT(variables); i++)
        if (strlen(variables[i].name) == length && strncmp(entry, variables[i].name, length) == 0) return;
    printf("  %-18.*s %-24s %s\n", (int)length, entry, entry[length] ? entry + length + 1 : "",
           "(this program does not know it)");
}

static json_t *device_object(const clm_device_info *d) {
    char spec[32];
    specification(d, spec, sizeof spec);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:b, s:b}", "device",
                     spec, "type", type_names[d->type], "name", d->name, "platform", d->platform, "vendor", d->vendor, "driver",
                     d->driver, "version", d->version, "compute_units", (json_int_t)d->compute_units, "clock_mhz",
                     (json_int_t)d->clock_mhz, "global_memory", (json_int_t)d->global_memory, "max_allocation",
                     (json_int_t)d->max_allocation, "local_memory", (json_int_t)d->local_memory, "max_work_group_size",
                     (json_int_t)d->max_work_group_size, "float_vector_width", (json_int_t)d->float_vector_width, "fp64", d->fp64,
                     "fp16", d->fp16, "unified_memory", d->unified_memory, "available", d->available, "chosen", d->chosen);
}

static clm_status print_json(const clm_device_info *list, size_t count, const char *warnings) {
    json_t *root = json_object(), *devices = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(devices, device_object(&list[i]));
    json_object_set_new(root, "devices", devices);
    json_object_set_new(root, "warnings", json_string_nocheck(warnings));
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!text) return cli_fail(CLM_E_MEMORY, "out of memory");
    puts(text);
    free(text);
    return CLM_OK;
}

static bool any_chosen(const clm_device_info *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (list[i].chosen) return true;
    return false;
}

static int run_devices(cli_args *args) {
    const devices_settings *s = args->settings;
    clm_device_info *list = NULL;
    size_t count = 0;
    char warnings[4096] = "";
    clm_status status = clm_device_list(&list, &count, warnings, sizeof warnings);
    if (status == CLM_OK && s->json) status = print_json(list, count, warnings);
    if (status == CLM_OK && !s->json) {
        print_table(list, count, s->verbose);
        if (count <= 1)
            printf("\nThere is no OpenCL device. Install the driver of your GPU, or PoCL to use the CPU (Debian: apt-get install "
                   "pocl-opencl-icd).\n");
        else if (!any_chosen(list, count) && getenv("CLMAML_DEVICE"))
            cli_note("CLMAML_DEVICE is \"%s\", which matches none of these", getenv("CLMAML_DEVICE"));
        if (s->verbose) {
            print_variables();
            cli_environment_visit("CLMAML_", print_unknown_variable, NULL);
        }
        for (char *line = strtok(warnings, "\n"); line; line = strtok(NULL, "\n")) cli_note("%s", line);
    }
    clm_device_list_free(list);
    return cli_exit(status);
}

const cli_command cli_devices = {
    .name = "devices",
    .synopsis = "[--verbose] [--json]",
    .summary = "list OpenCL platforms and devices, the chosen one marked",
    .details = "Lists the devices of all OpenCL platforms and the host reference. The one marked * is what a command without "
               "--device uses. P:D names "
               "a device in --device and CLMAML_DEVICE.",
    .options = options,
    .settings_size = sizeof(devices_settings),
    .defaults = &defaults,
    .max_positional = 0,
    .run = run_devices,
};
