/* Tables for tests: a file in a directory of its own, the options to open it with, and what comes of it. */
#ifndef CLM_TEST_TABLES_H
#define CLM_TEST_TABLES_H

#include <check.h>

#include "base/memory.h"
#include "data/source.h"
#include "support/photos.h"
#include "support/pictures.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

extern char *clm_test_table_directory, *clm_test_table_path; /* DIRECTORY/table.csv */
extern clm_table_options clm_test_table_options;
extern const char *const clm_test_y[1], *const clm_test_x[1], *const clm_test_colour[1]; /* "y", "x", "colour" */

/* Fixtures: the task column "task", the target "y", not standardised. */
void clm_test_table_begin(void);
void clm_test_table_end(void);

/* Opens the file, or one of this text. Free with clm_source_free. */
clm_source *clm_test_table_open(void);
clm_source *clm_test_table_of(const char *text);
/* Opening fails, of a file of this text (NULL: the one there is), with both texts in the message. */
void clm_test_table_refused(const char *text, clm_status status, const char *says, const char *says_too);

/* Number k of an example of a group, and of its target. */
float clm_test_feature(const clm_source *source, clm_split split, size_t group, size_t example, size_t k);
float clm_test_target(const clm_source *source, clm_split split, size_t group, size_t example, size_t k);
/* The notes have this text. */
void clm_test_has_note(const clm_source *source, const char *text);

#endif
