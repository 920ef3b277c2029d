/* Inside a meta-learner.
 *
 * On several devices there is one struct clm_meta on each, a share, with its part of the meta-batch's tasks (split.c). The first is
 * the head: the one that callers hold, which alone has an optimiser. On one device the head is the only share.
 *
 * All meta-parameters (parameters, then learned rates) are one flat vector on the device, in inside layout; the gradient is
 * another. Tensors are views of them. The gradient is accumulated over chunks of tasks in task order, so its bits do not depend
 * on the chunk.
 */
#ifndef CLM_META_INTERNAL_H
#define CLM_META_INTERNAL_H

#include "base/thread.h"
#include "meta/inner.h"
#include "meta/optimizer/optimizer.h"
#include "program/dataset.h"
#include "program/internal.h"

typedef struct clm_bind {
    clm_value value;
    clm_tensor *tensor;
} clm_bind;

/* Numbers that are small enough to travel together: a transfer costs what the copying of some thousands of them does. */
enum { CLM_WRITE_TOGETHER = 16384, CLM_READ_TOGETHER = 16384 };

/* Something a program leaves in a tensor for the host: `count` numbers for each task. */
typedef struct clm_readout {
    clm_quantity what;
    size_t index; /* step or parameter */
    size_t program;
    clm_value value;
    clm_tensor *tensor; /* instead of program and value */
    clm_tensor *all; /* what `tensor` is a view of, from `at` on, with others of the program: one transfer reads them; or NULL */
    size_t at, count;
    double *host; /* [tasks, count] */
} clm_readout;

/* What one of several devices does for a gradient, and how it went. */
typedef enum clm_job_state { CLM_JOB_DONE, CLM_JOB_WANTED, CLM_JOB_OVER } clm_job_state;
typedef struct clm_job {
    clm_meta *share;
    const clm_meta *head;
    clm_batch batch;      /* its tasks */
    bool update;          /* with clm_optimizer_run */
    clm_thread *thread;   /* NULL: the caller does it */
    clm_monitor *monitor; /* guards `state`; the rest belongs to the thread while WANTED and to the caller otherwise */
    clm_job_state state;
    clm_status status;
    char message[1024];
} clm_job;

struct clm_meta {
    clm_device *device;
    clm_meta_options options;
    double *weights; /* step_weights, or NULL */
    clm_inner inner;
    size_t n_rates;                      /* tensors */
    size_t param_at[CLM_MAX_PARAMS + 1]; /* offsets in the flat vector */
    size_t rates_at, elements;
    clm_tensor *params, *grad; /* flat */
    clm_tensor *param[CLM_MAX_PARAMS], *param_grad[CLM_MAX_PARAMS];
    clm_tensor **rate, **rate_grad; /* [n_rates] views; NULL where a parameter has none */
    clm_optimizer outer;
    bool prepared, computed; /* computed: there is a gradient to read */
    /* several devices (split.c) */
    clm_meta **shares; /* of the head: [n_shares], itself first; NULL in the others */
    size_t n_shares;
    int tasks;            /* head: of the whole meta-batch; options.tasks are those of the share */
    int first;            /* the share's first task */
    bool moved;           /* head: its parameters have changed since the others received them */
    double *values, *sum; /* where there are several shares: the head's parameters, the share's gradient, on the host */
    double seconds;       /* that the last gradient took on this device */
    clm_job *jobs;        /* of the head: [n_shares], once prepared */
    clm_device *whole;    /* of the head: the device whose parts the shares are (divide.c), or NULL */
    /* the gradient, as planned (gradient.c) and run (replay.c) */
    clm_workspace *workspace;
    clm_program **programs; /* replayed in this order for every chunk */
    size_t n_programs, programs_capacity;
    bool all_at_once;     /* one program for all tasks: it writes the gradient, where others add to it */
    clm_tensor **tensors; /* reserved with the plan */
    size_t n_tensors, tensors_capacity;
    clm_tensor *batch[4]; /* support x, y, query x, y of one chunk */
    clm_tensor
        *packed; /* where these are small: what they are views of, in this order, so that one transfer writes them; or NULL */
    const clm_dataset *data; /* on this device; NULL: batches hold images */
    clm_pick *pick[2];       /* support, query; where there are data */
    clm_readout *readouts;
    size_t n_readouts, readouts_capacity;
    float *packing; /* [CLM_WRITE_TOGETHER], for `packed` */
    float *reading; /* [chunks of tasks, chunk_reads]: every clm_readout.all, as they follow one another */
    size_t chunk_reads;
    float *staging; /* for inputs that change layout */
    clm_meta_plan plan;
    uint64_t model_hash; /* of what the model computes, for plan_store.c; 0: not made yet */
};

