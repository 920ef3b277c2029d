/* What tests of the device layer share: a cache of their own, devices, and one small launch. */
#ifndef CLM_TEST_LAUNCH_H
#define CLM_TEST_LAUNCH_H

#include <check.h>
#include <string.h>

#include "device/backend.h"
#include "support/run.h"

#define CLM_TEST_SAYS(text) \
    ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" is not in: %s", text, clm_last_error())

/* A fixture: an empty CLMAML_CACHE_DIR for the test, removed after it. */
extern char clm_test_cache[64];
void clm_test_enter_cache(void);
void clm_test_leave_cache(void);

/* open_host, open_opencl */
enum { CLM_TEST_BACKENDS = 2 };
extern clm_device *(*const clm_test_opens[CLM_TEST_BACKENDS])(void);

clm_mem *clm_test_alloc(clm_device *d, size_t elements);

/* The launch y[task][i] = x[task or none][i] / 2 + 2 (K in its defines), x from element 5 with this task stride, y from element 11, in
 * buffers of 200. */
enum { CLM_TEST_ITEMS = 37, CLM_TEST_TASKS = 3 };
extern const char clm_test_scale_source[];
clm_launch clm_test_scale_launch(clm_mem *x, clm_mem *y, size_t x_stride);
/* 200 elements 0, 1, 2, .. */
clm_mem *clm_test_ramp(clm_device *d);
/* Is y what the launch makes of clm_test_ramp? */
void clm_test_check_scaled(clm_device *d, clm_mem *y, size_t x_stride);
void clm_test_make_and_run(clm_device *d, const clm_launch *launch);

#endif
