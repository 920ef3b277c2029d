/* See run.h. */
#include "support/run.h"

#include <stdlib.h>

#include "base/error.h"

clm_device *clm_test_open_opencl(void) {
    clm_device *device = NULL;
    CLM_TEST_OK(clm_device_open(&device, NULL));
    ck_assert_msg(clm_device_get_info(device)->type != CLM_DEVICE_HOST,
                  "this test needs an OpenCL device, but CLMAML_DEVICE names the host reference");
    return device;
}

clm_device *clm_test_open_as(const char *emulation) {
    ck_assert_int_eq(setenv("CLMAML_EMULATE", emulation, 1), 0);
    ck_assert_int_eq(setenv("CLMAML_CHAIN", "never", 1), 0);
    clm_device *device = clm_test_open_opencl();
    ck_assert_int_eq(setenv("CLMAML_EMULATE", "", 1), 0); /* the host reference is itself */
    return device;
}

clm_device *clm_test_open_host(void) {
    clm_device *device = NULL;
    CLM_TEST_OK(clm_device_open(&device, "host"));
    return device;
}

size_t clm_test_elements(const clm_graph *graph, clm_value v, int tasks) {
    clm_shape shape = clm_value_shape(graph, v);
    return clm_shape_size(&shape) * (size_t)(clm_value_per_task(graph, v) ? tasks : 1);
}

clm_status clm_test_feed(clm_program *program, clm_value v, const double *data) {
    clm_tensor *tensor = clm_program_tensor(program, v);
    return tensor ? clm_tensor_write_f64(tensor, data, clm_tensor_size(tensor)) : CLM_OK;
}

clm_status clm_test_fetch(clm_program *program, clm_value v, double *data) {
    clm_tensor *tensor = clm_program_tensor(program, v);
    if (!tensor) return clm_fail(CLM_E_STATE, "the program has no tensor for output value %d", (int)v);
    return clm_tensor_read_f64(tensor, data, clm_tensor_size(tensor));
}

clm_status clm_test_run(clm_device *device, clm_graph *graph, int tasks, const clm_value *inputs, const double *const *data,
                        size_t n_inputs, const clm_value *outputs, double *const *results, size_t n_outputs) {
    clm_status status = CLM_OK;
    clm_program *program = NULL;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = tasks;
    CLM_GOTO(clm_program_create(&program, device, graph, outputs, n_outputs, &options));
    CLM_GOTO(clm_program_prepare(program));
    for (size_t i = 0; i < n_inputs; i++) CLM_GOTO(clm_test_feed(program, inputs[i], data[i]));
    CLM_GOTO(clm_program_run(program));
    for (size_t i = 0; i < n_outputs; i++) CLM_GOTO(clm_test_fetch(program, outputs[i], results[i]));
out:
    clm_program_free(program);
    return status;
}
