/* Training runs of the library: tasks and a model of the user's own, stopped and resumed to the bits of a run that was never
 * stopped; the best state chosen by validation; ensembles; without a directory; what is refused. Evaluation by chunks. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "base/random.h"
#include "clmaml/train.h"
#include "support/meta_setup.h"
#include "support/photos.h"
#include "support/pictures.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)
#define CLM_TEST_FAILS(call, wanted)                                                                                   \
    do {                                                                                                               \
        const clm_status fails_status = (call);                                                                        \
        ck_assert_msg(fails_status == (wanted), "%s: %s: %s", #call, clm_status_name(fails_status), clm_last_error()); \
    } while (0)

enum { FEATURES = 4, WAYS = 3, ITERATIONS = 12, VALIDATED = 20, MOST_ROWS = 64 };

static char *directory;
static clm_source *source;
static clm_model *model;
static clm_device *device;
static clm_train_options options;
static size_t classes_of[3];

/* ---- tasks of one's own: a class is a point, its examples lie around it ---- */

static size_t classes(void *context, clm_split split) { return ((const size_t *)context)[split]; }
static size_t examples(void *context, clm_split split, size_t class_index) {
    (void)context, (void)split, (void)class_index;
    return 12;
}
static int example(void *context, clm_split split, size_t class_index, size_t index, float *out) {
    (void)context;
    clm_random centre = clm_random_make(100 + (uint64_t)split, class_index);
    clm_random around = clm_random_make(200 + 1000 * (uint64_t)split + class_index, index);
    for (int i = 0; i < FEATURES; i++) out[i] = (float)(clm_random_normal(&centre) + 0.5 * clm_random_normal(&around));
    return 0;
}

static clm_source *points(void) {
    clm_custom_source mine = CLM_CUSTOM_SOURCE_INIT;
    clm_source *out = NULL;
    mine.name = "points";
    mine.shape = clm_shape_of(1, FEATURES);
    mine.context = classes_of;
    mine.classes = classes, mine.examples = examples, mine.example = example;
    CLM_TEST_OK(clm_source_custom(&out, &mine));
    return out;
}

/* ---- what a run says ---- */

typedef struct told {
    clm_train_row rows[MOST_ROWS];
    bool best[MOST_ROWS];
    size_t count, remarks, asked;
    uint64_t iteration, stop_at; /* stop_at: when this iteration was made; 0: never */
    size_t stop_after;           /* so many questions later */
    char remark[256];
} told;
static told heard;

static void on_progress(void *user, const clm_train_progress *p) {
    told *t = user;
    t->iteration = p->iteration;
    if (p->iteration == t->stop_at) t->asked = 0;
}
static void on_row(void *user, const clm_train_row *row, bool best) {
    told *t = user;
    ck_assert_uint_lt(t->count, MOST_ROWS);
    t->rows[t->count] = *row;
    t->best[t->count++] = best;
}
static void on_remark(void *user, const char *text) {
    told *t = user;
    t->remarks++;
    snprintf(t->remark, sizeof t->remark, "%s", text);
}
static bool on_stop(void *user) {
    told *t = user;
    return t->stop_at && t->iteration >= t->stop_at && t->asked++ >= t->stop_after;
}

static void set_up(void) {
    static const int hidden[] = {8};
    directory = clm_test_directory();
    classes_of[0] = 9, classes_of[1] = 5, classes_of[2] = 5;
    source = points();
    CLM_TEST_OK(clm_model_mlp(&model, FEATURES, hidden, 1, WAYS));
    memset(&heard, 0, sizeof heard);
    options = (clm_train_options)CLM_TRAIN_OPTIONS_INIT;
    options.episodes.ways = WAYS;
    options.episodes.shots = 2;
    options.episodes.query = 3;
    options.meta.tasks = 2;
    options.meta.task.steps = 2;
    options.meta.task.inner_lr = 0.1;
    options.meta.task.rates = CLM_RATES_PER_STEP;
    options.meta.optim.lr = 0.02;
    options.meta.both_orders = true;
    options.iterations = ITERATIONS;
    options.validate_every = 4;
    options.validation_tasks = VALIDATED; /* two chunks */
    options.test_tasks = 10;
    options.test_steps = 3;
    options.checkpoint_every = 3;
    options.log_every = 1;
    options.progress = on_progress;
    options.row = on_row;
    options.remark = on_remark;
    options.stop = on_stop;
    options.user = &heard;
}

