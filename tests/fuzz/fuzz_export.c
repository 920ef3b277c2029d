/* Models of any JSON as ONNX, state dicts and C: an adapted archive is made around the model, with the texts of the file for
 * names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/export.h"
#include "clmaml/params.h"
#include "fuzz.h"

enum { SMALL = 1 << 12, STATISTICS = 4 };

static void add_statistics(clm_archive *archive, const clm_model *model) {
    size_t n = 0;
    for (size_t i = 0; i < clm_model_layer_count(model); i++) {
        const clm_layer_info layer = clm_model_layer(model, i);
        const clm_shape shape = clm_shape_of(1, layer.in.dim[0]);
        if (strcmp(layer.op, "batchnorm") != 0 || layer.in.dim[0] > SMALL) continue;
        double *ones = malloc((size_t)shape.dim[0] * sizeof *ones);
        fuzz_check(ones != NULL, "no memory");
        for (int k = 0; k < shape.dim[0]; k++) ones[k] = 1;
        static const char *const what[] = {"mean", "var"};
        for (int k = 0; k < 2; k++) {
            char name[48];
            snprintf(name, sizeof name, "batch_norm.%zu.%s", n, what[k]);
            (void)clm_archive_add(archive, name, CLM_F32, &shape, ones);
        }
        n++;
        free(ones);
    }
}

static void export_all(const clm_model *model, const char *beside, const uint8_t *data, size_t size) {
    const clm_task_options options = CLM_TASK_OPTIONS_INIT;
    clm_archive *archive = NULL;
    clm_params *params = NULL;
    fuzz_check(clm_archive_create(&archive) == CLM_OK, "no memory");
    if (clm_params_create(&params, model, &options) == CLM_OK && clm_params_save(params, archive, CLM_F32) == CLM_OK) {
        (void)clm_archive_set_meta(archive, "clmaml.model", clm_model_json(model));
        (void)clm_archive_set_meta(archive, "clmaml.adapted", beside);
        add_statistics(archive, model);
        for (size_t i = 0; i < clm_export_format_count(); i++)
            if (fuzz_goes(data, size, (unsigned)i, (unsigned)clm_export_format_count()))
                (void)clm_export(archive, clm_export_format_name(i), fuzz_path("exported"), NULL);
    }
    clm_params_free(params);
    clm_archive_free(archive);
}

static void run(const uint8_t *data, size_t size) {
    const uint8_t *part = data;
    size_t at = 0, length = 0;
    clm_model *model = NULL;
    fuzz_part(data, size, &at, &part, &length);
    char *json = fuzz_text(part, length), *beside = NULL;
    length = 0;
    fuzz_part(data, size, &at, &part, &length);
    beside = fuzz_text(part, length);
    if (clm_model_parse(&model, json, NULL) == CLM_OK && clm_model_param_elements(model) < SMALL)
        export_all(model, beside, data, size);
    clm_model_free(model);
    free(json);
    free(beside);
}

const fuzz_target fuzz_this = {run, 2 << 20, 4096};
