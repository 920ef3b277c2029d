/* Arrays of NumPy and tasks through callbacks: types, shapes, labels, splits; prefetching and data sets on devices of them;
 * what is refused. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "base/memory.h"
#include "clmaml/data.h"
#include "support/photos.h"
#include "support/pictures.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

static char *directory, *path;
static clm_folder_options options;

static void set_up(void) {
    directory = clm_test_directory();
    path = clm_format("%s/data.npz", directory);
    options = (clm_folder_options)CLM_FOLDER_OPTIONS_INIT;
}

static void tear_down(void) {
    free(path);
    clm_test_remove(directory);
}

/* ---- arrays ---- */

typedef struct given {
    const char *name, *type, *shape;
    const void *data;
    size_t bytes;
} given;

/* Three arrays at most, the second packed by Deflate. */
static void write_npz(const given *arrays) {
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    for (int i = 0; i < 3 && arrays[i].name; i++) {
        char name[32] = "";
        size_t size;
        uint8_t *npy = clm_test_npy(arrays[i].type, arrays[i].shape, arrays[i].data, arrays[i].bytes, &size);
        const zip_int64_t index =
            zip_file_add(zip, strcat(strcpy(name, arrays[i].name), ".npy"), zip_source_buffer(zip, npy, size, 1), 0);
        ck_assert_int_ge(index, 0);
        ck_assert_int_eq(zip_set_file_compression(zip, (zip_uint64_t)index, i == 1 ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0), 0);
    }
    ck_assert_int_eq(zip_close(zip), 0);
}

static clm_source *opened(void) {
    clm_source *source = NULL;
    CLM_TEST_OK(clm_source_folder_open(&source, path, &options));
    return source;
}

static void refused(const given *arrays, clm_status status, const char *says, const char *says_too) {
    clm_source *source = NULL;
    write_npz(arrays);
    ck_assert_int_eq(clm_source_folder_open(&source, path, &options), status);
    ck_assert_ptr_null(source);
    SAYS(path);
    SAYS(says);
    SAYS(says_too);
}

static const int64_t labels[6] = {7, -1, 7, 7, -1, 10};
static const uint8_t sides[6] = {0, 0, 0, 2, 0, 1};

START_TEST(arrays_of_floats) {
    const float x[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const given arrays[3] = {
        {"x", "<f4", "(6, 2)", x, sizeof x}, {"y", "<i8", "(6,)", labels, sizeof labels}, {"split", "|u1", "(6,)", sides, 6}};
    float out[2];
    clm_images images;
    write_npz(arrays);
    clm_source *source = opened();
    const clm_shape shape = clm_source_example_shape(source);
    ck_assert(shape.rank == 1 && shape.dim[0] == 2);
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_TRAIN), 2); /* -1 and 7 */
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_VALIDATION), 1);
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_TEST), 1);
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, 0, 1, out));
    ck_assert(out[0] == 8 && out[1] == 9);
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TEST, 0, 0, out));
    ck_assert(out[0] == 6 && out[1] == 7);
    ck_assert(clm_source_images(source, &images) && images.floats && !images.bytes && images.channels == 2 &&
              images.count == 6);
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TRAIN, 2, 2, 1), CLM_E_ARG);
    SAYS("class -1 has 2");
    clm_source_free(source);
    options.normalise = CLM_NORMALISE_DATASET;
    source = opened();
    double sum = 0;
    for (size_t k = 0; k < 4; k++) {
        CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, k / 2, k % 2, out));
        sum += (double)out[0];
    }
    ck_assert_double_eq_tol(sum, 0, 1e-5);
    clm_source_free(source);
}
END_TEST

START_TEST(arrays_of_pictures) { /* channels behind, texts for labels */
    uint8_t x[4 * 2 * 5 * 3];
    float out[30];
    for (size_t i = 0; i < sizeof x; i++) x[i] = (uint8_t)(2 * i);
    const char names[4][4] = {"owl", "cat", "owl", "cat"};
    given arrays[3] = {{"x", "|u1", "(4, 2, 5, 3)", x, sizeof x}, {"y", "|S4", "(4,)", names, sizeof names}};
    options.class_split[0] = 2;
    write_npz(arrays);
    clm_source *source = opened();
    const clm_shape shape = clm_source_example_shape(source);
    ck_assert(shape.rank == 3 && shape.dim[0] == 3 && shape.dim[1] == 2 && shape.dim[2] == 5);
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, 0, 0, out)); /* the first cat: example 1 */
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < 10; i++) ck_assert(out[c * 10 + i] == (float)x[30 + i * 3 + c] / 255.0f);
    clm_source_free(source);
    arrays[0].shape = "(4, 3, 2, 5)";
    write_npz(arrays);
    source = opened();
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, 1, 1, out)); /* the second owl: example 2 */
    for (size_t i = 0; i < 30; i++) ck_assert(out[i] == (float)x[60 + i] / 255.0f);
    clm_source_free(source);
}
END_TEST

