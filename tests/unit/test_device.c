/* The device layer on the host reference and on the OpenCL device that CLMAML_DEVICE or the default names: memory, launches, what
 * a failure says, which programs are built and which are found again. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/memory.h"
#include "device/backend.h"
#include "device/opencl/local.h"

#define OK(expression) ck_assert_msg((expression) == CLM_OK, "%s", clm_last_error())
#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" is not in: %s", text, clm_last_error())

/* ---- a cache of our own for every test ---- */

static char directory[64];

static void enter_directory(void) {
    strcpy(directory, "/tmp/clmaml-test-XXXXXX");
    if (!mkdtemp(directory)) ck_abort_msg("no temporary directory");
    setenv("CLMAML_CACHE_DIR", directory, 1);
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

static void leave_directory(void) { remove_tree(directory); }

/* ---- devices ---- */

static clm_device *open_host(void) {
    clm_device *d = NULL;
    OK(clm_device_open(&d, "host"));
    return d;
}

static clm_device *open_opencl(void) {
    clm_device *d = NULL;
    OK(clm_device_open(&d, NULL));
    ck_assert_msg(d->info.type != CLM_DEVICE_HOST, "the tests need an OpenCL device");
    return d;
}

static clm_device *(*const opens[])(void) = {open_host, open_opencl};
enum { BACKENDS = sizeof opens / sizeof *opens };

static clm_mem *alloc(clm_device *d, size_t elements) {
    clm_mem *mem = NULL;
    OK(d->backend->alloc(d, elements, &mem));
    return mem;
}

START_TEST(memory_moves_numbers) {
    clm_device *d = opens[_i]();
    const clm_backend *b = d->backend;
    enum { N = 40000 }; /* more than is converted at a time */
    clm_mem *x = alloc(d, N), *y = alloc(d, 100);
    double *wide = clm_calloc(N, sizeof *wide);
    float narrow[100];
    OK(b->read(d, x, 0, N, NULL, wide));
    for (int i = 0; i < N; i++) ck_assert_double_eq(wide[i], 0.0);
    for (int i = 0; i < N; i++) wide[i] = i;
    OK(b->write(d, x, 0, N, NULL, wide));
    memset(wide, 0, N * sizeof *wide);
    OK(b->read(d, x, 0, N, NULL, wide));
    for (int i = 0; i < N; i++) ck_assert_double_eq(wide[i], i);
    OK(b->copy(d, x, 17000, y, 10, 50));
    OK(b->fill(d, y, 55, 5, -0.5));
    OK(b->write(d, y, 0, 1, &(float){3.0f}, NULL));
    OK(b->read(d, y, 0, 100, narrow, NULL));
    for (int i = 0; i < 100; i++) {
        double expected = i == 0 ? 3.0 : i >= 55 && i < 60 ? -0.5 : i >= 10 && i < 60 ? 17000 + i - 10 : 0.0;
        ck_assert_double_eq(narrow[i], expected);
    }
    OK(b->fill(d, y, 0, 100, NAN));
    OK(b->read(d, y, 99, 1, narrow, NULL));
    ck_assert(isnan(narrow[0]));
    OK(b->write(d, y, 100, 0, narrow, NULL));
    OK(b->copy(d, x, N, y, 100, 0));
    free(wide);
    b->free(d, x);
    b->free(d, y);
    clm_device_close(d);
}
END_TEST

START_TEST(memory_is_bounded) {
    clm_device *d = opens[_i]();
    const clm_backend *b = d->backend;
    clm_mem *x = alloc(d, 10), *y = alloc(d, 20);
    float data[20] = {0};
    ck_assert_int_eq(b->write(d, x, 0, 11, data, NULL), CLM_E_ARG);
    SAYS("passes the end");
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
    clm_device *d = opens[_i]();
    const clm_backend *b = d->backend;
    size_t size = b->element_size;
    ck_assert_uint_eq(clm_device_allocated(d), 0);
    clm_mem *x = alloc(d, 1000), *y = alloc(d, 500);
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

/* ---- launches: y[task][i] = scale x[task or none][i] + K + shift ---- */

enum { ITEMS = 37, TASKS = 3 };

static void scale_on_host(const clm_launch *l) {
    const double *x = clm_host_data(l->args[0].mem) + l->args[0].offset;
    double *y = clm_host_data(l->args[1].mem) + l->args[1].offset;
    for (size_t t = 0; t < TASKS; t++) {
        for (int i = 0; i < l->args[2].i; i++) {
            y[t * l->args[1].task_stride + (size_t)i] = l->args[3].f * x[t * l->args[0].task_stride + (size_t)i] + 2;
        }
    }
}

static const char scale_source[] = "__kernel void scale(IN(x), OUT(y), const int n, const float s) {\n"
                                   "    const int i = get_global_id(0), t = get_global_id(2);\n"
                                   "    if (i < n) PTR(y, t)[i] = s * PTR(x, t)[i] + K;\n"
                                   "}\n";

static clm_launch scale_launch(clm_mem *x, clm_mem *y, size_t x_stride) {
    clm_launch l = {.label = "scaling",
                    .source = scale_source,
                    .entry = "scale",
                    .defines = "-DK=2",
                    .global = {ITEMS, 1, TASKS},
                    .host = scale_on_host,
                    .n_args = 4};
    l.args[0] = (clm_arg){.kind = CLM_ARG_MEM, .mem = x, .offset = 5, .task_stride = x_stride};
    l.args[1] = (clm_arg){.kind = CLM_ARG_MEM, .mem = y, .offset = 11, .task_stride = ITEMS};
    l.args[2] = (clm_arg){.kind = CLM_ARG_INT, .i = ITEMS};
    l.args[3] = (clm_arg){.kind = CLM_ARG_FLOAT, .f = 0.5};
    return l;
}

static void check_scaled(clm_device *d, clm_mem *y, size_t x_stride) {
    float data[200];
    OK(d->backend->read(d, y, 0, 200, data, NULL));
    for (size_t i = 0; i < 200; i++) {
        size_t k = i - 11, t = k / ITEMS, item = k % ITEMS;
        double expected = i >= 11 && t < TASKS ? 0.5 * (double)(5 + t * x_stride + item) + 2 : 0.0;
        ck_assert_msg(data[i] == expected, "element %zu is %g, expected %g", i, data[i], expected);
    }
}

static clm_mem *counted(clm_device *d) {
    clm_mem *x = alloc(d, 200);
    float data[200];
    for (int i = 0; i < 200; i++) data[i] = (float)i;
    OK(d->backend->write(d, x, 0, 200, data, NULL));
    return x;
}

START_TEST(launches_run) {
    static const size_t strides[] = {0, ITEMS}, locals[][3] = {{0, 0, 0}, {37, 1, 1}, {1, 1, 3}};
    clm_device *d = opens[_i]();
    const clm_backend *b = d->backend;
    clm_mem *x = counted(d), *y = alloc(d, 200);
    for (size_t s = 0; s < 2; s++) {
        for (size_t l = 0; l < 3; l++) {
            clm_launch launch = scale_launch(x, y, strides[s]);
            memcpy(launch.local, locals[l], sizeof launch.local);
            clm_kernel *kernel = NULL;
            OK(b->make(d, &launch, &kernel));
            memset(&launch, 0xa5, sizeof launch); /* a kernel needs nothing of its launch any more */
            OK(b->fill(d, y, 0, 200, 0.0));
            OK(b->enqueue(d, kernel));
            check_scaled(d, y, strides[s]);
            OK(b->fill(d, y, 0, 200, 0.0));
            double seconds = -1.0;
            OK(b->time(d, kernel, &seconds));
            ck_assert_double_ge(seconds, 0.0);
            check_scaled(d, y, strides[s]);
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
    clm_device *d = opens[_i]();
    const clm_backend *b = d->backend;
    clm_mem *x = counted(d), *y = alloc(d, 200);
    clm_launch there = scale_launch(x, y, ITEMS), back = scale_launch(y, x, ITEMS);
    back.args[0].offset = 11;
    back.args[1].offset = 5;
    there.args[3].f = back.args[3].f = 1.0;
    clm_kernel *go = NULL, *come = NULL;
    OK(b->make(d, &there, &go));
    OK(b->make(d, &back, &come));
    for (int i = 0; i < 150; i++) {
        OK(b->enqueue(d, go));
        OK(b->enqueue(d, come));
    }
    OK(clm_device_finish(d));
    double first = 0.0;
    OK(b->read(d, x, 5, 1, NULL, &first));
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
    {scale_source, NULL, "absent", "-DK=2", 4, CLM_E_DEVICE, {"scaling", "absent", "CL_INVALID_KERNEL_NAME"}},
    {scale_source, NULL, "scale", "-DK=2", 3, CLM_E_ARG, {"scaling", "scale", "takes 8 arguments", "has 7"}},
    {NULL, "no_such_file.cl", "scale", "", 4, CLM_E_ARG, {"no_such_file.cl"}},
};

START_TEST(failures_name_the_culprit) {
    const failure *f = &failures[_i];
    clm_device *d = open_opencl();
    clm_mem *x = alloc(d, 200);
    clm_launch launch = scale_launch(x, x, 0);
    launch.source = f->source;
    launch.file = f->file;
    launch.entry = f->entry;
    launch.defines = f->defines;
    launch.n_args = f->n_args;
    clm_kernel *kernel = NULL;
    ck_assert_int_eq(d->backend->make(d, &launch, &kernel), f->status);
    ck_assert_ptr_null(kernel);
    for (int i = 0; i < 5 && f->says[i]; i++) SAYS(f->says[i]);
    if (f->status != CLM_E_ARG) SAYS(d->info.name);
    launch = scale_launch(x, x, 0); /* the device is none the worse for it */
    OK(d->backend->make(d, &launch, &kernel));
    d->backend->release(d, kernel);
    d->backend->free(d, x);
    clm_device_close(d);
}
END_TEST

START_TEST(offsets_beyond_addressing_are_refused) {
    clm_device *d = open_opencl();
    clm_mem *x = alloc(d, 200);
    clm_launch launch = scale_launch(x, x, 0);
    launch.args[0].offset = (size_t)UINT32_MAX + 1;
    clm_kernel *kernel = NULL;
    ck_assert_int_eq(d->backend->make(d, &launch, &kernel), CLM_E_LIMIT);
    SAYS("scaling");
    d->backend->free(d, x);
    clm_device_close(d);
}
END_TEST

/* ---- programs ---- */

static void make_and_run(clm_device *d, const clm_launch *launch) {
    clm_kernel *kernel = NULL;
    OK(d->backend->make(d, launch, &kernel));
    OK(d->backend->enqueue(d, kernel));
    OK(d->backend->finish(d));
    d->backend->release(d, kernel);
}

START_TEST(equal_programs_are_built_once) {
    clm_device *d = open_opencl();
    clm_mem *x = counted(d), *y = alloc(d, 200);
    clm_launch launch = scale_launch(x, y, 0);
    char same_source[sizeof scale_source];
    memcpy(same_source, scale_source, sizeof scale_source);
    make_and_run(d, &launch);
    ck_assert_uint_eq(clm_device_kernels_built(d), 1);
    launch.source = same_source;
    launch.global[0] = 64;
    make_and_run(d, &launch);
    ck_assert_uint_eq(clm_device_kernels_built(d), 1);
    check_scaled(d, y, 0);
    launch.defines = "-DK=3";
    make_and_run(d, &launch);
    ck_assert_uint_eq(clm_device_kernels_built(d), 2);
    same_source[0] = ' '; /* another text, "_kernel", which does not compile */
    clm_kernel *kernel = NULL;
    ck_assert_int_eq(d->backend->make(d, &launch, &kernel), CLM_E_BUILD);
    d->backend->free(d, x);
    d->backend->free(d, y);
    clm_device_close(d);
}
END_TEST

START_TEST(kernel_directory_overrides) {
    char *common = clm_path_join(directory, "common.cl"), *file = clm_path_join(directory, "mine.cl");
    const char *text = "__kernel void mine(__global float *y, uint offset, uint stride) { y[offset] = FROM_COMMON + stride; }";
    OK(clm_file_write(common, "#define FROM_COMMON 7\n", 22));
    OK(clm_file_write(file, text, strlen(text)));
    setenv("CLMAML_KERNEL_DIR", directory, 1);
    clm_device *d = open_opencl();
    clm_mem *y = alloc(d, 4);
    clm_launch launch = {.label = "mine", .file = "mine.cl", .entry = "mine", .defines = "", .global = {1, 1, 1}, .n_args = 1};
    launch.args[0] = (clm_arg){.kind = CLM_ARG_MEM, .mem = y, .offset = 2, .task_stride = 3};
    make_and_run(d, &launch);
    float data[4];
    OK(d->backend->read(d, y, 0, 4, data, NULL));
    ck_assert_double_eq(data[2], 10.0);
    launch.file = "absent.cl";
    clm_kernel *kernel = NULL;
    ck_assert_int_eq(d->backend->make(d, &launch, &kernel), CLM_E_IO);
    SAYS("CLMAML_KERNEL_DIR");
    SAYS("absent.cl");
    d->backend->free(d, y);
    clm_device_close(d);
    free(common);
    free(file);
}
END_TEST

/* ---- the cache on disk ---- */

/* Opens the device afresh, runs one launch, checks its numbers; how many programs were built from source? */
static size_t builds_of_a_fresh_device(const char *defines) {
    clm_device *d = open_opencl();
    clm_mem *x = counted(d), *y = alloc(d, 200);
    clm_launch launch = scale_launch(x, y, 0);
    if (defines) launch.defines = defines;
    make_and_run(d, &launch);
    if (!defines) check_scaled(d, y, 0);
    size_t built = clm_device_kernels_built(d);
    d->backend->free(d, x);
    d->backend->free(d, y);
    clm_device_close(d);
    return built;
}

/* Twice: the first time may only mark the program as wanted. */
static void fill_cache(void) {
    builds_of_a_fresh_device(NULL);
    builds_of_a_fresh_device(NULL);
}

/* The path of the only entry; free with free(). */
static char *only_entry(void) {
    char **names, *programs = clm_path_join(directory, "programs");
    size_t count;
    OK(clm_directory_list(programs, &names, &count));
    ck_assert_uint_eq(count, 1);
    char *path = clm_path_join(programs, names[0]);
    clm_names_free(names, count);
    free(programs);
    return path;
}

START_TEST(cache_is_used) {
    fill_cache();
    ck_assert_uint_eq(builds_of_a_fresh_device(NULL), 0);
    ck_assert_uint_eq(builds_of_a_fresh_device("-DK=4"), 1);
    setenv("CLMAML_NO_CACHE", "1", 1);
    ck_assert_uint_eq(builds_of_a_fresh_device(NULL), 1);
}
END_TEST

START_TEST(cache_can_be_turned_off) {
    setenv("CLMAML_NO_CACHE", "1", 1);
    fill_cache();
    char *programs = clm_path_join(directory, "programs");
    ck_assert(!clm_path_exists(programs));
    free(programs);
}
END_TEST

/* Damage of every kind, then a build from source that nobody notices, after which the entry is whole again. */
static void truncate_entry(char *data, size_t *size) {
    (void)data;
    *size /= 2;
}
static void truncate_header(char *data, size_t *size) {
    (void)data;
    *size = 9;
}
static void flip_body(char *data, size_t *size) { data[*size - *size / 3] ^= 0x10; }
static void flip_version(char *data, size_t *size) {
    (void)size;
    data[7] ^= 1;
}
static void flip_key(char *data, size_t *size) {
    (void)size;
    data[12] ^= 1;
}
/* A binary that our checks pass and the driver has to refuse: all zeros, under a header that fits. */
static void wipe_body(char *data, size_t *size) {
    enum { HEADER = 40 };
    memset(data + HEADER, 0, *size - HEADER);
    uint64_t sum = clm_hash(CLM_HASH_SEED, data + HEADER, *size - HEADER);
    memcpy(data + 24, &sum, sizeof sum);
}

static void (*const damages[])(char *data, size_t *size) = {truncate_entry, truncate_header, flip_body,
                                                            flip_version,   flip_key,        wipe_body};
enum { DAMAGES = sizeof damages / sizeof *damages };

START_TEST(damaged_cache_is_rebuilt) {
    fill_cache();
    char *path = only_entry(), *data = NULL;
    size_t size = 0;
    OK(clm_file_read(path, &data, &size));
    damages[_i](data, &size);
    OK(clm_file_write(path, data, size));
    ck_assert_uint_eq(builds_of_a_fresh_device(NULL), 1);
    ck_assert_uint_eq(builds_of_a_fresh_device(NULL), 0);
    free(data);
    free(path);
}
END_TEST

START_TEST(cache_that_cannot_be_written_is_done_without) {
    char *blocked = clm_path_join(directory, "file");
    OK(clm_file_write(blocked, "", 0));
    setenv("CLMAML_CACHE_DIR", blocked, 1);
    ck_assert_uint_eq(builds_of_a_fresh_device(NULL), 1);
    ck_assert_uint_eq(builds_of_a_fresh_device(NULL), 1);
    free(blocked);
}
END_TEST

/* ---- opening and listing ---- */

START_TEST(list_ends_with_host) {
    clm_device_info *list = NULL;
    size_t count = 0, chosen = 0;
    char warnings[256];
    OK(clm_device_list(&list, &count, warnings, sizeof warnings));
    ck_assert_uint_ge(count, 2);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(list[i].type == CLM_DEVICE_HOST, i == count - 1);
        chosen += list[i].chosen;
        ck_assert(*list[i].name != 0);
    }
    ck_assert_uint_eq(chosen, 1);
    clm_device *d = open_opencl();
    for (size_t i = 0; i < count; i++) {
        bool same = list[i].platform_index == d->info.platform_index && list[i].device_index == d->info.device_index;
        ck_assert_int_eq(list[i].chosen, same);
    }
    ck_assert_str_eq(clm_device_get_info(d)->name, d->info.name);
    clm_device_close(d);
    clm_device_list_free(list);
    clm_device_list_free(NULL);
}
END_TEST

START_TEST(environment_names_the_device) {
    clm_device *d = NULL;
    setenv("CLMAML_DEVICE", "host", 1);
    OK(clm_device_open(&d, NULL));
    ck_assert_int_eq(d->info.type, CLM_DEVICE_HOST);
    clm_device_close(d);
    setenv("CLMAML_DEVICE", "warp drive", 1);
    ck_assert_int_eq(clm_device_open(&d, NULL), CLM_E_DEVICE);
    ck_assert_ptr_null(d);
    SAYS("CLMAML_DEVICE");
    SAYS("warp drive");
    SAYS("host");
    OK(clm_device_open(&d, "host")); /* what is asked for goes before the environment */
    clm_device_close(d);
}
END_TEST

/* Before anything in this process has asked the loader, which reads the variables once. */
START_TEST(without_a_driver_there_is_the_host) {
    setenv("OCL_ICD_VENDORS", directory, 1);
    setenv("OCL_ICD_FILENAMES", "", 1);
    unsetenv("CLMAML_DEVICE");
    clm_device_info *list = NULL;
    size_t count = 0;
    OK(clm_device_list(&list, &count, NULL, 0));
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(list[0].type, CLM_DEVICE_HOST);
    ck_assert(!list[0].chosen);
    clm_device_list_free(list);
    clm_device *d = NULL;
    ck_assert_int_eq(clm_device_open(&d, NULL), CLM_E_DEVICE);
    SAYS("no OpenCL device");
    ck_assert_int_eq(clm_device_open(&d, "gpu"), CLM_E_DEVICE);
    OK(clm_device_open(&d, "gpu,host"));
    clm_device_close(d);
}
END_TEST

START_TEST(devices_are_independent) {
    clm_device *a = open_opencl(), *b = open_opencl();
    clm_mem *x = counted(a), *y = alloc(a, 200), *u = counted(b), *v = alloc(b, 200);
    clm_launch first = scale_launch(x, y, 0), second = scale_launch(u, v, ITEMS);
    make_and_run(a, &first);
    make_and_run(b, &second);
    a->backend->free(a, x);
    check_scaled(a, y, 0);
    a->backend->free(a, y);
    clm_device_close(a);
    check_scaled(b, v, ITEMS);
    b->backend->free(b, u);
    b->backend->free(b, v);
    clm_device_close(b);
}
END_TEST

/* ---- work-group sizes ---- */

static const struct {
    clm_local_limits limits;
    size_t global[3], local[3], expected_global[3], expected_local[3];
} locals[] = {
    /* a CPU: groups of one */
    {{CLM_DEVICE_CPU, 4096, 8, {4096, 4096, 4096}, {0}}, {100, 3, 5}, {0}, {100, 3, 5}, {1, 1, 1}},
    {{CLM_DEVICE_CPU, 4096, 8, {4096, 4096, 4096}, {0}}, {100, 0, 0}, {0}, {100, 1, 1}, {1, 1, 1}},
    /* a GPU: powers of two along the first, divisors of the others */
    {{CLM_DEVICE_GPU, 1024, 32, {1024, 1024, 64}, {0}}, {10000, 1, 32}, {0}, {10112, 1, 32}, {128, 1, 1}},
    {{CLM_DEVICE_GPU, 1024, 32, {1024, 1024, 64}, {0}}, {64, 14, 32}, {0}, {64, 14, 32}, {64, 2, 1}},
    {{CLM_DEVICE_GPU, 1024, 32, {1024, 1024, 64}, {0}}, {130, 1, 1}, {0}, {160, 1, 1}, {32, 1, 1}},
    {{CLM_DEVICE_GPU, 1024, 32, {1024, 1024, 64}, {0}}, {5, 1, 32}, {0}, {8, 1, 32}, {8, 1, 16}},
    {{CLM_DEVICE_GPU, 1024, 32, {1024, 1024, 4}, {0}}, {1, 7, 32}, {0}, {1, 7, 32}, {1, 7, 4}},
    {{CLM_DEVICE_GPU, 1, 1, {1, 1, 1}, {0}}, {100, 7, 32}, {0}, {100, 7, 32}, {1, 1, 1}},
    /* given and legal */
    {{CLM_DEVICE_GPU, 256, 32, {256, 256, 64}, {0}}, {64, 64, 2}, {16, 16, 1}, {64, 64, 2}, {16, 16, 1}},
    {{CLM_DEVICE_GPU, 256, 32, {256, 256, 64}, {0}}, {100, 64, 2}, {16, 16, 1}, {112, 64, 2}, {16, 16, 1}},
    /* given and too large: made smaller by factors of itself */
    {{CLM_DEVICE_GPU, 64, 32, {64, 64, 64}, {0}}, {64, 64, 2}, {16, 16, 1}, {64, 64, 2}, {8, 8, 1}},
    {{CLM_DEVICE_CPU, 1, 1, {1, 1, 1}, {0}}, {64, 64, 2}, {16, 16, 1}, {64, 64, 2}, {1, 1, 1}},
    {{CLM_DEVICE_GPU, 256, 32, {16, 256, 64}, {0}}, {96, 1, 1}, {48, 1, 1}, {96, 1, 1}, {16, 1, 1}},
    /* demanded by the kernel */
    {{CLM_DEVICE_CPU, 256, 32, {256, 256, 64}, {8, 8, 1}}, {20, 8, 3}, {0}, {24, 8, 3}, {8, 8, 1}},
};
enum { LOCALS = sizeof locals / sizeof *locals };

START_TEST(local_sizes) {
    size_t global[3], local[3];
    memcpy(global, locals[_i].global, sizeof global);
    memcpy(local, locals[_i].local, sizeof local);
    OK(clm_local_choose(&locals[_i].limits, global, local));
    for (int k = 0; k < 3; k++) {
        ck_assert_uint_eq(local[k], locals[_i].expected_local[k]);
        ck_assert_uint_eq(global[k], locals[_i].expected_global[k]);
    }
}
END_TEST

START_TEST(demanded_size_that_does_not_fit) {
    clm_local_limits limits = {CLM_DEVICE_GPU, 32, 32, {256, 256, 64}, {8, 8, 1}};
    size_t global[3] = {8, 8, 1}, local[3] = {0};
    ck_assert_int_eq(clm_local_choose(&limits, global, local), CLM_E_LIMIT);
    SAYS("8 x 8 x 1");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("device");
    TCase *tcase = tcase_create("device");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, enter_directory, leave_directory);
    tcase_add_loop_test(tcase, memory_moves_numbers, 0, BACKENDS);
    tcase_add_loop_test(tcase, memory_is_bounded, 0, BACKENDS);
    tcase_add_loop_test(tcase, memory_is_counted, 0, BACKENDS);
    tcase_add_loop_test(tcase, launches_run, 0, BACKENDS);
    tcase_add_loop_test(tcase, queue_is_in_order, 0, BACKENDS);
    tcase_add_loop_test(tcase, failures_name_the_culprit, 0, sizeof failures / sizeof *failures);
    tcase_add_test(tcase, offsets_beyond_addressing_are_refused);
    tcase_add_test(tcase, equal_programs_are_built_once);
    tcase_add_test(tcase, kernel_directory_overrides);
    tcase_add_test(tcase, cache_is_used);
    tcase_add_test(tcase, cache_can_be_turned_off);
    tcase_add_loop_test(tcase, damaged_cache_is_rebuilt, 0, DAMAGES);
    tcase_add_test(tcase, cache_that_cannot_be_written_is_done_without);
    tcase_add_test(tcase, list_ends_with_host);
    tcase_add_test(tcase, environment_names_the_device);
    tcase_add_test(tcase, without_a_driver_there_is_the_host);
    tcase_add_test(tcase, devices_are_independent);
    tcase_add_loop_test(tcase, local_sizes, 0, LOCALS);
    tcase_add_test(tcase, demanded_size_that_does_not_fit);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
