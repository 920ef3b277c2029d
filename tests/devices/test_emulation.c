/* CLMAML_EMULATE: its grammar, and that what it says of a device is held to. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "device/opencl/opencl.h"
#include "support/launch.h"

static const clm_device_info large = {.type = CLM_DEVICE_CPU,
                                      .name = "large",
                                      .compute_units = 8,
                                      .global_memory = 64ull << 30,
                                      .max_allocation = 16ull << 30,
                                      .local_memory = 1 << 20,
                                      .max_work_group_size = 4096,
                                      .float_vector_width = 16,
                                      .base_alignment_bits = 1024,
                                      .fp64 = true,
                                      .fp16 = true,
                                      .images = true,
                                      .unified_memory = true,
                                      .address_bits = 64};

START_TEST(every_key) {
    clm_device_info i = large;
    clm_emulation e;
    setenv("CLMAML_EMULATE",
           "type=gpu,compute_units=3,max_work_group=1,vector_width=4,local_memory=32K,max_allocation=256M,memory=512M,memory_"
           "real=0.25G,memory_free=0.125G,"
           "memory_fails=wait,dedicated_local=1,fp64=0,fp16=0,images=0,unified=0,base_align=2048,address_bits=32",
           1);
    CLM_TEST_OK(clm_emulate(&i, &e));
    ck_assert_int_eq(i.type, CLM_DEVICE_GPU);
    ck_assert_uint_eq(i.compute_units, 3);
    ck_assert_uint_eq(i.max_work_group_size, 1);
    ck_assert_uint_eq(i.float_vector_width, 4);
    ck_assert_uint_eq(i.local_memory, 32768);
    ck_assert(i.dedicated_local_memory);
    ck_assert_uint_eq(i.max_allocation, 256u << 20);
    ck_assert_uint_eq(i.global_memory, 512u << 20);
    ck_assert_uint_eq(i.base_alignment_bits, 2048);
    ck_assert_uint_eq(i.address_bits, 32);
    ck_assert(!i.fp64 && !i.fp16 && !i.images && !i.unified_memory);
    ck_assert_str_eq(i.name, "large (emulated)");
    ck_assert(e.active && e.no_fp64 && e.no_fp16 && e.no_images);
    ck_assert_uint_eq(e.real_memory, 256u << 20);
    ck_assert_uint_eq(e.free_memory, 128u << 20);
    ck_assert_int_eq(e.failure, CLM_FAIL_AT_WAIT);
}
END_TEST

START_TEST(only_what_is_named_changes) {
    clm_device_info i = large;
    clm_emulation e = {.active = true};
    unsetenv("CLMAML_EMULATE");
    CLM_TEST_OK(clm_emulate(&i, &e));
    ck_assert_mem_eq(&i, &large, sizeof i);
    ck_assert(!e.active);
    setenv("CLMAML_EMULATE", "", 1);
    CLM_TEST_OK(clm_emulate(&i, NULL));
    ck_assert_mem_eq(&i, &large, sizeof i);
    setenv("CLMAML_EMULATE", "address_bits=32", 1);
    CLM_TEST_OK(clm_emulate(&i, NULL));
    ck_assert_uint_eq(i.global_memory, UINT32_MAX);
    ck_assert_uint_eq(i.max_allocation, UINT32_MAX);
    ck_assert_uint_eq(i.local_memory, large.local_memory);
    ck_assert(i.fp64 && i.fp16 && i.images && i.type == CLM_DEVICE_CPU);
}
END_TEST

START_TEST(nothing_grows) {
    clm_device_info i = large;
    i.fp16 = false;
    setenv("CLMAML_EMULATE", "memory=1T,max_allocation=1T,local_memory=1G,max_work_group=100000,fp16=1,fp64=1", 1);
    CLM_TEST_OK(clm_emulate(&i, NULL));
    ck_assert_uint_eq(i.global_memory, large.global_memory);
    ck_assert_uint_eq(i.max_allocation, large.max_allocation);
    ck_assert_uint_eq(i.local_memory, large.local_memory);
    ck_assert_uint_eq(i.max_work_group_size, large.max_work_group_size);
    ck_assert(!i.fp16 && i.fp64);
}
END_TEST

static const struct {
    const char *text, *says;
} bad[] = {{"gpu", "\"gpu\""},
           {"type", "\"type\""},
           {"type=", "cpu, gpu or accelerator"},
           {"type=GPU", "\"GPU\""},
           {"type=gpu,", "\"\""},
           {",type=gpu", "\"\""},
           {"type=gpu memory=1G", "\"gpu memory=1G\""},
           {"Type=gpu", "max_work_group"},
           {"=3", "\"=3\""},
           {"max_work_group=0", "at least 1"},
           {"max_work_group=-1", "\"-1\""},
           {"max_work_group=99999999999", "99999999999"},
           {"vector_width=3", "1, 2, 4, 8 or 16"},
           {"vector_width=32", "\"32\""},
           {"local_memory=0", "32K"},
           {"memory=lots", "\"lots\""},
           {"memory=1e9", "\"1e9\""},
           {"memory=0x100000", "0x100000"},
           {"memory=-5G", "-5G"},
           {"memory_free=0", "512M"},
           {"memory=5X", "5X"},
           {"memory_fails=never", "allocation, launch or wait"},
           {"fp64=no", "0 or 1"},
           {"base_align=100", "power of two"},
           {"address_bits=48", "32 or 64"}};

START_TEST(bad_values) {
    clm_device_info i = large;
    setenv("CLMAML_EMULATE", bad[_i].text, 1);
    ck_assert_int_eq(clm_emulate(&i, NULL), CLM_E_ARG);
    CLM_TEST_SAYS("CLMAML_EMULATE");
    CLM_TEST_SAYS(bad[_i].says);
    clm_device *d = NULL;
    clm_device_info *list = NULL;
    size_t count;
    ck_assert_int_eq(clm_device_open(&d, NULL), CLM_E_ARG);
    ck_assert_int_eq(clm_device_list(&list, &count, NULL, 0), CLM_E_ARG);
    CLM_TEST_SAYS("CLMAML_EMULATE");
}
END_TEST

/* ---- held to ---- */

