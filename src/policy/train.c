/* Training a policy. Iteration i trains on the tasks i T .. i T + T - 1 of the endless sequence that the seed starts. After
 * update n come, in this order, a row of metrics, validation (which may write `best`), a checkpoint: so a resumed run repeats
 * nothing and leaves nothing out.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "clmaml/train.h"
#include "policy/train.h"

/* ---- options ---- */

static clm_status check(const clm_policy_train_options *o) {
    const struct {
        const char *name;
        double is, least, most;
    } rows[] = {{"validate_every", (double)o->validate_every, 1, 1e15},
                {"log_every", (double)o->log_every, 1, 1e15},
                {"validation_tasks", o->validation_tasks, 1, 1e6},
                {"test_tasks", o->test_tasks, 0, 1e6},
                {"test_steps", o->test_steps, 1, CLM_POLICY_STEPS_MOST}};
    if (o->version != CLM_POLICY_TRAIN_OPTIONS_VERSION)
        return clm_fail(
            CLM_E_ARG,
            "clm_policy_train_options of version %d, this library's is %d; begin them with CLM_POLICY_TRAIN_OPTIONS_INIT",
            o->version, CLM_POLICY_TRAIN_OPTIONS_VERSION);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!(rows[i].is >= rows[i].least && rows[i].is <= rows[i].most))
            return clm_fail(CLM_E_ARG, "%s is %.0f; it must be from %.0f to %.0f", rows[i].name, rows[i].is, rows[i].least,
                            rows[i].most);
    if (!(o->test_lr > 0) || !isfinite(o->test_lr)) return clm_fail(CLM_E_ARG, "test_lr is %g; it must be above 0", o->test_lr);
    if (o->eval_trajectories < 0 || o->eval_trajectories > 4096)
        return clm_fail(CLM_E_ARG, "eval_trajectories is %d; it must be from 0 to 4096", o->eval_trajectories);
    if (!(o->eval_lr >= 0) || !isfinite(o->eval_lr))
        return clm_fail(CLM_E_ARG, "eval_lr is %g; it must be above 0, or 0 for test_lr", o->eval_lr);
    if (o->directory && !*o->directory) return clm_fail(CLM_E_ARG, "directory is an empty text; NULL: nothing is kept");
    json_t *note = o->note ? json_loads(o->note, JSON_DECODE_ANY, NULL) : NULL;
    if (o->note && !note) return clm_fail(CLM_E_ARG, "note is not JSON: %.60s", o->note);
    json_decref(note);
    if (o->resume && !o->directory) return clm_fail(CLM_E_ARG, "resume: without a directory there is nothing to go on from");
    if (o->policy.optim.average != 0)
        return clm_fail(CLM_E_ARG, "optim.average is %g; a policy keeps no moving average, it must be 0",
                        o->policy.optim.average);
    return CLM_OK;
}

static bool stops(const clm_policy_trainer *t) { return t->options.stop && t->options.stop(t->options.user); }

/* ---- an iteration ---- */

static clm_status product(void *user, const double *v, double *out) { return clm_policy_fisher(user, v, out); }
static clm_status trial(void *user, const double *x, double *surrogate, double *kl) {
    return clm_policy_trial(user, x, surrogate, kl);
}

static clm_status update_trusted(clm_policy_trainer *t, clm_policy_row *row) {
    clm_policy *p = t->policy;
    clm_trust_report report;
    CLM_TRY(clm_tensor_read_f64(p->theta.whole, t->theta, p->elements));
    CLM_TRY(clm_trust_step(&t->trust, t->gradient, 0, t->theta, &report));
    if (report.tries > 0) CLM_TRY(clm_tensor_write_f64(p->theta.whole, t->theta, p->elements));
    row->value[CLM_POLICY_METRIC_SURROGATE] = report.surrogate;
    row->value[CLM_POLICY_METRIC_KL] = report.kl;
    row->value[CLM_POLICY_METRIC_RESIDUAL] = report.residual;
    row->value[CLM_POLICY_METRIC_SEARCH] = report.tries;
    return CLM_OK;
}

static clm_status update_plainly(clm_policy_trainer *t) {
    clm_optimizer *o = &t->policy->optimizer;
    CLM_TRY(clm_optimizer_run(o, t->policy->options.tasks));
    clm_optimizer_accept(o);
    return CLM_OK;
}

