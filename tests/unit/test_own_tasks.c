/* Tasks through callbacks: classes, functions, several targets; prefetching them; what is refused. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "clmaml/data.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

typedef struct own {
    int failing, destroyed;
} own;

static size_t classes(void *context, clm_split split) {
    (void)context;
    return split == CLM_SPLIT_TRAIN ? 10 : 4;
}
static size_t examples(void *context, clm_split split, size_t class_index) {
    (void)context, (void)split;
    return class_index == 3 ? 5 : 8;
}
static int example(void *context, clm_split split, size_t class_index, size_t index, float *out) {
    const own *o = context;
    for (int i = 0; i < 6; i++) out[i] = (float)(100 * (int)split + 10 * (int)class_index + (int)index) + (float)i / 8;
    return o->failing;
}
static const char *name_of(void *context, clm_split split, size_t class_index) {
    (void)context, (void)split;
    return class_index == 3 ? "the small one" : "another";
}
static int regress(void *context, clm_split split, uint64_t task, uint64_t points, int count, float *x, float *y) {
    const own *o = context;
    (void)split;
    for (int i = 0; i < count; i++) {
        const float at = (float)((points + (uint64_t)i) % 1000), slope = (float)(task % 10);
        if (x) x[i] = at;
        if (y) y[i] = slope * at;
    }
    return o->failing;
}
static void destroy(void *context) { ((own *)context)->destroyed++; }

static clm_custom_source custom_of(own *o) {
    clm_custom_source c = CLM_CUSTOM_SOURCE_INIT;
    c.name = "mine";
    c.shape = clm_shape_of(2, 2, 3);
    c.context = o;
    c.destroy = destroy;
    return c;
}

START_TEST(tasks_of_ones_own) {
    own o = {0};
    clm_custom_source c = custom_of(&o);
    c.classes = classes, c.examples = examples, c.example = example, c.class_name = name_of;
    clm_source *source = NULL;
    CLM_TEST_OK(clm_source_custom(&source, &c));
    ck_assert_str_eq(clm_source_name(source), "mine");
    ck_assert_str_eq(clm_source_description(source), "mine");
    ck_assert(!clm_source_is_regression(source));
    float x[3][6 * 6], y[6], query[6 * 6], query_y[6];
    CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TEST, 1, 2, 3, 2, 2, x[0], y, query, query_y));
    for (int i = 0; i < 6; i++) { /* all of them of the test split; classes of a label are one */
        ck_assert(x[0][6 * i] >= 200 && x[0][6 * i] < 240);
        for (int k = 0; k < 6; k++)
            if (y[i] == query_y[k]) ck_assert_int_eq((int)x[0][6 * i] / 10, (int)query[6 * k] / 10);
    }
    clm_prefetch_options p = CLM_PREFETCH_OPTIONS_INIT;
    clm_prefetch *prefetch = NULL;
    const float *batch[4];
    p.split = CLM_SPLIT_TEST, p.seed = 1, p.tasks = 2, p.ways = 3, p.shots = 2, p.query = 2;
    CLM_TEST_OK(clm_prefetch_create(&prefetch, source, &p));
    CLM_TEST_OK(clm_prefetch_get(prefetch, 1, batch));
    ck_assert_mem_eq(batch[0], x[0], sizeof x[0]);
    clm_prefetch_free(prefetch);
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TRAIN, 5, 3, 3), CLM_E_ARG);
    SAYS("class the small one has 5");
    clm_source_free(source);
    ck_assert_int_eq(o.destroyed, 1);
}
END_TEST

START_TEST(functions_of_ones_own) {
    own o = {0};
    clm_custom_source c = custom_of(&o);
    c.shape = clm_shape_of(1, 1);
    c.regress = regress;
    c.description = "lines through 0";
    clm_source *source = NULL;
    CLM_TEST_OK(clm_source_custom(&source, &c));
    ck_assert(clm_source_is_regression(source));
    ck_assert_str_eq(clm_source_description(source), "lines through 0");
    float x[3], y[3], query[4], query_y[4], again[4];
    CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TRAIN, 1, 2, 1, 3, 4, x, y, query, query_y));
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++) ck_assert(y[i] * query[k] == query_y[k] * x[i]); /* one slope */
    CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TRAIN, 1, 2, 1, 3, 4, NULL, NULL, again, NULL));
    ck_assert_mem_eq(again, query, sizeof query);
    ck_assert(query[0] != x[0]);
    clm_source_free(source);
}
END_TEST

static int regress_two(void *context, clm_split split, uint64_t task, uint64_t points, int count, float *x, float *y) {
    (void)context, (void)split;
    for (int i = 0; i < count; i++) {
        const float at = (float)((points + (uint64_t)i) % 1000);
        if (x) x[i] = at;
        if (y) y[2 * i] = at + (float)(task % 10), y[2 * i + 1] = -at;
    }
    return 0;
}

