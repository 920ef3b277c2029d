/* What is left out of folders of pictures, and said of it: files that are no pictures, pictures that cannot be read, with `strict`
 * and without. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/memory.h"
#include "clmaml/data.h"
#include "support/folder_setup.h"
#include "support/photos.h"
#include "support/pictures.h"
#include "support/run.h"

START_TEST(what_is_left_out_is_said) {
    flat("train/a/1.png", 1);
    flat("train/stray.png", 1);
    flat("more/a/1.png", 1);
    clm_test_write_text(directory, "train/b/.DS_Store", "x");
    clm_test_write_text(directory, "train/a/Thumbs.db", "x");
    clm_test_write_text(directory, "train/a/notes.txt", "x");
    clm_test_write_text(directory, "train/.hidden/1.png", "x");
    clm_source *source = opened(&options);
    check_classes(source, 1, 0, 0);
    TELLS(source, "train/b: a folder without pictures");
    TELLS(source, "train: 1 picture is outside any class (train/stray.png)");
    TELLS(source, "more/: no name of a split");
    TELLS(source, "train/a: 1 file is no picture (notes.txt)");
    ck_assert_ptr_null(strstr(clm_source_notes(source), "DS_Store"));
    ck_assert_ptr_null(strstr(clm_source_notes(source), "Thumbs"));
    ck_assert_ptr_null(strstr(clm_source_notes(source), "hidden"));
    clm_source_free(source);
    options.strict = true; /* names them all */
    refused(CLM_E_FORMAT,
            "strict refuses 4 things that would be left out: train/a: 1 file is no picture (notes.txt); train/b: a",
            "; train: 1 picture is outside any class (train/stray.png); more/: no name of a split");
}
END_TEST

START_TEST(what_is_left_out_is_bounded) {
    char name[64];
    flat("train/a/1.png", 1);
    flat("stray.png", 1);
    for (int i = 0; i < 14; i++) {
        snprintf(name, sizeof name, "train/a/b%02d/x.txt", i);
        clm_test_write_text(directory, name, "x");
        snprintf(name, sizeof name, "train/c%02d/.keep", i);
        clm_test_write_text(directory, name, "x");
        snprintf(name, sizeof name, "class%02d/1.png", i);
        flat(name, 1);
    }
    clm_source *source = opened(&options);
    TELLS(source, "train/a/b09: 1 file is no picture");
    TELLS(source, "and 4 more folders with files that are no pictures");
    TELLS(source, "train/c09: a folder without pictures");
    TELLS(source, "and 4 more folders without pictures");
    TELLS(source, "class00/, class01/, class02/, class03/ and 10 more: no names of a split");
    TELLS(source, "1 picture beside the splits is in no class (stray.png)");
    ck_assert_ptr_null(strstr(clm_source_notes(source), "b10"));
    ck_assert_ptr_null(strstr(clm_source_notes(source), "class04"));
    clm_source_free(source);
    options.strict = true;
    refused(CLM_E_FORMAT, "strict refuses 30 things", "; and 8 more");
}
END_TEST

START_TEST(other_pictures_are_left_out) {
    static const char *const names[] = {"heic", "heif", "avif", "pnm", "jp2", "jxl", "svg", "TIF"};
    flat("train/a/1.png", 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64];
        snprintf(name, sizeof name, "train/a/2.%s", names[i]);
        clm_test_write_text(directory, name, "x");
        clm_source *source = opened(&options);
        TELLS(source, "1 of 2 pictures are read, 1 is left out");
        TELLS(source, "train/a: 1 of 2 pictures is left out: 2.");
        TELLS(source, name + strlen("train/a/"));
        TELLS(source, "convert it to PNG");
        clm_source_free(source);
        options.strict = true;
        refused(CLM_E_FORMAT, name + strlen("train/a/"), "convert it to PNG");
        options.strict = false;
        char *path = clm_path_join(directory, name);
        CLM_TEST_OK(clm_file_remove(path));
        free(path);
    }
    char *path = clm_path_join(directory, "train/a/1.png");
    CLM_TEST_OK(clm_file_remove(path));
    free(path);
    clm_test_write_text(directory, "train/a/2.heic", "x");
    refused(CLM_E_FORMAT, "none of its 1 picture can be read", "train/a/2.heic: of a kind that is not read");
}
END_TEST

