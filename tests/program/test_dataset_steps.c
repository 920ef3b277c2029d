/* Training and adapting by numbers of a data set on the device: the same bits as with the images themselves, with any chunk, on several
 * devices, after a lack of memory; nothing is made in the loop; mistakes name themselves. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/backend.h"
#include "support/image_pool.h"
#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/pictures.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

/* ---- gradients, updates, adapting ---- */

/* A batch of numbers, and of the same images. */
typedef struct both {
    int32_t *at[2];
    clm_test_batch images;
    clm_batch numbers;
} both;

static both both_make(const pool *p, const clm_model *model, const clm_meta_options *o, uint64_t key) {
    clm_random r = clm_random_make(key, 9);
    both b = {.images = clm_test_batch_make(model, o, key)};
    for (int set = 0; set < 2; set++) {
        const size_t n = (size_t)o->tasks * (size_t)(set ? o->task.query : o->task.support);
        b.at[set] = calloc(n, sizeof *b.at[set]);
        for (size_t e = 0; e < n; e++) {
            const int turns = p->images.height == p->images.width ? (int)clm_random_below(&r, 4) : 0;
            b.at[set][e] = (int32_t)clm_random_below(&r, (uint32_t)p->images.count) * 4 + turns;
            pool_image(p, b.at[set][e], b.images.data[2 * set] + e * p->size);
        }
    }
    b.numbers =
        (clm_batch){.support_at = b.at[0], .support_y = b.images.data[1], .query_at = b.at[1], .query_y = b.images.data[3]};
    return b;
}

static void both_free(both *b) {
    free(b->at[0]);
    free(b->at[1]);
    clm_test_batch_free(&b->images);
}

static pool pool_of(const clm_model *model, bool bytes) {
    const clm_shape in = clm_model_in_shape(model);
    return in.rank == 3 ? pool_make(17, in.dim[0], in.dim[1], in.dim[2], bytes) : pool_make(17, 1, 1, in.dim[0], bytes);
}

static const struct {
    clm_test_net net;
    int steps, chunk;
    clm_checkpointing checkpointing;
    bool bytes;
    const char *devices; /* h: host, o: OpenCL, opened apart; they share the tasks */
} rows[] = {
    {CLM_TEST_NET_CONV, 2, 0, CLM_CHECKPOINT_STORE, true, "h"},
    {CLM_TEST_NET_CONV, 2, 2, CLM_CHECKPOINT_STORE, true, "o"},
    {CLM_TEST_NET_CONV, 1, 1, CLM_CHECKPOINT_RECOMPUTE, true, "o"},
    {CLM_TEST_NET_CONV, 1, 3, CLM_CHECKPOINT_STORE, false, "oho"},
    {CLM_TEST_NET_CONV, 2, 0, CLM_CHECKPOINT_STORE, true, "oo"},
    {CLM_TEST_NET_COLOUR, 1, 2, CLM_CHECKPOINT_STORE, true, "o"},
    {CLM_TEST_NET_COLOUR, 2, 3, CLM_CHECKPOINT_STORE, false, "h"},
    {CLM_TEST_NET_COLOUR, 1, 0, CLM_CHECKPOINT_RECOMPUTE, false, "o"},
    {CLM_TEST_NET_REGRESSION, 2, 2, CLM_CHECKPOINT_STORE, true, "o"},
    {CLM_TEST_NET_CLASSES, 2, 0, CLM_CHECKPOINT_STORE, false, "ho"},
};
enum { ROWS = sizeof rows / sizeof *rows, TASKS = 6, MOST = 3 };

typedef struct rig {
    clm_device *device[MOST];
    clm_meta_share share[MOST];
    clm_dataset *data[MOST];
    size_t n;
} rig;

