/* Arrays of NumPy as data: types, shapes, labels, splits, data sets on devices of them; what is refused. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "base/files.h"
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

/* Bytes in more channels than pictures have: each has moments of its own. */
START_TEST(many_bytes_normalised) {
    uint8_t x[6 * 40];
    for (size_t i = 0; i < sizeof x; i++) x[i] = (uint8_t)(i % 40 * 5 + (i / 40 % 2 ? 10 : 0));
    const given arrays[3] = {
        {"x", "|u1", "(6, 40)", x, sizeof x}, {"y", "<i8", "(6,)", labels, sizeof labels}, {"split", "|u1", "(6,)", sides, 6}};
    float out[40];
    write_npz(arrays);
    options.normalise = CLM_NORMALISE_DATASET;
    clm_source *source = opened();
    for (size_t i = 0; i < 40; i++) {
        double sum = 0, squares = 0;
        for (size_t k = 0; k < 4; k++) {
            CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, k / 2, k % 2, out));
            sum += (double)out[i];
            squares += (double)out[i] * (double)out[i];
        }
        ck_assert_double_eq_tol(sum, 0, 1e-5);
        ck_assert_double_eq_tol(squares, 4, 1e-4);
    }
    clm_source_free(source);
}
END_TEST

/* libzip writes no two entries of a name: the third gets that of the second afterwards. */
START_TEST(an_array_that_occurs_twice) {
    const float x[12] = {0};
    const given arrays[3] = {
        {"x", "<f4", "(6, 2)", x, sizeof x}, {"y", "<i8", "(6,)", labels, sizeof labels}, {"z", "|u1", "(6,)", sides, 6}};
    clm_source *source = NULL;
    char *file;
    size_t size;
    write_npz(arrays);
    CLM_TEST_OK(clm_file_read(path, &file, &size));
    for (size_t i = 0; i + 5 < size; i++)
        if (memcmp(file + i, "z.npy", 5) == 0) file[i] = 'y';
    CLM_TEST_OK(clm_file_write(path, file, size));
    free(file);
    ck_assert_int_eq(clm_source_folder_open(&source, path, &options), CLM_E_FORMAT);
    ck_assert_ptr_null(source);
    SAYS("entry y.npy occurs twice");
}
END_TEST

/* A label of several lines is a name in a note, which is one. */
START_TEST(labels_of_several_lines) {
    const float x[12] = {1, 2, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12};
    const uint32_t y[18] = {'a', '\n', 'b', 'c', 0x9b, 'd', 'e', 0, 0, 'f', 0, 0, 'g', 0, 0, 'h', 0, 0};
    write_npz((given[3]){
        {"x", "<f4", "(6, 2)", x, sizeof x}, {"y", "<U3", "(6,)", y, sizeof y}, {"split", "|u1", "(6,)", (uint8_t[6]){0}, 6}});
    clm_source *source = opened();
    const char *notes = clm_source_notes(source);
    ck_assert_msg(strstr(notes, "such as one of class a?b that is in c??d: a task") != NULL, "%s", notes);
    ck_assert_ptr_null(strstr(notes, "\nb"));
    clm_source_free(source);
}
END_TEST

/* What is not used, or not kept as it is, is named: a misspelt split, digits that floats have not. */
START_TEST(arrays_that_are_not_taken_whole) {
    const int64_t x[12] = {16777217, 1, 16777218, 3, -16777219, 5, 6, 7, 8, 9, 10, 11};
    const given arrays[3] = {
        {"x", "<i8", "(6, 2)", x, sizeof x}, {"y", "<i8", "(6,)", labels, sizeof labels}, {"splits", "|u1", "(6,)", sides, 6}};
    write_npz(arrays);
    clm_source *source = opened();
    const char *notes = clm_source_notes(source);
    ck_assert_ptr_nonnull(notes);
    ck_assert_msg(strstr(notes, "arrays that are not read: splits; x, y and split are") != NULL, "%s", notes);
    ck_assert_msg(strstr(notes, "x: 2 whole numbers lose digits as 32-bit floats, such as 16777217") != NULL ||
                      strstr(notes, "x: 2 whole numbers lose digits as 32-bit floats, such as -16777219") != NULL,
                  "%s", notes);
    clm_source_free(source);
}
END_TEST