/* Plans the meta-gradient for a way of checkpointing and a number of tasks per launch, replacing an earlier plan. */
clm_status clm_gradient_plan(clm_meta *m, clm_checkpointing checkpointing, int chunk);
void clm_gradient_free(clm_meta *m);
/* Forgets a plan that belongs to another, of which `m` is a copy. */
void clm_gradient_detach(clm_meta *m);
clm_status clm_gradient_prepare(clm_meta *m);
/* Waits, once, for the sum of the tasks' gradients and what is read of it, and, where `update` is not NULL, for clm_optimizer_run. */
clm_status clm_gradient_run(clm_meta *m, const clm_batch *batch, clm_optimizer *update);
size_t clm_gradient_bytes(const clm_meta *m);
const clm_readout *clm_gradient_readout(const clm_meta *m, clm_quantity what, size_t index);

/* A plan under the limit on memory (plan.c). */
clm_status clm_meta_plan_share(clm_meta *m);
/* Memory (fit.c). Allocates and builds, runs; where the device has less memory than it says, with a smaller plan. Parameters and the optimiser's state
 * stay as they are. */
clm_status clm_fit_prepare(clm_meta *m);
/* The same with the plan as it is, or CLM_E_MEMORY. */
clm_status clm_fit_commit(clm_meta *m);
clm_status clm_fit_run(clm_meta *m, const clm_batch *batch, bool update);

/* Batches on their way to the device (feed.c). Device memory for it beside the tensors; what is needed is made and freed with the plan;
 * a batch of all tasks is checked; the tasks of a chunk are handed over. */
size_t clm_feed_bytes(const clm_meta *m);
clm_status clm_feed_prepare(clm_meta *m);
void clm_feed_free(clm_meta *m);
clm_status clm_feed_check(const clm_meta *m, int tasks, const clm_batch *batch);
clm_status clm_feed_chunk(clm_meta *m, const clm_batch *batch, int chunk_index);
/* The tasks of a share within a batch of all. */
clm_batch clm_feed_part(const clm_meta *m, const clm_batch *batch);

/* Several devices. The gradient of the whole meta-batch, in the head's flat gradient; for one share, just that. `update`: and clm_optimizer_run. */
clm_status clm_split_gradient(clm_meta *head, const clm_batch *batch, bool update);
/* clm_meta_create_on without a thought for dividing a device. */
clm_status clm_split_create(clm_meta **out, const clm_meta_share *shares, size_t n, const clm_model *model,
                            const clm_meta_options *options);
/* Host memory for exchanging parameters and gradients. */
clm_status clm_split_prepare(clm_meta *head);
/* Shares `tasks` tasks out so that the slowest device, at these speeds, is done as early as possible. */
void clm_split_proportional(const double *speed, size_t n, int tasks, int *share);
/* One device's part: plans it, allocates and builds, frees. meta.c */
clm_status clm_meta_create_share(clm_meta **out, clm_device *device, const clm_model *model, const clm_meta_options *options,
                                 bool head);
clm_status clm_meta_prepare_share(clm_meta *m);
/* Parameters by clm_model_init_param(seed 0), rates by inner_lr, into the flat vector. */
clm_status clm_meta_write_initial(clm_meta *m);
void clm_meta_free_share(clm_meta *m);
clm_status clm_meta_check_options(const clm_meta_options *options);

/* Reads or writes the rates per step, one run of a flat vector (params or grad). */
clm_status clm_meta_step_rates(clm_meta *m, clm_tensor *flat, const double *in, double scale, double *out);

/* Index of a rate tensor: per step k and parameter i, or per parameter. */
size_t clm_meta_rate_slot(const clm_meta *m, size_t k, size_t i);

/* Binds those of the pairs that the program has. */
clm_status clm_bind_all(clm_program *p, const clm_bind *binds, size_t n);
/* Labels [tasks, examples] must be classes of the model: another would be scored as if it were not there. Anything goes for MSE.
 */
clm_status clm_labels_check(const clm_inner *inner, int tasks, const char *what, const float *labels, int examples);
/* [tasks, n, C, H, W] floats to channels last where the layout differs; returns data itself where it does not. */
const float *clm_inner_input(const clm_model *model, const float *data, size_t examples, float *staging);
bool clm_inner_input_differs(const clm_model *model);
/* Writes/reads arrays of parameter i in outside layout. */
clm_status clm_param_write(const clm_model *model, size_t i, clm_tensor *to, const double *data);
clm_status clm_param_read(const clm_model *model, size_t i, clm_tensor *from, size_t count, double scale, double *data);

#endif