static rig rig_open(const char *devices, const clm_images *images) {
    rig r = {.n = strlen(devices)};
    for (size_t i = 0; i < r.n; i++) {
        r.device[i] = clm_test_open(devices[i] == 'h' ? 0 : 1);
        r.share[i] = (clm_meta_share){.device = r.device[i], .tasks = TASKS / (int)r.n};
        CLM_TEST_OK(clm_dataset_create(&r.data[i], r.device[i], images));
    }
    return r;
}

static void rig_close(rig *r) {
    for (size_t i = 0; i < r->n; i++) {
        clm_dataset_free(r->data[i]);
        ck_assert_uint_eq(clm_device_allocated(r->device[i]), 0);
        clm_device_close(r->device[i]);
    }
}

static clm_meta *rig_meta(const rig *r, const clm_model *model, const clm_meta_options *o) {
    clm_meta *meta = NULL;
    CLM_TEST_OK(clm_meta_create_on(&meta, r->share, r->n, model, o));
    clm_test_randomise(meta, model, o, seed);
    return meta;
}

static void expect_same_results(clm_meta *a, clm_meta *b, const clm_model *model, int step) {
    clm_test_vector v[2] = {clm_test_results(a, model, false), clm_test_results(b, model, false)};
    clm_test_vector w[2] = {clm_test_values(a, model), clm_test_values(b, model)};
    char what[64];
    snprintf(what, sizeof what, "results of step %d", step);
    clm_test_expect_same(&v[0], &v[1], what);
    snprintf(what, sizeof what, "parameters after step %d", step);
    clm_test_expect_same(&w[0], &w[1], what);
    for (int i = 0; i < 2; i++) {
        clm_test_vector_free(&v[i]);
        clm_test_vector_free(&w[i]);
    }
}

START_TEST(steps_are_those_with_images) {
    clm_model *model = clm_test_model(rows[_i].net);
    clm_meta_options o = clm_test_options(rows[_i].net, NULL, TASKS, rows[_i].steps);
    pool p = pool_of(model, rows[_i].bytes);
    rig r = rig_open(rows[_i].devices, pool_images(&p, rows[_i].bytes));
    o.task_chunk = rows[_i].chunk;
    o.checkpointing = rows[_i].checkpointing;
    clm_meta *by_image = rig_meta(&r, model, &o), *by_number = rig_meta(&r, model, &o);
    CLM_TEST_OK(clm_meta_use_data(by_number, r.data, r.n));
    for (int step = 0; step < 3; step++) {
        both b = both_make(&p, model, &o, seed + (uint64_t)step);
        clm_meta_report reports[2];
        CLM_TEST_OK(clm_meta_step(by_image, &b.images.batch, &reports[0]));
        CLM_TEST_OK(
            clm_meta_step(by_number, step == 1 ? &b.images.batch : &b.numbers, &reports[1])); /* both ways go on working */
        ck_assert_mem_eq(&reports[0], &reports[1], sizeof *reports);
        expect_same_results(by_image, by_number, model, step);
        both_free(&b);
    }
    clm_meta_free(by_image);
    clm_meta_free(by_number);
    rig_close(&r);
    clm_model_free(model);
    pool_free(&p);
}
END_TEST

