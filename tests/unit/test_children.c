/* Processes that work for this one: they are shells here. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/children.h"
#include "base/files.h"

enum { PATIENCE = 60 };

/* Answers every line, but what it is told to. $1: its number. */
static const char script[] =
    "while read -r what; do case $what in\n"
    "end) exit 3;; last) echo >&0; exit 4;; sleep) exec sleep 100;; file) echo $what >\"$2$1\";; esac; echo >&0; done";
static char prefix[64];

static clm_status start(clm_children **out, size_t count) {
    return clm_children_start(out, "sh", (const char *const[]){"sh", "-c", script, "sh", "{index}", prefix, NULL}, count);
}

static bool is_there(const char *name) {
    char path[96];
    snprintf(path, sizeof path, "%s%s", prefix, name);
    return clm_path_exists(path);
}

static void remove_file(const char *name) {
    char path[96];
    snprintf(path, sizeof path, "%s%s", prefix, name);
    remove(path);
}

static void expect_none_left(void) {
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

static void expect_error(clm_status status, const char *text) {
    ck_assert_int_eq(status, CLM_E_IO);
    ck_assert_msg(strstr(clm_last_error(), text) != NULL, "%s", clm_last_error());
}

START_TEST(all_answer_again_and_again) {
    clm_children *c;
    ck_assert_int_eq(start(&c, 3), CLM_OK);
    ck_assert_uint_eq(clm_children_count(c), 3);
    for (int i = 0; i < 5; i++) ck_assert_int_eq(clm_children_ask(c, "nothing", PATIENCE), CLM_OK);
    ck_assert_int_eq(clm_children_ask(c, "file", PATIENCE), CLM_OK);
    ck_assert(is_there("0") && is_there("1") && is_there("2") && !is_there("3"));
    clm_children_end(c);
    expect_none_left();
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        remove_file(name);
    }
}
END_TEST

START_TEST(one_that_ends_is_told_by_its_status) {
    clm_children *c;
    ck_assert_int_eq(start(&c, 2), CLM_OK);
    expect_error(clm_children_ask(c, "end", PATIENCE), "process 0 of sh ended with 3");
    expect_error(clm_children_ask(c, "nothing", PATIENCE), "process 0 of sh has ended before");
    clm_children_end(c);
    expect_none_left();
}
END_TEST

START_TEST(one_that_has_ended_meanwhile) {
    clm_children *c;
    ck_assert_int_eq(start(&c, 2), CLM_OK);
    ck_assert_int_eq(clm_children_ask(c, "last", PATIENCE), CLM_OK);
    for (int state, i = 0; i < 2; i++)
        ck_assert_int_gt(waitpid(-1, &state, 0), 0); /* as a program does that waits for any child */
    expect_error(clm_children_ask(c, "nothing", PATIENCE), "process 0 of sh ended with -1");
    clm_children_end(c);
    expect_none_left();
}
END_TEST

START_TEST(one_that_takes_too_long_is_killed) {
    clm_children *c;
    const double began = clm_clock();
    ck_assert_int_eq(start(&c, 2), CLM_OK);
    expect_error(clm_children_ask(c, "sleep", 0.1), "process 0 of sh ended with -1");
    clm_children_end(c);
    ck_assert_double_lt(clm_clock() - began, PATIENCE);
    expect_none_left();
}
END_TEST

START_TEST(a_program_that_is_not_there) {
    clm_children *c;
    expect_error(clm_children_start(&c, "/nothing/here", (const char *const[]){"here", NULL}, 2),
                 "/nothing/here cannot be started");
    ck_assert_ptr_null(c);
    clm_children_end(NULL);
    expect_none_left();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("children");
    TCase *c = tcase_create("children");
    snprintf(prefix, sizeof prefix, "/tmp/clmaml-children-%ld-", (long)getpid());
    tcase_set_timeout(c, 2 * PATIENCE);
    tcase_add_test(c, all_answer_again_and_again);
    tcase_add_test(c, one_that_ends_is_told_by_its_status);
    tcase_add_test(c, one_that_has_ended_meanwhile);
    tcase_add_test(c, one_that_takes_too_long_is_killed);
    tcase_add_test(c, a_program_that_is_not_there);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
