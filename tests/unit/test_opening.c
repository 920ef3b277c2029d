/* Opening and listing: the default, the environment, a machine without drivers. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "support/launch.h"

START_TEST(list_ends_with_host) {
    clm_device_info *list = NULL;
    size_t count = 0, chosen = 0;
    char warnings[256];
    CLM_TEST_OK(clm_device_list(&list, &count, warnings, sizeof warnings));
    ck_assert_uint_ge(count, 2);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(list[i].type == CLM_DEVICE_HOST, i == count - 1);
        chosen += list[i].chosen;
        ck_assert(*list[i].name != 0);
    }
    ck_assert_uint_eq(chosen, 1);
    clm_device *d = clm_test_open_opencl();
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
    CLM_TEST_OK(clm_device_open(&d, NULL));
    ck_assert_int_eq(d->info.type, CLM_DEVICE_HOST);
    clm_device_close(d);
    setenv("CLMAML_DEVICE", "warp drive", 1);
    ck_assert_int_eq(clm_device_open(&d, NULL), CLM_E_DEVICE);
    ck_assert_ptr_null(d);
    CLM_TEST_SAYS("CLMAML_DEVICE");
    CLM_TEST_SAYS("warp drive");
    CLM_TEST_SAYS("host");
    CLM_TEST_OK(clm_device_open(&d, "host")); /* what is asked for goes before the environment */
    clm_device_close(d);
}
END_TEST

START_TEST(the_rounded_reference_keeps_floats) {
    const double third = 1.0 / 3, values[2] = {third, 0.5};
    double back[3];
    clm_device *d = NULL;
    CLM_TEST_OK(clm_device_open(&d, "host-float"));
    ck_assert_int_eq(d->info.type, CLM_DEVICE_HOST);
    clm_mem *mem = clm_test_alloc(d, 3);
    CLM_TEST_OK(d->backend->write(d, mem, 0, 2, NULL, values));
    CLM_TEST_OK(d->backend->fill(d, mem, 2, 1, third));
    CLM_TEST_OK(d->backend->read(d, mem, 0, 3, NULL, back));
    ck_assert(back[0] == (double)(float)third && back[0] != third);
    ck_assert(back[1] == 0.5 && back[2] == back[0]);
    d->backend->free(d, mem);
    clm_device_close(d);
    ck_assert_int_eq(clm_device_open(&d, "host-float,gpu"), CLM_E_DEVICE); /* alone */
}
END_TEST

/* The signals that a thread of this process blocks, as Linux shows them; false: it does not. */
static bool blocked_by(const char *thread, unsigned long long *mask) {
    char path[300], *text = NULL;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
    const char *line = NULL;
    if (clm_file_read(path, &text, NULL) == CLM_OK) line = strstr(text, "SigBlk:");
    const bool found = line && sscanf(line, "SigBlk: %llx", mask) == 1;
    free(text);
    return found;
}

/* PoCL's threads run a linker as a program: with Ctrl-C it would end, and PoCL with it the process. */
START_TEST(signals_are_for_the_programs_threads) {
    char **threads = NULL, own[32];
    size_t count = 0;
    unsigned long long mask;
    clm_device *d = clm_test_open_opencl();
    snprintf(own, sizeof own, "%ld", (long)getpid());
    if (clm_path_exists("/proc/self/task")) CLM_TEST_OK(clm_directory_list("/proc/self/task", &threads, &count));
    for (size_t i = 0; i < count; i++) {
        if (!blocked_by(threads[i], &mask)) continue;
        const int ends[] = {SIGINT, SIGTERM, SIGHUP};
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
            ck_assert_msg((mask >> (ends[k] - 1) & 1) == (strcmp(threads[i], own) != 0),
                          "thread %s of process %s: signals blocked: %llx", threads[i], own, mask);
        ck_assert_msg(!(mask >> (SIGSEGV - 1) & 1), "thread %s blocks faults: %llx", threads[i], mask);
    }
    clm_names_free(threads, count);
    clm_device_close(d);
}
END_TEST

/* Before anything in this process has asked the loader, which reads the variables once. */
START_TEST(without_a_driver_there_is_the_host) {
    setenv("OCL_ICD_VENDORS", clm_test_cache, 1);
    setenv("OCL_ICD_FILENAMES", "", 1);
    unsetenv("CLMAML_DEVICE");
    clm_device_info *list = NULL;
    size_t count = 0;
    CLM_TEST_OK(clm_device_list(&list, &count, NULL, 0));
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(list[0].type, CLM_DEVICE_HOST);
    ck_assert(!list[0].chosen);
    clm_device_list_free(list);
    clm_device *d = NULL;
    ck_assert_int_eq(clm_device_open(&d, NULL), CLM_E_DEVICE);
    CLM_TEST_SAYS("no OpenCL device");
    ck_assert_int_eq(clm_device_open(&d, "gpu"), CLM_E_DEVICE);
    CLM_TEST_OK(clm_device_open(&d, "gpu,host"));
    clm_device_close(d);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("opening");
    TCase *tcase = tcase_create("opening");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, clm_test_enter_cache, clm_test_leave_cache);
    tcase_add_test(tcase, list_ends_with_host);
    tcase_add_test(tcase, environment_names_the_device);
    tcase_add_test(tcase, the_rounded_reference_keeps_floats);
    tcase_add_test(tcase, signals_are_for_the_programs_threads);
    tcase_add_test(tcase, without_a_driver_there_is_the_host);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
