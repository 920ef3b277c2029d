/* Meta-learning: the gradient of an algorithm (task.h) over a meta-batch of tasks, and the outer update.
 *
 * For MAML, with theta_0 = theta and theta_{k+1} = theta_k - A_k o g_k, g_k the gradient of the support loss at theta_k, the
 * meta-loss is the mean over tasks of sum_k w_k L_query(theta_k) (only w_K = 1 unless step weights are given). Its exact
 * gradient comes from lambda_K = w_K grad L_query(theta_K), lambda_k = lambda_{k+1} - H_k (A_k o lambda_{k+1}) + w_k grad
 * L_query(theta_k), one Hessian-vector product (forward over reverse) per inner step. First order drops the H term. Other inner
 * rules and algorithms: docs/algorithms.md.
 */
#ifndef CLMAML_META_H
#define CLMAML_META_H

#include "checkpoint.h"
#include "comm.h"
#include "dataset.h"
#include "learner.h"
#include "model.h"
#include "optim.h"
#include "params.h"
#include "program.h"
#include "task.h"
#include "tune.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum clm_checkpointing { CLM_CHECKPOINT_AUTO, CLM_CHECKPOINT_STORE, CLM_CHECKPOINT_RECOMPUTE } clm_checkpointing;
CLM_API const char *clm_checkpointing_name(clm_checkpointing checkpointing); /* "auto", "store", "recompute" */

typedef struct clm_meta_options {
    int version;           /* CLM_META_OPTIONS_VERSION */
    int tasks;             /* tasks of a meta-batch */
    clm_task_options task; /* what happens in each */
    /* Derivative-order annealing (Antoniou et al. 2019): outer updates that leave out the second-order term, from the first. */
    uint64_t first_order_until;
    /* Plan the first-order gradient beside the other, for clm_meta_gradient_of_order; implied by first_order_until. */
    bool both_orders;
    clm_checkpointing checkpointing;
    size_t memory_limit; /* bytes of device memory; 0: CLMAML_MEMORY_LIMIT, else nine tenths of what is free */
    int task_chunk; /* tasks per launch, a divisor of `tasks`; 0: as many as fit, fewer where that keeps a CPU's cache warm */
    bool keep_adapted; /* keep every task's adapted parameters for clm_meta_read; not with several initialisations */
    clm_optim_options optim;
    /* Sets of meta-parameters, rates included, 1 to CLM_INITIALISATIONS_MOST; 0: 1. Every task belongs to one of them, see
     * clm_batch.chosen: its gradient goes to this one alone. The outer rule, its norms and its moments are of all together. */
    int initialisations;
    clm_comm *
        comm; /* several processes share the meta-batch, see below; NULL: this one has all of it. Not with several initialisations */
} clm_meta_options;
enum { CLM_INITIALISATIONS_MOST = 16 };
#define CLM_META_OPTIONS_VERSION 4
#define CLM_META_OPTIONS_INIT                                                                            \
    {                                                                                                    \
        CLM_META_OPTIONS_VERSION, 32, CLM_TASK_OPTIONS_INIT, 0, false, CLM_CHECKPOINT_AUTO, 0, 0, false, \
            CLM_OPTIM_OPTIONS_INIT, 0, NULL                                                              \
    }

/* One meta-batch, C order, in outside layout: x [tasks, n, in_shape..]; y [tasks, n] labels, or [tasks, n, target..]. With
 * support_per_step, support arrays are [tasks, steps, n, ..]. */
typedef struct clm_batch {
    const float *support_x, *support_y, *query_x, *query_y;
    const int32_t *support_at,
        *query_at;         /* [tasks, n] instead of support_x, query_x: numbers of images, see clm_meta_use_data */
    const int32_t *chosen; /* [tasks]: which of several initialisations a task belongs to, from 0; NULL: the first, for all */
    const clm_task_size
        *sizes; /* [tasks], with clm_task_options.uneven; NULL: all are as large as can be. Numbers of images must be
                                 * ones that there are, also where they do not count. */
} clm_batch;

typedef struct clm_meta clm_meta;

/* Plans everything and predicts the memory; allocates and builds on the first use or on clm_meta_prepare. The model must
 * outlive it. Errors: CLM_E_LIMIT when even one task at a time does not fit (says what would). Parameters start from
 * clm_model_init_param(seed 0) and rates from inner_lr. A CPU is divided into equal parts that work on their tasks apart, with
 * threads of their own, where the tasks are large enough; CLMAML_CPU_PARTS=1 leaves it whole. */
