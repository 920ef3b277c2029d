/* Task options become a list of named tensors with masks, and rows of the tables. */
#include "meta/task.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "meta/algorithm/algorithm.h"
#include "meta/inner/rule.h"
#include "meta/loss.h"

/* ---- checks ---- */

static clm_status check_numbers(const clm_task_options *o, const clm_algorithm *a) {
    const bool inner = a->takes & CLM_TAKES(STEPS);
    if (o->version != CLM_TASK_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "task: options of version %d; initialise them with CLM_TASK_OPTIONS_INIT", o->version);
    if (o->support < 1 || o->query < 1 || o->steps < inner)
        return clm_fail(CLM_E_ARG, "meta: %d support and %d query examples, %d inner steps: each must be at least 1",
                        o->support, o->query, o->steps);
    if (!isfinite(o->inner_lr)) return clm_fail(CLM_E_ARG, "meta: the inner rate is not a number");
    if ((a->takes & CLM_TAKES(PROXIMAL)) && (!(o->proximal > 0) || o->solver_steps < 1))
        return clm_fail(CLM_E_ARG, "%s: proximal %g and %d solver steps: both must be above 0", a->info.name, o->proximal,
                        o->solver_steps);
    if (o->ways < 0) return clm_fail(CLM_E_ARG, "meta: %d ways", o->ways);
    return CLM_OK;
}

static clm_status check_range(const char *option, int value, int most) {
    if (value >= 0 && value <= most) return CLM_OK;
    return clm_fail(CLM_E_ARG, "%s is %d; its values are those of its enumeration, 0 to %d", option, value, most);
}

static clm_status check_list(const char *option, const void *list, size_t n) {
    return list || !n ? CLM_OK : clm_fail(CLM_E_ARG, "%s: %zu prefixes, and no list of them", option, n);
}

clm_status clm_task_check_weights(const double *weights, int steps) {
    double most = 0;
    for (int k = 0; weights && k < steps; k++) {
        if (!isfinite(weights[k]))
            return clm_fail(CLM_E_ARG, "step_weights: that of step %d is %g; weights are finite numbers", k + 1, weights[k]);
        most = fmax(most, fabs(weights[k]));
    }
    return !weights || most > 0 ? CLM_OK : clm_fail(CLM_E_ARG, "step_weights: all are 0, which leaves nothing to learn from");
}

static clm_status check_values(const clm_task_options *o) {
    CLM_TRY(check_range("rates", (int)o->rates, CLM_RATES_PER_ELEMENT));
    CLM_TRY(check_range("solver", (int)o->solver, CLM_SOLVER_NEUMANN));
    CLM_TRY(check_range("loss.reduction", (int)o->loss.reduction, CLM_REDUCE_NONE));
    if (o->loss.reduction == CLM_REDUCE_NONE)
        return clm_fail(CLM_E_ARG, "loss.reduction is none; the loss of a task is one number, the mean or the sum");
    CLM_TRY(check_list("adapt", o->adapt, o->n_adapt));
    CLM_TRY(check_list("freeze", o->freeze, o->n_freeze));
    CLM_TRY(check_list("unlearned", o->unlearned, o->n_unlearned));
    return clm_task_check_weights(o->step_weights, o->steps);
}

/* ---- all together ---- */

static clm_status copy_numbers(double **out, const double *from, size_t n) {
    if (!from) return CLM_OK;
    if (!(*out = clm_calloc(n, sizeof **out))) return CLM_E_MEMORY;
    memcpy(*out, from, n * sizeof **out);
    return CLM_OK;
}

static clm_status find_rows(clm_task *t) {
    char known[400];
    const clm_task_options *o = &t->options;
    t->rule = clm_inner_rule_find(o->inner.rule ? o->inner.rule : "sgd");
    if (!t->rule)
        return clm_fail(CLM_E_ARG, "unknown inner rule \"%.40s\"; known: %s", o->inner.rule,
                        clm_inner_rule_names(known, sizeof known));
    t->loss = clm_loss_find(o->loss.name ? o->loss.name : "cross-entropy");
    if (!t->loss)
        return clm_fail(CLM_E_ARG, "unknown loss \"%.40s\"; known: %s", o->loss.name, clm_loss_names(known, sizeof known));
    CLM_TRY(clm_inner_options_check(t->rule, &o->inner));
    return clm_loss_check(t->loss, &o->loss);
}

static bool has_batch_norm(const clm_model *model) {
    for (size_t i = 0; i < clm_model_param_count(model); i++)
        if (clm_model_param(model, i)->role == CLM_PARAM_BATCH_NORM) return true;
    return false;
}

