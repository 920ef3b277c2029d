/* `clmaml devices`: every platform and device with what matters here, the one that would be chosen marked. Drivers are tried in
 * processes of their own first: one that crashes is named, and the devices of the others are listed. */
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/drivers.h"
#include "base/json.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/system.h"
#include "base/table.h"
#include "doctor/environment.h"
#include "doctor/libraries.h"

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

static void specification(const clm_device_info *d, char *text, size_t size) {
    if (d->type == CLM_DEVICE_HOST)
        snprintf(text, size, "host");
    else
        snprintf(text, size, "%d:%d", d->platform_index, d->device_index);
}

static void print_details(const clm_device_info *d) {
    cli_line(stdout, "      platform %s, vendor %s\n      driver %s, %s\n", d->platform, d->vendor, d->driver, d->version);
    cli_line(stdout, "      work-group size up to %zu, float vectors of %u, base alignment %u bits%s%s%s%s\n",
             d->max_work_group_size, d->float_vector_width, d->base_alignment_bits, d->fp64 ? ", fp64" : "",
             d->fp16 ? ", fp16" : "", d->unified_memory ? ", memory shared with the host" : "",
             d->available ? "" : ", NOT AVAILABLE");
}

static cli_text size_text(uint64_t bytes) { return bytes ? cli_bytes((double)bytes) : (cli_text){"-"}; }

enum { NAME_MOST = 44, PLATFORM_MOST = 32 };

static void print_device(const cli_table *table, const clm_device_info *d) {
    const cli_text memory = size_text(d->global_memory), largest = size_text(d->max_allocation),
                   local = size_text(d->local_memory);
    char spec[32], marked[40], clock[24] = "-", units[16], name[NAME_MOST + 1], platform[PLATFORM_MOST + 1];
    const bool whole = !cli_table_fits(table, stdout); /* a list has room */
    specification(d, spec, sizeof spec);
    snprintf(marked, sizeof marked, "%c %s", d->chosen ? '*' : ' ', spec);
    snprintf(units, sizeof units, "%u", d->compute_units);
    snprintf(name, sizeof name, "%.*s", NAME_MOST, d->name);
    snprintf(platform, sizeof platform, "%.*s", PLATFORM_MOST, d->platform);
    if (d->clock_mhz) snprintf(clock, sizeof clock, "%u MHz", d->clock_mhz);
    cli_table_row(table, stdout,
                  (const char *[]){marked, type_names[d->type], whole ? d->name : name, whole ? d->platform : platform, units,
                                   clock, memory.s, largest.s, local.s});
}

static void print_table(const clm_device_info *list, size_t count, bool verbose) {
    cli_table table = {.column = {{"  P:D", -7},
                                  {"type", -11},
                                  {"name", -4},
                                  {"platform", -8},
                                  {"units", 5},
                                  {"clock", 8},
                                  {"memory", 10},
                                  {"largest", 10},
                                  {"local", 10}},
                       .count = 9,
                       .gap = 1};
    for (size_t i = 0; i < count; i++) {
        cli_table_widen(&table, 2, list[i].name);
        cli_table_widen(&table, 3, list[i].platform);
    }
    if (table.column[2].width < -NAME_MOST) table.column[2].width = -NAME_MOST;
    if (table.column[3].width < -PLATFORM_MOST) table.column[3].width = -PLATFORM_MOST;
    cli_table_head(&table, stdout);
    for (size_t i = 0; i < count; i++) {
        print_device(&table, &list[i]);
        if (verbose && list[i].type != CLM_DEVICE_HOST) print_details(&list[i]);
    }
}

