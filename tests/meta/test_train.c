/* Training runs of the library: tasks and a model of the user's own, stopped and resumed to the bits of a run that was never
 * stopped; the best state chosen by validation; ensembles; without a directory; what is refused.
 * test_not_finite.c has the runs with losses that are not finite, test_scores.c evaluation. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/files.h"
#include "base/memory.h"
#include "support/photos.h"
#include "support/train_runs.h"

/* ---- runs ---- */

START_TEST(best_by_validation_is_tested) {
    double single[10] = {0};
    device = clm_test_open(_i);
    options.test_scores = single;
    const clm_train_result r = run_in("whole", false);
    double best = -1;
    uint64_t at = 0;
    size_t validations = 0;
    for (size_t i = 0; i < heard.count; i++) {
        const clm_train_row *row = &heard.rows[i];
        const double score = row->value[CLM_METRIC_QUERY_AFTER];
        ck_assert(isfinite(score) && isfinite(row->value[CLM_METRIC_LOSS]));
        if (row->kind != CLM_ROW_VALIDATION) continue;
        validations++;
        ck_assert_int_eq(heard.best[i], score > best);
        if (score > best) best = score, at = row->iteration;
        ck_assert_double_gt(row->value[CLM_METRIC_SECOND_ORDER], 0);
    }
    ck_assert_uint_eq(validations, 1 + ITERATIONS / 4);
    ck_assert_uint_eq(heard.count, validations + ITERATIONS);
    ck_assert(!r.stopped && r.iteration == ITERATIONS && r.last_checkpoint == ITERATIONS);
    ck_assert(r.best_iteration == at && r.best_score == best && r.member_iteration[0] == at);
    ck_assert(r.test.tasks == options.test_tasks && r.test.steps == 3 && r.members == 1);
    ck_assert_double_gt(r.test.query[3].mean, 0.5); /* a guess is right by a third */
    ck_assert_double_gt(r.test.query[3].half, 0);
    expect_mean(single, 10, &r.test.query[3]);
    char *curve = read_in("whole", "curve.svg", NULL);
    ck_assert_ptr_nonnull(strstr(curve, "points, 3-way 2-shot: Model-agnostic meta-learning, second order"));
    free(curve);
}
END_TEST

START_TEST(stopped_and_resumed) {
    static const struct {
        uint64_t at;
        size_t after;
    } cases[] = {{5, 0}, {8, 0}, {7, 1}, {11, 1}}; /* the last two in the middle of a validation, of iterations 8 and 12 */
    device = clm_test_open(_i);
    run_in("whole", false);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char name[16];
        snprintf(name, sizeof name, "halves%zu", k);
        heard.stop_at = cases[k].at;
        heard.stop_after = cases[k].after;
        clm_train_result r = run_in(name, false);
        ck_assert(r.stopped && r.test.tasks == 0);
        ck_assert_uint_eq(r.iteration, cases[k].at + cases[k].after);
        ck_assert_uint_eq(r.last_checkpoint, r.iteration);
        heard.stop_at = 0;
        r = run_in(name, true);
        ck_assert(!r.stopped && r.test.tasks == options.test_tasks);
        same_run("whole", name);
    }
}
END_TEST

START_TEST(killed_and_resumed) { /* what is left is an older checkpoint, and metrics beyond it */
    device = clm_test_open_host();
    options.keep = 9;
    run_in("whole", false);
    run_in("killed", false);
    char *from = clm_format("%s/killed/checkpoints/00000006.safetensors", directory);
    char *to = clm_format("%s/killed/checkpoints/last.safetensors", directory);
    ck_assert_int_eq(rename(from, to), 0);
    free(from);
    free(to);
    run_in("killed", true);
    same_run("whole", "killed");
    options.iterations += 4; /* and further */
    ck_assert_uint_eq(run_in("killed", true).iteration, ITERATIONS + 4);
    run_in("longer", false);
    same_file("killed", "longer", "checkpoints/last.safetensors");
}
END_TEST

