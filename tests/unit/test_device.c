/* The device layer on the host reference and on the OpenCL device that CLMAML_DEVICE or the default names: memory, launches, what
 * a failure says. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "support/launch.h"

/* On OpenCL by copies and, taken for memory shared with the host, by mapping. */
START_TEST(memory_moves_numbers) {
    setenv("CLMAML_EMULATE", _i < CLM_TEST_BACKENDS ? "unified=0" : "unified=1", 1);
    clm_device *d = clm_test_opens[_i < CLM_TEST_BACKENDS ? _i : 1]();
    if (d->info.type != CLM_DEVICE_HOST) ck_assert_int_eq(d->info.unified_memory, _i >= CLM_TEST_BACKENDS);
    const clm_backend *b = d->backend;
    enum { N = 40000 }; /* more than is converted at a time */
    clm_mem *x = clm_test_alloc(d, N), *y = clm_test_alloc(d, 100);
    double *wide = clm_calloc(N, sizeof *wide);
    float narrow[100];
    CLM_TEST_OK(b->read(d, x, 0, N, NULL, wide));
    for (int i = 0; i < N; i++) ck_assert_double_eq(wide[i], 0.0);
    for (int i = 0; i < N; i++) wide[i] = i;
    CLM_TEST_OK(b->write(d, x, 0, N, NULL, wide));
    memset(wide, 0, N * sizeof *wide);
    CLM_TEST_OK(b->read(d, x, 0, N, NULL, wide));
    for (int i = 0; i < N; i++) ck_assert_double_eq(wide[i], i);
    CLM_TEST_OK(b->copy(d, x, 17000, y, 10, 50));
    CLM_TEST_OK(b->fill(d, y, 55, 5, -0.5));
    CLM_TEST_OK(b->write(d, y, 0, 1, &(float){3.0f}, NULL));
    CLM_TEST_OK(b->read(d, y, 0, 100, narrow, NULL));
    for (int i = 0; i < 100; i++) {
        double expected = i == 0 ? 3.0 : i >= 55 && i < 60 ? -0.5 : i >= 10 && i < 60 ? 17000 + i - 10 : 0.0;
        ck_assert_double_eq(narrow[i], expected);
    }
    CLM_TEST_OK(b->fill(d, y, 0, 100, NAN));
    CLM_TEST_OK(b->read(d, y, 99, 1, narrow, NULL));
    ck_assert(isnan(narrow[0]));
    CLM_TEST_OK(b->write(d, y, 100, 0, narrow, NULL));
    CLM_TEST_OK(b->copy(d, x, N, y, 100, 0));
    free(wide);
    b->free(d, x);
    b->free(d, y);
    clm_device_close(d);
}
END_TEST

START_TEST(memory_is_bounded) {
    clm_device *d = clm_test_opens[_i]();
    const clm_backend *b = d->backend;
    clm_mem *x = clm_test_alloc(d, 10), *y = clm_test_alloc(d, 20);
    float data[20] = {0};
    ck_assert_int_eq(b->write(d, x, 0, 11, data, NULL), CLM_E_ARG);
    CLM_TEST_SAYS("passes the end");
    ck_assert_int_eq(b->read(d, x, 11, 0, data, NULL), CLM_E_ARG);
    ck_assert_int_eq(b->read(d, x, 5, SIZE_MAX, data, NULL), CLM_E_ARG);
    ck_assert_int_eq(b->copy(d, y, 0, x, 0, 11), CLM_E_ARG);
    ck_assert_int_eq(b->copy(d, x, 0, y, 0, 11), CLM_E_ARG);
    ck_assert_int_eq(b->fill(d, x, 10, 1, 0.0), CLM_E_ARG);
    b->free(d, x);
    b->free(d, y);
    clm_device_close(d);
}
END_TEST

