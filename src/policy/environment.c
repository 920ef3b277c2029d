/* Environments: random numbers for callbacks, and 2-D navigation. */
#include <math.h>

#include "policy/internal.h"

double clm_environment_uniform(clm_environment_random *random) { return clm_random_uniform(&random->words); }
double clm_environment_normal(clm_environment_random *random) { return clm_random_normal(&random->words); }

/* ---- navigation: kernels/navigation.cl has the same ---- */

static const double speed = 0.1, reach = 0.01, side = 1.0;

static void draw_goal(void *user, clm_environment_random *random, double *goal) {
    (void)user;
    for (int i = 0; i < 2; i++) goal[i] = side * (clm_environment_uniform(random) - 0.5);
}

static void start(void *user, const double *goal, clm_environment_random *random, double *place, double *observation) {
    (void)user, (void)goal, (void)random;
    for (int i = 0; i < 2; i++) place[i] = observation[i] = 0;
}

static bool move(void *user, const double *goal, const double *action, clm_environment_random *random, double *place,
                 double *observation, double *reward) {
    (void)user, (void)random;
    for (int i = 0; i < 2; i++) {
        place[i] += speed * fmax(-1, fmin(1, action[i]));
        observation[i] = place[i];
    }
    const double distance = hypot(place[0] - goal[0], place[1] - goal[1]);
    *reward = -distance;
    return distance < reach;
}

clm_environment clm_environment_navigation(void) {
    clm_environment e = CLM_ENVIRONMENT_INIT;
    e.name = "navigation";
    e.observation = e.action = e.task_numbers = e.state_numbers = 2;
    e.draw = draw_goal;
    e.reset = start;
    e.step = move;
    e.kernels = "navigation.cl";
    return e;
}

const char *clm_policy_outer_name(clm_policy_outer outer) { return outer == CLM_OUTER_VPG ? "vpg" : "trpo"; }