START_TEST(without_a_directory) {
    clm_params *best, *stored;
    clm_archive *archive;
    clm_train_checkpoint said;
    clm_train_result memory;
    char path[1024], *whole = clm_path_join(directory, "whole");
    double single[10] = {0};
    device = clm_test_open_host();
    options.test_scores = single;
    options.meta.optim.average = 0.5;
    options.ensemble = 3;
    const clm_train_result disk = run_in("whole", false);
    CLM_TEST_OK(clm_params_create(&best, model, &options.meta.task));
    CLM_TEST_OK(clm_params_create(&stored, model, &options.meta.task));
    CLM_TEST_OK(clm_train(device, source, model, &options, best, &memory));
    ck_assert(memory.best_iteration == disk.best_iteration && memory.best_score == disk.best_score);
    ck_assert(memory.members == 3 && disk.members == 3);
    expect_mean(single, 10, &memory.test.query[3]); /* of the one state, not of the three together */
    ck_assert_mem_eq(memory.member_iteration, disk.member_iteration, sizeof disk.member_iteration);
    ck_assert_mem_eq(&memory.test, &disk.test, sizeof disk.test);
    ck_assert_mem_eq(&memory.together, &disk.together, sizeof disk.together);
    CLM_TEST_OK(clm_train_checkpoint_path(path, sizeof path, whole, 0));
    CLM_TEST_OK(clm_archive_load(&archive, path));
    CLM_TEST_OK(clm_train_read_checkpoint(archive, &said));
    ck_assert_uint_eq(said.iteration, disk.best_iteration);
    ck_assert_str_eq(said.model, clm_model_json(model));
    CLM_TEST_OK(clm_params_load(stored, archive));
    CLM_TEST_OK(clm_params_load_average(stored, archive));
    for (size_t i = 0; i < clm_params_count(best); i++)
        ck_assert_mem_eq(clm_params_values(best, i), clm_params_values(stored, i),
                         clm_params_get_info(best, i).size * sizeof(double));
    CLM_TEST_OK(clm_train_checkpoint_path(path, sizeof path, whole, 2));
    ck_assert(clm_path_exists(path));
    CLM_TEST_FAILS(clm_train_checkpoint_path(path, 8, whole, CLM_RANK_LAST), CLM_E_LIMIT);
    clm_archive_free(archive);
    clm_params_free(best);
    clm_params_free(stored);
    free(whole);
}
END_TEST

START_TEST(without_validation_and_test) {
    device = clm_test_open_host();
    classes_of[1] = classes_of[2] = 0;
    const clm_train_result r = run_in("run", false);
    ck_assert_uint_eq(heard.remarks, 2);
    ck_assert_ptr_nonnull(strstr(heard.remark, "no validation classes"));
    ck_assert(r.best_iteration == ITERATIONS && isnan(r.best_score) && r.test.tasks == 0);
}
END_TEST

/* The points as arrays, which can be kept on a device. */
static void use_arrays(void) {
    enum { CLASSES = 9 + 5 + 5, EACH = 12 };
    static float x[CLASSES * EACH * FEATURES];
    static int64_t y[CLASSES * EACH];
    clm_folder_options how = CLM_FOLDER_OPTIONS_INIT;
    size_t size;
    for (size_t i = 0; i < CLASSES * EACH; i++) {
        y[i] = (int64_t)(i / EACH);
        example(NULL, CLM_SPLIT_TRAIN, i / EACH, i % EACH, x + i * FEATURES);
    }
    uint8_t *npy = clm_test_npy("<f4", "(228, 4)", x, sizeof x, &size);
    clm_test_write(directory, "x.npy", npy, size);
    free(npy);
    npy = clm_test_npy("<i8", "(228,)", y, sizeof y, &size);
    clm_test_write(directory, "y.npy", npy, size);
    free(npy);
    how.class_split[0] = 9, how.class_split[1] = 5, how.class_split[2] = 5;
    clm_source_free(source);
    CLM_TEST_OK(clm_source_folder_open(&source, directory, &how));
}

START_TEST(images_on_the_device) {
    device = clm_test_open(_i);
    options.data_on = CLM_DATA_DEVICE;
    CLM_TEST_FAILS(clm_train(device, source, model, &options, NULL, NULL), CLM_E_ARG);
    SAYS("data_on device: points makes its examples");
    use_arrays();
    run_in("device", false);
    options.data_on = CLM_DATA_HOST;
    run_in("host", false);
    same_run("device", "host");
    options.data_on = CLM_DATA_AUTO;
    heard.stop_at = 6;
    run_in("moved", false);
    heard.stop_at = 0;
    options.data_on = CLM_DATA_DEVICE;
    run_in("moved", true);
    same_run("device", "moved");
}
END_TEST

/* ---- what training waits for ---- */