/* A class in two splits is one class. */
START_TEST(classes_of_two_splits) {
    const float x[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const int64_t y[6] = {1, 1, 2, 2, 1, 2};
    const uint8_t of[6] = {0, 0, 0, 0, 2, 2};
    const given arrays[3] = {
        {"x", "<f4", "(6, 2)", x, sizeof x}, {"y", "<i8", "(6,)", y, sizeof y}, {"split", "|u1", "(6,)", of, 6}};
    write_npz(arrays);
    clm_source *source = opened();
    ck_assert_ptr_nonnull(strstr(clm_source_description(source), "6 examples of 2 classes"));
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

/* Where the channels of an example are, and which of its numbers is that of channel 0, row 0, column 1. */
START_TEST(channels_of_arrays) {
    static const struct {
        const char *type, *shape;
        int channels, height, width;
        size_t second;
        bool noted;
    } cases[] = {
        {"|u1", "(2, 8, 8, 5)", 5, 8, 8, 5, false},    {"|u1", "(2, 5, 8, 8)", 5, 8, 8, 1, false},
        {"|u1", "(2, 8, 6, 4)", 4, 8, 6, 4, false},    {"|u1", "(2, 4, 6, 8)", 4, 6, 8, 1, false},
        {"<f4", "(2, 8, 8, 13)", 13, 8, 8, 13, false}, {"<f4", "(2, 8, 6, 4)", 8, 6, 4, 1, true},
        {"<f4", "(2, 8, 6, 3)", 3, 8, 6, 3, false},    {"<f4", "(2, 4, 6, 8)", 4, 6, 8, 1, false},
        {"|u1", "(2, 3, 3, 9)", 3, 3, 9, 1, false},
    };
    static float numbers[2 * 8 * 8 * 13];
    static uint8_t bytes[2 * 8 * 8 * 13];
    for (size_t i = 0; i < sizeof bytes; i++) numbers[i] = (float)(i % 251), bytes[i] = (uint8_t)(i % 251);
    options.class_split[0] = 2;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        static float out[8 * 8 * 13];
        const bool pictures = cases[k].type[1] == 'u';
        const size_t size = 2 * (size_t)(cases[k].channels * cases[k].height * cases[k].width);
        write_npz((given[3]){
            {"x", cases[k].type, cases[k].shape, pictures ? (const void *)bytes : numbers, pictures ? size : 4 * size},
            {"y", "<i8", "(2,)", labels, 16}});
        clm_source *source = opened();
        const clm_shape s = clm_source_example_shape(source);
        ck_assert_msg(s.rank == 3 && s.dim[0] == cases[k].channels && s.dim[1] == cases[k].height && s.dim[2] == cases[k].width,
                      "case %zu: [%d, %d, %d]", k, (int)s.dim[0], (int)s.dim[1], (int)s.dim[2]);
        CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, 1, 0, out)); /* class 7: example 0 */
        ck_assert_msg(out[1] == (float)cases[k].second / (pictures ? 255.0f : 1), "case %zu: %g", k, (double)out[1]);
        ck_assert_msg((strstr(clm_source_notes(source), "numpy.moveaxis(x, -1, 1)") != NULL) == cases[k].noted, "case %zu: %s",
                      k, clm_source_notes(source));
        clm_source_free(source);
    }
}
END_TEST