/* What the library draws: Omniglot with turned classes, both ways through batches made ahead. */
START_TEST(training_on_omniglot) {
    enum { SIZE = 8, WAYS = 3, SHOTS = 2, QUERY = 1 };
    char *directory = clm_test_directory();
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = clm_test_options(CLM_TEST_NET_CONV, NULL, TASKS, 2);
    clm_omniglot_options omniglot = CLM_OMNIGLOT_OPTIONS_INIT;
    clm_prefetch_options ahead = CLM_PREFETCH_OPTIONS_INIT;
    clm_source *source = NULL;
    clm_prefetch *prefetch[2] = {NULL};
    clm_images images;
    o.task.query = WAYS * QUERY;
    o.task_chunk = 2;
    omniglot.size = SIZE;
    clm_test_write_small_omniglot(directory);
    CLM_TEST_OK(clm_source_omniglot(&source, directory, &omniglot));
    ck_assert(clm_source_images(source, &images));
    rig r = rig_open(_i ? "o" : "h", &images);
    clm_meta *metas[2] = {rig_meta(&r, model, &o), rig_meta(&r, model, &o)};
    CLM_TEST_OK(clm_meta_use_data(metas[1], r.data, r.n));
    ahead.seed = seed;
    ahead.tasks = TASKS;
    ahead.ways = WAYS;
    ahead.shots = SHOTS;
    ahead.query = QUERY;
    for (int k = 0; k < 2; k++) {
        ahead.numbers = k;
        CLM_TEST_OK(clm_prefetch_create(&prefetch[k], source, &ahead));
    }
    for (int step = 0; step < 4; step++) {
        const float *data[4], *labels[2];
        const int32_t *at[2];
        CLM_TEST_OK(clm_prefetch_get(prefetch[0], (uint64_t)step, data));
        CLM_TEST_OK(clm_prefetch_get_at(prefetch[1], (uint64_t)step, at, labels));
        CLM_TEST_OK(clm_meta_step(
            metas[0], &(clm_batch){.support_x = data[0], .support_y = data[1], .query_x = data[2], .query_y = data[3]}, NULL));
        CLM_TEST_OK(clm_meta_step(
            metas[1], &(clm_batch){.support_at = at[0], .support_y = labels[0], .query_at = at[1], .query_y = labels[1]},
            NULL));
        expect_same_results(metas[0], metas[1], model, step);
    }
    for (int k = 0; k < 2; k++) {
        clm_prefetch_free(prefetch[k]);
        clm_meta_free(metas[k]);
    }
    rig_close(&r);
    clm_source_free(source);
    clm_model_free(model);
    clm_test_remove(directory);
}
END_TEST

START_TEST(adapting_is_that_with_images) {
    const clm_test_net net = _i / 2 ? CLM_TEST_NET_COLOUR : CLM_TEST_NET_CONV;
    clm_model *model = clm_test_model(net);
    clm_meta_options o = clm_test_options(net, NULL, 2, 1);
    pool p = pool_of(model, true);
    rig r = rig_open(_i % 2 ? "o" : "h", pool_images(&p, true));
    both b = both_make(&p, model, &o, seed);
    clm_learner *learner = NULL;
    clm_learner_options l = CLM_LEARNER_OPTIONS_INIT;
    double out[2][30];
    l.tasks = o.tasks;
    l.task.support = o.task.support;
    l.task.query = o.task.query;
    CLM_TEST_OK(clm_learner_create(&learner, r.device[0], model, &l));
    ck_assert_int_eq(clm_learner_begin_at(learner, b.at[0], b.images.data[1]), CLM_E_STATE);
    SAYS("clm_learner_use_data");
    CLM_TEST_OK(clm_learner_use_data(learner, r.data[0]));
    for (int way = 0; way < 2; way++) {
        if (way)
            CLM_TEST_OK(clm_learner_begin_at(learner, b.at[0], b.images.data[1]));
        else
            CLM_TEST_OK(clm_learner_begin(learner, b.images.data[0], b.images.data[1]));
        for (int k = 0; k < 2; k++) CLM_TEST_OK(clm_learner_step(learner, NULL));
        CLM_TEST_OK(way ? clm_learner_predict_at(learner, b.at[1], out[1])
                        : clm_learner_predict(learner, b.images.data[2], (size_t)o.task.query, out[0]));
    }
    ck_assert_mem_eq(out[0], out[1], sizeof *out);
    b.at[1][3] = -1;
    ck_assert_int_eq(clm_learner_predict_at(learner, b.at[1], out[0]), CLM_E_ARG);
    SAYS("query example 3");
    CLM_TEST_OK(clm_learner_use_data(learner, NULL));
    ck_assert_int_eq(clm_learner_predict_at(learner, b.at[1], out[0]), CLM_E_STATE);
    clm_learner_free(learner);
    both_free(&b);
    rig_close(&r);
    clm_model_free(model);
    pool_free(&p);
}
END_TEST

