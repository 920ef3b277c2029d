/* Program texts on disk, for compilers that are no OpenCL drivers (tests/offline) and for a look at generated code.
 *
 * With CLMAML_DUMP_KERNELS=DIR every text that a driver would be given is written to DIR/NAME-HASH.cl, whether it then comes from the
 * cache or not; NAME is the kernel file, `generated`, or `joined` for many texts in one, which are written one by one as well. The
 * first line holds the options as a comment. Equal texts with equal options share a file.
 */
#include <inttypes.h>
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

clm_status clm_cl_dump(const char *text, const char *options) {
    if (!clm_cl_dumping()) return CLM_OK;
    const char *directory = getenv("CLMAML_DUMP_KERNELS");
    int length = 0;
    const char *name = name_of(text, &length);
    uint64_t hash = clm_hash_text(clm_hash_text(CLM_HASH_SEED, text), options);
    char *path = clm_format("%s/%.*s-%016" PRIx64 ".cl", directory, length, name, hash), *data = NULL;
    clm_status status = path ? CLM_OK : CLM_E_MEMORY;
    if (status == CLM_OK && clm_path_exists(path)) goto out;
    if (status == CLM_OK && !(data = clm_format("// %s\n%s", options, text))) status = CLM_E_MEMORY;
    if (status == CLM_OK) status = clm_directory_make(directory);
    if (status == CLM_OK) status = clm_file_write(path, data, strlen(data));
    if (status != CLM_OK) status = clm_fail_in(status, "CLMAML_DUMP_KERNELS");
out:
    free(path);
    free(data);
    return status;
}