/* What the model leaves without a meaning. An algorithm's name may imply per-step batch-norm for models that have none. */
static clm_status check_model(const clm_task *t) {
    const clm_task_options *o = &t->options;
    const clm_shape out = clm_model_out_shape(t->model);
    const int outputs = t->loss->labels ? out.dim[out.rank - 1] : 0;
    clm_task_options implied = CLM_TASK_OPTIONS_INIT;
    implied.algorithm = o->algorithm;
    CLM_TRY(clm_task_options_resolve(&implied));
    if (o->batch_norm_per_step && !implied.batch_norm_per_step && !has_batch_norm(t->model))
        return clm_fail(CLM_E_ARG, "batch_norm_per_step: the model has no batch-norm");
    if (o->ways && o->ways != outputs && !(t->algorithm->takes & CLM_TAKES(WAYS)))
        return clm_fail(CLM_E_ARG, "%d ways: the algorithm %s takes a task's classes from the model, which has %d; give 0",
                        o->ways, t->algorithm->info.name, outputs);
    return CLM_OK;
}

/* What cannot be masked. A model of the user's own does as it likes with its batch. */
static clm_status check_uneven(const clm_task *t) {
    if (!t->options.uneven) return CLM_OK;
    if (!t->loss->masked)
        return clm_fail(CLM_E_ARG, "uneven: examples of the loss %s, a function of your own, cannot be left out; take another",
                        t->loss->name);
    if (!clm_model_json(t->model) && has_batch_norm(t->model))
        return clm_fail(CLM_E_ARG, "uneven: statistics of batch-norm in a model of your own cannot be masked; describe it as a "
                                   "list of layers, or take tasks of one size");
    return CLM_OK;
}

static clm_status init(clm_task *t, const clm_model *model, const clm_task_options *given) {
    clm_task_options *o = &t->options;
    *o = *given;
    t->model = model;
    CLM_TRY(clm_task_options_resolve(o));
    t->algorithm = clm_algorithm_find(o->algorithm);
    CLM_TRY(check_numbers(o, t->algorithm));
    CLM_TRY(clm_algorithm_check(t->algorithm, o));
    CLM_TRY(check_values(o));
    CLM_TRY(find_rows(t));
    CLM_TRY(check_model(t));
    CLM_TRY(check_uneven(t));
    if (o->step_weights) CLM_TRY(copy_numbers(&t->weights, o->step_weights, (size_t)o->steps));
    if (o->loss.class_weights) CLM_TRY(copy_numbers(&t->class_weights, o->loss.class_weights, (size_t)clm_task_classes(t)));
    o->step_weights = t->weights;
    o->loss.class_weights = t->class_weights;
    t->n_model = clm_model_param_count(model);
    return clm_task_list_entries(t, given);
}

clm_status clm_task_init(clm_task *t, const clm_model *model, const clm_task_options *options) {
    *t = (clm_task){0};
    clm_status status = init(t, model, options);
    t->options.adapt = t->options.freeze = t->options.unlearned = NULL; /* the caller's */
    t->options.n_adapt = t->options.n_freeze = t->options.n_unlearned = 0;
    if (status != CLM_OK) clm_task_free(t);
    return status;
}

void clm_task_free(clm_task *t) {
    free(t->entries);
    free(t->leaves);
    free(t->weights);
    free(t->class_weights);
    *t = (clm_task){0};
}

uint64_t clm_task_hash(const clm_task *t) {
    const clm_task_options *o = &t->options;
    const int whole[] = {o->support,
                         o->query,
                         o->steps,
                         o->first_order,
                         (int)o->rates,
                         t->weights != NULL,
                         o->support_per_step,
                         o->batch_norm_per_step,
                         o->ways,
                         (int)o->solver,
                         o->solver_steps,
                         (int)o->loss.reduction};
    const double real[] = {o->inner.weight_decay, o->inner.clip_value, o->inner.clip_norm,      o->inner.momentum,
                           o->inner.beta1,        o->inner.beta2,      o->inner.decay,          o->inner.eps,
                           o->inner.eps_root,     o->proximal,         o->loss.label_smoothing, o->loss.delta};
    uint64_t h = clm_hash_text(CLM_HASH_SEED, t->algorithm->info.name);
    h = clm_hash_text(h, t->rule->name);
    h = clm_hash_text(h, t->loss->name);
    h = clm_hash(h, whole, sizeof whole);
    h = clm_hash(h, real, sizeof real);
    if (o->uneven) h = clm_hash_text(h, "uneven");
    for (size_t i = 0; i < t->n_entries; i++) {
        const int masks[] = {t->entries[i].learned, t->entries[i].adapted, t->entries[i].rows};
        h = clm_hash(h, masks, sizeof masks);
    }
    return h;
}
