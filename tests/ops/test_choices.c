/* Heavy operations: every implementation and candidate against sums in double precision, the tuner, and the store of its results.
 *
 * The operations are those of the rows of src/check/op_cases.h with all their derivatives. For each of them the best guess of every
 * implementation is tried and SAMPLE of its other candidates, chosen by CLMAML_TEST_SEED; for the smallest operation of each kind, and
 * with CLMAML_TEST_CANDIDATES=all for all of them, every candidate. CLMAML_TEST_ROW:
 * rows whose name starts so. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/random.h"
#include "ops/op.h"
#include "support/numbers.h"
#include "support/op_instance.h"
#include "support/report.h"
#include "support/run.h"
#include "tune/internal.h"

enum { SAMPLE = 1, SMALLEST = 1, WORDS = 64 };
static const double tolerance = 2e-5; /* of the norm of a result */

/* ---- every candidate ---- */

static void collect_row(clm_problems *problems, clm_device *device, const clm_op_case *row, unsigned mask) {
    clm_op_instance o;
    clm_program *program;
    clm_value outputs[CLM_TEST_MAX_OUTPUTS];
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = clm_test_tiny() ? 2 : 3;
    CLM_TEST_OK(clm_op_instance_make(&o, row, mask, options.tasks));
    const size_t n = clm_op_instance_outputs(&o, CLM_TEST_DEVICE_KINDS, outputs);
    CLM_TEST_OK(clm_program_create(&program, device, o.graph, outputs, n, &options));
    CLM_TEST_OK(clm_problems_collect(problems, program));
    clm_program_free(program);
    clm_op_instance_free(&o);
}

/* The heavy operations of all rows; each row with one choice of per-task operands. */
static void collect_all(clm_problems *problems, clm_device *device, clm_random *random) {
    for (size_t i = 0; i < clm_op_case_count(); i++) {
        const clm_op_case *row = clm_op_case_at(i);
        unsigned masks[4];
        const size_t variants = clm_op_variants(row, masks);
        const char *only = getenv("CLMAML_TEST_ROW");
        if (clm_test_tiny() && (row->flags & CLM_CASE_LARGE)) continue;
        if (only && strncmp(row->name, only, strlen(only)) != 0) continue;
        collect_row(problems, device, row, masks[clm_random_below(random, (uint32_t)variants)]);
    }
}

/* How many operations of the same kind are smaller? */
static int smaller(const clm_problems *problems, size_t at) {
    int n = 0;
    for (size_t i = 0; i < problems->count; i++) {
        const clm_problem *a = &problems->problems[i], *b = &problems->problems[at];
        n += a->node.op == b->node.op && (a->flops < b->flops || (a->flops == b->flops && i < at));
    }
    return n;
}

/* The result of the operation in double precision, all tasks. */
static double *exact_result(const clm_bench *b) {
    const size_t size = clm_tensor_size(b->tensor[2]), one = clm_shape_size(&b->problem->node.shape);
    double *exact = calloc(size + 1, sizeof *exact);
    ck_assert_ptr_nonnull(exact);
    for (size_t i = 0; i < size; i++)
        exact[i] = clm_problem_element(b->problem, b->data[0], b->data[1], (int)(i / one), i % one);
    return exact;
}

static double error_of(const float *x, const double *exact, size_t size) {
    double error = 0, norm = 0;
    for (size_t i = 0; i < size; i++) {
        error += (x[i] - exact[i]) * (x[i] - exact[i]);
        norm += exact[i] * exact[i];
    }
    return norm > 0 ? sqrt(error / norm) : sqrt(error);
}

static bool same_numbers(const float *a, const float *b, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (!(a[i] == b[i])) return false;
    return true;
}

/* One candidate; `first` receives the result of an implementation's first candidate, which the others must equal. */
static void check_candidate(clm_bench *b, int index, const double *exact, float *first, bool is_first,
                            clm_test_report *report) {
    const size_t size = clm_tensor_size(b->tensor[2]);
    clm_program *program = NULL;
    char text[128];
    clm_choice_text(&b->list[index], text, sizeof text);
    clm_status status = clm_bench_program(b, index, &program);
    if (status == CLM_OK) status = clm_bench_run(b, program);
    if (clm_test_expect_ok(report, status, text)) {
        const double error = error_of(b->data[2], exact, size);
        clm_test_expect(report, error <= tolerance, "%s: off by %.2e, %.0e allowed", text, error, tolerance);
        if (is_first)
            memcpy(first, b->data[2], size * sizeof *first);
        else
            clm_test_expect(report, same_numbers(b->data[2], first, size), "%s: not the numbers of its implementation's first",
                            text);
    }
    clm_program_free(program);
}

