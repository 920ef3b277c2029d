/* One task of a meta-batch, resolved: the rows behind the names of clm_task_options, and every tensor that is learned or
 * adapted.
 *
 * The tensors (entries) are the model's parameters, those of the loss, then the learned rates. On a device they are one flat
 * vector in inside layout, the learned ones first: the gradient and the optimiser's state are as long as that part. A leaf is
 * what a graph has as an input: an entry, or one row of it where there is one for each inner step.
 */
#ifndef CLM_META_TASK_H
#define CLM_META_TASK_H

#include "base/error.h"
#include "clmaml/task.h"

#define CLM_MAX_PARAMS 256
enum { CLM_DROPOUT_KEY = 4 }; /* numbers of clm_dropout_key */
enum { CLM_MAX_STATE = 2 };   /* carried tensors of an inner rule for each adapted parameter */

typedef struct clm_entry {
    char name[96];                /* in an archive */
    clm_shape shape, inner_shape; /* of one row, outside and inside */
    clm_layout layout;
    int rows; /* 0: one for all inner steps */
    bool learned, adapted, rate;
    size_t at, size; /* in the flat vector, all rows */
    size_t first_leaf, n_leaves;
    clm_shape leaf_shape;  /* inside */
    const double *initial; /* [size]; NULL: by `constant`, or by the model */
    double constant;
} clm_entry;

typedef struct clm_leaf {
    size_t entry, at;
    clm_shape shape;
    bool learned;
} clm_leaf;

struct clm_algorithm;
struct clm_inner_rule;
struct clm_loss;

typedef struct clm_task {
    const clm_model *model;
    clm_task_options options; /* resolved; the lists of prefixes are gone, step_weights and class weights are copies */
    const struct clm_algorithm *algorithm;
    const struct clm_inner_rule *rule;
    const struct clm_loss *loss;
    size_t n_model, n;  /* parameter tensors: of the model, in all */
    clm_entry *entries; /* n parameters, then the rates */
    size_t n_entries, entries_capacity;
    clm_leaf *leaves;
    size_t n_leaves;
    size_t elements, learned; /* of the flat vector; of its learned part */
    double *weights;          /* options.step_weights, or NULL */
    double *class_weights;
} clm_task;

/* Inputs of a graph for one set of examples of a task. */
typedef struct clm_examples {
    clm_value x, y;
    /* Of an uneven task: 1 for examples [n], outputs [classes] that count and 0 for others; CLM_INVALID: all count. */
    clm_value mask, outputs;
    clm_dropout dropout; /* of a pass over them; key CLM_INVALID: nothing is dropped */
} clm_examples;

/* Output, loss and accuracy (CLM_INVALID where the targets are no labels) of parameters theta on examples. */
typedef struct clm_scored {
    clm_value out, loss, accuracy;
} clm_scored;

clm_status clm_task_init(clm_task *task, const clm_model *model, const clm_task_options *options);
void clm_task_free(clm_task *task);
/* The weights [steps] of the multi-step loss, or NULL: finite, and not all 0. */
clm_status clm_task_check_weights(const double *weights, int steps);
/* Fills in the tensors, once the rows are found; `given` has the lists of prefixes. */
clm_status clm_task_list_entries(clm_task *task, const clm_task_options *given);
/* Of everything in the options that decides what is computed; not of the model. */
uint64_t clm_task_hash(const clm_task *task);

/* The row of steps 0, 1, ..: later steps than there are rows use the last. */
size_t clm_task_param_leaf(const clm_task *task, size_t i, int step);
/* SIZE_MAX: the rate of parameter i is not learned. */
size_t clm_task_rate_leaf(const clm_task *task, size_t i, int step);
/* Entry of the rates of parameter i (of all, per step, for i = 0); n_entries: none. */
size_t clm_task_rate_entry(const clm_task *task, size_t i);
/* Classes that labels tell apart; 0: targets are no labels. */
int clm_task_classes(const clm_task *task);
/* Of one example's target; rank 0: a label. */
clm_shape clm_task_target_shape(const clm_task *task);
/* Support examples of a task in a batch, all inner steps together. */
int clm_task_support(const clm_task *task);
/* Does the inner loop do anything? */
bool clm_task_adapts(const clm_task *task);

