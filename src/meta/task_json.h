/* Task options and preparations as JSON, for the metadata of checkpoints. */
#ifndef CLM_META_TASK_JSON_H
#define CLM_META_TASK_JSON_H

#include <jansson.h>

#include "base/error.h"
#include "clmaml/data.h"
#include "clmaml/task.h"

/* What learning a new task depends on; not the numbers of examples. NULL: out of memory. classes: of class weights. */
json_t *clm_task_to_json(const clm_task_options *options, size_t classes);
/* The strings and lists point into `json` and `store`, which must outlive the options' use. */
enum { CLM_TASK_PREFIXES = 64, CLM_TASK_WEIGHTS = 4096, CLM_TASK_STEPS = 1 << 16, CLM_TASK_WAYS = 1 << 20 };
typedef struct clm_task_store {
    const char *prefix[3][CLM_TASK_PREFIXES];
    double class_weights[CLM_TASK_WEIGHTS];
    size_t n_class_weights;
} clm_task_store;
/* Class weights are as many as store->n_class_weights: the caller compares that with the classes that there are. */
clm_status clm_task_from_json(const json_t *json, clm_task_options *options, clm_task_store *store);

/* A whole number from 0 to `most` under a key, 0 where there is none. */
clm_status clm_json_whole(const json_t *json, const char *key, int most, int *out);

json_t *clm_preparation_to_json(const clm_preparation *preparation);
clm_status clm_preparation_from_json(const json_t *json, clm_preparation *out);

#endif
