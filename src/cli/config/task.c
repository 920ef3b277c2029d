/* Settings become the options of a task and of a meta-learner. */
#include <stdio.h>
#include <string.h>

#include "config/algorithms.h"
#include "config/readers.h"
#include "config/setup.h"
#include "config/sources.h"

static bool begins(const clm_model *model, const char *prefix) {
    for (size_t i = 0; i < clm_model_param_count(model); i++)
        if (strncmp(clm_model_param(model, i)->name, prefix, strlen(prefix)) == 0) return true;
    return false;
}

static clm_status split_prefixes(cli_prefixes *p, const char *option, const char *text, const clm_model *model) {
    snprintf(p->text, sizeof p->text, "%s", text);
    p->count = 0;
    char *rest = NULL;
    for (char *at = strtok_r(p->text, ",", &rest); at; at = strtok_r(NULL, ",", &rest)) {
        if (!begins(model, at))
            return cli_usage("--%s: no parameter's name begins with '%s'; the first is '%s'", option, at,
                             clm_model_param_count(model) ? clm_model_param(model, 0)->name : "");
        if (p->count == CLI_COUNT(p->prefix)) return cli_usage("--%s: more than %zu prefixes", option, CLI_COUNT(p->prefix));
        p->prefix[p->count++] = at;
    }
    return CLM_OK;
}

static clm_status set_masks(cli_task *t, const cli_settings *s, const clm_model *model) {
    clm_task_options *o = &t->options;
    CLI_TRY(split_prefixes(&t->adapt, "adapt", s->adapt, model));
    CLI_TRY(split_prefixes(&t->freeze, "freeze", s->freeze, model));
    CLI_TRY(split_prefixes(&t->unlearned, "unlearned", s->unlearned, model));
    o->adapt = t->adapt.prefix;
    o->n_adapt = t->adapt.count;
    o->freeze = t->freeze.prefix;
    o->n_freeze = t->freeze.count;
    o->unlearned = t->unlearned.prefix;
    o->n_unlearned = t->unlearned.count;
    return CLM_OK;
}

/* What was chosen does not read every option: those stay as the library has them, where others are an error. */
static bool reads(const cli_settings *s, const char *option) { return cli_readers_read(s, option); }

static clm_status set_inner(clm_inner_options *o, const cli_settings *s) {
    if (!reads(s, "inner-rule")) return CLM_OK;
    o->rule = s->inner_rule;
    o->weight_decay = s->inner_weight_decay;
    o->clip_value = s->inner_clip_value;
    o->clip_norm = s->inner_clip_norm;
    if (reads(s, "inner-momentum")) o->momentum = s->inner_momentum;
    if (reads(s, "inner-decay")) o->decay = s->inner_decay;
    if (reads(s, "inner-eps")) o->eps = s->inner_eps;
    if (reads(s, "inner-eps-root")) o->eps_root = s->inner_eps_root;
    return reads(s, "inner-betas") ? cli_betas_parse("--inner-betas", s->inner_betas, &o->beta1, &o->beta2) : CLM_OK;
}

static clm_status set_loss(cli_task *t, const cli_settings *s, const clm_model *model) {
    clm_loss_options *o = &t->options.loss;
    size_t count;
    o->name = cli_loss_name(s);
    o->reduction = (clm_reduction)s->reduction;
    if (reads(s, "label-smoothing")) o->label_smoothing = s->label_smoothing;
    if (reads(s, "huber-delta")) o->delta = s->huber_delta;
    if (!s->class_weights[0]) return CLM_OK;
    CLI_TRY(cli_parse_list("--class-weights", s->class_weights, t->class_weights, CLI_MAX_WAYS, &count));
    if (cli_setup_is_joint(s)) return cli_usage("--class-weights are of the classes of a task; finetune trains on all classes");
    const bool labels = cli_source_has_labels(s);
    const int64_t ways = labels ? clm_model_out_shape(model).dim[0] : s->ways;
    if (count != (size_t)ways)
        return cli_usage("--class-weights gives %zu weights for %s%lld%s", count, labels ? "" : "--ways ", (long long)ways,
                         labels ? " classes" : "");
    o->class_weights = t->class_weights;
    return CLM_OK;
}