/* Only training tasks are slow to draw, slower than a step on a busy machine: 30 examples a batch. */
static int slow_example(void *context, clm_split split, size_t class_index, size_t index, float *out) {
    if (split == CLM_SPLIT_TRAIN) nanosleep(&(struct timespec){0, 10000000}, NULL);
    return example(context, split, class_index, index, out);
}

static double wait_of(bool slow) {
    clm_custom_source mine = CLM_CUSTOM_SOURCE_INIT;
    clm_train_result r;
    if (slow) {
        mine.name = "slow points", mine.shape = clm_shape_of(1, FEATURES), mine.context = classes_of;
        mine.classes = classes, mine.examples = examples, mine.example = slow_example;
        clm_source_free(source);
        CLM_TEST_OK(clm_source_custom(&source, &mine));
    }
    heard.count = heard.iteration = 0;
    CLM_TEST_OK(clm_train(device, source, model, &options, NULL, &r));
    for (size_t i = 0; i < heard.count; i++) {
        const double wait = heard.rows[i].value[CLM_METRIC_DATA_WAIT];
        if (heard.rows[i].kind == CLM_ROW_VALIDATION)
            ck_assert(isnan(wait));
        else
            ck_assert_msg(wait >= 0 && wait <= 1, "iteration %d: %g", (int)heard.rows[i].iteration, wait);
    }
    ck_assert(r.data_wait >= 0 && r.data_wait <= 1);
    return r.data_wait;
}

START_TEST(waits_for_data) {
    device = clm_test_open(_i);
    options.log_every = 4; /* measuring a logged batch gives time to draw the next one */
    options.meta.both_orders = false;
    wait_of(false);
    const double slow = wait_of(true);
    ck_assert_double_gt(slow, 0);
    use_arrays();
    options.data_on = CLM_DATA_DEVICE;
    wait_of(false);
}
END_TEST

/* A run of a version that did not measure it. */
START_TEST(rows_without_the_wait) {
    device = clm_test_open_host();
    run_in("whole", false);
    heard.stop_at = 6;
    run_in("older", false);
    heard.stop_at = 0;
    char *text = read_in("older", "metrics.jsonl", NULL), *at = text;
    while ((at = strstr(at, ", \"data_wait\""))) {
        char *end = strchr(at, '}');
        memmove(at, end, strlen(end) + 1);
    }
    clm_test_write_text(directory, "older/metrics.jsonl", text);
    free(text);
    run_in("older", true);
    same_run("whole", "older");
}
END_TEST

START_TEST(on_two_devices) { /* in parts; the same shares give the same bits */
    char *path[2] = {clm_path_join(directory, "once"), clm_path_join(directory, "again")};
    clm_device *second = clm_test_open_opencl();
    device = clm_test_open_host();
    const clm_meta_share shares[] = {{device, 1, 0}, {second, 1, 0}};
    for (int k = 0; k < 2; k++) {
        clm_trainer *trainer;
        options.directory = path[k];
        CLM_TEST_OK(clm_trainer_create(&trainer, shares, 2, source, model, &options));
        ck_assert(!clm_path_exists(path[k]));
        ck_assert_uint_eq(clm_meta_part_count(clm_trainer_meta(trainer)), 2);
        ck_assert_uint_gt(clm_trainer_get_plan(trainer).evaluation_bytes, 0);
        ck_assert(clm_trainer_get_plan(trainer).measures_second_order);
        if (k == 0) CLM_TEST_OK(clm_trainer_prepare(trainer));
        CLM_TEST_OK(clm_trainer_run(trainer));
        CLM_TEST_OK(clm_trainer_test(trainer));
        ck_assert_int_eq(clm_trainer_result(trainer)->test.tasks, options.test_tasks);
        clm_trainer_free(trainer);
    }
    same_run("once", "again");
    clm_device_close(second);
    free(path[0]);
    free(path[1]);
}
END_TEST