static void check_problem(clm_device *device, const clm_problem *problem, bool all, clm_random *random,
                          clm_test_report *report) {
    clm_bench b;
    if (!clm_test_expect_ok(report, clm_bench_open(&b, device, problem, true), clm_op_of(&problem->node)->name)) return;
    double *exact = exact_result(&b);
    float *first = calloc(clm_tensor_size(b.tensor[2]) + 1, sizeof *first);
    ck_assert_ptr_nonnull(first);
    report->where = b.key;
    for (int i = 0, end; i < b.count; i = end) {
        for (end = i + 1; end < b.count && b.list[end].impl == b.list[i].impl;) end++;
        check_candidate(&b, i, exact, first, true, report);
        for (int k = i + 1; k < end; k++)
            if (all || clm_random_below(random, (uint32_t)(end - i - 1)) < SAMPLE)
                check_candidate(&b, k, exact, first, false, report);
    }
    free(first);
    free(exact);
    clm_bench_close(&b);
}

START_TEST(candidates_equal_sums_in_double) {
    const char *which = getenv("CLMAML_TEST_CANDIDATES");
    const bool every = which && !strcmp(which, "all");
    clm_random random = clm_random_make(clm_test_seed(), 7);
    clm_device *device = clm_test_open_opencl();
    clm_problems problems = {0};
    clm_test_report report = {0};
    collect_all(&problems, device, &random);
    ck_assert_uint_gt(problems.count, clm_test_tiny() || getenv("CLMAML_TEST_ROW") ? 0 : 30);
    for (size_t i = 0; i < problems.count; i++)
        check_problem(device, &problems.problems[i], every || (smaller(&problems, i) < SMALLEST && !clm_test_tiny()), &random,
                      &report);
    free(problems.problems);
    clm_device_close(device);
    clm_test_report_finish(&report);
}
END_TEST

/* ---- a small program and its cache ---- */

static char cache[WORDS];

static void make_cache(void) {
    snprintf(cache, sizeof cache, "%s", "/tmp/clmaml-tune-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(cache));
    ck_assert_int_eq(setenv("CLMAML_CACHE_DIR", cache, 1), 0);
    unsetenv("CLMAML_NO_CACHE");
}

static void empty_directory(const char *path) {
    char **names;
    size_t count;
    if (clm_directory_list(path, &names, &count) != CLM_OK) return;
    for (size_t i = 0; i < count; i++) {
        char *entry = clm_path_join(path, names[i]);
        if (clm_path_is_directory(entry)) {
            empty_directory(entry);
            rmdir(entry);
        } else {
            remove(entry);
        }
        free(entry);
    }
    clm_names_free(names, count);
}

static void remove_cache(void) {
    empty_directory(cache);
    rmdir(cache);
}

static clm_program *small_program(clm_device *device, int tasks) {
    clm_graph *g;
    clm_program *program;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = tasks;
    CLM_TEST_OK(clm_graph_create(&g));
    const clm_value x = clm_input(g, "x", clm_shape_of(4, 2, 5, 6, 3), true);
    const clm_value w = clm_input(g, "w", clm_shape_of(4, 3, 3, 3, 8), true);
    const clm_value y = clm_conv2d(g, x, w, &(clm_conv_options){{1, 1}, {1, 1}, {1, 1}, 1});
    CLM_TEST_OK(clm_program_create(&program, device, g, &y, 1, &options));
    clm_graph_free(g);
    return program;
}

static clm_problem small_problem(clm_device *device, int tasks) {
    clm_problems problems = {0};
    clm_program *program = small_program(device, tasks);
    CLM_TEST_OK(clm_problems_collect(&problems, program));
    ck_assert_uint_eq(problems.count, 1);
    const clm_problem problem = problems.problems[0];
    free(problems.problems);
    clm_program_free(program);
    return problem;
}

/* ---- the tuner ---- */

static clm_status fail_to_lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    (void)l, (void)y, (void)candidate;
    return clm_fail(CLM_E_BUILD, "this implementation cannot be built");
}

