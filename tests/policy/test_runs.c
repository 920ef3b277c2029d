/* Whole runs of a policy: resumed to the bit, with either outer update, on environments of the library and of one's own; what
 * they write; what is refused. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "clmaml/learner.h"
#include "clmaml/policy.h"
#include "support/pictures.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

static clm_device *device;
static clm_model *model;
static clm_environment environment;
static clm_policy_train_options options;
static char *directory;

static void set_up(void) {
    const int hidden[] = {6, 5};
    device = clm_test_open_opencl();
    CLM_TEST_OK(clm_model_mlp(&model, 2, hidden, 2, 2));
    environment = clm_environment_navigation();
    environment.horizon = 10;
    options = (clm_policy_train_options)CLM_POLICY_TRAIN_OPTIONS_INIT;
    options.policy.tasks = 2;
    options.policy.trajectories = 4;
    options.policy.solver_steps = 3;
    options.iterations = 6;
    options.validate_every = 2;
    options.validation_tasks = 3;
    options.test_tasks = 5;
    options.test_steps = 2;
    directory = clm_test_directory();
}

static void tear_down(void) {
    clm_test_remove(directory);
    clm_model_free(model);
    clm_device_close(device);
}

static char *contents(const char *run, const char *file, size_t *size) {
    char *path = clm_format("%s/%s/%s", directory, run, file), *text = NULL;
    CLM_TEST_OK(clm_file_read(path, &text, size));
    free(path);
    return text;
}

static void expect_same_file(const char *a, const char *b, const char *file) {
    size_t n, m;
    char *first = contents(a, file, &n), *second = contents(b, file, &m);
    ck_assert_msg(n == m && memcmp(first, second, n) == 0, "%s of %s and %s differ", file, a, b);
    free(first);
    free(second);
}

static clm_status train_in(const char *run, uint64_t iterations, bool resume, clm_policy_result *result) {
    char *path = clm_format("%s/%s", directory, run);
    options.directory = path;
    options.iterations = iterations;
    options.resume = resume;
    const clm_status status = clm_policy_train(device, &environment, model, &options, NULL, result);
    options.directory = NULL;
    free(path);
    return status;
}

/* ---- resuming ---- */

static int updates_until_stop;
static bool stop_soon(void *user) {
    (void)user;
    return updates_until_stop-- <= 0;
}

START_TEST(resumed_runs_have_the_same_bits) {
    clm_policy_result whole, parts;
    options.policy.outer = _i ? CLM_OUTER_VPG : CLM_OUTER_TRPO;
    if (_i) options.policy.solver_steps = 10; /* which it does not read */
    options.policy.steps = 1 + _i;
    CLM_TEST_OK(train_in("whole", 6, false, &whole));
    ck_assert_uint_eq(whole.iteration, 6);
    CLM_TEST_OK(train_in("parts", 2, false, &parts));
    CLM_TEST_OK(train_in("parts", 4, true, &parts));
    options.stop = stop_soon;
    for (int when = 1; when <= 2; when++) { /* before an update, then in the validation after the last */
        updates_until_stop = when;
        CLM_TEST_OK(train_in("parts", 6, true, &parts));
        ck_assert(parts.stopped);
        ck_assert_uint_eq(parts.iteration, 4 + (uint64_t)when);
    }
    options.stop = NULL;
    CLM_TEST_OK(train_in("parts", 6, true, &parts));
    ck_assert(!parts.stopped);
    static const char *const files[] = {"checkpoints/last.safetensors", "checkpoints/best.safetensors", "result.json",
                                        "trajectories.svg"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) expect_same_file("whole", "parts", files[i]);
    ck_assert_double_eq(whole.test_return[2], parts.test_return[2]);
    size_t n;
    char *picture = contents("whole", "trajectories.svg", &n), title[64]; /* of what was tested */
    snprintf(title, sizeof title, "after %llu outer updates<", (unsigned long long)whole.best_iteration);
    ck_assert_msg(strstr(picture, title) != NULL, "%s", title);
    free(picture);
    char *a = contents("whole", "metrics.csv", &n), *b = contents("parts", "metrics.csv", &n);
    int lines = 0;
    for (const char *x = a, *y = b; *x && *y; lines++) { /* all columns but the last, seconds */
        const size_t length = (size_t)(strchr(x, '\n') - x);
        size_t known = length;
        while (known > 0 && x[known] != ',') known--;
        ck_assert_msg(strncmp(x, y, known) == 0, "%.*s", (int)length, x);
        x += length + 1;
        y = strchr(y, '\n') + 1;
    }
    ck_assert_int_eq(lines, 1 + 6 + 4);
    free(a);
    free(b);
}
END_TEST

