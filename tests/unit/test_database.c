/* The database of choices (src/tune/database.h): its lines, what they match, which of them wins; and that the one in the library is sound. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/launch.h"
#include "support/run.h"
#include "tune/database.h"

static const clm_device_info card = {.type = CLM_DEVICE_GPU,
                                     .name = "gfx1030",
                                     .vendor = "Advanced Micro Devices, Inc.",
                                     .platform = "AMD Accelerated Parallel Processing",
                                     .driver = "3581.0 (HSA1.1,LC)",
                                     .compute_units = 30};

#define SECTION "device gpu | Advanced* | gfx1030 | * | 3581.* | 30\n"

static clm_database *sound(const char *text) {
    clm_database *b = NULL;
    CLM_TEST_OK(clm_database_read(&b, text, "file", &card));
    return b;
}

static void expect(const char *text, const char *operation, int tasks, const char *choice) {
    clm_database *b = sound(text);
    const char *found = clm_database_find(b, operation, tasks);
    ck_assert_msg(choice ? found && !strcmp(found, choice) : !found, "%s, %d tasks: %s", operation, tasks,
                  found ? found : "nothing");
    clm_database_free(b);
}

static const struct {
    const char *line;
    bool matches;
} devices[] = {
    {"device gpu | Advanced Micro Devices, Inc. | gfx1030 | AMD Accelerated Parallel Processing | 3581.0 (HSA1.1,LC) | 30",
     true},
    {"device gpu | * | * | * | * | *", true},
    {"  device gpu|Advanced*|gfx1*|*Parallel*|3581.*|*  ", true},
    {"device gpu | * | *10*30 | * | * | 3*", true},
    {"device cpu | * | * | * | * | *", false},
    {"device gpu | Intel* | * | * | * | *", false},
    {"device gpu | * | gfx1031 | * | * | *", false},
    {"device gpu | * | gfx | * | * | *", false},
    {"device gpu | * | *gfx | * | * | *", false},
    {"device gpu | * | * | * | 3590.* | *", false},
    {"device gpu | * | * | * | * | 36", false},
};

START_TEST(devices_are_matched) {
    char text[400];
    snprintf(text, sizeof text, "# a comment\n\n%s\nmatmul a b | 4 | direct rows=2 | 1e-3 2e-3\n", devices[_i].line);
    expect(text, "matmul a b", 4, devices[_i].matches ? "direct rows=2" : NULL);
}
END_TEST

START_TEST(the_nearest_of_the_last_section) {
    static const char text[] =
        SECTION "conv2d x | 4 | tiled bm=64 | 1 2\nconv2d x | 32 | tiled bm=32 | 1 2\nmatmul y | 1 | direct | 1 2\n" SECTION
                "conv2d x | 1 | direct nv=1 | 1 2\n";
    expect(text, "matmul y", 8, "direct");
    expect(text, "conv2d x", 32, "direct nv=1");
    expect(text, "conv2d", 32, NULL);
    static const char one[] = SECTION "conv2d x | 4 | tiled bm=64 | 1 2\nconv2d x | 32 | tiled bm=32 | 1 2\n";
    expect(one, "conv2d x", 1, "tiled bm=64");
    expect(one, "conv2d x", 4, "tiled bm=64");
    expect(one, "conv2d x", 16, "tiled bm=32");
    expect(one, "conv2d x", 1024, "tiled bm=32");
    ck_assert_ptr_null(clm_database_find(NULL, "conv2d x", 1));
}
END_TEST

static const struct {
    const char *text, *says;
} faults[] = {
    {"conv2d x | 4 | tiled | 1 2\n", "line 1: a choice before"},
    {"\ndevice gpu | a | b\n", "line 2: a section begins with"},
    {"device gpu | a | b | c | d | e | f\n", "line 1: a section begins with"},
    {"device host | a | b | c | d | e\nx | 1 | y | 1 2\n", "line 1: the type"},
    {"device tpu | a | b | c | d | e\n", "line 1: the type"},
    {SECTION "conv2d x | 4 | tiled\n", "line 2: a choice is"},
    {SECTION "conv2d x | 4 | tiled | 1 2 | 3\n", "line 2: a choice is"},
    {SECTION " | 4 | tiled | 1 2\n", "line 2: a choice is"},
    {SECTION "conv2d x | 4 |  | 1 2\n", "line 2: a choice is"},
    {SECTION "conv2d x | 3 | tiled | 1 2\n", "line 2: the number of tasks"},
    {SECTION "conv2d x | 0 | tiled | 1 2\n", "line 2: the number of tasks"},
    {SECTION "conv2d x | -4 | tiled | 1 2\n", "line 2: the number of tasks"},
    {SECTION "conv2d x | 4 | tiled bm=1 | 1 2\nconv2d x | 8 | direct | 1 2\n",
     "line 3: the section has another implementation"},
};

START_TEST(faults_are_named) {
    clm_database *b = NULL;
    ck_assert_int_eq(clm_database_read(&b, faults[_i].text, "file", &card), CLM_E_ARG);
    CLM_TEST_SAYS("file, ");
    CLM_TEST_SAYS(faults[_i].says);
    clm_database_free(b);
}
END_TEST

/* What is written for a device is a line that matches it, and its driver's later versions. */
START_TEST(a_device_matches_its_own_line) {
    char text[700];
    clm_device_info odd = card;
    clm_database_device(&card, text, sizeof text);
    ck_assert_str_eq(text,
                     "device gpu | Advanced Micro Devices, Inc. | gfx1030 | AMD Accelerated Parallel Processing | 3581.* | 30");
    snprintf(odd.name, sizeof odd.name, "a|b\tc");
    snprintf(odd.driver, sizeof odd.driver, "7");
    clm_database_device(&odd, text, sizeof text);
    strcat(text, "\nop | 2 | direct | 1 2\n");
    clm_database *b = NULL;
    CLM_TEST_OK(clm_database_read(&b, text, "file", &odd));
    ck_assert_ptr_nonnull(clm_database_find(b, "op", 2));
    clm_database_free(b);
}
END_TEST

START_TEST(that_of_the_library_is_sound) {
    int n = 0;
    for (const clm_embedded_database *e = clm_embedded_databases; e->name; e++, n++) {
        clm_database *b = NULL;
        CLM_TEST_OK(clm_database_read(&b, e->text, e->name, &card));
        clm_database_free(b);
    }
    ck_assert_int_eq(n, 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("database");
    TCase *tcase = tcase_create("database");
    tcase_add_loop_test(tcase, devices_are_matched, 0, (int)(sizeof devices / sizeof *devices));
    tcase_add_test(tcase, the_nearest_of_the_last_section);
    tcase_add_loop_test(tcase, faults_are_named, 0, (int)(sizeof faults / sizeof *faults));
    tcase_add_test(tcase, a_device_matches_its_own_line);
    tcase_add_test(tcase, that_of_the_library_is_sound);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
