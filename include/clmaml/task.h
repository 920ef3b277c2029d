/* What happens in one task of a meta-batch: the algorithm, the inner update rule, the loss, and what is learned and adapted.
 *
 * The same options serve the meta-learner (meta.h) and the learner (learner.h). Algorithms, rules and losses go by name; each
 * is a row of a table that says which options it reads. An option that the chosen row does not read, and that is neither 0 nor
 * as the INIT macro has it, is CLM_E_ARG and named.
 *
 * Options are plain values. The strings, lists and arrays that they point to are read while something is created with them and
 * may go afterwards (but for clm_loss_options.user). CLM_TASK_OPTIONS_VERSION covers the structures inside too. All functions
 * here may be called from any thread; texts that they return are the library's and stay.
 */
#ifndef CLMAML_TASK_H
#define CLMAML_TASK_H

#include "data.h"
#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the inner update rule ----
 * g is the gradient of the support loss. In this order: clip_value clamps every element of g, clip_norm scales g of all adapted
 * tensors together down to this norm, weight_decay adds w theta; then the rule makes the update. All of it is differentiated
 * through, and the state of a rule is zero when a task begins. */
typedef struct clm_inner_options {
    const char *rule; /* clm_inner_rule_name; which rule reads which of the options below: clm_inner_rule_uses */
    double momentum;
    double beta1, beta2; /* "betas": decays of the moments of g and g^2 */
    double decay;        /* of the mean of g^2 */
    /* The step is divided by sqrt(v + eps_root) + eps, v a mean of g^2. With eps_root 0 the meta-gradient is not finite where
     * an element of g is exactly 0. */
    double eps, eps_root;
    double weight_decay; /* 0: none */
    double clip_value;   /* 0: none */
    double clip_norm;    /* 0: none */
} clm_inner_options;
#define CLM_INNER_OPTIONS_INIT \
    { "sgd", 0.9, 0.9, 0.999, 0.99, 1e-8, 1e-8, 0.0, 0.0, 0.0 }

CLM_API size_t clm_inner_rule_count(void);
CLM_API const char *clm_inner_rule_name(size_t i);    /* NULL: no such rule */
CLM_API const char *clm_inner_rule_summary(size_t i); /* formula and source */
/* Does the rule read this option: "momentum", "betas", "decay", "eps"? */
CLM_API bool clm_inner_rule_uses(const char *rule, const char *option);

/* ---- the loss ---- */

/* A loss of the user's own: a scalar from outputs [n, out_shape..] and targets [n, target_shape..]. CLM_INVALID on failure. */
typedef clm_value (*clm_loss_fn)(void *user, clm_graph *g, clm_value out, clm_value target);

typedef struct clm_loss_options {
    const char *name;            /* clm_loss_name */
    clm_reduction reduction;     /* over the examples of a task */
    double label_smoothing;      /* cross-entropy: in [0, 1) */
    const double *class_weights; /* cross-entropy: one for each output of the model, copied; NULL: all 1 */
    double delta;                /* huber: where the loss becomes linear */
    clm_loss_fn function;        /* custom */
    void *user;                  /* custom: must outlive what uses the options */
    clm_shape target_shape;      /* custom: of one example's target; rank 0: a number */
} clm_loss_options;
#define CLM_LOSS_OPTIONS_INIT                                           \
    {                                                                   \
        "cross-entropy", CLM_REDUCE_MEAN, 0.0, NULL, 1.0, NULL, NULL, { \
            0, { 0 }                                                    \
        }                                                               \
    }

CLM_API size_t clm_loss_count(void);
CLM_API const char *clm_loss_name(size_t i);    /* NULL: no such loss */
CLM_API const char *clm_loss_summary(size_t i); /* what it is, and what its targets are */
/* What a loss is given beside the outputs: "labels", a class an example, or "outputs", numbers in the outputs' shape. False for any
 * other word, an unknown loss, and losses whose targets have a shape of their own. */
CLM_API bool clm_loss_uses(const char *name, const char *word);

/* ---- the algorithm ---- */

typedef enum clm_rates {
    CLM_RATES_FIXED,      /* one number, inner_lr */
    CLM_RATES_PER_STEP,   /* learned: one per inner step and parameter tensor (Antoniou et al. 2019), shape [steps, tensors] */
    CLM_RATES_PER_ELEMENT /* learned: one per element of every adapted tensor (Li et al. 2017) */
} clm_rates;

