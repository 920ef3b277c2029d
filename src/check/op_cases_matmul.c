/* Rows of matrix products, convolutions and pooling. */
#include "check/rows.h"

#define MATMUL(name, ta, tb) \
    static clm_value build_##name(clm_graph *g, const clm_value *x) { return clm_matmul(g, x[0], x[1], ta, tb); }
MATMUL(matmul_nn, false, false)
MATMUL(matmul_tn, true, false)
MATMUL(matmul_nt, false, true)
MATMUL(matmul_tt, true, true)

static clm_value build_linear(clm_graph *g, const clm_value *x) { return clm_linear(g, x[0], x[1], x[2]); }
static clm_value build_linear_plain(clm_graph *g, const clm_value *x) { return clm_linear(g, x[0], x[1], CLM_INVALID); }

static const clm_conv_options conv_plain = {{1, 1}, {0, 0}, {1, 1}, 1};
static const clm_conv_options conv_same = {{1, 1}, {1, 1}, {1, 1}, 1};
static const clm_conv_options conv_strided = {{2, 2}, {1, 1}, {1, 1}, 1};
static const clm_conv_options conv_gap = {{3, 3}, {1, 0}, {1, 1}, 1}; /* the last rows and columns are never read */
static const clm_conv_options conv_dilated = {{1, 1}, {2, 2}, {2, 2}, 1};
static const clm_conv_options conv_grouped = {{1, 1}, {1, 1}, {1, 1}, 2};
static const clm_conv_options conv_depthwise = {{2, 1}, {1, 1}, {1, 1}, 3};
static const clm_conv_options conv_uneven = {{2, 1}, {0, 2}, {1, 2}, 1};

#define CONV(name) \
    static clm_value build_##name(clm_graph *g, const clm_value *x) { return clm_conv2d(g, x[0], x[1], &name); }
CONV(conv_plain)
CONV(conv_same)
CONV(conv_strided)
CONV(conv_gap)
CONV(conv_dilated)
CONV(conv_grouped)
CONV(conv_depthwise)
CONV(conv_uneven)

/* Both adjoints as operations of their own: dy comes from an image of 7 x 6. */
static clm_value build_bwd_data(clm_graph *g, const clm_value *x) {
    return clm_conv2d_bwd_data(g, x[0], x[1], 7, 6, &conv_strided);
}
static clm_value build_bwd_data_same(clm_graph *g, const clm_value *x) {
    return clm_conv2d_bwd_data(g, x[0], x[1], 5, 4, &conv_same);
}
static clm_value build_bwd_data_grouped(clm_graph *g, const clm_value *x) {
    return clm_conv2d_bwd_data(g, x[0], x[1], 5, 4, &conv_grouped);
}
static clm_value build_bwd_filter(clm_graph *g, const clm_value *x) {
    return clm_conv2d_bwd_filter(g, x[0], x[1], 3, 3, &conv_strided);
}
static clm_value build_bwd_filter_grouped(clm_graph *g, const clm_value *x) {
    return clm_conv2d_bwd_filter(g, x[0], x[1], 3, 3, &conv_grouped);
}

static const clm_pool_options pool_half = {{2, 2}, {2, 2}, {0, 0}};
static const clm_pool_options pool_overlap = {{3, 2}, {2, 1}, {1, 1}};

#define POOL(name, kind, options) \
    static clm_value build_##name(clm_graph *g, const clm_value *x) { return clm_##kind##_pool(g, x[0], &options); }
POOL(max_half, max, pool_half)
POOL(max_overlap, max, pool_overlap)
POOL(avg_half, avg, pool_half)
POOL(avg_overlap, avg, pool_overlap)
static clm_value build_global_avg(clm_graph *g, const clm_value *x) { return clm_global_avg_pool(g, x[0]); }

#define N CLM_DRAW_NORMAL
#define D CLM_DRAW_DISTINCT

