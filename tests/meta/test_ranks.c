/* A meta-batch shared out to ranks: the bits of one process, for any number of ranks and of devices of one kind; ranks that differ, fail
 * and are too many. The ranks are threads (support/ranks.h); tests/mpi has processes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "comm/comm.h"
#include "device/backend.h"
#include "meta/internal.h"
#include "support/meta_setup.h"
#include "support/ranks.h"
#include "support/run.h"

enum { TASKS = 7, STEPS = 3, MOST_RANKS = 4 };

static const struct {
    clm_test_net net;
    int algorithm, steps, chunk;
    clm_checkpointing checkpointing;
    const char *rule;
} rows[] = {
    {CLM_TEST_NET_REGRESSION, 0, 2, 0, CLM_CHECKPOINT_STORE, "adam"},
    {CLM_TEST_NET_CONV, 2, 1, 0, CLM_CHECKPOINT_STORE, "adam"},
    {CLM_TEST_NET_REGRESSION, 3, 3, 0, CLM_CHECKPOINT_RECOMPUTE, "sgd"},
    {CLM_TEST_NET_CLASSES, 4, 2, 1, CLM_CHECKPOINT_STORE, "momentum"},
    {CLM_TEST_NET_CONV, 5, 1, 0, CLM_CHECKPOINT_RECOMPUTE, "adamw"},
    {CLM_TEST_NET_DROPOUT, 0, 1, 0, CLM_CHECKPOINT_STORE, "sgd"},
};
enum { ROWS = sizeof rows / sizeof *rows };

static clm_meta_options options_of_row(int row) {
    clm_meta_options o = clm_test_options(rows[row].net, &clm_test_algorithms[rows[row].algorithm], TASKS, rows[row].steps);
    o.checkpointing = rows[row].checkpointing;
    o.task_chunk = rows[row].chunk;
    o.optim.rule = rows[row].rule;
    o.both_orders = !o.task.first_order;
    return o;
}

/* The first of them are tried on OpenCL as well, where programs take long to build. */
enum { OPENCL_ROWS = 2 };

/* What a process ends with. */
typedef struct outcome {
    clm_test_vector gradient, values;
    clm_meta_report report;
} outcome;

static void outcome_free(outcome *o) {
    clm_test_vector_free(&o->gradient);
    clm_test_vector_free(&o->values);
}

/* devices: how many each rank opens; kind: 0 the host, 1 OpenCL, 2 OpenCL on odd ranks. */
typedef struct job {
    int row, kind, devices;
    outcome outcome[MOST_RANKS];
} job;

static clm_batch part_of(const clm_test_batch *whole, int first) {
    const float *at[4];
    for (int i = 0; i < 4; i++) at[i] = whole->data[i] + whole->count[i] / TASKS * (size_t)first;
    return (clm_batch){.support_x = at[0], .support_y = at[1], .query_x = at[2], .query_y = at[3]};
}

static void work(void *user, clm_comm *comm) {
    job *j = user;
    const int rank = clm_comm_rank(comm);
    clm_model *model = clm_test_model(rows[j->row].net);
    clm_meta_options options = options_of_row(j->row);
    clm_test_batch batch = clm_test_batch_make(model, &options, 5);
    clm_meta_share share[2] = {{0}};
    clm_meta *meta = NULL;
    int first, tasks;
    options.comm = comm;
    clm_comm_share(comm, TASKS, &first, &tasks);
    for (int i = 0; i < j->devices; i++) {
        share[i].device = clm_test_open(j->kind == 2 ? rank % 2 : j->kind);
        share[i].tasks = j->devices == 1 ? tasks : i ? tasks / 2 : tasks - tasks / 2;
    }
    CLM_TEST_OK(clm_meta_create_on(&meta, share, (size_t)j->devices, model, &options));
    clm_meta_set_dropout_seed(meta, 9);
    clm_test_randomise(meta, model, &options, rank ? 77 : 3);
    if (comm) CLM_TEST_OK(clm_meta_share_out(meta));
    const clm_batch own = part_of(&batch, first);
    outcome *o = &j->outcome[rank];
    CLM_TEST_OK(clm_meta_gradient(meta, &own));
    o->gradient = clm_test_gradient(meta, model);
    for (int s = 0; s < STEPS; s++) CLM_TEST_OK(clm_meta_step(meta, &own, &o->report));
    ck_assert_uint_eq(clm_meta_iteration(meta), STEPS);
    o->values = clm_test_values(meta, model);
    clm_meta_free(meta);
    for (int i = 0; i < j->devices; i++) clm_device_close(share[i].device);
    clm_test_batch_free(&batch);
    clm_model_free(model);
}

