/* Several devices by one specification, and parts of devices. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/backend.h"
#include "device/spec.h"

#define OK(expression) ck_assert_msg((expression) == CLM_OK, "%s", clm_last_error())
#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" is not in: %s", text, clm_last_error())

START_TEST(endings_that_divide) {
    static const struct {
        const char *text;
        int parts;
        size_t rest;
    } cases[] = {{"0:0/2", 2, 3}, {"gpu", 1, 3}, {"cpu:pocl/16", 16, 8}, {"0:0/0", 0, 3},
                 {"0:0/1", 1, 3}, {"/2", 2, 0},  {"a/b", 1, 3},          {"Board/2x", 1, 8},
                 {"12", 1, 2},    {"", 1, 0},    {"x/99999999", 0, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = strlen(cases[i].text);
        int parts = clm_device_spec_parts(cases[i].text, &length);
        ck_assert_msg(parts == cases[i].parts && length == cases[i].rest, "\"%s\": %d parts, %zu", cases[i].text, parts,
                      length);
    }
}
END_TEST

/* "P:D" of the OpenCL device that the default choice opens. */
static void default_device(char *text, size_t size) {
    clm_device *d = NULL;
    OK(clm_device_open(&d, NULL));
    ck_assert_msg(d->info.type != CLM_DEVICE_HOST, "the tests need an OpenCL device");
    snprintf(text, size, "%d:%d", d->info.platform_index, d->info.device_index);
    clm_device_close(d);
}

static void open_list(const char *spec, const clm_device_type *types, size_t n) {
    clm_device **devices = NULL;
    size_t count = 0;
    OK(clm_device_open_all(&devices, &count, spec));
    ck_assert_uint_eq(count, n);
    for (size_t i = 0; i < n; i++) ck_assert_int_eq(devices[i]->info.type == CLM_DEVICE_HOST, types[i] == CLM_DEVICE_HOST);
    clm_device_close_all(devices, count);
}

START_TEST(lists_open_every_device) {
    char pd[32], spec[128];
    default_device(pd, sizeof pd);
    open_list("host", (clm_device_type[]){CLM_DEVICE_HOST}, 1);
    open_list(pd, (clm_device_type[]){CLM_DEVICE_CPU}, 1);
    open_list(NULL, (clm_device_type[]){CLM_DEVICE_CPU}, 1);
    snprintf(spec, sizeof spec, " host , %s ", pd);
    open_list(spec, (clm_device_type[]){CLM_DEVICE_HOST, CLM_DEVICE_CPU}, 2);
    setenv("CLMAML_DEVICE", spec, 1);
    open_list(NULL, (clm_device_type[]){CLM_DEVICE_HOST, CLM_DEVICE_CPU}, 2);
    clm_device *one = NULL; /* what takes one device takes the first */
    OK(clm_device_open(&one, NULL));
    ck_assert_int_eq(one->info.type, CLM_DEVICE_HOST);
    clm_device_close(one);
}
END_TEST

START_TEST(wrong_lists) {
    char pd[32], spec[128];
    clm_device **devices = NULL;
    size_t count = 7;
    default_device(pd, sizeof pd);
    snprintf(spec, sizeof spec, "host,%s,no-such-device", pd);
    ck_assert_int_eq(clm_device_open_all(&devices, &count, spec), CLM_E_DEVICE);
    SAYS("no-such-device");
    ck_assert(devices == NULL && count == 0);
    snprintf(spec, sizeof spec, "%s,host,%s", pd, pd);
    ck_assert_int_eq(clm_device_open_all(&devices, &count, spec), CLM_E_DEVICE);
    SAYS("names before");
    ck_assert_int_eq(clm_device_open_all(&devices, &count, "host,host"), CLM_E_DEVICE);
    ck_assert_int_eq(clm_device_open_all(&devices, &count, "host/2"), CLM_E_DEVICE);
    SAYS("cannot be divided");
    ck_assert_int_eq(clm_device_open_all(&devices, &count, "host/0"), CLM_E_DEVICE);
    snprintf(spec, sizeof spec, "%s/100000", pd);
    ck_assert_int_eq(clm_device_open_all(&devices, &count, spec), CLM_E_DEVICE);
    SAYS("100000 parts");
    ck_assert_int_eq(clm_device_open_all(&devices, &count, "host,"), CLM_E_DEVICE);
    setenv("CLMAML_DEVICE", "host,absent", 1);
    ck_assert_int_eq(clm_device_open_all(&devices, &count, NULL), CLM_E_DEVICE);
    SAYS("CLMAML_DEVICE: ");
}
END_TEST

/* As many parts as the device has units, at most two; a driver that divides nothing must say so. */
START_TEST(parts_of_a_device) {
    char pd[32], spec[64];
    default_device(pd, sizeof pd);
    clm_device *whole = NULL, **parts = NULL;
    size_t count = 0;
    snprintf(spec, sizeof spec, "%s/2", pd);
    OK(clm_device_open(&whole, spec)); /* where one is taken, all of it */
    clm_status status = clm_device_open_all(&parts, &count, spec);
    if (whole->info.compute_units < 2 || status != CLM_OK) {
        ck_assert_int_eq(status, CLM_E_DEVICE);
        SAYS("2 parts");
    } else {
        ck_assert_uint_eq(count, 2);
        for (size_t i = 0; i < 2; i++) {
            ck_assert_uint_eq(parts[i]->info.compute_units, whole->info.compute_units / 2);
            ck_assert_uint_le(parts[i]->info.global_memory, whole->info.global_memory / 2);
            ck_assert_ptr_nonnull(strstr(parts[i]->info.name, i == 0 ? ", part 1 of 2" : ", part 2 of 2"));
            clm_mem *mem = NULL;
            double data = 0;
            OK(parts[i]->backend->alloc(parts[i], 10, &mem));
            OK(parts[i]->backend->fill(parts[i], mem, 0, 10, 3.0));
            OK(parts[i]->backend->read(parts[i], mem, 9, 1, NULL, &data));
            ck_assert_double_eq(data, 3.0);
            parts[i]->backend->free(parts[i], mem);
        }
        clm_device_close_all(parts, count);
    }
    clm_device_close(whole);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("several");
    TCase *tcase = tcase_create("several devices");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, endings_that_divide);
    tcase_add_test(tcase, lists_open_every_device);
    tcase_add_test(tcase, wrong_lists);
    tcase_add_test(tcase, parts_of_a_device);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