static void set_algorithm(clm_task_options *o, const cli_settings *s) {
    o->algorithm = s->algorithm;
    if (reads(s, "inner-lr")) o->inner_lr = s->inner_lr;
    o->steps = reads(s, "steps") ? (int)s->steps : 0;
    o->first_order = s->first_order;
    o->rates = (clm_rates)s->rates;
    o->batch_norm_per_step = s->batch_norm_per_step;
    o->support_per_step = s->support_per_step;
    if (clm_algorithm_uses(s->algorithm, "ways")) o->ways = (int)s->ways;
    if (!reads(s, "proximal")) return;
    o->proximal = s->proximal;
    o->solver = (clm_solver)s->solver;
    o->solver_steps = (int)s->solver_steps;
}

clm_status cli_setup_task_options(cli_task *t, const cli_settings *s, const clm_model *model) {
    const clm_task_options initial = CLM_TASK_OPTIONS_INIT;
    clm_task_options *o = &t->options;
    size_t n_weights;
    *o = initial;
    set_algorithm(o, s);
    o->support = (int)(s->ways * s->shots);
    o->query = (int)(s->ways * s->query);
    CLI_TRY(cli_settings_step_weights(s, 0, t->weights, &n_weights));
    o->step_weights = n_weights ? t->weights : NULL;
    CLI_TRY(set_inner(&o->inner, s));
    CLI_TRY(set_loss(t, s, model));
    CLI_TRY(set_masks(t, s, model));
    return clm_task_options_resolve(o);
}

static void set_optimizer(clm_optim_options *o, const cli_settings *s) {
    o->rule = s->optimizer;
    o->lr = s->outer_lr;
    o->weight_decay = s->weight_decay;
    o->clip_kind = s->clip_norm > 0 ? CLM_CLIP_NORM : s->clip_value > 0 ? CLM_CLIP_VALUE : CLM_CLIP_NONE;
    o->clip = s->clip_norm > 0 ? s->clip_norm : s->clip_value;
    o->schedule = cli_settings_schedule(s, &o->schedule_updates);
    o->warmup = (uint64_t)s->warmup;
    o->average = s->average;
    if (reads(s, "momentum")) o->momentum = s->momentum;
    if (reads(s, "decay")) o->decay = s->decay;
    if (reads(s, "eps")) o->eps = s->eps;
    if (clm_optim_schedule_uses(o->schedule, "lr_min")) o->lr_min = s->lr_min;
    if (clm_optim_schedule_uses(o->schedule, "factor")) o->factor = s->schedule_factor;
    if (reads(s, "betas"))
        (void)cli_betas_parse("--betas", s->betas, &o->beta1, &o->beta2); /* cli_settings_check has read it */
}

void cli_setup_meta_options(clm_meta_options *o, const cli_settings *s, const cli_task *task) {
    const clm_meta_options initial = CLM_META_OPTIONS_INIT;
    *o = initial;
    o->tasks = (int)s->meta_batch;
    o->task = task->options;
    o->first_order_until = s->first_order_until > 0 ? (uint64_t)s->first_order_until : 0;
    o->both_orders = clm_algorithm_uses(task->options.algorithm, "first-order") && !task->options.first_order;
    if (reads(s, "checkpointing")) o->checkpointing = (clm_checkpointing)s->checkpointing;
    o->memory_limit = (size_t)s->memory_limit;
    o->task_chunk = (int)s->task_chunk;
    o->initialisations = s->initialisations > 1 ? (int)s->initialisations : 0;
    set_optimizer(&o->optim, s);
}
