/* The command queue: after a wait everything that was queued is done, wherever the last flush fell. */
#include <check.h>
#include <stdlib.h>

#include "base/memory.h"
#include "device/opencl/opencl.h"
#include "support/launch.h"

/* More than the commands between two flushes, on CPUs and on GPUs. */
enum { N = 512, MOST = 70 };

static const char slow_source[] = "__kernel void slow(OUT(y), const int n) {\n"
                                  "    const int i = get_global_id(0);\n"
                                  "    if (i >= n) return;\n"
                                  "    float v = PTR(y, 0)[i];\n"
                                  "    for (int k = 0; k < 200; k++) v = fmin(v + 1.0f, PTR(y, 0)[i] + 1.0f);\n"
                                  "    PTR(y, 0)[i] = v;\n"
                                  "}\n";

static clm_kernel *make_slow(clm_device *d, clm_mem *y) {
    clm_launch l = {.label = "slow", .source = slow_source, .entry = "slow", .defines = "", .global = {N, 1, 1}, .n_args = 2};
    clm_kernel *kernel = NULL;
    l.args[0] = (clm_arg){.kind = CLM_ARG_MEM, .mem = y, .task_stride = N};
    l.args[1] = (clm_arg){.kind = CLM_ARG_INT, .i = N};
    CLM_TEST_OK(d->backend->make(d, &l, &kernel));
    return kernel;
}

static const char *const devices[] = {"images=0", "type=gpu"};
enum { DEVICES = sizeof devices / sizeof *devices };

/* A queued read has arrived after the wait, for every number of commands before it; clFinish right after clFlush does not wait for
 * anything in Mesa 22.3's rusticl. */
START_TEST(reads_have_arrived_after_a_wait) {
    setenv("CLMAML_EMULATE", devices[_i], 1);
    clm_device *d = clm_test_open_opencl();
    clm_mem *y = clm_test_alloc(d, N);
    clm_kernel *kernel = make_slow(d, y);
    float *data = clm_calloc(N, sizeof *data);
    float runs = 0;
    for (int launches = 1; launches <= MOST; launches++) {
        for (int i = 0; i < launches; i++, runs++) CLM_TEST_OK(d->backend->enqueue(d, kernel));
        CLM_TEST_OK(d->backend->read_later(d, y, 0, N, data));
        CLM_TEST_OK(d->backend->finish(d));
        ck_assert_msg(data[0] == runs && data[N - 1] == runs, "after %d launches: %g and %g, not %g", launches, (double)data[0],
                      (double)data[N - 1], (double)runs);
    }
    free(data);
    d->backend->release(d, kernel);
    d->backend->free(d, y);
    clm_device_close(d);
}
END_TEST

/* A marker follows a flush that nothing else follows: then alone. */
START_TEST(a_wait_has_something_to_wait_for) {
    setenv("CLMAML_EMULATE", devices[_i], 1);
    clm_device *d = clm_test_open_opencl();
    clm_cl_device *cl = clm_cl(d);
    clm_mem *y = clm_test_alloc(d, N);
    clm_kernel *kernel = make_slow(d, y);
    CLM_TEST_OK(d->backend->finish(d));
    ck_assert(!cl->flushed_last);
    int flushes = 0;
    for (int i = 0; i < MOST; i++) {
        CLM_TEST_OK(d->backend->enqueue(d, kernel));
        flushes += cl->flushed_last;
    }
    ck_assert_int_ge(flushes, 1);
    ck_assert_int_lt(flushes, MOST);
    clm_cl_flush(cl);
    ck_assert(cl->flushed_last);
    CLM_TEST_OK(d->backend->finish(d));
    ck_assert(!cl->flushed_last);
    d->backend->release(d, kernel);
    d->backend->free(d, y);
    clm_device_close(d);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("queue");
    TCase *tcase = tcase_create("queue");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, clm_test_enter_cache, clm_test_leave_cache);
    tcase_add_loop_test(tcase, reads_have_arrived_after_a_wait, 0, DEVICES);
    tcase_add_loop_test(tcase, a_wait_has_something_to_wait_for, 0, DEVICES);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
