/* Device specifications on a list of devices that no machine has all at once. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "device/spec.h"

static const clm_device_info machine[] = {
    {.type = CLM_DEVICE_CPU,
     .platform_index = 0,
     .device_index = 0,
     .platform = "Mesa",
     .name = "llvmpipe",
     .compute_units = 16,
     .clock_mhz = 300,
     .float_vector_width = 1,
     .unified_memory = true,
     .available = true},
    {.type = CLM_DEVICE_CPU,
     .platform_index = 1,
     .device_index = 0,
     .platform = "Portable Computing Language",
     .name = "cpu-zen Ryzen 5",
     .compute_units = 8,
     .clock_mhz = 3000,
     .float_vector_width = 8,
     .unified_memory = true,
     .available = true},
    {.type = CLM_DEVICE_GPU,
     .platform_index = 2,
     .device_index = 0,
     .platform = "ALL Accelerated Graphics",
     .name = "Iris Xe",
     .compute_units = 96,
     .clock_mhz = 1300,
     .float_vector_width = 1,
     .unified_memory = true,
     .available = true},
    {.type = CLM_DEVICE_GPU,
     .platform_index = 3,
     .device_index = 0,
     .platform = "Vendor CL",
     .name = "Small GPU",
     .compute_units = 10,
     .clock_mhz = 1500,
     .float_vector_width = 1,
     .available = true},
    {.type = CLM_DEVICE_GPU,
     .platform_index = 3,
     .device_index = 1,
     .platform = "Vendor CL",
     .name = "Large GPU",
     .compute_units = 40,
     .clock_mhz = 1500,
     .float_vector_width = 1,
     .available = true},
    {.type = CLM_DEVICE_GPU,
     .platform_index = 3,
     .device_index = 2,
     .platform = "Vendor CL",
     .name = "Broken GPU",
     .compute_units = 400,
     .clock_mhz = 1500,
     .float_vector_width = 1,
     .available = false},
    {.type = CLM_DEVICE_ACCELERATOR,
     .platform_index = 10,
     .device_index = 0,
     .platform = "Boards",
     .name = "FPGA card",
     .compute_units = 1,
     .clock_mhz = 200,
     .float_vector_width = 1,
     .available = true},
    {.type = CLM_DEVICE_HOST,
     .platform_index = -1,
     .device_index = -1,
     .platform = "clMAML",
     .name = "host reference",
     .compute_units = 1,
     .float_vector_width = 1,
     .unified_memory = true,
     .available = true},
};
enum { COUNT = sizeof machine / sizeof *machine };

/* In letters: the position of each device in the list, "" for an error. */
static const struct {
    const char *spec, *expected;
} rows[] = {
    {NULL, "edcgba"}, /* discrete before shared memory, GPU before accelerator before CPU, never host, never the broken one */
    {"gpu", "edc"},
    {"GPU", "edc"},
    {" Gpu ", "edc"},
    {"cpu", "ba"},
    {"accelerator", "g"},
    {"host", "h"},
    {"HOST", "h"},
    {"3:0", "d"},
    {"3:1", "e"},
    {"10:0", "g"},
    {"1:0", "b"}, /* not 10:0 */
    {"3:2", ""},  /* not usable */
    {"3:7", ""},
    {"-1:-1", ""},
    {"ryzen", "b"},
    {"LLVMPIPE", "a"},
    {"vendor cl", "ed"},
    {"portable", "b"},
    {"acc", "c"}, /* a part of a name, not short for accelerator */
    {"all acc", "c"},
    {"gp", "ed"}, /* a part of names, not short for gpu: Iris Xe has none */
    {"gpus", ""},
    {"gpu:small", "d"},
    {"GPU: Large", "e"},
    {"cpu:small", ""},
    {"cpu:zen", "b"},
    {"gpu:", ""},
    {"host:reference", "h"},
    {"nothing", ""},
    {"nothing,cpu", "ba"},
    {"cpu,gpu", "baedc"},
    {"3:0,gpu", "dec"}, /* each device once, at its first place */
    {"nothing, 1:0 ,host", "bh"},
    {"gpu,", "edc"},
    {",", ""},
    {"", ""},
    {"broken", ""},
    {"99999999999999999999:0", ""},
};
enum { ROWS = sizeof rows / sizeof *rows };

START_TEST(specification) {
    size_t order[COUNT], found = 0;
    char letters[COUNT + 1] = "";
    clm_status status = clm_device_spec_match(rows[_i].spec, machine, COUNT, order, &found);
    for (size_t i = 0; i < found; i++) letters[i] = (char)('a' + order[i]);
    letters[found] = 0;
    ck_assert_msg(!strcmp(letters, rows[_i].expected), "\"%s\" gave %s, expected %s",
                  rows[_i].spec ? rows[_i].spec : "(default)", letters, rows[_i].expected);
    ck_assert_int_eq(status, *rows[_i].expected ? CLM_OK : CLM_E_DEVICE);
}
END_TEST

START_TEST(no_match_lists_what_exists) {
    size_t order[COUNT], found;
    ck_assert_int_eq(clm_device_spec_match("warp drive", machine, COUNT, order, &found), CLM_E_DEVICE);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "\"warp drive\""));
    for (size_t i = 0; i + 1 < COUNT; i++) ck_assert_ptr_nonnull(strstr(clm_last_error(), machine[i].name));
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "3:1 gpu"));
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "host"));
    ck_assert_ptr_null(strchr(clm_last_error(), '\n'));
}
END_TEST

START_TEST(no_opencl_is_no_default) {
    size_t order[COUNT], found;
    ck_assert_int_eq(clm_device_spec_match(NULL, &machine[COUNT - 1], 1, order, &found), CLM_E_DEVICE);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "install"));
    ck_assert_int_eq(clm_device_spec_match("gpu", &machine[COUNT - 1], 1, order, &found), CLM_E_DEVICE);
    ck_assert_int_eq(clm_device_spec_match("gpu,host", &machine[COUNT - 1], 1, order, &found), CLM_OK);
    ck_assert_int_eq(clm_device_spec_match(NULL, machine, 0, order, &found), CLM_E_DEVICE);
    ck_assert_int_eq(clm_device_spec_match(NULL, &machine[5], 1, order, &found), CLM_E_DEVICE);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "not usable"));
}
END_TEST

START_TEST(type_names) {
    ck_assert_str_eq(clm_device_type_name(CLM_DEVICE_GPU), "gpu");
    ck_assert_str_eq(clm_device_type_name(CLM_DEVICE_CPU), "cpu");
    ck_assert_str_eq(clm_device_type_name(CLM_DEVICE_ACCELERATOR), "accelerator");
    ck_assert_str_eq(clm_device_type_name(CLM_DEVICE_HOST), "host");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("device specifications");
    TCase *tcase = tcase_create("specifications");
    tcase_add_loop_test(tcase, specification, 0, ROWS);
    tcase_add_test(tcase, no_match_lists_what_exists);
    tcase_add_test(tcase, no_opencl_is_no_default);
    tcase_add_test(tcase, type_names);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