/* ---- memory ---- */

START_TEST(nothing_is_made_in_the_loop) {
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = clm_test_options(CLM_TEST_NET_CONV, NULL, TASKS, 2);
    pool p = pool_of(model, true);
    rig r = rig_open(_i ? "o" : "h", pool_images(&p, true));
    o.task_chunk = 3;
    both b = both_make(&p, model, &o, seed);
    const size_t images = clm_device_allocated(r.device[0]);
    ck_assert_uint_ge(images, clm_dataset_bytes(&p.images));
    ck_assert_uint_lt(images, clm_dataset_bytes(&p.images) + 8);
    clm_meta *meta = NULL;
    CLM_TEST_OK(clm_meta_create(&meta, r.device[0], model, &o));
    CLM_TEST_OK(clm_meta_use_data(meta, r.data, r.n));
    CLM_TEST_OK(clm_meta_prepare(meta));
    ck_assert_uint_eq(clm_device_allocated(r.device[0]) - images, clm_meta_get_plan(meta).bytes);
    clm_test_count(r.device[0]);
    for (int step = 0; step < 3; step++) CLM_TEST_OK(clm_meta_step(meta, &b.numbers, NULL));
    ck_assert_uint_eq(clm_test_counted.allocations, 0);
    ck_assert_uint_eq(clm_test_counted.launches_made, 0);
    CLM_TEST_OK(clm_meta_use_data(meta, NULL, 0));
    ck_assert_uint_eq(clm_device_allocated(r.device[0]) - images, clm_meta_get_plan(meta).bytes);
    clm_meta_free(meta);
    both_free(&b);
    rig_close(&r);
    clm_model_free(model);
    pool_free(&p);
}
END_TEST

/* An allocation fails: a smaller plan takes the place of the first, and picks for it. */
START_TEST(a_smaller_plan_picks_too) {
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = clm_test_options(CLM_TEST_NET_CONV, NULL, TASKS, 2);
    pool p = pool_of(model, true);
    rig r = rig_open("o", pool_images(&p, true));
    both b = both_make(&p, model, &o, seed);
    clm_meta *plain = rig_meta(&r, model, &o), *meta = NULL;
    CLM_TEST_OK(clm_meta_step(plain, &b.images.batch, NULL));
    CLM_TEST_OK(clm_meta_create(&meta, r.device[0], model, &o));
    CLM_TEST_OK(clm_meta_use_data(meta, r.data, r.n));
    const size_t before = clm_meta_get_plan(meta).bytes;
    clm_test_count(r.device[0]);
    CLM_TEST_OK(clm_meta_prepare(meta));
    const size_t made = clm_test_counted.allocations;
    clm_meta_free(meta);
    for (size_t at = 3; at <= made; at += 2) {
        CLM_TEST_OK(clm_meta_create(&meta, r.device[0], model, &o));
        CLM_TEST_OK(clm_meta_use_data(meta, r.data, r.n));
        clm_test_count(r.device[0]);
        clm_test_counted.fail_at = at;
        CLM_TEST_OK(clm_meta_prepare(meta));
        ck_assert_uint_lt(clm_meta_get_plan(meta).bytes, before);
        clm_test_randomise(meta, model, &o, seed);
        CLM_TEST_OK(clm_meta_step(meta, &b.numbers, NULL));
        expect_same_results(plain, meta, model, 0);
        clm_meta_free(meta);
    }
    clm_test_counted.fail_at = 0;
    clm_meta_free(plain);
    both_free(&b);
    rig_close(&r);
    clm_model_free(model);
    pool_free(&p);
}
END_TEST

/* ---- mistakes ---- */

