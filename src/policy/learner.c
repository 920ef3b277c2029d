/* A policy learner: its memory, and an iteration's parts. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/internal.h"

/* ---- options ---- */

static clm_status check_environment(const clm_environment *e) {
    const struct {
        const char *name;
        int is, most;
    } sizes[] = {{"observation", e->observation, CLM_POLICY_OBSERVATION_MOST},
                 {"action", e->action, CLM_POLICY_ACTION_MOST},
                 {"task_numbers", e->task_numbers, CLM_POLICY_NUMBERS_MOST},
                 {"state_numbers", e->state_numbers, CLM_POLICY_NUMBERS_MOST},
                 {"horizon", e->horizon, 10000}};
    if (e->version != CLM_ENVIRONMENT_VERSION)
        return clm_fail(CLM_E_ARG, "clm_environment of version %d, this library's is %d; begin it with CLM_ENVIRONMENT_INIT",
                        e->version, CLM_ENVIRONMENT_VERSION);
    if (!e->name || !e->name[0]) return clm_fail(CLM_E_ARG, "an environment needs a name");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].is < 1 || sizes[i].is > sizes[i].most)
            return clm_fail(CLM_E_ARG, "environment %s: %s is %d; it must be from 1 to %d", e->name, sizes[i].name, sizes[i].is,
                            sizes[i].most);
    if (!e->draw || !e->reset || !e->step)
        return clm_fail(CLM_E_ARG, "environment %s: it needs all of draw, reset and step", e->name);
    return CLM_OK;
}

static clm_status check_numbers(const clm_policy_options *o) {
    const struct {
        const char *name;
        double is, least, most;
        bool open; /* the least is none that it can be */
    } rows[] = {{"tasks", o->tasks, 1, 4096, false},
                {"trajectories", o->trajectories, 1, 4096, false},
                {"steps", o->steps, 1, CLM_POLICY_STEPS_MOST, false},
                {"inner_lr", o->inner_lr, 0, 1e6, true},
                {"discount", o->discount, 0, 1, false},
                {"gae_lambda", o->gae_lambda, 0, 1, false},
                {"trust_region", o->trust_region, 0, 1e6, true},
                {"solver_steps", o->solver_steps, 1, 1000, false},
                {"damping", o->damping, 0, 1e6, false},
                {"search_steps", o->search_steps, 1, 1000, false},
                {"search_factor", o->search_factor, 0, 0.999, true},
                {"task_chunk", o->task_chunk, 0, o->tasks, false}};
    if (o->version != CLM_POLICY_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG,
                        "clm_policy_options of version %d, this library's is %d; begin them with CLM_POLICY_OPTIONS_INIT",
                        o->version, CLM_POLICY_OPTIONS_VERSION);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!(rows[i].is >= rows[i].least && rows[i].is <= rows[i].most) || (rows[i].open && rows[i].is == rows[i].least))
            return clm_fail(CLM_E_ARG, "%s is %g; it must be %s %g and at most %g", rows[i].name, rows[i].is,
                            rows[i].open ? "above" : "at least", rows[i].least, rows[i].most);
    if (o->task_chunk && o->tasks % o->task_chunk)
        return clm_fail(CLM_E_ARG, "task_chunk %d does not divide the %d tasks", o->task_chunk, o->tasks);
    return o->outer == CLM_OUTER_TRPO || o->outer == CLM_OUTER_VPG
               ? CLM_OK
               : clm_fail(CLM_E_ARG, "outer %d is neither CLM_OUTER_TRPO nor CLM_OUTER_VPG", (int)o->outer);
}

/* Options of one way of updating that were given to the other. */
static clm_status check_unread(const clm_policy_options *o) {
    const clm_policy_options initial = CLM_POLICY_OPTIONS_INIT;
    const clm_optim_options *is = &o->optim, *was = &initial.optim;
    const struct {
        const char *name;
        bool given;
        clm_policy_outer reader;
    } fields[] = {{"trust_region", o->trust_region != initial.trust_region, CLM_OUTER_TRPO},
                  {"solver_steps", o->solver_steps != initial.solver_steps, CLM_OUTER_TRPO},
                  {"damping", o->damping != initial.damping, CLM_OUTER_TRPO},
                  {"search_steps", o->search_steps != initial.search_steps, CLM_OUTER_TRPO},
                  {"search_factor", o->search_factor != initial.search_factor, CLM_OUTER_TRPO},
                  {"optim.rule", is->rule && strcmp(is->rule, was->rule) != 0, CLM_OUTER_VPG},
                  {"optim.lr", is->lr != was->lr, CLM_OUTER_VPG},
                  {"optim.clip", is->clip != was->clip || is->clip_kind != was->clip_kind, CLM_OUTER_VPG},
                  {"optim.weight_decay", is->weight_decay != was->weight_decay, CLM_OUTER_VPG},
                  {"optim.schedule", is->schedule && strcmp(is->schedule, was->schedule) != 0, CLM_OUTER_VPG},
                  {"optim.warmup", is->warmup != was->warmup, CLM_OUTER_VPG}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].given && o->outer != fields[i].reader)
            return clm_fail_unread(fields[i].name, "outer update", clm_policy_outer_name(o->outer));
    return CLM_OK;
}

