/* Tokens: which numbers a model that begins with an embedding takes, and that training, evaluation and tables refuse others by
 * name, before anything is computed. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/train.h"
#include "support/photos.h"
#include "support/pictures.h"
#include "support/run.h"
#include "support/tables.h"

enum { CLASSES = 12, OF_CLASS = 5, COUNT = CLASSES * OF_CLASS, LENGTH = 4 };

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)
#define LAYERS                                                                                                                 \
    "\"layers\": [{\"op\": \"embedding\", \"count\": 5, \"out\": 3}, {\"op\": \"meantokens\"}, {\"op\": \"linear\", \"out\": " \
    "2}]}"

static const char words[] = "{\"in_shape\": [4], " LAYERS;
static char *directory;
static clm_device *device;

static void set_up(void) {
    directory = clm_test_directory();
    setenv("CLMAML_NO_CACHE", "1", 1);
    CLM_TEST_OK(clm_device_open(&device, "host"));
}
static void tear_down(void) {
    clm_device_close(device);
    clm_test_remove(directory);
}

static clm_model *model_of(const char *json) {
    clm_model *model = NULL;
    CLM_TEST_OK(clm_model_parse(&model, json, NULL));
    return model;
}

START_TEST(which_models_take_tokens) {
    static const struct {
        const char *json;
        int count;
        const char *layer;
    } rows[] = {
        {words, 5, "0"},
        {"{\"in_shape\": [2, 2], \"layers\": [{\"op\": \"flatten\"}, {\"op\": \"embedding\", \"count\": 7, \"out\": 3}]}", 7,
         "1"},
        {"{\"in_shape\": [1, 2, 2], \"layers\": [{\"op\": \"tokens\"}, {\"op\": \"reshape\", \"shape\": [4]}, "
         "{\"op\": \"embedding\", \"count\": 7, \"out\": 3}]}",
         7, "2"},
        {"{\"in_shape\": [4], \"layers\": [{\"op\": \"residual\", \"body\": [{\"op\": \"embedding\", \"count\": 9, \"out\": "
         "3}], "
         "\"skip\": [{\"op\": \"embedding\", \"count\": 8, \"out\": 3}]}]}",
         8, "0.skip.0"},
        {"{\"in_shape\": [4], \"layers\": [{\"op\": \"relu6\"}, {\"op\": \"embedding\", \"count\": 7, \"out\": 3}]}", 0, NULL},
        {"{\"in_shape\": [4], \"layers\": [{\"op\": \"linear\", \"out\": 3}]}", 0, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *layer = "";
        clm_model *model = model_of(rows[i].json);
        ck_assert_msg(clm_model_token_count(model, &layer) == rows[i].count, "row %zu", i);
        ck_assert_msg(rows[i].layer ? layer && !strcmp(layer, rows[i].layer) : !layer, "row %zu", i);
        clm_model_free(model);
    }
}
END_TEST

START_TEST(numbers_that_are_none) {
    const float good[] = {0, 4, 1, 2}, beyond[] = {0, 1, 2, 3, 0, 5, 1, 1}, below[] = {-1, 0, 0, 0}, broken[] = {1, 0, 0, 0.5f};
    clm_model *model = model_of(words);
    CLM_TEST_OK(clm_model_check_tokens(model, good, 4));
    ck_assert_int_eq(clm_model_check_tokens(model, beyond, 8), CLM_E_ARG);
    SAYS("number 1 of example 1 is 5: layer 0 (embedding) of \"count\" 5 reads whole numbers from 0 to 4");
    SAYS("a larger \"count\"");
    ck_assert_int_eq(clm_model_check_tokens(model, below, 4), CLM_E_ARG);
    SAYS("number 0 of example 0 is -1");
    ck_assert_int_eq(clm_model_check_tokens(model, broken, 4), CLM_E_ARG);
    SAYS("number 3 of example 0 is 0.5");
    clm_model_free(model);
    model = model_of("{\"in_shape\": [4], \"layers\": [{\"op\": \"linear\", \"out\": 3}]}");
    CLM_TEST_OK(clm_model_check_tokens(model, broken, 4));
    clm_model_free(model);
}
END_TEST

/* ---- training and evaluation ---- */

