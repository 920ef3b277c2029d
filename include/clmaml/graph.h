/* Graphs of operations, and their derivatives.
 *
 * A graph is a list of values in topological order, each the result of an operation from a closed set: the derivative of an
 * operation is built from operations of the same set, so derivatives of any order exist. Building does no arithmetic.
 *
 * Every value is either shared by all tasks of a meta-batch or per task; the task axis is not part of the shape. An operation
 * with any per-task operand gives a per-task value. Task axis and broadcasting cost nothing: a shared operand is read with
 * task stride 0.
 *
 * Images are N H W C (channels last); convolution filters are [kh, kw, ci/groups, co]. Class labels and indices are values like
 * any other that hold whole numbers.
 *
 * Errors are sticky: a builder given bad operands records the first error in the graph and returns CLM_INVALID, and builders
 * given CLM_INVALID return CLM_INVALID. Ask clm_graph_status once, at the end; clm_program_create asks as well.
 *
 * Identical operations on identical operands are the same value (common subexpressions are shared as the graph is built).
 */
#ifndef CLMAML_GRAPH_H
#define CLMAML_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CLM_MAX_RANK 6

typedef struct clm_graph clm_graph;
typedef int32_t clm_value; /* index of a value in its graph */
#define CLM_INVALID ((clm_value)-1)

typedef struct clm_shape {
    int32_t rank; /* 0: a scalar */
    int32_t dim[CLM_MAX_RANK];
} clm_shape;

/* clm_shape_of(3, 5, 28, 28): a shape from its rank and its dimensions. */
CLM_API clm_shape clm_shape_of(int rank, ...);
CLM_API size_t clm_shape_size(const clm_shape *shape); /* number of elements */
CLM_API bool clm_shape_equal(const clm_shape *a, const clm_shape *b);
/* "[5, 28, 28]" into text (at least 80 bytes); returns text. */
CLM_API const char *clm_shape_text(const clm_shape *shape, char *text, size_t size);

CLM_API clm_status clm_graph_create(clm_graph **out);
CLM_API void clm_graph_free(clm_graph *graph); /* NULL is allowed */
/* CLM_OK, or the first builder error (its message becomes the last error again). */
CLM_API clm_status clm_graph_status(const clm_graph *graph);
CLM_API size_t clm_graph_size(const clm_graph *graph);
CLM_API clm_shape clm_value_shape(const clm_graph *graph, clm_value v);
CLM_API bool clm_value_per_task(const clm_graph *graph, clm_value v);
/* Text, one value a line; Graphviz. */
CLM_API clm_status clm_graph_print(const clm_graph *graph, FILE *to);
CLM_API clm_status clm_graph_print_dot(const clm_graph *graph, FILE *to);

/* ---- leaves ---- */
CLM_API clm_value clm_input(clm_graph *g, const char *name, clm_shape shape, bool per_task);
CLM_API clm_value clm_const(clm_graph *g, double c);                 /* scalar */
CLM_API clm_value clm_fill(clm_graph *g, clm_shape shape, double c); /* constant of a shape */

