/* Folders of pictures: every layout, colour, normalisation, threads, the cache, and what is refused. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "clmaml/data.h"
#include "data/imageset.h"
#include "support/folder_setup.h"
#include "support/photos.h"
#include "support/pictures.h"
#include "support/run.h"

static const char *class_name(const clm_source *source, clm_split split, size_t index) {
    const clm_image_set *set = (const clm_image_set *)source;
    return set->classes[set->splits[split].classes[index]].name;
}

/* ---- what is measured must be new ---- */

START_TEST(shared_between_splits) {
    flat("train/a/1.png", 10);
    flat("train/a/2.png", 10); /* twice in one split: no matter */
    flat("train/b/1.png", 20);
    flat("val/d/1.png", 40);
    flat("test/c/1.png", 10);
    flat("test/c/2.png", 30);
    flat("test/e/1.png", 40);
    flat("test/e/2.png", 20);
    clm_source *source = opened(&options);
    TELLS(source, "2 of the examples of test are in train too, such as one of class ");
    TELLS(source, "1 of the examples of test is in val too, such as one of class e (val: d)");
    ck_assert_ptr_null(strstr(clm_source_notes(source), "examples of val"));
    clm_source_free(source);
}

/* No task that draws both classes can tell them apart. */
START_TEST(shared_between_classes) {
    flat("train/a/1.png", 10);
    flat("train/b/1.png", 10);
    flat("train/b/2.png", 20);
    flat("val/d/1.png", 40);
    flat("test/c/1.png", 50);
    flat("test/e/1.png", 60);
    clm_source *source = opened(&options);
    TELLS(source, "1 of the examples of train is in two classes of it, such as one of class a that is in b: a task that draws");
    ck_assert_ptr_null(strstr(clm_source_notes(source), "test"));
    clm_source_free(source);
}

/* A folder that is no split of anything, and is not divided either, as a support set: nobody called it "train". */
START_TEST(shared_in_a_whole) {
    flat("a/1.png", 10);
    flat("b/1.png", 10);
    flat("b/2.png", 20);
    options.class_split[0] = SIZE_MAX;
    clm_source *source = opened(&options);
    TELLS(source, "1 of the examples is in two classes, such as one of class a that is in b: a task that draws");
    clm_source_free(source);
}

/* Notes are lines: a name forges none. */
START_TEST(names_in_notes) {
    flat("train/a\nforged: \x1b[31m/1.png", 10);
    flat("train/b\xc2\x9b\xff\xe2\x80\xae/1.png", 10);
    flat("val/d/1.png", 10);
    flat("test/a\nforged: \x1b[31m/1.png", 10);
    clm_source *source = opened(&options);
    TELLS(source, "such as one of class a?forged: ?[31m that is in b??????: a task that draws");
    TELLS(source, "in train too, such as a?forged: ?[31m: what is measured there is not about new classes");
    TELLS(source, "such as one of class d (train: a?forged: ?[31m): what is measured");
    TELLS(source, "such as one of class a?forged: ?[31m (val: d): what is measured");
    ck_assert_ptr_null(strstr(clm_source_notes(source), "\nforged"));
    for (const char *at = clm_source_notes(source); *at; at++) ck_assert(*at == '\n' || (*at >= ' ' && *at <= '~'));
    clm_source_free(source);
}
END_TEST

/* A set as for ordinary training, split by pictures: its scores are not about new classes. */
START_TEST(classes_in_two_splits) {
    flat("train/cat/1.png", 10);
    flat("train/dog/1.png", 20);
    flat("val/hen/1.png", 30);
    flat("test/cat/1.png", 40);
    flat("test/dog/1.png", 50);
    flat("test/fox/1.png", 60);
    clm_source *source = opened(&options);
    DESCRIBES(source, "6 images of 4 classes");
    TELLS(source, "2 of the 3 classes of test are in train too, such as cat: what is measured there is not about new classes");
    ck_assert_ptr_null(strstr(clm_source_notes(source), "classes of val"));
    clm_source_free(source);
}

/* ---- layouts ---- */