static clm_device *open_as(const char *emulate) {
    setenv("CLMAML_EMULATE", emulate, 1);
    return clm_test_open_opencl();
}

START_TEST(groups_are_no_larger) {
    static const size_t most[] = {1, 2, 48};
    for (size_t m = 0; m < 3; m++) {
        char text[64];
        snprintf(text, sizeof text, "type=gpu,max_work_group=%zu", most[m]);
        clm_device *d = open_as(text);
        clm_mem *x = clm_test_ramp(d), *y = clm_test_alloc(d, 200);
        static const size_t locals[][3] = {{0, 0, 0}, {37, 1, 3}, {64, 1, 1}};
        for (size_t l = 0; l < 3; l++) {
            clm_launch launch = clm_test_scale_launch(x, y, 0);
            for (int i = 0; i < 3; i++) launch.local[i] = locals[l][i];
            clm_kernel *k = NULL;
            CLM_TEST_OK(d->backend->make(d, &launch, &k));
            ck_assert_uint_le(k->local[0] * k->local[1] * k->local[2], most[m]);
            CLM_TEST_OK(d->backend->fill(d, y, 0, 200, 0));
            CLM_TEST_OK(d->backend->enqueue(d, k));
            clm_test_check_scaled(d, y, 0);
            d->backend->release(d, k);
        }
        d->backend->free(d, x);
        d->backend->free(d, y);
        clm_device_close(d);
    }
}
END_TEST

/* A kernel that says what it needs, and the device that has not got it. */
static const struct {
    const char *emulate, *source, *says;
} refused[] = {
    {"max_work_group=32", "__attribute__((reqd_work_group_size(64, 1, 1))) __kernel void k(OUT(y)) { PTR(y, 0)[0] = 1; }",
     "64 x 1 x 1"},
    {"local_memory=4K",
     "__kernel void k(OUT(y)) { __local float l[2000]; l[get_local_id(0)] = 1; barrier(CLK_LOCAL_MEM_FENCE); PTR(y, 0)[0] = "
     "l[0]; }",
     "8000 bytes of local memory"},
    {"fp64=0", "__kernel void k(OUT(y)) { double4 v = 1; PTR(y, 0)[0] = v.x; }", "double precision"},
    {"fp16=0", "__kernel void k(OUT(y)) { /* half a sentence */ PTR(y, 0)[0] = vload_half(0, (__global half *)PTR(y, 0)); }",
     "half precision"},
};

START_TEST(kernels_that_need_more_are_refused) {
    clm_device *d = open_as(refused[_i].emulate);
    clm_mem *y = clm_test_alloc(d, 64);
    clm_launch launch = {
        .label = "needy", .source = refused[_i].source, .entry = "k", .defines = "", .global = {64, 1, 1}, .n_args = 1};
    launch.args[0] = (clm_arg){.kind = CLM_ARG_MEM, .mem = y};
    clm_kernel *k = NULL;
    ck_assert_int_eq(d->backend->make(d, &launch, &k), CLM_E_LIMIT);
    CLM_TEST_SAYS(refused[_i].says);
    CLM_TEST_SAYS("needy");
    d->backend->free(d, y);
    clm_device_close(d);
}
END_TEST

