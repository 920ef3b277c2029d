/* Program binaries on disk, so that a driver without a cache of its own compiles each kernel once and not in every process.
 *
 * An entry is a file CACHE/programs/KEY.bin: a header (magic, key, check sum, size), then the driver's binary. The key is a hash
 * of all that the binary depends on. The cache can only save time: an entry that is missing, damaged, or refused by the driver is
 * built again from source without a word, and a cache that cannot be written is done without. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/memory.h"
#include "device/opencl/opencl.h"

#define MAGIC "clMAMLb1" /* the last character is the format's version */

typedef struct header {
    char magic[8];
    uint64_t key[2], sum, size;
} header;

void clm_cl_cache_open(clm_cl_device *d) {
    const char *off = getenv("CLMAML_NO_CACHE");
    char *root = NULL;
    d->cache_directory = NULL;
    if (off && *off && strcmp(off, "0") != 0) return;
    if (clm_cache_directory(&root) == CLM_OK) d->cache_directory = clm_path_join(root, "programs");
    free(root);
}

static uint64_t hash_platform(cl_platform_id platform, cl_platform_info what, uint64_t hash) {
    char text[1024] = "";
    clGetPlatformInfo(platform, what, sizeof text - 1, text, NULL);
    return clm_hash_text(hash, text);
}

/* Two hashes from different seeds: 128 bits make a chance collision impossible for practical purposes. */
static void make_key(const clm_cl_device *d, const char *text, const char *options, uint64_t key[2]) {
    const clm_device_info *info = &d->base.info;
    for (int i = 0; i < 2; i++) {
        uint64_t h = clm_hash_text(CLM_HASH_SEED + (uint64_t)i, MAGIC);
        h = hash_platform(d->platform, CL_PLATFORM_NAME, h);
        h = hash_platform(d->platform, CL_PLATFORM_VERSION, h);
        h = clm_hash_text(h, info->name);
        h = clm_hash_text(h, info->vendor);
        h = clm_hash_text(h, info->version);
        h = clm_hash_text(h, info->driver);
        h = clm_hash_text(h, options);
        key[i] = clm_hash_text(h, text);
    }
}

static char *entry_path(const clm_cl_device *d, const uint64_t key[2]) {
    return clm_format("%s/%016" PRIx64 "%016" PRIx64 ".bin", d->cache_directory, key[0], key[1]);
}

/* The binary within an entry, or NULL when the entry is not what it should be. */
static const unsigned char *checked_binary(const char *data, size_t size, const uint64_t key[2], size_t *binary_size) {
    header h;
    if (size < sizeof h) return NULL;
    memcpy(&h, data, sizeof h);
    const unsigned char *binary = (const unsigned char *)data + sizeof h;
    *binary_size = size - sizeof h;
    bool good = !memcmp(h.magic, MAGIC, sizeof h.magic) && !memcmp(h.key, key, sizeof h.key) && h.size == *binary_size &&
                h.size > 0 && h.sum == clm_hash(CLM_HASH_SEED, binary, *binary_size);
    return good ? binary : NULL;
}

static cl_program program_from(clm_cl_device *d, const unsigned char *binary, size_t size, const char *options) {
    cl_int code = CL_SUCCESS, binary_code = CL_SUCCESS;
    cl_program program = clCreateProgramWithBinary(d->context, 1, &d->id, &size, &binary, &binary_code, &code);
    if (code == CL_SUCCESS && binary_code == CL_SUCCESS &&
        clBuildProgram(program, 1, &d->id, options, NULL, NULL) == CL_SUCCESS) {
        return program;
    }
    if (program) clReleaseProgram(program);
    return NULL;
}

cl_program clm_cl_cache_load(clm_cl_device *d, const char *text, const char *options) {
    if (!d->cache_directory) return NULL;
    uint64_t key[2];
    char *path = NULL, *data = NULL;
    size_t size = 0, binary_size = 0;
    cl_program program = NULL;
    make_key(d, text, options, key);
    if ((path = entry_path(d, key)) && clm_path_exists(path) && clm_file_read(path, &data, &size) == CLM_OK) {
        const unsigned char *binary = checked_binary(data, size, key, &binary_size);
        if (binary) program = program_from(d, binary, binary_size, options);
    }
    free(data);
    free(path);
    return program;
}

/* Header and binary in one piece; NULL when the driver gives none. */
static char *make_entry(cl_program program, const uint64_t key[2], size_t *size) {
    size_t binary_size = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof binary_size, &binary_size, NULL) != CL_SUCCESS || !binary_size)
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

void clm_cl_cache_store(clm_cl_device *d, const char *text, const char *options, cl_program program) {
    if (!d->cache_directory) return;
    uint64_t key[2];
    size_t size = 0;
    char *path = NULL, *data = NULL;
    make_key(d, text, options, key);
    if (!(path = entry_path(d, key)) || clm_directory_make(d->cache_directory) != CLM_OK) goto out;
    /* A CPU driver is asked the second time: asking costs more than a build there, and an empty file tells that it pays. */
    if (d->base.info.type == CLM_DEVICE_CPU && !clm_path_exists(path)) {
        (void)clm_file_write(path, "", 0);
    } else if ((data = make_entry(program, key, &size))) {
        (void)clm_file_write(path, data, size);
    }
out:
    free(data);
    free(path);
}