static void tear_down(void) {
    clm_model_free(model);
    clm_source_free(source);
    clm_device_close(device);
    device = NULL;
    clm_test_remove(directory);
}

/* A run in DIRECTORY/name, which stays allocated in options.directory. */
static clm_train_result run_in(const char *name, bool resume) {
    clm_train_result result;
    char *path = clm_path_join(directory, name);
    options.directory = path;
    options.resume = resume;
    heard.count = heard.iteration = heard.asked = 0;
    CLM_TEST_OK(clm_train(device, source, model, &options, NULL, &result));
    free(path);
    options.directory = NULL;
    return result;
}

static char *read_in(const char *name, const char *file, size_t *size) {
    char *path = clm_format("%s/%s/%s", directory, name, file), *text;
    CLM_TEST_OK(clm_file_read(path, &text, size));
    free(path);
    return text;
}

static void same_file(const char *a, const char *b, const char *file) {
    size_t n, m;
    char *x = read_in(a, file, &n), *y = read_in(b, file, &m);
    ck_assert_msg(n == m && memcmp(x, y, n) == 0, "%s of %s and of %s differ", file, a, b);
    free(x);
    free(y);
}

/* Rows without what was timed. */
static void same_rows(const char *a, const char *b) {
    char *x = read_in(a, "metrics.jsonl", NULL), *y = read_in(b, "metrics.jsonl", NULL), *p = x, *q = y;
    while (*p && *q) {
        char *end_p = strchr(p, '\n'), *end_q = strchr(q, '\n');
        *end_p = *end_q = 0;
        char *cut_p = strstr(p, ", \"seconds\""), *cut_q = strstr(q, ", \"seconds\"");
        ck_assert_ptr_nonnull(cut_p);
        ck_assert_ptr_nonnull(cut_q);
        *cut_p = *cut_q = 0;
        ck_assert_str_eq(p, q);
        p = end_p + 1, q = end_q + 1;
    }
    ck_assert_msg(!*p && !*q, "%s and %s have different numbers of rows", a, b);
    free(x);
    free(y);
}

static void same_run(const char *a, const char *b) {
    static const char *const files[] = {"checkpoints/last.safetensors", "checkpoints/best.safetensors", "result.json",
                                        "scores.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) same_file(a, b, files[i]);
    same_rows(a, b);
}

/* The mean that was reported is that of these numbers, to the bit. */
static void expect_mean(const double *single, int n, const clm_score *said) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += single[i];
    ck_assert(sum / n == said->mean);
}

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
    refused("run", true, CLM_E_ARG, "12 iterations already; iterations 3 is less");
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

START_TEST(options_that_cannot_be) {
    const clm_train_options good = options;
    device = clm_test_open_host();
    options.version++;
    CLM_TEST_FAILS(clm_train_check(source, &options), CLM_E_ARG);
    SAYS("clm_train_options of version 3, this library's is 2; begin them with CLM_TRAIN_OPTIONS_INIT");
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

/* ---- evaluation ---- */

START_TEST(scores_do_not_depend_on_the_chunk) {
    clm_scores scores[2];
    clm_params *params;
    device = clm_test_open_host();
    CLM_TEST_OK(clm_params_create(&params, model, &options.meta.task));
    for (int k = 0; k < 2; k++) {
        clm_evaluator_options how = CLM_EVALUATOR_OPTIONS_INIT;
        clm_evaluator *evaluator;
        how.ways = WAYS, how.shots = 2, how.query = 3;
        how.chunk = k ? 16 : 1;
        how.task = options.meta.task;
        how.with_support = true;
        CLM_TEST_OK(clm_evaluator_create(&evaluator, device, source, model, &how));
        CLM_TEST_OK(clm_evaluator_load(evaluator, params));
        CLM_TEST_OK(clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 3, 5, 21, 4, false, &scores[k]));
        CLM_TEST_FAILS(clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 3, 5, 21, CLM_SCORE_STEPS_MOST + 1, false, &scores[k]),
                       CLM_E_ARG);
        clm_evaluator_free(evaluator);
        how.version++;
        CLM_TEST_FAILS(clm_evaluator_create(&evaluator, device, source, model, &how), CLM_E_ARG);
        SAYS("CLM_EVALUATOR_OPTIONS_INIT");
    }
    ck_assert_mem_eq(&scores[0], &scores[1], sizeof scores[0]);
    ck_assert_double_gt(scores[0].support[4].mean, scores[0].support[0].mean); /* it adapts */
    clm_params_free(params);
}
END_TEST

