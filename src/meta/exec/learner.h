/* Inside a learner: its tensors and programs. */
#ifndef CLM_META_LEARNER_H
#define CLM_META_LEARNER_H

#include "meta/algorithm/algorithm.h"
#include "meta/internal.h"

enum { CLM_MAX_STATS = 64 };

/* What a learner that comes from a file has beside: see learner_use.c. */
typedef struct clm_learner_use {
    clm_model *model; /* owned */
    int steps;        /* of an adaptation */
    bool adapted;     /* the file holds an adapted model: nothing is left to adapt */
    int ways;         /* of an adapted model; 0: a regression */
    bool pictures;
    clm_preparation preparation;
    char **names; /* of the classes; NULL: they have none */
    size_t n_names;
    /* Statistics of batch-norm in the support set, and the last layer that is made of it (protonet). */
    clm_tensor *mean[CLM_MAX_STATS], *var[CLM_MAX_STATS], *weight, *bias;
    size_t n_stats;
    clm_program *freeze[2]; /* makes these; NULL: there is nothing to make */
    bool frozen;            /* they are those of the parameters at hand */
    double *values;         /* of the largest parameter, for saving */
    double *outputs;        /* of all planned examples, where fewer are asked for */
    clm_params **starts;    /* [n_starts] initialisations to choose from; NULL: there is one */
    int n_starts, chosen;
} clm_learner_use;

struct clm_learner {
    clm_device *device;
    clm_learner_use *use; /* NULL: made by clm_learner_create */
    clm_learner_options options;
    clm_task task;
    clm_tensor *shared[CLM_MAX_PARAMS];                    /* NULL for what has a row for each step */
    clm_tensor *set[2][1 + CLM_MAX_STATE][CLM_MAX_PARAMS]; /* adapted ones, then the carried state of each */
    clm_tensor *element_rate[CLM_MAX_PARAMS];              /* CLM_RATES_PER_ELEMENT */
    /* What differs from step to step: views of one vector on the device, and its values for every step on the host. */
    clm_tensor *stepped, *row[CLM_MAX_PARAMS], *rate[CLM_MAX_PARAMS], *scalar[CLM_MAX_STATE];
    size_t stepped_size, row_at[CLM_MAX_PARAMS], rates_at;
    double *values; /* [steps, stepped_size], scalars last and not filled in */
    double *writing;
    int written;         /* the step that is on the device; -1: none */
    clm_tensor *support; /* what the next two are views of, so that one transfer writes them */
    clm_tensor *support_x, *support_y, *query_x;
    clm_tensor *counting[3]; /* of uneven tasks, as clm_exec has them; NULL: none */
    clm_task_size *sizes;    /* [tasks]; NULL: tasks are of one size */
    clm_tensor *loss[2], *out[2];
    clm_workspace *workspace;
    clm_program *start, *step[2], *predict[2];
    int at;    /* the set that holds the current parameters */
    int taken; /* steps since begin */
    bool begun;
    float *staging;  /* for inputs that change layout */
    float *sending;  /* support x, y, query x on their way, where they are small; NULL: they are waited for */
    bool on_its_way; /* what is in `sending` may not have been read yet */
    float *reading;  /* predictions on their way, where they are small */
    const clm_dataset *data;
    clm_pick *pick[2]; /* support, query; where there are data */
};

/* The programs over the tensors, prepared (learner_programs.c). */
clm_status clm_learner_build(clm_learner *l);

/* clm_learner_create; takes `use`, which may be NULL. */
clm_status clm_learner_make(clm_learner **out, clm_device *device, const clm_model *model, const clm_learner_options *options,
                            clm_learner_use *use);
/* Memory for what counts of uneven tasks (learner_sizes.c). */
clm_status clm_learner_make_counting(clm_learner *l);
/* The initial parameters, or what the algorithm begins with. */
clm_status clm_learner_restart(clm_learner *l);
void clm_learner_use_free(clm_learner_use *use);
/* Before a prediction: what is made of the support set is up to date. */
clm_status clm_learner_freeze(clm_learner *l);

static inline bool clm_learner_adapts(const clm_learner *l, size_t i) { return l->task.entries[i].adapted; }

#endif
