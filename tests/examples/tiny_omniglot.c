/* Writes a small stand-in for Omniglot's two zip files into a directory: data for examples/omniglot.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/pictures.h"

static const char *directory;

START_TEST(tiny_omniglot) { clm_test_write_small_omniglot(directory); }
END_TEST

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return EXIT_FAILURE;
    }
    directory = argv[1];
    Suite *suite = suite_create("examples");
    TCase *tests = tcase_create("data");
    tcase_set_timeout(tests, 0); /* a busy machine takes its time */
    tcase_add_test(tests, tiny_omniglot);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite); /* the helpers assert, which works inside a test alone */
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
