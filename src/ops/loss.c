/* Losses composed from operations: their derivatives need nothing of their own.
 *
 * All give a scalar. CLM_REDUCE_SUM adds up what CLM_REDUCE_MEAN averages and CLM_REDUCE_NONE leaves as it is. At kinks the
 * derivatives are PyTorch's. */
#include "ops/op.h"
#include "ops/shape.h"

#include <math.h>

/* ---- classes ---- */

static bool check_labels(clm_graph *g, const char *what, clm_value logits, clm_value labels) {
    char a[80], b[80];
    clm_value in[2] = {logits, labels};
    if (!clm_graph_valid(g, in, 2)) return false;
    clm_shape x = g->nodes[logits].shape, y = g->nodes[labels].shape;
    if (x.rank == 2 && y.rank == 1 && x.dim[0] == y.dim[0]) return true;
    clm_graph_error(g, CLM_E_SHAPE, "%s: logits must be [n, classes] and labels [n], not %s and %s", what,
                    clm_shape_text(&x, a, sizeof a), clm_shape_text(&y, b, sizeof b));
    return false;
}

clm_value clm_cross_entropy(clm_graph *g, clm_value logits, clm_value labels, clm_reduction reduction) {
    if (!check_labels(g, "cross-entropy", logits, labels)) return CLM_INVALID;
    clm_shape s = g->nodes[logits].shape;
    clm_value picked = clm_mul(g, clm_log_softmax(g, logits), clm_one_hot(g, labels, s.dim[1]));
    clm_value rows = clm_sum(g, picked, 2u, true); /* with the other sums over rows; then over what these give */
    if (reduction == CLM_REDUCE_NONE) return clm_neg(g, rows);
    double scale = reduction == CLM_REDUCE_MEAN ? -1.0 / s.dim[0] : -1.0;
    return clm_scale(g, clm_sum_all(g, rows), scale);
}

static bool check_weights(clm_graph *g, clm_value logits, clm_value weights, double smoothing) {
    char a[80], b[80];
    if (!(smoothing >= 0 && smoothing <= 1)) {
        clm_graph_error(g, CLM_E_ARG, "weighted cross-entropy: label smoothing %g must be from 0 to 1", smoothing);
        return false;
    }
    if (weights == CLM_INVALID) return true;
    if (!clm_graph_valid(g, &weights, 1)) return false;
    clm_shape x = g->nodes[logits].shape, w = g->nodes[weights].shape;
    if (w.rank == 1 && w.dim[0] == x.dim[1]) return true;
    clm_graph_error(g, CLM_E_SHAPE, "weighted cross-entropy: class weights must be [classes], not %s for logits %s",
                    clm_shape_text(&w, a, sizeof a), clm_shape_text(&x, b, sizeof b));
    return false;
}

/* -sum_ic w_c q_ic log softmax(x)_ic with q = (1 - smoothing) one_hot + smoothing / classes; the mean divides by
 * sum_i w[label_i] */
clm_value clm_weighted_cross_entropy(clm_graph *g, clm_value logits, clm_value labels, clm_value class_weights,
                                     double label_smoothing, clm_reduction reduction) {
    if (class_weights == CLM_INVALID && label_smoothing == 0) return clm_cross_entropy(g, logits, labels, reduction);
    if (!check_labels(g, "weighted cross-entropy", logits, labels) || !check_weights(g, logits, class_weights, label_smoothing))
        return CLM_INVALID;
    clm_shape s = g->nodes[logits].shape;
    bool weighted = class_weights != CLM_INVALID, mean = reduction == CLM_REDUCE_MEAN;
    clm_value hot = clm_one_hot(g, labels, s.dim[1]);
    clm_value q = clm_affine(g, hot, 1 - label_smoothing, label_smoothing / s.dim[1]);
    if (weighted) q = clm_mul(g, q, class_weights);
    clm_value rows = clm_sum(g, clm_mul(g, clm_log_softmax(g, logits), q), 2u, true);
    if (reduction == CLM_REDUCE_NONE) return clm_neg(g, rows);
    clm_value sum = clm_scale(g, clm_sum_all(g, rows), mean && !weighted ? -1.0 / s.dim[0] : -1.0);
    if (!weighted || !mean) return sum;
    return clm_div(g, sum, clm_sum_all(g, clm_sum(g, clm_mul(g, hot, class_weights), 2u, true)));
}

clm_value clm_accuracy(clm_graph *g, clm_value logits, clm_value labels) {
    if (!check_labels(g, "accuracy", logits, labels)) return CLM_INVALID;
    /* a column, as sums over rows are: the reshape undoes that of argmax */
    clm_shape column = clm_shape_of(2, g->nodes[logits].shape.dim[0], 1);
    clm_value found = clm_reshape(g, clm_argmax(g, logits), column);
    return clm_mean_all(g, clm_equal(g, found, clm_reshape(g, labels, column)));
}

/* ---- elementwise: x and target of one shape ---- */

