/* Rows of normalisations, losses and small networks: composed operations. */
#include "check/rows.h"

#include <stddef.h>

static const double eps = 1e-3;

static clm_value build_batch_norm(clm_graph *g, const clm_value *x) {
    return clm_batch_norm(g, x[0], x[1], x[2], eps, NULL, NULL);
}
static clm_value build_batch_norm_plain(clm_graph *g, const clm_value *x) {
    return clm_batch_norm(g, x[0], CLM_INVALID, CLM_INVALID, eps, NULL, NULL);
}
/* The first example always counts, as one has to. */
static clm_value build_masked_batch_norm(clm_graph *g, const clm_value *x) {
    const clm_value first = clm_broadcast(g, clm_const(g, 1), clm_shape_of(1, 1));
    return clm_masked_batch_norm(g, x[0], clm_concat(g, (const clm_value[]){first, x[3]}, 2, 0), x[1], x[2], eps, NULL, NULL);
}
/* The statistics matter too: they normalise another batch. */
static clm_value build_batch_norm_statistics(clm_graph *g, const clm_value *x) {
    clm_value mean, variance;
    clm_value support = clm_batch_norm(g, x[0], CLM_INVALID, CLM_INVALID, eps, &mean, &variance);
    clm_value query = clm_normalize(g, x[1], mean, variance, CLM_INVALID, CLM_INVALID, eps);
    return clm_concat(g, (const clm_value[]){support, query}, 2, 0);
}
static clm_value build_normalize(clm_graph *g, const clm_value *x) {
    return clm_normalize(g, x[0], x[1], x[2], x[3], x[4], eps);
}
static clm_value build_layer_norm(clm_graph *g, const clm_value *x) { return clm_layer_norm(g, x[0], x[1], x[2], eps); }
static clm_value build_layer_norm_plain(clm_graph *g, const clm_value *x) {
    return clm_layer_norm(g, x[0], CLM_INVALID, CLM_INVALID, eps);
}
static clm_value build_rms_norm(clm_graph *g, const clm_value *x) { return clm_rms_norm(g, x[0], x[1], eps); }
static clm_value build_rms_norm_plain(clm_graph *g, const clm_value *x) { return clm_rms_norm(g, x[0], CLM_INVALID, eps); }
static clm_value build_group_norm(clm_graph *g, const clm_value *x) { return clm_group_norm(g, x[0], 2, x[1], x[2], eps); }
static clm_value build_softmax(clm_graph *g, const clm_value *x) { return clm_softmax(g, x[0]); }
static clm_value build_log_softmax(clm_graph *g, const clm_value *x) { return clm_log_softmax(g, x[0]); }
static clm_value build_cross_entropy_mean(clm_graph *g, const clm_value *x) {
    return clm_cross_entropy(g, x[0], x[1], CLM_REDUCE_MEAN);
}
static clm_value build_cross_entropy_sum(clm_graph *g, const clm_value *x) {
    return clm_cross_entropy(g, x[0], x[1], CLM_REDUCE_SUM);
}
static clm_value build_accuracy(clm_graph *g, const clm_value *x) { return clm_accuracy(g, x[0], x[1]); }
static clm_value build_mse_mean(clm_graph *g, const clm_value *x) { return clm_mse(g, x[0], x[1], CLM_REDUCE_MEAN); }
static clm_value build_mse_sum(clm_graph *g, const clm_value *x) { return clm_mse(g, x[0], x[1], CLM_REDUCE_SUM); }
static clm_value build_mae_mean(clm_graph *g, const clm_value *x) { return clm_mae(g, x[0], x[1], CLM_REDUCE_MEAN); }
static clm_value build_mae_sum(clm_graph *g, const clm_value *x) { return clm_mae(g, x[0], x[1], CLM_REDUCE_SUM); }
/* A point of the grid on which CLM_DRAW_DISTINCT draws: differences keep clear of it. */
static const double delta = 8.0 / 128;
static clm_value build_huber_mean(clm_graph *g, const clm_value *x) { return clm_huber(g, x[0], x[1], delta, CLM_REDUCE_MEAN); }
static clm_value build_huber_sum(clm_graph *g, const clm_value *x) { return clm_huber(g, x[0], x[1], delta, CLM_REDUCE_SUM); }
static clm_value build_binary_mean(clm_graph *g, const clm_value *x) {
    return clm_binary_cross_entropy(g, x[0], x[1], CLM_REDUCE_MEAN);
}
static clm_value build_binary_sum(clm_graph *g, const clm_value *x) {
    return clm_binary_cross_entropy(g, x[0], x[1], CLM_REDUCE_SUM);
}
static clm_value build_weighted_mean(clm_graph *g, const clm_value *x) {
    return clm_weighted_cross_entropy(g, x[0], x[1], x[2], 0.1, CLM_REDUCE_MEAN);
}
static clm_value build_weighted_sum(clm_graph *g, const clm_value *x) {
    return clm_weighted_cross_entropy(g, x[0], x[1], x[2], 0, CLM_REDUCE_SUM);
}
static clm_value build_weighted_smoothed(clm_graph *g, const clm_value *x) {
    return clm_weighted_cross_entropy(g, x[0], x[1], CLM_INVALID, 0.2, CLM_REDUCE_MEAN);
}
static clm_value build_policy_mean(clm_graph *g, const clm_value *x) {
    return clm_gaussian_policy_loss(g, x[0], x[1], x[2], CLM_REDUCE_MEAN);
}
static clm_value build_policy_sum(clm_graph *g, const clm_value *x) {
    return clm_gaussian_policy_loss(g, x[0], x[1], x[2], CLM_REDUCE_SUM);
}

