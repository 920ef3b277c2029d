/* Inside the policy learner: what its parts share.
 *
 *     sample.c      trajectories of all tasks: a policy's program and a launch of the environment a time step, or the host's steps
 *     advantage.c   returns, the linear baseline, advantages of a set of trajectories
 *     graphs.c      programs: an inner step, the meta-gradient, the Fisher product, a trial of new parameters
 *     trust.c       conjugate gradients and the line search
 *     learner.c     all of them together: an iteration, an evaluation
 *     train.c       a run; files.c, draw.c what it writes
 *     example.c     an iteration's results for other programs
 *     profile.c     where its time goes
 *
 * A set of trajectories has R = trajectories * horizon rows a task, row trajectory * horizon + time. Rows behind the end of an
 * episode are there and count for nothing: their advantage and weight are 0.
 *
 * Tensors with parameters lie entry by entry, [tasks, shape] each, so that each entry is a view.
 */
#ifndef CLM_POLICY_INTERNAL_H
#define CLM_POLICY_INTERNAL_H

#include "base/memory.h"
#include "base/random.h"
#include "clmaml/policy.h"
#include "meta/optimizer/optimizer.h"
#include "program/internal.h"

enum {
    CLM_POLICY_OBSERVATION_MOST = 16,
    CLM_POLICY_ACTION_MOST = 4, /* normal numbers of one block of random words */
    CLM_POLICY_NUMBERS_MOST = 16,
    CLM_POLICY_ENTRIES_MOST = 64
};

struct clm_environment_random {
    clm_random words;
};

/* Who asks for random numbers: parts of the stream that tell phases apart. */
typedef enum clm_policy_purpose {
    CLM_PURPOSE_TRAIN,
    CLM_PURPOSE_VALIDATION,
    CLM_PURPOSE_TEST,
    CLM_PURPOSE_PICTURE
} clm_policy_purpose;

/* ---- a set of trajectories ---- */
typedef struct clm_samples {
    clm_tensor *x,
        *y; /* [tasks][R, observation], [tasks][R, action + 1]: actions, then the advantage times R / rows that count */
    clm_tensor *reward, *alive; /* [tasks][R]; alive: 1 where the episode had not ended before */
    clm_tensor *weight;         /* [tasks][R]: alive / rows that count */
    clm_tensor *total;          /* [tasks][trajectories]: sums of rewards */
} clm_samples;

/* Launches that turn the rewards of a set into advantages. */
typedef struct clm_advantage clm_advantage;
/* The set must outlive it. */
clm_status clm_advantage_create(clm_advantage **out, clm_device *device, const clm_samples *samples, int tasks,
                                int trajectories, int horizon, double discount, double lambda);
void clm_advantage_free(clm_advantage *advantage); /* NULL is allowed */
clm_status clm_advantage_run(clm_advantage *advantage);
/* The same in double, plainly: of one task. x [R, n], reward, alive [R] -> advantage [R], as y holds it; weight [R], total
 * [trajectories]. */
clm_status clm_advantage_of(const double *x, const double *reward, const double *alive, int n, int trajectories, int horizon,
                            double discount, double lambda, double *advantage, double *weight, double *total);

/* ---- parameters ---- */
typedef struct clm_policy_entry {
    const char *name;
    clm_shape shape;
    size_t at, size; /* in the flat vector */
} clm_policy_entry;

/* A flat vector for each task (tasks 0: shared by all) with a view for each entry. */
typedef struct clm_policy_vector {
    clm_tensor *whole, *entry[CLM_POLICY_ENTRIES_MOST];
} clm_policy_vector;

typedef struct clm_policy_programs {
    clm_program *begin; /* of all tasks: phi <- theta */
    clm_program *act;   /* likewise: mean <- policy(observation), at phi */
    /* of each chunk of tasks; adapt: phi <- phi - rate gradient, by set */
    clm_program **adapt[CLM_POLICY_STEPS_MOST + 1], **gradient, **fisher, **trial;
    clm_workspace *workspace;
    clm_tensor **views; /* of chunks of tensors; owned */
    size_t n_views, views_capacity;
    clm_tensor **kept; /* what `gradient` leaves for `fisher`; none: that computes all of it again */
    size_t n_kept;
} clm_policy_programs;

typedef struct clm_policy {
    clm_device *device;
    const clm_model *model;
    clm_environment environment;
    clm_policy_options options;
    int rows, chunk;
    clm_params *params; /* theta by name, on its way */
    clm_policy_entry entries[CLM_POLICY_ENTRIES_MOST];
    size_t n_entries, elements;

    clm_policy_vector theta;                     /* shared */
    clm_policy_vector gradient;                  /* shared: sums over tasks; gradient and Fisher product */
    clm_policy_vector direction;                 /* shared: what the Fisher matrix is multiplied by */
    clm_policy_vector phi;                       /* of each task: the parameters it acts by */
    clm_samples sets[CLM_POLICY_STEPS_MOST + 1]; /* steps + 1 of them */
    clm_advantage *advantages[CLM_POLICY_STEPS_MOST + 1];
    clm_tensor *observation, *mean;     /* [tasks][trajectories, ..] */
    clm_tensor *old_mean, *old_log_std; /* of the set behind the last step, at theta: [tasks][R, action], [tasks][action] */
    clm_tensor *loss, *kl;              /* [tasks] */
    clm_tensor *rate;                   /* a number */
    clm_policy_programs programs;
    clm_optimizer optimizer; /* vpg */

    struct clm_sampler *sampler;
    double rate_at; /* what `rate` holds */
    bool current;   /* programs.kept is of this theta and these sets */
    double *totals; /* [tasks, trajectories] */
} clm_policy;

