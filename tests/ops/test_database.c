/* Choices of the database (src/tune/database.h) at work: taken where nothing was measured, below what was; what tuning exports is what
 * the database takes; a file that is wrong is named. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/memory.h"
#include "support/launch.h"
#include "support/run.h"
#include "tune/database.h"
#include "tune/internal.h"

enum { TASKS = 2 };

static char folder[64], *file;

static void setup(void) {
    snprintf(folder, sizeof folder, "%s", "/tmp/clmaml-database-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(setenv("CLMAML_CACHE_DIR", folder, 1), 0);
    unsetenv("CLMAML_NO_CACHE");
    ck_assert_ptr_nonnull(file = clm_path_join(folder, "database.txt"));
    setenv("CLMAML_TUNE_DATABASE", file, 1);
}

static void teardown(void) {
    char *tune = clm_path_join(folder, "tune"), **names = NULL;
    size_t count = 0;
    if (clm_path_is_directory(tune) && clm_directory_list(tune, &names, &count) == CLM_OK) {
        for (size_t i = 0; i < count; i++) {
            char *path = clm_path_join(tune, names[i]);
            remove(path);
            free(path);
        }
        clm_names_free(names, count);
    }
    rmdir(tune);
    remove(file);
    rmdir(folder);
    free(tune);
    free(file);
}

static clm_status create(clm_device *device, clm_program **program) {
    clm_graph *g;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = TASKS;
    CLM_TEST_OK(clm_graph_create(&g));
    const clm_value x = clm_input(g, "x", clm_shape_of(4, 2, 5, 6, 3), true);
    const clm_value w = clm_input(g, "w", clm_shape_of(4, 3, 3, 3, 8), true);
    const clm_value y = clm_conv2d(g, x, w, &(clm_conv_options){{1, 1}, {1, 1}, {1, 1}, 1});
    const clm_status status = clm_program_create(program, device, g, &y, 1, &options);
    clm_graph_free(g);
    return status;
}

static clm_problem problem_of(clm_device *device) {
    clm_problems problems = {0};
    clm_program *program = NULL;
    CLM_TEST_OK(create(device, &program));
    CLM_TEST_OK(clm_problems_collect(&problems, program));
    const clm_problem problem = problems.problems[0];
    free(problems.problems);
    clm_program_free(program);
    return problem;
}

/* A device opened when the database has these lines, and what there is to choose. */
static clm_device *opened(const char *lines, clm_bench *b, clm_problem *problem) {
    CLM_TEST_OK(clm_file_replace(file, lines, strlen(lines)));
    clm_device *device = clm_test_open_opencl();
    *problem = problem_of(device);
    CLM_TEST_OK(clm_bench_open(b, device, problem, false));
    return device;
}

/* The constants of the kernel that is taken, and those of choice `index`. */
static void expect_taken(clm_device *device, clm_bench *b, int index) {
    clm_program *taken = NULL, *wanted = NULL;
    CLM_TEST_OK(create(device, &taken));
    CLM_TEST_OK(clm_bench_program(b, index, &wanted));
    ck_assert_str_eq(taken->steps[0].spec.defines, wanted->steps[0].spec.defines);
    clm_program_free(taken);
    clm_program_free(wanted);
}

START_TEST(what_is_known_is_taken) {
    clm_bench b, known;
    clm_problem problem;
    char text[2048], choice[128];
    clm_device *device = opened("# nothing\n", &b, &problem);
    const char *type = clm_device_get_info(device)->type == CLM_DEVICE_CPU ? "cpu" : "gpu";
    const int last = b.count - 1;
    ck_assert_int_ge(last, 1);
    expect_taken(device, &b, 0);
    snprintf(text, sizeof text, "device %s | * | * | * | * | *\n%s | 8 | %s | 1e-3 2e-3\n", type, b.key,
             clm_choice_text(&b.list[last], choice, sizeof choice));
    clm_device_close(device);
    device = opened(text, &known, &problem);
    ck_assert_int_eq(known.count, b.count); /* the same choices, that one first */
    ck_assert(known.list[0].impl == b.list[last].impl);
    ck_assert_mem_eq(&known.list[0].candidate, &b.list[last].candidate, sizeof known.list[0].candidate);
    ck_assert_mem_eq(&known.list[1], &b.list[0], sizeof b.list[0]);
    expect_taken(device, &known, 0);
    /* What was measured on the machine itself wins. */
    clm_tune_entry e = {.tasks = TASKS, .seconds = 0.25, .default_seconds = 0.5, .tried = 3};
    snprintf(e.implementation, sizeof e.implementation, "%s", b.list[0].impl->name);
    memcpy(e.value, b.list[0].candidate.value, sizeof e.value);
    CLM_TEST_OK(clm_tune_keep(device, b.key, &e, true));
    expect_taken(device, &known, 1);
    clm_device_close(device);
}
END_TEST

