/* Every algorithm of the library's table on a tiny problem of its own, with options that a test chooses.
 *
 * Tests run over clm_algorithm_count and clm_inner_rule_count and ask clm_algorithm_uses, so that a new row is tested without being named.
 * What cannot be derived from the table is a row here: the network that an algorithm needs. An algorithm without one fails the test.
 */
#ifndef CLM_TEST_FAMILY_H
#define CLM_TEST_FAMILY_H

#include "clmaml/meta.h"
#include "support/meta_setup.h"

/* How the meta-gradient of an algorithm can be derived apart from the library (derivation.h). */
typedef enum clm_test_way {
    CLM_TEST_UNROLLED,  /* the inner loop as a graph, differentiated backwards */
    CLM_TEST_REPTILE,   /* theta - theta_K */
    CLM_TEST_IMPLICIT,  /* a linear system with the dense hessian at theta_K */
    CLM_TEST_JOINT,     /* plain training on both sets */
    CLM_TEST_PROTOTYPES /* no inner loop */
} clm_test_way;

typedef struct clm_test_kind {
    const char *algorithm;
    clm_test_way way;
    const char *net, *loss;
    int ways;
    bool convolutional; /* always on the convolutional net */
} clm_test_kind;
/* Fails the test where there is no row. */
const clm_test_kind *clm_test_kind_of(const char *algorithm);

/* Options that are on or off; those that an algorithm does not use are left out by clm_test_problem_make. */
enum {
    CLM_TEST_FIRST_ORDER = 1,
    CLM_TEST_STEP_WEIGHTS = 2,
    CLM_TEST_SUPPORT_PER_STEP = 4,
    CLM_TEST_MASKS = 8,          /* the first layer is not adapted, its weight not learned */
    CLM_TEST_NORM_PER_STEP = 16, /* and the convolutional net */
    CLM_TEST_SWITCHES = 32
};
/* Transforms of the inner gradient: none; weight decay and clipping by norm; clipping by value; all three. */
enum { CLM_TEST_TRANSFORMS = 4 };

typedef struct clm_test_choice {
    const char *algorithm, *rule;
    clm_rates rates;
    unsigned switches;
    int transform, tasks, steps;
    clm_solver solver;
    int solver_steps;
} clm_test_choice;
/* Two tasks, three steps, plain descent. */
clm_test_choice clm_test_choice_of(const char *algorithm);

typedef struct clm_test_problem {
    const clm_test_kind *kind;
    clm_model *model;
    clm_meta_options options;
    clm_params *params; /* drawn values */
    clm_test_batch batch;
} clm_test_problem;
void clm_test_problem_make(clm_test_problem *p, const clm_test_choice *choice, uint64_t seed);
void clm_test_problem_free(clm_test_problem *p);
/* The arrays of the batch, once more for options that have changed. */
void clm_test_problem_draw(clm_test_problem *p, uint64_t seed);
/* Parameters and rates, drawn. */
void clm_test_draw_params(clm_params *params, double inner_lr, uint64_t seed);

/* Options of the outer rule, which changes anything but the gradient. */
clm_meta *clm_test_problem_meta(const clm_test_problem *p, clm_device *device);
clm_test_vector clm_test_parameter_gradient(clm_meta *meta);
clm_test_vector clm_test_rate_gradient(clm_meta *meta);
/* Both, one behind the other. */
clm_test_vector clm_test_whole_gradient(clm_meta *meta);
/* All values of the meta-learner: parameters and rates. */
clm_test_vector clm_test_all_values(clm_meta *meta, const clm_test_problem *p);
clm_test_vector clm_test_read(clm_meta *meta, clm_quantity what, size_t index);

/* "maml, adam, rates 1, switches 5, transform 2" */
const char *clm_test_choice_text(const clm_test_choice *c, char *text, size_t size);

#endif