static const clm_impl *right_impl;

/* The result of other operands: twice the first image's worth off. */
static clm_status lower_wrongly(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    clm_candidate first[CLM_CANDIDATES_MOST];
    (void)candidate;
    clm_choice_candidates(l, y, right_impl, first);
    clm_status status = right_impl->lower(l, y, &first[0]);
    clm_program_step *s = &l->program->steps[l->program->n_steps - 1];
    for (int i = 0; i < 3; i++) s->spec.global[i] = 1; /* a part of it */
    return status;
}

static clm_tune_line last_line;
static int lines;

static void note_line(void *user, const clm_tune_line *line) {
    (void)user;
    last_line = *line;
    lines++;
}

START_TEST(wrong_candidates_are_dropped) {
    static const clm_impl broken = {.name = "broken", .parameters = "", .lower = fail_to_lower};
    static const clm_impl wrong = {.name = "wrong", .parameters = "", .lower = lower_wrongly};
    make_cache();
    clm_device *device = clm_test_open_opencl();
    const clm_problem problem = small_problem(device, 2);
    clm_bench b;
    clm_tune_line line = {0};
    clm_tune_entry best;
    CLM_TEST_OK(clm_bench_open(&b, device, &problem, true));
    ck_assert_int_ge(b.count, 2);
    right_impl = b.list[0].impl;
    b.count = 4;
    b.list[2] = (clm_choice){&broken, {{0}}};
    b.list[3] = (clm_choice){&wrong, {{0}}};
    CLM_TEST_OK(clm_bench_measure(&b, NULL, 1e9, &line, &best));
    ck_assert_int_eq(line.tried, 4);
    ck_assert_int_eq(line.failed, 2);
    ck_assert_str_eq(best.implementation, "direct");
    b.count = 2;
    b.list[0] = b.list[2];
    b.list[1] = b.list[3];
    ck_assert_int_eq(clm_bench_measure(&b, NULL, 1e9, &line, &best), CLM_E_NUMERIC);
    clm_bench_close(&b);
    clm_device_close(device);
    remove_cache();
}
END_TEST

START_TEST(results_are_kept_and_used) {
    make_cache();
    clm_device *device = clm_test_open_opencl();
    clm_tune_options options = CLM_TUNE_OPTIONS_INIT;
    size_t changed = 0;
    options.progress = note_line;
    clm_program *program = small_program(device, 3);
    lines = 0;
    CLM_TEST_OK(clm_tune_programs(&program, 1, &options, &changed));
    ck_assert_uint_eq(changed, 1);
    ck_assert_int_eq(lines, 1);
    ck_assert(!last_line.known && last_line.tried == last_line.candidates && last_line.failed == 0);
    ck_assert(last_line.best_seconds > 0 && last_line.best_seconds <= last_line.default_seconds);
    clm_program_free(program);
    clm_device_close(device);
    device = clm_test_open_opencl(); /* another process would see this */
    program = small_program(device, 4);
    CLM_TEST_OK(clm_tune_programs(&program, 1, &options, &changed));
    ck_assert_uint_eq(changed, 0);
    ck_assert(last_line.known);
    options.again = true;
    CLM_TEST_OK(clm_tune_programs(&program, 1, &options, &changed));
    ck_assert_uint_eq(changed, 1);
    clm_program_free(program);
    clm_device_close(device);
    remove_cache();
}
END_TEST

/* What was not reached within the budget keeps the default, so that a later run has the same bits. */
START_TEST(careful_tuning_settles_everything) {
    make_cache();
    clm_device *device = clm_test_open_opencl();
    clm_tune_options options = CLM_TUNE_OPTIONS_INIT;
    size_t changed = 0;
    options.progress = note_line;
    options.careful = true;
    options.budget = 1e-9;
    clm_program *program = small_program(device, 3);
    CLM_TEST_OK(clm_tune_programs(&program, 1, &options, &changed));
    ck_assert_int_eq(last_line.tried, 0);
    options.budget = 60;
    CLM_TEST_OK(clm_tune_programs(&program, 1, &options, &changed));
    ck_assert_uint_eq(changed, 0);
    ck_assert(last_line.known);
    options.careful = false; /* asked for by the user */
    CLM_TEST_OK(clm_tune_programs(&program, 1, &options, &changed));
    ck_assert_int_gt(last_line.tried, 0);
    clm_program_free(program);
    clm_device_close(device);
    remove_cache();
}
END_TEST