static clm_evaluator *evaluator_of(clm_params *params, int chunk, bool singly) {
    clm_evaluator_options how = CLM_EVALUATOR_OPTIONS_INIT;
    clm_evaluator *evaluator;
    how.ways = WAYS, how.shots = 2, how.query = 3;
    how.chunk = chunk;
    how.task = options.meta.task;
    how.keep = true;
    how.singly = singly;
    how.with_support = true;
    CLM_TEST_OK(clm_evaluator_create(&evaluator, device, source, model, &how));
    CLM_TEST_OK(clm_evaluator_load(evaluator, params));
    return evaluator;
}

START_TEST(scores_of_single_tasks) {
    enum { TASKS = 21, STEPS = 2 };
    double first[STEPS + 1][TASKS];
    clm_scores scores, alone;
    clm_params *params, *twice[2];
    clm_evaluator *evaluator;
    char *path = clm_path_join(directory, "scores.json"), *text;
    device = clm_test_open(_i);
    CLM_TEST_OK(clm_params_create(&params, model, &options.meta.task));
    evaluator = evaluator_of(params, 16, false);
    ck_assert_ptr_null(clm_evaluator_scores(evaluator, 0));
    CLM_TEST_FAILS(clm_evaluator_save_scores(evaluator, path), CLM_E_STATE);
    CLM_TEST_OK(clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 3, 5, TASKS, STEPS, false, &scores));
    for (int k = 0; k <= STEPS; k++) {
        expect_mean(clm_evaluator_scores(evaluator, k), TASKS, &scores.query[k]);
        memcpy(first[k], clm_evaluator_scores(evaluator, k), sizeof first[k]);
    }
    ck_assert_ptr_null(clm_evaluator_scores(evaluator, STEPS + 1));
    CLM_TEST_OK(clm_evaluator_save_scores(evaluator, path));
    CLM_TEST_OK(clm_file_read(path, &text, NULL));
    ck_assert_ptr_nonnull(
        strstr(text, "\"split\":\"test\",\"seed\":3,\"first\":5,\"count\":21,\"ways\":3,\"shots\":2,\"query\":3"));
    free(text);
    free(path);
    twice[0] = twice[1] = params; /* an ensemble of equals */
    CLM_TEST_OK(clm_evaluator_run_ensemble(evaluator, twice, 2, CLM_SPLIT_TEST, 3, 5, TASKS, STEPS, &alone));
    for (int k = 0; k <= STEPS; k++) ck_assert_mem_eq(clm_evaluator_scores(evaluator, k), first[k], sizeof first[k]);
    CLM_TEST_OK(clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 3, 5, TASKS, STEPS, true, &alone));
    ck_assert(isnan(clm_evaluator_scores(evaluator, 1)[0])); /* ends only */
    clm_evaluator_free(evaluator);
    /* without batch-norm an example has no neighbours */
    evaluator = evaluator_of(params, 4, true);
    CLM_TEST_OK(clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 3, 5, TASKS, STEPS, false, &alone));
    for (int k = 0; k <= STEPS; k++) {
        ck_assert_mem_eq(clm_evaluator_scores(evaluator, k), first[k], sizeof first[k]);
        ck_assert_double_eq_tol(alone.query_loss[k], scores.query_loss[k], 1e-5);
        ck_assert_double_eq_tol(alone.support[k].mean, scores.support[k].mean, 1e-12);
    }
    clm_evaluator_free(evaluator);
    clm_params_free(params);
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
    tcase_add_test(tcase, on_two_devices);
    tcase_add_test(tcase, other_algorithms);
    tcase_add_test(tcase, runs_that_are_not_this_one);
    tcase_add_test(tcase, options_that_cannot_be);
    tcase_add_test(tcase, scores_do_not_depend_on_the_chunk);
    tcase_add_loop_test(tcase, scores_of_single_tasks, 0, CLM_TEST_DEVICES);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