static clm_status check_model(const clm_environment *e, const clm_model *model) {
    const clm_shape in = clm_model_in_shape(model), out = clm_model_out_shape(model);
    const clm_shape wanted = clm_shape_of(1, e->observation), given = clm_shape_of(1, e->action);
    char a[80], b[80];
    if (!clm_shape_equal(&in, &wanted) || !clm_shape_equal(&out, &given))
        return clm_fail(CLM_E_SHAPE, "the model makes %s of %s; environment %s needs [%d] actions of [%d] observations",
                        clm_shape_text(&out, a, sizeof a), clm_shape_text(&in, b, sizeof b), e->name, e->action,
                        e->observation);
    if (clm_model_param_count(model) < 1 || clm_model_param_count(model) >= CLM_POLICY_ENTRIES_MOST)
        return clm_fail(CLM_E_LIMIT, "the model has %zu parameters; a policy has 1 to %d", clm_model_param_count(model),
                        CLM_POLICY_ENTRIES_MOST - 1);
    for (size_t i = 0; i < clm_model_param_count(model); i++)
        if (clm_model_param(model, i)->layout != CLM_LAYOUT_SAME)
            return clm_fail(CLM_E_SHAPE, "parameter %s is that of a convolution; a policy is made of vectors and matrices",
                            clm_model_param(model, i)->name);
    return CLM_OK;
}

clm_status clm_policy_check(const clm_environment *environment, const clm_model *model, const clm_policy_options *options) {
    CLM_TRY(check_environment(environment));
    CLM_TRY(check_numbers(options));
    CLM_TRY(check_unread(options));
    return check_model(environment, model);
}

clm_task_options clm_policy_task_options(const clm_policy_options *o) {
    clm_task_options task = CLM_TASK_OPTIONS_INIT;
    task.steps = o->steps;
    task.inner_lr = o->inner_lr;
    task.first_order = o->first_order;
    task.support_per_step = true;
    task.loss.name = "gaussian-policy";
    return task;
}

/* ---- memory ---- */

static clm_status create_vector(clm_policy *p, clm_policy_vector *v, int tasks) {
    const int all = (int)p->elements * (tasks > 0 ? tasks : 1);
    CLM_TRY(clm_tensor_create(&v->whole, p->device, clm_shape_of(1, all), 0));
    for (size_t i = 0; i < p->n_entries; i++) {
        const clm_policy_entry *e = &p->entries[i];
        CLM_TRY(clm_tensor_view(&v->entry[i], v->whole, e->at * (size_t)(tasks > 0 ? tasks : 1), e->shape, tasks));
    }
    return CLM_OK;
}

static void free_vector(clm_policy_vector *v) {
    for (size_t i = 0; i < CLM_POLICY_ENTRIES_MOST; i++) clm_tensor_free(v->entry[i]);
    clm_tensor_free(v->whole);
}

static clm_status list_entries(clm_policy *p) {
    const clm_task_options task = clm_policy_task_options(&p->options);
    CLM_TRY(clm_params_create(&p->params, p->model, &task));
    p->n_entries = clm_params_count(p->params);
    for (size_t i = 0; i < p->n_entries; i++) {
        const clm_params_info info = clm_params_get_info(p->params, i);
        p->entries[i] = (clm_policy_entry){info.name, info.shape, p->elements, info.size};
        p->elements += info.size;
    }
    return CLM_OK;
}

static clm_status create_set(clm_policy *p, int k) {
    const clm_policy_options *o = &p->options;
    const clm_environment *e = &p->environment;
    clm_samples *s = &p->sets[k];
    CLM_TRY(clm_tensor_create(&s->x, p->device, clm_shape_of(2, p->rows, e->observation), o->tasks));
    CLM_TRY(clm_tensor_create(&s->y, p->device, clm_shape_of(2, p->rows, e->action + 1), o->tasks));
    CLM_TRY(clm_tensor_create(&s->reward, p->device, clm_shape_of(1, p->rows), o->tasks));
    CLM_TRY(clm_tensor_create(&s->alive, p->device, clm_shape_of(1, p->rows), o->tasks));
    CLM_TRY(clm_tensor_create(&s->weight, p->device, clm_shape_of(1, p->rows), o->tasks));
    CLM_TRY(clm_tensor_create(&s->total, p->device, clm_shape_of(1, o->trajectories), o->tasks));
    return clm_advantage_create(&p->advantages[k], p->device, s, o->tasks, o->trajectories, e->horizon, o->discount,
                                o->gae_lambda);
}