START_TEST(without_a_cache_nothing_is_tuned) {
    clm_device *device = clm_test_open_opencl(), *host = clm_test_open_host();
    clm_program *program = small_program(host, 2);
    ck_assert_int_eq(clm_tune_programs(&program, 1, NULL, NULL), CLM_E_STATE);
    clm_program_free(program);
    ck_assert_int_eq(setenv("CLMAML_NO_CACHE", "1", 1), 0);
    program = small_program(device, 2);
    ck_assert_int_eq(clm_tune_programs(&program, 1, NULL, NULL), CLM_E_STATE);
    unsetenv("CLMAML_NO_CACHE");
    clm_program_free(program);
    clm_device_close(device);
    clm_device_close(host);
}
END_TEST

/* ---- the store ---- */

static clm_tune_entry entry_of(const char *implementation, int tasks, int value) {
    clm_tune_entry e = {.tasks = tasks, .value = {value, -7}, .seconds = 0.25, .default_seconds = 0.5, .tried = 3};
    snprintf(e.implementation, sizeof e.implementation, "%s", implementation);
    return e;
}

static clm_device *reopen(clm_device *device) {
    clm_device_close(device);
    return clm_test_open_opencl();
}

START_TEST(store_keeps_and_merges) {
    make_cache();
    clm_device *device = clm_test_open_opencl();
    clm_tune_entry e, found;
    ck_assert(!clm_tune_find(device, "op 1", 4, &found));
    e = entry_of("direct", 3, 11);
    CLM_TEST_OK(clm_tune_keep(device, "op 1", &e, false));
    e = entry_of("direct", 32, 22);
    CLM_TEST_OK(clm_tune_keep(device, "op 1", &e, false));
    device = reopen(device);
    ck_assert(clm_tune_find(device, "op 1", 4, &found) && found.value[0] == 11 && found.value[1] == -7 && found.tasks == 4);
    ck_assert(found.seconds == 0.25 && found.default_seconds == 0.5 && found.tried == 3);
    ck_assert(clm_tune_find(device, "op 1", 20, &found) && found.value[0] == 22); /* rounded up to 32 */
    ck_assert(clm_tune_find(device, "op 1", 1, &found) && found.value[0] == 11);  /* the nearest */
    ck_assert(!clm_tune_find(device, "op 2", 4, &found));
    e = entry_of("other", 64, 33); /* another implementation does not come in beside what is there */
    CLM_TEST_OK(clm_tune_keep(device, "op 1", &e, false));
    ck_assert_str_eq(e.implementation, "direct");
    ck_assert_int_eq(e.value[0], 22);
    e = entry_of("other", 64, 33); /* but in its place */
    CLM_TEST_OK(clm_tune_keep(device, "op 1", &e, true));
    device = reopen(device);
    ck_assert(clm_tune_find(device, "op 1", 4, &found) && found.value[0] == 33 && !strcmp(found.implementation, "other"));
    clm_device_close(device);
    remove_cache();
}
END_TEST

/* Two that were opened before either wrote: both results are kept. */
START_TEST(store_takes_several_writers) {
    make_cache();
    clm_device *one = clm_test_open_opencl(), *two = clm_test_open_opencl();
    clm_tune_entry e, found;
    ck_assert(!clm_tune_find(one, "op", 1, &found) && !clm_tune_find(two, "op", 1, &found));
    e = entry_of("direct", 1, 5);
    CLM_TEST_OK(clm_tune_keep(one, "op", &e, false));
    e = entry_of("direct", 1, 6); /* the first stays, and the second is told */
    CLM_TEST_OK(clm_tune_keep(two, "op", &e, false));
    ck_assert_int_eq(e.value[0], 5);
    e = entry_of("direct", 64, 7);
    CLM_TEST_OK(clm_tune_keep(two, "op", &e, false));
    one = reopen(one);
    ck_assert(clm_tune_find(one, "op", 1, &found) && found.value[0] == 5);
    ck_assert(clm_tune_find(one, "op", 64, &found) && found.value[0] == 7);
    clm_device_close(one);
    clm_device_close(two);
    remove_cache();
}
END_TEST