/* ---- elementwise; binary operands broadcast as in NumPy ---- */
CLM_API clm_value clm_add(clm_graph *g, clm_value a, clm_value b);
CLM_API clm_value clm_sub(clm_graph *g, clm_value a, clm_value b);
CLM_API clm_value clm_mul(clm_graph *g, clm_value a, clm_value b);
CLM_API clm_value clm_div(clm_graph *g, clm_value a, clm_value b);
CLM_API clm_value clm_pow(clm_graph *g, clm_value a, clm_value b);     /* a > 0 where the exponent is differentiated */
CLM_API clm_value clm_maximum(clm_graph *g, clm_value a, clm_value b); /* at a tie the derivative goes to a */
CLM_API clm_value clm_minimum(clm_graph *g, clm_value a, clm_value b);
CLM_API clm_value clm_greater(clm_graph *g, clm_value a, clm_value b);                /* 1 or 0; derivative 0 */
CLM_API clm_value clm_equal(clm_graph *g, clm_value a, clm_value b);                  /* 1 or 0; derivative 0 */
CLM_API clm_value clm_affine(clm_graph *g, clm_value x, double scale, double offset); /* scale x + offset */
CLM_API clm_value clm_scale(clm_graph *g, clm_value x, double scale);
CLM_API clm_value clm_neg(clm_graph *g, clm_value x);
CLM_API clm_value clm_abs(clm_graph *g, clm_value x);
CLM_API clm_value clm_sign(clm_graph *g, clm_value x); /* derivative 0 */
CLM_API clm_value clm_step(clm_graph *g, clm_value x); /* 1 where x > 0, else 0; derivative 0 */
CLM_API clm_value clm_exp(clm_graph *g, clm_value x);
CLM_API clm_value clm_log(clm_graph *g, clm_value x);
CLM_API clm_value clm_sqrt(clm_graph *g, clm_value x);
CLM_API clm_value clm_rsqrt(clm_graph *g, clm_value x);
CLM_API clm_value clm_square(clm_graph *g, clm_value x);
CLM_API clm_value clm_power(clm_graph *g, clm_value x, double exponent);
CLM_API clm_value clm_sin(clm_graph *g, clm_value x);
CLM_API clm_value clm_cos(clm_graph *g, clm_value x);
CLM_API clm_value clm_tanh(clm_graph *g, clm_value x);
CLM_API clm_value clm_sigmoid(clm_graph *g, clm_value x);
CLM_API clm_value clm_erf(clm_graph *g, clm_value x);
CLM_API clm_value clm_softplus(clm_graph *g, clm_value x);
CLM_API clm_value clm_relu(clm_graph *g, clm_value x);
CLM_API clm_value clm_leaky_relu(clm_graph *g, clm_value x, double slope);
CLM_API clm_value clm_elu(clm_graph *g, clm_value x, double alpha);
CLM_API clm_value clm_gelu(clm_graph *g, clm_value x); /* exact form, with erf */
CLM_API clm_value clm_silu(clm_graph *g, clm_value x);
CLM_API clm_value clm_mish(clm_graph *g, clm_value x); /* x tanh(softplus(x)) (Misra 2020) */
/* x kept within low .. high; derivative 0 at both and beyond, as in PyTorch (relu6 is 0 .. 6) */
CLM_API clm_value clm_hardtanh(clm_graph *g, clm_value x, double low, double high);
/* x as a value of its own, which no simplification sees past: for derivatives with respect to an intermediate value. */
CLM_API clm_value clm_identity(clm_graph *g, clm_value x);
CLM_API clm_value clm_stop_gradient(clm_graph *g, clm_value x); /* x, with derivative 0 */
/* -1, 0 or 1, and the nearest whole number (the even one of two), whose derivatives are 0 wherever there are any. In their place
 * stands one that is chosen (straight-through, Bengio et al. 2013): 1 where |x| < bound, else 0; HUGE_VAL: 1 everywhere. What
 * differentiates again takes it for the derivative, so the second is 0. bound must be above 0. */
CLM_API clm_value clm_straight_sign(clm_graph *g, clm_value x, double bound);
CLM_API clm_value clm_straight_round(clm_graph *g, clm_value x, double bound);

/* ---- shape ---- */
CLM_API clm_value clm_broadcast(clm_graph *g, clm_value x, clm_shape shape);
CLM_API clm_value clm_reshape(clm_graph *g, clm_value x, clm_shape shape);
/* out.dim[i] = x.dim[perm[i]] */
CLM_API clm_value clm_transpose(clm_graph *g, clm_value x, const int32_t *perm);
/* x[start : start + shape] */
CLM_API clm_value clm_slice(clm_graph *g, clm_value x, const int32_t *start, clm_shape shape);
/* zeros around x: before[i] and after[i] along each axis */
CLM_API clm_value clm_pad(clm_graph *g, clm_value x, const int32_t *before, const int32_t *after);
CLM_API clm_value clm_concat(clm_graph *g, const clm_value *x, size_t count, int axis);
/* Gather along an axis: index has shape [m]; entry j of the result's axis is x's entry index[j]. An index out of range reads 0. */
CLM_API clm_value clm_gather(clm_graph *g, clm_value x, clm_value index, int axis);
/* The adjoint: adds entry j of x's axis to entry index[j] of a result of `size` entries along the axis. */
CLM_API clm_value clm_scatter_add(clm_graph *g, clm_value x, clm_value index, int axis, int size);
/* [.., n] with 1 at the label: labels of shape [..]. A label out of range gives zeros. Derivative 0. */
CLM_API clm_value clm_one_hot(clm_graph *g, clm_value labels, int n);

