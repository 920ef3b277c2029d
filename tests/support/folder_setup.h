/* Folders of pictures for the tests of what is read of them: a fixture, a directory and options, and questions about a source. Each
 * program that includes it has its own. */
#ifndef CLM_TEST_FOLDER_SETUP_H
#define CLM_TEST_FOLDER_SETUP_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/data.h"
#include "support/photos.h"
#include "support/pictures.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)
#define TELLS(source, text) \
    ck_assert_msg(strstr(clm_source_notes(source), text) != NULL, "\"%s\" lacks \"%s\"", clm_source_notes(source), text)
#define DESCRIBES(source, text)                                                                                                \
    ck_assert_msg(strstr(clm_source_description(source), text) != NULL, "\"%s\" lacks \"%s\"", clm_source_description(source), \
                  text)

static char *directory;
static clm_folder_options options;

static void set_up(void) {
    directory = clm_test_directory();
    setenv("CLMAML_NO_CACHE", "1", 1);
    options = (clm_folder_options)CLM_FOLDER_OPTIONS_INIT;
    options.size = 8;
}
static void tear_down(void) { clm_test_remove(directory); }

static clm_source *opened(const clm_folder_options *o) {
    clm_source *source = NULL;
    CLM_TEST_OK(clm_source_folder_open(&source, directory, o));
    return source;
}

static void refused(clm_status status, const char *says, const char *says_too) {
    clm_source *source = NULL;
    ck_assert_int_eq(clm_source_folder_open(&source, directory, &options), status);
    ck_assert_ptr_null(source);
    SAYS(says);
    SAYS(says_too);
    ck_assert_ptr_null(strchr(clm_last_error(), '\n'));
}

static void flat(const char *name, int grey) {
    clm_test_write_flat(directory, name, 10, (uint8_t)grey, (uint8_t)grey, (uint8_t)grey);
}

static void check_classes(const clm_source *source, size_t train, size_t validation, size_t test) {
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_TRAIN), train);
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_VALIDATION), validation);
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_TEST), test);
}

static float first_pixel(const clm_source *source, clm_split split, size_t class_index, size_t example) {
    float x[3 * 64];
    CLM_TEST_OK(clm_source_image(source, split, class_index, example, x));
    return x[0];
}

#endif
