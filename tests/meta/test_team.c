/* Learners whose launches the parts of a CPU share: the same bits as when the driver shares them out, from parts that wait for one another,
 * loose, and in turn; several of them at the same time. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/thread.h"
#include "clmaml/learner.h"
#include "device/opencl/opencl.h"
#include "support/numbers.h"
#include "support/run.h"

enum { WAYS = 3, SHOTS = 2, QUERY = 4, STEPS = 3, MOST = 1 << 16 };

typedef struct use {
    clm_device *device;
    clm_model *model;
    clm_learner *learner;
    size_t example, adapted;
    float *support, *query, labels[WAYS * SHOTS];
    size_t launches; /* of an adaptation and a prediction */
    double loss, out[QUERY * WAYS], theta[MOST];
} use;

static const struct {
    const char *network;
    int channels, size, filters;
} nets[] = {{"conv4", 1, 28, 8}, {"conv4-strided", 3, 17, 16}, {"vit-tiny", 1, 16, 0}};

static void open_use(use *u, int net, const char *team) {
    clm_network_options no = CLM_NETWORK_OPTIONS_INIT;
    clm_learner_options lo = CLM_LEARNER_OPTIONS_INIT;
    memset(u, 0, sizeof *u);
    u->device = clm_test_open_opencl();
    no.in_shape = clm_shape_of(3, nets[net].channels, nets[net].size, nets[net].size);
    no.outputs = WAYS;
    no.filters = nets[net].filters;
    CLM_TEST_OK(clm_model_network(&u->model, nets[net].network, &no));
    lo.task.support = WAYS * SHOTS;
    lo.task.query = QUERY;
    lo.task.inner_lr = 0.05;
    setenv("CLMAML_CPU_TEAM", team, 1);
    CLM_TEST_OK(clm_learner_create(&u->learner, u->device, u->model, &lo));
    unsetenv("CLMAML_CPU_TEAM");
    u->example = clm_shape_size(&no.in_shape);
    u->support = malloc(WAYS * SHOTS * u->example * sizeof *u->support);
    u->query = malloc(QUERY * u->example * sizeof *u->query);
    for (size_t i = 0; i < clm_model_param_count(u->model); i++) {
        const size_t n = clm_shape_size(&clm_model_param(u->model, i)->shape);
        double *data = malloc(n * sizeof *data);
        clm_model_init_param(u->model, i, 7, data);
        CLM_TEST_OK(clm_learner_set_param(u->learner, i, data));
        free(data);
        if (u->adapted + n <= MOST) u->adapted += n;
    }
}

static void close_use(use *u) {
    clm_learner_free(u->learner);
    ck_assert_uint_eq(clm_device_allocated(u->device), 0);
    clm_model_free(u->model);
    clm_device_close(u->device);
    free(u->support);
    free(u->query);
}

/* A task of random images; `wait` after every step, or only for the prediction. */
static void adapt(use *u, uint64_t seed, bool wait) {
    clm_random r = clm_random_make(seed, 3);
    size_t at = 0;
    for (size_t i = 0; i < WAYS * SHOTS * u->example; i++) u->support[i] = (float)clm_random_normal(&r);
    for (size_t i = 0; i < QUERY * u->example; i++) u->query[i] = (float)clm_random_normal(&r);
    for (int i = 0; i < WAYS * SHOTS; i++) u->labels[i] = (float)(i % WAYS);
    const size_t before = clm_device_get_counters(u->device).launches;
    CLM_TEST_OK(clm_learner_begin(u->learner, u->support, u->labels));
    for (int k = 0; k < STEPS; k++) CLM_TEST_OK(clm_learner_step(u->learner, wait || k == STEPS - 1 ? &u->loss : NULL));
    CLM_TEST_OK(clm_learner_predict(u->learner, u->query, QUERY, u->out));
    u->launches = clm_device_get_counters(u->device).launches - before;
    for (size_t i = 0; i < clm_model_param_count(u->model); i++) {
        const size_t n = clm_shape_size(&clm_model_param(u->model, i)->shape);
        double *data = malloc(n * sizeof *data);
        CLM_TEST_OK(clm_learner_get_adapted(u->learner, i, data));
        if (at + n <= MOST) memcpy(u->theta + at, data, n * sizeof *data);
        if (at + n <= MOST) at += n;
        free(data);
    }
}

static void expect_same(const use *a, const use *b) {
    ck_assert(a->loss == b->loss);
    ck_assert_mem_eq(a->out, b->out, sizeof a->out);
    ck_assert_mem_eq(a->theta, b->theta, a->adapted * sizeof *a->theta);
}

/* Drivers that are not known for it have none. */
static bool has_teams(const use *u) { return clm_cl(u->device)->avoid & CLM_AVOID_SLEEP && u->device->info.compute_units > 1; }

