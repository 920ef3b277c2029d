/* Sources beside one another: whose task is whose, one shape, grey on all channels, what is refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/data.h"
#include "support/run.h"

enum { WAYS = 3, SHOTS = 2, QUERY = 1, WIDE = 12, HIGH = 9, SMALL = 8 };

static size_t classes(void *context, clm_split split) {
    (void)context;
    return split == CLM_SPLIT_VALIDATION ? 0 : 5;
}
static size_t examples(void *context, clm_split split, size_t class_index) {
    (void)context, (void)split, (void)class_index;
    return 4;
}
/* Channel, row and column of a colour picture can be read off its numbers. */
static int colour(void *context, clm_split split, size_t class_index, size_t index, float *out) {
    (void)context, (void)split;
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < HIGH; y++)
            for (int x = 0; x < WIDE; x++)
                *out++ = (float)(1 + c + 10 * y + 1000 * x) + 0.001f * (float)(class_index + 10 * index);
    return 0;
}

static clm_source *photos(clm_shape shape) {
    clm_custom_source mine = CLM_CUSTOM_SOURCE_INIT;
    clm_source *out;
    mine.name = "photos";
    mine.shape = shape;
    mine.classes = classes, mine.examples = examples, mine.example = colour;
    CLM_TEST_OK(clm_source_custom(&out, &mine));
    return out;
}

static clm_source *together(void) {
    clm_source *sources[3], *out;
    CLM_TEST_OK(clm_source_glyphs(&sources[0], SMALL));
    sources[1] = photos(clm_shape_of(3, 3, HIGH, WIDE));
    CLM_TEST_OK(clm_source_glyphs(&sources[2], SMALL + 1));
    CLM_TEST_OK(clm_source_beside(&out, sources, 3));
    return out;
}

/* One example of a task, as the source that it is of draws it. */
static void expect_padded(const float *x, const float *own, clm_shape small, int example) {
    const int top = (HIGH - small.dim[1]) / 2, left = (WIDE - small.dim[2]) / 2;
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < HIGH; y++)
            for (int at = 0; at < WIDE; at++) {
                const int h = y - top, w = at - left, from = small.dim[0] == 1 ? 0 : c;
                const bool inside = h >= 0 && h < small.dim[1] && w >= 0 && w < small.dim[2];
                const float wanted = inside ? own[(from * small.dim[1] + h) * small.dim[2] + w] : 0;
                ck_assert_msg(x[(c * HIGH + y) * WIDE + at] == wanted, "example %d, channel %d, row %d, column %d", example, c,
                              y, at);
            }
}

START_TEST(tasks_come_in_turn) {
    clm_source *all = together(), *own[3];
    const size_t size = 3 * HIGH * WIDE;
    float x[WAYS * SHOTS * 3 * HIGH * WIDE], q[WAYS * 3 * HIGH * WIDE], y[WAYS * SHOTS], small[WAYS * SHOTS * 3 * HIGH * WIDE],
        labels[WAYS * SHOTS], small_q[WAYS * 3 * HIGH * WIDE];
    const clm_shape shape = clm_source_example_shape(all);
    ck_assert(shape.rank == 3 && shape.dim[0] == 3 && shape.dim[1] == HIGH && shape.dim[2] == WIDE);
    ck_assert_str_eq(clm_source_name(all), "glyphs+photos+glyphs");
    CLM_TEST_OK(clm_source_glyphs(&own[0], SMALL));
    own[1] = photos(shape);
    CLM_TEST_OK(clm_source_glyphs(&own[2], SMALL + 1));
    for (uint64_t t = 0; t < 9; t++) {
        static const char *const names[] = {"glyphs", "photos", "glyphs 2"};
        const clm_source *of = own[t % 3];
        const clm_shape one = clm_source_example_shape(of);
        const size_t n = clm_shape_size(&one);
        ck_assert_str_eq(clm_source_function(all, CLM_SPLIT_TEST, 7, t), names[t % 3]);
        CLM_TEST_OK(clm_source_sample(all, CLM_SPLIT_TEST, 7, t, WAYS, SHOTS, QUERY, x, y, q, NULL));
        CLM_TEST_OK(clm_source_sample(of, CLM_SPLIT_TEST, 7, t / 3, WAYS, SHOTS, QUERY, small, labels, small_q, NULL));
        ck_assert_mem_eq(y, labels, sizeof y);
        for (int i = 0; i < WAYS * SHOTS; i++) expect_padded(x + (size_t)i * size, small + (size_t)i * n, one, i);
        for (int i = 0; i < WAYS; i++) expect_padded(q + (size_t)i * size, small_q + (size_t)i * n, one, i);
    }
    for (int i = 0; i < 3; i++) clm_source_free(own[i]);
    clm_source_free(all);
}
END_TEST

