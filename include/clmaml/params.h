/* Meta-parameters by name: what a checkpoint holds of a model, without planning anything.
 *
 *     clm_params_create(&params, model, &options.task);
 *     clm_params_load(params, archive);                   // a checkpoint of clm_meta_save, or a reference file
 *     clm_meta_set_params(meta, params);                  // or clm_learner_set_params
 *
 * The entries are the model's parameters, those of the loss (gaussian-policy's log_std), then the learned rates. Values are
 * doubles in outside layout. An entry with one row for each inner step has the steps as its first axis.
 */
#ifndef CLMAML_PARAMS_H
#define CLMAML_PARAMS_H

#include "checkpoint.h"
#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clm_params clm_params;

typedef struct clm_params_info {
    const char *name; /* in an archive: "param.0.weight", "alpha", "alpha.0.weight"; owned by the params */
    clm_shape shape;
    size_t size;   /* elements */
    bool learned;  /* changed by the outer loop */
    bool adapted;  /* changed by the inner loop */
    bool per_step; /* one row for each inner step */
    bool rate;
} clm_params_info;

/* Values as clm_params_reset(params, 0) leaves them. The model must outlive it. Errors: those of the task options. It needs no
 * device, and belongs to one thread at a time. */
CLM_API clm_status clm_params_create(clm_params **out, const clm_model *model, const clm_task_options *options);
CLM_API void clm_params_free(clm_params *params); /* NULL is allowed */
CLM_API size_t clm_params_count(const clm_params *params);
CLM_API clm_params_info clm_params_get_info(const clm_params *params, size_t i); /* all 0: no such entry */
/* Index of an entry by its name in an archive; clm_params_count when there is none. */
CLM_API size_t clm_params_find(const clm_params *params, const char *name);
/* Elements [size] of entry i, to read and to write, owned by the params; NULL: no such entry. */
CLM_API double *clm_params_values(clm_params *params, size_t i);
/* clm_model_init_param with `seed`, rates at inner_lr. */
CLM_API clm_status clm_params_reset(clm_params *params, uint64_t seed);
/* To and from an archive, which takes copies. Loading changes nothing unless every entry is there with its shape: CLM_E_FORMAT
 * or CLM_E_SHAPE names the file and the array, CLM_E_NUMERIC one with values that are not finite. */
CLM_API clm_status clm_params_save(clm_params *params, clm_archive *archive, clm_dtype dtype);
CLM_API clm_status clm_params_load(clm_params *params, const clm_archive *archive);
/* The learned entries become those of the moving average that a checkpoint keeps (clm_optim_options.average); nothing changes
 * where it keeps none, as before the first update. */
CLM_API clm_status clm_params_load_average(clm_params *params, const clm_archive *archive);
/* Checkpoints of a run with several initialisations (clm_meta_options.initialisations) hold each: how many an archive has, 1 unless
 * it says more, and the same as above of one of them, from 0. CLM_E_ARG: there is no such one. */
CLM_API int clm_archive_initialisations(const clm_archive *archive);
CLM_API clm_status clm_params_load_of(clm_params *params, const clm_archive *archive, int initialisation);
CLM_API clm_status clm_params_load_average_of(clm_params *params, const clm_archive *archive, int initialisation);
/* Has the archive the parameters of a model, each with as many elements? To be asked before anything is made of a model that
 * comes from a file: what it says of its size costs a file nothing. CLM_E_FORMAT, CLM_E_SHAPE: one that it lacks. */
CLM_API clm_status clm_params_check(const clm_model *model, const clm_archive *archive);
typedef struct clm_import_report {
    size_t taken;        /* parameters that were in the file */
    char prefix[64];     /* what stands before their names there, such as "model." */
    size_t unused_count; /* arrays of the file that nothing took */
    char unused[1024];   /* their names: "fc.weight, fc.bias" */
    size_t statistics;   /* running statistics of batch-norm, which takes those of the tasks instead */
} clm_import_report;
/* Weights that another program has trained become the model's: arrays with the names and shapes that PyTorch gives them, with
 * or without a prefix, of any floating type; the checkpoint of another run is such a file too. Rates and parameters of the loss
 * stay as they are, and with new_head those of clm_model_head, for another number of classes. report: NULL, or what was done.
 * Nothing changes on failure: CLM_E_FORMAT names what the file lacks, CLM_E_SHAPE the array, CLM_E_NUMERIC one that is not
 * finite. */
CLM_API clm_status clm_params_import(clm_params *params, const clm_archive *archive, bool new_head, clm_import_report *report);
/* Copies entries that both have, by name and size. */
CLM_API void clm_params_copy(clm_params *to, const clm_params *from);

#ifdef __cplusplus
}
#endif
#endif
