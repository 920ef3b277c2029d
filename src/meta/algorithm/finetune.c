/* The baselines without meta-learning: one network is trained on the examples of all tasks, support and query sets alike.
 *
 * finetune (Chen et al. 2019, "Baseline"): on all training classes at once; for a new task a new last layer, from zero, is trained on
 * the features of its support set. Labels are those among all classes (clm_episode_options.joint_classes). The learner has a model
 * of the same layers with as many outputs as a task has classes.
 * pretrain (Finn et al. 2017, "pretrained"): where targets mean the same in all tasks; all parameters are fine-tuned.
 */
#include "meta/algorithm/algorithm.h"

static clm_status declare(clm_task *t) {
    clm_task_adapt_all(t, false);
    clm_task_adapt_head(t, true);
    return CLM_OK;
}

static size_t stages(const clm_task *t, clm_stage *list) {
    if (list) list[0] = (clm_stage){CLM_STAGE_QUERY, t->options.steps};
    return 1;
}

/* Of uneven tasks. */
static clm_value joint_mean(clm_stages *s, clm_value support, clm_value query, int k) {
    clm_graph *g = s->g;
    const clm_value n = clm_task_count(g, clm_stage_support(s, 0)), m = clm_task_count(g, clm_stage_query(s, k));
    return clm_div(g, clm_add(g, clm_mul(g, support, n), clm_mul(g, query, m)), clm_add(g, n, m));
}

/* The mean over all examples, whatever the sets' sizes; sums are added up. */
static clm_value joint_loss(clm_stages *s, clm_value support, clm_value query, int k) {
    if (s->task->options.uneven && s->task->options.loss.reduction == CLM_REDUCE_MEAN) return joint_mean(s, support, query, k);
    const clm_task_options *o = &s->task->options;
    const double n = o->support, m = o->query, all = o->loss.reduction == CLM_REDUCE_MEAN ? n + m : 1;
    const bool mean = o->loss.reduction == CLM_REDUCE_MEAN;
    return clm_add(s->g, clm_scale(s->g, support, mean ? n / all : 1), clm_scale(s->g, query, mean ? m / all : 1));
}

static clm_status build(clm_stages *s, const clm_stage *stage) {
    const clm_task *t = s->task;
    clm_value theta[CLM_MAX_PARAMS], grad[CLM_MAX_PARAMS];
    clm_scored query;
    CLM_TRY(clm_stage_score_query(s, stage->k, theta, &query));
    const clm_scored support = clm_task_score(t, s->g, theta, clm_stage_support(s, 0));
    CLM_TRY(clm_stage_read(s, CLM_Q_SUPPORT_LOSS, 0, support.loss));
    if (support.accuracy != CLM_INVALID) CLM_TRY(clm_stage_read(s, CLM_Q_SUPPORT_ACCURACY, 0, support.accuracy));
    CLM_TRY(clm_grad(s->g, joint_loss(s, support.loss, query.loss, stage->k), theta, t->n, grad));
    for (size_t i = 0; i < t->n; i++) CLM_TRY(clm_stage_add_gradient(s, i, 0, clm_per_task(s->g, grad[i])));
    return clm_graph_status(s->g);
}

/* A task's own last layer begins at zero. */
static clm_status begin(const clm_task *t, clm_graph *g, const clm_value *theta, clm_examples support, clm_value *out) {
    size_t count = 0, first = clm_model_head(t->model, &count);
    (void)theta, (void)support;
    for (size_t i = first; i < first + count; i++) out[i] = clm_per_task(g, clm_fill(g, t->entries[i].inner_shape, 0));
    return clm_graph_status(g);
}

const clm_algorithm clm_algorithm_finetune = {
    .info = {"finetune", "Training on all classes, then a new last layer", "Chen et al. 2019", "all parameters",
             "the last layer, from zero, at test", "3 F over both sets", "as for one pass"},
    .takes = CLM_TAKES(STEPS) | CLM_TAKES(INNER),
    .declare = declare,
    .stages = stages,
    .build = build,
    .begin = begin,
};

const clm_algorithm clm_algorithm_pretrain = {
    .info = {"pretrain", "Pretraining on all tasks, then fine-tuning", "Finn et al. 2017", "all parameters",
             "all parameters, at test alone", "3 F over both sets", "as for one pass"},
    .takes = CLM_TAKES(STEPS) | CLM_TAKES(INNER),
    .stages = stages,
    .build = build,
};