/* What a batch made ahead holds is the same. */
START_TEST(batches_hold_them) {
    clm_source *all = together();
    clm_prefetch_options o = CLM_PREFETCH_OPTIONS_INIT;
    clm_prefetch *prefetch;
    const float *data[4];
    float x[WAYS * SHOTS * 3 * HIGH * WIDE];
    const size_t n = sizeof x / sizeof *x;
    o.tasks = 3, o.ways = WAYS, o.shots = SHOTS, o.query = QUERY, o.seed = 4;
    CLM_TEST_OK(clm_prefetch_create(&prefetch, all, &o));
    CLM_TEST_OK(clm_prefetch_get(prefetch, 1, data));
    for (uint64_t t = 0; t < 3; t++) {
        CLM_TEST_OK(clm_source_sample(all, CLM_SPLIT_TRAIN, 4, 3 + t, WAYS, SHOTS, QUERY, x, NULL, NULL, NULL));
        ck_assert_mem_eq(data[0] + t * n, x, sizeof x);
    }
    clm_prefetch_free(prefetch);
    o.numbers = true;
    ck_assert_int_eq(clm_prefetch_create(&prefetch, all, &o), CLM_E_ARG);
    clm_source_free(all);
}
END_TEST

START_TEST(classes_can_be_looked_at) {
    clm_source *all = together(), *own = photos(clm_shape_of(3, 3, HIGH, WIDE));
    float x[3 * HIGH * WIDE], y[3 * HIGH * WIDE];
    char name[64];
    ck_assert_uint_eq(clm_source_classes(all, CLM_SPLIT_TRAIN), 15); /* five each */
    ck_assert_uint_eq(clm_source_classes(all, CLM_SPLIT_VALIDATION), 0);
    ck_assert_uint_eq(clm_source_examples(all, CLM_SPLIT_TRAIN, 4), 4);
    CLM_TEST_OK(clm_source_image(all, CLM_SPLIT_TRAIN, 4, 2, x)); /* class 1 of the second */
    CLM_TEST_OK(clm_source_image(own, CLM_SPLIT_TRAIN, 1, 2, y));
    ck_assert_mem_eq(x, y, sizeof x);
    ck_assert_str_eq(clm_source_class_name(all, CLM_SPLIT_TRAIN, 4, name, sizeof name), "photos/1");
    clm_source_free(own);
    clm_source_free(all);
}
END_TEST

static void expect_refusal(clm_status status, const char *word) {
    ck_assert_int_eq(status, CLM_E_ARG);
    ck_assert_msg(strstr(clm_last_error(), word) != NULL, "'%s' does not speak of '%s'", clm_last_error(), word);
}

START_TEST(what_cannot_be) {
    clm_source *all = together(), *some[2], *out;
    clm_episode_options o = CLM_EPISODE_OPTIONS_INIT;
    o.ways = 6, o.shots = 1, o.query = 1;
    expect_refusal(clm_source_check_episode(all, CLM_SPLIT_TRAIN, &o), "photos: 6 ways");
    o.ways = 2, o.shots = 4;
    expect_refusal(clm_source_check_episode(all, CLM_SPLIT_TRAIN, &o), "photos: 4 shots");
    o.shots = 1, o.joint_classes = 3;
    expect_refusal(clm_source_check_episode(all, CLM_SPLIT_TRAIN, &o), "beside one another");
    CLM_TEST_OK(clm_source_glyphs(&some[0], SMALL));
    CLM_TEST_OK(clm_source_sine(&some[1]));
    expect_refusal(clm_source_beside(&out, some, 2), "sine has no pictures");
    expect_refusal(clm_source_beside(&out, some, 1), "1 sources");
    clm_source_free(some[1]);
    some[1] = photos(clm_shape_of(2, 4, 4));
    expect_refusal(clm_source_beside(&out, some, 2), "photos has no pictures");
    for (int i = 0; i < 2; i++) clm_source_free(some[i]);
    clm_source_free(all);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("beside");
    TCase *tcase = tcase_create("beside");
    tcase_add_test(tcase, tasks_come_in_turn);
    tcase_add_test(tcase, batches_hold_them);
    tcase_add_test(tcase, classes_can_be_looked_at);
    tcase_add_test(tcase, what_cannot_be);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