static clm_status train(const clm_source *source) {
    clm_model *model = model_of(words);
    clm_train_options o = CLM_TRAIN_OPTIONS_INIT;
    o.episodes.ways = o.episodes.shots = o.episodes.query = 2;
    o.meta.tasks = 1;
    o.iterations = 1;
    o.validation_tasks = o.test_tasks = 1;
    const clm_status status = clm_train(device, source, model, &o, NULL, NULL);
    clm_model_free(model);
    return status;
}

static clm_status evaluate(const clm_source *source) {
    clm_model *model = model_of(words);
    clm_evaluator_options o = CLM_EVALUATOR_OPTIONS_INIT;
    clm_evaluator *evaluator = NULL;
    clm_scores scores;
    o.ways = o.shots = o.query = 2;
    clm_status status = clm_evaluator_create(&evaluator, device, source, model, &o);
    if (status == CLM_OK) status = clm_evaluator_run(evaluator, CLM_SPLIT_TEST, 0, 0, 1, 1, false, &scores);
    clm_evaluator_free(evaluator);
    clm_model_free(model);
    return status;
}

/* Classes are out of order in the file, so that an example's place there is not its place in the source. */
static clm_source *open_arrays(float odd) {
    float x[COUNT * LENGTH];
    int64_t y[COUNT];
    size_t size;
    clm_source *source = NULL;
    for (int i = 0; i < COUNT * LENGTH; i++) x[i] = (float)(i * 3 % 5);
    for (int i = 0; i < COUNT; i++) y[i] = i % CLASSES;
    x[7 * LENGTH + 2] = odd;
    uint8_t *npy = clm_test_npy("<f4", "(60, 4)", x, sizeof x, &size);
    clm_test_write(directory, "x.npy", npy, size);
    free(npy);
    npy = clm_test_npy("<i8", "(60,)", y, sizeof y, &size);
    clm_test_write(directory, "y.npy", npy, size);
    free(npy);
    CLM_TEST_OK(clm_source_folder_open(&source, directory, NULL));
    return source;
}

START_TEST(arrays) {
    clm_source *source = open_arrays(4);
    CLM_TEST_OK(train(source));
    CLM_TEST_OK(evaluate(source));
    clm_source_free(source);
    source = open_arrays(9);
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(k ? evaluate(source) : train(source), CLM_E_FORMAT);
        SAYS("x: example 7, number 2 is 9: layer 0 (embedding) of \"count\" 5 reads whole numbers from 0 to 4");
        SAYS("1 example has such a number, the largest is 9: give the layer \"count\": 10");
    }
    clm_source_free(source);
    source = open_arrays(-3);
    ck_assert_int_eq(train(source), CLM_E_FORMAT);
    SAYS("example 7, number 2 is -3");
    SAYS("beginning with 0");
    clm_source_free(source);
}
END_TEST

/* ---- callbacks, which can only be looked at as they are called ---- */

static size_t classes(void *context, clm_split split) { return (void)context, (void)split, CLASSES; }
static size_t examples(void *context, clm_split split, size_t c) { return (void)context, (void)split, (void)c, 4; }
static int example(void *context, clm_split split, size_t c, size_t i, float *out) {
    for (size_t k = 0; k < LENGTH; k++) out[k] = (float)((c + i + k) % 5);
    if (split == *(const clm_split *)context) out[0] = 6;
    return 0;
}

START_TEST(callbacks) {
    static const clm_split splits[] = {CLM_SPLIT_TRAIN, CLM_SPLIT_TEST};
    for (size_t k = 0; k < 2; k++) {
        clm_split split = splits[k];
        clm_source *source = NULL;
        clm_custom_source mine = CLM_CUSTOM_SOURCE_INIT;
        mine.name = "mine";
        mine.shape = clm_shape_of(1, LENGTH);
        mine.context = &split;
        mine.classes = classes, mine.examples = examples, mine.example = example;
        CLM_TEST_OK(clm_source_custom(&source, &mine));
        ck_assert(!clm_source_is_held(source));
        ck_assert_int_eq(train(source), CLM_E_FORMAT);
        SAYS("mine, an example of a task: number 0 of example 0 is 6: layer 0 (embedding)");
        ck_assert_int_eq(evaluate(source), split == CLM_SPLIT_TEST ? CLM_E_FORMAT : CLM_OK);
        clm_source_free(source);
    }
}
END_TEST