CLM_API clm_status clm_meta_create(clm_meta **out, clm_device *device, const clm_model *model, const clm_meta_options *options);
enum { CLM_CPU_PARTS_MOST = 4 };            /* parts of a CPU, unless CLMAML_CPU_PARTS asks for more */
CLM_API void clm_meta_free(clm_meta *meta); /* NULL is allowed */
/* Builds all programs and allocates all memory, so that no later call does. Errors: CLM_E_BUILD, CLM_E_MEMORY, .. of the
 * device. */
CLM_API clm_status clm_meta_prepare(clm_meta *meta);

/* Why a plan has its way of checkpointing and its tasks per launch. */
typedef enum clm_plan_reason {
    CLM_PLAN_ASKED,   /* the options say so */
    CLM_PLAN_WHOLE,   /* everything is kept and all tasks are taken at once: the default */
    CLM_PLAN_MEMORY,  /* more would not fit */
    CLM_PLAN_CACHE,   /* so that values stay in a processor's cache: by a model */
    CLM_PLAN_MEASURED /* the fastest that clm_meta_tune found */
} clm_plan_reason;
/* "as measured", to follow a plan in a sentence. */
CLM_API const char *clm_plan_reason_text(clm_plan_reason reason);

/* What the limit on a plan's memory is taken of; what is used beside the plan is not in it. */
typedef enum clm_limit_reason {
    CLM_LIMIT_ASKED,  /* memory_limit or CLMAML_MEMORY_LIMIT */
    CLM_LIMIT_DEVICE, /* nine tenths of the device's memory */
    CLM_LIMIT_FREE    /* nine tenths of what was free of it: of the system's where it is shared with the host */
} clm_limit_reason;
/* "of nine tenths of the device's memory", to follow an amount in a sentence. */
CLM_API const char *clm_limit_reason_text(clm_limit_reason reason);

typedef struct clm_meta_plan {
    size_t bytes;                    /* device memory in all, exactly what will be allocated */
    clm_checkpointing checkpointing; /* the one chosen */
    int task_chunk;
    int parts; /* of a CPU, which take their tasks apart, each with a copy of a data set on the device; 1: it is not divided */
    clm_plan_reason reason;
    size_t launches, kernels; /* of a meta-gradient */
    double flops, traffic;    /* of a meta-gradient; see clm_program_stats */
    size_t limit;             /* bytes that it had to stay within; SIZE_MAX: nothing is known of the device's memory */
    clm_limit_reason limit_reason;
} clm_meta_plan;
CLM_API clm_meta_plan clm_meta_get_plan(const clm_meta *meta);

/* The implementations by which the meta-gradient's heavy operations are computed, as "conv2d gemm, direct; matmul direct",
 * cut off at `size` bytes; returns `text`. docs/passes.md says what they are. */
CLM_API const char *clm_meta_implementations(const clm_meta *meta, char *text, size_t size);

/* Tunes what a meta-gradient runs, on each of its devices, and plans anew with what was found. Before clm_meta_prepare.
 * First clm_tune_programs for its operations; that takes memory of its own for the time it lasts: operands and result of one
 * operation. Then, where the options leave checkpointing or task_chunk open, whole plans: meta-gradients of random tasks, with
 * everything kept or recomputed, by different numbers of tasks per launch, as far as the limit on memory allows. The fastest,
 * if it is 3 % faster than the one taken unmeasured, is what later meta-learners of the same model, algorithm and examples take
 * on this device; for another number of tasks, or under another limit, they take what comes nearest to it and fits. What the
 * options say always wins. */
CLM_API clm_status clm_meta_tune(clm_meta *meta, const clm_tune_options *options);

/* ---- several devices ----
 * The tasks of a meta-batch can be shared out to several devices, which compute at the same time. Each holds the parameters and
 * runs consecutive tasks; the gradients are sums over its tasks, in task order, which are added up in the order of the devices.
 * So the same shares on the same devices give the same bits. The first device makes the update and passes the new parameters
 * on. All other functions are used as with one device. All devices belong to the calling thread; a gradient drives them from
 * threads of its own, which sleep between calls and end with clm_meta_free. */
typedef struct clm_meta_share {
    clm_device *device;
    int tasks;           /* consecutive tasks of the meta-batch; 0: the device is not used */
    size_t memory_limit; /* bytes of this device's memory; 0: as the options have it */
} clm_meta_share;
/* Plans on each device. The shares' tasks must make up options->tasks; task_chunk counts as the most that a launch has on any
 * device. A failure that concerns one device names it. */
