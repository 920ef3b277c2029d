/* Episodes: the environment, sampling on the device against the host's steps, random numbers, the baseline and advantages. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/policy.h"
#include "support/run.h"

static clm_test_acting acting;
static clm_policy *policy;

static void begin(clm_device *on, const clm_policy_options *options) {
    acting = clm_test_act(on, options);
    policy = acting.policy;
}

static void end(void) { clm_test_act_no_more(&acting); }

/* ---- the environment ---- */

START_TEST(navigation_moves_and_ends) {
    const clm_environment e = clm_environment_navigation();
    const double goal[2] = {0.2, -0.1};
    double state[2] = {9, 9}, seen[2] = {9, 9}, reward = 0;
    clm_environment_random random = {clm_random_make(1, 2)};
    e.reset(e.user, goal, &random, state, seen);
    ck_assert_double_eq(seen[0], 0);
    ck_assert_double_eq(seen[1], 0);
    ck_assert(!e.step(e.user, goal, (const double[]){7, -0.5}, &random, state, seen, &reward)); /* clipped to a move of 0.1 */
    ck_assert_double_eq_tol(seen[0], 0.1, 1e-15);
    ck_assert_double_eq_tol(seen[1], -0.05, 1e-15);
    ck_assert_double_eq_tol(reward, -hypot(0.1, 0.05), 1e-15);
    ck_assert(e.step(e.user, goal, (const double[]){0.95, -0.5}, &random, state, seen, &reward)); /* within 0.01 */
    ck_assert_double_eq_tol(reward, -0.005, 1e-12);
    for (int i = 0; i < 100; i++) {
        double task[2];
        e.draw(e.user, &random, task);
        ck_assert(fabs(task[0]) <= 0.5 && fabs(task[1]) <= 0.5);
    }
}
END_TEST

/* ---- sampling ---- */

static void compare_sets(int set, const double *const *wanted, double tolerance) {
    const clm_samples *s = &policy->sets[set];
    clm_tensor *const tensors[] = {s->x, s->y, s->reward, s->alive, s->weight, s->total};
    static const char *const names[] = {"x", "y", "reward", "alive", "weight", "total"};
    for (size_t i = 0; i < 6; i++) {
        double *got = clm_test_numbers_of(tensors[i]);
        clm_test_expect_near(got, wanted[i], clm_tensor_size(tensors[i]), tolerance, names[i]);
        free(got);
    }
}

/* The device's kernels make what the host's callbacks make, with the same random words. */
START_TEST(kernels_step_as_callbacks_do) {
    const clm_policy_options o = clm_test_policy_options(1, 0);
    begin(clm_test_open_opencl(), &o);
    clm_sampler *host = NULL;
    CLM_TEST_OK(clm_sampler_create(&host, policy, true));
    CLM_TEST_OK(clm_policy_sample(policy, 77, 5));
    for (int set = 0; set < 2; set++) {
        const clm_samples *s = &policy->sets[set];
        clm_tensor *const tensors[] = {s->x, s->y, s->reward, s->alive, s->weight, s->total};
        double *kept[6];
        for (size_t i = 0; i < 6; i++) kept[i] = clm_test_numbers_of(tensors[i]);
        CLM_TEST_OK(clm_policy_begin(policy));
        CLM_TEST_OK(clm_sampler_tasks(host, 77, CLM_PURPOSE_TRAIN, 5));
        CLM_TEST_OK(clm_sampler_run(host, 0, 0));
        if (set == 1) {
            CLM_TEST_OK(clm_policy_adapt(policy, 0, 0.1));
            CLM_TEST_OK(clm_sampler_run(host, 1, 1));
        }
        compare_sets(set, (const double *const *)kept, 2e-4);
        for (size_t i = 0; i < 6; i++) free(kept[i]);
    }
    clm_sampler_free(host);
    end();
}
END_TEST

/* What is drawn is a function of seed, task, step: again the same bits, and others where one of them differs. */
START_TEST(samples_repeat) {
    const clm_policy_options o = clm_test_policy_options(1, 0);
    begin(clm_test_open_opencl(), &o);
    const size_t bytes = clm_tensor_size(policy->sets[1].y) * sizeof(double);
    CLM_TEST_OK(clm_policy_sample(policy, 1, 0));
    double *first = clm_test_numbers_of(policy->sets[1].y), *support = clm_test_numbers_of(policy->sets[0].y);
    CLM_TEST_OK(clm_policy_sample(policy, 1, TASKS));
    double *other = clm_test_numbers_of(policy->sets[1].y);
    CLM_TEST_OK(clm_policy_sample(policy, 1, 0));
    double *again = clm_test_numbers_of(policy->sets[1].y);
    CLM_TEST_OK(clm_policy_sample(policy, 2, 0));
    double *seed = clm_test_numbers_of(policy->sets[1].y);
    ck_assert_mem_eq(first, again, bytes);
    ck_assert_mem_ne(first, other, bytes);
    ck_assert_mem_ne(first, seed, bytes);
    ck_assert_mem_ne(first, support, bytes);
    double *const all[] = {first, support, other, again, seed};
    for (size_t i = 0; i < 5; i++) free(all[i]);
    end();
}
END_TEST