/* First maximum over the last axis, as a whole number: [.., n] -> [..]. NaN counts as the greatest value. Derivative 0. */
CLM_API clm_value clm_argmax(clm_graph *g, clm_value x);

/* ---- reductions: over the axes whose bit is set in `axes`; reduced axes stay with size 1 when keep ---- */
CLM_API clm_value clm_sum(clm_graph *g, clm_value x, unsigned axes, bool keep);
CLM_API clm_value clm_mean(clm_graph *g, clm_value x, unsigned axes, bool keep);
CLM_API clm_value clm_reduce_max(clm_graph *g, clm_value x, unsigned axes, bool keep); /* derivative shared among ties */
CLM_API clm_value clm_sum_all(clm_graph *g, clm_value x);
CLM_API clm_value clm_mean_all(clm_graph *g, clm_value x);
/* x as a per-task value: every task sees the same numbers, but derivatives with respect to the result are each task's own. Free. */
CLM_API clm_value clm_per_task(clm_graph *g, clm_value x);
/* Sum over the task axis, in task order; a shared value. On a shared operand: the number of tasks times it.
 * `initial` (CLM_INVALID: none) is a shared value the sum starts from. */
CLM_API clm_value clm_sum_tasks(clm_graph *g, clm_value x, clm_value initial);

/* ---- linear algebra and networks ---- */
/* a [.., m, k] (or [.., k, m] when ta), b [.., k, n] (or [.., n, k] when tb) -> [.., m, n]; leading axes equal, or absent in one. */
CLM_API clm_value clm_matmul(clm_graph *g, clm_value a, clm_value b, bool ta, bool tb);
/* x [.., in], weight [out, in] as in PyTorch, bias [out] or CLM_INVALID -> [.., out] */
CLM_API clm_value clm_linear(clm_graph *g, clm_value x, clm_value weight, clm_value bias);

/* The geometry of a window: complete as it is, and so, unlike other options, without a version. */
typedef struct clm_conv_options {
    int stride[2], pad[2], dilation[2], groups; /* height, width */
} clm_conv_options;
#define CLM_CONV_INIT \
    { {1, 1}, {0, 0}, {1, 1}, 1 }

/* x [n, h, w, ci], filter [kh, kw, ci/groups, co] -> [n, h', w', co] (cross-correlation, as in every framework) */
CLM_API clm_value clm_conv2d(clm_graph *g, clm_value x, clm_value filter, const clm_conv_options *options);
/* Adjoint of clm_conv2d in x: dy [n, h', w', co] -> [n, h, w, ci] */
CLM_API clm_value clm_conv2d_bwd_data(clm_graph *g, clm_value dy, clm_value filter, int h, int w,
                                      const clm_conv_options *options);
/* Adjoint of clm_conv2d in the filter: -> [kh, kw, ci/groups, co] */
CLM_API clm_value clm_conv2d_bwd_filter(clm_graph *g, clm_value x, clm_value dy, int kh, int kw,
                                        const clm_conv_options *options);

typedef struct clm_pool_options {
    int kernel[2], stride[2], pad[2]; /* height, width */
} clm_pool_options;
/* Every second row and column, as networks mostly have it. */
#define CLM_POOL_INIT            \
    {                            \
        {2, 2}, {2, 2}, { 0, 0 } \
    }

CLM_API clm_value clm_max_pool(clm_graph *g, clm_value x, const clm_pool_options *options); /* first maximum wins */
CLM_API clm_value clm_avg_pool(clm_graph *g, clm_value x, const clm_pool_options *options); /* padding counts */
CLM_API clm_value clm_global_avg_pool(clm_graph *g, clm_value x);                           /* [n,h,w,c] -> [n,c] */

/* Normalisation by the statistics of the batch at hand: over all axes but the last. scale, shift [c] or CLM_INVALID.
 * mean_out, var_out (may be NULL) receive the statistics, shape [1, .., c]. Biased variance. */
CLM_API clm_value clm_batch_norm(clm_graph *g, clm_value x, clm_value scale, clm_value shift, double eps, clm_value *mean_out,
                                 clm_value *var_out);
/* The same with the statistics of some examples alone: those where mask [n] is 1 and not 0, at least one of them. All are
 * normalised by these; an example where the mask is 0 has no part in the others' values and derivatives. */