/* An entry between outside layout (doubles) and its place in the flat vector. */
void clm_entry_to_inner(const clm_entry *entry, const double *outer, double *inner);
void clm_entry_to_outer(const clm_entry *entry, const double *inner, double *outer);
clm_shape clm_entry_shape(const clm_entry *entry); /* outside, with the rows */
void clm_task_initial(const clm_task *task, size_t entry, uint64_t seed, double *outer);

/* Adds a parameter of the loss. */
clm_status clm_task_add_param(clm_task *task, const char *name, clm_shape shape, bool learned, double constant,
                              const double *initial);
/* Marks what prefixes name as adapted or not, learned or not. */
typedef enum clm_mask { CLM_MASK_ADAPTED, CLM_MASK_LEARNED } clm_mask;
clm_status clm_task_mask(clm_task *task, const char *option, const char *const *prefix, size_t n, clm_mask mask, bool value);
void clm_task_adapt_all(clm_task *task, bool adapted);
/* The last layer's parameters. */
void clm_task_adapt_head(clm_task *task, bool adapted);

/* ---- in a graph ---- */

clm_examples clm_task_examples(const clm_task *task, clm_graph *g, const char *name, int count);
/* The key of the task's dropout; CLM_INVALID where the model drops nothing. */
clm_value clm_task_dropout_key(const clm_task *task, clm_graph *g);
/* The model's output for examples, with what is dropped of them; stats may be NULL. */
clm_value clm_task_apply(const clm_task *task, clm_graph *g, const clm_value *theta, clm_examples e, clm_bn_stats *stats);
clm_value clm_task_features(const clm_task *task, clm_graph *g, const clm_value *theta, clm_examples e);
/* The examples of which `rows` [n] has the places, and -1 for those that do not count: these read as zeros. CLM_INVALID: as they
 * are. */
clm_examples clm_task_masked(clm_graph *g, clm_examples e, clm_value rows, clm_value outputs);
/* How many count: a scalar. */
clm_value clm_task_count(clm_graph *g, clm_examples e);
/* What the loss makes of an output for these examples. */
clm_scored clm_task_score_output(const clm_task *task, clm_graph *g, const clm_value *theta, clm_value out, clm_examples e);
/* Scores parameters theta [n] on examples by the model itself. */
clm_scored clm_task_score(const clm_task *task, clm_graph *g, const clm_value *theta, clm_examples e);

/* A set of a batch, as messages name it, and which of its examples count: all, or so many of every `part` as `sizes` [tasks] say. */
typedef struct clm_set {
    const char *name; /* "support" */
    int examples;     /* of a task */
    int part;         /* of an inner step: as many, unless it has a set of its own */
    bool query;
    const clm_task_size *sizes; /* NULL: all */
} clm_set;
clm_set clm_task_set(const clm_task *task, bool query, const clm_task_size *sizes);
/* Sizes [tasks] must be ones that there can be; NULL is allowed. */
clm_status clm_task_check_sizes(const clm_task *task, int tasks, const clm_task_size *sizes);
/* Labels [tasks, examples] must be classes: another would be scored as if it were not there. Targets may be anything. */
clm_status clm_task_check_labels(const clm_task *task, int tasks, const clm_set *set, const float *labels);
/* Examples [tasks, examples, in_shape..] of a model that begins with an embedding must be numbers of its rows: any other would be read
 * as one of them. */
clm_status clm_task_check_tokens(const clm_task *task, int tasks, const clm_set *set, const float *x);
/* What clm_task_masked takes, for one task: rows [part] of a set, outputs [classes]. */
void clm_task_fill_rows(const clm_set *set, size_t task, float *rows);
void clm_task_fill_outputs(const clm_task *task, const clm_task_size *size, float *outputs);

#endif