static clm_status create_tensors(clm_policy *p) {
    const int tasks = p->options.tasks, n = p->options.trajectories, sees = p->environment.observation,
              acts = p->environment.action;
    CLM_TRY(create_vector(p, &p->theta, 0));
    CLM_TRY(create_vector(p, &p->gradient, 0));
    CLM_TRY(create_vector(p, &p->direction, 0));
    CLM_TRY(create_vector(p, &p->phi, tasks));
    for (int k = 0; k <= p->options.steps; k++) CLM_TRY(create_set(p, k));
    CLM_TRY(clm_tensor_create(&p->observation, p->device, clm_shape_of(2, n, sees), tasks));
    CLM_TRY(clm_tensor_create(&p->mean, p->device, clm_shape_of(2, n, acts), tasks));
    CLM_TRY(clm_tensor_create(&p->old_mean, p->device, clm_shape_of(2, p->rows, acts), tasks));
    CLM_TRY(clm_tensor_create(&p->old_log_std, p->device, clm_shape_of(1, acts), tasks));
    CLM_TRY(clm_tensor_create(&p->loss, p->device, (clm_shape){0}, tasks));
    CLM_TRY(clm_tensor_create(&p->kl, p->device, (clm_shape){0}, tasks));
    CLM_TRY(clm_tensor_create(&p->rate, p->device, (clm_shape){0}, 0));
    p->totals = clm_calloc((size_t)tasks * (size_t)n, sizeof *p->totals);
    return p->totals ? CLM_OK : CLM_E_MEMORY;
}

static clm_status create(clm_policy *p) {
    const clm_policy_options *o = &p->options;
    const bool cpu = p->device->info.type == CLM_DEVICE_CPU;
    p->rows = o->trajectories * p->environment.horizon;
    p->chunk = o->task_chunk ? o->task_chunk : cpu ? 1 : o->tasks;
    CLM_TRY(list_entries(p));
    CLM_TRY(create_tensors(p));
    CLM_TRY(clm_policy_programs_create(p));
    if (o->outer == CLM_OUTER_VPG) {
        CLM_TRY(clm_optimizer_init(&p->optimizer, p->device, p->theta.whole, p->gradient.whole, &o->optim));
        CLM_TRY(clm_optimizer_plan(&p->optimizer, NULL));
        CLM_TRY(clm_optimizer_prepare(&p->optimizer));
    }
    CLM_TRY(clm_sampler_create(&p->sampler, p, false));
    return clm_policy_set(p, p->params);
}

clm_status clm_policy_create(clm_policy **out, clm_device *device, const clm_environment *environment, const clm_model *model,
                             const clm_policy_options *options) {
    *out = NULL;
    CLM_TRY(clm_policy_check(environment, model, options));
    clm_policy *p = clm_calloc(1, sizeof *p);
    if (!p) return CLM_E_MEMORY;
    *p = (clm_policy){.device = device, .model = model, .environment = *environment, .options = *options, .rate_at = NAN};
    const clm_status status = create(p);
    if (status == CLM_OK)
        *out = p;
    else
        clm_policy_free(p);
    return status;
}

static void free_set(clm_samples *s) {
    clm_tensor *const owned[] = {s->x, s->y, s->reward, s->alive, s->weight, s->total};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) clm_tensor_free(owned[i]);
}

void clm_policy_free(clm_policy *p) {
    if (!p) return;
    clm_sampler_free(p->sampler);
    clm_optimizer_free(&p->optimizer);
    clm_policy_programs_free(&p->programs, p->chunk > 0 ? p->options.tasks / p->chunk : 0);
    for (int k = 0; k <= CLM_POLICY_STEPS_MOST; k++) {
        clm_advantage_free(p->advantages[k]);
        free_set(&p->sets[k]);
    }
    clm_tensor *const owned[] = {p->observation, p->mean, p->old_mean, p->old_log_std, p->loss, p->kl, p->rate};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) clm_tensor_free(owned[i]);
    clm_policy_vector *const vectors[] = {&p->theta, &p->gradient, &p->direction, &p->phi};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) free_vector(vectors[i]);
    clm_params_free(p->params);
    free(p->totals);
    free(p);
}

/* ---- parameters ---- */

clm_status clm_policy_set(clm_policy *p, clm_params *params) {
    if (params != p->params) clm_params_copy(p->params, params);
    p->current = false;
    for (size_t i = 0; i < p->n_entries; i++)
        CLM_TRY(clm_tensor_write_f64(p->theta.entry[i], clm_params_values(p->params, i), p->entries[i].size));
    return CLM_OK;
}

