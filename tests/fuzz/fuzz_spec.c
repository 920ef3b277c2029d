/* Names of devices, and the variables that are read beside them: CLMAML_DEVICE, CLMAML_EMULATE, amounts of memory. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "device/emulate.h"
#include "device/spec.h"
#include "fuzz.h"

enum { DEVICES = 4 };

static const clm_device_info list[DEVICES] = {
    {.name = "Fast GPU", .platform = "Maker", .type = CLM_DEVICE_GPU, .available = true, .max_work_group_size = 256},
    {.name = "CPU, of \"Other\"", .platform = "PoCL", .type = CLM_DEVICE_CPU, .platform_index = 1, .available = true},
    {.name = "Broken", .platform = "PoCL", .type = CLM_DEVICE_ACCELERATOR, .platform_index = 1, .device_index = 1},
    {.name = "host", .platform = "host", .type = CLM_DEVICE_HOST, .available = true, .platform_index = -1}};

static void match(const char *text) {
    size_t order[DEVICES], found = 0, length = strlen(text);
    const size_t whole = length;
    const clm_status status = clm_device_spec_match(text, list, DEVICES, order, &found);
    fuzz_check(found <= DEVICES && (status == CLM_OK) == (found > 0), "spec: a number of devices that does not fit");
    for (size_t i = 0; i < found; i++)
        fuzz_check(order[i] < DEVICES && list[order[i]].available, "spec: a device that is none");
    fuzz_check(clm_device_spec_parts(text, &length) >= 0 && length <= whole, "spec: parts");
}

static void emulate(const char *text) {
    clm_device_info info = list[0];
    clm_emulation emulation;
    setenv("CLMAML_EMULATE", text, 1);
    if (clm_emulate(&info, &emulation) == CLM_OK)
        fuzz_check(info.max_work_group_size <= list[0].max_work_group_size && info.name[sizeof info.name - 1] == 0,
                   "emulate: more than there is");
    unsetenv("CLMAML_EMULATE");
    (void)clm_emulate_check_source(&(clm_emulation){.no_fp64 = true, .no_images = true}, text);
}

static void run(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size);
    uint64_t bytes;
    match(text);
    emulate(text);
    (void)clm_bytes_parse(text, strlen(text), &bytes);
    free(text);
}

const fuzz_target fuzz_this = {run, 1 << 16, 16};