static json_t *device_object(const clm_device_info *d) {
    char spec[32];
    specification(d, spec, sizeof spec);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:b, s:b}",
                     "device", spec, "type", type_names[d->type], "name", d->name, "platform", d->platform, "vendor", d->vendor,
                     "driver", d->driver, "version", d->version, "compute_units", (json_int_t)d->compute_units, "clock_mhz",
                     (json_int_t)d->clock_mhz, "global_memory", (json_int_t)d->global_memory, "max_allocation",
                     (json_int_t)d->max_allocation, "local_memory", (json_int_t)d->local_memory, "max_work_group_size",
                     (json_int_t)d->max_work_group_size, "float_vector_width", (json_int_t)d->float_vector_width, "fp64",
                     d->fp64, "fp16", d->fp16, "unified_memory", d->unified_memory, "available", d->available, "chosen",
                     d->chosen);
}

static json_t *driver_object(const cli_driver *d) {
    return json_pack("{s:s, s:s, s:s, s:b}", "icd", d->path, "library", d->library, "verdict", d->verdict, "left_out",
                     d->left_out);
}

static json_t *library_object(const clm_library_info *info, clm_device_type type) {
    return json_pack("{s:s, s:b, s:s, s:s, s:s, s:s}", "name", info->name, "usable", info->usable, "version", info->version,
                     "path", info->path, "reason", info->reason, "use", info->usable ? cli_library_use(info, type) : "");
}

/* ---- what was found ---- */

typedef struct inventory {
    clm_device_info *devices;
    cli_driver *drivers;
    size_t device_count, driver_count, library_count;
    clm_library_info libraries[CLI_LIBRARIES_MOST]; /* as the chosen device has them */
    clm_device_type type;                           /* of that */
    char warnings[4096];                            /* of the library */
} inventory;

static clm_status print_json(const inventory *found) {
    json_t *root = json_object(), *devices = json_array(), *drivers = json_array(), *warnings = json_array();
    json_t *libraries = json_array();
    for (size_t i = 0; i < found->device_count; i++) cli_json_append(devices, device_object(&found->devices[i]));
    for (size_t i = 0; i < found->driver_count; i++) {
        const cli_driver *d = &found->drivers[i];
        cli_json_append(drivers, driver_object(d));
        if (d->suspect) cli_json_append(warnings, json_sprintf("%s: %s", d->path, d->verdict));
    }
    for (size_t i = 0; i < found->library_count; i++)
        cli_json_append(libraries, library_object(&found->libraries[i], found->type));
    if (found->warnings[0]) cli_json_append(warnings, json_string_nocheck(found->warnings));
    cli_json_set(root, "devices", devices);
    cli_json_set(root, "libraries", libraries);
    cli_json_set(root, "drivers", drivers);
    cli_json_set(root, "warnings", warnings);
    char *text = cli_json_text(root, JSON_INDENT(2));
    json_decref(root);
    if (!text) return cli_fail(CLM_E_MEMORY, "out of memory");
    cli_stdout_print(text);
    cli_stdout_print("\n");
    free(text);
    return CLM_OK;
}

static bool any_chosen(const clm_device_info *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (list[i].chosen) return true;
    return false;
}

static void print_drivers(const inventory *found) {
    printf("\nOpenCL drivers\n");
    for (size_t i = 0; i < found->driver_count; i++)
        cli_line(stdout, "  %s (%s): %s\n", found->drivers[i].path, found->drivers[i].library, found->drivers[i].verdict);
    if (!found->driver_count) printf("  none is registered\n");
}

static void print_libraries(const inventory *found) {
    char text[400];
    if (found->library_count) printf("\nlibraries, on the device marked *\n");
    for (size_t i = 0; i < found->library_count; i++) {
        const clm_library_info *info = &found->libraries[i];
        if (info->usable)
            cli_line(stdout, "  %s %s, for %s\n", info->name, cli_library_version(info), cli_library_use(info, found->type));
        else
            cli_line(stdout, "  %s: %s\n", info->name, cli_library_lack(info, text, sizeof text));
    }
}

