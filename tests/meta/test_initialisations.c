/* Several initialisations: each has the meta-gradient of its own tasks and of no others, whatever the algorithm and the plan; the
 * update, saving and restoring know all of them. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/checkpoint.h"
#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/run.h"

enum { TASKS = 6, STARTS = 3 };
static const int32_t chosen[TASKS] = {0, 2, 1, 0, 2, 0};

static clm_params *draw_params(const clm_model *model, const clm_meta_options *options, int start) {
    clm_params *p;
    CLM_TEST_OK(clm_params_create(&p, model, &options->task));
    CLM_TEST_OK(clm_params_reset(p, 20 + (uint64_t)start));
    return p;
}

static clm_meta *make_meta(clm_device *device, const clm_model *model, const clm_meta_options *options) {
    clm_meta *meta;
    CLM_TEST_OK(clm_meta_create(&meta, device, model, options));
    for (int s = 0; s < clm_meta_initialisations(meta); s++) {
        clm_params *p = draw_params(model, options, s);
        CLM_TEST_OK(clm_meta_set_params_of(meta, s, p));
        clm_params_free(p);
    }
    return meta;
}

/* The gradient of one initialisation, rates and all. */
static clm_test_vector gradient_of(clm_meta *meta, int start) {
    const size_t count = clm_meta_param_count(meta), first = (size_t)start * count;
    clm_test_vector v = {0};
    for (int kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < count; i++) {
            const clm_quantity what = kind ? CLM_Q_RATE_GRAD : CLM_Q_GRAD;
            const size_t n = clm_meta_quantity_size(meta, what, first + i);
            v.data = realloc(v.data, (v.n + n + 1) * sizeof *v.data);
            if (n) CLM_TEST_OK(clm_meta_read(meta, what, first + i, v.data + v.n));
            v.n += n;
        }
    return v;
}

/* The tasks of one initialisation, copied together. */
static clm_test_batch tasks_of(const clm_test_batch *all, int start, int *n) {
    clm_test_batch own = *all;
    *n = 0;
    for (int i = 0; i < 4; i++) {
        const size_t size = all->count[i] / TASKS;
        own.data[i] = calloc(all->count[i], sizeof *own.data[i]);
        *n = 0;
        for (size_t t = 0; t < TASKS; t++)
            if (chosen[t] == start)
                memcpy(own.data[i] + (size_t)(*n)++ * size, all->data[i] + t * size, size * sizeof **own.data);
    }
    own.batch = (clm_batch){.support_x = own.data[0], .support_y = own.data[1], .query_x = own.data[2], .query_y = own.data[3]};
    return own;
}

/* What a meta-learner of these tasks alone says, as a share of the whole meta-batch. */
static clm_test_vector reference(clm_device *device, const clm_model *model, clm_meta_options options,
                                 const clm_test_batch *all, int start) {
    int n;
    clm_test_batch own = tasks_of(all, start, &n);
    clm_meta *meta;
    clm_params *p = draw_params(model, &options, start);
    options.tasks = n;
    options.task_chunk = 0;
    options.initialisations = 0;
    CLM_TEST_OK(clm_meta_create(&meta, device, model, &options));
    CLM_TEST_OK(clm_meta_set_params(meta, p));
    CLM_TEST_OK(clm_meta_gradient(meta, &own.batch));
    clm_test_vector v = gradient_of(meta, 0);
    for (size_t i = 0; i < v.n; i++) v.data[i] *= (double)n / TASKS;
    clm_params_free(p);
    clm_meta_free(meta);
    clm_test_batch_free(&own);
    return v;
}

static void check_gradients(int device_index, clm_test_net net, const clm_test_algorithm *algorithm, const char *name,
                            clm_checkpointing checkpointing, int chunk) {
    clm_device *device = clm_test_open(device_index), *host = clm_test_open(0);
    clm_model *model = clm_test_model(net);
    clm_meta_options options = clm_test_options(net, algorithm, TASKS, 2);
    if (name) options.task.algorithm = name;
    if (name && strcmp(name, "imaml") == 0) options.task.proximal = 2;
    clm_test_batch all = clm_test_batch_make(model, &options, 4);
    all.batch.chosen = chosen;
    options.checkpointing = checkpointing;
    options.task_chunk = chunk;
    options.initialisations = STARTS;
    clm_meta *meta = make_meta(device, model, &options);
    CLM_TEST_OK(clm_meta_gradient(meta, &all.batch));
    for (int s = 0; s < STARTS; s++) {
        char what[160];
        snprintf(what, sizeof what, "initialisation %d, %s, chunk %d", s,
                 name        ? name
                 : algorithm ? algorithm->name
                             : "maml",
                 chunk);
        clm_test_vector is = gradient_of(meta, s), wanted = reference(host, model, options, &all, s);
        ck_assert_double_gt(clm_test_norm(wanted.data, wanted.n), 0);
        clm_test_expect_close(&wanted, &is, clm_test_rounding(device_index), what);
        clm_test_vector_free(&is);
        clm_test_vector_free(&wanted);
    }
    clm_meta_free(meta);
    clm_test_batch_free(&all);
    clm_model_free(model);
    clm_device_close(host);
    clm_device_close(device);
}

