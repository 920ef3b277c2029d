/* Tuning on the way to something else. */
#include "tune/on_the_way.h"

double cli_tune_budget(const clm_device *device, double asked) {
    const clm_device_type type = clm_device_get_info(device)->type;
    if (asked >= 0) return asked;
    return type == CLM_DEVICE_GPU || type == CLM_DEVICE_ACCELERATOR ? 2 : 0;
}

clm_status cli_tune_on_the_way(clm_device *device, const clm_model *model, const clm_meta_options *o, double budget) {
    clm_tune_options tune = CLM_TUNE_OPTIONS_INIT;
    clm_meta *meta = NULL;
    if (budget <= 0) return CLM_OK;
    tune.budget = budget;
    tune.careful = true;
    /* A plan that does not fit is told of where the run makes it. */
    if (clm_meta_create(&meta, device, model, o) != CLM_OK) return CLM_OK;
    clm_status status = clm_meta_tune(meta, &tune);
    clm_meta_free(meta);
    if (status == CLM_OK) return CLM_OK;
    cli_note("not tuned: %s", cli_message());
    cli_forget();
    return CLM_OK;
}