CLM_API clm_status clm_meta_create_on(clm_meta **out, const clm_meta_share *shares, size_t n, const clm_model *model,
                                      const clm_meta_options *options);
/* Fills in `tasks` of n shares in proportion to measured speed: the devices share the tasks evenly for a few gradients of
 * made-up tasks, all at once. tasks_per_second [n] receives what was measured. A device that is too slow to be of help gets
 * none. Not repeatable to the last task: keep the result where runs are to be repeated. */
CLM_API clm_status clm_meta_balance(clm_meta_share *shares, double *tasks_per_second, size_t n, const clm_model *model,
                                    const clm_meta_options *options);
/* The devices in use, in task order. clm_meta_get_plan is of all together, with checkpointing and task_chunk of the first. */
typedef struct clm_meta_part {
    clm_device *device;
    int first, tasks; /* tasks first .. first + tasks - 1 */
    double seconds;   /* that the last gradient took on it; 0 before the first */
    clm_meta_plan plan;
} clm_meta_part;
CLM_API size_t clm_meta_part_count(const clm_meta *meta);
CLM_API clm_meta_part clm_meta_get_part(const clm_meta *meta, size_t index);

/* ---- several processes ----
 * With clm_meta_options.comm every rank has a meta-learner with the same options, and the tasks of a meta-batch are shared out to them:
 * `tasks` counts all, clm_comm_share says which are this rank's, and batches, shares of devices and results of single tasks are of
 * these alone. Creating it, clm_meta_gradient, clm_meta_step and clm_meta_share_out are collective. Creation fails on all ranks,
 * with CLM_E_STATE, where version, model, options or plan of one are others than those of rank 0.
 *
 * A gradient leaves every task's apart; they are added up in task order, element by element, on the way from rank to rank, as one device
 * does that has all tasks: so neither the number of ranks nor that of devices of one kind changes a bit, and where that one device is not
 * divided into parts, the bits are those of a process without a communicator. Rank 0 has the optimiser, makes the update, and passes the
 * parameters on, so ranks never drift apart, whatever their devices. The moving average and the moments are its alone. */

/* Collective. Rank 0's parameters, rates and number of updates to all others: after it has set or restored them. */
CLM_API clm_status clm_meta_share_out(clm_meta *meta);

/* Batches may name images of a data set from now on. One data set for each device in use, with the same images; n 0: none any
 * more. Batches of the images themselves can be given as before. */
CLM_API clm_status clm_meta_use_data(clm_meta *meta, clm_dataset *const *datasets, size_t n);

/* clm_program_profile of all programs of a meta-gradient together; device by device. */
CLM_API clm_status clm_meta_profile(clm_meta *meta, int runs, FILE *to);

/* All parameters and rates, to and from the host: `params` made with the same model and task options. Of others what both have,
 * by name and size, is taken, and the rest stays. */
CLM_API clm_status clm_meta_set_params(clm_meta *meta, clm_params *params);
CLM_API clm_status clm_meta_get_params(clm_meta *meta, clm_params *params);
/* The moving average of the parameters (clm_optim_options.average); the parameters themselves before the first update.
 * CLM_E_STATE where none is kept. */
CLM_API clm_status clm_meta_get_average(clm_meta *meta, clm_params *params);

/* The same of one of several initialisations, from 0; CLM_E_ARG for one that there is not. Those above are of the first. Each
 * starts from clm_model_init_param of a seed of its own, the first from seed 0. */
CLM_API clm_status clm_meta_set_params_of(clm_meta *meta, int initialisation, clm_params *params);
CLM_API clm_status clm_meta_get_params_of(clm_meta *meta, int initialisation, clm_params *params);
CLM_API clm_status clm_meta_get_average_of(clm_meta *meta, int initialisation, clm_params *params);
CLM_API int clm_meta_initialisations(const clm_meta *meta); /* how many there are; 1 unless the options say more */

/* One tensor of the first initialisation, outside layout: parameter i of the model, then of the loss; with batch_norm_per_step [steps, C]. Rates: for
 * CLM_RATES_PER_STEP index 0 holds all; for CLM_RATES_PER_ELEMENT index i is parameter i's rates. Each call waits for the
 * device. CLM_E_ARG for an index that there is not, and for rates of what is not adapted. */
