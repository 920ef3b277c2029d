/* Rows of operations that move, gather and reduce. */
#include "check/rows.h"

#define REDUCE(name, reduction, axes, keep) \
    static clm_value build_##name(clm_graph *g, const clm_value *x) { return clm_##reduction(g, x[0], axes, keep); }

REDUCE(sum_first, sum, 1u, false)
REDUCE(sum_middle, sum, 2u, true)
REDUCE(sum_last, sum, 4u, false)
REDUCE(sum_outer, sum, 5u, true)
REDUCE(sum_every, sum, 7u, false)
REDUCE(mean_last, mean, 4u, true)
REDUCE(mean_two, mean, 3u, false)
REDUCE(max_last, reduce_max, 4u, true)
REDUCE(max_two, reduce_max, 3u, false)

static clm_value build_sum_all(clm_graph *g, const clm_value *x) { return clm_sum_all(g, x[0]); }
static clm_value build_mean_all(clm_graph *g, const clm_value *x) { return clm_mean_all(g, x[0]); }
static clm_value build_per_task(clm_graph *g, const clm_value *x) { return clm_mul(g, x[0], clm_per_task(g, x[1])); }
static clm_value build_sum_tasks(clm_graph *g, const clm_value *x) { return clm_sum_tasks(g, x[0], CLM_INVALID); }
/* The sum is shared: it is what a mean over tasks minus each task's own value is made of. */
static clm_value build_sum_tasks_back(clm_graph *g, const clm_value *x) {
    return clm_mul(g, x[0], clm_sub(g, x[0], clm_scale(g, clm_sum_tasks(g, x[0], CLM_INVALID), 0.3)));
}
/* What a sum starts from must be shared. */
static clm_value build_sum_tasks_initial(clm_graph *g, const clm_value *x) {
    clm_value initial = clm_value_per_task(g, x[1]) ? clm_sum_tasks(g, x[1], CLM_INVALID) : x[1];
    return clm_sum_tasks(g, x[0], initial);
}

static clm_value build_broadcast(clm_graph *g, const clm_value *x) {
    clm_shape shape = clm_shape_of(3, 3, 5, 4);
    return clm_broadcast(g, x[0], shape);
}
static clm_value build_reshape(clm_graph *g, const clm_value *x) {
    clm_shape shape = clm_shape_of(2, 15, 4);
    return clm_reshape(g, x[0], shape);
}
static clm_value build_transpose_2d(clm_graph *g, const clm_value *x) {
    return clm_transpose(g, x[0], (const int32_t[]){1, 0});
}
static clm_value build_transpose_4d(clm_graph *g, const clm_value *x) {
    return clm_transpose(g, x[0], (const int32_t[]){0, 3, 1, 2});
}
static clm_value build_transpose_5d(clm_graph *g, const clm_value *x) {
    return clm_transpose(g, x[0], (const int32_t[]){3, 1, 4, 0, 2});
}
static clm_value build_slice(clm_graph *g, const clm_value *x) {
    return clm_slice(g, x[0], (const int32_t[]){1, 0, 2}, clm_shape_of(3, 2, 5, 3));
}
static clm_value build_pad(clm_graph *g, const clm_value *x) {
    return clm_pad(g, x[0], (const int32_t[]){1, 0, 2}, (const int32_t[]){0, 3, 1});
}
static clm_value build_concat(clm_graph *g, const clm_value *x) { return clm_concat(g, x, 3, 1); }
static clm_value build_gather_first(clm_graph *g, const clm_value *x) { return clm_gather(g, x[0], x[1], 0); }
static clm_value build_gather_last(clm_graph *g, const clm_value *x) { return clm_gather(g, x[0], x[1], 2); }
static clm_value build_scatter_first(clm_graph *g, const clm_value *x) { return clm_scatter_add(g, x[0], x[1], 0, 4); }
static clm_value build_scatter_middle(clm_graph *g, const clm_value *x) { return clm_scatter_add(g, x[0], x[1], 1, 6); }
static clm_value build_one_hot(clm_graph *g, const clm_value *x) { return clm_one_hot(g, x[0], 5); }
static clm_value build_argmax(clm_graph *g, const clm_value *x) { return clm_argmax(g, x[0]); }

#define N CLM_DRAW_NORMAL
#define D CLM_DRAW_DISTINCT
#define X3(draw)                 \
    {                            \
        { S3(3, 5, 7), draw, 0 } \
    }

