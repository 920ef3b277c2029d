/* Episodes of different sizes: within the ranges and of what there is, the same by themselves and in batches, zeros behind what a task
 * has, and even tasks as they were; what is refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/data.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

enum { CLASSES = 6, WAYS = 4, SHOTS = 5, QUERY = 2, SETS = 2, MOST = SETS * WAYS * SHOTS, DRAWN = 400 };

/* Class c has c + 4 examples; example i is the number 100 c + i + 1, so that 0 is none of them. */
static size_t classes(void *context, clm_split split) {
    (void)context;
    return split == CLM_SPLIT_TEST ? 2 : CLASSES;
}
static size_t examples(void *context, clm_split split, size_t c) {
    (void)context, (void)split;
    return c + 4;
}
static int example(void *context, clm_split split, size_t c, size_t i, float *out) {
    (void)context, (void)split;
    out[0] = (float)(100 * c + i + 1);
    return 0;
}
static int regress(void *context, clm_split split, uint64_t task, uint64_t points, int count, float *x, float *y) {
    (void)context, (void)split;
    for (int i = 0; i < count; i++) {
        if (x) x[i] = (float)(1 + i + (int)(points % 100));
        if (y) y[i] = (float)(1 + task % 1000);
    }
    return 0;
}

static clm_source *source;
static clm_episode_options options;

static void set_up(void) {
    clm_custom_source own = CLM_CUSTOM_SOURCE_INIT;
    own.name = "own";
    own.shape = clm_shape_of(1, 1);
    own.classes = classes, own.examples = examples, own.example = example;
    CLM_TEST_OK(clm_source_custom(&source, &own));
    options = (clm_episode_options)CLM_EPISODE_OPTIONS_INIT;
    options.ways = WAYS, options.shots = SHOTS, options.query = QUERY;
    options.ways_least = 2, options.shots_least = 1;
}

static void tear_down(void) { clm_source_free(source); }

typedef struct task {
    float support_x[MOST], support_y[MOST], query_x[MOST], query_y[MOST];
    clm_task_size size;
} task;

static void draw(task *t, uint64_t index) {
    const clm_episode to = {t->support_x, t->support_y, t->query_x, t->query_y, NULL, NULL, &t->size};
    memset(t, 0x55, sizeof *t);
    CLM_TEST_OK(clm_source_draw(source, CLM_SPLIT_TRAIN, 7, index, &options, &to));
}

/* The first n of `all` are drawn examples of `ways` classes, as many of each; the rest is zeros. */
static void expect_set(const float *x, const float *y, int n, int all, int ways, uint64_t index) {
    int of[WAYS] = {0};
    for (int i = 0; i < all; i++) {
        ck_assert_msg((x[i] > 0) == (i < n), "task %d, example %d is %g", (int)index, i, (double)x[i]);
        if (i >= n) ck_assert_double_eq((double)y[i], 0);
        if (i < n) ck_assert_int_lt((int)y[i], ways);
        if (i < n) of[(int)y[i]]++;
    }
    for (int k = 0; k < ways; k++) ck_assert_int_eq(of[k], n / ways);
}

static int fewest(const task *t) {
    int least = 1000;
    for (int i = 0; i < t->size.support; i++) {
        const int count = 4 + ((int)t->support_x[i] - 1) / 100;
        if (count < least) least = count;
    }
    return least;
}

START_TEST(sizes_lie_in_their_ranges) {
    bool ways_seen[WAYS + 1] = {false}, shots_seen[SHOTS + 1] = {false};
    for (uint64_t i = 0; i < DRAWN; i++) {
        task t;
        draw(&t, i);
        const int ways = t.size.ways, shots = t.size.support / ways;
        ck_assert(ways >= 2 && ways <= WAYS);
        ck_assert(shots >= 1 && shots <= SHOTS && t.size.support == ways * shots && t.size.query == ways * QUERY);
        ck_assert_int_le(shots + QUERY, fewest(&t));
        expect_set(t.support_x, t.support_y, t.size.support, WAYS * SHOTS, ways, i);
        expect_set(t.query_x, t.query_y, t.size.query, WAYS * QUERY, ways, i);
        for (int a = 0; a < t.size.support; a++)
            for (int b = 0; b < t.size.query; b++) ck_assert(t.support_x[a] != t.query_x[b]);
        ways_seen[ways] = shots_seen[shots] = true;
    }
    for (int k = 2; k <= WAYS; k++) ck_assert(ways_seen[k]);
    for (int k = 1; k <= SHOTS; k++) ck_assert(shots_seen[k]);
}
END_TEST

/* The classes of a task are those that it has when all tasks are of one size. */
START_TEST(a_range_of_one_is_that_size) {
    for (uint64_t i = 0; i < 20; i++) {
        task even, uneven;
        options.shots = 2, options.ways_least = options.ways, options.shots_least = options.shots;
        draw(&uneven, i);
        options.ways_least = options.shots_least = 0;
        draw(&even, i);
        ck_assert_int_eq(even.size.ways, WAYS);
        ck_assert_mem_eq(&even, &uneven, sizeof even);
    }
}
END_TEST