CLM_API clm_status clm_meta_set_param(clm_meta *meta, size_t i, const double *data);
CLM_API clm_status clm_meta_get_param(clm_meta *meta, size_t i, double *data);
CLM_API clm_status clm_meta_set_rate(clm_meta *meta, size_t i, const double *data);
CLM_API clm_status clm_meta_get_rate(clm_meta *meta, size_t i, double *data);
CLM_API size_t clm_meta_rate_size(const clm_meta *meta, size_t i); /* 0: no such rates */
CLM_API bool clm_meta_is_adapted(const clm_meta *meta, size_t i);
CLM_API bool clm_meta_is_learned(const clm_meta *meta, size_t i);
CLM_API size_t clm_meta_param_count(const clm_meta *meta);     /* tensors: of the model and of the loss */
CLM_API clm_shape clm_meta_target_shape(const clm_meta *meta); /* of one example; rank 0: a label */

/* Other weights of the multi-step loss from the next gradient on: [steps], finite, negative ones too, not all 0 (CLM_E_ARG).
 * CLM_E_STATE where the options gave none. */
CLM_API clm_status clm_meta_set_step_weights(clm_meta *meta, const double *weights);

/* Where the model has dropout: what a meta-gradient drops is a function of this seed, 0 at first, the number of outer updates so
 * far (clm_meta_iteration), a task's place in the meta-batch, and the pass. Every inner step's pass over the support set and every
 * pass over the query set drops anew; imaml's inner steps, which descend one function, drop the same. Neither devices nor plans
 * matter, and a checkpoint that is loaded goes on with the same masks. From the next gradient on. */
CLM_API void clm_meta_set_dropout_seed(clm_meta *meta, uint64_t seed);

/* Computes the meta-gradient; changes nothing else. */
CLM_API clm_status clm_meta_gradient(clm_meta *meta, const clm_batch *batch);
/* Of first (1) or the task's own order (2), where both_orders is set; otherwise CLM_E_STATE for 1. */
CLM_API clm_status clm_meta_gradient_of_order(clm_meta *meta, const clm_batch *batch, int order);

/* Results of the last clm_meta_gradient or clm_meta_step, as doubles in outside layout. */
typedef enum clm_quantity {
    CLM_Q_SUPPORT_LOSS,     /* [tasks, steps] before each inner step */
    CLM_Q_QUERY_LOSS,       /* [tasks], weighted over the steps with step_weights */
    CLM_Q_QUERY_LOGITS,     /* [tasks, query, out..] after the last step */
    CLM_Q_SUPPORT_ACCURACY, /* [tasks], before the first step (0 without labels) */
    CLM_Q_QUERY_ACCURACY,   /* [tasks], after the last step (0 without labels) */
    CLM_Q_ADAPTED,          /* parameter `index`: [tasks, shape..]; needs keep_adapted */
    CLM_Q_GRAD,     /* parameter `index`: of the mean over all tasks; of initialisation s: index + s clm_meta_param_count */
    CLM_Q_RATE_GRAD /* rates `index`; of initialisation s likewise */
} clm_quantity;
CLM_API size_t clm_meta_quantity_size(const clm_meta *meta, clm_quantity what, size_t index);
/* out [clm_meta_quantity_size]. CLM_E_STATE before the first gradient, CLM_E_ARG for what is not there (size 0). */
CLM_API clm_status clm_meta_read(clm_meta *meta, clm_quantity what, size_t index, double *out);

typedef struct clm_meta_report {
    double support_loss, query_loss, support_accuracy, query_accuracy; /* means over tasks; see clm_quantity */
    double grad_norm, lr;
} clm_meta_report;
/* Meta-gradient and outer update; `report` may be NULL. CLM_E_NUMERIC, with nothing updated, when the loss or the gradient is not
 * finite; after any other failure, too, parameters and optimiser are as they were. */
CLM_API clm_status clm_meta_step(clm_meta *meta, const clm_batch *batch, clm_meta_report *report);
/* Counts an outer update that was not made, as of a batch that gave CLM_E_NUMERIC: the next one has the rate of the next. Parameters and
 * moments stay as they are. */
CLM_API void clm_meta_skip(clm_meta *meta);

/* Everything that a continued run needs (parameters of all initialisations, rates, optimiser state, step counter) to and from an
 * archive, see clm_params_load_of. Restoring
 * checks all names, shapes and values first: after CLM_E_FORMAT, CLM_E_SHAPE or CLM_E_ARG (another optimiser, another number of
 * initialisations) nothing has changed. */
CLM_API clm_status clm_meta_save(clm_meta *meta, clm_archive *archive);
CLM_API clm_status clm_meta_restore(clm_meta *meta, const clm_archive *archive);
CLM_API uint64_t clm_meta_iteration(const clm_meta *meta); /* outer updates made */

#ifdef __cplusplus
}
#endif
#endif
