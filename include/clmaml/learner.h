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

#include "checkpoint.h"
#include "data.h"
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
/* With clm_task_options.uneven: sizes [tasks] of the tasks that clm_learner_begin begins next, and of their query sets; NULL: all
 * are as large as can be, as they are at first. Outputs beyond a task's ways, and of query examples beyond its own, are of no
 * consequence. CLM_E_STATE without the option; CLM_E_ARG names a size that there cannot be. */
CLM_API clm_status clm_learner_set_sizes(clm_learner *learner, const clm_task_size *sizes);
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
/* Outputs [tasks, n, out..] for query_x [tasks, n, in_shape..] at the current parameters; n: the planned number (task.query), or of
 * a learner from a file any from 1 to it. */
CLM_API clm_status clm_learner_predict(clm_learner *learner, const float *query_x, size_t n, double *out);
/* Adapted parameter i, [tasks, shape..], outside layout. */
CLM_API clm_status clm_learner_get_adapted(clm_learner *learner, size_t i, double *out);

/* ---- a trained model in use ----
 *
 *     clm_learner_load(&learner, device, "runs/birds", NULL);
 *     clm_learner_adapt(learner, support_x, support_y);            // in milliseconds; as often as wanted
 *     clm_learner_predict(learner, pictures, n, outputs);          // n from 1 to the planned number
 *     clm_learner_save(learner, "birds.safetensors", names);       // loads as an adapted model
 *
 * Batch-norm takes the statistics of the support set, so that no example's output depends on its neighbours. After loading,
 * neither adapting nor predicting allocates, but for a copy of a tensor at a time where there are several initialisations. */
typedef struct clm_load_options {
    int version; /* CLM_LOAD_OPTIONS_VERSION */
    int ways; /* classes to be told apart: up to the model's outputs, or any number where the algorithm makes the last layer of
                  * the support set (protonet, protomaml, finetune); 0: as trained. Of a regression 0. */
    int support; /* support examples in all; 0: ways * shots as trained */
    int query;   /* the most examples of a prediction; 0: 16 */
    int steps;   /* inner steps of an adaptation; -1: those that the run tested with */
} clm_load_options;
#define CLM_LOAD_OPTIONS_VERSION 1
#define CLM_LOAD_OPTIONS_INIT \
    { CLM_LOAD_OPTIONS_VERSION, 0, 0, 0, -1 }
/* From a run directory (its best checkpoint, or else its last), a checkpoint, or a model that clm_learner_save wrote. One task.
 * options: NULL for CLM_LOAD_OPTIONS_INIT. Errors name the file: CLM_E_IO, CLM_E_FORMAT, CLM_E_ARG for more ways than it has. */
CLM_API clm_status clm_learner_load(clm_learner **out, clm_device *device, const char *path, const clm_load_options *options);
/* The same from an archive, which is not needed afterwards. */
CLM_API clm_status clm_learner_load_archive(clm_learner **out, clm_device *device, const clm_archive *archive,
                                            const clm_load_options *options);
/* Learns from support_x [support, in_shape..], support_y [support]: clm_learner_begin and the steps. From a run with several
 * initialisations it first tries all and goes on with the one whose support loss is lowest after the steps, with which
 * clm_learner_begin begins from then on. CLM_E_STATE for a model that is adapted already. */
CLM_API clm_status clm_learner_adapt(clm_learner *learner, const float *support_x, const float *support_y);
/* The adapted model: weights, batch-norm statistics, preparation, and the names of the classes (NULL: none), as one file. */
CLM_API clm_status clm_learner_save(clm_learner *learner, const char *path, const char *const *names);

/* How the pictures of a checkpoint or an adapted model are prepared; CLM_E_FORMAT where it learns from other things. */
CLM_API clm_status clm_archive_get_preparation(const clm_archive *archive, clm_preparation *out);

typedef struct clm_learner_info {
    const char *algorithm;
    const clm_model *model; /* owned by the learner */
    int support, query, steps;
    int ways;       /* outputs that are classes; 0: a regression */
    size_t outputs; /* numbers of a prediction for one example */
    bool adapted;   /* there are no support examples to learn from: the file holds an adapted model */
    bool pictures;  /* examples are pictures, prepared so: */
    clm_preparation preparation;
    clm_shape target;            /* of one support example; rank 0: a label */
    int initialisations, chosen; /* how many the run has, and which the last adaptation went on with, from 0 */
} clm_learner_info;
CLM_API clm_learner_info clm_learner_get_info(const clm_learner *learner);
/* Of an adapted model from a file; NULL where it has no names. Owned by the learner. */
CLM_API const char *clm_learner_class_name(const clm_learner *learner, size_t i);

/* Makes a checkpoint one that clm_learner_load takes: the model, the task options, how many shots a class and inner steps it was
 * tested with, and how pictures are prepared (NULL: none). */
CLM_API clm_status clm_learner_describe(clm_archive *archive, const clm_model *model, const clm_task_options *options,
                                        int shots, int steps, const clm_preparation *preparation);

#ifdef __cplusplus
}
#endif
#endif
