/* A model with another last layer, for tasks of another number of classes than it was trained on. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "clmaml/model.h"

static clm_status not_linear(const char *op) {
    return clm_fail(CLM_E_ARG, "the model's last layer is %s; one with another number of outputs must be linear",
                    op ? op : "none of a list");
}

clm_status clm_model_with_outputs(clm_model **out, const clm_model *model, int outputs) {
    const char *json = clm_model_json(model);
    *out = NULL;
    if (outputs < 1) return clm_fail(CLM_E_ARG, "%d outputs; at least 1", outputs);
    json_t *root = json ? json_loads(json, 0, NULL) : NULL, *layers = json_object_get(root, "layers");
    json_t *last = json_array_get(layers, json_array_size(layers) - 1);
    const char *op = json_string_value(json_object_get(last, "op"));
    clm_status status = CLM_OK;
    char *text = NULL;
    if (!op || strcmp(op, "linear") != 0) {
        status = not_linear(op);
    } else {
        clm_json_set(last, "out", json_integer(outputs));
        text = clm_json_text(root, JSON_COMPACT);
        status = text ? clm_model_parse(out, text, NULL) : clm_fail(CLM_E_MEMORY, "out of memory");
    }
    free(text);
    json_decref(root);
    return status;
}
