/* Entries of the caches: results of tuning, behind a first byte 'p' program binaries. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "device/opencl/opencl.h"
#include "fuzz.h"
#include "tune/store.h"

static uint64_t hash(clm_device *device) {
    (void)device;
    return 7;
}

/* The name of the one entry, which the store makes. */
static const char *entry_path(clm_device *device) {
    static char path[512];
    clm_tune_entry entry = {.implementation = "direct", .tasks = 4, .seconds = 1, .default_seconds = 2, .tried = 3};
    char **names = NULL;
    size_t count = 0;
    if (path[0]) return path;
    fuzz_check(clm_tune_keep(device, "conv2d", &entry, true) == CLM_OK, "the store keeps nothing");
    fuzz_check(clm_directory_list(fuzz_path("tune"), &names, &count) == CLM_OK, "the store has no folder");
    for (size_t i = 0; i < count; i++)
        if (strstr(names[i], ".json")) snprintf(path, sizeof path, "%s/%s", fuzz_path("tune"), names[i]);
    clm_names_free(names, count);
    clm_tune_forget(device);
    return path;
}

static void find(clm_device *device) {
    clm_tune_entry entry;
    for (int tasks = 1; tasks < 1 << 20; tasks *= 8)
        if (clm_tune_find(device, "conv2d", tasks, &entry))
            fuzz_check(entry.tasks >= 1 && memchr(entry.implementation, 0, sizeof entry.implementation),
                       "tuning: an entry without sense");
    clm_tune_forget(device);
}

static void run(const uint8_t *data, size_t size) {
    static const clm_backend backend = {.element_size = 4, .device_hash = hash};
    clm_device device = {.backend = &backend};
    const uint64_t key[2] = {1, 2};
    if (size && data[0] == 'p') {
        char *entry = fuzz_text(data + 1, size - 1);
        (void)clm_cl_cache_fault(entry, size - 1, key);
        free(entry);
        return;
    }
    setenv("CLMAML_NO_CACHE", "0", 1);
    const char *path = entry_path(&device);
    fuzz_file(path + strlen(fuzz_directory()) + 1, data, size);
    find(&device);
}

const fuzz_target fuzz_this = {run, 1 << 18, 256};