/* One block of Conv-4: convolution, batch-norm, activation (smooth: no kinks for the differences to step over), pooling. A bias
 * before batch-norm has no effect, so there is none to test. */
static clm_value build_block(clm_graph *g, const clm_value *x) {
    static const clm_conv_options same = {{1, 1}, {1, 1}, {1, 1}, 1};
    static const clm_pool_options half = {{2, 2}, {2, 2}, {0, 0}};
    clm_value y = clm_batch_norm(g, clm_conv2d(g, x[0], x[1], &same), x[2], x[3], eps, NULL, NULL);
    return clm_avg_pool(g, clm_tanh(g, y), &half);
}
/* Its elementwise part in a max-pooling, whose winners stay the same: the scale is positive. */
static clm_value build_block_max(clm_graph *g, const clm_value *x) {
    static const clm_pool_options half = {{2, 2}, {2, 2}, {0, 0}};
    return clm_max_pool(g, clm_tanh(g, clm_batch_norm(g, x[0], x[1], x[2], eps, NULL, NULL)), &half);
}

/* Scaled dot-product attention. */
static clm_value build_attention(clm_graph *g, const clm_value *x) {
    clm_value scores = clm_scale(g, clm_matmul(g, x[0], x[1], false, true), 0.5);
    return clm_matmul(g, clm_softmax(g, scores), x[2], false, false);
}

static clm_value build_multihead(clm_graph *g, const clm_value *x) {
    return clm_multihead_attention(g, x[0], 2, x[1], x[2], x[3], x[4]);
}

/* Whole numbers below 2^16 are a key. */
static clm_value build_dropout_mask(clm_graph *g, const clm_value *x) {
    return clm_mul(g, x[0], clm_dropout_mask(g, x[1], clm_value_shape(g, x[0]), 0.3, 3, 2));
}
/* A perceptron's hidden layer with dropout, in a residual branch that examples lose as a whole. */
static clm_value build_block_dropout(clm_graph *g, const clm_value *x) {
    const clm_shape s = clm_value_shape(g, x[0]);
    clm_value y = clm_tanh(g, clm_linear(g, x[0], x[1], CLM_INVALID));
    y = clm_mul(g, y, clm_dropout_mask(g, x[2], s, 0.5, 0, 1));
    y = clm_tanh(g, clm_linear(g, y, x[1], CLM_INVALID));
    return clm_add(g, x[0], clm_mul(g, y, clm_dropout_mask(g, x[2], clm_shape_of(2, s.dim[0], 1), 0.25, 0, 2)));
}

#define RECURRENT(name, biased, last)                                                                                         \
    static clm_value build_##name##_##last(clm_graph *g, const clm_value *x) {                                                \
        return clm_##name(g, x[0],                                                                                            \
                          &(clm_recurrent_weights){x[1], x[2], (biased) ? x[3] : CLM_INVALID, (biased) ? x[4] : CLM_INVALID}, \
                          last);                                                                                              \
    }
RECURRENT(rnn, true, false)
RECURRENT(rnn, false, true)
RECURRENT(gru, true, false)
RECURRENT(gru, false, true)
RECURRENT(lstm, true, false)
RECURRENT(lstm, false, true)

#define N CLM_DRAW_NORMAL
#define P CLM_DRAW_POSITIVE