START_TEST(noise_is_standard_normal) {
    double sum = 0, squares = 0, noise[CLM_POLICY_ACTION_MOST];
    enum { DRAWS = 20000 };
    for (int i = 0; i < DRAWS; i++) {
        clm_policy_noise(3, CLM_PURPOSE_TRAIN, 0, 1, i / 100, i % 100, noise);
        for (int k = 0; k < CLM_POLICY_ACTION_MOST; k++) sum += noise[k], squares += noise[k] * noise[k];
    }
    ck_assert_double_eq_tol(sum / (CLM_POLICY_ACTION_MOST * DRAWS), 0, 0.02);
    ck_assert_double_eq_tol(squares / (CLM_POLICY_ACTION_MOST * DRAWS), 1, 0.03);
}
END_TEST

/* ---- the baseline ---- */

/* Episodes that end at their own times. */
static void made_up_task(double *x, double *reward, double *alive) {
    clm_test_draw_normal(x, ROWS * 2, 11);
    clm_test_draw_normal(reward, ROWS, 12);
    for (int row = 0; row < ROWS; row++) {
        const int i = row / HORIZON, t = row % HORIZON;
        alive[row] = t < HORIZON - 3 * (i % 3);
        if (alive[row] == 0) reward[row] = 0;
    }
}

/* With lambda 1 an advantage is what the fit leaves of the return: orthogonal to all features. */
START_TEST(what_the_baseline_leaves_has_no_features) {
    double x[ROWS * 2], reward[ROWS], alive[ROWS], advantage[ROWS], weight[ROWS], total[TRAJECTORIES], count = 0, squares = 0;
    made_up_task(x, reward, alive);
    CLM_TEST_OK(clm_advantage_of(x, reward, alive, 2, TRAJECTORIES, HORIZON, 0.9, 1, advantage, weight, total));
    double sums[8] = {0};
    for (int row = 0; row < ROWS; row++) {
        const double s = 0.01 * (row % HORIZON), *o = x + row * 2;
        const double f[8] = {o[0], o[1], o[0] * o[0], o[1] * o[1], s, s * s, s * s * s, 1};
        for (int i = 0; i < 8; i++) sums[i] += advantage[row] * f[i];
        count += alive[row];
        squares += advantage[row] * advantage[row];
        ck_assert(alive[row] > 0 || (advantage[row] == 0 && weight[row] == 0));
    }
    for (int i = 0; i < 8; i++) ck_assert_msg(fabs(sums[i]) < 1e-2, "feature %d: %g", i, sums[i]);
    ck_assert_double_eq_tol(squares / count, ROWS / count * (ROWS / count), 1e-6); /* deviation 1, times rows over count */
    double sum = 0;
    for (int t = 0; t < HORIZON; t++) sum += reward[t];
    ck_assert_double_eq_tol(total[0], sum, 1e-12);
}
END_TEST

/* lambda 0: the advantage is r + gamma V' - V, which knows nothing of later rewards but by V. */
START_TEST(the_device_finds_the_same_advantages) {
    static const double lambdas[] = {1, 0.6, 0};
    clm_device *d = clm_test_open_opencl();
    double x[ROWS * 2], reward[ROWS], alive[ROWS], wanted[ROWS], weight[ROWS], total[TRAJECTORIES], got[ROWS * 2];
    clm_samples s = {0};
    made_up_task(x, reward, alive);
    CLM_TEST_OK(clm_tensor_create(&s.x, d, clm_shape_of(2, ROWS, 2), 1));
    CLM_TEST_OK(clm_tensor_create(&s.y, d, clm_shape_of(2, ROWS, 2), 1));
    clm_tensor **const others[] = {&s.reward, &s.alive, &s.weight};
    for (int i = 0; i < 3; i++) CLM_TEST_OK(clm_tensor_create(others[i], d, clm_shape_of(1, ROWS), 1));
    CLM_TEST_OK(clm_tensor_create(&s.total, d, clm_shape_of(1, TRAJECTORIES), 1));
    CLM_TEST_OK(clm_tensor_write_f64(s.x, x, ROWS * 2));
    CLM_TEST_OK(clm_tensor_write_f64(s.reward, reward, ROWS));
    CLM_TEST_OK(clm_tensor_write_f64(s.alive, alive, ROWS));
    for (size_t i = 0; i < sizeof lambdas / sizeof *lambdas; i++) {
        clm_advantage *a = NULL;
        CLM_TEST_OK(clm_advantage_create(&a, d, &s, 1, TRAJECTORIES, HORIZON, 0.9, lambdas[i]));
        CLM_TEST_OK(clm_advantage_run(a));
        CLM_TEST_OK(clm_advantage_of(x, reward, alive, 2, TRAJECTORIES, HORIZON, 0.9, lambdas[i], wanted, weight, total));
        CLM_TEST_OK(clm_tensor_read_f64(s.y, got, ROWS * 2));
        for (int row = 0; row < ROWS; row++) got[row] = got[2 * row + 1];
        clm_test_expect_near(got, wanted, ROWS, 1e-4, "advantages");
        clm_advantage_free(a);
    }
    clm_tensor *const owned[] = {s.x, s.y, s.reward, s.alive, s.weight, s.total};
    for (size_t i = 0; i < 6; i++) clm_tensor_free(owned[i]);
    clm_device_close(d);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sampling");
    TCase *t = tcase_create("sampling");
    tcase_add_test(t, navigation_moves_and_ends);
    tcase_add_test(t, kernels_step_as_callbacks_do);
    tcase_add_test(t, samples_repeat);
    tcase_add_test(t, noise_is_standard_normal);
    tcase_add_test(t, what_the_baseline_leaves_has_no_features);
    tcase_add_test(t, the_device_finds_the_same_advantages);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
