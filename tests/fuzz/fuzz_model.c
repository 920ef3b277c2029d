/* Model files: JSON, what is inferred from it, the graph. */
#include <stdlib.h>
#include <string.h>

#include "clmaml/model.h"
#include "clmaml/params.h"
#include "fuzz.h"

enum { SMALL = 1 << 12 };

static void build(const clm_model *model) {
    clm_params *params = NULL;
    const clm_task_options options = CLM_TASK_OPTIONS_INIT;
    if (clm_params_create(&params, model, &options) == CLM_OK) clm_params_free(params);
}

static void run(const uint8_t *data, size_t size) {
    clm_model *model = NULL, *again = NULL;
    clm_shape image = clm_shape_of(3, 1, 8, 8);
    fuzz_file("model.json", data, size);
    if (fuzz_goes(data, size, 0, 2) && clm_model_load(&model, fuzz_path("model.json"), NULL) == CLM_OK) {
        fuzz_check(clm_model_parse(&again, clm_model_json(model), NULL) == CLM_OK, "model: its JSON makes no model");
        fuzz_check(strcmp(clm_model_json(model), clm_model_json(again)) == 0, "model: its JSON makes another model");
        if (clm_model_param_elements(model) < SMALL) build(model);
    }
    clm_model_free(model);
    clm_model_free(again);
    model = NULL;
    if (fuzz_goes(data, size, 1, 2) && clm_model_load(&model, fuzz_path("model.json"), &image) == CLM_OK) clm_model_free(model);
}

const fuzz_target fuzz_this = {run, 1 << 20, 1024};
