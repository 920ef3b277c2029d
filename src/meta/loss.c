/* Losses as rows. Formulas are those of PyTorch, of which the reductions take the mean or the sum. */
#include "meta/loss.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SMOOTHING = 1, CLASS_WEIGHTS = 2, DELTA = 4, FUNCTION = 8, REDUCTION = 16 };

/* ---- what counts of an uneven task ---- */

/* x [n, ..] with zeros for examples that do not count. */
static clm_value of_examples(clm_graph *g, clm_value x, clm_examples e) {
    clm_shape column = clm_value_shape(g, x);
    for (int i = 1; i < column.rank; i++) column.dim[i] = 1;
    return clm_mul(g, x, clm_reshape(g, e.mask, column));
}

/* Scores [n, classes] of which those that do not count are so low that softmax makes 0 of them, exactly; they have no
 * derivative. */
static clm_value of_outputs(clm_graph *g, clm_value x, clm_examples e) {
    const double low = 1e30;
    return clm_add(g, clm_mul(g, x, e.outputs), clm_affine(g, e.outputs, low, -low));
}

/* The mean or the sum of a loss's terms [n, ..] over the examples that count. */
static clm_value masked_terms(const clm_task *t, clm_graph *g, const clm_value *theta, clm_value out, clm_examples e) {
    const clm_value terms = t->loss->build(t, g, theta, out, e.y, CLM_REDUCE_NONE);
    if (terms == CLM_INVALID) return CLM_INVALID;
    const clm_shape s = clm_value_shape(g, terms);
    const clm_value sum = clm_sum_all(g, of_examples(g, terms, e));
    if (t->options.loss.reduction == CLM_REDUCE_SUM) return sum;
    return clm_div(g, sum, clm_scale(g, clm_task_count(g, e), (double)clm_shape_size(&s) / s.dim[0]));
}

clm_value clm_masked_accuracy(clm_graph *g, clm_value out, clm_examples e) {
    if (out == CLM_INVALID) return CLM_INVALID;
    const clm_shape column = clm_shape_of(2, clm_value_shape(g, out).dim[0], 1);
    const clm_value found = clm_reshape(g, clm_argmax(g, of_outputs(g, out, e)), column);
    const clm_value right = clm_equal(g, found, clm_reshape(g, e.y, column));
    return clm_div(g, clm_sum_all(g, of_examples(g, right, e)), clm_task_count(g, e));
}

/* ---- cross-entropy ---- */

static clm_status declare_cross_entropy(clm_task *t) {
    const clm_loss_options *o = &t->options.loss;
    const int classes = clm_task_classes(t);
    if (!(o->label_smoothing >= 0 && o->label_smoothing < 1))
        return clm_fail(CLM_E_ARG, "cross-entropy: label smoothing %g must lie in [0, 1)", o->label_smoothing);
    if (!o->class_weights) return CLM_OK;
    for (int i = 0; i < classes; i++)
        if (!(o->class_weights[i] >= 0) || !isfinite(o->class_weights[i]))
            return clm_fail(CLM_E_ARG, "cross-entropy: the weight of class %d is %g", i, o->class_weights[i]);
    return clm_task_add_param(t, "loss.class_weights", clm_shape_of(1, classes), false, 0, o->class_weights);
}

static clm_value cross_entropy(const clm_task *t, clm_graph *g, const clm_value *theta, clm_value out, clm_value y,
                               clm_reduction reduction) {
    const clm_loss_options *o = &t->options.loss;
    return clm_weighted_cross_entropy(g, out, y, o->class_weights ? theta[t->n - 1] : CLM_INVALID, o->label_smoothing,
                                      reduction);
}

/* As clm_weighted_cross_entropy, with smoothing over the classes that count. */
static clm_value masked_cross_entropy(const clm_task *t, clm_graph *g, const clm_value *theta, clm_value out, clm_examples e) {
    const clm_loss_options *o = &t->options.loss;
    const clm_value weights = o->class_weights ? theta[t->n - 1] : CLM_INVALID;
    if (out == CLM_INVALID) return CLM_INVALID;
    if (clm_value_shape(g, out).rank != 2) return clm_cross_entropy(g, out, e.y, o->reduction); /* which says what is wrong */
    clm_value hot = of_examples(g, clm_one_hot(g, e.y, clm_task_classes(t)), e), q = hot;
    if (o->label_smoothing > 0) {
        const clm_value even = clm_div(g, e.outputs, clm_sum_all(g, e.outputs));
        q = of_examples(g, clm_add(g, clm_scale(g, hot, 1 - o->label_smoothing), clm_scale(g, even, o->label_smoothing)), e);
    }
    if (weights != CLM_INVALID) q = clm_mul(g, q, weights);
    const clm_value rows = clm_sum(g, clm_mul(g, clm_log_softmax(g, of_outputs(g, out, e)), q), 2u, true);
    const clm_value sum = clm_neg(g, clm_sum_all(g, rows));
    if (o->reduction == CLM_REDUCE_SUM) return sum;
    if (weights == CLM_INVALID) return clm_div(g, sum, clm_task_count(g, e));
    return clm_div(g, sum, clm_sum_all(g, clm_sum(g, clm_mul(g, hot, weights), 2u, true)));
}

/* ---- regression ---- */

static clm_value mse(const clm_task *t, clm_graph *g, const clm_value *theta, clm_value out, clm_value y,
                     clm_reduction reduction) {
    (void)t, (void)theta;
    return clm_mse(g, out, y, reduction);
}