static clm_status measure(clm_policy_trainer *t, clm_policy_row *row) {
    clm_policy *p = t->policy;
    clm_policy_score before = {0, 0, 0}, after = {0, 0, 0};
    CLM_TRY(clm_policy_returns(p, 0, t->returns));
    clm_policy_score_add(&before, t->returns, (size_t)p->options.tasks);
    CLM_TRY(clm_policy_returns(p, p->options.steps, t->returns));
    clm_policy_score_add(&after, t->returns, (size_t)p->options.tasks);
    row->value[CLM_POLICY_METRIC_RETURN_BEFORE] = clm_policy_score_mean(&before);
    row->value[CLM_POLICY_METRIC_RETURN_AFTER] = clm_policy_score_mean(&after);
    row->value[CLM_POLICY_METRIC_INTERVAL] = clm_policy_score_half(&after);
    return CLM_OK;
}

/* Mean of exp(log_std) at theta. */
static clm_status deviation(clm_policy_trainer *t, double *mean) {
    clm_tensor *log_std = t->policy->theta.entry[t->policy->n_entries - 1];
    const size_t n = clm_tensor_size(log_std);
    double values[CLM_POLICY_ACTION_MOST];
    CLM_TRY(clm_tensor_read_f64(log_std, values, n));
    *mean = 0;
    for (size_t i = 0; i < n; i++) *mean += exp(values[i]) / (double)n;
    return CLM_OK;
}

static clm_status iterate(clm_policy_trainer *t, clm_policy_row *row) {
    clm_policy *p = t->policy;
    const clm_policy_train_options *o = &t->options;
    double squares = 0;
    CLM_TRY(clm_policy_sample(p, o->seed, t->iteration * (uint64_t)o->policy.tasks));
    CLM_TRY(measure(t, row));
    CLM_TRY(deviation(t, &row->value[CLM_POLICY_METRIC_DEVIATION]));
    CLM_TRY(clm_policy_gradient(p, t->gradient));
    for (size_t i = 0; i < p->elements; i++) squares += t->gradient[i] * t->gradient[i];
    if (!isfinite(squares))
        return clm_fail(CLM_E_NUMERIC, "iteration %llu: the meta-gradient is not finite; take a smaller inner_lr",
                        (unsigned long long)(t->iteration + 1));
    row->value[CLM_POLICY_METRIC_GRAD_NORM] = sqrt(squares);
    return o->policy.outer == CLM_OUTER_VPG ? update_plainly(t) : update_trusted(t, row);
}

/* ---- validation and checkpoints ---- */

static clm_status tell(clm_policy_trainer *t, clm_policy_row *row, bool best) {
    row->value[CLM_POLICY_METRIC_SECONDS] = t->seconds_before + clm_clock() - t->started;
    CLM_TRY(clm_policy_log_add(&t->log, row));
    if (t->options.row) t->options.row(t->options.user, row, best);
    return CLM_OK;
}

/* One that is stopped counts as not begun. */
static clm_status validate(clm_policy_trainer *t, bool *stopped) {
    const clm_policy_train_options *o = &t->options;
    clm_policy_score scores[CLM_POLICY_STEPS_MOST + 1];
    clm_policy_row row = clm_policy_row_empty(t->iteration, true);
    CLM_TRY(clm_policy_evaluate(t, CLM_PURPOSE_VALIDATION, o->validation_tasks, o->test_steps, scores, stopped));
    if (*stopped) return CLM_OK;
    const double score = clm_policy_score_mean(&scores[o->test_steps]);
    row.value[CLM_POLICY_METRIC_RETURN_BEFORE] = clm_policy_score_mean(&scores[0]);
    row.value[CLM_POLICY_METRIC_RETURN_AFTER] = score;
    row.value[CLM_POLICY_METRIC_INTERVAL] = clm_policy_score_half(&scores[o->test_steps]);
    const bool best = isnan(t->best_return) || score > t->best_return;
    if (best) {
        t->best_return = score;
        t->best_iteration = t->iteration;
        CLM_TRY(clm_policy_get(t->policy, t->best));
        if (o->directory) CLM_TRY(clm_policy_run_save(t, "best"));
    }
    return tell(t, &row, best);
}