/* What cannot be had is passed over and named, class by class, and the rest is what it would be without it: also from the cache. */
START_TEST(damaged_pictures_are_left_out) {
    char *cache = clm_path_join(directory, "cache"), *data = clm_path_join(directory, "data"), *gone = NULL, *lines = NULL;
    unsetenv("CLMAML_NO_CACHE");
    setenv("CLMAML_CACHE_DIR", cache, 1);
    flat("data/train/a/1.png", 10);
    clm_test_write_text(directory, "data/train/a/2.png", "1");
    flat("data/train/a/3.png", 30);
    clm_test_write_text(directory, "data/train/b/1.png", "");
    flat("data/train/b/2.png", 50);
    clm_test_write_text(directory, "data/train/b/3.jpg", "\xff\xd8\xff\xe0 and then nothing");
    clm_test_write_text(directory, "data/train/c/1.png", "2");
    gone = clm_path_join(data, "train/b/4.png");
    ck_assert_int_eq(symlink("/nowhere", gone), 0);
    for (int k = 0; k < 4; k++) { /* made, taken, its list damaged: made again, taken */
        clm_source *source = NULL;
        options.threads = k + 1;
        CLM_TEST_OK(clm_source_folder_open(&source, data, &options));
        check_classes(source, 2, 0, 0);
        ck_assert_uint_eq(clm_source_examples(source, CLM_SPLIT_TRAIN, 0), 2);
        ck_assert_uint_eq(clm_source_examples(source, CLM_SPLIT_TRAIN, 1), 1);
        ck_assert(first_pixel(source, CLM_SPLIT_TRAIN, 0, 1) == 30.0f / 255.0f);
        ck_assert(first_pixel(source, CLM_SPLIT_TRAIN, 1, 0) == 50.0f / 255.0f);
        DESCRIBES(source, "3 images of 2 classes, grey");
        TELLS(source, "3 of 8 pictures are read, 5 are left out");
        TELLS(source, "train/a: 1 of 3 pictures is left out: 2.png (not a PNG, JPEG");
        TELLS(source, "train/b: 3 of 4 pictures are left out: ");
        TELLS(source, "3.jpg (a damaged JPEG picture");
        TELLS(source, "1.png (an empty file; replace or remove it)");
        TELLS(source, "4.png (cannot examine it: No such file or directory; make it readable or remove it)");
        TELLS(source, "train/c: 1 of 1 pictures is left out, and so there is no such class: 1.png");
        clm_source_free(source);
        char **names = NULL, *place = clm_path_join(cache, "pictures"), *list = NULL;
        size_t count = 0;
        CLM_TEST_OK(clm_directory_list(place, &names, &count));
        ck_assert_uint_eq(count, 2);
        list = clm_path_join(place, names[1]);
        CLM_TEST_OK(clm_file_read(list, &lines, NULL));
        ck_assert_msg(strstr(lines, "1 not a PNG") == lines, "%s", lines);
        if (k == 1) CLM_TEST_OK(clm_file_write(list, "1 x\n", 4));
        free(lines);
        free(list);
        free(place);
        clm_names_free(names, count);
    }
    options.strict = true;
    clm_source *source = NULL;
    ck_assert_int_eq(clm_source_folder_open(&source, data, &options), CLM_E_FORMAT);
    SAYS("strict refuses 3 things");
    SAYS("2.png (not a PNG");
    SAYS("1.png (an empty file");
    SAYS("; train/c: 1 of 1");
    free(gone);
    free(data);
    free(cache);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("left_out");
    TCase *tc = tcase_create("left_out");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, what_is_left_out_is_said);
    tcase_add_test(tc, what_is_left_out_is_bounded);
    tcase_add_test(tc, other_pictures_are_left_out);
    tcase_add_test(tc, damaged_pictures_are_left_out);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