static bool check_target(clm_graph *g, const char *what, clm_value x, clm_value target) {
    char a[80], b[80];
    clm_value in[2] = {x, target};
    if (!clm_graph_valid(g, in, 2)) return false;
    clm_shape sx = g->nodes[x].shape, st = g->nodes[target].shape;
    if (clm_shape_equal(&sx, &st)) return true;
    clm_graph_error(g, CLM_E_SHAPE, "%s: output %s and target %s differ", what, clm_shape_text(&sx, a, sizeof a),
                    clm_shape_text(&st, b, sizeof b));
    return false;
}

static clm_value reduced(clm_graph *g, clm_value terms, clm_reduction reduction) {
    if (reduction == CLM_REDUCE_NONE) return terms;
    return reduction == CLM_REDUCE_MEAN ? clm_mean_all(g, terms) : clm_sum_all(g, terms);
}

clm_value clm_mse(clm_graph *g, clm_value x, clm_value target, clm_reduction reduction) {
    if (!check_target(g, "mean squared error", x, target)) return CLM_INVALID;
    clm_value d = clm_sub(g, x, target);
    return reduced(g, clm_mul(g, d, d), reduction);
}

clm_value clm_mae(clm_graph *g, clm_value x, clm_value target, clm_reduction reduction) {
    if (!check_target(g, "mean absolute error", x, target)) return CLM_INVALID;
    return reduced(g, clm_abs(g, clm_sub(g, x, target)), reduction);
}

/* q (d - q / 2) with q = d clamped to +-delta. |d| does not appear, so the second derivative is 1 at d = 0 too; ties of the clamp
 * go to d, so it is 1 at |d| = delta. */
clm_value clm_huber(clm_graph *g, clm_value x, clm_value target, double delta, clm_reduction reduction) {
    if (!check_target(g, "Huber loss", x, target)) return CLM_INVALID;
    if (!(delta > 0 && isfinite(delta)))
        return clm_graph_error(g, CLM_E_ARG, "Huber loss: delta %g must be a finite number greater than 0", delta);
    clm_value d = clm_sub(g, x, target);
    clm_value q = clm_maximum(g, clm_minimum(g, d, clm_const(g, delta)), clm_const(g, -delta));
    return reduced(g, clm_mul(g, q, clm_sub(g, d, clm_scale(g, q, 0.5))), reduction);
}

/* -t log sigmoid(x) - (1 - t) log sigmoid(-x) = t softplus(-x) + (1 - t) softplus(x): nothing cancels where t is 0 or 1, and
 * there is no kink. */
clm_value clm_binary_cross_entropy(clm_graph *g, clm_value logits, clm_value targets, clm_reduction reduction) {
    if (!check_target(g, "binary cross-entropy", logits, targets)) return CLM_INVALID;
    clm_value yes = clm_mul(g, targets, clm_softplus(g, clm_neg(g, logits)));
    clm_value no = clm_mul(g, clm_affine(g, targets, -1, 1), clm_softplus(g, logits));
    return reduced(g, clm_add(g, yes, no), reduction);
}

/* ---- policies ---- */

static bool check_policy(clm_graph *g, clm_value mean, clm_value log_std, clm_value y) {
    char a[80], b[80], c[80];
    clm_value in[3] = {mean, log_std, y};
    if (!clm_graph_valid(g, in, 3)) return false;
    clm_shape m = g->nodes[mean].shape, s = g->nodes[log_std].shape, t = g->nodes[y].shape;
    if (m.rank == 2 && s.rank == 1 && t.rank == 2 && s.dim[0] == m.dim[1] && t.dim[0] == m.dim[0] && t.dim[1] == m.dim[1] + 1)
        return true;
    clm_graph_error(g, CLM_E_SHAPE,
                    "Gaussian policy loss: mean %s, log_std %s, y %s: must be [n, actions], [actions], [n, actions + 1]",
                    clm_shape_text(&m, a, sizeof a), clm_shape_text(&s, b, sizeof b), clm_shape_text(&t, c, sizeof c));
    return false;
}

/* -log density of an action = z^2 / 2 + log_std + log(2 pi) / 2, z = (action - mean) / exp(log_std) */
clm_value clm_gaussian_policy_loss(clm_graph *g, clm_value mean, clm_value log_std, clm_value y, clm_reduction reduction) {
    const double half_log_2pi = 0.91893853320467274178;
    if (!check_policy(g, mean, log_std, y)) return CLM_INVALID;
    clm_shape s = g->nodes[mean].shape;
    clm_value actions = clm_slice(g, y, (const int32_t[]){0, 0}, s);
    clm_value advantage = clm_slice(g, y, (const int32_t[]){0, s.dim[1]}, clm_shape_of(2, s.dim[0], 1));
    clm_value z = clm_mul(g, clm_sub(g, actions, mean), clm_exp(g, clm_neg(g, log_std)));
    clm_value terms = clm_add(g, clm_scale(g, clm_mul(g, z, z), 0.5), clm_affine(g, log_std, 1, half_log_2pi));
    return reduced(g, clm_mul(g, clm_sum(g, terms, 2u, true), advantage), reduction);
}