START_TEST(memory_is_counted) {
    clm_device *d = clm_test_opens[_i]();
    const clm_backend *b = d->backend;
    size_t size = b->element_size;
    ck_assert_uint_eq(clm_device_allocated(d), 0);
    clm_mem *x = clm_test_alloc(d, 1000), *y = clm_test_alloc(d, 500);
    ck_assert_uint_eq(clm_device_allocated(d), 1500 * size);
    b->free(d, x);
    ck_assert_uint_eq(clm_device_allocated(d), 500 * size);
    ck_assert_uint_eq(clm_device_peak_allocated(d), 1500 * size);
    clm_mem *much = NULL;
    ck_assert_int_eq(b->alloc(d, (size_t)(d->info.max_allocation / size) + 1, &much), CLM_E_MEMORY);
    ck_assert_int_eq(b->alloc(d, SIZE_MAX, &much), CLM_E_MEMORY);
    ck_assert_int_eq(b->alloc(d, SIZE_MAX / 4 + 2, &much), CLM_E_MEMORY);
    ck_assert_ptr_null(much);
    ck_assert_uint_eq(clm_device_allocated(d), 500 * size);
    b->free(d, y);
    b->free(d, NULL);
    ck_assert_uint_eq(clm_device_allocated(d), 0);
    clm_device_close(d);
    clm_device_close(NULL);
}
END_TEST

/* ---- launches ---- */

START_TEST(launches_run) {
    static const size_t strides[] = {0, CLM_TEST_ITEMS}, locals[][3] = {{0, 0, 0}, {37, 1, 1}, {1, 1, 3}};
    clm_device *d = clm_test_opens[_i]();
    const clm_backend *b = d->backend;
    clm_mem *x = clm_test_ramp(d), *y = clm_test_alloc(d, 200);
    for (size_t s = 0; s < 2; s++) {
        for (size_t l = 0; l < 3; l++) {
            clm_launch launch = clm_test_scale_launch(x, y, strides[s]);
            memcpy(launch.local, locals[l], sizeof launch.local);
            clm_kernel *kernel = NULL;
            CLM_TEST_OK(b->make(d, &launch, &kernel));
            memset(&launch, 0xa5, sizeof launch); /* a kernel needs nothing of its launch any more */
            CLM_TEST_OK(b->fill(d, y, 0, 200, 0.0));
            CLM_TEST_OK(b->enqueue(d, kernel));
            clm_test_check_scaled(d, y, strides[s]);
            CLM_TEST_OK(b->fill(d, y, 0, 200, 0.0));
            double seconds = -1.0;
            CLM_TEST_OK(b->time(d, kernel, &seconds));
            ck_assert_double_ge(seconds, 0.0);
            clm_test_check_scaled(d, y, strides[s]);
            b->release(d, kernel);
        }
    }
    b->release(d, NULL);
    b->free(d, x);
    b->free(d, y);
    clm_device_close(d);
}
END_TEST

/* More than is queued between flushes, each on what the one before wrote. */
START_TEST(queue_is_in_order) {
    clm_device *d = clm_test_opens[_i]();
    const clm_backend *b = d->backend;
    clm_mem *x = clm_test_ramp(d), *y = clm_test_alloc(d, 200);
    clm_launch there = clm_test_scale_launch(x, y, CLM_TEST_ITEMS), back = clm_test_scale_launch(y, x, CLM_TEST_ITEMS);
    back.args[0].offset = 11;
    back.args[1].offset = 5;
    there.args[3].f = back.args[3].f = 1.0;
    clm_kernel *go = NULL, *come = NULL;
    CLM_TEST_OK(b->make(d, &there, &go));
    CLM_TEST_OK(b->make(d, &back, &come));
    for (int i = 0; i < 150; i++) {
        CLM_TEST_OK(b->enqueue(d, go));
        CLM_TEST_OK(b->enqueue(d, come));
    }
    CLM_TEST_OK(clm_device_finish(d));
    double first = 0.0;
    CLM_TEST_OK(b->read(d, x, 5, 1, NULL, &first));
    ck_assert_double_eq(first, 5.0 + 300 * 2);
    b->release(d, go);
    b->release(d, come);
    b->free(d, x);
    b->free(d, y);
    clm_device_close(d);
}
END_TEST

/* ---- what a failure says ---- */

typedef struct failure {
    const char *source, *file, *entry, *defines;
    int n_args;
    clm_status status;
    const char *says[5];
} failure;

