/* Reinforcement learning: MAML's policy gradient on tasks that are environments (Finn et al. 2017, section 5.3).
 *
 * A task is an environment with numbers of its own (a goal, say). A policy is a model whose output is the mean of a Gaussian
 * over actions; its standard deviation, exp(log_std), is one more parameter. An inner step samples trajectories under the
 * parameters at hand and follows the policy gradient, -mean of log density(action) advantage (the loss `gaussian-policy`); the
 * outer loop improves the return under the parameters that come of it. Sampling is on-policy: every inner step, and what is
 * measured after the last one, has trajectories of its own.
 *
 * Advantages: discounted returns, less a baseline that is linear in features of observation and time and fitted to the task's
 * trajectories (Duan et al. 2016), by generalised advantage estimation, then with mean 0 and deviation 1 over the task.
 *
 * A device and what runs on it belong to one thread at a time; callbacks are called by it.
 *
 * Random numbers are counter-based: what is drawn depends on the seed, the task, the inner step, the trajectory and the time.
 */
#ifndef CLMAML_POLICY_H
#define CLMAML_POLICY_H

#include "device.h"
#include "model.h"
#include "optim.h"
#include "params.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- environments ---- */

/* Random numbers for callbacks; they belong to the call that is given them. */
typedef struct clm_environment_random clm_environment_random;
CLM_API double clm_environment_uniform(clm_environment_random *random); /* [0, 1) */
CLM_API double clm_environment_normal(clm_environment_random *random);

/* What a policy acts in. Callbacks keep nothing but what they are given: they are called for any trajectory in any order. */
typedef struct clm_environment {
    int version;                     /* CLM_ENVIRONMENT_VERSION */
    const char *name;                /* a word, for messages */
    int observation, action;         /* numbers of each: 1 to 16, 1 to 4 */
    int horizon;                     /* an episode's most steps */
    int task_numbers, state_numbers; /* what tells a task from others, and a moment of an episode; 1 to 16 each */
    void *user;                      /* what callbacks are given */
    /* A task of the distribution: task [task_numbers]. */
    void (*draw)(void *user, clm_environment_random *random, double *task);
    /* An episode begins: state [state_numbers], observation [observation]. */
    void (*reset)(void *user, const double *task, clm_environment_random *random, double *state, double *observation);
    /* The state changes by action [action], which no one has clipped. The new observation, the reward; true: the episode is
     * over. */
    bool (*step)(void *user, const double *task, const double *action, clm_environment_random *random, double *state,
                 double *observation, double *reward);
    /* Kernels of the library that do the same on OpenCL devices; NULL, as it must be where callbacks are one's own: the host
     * steps, and the device is asked for actions. */
    const char *kernels;
} clm_environment;
#define CLM_ENVIRONMENT_VERSION 1
#define CLM_ENVIRONMENT_INIT \
    { CLM_ENVIRONMENT_VERSION, NULL, 0, 0, 100, 1, 1, NULL, NULL, NULL, NULL, NULL }

/* The paper's 2-D navigation: a point starts at (0, 0) and is to go to a goal, uniform in the square [-0.5, 0.5]^2, that it
 * does not see. It observes its position; an action is a velocity in units of 0.1, each of whose two numbers is clipped to +-1.
 * The reward is minus the distance to the goal after the move; an episode ends within 0.01 of the goal, or after 100 steps. */
CLM_API clm_environment clm_environment_navigation(void);

/* ---- options ---- */

/* Who makes the outer update. */
typedef enum clm_policy_outer {
    CLM_OUTER_TRPO, /* trust region policy optimisation (Schulman et al. 2015), through the inner loop */
    CLM_OUTER_VPG   /* the policy gradient, by an optimiser */
} clm_policy_outer;
CLM_API const char *clm_policy_outer_name(clm_policy_outer outer); /* "trpo", "vpg" */

