/* Trajectories of all tasks under the parameters phi: at every time step the policy's program makes the mean actions of all,
 * then one launch of the environment's kernels draws the actions, moves all trajectories and writes their rows. Nothing waits
 * for the host. An environment of the caller's own is stepped by the host, which reads the means and sends the observations.
 *
 * Random words are Philox blocks under the key `seed`: stream (task, phase), counter (time, trajectory).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/internal.h"

enum { WORDS = 4, KERNEL_STATE = 4 };
/* Phases beside those of actions, which are inner steps. */
enum { PHASE_PURPOSE = 8, PHASE_TASK = 1 << 16, PHASE_EPISODE = 2 << 16 };

struct clm_sampler {
    clm_policy *policy;
    bool on_host;
    uint64_t seed, first; /* of the tasks at hand */
    clm_policy_purpose purpose;
    double *task; /* [tasks, task_numbers] */
    /* on the device */
    clm_tensor *state, *numbers, *control;
    clm_kernel *reset, *step[CLM_POLICY_STEPS_MOST + 1];
    /* on the host: state [tasks, trajectories, state_numbers], and what goes to and from the device */
    double *states, *mean, *observation, *log_std, *x, *y, *reward, *alive;
    clm_environment_random *random; /* of each trajectory */
    bool *over;
};

/* ---- random numbers ---- */

static clm_random words_of(uint64_t seed, clm_policy_purpose purpose, uint32_t phase, uint64_t task) {
    const uint64_t high = phase | (uint32_t)purpose << PHASE_PURPOSE;
    return clm_random_make(seed, (task & UINT32_MAX) | high << 32);
}

static double uniform_of(uint32_t word) { return ((double)(word >> 9) + 0.5) * 0x1p-23; }

void clm_policy_noise(uint64_t seed, clm_policy_purpose purpose, int step, uint64_t task, int trajectory, int time,
                      double noise[CLM_POLICY_ACTION_MOST]) {
    const double turn = 6.28318530717958647693;
    clm_random r = words_of(seed, purpose, (uint32_t)step, task);
    r.next = (uint64_t)(uint32_t)time | (uint64_t)(uint32_t)trajectory << 32;
    for (int i = 0; i < CLM_POLICY_ACTION_MOST; i += 2) {
        const double u = uniform_of(clm_random_u32(&r)), v = uniform_of(clm_random_u32(&r)), radius = sqrt(-2 * log(u));
        noise[i] = radius * cos(turn * v);
        noise[i + 1] = radius * sin(turn * v);
    }
}

/* ---- launches ---- */

static void add_tensor(clm_launch *l, const clm_tensor *t) {
    const size_t tasks = (size_t)(t->tasks > 0 ? t->tasks : 1);
    l->args[l->n_args++] = (clm_arg){.kind = CLM_ARG_MEM,
                                     .mem = t->root->mem,
                                     .offset = t->offset,
                                     .task_stride = t->tasks > 0 ? clm_tensor_size(t) / tasks : 0};
}

static clm_status make_kernel(const clm_sampler *s, const char *name, const clm_tensor *const *tensors, size_t n,
                              clm_kernel **out) {
    const clm_policy *p = s->policy;
    const int ints[] = {p->options.trajectories, p->environment.horizon};
    char entry[64];
    clm_launch *l = clm_calloc(1, sizeof *l);
    if (!l) return CLM_E_MEMORY;
    snprintf(entry, sizeof entry, "%.*s_%s", (int)strcspn(p->environment.kernels, "."), p->environment.kernels, name);
    *l = (clm_launch){.file = p->environment.kernels, .entry = entry, .defines = ""};
    snprintf(l->label, sizeof l->label, "%s", entry);
    l->global[0] = (size_t)p->options.trajectories;
    l->global[1] = 1;
    l->global[2] = (size_t)p->options.tasks;
    for (size_t i = 0; i < n; i++) add_tensor(l, tensors[i]);
    for (size_t i = 0; i < (strcmp(name, "reset") == 0 ? 1 : 2); i++)
        l->args[l->n_args++] = (clm_arg){.kind = CLM_ARG_INT, .i = ints[i]};
    const clm_status status = p->device->backend->make(p->device, l, out);
    free(l);
    return status;
}