START_TEST(columns_first) {
    const float x[4] = {0, 1, 2, 3};
    size_t size;
    uint8_t *npy = clm_test_npy("<f4", "(2, 2)", x, sizeof x, &size);
    for (size_t i = 0; i + 5 < size; i++)
        if (memcmp(npy + i, "False", 5) == 0) memcpy(npy + i, "True ", 5);
    clm_test_write(directory, "x.npy", npy, size);
    free(npy);
    npy = clm_test_npy("<i8", "(2,)", labels, 16, &size);
    clm_test_write(directory, "y.npy", npy, size);
    free(npy);
    clm_source *source = NULL;
    ck_assert_int_eq(clm_source_folder_open(&source, directory, &options), CLM_E_FORMAT);
    SAYS("column by column (Fortran order)");
    SAYS("save numpy.ascontiguousarray");
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
    refused((given[3]){fine, y}, CLM_E_FORMAT, "example 5, of class 10: its number 0 is nan", "not finite");
    refused((given[3]){{"x", "<f4", "(3, 2)", x, 24}, {"y", "<U1", "(3,)", (uint32_t[3]){'a', 'b', 'c'}, 12}}, CLM_E_FORMAT,
            "example 2, of class c: its number 1 is nan", "correct it");
    refused((given[3]){{"x", "<c8", "(6, 1)", x, 24}, y}, CLM_E_FORMAT, "<c8", "save numbers");
    refused((given[3]){{"x", "|O", "(6, 1)", x, 24}, y}, CLM_E_FORMAT, "|O", "save numbers");
    refused((given[3]){{"x", "<M8[ns]", "(3, 1)", x, 24}, y}, CLM_E_FORMAT, "x: holds dates ('<M8[ns]')", ".astype('int64')");
    refused((given[3]){{"x", "<f16", "(1, 1)", x, 24}, y}, CLM_E_FORMAT, "('<f16')", ".astype('float64')");
    refused((given[3]){{"x", "|V4", "(6, 1)", x, 24}, y}, CLM_E_FORMAT, "x: holds raw bytes ('|V4'),", "save numbers");
    refused((given[3]){{"x", "[('a', '<f4')]", "(6, 1)", x, 24}, y}, CLM_E_FORMAT, "x: holds records of several fields,",
            "one of them");
    refused((given[3]){{"x", "<U1", "(6, 1)", x, 24}, y}, CLM_E_FORMAT, "x: holds texts", "numpy.unique");
    refused((given[3]){fine, {"y", "<i8", "(6, 2)", (int64_t[12]){0}, 96}}, CLM_E_SHAPE, "2 axes", "y.argmax(axis=1)");
    refused((given[3]){fine, {"labels", "<i8", "(6,)", labels, sizeof labels}}, CLM_E_FORMAT, "it holds x, labels", "save x");
    refused((given[3]){{"x", "<f4", "(6,)", x, 24}, y}, CLM_E_SHAPE, "1 axes", "1 to 3 more");
    refused((given[3]){{"x", "<f4", "(7, 1)", x, 24}, y}, CLM_E_FORMAT, "x: a damaged array", "ends early");
    refused((given[3]){{"x", "<f4", "(3, 2)", x, 24}, y}, CLM_E_SHAPE, "y: has 1 axes and 6", "one for each of the 3");
    refused((given[3]){fine, {"y", "<f4", "(6,)", (float[6]){1, 2, 0.5f}, 24}}, CLM_E_FORMAT, "element 2 is 0.5",
            "whole numbers");
    refused((given[3]){fine, y, {"split", "|u1", "(6,)", wrong, 6}}, CLM_E_FORMAT, "element 3 is '3'", "train, val, test");
    refused((given[3]){fine, y, {"split", "|S8", "(6,)", (char[48]){"train\0\0\0badsplit"}, 48}}, CLM_E_FORMAT,
            "element 1 is 'badsplit'", "train, val, test");
    refused((given[3]){fine, y, {"split", "<f4", "(6,)", (float[6]){0, 0.5f}, 24}}, CLM_E_FORMAT, "element 1 is '0.5'",
            "train, val, test");
    options.invert = true;
    refused((given[3]){fine, y}, CLM_E_ARG, "inverted", "leave invert out");
    clm_test_write_text(directory, "data.npz", "this is no zip file");
    clm_source *source = NULL;
    ck_assert_int_eq(clm_source_folder_open(&source, path, &options), CLM_E_FORMAT);
    SAYS("not a whole zip file");
}
END_TEST

START_TEST(a_zip_file_of_pictures) {
    clm_source *source = NULL;
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    ck_assert_int_ge(zip_file_add(zip, "cat/1.png", zip_source_buffer(zip, "", 0, 0), 0), 0);
    ck_assert_int_eq(zip_close(zip), 0);
    ck_assert_int_eq(clm_source_folder_open(&source, path, &options), CLM_E_FORMAT);
    SAYS("a zip file without arrays (cat/1.png)");
    SAYS("unpack it");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("arrays");
    TCase *tc = tcase_create("arrays");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, arrays_of_floats);
    tcase_add_test(tc, many_bytes_normalised);
    tcase_add_test(tc, an_array_that_occurs_twice);
    tcase_add_test(tc, arrays_of_pictures);
    tcase_add_test(tc, arrays_that_are_not_taken_whole);
    tcase_add_test(tc, labels_of_several_lines);
    tcase_add_test(tc, classes_of_two_splits);
    tcase_add_test(tc, channels_of_arrays);
    tcase_add_test(tc, columns_first);
    tcase_add_test(tc, types_of_arrays);
    tcase_add_test(tc, arrays_as_files);
    tcase_add_test(tc, arrays_that_are_refused);
    tcase_add_test(tc, a_zip_file_of_pictures);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