/* How iMAML solves (I + H / lambda) x = g for the meta-gradient x. */
typedef enum clm_solver { CLM_SOLVER_CG, CLM_SOLVER_NEUMANN } clm_solver;

typedef struct clm_task_options {
    int version;           /* CLM_TASK_OPTIONS_VERSION */
    const char *algorithm; /* "maml" ..; see clm_algorithm_name */
    int support, query;    /* examples of a task: ways*shots, ways*query-per-class */
    int steps;             /* inner steps K; at least 1 where there is an inner loop */
    double inner_lr;
    clm_inner_options inner;
    clm_loss_options loss;
    bool first_order; /* drop the second-order term */
    clm_rates rates;
    /* K finite weights w_1 .. w_K of the multi-step loss, copied; NULL: only the last. See clm_meta_set_step_weights. */
    const double *step_weights;
    /* Prefixes of parameter names. adapt: the adapted ones, NULL: as the algorithm has it; freeze: these are not adapted;
     * unlearned: these are not learned, they begin every task as they are. */
    const char *const *adapt;
    size_t n_adapt;
    const char *const *freeze;
    size_t n_freeze;
    const char *const *unlearned;
    size_t n_unlearned;
    bool support_per_step; /* another support set in every inner step: support arrays are [tasks, steps, support, ..] */
    /* Batch-norm's scale and shift are learned for each inner step, [steps, C], and not adapted (MAML++). */
    bool batch_norm_per_step;
    /* Classes of a task. protonet needs it, as its model gives features; the others have as many as the model has outputs, and
     * take that number or 0. */
    int ways;
    double proximal;   /* imaml: lambda of (lambda / 2) |theta_k - theta|^2, part of the inner loss */
    clm_solver solver; /* imaml */
    int solver_steps;  /* imaml: conjugate-gradient or Neumann iterations */
    bool uneven; /* tasks of a batch differ in size: support, query and the model's outputs are the most, see clm_task_size */
} clm_task_options;
#define CLM_TASK_OPTIONS_VERSION 2
#define CLM_TASK_OPTIONS_INIT                                                                                                  \
    {                                                                                                                          \
        CLM_TASK_OPTIONS_VERSION, "maml", 5, 5, 1, 0.4, CLM_INNER_OPTIONS_INIT, CLM_LOSS_OPTIONS_INIT, false, CLM_RATES_FIXED, \
            NULL, NULL, 0, NULL, 0, NULL, 0, false, false, 0, 2.0, CLM_SOLVER_CG, 5, false                                     \
    }

/* A row of the table of algorithms. All texts are one line. */
typedef struct clm_algorithm_info {
    const char *name;
    const char *title;  /* "Model-agnostic meta-learning" */
    const char *source; /* "Finn et al. 2017" */
    const char *learns; /* what the outer loop changes */
    const char *adapts; /* what the inner loop changes */
    const char *cost;   /* of a task, in forward passes F over a set of examples */
    const char *memory; /* how memory depends on the number of inner steps */
} clm_algorithm_info;
CLM_API size_t clm_algorithm_count(void);
CLM_API const char *clm_algorithm_name(size_t i);            /* NULL: no such algorithm */
CLM_API clm_algorithm_info clm_algorithm_get_info(size_t i); /* all NULL: no such algorithm */
/* Does the algorithm read this option: "steps", "inner-rule", "first-order", "rates", "step-weights", "adapt",
 * "support-per-step", "batch-norm-per-step", "proximal", "ways", "inner-lr"? */
CLM_API bool clm_algorithm_uses(const char *algorithm, const char *option);
CLM_API const char *clm_algorithm_option_name(size_t i); /* these words in order; NULL: no such option */
/* What the algorithm's name implies: "metasgd" sets rates, "anil" nothing (its masks follow from the model), "fomaml"
 * first_order, .. Called by everything that takes the options; callers need it only to see the result. CLM_E_ARG for an unknown
 * name, with the known ones. */
CLM_API clm_status clm_task_options_resolve(clm_task_options *options);

/* The weights of MAML++'s multi-step loss at outer update t of `over`: equal at first, then those of all steps but the last
 * fall linearly to 0.03 / K, and the last takes the rest (Antoniou et al. 2019). weights [steps]. */
CLM_API void clm_step_weights_annealed(int steps, uint64_t t, uint64_t over, double *weights);

#ifdef __cplusplus
}
#endif
#endif
