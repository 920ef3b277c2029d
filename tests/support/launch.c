/* See launch.h. */
#include "support/launch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/files.h"

char clm_test_cache[64];

void clm_test_enter_cache(void) {
    strcpy(clm_test_cache, "/tmp/clmaml-test-XXXXXX");
    if (!mkdtemp(clm_test_cache)) ck_abort_msg("no temporary directory");
    setenv("CLMAML_CACHE_DIR", clm_test_cache, 1);
    unsetenv("CLMAML_NO_CACHE");
    unsetenv("CLMAML_KERNEL_DIR");
}

static void remove_tree(const char *path) {
    char **names;
    size_t count;
    if (clm_path_is_directory(path) && clm_directory_list(path, &names, &count) == CLM_OK) {
        for (size_t i = 0; i < count; i++) {
            char *inner = clm_path_join(path, names[i]);
            remove_tree(inner);
            free(inner);
        }
        clm_names_free(names, count);
    }
    remove(path);
}

void clm_test_leave_cache(void) { remove_tree(clm_test_cache); }

clm_device *(*const clm_test_opens[])(void) = {clm_test_open_host, clm_test_open_opencl};

clm_mem *clm_test_alloc(clm_device *d, size_t elements) {
    clm_mem *mem = NULL;
    CLM_TEST_OK(d->backend->alloc(d, elements, &mem));
    return mem;
}

static void scale_on_host(const clm_launch *l) {
    const double *x = clm_host_data(l->args[0].mem) + l->args[0].offset;
    double *y = clm_host_data(l->args[1].mem) + l->args[1].offset;
    for (size_t t = 0; t < CLM_TEST_TASKS; t++) {
        for (int i = 0; i < l->args[2].i; i++) {
            y[t * l->args[1].task_stride + (size_t)i] = l->args[3].f * x[t * l->args[0].task_stride + (size_t)i] + 2;
        }
    }
}

const char clm_test_scale_source[] = "__kernel void scale(IN(x), OUT(y), const int n, const float s) {\n"
                                     "    const int i = get_global_id(0), t = get_global_id(2);\n"
                                     "    if (i < n) PTR(y, t)[i] = s * PTR(x, t)[i] + K;\n"
                                     "}\n";

clm_launch clm_test_scale_launch(clm_mem *x, clm_mem *y, size_t x_stride) {
    clm_launch l = {.label = "scaling",
                    .source = clm_test_scale_source,
                    .entry = "scale",
                    .defines = "-DK=2",
                    .global = {CLM_TEST_ITEMS, 1, CLM_TEST_TASKS},
                    .host = scale_on_host,
                    .n_args = 4};
    l.args[0] = (clm_arg){.kind = CLM_ARG_MEM, .mem = x, .offset = 5, .task_stride = x_stride};
    l.args[1] = (clm_arg){.kind = CLM_ARG_MEM, .mem = y, .offset = 11, .task_stride = CLM_TEST_ITEMS};
    l.args[2] = (clm_arg){.kind = CLM_ARG_INT, .i = CLM_TEST_ITEMS};
    l.args[3] = (clm_arg){.kind = CLM_ARG_FLOAT, .f = 0.5};
    return l;
}

void clm_test_check_scaled(clm_device *d, clm_mem *y, size_t x_stride) {
    float data[200];
    CLM_TEST_OK(d->backend->read(d, y, 0, 200, data, NULL));
    for (size_t i = 0; i < 200; i++) {
        size_t k = i - 11, t = k / CLM_TEST_ITEMS, item = k % CLM_TEST_ITEMS;
        double expected = i >= 11 && t < CLM_TEST_TASKS ? 0.5 * (double)(5 + t * x_stride + item) + 2 : 0.0;
        ck_assert_msg(data[i] == expected, "element %zu is %g, expected %g", i, data[i], expected);
    }
}

clm_mem *clm_test_ramp(clm_device *d) {
    clm_mem *x = clm_test_alloc(d, 200);
    float data[200];
    for (int i = 0; i < 200; i++) data[i] = (float)i;
    CLM_TEST_OK(d->backend->write(d, x, 0, 200, data, NULL));
    return x;
}

void clm_test_make_and_run(clm_device *d, const clm_launch *launch) {
    clm_kernel *kernel = NULL;
    CLM_TEST_OK(d->backend->make(d, launch, &kernel));
    CLM_TEST_OK(d->backend->enqueue(d, kernel));
    CLM_TEST_OK(d->backend->finish(d));
    d->backend->release(d, kernel);
}
