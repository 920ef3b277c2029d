#include "support/tables.h"

#include <stdlib.h>
#include <string.h>

char *clm_test_table_directory, *clm_test_table_path;
clm_table_options clm_test_table_options;
const char *const clm_test_y[1] = {"y"}, *const clm_test_x[1] = {"x"}, *const clm_test_colour[1] = {"colour"};

void clm_test_table_begin(void) {
    clm_table_options *o = &clm_test_table_options;
    clm_test_table_directory = clm_test_directory();
    clm_test_table_path = clm_format("%s/table.csv", clm_test_table_directory);
    *o = (clm_table_options)CLM_TABLE_OPTIONS_INIT;
    o->task_column = "task";
    o->targets = clm_test_y;
    o->n_targets = 1;
    o->standardise = false;
}

void clm_test_table_end(void) {
    free(clm_test_table_path);
    clm_test_remove(clm_test_table_directory);
}

clm_source *clm_test_table_open(void) {
    clm_source *source = NULL;
    CLM_TEST_OK(clm_source_table_open(&source, clm_test_table_path, &clm_test_table_options));
    return source;
}

clm_source *clm_test_table_of(const char *text) {
    clm_test_write_text(clm_test_table_directory, "table.csv", text);
    return clm_test_table_open();
}

void clm_test_table_refused(const char *text, clm_status status, const char *says, const char *says_too) {
    clm_source *source = NULL;
    if (text) clm_test_write_text(clm_test_table_directory, "table.csv", text);
    ck_assert_int_eq(clm_source_table_open(&source, clm_test_table_path, &clm_test_table_options), status);
    ck_assert_ptr_null(source);
    SAYS(says);
    SAYS(says_too);
    if (text) SAYS(clm_test_table_path);
}

float clm_test_feature(const clm_source *source, clm_split split, size_t group, size_t example, size_t k) {
    const clm_shape shape = clm_source_example_shape(source);
    float x[64];
    ck_assert_uint_le(clm_shape_size(&shape), 64);
    CLM_TEST_OK(clm_source_image(source, split, group, example, x));
    return x[k];
}

float clm_test_target(const clm_source *source, clm_split split, size_t group, size_t example, size_t k) {
    float y[8];
    CLM_TEST_OK(source->ops->target(source, split, group, example, y));
    return y[k];
}

void clm_test_has_note(const clm_source *source, const char *text) {
    ck_assert_msg(strstr(clm_source_notes(source), text) != NULL, "\"%s\" lacks \"%s\"", clm_source_notes(source), text);
}