/* All classes at once, then a new last layer for each task; prototypes have no inner steps. */
START_TEST(other_algorithms) {
    static const int hidden[] = {8};
    clm_model *wide;
    clm_train_result r;
    device = clm_test_open_host();
    options.meta.both_orders = false;
    options.meta.task.rates = CLM_RATES_FIXED;
    options.meta.task.algorithm = "finetune";
    CLM_TEST_FAILS(clm_train(device, source, model, &options, NULL, &r), CLM_E_SHAPE);
    SAYS("training on 9 classes needs [9]");
    CLM_TEST_OK(clm_model_mlp(&wide, FEATURES, hidden, 1, 9));
    CLM_TEST_OK(clm_train(device, source, wide, &options, NULL, &r));
    ck_assert_int_eq(r.test.steps, 3);
    clm_model_free(wide);
    options.meta.task.algorithm = "protonet";
    options.meta.task.steps = 0;
    CLM_TEST_FAILS(clm_train(device, source, model, &options, NULL, &r), CLM_E_ARG);
    SAYS("protonet has no inner steps");
    options.test_steps = 0;
    options.meta.task.inner_lr = ((clm_task_options)CLM_TASK_OPTIONS_INIT).inner_lr;
    CLM_TEST_OK(clm_train(device, source, model, &options, NULL, &r));
    ck_assert(r.test.steps == 0 && r.test.query[0].mean > 0.4);
}
END_TEST

/* ---- what is refused ---- */

static void refused(const char *name, bool resume, clm_status status, const char *says) {
    char *path = clm_path_join(directory, name);
    options.directory = path;
    options.resume = resume;
    CLM_TEST_FAILS(clm_train(device, source, model, &options, NULL, NULL), status);
    SAYS(says);
    free(path);
    options.directory = NULL;
}

START_TEST(runs_that_are_not_this_one) {
    static const int hidden[] = {8};
    const clm_train_options good = options;
    clm_model *own = model, *other;
    device = clm_test_open_host();
    run_in("run", false);
    refused("run", false, CLM_E_STATE, "holds a run already");
    refused("nowhere", true, CLM_E_STATE, "holds no run");
    refused("run/checkpoints", false, CLM_E_STATE, "not empty and holds no run");
    refused("run/config.json", false, CLM_E_IO, "is not a directory");
    options.meta.optim.lr = 0.03;
    refused("run", true, CLM_E_STATE, "optim.lr was 0.02 there and is 0.03 now");
    options = good;
    options.seed = 2;
    refused("run", true, CLM_E_STATE, "seed was 1 there and is 2 now");
    options = good;
    options.meta.task.adapt = (const char *const[]){"2."};
    options.meta.task.n_adapt = 1;
    refused("run", true, CLM_E_STATE, "task.adapt was [] there and is [\"2.\"] now");
    options = good;
    options.iterations = 3;
    refused("run", true, CLM_E_ARG, "12 iterations already, more than the 3 asked for");
    options = good;
    CLM_TEST_OK(clm_model_parse(&other,
                                "{\"in_shape\": [4], \"layers\": [{\"op\": \"linear\", \"out\": 8}, {\"op\": \"tanh\"}, "
                                "{\"op\": \"linear\", \"out\": 3}]}",
                                NULL));
    model = other;
    refused("run", true, CLM_E_STATE, "its model is another one");
    clm_model_free(other);
    CLM_TEST_OK(clm_model_mlp(&other, FEATURES, hidden, 1, 4));
    model = other;
    refused("new", false, CLM_E_SHAPE, "output is [4]");
    clm_model_free(other);
    model = own;
    CLM_TEST_FAILS(clm_train(device, source, model, (options.resume = true, &options), NULL, NULL), CLM_E_ARG);
    SAYS("no directory");
    options = good;
    options.note = "mine";
    run_in("noted", false);
    options.note = NULL;
    refused("noted", true, CLM_E_STATE, "begun with a note");
    char *config = read_in("noted", "config.json", NULL);
    ck_assert_ptr_nonnull(strstr(config, "\"settings\": \"mine\""));
    free(config);
}
END_TEST

static clm_value no_loss(void *user, clm_graph *g, clm_value outputs, clm_value targets) {
    (void)user, (void)g, (void)outputs;
    return targets;
}

static int lines(void *context, clm_split split, uint64_t task, uint64_t place, int count, float *x, float *y) {
    (void)context, (void)split, (void)place;
    for (int i = 0; i < count; i++) {
        if (x) x[i] = (float)i;
        if (y) y[i] = (float)i * (float)(task % 7);
    }
    return 0;
}

