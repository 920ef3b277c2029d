/* Which OpenCL programs are built, and which are found again: in the process, on disk. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/memory.h"
#include "device/opencl/opencl.h"
#include "support/launch.h"

START_TEST(equal_programs_are_built_once) {
    clm_device *d = clm_test_open_opencl();
    clm_mem *x = clm_test_ramp(d), *y = clm_test_alloc(d, 200);
    clm_launch launch = clm_test_scale_launch(x, y, 0);
    char *same_source = clm_strdup(clm_test_scale_source);
    clm_test_make_and_run(d, &launch);
    ck_assert_uint_eq(clm_device_kernels_built(d), 1);
    launch.source = same_source;
    launch.global[0] = 64;
    clm_test_make_and_run(d, &launch);
    ck_assert_uint_eq(clm_device_kernels_built(d), 1);
    clm_test_check_scaled(d, y, 0);
    launch.defines = "-DK=3";
    clm_test_make_and_run(d, &launch);
    ck_assert_uint_eq(clm_device_kernels_built(d), 2);
    same_source[0] = ' '; /* another text, "_kernel", which does not compile */
    clm_kernel *kernel = NULL;
    ck_assert_int_eq(d->backend->make(d, &launch, &kernel), CLM_E_BUILD);
    free(same_source);
    d->backend->free(d, x);
    d->backend->free(d, y);
    clm_device_close(d);
}
END_TEST

START_TEST(kernel_directory_overrides) {
    char *common = clm_path_join(clm_test_cache, "common.cl"), *file = clm_path_join(clm_test_cache, "mine.cl");
    const char *text = "__kernel void mine(__global float *y, uint2 at) { y[at.s0] = FROM_COMMON + at.s1; }";
    CLM_TEST_OK(clm_file_write(common, "#define FROM_COMMON 7\n", 22));
    CLM_TEST_OK(clm_file_write(file, text, strlen(text)));
    setenv("CLMAML_KERNEL_DIR", clm_test_cache, 1);
    clm_device *d = clm_test_open_opencl();
    clm_mem *y = clm_test_alloc(d, 4);
    clm_launch launch = {.label = "mine", .file = "mine.cl", .entry = "mine", .defines = "", .global = {1, 1, 1}, .n_args = 1};
    launch.args[0] = (clm_arg){.kind = CLM_ARG_MEM, .mem = y, .offset = 2, .task_stride = 3};
    clm_test_make_and_run(d, &launch);
    float data[4];
    CLM_TEST_OK(d->backend->read(d, y, 0, 4, data, NULL));
    ck_assert_double_eq(data[2], 10.0);
    launch.file = "absent.cl";
    clm_kernel *kernel = NULL;
    ck_assert_int_eq(d->backend->make(d, &launch, &kernel), CLM_E_IO);
    CLM_TEST_SAYS("CLMAML_KERNEL_DIR");
    CLM_TEST_SAYS("absent.cl");
    d->backend->free(d, y);
    clm_device_close(d);
    free(common);
    free(file);
}
END_TEST

/* ---- the cache on disk ---- */

/* Opens the device afresh, runs one launch, checks its numbers; how many programs were built from source? `asking`: seconds
 * that the driver is taken to have needed for binaries already. */
static size_t builds_where_asking_costs(double asking, const char *defines) {
    clm_device *d = clm_test_open_opencl();
    clm_cl(d)->asking = asking;
    clm_mem *x = clm_test_ramp(d), *y = clm_test_alloc(d, 200);
    clm_launch launch = clm_test_scale_launch(x, y, 0);
    if (defines) launch.defines = defines;
    clm_test_make_and_run(d, &launch);
    if (!defines) clm_test_check_scaled(d, y, 0);
    size_t built = clm_device_kernels_built(d);
    d->backend->free(d, x);
    d->backend->free(d, y);
    clm_device_close(d);
    return built;
}

static size_t builds_of_a_fresh_device(const char *defines) { return builds_where_asking_costs(0, defines); }

static void fill_cache(void) { ck_assert_uint_eq(builds_of_a_fresh_device(NULL), 1); }

/* The path of the only entry; free with free(). */
static char *only_entry(void) {
    char **names, *programs = clm_path_join(clm_test_cache, "programs");
    size_t count;
    CLM_TEST_OK(clm_directory_list(programs, &names, &count));
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

/* A CPU driver that compiles again to give a binary is asked for what is built a second time. */
START_TEST(dear_binaries_are_asked_for_at_the_second_start) {
    const double dear = 1e9;
    ck_assert_uint_eq(builds_where_asking_costs(dear, NULL), 1);
    clm_device *d = clm_test_open_opencl();
    const size_t second = clm_device_get_info(d)->type == CLM_DEVICE_CPU;
    clm_device_close(d);
    ck_assert_uint_eq(builds_where_asking_costs(dear, NULL), second);
    ck_assert_uint_eq(builds_where_asking_costs(dear, NULL), 0);
}
END_TEST

START_TEST(cache_can_be_turned_off) {
    setenv("CLMAML_NO_CACHE", "1", 1);
    fill_cache();
    char *programs = clm_path_join(clm_test_cache, "programs");
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
    CLM_TEST_OK(clm_file_read(path, &data, &size));
    damages[_i](data, &size);
    CLM_TEST_OK(clm_file_write(path, data, size));
    ck_assert_uint_eq(builds_of_a_fresh_device(NULL), 1);
    ck_assert_uint_eq(builds_of_a_fresh_device(NULL), 0);
    free(data);
    free(path);
}
END_TEST

START_TEST(cache_that_cannot_be_written_is_done_without) {
    char *blocked = clm_path_join(clm_test_cache, "file");
    CLM_TEST_OK(clm_file_write(blocked, "", 0));
    setenv("CLMAML_CACHE_DIR", blocked, 1);
    ck_assert_uint_eq(builds_of_a_fresh_device(NULL), 1);
    ck_assert_uint_eq(builds_of_a_fresh_device(NULL), 1);
    free(blocked);
}
END_TEST

int main(void) {
    setenv("CLMAML_QUIRKS", "-pocl-binaries", 1); /* so that the cache is used on PoCL too */
    Suite *suite = suite_create("binaries");
    TCase *tcase = tcase_create("binaries");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, clm_test_enter_cache, clm_test_leave_cache);
    tcase_add_test(tcase, equal_programs_are_built_once);
    tcase_add_test(tcase, kernel_directory_overrides);
    tcase_add_test(tcase, cache_is_used);
    tcase_add_test(tcase, dear_binaries_are_asked_for_at_the_second_start);
    tcase_add_test(tcase, cache_can_be_turned_off);
    tcase_add_loop_test(tcase, damaged_cache_is_rebuilt, 0, DAMAGES);
    tcase_add_test(tcase, cache_that_cannot_be_written_is_done_without);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