START_TEST(same_bits) {
    use *whole = malloc(sizeof *whole), *team = malloc(sizeof *team);
    const uint64_t seed = clm_test_seed();
    open_use(whole, _i, "1");
    open_use(team, _i, "4"); /* at most as many as there are compute units */
    for (uint64_t round = 0; round < 4; round++) {
        /* The first launch of a kernel builds it, loose; then they are together, then loose as they are told to, then together again. */
        if (has_teams(team) && round > 0) clm_cl_team_rest(clm_cl(team->device), round == 2 ? 1000 : 0);
        adapt(whole, seed + round, false);
        adapt(team, seed + round, round % 2 == 0);
        expect_same(whole, team);
        if (has_teams(team) && round == 2) ck_assert_uint_eq(team->launches, whole->launches);
        if (has_teams(team) && round % 2 == 1) ck_assert_uint_lt(2 * team->launches, whole->launches);
    }
    close_use(whole);
    close_use(team);
    free(whole);
    free(team);
}
END_TEST

/* What else is queued lies before and behind a team's launches as it does elsewhere. */
START_TEST(between_other_work) {
    use *u = malloc(sizeof *u);
    clm_tensor *tensor = NULL;
    double first = 0, value = 0;
    open_use(u, 0, "4");
    CLM_TEST_OK(clm_tensor_create(&tensor, u->device, clm_shape_of(1, 3), 0));
    for (int round = 0; round < 20; round++) {
        double data[3] = {round, 2, 3}, back[3] = {0};
        CLM_TEST_OK(clm_tensor_write_f64(tensor, data, 3));
        adapt(u, 5, round % 2);
        CLM_TEST_OK(clm_tensor_read_f64(tensor, back, 3));
        ck_assert(back[0] == round);
        value = u->loss + u->out[3];
        if (round == 0) first = value;
        ck_assert(value == first);
    }
    clm_tensor_free(tensor);
    close_use(u);
    free(u);
}
END_TEST

/* ---- several teams want the same threads ---- */

typedef struct other {
    use u;
    double out[QUERY * WAYS];
    int rounds;
} other;

static void work(void *argument) {
    other *o = argument;
    for (int i = 0; i < o->rounds; i++) {
        adapt(&o->u, 11, i % 2);
        if (i == 0) memcpy(o->out, o->u.out, sizeof o->out);
        ck_assert_mem_eq(o->out, o->u.out, sizeof o->out);
    }
}

START_TEST(two_at_a_time) {
    enum { USERS = 3 };
    other *o = calloc(USERS, sizeof *o);
    clm_thread *thread[USERS];
    for (int i = 0; i < USERS; i++) {
        open_use(&o[i].u, 0, "4");
        o[i].rounds = 30;
    }
    for (int i = 0; i < USERS; i++) CLM_TEST_OK(clm_thread_start(&thread[i], work, &o[i]));
    for (int i = 0; i < USERS; i++) clm_thread_join(thread[i]);
    for (int i = 0; i < USERS; i++) {
        ck_assert_mem_eq(o[0].out, o[i].out, sizeof o->out);
        close_use(&o[i].u);
    }
    free(o);
}
END_TEST

/* One that has queued launches and waits for nothing keeps the threads; another does without, in the same thread. */
START_TEST(one_keeps_them) {
    use *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    open_use(a, 0, "4");
    open_use(b, 0, "4");
    adapt(a, 3, false);
    adapt(b, 3, false);
    expect_same(a, b);
    CLM_TEST_OK(clm_learner_begin(a->learner, a->support, a->labels));
    CLM_TEST_OK(clm_learner_step(a->learner, NULL));
    adapt(b, 4, false);
    adapt(a, 4, true);
    expect_same(a, b);
    CLM_TEST_OK(clm_learner_step(a->learner, NULL));
    close_use(a);
    adapt(b, 4, true);
    close_use(b);
    free(a);
    free(b);
}
END_TEST

START_TEST(wrong_number) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = NULL;
    clm_learner *learner = NULL;
    clm_network_options no = CLM_NETWORK_OPTIONS_INIT;
    clm_learner_options lo = CLM_LEARNER_OPTIONS_INIT;
    no.in_shape = clm_shape_of(3, 1, 28, 28);
    CLM_TEST_OK(clm_model_network(&model, "conv4", &no));
    lo.task.support = lo.task.query = 5;
    setenv("CLMAML_CPU_TEAM", "many", 1);
    const clm_status status = clm_learner_create(&learner, device, model, &lo);
    if (device->info.type == CLM_DEVICE_CPU) ck_assert_int_eq(status, CLM_E_ARG);
    if (status != CLM_OK)
        ck_assert_ptr_nonnull(strstr(clm_last_error(), "CLMAML_CPU_TEAM=many: auto, or a number from 1 to 4"));
    clm_learner_free(learner);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("team");
    TCase *tests = tcase_create("team");
    tcase_set_timeout(tests, 0);
    tcase_add_loop_test(tests, same_bits, 0, sizeof nets / sizeof *nets);
    tcase_add_test(tests, between_other_work);
    tcase_add_test(tests, two_at_a_time);
    tcase_add_test(tests, one_keeps_them);
    tcase_add_test(tests, wrong_number);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
