/* The inner loop of a problem as a graph of public builders: see derivation.h. */
#ifndef CLM_TEST_INNER_LOOP_H
#define CLM_TEST_INNER_LOOP_H

#include "support/family.h"

enum { CLM_TEST_MOST = 12, CLM_TEST_STEPS = 8, CLM_TEST_INPUTS = 256 };

typedef struct clm_test_loop {
    clm_graph *g;
    const clm_test_problem *p;
    const clm_task_options *o;
    bool first_order, norm_per_step;
    clm_rates rates;
    size_t n; /* parameters of the model */
    bool adapted[CLM_TEST_MOST], learned[CLM_TEST_MOST], stepped[CLM_TEST_MOST];
    clm_value in[CLM_TEST_INPUTS];
    double *fed[CLM_TEST_INPUTS];
    size_t n_in;
    clm_value param[CLM_TEST_MOST][CLM_TEST_STEPS], rate[CLM_TEST_MOST][CLM_TEST_STEPS]; /* of each step */
    clm_value support_x[CLM_TEST_STEPS], support_y[CLM_TEST_STEPS], query_x, query_y;
    clm_value theta[CLM_TEST_MOST]; /* after the last step */
    clm_value loss;                 /* of the query set, weighted, per task */
    clm_value joint;                /* of both sets, without an inner loop (finetune); 0 otherwise */
} clm_test_loop;

/* Masks, inputs, all steps and the loss. */
void clm_test_loop_build(clm_test_loop *l, const clm_test_problem *p);
void clm_test_loop_free(clm_test_loop *l);
/* An input with numbers that the loop frees. */
clm_value clm_test_loop_feed(clm_test_loop *l, clm_shape shape, bool per_task, double *data);
void clm_test_loop_run(clm_test_loop *l, clm_device *host, int tasks, const clm_value *outputs, double *const *results,
                       size_t n);
/* Loss of an output. */
clm_value clm_test_loop_loss(const clm_test_loop *l, clm_value out, clm_value y);
clm_value clm_test_loop_model_loss(clm_test_loop *l, const clm_value *theta, clm_value x, clm_value y);
/* Masks and what the algorithm's name implies, without a graph. */
void clm_test_loop_masks(clm_test_loop *l, const clm_test_problem *p);
/* Values of an entry in inside layout, from row `row` on: to be freed. */
double *clm_test_loop_values(const clm_test_problem *p, const char *prefix, size_t i, size_t row);
/* A batch array (0 .. 3) of inner step `step` for all tasks, in inside layout: to be freed. *shape: of one task's. */
double *clm_test_loop_data(const clm_test_problem *p, int array, int step, clm_shape *shape);

#endif