CLM_API clm_value clm_masked_batch_norm(clm_graph *g, clm_value x, clm_value mask, clm_value scale, clm_value shift, double eps,
                                        clm_value *mean_out, clm_value *var_out);
/* The same with given statistics. */
CLM_API clm_value clm_normalize(clm_graph *g, clm_value x, clm_value mean, clm_value var, clm_value scale, clm_value shift,
                                double eps);
/* Over all axes but the first; scale, shift of shape x.dim[1..] */
CLM_API clm_value clm_layer_norm(clm_graph *g, clm_value x, clm_value scale, clm_value shift, double eps);
/* x / sqrt(mean of x^2 over the last axis + eps) (Zhang & Sennrich 2019); scale [x's last axis] or CLM_INVALID */
CLM_API clm_value clm_rms_norm(clm_graph *g, clm_value x, clm_value scale, double eps);
/* x [n, .., c], statistics over the middle axes and each group of c/groups channels; scale, shift [c] */
CLM_API clm_value clm_group_norm(clm_graph *g, clm_value x, int groups, clm_value scale, clm_value shift, double eps);

CLM_API clm_value clm_softmax(clm_graph *g, clm_value x);     /* over the last axis */
CLM_API clm_value clm_log_softmax(clm_graph *g, clm_value x); /* over the last axis */

/* Self-attention with several heads (Vaswani et al. 2017) as PyTorch's MultiheadAttention has it: x [n, tokens, width], weight
 * [3 width, width] and bias [3 width] for queries, keys and values below each other, out_weight [width, width], out_bias
 * [width] -> [n, tokens, width]. A bias may be CLM_INVALID. heads divides width; scores are divided by sqrt(width / heads). */
CLM_API clm_value clm_multihead_attention(clm_graph *g, clm_value x, int heads, clm_value weight, clm_value bias,
                                          clm_value out_weight, clm_value out_bias);

/* ---- recurrent networks: one layer, unrolled over the tokens; the state is 0 before the first. x [n, tokens, width] ->
 * [n, tokens, h], or with `last` the [n, h] of the last token. Shapes, order of gates and formulas are PyTorch's. ---- */
typedef struct clm_recurrent_weights {
    clm_value input, state;           /* [gates h, width] and [gates h, h] */
    clm_value input_bias, state_bias; /* [gates h] each, or CLM_INVALID */
} clm_recurrent_weights;

/* h' = tanh(W x + U h) (Elman 1990), one gate. */
CLM_API clm_value clm_rnn(clm_graph *g, clm_value x, const clm_recurrent_weights *weights, bool last);
/* r, z = sigmoid(W x + U h);  n = tanh(W x + r (U h));  h' = (1 - z) n + z h (Cho et al. 2014); gates r, z, n. */
CLM_API clm_value clm_gru(clm_graph *g, clm_value x, const clm_recurrent_weights *weights, bool last);
/* i, f, o = sigmoid(..), g = tanh(..) of W x + U h;  c' = f c + i g;  h' = o tanh(c') (Hochreiter & Schmidhuber 1997); gates i,
 * f, g, o. */
CLM_API clm_value clm_lstm(clm_graph *g, clm_value x, const clm_recurrent_weights *weights, bool last);

/* ---- dropout ---- */

/* 0 with probability `rate`, else 1 / (1 - rate), for each element of `shape`: x times it is x with dropout (Srivastava et al.
 * 2014). Derivative 0. Which elements are 0 is a function of key [4] (clm_dropout_key; per task or shared), pass, layer and the
 * place of the element, the same on every device, by the counter-based Philox 4x32-10 (Salmon et al. 2011). 0 <= rate < 1, which
 * is kept to 2^-32; pass, layer >= 0 tell masks of one key apart. Rate 0 is a constant 1. */
CLM_API clm_value clm_dropout_mask(clm_graph *g, clm_value key, clm_shape shape, double rate, int pass, int layer);
/* The key of a task: four whole numbers below 2^16, by the same generator, so that neither another task nor another iteration has
 * masks in common with it. */
CLM_API void clm_dropout_key(uint64_t seed, uint64_t iteration, uint32_t task, float key[4]);

/* ---- losses: a scalar, the mean or the sum over examples (of elementwise losses: over all elements) ----
 * With CLM_REDUCE_NONE the terms themselves, unweighted by their number: of x's shape for an elementwise loss, else [n, 1]. */