START_TEST(split_folders) {
    static const char *const names[] = {"val", "valid", "validation"};
    for (size_t k = 0; k < 3; k++) {
        char name[64];
        flat("train/a/1.png", 10);
        flat("train/b/1.png", 20);
        flat("test/c/1.png", 30);
        snprintf(name, sizeof name, "%s/d/1.png", names[k]);
        flat(name, 40);
        clm_source *source = opened(&options);
        check_classes(source, 2, 1, 1);
        ck_assert_str_eq(clm_source_notes(source), "");
        ck_assert(!clm_source_split_drawn(source));
        ck_assert(first_pixel(source, CLM_SPLIT_VALIDATION, 0, 0) == 40.0f / 255.0f);
        DESCRIBES(source, "4 images of 4 classes, grey, cropped to 8x8; classes: 2 train, 1 validation, 1 test");
        clm_source_free(source);
        tear_down();
        set_up();
    }
    flat("val/a/1.png", 1);
    flat("valid/a/1.png", 1);
    refused(CLM_E_FORMAT, "val/", "valid/");
}
END_TEST

START_TEST(unsplit_folders) {
    char name[64];
    for (int i = 0; i < 10; i++)
        for (int k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "class%d/%d.png", i, k);
            flat(name, 10 * i + k);
        }
    clm_source *source = opened(&options);
    check_classes(source, 6, 2, 2);
    DESCRIBES(source, "drawn by split seed 0");
    ck_assert(clm_source_split_drawn(source));
    clm_source_free(source);
    options.class_split[0] = 4, options.class_split[1] = 3, options.class_split[2] = 2;
    options.split_seed = 5;
    source = opened(&options);
    check_classes(source, 4, 3, 2);
    TELLS(source, "1 of 10 classes are in no split");
    bool seen[10] = {false};
    for (int split = 0; split < 3; split++) /* no class in two splits, and pictures stay with their class */
        for (size_t i = 0; i < clm_source_classes(source, (clm_split)split); i++) {
            const int c = class_name(source, (clm_split)split, i)[5] - '0';
            ck_assert(!seen[c]);
            seen[c] = true;
            for (size_t k = 0; k < 3; k++)
                ck_assert(first_pixel(source, (clm_split)split, i, k) == (float)(10 * c + (int)k) / 255.0f);
        }
    clm_source_free(source);
    options.class_split[0] = 9; /* of 10 classes, in proportion */
    source = opened(&options);
    check_classes(source, 7, 2, 1);
    clm_source_free(source);
    options.class_split[0] = options.class_split[1] = options.class_split[2] = 0;
    options.least_classes = 3;
    source = opened(&options);
    check_classes(source, 4, 3, 3);
    clm_source_free(source);
    options.least_classes = 4; /* there are not so many */
    source = opened(&options);
    check_classes(source, 6, 2, 2);
    clm_source_free(source);
}
END_TEST

START_TEST(what_is_below_a_class_belongs_to_it) {
    flat("train/cat/1.png", 1);
    flat("train/cat/b/x.png", 2);
    flat("train/cat/z.png", 3);
    flat("train/dog/1.png", 4);
    flat("train/dog/z.png", 5);
    clm_source *source = opened(&options);
    check_classes(source, 2, 0, 0);
    ck_assert_str_eq(class_name(source, CLM_SPLIT_TRAIN, 0), "cat");
    CLM_TEST_OK(clm_source_check(source, CLM_SPLIT_TRAIN, 2, 1, 1));
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TRAIN, 2, 2, 1), CLM_E_ARG);
    SAYS("class dog has 2, in the train split (train/dog)");
    clm_source_free(source);
}
END_TEST

START_TEST(folders_of_classes) { /* as in Omniglot */
    flat("train/Greek/alpha/1.png", 1);
    flat("train/Greek/beta/1.png", 2);
    flat("train/Latin/a/1.png", 3);
    clm_source *source = opened(&options);
    check_classes(source, 3, 0, 0);
    ck_assert_str_eq(class_name(source, CLM_SPLIT_TRAIN, 1), "Greek/beta");
    TELLS(source, "Greek holds no pictures itself");
    clm_source_free(source);
    options.class_depth = 1;
    source = opened(&options);
    check_classes(source, 2, 0, 0);
    ck_assert_str_eq(class_name(source, CLM_SPLIT_TRAIN, 0), "Greek");
    clm_source_free(source);
}
END_TEST