static const clm_op_case rows[] = {
    {"batch_norm", 0, build_batch_norm, 3, {{S4(3, 3, 2, 5), N, 0}, {S1(5), N, 0}, {S1(5), N, 0}}},
    {"masked_batch_norm",
     0,
     build_masked_batch_norm,
     4,
     {{S4(5, 3, 2, 5), N, 0}, {S1(5), N, 0}, {S1(5), N, 0}, {S1(4), CLM_DRAW_INDEX, 2}}},
    {"batch_norm/plain", 0, build_batch_norm_plain, 1, {{S2(7, 3), N, 0}}},
    {"batch_norm/statistics", 0, build_batch_norm_statistics, 2, {{S2(7, 3), N, 0}, {S2(5, 3), N, 0}}},
    {"batch_norm/large", CLM_CASE_LARGE, build_batch_norm, 3, {{S4(5, 7, 7, 16), N, 0}, {S1(16), N, 0}, {S1(16), N, 0}}},
    {"normalize",
     0,
     build_normalize,
     5,
     {{S3(3, 4, 5), N, 0}, {S3(1, 1, 5), N, 0}, {S3(1, 1, 5), P, 0}, {S1(5), N, 0}, {S1(5), N, 0}}},
    {"layer_norm", 0, build_layer_norm, 3, {{S3(3, 4, 5), N, 0}, {S2(4, 5), N, 0}, {S2(4, 5), N, 0}}},
    {"layer_norm/plain", 0, build_layer_norm_plain, 1, {{S2(4, 7), N, 0}}},
    {"group_norm", 0, build_group_norm, 3, {{S4(2, 3, 2, 6), N, 0}, {S1(6), N, 0}, {S1(6), N, 0}}},
    {"rms_norm", 0, build_rms_norm, 2, {{S3(3, 4, 5), N, 0}, {S1(5), N, 0}}},
    {"rms_norm/plain", 0, build_rms_norm_plain, 1, {{S2(4, 7), N, 0}}},
    {"softmax", 0, build_softmax, 1, {{S3(2, 3, 5), N, 0}}},
    {"softmax/wide", 0, build_softmax, 1, {{S2(11, 7), CLM_DRAW_WIDE, 0}}},
    {"log_softmax", 0, build_log_softmax, 1, {{S2(5, 7), N, 0}}},
    {"log_softmax/wide", 0, build_log_softmax, 1, {{S2(11, 7), CLM_DRAW_WIDE, 0}}},
    {"cross_entropy", 0, build_cross_entropy_mean, 2, {{S2(7, 5), N, 0}, {S1(7), CLM_DRAW_INDEX, 5}}},
    {"cross_entropy/sum", CLM_CASE_DOCTOR, build_cross_entropy_sum, 2, {{S2(7, 5), N, 0}, {S1(7), CLM_DRAW_INDEX, 5}}},
    {"cross_entropy/wide", 0, build_cross_entropy_mean, 2, {{S2(11, 5), CLM_DRAW_WIDE, 0}, {S1(11), CLM_DRAW_INDEX, 5}}},
    {"accuracy", CLM_CASE_FLAT, build_accuracy, 2, {{S2(11, 3), CLM_DRAW_DISTINCT, 0}, {S1(11), CLM_DRAW_INDEX, 3}}},
    {"accuracy/ties", CLM_CASE_FLAT, build_accuracy, 2, {{S2(11, 3), CLM_DRAW_INDEX, 2}, {S1(11), CLM_DRAW_INDEX, 3}}},
    {"mse", 0, build_mse_mean, 2, {{S2(7, 3), N, 0}, {S2(7, 3), N, 0}}},
    {"mse/sum", 0, build_mse_sum, 2, {{S2(7, 3), N, 0}, {S2(7, 3), N, 0}}},
    {"mae", 0, build_mae_mean, 2, {{S2(7, 3), CLM_DRAW_DISTINCT, 0}, {S2(7, 3), CLM_DRAW_BETWEEN, 0}}},
    {"mae/sum", 0, build_mae_sum, 2, {{S2(7, 3), CLM_DRAW_DISTINCT, 0}, {S2(7, 3), CLM_DRAW_BETWEEN, 0}}},
    {"huber", 0, build_huber_mean, 2, {{S2(7, 3), CLM_DRAW_DISTINCT, 0}, {S2(7, 3), CLM_DRAW_BETWEEN, 0}}},
    {"huber/sum", 0, build_huber_sum, 2, {{S2(7, 3), CLM_DRAW_DISTINCT, 0}, {S2(7, 3), CLM_DRAW_BETWEEN, 0}}},
    {"binary_cross_entropy", 0, build_binary_mean, 2, {{S2(7, 3), N, 0}, {S2(7, 3), P, 0}}},
    {"binary_cross_entropy/sum", 0, build_binary_sum, 2, {{S2(7, 3), N, 0}, {S2(7, 3), CLM_DRAW_INDEX, 2}}},
    {"binary_cross_entropy/wide", 0, build_binary_mean, 2, {{S2(11, 3), CLM_DRAW_WIDE, 0}, {S2(11, 3), CLM_DRAW_INDEX, 2}}},
    {"weighted_cross_entropy", 0, build_weighted_mean, 3, {{S2(7, 5), N, 0}, {S1(7), CLM_DRAW_INDEX, 5}, {S1(5), P, 0}}},
    {"weighted_cross_entropy/sum", 0, build_weighted_sum, 3, {{S2(7, 5), N, 0}, {S1(7), CLM_DRAW_INDEX, 5}, {S1(5), P, 0}}},
    {"weighted_cross_entropy/smoothed", 0, build_weighted_smoothed, 2, {{S2(7, 5), N, 0}, {S1(7), CLM_DRAW_INDEX, 5}}},
    {"gaussian_policy_loss", 0, build_policy_mean, 3, {{S2(7, 3), N, 0}, {S1(3), N, 0}, {S2(7, 4), N, 0}}},
    {"gaussian_policy_loss/sum", 0, build_policy_sum, 3, {{S2(7, 3), N, 0}, {S1(3), N, 0}, {S2(7, 4), N, 0}}},
    {"block", 0, build_block, 4, {{S4(3, 4, 5, 2), N, 0}, {S4(3, 3, 2, 3), N, 0}, {S1(3), N, 0}, {S1(3), N, 0}}},
    {"block/max_pool",
     CLM_CASE_DOCTOR,
     build_block_max,
     3,
     {{S4(2, 4, 6, 3), CLM_DRAW_DISTINCT, 0}, {S1(3), P, 0}, {S1(3), N, 0}}},
    {"block/large",
     CLM_CASE_LARGE,
     build_block,
     4,
     {{S4(5, 14, 14, 8), N, 0}, {S4(3, 3, 8, 16), N, 0}, {S1(16), N, 0}, {S1(16), N, 0}}},
    {"block/dropout",
     CLM_CASE_DOCTOR,
     build_block_dropout,
     3,
     {{S2(7, 6), N, 0}, {S2(6, 6), N, 0}, {S1(4), CLM_DRAW_INDEX, 65536}}},
    {"dropout_mask", 0, build_dropout_mask, 2, {{S3(3, 5, 7), N, 0}, {S1(4), CLM_DRAW_INDEX, 65536}}},
    {"dropout_mask/large", CLM_CASE_LARGE, build_dropout_mask, 2, {{S4(5, 9, 8, 16), N, 0}, {S1(4), CLM_DRAW_INDEX, 65536}}},
    {"multihead_attention",
     0,
     build_multihead,
     5,
     {{S3(2, 3, 6), N, 0}, {S2(18, 6), N, 0}, {S1(18), N, 0}, {S2(6, 6), N, 0}, {S1(6), N, 0}}},
    {"rnn", 0, build_rnn_false, 5, {{S3(2, 5, 3), N, 0}, {S2(4, 3), N, 0}, {S2(4, 4), N, 0}, {S1(4), N, 0}, {S1(4), N, 0}}},
    {"rnn/last", 0, build_rnn_true, 3, {{S3(3, 3, 2), N, 0}, {S2(5, 2), N, 0}, {S2(5, 5), N, 0}}},
    {"gru", 0, build_gru_false, 5, {{S3(2, 3, 2), N, 0}, {S2(9, 2), N, 0}, {S2(9, 3), N, 0}, {S1(9), N, 0}, {S1(9), N, 0}}},
    {"gru/last", 0, build_gru_true, 3, {{S3(3, 2, 1), N, 0}, {S2(6, 1), N, 0}, {S2(6, 2), N, 0}}},
    {"lstm",
     0,
     build_lstm_false,
     5,
     {{S3(2, 3, 2), N, 0}, {S2(12, 2), N, 0}, {S2(12, 3), N, 0}, {S1(12), N, 0}, {S1(12), N, 0}}},
    {"lstm/last", 0, build_lstm_true, 3, {{S3(3, 2, 1), N, 0}, {S2(8, 1), N, 0}, {S2(8, 2), N, 0}}},
    {"attention", 0, build_attention, 3, {{S3(2, 5, 4), N, 0}, {S3(2, 3, 4), N, 0}, {S3(2, 3, 7), N, 0}}},
};

const clm_op_family clm_network_cases = {rows, sizeof rows / sizeof rows[0]};
