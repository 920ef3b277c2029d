/* Training runs in which a loss is not finite: such an update is not made, and ends the run or is left out and counted; a resumed run
 * leaves out the same ones, and so do several processes; and where nothing is finite, the run ends after all. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/ranks.h"
#include "support/train_runs.h"

/* Training tasks of this iteration that hold the first class. */
static bool is_poisoned(uint64_t iteration) {
    const float sick = poison;
    float x[WAYS * 2 * FEATURES];
    bool found = false;
    poison = 1e10f; /* which can be drawn */
    for (uint64_t task = 2 * iteration; task < 2 * iteration + 2; task++) {
        CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TRAIN, options.seed, task, WAYS, 2, 3, x, NULL, NULL, NULL));
        for (int i = 0; i < WAYS * 2; i++) found = found || x[i * FEATURES] == poison;
    }
    poison = sick;
    return found;
}

START_TEST(what_is_not_finite_is_left_out) {
    clm_train_result result;
    uint64_t expected = 0, first_one = UINT64_MAX;
    poison = INFINITY;
    for (uint64_t i = 0; i < ITERATIONS; i++) {
        if (!is_poisoned(i)) continue;
        expected++;
        if (first_one == UINT64_MAX) first_one = i;
    }
    ck_assert(expected > 0 && expected < ITERATIONS);
    device = clm_test_open(_i);
    CLM_TEST_FAILS(clm_train(device, source, model, &options, NULL, &result), CLM_E_NUMERIC);
    SAYS("not finite");
    SAYS("points: number 0 of example ");
    SAYS("of class 0 of the train split is inf");
    ck_assert_ptr_null(strstr(clm_last_error(), "inner_lr")); /* which is not at fault */
    ck_assert_uint_eq(heard.iteration, first_one);
    options.on_nan = CLM_ON_NAN_SKIP;
    result = run_in("whole", false);
    ck_assert(result.iteration == ITERATIONS && result.skipped == expected);
    ck_assert_ptr_nonnull(strstr(heard.remark, "is left out"));
    for (size_t i = 0; i < heard.count; i++) {
        const clm_train_row *row = &heard.rows[i];
        if (row->kind != CLM_ROW_TRAIN) continue;
        ck_assert_int_eq(isfinite(row->value[CLM_METRIC_LOSS]) != 0, !is_poisoned(row->iteration - 1));
        expected -= is_poisoned(ITERATIONS - row->iteration);
    }
    ck_assert_uint_eq(expected, 0);
    ck_assert(heard.rows[heard.count - 1].value[CLM_METRIC_SKIPPED] == (double)result.skipped);
    for (uint64_t at = first_one + 1; at < first_one + 3; at++) { /* behind one that was left out, and after another */
        char name[16];
        snprintf(name, sizeof name, "halves%d", (int)at);
        heard.stop_at = at;
        ck_assert(run_in(name, false).stopped);
        heard.stop_at = 0;
        ck_assert_uint_eq(run_in(name, true).skipped, result.skipped);
        same_run("whole", name);
    }
}
END_TEST

START_TEST(nothing_finite_stops) { /* every task holds the first class */
    clm_train_result result;
    poison = INFINITY;
    classes_of[0] = WAYS;
    device = clm_test_open_host();
    options.on_nan = CLM_ON_NAN_SKIP;
    options.iterations = 1000;
    options.log_every = 1000;
    options.validate_every = 1000;
    CLM_TEST_FAILS(clm_train(device, source, model, &options, NULL, &result), CLM_E_NUMERIC);
    SAYS("iteration 101: ");
    SAYS("the 100 iterations before it were left out as well");
}
END_TEST

/* ---- several processes: threads (support/ranks.h), of which one alone sees what is not finite ---- */

enum { RANKS = 2 };

typedef struct shared_run {
    clm_train_options options;
    told heard[RANKS];
    clm_status status[RANKS];
    clm_train_result result[RANKS];
    char said[RANKS][512];
} shared_run;

