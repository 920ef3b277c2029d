/* Inside a meta-learner.
 *
 * A clm_meta is what callers hold: the task, the optimiser, and one share for each device in use. A share has the flat vector
 * of meta-parameters on its device, its gradient, and an executable (clm_exec): the plan of a meta-gradient for its consecutive
 * tasks, with programs and memory. Planning anew replaces the executable and touches neither parameters nor the optimiser's
 * state. The first share is that of the optimiser.
 *
 * The gradient is accumulated over chunks of tasks in task order, so its bits do not depend on the chunk.
 */
#ifndef CLM_META_INTERNAL_H
#define CLM_META_INTERNAL_H

#include "base/thread.h"
#include "clmaml/learner.h"
#include "clmaml/meta.h"
#include "meta/optimizer/optimizer.h"
#include "meta/task.h"
#include "program/dataset.h"
#include "program/internal.h"

typedef struct clm_bind {
    clm_value value;
    clm_tensor *tensor;
} clm_bind;

/* Numbers that are small enough to travel together: a transfer costs what the copying of some thousands of them does. */
enum { CLM_WRITE_TOGETHER = 16384, CLM_READ_TOGETHER = 16384 };

/* ---- the executable (exec/) ---- */

/* Something a program leaves in a tensor for the host: `count` numbers for each task. */
typedef struct clm_readout {
    clm_quantity what;
    size_t index; /* step or parameter */
    size_t program;
    clm_value value;
    clm_tensor *tensor; /* instead of program and value */
    clm_tensor
        *all; /* what `tensor` is a view of, from `at` on, with others of the program: one transfer reads them; or NULL */
    size_t at, count;
    double *host; /* [tasks, count] */
} clm_readout;

/* The programs of a meta-gradient, run in this order for every chunk of tasks. */
typedef struct clm_variant {
    bool first_order;
    clm_program **programs;
    size_t n_programs, programs_capacity;
    clm_readout *readouts;
    size_t n_readouts, readouts_capacity;
    float *reading; /* [chunks of tasks, chunk_reads]: every clm_readout.all, as they follow one another */
    size_t chunk_reads;
} clm_variant;

typedef struct clm_exec {
    clm_workspace *workspace;
    clm_variant variant[2]; /* as the task says; of first order, where both are asked for */
    size_t n_variants;
    bool all_at_once;     /* one program for all tasks: it writes the gradient, where others add to it */
    bool clears;          /* the gradient is filled with zeros first */
    clm_tensor **tensors; /* reserved with the plan */
    size_t n_tensors, tensors_capacity;
    clm_tensor *batch[4]; /* support x, y, query x, y of one chunk */
    /* Where these are small: what they are views of, in this order, so that one transfer writes them; or NULL. */
    clm_tensor *packed;
    clm_tensor *weights, **weight; /* of the multi-step loss: [steps], and a view of each; NULL: none */
    bool weights_written;
    /* Of dropout: the keys of a chunk's tasks; on the host, [tasks, CLM_DROPOUT_KEY]. NULL: the model drops nothing. */
    clm_tensor *keys;
    float *keys_at;
    /* Which initialisation each task of a chunk belongs to; on the host, [tasks]. NULL: there is one. */
    clm_tensor *chosen;
    float *chosen_at;
    /* Of uneven tasks: rows of the support and of the query set, outputs (clm_task_masked), of a chunk; on the host, of all tasks.
     * NULL: all tasks are of one size; outputs: there are no classes. */
    clm_tensor *counting[3];
    float *counting_at[3];
    clm_pick *pick[2]; /* support, query; where there are data */
    /* Gradients of the tasks of a chunk apart, where they are asked for: views of `apart`, leaf by leaf [tasks, leaf]. */
    clm_tensor *apart, **apart_leaf;
    bool apart_cleared; /* filled with zeros first: a leaf gets nothing */
    clm_meta_plan plan;
} clm_exec;

/* What is asked of a plan. */
typedef struct clm_request {
    clm_checkpointing checkpointing;
    int task_chunk;
    size_t memory_limit;
    bool keep_adapted, both_orders;
    bool apart; /* gradients of single tasks, for devices/ranks.c, in place of their sum */
} clm_request;

/* ---- a share ---- */

typedef struct clm_share {
    clm_device *device;
    const clm_task *task;
    clm_request request;
    int tasks, first;               /* consecutive tasks of the meta-batch; of several processes, of this one's */
    int place;                      /* of the first in the whole meta-batch */
    size_t starts;                  /* initialisations */
    clm_tensor *params, *grad;      /* flat: starts times task->elements, task->learned; see clm_flat_place */
    clm_tensor *learned;            /* the learned part of params: a view, or params itself */
    clm_tensor **value, **gradient; /* [starts, task->n_leaves] views; gradient NULL for what is not learned */
    clm_optimizer *optimizer;       /* of the first share; NULL in the others */
    clm_exec exec;
    bool prepared;
    const clm_dataset *data; /* on this device; NULL: batches hold images */
    float *packing;          /* [CLM_WRITE_TOGETHER], for exec.packed */
    float *staging;          /* for inputs that change layout */
    float *weights;          /* [steps] of the multi-step loss, on their way */
    double *sum;             /* where there are several shares: the gradient on the host */
    void *apart;    /* gradients of its tasks: for each chunk, of each leaf, [tasks, leaf]; floats or, on the host, doubles */
    double seconds; /* that the last gradient took on this device */
    uint64_t seed, updates; /* of dropout: its seed, outer updates so far */
    size_t limit;           /* of memory, under which it was planned */
    clm_limit_reason limit_reason;
    uint64_t model_hash; /* of what the model computes, for plan_store.c; 0: not made yet */
} clm_share;

