/* Program texts on disk, for compilers that are no OpenCL drivers (tests/offline) and for a look at generated code.
 *
 * With CLMAML_DUMP_KERNELS=DIR every text that a driver would be given is written to DIR/NAME-HASH.cl, whether it then comes
 * from the cache or not; NAME is the kernel file, `generated`, or `joined` for many texts in one, which are written one by one
 * as well. The first line holds the options as a comment. Equal texts with equal options share a file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/memory.h"
#include "device/opencl/opencl.h"

/* The name in the line `#line 1 "NAME.cl"` that stands before the body. */
static const char *name_of(const char *text, int *length) {
    static const char mark[] = "#line 1 \"";
    const char *name = strstr(text, mark);
    if (name) name += strlen(mark);
    *length = name ? (int)strcspn(name, ".\"") : 0;
    return name ? name : "";
}

bool clm_cl_dumping(void) {
    const char *directory = getenv("CLMAML_DUMP_KERNELS");
    return directory && *directory;
}

/* Many small files, which nobody misses after a crash: without the syncing of clm_file_write. */
static clm_status write_text(const char *path, const char *options, const char *text) {
    FILE *file = fopen(path, "wb");
    bool good = file && fprintf(file, "// %s\n%s", options, text) >= 0;
    if (file) good = fclose(file) == 0 && good;
    return good ? CLM_OK : clm_fail(CLM_E_IO, "CLMAML_DUMP_KERNELS: cannot write %s", path);
}

clm_status clm_cl_dump(const char *text, const char *options) {
    if (!clm_cl_dumping()) return CLM_OK;
    const char *directory = getenv("CLMAML_DUMP_KERNELS");
    int length = 0;
    const char *name = name_of(text, &length);
    uint64_t hash = clm_hash_text(clm_hash_text(CLM_HASH_SEED, text), options);
    char *path = clm_format("%s/%.*s-%016" PRIx64 ".cl", directory, length, name, hash);
    clm_status status = CLM_OK;
    if (!path) CLM_GOTO(CLM_E_MEMORY);
    if (clm_path_exists(path)) goto out;
    if ((status = clm_directory_make(directory)) != CLM_OK) CLM_GOTO(clm_fail_in(status, "CLMAML_DUMP_KERNELS"));
    CLM_GOTO(write_text(path, options, text));
out:
    free(path);
    return status;
}