static void write_miniimagenet(void) {
    flat("images/n01_1.png", 1);
    flat("images/n01_2.png", 2);
    flat("images/n02_1.png", 3);
    flat("images/n03_1.png", 4);
    clm_test_write_text(directory, "train.csv",
                        "\xef\xbb\xbf"
                        "filename,label\r\nn01_2.png,n01\r\n\"n02_1.png\",\"n\"\"02\"\r\nn01_1.png,n01\r\n");
    clm_test_write_text(directory, "test.csv", "label,filename\nn03,n03_1.png\n");
}

START_TEST(miniimagenet) {
    write_miniimagenet();
    clm_source *source = opened(&options);
    check_classes(source, 2, 0, 1);
    ck_assert_str_eq(class_name(source, CLM_SPLIT_TRAIN, 0), "n\"02");
    ck_assert(first_pixel(source, CLM_SPLIT_TRAIN, 1, 1) == 2.0f / 255.0f);
    ck_assert_str_eq(clm_source_notes(source), "there is no val.csv: no validation classes\n");
    clm_source_free(source);
    flat("images/n04_1.png", 4);
    source = opened(&options);
    TELLS(source, "1 of 5 files are in no list");
    clm_source_free(source);
    clm_test_write_text(directory, "test.csv", "\nlabel,filename\nn03,n03_1.png\n");
    source = opened(&options);
    check_classes(source, 2, 0, 1);
    clm_source_free(source);
    clm_test_write_text(directory, "test.csv", "filename,label\n\nn03_9.png,n03\n");
    refused(CLM_E_IO, "test.csv: line 3", "n03_9.png");
    clm_test_write_text(directory, "test.csv", "filename,label\nn03_1.png\n");
    refused(CLM_E_FORMAT, "line 2", "lacks");
    clm_test_write_text(directory, "test.csv", "n03_1.png,n03\n");
    refused(CLM_E_FORMAT, "test.csv", "filename,label");
}
END_TEST

START_TEST(cifar_fs) {
    flat("data/apple/1.png", 1);
    flat("data/bear/1.png", 2);
    flat("data/chair/1.png", 3);
    flat("data/chair/2.png", 4);
    clm_test_write_text(directory, "splits/bertinetto/train.txt", "chair\napple\n");
    clm_test_write_text(directory, "splits/bertinetto/val.txt", "\nbear\r\n");
    clm_source *source = opened(&options);
    check_classes(source, 2, 1, 0);
    ck_assert_str_eq(class_name(source, CLM_SPLIT_TRAIN, 1), "chair");
    ck_assert(first_pixel(source, CLM_SPLIT_TRAIN, 1, 1) == 4.0f / 255.0f);
    clm_source_free(source);
    clm_test_write_text(directory, "splits/bertinetto/test.txt", "bear\nlynx\n");
    refused(CLM_E_FORMAT, "test.txt: line 2 names the class lynx", "data/lynx");
    clm_test_write_text(directory, "splits/bertinetto/test.txt", "apple\napple\n");
    refused(CLM_E_FORMAT, "line 2", "a second time");
    clm_test_write_text(directory, "splits/other/test.txt", "apple\n");
    refused(CLM_E_FORMAT, "splits: holds 2 folders", "keep the one");
}
END_TEST

START_TEST(what_makes_no_sense_is_refused) {
    refused(CLM_E_FORMAT, directory, "train/");
    flat("1.png", 1);
    refused(CLM_E_FORMAT, "1 pictures are in no class", "folder of their own");
    flat("train/a/1.png", 1);
    options.strict = true;
    clm_test_write_text(directory, "train/a/2.jpg", "no photograph");
    refused(CLM_E_FORMAT, "2.jpg (not a PNG, JPEG", "remove");
    clm_test_write_text(directory, "train/a/2.jpg", "\xff\xd8\xff\xe0 and then nothing");
    refused(CLM_E_FORMAT, "2.jpg (a damaged JPEG picture", "remove");
    options.strict = false;
    flat("train/a/2.jpg", 1); /* what a file is, it says itself */
    clm_source_free(opened(&options));
    options.class_split[0] = 1;
    refused(CLM_E_ARG, "split already", "leave it out");
    options.class_split[0] = 0;
    options.size = 3;
    refused(CLM_E_ARG, "3x3", "4 to");
    options.size = 8;
    options.channels = 2;
    refused(CLM_E_ARG, "2 channels", "1, 3");
    options.version = 9;
    refused(CLM_E_ARG, "version 9", "INIT");
}
END_TEST

/* ---- preparation ---- */