/* The initial loss is one of classes. */
START_TEST(a_regression_with_the_initial_loss) {
    clm_custom_source mine = CLM_CUSTOM_SOURCE_INIT;
    clm_source *own = NULL;
    clm_model *small = NULL;
    clm_evaluator *evaluator = NULL;
    clm_evaluator_options how = CLM_EVALUATOR_OPTIONS_INIT;
    mine.name = "lines", mine.shape = clm_shape_of(1, 1), mine.regress = lines;
    CLM_TEST_OK(clm_source_custom(&own, &mine));
    CLM_TEST_OK(clm_model_mlp(&small, 1, NULL, 0, 1));
    device = clm_test_open_host();
    options.episodes.ways = how.ways = 1;
    options.meta.task.loss.name = NULL;
    CLM_TEST_FAILS(clm_train(device, own, small, &options, NULL, NULL), CLM_E_ARG);
    SAYS("lines is a regression, and cross-entropy, the initial loss, is one of classes; set loss.name to \"mse\"");
    CLM_TEST_FAILS(clm_evaluator_create(&evaluator, device, own, small, &how), CLM_E_ARG);
    SAYS("set loss.name to \"mse\"");
    options.meta.task.loss.name = "cross-entropy";
    CLM_TEST_FAILS(clm_train_check(own, &options), CLM_E_ARG);
    SAYS("lines is a regression, and cross-entropy, the initial loss");
    options.meta.task.loss.name = "mse";
    CLM_TEST_OK(clm_train_check(own, &options));
    clm_model_free(small);
    clm_source_free(own);
}
END_TEST

START_TEST(options_that_cannot_be) {
    const clm_train_options good = options;
    device = clm_test_open_host();
    options.version++;
    CLM_TEST_FAILS(clm_train_check(source, &options), CLM_E_ARG);
    SAYS("clm_train_options of version 5, this library's is 4; begin them with CLM_TRAIN_OPTIONS_INIT");
    options = good;
    options.episodes.version = 7;
    CLM_TEST_FAILS(clm_train_check(source, &options), CLM_E_ARG);
    SAYS("clm_episode_options of version 7");
    options = good;
    options.episodes.ways = 6;
    CLM_TEST_FAILS(clm_train_check(source, &options), CLM_E_ARG);
    SAYS("points");
    SAYS("validation");
    SAYS("5 classes");
    options = good;
    options.validate_every = 0;
    CLM_TEST_FAILS(clm_train_check(source, &options), CLM_E_ARG);
    SAYS("validate_every is 0");
    options = good;
    options.keep = -1;
    CLM_TEST_FAILS(clm_train_check(source, &options), CLM_E_ARG);
    SAYS("keep is -1");
    options = good;
    options.anneal_over = 5;
    CLM_TEST_FAILS(clm_train_check(source, &options), CLM_E_ARG);
    SAYS("step_weights");
    options = good;
    options.meta.task.loss.name = "mse";
    CLM_TEST_FAILS(clm_train_check(source, &options), CLM_E_ARG);
    SAYS("points has classes, and mse is a loss of numbers to predict; set loss.name to \"cross-entropy\"");
    options.meta.task.loss.name = "custom";
    options.meta.task.loss.function = no_loss;
    options.meta.task.loss.target_shape = clm_shape_of(1, 3);
    CLM_TEST_FAILS(clm_train_check(source, &options), CLM_E_SHAPE);
    SAYS("the loss \"custom\" takes [3]; set loss.target_shape");
    options = good;
    options.meta.task.algorithm = "mamel";
    CLM_TEST_FAILS(clm_train_check(source, &options), CLM_E_ARG);
    SAYS("maml");
    options = good;
    options.meta.memory_limit = 1024;
    CLM_TEST_FAILS(clm_train(device, source, model, &options, NULL, NULL), CLM_E_LIMIT);
    SAYS("memory_limit of 1.0 KiB is too small");
    CLM_TEST_OK(clm_train_check(source, &good));
    ck_assert_uint_eq(heard.count, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("train");
    TCase *tcase = tcase_create("train");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, best_by_validation_is_tested, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, stopped_and_resumed, 0, CLM_TEST_DEVICES);
    tcase_add_test(tcase, killed_and_resumed);
    tcase_add_test(tcase, without_a_directory);
    tcase_add_test(tcase, without_validation_and_test);
    tcase_add_loop_test(tcase, images_on_the_device, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, waits_for_data, 0, CLM_TEST_DEVICES);
    tcase_add_test(tcase, rows_without_the_wait);
    tcase_add_test(tcase, on_two_devices);
    tcase_add_test(tcase, other_algorithms);
    tcase_add_test(tcase, runs_that_are_not_this_one);
    tcase_add_test(tcase, options_that_cannot_be);
    tcase_add_test(tcase, a_regression_with_the_initial_loss);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