START_TEST(types_of_arrays) {
    const int16_t small[2] = {-300, 300};
    const uint16_t halves[2] = {0x3c00, 0xc400}, swapped[2] = {0x0100, 0xff7f};
    const double doubles[2] = {0.5, -2e10};
    const struct {
        const char *type;
        const void *data;
        size_t bytes;
        float expected[2];
    } cases[] = {{"<i2", small, 4, {-300, 300}},       {"<f2", halves, 4, {1, -4}}, {">i2", swapped, 4, {1, 32767}},
                 {"<f8", doubles, 16, {0.5f, -2e10f}}, {"|b1", "\1\0", 2, {1, 0}},  {"|u1", "\xff\1", 2, {255, 1}}};
    const uint32_t texts[2] = {'b', 0x3b1};
    options.class_split[0] = 2;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const given arrays[3] = {{"x", cases[k].type, "(2, 1)", cases[k].data, cases[k].bytes},
                                 {"y", "<U1", "(2,)", texts, sizeof texts}};
        float out = 0;
        write_npz(arrays);
        clm_source *source = opened();
        for (size_t i = 0; i < 2; i++) {
            CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, i, 0, &out));
            ck_assert_msg(out == cases[k].expected[i], "%s: %g", cases[k].type, (double)out);
        }
        clm_source_free(source);
    }
}
END_TEST

START_TEST(arrays_as_files) {
    const float x[2] = {3, 4};
    size_t size;
    float out;
    uint8_t *npy = clm_test_npy("<f4", "(2, 1)", x, sizeof x, &size);
    clm_test_write(directory, "x.npy", npy, size);
    free(npy);
    npy = clm_test_npy("<i8", "(2,)", labels, 16, &size);
    clm_test_write(directory, "y.npy", npy, size);
    free(npy);
    options.class_split[2] = 2;
    char *file = clm_format("%s/x.npy", directory);
    const char *const both[] = {directory, file};
    for (size_t k = 0; k < 2; k++) {
        clm_source *source = NULL;
        CLM_TEST_OK(clm_source_folder_open(&source, both[k], &options));
        CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TEST, 1, 0, &out));
        ck_assert(out == 3);
        clm_source_free(source);
    }
    free(file);
}
END_TEST

START_TEST(arrays_that_are_refused) {
    const float x[6] = {0, 1, 2, 3, 4, NAN};
    const uint8_t wrong[6] = {0, 1, 2, 3, 0, 0};
    const given fine = {"x", "<f4", "(6, 1)", x, 20 + 4}, y = {"y", "<i8", "(6,)", labels, sizeof labels};
    refused((given[3]){fine}, CLM_E_FORMAT, "no array y", "save x");
    refused((given[3]){fine, y}, CLM_E_FORMAT, "example 5", "not finite");
    refused((given[3]){{"x", "<c8", "(6, 1)", x, 24}, y}, CLM_E_FORMAT, "<c8", "save numbers");
    refused((given[3]){{"x", "|O", "(6, 1)", x, 24}, y}, CLM_E_FORMAT, "|O", "save numbers");
    refused((given[3]){{"x", "<f4", "(6,)", x, 24}, y}, CLM_E_SHAPE, "1 axes", "1 to 3 more");
    refused((given[3]){{"x", "<f4", "(7, 1)", x, 24}, y}, CLM_E_FORMAT, "x: a damaged array", "ends early");
    refused((given[3]){{"x", "<f4", "(3, 2)", x, 24}, y}, CLM_E_SHAPE, "y: has 1 axes and 6", "one for each of the 3");
    refused((given[3]){fine, {"y", "<f4", "(6,)", (float[6]){1, 2, 0.5f}, 24}}, CLM_E_FORMAT, "element 2 is 0.5",
            "whole numbers");
    refused((given[3]){fine, y, {"split", "|u1", "(6,)", wrong, 6}}, CLM_E_FORMAT, "element 3", "train, val, test");
    options.invert = true;
    refused((given[3]){fine, y}, CLM_E_ARG, "inverted", "leave invert out");
    clm_test_write_text(directory, "data.npz", "this is no zip file");
    clm_source *source = NULL;
    ck_assert_int_eq(clm_source_folder_open(&source, path, &options), CLM_E_FORMAT);
    SAYS("not a whole zip file");
}
END_TEST

/* ---- callbacks ---- */

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
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, arrays_of_floats);
    tcase_add_test(tc, arrays_of_pictures);
    tcase_add_test(tc, types_of_arrays);
    tcase_add_test(tc, arrays_as_files);
    tcase_add_test(tc, arrays_that_are_refused);
    tcase_add_test(tc, tasks_of_ones_own);
    tcase_add_test(tc, functions_of_ones_own);
    tcase_add_test(tc, several_targets_of_ones_own);
    tcase_add_test(tc, what_a_callback_says_is_passed_on);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