START_TEST(several_targets_of_ones_own) {
    own o = {0};
    clm_custom_source c = custom_of(&o);
    c.shape = clm_shape_of(1, 1);
    c.regress = regress_two;
    c.targets = 2;
    clm_source *source = NULL;
    CLM_TEST_OK(clm_source_custom(&source, &c));
    const clm_shape target = clm_source_target_shape(source);
    ck_assert(target.rank == 1 && target.dim[0] == 2);
    ck_assert(clm_source_groups(source, CLM_SPLIT_TEST) == SIZE_MAX);
    float x[3], y[6], query[2], query_y[4];
    CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TRAIN, 1, 3, 1, 3, 2, x, y, query, query_y));
    for (int i = 0; i < 3; i++) ck_assert(y[2 * i + 1] == -x[i] && y[2 * i] - x[i] == y[0] - x[0]);
    clm_prefetch_options p = CLM_PREFETCH_OPTIONS_INIT;
    clm_prefetch *prefetch = NULL;
    const float *batch[4];
    p.seed = 1, p.tasks = 2, p.ways = 1, p.shots = 3, p.query = 2;
    CLM_TEST_OK(clm_prefetch_create(&prefetch, source, &p));
    CLM_TEST_OK(clm_prefetch_get(prefetch, 1, batch));
    ck_assert_mem_eq(batch[1] + 6, y, sizeof y);
    ck_assert_mem_eq(batch[3] + 4, query_y, sizeof query_y);
    clm_prefetch_free(prefetch);
    clm_source_free(source);
    c.targets = -1;
    ck_assert_int_eq(clm_source_custom(&source, &c), CLM_E_ARG);
    SAYS("-1 targets");
    c.targets = 2;
    c.regress = NULL;
    c.classes = classes, c.examples = examples, c.example = example;
    ck_assert_int_eq(clm_source_custom(&source, &c), CLM_E_ARG);
    SAYS("classes have labels instead");
}
END_TEST

static int spoilt(void *context, clm_split split, size_t class_index, size_t index, float *out) {
    example(context, split, class_index, index, out);
    if (class_index == 3) out[4] = NAN;
    return 0;
}
static int spoilt_points(void *context, clm_split split, uint64_t task, uint64_t points, int count, float *x, float *y) {
    regress(context, split, task, points, count, x, y);
    if (count == 4 && y) y[2] = INFINITY;
    if (count == 5 && x) x[1] = NAN;
    return 0;
}

START_TEST(numbers_that_are_not_finite) { /* task, class, example and place are named */
    own o = {0};
    float x[5 * 6], y[5];
    clm_custom_source c = custom_of(&o);
    c.classes = classes, c.examples = examples, c.example = spoilt, c.class_name = name_of;
    clm_source *source = NULL;
    CLM_TEST_OK(clm_source_custom(&source, &c));
    clm_status status = CLM_OK;
    uint64_t task = 0;
    for (; status == CLM_OK && task < 100; task++)
        status = clm_source_sample(source, CLM_SPLIT_TEST, 9, task, 2, 1, 0, x, NULL, NULL, NULL);
    ck_assert_int_eq(status, CLM_E_NUMERIC);
    char *says = clm_format("task %d of seed 9: mine: number 4 of example ", (int)task - 1);
    SAYS(says);
    SAYS("of class the small one of the test split is nan, not finite");
    free(says);
    clm_source_free(source);
    c = custom_of(&o);
    c.shape = clm_shape_of(1, 1);
    c.regress = spoilt_points;
    CLM_TEST_OK(clm_source_custom(&source, &c));
    CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TRAIN, 1, 2, 1, 3, 3, x, y, NULL, NULL));
    ck_assert_int_eq(clm_source_sample(source, CLM_SPLIT_TRAIN, 1, 2, 1, 3, 4, NULL, NULL, x, y), CLM_E_NUMERIC);
    SAYS("task 2 of seed 1: mine: number 0 of y of point 2 of function ");
    SAYS("of the train split is inf");
    ck_assert_int_eq(clm_source_sample(source, CLM_SPLIT_TRAIN, 1, 2, 1, 5, 3, x, y, NULL, NULL), CLM_E_NUMERIC);
    SAYS("number 0 of x of point 1 of function ");
    clm_source_free(source);
}
END_TEST

START_TEST(what_a_callback_says_is_passed_on) {
    own o = {.failing = 42};
    float x[60];
    clm_custom_source c = custom_of(&o);
    c.classes = classes, c.examples = examples, c.example = example;
    clm_source *source = NULL;
    CLM_TEST_OK(clm_source_custom(&source, &c));
    ck_assert_int_eq(clm_source_sample(source, CLM_SPLIT_TRAIN, 0, 0, 2, 1, 1, x, NULL, NULL, NULL), CLM_E_IO);
    SAYS("mine: example");
    SAYS("returned 42");
    clm_prefetch_options p = CLM_PREFETCH_OPTIONS_INIT;
    clm_prefetch *prefetch = NULL;
    const float *batch[4];
    CLM_TEST_OK(clm_prefetch_create(&prefetch, source, &p));
    ck_assert_int_eq(clm_prefetch_get(prefetch, 0, batch), CLM_E_IO);
    SAYS("returned 42");
    clm_prefetch_free(prefetch);
    clm_source_free(source);
    c.regress = regress;
    ck_assert_int_eq(clm_source_custom(&source, &c), CLM_E_ARG);
    SAYS("regress alone");
    c.regress = NULL;
    c.example = NULL;
    ck_assert_int_eq(clm_source_custom(&source, &c), CLM_E_ARG);
    c.example = example;
    c.shape = clm_shape_of(0);
    ck_assert_int_eq(clm_source_custom(&source, &c), CLM_E_SHAPE);
    c.name = NULL;
    ck_assert_int_eq(clm_source_custom(&source, &c), CLM_E_ARG);
    c.version = 0;
    ck_assert_int_eq(clm_source_custom(&source, &c), CLM_E_ARG);
    ck_assert_ptr_null(source);
    ck_assert_int_eq(o.destroyed, 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("own tasks");
    TCase *tc = tcase_create("own tasks");
    tcase_add_test(tc, tasks_of_ones_own);
    tcase_add_test(tc, functions_of_ones_own);
    tcase_add_test(tc, several_targets_of_ones_own);
    tcase_add_test(tc, numbers_that_are_not_finite);
    tcase_add_test(tc, what_a_callback_says_is_passed_on);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
