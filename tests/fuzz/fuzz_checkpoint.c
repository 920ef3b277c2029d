/* Checkpoints and weights of other programs, as training, `eval` and --init take them, and adapted models. */
#include <stdlib.h>

#include "clmaml/learner.h"
#include "config/checkpoint.h"
#include "fuzz.h"

static void import_weights(const clm_archive *archive) {
    static const char json[] =
        "{\"in_shape\": [2], \"layers\": [{\"op\": \"linear\", \"out\": 3}, {\"op\": \"linear\", \"out\": 2}]}";
    const clm_task_options options = CLM_TASK_OPTIONS_INIT;
    clm_import_report report;
    clm_model *model = NULL;
    clm_params *params = NULL;
    fuzz_check(clm_model_parse(&model, json, NULL) == CLM_OK && clm_params_create(&params, model, &options) == CLM_OK,
               "no model");
    for (int head = 0; head < 2; head++) (void)clm_params_import(params, archive, head, &report);
    (void)clm_params_load(params, archive);
    clm_params_free(params);
    clm_model_free(model);
}

static void use(const clm_archive *archive) {
    clm_device *device = NULL;
    clm_learner *learner = NULL;
    clm_preparation preparation;
    clm_load_options options = CLM_LOAD_OPTIONS_INIT;
    (void)clm_archive_get_preparation(archive, &preparation);
    fuzz_check(clm_device_open(&device, "host") == CLM_OK, "no host reference");
    if (!clm_archive_meta(archive, "clmaml.adapted")) options.support = 4, options.ways = 2; /* else a file says how many */
    options.query = 2;
    if (clm_learner_load_archive(&learner, device, archive, &options) != CLM_OK) /* as a regression */
        options.ways = 0, (void)clm_learner_load_archive(&learner, device, archive, &options);
    clm_learner_free(learner);
    clm_device_close(device);
}

static void load(const char *path) {
    cli_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    fuzz_check(checkpoint != NULL, "no memory");
    (void)cli_checkpoint_load(checkpoint, path);
    cli_checkpoint_close(checkpoint);
    free(checkpoint);
    cli_forget();
}

static void run(const uint8_t *data, size_t size) {
    clm_archive *archive = NULL;
    const char *path = fuzz_safetensors("a", data, size);
    if (fuzz_goes(data, size, 0, 3)) load(path);
    if (clm_archive_load(&archive, path) != CLM_OK) return;
    if (fuzz_goes(data, size, 1, 3)) import_weights(archive);
    if (fuzz_goes(data, size, 2, 3)) use(archive);
    clm_archive_free(archive);
}

const fuzz_target fuzz_this = {run, 8 << 20, 4096};