/* An implementation that is not there counts for nothing, parameters that are not offered for the best guess of their row. */
START_TEST(what_is_not_offered) {
    static const char *const choices[] = {"gone a=1", "dir", "%s nv=77"};
    clm_bench b, known;
    clm_problem problem;
    char text[2048], choice[128];
    clm_device *device = opened("", &b, &problem);
    snprintf(choice, sizeof choice, choices[_i], b.list[0].impl->name);
    snprintf(text, sizeof text, "device %s | * | * | * | * | *\n%s | 2 | %s | 1 2\n",
             clm_device_get_info(device)->type == CLM_DEVICE_CPU ? "cpu" : "gpu", b.key, choice);
    clm_device_close(device);
    device = opened(text, &known, &problem);
    ck_assert_mem_eq(known.list, b.list, (size_t)b.count * sizeof *b.list);
    expect_taken(device, &known, 0);
    clm_device_close(device);
}
END_TEST

static clm_text exported;

static void collect(void *user, const char *line) {
    (void)user;
    clm_text_add(&exported, "%s\n", line);
}

START_TEST(exported_is_known) {
    clm_bench b, known;
    clm_problem problem;
    size_t kept = 0;
    clm_device *device = opened("", &b, &problem);
    CLM_TEST_OK(clm_tune_export(device, collect, NULL, &kept));
    ck_assert(exported.length == 0 && kept == 0);
    const clm_choice *best = &b.list[b.count - 1];
    clm_tune_entry e = {.tasks = TASKS, .seconds = 0.25, .default_seconds = 0.5, .tried = 3};
    snprintf(e.implementation, sizeof e.implementation, "%s", best->impl->name);
    memcpy(e.value, best->candidate.value, sizeof e.value);
    CLM_TEST_OK(clm_tune_keep(device, b.key, &e, true));
    e.seconds = e.default_seconds; /* nothing gained: no line */
    CLM_TEST_OK(clm_tune_keep(device, "matmul of another shape", &e, true));
    CLM_TEST_OK(clm_tune_keep(device, "a plan, which is no operation", &e, true));
    CLM_TEST_OK(clm_tune_export(device, collect, NULL, &kept));
    clm_device_close(device);
    ck_assert_msg(!strncmp(exported.data, "device ", 7) && strstr(exported.data, b.key), "%s", exported.data);
    setenv("CLMAML_NO_CACHE", "1", 1); /* the machine itself knows nothing any more */
    device = opened(exported.data, &known, &problem);
    ck_assert(known.list[0].impl == best->impl);
    ck_assert_mem_eq(&known.list[0].candidate, &best->candidate, sizeof best->candidate);
    clm_device_close(device);
    clm_text_free(&exported);
    unsetenv("CLMAML_NO_CACHE");
}
END_TEST

START_TEST(a_bad_file_is_named) {
    clm_program *program = NULL;
    clm_device *device = clm_test_open_opencl();
    CLM_TEST_OK(clm_file_replace(file, "devices\n", 8));
    ck_assert_int_eq(create(device, &program), CLM_E_ARG);
    CLM_TEST_SAYS("CLMAML_TUNE_DATABASE");
    CLM_TEST_SAYS("database.txt, line 1");
    clm_device_close(device);
    remove(file);
    device = clm_test_open_opencl();
    ck_assert_int_ne(create(device, &program), CLM_OK);
    CLM_TEST_SAYS("database.txt");
    clm_device_close(device);
    device = clm_test_open_host(); /* has nothing to choose */
    CLM_TEST_OK(create(device, &program));
    clm_program_free(program);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("database");
    TCase *tcase = tcase_create("database");
    tcase_set_timeout(tcase, 0); /* ctest has one */
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_known_is_taken);
    tcase_add_loop_test(tcase, what_is_not_offered, 0, 3);
    tcase_add_test(tcase, exported_is_known);
    tcase_add_test(tcase, a_bad_file_is_named);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