static clm_value mae(const clm_task *t, clm_graph *g, const clm_value *theta, clm_value out, clm_value y,
                     clm_reduction reduction) {
    (void)t, (void)theta;
    return clm_mae(g, out, y, reduction);
}

static clm_status declare_huber(clm_task *t) {
    if (t->options.loss.delta > 0) return CLM_OK;
    return clm_fail(CLM_E_ARG, "huber: delta %g must be above 0", t->options.loss.delta);
}

static clm_value huber(const clm_task *t, clm_graph *g, const clm_value *theta, clm_value out, clm_value y,
                       clm_reduction reduction) {
    (void)theta;
    return clm_huber(g, out, y, t->options.loss.delta, reduction);
}

static clm_value bce(const clm_task *t, clm_graph *g, const clm_value *theta, clm_value out, clm_value y,
                     clm_reduction reduction) {
    (void)t, (void)theta;
    return clm_binary_cross_entropy(g, out, y, reduction);
}

/* ---- policy gradient ---- */

static clm_status declare_gaussian(clm_task *t) {
    const clm_shape out = clm_model_out_shape(t->model);
    if (out.rank != 1)
        return clm_fail(CLM_E_SHAPE, "gaussian-policy: the model's output must be a vector, the mean of the actions");
    return clm_task_add_param(t, "log_std", out, true, 0, NULL);
}

static clm_shape gaussian_target(const clm_task *t) { return clm_shape_of(1, clm_model_out_shape(t->model).dim[0] + 1); }

static clm_value gaussian(const clm_task *t, clm_graph *g, const clm_value *theta, clm_value out, clm_value y,
                          clm_reduction reduction) {
    return clm_gaussian_policy_loss(g, out, theta[t->n - 1], y, reduction);
}

/* ---- the user's own ---- */

static clm_status declare_custom(clm_task *t) {
    if (t->options.loss.function) return CLM_OK;
    return clm_fail(CLM_E_ARG, "the loss \"custom\" needs a function (clm_loss_options.function)");
}

static clm_shape custom_target(const clm_task *t) { return t->options.loss.target_shape; }

static clm_value custom(const clm_task *t, clm_graph *g, const clm_value *theta, clm_value out, clm_value y,
                        clm_reduction reduction) {
    (void)theta, (void)reduction;
    return t->options.loss.function(t->options.loss.user, g, out, y);
}

/* ---- the table ---- */

static const clm_loss losses[] = {
    {"cross-entropy", "of softmax outputs and class labels, with label smoothing and class weights", true,
     REDUCTION | SMOOTHING | CLASS_WEIGHTS, NULL, declare_cross_entropy, cross_entropy, masked_cross_entropy},
    {"mse", "mean squared error", false, REDUCTION, NULL, NULL, mse, masked_terms},
    {"mae", "mean absolute error", false, REDUCTION, NULL, NULL, mae, masked_terms},
    {"huber", "squared up to delta, linear beyond it (Huber 1964)", false, REDUCTION | DELTA, NULL, declare_huber, huber,
     masked_terms},
    {"bce", "binary cross-entropy of logits and targets 0 or 1", false, REDUCTION, NULL, NULL, bce, masked_terms},
    {"gaussian-policy", "policy gradient of a Gaussian policy: targets are actions, then the advantage (Williams 1992)", false,
     REDUCTION, gaussian_target, declare_gaussian, gaussian, masked_terms},
    {"custom", "a function of the user's own", false, FUNCTION, custom_target, declare_custom, custom, NULL},
};
enum { LOSSES = sizeof losses / sizeof losses[0] };

const clm_loss *clm_loss_find(const char *name) {
    for (int i = 0; i < LOSSES; i++)
        if (strcmp(losses[i].name, name) == 0) return &losses[i];
    return NULL;
}

const char *clm_loss_names(char *text, size_t size) {
    size_t length = 0;
    for (int i = 0; i < LOSSES && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i ? ", " : "", losses[i].name);
    return text;
}

/* Options of one loss that were given to another. */
clm_status clm_loss_check(const clm_loss *loss, const clm_loss_options *o) {
    const clm_loss_options initial = CLM_LOSS_OPTIONS_INIT;
    const struct {
        unsigned bit;
        const char *name;
        bool given;
    } fields[] = {
        {SMOOTHING, "loss.label_smoothing", o->label_smoothing != initial.label_smoothing},
        {CLASS_WEIGHTS, "loss.class_weights", o->class_weights != NULL},
        {DELTA, "loss.delta", o->delta != 0 && o->delta != initial.delta},
        {FUNCTION, "loss.function", o->function != NULL},
        {FUNCTION, "loss.user", o->user != NULL},
        {FUNCTION, "loss.target_shape", o->target_shape.rank != 0},
        {REDUCTION, "loss.reduction", o->reduction != initial.reduction},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].given && !(loss->reads & fields[i].bit)) return clm_fail_unread(fields[i].name, "loss", loss->name);
    return CLM_OK;
}

bool clm_loss_uses(const char *name, const char *word) {
    const clm_loss *loss = clm_loss_find(name);
    if (!loss) return false;
    return strcmp(word, "labels") == 0 ? loss->labels : strcmp(word, "outputs") == 0 && !loss->labels && !loss->target;
}

size_t clm_loss_count(void) { return LOSSES; }
const char *clm_loss_name(size_t i) { return i < LOSSES ? losses[i].name : NULL; }
const char *clm_loss_summary(size_t i) { return i < LOSSES ? losses[i].summary : NULL; }