static void expect_same(const outcome *a, const outcome *b) {
    clm_test_expect_same(&a->gradient, &b->gradient, "gradient");
    clm_test_expect_same(&a->values, &b->values, "values");
    ck_assert(memcmp(&a->report, &b->report, sizeof a->report) == 0);
}

/* Without a communicator; then on 1 to 4 ranks, with one device each and with two. */
START_TEST(bits_do_not_depend_on_ranks) {
    const int row = _i % ROWS, kind = _i / ROWS;
    job alone = {.row = row, .kind = kind, .devices = 1};
    setenv("CLMAML_CPU_PARTS", "1", 1);
    work(&alone, NULL);
    for (int devices = 1; devices <= 2; devices++)
        for (int size = 1; size <= (kind == 0 ? MOST_RANKS : 4 - devices); size += kind ? 2 / devices : 1) {
            job j = {.row = row, .kind = kind, .devices = devices};
            clm_test_ranks_run(size, 100, work, &j);
            for (int r = 0; r < size; r++) {
                expect_same(&alone.outcome[0], &j.outcome[r]);
                outcome_free(&j.outcome[r]);
            }
        }
    outcome_free(&alone.outcome[0]);
}
END_TEST

/* A CPU in parts has the sums of no parts. */
START_TEST(bits_do_not_depend_on_parts_of_a_cpu) {
    job j[2] = {{.row = 1, .kind = 1, .devices = 1}, {.row = 1, .kind = 1, .devices = 1}};
    setenv("CLMAML_CPU_PARTS", "2", 1);
    clm_test_ranks_run(1, 100, work, &j[0]);
    setenv("CLMAML_CPU_PARTS", "1", 1);
    clm_test_ranks_run(2, 100, work, &j[1]);
    expect_same(&j[0].outcome[0], &j[1].outcome[0]);
    outcome_free(&j[0].outcome[0]);
    for (int r = 0; r < 2; r++) outcome_free(&j[1].outcome[r]);
}
END_TEST

/* Devices that round differently: the same bits each time, and parameters that do not drift apart. */
START_TEST(mixed_devices_repeat_their_bits) {
    job j[2] = {{.row = 0, .kind = 2, .devices = 1}, {.row = 0, .kind = 2, .devices = 1}};
    for (int i = 0; i < 2; i++) clm_test_ranks_run(2, 100, work, &j[i]);
    for (int r = 0; r < 2; r++) {
        clm_test_expect_same(&j[0].outcome[r].gradient, &j[1].outcome[r].gradient, "gradient");
        clm_test_expect_close(&j[0].outcome[0].values, &j[1].outcome[r].values, 1e-6, "values");
        clm_test_expect_same(&j[0].outcome[r].values, &j[1].outcome[r].values, "values");
    }
    for (int i = 0; i < 2; i++)
        for (int r = 0; r < 2; r++) outcome_free(&j[i].outcome[r]);
}
END_TEST

/* ---- what goes wrong ---- */

static void differ(void *user, clm_comm *comm) {
    char *said = user;
    clm_model *model = clm_test_model(CLM_TEST_NET_REGRESSION);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_REGRESSION, NULL, TASKS, 1);
    clm_device *device = clm_test_open(0);
    clm_meta *meta = NULL;
    options.comm = comm;
    if (clm_comm_rank(comm) == 2) options.optim.average = 0.75;
    ck_assert_int_eq(clm_meta_create(&meta, device, model, &options), CLM_E_STATE);
    ck_assert_ptr_null(meta);
    strcpy(said + 512 * clm_comm_rank(comm), clm_last_error());
    clm_device_close(device);
    clm_model_free(model);
}

START_TEST(ranks_that_differ_are_told) {
    char said[3][512];
    clm_test_ranks_run(3, 100, differ, said);
    for (int r = 0; r < 3; r++) {
        ck_assert_msg(strstr(said[r], "rank 2 on h2 has other settings than rank 0 on h0: average 0.75 there"), "%s", said[r]);
        ck_assert_ptr_nonnull(strstr(said[r], "average 0 on rank 0"));
    }
}
END_TEST