START_TEST(sets_for_each_step) {
    for (uint64_t i = 0; i < 100; i++) {
        task t;
        options.support_sets = SETS;
        options.shots = 3;
        draw(&t, i);
        ck_assert_int_le(SETS * t.size.support / t.size.ways + QUERY, fewest(&t));
        for (int s = 0; s < SETS; s++)
            expect_set(t.support_x + s * WAYS * 3, t.support_y + s * WAYS * 3, t.size.support, WAYS * 3, t.size.ways, i);
    }
}
END_TEST

START_TEST(functions_of_few_points) {
    clm_custom_source own = CLM_CUSTOM_SOURCE_INIT;
    bool seen[SHOTS + 1] = {false};
    own.name = "curves";
    own.shape = clm_shape_of(1, 1);
    own.regress = regress;
    clm_source_free(source);
    CLM_TEST_OK(clm_source_custom(&source, &own));
    options.ways = 1, options.ways_least = 0, options.support_sets = SETS;
    for (uint64_t i = 0; i < 100; i++) {
        task t;
        draw(&t, i);
        ck_assert_int_eq(t.size.ways, 0);
        ck_assert_int_eq(t.size.query, QUERY);
        for (int k = 0; k < SETS * SHOTS; k++) ck_assert_int_eq(t.support_x[k] > 0, k % SHOTS < t.size.support);
        seen[t.size.support] = true;
    }
    for (int k = 1; k <= SHOTS; k++) ck_assert(seen[k]);
}
END_TEST

START_TEST(batches_are_the_same_tasks) {
    clm_prefetch_options o = CLM_PREFETCH_OPTIONS_INIT;
    clm_prefetch *batches = NULL;
    o.seed = 7, o.tasks = 3, o.ways = WAYS, o.shots = SHOTS, o.query = QUERY, o.ways_least = 2, o.shots_least = 1;
    CLM_TEST_OK(clm_prefetch_create(&batches, source, &o));
    for (uint64_t b = 0; b < 6; b++) {
        const float *data[4];
        CLM_TEST_OK(clm_prefetch_get(batches, b, data));
        const clm_task_size *sizes = clm_prefetch_sizes(batches);
        for (size_t t = 0; t < 3; t++) {
            task alone;
            draw(&alone, 3 * b + t);
            ck_assert_mem_eq(&sizes[t], &alone.size, sizeof alone.size);
            ck_assert_mem_eq(data[0] + t * WAYS * SHOTS, alone.support_x, WAYS * SHOTS * sizeof(float));
            ck_assert_mem_eq(data[3] + t * WAYS * QUERY, alone.query_y, WAYS * QUERY * sizeof(float));
        }
    }
    clm_prefetch_free(batches);
    o.ways_least = o.shots_least = 0, o.shots = 1;
    CLM_TEST_OK(clm_prefetch_create(&batches, source, &o));
    const float *data[4];
    CLM_TEST_OK(clm_prefetch_get(batches, 0, data));
    ck_assert_ptr_null(clm_prefetch_sizes(batches));
    clm_prefetch_free(batches);
}
END_TEST

static void refused(clm_split split, const char *says) {
    ck_assert_int_eq(clm_source_check_episode(source, split, &options), CLM_E_ARG);
    SAYS(says);
}

START_TEST(what_is_refused) {
    CLM_TEST_OK(clm_source_check_episode(source, CLM_SPLIT_TEST, &options)); /* of two classes */
    options.ways_least = 3;
    refused(CLM_SPLIT_TEST, "3 ways, but the test split has 2");
    options.ways_least = WAYS + 1;
    refused(CLM_SPLIT_TRAIN, "5 to 4 ways");
    options.ways_least = -1;
    refused(CLM_SPLIT_TRAIN, "-1 to 4 ways");
    options.ways_least = 1;
    refused(CLM_SPLIT_TRAIN, "1 to 4 ways: with one class there is nothing to tell apart; the least is 2");
    options.ways_least = 0, options.shots_least = SHOTS + 1;
    refused(CLM_SPLIT_TRAIN, "6 to 5 shots");
    options.shots_least = 3;
    refused(CLM_SPLIT_TRAIN, "3 shots and 2 queries need 5");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("uneven tasks");
    TCase *tcase = tcase_create("uneven tasks");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, sizes_lie_in_their_ranges);
    tcase_add_test(tcase, a_range_of_one_is_that_size);
    tcase_add_test(tcase, sets_for_each_step);
    tcase_add_test(tcase, functions_of_few_points);
    tcase_add_test(tcase, batches_are_the_same_tasks);
    tcase_add_test(tcase, what_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