static const clm_op_case rows[] = {
    {"broadcast", 0, build_broadcast, 1, {{S3(1, 5, 1), N, 0}}},
    {"broadcast/rank", 0, build_broadcast, 1, {{S1(4), N, 0}}},
    {"reshape", 0, build_reshape, 1, {{S3(3, 5, 4), N, 0}}},
    {"transpose", 0, build_transpose_2d, 1, {{S2(5, 7), N, 0}}},
    {"transpose/4d", 0, build_transpose_4d, 1, {{S4(2, 3, 5, 7), N, 0}}},
    {"transpose/5d", 0, build_transpose_5d, 1, {{S5(2, 3, 1, 5, 4), N, 0}}},
    {"slice", 0, build_slice, 1, {{S3(4, 5, 7), N, 0}}},
    {"pad", 0, build_pad, 1, {{S3(2, 5, 3), N, 0}}},
    {"concat", 0, build_concat, 3, {{S3(2, 3, 5), N, 0}, {S3(2, 1, 5), N, 0}, {S3(2, 4, 5), N, 0}}},
    {"gather", 0, build_gather_first, 2, {{S3(4, 3, 5), N, 0}, {S1(7), CLM_DRAW_OUTSIDE, 4}}},
    {"gather/last", 0, build_gather_last, 2, {{S3(3, 2, 5), N, 0}, {S1(7), CLM_DRAW_INDEX, 5}}},
    {"scatter_add", 0, build_scatter_first, 2, {{S3(7, 3, 2), N, 0}, {S1(7), CLM_DRAW_OUTSIDE, 4}}},
    {"scatter_add/middle", 0, build_scatter_middle, 2, {{S3(2, 7, 3), N, 0}, {S1(7), CLM_DRAW_INDEX, 6}}},
    {"argmax", CLM_CASE_FLAT, build_argmax, 1, X3(D)},
    {"argmax/ties", CLM_CASE_FLAT | CLM_CASE_NO_DIFF, build_argmax, 1, X3(CLM_DRAW_TIED)},
    {"one_hot", CLM_CASE_FLAT, build_one_hot, 1, {{S2(3, 4), CLM_DRAW_OUTSIDE, 5}}},
    {"sum", 0, build_sum_first, 1, X3(N)},
    {"sum/middle", 0, build_sum_middle, 1, X3(N)},
    {"sum/last", 0, build_sum_last, 1, X3(N)},
    {"sum/outer", CLM_CASE_DOCTOR, build_sum_outer, 1, X3(N)},
    {"sum/every", 0, build_sum_every, 1, X3(N)},
    {"sum/rows", CLM_CASE_LARGE, build_sum_last, 1, {{S3(3, 5, 1031), N, 0}}},
    {"sum/columns", CLM_CASE_LARGE, build_sum_first, 1, {{S3(517, 3, 11), N, 0}}},
    {"sum/long",
     CLM_CASE_LARGE | CLM_CASE_DOCTOR,
     build_sum_every,
     1,
     {{S3(61, 17, 13), CLM_DRAW_POSITIVE, 0}}}, /* nothing cancels */
    {"mean", 0, build_mean_last, 1, X3(N)},
    {"mean/two", 0, build_mean_two, 1, X3(N)},
    {"reduce_max", 0, build_max_last, 1, X3(D)},
    {"reduce_max/two", 0, build_max_two, 1, X3(D)},
    {"reduce_max/ties", CLM_CASE_NO_DIFF, build_max_last, 1, X3(CLM_DRAW_TIED)},
    {"sum_all", 0, build_sum_all, 1, {{S2(5, 7), CLM_DRAW_POSITIVE, 0}}}, /* one number: likewise */
    {"mean_all", 0, build_mean_all, 1, {{S2(5, 7), CLM_DRAW_POSITIVE, 0}}},
    {"per_task", 0, build_per_task, 2, {{S2(5, 7), N, 0}, {S1(7), N, 0}}},
    {"sum_tasks", CLM_CASE_TASKS, build_sum_tasks, 1, {{S2(5, 7), N, 0}}},
    {"sum_tasks/back", CLM_CASE_TASKS, build_sum_tasks_back, 1, {{S2(5, 7), N, 0}}},
    {"sum_tasks/initial", CLM_CASE_TASKS, build_sum_tasks_initial, 2, {{S2(5, 7), N, 0}, {S2(5, 7), N, 0}}},
};

const clm_op_family clm_shape_cases = {rows, sizeof rows / sizeof rows[0]};