static const failure failures[] = {
    {"__kernel void scale(IN(x)) { nonsense here; }",
     NULL,
     "scale",
     "-DK=9",
     1,
     CLM_E_BUILD,
     {"scaling", "scale", "CL_BUILD_PROGRAM_FAILURE", "nonsense", "-DK=9"}},
    {clm_test_scale_source, NULL, "absent", "-DK=2", 4, CLM_E_DEVICE, {"scaling", "absent", "CL_INVALID_KERNEL_NAME"}},
    {clm_test_scale_source, NULL, "scale", "-DK=2", 3, CLM_E_ARG, {"scaling", "scale", "takes 6 arguments", "has 5"}},
    {NULL, "no_such_file.cl", "scale", "", 4, CLM_E_ARG, {"no_such_file.cl"}},
};

START_TEST(failures_name_the_culprit) {
    const failure *f = &failures[_i];
    clm_device *d = clm_test_open_opencl();
    clm_mem *x = clm_test_alloc(d, 200);
    clm_launch launch = clm_test_scale_launch(x, x, 0);
    launch.source = f->source;
    launch.file = f->file;
    launch.entry = f->entry;
    launch.defines = f->defines;
    launch.n_args = f->n_args;
    clm_kernel *kernel = NULL;
    ck_assert_int_eq(d->backend->make(d, &launch, &kernel), f->status);
    ck_assert_ptr_null(kernel);
    for (int i = 0; i < 5 && f->says[i]; i++) CLM_TEST_SAYS(f->says[i]);
    if (f->status != CLM_E_ARG) CLM_TEST_SAYS(d->info.name);
    launch = clm_test_scale_launch(x, x, 0); /* the device is none the worse for it */
    CLM_TEST_OK(d->backend->make(d, &launch, &kernel));
    d->backend->release(d, kernel);
    d->backend->free(d, x);
    clm_device_close(d);
}
END_TEST

START_TEST(offsets_beyond_addressing_are_refused) {
    clm_device *d = clm_test_open_opencl();
    clm_mem *x = clm_test_alloc(d, 200);
    clm_launch launch = clm_test_scale_launch(x, x, 0);
    launch.args[0].offset = (size_t)UINT32_MAX + 1;
    clm_kernel *kernel = NULL;
    ck_assert_int_eq(d->backend->make(d, &launch, &kernel), CLM_E_LIMIT);
    CLM_TEST_SAYS("scaling");
    d->backend->free(d, x);
    clm_device_close(d);
}
END_TEST

START_TEST(devices_are_independent) {
    clm_device *a = clm_test_open_opencl(), *b = clm_test_open_opencl();
    clm_mem *x = clm_test_ramp(a), *y = clm_test_alloc(a, 200), *u = clm_test_ramp(b), *v = clm_test_alloc(b, 200);
    clm_launch first = clm_test_scale_launch(x, y, 0), second = clm_test_scale_launch(u, v, CLM_TEST_ITEMS);
    clm_test_make_and_run(a, &first);
    clm_test_make_and_run(b, &second);
    a->backend->free(a, x);
    clm_test_check_scaled(a, y, 0);
    a->backend->free(a, y);
    clm_device_close(a);
    clm_test_check_scaled(b, v, CLM_TEST_ITEMS);
    b->backend->free(b, u);
    b->backend->free(b, v);
    clm_device_close(b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("device");
    TCase *tcase = tcase_create("device");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, clm_test_enter_cache, clm_test_leave_cache);
    tcase_add_loop_test(tcase, memory_moves_numbers, 0, CLM_TEST_BACKENDS + 1);
    tcase_add_loop_test(tcase, memory_is_bounded, 0, CLM_TEST_BACKENDS);
    tcase_add_loop_test(tcase, memory_is_counted, 0, CLM_TEST_BACKENDS);
    tcase_add_loop_test(tcase, launches_run, 0, CLM_TEST_BACKENDS);
    tcase_add_loop_test(tcase, queue_is_in_order, 0, CLM_TEST_BACKENDS);
    tcase_add_loop_test(tcase, failures_name_the_culprit, 0, sizeof failures / sizeof *failures);
    tcase_add_test(tcase, offsets_beyond_addressing_are_refused);
    tcase_add_test(tcase, devices_are_independent);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
