/* Arrays of NumPy: .npz where the bytes are a zip, else the labels y.npy and, behind a line "%%", the examples x.npy. */
#include <stdlib.h>
#include <string.h>

#include "clmaml/data.h"
#include "data/npy.h"
#include "fuzz.h"

static void open_source(const char *path, const uint8_t *data, size_t size) {
    clm_folder_options options = CLM_FOLDER_OPTIONS_INIT;
    clm_source *source = NULL;
    options.threads = 1;
    for (int normalise = 0; normalise < 2; normalise++) {
        if (!fuzz_goes(data, size, (unsigned)normalise, 2)) continue;
        options.normalise = normalise ? CLM_NORMALISE_DATASET : CLM_NORMALISE_NONE;
        if (clm_source_folder_open(&source, path, &options) != CLM_OK) continue;
        char name[64];
        for (size_t c = 0; c < clm_source_classes(source, CLM_SPLIT_TRAIN); c++)
            (void)clm_source_class_name(source, CLM_SPLIT_TRAIN, c, name, sizeof name);
        clm_source_free(source);
    }
}

static void read_elements(const uint8_t *data, size_t size) {
    clm_npy array;
    if (clm_npy_parse(&array, "a.npy", data, size) != CLM_OK) return;
    for (size_t i = 0; i < array.count && i < 64; i++) {
        if (clm_npy_is_text(&array))
            free(clm_npy_text(&array, i));
        else
            (void)clm_npy_number(&array, i);
    }
}

static void run(const uint8_t *data, size_t size) {
    static const char *const names[] = {"arrays/y.npy", "arrays/x.npy", "arrays/split.npy"};
    const uint8_t *part;
    size_t at = 0, length;
    if (size >= 2 && memcmp(data, "PK", 2) == 0) {
        open_source(fuzz_file("a.npz", data, size), data, size);
        return;
    }
    fuzz_empty("arrays");
    for (size_t i = 0; i < 3 && fuzz_part(data, size, &at, &part, &length); i++) {
        read_elements(part, length);
        fuzz_file(names[i], part, length);
    }
    open_source(fuzz_path("arrays"), data, size);
}

/* libzip takes 32 bytes for each of the 65535 entries that an end may claim */
const fuzz_target fuzz_this = {run, 4 << 20, 16384};