typedef enum clm_reduction { CLM_REDUCE_MEAN, CLM_REDUCE_SUM, CLM_REDUCE_NONE } clm_reduction;
/* logits [n, c], labels [n] -> scalar */
CLM_API clm_value clm_cross_entropy(clm_graph *g, clm_value logits, clm_value labels, clm_reduction reduction);
/* logits [n, c], labels [n] of 0 .. c - 1, class_weights [c] or CLM_INVALID -> scalar. PyTorch's cross_entropy: the target of an
 * example is (1 - label_smoothing) times its one-hot label plus label_smoothing / c (Szegedy et al. 2016), a class counts
 * class_weights[c] times, and the mean divides by the sum of the labels' weights. Without weights and smoothing: the value of
 * clm_cross_entropy. */
CLM_API clm_value clm_weighted_cross_entropy(clm_graph *g, clm_value logits, clm_value labels, clm_value class_weights,
                                             double label_smoothing, clm_reduction reduction);
/* 1 where the first maximum of logits [n, c] over the last axis is the label [n]; -> scalar, mean over n. Derivative 0. */
CLM_API clm_value clm_accuracy(clm_graph *g, clm_value logits, clm_value labels);
/* x and target of the same shape: (x - target)^2; |x - target|, with derivative 0 where they are equal */
CLM_API clm_value clm_mse(clm_graph *g, clm_value x, clm_value target, clm_reduction reduction);
CLM_API clm_value clm_mae(clm_graph *g, clm_value x, clm_value target, clm_reduction reduction);
/* d = x - target: d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2) (Huber 1964; PyTorch's huber_loss). delta > 0 */
CLM_API clm_value clm_huber(clm_graph *g, clm_value x, clm_value target, double delta, clm_reduction reduction);
/* -t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)) for logits x and targets t of 0 .. 1, of the same shape. */
CLM_API clm_value clm_binary_cross_entropy(clm_graph *g, clm_value logits, clm_value targets, clm_reduction reduction);
/* REINFORCE (Williams 1992) for independent normal actions: -advantage log density(actions) -> scalar, over examples. mean [n, a]
 * (a model's output), log_std [a]; a row of y [n, a + 1] holds the actions that were taken and then their advantage. */
CLM_API clm_value clm_gaussian_policy_loss(clm_graph *g, clm_value mean, clm_value log_std, clm_value y,
                                           clm_reduction reduction);

/* ---- derivatives; all build further values in the same graph ---- */

/* Vector-Jacobian product. For outputs y_i with cotangents c_i (same shape) and inputs x_j, any values of the graph:
 * grads[j] = sum_i (dy_i/dx_j)^T c_i. Values among the inputs are treated as independent. Inputs that do not matter get zeros.
 * A shared x_j fed to per-task values gets the sum over tasks. A per-task cotangent of a shared y_i asks for one product per task, so
 * the result is per task (sum it with clm_sum_tasks if the sum is meant). Returns the graph's status. CLM_E_ARG for an x_j that a later value
 * was simplified past (the scale of a scale, the reshape of a reshape, ..), see clm_identity; a constant gets zeros. */
CLM_API clm_status clm_vjp(clm_graph *g, const clm_value *outputs, const clm_value *cotangents, size_t n_outputs,
                           const clm_value *inputs, size_t n_inputs, clm_value *grads);
/* Gradient of a scalar: clm_vjp with cotangent 1. For a per-task scalar: of the sum over tasks; with per-task inputs that is each
 * task's own gradient. */
CLM_API clm_status clm_grad(clm_graph *g, clm_value scalar, const clm_value *inputs, size_t n_inputs, clm_value *grads);
/* Jacobian-vector product: tangents_out[i] = sum_j (dy_i/dx_j) t_j. Tangents may be CLM_INVALID for zero; so may results. */
CLM_API clm_status clm_jvp(clm_graph *g, const clm_value *inputs, const clm_value *tangents, size_t n_inputs,
                           const clm_value *outputs, size_t n_outputs, clm_value *tangents_out);
/* Hessian-vector product of a scalar, forward over reverse: hv[j] = sum_k d2f/dx_j dx_k v_k */
CLM_API clm_status clm_hvp(clm_graph *g, clm_value scalar, const clm_value *inputs, const clm_value *v, size_t n_inputs,
                           clm_value *hv);

#ifdef __cplusplus
}
#endif
#endif