static void train_on_rank(void *user, clm_comm *comm) {
    shared_run *run = user;
    const int rank = clm_comm_rank(comm);
    clm_train_options own = run->options;
    clm_device *one = clm_test_open_host();
    own.meta.comm = comm;
    own.user = &run->heard[rank];
    run->status[rank] = clm_train(one, source, model, &own, NULL, &run->result[rank]);
    snprintf(run->said[rank], sizeof run->said[rank], "%s", run->status[rank] == CLM_OK ? "" : clm_last_error());
    if (run->status[rank] != CLM_OK) clm_comm_abort(comm, 1);
    clm_device_close(one);
}

static void run_on_ranks(shared_run *run, const char *name, bool resume, uint64_t stop_at) {
    char *path = clm_path_join(directory, name);
    memset(run, 0, sizeof *run);
    run->options = options;
    run->options.directory = path;
    run->options.resume = resume;
    run->heard[0].stop_at = stop_at;
    clm_test_ranks_run(RANKS, 100, train_on_rank, run);
    free(path);
}

/* The tasks of a row, or none, are evaluated before the update: then all ranks know of the data earlier. */
START_TEST(ranks_leave_out_the_same) {
    shared_run *run = malloc(sizeof *run);
    poison = INFINITY;
    device = clm_test_open_host();
    options.log_every = _i ? ITERATIONS : 1;
    options.on_nan = CLM_ON_NAN_SKIP;
    const clm_train_result alone = run_in("alone", false);
    ck_assert(alone.skipped > 0 && alone.skipped < ITERATIONS);
    run_on_ranks(run, "ranks", false, 0);
    for (int r = 0; r < RANKS; r++) {
        ck_assert_msg(run->status[r] == CLM_OK, "rank %d: %s", r, run->said[r]);
        ck_assert_uint_eq(run->result[r].skipped, alone.skipped);
        ck_assert_str_eq(run->heard[r].remark, heard.remark);
    }
    same_run("alone", "ranks");
    for (uint64_t at = 1; at < 4; at++) { /* begun by one and by several, on with the others */
        char name[16];
        snprintf(name, sizeof name, "halves%d", (int)at);
        if (at % 2) {
            run_on_ranks(run, name, false, at);
            ck_assert(run->status[0] == CLM_OK && run->result[0].stopped);
            run_in(name, true);
        } else {
            heard.stop_at = at;
            ck_assert(run_in(name, false).stopped);
            heard.stop_at = 0;
            run_on_ranks(run, name, true, 0);
            ck_assert_msg(run->status[0] == CLM_OK, "%s", run->said[0]);
        }
        same_run("alone", name);
    }
    free(run);
}
END_TEST

/* Whoever has the data says so; what they end is the run. */
START_TEST(a_rank_says_what_ends_the_run) {
    shared_run *run = malloc(sizeof *run);
    poison = INFINITY;
    options.log_every = _i ? ITERATIONS : 1;
    run_on_ranks(run, "ranks", false, 0);
    bool found = false;
    for (int r = 0; r < RANKS; r++) {
        ck_assert_int_ne(run->status[r], CLM_OK);
        found = found || (run->status[r] == CLM_E_NUMERIC && strstr(run->said[r], "iteration ") &&
                          strstr(run->said[r], "points: number 0 of example ") &&
                          strstr(run->said[r], "of class 0 of the train split is inf"));
    }
    ck_assert_msg(found, "%s; %s", run->said[0], run->said[1]);
    free(run);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("not finite");
    TCase *tcase = tcase_create("not finite");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, what_is_not_finite_is_left_out, 0, CLM_TEST_DEVICES);
    tcase_add_test(tcase, nothing_finite_stops);
    tcase_add_loop_test(tcase, ranks_leave_out_the_same, 0, 2);
    tcase_add_loop_test(tcase, a_rank_says_what_ends_the_run, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