static clm_status draw_curve(const clm_policy_trainer *t) {
    char title[128];
    snprintf(title, sizeof title, "%.60s: MAML by policy gradient, %s%s", t->policy->environment.name,
             t->options.policy.outer == CLM_OUTER_VPG ? "plain outer policy gradient" : "outer TRPO",
             t->options.policy.first_order ? ", first order" : "");
    return clm_policy_draw_curve(&t->log, title);
}

static clm_status checkpoint(clm_policy_trainer *t) {
    if (!t->options.directory) return CLM_OK;
    CLM_TRY(clm_policy_run_save(t, "last"));
    CLM_TRY(draw_curve(t));
    return clm_policy_show(t, t->iteration);
}

/* A run that goes on where it had ended makes no checkpoint; its pictures may be gone. */
static clm_status draw_lost(clm_policy_trainer *t) {
    char path[CLM_POLICY_PATH];
    if (!t->options.directory) return CLM_OK;
    CLM_TRY(clm_policy_path(path, t->log.directory, "curve.svg"));
    if (!clm_path_exists(path)) CLM_TRY(draw_curve(t));
    CLM_TRY(clm_policy_path(path, t->log.directory, "trajectories.svg"));
    return clm_path_exists(path) ? CLM_OK : clm_policy_show(t, t->iteration);
}

static bool validated_at(const clm_policy_trainer *t, uint64_t iteration) {
    for (size_t i = t->log.count; i-- > 0 && t->log.rows[i].iteration == iteration;)
        if (t->log.rows[i].validation) return true;
    return false;
}

/* Where a run was stopped between an update and its validation, that is made up for. */
static clm_status settle(clm_policy_trainer *t, bool *stopped) {
    const clm_policy_train_options *o = &t->options;
    const bool due = t->iteration % o->validate_every == 0 || t->iteration >= o->iterations;
    if (!due || validated_at(t, t->iteration)) return CLM_OK;
    CLM_TRY(validate(t, stopped));
    return *stopped ? CLM_OK : checkpoint(t);
}

static clm_status loop(clm_policy_trainer *t) {
    const clm_policy_train_options *o = &t->options;
    bool stopped = false;
    CLM_TRY(settle(t, &stopped));
    while (!stopped && t->iteration < o->iterations) {
        clm_policy_row row = clm_policy_row_empty(t->iteration + 1, false);
        if ((stopped = stops(t))) break;
        CLM_TRY(iterate(t, &row));
        t->iteration++;
        if (t->iteration % o->log_every == 0 || t->iteration == 1) CLM_TRY(tell(t, &row, false));
        CLM_TRY(settle(t, &stopped));
    }
    t->result.stopped = stopped;
    if (!stopped) return draw_lost(t);
    return o->directory ? clm_policy_run_save(t, "last") : CLM_OK;
}

/* The trajectories and the rate of the test: those of validation, unless others are asked for. The picture shows what is tested. */
static clm_status test_with(clm_policy_trainer *t, clm_policy_score *scores) {
    const clm_policy_train_options was = t->options;
    clm_policy *const trained = t->policy;
    clm_policy *other = NULL;
    clm_policy_options o = was.policy;
    clm_status status = CLM_OK;
    if (was.eval_trajectories) o.trajectories = was.eval_trajectories;
    if (was.eval_lr > 0) t->options.test_lr = was.eval_lr;
    if (o.trajectories != was.policy.trajectories) {
        CLM_GOTO(clm_policy_create(&other, t->device, &trained->environment, t->model, &o));
        t->policy = other;
    }
    CLM_GOTO(clm_policy_set(t->policy, t->best));
    CLM_GOTO(clm_policy_evaluate(t, CLM_PURPOSE_TEST, was.test_tasks, was.test_steps, scores, &t->result.stopped));
    if (was.directory && !t->result.stopped) CLM_GOTO(clm_policy_show(t, t->best_iteration));
out:
    t->policy = trained;
    t->options = was;
    clm_policy_free(other);
    return status;
}