/* Plans, allocates and builds everything; parameters are those of seed 0. */
clm_status clm_policy_create(clm_policy **out, clm_device *device, const clm_environment *environment, const clm_model *model,
                             const clm_policy_options *options);
/* Would clm_policy_create take these? */
clm_status clm_policy_check(const clm_environment *environment, const clm_model *model, const clm_policy_options *options);
void clm_policy_free(clm_policy *policy); /* NULL is allowed */
clm_status clm_policy_set(clm_policy *policy, clm_params *params);
clm_status clm_policy_get(clm_policy *policy, clm_params *params);
/* Task options under which clm_params_create lists the parameters. */
clm_task_options clm_policy_task_options(const clm_policy_options *options);

/* ---- sampling (sample.c) ---- */
typedef struct clm_sampler clm_sampler;
/* on_host: the host steps even where the environment has kernels. */
clm_status clm_sampler_create(clm_sampler **out, clm_policy *policy, bool on_host);
void clm_sampler_free(clm_sampler *sampler); /* NULL is allowed */
/* Draws the tasks first .. first + tasks - 1 of a purpose's sequence. */
clm_status clm_sampler_tasks(clm_sampler *sampler, uint64_t seed, clm_policy_purpose purpose, uint64_t first);
/* The numbers of task i, [task_numbers]. */
const double *clm_sampler_task(const clm_sampler *sampler, int i);
/* Fills set `set`, advantages included, under phi. step: of the inner loop, for random numbers. */
clm_status clm_sampler_run(clm_sampler *sampler, int set, int step);
/* The words that action noise is made of: at most CLM_POLICY_ACTION_MOST numbers. */
void clm_policy_noise(uint64_t seed, clm_policy_purpose purpose, int step, uint64_t task, int trajectory, int time,
                      double noise[CLM_POLICY_ACTION_MOST]);

/* ---- programs (graphs.c) ---- */
clm_status clm_policy_programs_create(clm_policy *policy);
void clm_policy_programs_free(clm_policy_programs *programs, int chunks);

/* ---- an iteration (learner.c) ---- */
/* phi <- theta for every task. */
clm_status clm_policy_begin(clm_policy *policy);
/* phi <- phi - rate gradient, on set `set`. */
clm_status clm_policy_adapt(clm_policy *policy, int set, double rate);
/* Mean return of each task of a set, [tasks]. */
clm_status clm_policy_returns(clm_policy *policy, int set, double *returns);
/* Samples all sets at theta: tasks first .. of training. */
clm_status clm_policy_sample(clm_policy *policy, uint64_t seed, uint64_t first);
/* Meta-gradient of the surrogate, mean over tasks, into values [elements]; what the trial compares with is kept, and what
 * Fisher products need. */
clm_status clm_policy_gradient(clm_policy *policy, double *values);
/* product [elements] = Fisher matrix times direction [elements], mean over tasks. Sets or parameters that are others than those of
 * the last gradient are so by clm_policy_begin or clm_policy_set. */
clm_status clm_policy_fisher(clm_policy *policy, const double *direction, double *product);
/* Surrogate and KL divergence at `values` instead of theta, means over tasks; theta stays. */
clm_status clm_policy_trial(clm_policy *policy, const double *values, double *surrogate, double *kl);

/* ---- the trust region (trust.c) ---- */
enum { CLM_TRUST_WORK = 4 };
typedef struct clm_trust {
    size_t n;
    double radius, damping, factor;
    int solver_steps, search_steps;
    clm_status (*product)(void *user, const double *v, double *out);
    clm_status (*trial)(void *user, const double *x, double *surrogate, double *kl);
    void *user;
    double *work; /* [CLM_TRUST_WORK n] */
} clm_trust;
typedef struct clm_trust_report {
    double surrogate, kl, residual; /* of what was accepted; NAN where nothing was */
    int tries;                      /* 0: none was accepted */
} clm_trust_report;
/* x <- x - s (F + damping)^-1 gradient with the largest s = factor^i s_0 under which the surrogate falls below `before` and the
 * KL divergence is within the radius; x [n] stays where there is none. */
clm_status clm_trust_step(const clm_trust *trust, const double *gradient, double before, double *x, clm_trust_report *report);

/* ---- what a run writes (files.c, draw.c) ---- */
enum { CLM_POLICY_PATH = 1024 };
typedef struct clm_policy_log {
    clm_policy_row *rows;
    size_t count, capacity;
    char directory[CLM_POLICY_PATH];
    FILE *jsonl, *csv;
    int lock; /* of the directory; -1: none */
    bool locked;
} clm_policy_log;
clm_policy_row clm_policy_row_empty(uint64_t iteration, bool validation);
/* "directory/name" into path [CLM_POLICY_PATH]. */
clm_status clm_policy_path(char *path, const char *directory, const char *name);
/* Makes and locks the directory and opens the metrics. resumed: rows up to `upto` updates are kept. */
clm_status clm_policy_log_open(clm_policy_log *log, const char *directory, bool resumed, uint64_t upto);
clm_status clm_policy_log_add(clm_policy_log *log, const clm_policy_row *row);
void clm_policy_log_close(clm_policy_log *log);
clm_status clm_policy_draw_curve(const clm_policy_log *log, const char *title);

/* Episodes of a few tasks before and after adaptation, as positions; of environments whose first two observations are a place
 * in the plane and whose first two task numbers a goal there. */
typedef struct clm_policy_picture {
    int tasks, stages, trajectories, horizon;
    const double *goal;     /* [tasks, 2] */
    const double *at;       /* [tasks, stages, trajectories, horizon, 2] */
    const int *length;      /* [tasks, stages, trajectories] */
    const int *stage_steps; /* [stages]: inner steps before each */
} clm_policy_picture;
clm_status clm_policy_draw_picture(const char *path, const clm_policy_picture *picture, const char *title);

#endif