START_TEST(colour_is_kept) { /* red and green of equal luma */
    float x[3 * 64];
    clm_images images;
    clm_test_write_flat(directory, "train/red/1.png", 9, 150, 0, 0);
    clm_test_write_flat(directory, "train/green/1.png", 9, 0, 76, 2);
    flat("train/grey/1.png", 45);
    clm_source *source = opened(&options);
    const clm_shape shape = clm_source_example_shape(source);
    ck_assert(shape.rank == 3 && shape.dim[0] == 3 && shape.dim[1] == 8 && shape.dim[2] == 8);
    DESCRIBES(source, "colour");
    TELLS(source, "1 of 3 pictures are grey");
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, 2, 0, x));
    ck_assert(x[0] == 150.0f / 255.0f && x[64] == 0 && x[128] == 0);
    ck_assert(clm_source_images(source, &images) && images.channels == 3 && images.bytes[0] == 0 && images.bytes[64] == 76);
    clm_source_free(source);
    options.channels = 1;
    source = opened(&options);
    ck_assert_int_eq(clm_source_example_shape(source).dim[0], 1);
    DESCRIBES(source, "made grey");
    TELLS(source, "2 of 3 pictures are in colour; only brightness is used");
    for (size_t i = 0; i < 3; i++) ck_assert(first_pixel(source, CLM_SPLIT_TRAIN, i, 0) == 45.0f / 255.0f);
    clm_source_free(source);
}
END_TEST

START_TEST(grey_is_found) { /* colour files without colours: the same with channels chosen and not */
    clm_test_write_flat(directory, "train/a/1.png", 9, 100, 104, 98);
    clm_test_write_flat(directory, "train/b/1.png", 9, 7, 7, 7);
    clm_source *source = opened(&options);
    ck_assert_int_eq(clm_source_example_shape(source).dim[0], 1);
    const float found = first_pixel(source, CLM_SPLIT_TRAIN, 0, 0), black = first_pixel(source, CLM_SPLIT_TRAIN, 1, 0);
    clm_source_free(source);
    options.channels = 1;
    source = opened(&options);
    ck_assert(first_pixel(source, CLM_SPLIT_TRAIN, 0, 0) == found && first_pixel(source, CLM_SPLIT_TRAIN, 1, 0) == black);
    clm_source_free(source);
}
END_TEST

START_TEST(normalised) {
    float x[3 * 64];
    clm_test_write_flat(directory, "train/a/1.png", 9, 255, 0, 100);
    clm_test_write_flat(directory, "train/b/1.png", 9, 51, 0, 200);
    clm_test_write_flat(directory, "test/b/1.png", 9, 0, 255, 0); /* does not count */
    options.normalise = CLM_NORMALISE_IMAGENET;
    clm_source *source = opened(&options);
    DESCRIBES(source, "normalised as ImageNet");
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, 0, 0, x));
    ck_assert_double_eq_tol(x[0], (1 - 0.485) / 0.229, 1e-6);
    ck_assert_double_eq_tol(x[64], -0.456 / 0.224, 1e-6);
    ck_assert_double_eq_tol(x[128], (100 / 255.0 - 0.406) / 0.225, 1e-6);
    clm_source_free(source);
    options.normalise = CLM_NORMALISE_DATASET;
    source = opened(&options);
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, 0, 0, x));
    ck_assert_double_eq_tol(x[0], 1, 1e-6); /* one deviation above the mean */
    ck_assert_double_eq_tol(x[64], 0, 1e-6);
    ck_assert_double_eq_tol(x[128], -1, 1e-6);
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TEST, 0, 0, x));
    ck_assert_double_eq_tol(x[64], 1, 1e-6);
    clm_source_free(source);
}
END_TEST

static bool count_calls(void *context, size_t done, size_t total) {
    int *calls = context;
    ck_assert_uint_le(done, total);
    return ++*calls < 100;
}

static bool stop_at_once(void *context, size_t done, size_t total) {
    (void)context, (void)done, (void)total;
    return false;
}

