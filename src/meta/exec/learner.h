/* Inside a learner: its tensors and programs. */
#ifndef CLM_META_LEARNER_H
#define CLM_META_LEARNER_H

#include "meta/algorithm/algorithm.h"
#include "meta/internal.h"

struct clm_learner {
    clm_device *device;
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

static inline bool clm_learner_adapts(const clm_learner *l, size_t i) { return l->task.entries[i].adapted; }

#endif