typedef struct clm_policy_options {
    int version;                 /* CLM_POLICY_OPTIONS_VERSION */
    int tasks;                   /* of a meta-batch */
    int trajectories;            /* of a task, under each set of parameters */
    int steps;                   /* inner steps in training, 1 to 10 */
    double inner_lr;             /* of training, and of the first step at test */
    bool first_order;            /* leave the inner loop's second derivative out of gradient and Fisher products */
    double discount, gae_lambda; /* of returns and advantages; both 0 to 1 */
    clm_policy_outer outer;
    /* trpo: the most mean KL divergence of an update, conjugate-gradient iterations, what is added to the Fisher matrix's
     * diagonal, the most tries of the line search and by how much each is shorter than the one before. */
    double trust_region;
    int solver_steps;
    double damping;
    int search_steps;
    double search_factor;
    clm_optim_options optim; /* vpg */
    int task_chunk;          /* tasks a launch of gradients, a divisor of `tasks`; 0: one on a CPU, else all */
} clm_policy_options;
#define CLM_POLICY_OPTIONS_VERSION 1
/* The paper's. */
#define CLM_POLICY_OPTIONS_INIT                                                                              \
    {                                                                                                        \
        CLM_POLICY_OPTIONS_VERSION, 20, 20, 1, 0.1, false, 0.99, 1, CLM_OUTER_TRPO, 0.01, 10, 1e-5, 15, 0.8, \
            CLM_OPTIM_OPTIONS_INIT, 0                                                                        \
    }

/* A first iteration with its results, for other programs to be compared with: parameters of `seed`, trajectories under them and under
 * what each inner step makes of them, and what the outer update (CLM_OUTER_TRPO) computes from these. Adds to the archive, as
 * 32-bit floats: "param.NAME"; "set.K.x" [tasks, R, observation], "set.K.y" [tasks, R, action + 1] and "set.K.weight" [tasks, R],
 * K = 0 .. steps, of R = trajectories * horizon rows (time runs fastest): observations; actions, then the advantage times R / rows
 * that count; 1 / rows that count, and 0 in rows behind the end of an episode; "loss" [tasks] on the last set at the adapted
 * parameters, its meta-gradient "gradient.NAME", and "product.NAME", the Fisher matrix times that: means over tasks. Errors: those
 * of clm_policy_train. */
CLM_API clm_status clm_policy_example(clm_device *device, const clm_environment *environment, const clm_model *model,
                                      const clm_policy_options *options, uint64_t seed, clm_archive *archive);

/* A first iteration on the parameters of seed 1, then every launch of its programs alone, `runs` times (clm_program_profile): a table for
 * each program, below a line that says what it computes and how often in an iteration. Launches of the environment's own kernels and of
 * the baseline are not among them. Errors: those of clm_policy_train. */
CLM_API clm_status clm_policy_profile(clm_device *device, const clm_environment *environment, const clm_model *model,
                                      const clm_policy_options *options, int runs, FILE *to);

/* ---- training ---- */

enum { CLM_POLICY_STEPS_MOST = 10 };

/* One list makes the metrics of a row and their names in metrics.jsonl and metrics.csv. Returns are sums of rewards, means over
 * tasks and trajectories, before adaptation and after it; interval: half the 95 % interval of return_after, over tasks.
 * surrogate: the mean over tasks of -mean(density ratio advantage) after the update (0 before it: advantages have mean 0);
 * kl: mean KL divergence of the update; search: tries of the line search, 0 where none was accepted; residual: of the conjugate
 * gradients, relative; deviation: mean of exp(log_std). */
#define CLM_POLICY_METRIC_LIST(X)   \
    X(RETURN_BEFORE, return_before) \
    X(RETURN_AFTER, return_after)   \
    X(INTERVAL, interval)           \
    X(SURROGATE, surrogate)         \
    X(KL, kl)                       \
    X(SEARCH, search)               \
    X(RESIDUAL, residual)           \
    X(GRAD_NORM, grad_norm)         \
    X(DEVIATION, deviation)         \
    X(SECONDS, seconds)

