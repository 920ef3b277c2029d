/* Watchdog: launches in pieces and the bound on queued work; the results are the same bits, the number of pieces is as
 * expected. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "device/opencl/opencl.h"
#include "support/launch.h"

enum { X = 96, Y = 7, T = 5, N = X * Y * T };

/* Every item has its own number, made of its ids, by way of many roundings. */
static const char grid_source[] = "__kernel void grid(OUT(y), const int nx, const int ny) {\n"
                                  "    const int i = get_global_id(0), j = get_global_id(1), t = get_global_id(2);\n"
                                  "    if (i >= nx) return;\n"
                                  "    float v = 1 + i + 0.1f * j + 0.01f * t;\n"
                                  "    for (int k = 0; k < 50; k++) v = sqrt(v * v + 1.0f / v);\n"
                                  "    PTR(y, t)[j * nx + i] = PTR(y, t)[j * nx + i] + v;\n"
                                  "}\n";
static const char whole_source[] = "__kernel void grid(OUT(y), const int nx, const int ny) {\n"
                                   "    const int i = get_global_id(0), j = get_global_id(1), t = get_global_id(2);\n"
                                   "    if (i < nx) PTR(y, t)[j * nx + i] = get_group_id(2) + get_num_groups(2);\n"
                                   "}\n";

static clm_launch grid_launch(clm_mem *y, const char *source) {
    clm_launch l = {.label = "grid", .source = source, .entry = "grid", .defines = "", .global = {X, Y, T}, .n_args = 3};
    l.args[0] = (clm_arg){.kind = CLM_ARG_MEM, .mem = y, .task_stride = X * Y};
    l.args[1] = (clm_arg){.kind = CLM_ARG_INT, .i = X};
    l.args[2] = (clm_arg){.kind = CLM_ARG_INT, .i = Y};
    return l;
}

/* `runs` launches on a device that may take `ms` milliseconds for one; how many pieces were they? */
static size_t run_grid(const char *ms, const char *emulate, const char *source, int runs, float *out) {
    setenv("CLMAML_MAX_LAUNCH_MS", ms, 1);
    setenv("CLMAML_EMULATE", emulate, 1);
    clm_device *d = clm_test_open_opencl();
    clm_mem *y = clm_test_alloc(d, N);
    clm_launch launch = grid_launch(y, source);
    clm_kernel *kernel = NULL;
    CLM_TEST_OK(d->backend->make(d, &launch, &kernel));
    for (int i = 0; i < runs; i++) CLM_TEST_OK(d->backend->enqueue(d, kernel));
    CLM_TEST_OK(d->backend->read(d, y, 0, N, out, NULL));
    size_t pieces = clm_cl(d)->watchdog.pieces;
    ck_assert_double_eq(clm_cl(d)->watchdog.waiting, 0);
    double seconds = 0;
    CLM_TEST_OK(d->backend->time(d, kernel, &seconds));
    ck_assert_double_gt(seconds, 0);
    d->backend->release(d, kernel);
    d->backend->free(d, y);
    clm_device_close(d);
    return pieces;
}

static const char *const devices[] = {"", "type=gpu", "type=gpu,max_work_group=8"};
enum { DEVICES = sizeof devices / sizeof *devices, RUNS = 6 };

START_TEST(pieces_make_the_same_bits) {
    float *whole = clm_calloc(N, sizeof *whole), *cut = clm_calloc(N, sizeof *cut);
    ck_assert_uint_eq(run_grid("0", devices[_i], grid_source, RUNS, whole), 0);
    /* No launch is that short: one work-group along the widest dimension at a time, in every run. */
    size_t pieces = run_grid("1e-6", devices[_i], grid_source, RUNS, cut);
    ck_assert_uint_ge(pieces, (size_t)RUNS * 7);
    ck_assert_uint_eq(pieces % RUNS, 0);
    ck_assert_mem_eq(whole, cut, N * sizeof *whole);
    for (int e = 0; e < N; e++) ck_assert(whole[e] > RUNS);
    free(whole);
    free(cut);
}
END_TEST

START_TEST(short_launches_stay_whole) {
    float *out = clm_calloc(N, sizeof *out);
    ck_assert_uint_eq(run_grid("1e6", devices[_i], grid_source, RUNS, out), 0);
    free(out);
}
END_TEST

START_TEST(kernels_that_ask_for_groups_stay_whole) {
    float *out = clm_calloc(N, sizeof *out);
    ck_assert_uint_eq(run_grid("1e-6", "", whole_source, 1, out), 0);
    for (int e = 0; e < N; e++) ck_assert_double_eq(out[e], e / (X * Y) + T);
    free(out);
}
END_TEST

/* A kernel that is first taken to be slow, and turns out not to be, is not cut any more. No launch here takes the limit, however busy
 * the machine is. */