clm_status clm_policy_get(clm_policy *p, clm_params *params) {
    for (size_t i = 0; i < p->n_entries; i++)
        CLM_TRY(clm_tensor_read_f64(p->theta.entry[i], clm_params_values(p->params, i), p->entries[i].size));
    if (params != p->params) clm_params_copy(params, p->params);
    return CLM_OK;
}

/* ---- an iteration ---- */

static clm_status set_rate(clm_policy *p, double rate) {
    if (p->rate_at == rate) return CLM_OK;
    p->rate_at = rate;
    return clm_tensor_write_f64(p->rate, &rate, 1);
}

static clm_status run_chunks(clm_policy *p, clm_program **programs) {
    for (int i = 0; i < p->options.tasks / p->chunk; i++) CLM_TRY(clm_program_run(programs[i]));
    return CLM_OK;
}

clm_status clm_policy_begin(clm_policy *p) {
    p->current = false;
    return clm_program_run(p->programs.begin);
}

clm_status clm_policy_adapt(clm_policy *p, int set, double rate) {
    CLM_TRY(set_rate(p, rate));
    return run_chunks(p, p->programs.adapt[set]);
}

clm_status clm_policy_returns(clm_policy *p, int set, double *returns) {
    const int n = p->options.trajectories;
    CLM_TRY(clm_tensor_read_f64(p->sets[set].total, p->totals, clm_tensor_size(p->sets[set].total)));
    for (int task = 0; task < p->options.tasks; task++) {
        returns[task] = 0;
        for (int i = 0; i < n; i++) returns[task] += p->totals[task * n + i] / n;
    }
    return CLM_OK;
}

clm_status clm_policy_sample(clm_policy *p, uint64_t seed, uint64_t first) {
    CLM_TRY(clm_sampler_tasks(p->sampler, seed, CLM_PURPOSE_TRAIN, first));
    CLM_TRY(clm_policy_begin(p));
    for (int k = 0; k <= p->options.steps; k++) {
        CLM_TRY(clm_sampler_run(p->sampler, k, k));
        if (k < p->options.steps) CLM_TRY(clm_policy_adapt(p, k, p->options.inner_lr));
    }
    return CLM_OK;
}

/* The sum over tasks, which stays on the device, as a mean. */
static clm_status read_mean(clm_policy *p, double *values) {
    CLM_TRY(clm_tensor_read_f64(p->gradient.whole, values, p->elements));
    for (size_t i = 0; i < p->elements; i++) values[i] /= p->options.tasks;
    return CLM_OK;
}

static clm_status sum_gradient(clm_policy *p) {
    CLM_TRY(set_rate(p, p->options.inner_lr));
    CLM_TRY(clm_tensor_fill(p->gradient.whole, 0));
    CLM_TRY(run_chunks(p, p->programs.gradient));
    p->current = true;
    return CLM_OK;
}

clm_status clm_policy_gradient(clm_policy *p, double *values) {
    CLM_TRY(sum_gradient(p));
    return read_mean(p, values);
}

clm_status clm_policy_fisher(clm_policy *p, const double *direction, double *product) {
    if (p->programs.n_kept && !p->current) CLM_TRY(sum_gradient(p));
    CLM_TRY(set_rate(p, p->options.inner_lr));
    CLM_TRY(clm_tensor_write_f64(p->direction.whole, direction, p->elements));
    CLM_TRY(clm_tensor_fill(p->gradient.whole, 0));
    CLM_TRY(run_chunks(p, p->programs.fisher));
    return read_mean(p, product);
}

static clm_status mean_of(clm_policy *p, clm_tensor *numbers, double *mean) {
    CLM_TRY(clm_tensor_read_f64(numbers, p->totals, (size_t)p->options.tasks));
    *mean = 0;
    for (int i = 0; i < p->options.tasks; i++) *mean += p->totals[i] / p->options.tasks;
    return CLM_OK;
}

static clm_status try_at(clm_policy *p, const double *values, double *surrogate, double *kl) {
    CLM_TRY(set_rate(p, p->options.inner_lr));
    CLM_TRY(clm_tensor_write_f64(p->theta.whole, values, p->elements));
    CLM_TRY(run_chunks(p, p->programs.trial));
    CLM_TRY(mean_of(p, p->loss, surrogate));
    return mean_of(p, p->kl, kl);
}

clm_status clm_policy_trial(clm_policy *p, const double *values, double *surrogate, double *kl) {
    CLM_TRY(clm_tensor_copy(p->direction.whole, p->theta.whole)); /* which nothing needs meanwhile */
    const clm_status status = try_at(p, values, surrogate, kl);
    CLM_TRY(clm_tensor_copy(p->theta.whole, p->direction.whole));
    return status;
}