typedef enum clm_policy_metric {
#define CLM_POLICY_METRIC_ENUM(NAME, name) CLM_POLICY_METRIC_##NAME,
    CLM_POLICY_METRIC_LIST(CLM_POLICY_METRIC_ENUM)
#undef CLM_POLICY_METRIC_ENUM
        CLM_POLICY_METRIC_COUNT
} clm_policy_metric;

typedef struct clm_policy_row {
    uint64_t iteration;                    /* outer updates made */
    bool validation;                       /* of validation tasks, else of training */
    double value[CLM_POLICY_METRIC_COUNT]; /* NAN: not measured */
} clm_policy_row;

typedef struct clm_policy_train_options {
    int version; /* CLM_POLICY_TRAIN_OPTIONS_VERSION */
    clm_policy_options policy;
    uint64_t iterations;                /* outer updates */
    uint64_t seed;                      /* of parameters, tasks and trajectories */
    uint64_t validate_every, log_every; /* updates; validation also before the first and after the last */
    int validation_tasks, test_tasks;   /* made up to whole meta-batches; test_tasks 0: no test */
    int test_steps;                     /* inner steps at validation and test */
    double test_lr;                     /* of all of them but the first */
    /* Of the test at the end alone: trajectories of a task (0: those of training), rate of all steps but the first (0: test_lr).
     * A run that is resumed may have others than before; one that is finished is tested again. */
    int eval_trajectories;
    double eval_lr;
    /* The run directory, made if need be; NULL: nothing is written.
     *   config.json                what the run is
     *   metrics.jsonl, metrics.csv a row each logging interval and validation
     *   checkpoints/last.safetensors, best.safetensors
     *   curve.svg, trajectories.svg  at each validation: returns, and episodes before and after adaptation
     *   result.json                at the end: returns of test tasks after 0, 1, .. inner steps */
    const char *directory;
    /* Go on from the last checkpoint of the directory, to the bits of a run that was never stopped; without one the run begins
     * again. iterations may be another number than before. */
    bool resume;
    const char
        *note; /* what the run is in the words of the caller, JSON: kept in config.json and in every checkpoint; or NULL */
    /* May be NULL. row: every row; best: of a validation that none before it surpasses. stop: asked between two updates. */
    void (*row)(void *user, const clm_policy_row *row, bool best);
    bool (*stop)(void *user);
    void *user;
} clm_policy_train_options;
#define CLM_POLICY_TRAIN_OPTIONS_VERSION 2
#define CLM_POLICY_TRAIN_OPTIONS_INIT                                                                                        \
    {                                                                                                                        \
        CLM_POLICY_TRAIN_OPTIONS_VERSION, CLM_POLICY_OPTIONS_INIT, 500, 1, 25, 1, 40, 200, 3, 0.05, 0, 0, NULL, false, NULL, \
            NULL, NULL, NULL                                                                                                 \
    }

typedef struct clm_policy_result {
    bool stopped;
    uint64_t iteration;      /* outer updates made */
    uint64_t best_iteration; /* of the state that validation chose */
    double best_return;      /* its return on validation tasks after the last step; NAN: nothing was validated */
    int test_tasks, test_steps;
    double test_return[CLM_POLICY_STEPS_MOST + 1],
        test_half[CLM_POLICY_STEPS_MOST + 1]; /* mean, half its 95 % interval; NAN of one task */
} clm_policy_result;

/* A whole run: trains, validates, keeps the best, tests. The model's input is an observation, its output an action; all its
 * parameters are vectors and matrices. best (may be NULL): made with the model, the loss gaussian-policy and `steps`; receives
 * the parameters that validation chose. Errors: CLM_E_ARG and CLM_E_SHAPE name the option; CLM_E_NUMERIC, with the iteration,
 * where the gradient is not finite; CLM_E_LIMIT where it takes more memory than CLMAML_MEMORY_LIMIT or the device allows;
 * CLM_E_STATE for a directory that holds another run, or anything else; CLM_E_IO. */
CLM_API clm_status clm_policy_train(clm_device *device, const clm_environment *environment, const clm_model *model,
                                    const clm_policy_train_options *options, clm_params *best, clm_policy_result *result);

#ifdef __cplusplus
}
#endif
#endif
