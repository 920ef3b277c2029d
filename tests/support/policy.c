/* A small policy on navigation. */
#include "support/policy.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "support/run.h"

static const char layers[] =
    "[{\"op\": \"linear\", \"out\": 7}, {\"op\": \"tanh\"}, {\"op\": \"linear\", \"out\": 5}, {\"op\": \"tanh\"}, "
    "{\"op\": \"linear\", \"out\": 2}]";

clm_policy_options clm_test_policy_options(int steps, int chunk) {
    clm_policy_options o = CLM_POLICY_OPTIONS_INIT;
    o.tasks = TASKS;
    o.trajectories = TRAJECTORIES;
    o.steps = steps;
    o.task_chunk = chunk;
    return o;
}

clm_test_acting clm_test_act(clm_device *device, const clm_policy_options *options) {
    const clm_shape in = clm_shape_of(1, 2);
    clm_test_acting a = {device, NULL, NULL};
    clm_environment e = clm_environment_navigation();
    e.horizon = HORIZON;
    CLM_TEST_OK(clm_model_parse(&a.model, layers, &in));
    CLM_TEST_OK(clm_policy_create(&a.policy, device, &e, a.model, options));
    return a;
}

void clm_test_act_no_more(clm_test_acting *a) {
    clm_policy_free(a->policy);
    clm_model_free(a->model);
    clm_device_close(a->device);
}

double *clm_test_numbers_of(clm_tensor *t) {
    double *data = clm_calloc(clm_tensor_size(t), sizeof *data);
    ck_assert_ptr_nonnull(data);
    CLM_TEST_OK(clm_tensor_read_f64(t, data, clm_tensor_size(t)));
    return data;
}

double clm_test_apart(const double *a, const double *b, size_t n) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return sqrt(difference / (size > 0 ? size : 1));
}

void clm_test_expect_near(const double *a, const double *b, size_t n, double tolerance, const char *what) {
    const double is = clm_test_apart(a, b, n);
    ck_assert_msg(is <= tolerance, "%s: %g apart, %g is allowed", what, is, tolerance);
}

void clm_test_draw_normal(double *v, size_t n, uint64_t seed) {
    clm_random r = clm_random_make(seed, 0);
    for (size_t i = 0; i < n; i++) v[i] = clm_random_normal(&r);
}
