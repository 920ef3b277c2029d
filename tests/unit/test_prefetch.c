/* Batches made ahead: the numbers of clm_source_sample whatever is asked for in which order, errors of the thread, ending at any time. */
#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/thread.h"
#include "data/source.h"

#define OK(expression) ck_assert_msg((expression) == CLM_OK, "%s", clm_last_error())

enum { TASKS = 3, WAYS = 4, SHOTS = 2, QUERY = 3 };

static clm_prefetch_options options_of(uint64_t first, int ahead) {
    clm_prefetch_options o = CLM_PREFETCH_OPTIONS_INIT;
    o.seed = 11;
    o.tasks = TASKS;
    o.ways = WAYS;
    o.shots = SHOTS;
    o.query = QUERY;
    o.first = first;
    o.ahead = ahead;
    return o;
}

/* The batch, drawn here, must be the one that was handed out. */
static void check_batch(const clm_source *source, const clm_prefetch_options *o, uint64_t index, const float *const *batch) {
    clm_shape shape = clm_source_example_shape(source);
    size_t example = clm_shape_size(&shape);
    const size_t n[4] = {WAYS * SHOTS * example, WAYS * SHOTS, WAYS * QUERY * example, WAYS * QUERY};
    float *own[4];
    for (int i = 0; i < 4; i++) own[i] = clm_calloc(n[i], sizeof(float));
    for (size_t t = 0; t < TASKS; t++) {
        OK(clm_source_sample(source, o->split, o->seed, index * TASKS + t, WAYS, SHOTS, QUERY, own[0], own[1], own[2], own[3]));
        for (int i = 0; i < 4; i++)
            ck_assert_msg(!memcmp(own[i], batch[i] + t * n[i], n[i] * sizeof(float)), "batch %d, task %zu, array %d",
                          (int)index, t, i);
    }
    for (int i = 0; i < 4; i++) free(own[i]);
}

static const uint64_t orders[][10] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9},      {7, 7, 7, 8, 8, 9, 9, 9, 10, 11},
    {5, 4, 3, 2, 1, 0, 1, 2, 3, 4},      {3, 100, 4, 101, 5, 5, 6, 99, 0, 1},
    {10, 3, 10, 11, 3, 4, 12, 5, 13, 4}, {UINT64_MAX - 2, UINT64_MAX - 1, 0, 0, 1, 2, UINT64_MAX, 0, 1, 2},
};
enum { ORDERS = sizeof orders / sizeof *orders };

START_TEST(any_order_gives_the_same_numbers) {
    const uint64_t *order = orders[_i % ORDERS];
    clm_source *source = NULL;
    clm_prefetch *p = NULL;
    OK(clm_source_glyphs(&source, 12));
    clm_prefetch_options o = options_of(_i % 2 ? order[0] : 0, 1 + _i / ORDERS);
    OK(clm_prefetch_create(&p, source, &o));
    for (int i = 0; i < 10; i++) {
        const float *batch[4] = {NULL};
        OK(clm_prefetch_get(p, order[i], batch));
        check_batch(source, &o, order[i], batch);
    }
    clm_prefetch_free(p);
    clm_source_free(source);
}
END_TEST

/* ---- a source that can be watched ---- */

typedef struct watched {
    clm_source base;
    atomic_int checks;         /* of its size: one a task */
    atomic_bool failing, held; /* held: drawing does not end */
    atomic_bool slow;          /* a task takes NAP */
} watched;
enum { CLASSES = 50, EMPTY_CLASS = 999, NAP = 20 /* milliseconds */ };

static void nap(long milliseconds) { nanosleep(&(struct timespec){0, milliseconds * 1000000}, NULL); }

static size_t watched_classes(const clm_source *source, clm_split split) {
    (void)split;
    while (atomic_load(&((watched *)source)->held)) {}
    return CLASSES;
}
static size_t watched_examples(const clm_source *source, clm_split split, uint64_t class_index) {
    (void)source, (void)split;
    return class_index == EMPTY_CLASS ? 0 : 20;
}
static void watched_smallest(const clm_source *source, clm_split split, uint64_t *class_index) {
    watched *w = (watched *)source;
    (void)split;
    if (atomic_load(&w->slow)) nap(NAP);
    atomic_fetch_add(&w->checks, 1);
    *class_index = atomic_load(&w->failing) ? EMPTY_CLASS : 0;
}
static char *watched_name(const clm_source *source, clm_split split, uint64_t class_index) {
    (void)source, (void)split, (void)class_index;
    return clm_strdup("empty");
}
static clm_status watched_image(const clm_source *source, clm_split split, uint64_t class_index, uint64_t example, float *out) {
    (void)source, (void)split;
    *out = (float)(100 * class_index + example);
    return CLM_OK;
}
static const clm_source_ops watched_ops = {.classes = watched_classes,
                                           .examples = watched_examples,
                                           .smallest = watched_smallest,
                                           .class_name = watched_name,
                                           .image = watched_image};

static void watch(watched *w) {
    memset(w, 0, sizeof *w);
    w->base = (clm_source){.ops = &watched_ops, .name = "watched", .shape = clm_shape_of(1, 1)};
    atomic_init(&w->checks, 0);
    atomic_init(&w->failing, false);
    atomic_init(&w->held, false);
    atomic_init(&w->slow, false);
}

