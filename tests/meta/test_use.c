/* A trained model in use: from a checkpoint to a learner, to an adapted model's file and back, for every algorithm; predictions are those of a
 * learner whose batch-norm takes the support set's statistics, one example at a time or many; numbers of classes. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/clmaml.h"
#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/pictures.h"
#include "support/run.h"

enum { WAYS = 4, SHOTS = 2, SIZE = 16, EXAMPLE = SIZE * SIZE, QUERY = 6, STEPS = 2 };

static char *directory, path[512], adapted[512];
static const char *const names[] = {"ant", "bee", "cat", "dog", "elk", "fox"};
static float x[2][(WAYS + 2) * SHOTS * EXAMPLE], y[2][(WAYS + 2) * SHOTS];

static void set_up(void) {
    directory = clm_test_directory();
    snprintf(path, sizeof path, "%s/checkpoint.safetensors", directory);
    snprintf(adapted, sizeof adapted, "%s/adapted.safetensors", directory);
}
static void tear_down(void) { clm_test_remove(directory); }

static clm_model *model_for(const char *algorithm) {
    clm_conv4_options o = CLM_CONV4_OPTIONS_INIT;
    clm_model *model;
    o.filters = 3;
    o.ways = WAYS;
    o.size = SIZE;
    o.headless = strcmp(algorithm, "protonet") == 0;
    o.film_context = strcmp(algorithm, "cavia") == 0 ? 5 : 0;
    CLM_TEST_OK(clm_model_conv4(&model, &o));
    return model;
}

static clm_task_options options_for(const char *algorithm, int ways) {
    clm_task_options o = CLM_TASK_OPTIONS_INIT;
    o.algorithm = algorithm;
    if (clm_algorithm_uses(algorithm, "steps")) o.steps = STEPS, o.inner_lr = 0.1;
    if (clm_algorithm_uses(algorithm, "inner-rule")) o.inner.rule = "momentum", o.inner.momentum = 0.5;
    if (clm_algorithm_uses(algorithm, "ways")) o.ways = ways;
    o.support = ways * SHOTS;
    o.query = QUERY;
    return o;
}

static void write_checkpoint(const clm_model *model, const clm_task_options *o) {
    clm_params *params;
    clm_archive *archive;
    const clm_preparation p = {SIZE, 1, CLM_FIT_STRETCH, true, 255, {0.25}, {0.5}};
    CLM_TEST_OK(clm_params_create(&params, model, o));
    CLM_TEST_OK(clm_params_reset(params, 7));
    CLM_TEST_OK(clm_archive_create(&archive));
    CLM_TEST_OK(clm_params_save(params, archive, CLM_F64));
    CLM_TEST_OK(clm_learner_describe(archive, model, o, SHOTS, STEPS, &p));
    CLM_TEST_OK(clm_archive_save(archive, path));
    clm_archive_free(archive);
    clm_params_free(params);
}

static void draw(int ways) {
    clm_source *source;
    CLM_TEST_OK(clm_source_glyphs(&source, SIZE));
    CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TEST, 3, 1, ways, SHOTS, SHOTS, x[0], y[0], x[1], y[1]));
    clm_source_free(source);
}

/* What a learner made without a file predicts. */
static void expected(clm_device *device, const clm_model *model, const clm_task_options *o, double *out) {
    clm_learner_options lo = CLM_LEARNER_OPTIONS_INIT;
    clm_learner *learner;
    clm_params *params;
    lo.task = *o;
    lo.bn_mode = CLM_BN_SUPPORT_STATS;
    CLM_TEST_OK(clm_params_create(&params, model, o));
    CLM_TEST_OK(clm_params_reset(params, 7));
    CLM_TEST_OK(clm_learner_create(&learner, device, model, &lo));
    CLM_TEST_OK(clm_learner_set_params(learner, params));
    CLM_TEST_OK(clm_learner_begin(learner, x[0], y[0]));
    for (int k = 0; k < STEPS && clm_algorithm_uses(o->algorithm, "steps"); k++) CLM_TEST_OK(clm_learner_step(learner, NULL));
    CLM_TEST_OK(clm_learner_predict(learner, x[1], QUERY, out));
    clm_learner_free(learner);
    clm_params_free(params);
}

