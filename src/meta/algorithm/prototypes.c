/* Prototypes: the mean features of each class of the support set.
 *
 * ProtoNet (Snell et al. 2017) has no inner loop: the score of a class is minus the squared distance to its prototype.
 * ProtoMAML (Triantafillou et al. 2020) begins the inner loop with the linear head that has these scores, up to a constant of
 * each example: weight 2 c, bias -|c|^2 for prototype c.
 */
#include "meta/algorithm/algorithm.h"
#include "meta/loss.h"

/* Means [ways, width] of features [n, width] of a support set [n] by label; a class without examples has zeros. */
static clm_value prototypes(clm_graph *g, clm_value features, clm_examples support, int ways) {
    clm_value hot = clm_one_hot(g, support.y, ways); /* [n, ways] */
    if (support.mask != CLM_INVALID)
        hot = clm_mul(g, hot, clm_reshape(g, support.mask, clm_shape_of(2, clm_value_shape(g, hot).dim[0], 1)));
    clm_value count = clm_maximum(g, clm_sum(g, hot, 1u, false), clm_const(g, 1));
    clm_value sum = clm_matmul(g, hot, features, true, false);
    return clm_div(g, sum, clm_reshape(g, count, clm_shape_of(2, ways, 1)));
}

/* |x_i|^2 of rows: [n]. */
static clm_value square_rows(clm_graph *g, clm_value x) { return clm_sum(g, clm_mul(g, x, x), 2u, false); }

/* ---- ProtoNet ---- */

static clm_status protonet_declare(clm_task *t) {
    if (clm_model_out_shape(t->model).rank != 1)
        return clm_fail(CLM_E_SHAPE, "protonet: the model's output, the features of an example, must be a vector");
    if (!t->loss->labels) return clm_fail(CLM_E_ARG, "protonet: needs classes, the loss %s has none", t->loss->name);
    if (t->options.ways > 0) return CLM_OK;
    return clm_fail(CLM_E_ARG, "protonet: the number of classes of a task is not given (option ways)");
}

static clm_value protonet_output(const clm_task *t, clm_graph *g, const clm_value *theta, clm_examples support,
                                 clm_examples query) {
    const int ways = t->options.ways;
    clm_value f = clm_task_apply(t, g, theta, support, NULL), q = clm_task_apply(t, g, theta, query, NULL);
    if (f == CLM_INVALID || q == CLM_INVALID) return CLM_INVALID;
    const int n = clm_value_shape(g, q).dim[0];
    clm_value c = prototypes(g, f, support, ways);
    clm_value products = clm_scale(g, clm_matmul(g, q, c, false, true), 2); /* [n, ways] */
    clm_value distances = clm_add(g, clm_reshape(g, square_rows(g, q), clm_shape_of(2, n, 1)), square_rows(g, c));
    return clm_sub(g, products, distances);
}

/* 2 q c - |c|^2 differs from minus the squared distance by |q|^2, the same for all classes. */
static clm_status protonet_head(const clm_task *t, clm_graph *g, const clm_value *theta, clm_examples support,
                                clm_bn_stats *stats, clm_value *weight, clm_value *bias) {
    clm_value f = clm_task_apply(t, g, theta, support, stats);
    CLM_TRY(clm_graph_status(g));
    clm_value c = prototypes(g, f, support, t->options.ways);
    *weight = clm_scale(g, c, 2);
    *bias = clm_neg(g, square_rows(g, c));
    return clm_graph_status(g);
}

static size_t protonet_stages(const clm_task *t, clm_stage *list) {
    (void)t;
    if (list) list[0] = (clm_stage){CLM_STAGE_QUERY, 0};
    return 1;
}

static clm_status protonet_build(clm_stages *s, const clm_stage *stage) {
    const clm_task *t = s->task;
    clm_value theta[CLM_MAX_PARAMS], grad[CLM_MAX_PARAMS];
    clm_scored scored;
    CLM_TRY(clm_stage_score_query(s, stage->k, theta, &scored));
    CLM_TRY(clm_grad(s->g, scored.loss, theta, t->n, grad));
    for (size_t i = 0; i < t->n; i++) CLM_TRY(clm_stage_add_gradient(s, i, 0, clm_per_task(s->g, grad[i])));
    return clm_graph_status(s->g);
}

const clm_algorithm clm_algorithm_protonet = {
    .info = {"protonet", "Prototypical networks", "Snell et al. 2017", "all parameters",
             "nothing: classes are means of features", "3 F over both sets", "as for one pass"},
    .takes = CLM_TAKES(WAYS),
    .declare = protonet_declare,
    .stages = protonet_stages,
    .build = protonet_build,
    .output = protonet_output,
    .head = protonet_head,
};

/* ---- ProtoMAML ---- */

static clm_status protomaml_declare(clm_task *t) {
    size_t count = 0, first = clm_model_head(t->model, &count);
    const clm_shape out = clm_model_out_shape(t->model);
    if (!t->loss->labels) return clm_fail(CLM_E_ARG, "protomaml: needs classes, the loss %s has none", t->loss->name);
    if (count != 2 || clm_model_param(t->model, first)->shape.rank != 2)
        return clm_fail(CLM_E_ARG, "protomaml: the model must end with a linear layer that has a bias");
    if (t->options.ways && t->options.ways != out.dim[0])
        return clm_fail(CLM_E_ARG, "protomaml: %d ways, and the model has %d outputs", t->options.ways, out.dim[0]);
    for (size_t i = first; i < first + 2; i++) t->entries[i].learned = false;
    return CLM_OK;
}

static clm_status protomaml_begin(const clm_task *t, clm_graph *g, const clm_value *theta, clm_examples support,
                                  clm_value *out) {
    size_t count = 0, first = clm_model_head(t->model, &count);
    clm_value f = clm_task_features(t, g, theta, support);
    CLM_TRY(clm_graph_status(g));
    clm_value c = prototypes(g, f, support, clm_model_out_shape(t->model).dim[0]);
    out[first] = clm_scale(g, c, 2);
    out[first + 1] = clm_neg(g, square_rows(g, c));
    return clm_graph_status(g);
}

const clm_algorithm clm_algorithm_protomaml = {
    .info = {"protomaml", "MAML from a prototypical head", "Triantafillou et al. 2020", "all parameters but the last layer",
             "all parameters; the last layer begins at the prototypes", "9 F K + 6 F",
             "grows with K, or with K parameters alone when it recomputes"},
    .takes = CLM_TAKES(STEPS) | CLM_TAKES(INNER) | CLM_TAKES(ORDER) | CLM_TAKES(WEIGHTS) | CLM_TAKES(WAYS) | CLM_TAKES(RATES),
    .declare = protomaml_declare,
    .stages = clm_maml_stages,
    .build = clm_maml_build,
    .begin = protomaml_begin,
};
