/* A learner: the inner loop alone, to adapt and to evaluate.
 *
 * It takes the task options of the meta-learner whose parameters it is given: the same rule, masks, learned rates and
 * beginning. steps is the number of rows that learned rates and per-step batch-norm have; later steps use the last row. An
 * algorithm without an inner loop (protonet) predicts at once, and steps are an error.
 *
 * Threading: a learner belongs to one thread at a time, and so does its device. Two learners on two devices are independent.
 *
 * Arrays are C order, in outside layout. The model and the device must outlive the learner. Errors: CLM_E_ARG and CLM_E_SHAPE
 * name the option; CLM_E_STATE where something must come first (clm_learner_begin before a step); CLM_E_MEMORY, CLM_E_BUILD and
 * the like come from the device.
 */
#ifndef CLMAML_LEARNER_H
#define CLMAML_LEARNER_H

#include "dataset.h"
#include "params.h"
#include "program.h"
#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clm_learner_options {
    int version; /* CLM_LEARNER_OPTIONS_VERSION */
    int tasks;
    clm_task_options task;
    clm_bn_mode bn_mode;
} clm_learner_options;
#define CLM_LEARNER_OPTIONS_VERSION 2
#define CLM_LEARNER_OPTIONS_INIT \
    { CLM_LEARNER_OPTIONS_VERSION, 1, CLM_TASK_OPTIONS_INIT, CLM_BN_TRANSDUCTIVE }

typedef struct clm_learner clm_learner;
CLM_API clm_status clm_learner_create(clm_learner **out, clm_device *device, const clm_model *model,
                                      const clm_learner_options *options);
CLM_API void clm_learner_free(clm_learner *learner); /* NULL is allowed */
/* All parameters and rates, by name: what both have. */
CLM_API clm_status clm_learner_set_params(clm_learner *learner, clm_params *params);
/* One tensor in outside layout, as for clm_meta_set_param and clm_meta_set_rate. */
CLM_API clm_status clm_learner_set_param(clm_learner *learner, size_t i, const double *data);
CLM_API clm_status clm_learner_set_rate(clm_learner *learner, size_t i, const double *data);
/* What one call takes. */
CLM_API clm_program_stats clm_learner_step_stats(const clm_learner *learner);
CLM_API clm_program_stats clm_learner_predict_stats(const clm_learner *learner);
/* clm_program_profile of one step and one prediction together. */
CLM_API clm_status clm_learner_profile(clm_learner *learner, int runs, FILE *to);
/* Back to the initial parameters, with new support sets: support_x [tasks, support, in_shape..], support_y [tasks, support] labels
 * or [tasks, support, target..]. The arrays may go when it returns. */
CLM_API clm_status clm_learner_begin(clm_learner *learner, const float *support_x, const float *support_y);
/* The same with numbers of images, support_at [tasks, support] and query_at [tasks, query], of the data set that
 * clm_learner_use_data has named, which must outlive its use; NULL: none any more. CLM_E_STATE without a data set, CLM_E_ARG for
 * a number that it has not. */
CLM_API clm_status clm_learner_use_data(clm_learner *learner, clm_dataset *dataset);
CLM_API clm_status clm_learner_begin_at(clm_learner *learner, const int32_t *support_at, const float *support_y);
CLM_API clm_status clm_learner_predict_at(clm_learner *learner, const int32_t *query_at, double *out);
/* One inner step; support_loss [tasks] before it (may be NULL: then nothing is waited for). */
CLM_API clm_status clm_learner_step(clm_learner *learner, double *support_loss);
/* Outputs [tasks, query, out..] for query_x [tasks, query, ..] at the current parameters. */
CLM_API clm_status clm_learner_predict(clm_learner *learner, const float *query_x, double *out);
/* Adapted parameter i, [tasks, shape..], outside layout. */
CLM_API clm_status clm_learner_get_adapted(clm_learner *learner, size_t i, double *out);

#ifdef __cplusplus
}
#endif
#endif