static clm_status test(clm_policy_trainer *t) {
    const clm_policy_train_options *o = &t->options;
    clm_policy_score scores[CLM_POLICY_STEPS_MOST + 1];
    clm_policy_result *r = &t->result;
    if (r->stopped || o->test_tasks == 0) return CLM_OK;
    CLM_TRY(test_with(t, scores));
    if (r->stopped) return CLM_OK;
    r->test_tasks = (int)scores[0].n;
    r->test_steps = o->test_steps;
    for (int k = 0; k <= o->test_steps; k++) {
        r->test_return[k] = clm_policy_score_mean(&scores[k]);
        r->test_half[k] = clm_policy_score_half(&scores[k]);
    }
    return o->directory ? clm_policy_run_write_result(t) : CLM_OK;
}

/* ---- the run ---- */

static clm_status create(clm_policy_trainer *t, const clm_environment *environment) {
    const clm_policy_options *o = &t->options.policy;
    const clm_task_options task = clm_policy_task_options(o);
    CLM_TRY(clm_policy_create(&t->policy, t->device, environment, t->model, o));
    CLM_TRY(clm_params_create(&t->best, t->model, &task));
    const size_t n = t->policy->elements;
    t->theta = clm_calloc(n, sizeof *t->theta);
    t->gradient = clm_calloc(n, sizeof *t->gradient);
    t->returns = clm_calloc((size_t)o->tasks, sizeof *t->returns);
    t->trust = (clm_trust){.n = n,
                           .radius = o->trust_region,
                           .damping = o->damping,
                           .factor = o->search_factor,
                           .solver_steps = o->solver_steps,
                           .search_steps = o->search_steps,
                           .product = product,
                           .trial = trial,
                           .user = t->policy,
                           .work = clm_calloc(CLM_TRUST_WORK * n, sizeof(double))};
    t->record = clm_policy_record(&t->options, environment, t->model);
    return t->theta && t->gradient && t->returns && t->trust.work && t->record ? CLM_OK : CLM_E_MEMORY;
}

static clm_status open_run(clm_policy_trainer *t) {
    const clm_policy_train_options *o = &t->options;
    bool resumed = false;
    if (!o->directory) return CLM_OK;
    if (o->resume)
        resumed = clm_policy_run_has_checkpoint(o->directory);
    else
        CLM_TRY(clm_train_check_directory(o->directory));
    if (resumed) CLM_TRY(clm_policy_run_restore(t));
    if (t->iteration > o->iterations)
        return clm_fail(CLM_E_ARG, "%s has made %llu iterations already; iterations %llu is less", o->directory,
                        (unsigned long long)t->iteration, (unsigned long long)o->iterations);
    return clm_policy_run_open(t, resumed);
}

static clm_status run(clm_policy_trainer *t, const clm_environment *environment) {
    CLM_TRY(create(t, environment));
    CLM_TRY(clm_params_reset(t->policy->params, t->options.seed));
    CLM_TRY(clm_policy_set(t->policy, t->policy->params));
    CLM_TRY(open_run(t));
    t->started = clm_clock();
    CLM_TRY(loop(t));
    t->result.iteration = t->iteration;
    t->result.best_iteration = t->best_iteration;
    t->result.best_return = t->best_return;
    return test(t);
}

static void destroy(clm_policy_trainer *t) {
    clm_policy_log_close(&t->log);
    clm_policy_free(t->policy);
    clm_params_free(t->best);
    free(t->theta);
    free(t->gradient);
    free(t->returns);
    free(t->trust.work);
    free(t->record);
    free(t);
}

static clm_status train(clm_device *device, const clm_environment *environment, const clm_model *model,
                        const clm_policy_train_options *options, clm_params *best, clm_policy_result *result) {
    CLM_TRY(check(options));
    CLM_TRY(clm_policy_check(environment, model, &options->policy));
    clm_policy_trainer *t = clm_calloc(1, sizeof *t);
    if (!t) return CLM_E_MEMORY;
    *t = (clm_policy_trainer){.options = *options, .device = device, .model = model, .best_return = NAN};
    t->log.lock = -1;
    const clm_status status = run(t, environment);
    if (status == CLM_OK && best) clm_params_copy(best, t->best);
    if (result) *result = t->result;
    destroy(t);
    return status;
}

clm_status clm_policy_train(clm_device *device, const clm_environment *environment, const clm_model *model,
                            const clm_policy_train_options *options, clm_params *best, clm_policy_result *result) {
    CLM_IN_DEVICE(device, train(device, environment, model, options, best, result));
}