START_TEST(words_in_comments_are_not_used) {
    clm_emulation e = {.no_fp64 = true, .no_fp16 = true, .no_images = true};
    CLM_TEST_OK(clm_emulate_check_source(&e, "/* half a double image2d_t */ float doubled; // half\nint half_n, my_half;"));
    ck_assert_int_eq(clm_emulate_check_source(&e, "int a; half8 b;"), CLM_E_LIMIT);
    ck_assert_int_eq(clm_emulate_check_source(&e, "a/b/**/double"), CLM_E_LIMIT);
    ck_assert_int_eq(clm_emulate_check_source(&e, "read_only image2d_array_t i"), CLM_E_LIMIT);
    CLM_TEST_OK(clm_emulate_check_source(&(clm_emulation){0}, "half double image2d_t"));
}
END_TEST

START_TEST(memory_ends) {
    clm_device *d = open_as("memory=1M,max_allocation=512K");
    clm_mem *a = NULL, *b = NULL, *c = NULL;
    const clm_backend *e = d->backend;
    ck_assert_int_eq(e->alloc(d, (512 << 10) / 4 + 1, &a), CLM_E_MEMORY);
    CLM_TEST_SAYS("at most");
    CLM_TEST_OK(e->alloc(d, (512 << 10) / 4, &a));
    CLM_TEST_OK(e->alloc(d, (512 << 10) / 4, &b));
    ck_assert_int_eq(e->alloc(d, 1, &c), CLM_E_MEMORY);
    CLM_TEST_SAYS("CL_MEM_OBJECT_ALLOCATION_FAILURE");
    e->free(d, b);
    CLM_TEST_OK(e->alloc(d, 1, &c));
    e->free(d, c);
    e->free(d, a);
    clm_device_close(d);
}
END_TEST

/* Where a device has less memory than it says: at which call it shows, and that all is well once something has been freed. */
START_TEST(memory_ends_early) {
    static const char *const when[] = {"allocation", "launch", "wait"};
    for (int w = 0; w < 3; w++) {
        char text[80];
        snprintf(text, sizeof text, "memory_real=1M,memory_fails=%s", when[w]);
        clm_device *d = open_as(text);
        const clm_backend *b = d->backend;
        clm_mem *x = clm_test_ramp(d), *y = clm_test_alloc(d, 200), *much = NULL;
        clm_launch launch = clm_test_scale_launch(x, y, 0);
        clm_kernel *k = NULL;
        float first;
        CLM_TEST_OK(b->make(d, &launch, &k));
        ck_assert_uint_gt(d->info.global_memory, 1 << 20);
        ck_assert_int_eq(b->alloc(d, 1 << 18, &much), w == 0 ? CLM_E_MEMORY : CLM_OK);
        ck_assert_int_eq(b->enqueue(d, k), w == 1 ? CLM_E_MEMORY : CLM_OK);
        ck_assert_int_eq(b->finish(d), w == 2 ? CLM_E_MEMORY : CLM_OK);
        ck_assert_int_eq(b->read(d, y, 0, 1, &first, NULL), w == 2 ? CLM_E_MEMORY : CLM_OK);
        b->free(d, much);
        CLM_TEST_OK(b->enqueue(d, k));
        CLM_TEST_OK(b->finish(d));
        clm_test_check_scaled(d, y, 0);
        b->release(d, k);
        b->free(d, x);
        b->free(d, y);
        clm_device_close(d);
    }
}
END_TEST

/* ---- amounts ---- */

START_TEST(amounts_of_memory) {
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: none */
    } rows[] = {{"1", 1},
                {"512M", 512u << 20},
                {"1.5g", 3u << 29},
                {"2GiB", 2ull << 30},
                {"32kB", 32768},
                {"1T", 1ull << 40},
                {"", 0},
                {"M", 0},
                {"-1", 0},
                {"1e3", 0},
                {"0x10", 0},
                {"1MM", 0},
                {"1 M", 0},
                {"inf", 0},
                {"nan", 0},
                {"99999999T", 0},
                {".5M", 0},
                {"1iB", 0},
                {"1.2.3M", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t bytes = 0;
        bool parsed = clm_bytes_parse(rows[i].text, strlen(rows[i].text), &bytes);
        ck_assert_msg(parsed == (rows[i].bytes != 0) && (!parsed || bytes == rows[i].bytes), "\"%s\" is %llu", rows[i].text,
                      (unsigned long long)bytes);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("emulation");
    TCase *tcase = tcase_create("emulation");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, clm_test_enter_cache, clm_test_leave_cache);
    tcase_add_test(tcase, every_key);
    tcase_add_test(tcase, only_what_is_named_changes);
    tcase_add_test(tcase, nothing_grows);
    tcase_add_loop_test(tcase, bad_values, 0, sizeof bad / sizeof *bad);
    tcase_add_test(tcase, groups_are_no_larger);
    tcase_add_loop_test(tcase, kernels_that_need_more_are_refused, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tcase, words_in_comments_are_not_used);
    tcase_add_test(tcase, memory_ends);
    tcase_add_test(tcase, memory_ends_early);
    tcase_add_test(tcase, amounts_of_memory);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
