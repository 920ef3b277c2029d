/* Models everybody uses, written as the layer lists they are: what the zoo makes can be saved, read back and changed. */
#include "model/internal.h"

#include <stdlib.h>

#include "base/memory.h"

static clm_status finish(clm_model **out, clm_text *json, const char *what) {
    clm_status status = json->failed ? clm_fail(CLM_E_MEMORY, "out of memory") : clm_model_parse(out, json->data, NULL);
    clm_text_free(json);
    return status == CLM_OK ? CLM_OK : clm_fail_in(status, "%s", what);
}

static clm_status check_conv4(const clm_conv4_options *o) {
    if (!o) return clm_fail(CLM_E_ARG, "conv4: options must not be NULL");
    if (o->version != CLM_CONV4_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "conv4: options of version %d; initialise them with CLM_CONV4_OPTIONS_INIT", o->version);
    if (o->filters < 1 || (o->ways < 1 && !o->headless) || o->channels < 1 || o->size < 1)
        return clm_fail(CLM_E_ARG, "conv4: filters, ways, channels and size must be at least 1");
    if (o->film_context < 0) return clm_fail(CLM_E_ARG, "conv4: film_context %d is less than 0", o->film_context);
    return CLM_OK;
}

/* Vinyals et al. 2016; strided as Finn et al. 2017 have it for Omniglot. Film is where CAVIA's code has it: as gamma may be
 * negative, film before max-pooling would be another network. */
static void add_block(clm_text *json, const clm_conv4_options *o) {
    const char *pool = o->strided ? "" : "{\"op\": \"maxpool\", \"kernel\": 2}, ";
    clm_text_add(json,
                 "{\"op\": \"conv2d\", \"out\": %d, \"kernel\": 3, \"stride\": %d, \"pad\": 1}, {\"op\": \"batchnorm\"}, ",
                 o->filters, o->strided ? 2 : 1);
    if (o->film_context > 0)
        clm_text_add(json, "%s{\"op\": \"film\", \"size\": %d}, {\"op\": \"relu\"}, ", pool, o->film_context);
    else
        clm_text_add(json, "{\"op\": \"relu\"}, %s", pool);
}

clm_status clm_model_conv4(clm_model **out, const clm_conv4_options *options) {
    clm_text json = {0};
    *out = NULL;
    CLM_TRY(check_conv4(options));
    clm_text_add(&json, "{\"in_shape\": [%d, %d, %d], \"layers\": [", options->channels, options->size, options->size);
    for (int block = 0; block < 4; block++) add_block(&json, options);
    clm_text_add(&json, "{\"op\": \"%s\"}", options->strided ? "globalavgpool" : "flatten");
    if (!options->headless) clm_text_add(&json, ", {\"op\": \"linear\", \"out\": %d}", options->ways);
    clm_text_add(&json, "]}");
    return finish(out, &json, "conv4");
}

clm_status clm_model_mlp(clm_model **out, int in, const int *hidden, size_t n_hidden, int n_out) {
    clm_text json = {0};
    *out = NULL;
    if (!hidden && n_hidden > 0) return clm_fail(CLM_E_ARG, "mlp: hidden must not be NULL");
    clm_text_add(&json, "{\"in_shape\": [%d], \"layers\": [", in);
    for (size_t i = 0; i < n_hidden; i++)
        clm_text_add(&json, "{\"op\": \"linear\", \"out\": %d}, {\"op\": \"relu\"}, ", hidden[i]);
    clm_text_add(&json, "{\"op\": \"linear\", \"out\": %d}]}", n_out);
    return finish(out, &json, "mlp");
}