START_TEST(chunks_and_repeats_change_no_bit) {
    clm_policy_result result;
    options.test_tasks = 0;
    CLM_TEST_OK(train_in("a", 2, false, &result));
    ck_assert_int_eq(result.test_tasks, 0);
    options.policy.task_chunk = 2;
    CLM_TEST_OK(train_in("b", 2, false, &result));
    expect_same_file("a", "b", "checkpoints/last.safetensors");
    options.seed = 2;
    CLM_TEST_OK(train_in("c", 2, false, &result));
    size_t n;
    char *a = contents("a", "checkpoints/last.safetensors", &n), *c = contents("c", "checkpoints/last.safetensors", &n);
    ck_assert_mem_ne(a, c, n);
    free(a);
    free(c);
}
END_TEST

/* ---- learning ---- */

typedef struct watched {
    int rows, validations, accepted;
    double most_kl;
} watched;

static void watch(void *user, const clm_policy_row *row, bool best) {
    watched *w = user;
    (void)best;
    w->rows++;
    w->validations += row->validation;
    if (row->validation || !(row->value[CLM_POLICY_METRIC_SEARCH] > 0)) return;
    w->accepted++;
    ck_assert_double_lt(row->value[CLM_POLICY_METRIC_SURROGATE], 0);
    w->most_kl = fmax(w->most_kl, row->value[CLM_POLICY_METRIC_KL]);
}

START_TEST(a_short_run_learns) {
    clm_policy_result result;
    watched w = {0, 0, 0, 0};
    options.policy.tasks = 8;
    options.policy.trajectories = 10;
    options.policy.solver_steps = 10;
    options.validation_tasks = options.test_tasks = 40;
    options.validate_every = 40;
    options.iterations = 40;
    options.row = watch;
    options.user = &w;
    CLM_TEST_OK(clm_policy_train(device, &environment, model, &options, NULL, &result));
    ck_assert_int_eq(w.rows, 42);
    ck_assert_int_eq(w.validations, 2);
    ck_assert_int_gt(w.accepted, 30);
    ck_assert(w.most_kl > 0 && w.most_kl <= 0.01);
    ck_assert_int_eq(result.test_tasks, 40);
    ck_assert_msg(result.test_return[2] > result.test_return[0] + 0.2, "%g -> %g", result.test_return[0],
                  result.test_return[2]);
    ck_assert_uint_eq(result.best_iteration, 40);
}
END_TEST

/* ---- an environment of one's own: the state is to become the task's number ---- */

static void draw(void *user, clm_environment_random *random, double *task) {
    ++*(int *)user;
    *task = clm_environment_uniform(random) < 0.5 ? -1 : 1;
}
static void reset(void *user, const double *task, clm_environment_random *random, double *state, double *seen) {
    (void)user, (void)task;
    *seen = *state = 0.1 * clm_environment_normal(random);
}
static bool step(void *user, const double *task, const double *action, clm_environment_random *random, double *state,
                 double *seen, double *reward) {
    (void)user, (void)random;
    *seen = *state = fmax(-2, fmin(2, *state + 0.3 * *action));
    *reward = -fabs(*state - *task);
    return false;
}