/* On OpenCL every third row: building kernels takes its time. */
START_TEST(each_gradient_is_of_its_own_tasks) {
    const int device = _i < CLM_TEST_ALGORITHMS ? 0 : 1, row = device ? 3 * (_i - CLM_TEST_ALGORITHMS) : _i;
    const clm_test_net net = row % 2 ? CLM_TEST_NET_REGRESSION : CLM_TEST_NET_CLASSES;
    check_gradients(device, net, &clm_test_algorithms[row], NULL, row % 3 ? CLM_CHECKPOINT_STORE : CLM_CHECKPOINT_RECOMPUTE,
                    row % 3 == 1 ? 2 : 0);
}
END_TEST

static const char *const others[] = {"reptile", "imaml", "protomaml", "fomaml"};

START_TEST(other_algorithms_too) { check_gradients(0, CLM_TEST_NET_CLASSES, NULL, others[_i], CLM_CHECKPOINT_AUTO, 0); }
END_TEST

START_TEST(images_too) { check_gradients(_i, CLM_TEST_NET_CONV, NULL, NULL, CLM_CHECKPOINT_AUTO, 3); }
END_TEST

/* ---- one is today's ---- */

START_TEST(one_changes_no_bit) {
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, NULL, TASKS, 2);
    clm_test_batch batch = clm_test_batch_make(model, &options, 1);
    clm_test_vector v[2];
    size_t launches[2];
    for (int k = 0; k < 2; k++) {
        options.initialisations = k;
        clm_meta *meta = clm_test_meta(device, model, &options, 5);
        CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
        v[k] = clm_test_gradient(meta, model);
        launches[k] = clm_meta_get_plan(meta).launches;
        clm_meta_free(meta);
    }
    clm_test_expect_same(&v[0], &v[1], "one initialisation");
    ck_assert_uint_eq(launches[0], launches[1]);
    for (int k = 0; k < 2; k++) clm_test_vector_free(&v[k]);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- updates, and what is kept ---- */

/* Values of all initialisations. */
static clm_test_vector values_of(clm_meta *meta, const clm_model *model, const clm_meta_options *options) {
    clm_test_vector v = {0};
    for (int s = 0; s < clm_meta_initialisations(meta); s++) {
        clm_params *p = draw_params(model, options, 0);
        CLM_TEST_OK(clm_meta_get_params_of(meta, s, p));
        for (size_t i = 0; i < clm_params_count(p); i++) {
            const size_t n = clm_params_get_info(p, i).size;
            v.data = realloc(v.data, (v.n + n) * sizeof *v.data);
            memcpy(v.data + v.n, clm_params_values(p, i), n * sizeof *v.data);
            v.n += n;
        }
        clm_params_free(p);
    }
    return v;
}

START_TEST(restored_goes_on_to_the_bit) {
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_REGRESSION);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_REGRESSION, &clm_test_algorithms[4], TASKS, 2);
    clm_test_batch batch = clm_test_batch_make(model, &options, 1);
    clm_archive *archive;
    batch.batch.chosen = chosen;
    options.initialisations = STARTS;
    options.optim.average = 0.5;
    clm_meta *a = make_meta(device, model, &options), *b = make_meta(device, model, &options);
    clm_test_vector before = values_of(a, model, &options);
    CLM_TEST_OK(clm_meta_step(a, &batch.batch, NULL));
    CLM_TEST_OK(clm_archive_create(&archive));
    CLM_TEST_OK(clm_meta_save(a, archive));
    ck_assert_int_eq(clm_archive_initialisations(archive), STARTS);
    CLM_TEST_OK(clm_meta_restore(b, archive));
    for (int k = 0; k < 2; k++) CLM_TEST_OK(clm_meta_step(k ? b : a, &batch.batch, NULL));
    clm_test_vector after = values_of(a, model, &options), resumed = values_of(b, model, &options);
    clm_test_expect_same(&after, &resumed, "restored");
    ck_assert(clm_test_difference(before.data, after.data, before.n) > 1e-4);
    clm_test_vector_free(&before);
    clm_test_vector_free(&after);
    clm_test_vector_free(&resumed);
    clm_archive_free(archive);
    clm_meta_free(a);
    clm_meta_free(b);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* From the archive of a meta-learner with several, one by one, and of its moving average. */