static clm_status create_on_device(clm_sampler *s) {
    clm_policy *p = s->policy;
    const clm_environment *e = &p->environment;
    const int tasks = p->options.tasks;
    CLM_TRY(clm_tensor_create(&s->state, p->device, clm_shape_of(2, p->options.trajectories, KERNEL_STATE), tasks));
    CLM_TRY(clm_tensor_create(&s->numbers, p->device, clm_shape_of(1, e->task_numbers), tasks));
    CLM_TRY(clm_tensor_create(&s->control, p->device, clm_shape_of(1, WORDS), 0));
    CLM_TRY(make_kernel(s, "reset", (const clm_tensor *[]){s->state, p->observation}, 2, &s->reset));
    for (int k = 0; k <= p->options.steps; k++) {
        const clm_samples *set = &p->sets[k];
        const clm_tensor *tensors[] = {s->state,    p->observation, set->x,  set->y,
                                       set->reward, set->alive,     p->mean, p->phi.entry[p->n_entries - 1],
                                       s->numbers,  s->control};
        CLM_TRY(make_kernel(s, "step", tensors, sizeof tensors / sizeof *tensors, &s->step[k]));
    }
    return CLM_OK;
}

static clm_status create_on_host(clm_sampler *s) {
    const clm_policy *p = s->policy;
    const clm_environment *e = &p->environment;
    const size_t tasks = (size_t)p->options.tasks, all = tasks * (size_t)p->options.trajectories,
                 rows = tasks * (size_t)p->rows;
    struct {
        double **at;
        size_t count;
    } arrays[] = {{&s->states, all * (size_t)e->state_numbers},
                  {&s->mean, all * (size_t)e->action},
                  {&s->observation, all * (size_t)e->observation},
                  {&s->log_std, tasks * (size_t)e->action},
                  {&s->x, rows * (size_t)e->observation},
                  {&s->y, rows * ((size_t)e->action + 1)},
                  {&s->reward, rows},
                  {&s->alive, rows}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (!(*arrays[i].at = clm_calloc(arrays[i].count, sizeof(double)))) return CLM_E_MEMORY;
    s->random = clm_calloc(all, sizeof *s->random);
    s->over = clm_calloc(all, sizeof *s->over);
    return s->random && s->over ? CLM_OK : CLM_E_MEMORY;
}

clm_status clm_sampler_create(clm_sampler **out, clm_policy *policy, bool on_host) {
    clm_sampler *s = *out = clm_calloc(1, sizeof *s);
    if (!s) return CLM_E_MEMORY;
    s->policy = policy;
    s->on_host = on_host || !policy->environment.kernels || policy->device->info.type == CLM_DEVICE_HOST;
    s->task = clm_calloc((size_t)policy->options.tasks * (size_t)policy->environment.task_numbers, sizeof *s->task);
    if (!s->task) return CLM_E_MEMORY;
    return s->on_host ? create_on_host(s) : create_on_device(s);
}

void clm_sampler_free(clm_sampler *s) {
    if (!s) return;
    clm_device *device = s->policy->device;
    if (s->reset) device->backend->release(device, s->reset);
    for (int k = 0; k <= CLM_POLICY_STEPS_MOST; k++)
        if (s->step[k]) device->backend->release(device, s->step[k]);
    clm_tensor_free(s->state);
    clm_tensor_free(s->numbers);
    clm_tensor_free(s->control);
    double *const owned[] = {s->task, s->states, s->mean, s->observation, s->log_std, s->x, s->y, s->reward, s->alive};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free(owned[i]);
    free(s->random);
    free(s->over);
    free(s);
}

/* ---- tasks ---- */

clm_status clm_sampler_tasks(clm_sampler *s, uint64_t seed, clm_policy_purpose purpose, uint64_t first) {
    const clm_environment *e = &s->policy->environment;
    s->seed = seed;
    s->purpose = purpose;
    s->first = first;
    for (int i = 0; i < s->policy->options.tasks; i++) {
        clm_environment_random random = {words_of(seed, purpose, PHASE_TASK, first + (uint64_t)i)};
        e->draw(e->user, &random, s->task + (size_t)i * (size_t)e->task_numbers);
    }
    if (s->on_host) return CLM_OK;
    return clm_tensor_write_f64(s->numbers, s->task, clm_tensor_size(s->numbers));
}

const double *clm_sampler_task(const clm_sampler *s, int i) {
    return s->task + (size_t)i * (size_t)s->policy->environment.task_numbers;
}

/* ---- episodes on the device ---- */

static clm_status run_on_device(clm_sampler *s, int set, int step) {
    const clm_policy *p = s->policy;
    const clm_backend *b = p->device->backend;
    const uint32_t words[WORDS] = {(uint32_t)s->seed, (uint32_t)(s->seed >> 32), (uint32_t)s->first,
                                   (uint32_t)step | (uint32_t)s->purpose << PHASE_PURPOSE};
    CLM_TRY(b->write_bytes(p->device, s->control->mem, 0, sizeof words, words));
    CLM_TRY(b->enqueue(p->device, s->reset));
    for (int t = 0; t < p->environment.horizon; t++) {
        CLM_TRY(clm_program_run(p->programs.act));
        CLM_TRY(b->enqueue(p->device, s->step[set]));
    }
    return CLM_OK;
}

/* ---- episodes on the host ---- */

/* One trajectory's time step; `at` counts trajectories of all tasks. */
static clm_status step_on_host(clm_sampler *s, size_t at, int step, int time) {
    const clm_policy *p = s->policy;
    const clm_environment *e = &p->environment;
    const size_t n = (size_t)p->options.trajectories, task = at / n, row = at * (size_t)e->horizon + (size_t)time;
    const size_t acts = (size_t)e->action, sees = (size_t)e->observation;
    double noise[CLM_POLICY_ACTION_MOST], action[CLM_POLICY_ACTION_MOST] = {0}, reward = 0;
    double *observation = s->observation + at * sees;
    memcpy(s->x + row * sees, observation, sees * sizeof *observation);
    memset(s->y + row * (acts + 1), 0, (acts + 1) * sizeof *s->y);
    s->alive[row] = s->over[at] ? 0 : 1;
    s->reward[row] = 0;
    if (s->over[at]) return CLM_OK;
    clm_policy_noise(s->seed, s->purpose, step, s->first + task, (int)(at % n), time, noise);
    for (size_t i = 0; i < acts; i++)
        s->y[row * (acts + 1) + i] = action[i] = s->mean[at * acts + i] + exp(s->log_std[task * acts + i]) * noise[i];
    for (size_t i = 0; i < acts; i++)
        if (!isfinite(action[i])) /* which is not the environment's fault */
            return clm_fail(CLM_E_NUMERIC,
                            "environment %s: action %zu of the policy is not finite, at time %d of task %llu %s; "
                            "take a smaller inner_lr, or scale the rewards",
                            e->name, i, time, (unsigned long long)(s->first + task),
                            step ? "after adaptation" : "before adaptation");
    s->over[at] = e->step(e->user, clm_sampler_task(s, (int)task), action, &s->random[at],
                          s->states + at * (size_t)e->state_numbers, observation, &reward);
    for (size_t i = 0; i < sees; i++)
        if (!isfinite(observation[i]))
            return clm_fail(CLM_E_NUMERIC, "environment %s: observation %zu is not finite, at time %d of task %llu", e->name, i,
                            time, (unsigned long long)(s->first + task));
    if (!isfinite(reward))
        return clm_fail(CLM_E_NUMERIC, "environment %s: the reward is not finite, at time %d of task %llu", e->name, time,
                        (unsigned long long)(s->first + task));
    s->reward[row] = reward;
    return CLM_OK;
}

static clm_status run_on_host(clm_sampler *s, int set, int step) {
    clm_policy *p = s->policy;
    const clm_environment *e = &p->environment;
    const clm_samples *to = &p->sets[set];
    const size_t n = (size_t)p->options.trajectories, all = n * (size_t)p->options.tasks;
    clm_tensor *log_std = p->phi.entry[p->n_entries - 1];
    CLM_TRY(clm_tensor_read_f64(log_std, s->log_std, clm_tensor_size(log_std)));
    for (size_t at = 0; at < all; at++) {
        s->random[at].words = words_of(s->seed, s->purpose, (uint32_t)step | PHASE_EPISODE, s->first + at / n);
        s->random[at].words.next = (uint64_t)(at % n) << 32;
        s->over[at] = false;
        e->reset(e->user, clm_sampler_task(s, (int)(at / n)), &s->random[at], s->states + at * (size_t)e->state_numbers,
                 s->observation + at * (size_t)e->observation);
    }
    for (int t = 0; t < e->horizon; t++) {
        CLM_TRY(clm_tensor_write_f64(p->observation, s->observation, clm_tensor_size(p->observation)));
        CLM_TRY(clm_program_run(p->programs.act));
        CLM_TRY(clm_tensor_read_f64(p->mean, s->mean, clm_tensor_size(p->mean)));
        for (size_t at = 0; at < all; at++) CLM_TRY(step_on_host(s, at, step, t));
    }
    CLM_TRY(clm_tensor_write_f64(to->x, s->x, clm_tensor_size(to->x)));
    CLM_TRY(clm_tensor_write_f64(to->y, s->y, clm_tensor_size(to->y)));
    CLM_TRY(clm_tensor_write_f64(to->reward, s->reward, clm_tensor_size(to->reward)));
    return clm_tensor_write_f64(to->alive, s->alive, clm_tensor_size(to->alive));
}

clm_status clm_sampler_run(clm_sampler *s, int set, int step) {
    CLM_TRY(s->on_host ? run_on_host(s, set, step) : run_on_device(s, set, step));
    return clm_advantage_run(s->policy->advantages[set]);
}
