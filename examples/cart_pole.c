/* Reinforcement learning in an environment of your own: three functions say what an episode is, and clm_policy_train does the
 * rest: sampling, the baseline, inner policy gradients, the outer trust region, validation, the best checkpoint, resuming, a
 * test.
 *
 * Here a cart balances a pole (Barto, Sutton and Anderson 1983), with a force that may take any value. A task is a wind: a
 * force of its own that pushes the cart all the time, unseen. A step of policy gradient on 10 episodes is to find out which way
 * to lean.
 *
 * usage: cart_pole [ITERATIONS [DIRECTORY [DEVICE]]]      run it again with more iterations, and it goes on
 */
#include <clmaml/clmaml.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { POSITION, VELOCITY, ANGLE, TURNING, NUMBERS }; /* the state, which is what a policy observes */

static void wind(void *user, clm_environment_random *random, double *task) {
    (void)user;
    task[0] = clm_environment_uniform(random) < 0.5 ? -6 : 6; /* newtons */
}

static void observe(const double *state, double *seen) {
    static const double scale[NUMBERS] = {1, 1, 10, 1}; /* numbers of the size of 1 */
    for (int i = 0; i < NUMBERS; i++) seen[i] = scale[i] * state[i];
}

static void upright(void *user, const double *task, clm_environment_random *random, double *state, double *seen) {
    (void)user, (void)task;
    for (int i = 0; i < NUMBERS; i++) state[i] = 0.1 * (clm_environment_uniform(random) - 0.5);
    observe(state, seen);
}

/* A fiftieth of a second: Euler's method on the equations of motion. */
static bool push(void *user, const double *task, const double *action, clm_environment_random *random, double *s, double *seen,
                 double *reward) {
    const double gravity = 9.8, cart = 1, pole = 0.1, half = 0.5, dt = 0.02;
    const double force = 10 * fmax(-1, fmin(1, action[0])) + task[0], sine = sin(s[ANGLE]), cosine = cos(s[ANGLE]);
    const double pull = (force + pole * half * s[TURNING] * s[TURNING] * sine) / (cart + pole);
    const double turn = (gravity * sine - cosine * pull) / (half * (4.0 / 3 - pole * cosine * cosine / (cart + pole)));
    const double change[NUMBERS] = {s[VELOCITY], pull - pole * half * turn * cosine / (cart + pole), s[TURNING], turn};
    (void)user, (void)random;
    for (int i = 0; i < NUMBERS; i++) s[i] += dt * change[i];
    observe(s, seen);
    *reward = 1; /* for every step that the pole stands */
    return fabs(s[ANGLE]) > 0.21 || fabs(s[POSITION]) > 2.4;
}

static void on_row(void *user, const clm_policy_row *row, bool best) {
    (void)user;
    if (row->validation)
        printf("after %4llu updates  the pole stands %5.1f steps before adapting, %5.1f +- %.1f after%s\n",
               (unsigned long long)row->iteration, row->value[CLM_POLICY_METRIC_RETURN_BEFORE],
               row->value[CLM_POLICY_METRIC_RETURN_AFTER], row->value[CLM_POLICY_METRIC_INTERVAL],
               best ? ", the best so far" : "");
}

int main(int argc, char **argv) {
    const int hidden[] = {32, 32};
    clm_device *device = NULL;
    clm_model *model = NULL;
    clm_policy_result result = {.stopped = false};
    clm_environment pole = CLM_ENVIRONMENT_INIT;
    pole.name = "cart_pole";
    pole.observation = pole.state_numbers = NUMBERS;
    pole.action = pole.task_numbers = 1;
    pole.horizon = 100;
    pole.draw = wind, pole.reset = upright, pole.step = push;

    clm_policy_train_options options = CLM_POLICY_TRAIN_OPTIONS_INIT;
    const char *iterations = argc > 1 ? argv[1] : "100";
    char *end;
    options.iterations = strtoull(iterations, &end, 10);
    if (options.iterations == 0 || iterations[0] == '-' || *end) {
        fprintf(stderr, "usage: cart_pole [ITERATIONS [DIRECTORY [DEVICE]]]\n");
        return 2;
    }
    options.directory = argc > 2 ? argv[2] : NULL;
    options.resume = options.directory && clm_train_check_directory(options.directory) == CLM_E_STATE;
    options.validate_every = 10;
    options.validation_tasks = options.test_tasks = 20;
    options.test_steps = 1;
    options.policy.tasks = 10;
    options.policy.trajectories = 10;
    options.policy.inner_lr = 0.3;
    options.row = on_row;

    clm_status status = clm_device_open(&device, argc > 3 ? argv[3] : NULL);
    if (status == CLM_OK) status = clm_model_mlp(&model, NUMBERS, hidden, 2, 1);
    if (status == CLM_OK) status = clm_policy_train(device, &pole, model, &options, NULL, &result);
    if (status == CLM_OK)
        printf("test, the state of update %llu: %.1f steps before adapting, %.1f +- %.1f after\n",
               (unsigned long long)result.best_iteration, result.test_return[0], result.test_return[1], result.test_half[1]);
    else
        fprintf(stderr, "cart_pole: %s\n", clm_last_error());
    clm_model_free(model);
    clm_device_close(device);
    if (status == CLM_OK && options.iterations >= 10 && !(result.test_return[1] > 60)) {
        fprintf(stderr, "cart_pole: it has not learned to balance\n");
        return 1;
    }
    return status == CLM_OK ? 0 : 1;
}