/* What a device does for a gradient, and how it went. */
typedef enum clm_job_state { CLM_JOB_DONE, CLM_JOB_WANTED, CLM_JOB_OVER } clm_job_state;
typedef struct clm_job {
    clm_share *share;
    const clm_meta *meta;
    clm_batch batch; /* its tasks */
    size_t variant;
    bool update;          /* with clm_optimizer_run */
    clm_thread *thread;   /* NULL: the caller does it */
    const void *user;     /* the caller, clm_device_user */
    clm_monitor *monitor; /* guards `state`; the rest belongs to the thread while WANTED and to the caller otherwise */
    clm_job_state state;
    clm_status status;
    char message[1024];
} clm_job;

struct clm_meta {
    clm_task task;
    clm_meta_options options; /* pointers into the caller's memory are gone */
    clm_optimizer optimizer;
    clm_share **shares;
    size_t n_shares;
    size_t starts;      /* initialisations */
    int first, tasks;   /* of the meta-batch, that are this process's: all, where there is no communicator */
    void *total;        /* of tasks apart: the sum of all ranks, [task.elements] floats or, where `wide`, doubles */
    bool wide, summed;  /* summed: the gradient at hand is that of all ranks */
    size_t variant;     /* that computed the gradient at hand */
    bool computed;      /* there is a gradient to read */
    bool moved;         /* the parameters have changed since the other shares received them */
    double *values;     /* where there are several shares: the parameters on the host */
    clm_job *jobs;      /* [n_shares], once prepared */
    clm_device *whole;  /* the device whose parts the shares are (devices/divide.c), or NULL */
    size_t whole_limit; /* of memory, as for the device; then */
    clm_limit_reason whole_limit_reason;
};

struct clm_params {
    clm_task task;
    double *values; /* [task.elements], at the entries' places, in outside layout */
};

/* One of several initialisations, from 0: the first has the plain names, the others stand behind a prefix. */
clm_status clm_params_save_of(clm_params *p, clm_archive *archive, clm_dtype dtype, int start);
clm_status clm_archive_set_initialisations(clm_archive *archive, size_t starts);

/* ---- exec/build.c, run.c, feed.c ---- */

/* Plans the meta-gradient for a way of checkpointing and a number of tasks per launch, replacing an earlier plan. */
clm_status clm_exec_plan(clm_share *m, clm_checkpointing checkpointing, int chunk);
void clm_exec_free(clm_share *m);
/* Forgets a plan that belongs to another share, of which `m` is a copy. */
void clm_exec_detach(clm_share *m);
clm_status clm_exec_prepare(clm_share *m);
/* Waits, once, for the sum of the tasks' gradients and what is read of it, and, where `update`, for clm_optimizer_run. */
clm_status clm_exec_run(clm_share *m, size_t variant, const clm_batch *batch, clm_optimizer *update, int all_tasks);
size_t clm_exec_bytes(const clm_share *m);
const clm_readout *clm_exec_readout(const clm_share *m, size_t variant, clm_quantity what, size_t index);
/* All programs of both variants, one behind the other; to be freed. */
clm_status clm_exec_programs(const clm_share *m, clm_program ***out, size_t *n);

/* Batches on their way to the device. Device memory for it beside the tensors; what is needed is made and freed with the plan;
 * a batch of all tasks is checked; the tasks of a chunk are handed over. */
size_t clm_feed_bytes(const clm_share *m);
clm_status clm_feed_prepare(clm_share *m);
void clm_feed_free(clm_share *m);
/* The keys of dropout of all tasks, on the host. */
void clm_feed_make_keys(clm_share *m);
/* Which initialisations the tasks of a batch belong to, on the host. */
void clm_feed_make_chosen(clm_share *m, const clm_batch *batch);
/* What counts of uneven tasks, on the host. */
void clm_feed_make_counting(clm_share *m, const clm_batch *batch);
clm_status clm_feed_check(const clm_share *m, int tasks, const clm_batch *batch);
clm_status clm_feed_chunk(clm_share *m, const clm_batch *batch, int chunk_index);
/* The tasks of a share within a batch of all. */
clm_batch clm_feed_part(const clm_share *m, const clm_batch *batch);
/* Numbers without meaning that no operation minds, for `tasks` tasks; label(user) below classes, number(user) otherwise. To be
 * freed. */
