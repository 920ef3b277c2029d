/* Tables. The first byte chooses options; the headline has to name the columns task and target. */
#include <stdlib.h>

#include "clmaml/data.h"
#include "fuzz.h"

static void sample(const clm_source *source) {
    const clm_shape x = clm_source_example_shape(source), y = clm_source_target_shape(source);
    size_t size = 1;
    for (int i = 0; i < x.rank; i++) size *= (size_t)x.dim[i];
    float *support = calloc(2 * size, sizeof *support), *target = calloc(2 * (y.rank ? (size_t)y.dim[0] : 1), sizeof *target);
    fuzz_check(support && target, "no memory");
    (void)clm_source_sample(source, CLM_SPLIT_TRAIN, 1, 1, 1, 1, 1, support, target, support + size, NULL);
    (void)clm_source_notes(source);
    free(support);
    free(target);
}

static void run(const uint8_t *data, size_t size) {
    static const char *const targets[] = {"target"}, *const categorical[] = {"kind"};
    clm_table_options options = CLM_TABLE_OPTIONS_INIT;
    clm_source *source = NULL;
    if (!size) return;
    options.task_column = "task";
    options.targets = targets;
    options.n_targets = 1;
    options.categorical = categorical;
    options.n_categorical = data[0] & 1;
    options.time_column = data[0] & 2 ? "time" : NULL;
    options.labels = data[0] & 4;
    options.missing = (clm_missing)((data[0] >> 3 & 3) % 3);
    options.standardise = data[0] & 32;
    options.window = data[0] & 64 ? 2 : 0;
    options.channels_first = data[0] & 128;
    if (clm_source_table_open(&source, fuzz_file("a.csv", data + 1, size - 1), &options) != CLM_OK) return;
    sample(source);
    clm_source_free(source);
}

/* A field of two bytes may be a category, which is a number for each row. */
const fuzz_target fuzz_this = {run, 1 << 20, 8192};
