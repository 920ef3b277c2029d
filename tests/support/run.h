/* Running a graph on a device with numbers from the test. */
#ifndef CLM_TEST_RUN_H
#define CLM_TEST_RUN_H

#include <check.h>

#include "clmaml/program.h"

/* The status of a library call must be CLM_OK; shows the library's message otherwise. */
#define CLM_TEST_OK(call)                                                                                      \
    do {                                                                                                       \
        clm_status ok_status = (call);                                                                         \
        ck_assert_msg(ok_status == CLM_OK, "%s: %s: %s", #call, clm_status_name(ok_status), clm_last_error()); \
    } while (0)

/* Opens what CLMAML_DEVICE names, or the default; anything but an OpenCL device fails the test. */
clm_device *clm_test_open_opencl(void);
/* The same as CLMAML_EMULATE would have it, with a launch for every step: no task kernels from here on. */
clm_device *clm_test_open_as(const char *emulation);
clm_device *clm_test_open_host(void);

/* Elements of a value: of its shape, times `tasks` when it is per task. */
size_t clm_test_elements(const clm_graph *graph, clm_value v, int tasks);

/* Writes an input of a prepared program; one that the program does not need is passed over. A per-task value takes
 * [tasks, shape..]. */
clm_status clm_test_feed(clm_program *program, clm_value v, const double *data);
/* Reads an output. */
clm_status clm_test_fetch(clm_program *program, clm_value v, double *data);

/* All in one, for small graphs: creates, feeds, runs, reads, frees. */
clm_status clm_test_run(clm_device *device, clm_graph *graph, int tasks, const clm_value *inputs, const double *const *data,
                        size_t n_inputs, const clm_value *outputs, double *const *results, size_t n_outputs);

#endif