START_TEST(params_load_each) {
    clm_device *device = clm_test_open(0);
    clm_model *model = clm_test_model(CLM_TEST_NET_REGRESSION);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_REGRESSION, NULL, TASKS, 1);
    clm_test_batch batch = clm_test_batch_make(model, &options, 1);
    clm_archive *archive;
    batch.batch.chosen = chosen;
    options.initialisations = STARTS;
    options.optim.average = 0.25;
    clm_meta *meta = make_meta(device, model, &options);
    for (int k = 0; k < 3; k++) CLM_TEST_OK(clm_meta_step(meta, &batch.batch, NULL));
    CLM_TEST_OK(clm_archive_create(&archive));
    CLM_TEST_OK(clm_meta_save(meta, archive));
    for (int s = 0; s < STARTS; s++)
        for (int average = 0; average < 2; average++) {
            clm_params *p = draw_params(model, &options, 9), *q = draw_params(model, &options, 8);
            CLM_TEST_OK(average ? clm_meta_get_average_of(meta, s, p) : clm_meta_get_params_of(meta, s, p));
            CLM_TEST_OK(clm_params_load_of(q, archive, s));
            if (average) CLM_TEST_OK(clm_params_load_average_of(q, archive, s));
            for (size_t i = 0; i < clm_params_count(p); i++)
                ck_assert_mem_eq(clm_params_values(p, i), clm_params_values(q, i),
                                 clm_params_get_info(p, i).size * sizeof(double));
            clm_params_free(p);
            clm_params_free(q);
        }
    clm_archive_free(archive);
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

static void expect_refusal(clm_status status, const char *word) {
    ck_assert_int_eq(status, CLM_E_ARG);
    ck_assert_msg(strstr(clm_last_error(), word) != NULL, "'%s' does not speak of '%s'", clm_last_error(), word);
}

START_TEST(bad_input_is_refused) {
    clm_device *device = clm_test_open(0);
    clm_model *model = clm_test_model(CLM_TEST_NET_REGRESSION);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_REGRESSION, NULL, TASKS, 1), wrong = options;
    clm_test_batch batch = clm_test_batch_make(model, &options, 1);
    const int32_t beyond[TASKS] = {0, 0, 0, 0, 2, 0};
    clm_meta *meta = NULL, *one = NULL;
    clm_archive *archive;
    wrong.initialisations = CLM_INITIALISATIONS_MOST + 1;
    expect_refusal(clm_meta_create(&meta, device, model, &wrong), "17 initialisations");
    wrong.initialisations = 2;
    wrong.keep_adapted = true;
    expect_refusal(clm_meta_create(&meta, device, model, &wrong), "keep_adapted");
    options.initialisations = 2;
    meta = make_meta(device, model, &options);
    options.initialisations = 1;
    one = make_meta(device, model, &options);
    batch.batch.chosen = beyond;
    expect_refusal(clm_meta_gradient(meta, &batch.batch), "task 4");
    clm_params *p = draw_params(model, &options, 0);
    expect_refusal(clm_meta_set_params_of(meta, 2, p), "initialisation 2");
    expect_refusal(clm_meta_get_params_of(meta, -1, p), "initialisation -1");
    CLM_TEST_OK(clm_archive_create(&archive));
    CLM_TEST_OK(clm_meta_save(meta, archive));
    expect_refusal(clm_params_load_of(p, archive, 2), "initialisation 2");
    expect_refusal(clm_meta_restore(one, archive), "2 initialisations");
    clm_params_free(p);
    clm_archive_free(archive);
    clm_meta_free(meta);
    clm_meta_free(one);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("initialisations");
    TCase *tcase = tcase_create("initialisations");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, each_gradient_is_of_its_own_tasks, 0, CLM_TEST_ALGORITHMS + CLM_TEST_ALGORITHMS / 3);
    tcase_add_loop_test(tcase, other_algorithms_too, 0, sizeof others / sizeof *others);
    tcase_add_loop_test(tcase, images_too, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, one_changes_no_bit, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, restored_goes_on_to_the_bit, 0, CLM_TEST_DEVICES);
    tcase_add_test(tcase, params_load_each);
    tcase_add_test(tcase, bad_input_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
