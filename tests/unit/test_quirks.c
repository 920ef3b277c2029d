/* The table of driver quirks: versions, matching, the user's wish, and that an entry is complete. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/opencl/quirks.h"

#define OK(expression) ck_assert_msg((expression) == CLM_OK, "%s", clm_last_error())

static clm_device_info device(const char *platform, const char *driver, clm_device_type type) {
    clm_device_info info = {.type = type, .max_work_group_size = 1024};
    snprintf(info.platform, sizeof info.platform, "%s", platform);
    snprintf(info.driver, sizeof info.driver, "%s", driver);
    snprintf(info.name, sizeof info.name, "a device");
    return info;
}

static void expect(const clm_device_info *info, const char *wish, unsigned avoid, const char *names) {
    unsigned got;
    char text[160];
    if (wish)
        setenv("CLMAML_QUIRKS", wish, 1);
    else
        unsetenv("CLMAML_QUIRKS");
    OK(clm_cl_quirks(info, &got, text, sizeof text));
    ck_assert_uint_eq(got, avoid);
    ck_assert_str_eq(text, names);
}

START_TEST(versions_compare_number_by_number) {
    static const struct {
        const char *lower, *higher;
    } rows[] = {{"3.1", "3.2"},
                {"3.9", "3.10"},
                {"Oclgrind 21.10", "21.10.1"},
                {"22.3.6", "23"},
                {"3.1+debian", "3.1.1"},
                {"535.104.05", "OpenCL 536"},
                {"2.0 AMD-APP (99)", "2.0.1"}};
    static const char *const equal[][2] = {
        {"3.1", "3.1"}, {"Oclgrind 21.10", "21.10"}, {"3.1+debian 7", "3.1.0"}, {"", "0"}, {"none", "0.0"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_msg(clm_cl_version_compare(rows[i].lower, rows[i].higher) < 0, "%s < %s", rows[i].lower, rows[i].higher);
        ck_assert_msg(clm_cl_version_compare(rows[i].higher, rows[i].lower) > 0, "%s > %s", rows[i].higher, rows[i].lower);
    }
    for (size_t i = 0; i < sizeof equal / sizeof *equal; i++)
        ck_assert_int_eq(clm_cl_version_compare(equal[i][0], equal[i][1]), 0);
}
END_TEST

START_TEST(an_entry_holds_from_one_version_until_before_another) {
    const clm_cl_quirk quirk = {"q", "Maker", "dev", CLM_DEVICE_GPU, "2.1", "2.10", CLM_AVOID_WRITES, "because"};
    static const struct {
        const char *driver;
        bool holds;
    } rows[] = {{"2.0.9", false}, {"2.1", true}, {"2.9.7", true}, {"v2.9", true}, {"2.10", false}, {"3", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clm_device_info info = device("A Maker of GPUs", rows[i].driver, CLM_DEVICE_GPU);
        ck_assert_msg(clm_cl_quirk_matches(&quirk, &info) == rows[i].holds, "driver %s", rows[i].driver);
    }
    clm_device_info info = device("A Maker of GPUs", "2.5", CLM_DEVICE_CPU);
    ck_assert(!clm_cl_quirk_matches(&quirk, &info));
    info = device("Another", "2.5", CLM_DEVICE_GPU);
    ck_assert(!clm_cl_quirk_matches(&quirk, &info));
    info = device("A Maker of GPUs", "2.5", CLM_DEVICE_GPU);
    strcpy(info.name, "something else");
    ck_assert(!clm_cl_quirk_matches(&quirk, &info));
    const clm_cl_quirk all = {"all", NULL, NULL, -1, NULL, NULL, CLM_AVOID_WRITES, "because"};
    ck_assert(clm_cl_quirk_matches(&all, &info));
}
END_TEST

START_TEST(known_drivers) {
    clm_device_info oclgrind = device("Oclgrind", "Oclgrind 21.10", CLM_DEVICE_CPU);
    expect(&oclgrind, NULL, CLM_AVOID_WRITES | CLM_AVOID_OPTIMIZER, "oclgrind-writes oclgrind-freeze");
    clm_device_info later = device("Oclgrind", "Oclgrind 23.1", CLM_DEVICE_CPU);
    expect(&later, NULL, 0, "");
    clm_device_info apple = device("Apple", "1.1", CLM_DEVICE_CPU), apple_gpu = device("Apple", "1.2 1.0", CLM_DEVICE_GPU);
    expect(&apple, NULL, CLM_AVOID_GROUPS, "apple-cpu-groups");
    expect(&apple_gpu, NULL, 0, "");
    clm_device_info pocl = device("Portable Computing Language", "3.1+debian", CLM_DEVICE_CPU);
    expect(&pocl, NULL, CLM_AVOID_BINARIES | CLM_AVOID_ONE_PROCESS | CLM_AVOID_WHOLE_KERNELS | CLM_AVOID_SLEEP,
           "pocl-binaries pocl-one-compiler pocl-thrice pocl-sleep");
    clm_device_info rusticl = device("rusticl", "22.3.6", CLM_DEVICE_CPU);
    expect(&rusticl, NULL, CLM_AVOID_TASK_KERNELS, "rusticl-chains");
}
END_TEST

START_TEST(the_user_decides) {
    clm_device_info oclgrind = device("Oclgrind", "Oclgrind 21.10", CLM_DEVICE_CPU),
                    other = device("Other", "1", CLM_DEVICE_GPU);
    expect(&oclgrind, "", CLM_AVOID_WRITES | CLM_AVOID_OPTIMIZER, "oclgrind-writes oclgrind-freeze");
    expect(&oclgrind, "none", 0, "");
    expect(&oclgrind, "-oclgrind-writes", CLM_AVOID_OPTIMIZER, "oclgrind-freeze");
    expect(&oclgrind, "none,+oclgrind-writes", CLM_AVOID_WRITES, "oclgrind-writes");
    expect(&other, "+apple-cpu-groups,+oclgrind-writes", CLM_AVOID_WRITES | CLM_AVOID_GROUPS,
           "oclgrind-writes apple-cpu-groups");
    static const char *const wrong[] = {
        "oclgrind-writes", "+", "+no-such", "all", "none,", "+oclgrind-writes -oclgrind-freeze", ",none"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        unsigned avoid;
        char text[160];
        setenv("CLMAML_QUIRKS", wrong[i], 1);
        clm_status status = clm_cl_quirks(&other, &avoid, text, sizeof text);
        if (strcmp(wrong[i], "none,") == 0) {
            ck_assert_int_eq(status, CLM_OK); /* an end without a word says nothing */
            continue;
        }
        ck_assert_msg(status == CLM_E_ARG, "\"%s\" was taken", wrong[i]);
        ck_assert_msg(strstr(clm_last_error(), "CLMAML_QUIRKS") && strstr(clm_last_error(), "apple-cpu-groups"), "%s",
                      clm_last_error());
    }
}
END_TEST