clm_status clm_feed_random(const clm_share *m, int tasks, uint64_t seed, float *data[4]);

/* ---- plan/ ---- */

/* A plan under the limit on memory. */
clm_status clm_plan_share(clm_share *m);
/* Of what the model computes; 0: no memory. */
uint64_t clm_plan_model_hash(clm_share *m);
/* Allocates and builds, runs; where the device has less memory than it says, with a smaller plan. Parameters and the
 * optimiser's state stay as they are. */
clm_status clm_retry_prepare(clm_share *m);
clm_status clm_retry_run(clm_share *m, size_t variant, const clm_batch *batch, clm_optimizer *update, int all_tasks);
/* Allocates and builds with the plan as it is, or CLM_E_MEMORY. */
clm_status clm_retry_commit(clm_share *m);

/* ---- devices/ ---- */

/* One device's share: planned; allocated and built; freed. The first share of a meta-learner has the optimiser. */
clm_status clm_share_create(clm_share **out, clm_meta *meta, const clm_meta_share *share, int first,
                            const clm_request *request);
clm_status clm_share_prepare(clm_share *m);
void clm_share_free(clm_share *m);
/* Where element `at` of a task's flat vector lies for an initialisation: the learned parts of all come first, then the others. */
static inline size_t clm_flat_place(const clm_task *t, size_t starts, size_t start, size_t at) {
    if (at < t->learned) return start * t->learned + at;
    return starts * t->learned + start * (t->elements - t->learned) + (at - t->learned);
}
/* Initial parameters and rates into the flat vector. */
clm_status clm_share_write_initial(clm_share *m);

clm_status clm_meta_check_options(const clm_meta_options *options);
/* clm_meta_create_on without a thought for dividing a device. */
clm_status clm_shares_create(clm_meta **out, const clm_meta_share *shares, size_t n, const clm_model *model,
                             const clm_meta_options *options);
/* Host memory and threads for exchanging parameters and gradients. */
clm_status clm_shares_prepare(clm_meta *meta);
void clm_shares_dismiss(clm_meta *meta);
/* The gradient of the whole meta-batch, in the first share's flat gradient. `update`: and the update. */
clm_status clm_shares_gradient(clm_meta *meta, size_t variant, const clm_batch *batch, bool update);

/* ranks.c: tasks apart, for several processes. */
bool clm_ranks_are_there(const clm_meta *meta);
/* Sees that all ranks do the same; once planned. */
clm_status clm_ranks_agree(clm_meta *meta);
/* Adds up what clm_exec_run left of all tasks, into the first share's gradient: on rank 0, or `all`. */
clm_status clm_ranks_add_up(clm_meta *meta, bool all);
/* Means over the tasks of all ranks of `n` numbers of each task, [n, tasks of this rank], on all ranks. */
clm_status clm_ranks_means(clm_meta *meta, const double *of_tasks, size_t n, double *means);
/* Rank 0's parameters to the others. */
clm_status clm_ranks_pass_on(clm_meta *meta);

/* Shares `tasks` tasks out so that the slowest device, at these speeds, is done as early as possible. */
void clm_shares_proportional(const double *speed, size_t n, int tasks, int *share);

/* ---- result.c ---- */
clm_status clm_result_report(clm_meta *meta, clm_meta_report *report);

/* ---- layouts and binding (layout.c) ---- */

/* Binds those of the pairs that the program has. */
clm_status clm_bind_all(clm_program *p, const clm_bind *binds, size_t n);
/* A copy of v that no other value is: identical copies differ by `index`. */
clm_value clm_copy_of(clm_graph *g, clm_value v, size_t index);
/* [examples, C, H, W] floats to channels last where the layout differs; returns data itself where it does not. */
const float *clm_input_to_inner(const clm_model *model, const float *data, size_t examples, float *staging);
bool clm_input_differs(const clm_model *model);
/* Writes or reads an entry in outside layout; `tensor` holds `count` of them in inside layout. */
clm_status clm_entry_write(const clm_entry *entry, clm_tensor *to, const double *data);
clm_status clm_entry_read(const clm_entry *entry, clm_tensor *from, size_t count, double scale, double *data);
/* The same for the part of a flat vector that the entry takes, from `at` on. */
clm_status clm_entry_write_flat(const clm_entry *entry, clm_tensor *flat, size_t at, const double *data);
clm_status clm_entry_read_flat(const clm_entry *entry, clm_tensor *flat, size_t at, double scale, double *data);

/* All devices of a meta-learner (clm_device_enter). */
clm_status clm_meta_enter(clm_meta *meta);
void clm_meta_leave(clm_meta *meta);
/* Returns from the function with what `call` returns. */
#define CLM_IN_META(meta, call)               \
    do {                                      \
        CLM_TRY(clm_meta_enter(meta));        \
        const clm_status clm_inside = (call); \
        clm_meta_leave(meta);                 \
        return clm_inside;                    \
    } while (0)

#endif