START_TEST(threads_change_nothing) {
    char name[64];
    clm_images images;
    int calls = 0;
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "train/c%d/%d.png", i % 7, i);
        flat(name, 4 * i);
    }
    uint8_t *first = NULL;
    options.progress = count_calls;
    options.context = &calls;
    for (int threads = 1; threads <= 5; threads += 2) {
        options.threads = threads;
        clm_source *source = opened(&options);
        ck_assert(clm_source_images(source, &images));
        const size_t bytes = images.count * 64;
        if (!first) first = memcpy(malloc(bytes), images.bytes, bytes);
        ck_assert_mem_eq(first, images.bytes, bytes);
        clm_source_free(source);
    }
    ck_assert_int_ge(calls, 3); /* each was told of the end */
    free(first);
    options.progress = stop_at_once;
    refused(CLM_E_STATE, directory, "stopped");
    options.progress = NULL;
    clm_test_write_text(directory, "train/c3/x.png", "1");
    clm_test_write_text(directory, "train/c5/x.png", "2");
    options.strict = true;
    for (int i = 0; i < 5; i++)
        refused(CLM_E_FORMAT, "train/c3: 1 of 10 pictures is left out: x.png (not a PNG", "train/c5: 1 of 9");
}
END_TEST

/* ---- the cache ---- */

static char *only_entry(void) {
    char **names = NULL, *place = clm_path_join(directory, "cache/pictures"), *path = NULL;
    size_t count = 0;
    CLM_TEST_OK(clm_directory_list(place, &names, &count));
    ck_assert_uint_eq(count, 1);
    path = clm_path_join(place, names[0]);
    clm_names_free(names, count);
    free(place);
    return path;
}

START_TEST(prepared_pictures_are_kept) {
    char *cache = clm_path_join(directory, "cache"), *data = clm_path_join(directory, "data"), *bytes = NULL;
    clm_source *source = NULL;
    int calls = 0;
    size_t size;
    unsetenv("CLMAML_NO_CACHE");
    setenv("CLMAML_CACHE_DIR", cache, 1);
    flat("data/train/a/1.png", 50);
    clm_test_write_flat(directory, "data/train/a/2.png", 9, 1, 2, 200);
    options.progress = count_calls;
    options.context = &calls;
    for (int k = 0; k < 4; k++) { /* made, taken, damaged: made again, cut: made again */
        const int before = calls;
        CLM_TEST_OK(clm_source_folder_open(&source, data, &options));
        ck_assert_int_eq(calls > before, k != 1);
        ck_assert(first_pixel(source, CLM_SPLIT_TRAIN, 0, 0) == 50.0f / 255.0f);
        DESCRIBES(source, "colour");
        TELLS(source, "1 of 2 pictures are grey");
        clm_source_free(source);
        char *path = only_entry();
        CLM_TEST_OK(clm_file_read(path, &bytes, &size));
        ck_assert_uint_eq(size, 64 + 2 * 3 * 64);
        if (k == 1) bytes[100] ^= 1;
        if (k) CLM_TEST_OK(clm_file_write(path, bytes, k == 2 ? size - 1 : size));
        free(bytes);
        free(path);
    }
    flat("data/train/a/1.png", 60); /* another time, if not another size */
    CLM_TEST_OK(clm_source_folder_open(&source, data, &options));
    ck_assert(first_pixel(source, CLM_SPLIT_TRAIN, 0, 0) == 60.0f / 255.0f);
    clm_source_free(source);
    options.invert = true;
    CLM_TEST_OK(clm_source_folder_open(&source, data, &options));
    ck_assert(first_pixel(source, CLM_SPLIT_TRAIN, 0, 0) == 195.0f / 255.0f);
    clm_source_free(source);
    free(cache);
    free(data);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("folders");
    TCase *tc = tcase_create("folders");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, split_folders);
    tcase_add_test(tc, unsplit_folders);
    tcase_add_test(tc, what_is_below_a_class_belongs_to_it);
    tcase_add_test(tc, folders_of_classes);
    tcase_add_test(tc, miniimagenet);
    tcase_add_test(tc, cifar_fs);
    tcase_add_test(tc, what_makes_no_sense_is_refused);
    tcase_add_test(tc, shared_between_splits);
    tcase_add_test(tc, shared_between_classes);
    tcase_add_test(tc, shared_in_a_whole);
    tcase_add_test(tc, names_in_notes);
    tcase_add_test(tc, classes_in_two_splits);
    tcase_add_test(tc, colour_is_kept);
    tcase_add_test(tc, grey_is_found);
    tcase_add_test(tc, normalised);
    tcase_add_test(tc, threads_change_nothing);
    tcase_add_test(tc, prepared_pictures_are_kept);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