START_TEST(mistakes_name_themselves) {
    clm_model *model = clm_test_model(CLM_TEST_NET_COLOUR);
    clm_meta_options o = clm_test_options(CLM_TEST_NET_COLOUR, NULL, 2, 1);
    pool p = pool_of(model, true), other = pool_make(3, 1, 8, 8, true);
    rig r = rig_open("h", pool_images(&p, true));
    clm_device *elsewhere = clm_test_open_host();
    clm_dataset *wrong = NULL, *far = NULL, *none = NULL;
    clm_meta *meta = NULL;
    both b = both_make(&p, model, &o, seed);
    CLM_TEST_OK(clm_dataset_create(&wrong, r.device[0], pool_images(&other, true)));
    CLM_TEST_OK(clm_dataset_create(&far, elsewhere, pool_images(&p, true)));
    CLM_TEST_OK(clm_meta_create(&meta, r.device[0], model, &o));
    ck_assert_int_eq(clm_meta_gradient(meta, &b.numbers), CLM_E_STATE);
    SAYS("clm_meta_use_data");
    ck_assert_int_eq(clm_meta_gradient(meta, &(clm_batch){.support_y = b.images.data[1], .query_y = b.images.data[3]}),
                     CLM_E_ARG);
    SAYS("neither images nor numbers");
    ck_assert_int_eq(clm_meta_use_data(meta, &far, 1), CLM_E_ARG);
    SAYS("no data set on host");
    ck_assert_int_eq(clm_meta_use_data(meta, &wrong, 1), CLM_E_SHAPE);
    SAYS("[1, 8, 8]");
    SAYS("[3, 5, 4]");
    CLM_TEST_OK(clm_meta_use_data(meta, r.data, 1));
    b.at[1][7] = (int32_t)(4 * p.images.count);
    ck_assert_int_eq(clm_meta_gradient(meta, &b.numbers), CLM_E_ARG);
    SAYS("task 1, query example 2");
    SAYS("0 to 67");
    b.at[1][7] = 5; /* a turned image that is not square */
    ck_assert_int_eq(clm_meta_gradient(meta, &b.numbers), CLM_E_ARG);
    SAYS("cannot be turned");
    b.at[1][7] = 4;
    CLM_TEST_OK(clm_meta_gradient(meta, &b.numbers));
    clm_images bad = *pool_images(&p, true);
    bad.floats = p.floats;
    ck_assert_int_eq(clm_dataset_create(&none, elsewhere, &bad), CLM_E_ARG);
    bad = *pool_images(&p, true);
    bad.count = 0;
    ck_assert_int_eq(clm_dataset_create(&none, elsewhere, &bad), CLM_E_ARG);
    bad = *pool_images(&p, true);
    bad.tables = 2;
    ck_assert_int_eq(clm_dataset_create(&none, elsewhere, &bad), CLM_E_ARG);
    SAYS("2 tables of values for 3 channels");
    clm_meta_free(meta);
    clm_dataset_free(wrong);
    clm_dataset_free(far);
    both_free(&b);
    rig_close(&r);
    clm_device_close(elsewhere);
    clm_model_free(model);
    pool_free(&p);
    pool_free(&other);
}
END_TEST

int main(void) {
    seed = clm_test_seed();
    Suite *suite = suite_create("steps by numbers");
    TCase *meta = tcase_create("meta");
    tcase_set_timeout(meta, 600);
    tcase_add_loop_test(meta, steps_are_those_with_images, 0, ROWS);
    tcase_add_loop_test(meta, training_on_omniglot, 0, 2);
    tcase_add_loop_test(meta, adapting_is_that_with_images, 0, 4);
    tcase_add_loop_test(meta, nothing_is_made_in_the_loop, 0, 2);
    tcase_add_test(meta, a_smaller_plan_picks_too);
    tcase_add_test(meta, mistakes_name_themselves);
    suite_add_tcase(suite, meta);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