/* ---- tables ---- */

START_TEST(tables) {
    static const char text[] = "task,a,b,y\np,0,1,1\np,2,3,2\nq,1,7,1\nq,2,2,2\n";
    clm_source *source = clm_test_table_of(text);
    CLM_TEST_OK(clm_source_check_tokens(source, 8, "the layer"));
    ck_assert_int_eq(clm_source_check_tokens(source, 4, "the layer"), CLM_E_FORMAT);
    SAYS("table.csv: line 4, column b is 7: the layer of \"count\" 4 reads whole numbers from 0 to 3");
    clm_source_free(source);
    clm_test_table_options.window = 2;
    clm_test_table_options.channels_first = true;
    source = clm_test_table_of(text);
    ck_assert_int_eq(clm_source_check_tokens(source, 4, "the layer"), CLM_E_FORMAT);
    SAYS("line 4, column b is 7");
    clm_source_free(source);
    clm_test_table_options.standardise = true;
    source = clm_test_table_of(text);
    ck_assert_int_eq(clm_source_check_tokens(source, 8, "the layer"), CLM_E_FORMAT);
    SAYS("--standardise no");
    clm_source_free(source);
}
END_TEST

/* Batches of one's own, which no source has drawn. */
START_TEST(batches_are_checked) {
    clm_model *model = model_of(words);
    clm_learner *learner = NULL;
    clm_meta *meta = NULL;
    clm_learner_options o = CLM_LEARNER_OPTIONS_INIT;
    clm_meta_options m = CLM_META_OPTIONS_INIT;
    float good[2 * LENGTH] = {0, 1, 2, 3, 4, 0, 1, 2}, bad[2 * LENGTH] = {0, 1, 2, 3, 4, 0, 5, 2};
    const float labels[2] = {0, 1};
    double out[4];
    o.task.support = o.task.query = m.task.support = m.task.query = 2;
    m.tasks = 1;
    CLM_TEST_OK(clm_learner_create(&learner, device, model, &o));
    CLM_TEST_OK(clm_learner_begin(learner, good, labels));
    CLM_TEST_OK(clm_learner_predict(learner, good, 2, out));
    ck_assert_int_eq(clm_learner_predict(learner, bad, 2, out), CLM_E_ARG);
    SAYS("the query set: number 2 of example 1 is 5: layer 0 (embedding)");
    ck_assert_int_eq(clm_learner_begin(learner, bad, labels), CLM_E_ARG);
    SAYS("the support set: number 2 of example 1 is 5");
    CLM_TEST_OK(clm_meta_create(&meta, device, model, &m));
    clm_batch batch = {.support_x = good, .support_y = labels, .query_x = good, .query_y = labels};
    CLM_TEST_OK(clm_meta_gradient(meta, &batch));
    batch.query_x = bad;
    ck_assert_int_eq(clm_meta_gradient(meta, &batch), CLM_E_ARG);
    SAYS("the query set: number 2 of example 1 is 5");
    clm_meta_free(meta);
    clm_learner_free(learner);
    clm_model_free(model);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tokens");
    TCase *tc = tcase_create("tokens"), *of_tables = tcase_create("tables");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, which_models_take_tokens);
    tcase_add_test(tc, batches_are_checked);
    tcase_add_test(tc, numbers_that_are_none);
    tcase_add_test(tc, arrays);
    tcase_add_test(tc, callbacks);
    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(of_tables, clm_test_table_begin, clm_test_table_end);
    tcase_add_test(of_tables, tables);
    suite_add_tcase(suite, of_tables);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
