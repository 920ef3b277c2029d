/* Program binaries on disk, so that a driver without a cache of its own compiles each kernel once and not in every process.
 *
 * An entry is a file CACHE/programs/KEY.bin: a header (magic, key, check sum, size), then the driver's binary. The key is a
 * hash of all that the binary depends on. The cache can only save time: an entry that is missing, damaged, or refused by the
 * driver is silently built again from source, and a cache that cannot be written is not used. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "device/opencl/opencl.h"

#define MAGIC "clMAMLb1" /* the last character is the format's version */

typedef struct header {
    char magic[8];
    uint64_t key[2], sum, size;
} header;

void clm_cl_cache_open(clm_cl_device *d) {
    d->cache_directory = d->avoid & CLM_AVOID_BINARIES ? NULL : clm_cache_place("programs");
    if (d->cache_directory) clm_cache_prune(d->cache_directory, CLM_CACHE_LIMIT);
}

/* Two hashes from different seeds: 128 bits make a chance collision impossible for practical purposes. */
static void make_key(const clm_cl_device *d, const char *text, const char *options, uint64_t key[2]) {
    const clm_device_info *info = &d->base.info;
    for (int i = 0; i < 2; i++) {
        uint64_t h = clm_hash_text(CLM_HASH_SEED + (uint64_t)i, MAGIC);
        h = clm_hash_text(h, d->platform_name);
        h = clm_hash_text(h, d->platform_version);
        h = clm_hash_text(h, info->name);
        h = clm_hash_text(h, info->vendor);
        h = clm_hash_text(h, info->version);
        h = clm_hash_text(h, info->driver);
        h = clm_hash(h, &(unsigned char){sizeof(void *)}, 1); /* a driver may serve programs of both widths */
        h = clm_hash_text(h, options);
        key[i] = clm_hash_text(h, text);
    }
}

static char *entry_path(const clm_cl_device *d, const uint64_t key[2]) {
    return clm_format("%s/%016" PRIx64 "%016" PRIx64 ".bin", d->cache_directory, key[0], key[1]);
}

const char *clm_cl_cache_fault(const char *data, size_t size, const uint64_t key[2]) {
    header h;
    if (size < sizeof h) return "it is cut short";
    memcpy(&h, data, sizeof h);
    if (memcmp(h.magic, MAGIC, sizeof h.magic) != 0) return "it is no entry of this version";
    if (memcmp(h.key, key, sizeof h.key) != 0) return "it belongs to another program";
    if (h.size != size - sizeof h || h.size == 0) return "it is cut short";
    if (h.sum != clm_hash(CLM_HASH_SEED, data + sizeof h, size - sizeof h)) return "its check sum is wrong";
    return NULL;
}

/* A driver that was changed without a new version may take a binary and find nothing in it. */
static bool has_kernels(cl_program program) {
    size_t count = 0;
    return clGetProgramInfo(program, CL_PROGRAM_NUM_KERNELS, sizeof count, &count, NULL) == CL_SUCCESS && count > 0;
}

static cl_program program_from(clm_cl_device *d, const unsigned char *binary, size_t size, const char *options) {
    cl_int code = CL_SUCCESS, binary_code = CL_SUCCESS;
    cl_program program = clCreateProgramWithBinary(d->context, 1, &d->id, &size, &binary, &binary_code, &code);
    if (code == CL_SUCCESS && binary_code == CL_SUCCESS &&
        clBuildProgram(program, 1, &d->id, options, NULL, NULL) == CL_SUCCESS && has_kernels(program)) {
        return program;
    }
    if (program) clReleaseProgram(program);
    return NULL;
}

static cl_program load_entry(clm_cl_device *d, const char *path, const uint64_t key[2], const char *options) {
    char *data = NULL;
    size_t size = 0;
    double began = clm_clock();
    cl_program program = NULL;
    if (clm_file_read(path, &data, &size) != CLM_OK || size == 0) goto out; /* gone, or the mark of a program built once */
    const char *fault = clm_cl_cache_fault(data, size, key);
    if (!fault) {
        program = program_from(d, (const unsigned char *)data + sizeof(header), size - sizeof(header), options);
        fault = "the driver refuses it";
    }
    if (program) {
        clm_cache_touch(path);
        clm_log_write(CLM_LOG_DEBUG, "loaded in %.3f s: %s", clm_clock() - began, path);
    } else {
        clm_log_write(CLM_LOG_INFO, "cache entry %s is built again: %s", path, fault);
    }
out:
    free(data);
    return program;
}

cl_program clm_cl_cache_load(clm_cl_device *d, const char *text, const char *options) {
    if (!d->cache_directory) return NULL;
    uint64_t key[2];
    cl_program program = NULL;
    make_key(d, text, options, key);
    char *path = entry_path(d, key);
    if (path && clm_path_exists(path)) program = load_entry(d, path, key, options);
    free(path);
    return program;
}

/* Header and binary in one piece; NULL when the driver gives none. */
static char *make_entry(cl_program program, const uint64_t key[2], size_t *size) {
    size_t binary_size = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof binary_size, &binary_size, NULL) != CL_SUCCESS ||
        !binary_size)
        return NULL;
    char *data = clm_calloc(1, sizeof(header) + binary_size);
    if (!data) return NULL;
    unsigned char *binary = (unsigned char *)data + sizeof(header);
    if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) != CL_SUCCESS) {
        free(data);
        return NULL;
    }
    header h = {.key = {key[0], key[1]}, .sum = clm_hash(CLM_HASH_SEED, binary, binary_size), .size = binary_size};
    memcpy(h.magic, MAGIC, sizeof h.magic);
    memcpy(data, &h, sizeof h);
    *size = sizeof h + binary_size;
    return data;
}

/* There are drivers that compile again to give a binary. */
static bool asking_is_cheap(const clm_cl_device *d) {
    return d->base.info.type != CLM_DEVICE_CPU || d->asking <= d->building / 4;
}

static char *ask(clm_cl_device *d, cl_program program, const uint64_t key[2], size_t *size) {
    const double began = clm_clock();
    char *entry = make_entry(program, key, size);
    d->asking += clm_clock() - began;
    return entry;
}

void clm_cl_cache_store(clm_cl_device *d, const char *text, const char *options, cl_program program) {
    if (!d->cache_directory) return;
    uint64_t key[2];
    size_t size = 0;
    char *path = NULL, *data = NULL;
    bool failed = false;
    make_key(d, text, options, key);
    if (!(path = entry_path(d, key)) || (failed = clm_directory_make(d->cache_directory) != CLM_OK)) goto out;
    if (!asking_is_cheap(d) && !clm_path_exists(path)) {
        failed = clm_file_replace(path, "", 0) != CLM_OK; /* what is built a second time will be needed again */
    } else if ((data = ask(d, program, key, &size))) {
        failed = clm_file_replace(path, data, size) != CLM_OK;
    }
out:
    if (failed) clm_log_write(CLM_LOG_INFO, "cache: %s", clm_last_error());
    free(data);
    free(path);
}
