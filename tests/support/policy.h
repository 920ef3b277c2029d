/* A small policy on navigation, and what the tests of policies ask of it. */
#ifndef CLM_TEST_POLICY_H
#define CLM_TEST_POLICY_H

#include "policy/internal.h"

enum { TASKS = 3, TRAJECTORIES = 4, HORIZON = 12, ROWS = TRAJECTORIES * HORIZON };

typedef struct clm_test_acting {
    clm_device *device;
    clm_model *model;
    clm_policy *policy;
} clm_test_acting;

clm_policy_options clm_test_policy_options(int steps, int chunk);
/* A smooth policy; closes the device in the end. */
clm_test_acting clm_test_act(clm_device *device, const clm_policy_options *options);
void clm_test_act_no_more(clm_test_acting *acting);

/* All numbers of a tensor; free(). */
double *clm_test_numbers_of(clm_tensor *tensor);
/* |a - b| / |b|, and that it is at most `tolerance`. */
double clm_test_apart(const double *a, const double *b, size_t n);
void clm_test_expect_near(const double *a, const double *b, size_t n, double tolerance, const char *what);
/* Standard normal numbers. */
void clm_test_draw_normal(double *v, size_t n, uint64_t seed);

#endif