START_TEST(entries_are_complete) {
    const clm_cl_quirk *q;
    for (size_t i = 0; (q = clm_cl_quirk_at(i)); i++) {
        ck_assert_msg(q->name && !strpbrk(q->name, ", +"), "entry %zu", i);
        ck_assert_msg(q->platform || q->device, "%s matches every driver", q->name);
        ck_assert_msg(q->avoid != 0, "%s changes nothing", q->name);
        ck_assert_msg(q->why && strlen(q->why) > 20, "%s does not say why", q->name);
        for (size_t k = 0; k < i; k++) ck_assert_str_ne(q->name, clm_cl_quirk_at(k)->name);
    }
    ck_assert_ptr_nonnull(clm_cl_quirk_at(0));
}
END_TEST

/* On the device at hand: what is avoided changes what is done, and the numbers stay. */
START_TEST(work_arounds_work) {
    setenv("CLMAML_QUIRKS", "none,+oclgrind-writes,+oclgrind-freeze,+apple-cpu-groups", 1);
    clm_device *d = NULL;
    OK(clm_device_open(&d, NULL));
    ck_assert_msg(clm_device_get_info(d)->type != CLM_DEVICE_HOST, "the tests need an OpenCL device");
    ck_assert_str_eq(clm_device_quirks(d), "oclgrind-writes oclgrind-freeze apple-cpu-groups");
    ck_assert_uint_eq(clm_device_get_info(d)->max_work_group_size, 1);
    clm_device_close(d);
    setenv("CLMAML_QUIRKS", "+nonsense", 1);
    ck_assert_int_eq(clm_device_open(&d, NULL), CLM_E_ARG);
    ck_assert_ptr_null(d);
    unsetenv("CLMAML_QUIRKS");
    OK(clm_device_open(&d, "host"));
    ck_assert_str_eq(clm_device_quirks(d), "");
    clm_device_close(d);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("quirks");
    TCase *tc = tcase_create("quirks");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, versions_compare_number_by_number);
    tcase_add_test(tc, an_entry_holds_from_one_version_until_before_another);
    tcase_add_test(tc, known_drivers);
    tcase_add_test(tc, the_user_decides);
    tcase_add_test(tc, entries_are_complete);
    tcase_add_test(tc, work_arounds_work);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
