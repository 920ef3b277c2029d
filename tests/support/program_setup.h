/* A graph, a tensor and a program that must come to be. */
#ifndef CLM_TEST_PROGRAM_SETUP_H
#define CLM_TEST_PROGRAM_SETUP_H

#include "clmaml/clmaml.h"
#include "support/run.h"

static clm_graph *graph_new(void) {
    clm_graph *g = NULL;
    CLM_TEST_OK(clm_graph_create(&g));
    return g;
}

static clm_tensor *tensor_new(clm_device *device, clm_shape shape, int tasks, const double *data) {
    clm_tensor *t = NULL;
    CLM_TEST_OK(clm_tensor_create(&t, device, shape, tasks));
    if (data) CLM_TEST_OK(clm_tensor_write_f64(t, data, clm_tensor_size(t)));
    return t;
}

static clm_program *program_new(clm_device *device, clm_graph *g, const clm_value *outputs, size_t n, int tasks) {
    clm_program *p = NULL;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = tasks;
    CLM_TEST_OK(clm_program_create(&p, device, g, outputs, n, &options));
    return p;
}

#endif