START_TEST(an_environment_of_ones_own_is_learned) {
    int draws = 0;
    clm_policy_result result;
    clm_model *mine = NULL;
    const int hidden[] = {8};
    environment = (clm_environment)CLM_ENVIRONMENT_INIT;
    environment.name = "side";
    environment.observation = environment.action = 1;
    environment.horizon = 10;
    environment.user = &draws;
    environment.draw = draw, environment.reset = reset, environment.step = step;
    options.policy.tasks = 8;
    options.policy.trajectories = 10;
    options.policy.inner_lr = 0.5;
    options.policy.solver_steps = 10;
    options.validation_tasks = options.test_tasks = 32;
    options.validate_every = options.iterations = 30;
    CLM_TEST_OK(clm_model_mlp(&mine, 1, hidden, 1, 1));
    CLM_TEST_OK(clm_policy_train(device, &environment, mine, &options, NULL, &result));
    ck_assert_int_gt(draws, 30 * 8);
    ck_assert_msg(result.test_return[2] > result.test_return[0] + 1, "%g -> %g", result.test_return[0], result.test_return[2]);
    environment.kernels = NULL;
    clm_model_free(mine);
}
END_TEST

static bool step_nowhere(void *user, const double *task, const double *action, clm_environment_random *random, double *state,
                         double *seen, double *reward) {
    (void)user, (void)task, (void)random, (void)action;
    seen[0] = state[0] = NAN;
    seen[1] = *reward = 0;
    return false;
}

START_TEST(numbers_that_are_none_are_named) {
    environment.kernels = NULL;
    environment.step = step_nowhere;
    ck_assert_int_eq(clm_policy_train(device, &environment, model, &options, NULL, NULL), CLM_E_NUMERIC);
    SAYS("environment navigation: observation 0 is not finite");
}
END_TEST

static bool step_to_riches(void *user, const double *task, const double *action, clm_environment_random *random, double *state,
                           double *seen, double *reward) {
    (void)user, (void)task, (void)random;
    for (int i = 0; i < 2; i++) {
        ck_assert(isfinite(action[i])); /* environments need not expect anything else */
        seen[i] = state[i] += action[i];
    }
    *reward = action[0];
    return false;
}

START_TEST(policies_that_diverge_are_not_the_environments_fault) {
    environment.kernels = NULL;
    environment.step = step_to_riches;
    options.policy.inner_lr = 1e6;
    ck_assert_int_eq(clm_policy_train(device, &environment, model, &options, NULL, NULL), CLM_E_NUMERIC);
    SAYS("of the policy is not finite");
    SAYS("take a smaller inner_lr");
}
END_TEST

/* ---- what is refused ---- */

static void refused(clm_status wanted, const char *says) {
    const clm_status status = clm_policy_train(device, &environment, model, &options, NULL, NULL);
    ck_assert_msg(status == wanted, "%s: %s, %s", says, clm_status_name(status), clm_last_error());
    SAYS(says);
    options = (clm_policy_train_options)CLM_POLICY_TRAIN_OPTIONS_INIT;
    environment = clm_environment_navigation();
}

