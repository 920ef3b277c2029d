/* The meta-gradient of every algorithm, derived apart from src/meta: rules, transforms, losses and masks are written out once
 * more.
 *
 * unrolled      the inner loop in a graph from public builders, differentiated backwards as a whole: gradients of gradients by
 *               reverse over reverse, where the library goes forward over reverse, step by step
 * implicit      the hessian at theta_K as a dense matrix, row by row, and the linear system solved on it in plain C
 * All on the host reference, in double.
 */
#ifndef CLM_TEST_DERIVATION_H
#define CLM_TEST_DERIVATION_H

#include "support/family.h"

typedef struct clm_test_derivation {
    clm_test_vector gradient;   /* as clm_test_whole_gradient gives it: of parameters, then of rates */
    clm_test_vector query_loss; /* [tasks] */
} clm_test_derivation;

void clm_test_derive(clm_test_derivation *d, clm_device *host, const clm_test_problem *p);
void clm_test_derivation_free(clm_test_derivation *d);

#endif
