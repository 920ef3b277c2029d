/* Models everybody uses, written as the layer lists they are: what the zoo makes can be saved, read back and changed. */
#include "model/internal.h"

#include <stdlib.h>

#include "base/memory.h"

static clm_status finish(clm_model **out, clm_text *json, const char *what) {
    clm_status status = json->failed ? clm_fail(CLM_E_MEMORY, "out of memory") : clm_model_parse(out, json->data, NULL);
    clm_text_free(json);
    return status == CLM_OK ? CLM_OK : clm_fail_in(status, "%s", what);
}

/* Four blocks of 3 x 3 convolution, batch-norm and relu (Vinyals et al. 2016), each followed by max-pooling; or, strided, with
 * stride-2 convolutions and a spatial mean, as Finn et al. 2017 used for Omniglot. */
clm_status clm_model_conv4(clm_model **out, const clm_conv4_options *options) {
    clm_text json = {0};
    *out = NULL;
    if (!options || options->filters < 1 || options->ways < 1 || options->channels < 1 || options->size < 1)
        return clm_fail(CLM_E_ARG, "conv4: filters, ways, channels and size must be at least 1");
    clm_text_add(&json, "{\"in_shape\": [%d, %d, %d], \"layers\": [", options->channels, options->size, options->size);
    for (int block = 0; block < 4; block++)
        clm_text_add(&json,
                     "{\"op\": \"conv2d\", \"out\": %d, \"kernel\": 3, \"stride\": %d, \"pad\": 1}, {\"op\": \"batchnorm\"}, "
                     "{\"op\": \"relu\"}, %s",
                     options->filters, options->strided ? 2 : 1,
                     options->strided ? "" : "{\"op\": \"maxpool\", \"kernel\": 2}, ");
    clm_text_add(&json, "{\"op\": \"%s\"}, {\"op\": \"linear\", \"out\": %d}]}", options->strided ? "globalavgpool" : "flatten",
                 options->ways);
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