START_TEST(mistakes_are_named) {
    options.version = 7;
    refused(CLM_E_ARG, "clm_policy_train_options of version 7");
    options.policy.version = 8;
    refused(CLM_E_ARG, "clm_policy_options of version 8");
    environment.version = 9;
    refused(CLM_E_ARG, "clm_environment of version 9");
    environment.name = NULL;
    refused(CLM_E_ARG, "needs a name");
    environment.step = NULL;
    refused(CLM_E_ARG, "environment navigation: it needs all of draw, reset and step");
    environment.horizon = 0;
    refused(CLM_E_ARG, "environment navigation: horizon is 0");
    environment.action = 5;
    refused(CLM_E_ARG, "environment navigation: action is 5; it must be from 1 to 4");
    environment.observation = 3;
    refused(CLM_E_SHAPE, "the model makes [2] of [2]; environment navigation needs [2] actions of [3] observations");
    options.policy.inner_lr = 0;
    refused(CLM_E_ARG, "inner_lr is 0; it must be above 0");
    options.policy.steps = 11;
    refused(CLM_E_ARG, "steps is 11");
    options.policy.discount = NAN;
    refused(CLM_E_ARG, "discount is nan");
    options.policy.task_chunk = 3;
    refused(CLM_E_ARG, "task_chunk 3 does not divide the 20 tasks");
    options.policy.outer = (clm_policy_outer)7;
    refused(CLM_E_ARG, "outer 7 is neither");
    options.test_lr = -1;
    refused(CLM_E_ARG, "test_lr is -1");
    options.eval_trajectories = -1;
    refused(CLM_E_ARG, "eval_trajectories is -1");
    options.eval_lr = -1;
    refused(CLM_E_ARG, "eval_lr is -1");
    options.test_steps = 0;
    refused(CLM_E_ARG, "test_steps is 0");
    options.resume = true;
    refused(CLM_E_ARG, "without a directory");
    options.directory = "";
    refused(CLM_E_ARG, "directory is an empty text");
    options.note = "not json";
    refused(CLM_E_ARG, "note is not JSON: not json");
    options.policy.optim.lr = 1;
    refused(CLM_E_ARG, "optim.lr: the outer update trpo does not read this option");
    options.policy.outer = CLM_OUTER_VPG;
    options.policy.trust_region = 1;
    refused(CLM_E_ARG, "trust_region: the outer update vpg does not read this option");
    options.policy.optim.average = 0.5;
    refused(CLM_E_ARG, "optim.average is 0.5");
    options.policy.outer = CLM_OUTER_VPG;
    options.policy.optim.rule = "magic";
    refused(CLM_E_ARG, "magic");
}
END_TEST

START_TEST(too_little_memory_is_told) {
    setenv("CLMAML_MEMORY_LIMIT", "8K", 1);
    ck_assert_int_eq(clm_policy_train(device, &environment, model, &options, NULL, NULL), CLM_E_LIMIT);
    SAYS("a policy's training takes");
    unsetenv("CLMAML_MEMORY_LIMIT");
}
END_TEST

START_TEST(directories_of_others_are_refused) {
    clm_policy_result result;
    options.test_tasks = 0;
    CLM_TEST_OK(train_in("run", 2, false, &result));
    ck_assert_int_eq(train_in("run", 2, false, &result), CLM_E_STATE);
    SAYS("holds a run already");
    options.policy.discount = 0.5;
    ck_assert_int_eq(train_in("run", 4, true, &result), CLM_E_STATE);
    SAYS("is of another run: discount was 0.99 there and is 0.5 now");
    options.policy.discount = 0.99;
    ck_assert_int_eq(train_in("run", 1, true, &result), CLM_E_ARG);
    SAYS("has made 2 iterations already");
    char *path = clm_format("%s/run/checkpoints/last.safetensors", directory);
    clm_learner *learner = NULL;
    ck_assert_int_eq(clm_learner_load(&learner, device, path, NULL), CLM_E_FORMAT);
    SAYS("it is of a policy, which clm_policy_train goes on with");
    CLM_TEST_OK(clm_file_write(path, "nonsense", 8));
    ck_assert_int_eq(train_in("run", 4, true, &result), CLM_E_FORMAT);
    SAYS("last.safetensors");
    free(path);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("runs");
    TCase *t = tcase_create("runs");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_set_timeout(t, 300); /* some train */
    tcase_add_loop_test(t, resumed_runs_have_the_same_bits, 0, 2);
    tcase_add_test(t, chunks_and_repeats_change_no_bit);
    tcase_add_test(t, a_short_run_learns);
    tcase_add_test(t, an_environment_of_ones_own_is_learned);
    tcase_add_test(t, numbers_that_are_none_are_named);
    tcase_add_test(t, policies_that_diverge_are_not_the_environments_fault);
    tcase_add_test(t, mistakes_are_named);
    tcase_add_test(t, too_little_memory_is_told);
    tcase_add_test(t, directories_of_others_are_refused);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