static void too_many(void *user, clm_comm *comm) {
    clm_model *model = clm_test_model(CLM_TEST_NET_REGRESSION);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_REGRESSION, NULL, 2, 1);
    clm_device *device = clm_test_open(0);
    clm_meta *meta = NULL;
    (void)user;
    options.comm = comm;
    const clm_status status = clm_meta_create(&meta, device, model, &options);
    if (clm_comm_rank(comm) == 2) {
        ck_assert_int_eq(status, CLM_E_ARG);
        ck_assert_msg(strstr(clm_last_error(), "3 ranks for the 2 tasks"), "%s", clm_last_error());
    } else {
        ck_assert_int_ne(status, CLM_OK);
    }
    clm_comm_abort(comm, 1);
    clm_device_close(device);
    clm_model_free(model);
}

START_TEST(more_ranks_than_tasks_are_too_many) { clm_test_ranks_run(3, 20, too_many, NULL); }
END_TEST

static void be_silent(void *user, clm_comm *comm) {
    int number = 0;
    (void)user;
    if (clm_comm_rank(comm) == 0) return;
    ck_assert_int_eq(clm_comm_broadcast(comm, &number, sizeof number), CLM_E_IO);
    ck_assert_msg(strstr(clm_last_error(), "rank 1 on h1: nothing came from rank 0"), "%s", clm_last_error());
}

START_TEST(no_wait_is_endless) { clm_test_ranks_run(2, 0.2, be_silent, NULL); }
END_TEST

/* ---- the calls themselves ---- */

enum { NUMBERS = 100000, TERMS = 3 };

static void add_terms(const void *user, size_t from, size_t n, void *sum) {
    const int rank = *(const int *)user;
    for (size_t i = 0; i < n; i++)
        for (int t = 0; t < TERMS; t++) ((float *)sum)[i] += 1.0f / (float)(1 + (from + i) % 97 + (size_t)(rank * TERMS + t));
}

static void call_all(void *user, clm_comm *comm) {
    const int rank = clm_comm_rank(comm), size = clm_comm_size(comm);
    int number = rank == 0 ? 42 : 0, all[CLM_TEST_RANKS_MOST];
    (void)user;
    CLM_TEST_OK(clm_comm_broadcast(comm, &number, sizeof number));
    ck_assert_int_eq(number, 42);
    number += rank;
    CLM_TEST_OK(clm_comm_all_gather(comm, &number, sizeof number, all));
    for (int r = 0; r < size; r++) ck_assert_int_eq(all[r], 42 + r);
    CLM_TEST_OK(clm_comm_agree(comm, "words", "one\ntwo\n"));
    float *sum = malloc(NUMBERS * sizeof *sum);
    CLM_TEST_OK(clm_comm_sum(comm, sum, NUMBERS, sizeof *sum, add_terms, &rank));
    for (size_t i = 0; i < NUMBERS && rank == 0; i++) {
        float expected = 0;
        for (int t = 0; t < TERMS * size; t++) expected += 1.0f / (float)(1 + i % 97 + (size_t)t);
        ck_assert(memcmp(&expected, &sum[i], sizeof expected) == 0);
    }
    free(sum);
    int first, count, before = 0;
    clm_comm_share(comm, 17, &first, &count);
    for (int r = 0; r < rank; r++) before += 17 / size + (r < 17 % size);
    ck_assert_int_eq(first, before);
    ck_assert_int_eq(count, 17 / size + (rank < 17 % size));
}

START_TEST(collective_calls) {
    for (int size = 1; size <= CLM_TEST_RANKS_MOST; size++) clm_test_ranks_run(size, 100, call_all, NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ranks");
    TCase *tc = tcase_create("ranks");
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, collective_calls);
    tcase_add_loop_test(tc, bits_do_not_depend_on_ranks, 0, ROWS);
    tcase_add_loop_test(tc, bits_do_not_depend_on_ranks, ROWS, ROWS + OPENCL_ROWS);
    tcase_add_test(tc, bits_do_not_depend_on_parts_of_a_cpu);
    tcase_add_test(tc, mixed_devices_repeat_their_bits);
    tcase_add_test(tc, ranks_that_differ_are_told);
    tcase_add_test(tc, more_ranks_than_tasks_are_too_many);
    tcase_add_test(tc, no_wait_is_endless);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