/* Batches of a watched source. */
static clm_prefetch *prefetch_watched(watched *w, clm_prefetch_options *o, int ahead) {
    clm_prefetch *p = NULL;
    watch(w);
    *o = options_of(0, ahead);
    OK(clm_prefetch_create(&p, &w->base, o));
    return p;
}

START_TEST(errors_of_the_thread_are_reported) {
    watched w;
    clm_prefetch_options o;
    const float *batch[4];
    clm_prefetch *p = prefetch_watched(&w, &o, 1);
    OK(clm_prefetch_get(p, 0, batch));
    check_batch(&w.base, &o, 0, batch);
    atomic_store(&w.failing, true);
    int failed = 0;
    for (uint64_t i = 1; i < 5; i++) { /* the first may have been made before */
        if (clm_prefetch_get(p, i, batch) == CLM_OK) continue;
        ck_assert_msg(strstr(clm_last_error(), "watched: 2 shots and 3 queries") != NULL, "%s", clm_last_error());
        failed++;
    }
    ck_assert_int_ge(failed, 3);
    atomic_store(&w.failing, false);
    OK(clm_prefetch_get(p, 50, batch)); /* a batch that has not been tried yet */
    check_batch(&w.base, &o, 50, batch);
    clm_prefetch_free(p);
}
END_TEST

/* No more is made than was asked for, and not for ever. */
START_TEST(the_buffer_is_bounded) {
    watched w;
    clm_prefetch_options o;
    const float *batch[4];
    clm_prefetch *p = prefetch_watched(&w, &o, 2);
    OK(clm_prefetch_get(p, 0, batch));
    OK(clm_prefetch_get(p, 1, batch));
    OK(clm_prefetch_get(p, 2, batch));
    OK(clm_prefetch_get(p, 2, batch));
    clm_prefetch_free(p);
    int tasks = atomic_load(&w.checks) - 1; /* one check at creation */
    ck_assert_int_ge(tasks, 3 * TASKS);
    ck_assert_int_le(tasks, 5 * TASKS);
}
END_TEST

START_TEST(waits_are_counted) {
    watched w;
    clm_prefetch_options o;
    const float *batch[4];
    clm_prefetch *p = prefetch_watched(&w, &o, 2);
    ck_assert(clm_prefetch_waited(p) == 0);
    OK(clm_prefetch_get(p, 0, batch));
    const double first = clm_prefetch_waited(p);
    ck_assert_double_ge(first, 0);
    while (atomic_load(&w.checks) < 1 + 2 * TASKS + 1) nap(1); /* batch 2 is being made, so batch 1 is there */
    OK(clm_prefetch_get(p, 1, batch));
    OK(clm_prefetch_get(p, 1, batch));
    ck_assert(clm_prefetch_waited(p) == first);
    atomic_store(&w.slow, true);
    OK(clm_prefetch_get(p, 100, batch)); /* no task of it was drawn before */
    ck_assert_double_ge(clm_prefetch_waited(p) - first, 0.9 * TASKS * NAP / 1000);
    clm_prefetch_free(p);
}
END_TEST

static void let_go(void *argument) {
    for (volatile int i = 0; i < 20000000; i++) {}
    atomic_store(&((watched *)argument)->held, false);
}

START_TEST(ends_at_any_time) {
    watched w;
    clm_prefetch_free(NULL);
    for (int i = 0; i < 200; i++) {
        clm_prefetch *p = NULL;
        const float *batch[4];
        watch(&w);
        clm_prefetch_options o = options_of((uint64_t)i, 1 + i % 3);
        OK(clm_prefetch_create(&p, &w.base, &o));
        for (int k = 0; k < i % 4; k++) OK(clm_prefetch_get(p, (uint64_t)(i + k), batch));
        clm_prefetch_free(p);
    }
    /* while a task is being drawn: its end is waited for, the rest of the batch is not */
    clm_prefetch *p = NULL;
    clm_thread *thread = NULL;
    watch(&w);
    clm_prefetch_options o = options_of(0, 3);
    o.tasks = 1000;
    OK(clm_prefetch_create(&p, &w.base, &o));
    atomic_store(&w.held, true);
    OK(clm_thread_start(&thread, let_go, &w));
    clm_prefetch_free(p);
    ck_assert(!atomic_load(&w.held) || atomic_load(&w.checks) <= 4001);
    clm_thread_join(thread);
}
END_TEST

START_TEST(wrong_options) {
    clm_source *source = NULL;
    clm_prefetch *p = NULL;
    OK(clm_source_glyphs(&source, 8));
    for (int i = 0; i < 4; i++) {
        clm_prefetch_options o = options_of(0, 1);
        if (i == 0) o.version = 0;
        if (i == 1) o.tasks = 0;
        if (i == 2) o.ahead = 0;
        if (i == 3) o.ways = 0;
        ck_assert_int_eq(clm_prefetch_create(&p, source, &o), CLM_E_ARG);
        ck_assert_ptr_null(p);
    }
    clm_source_free(source);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("prefetch");
    TCase *tcase = tcase_create("prefetch");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, any_order_gives_the_same_numbers, 0, 3 * ORDERS);
    tcase_add_test(tcase, errors_of_the_thread_are_reported);
    tcase_add_test(tcase, the_buffer_is_bounded);
    tcase_add_test(tcase, waits_are_counted);
    tcase_add_test(tcase, ends_at_any_time);
    tcase_add_test(tcase, wrong_options);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