/* Files that are cut, empty, no JSON, or of another operation count as absent and are written anew. */
START_TEST(store_survives_damage) {
    static const char *const contents[] = {"",
                                           "{",
                                           "[]",
                                           "{\"format\": \"clmaml-tune-0\"}",
                                           ("{\"format\": \"clmaml-tune-1\", \"operation\": \"another\", \"implementation\": "
                                            "\"direct\", \"choices\": []}"),
                                           "{\"format\": \"clmaml-tune-1\", \"operation\": \"op\", \"implementation\": 7}"};
    make_cache();
    clm_device *device = clm_test_open_opencl();
    clm_tune_entry e = entry_of("direct", 1, 5), found;
    CLM_TEST_OK(clm_tune_keep(device, "op", &e, false));
    char folder[WORDS + 8], path[WORDS + 300] = "", **names;
    size_t count;
    snprintf(folder, sizeof folder, "%s/tune", cache);
    CLM_TEST_OK(clm_directory_list(folder, &names, &count));
    for (size_t i = 0; i < count; i++)
        if (strstr(names[i], ".json")) snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    clm_names_free(names, count);
    ck_assert_int_ne(path[0], 0);
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        CLM_TEST_OK(clm_file_write(path, contents[i], strlen(contents[i])));
        device = reopen(device);
        ck_assert_msg(!clm_tune_find(device, "op", 1, &found), "'%s' was taken for a result", contents[i]);
        e = entry_of("direct", 1, 9);
        CLM_TEST_OK(clm_tune_keep(device, "op", &e, false));
        device = reopen(device);
        ck_assert(clm_tune_find(device, "op", 1, &found) && found.value[0] == 9);
    }
    clm_device_close(device);
    remove_cache();
}
END_TEST

/* A stored choice that is no longer offered is not used; one that is, is. */
START_TEST(stale_choices_are_not_used) {
    make_cache();
    clm_device *device = clm_test_open_opencl();
    const clm_problem problem = small_problem(device, 2);
    clm_bench b;
    clm_tune_entry e;
    CLM_TEST_OK(clm_bench_open(&b, device, &problem, false));
    ck_assert_int_ge(b.count, 2);
    const struct {
        const char *implementation;
        clm_candidate candidate, expected;
    } cases[] = {{"gone", {{1, 2, 3}}, b.list[0].candidate},
                 {b.list[1].impl->name, b.list[1].candidate, b.list[1].candidate},
                 {b.list[0].impl->name, {{99, 99, 99, 99}}, b.list[0].candidate}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char defines[1024], expected[1024];
        e = entry_of(cases[i].implementation, 2, 0);
        memcpy(e.value, cases[i].candidate.value, sizeof e.value);
        CLM_TEST_OK(clm_tune_keep(device, b.key, &e, true));
        clm_program *program = small_program(device, 2);
        snprintf(defines, sizeof defines, "%s", program->steps[0].spec.defines);
        clm_program_free(program);
        for (int k = 0; k < b.count; k++) {
            if (memcmp(&b.list[k].candidate, &cases[i].expected, sizeof cases[i].expected) != 0) continue;
            CLM_TEST_OK(clm_bench_program(&b, k, &program));
            snprintf(expected, sizeof expected, "%s", program->steps[0].spec.defines);
            clm_program_free(program);
            break;
        }
        ck_assert_str_eq(defines, expected);
    }
    clm_bench_close(&b);
    clm_device_close(device);
    remove_cache();
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("choices");
    const struct {
        const char *name;
        const TTest *test;
    } cases[] = {{"candidates", candidates_equal_sums_in_double},
                 {"wrong", wrong_candidates_are_dropped},
                 {"kept", results_are_kept_and_used},
                 {"careful", careful_tuning_settles_everything},
                 {"no cache", without_a_cache_nothing_is_tuned},
                 {"store", store_keeps_and_merges},
                 {"writers", store_takes_several_writers},
                 {"damage", store_survives_damage},
                 {"stale", stale_choices_are_not_used}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TCase *tc = tcase_create(cases[i].name);
        tcase_set_timeout(tc, 0); /* ctest has one */
        tcase_add_test(tc, cases[i].test);
        suite_add_tcase(suite, tc);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