START_TEST(measurement_corrects_the_guess) {
    setenv("CLMAML_MAX_LAUNCH_MS", "60000", 1);
    clm_device *d = clm_test_open_opencl();
    clm_cl_watchdog *p = &clm_cl(d)->watchdog;
    clm_mem *y = clm_test_alloc(d, N);
    clm_launch launch = grid_launch(y, grid_source);
    clm_kernel *kernel = NULL;
    launch.flops = 1e3 * p->rate; /* a thousand seconds */
    CLM_TEST_OK(d->backend->make(d, &launch, &kernel));
    ck_assert(clm_cl_watchdog_cuts(clm_cl(d), kernel));
    CLM_TEST_OK(d->backend->enqueue(d, kernel));
    ck_assert_uint_gt(p->pieces, 1);
    ck_assert(kernel->measured);
    for (int i = 0; i < 4; i++) CLM_TEST_OK(d->backend->enqueue(d, kernel)); /* the first one may have compiled something */
    size_t pieces = p->pieces;
    CLM_TEST_OK(d->backend->enqueue(d, kernel));
    ck_assert_uint_eq(p->pieces, pieces);
    d->backend->release(d, kernel);
    d->backend->free(d, y);
    clm_device_close(d);
}
END_TEST

/* Launches that are each short are waited for when they add up. */
START_TEST(queued_work_is_bounded) {
    setenv("CLMAML_MAX_LAUNCH_MS", "50000", 1);
    clm_device *d = clm_test_open_opencl();
    clm_cl_watchdog *p = &clm_cl(d)->watchdog;
    clm_mem *y = clm_test_alloc(d, N);
    clm_launch launch = grid_launch(y, grid_source);
    clm_kernel *kernel = NULL;
    launch.flops = 30 * p->rate;
    CLM_TEST_OK(d->backend->make(d, &launch, &kernel));
    for (int i = 0; i < 4; i++) { /* 30 s each, by the guess; none takes that long */
        CLM_TEST_OK(d->backend->enqueue(d, kernel));
        ck_assert_double_le(p->waiting, 100);
    }
    ck_assert_uint_ge(p->waits, 1);
    ck_assert_uint_eq(p->pieces, 0);
    ck_assert_double_lt(p->factor, 1); /* learnt in the wait */
    CLM_TEST_OK(clm_device_finish(d));
    ck_assert_double_eq(p->waiting, 0);
    d->backend->release(d, kernel);
    d->backend->free(d, y);
    clm_device_close(d);
}
END_TEST

/* Short launches are flushed by sixteens, those of 10 ms by twos; never by none. */
START_TEST(queued_work_is_flushed) {
    static const struct {
        double seconds;
        size_t launches, flushes;
    } rows[] = {{1e-6, 64, 4}, {0.011, 8, 4}, {0.05, 3, 3}};
    setenv("CLMAML_MAX_LAUNCH_MS", "500", 1);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        clm_device *d = clm_test_open_opencl();
        clm_cl_watchdog *p = &clm_cl(d)->watchdog;
        clm_mem *y = clm_test_alloc(d, N);
        clm_launch launch = grid_launch(y, grid_source);
        clm_kernel *kernel = NULL;
        launch.flops = rows[r].seconds * p->rate;
        CLM_TEST_OK(d->backend->make(d, &launch, &kernel));
        CLM_TEST_OK(clm_device_finish(d));
        p->factor = 1;
        const size_t before = p->flushes;
        for (size_t i = 0; i < rows[r].launches; i++) CLM_TEST_OK(d->backend->enqueue(d, kernel));
        ck_assert_msg(p->flushes - before == rows[r].flushes, "%zu launches of %g s: %zu flushes, not %zu", rows[r].launches,
                      rows[r].seconds, p->flushes - before, rows[r].flushes);
        d->backend->release(d, kernel);
        d->backend->free(d, y);
        clm_device_close(d);
    }
}
END_TEST

START_TEST(bounds_are_for_devices_with_a_watchdog) {
    static const struct {
        const char *type, *ms;
        double launch;
    } rows[] = {
        {"type=cpu", "", 0},  {"type=gpu,unified=0", "", 0.5}, {"type=gpu,unified=1", "", 0.1}, {"type=accelerator", "", 0.5},
        {"type=gpu", "0", 0}, {"type=cpu", "20", 0.02},        {"type=gpu", "1.5", 0.0015}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        setenv("CLMAML_EMULATE", rows[i].type, 1);
        setenv("CLMAML_MAX_LAUNCH_MS", rows[i].ms, 1);
        clm_device *d = clm_test_open_opencl();
        ck_assert_double_eq(clm_cl(d)->watchdog.launch, rows[i].launch);
        ck_assert_double_le(clm_cl(d)->watchdog.queued + clm_cl(d)->watchdog.launch, 2);
        clm_device_close(d);
    }
    static const char *const bad[] = {"-1", "soon", "5s", "nan", "inf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        clm_device *d = NULL;
        setenv("CLMAML_MAX_LAUNCH_MS", bad[i], 1);
        ck_assert_int_eq(clm_device_open(&d, NULL), CLM_E_ARG);
        CLM_TEST_SAYS("CLMAML_MAX_LAUNCH_MS");
        CLM_TEST_SAYS(bad[i]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("watchdog");
    TCase *tcase = tcase_create("watchdog");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, clm_test_enter_cache, clm_test_leave_cache);
    tcase_add_loop_test(tcase, pieces_make_the_same_bits, 0, DEVICES);
    tcase_add_loop_test(tcase, short_launches_stay_whole, 0, DEVICES);
    tcase_add_test(tcase, kernels_that_ask_for_groups_stay_whole);
    tcase_add_test(tcase, measurement_corrects_the_guess);
    tcase_add_test(tcase, queued_work_is_bounded);
    tcase_add_test(tcase, queued_work_is_flushed);
    tcase_add_test(tcase, bounds_are_for_devices_with_a_watchdog);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