static const clm_op_case rows[] = {
    {"matmul", 0, build_matmul_nn, 2, {{S2(5, 7), N, 0}, {S2(7, 3), N, 0}}},
    {"matmul/tn", CLM_CASE_DOCTOR, build_matmul_tn, 2, {{S2(7, 5), N, 0}, {S2(7, 3), N, 0}}},
    {"matmul/nt", 0, build_matmul_nt, 2, {{S2(5, 7), N, 0}, {S2(3, 7), N, 0}}},
    {"matmul/tt", 0, build_matmul_tt, 2, {{S2(7, 5), N, 0}, {S2(3, 7), N, 0}}},
    {"matmul/batch", 0, build_matmul_nt, 2, {{S4(2, 3, 4, 5), N, 0}, {S4(2, 3, 2, 5), N, 0}}},
    {"matmul/left", 0, build_matmul_tn, 2, {{S3(2, 5, 4), N, 0}, {S2(5, 3), N, 0}}},
    {"matmul/right", 0, build_matmul_nn, 2, {{S2(4, 5), N, 0}, {S3(2, 5, 3), N, 0}}},
    {"matmul/one", 0, build_matmul_nn, 2, {{S2(1, 9), N, 0}, {S2(9, 1), N, 0}}},
    {"matmul/large_nn", CLM_CASE_LARGE, build_matmul_nn, 2, {{S2(67, 45), N, 0}, {S2(45, 83), N, 0}}},
    {"matmul/large_nt", CLM_CASE_LARGE | CLM_CASE_DOCTOR, build_matmul_nt, 2, {{S2(33, 130), N, 0}, {S2(64, 130), N, 0}}},
    {"matmul/large_tn", CLM_CASE_LARGE, build_matmul_tn, 2, {{S2(200, 24), N, 0}, {S2(200, 40), N, 0}}},
    {"matmul/packed_nt", CLM_CASE_LARGE, build_matmul_nt, 2, {{S2(70, 270), N, 0}, {S2(84, 270), N, 0}}},
    {"matmul/packed_tn", CLM_CASE_LARGE, build_matmul_tn, 2, {{S2(270, 66), N, 0}, {S2(270, 100), N, 0}}},
    {"linear", 0, build_linear, 3, {{S2(5, 7), N, 0}, {S2(3, 7), N, 0}, {S1(3), N, 0}}},
    {"linear/plain", 0, build_linear_plain, 2, {{S3(2, 5, 7), N, 0}, {S2(3, 7), N, 0}}},
    {"conv2d", 0, build_conv_same, 2, {{S4(2, 5, 4, 3), N, 0}, {S4(3, 3, 3, 5), N, 0}}},
    {"conv2d/plain", 0, build_conv_plain, 2, {{S4(2, 5, 4, 3), N, 0}, {S4(1, 1, 3, 5), N, 0}}},
    {"conv2d/grey", CLM_CASE_DOCTOR, build_conv_same, 2, {{S4(2, 5, 4, 1), N, 0}, {S4(3, 3, 1, 8), N, 0}}},
    {"conv2d/strided", CLM_CASE_DOCTOR, build_conv_strided, 2, {{S4(2, 7, 6, 3), N, 0}, {S4(3, 3, 3, 4), N, 0}}},
    {"conv2d/gap", 0, build_conv_gap, 2, {{S4(2, 7, 8, 2), N, 0}, {S4(2, 2, 2, 3), N, 0}}},
    {"conv2d/dilated", CLM_CASE_DOCTOR, build_conv_dilated, 2, {{S4(1, 6, 7, 2), N, 0}, {S4(3, 3, 2, 3), N, 0}}},
    {"conv2d/grouped", CLM_CASE_DOCTOR, build_conv_grouped, 2, {{S4(2, 4, 5, 4), N, 0}, {S4(3, 3, 2, 6), N, 0}}},
    {"conv2d/depthwise", 0, build_conv_depthwise, 2, {{S4(2, 5, 4, 3), N, 0}, {S4(3, 3, 1, 3), N, 0}}},
    {"conv2d/uneven", 0, build_conv_uneven, 2, {{S4(1, 6, 5, 2), N, 0}, {S4(2, 3, 2, 3), N, 0}}},
    {"conv2d/large",
     CLM_CASE_LARGE | CLM_CASE_DOCTOR,
     build_conv_same,
     2,
     {{S4(3, 14, 13, 16), N, 0}, {S4(3, 3, 16, 32), N, 0}}},
    {"conv2d/large_grey", CLM_CASE_LARGE, build_conv_same, 2, {{S4(2, 28, 28, 1), N, 0}, {S4(3, 3, 1, 16), N, 0}}},
    {"conv2d/large_strided", CLM_CASE_LARGE, build_conv_strided, 2, {{S4(2, 15, 14, 16), N, 0}, {S4(3, 3, 16, 24), N, 0}}},
    {"conv2d_bwd_data", 0, build_bwd_data, 2, {{S4(2, 4, 3, 5), N, 0}, {S4(3, 3, 3, 5), N, 0}}},
    {"conv2d_bwd_data/same", 0, build_bwd_data_same, 2, {{S4(2, 5, 4, 5), N, 0}, {S4(3, 3, 3, 5), N, 0}}},
    {"conv2d_bwd_data/grouped", 0, build_bwd_data_grouped, 2, {{S4(2, 5, 4, 6), N, 0}, {S4(3, 3, 2, 6), N, 0}}},
    {"conv2d_bwd_data/large", CLM_CASE_LARGE, build_bwd_data_same, 2, {{S4(2, 5, 4, 48), N, 0}, {S4(3, 3, 32, 48), N, 0}}},
    {"conv2d_bwd_data/large_grouped",
     CLM_CASE_LARGE,
     build_bwd_data_grouped,
     2,
     {{S4(2, 5, 4, 48), N, 0}, {S4(3, 3, 16, 48), N, 0}}},
    {"conv2d_bwd_filter", 0, build_bwd_filter, 2, {{S4(2, 7, 6, 3), N, 0}, {S4(2, 4, 3, 5), N, 0}}},
    {"conv2d_bwd_filter/grouped", 0, build_bwd_filter_grouped, 2, {{S4(2, 5, 4, 4), N, 0}, {S4(2, 5, 4, 6), N, 0}}},
    {"max_pool", 0, build_max_half, 1, {{S4(2, 5, 6, 3), D, 0}}},
    {"max_pool/overlap", CLM_CASE_DOCTOR, build_max_overlap, 1, {{S4(2, 5, 4, 3), D, 0}}},
    {"max_pool/ties", CLM_CASE_NO_DIFF, build_max_overlap, 1, {{S4(2, 5, 4, 3), CLM_DRAW_TIED, 0}}},
    {"max_pool/large", CLM_CASE_LARGE, build_max_half, 1, {{S4(2, 14, 14, 16), D, 0}}},
    {"avg_pool", 0, build_avg_half, 1, {{S4(2, 5, 6, 3), N, 0}}},
    {"avg_pool/overlap", 0, build_avg_overlap, 1, {{S4(2, 5, 4, 3), N, 0}}},
    {"global_avg_pool", 0, build_global_avg, 1, {{S4(2, 3, 5, 4), N, 0}}},
};

const clm_op_family clm_matmul_cases = {rows, sizeof rows / sizeof rows[0]};
