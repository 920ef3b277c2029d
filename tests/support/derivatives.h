/* A loss on random numbers with its gradient and its Hessian times a vector, for comparing graphs and devices. */
#ifndef CLM_TEST_DERIVATIVES_H
#define CLM_TEST_DERIVATIVES_H

#include "graph/internal.h"
#include "support/run.h"

enum { CLM_TEST_MOST_IN = 4, CLM_TEST_MOST_OUT = 1 + 2 * CLM_TEST_MOST_IN };

typedef struct clm_test_sample {
    clm_graph *g;
    int n, n_out, tasks;                /* what is differentiated; outputs */
    clm_value in[2 * CLM_TEST_MOST_IN]; /* the second half: the vector */
    clm_value out[CLM_TEST_MOST_OUT];   /* the loss, its gradient, the product */
    double *data[2 * CLM_TEST_MOST_IN]; /* floats */
    size_t count[CLM_TEST_MOST_OUT];    /* elements of all tasks */
} clm_test_sample;

/* A graph with its inputs: `per_task` ones first, shared ones after them. */
void clm_test_sample_make(clm_test_sample *s, bool few_passes, int tasks, const clm_shape *shapes, int n, int per_task,
                          uint64_t seed);
void clm_test_sample_derive(clm_test_sample *s, clm_value loss);
void clm_test_sample_free(clm_test_sample *s);

/* All outputs, in arrays of the caller's to free (clm_test_free_results). */
void clm_test_sample_run(clm_device *d, const clm_test_sample *s, double *result[CLM_TEST_MOST_OUT]);
void clm_test_free_results(const clm_test_sample *s, double *result[CLM_TEST_MOST_OUT]);
void clm_test_sample_near(const clm_test_sample *s, double *const a[CLM_TEST_MOST_OUT], double *const b[CLM_TEST_MOST_OUT],
                          double tolerance, const char *what);

/* Which values of the graph its outputs need; the caller frees. */
bool *clm_test_live(const clm_test_sample *s);

/* An operation with a launch of its own that swaps the first and the third of four axes. */
clm_value clm_test_turned(clm_graph *g, clm_value v);

#endif
