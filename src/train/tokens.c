/* Do the examples of a source suit a model that begins with an embedding? Those that a source holds are looked at before anything
 * else; what it makes when asked is looked at as it is drawn, the first task before anything else too. */
#include <stdio.h>
#include <stdlib.h>

#include "train/internal.h"

static clm_status check_drawn(const clm_source *source, const clm_model *model, const float *x, size_t n) {
    const clm_status status = clm_model_check_tokens(model, x, n);
    return status == CLM_OK ? CLM_OK : clm_fail_in(CLM_E_FORMAT, "%s, an example of a task", clm_source_name(source));
}

bool clm_train_looks_at_tokens(const clm_source *source, const clm_model *model) {
    return !clm_source_is_held(source) && clm_model_token_count(model, NULL) > 0;
}

clm_status clm_train_check_task(const clm_source *source, const clm_model *model, const float *support_x, size_t support,
                                const float *query_x, size_t query) {
    CLM_TRY(check_drawn(source, model, support_x, support));
    return check_drawn(source, model, query_x, query);
}

static clm_status check_first_task(const clm_source *source, const clm_model *model, const clm_episode_options *e) {
    const clm_shape shape = clm_source_example_shape(source);
    const size_t n = (size_t)e->ways * (size_t)e->shots * (size_t)e->support_sets * clm_shape_size(&shape);
    clm_status status = CLM_OK;
    float *x = NULL;
    CLM_NEW(x, n);
    CLM_GOTO(clm_source_draw(source, CLM_SPLIT_TRAIN, 0, 0, e, &(clm_episode){.support_x = x}));
    CLM_GOTO(check_drawn(source, model, x, n));
out:
    free(x);
    return status;
}

clm_status clm_train_check_tokens(const clm_source *source, const clm_model *model, const clm_episode_options *episodes) {
    const char *path = NULL;
    const int count = clm_model_token_count(model, &path);
    char layer[96];
    if (!count) return CLM_OK;
    snprintf(layer, sizeof layer, "layer %s (embedding)", path);
    CLM_TRY(clm_source_check_tokens(source, (size_t)count, layer));
    return !episodes || clm_source_is_held(source) ? CLM_OK : check_first_task(source, model, episodes);
}