static clm_learner *loaded(clm_device *device, const char *file, int ways, int support) {
    clm_load_options o = CLM_LOAD_OPTIONS_INIT;
    clm_learner *learner;
    o.ways = ways;
    o.support = support;
    o.query = QUERY;
    CLM_TEST_OK(clm_learner_load(&learner, device, file, &o));
    return learner;
}

static void expect_near(const double *a, const double *b, size_t n, double most, const char *what) {
    const double e = clm_test_difference(a, b, n);
    ck_assert_msg(e <= most, "%s differ by %g", what, e);
}

/* One at a time, and some at once. */
static void expect_alone(clm_learner *learner, const double *all, size_t outputs) {
    double some[QUERY * (WAYS + 2)];
    const int counts[] = {1, 4};
    for (int k = 0; k < 2; k++) {
        CLM_TEST_OK(clm_learner_predict(learner, x[1] + 2 * EXAMPLE, (size_t)counts[k], some));
        expect_near(some, all + 2 * outputs, (size_t)counts[k] * outputs, 1e-6, "predictions with other neighbours");
    }
}

START_TEST(every_algorithm) {
    const char *algorithm = clm_algorithm_name((size_t)_i / 2);
    clm_device *device = clm_test_open(_i % 2);
    clm_model *model = model_for(algorithm);
    const clm_task_options o = options_for(algorithm, WAYS);
    double want[QUERY * WAYS], got[QUERY * WAYS], again[QUERY * WAYS];
    /* ProtoNet normalises each set by itself in training; in use by the support set */
    const bool comparable = strcmp(algorithm, "protonet") != 0;
    write_checkpoint(model, &o);
    draw(WAYS);
    clm_learner *learner = loaded(device, path, 0, 0);
    clm_learner_info info = clm_learner_get_info(learner);
    ck_assert_int_eq(info.ways, WAYS);
    ck_assert_int_eq(info.support, WAYS * SHOTS);
    ck_assert_int_eq(info.steps, clm_algorithm_uses(algorithm, "steps") ? STEPS : 0);
    ck_assert(info.pictures && info.preparation.invert && info.preparation.mean[0] == 0.25 && info.preparation.size == SIZE);
    ck_assert_int_eq(clm_learner_predict(learner, x[1], QUERY, got), CLM_E_STATE);
    for (int time = 0; time < 2; time++) { /* as often as wanted */
        CLM_TEST_OK(clm_learner_adapt(learner, x[0], y[0]));
        CLM_TEST_OK(clm_learner_predict(learner, x[1], QUERY, got));
        if (comparable) {
            expected(device, model, &o, want);
            expect_near(got, want, QUERY * WAYS, _i % 2 ? 1e-5 : 1e-12, algorithm);
        }
    }
    expect_alone(learner, got, WAYS);
    ck_assert_int_eq(clm_learner_predict(learner, x[1], QUERY + 1, got), CLM_E_ARG);
    CLM_TEST_OK(clm_learner_save(learner, adapted, names));
    clm_learner *other = loaded(device, adapted, 0, 0);
    info = clm_learner_get_info(other);
    ck_assert(info.adapted && info.pictures && info.ways == WAYS && info.outputs == WAYS);
    ck_assert_str_eq(clm_learner_class_name(other, 2), "cat");
    ck_assert_ptr_null(clm_learner_class_name(other, WAYS));
    CLM_TEST_OK(clm_learner_predict(other, x[1], QUERY, again));
    expect_near(again, got, QUERY * WAYS, 1e-6, "predictions of the adapted model's file");
    expect_alone(other, again, WAYS);
    ck_assert_int_eq(clm_learner_adapt(other, x[0], y[0]), CLM_E_STATE);
    ck_assert_int_eq(clm_learner_save(other, path, NULL), CLM_E_STATE);
    clm_learner_free(learner);
    clm_learner_free(other);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* Fewer classes: the last layer has the first rows. More: where the algorithm makes it. */
START_TEST(numbers_of_classes) {
    const char *algorithm = clm_algorithm_name((size_t)_i);
    const bool makes =
        strcmp(algorithm, "protonet") == 0 || strcmp(algorithm, "protomaml") == 0 || strcmp(algorithm, "finetune") == 0;
    clm_device *device = clm_test_open_host();
    clm_model *model = model_for(algorithm);
    clm_task_options o = options_for(algorithm, WAYS);
    clm_load_options load = CLM_LOAD_OPTIONS_INIT;
    clm_learner *learner;
    double got[QUERY * (WAYS + 2)];
    write_checkpoint(model, &o);
    for (int ways = 2; ways <= WAYS + 2; ways += 2) {
        if (ways > WAYS && !makes) continue;
        draw(ways);
        learner = loaded(device, path, ways, ways * SHOTS);
        ck_assert_uint_eq(clm_learner_get_info(learner).outputs, ways);
        CLM_TEST_OK(clm_learner_adapt(learner, x[0], y[0]));
        CLM_TEST_OK(clm_learner_predict(learner, x[1], 3, got));
        for (int i = 0; i < 3 * ways; i++) ck_assert(isfinite(got[i]));
        clm_learner_free(learner);
    }
    load.ways = WAYS + 2;
    if (!makes) {
        ck_assert_int_eq(clm_learner_load(&learner, device, path, &load), CLM_E_ARG);
        ck_assert_ptr_nonnull(strstr(clm_last_error(), "tells at most 4 classes apart"));
        ck_assert_ptr_nonnull(strstr(clm_last_error(), path));
        ck_assert_ptr_null(learner);
    }
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

START_TEST(nothing_is_allocated) {
    clm_device *device = clm_test_open(1);
    clm_model *model = model_for("maml");
    const clm_task_options o = options_for("maml", WAYS);
    double out[QUERY * WAYS];
    write_checkpoint(model, &o);
    draw(WAYS);
    clm_learner *learner = loaded(device, path, 0, 0);
    const size_t bytes = clm_device_allocated(device);
    for (int i = 0; i < 3; i++) {
        CLM_TEST_OK(clm_learner_adapt(learner, x[0], y[0]));
        CLM_TEST_OK(clm_learner_predict(learner, x[1], (size_t)i + 1, out));
        ck_assert_uint_eq(clm_device_allocated(device), bytes);
    }
    clm_learner_free(learner);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

START_TEST(files_that_are_refused) {
    clm_device *device = clm_test_open_host();
    clm_model *model = model_for("maml");
    const clm_task_options o = options_for("maml", WAYS);
    clm_load_options load = CLM_LOAD_OPTIONS_INIT;
    clm_archive *archive;
    clm_learner *learner;
    static const char *const rows[][3] = {
        {"clmaml.task", "{", "is not JSON"},
        {"clmaml.task", "{}", "no valid \"algorithm\""},
        {"clmaml.model", "", "holds no model"},
        {"clmaml.preparation", "{\"fit\": \"other\"}", "preparation of pictures is not valid"}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        write_checkpoint(model, &o);
        CLM_TEST_OK(clm_archive_load(&archive, path));
        CLM_TEST_OK(clm_archive_set_meta(archive, rows[r][0], rows[r][1]));
        CLM_TEST_OK(clm_archive_save(archive, path));
        clm_archive_free(archive);
        ck_assert_int_eq(clm_learner_load(&learner, device, path, NULL), CLM_E_FORMAT);
        ck_assert_msg(strstr(clm_last_error(), rows[r][2]) && strstr(clm_last_error(), path), "%s", clm_last_error());
    }
    ck_assert_int_eq(clm_learner_load(&learner, device, "/nowhere", NULL), CLM_E_IO);
    load.version = 9;
    ck_assert_int_eq(clm_learner_load(&learner, device, path, &load), CLM_E_ARG);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("use");
    TCase *tcase = tcase_create("use");
    const int n = (int)clm_algorithm_count();
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, every_algorithm, 0, 2 * n);
    tcase_add_loop_test(tcase, numbers_of_classes, 0, n);
    tcase_add_test(tcase, nothing_is_allocated);
    tcase_add_test(tcase, files_that_are_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
