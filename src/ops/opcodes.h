/* The closed set of operations, one line each; the order is of no importance. table.c has a row for each. */
#ifndef CLM_OPS_OPCODES_H
#define CLM_OPS_OPCODES_H

/* X(NAME, name) */
#define CLM_OP_LIST(X)                      \
    X(INPUT, input)                         \
    X(FILL, fill)                           \
    X(ADD, add)                             \
    X(SUB, sub)                             \
    X(MUL, mul)                             \
    X(DIV, div)                             \
    X(POW, pow)                             \
    X(MAXIMUM, maximum)                     \
    X(GREATER, greater)                     \
    X(EQUAL, equal)                         \
    X(AFFINE, affine)                       \
    X(ABS, abs)                             \
    X(SIGN, sign)                           \
    X(STEP, step)                           \
    X(EXP, exp)                             \
    X(LOG, log)                             \
    X(SQRT, sqrt)                           \
    X(RSQRT, rsqrt)                         \
    X(POWER, power)                         \
    X(SIN, sin)                             \
    X(COS, cos)                             \
    X(TANH, tanh)                           \
    X(SIGMOID, sigmoid)                     \
    X(ERF, erf)                             \
    X(SOFTPLUS, softplus)                   \
    X(RELU, relu)                           \
    X(STOP_GRADIENT, stop_gradient)         \
    X(STRAIGHT_SIGN, straight_sign)         \
    X(STRAIGHT_ROUND, straight_round)       \
    X(BROADCAST, broadcast)                 \
    X(RESHAPE, reshape)                     \
    X(TRANSPOSE, transpose)                 \
    X(SLICE, slice)                         \
    X(PAD, pad)                             \
    X(GATHER, gather)                       \
    X(SCATTER_ADD, scatter_add)             \
    X(ONE_HOT, one_hot)                     \
    X(SUM, sum)                             \
    X(REDUCE_MAX, reduce_max)               \
    X(PLACE, place)                         \
    X(PER_TASK, per_task)                   \
    X(SUM_TASKS, sum_tasks)                 \
    X(MATMUL, matmul)                       \
    X(CONV2D, conv2d)                       \
    X(CONV2D_BWD_DATA, conv2d_bwd_data)     \
    X(CONV2D_BWD_FILTER, conv2d_bwd_filter) \
    X(FLIP_FILTER, flip_filter)             \
    X(MAX_POOL_ARGMAX, max_pool_argmax)     \
    X(POOL_GATHER, pool_gather)             \
    X(POOL_SCATTER, pool_scatter)           \
    X(AVG_POOL, avg_pool)                   \
    X(AVG_POOL_BWD, avg_pool_bwd)           \
    X(DROPOUT_MASK, dropout_mask)

typedef enum clm_opcode {
#define CLM_OP_ENUM(NAME, name) CLM_OP_##NAME,
    CLM_OP_LIST(CLM_OP_ENUM)
#undef CLM_OP_ENUM
        CLM_OP_COUNT
} clm_opcode;

#endif