static void explain_absence(const inventory *found) {
    const char *vendors = getenv("OCL_ICD_VENDORS");
    char text[2048];
    if (found->driver_count) {
        cli_drivers_absence(found->drivers, found->driver_count, text, sizeof text);
        cli_line(stdout, "\nThere is no OpenCL device: %s. --device host works without, slowly.\n", text);
        return;
    }
    cli_line(stdout,
             "\nThere is no OpenCL device. Install the driver of your GPU, or PoCL to use the CPU (Debian: apt-get install "
             "pocl-opencl-icd). --device host works without, slowly.\n");
    if (vendors) cli_line(stdout, "OCL_ICD_VENDORS is %s, where there is no driver.\n", vendors);
}

static void print_text(const inventory *found, bool verbose) {
    print_table(found->devices, found->device_count, verbose);
    print_libraries(found);
    if (verbose) {
        print_drivers(found);
        printf("\nenvironment\n");
        FILE *to = cli_lines_begin(stdout);
        cli_environment_print(to, true);
        cli_lines_end(to, stdout);
    }
    if (found->device_count <= 1)
        explain_absence(found);
    else if (!any_chosen(found->devices, found->device_count) && getenv("CLMAML_DEVICE"))
        cli_note("CLMAML_DEVICE is \"%s\", which matches none of these, or one that does not open", getenv("CLMAML_DEVICE"));
    for (size_t i = 0; i < found->driver_count; i++) {
        const cli_driver *d = &found->drivers[i];
        if (d->suspect) cli_note("OpenCL driver %s%s: %s", d->path, d->left_out ? " is left out" : "", d->verdict);
    }
    if (found->warnings[0] && verbose) cli_note("%s", found->warnings);
}

static void note_libraries(inventory *found, clm_device *device) {
    found->type = clm_device_get_info(device)->type;
    if (found->type == CLM_DEVICE_HOST) return; /* needs none */
    while (found->library_count < CLI_LIBRARIES_MOST &&
           clm_device_library_at(device, found->library_count, &found->libraries[found->library_count]))
        found->library_count++;
}

/* The mark goes to the device that a command would get: one that does not open is passed over. */
static void mark_chosen(inventory *found) {
    clm_device *device = NULL;
    int platform = -2, index = -2;
    if (clm_device_open(&device, NULL) == CLM_OK) {
        platform = clm_device_get_info(device)->platform_index;
        index = clm_device_get_info(device)->device_index;
        note_libraries(found, device);
    }
    clm_device_close(device);
    for (size_t i = 0; i < found->device_count; i++)
        found->devices[i].chosen = found->devices[i].platform_index == platform && found->devices[i].device_index == index;
}

static int run_devices(cli_args *args) {
    const devices_settings *s = args->settings;
    inventory found = {0};
    cli_stdout_guard(true);
    clm_status status = cli_drivers_try(&found.drivers, &found.driver_count);
    if (status == CLM_OK) status = clm_device_list(&found.devices, &found.device_count, found.warnings, sizeof found.warnings);
    if (status == CLM_OK) mark_chosen(&found);
    cli_stdout_guard(false);
    if (status == CLM_OK && s->json) status = print_json(&found);
    if (status == CLM_OK && !s->json) print_text(&found, s->verbose);
    clm_device_list_free(found.devices);
    free(found.drivers);
    return cli_exit(status);
}

const cli_command cli_devices = {
    .name = "devices",
    .synopsis = "[--verbose] [--json]",
    .summary = "list OpenCL platforms and devices, the chosen one marked",
    .details = "Lists the devices of all OpenCL platforms and the host reference. The one marked * is what a command without "
               "--device uses. P:D names a device in --device and CLMAML_DEVICE; of a list with commas train uses all devices. "
               "The libraries CLBlast and clFFT are named with their versions and what that device would use them for. "
               "Every driver is tried in a process of its own: one "
               "that crashes or hangs is named and left out.",
    .options = options,
    .settings_size = sizeof(devices_settings),
    .defaults = &defaults,
    .max_positional = 0,
    .run = run_devices,
};
