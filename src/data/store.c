#include "data/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cache.h"
#include "base/files.h"
#include "base/log.h"
#include "base/memory.h"

/* Of the memory: what a data set takes before it goes to a file, and what it may take at all. */
static uint64_t quarter_of(uint64_t memory) { return memory ? memory / 4 : SIZE_MAX / 4; }
static uint64_t most_of(uint64_t memory) { return memory ? memory / 4 * 3 : SIZE_MAX / 2; }

clm_status clm_store_fits(uint64_t bytes, bool *fits) {
    uint64_t memory;
    CLM_TRY(clm_host_memory(&memory));
    *fits = bytes <= quarter_of(memory);
    return CLM_OK;
}

static clm_status in_memory(clm_store *s, uint64_t bytes) {
    s->memory = s->data = clm_calloc((size_t)bytes, 1);
    s->size = (size_t)bytes;
    return s->data ? CLM_OK : CLM_E_MEMORY;
}

/* Why not is in the last error. */
static clm_status in_file(clm_store *s, const char *place, uint64_t bytes) {
    const uint64_t disk = clm_disk_free(place);
    if (disk && bytes > disk) return clm_fail(CLM_E_LIMIT, "only %s are free in %s", clm_bytes_text((double)disk).s, place);
    CLM_TRY(clm_mapping_create(&s->file, place, "examples", (size_t)bytes));
    s->data = s->file.data;
    s->size = s->file.size;
    clm_log_write(CLM_LOG_INFO, "%s of examples are kept in %s", clm_bytes_text((double)bytes).s, s->file.temporary);
    return CLM_OK;
}

static clm_status refuse(uint64_t memory, const char *place, uint64_t *most, char **why) {
    const uint64_t disk = place ? clm_disk_free(place) : 0;
    char kept[512];
    snprintf(kept, sizeof kept, "%s", place ? clm_last_error() : "there is no cache directory to keep them in");
    *most = most_of(memory);
    if (place && disk > *most && strstr(kept, "free in")) *most = disk;
    *why = clm_format("more than three quarters of the memory (%s), and %s", clm_bytes_text((double)most_of(memory)).s, kept);
    return *why ? CLM_E_LIMIT : CLM_E_MEMORY;
}

clm_status clm_store_make(clm_store *out, uint64_t bytes, uint64_t *most, char **why) {
    uint64_t memory;
    *out = (clm_store){0};
    *why = NULL;
    CLM_TRY(clm_host_memory(&memory));
    if (bytes <= quarter_of(memory)) return in_memory(out, bytes);
    char *place = clm_cache_place("pictures");
    clm_status status = place ? in_file(out, place, bytes) : CLM_E_LIMIT;
    if (status != CLM_OK && bytes <= most_of(memory)) {
        clm_log_write(CLM_LOG_INFO, "examples are kept in memory: %s",
                      place ? clm_last_error() : "there is no cache directory");
        status = in_memory(out, bytes);
    } else if (status != CLM_OK) {
        status = refuse(memory, place, most, why);
    }
    free(place);
    return status;
}

void clm_store_shrink(clm_store *s, size_t size) {
    void *smaller = s->memory ? realloc(s->memory, size) : NULL;
    if (smaller) s->memory = s->data = smaller;
    s->size = size;
}

void clm_store_hide(clm_store *s) { clm_mapping_hide(&s->file); }

clm_status clm_store_read(clm_store *out, const char *path) {
    uint64_t size;
    int64_t changed;
    bool fits;
    char *data = NULL;
    *out = (clm_store){0};
    CLM_TRY(clm_file_measure(path, &size, &changed));
    CLM_TRY(clm_store_fits(size, &fits));
    if (fits) {
        CLM_TRY(clm_file_read(path, &data, &out->size));
        out->memory = data;
        out->data = (uint8_t *)data;
        return CLM_OK;
    }
    CLM_TRY(clm_mapping_open(&out->file, path));
    out->data = out->file.data;
    out->size = out->file.size;
    return CLM_OK;
}

void clm_store_free(clm_store *s) {
    free(s->memory);
    clm_mapping_close(&s->file);
    *s = (clm_store){0};
}
