/* The implementations of heavy operations, in the order in which they are asked whether they are to be preferred. */
#ifndef CLM_OPS_IMPLEMENTATIONS_H
#define CLM_OPS_IMPLEMENTATIONS_H

/* X(OPERATION, row): row clm_impl_<row> serves CLM_OP_<OPERATION>. A row may serve several operations. */
#define CLM_IMPL_LIST(X)                           \
    X(CONV2D, winograd4)                           \
    X(CONV2D, winograd2)                           \
    X(CONV2D, conv2d_clfft)                        \
    X(CONV2D, conv2d_clblast_large)                \
    X(CONV2D, conv2d_clblast)                      \
    X(CONV2D, winograd_tiled)                      \
    X(CONV2D, tiled)                               \
    X(CONV2D, conv2d_direct)                       \
    X(CONV2D_BWD_DATA, winograd4)                  \
    X(CONV2D_BWD_DATA, winograd2)                  \
    X(CONV2D_BWD_DATA, conv2d_clfft)               \
    X(CONV2D_BWD_DATA, conv2d_clblast_large)       \
    X(CONV2D_BWD_DATA, conv2d_clblast)             \
    X(CONV2D_BWD_DATA, winograd_tiled)             \
    X(CONV2D_BWD_DATA, tiled)                      \
    X(CONV2D_BWD_DATA, conv2d_direct)              \
    X(CONV2D_BWD_FILTER, winograd4)                \
    X(CONV2D_BWD_FILTER, winograd2)                \
    X(CONV2D_BWD_FILTER, conv2d_clfft)             \
    X(CONV2D_BWD_FILTER, conv2d_clblast_large)     \
    X(CONV2D_BWD_FILTER, conv2d_clblast)           \
    X(CONV2D_BWD_FILTER, winograd_tiled)           \
    X(CONV2D_BWD_FILTER, tiled)                    \
    X(CONV2D_BWD_FILTER, conv2d_bwd_filter_thin)   \
    X(CONV2D_BWD_FILTER, conv2d_bwd_filter_direct) \
    X(MATMUL, matmul_clblast_large)                \
    X(MATMUL, matmul_clblast)                      \
    X(MATMUL, tiled)                               \
    X(MATMUL, matmul_packed)                       \
    X(MATMUL, matmul_direct)

#endif
