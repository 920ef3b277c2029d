/* The format of models and checkpoints: what is read is written and read again, the same. */
#include <stdlib.h>

#include "clmaml/checkpoint.h"
#include "fuzz.h"

static size_t elements(const clm_archive *archive, const char *name) {
    const clm_shape *shape = clm_archive_shape(archive, name);
    size_t count = 1;
    for (int i = 0; i < shape->rank; i++) count *= (size_t)shape->dim[i];
    return count;
}

static void read_arrays(const clm_archive *archive) {
    for (size_t i = 0; i < clm_archive_count(archive); i++) {
        const char *name = clm_archive_name(archive, i);
        const size_t count = elements(archive, name);
        double *values = malloc(count ? count * sizeof *values : 1);
        fuzz_check(values != NULL, "no memory");
        (void)clm_archive_read(archive, name, NULL, values, count);
        free(values);
    }
}

static void run(const uint8_t *data, size_t size) {
    clm_archive *archive = NULL, *again = NULL;
    if (clm_archive_load(&archive, fuzz_safetensors("a", data, size)) != CLM_OK) return;
    read_arrays(archive);
    fuzz_check(clm_archive_save(archive, fuzz_path("b")) == CLM_OK, "safetensors: what was read cannot be written");
    fuzz_check(clm_archive_load(&again, fuzz_path("b")) == CLM_OK, "safetensors: what was written cannot be read");
    fuzz_check(clm_archive_count(again) == clm_archive_count(archive), "safetensors: arrays were lost");
    clm_archive_free(archive);
    clm_archive_free(again);
}

const fuzz_target fuzz_this = {run, 1 << 18, 256};
