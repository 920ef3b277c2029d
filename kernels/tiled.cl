/* Products of matrices by tiles in local memory, for devices whose local memory is a memory of its own (src/ops/tiled.c):
 *
 *   out[m, n] = sum over k of A[m, k] B[k, n]
 *
 *   -DCONV    m: a pixel of the output, n: an output channel, k: ky, kx, input channel. A: patches of the images, B: the filter
 *   -DFILTER  m: ky, kx, input channel, n: an output channel, k: a pixel of the output. A: patches, B: what came for the output
 *   -DMATMUL  A and B as they are stored: [K, M] when TA, [N, K] when TB; TERMS is 1
 *
 * Patches are gathered, never stored. A group of GROUP lanes makes BM x BN elements. Blocks of BK along the depth are fetched to
 * registers while the one before is multiplied, and put into local memory as [BK][BM] and [BK][BN]; a lane multiplies TM rows with TN
 * columns out of them, in chunks of four that lie apart, so that lanes side by side read side by side. Where neighbours in memory are
 * neighbours along the depth (A_DEEP, B_DEEP), four floats are put between rows of the tile: what a lane scatters then meets few
 * other lanes in a bank. With two BUFFERS a block is put into one while others still read the other: one barrier a block.
 *
 * Nobody returns before the barriers: the launch is a whole number of groups, one task after the other, and is given no more.
 *
 * Sums run along the depth in segments of SEGMENT, whose totals are added up in order: by the group itself, in memory, or, with SPLIT,
 * by tiled_sum.cl, when every group has made one of them. Neither this nor any size of a tile changes the order of a sum. */
#if CONV || FILTER
#define CIG (CI / GROUPS)
#define COG (CO / GROUPS)
#define PIXELS (N * OH * OW)
#define COLUMNS COG
#define LD_OUT CO
#define OUT_SIZE (ROWS * CO)
#define A_BATCH CIG
#define B_BATCH COG
#define OUT_BATCH COG
#else
#define OUT_BATCH (M * N)
#endif

#if CONV
#define ROWS PIXELS
#define DEPTH (KH * KW * CIG)
#elif FILTER
#define ROWS (KH * KW * CIG)
#define DEPTH PIXELS
#define A_DEEP 0
#define B_DEEP 0
#else
#define ROWS M
#define COLUMNS N
#define DEPTH K
#define LD_OUT N
#define OUT_SIZE (BATCH * M * N)
#define A_DEEP !TA
#define B_DEEP TB
#endif
/* Of a convolution, A_DEEP and B_DEEP come with the options: A_DEEP 0 where images have few channels and neighbouring pixels are near,
 * B_DEEP 1 where the filter is read turned, w[-ky, -kx, co, ci] in place of w[ky, kx, ci, co]: the input channels are last there. */
#if CONV
#define B_AT(depth, column) (B_DEEP ? TURNED(depth, column) : (depth) * LD_OUT + (column))
#define TURNED(depth, column) (((KH * KW - 1 - (depth) / CI) * CO + (column)) * CI + (depth) % CI)
#else
#define B_AT(depth, column) (B_DEEP ? (column) * DEPTH + (depth) : (depth) * LD_OUT + (column))
#endif

#define TILES_M ((ROWS + BM - 1) / BM)
#define TILES_N ((COLUMNS + BN - 1) / BN)
/* A pair of convolutions, TERMS of 2, is one sum over both depths: forward without a break, as a depth is one segment there; in the
 * filter's adjoint the segments of one term come after those of the other. */
#define SEGMENTS ((DEPTH + SEGMENT - 1) / SEGMENT)
#if CONV
#define JOINED TERMS
#else
#define JOINED 1
#endif
#define RUNS (TERMS / JOINED * SEGMENTS)
#define PARTS (SPLIT ? RUNS : 1)
#define CHUNKS_M (TM / 4)
#define CHUNKS_N (TN / 4)
#define LANES_N (BN / TN)
#define LD_A (A_DEEP ? BM + 4 : BM)
#define LD_B (B_DEEP ? BN + 4 : BN)

/* The vectors of VA, VB floats that a lane fetches of a block, and where the i-th of them lies in it. */
#define VEC_A JOIN(VEC_, VA)
#define VEC_B JOIN(VEC_, VB)
#define A_EACH (BM * BK / VA / GROUP)
#define B_EACH (BN * BK / VB / GROUP)
#if A_DEEP
#define A_ROW(i) (lane / (BK / VA) + (i) * (GROUP * VA / BK))
#define A_DEPTH(i) (lane % (BK / VA) * VA)
#define A_ROWS A_EACH
#define A_PUT(i, v) JOIN(SCATTER_, VA)(put_a + A_DEPTH(i) * LD_A + A_ROW(i), LD_A, v)
#else
#define A_ROW(i) (lane % (BM / VA) * VA)
#define A_DEPTH(i) (lane / (BM / VA) + (i) * (GROUP * VA / BM))
#define A_ROWS 1
#define A_PUT(i, v) *(__local VEC_A *)(put_a + A_DEPTH(i) * LD_A + A_ROW(i)) = (v)
#endif
#if B_DEEP
#define B_COLUMN(i) (lane / (BK / VB) + (i) * (GROUP * VB / BK))
#define B_DEPTH(i) (lane % (BK / VB) * VB)
#define B_PUT(i, v) JOIN(SCATTER_, VB)(put_b + B_DEPTH(i) * LD_B + B_COLUMN(i), LD_B, v)
#else
#define B_COLUMN(i) (lane % (BN / VB) * VB)
#define B_DEPTH(i) (lane / (BN / VB) + (i) * (GROUP * VB / BN))
#define B_PUT(i, v) *(__local VEC_B *)(put_b + B_DEPTH(i) * LD_B + B_COLUMN(i)) = (v)
#endif
#define SCATTER_1(p, ld, v) (p)[0] = (v)
#define SCATTER_2(p, ld, v) (p)[0] = (v).s0, (p)[ld] = (v).s1
#define SCATTER_4(p, ld, v) (p)[0] = (v).s0, (p)[ld] = (v).s1, (p)[2 * (ld)] = (v).s2, (p)[3 * (ld)] = (v).s3

/* Some compilers take loads through vloadn apart, as they know of no alignment. Values mostly have it; views need not. */
#define ALIGNED(x, n) (((OFFSET(x) | TASK_STRIDE(x)) & ((n)-1)) == 0)
#define GET_1(p, aligned) (*(p))
#define GET_2(p, aligned) ((aligned) ? *(__global const float2 *)(p) : vload2(0, p))
#define GET_4(p, aligned) ((aligned) ? *(__global const float4 *)(p) : vload4(0, p))

/* One step of the products: row i of chunk p. */
#define ADD_ROW(p, i)                                                                                                  \
    _Pragma("unroll") for (int q = 0; q < CHUNKS_N; q++) sum[4 * (p) + (i)][q] += a[p].s##i * b[q];

/* Four columns of the result. `more`: there is a total already. */
#if COLUMNS % 4 == 0 && LD_OUT % 4 == 0
#define STORE_COLUMNS(p, column, v)                                                                                    \
    if ((column) < COLUMNS) {                                                                                          \
        if (aligned)                                                                                                   \
            *(__global float4 *)(p) = more ? *(__global const float4 *)(p) + (v) : (v);                                \
        else                                                                                                           \
            vstore4(more ? vload4(0, p) + (v) : (v), 0, p);                                                            \
    }
#else
#define STORE_COLUMN(p, column, v)                                                                                     \
    if ((column) < COLUMNS) *(p) = more ? *(p) + (v) : (v);
#define STORE_COLUMNS(p, column, v)                                                                                    \
    STORE_COLUMN(p, column, (v).s0)                                                                                    \
    STORE_COLUMN((p) + 1, (column) + 1, (v).s1)                                                                        \
    STORE_COLUMN((p) + 2, (column) + 2, (v).s2)                                                                        \
    STORE_COLUMN((p) + 3, (column) + 3, (v).s3)
#endif

/* Fetches the block that begins at depth k: what lies outside of an operand is zero. */
#if CONV
#define FETCH_A(k)                                                                                                     \
    _Pragma("unroll") for (int i = 0; i < A_EACH; i++) {                                                               \
        const int depth = (k) + A_DEPTH(i), tap = depth / CIG, ky = tap / KW, kx = tap - ky * KW;                      \
        const int at = (ky * DH * W + kx * DW) * CI + depth - tap * CIG;                                               \
        const uint meet = inside[A_DEEP ? i : 0];                                                                      \
        next_a[i] = (VEC_A)(0.0f);                                                                                     \
        if (depth < DEPTH && (meet >> ky & meet >> (16 + kx) & 1))                                                     \
            next_a[i] = JOIN(GET_, VA)(as + (window[A_DEEP ? i : 0] + at), a_aligned);                                 \
    }
#elif FILTER
/* The pixel of a lane goes on by as many as there are between two of its vectors: along the row, then the image. */
#define GO (GROUP * VA / BM)
#define GO_X (GO % OW)
#define GO_Y (GO / OW % OH)
#define GO_N (GO / (OW * OH))
#define FETCH_A(k)                                                                                                     \
    _Pragma("unroll") for (int i = 0; i < A_EACH; i++) {                                                               \
        const int y = oy * SH + row_y, x = ox * SW + row_x;                                                            \
        next_a[i] = (VEC_A)(0.0f);                                                                                     \
        if (pixel < end && row < ROWS && y >= 0 && y < H && x >= 0 && x < W)                                           \
            next_a[i] = JOIN(GET_, VA)(as + (((image * H + oy * SH) * W + ox * SW) * CI + row_at), a_aligned);         \
        pixel += GO;                                                                                                   \
        ox += GO_X;                                                                                                    \
        oy += GO_Y + (ox >= OW);                                                                                       \
        ox -= (ox >= OW) * OW;                                                                                         \
        image += GO_N + (oy >= OH);                                                                                    \
        oy -= (oy >= OH) * OH;                                                                                         \
    }
#else
#define FETCH_A(k)                                                                                                     \
    _Pragma("unroll") for (int i = 0; i < A_EACH; i++) {                                                               \
        const int row = m0 + A_ROW(i), depth = (k) + A_DEPTH(i);                                                       \
        next_a[i] = (VEC_A)(0.0f);                                                                                     \
        if (row < ROWS && depth < end)                                                                                 \
            next_a[i] = JOIN(GET_, VA)(as + (A_DEEP ? row * K + depth : depth * M + row), a_aligned);                  \
    }
#endif
#define FETCH(k)                                                                                                       \
    FETCH_A(k)                                                                                                         \
    _Pragma("unroll") for (int i = 0; i < B_EACH; i++) {                                                               \
        const int column = n0 + B_COLUMN(i), depth = (k) + B_DEPTH(i);                                                 \
        next_b[i] = (VEC_B)(0.0f);                                                                                     \
        if (column < COLUMNS && depth < end)                                                                           \
            next_b[i] = JOIN(GET_, VB)(bs + B_AT(depth, column), b_aligned);   \
    }

#if CONV
/* Which positions of the filter meet the image from row y and column x on: bits of ky, and of kx above 16. */
static uint meets(const int y, const int x) {
    uint mask = 0;
    for (int ky = 0; ky < KH; ky++) mask |= (uint)(y + ky * DH >= 0 && y + ky * DH < H) << ky;
    for (int kx = 0; kx < KW; kx++) mask |= (uint)(x + kx * DW >= 0 && x + kx * DW < W) << (16 + kx);
    return mask;
}
#endif

__attribute__((reqd_work_group_size(GROUP, 1, 1)))
#if CONV
__kernel void conv2d_tiled(OUT(out), IN(a_in), IN(b_in) SECOND(a2, b2)) {
#elif FILTER
__kernel void conv2d_bwd_filter_tiled(OUT(out), IN(a_in), IN(b_in) SECOND(a2, b2)) {
#else
__kernel void matmul_tiled(OUT(out), IN(a_in), IN(b_in)) {
#endif
    __local float4 tile_a[BUFFERS][BK][LD_A / 4], tile_b[BUFFERS][BK][LD_B / 4];
    const int item = get_global_id(0), lane = item % GROUP, tile = item / GROUP, task = get_global_id(2);
    const int n0 = tile % TILES_N * BN, above_n = tile / TILES_N;
    const int m0 = above_n % TILES_M * BM, above_m = above_n / TILES_M;
    const int part = above_m % PARTS, batch = above_m / PARTS;
    const int lane_n = lane % LANES_N, lane_m = lane / LANES_N;
    const bool aligned = ALIGNED(out, 4);
    __global float *to = PTR(out, task) + (size_t)part * OUT_SIZE + (size_t)batch * OUT_BATCH;
    (void)aligned; /* where all is scalar */

    /* ---- what stays of a lane's rows and columns ---- */
#if CONV
    int window[A_ROWS]; /* where a pixel's patch begins */
    uint inside[A_ROWS];
#pragma unroll
    for (int r = 0; r < A_ROWS; r++) {
        const int row = m0 + A_ROW(r), image = row / (OH * OW), at = row - image * (OH * OW), oy = at / OW;
        const int y = oy * SH - PH, x = (at - oy * OW) * SW - PW;
        window[r] = ((image * H + y) * W + x) * CI;
        inside[r] = row < ROWS ? meets(y, x) : 0;
    }
#elif FILTER
    const int row = m0 + A_ROW(0), tap = row / CIG, ky = tap / KW;
    const int row_y = ky * DH - PH, row_x = (tap - ky * KW) * DW - PW, row_at = (row_y * W + row_x) * CI + row - tap * CIG;
    int pixel, image, oy, ox;
#endif

    VEC_A next_a[A_EACH];
    VEC_B next_b[B_EACH];
    float4 sum[TM][CHUNKS_N];
    int buffer = 0;

    /* Not unrolled where there are few blocks: what is fetched for all of them would not fit the registers. */
#pragma unroll 1
    for (int run = part; run < (SPLIT ? part + 1 : RUNS); run++) {
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int q = 0; q < CHUNKS_N; q++) sum[i][q] = (float4)(0.0f);
#pragma unroll 1
        for (int joined = 0; joined < JOINED; joined++) {
        const int term = JOINED > 1 ? joined : run / SEGMENTS, from = JOINED > 1 ? 0 : (run - term * SEGMENTS) * SEGMENT;
        const int end = min(from + SEGMENT, DEPTH);
        __global const float *as = OF_TERM(term, PTR(a_in, task), PTR(a2, task)) + (size_t)batch * A_BATCH;
        __global const float *bs = OF_TERM(term, PTR(b_in, task), PTR(b2, task)) + (size_t)batch * B_BATCH;
        const bool a_aligned = OF_TERM(term, ALIGNED(a_in, VA), ALIGNED(a2, VA));
        const bool b_aligned = OF_TERM(term, ALIGNED(b_in, VB), ALIGNED(b2, VB));
        (void)a_aligned, (void)b_aligned;
#if FILTER
        pixel = from + A_DEPTH(0);
        image = pixel / (OH * OW);
        oy = (pixel - image * (OH * OW)) / OW;
        ox = pixel - (image * OH + oy) * OW;
#endif

        FETCH(from)
#pragma unroll 1
        for (int k = from; k < end; k += BK) {
            __local float *const put_a = (__local float *)tile_a[buffer], *const put_b = (__local float *)tile_b[buffer];
#pragma unroll
            for (int i = 0; i < A_EACH; i++) A_PUT(i, next_a[i]);
#pragma unroll
            for (int i = 0; i < B_EACH; i++) B_PUT(i, next_b[i]);
            barrier(CLK_LOCAL_MEM_FENCE);
            if (k + BK < end) {
                FETCH(k + BK)
            }
#pragma unroll 8
            for (int step = 0; step < BK; step++) {
                float4 a[CHUNKS_M], b[CHUNKS_N];
#pragma unroll
                for (int p = 0; p < CHUNKS_M; p++) a[p] = tile_a[buffer][step][p * (BM / TM) + lane_m];
#pragma unroll
                for (int q = 0; q < CHUNKS_N; q++) b[q] = tile_b[buffer][step][q * (BN / TN) + lane_n];
#pragma unroll
                for (int p = 0; p < CHUNKS_M; p++) {
                    ADD_ROW(p, 0)
                    ADD_ROW(p, 1)
                    ADD_ROW(p, 2)
                    ADD_ROW(p, 3)
                }
            }
#if BUFFERS == 1
            barrier(CLK_LOCAL_MEM_FENCE);
#else
            buffer ^= 1;
#endif
        }
        }

        const bool more = run > part;
#pragma unroll
        for (int i = 0; i < TM; i++) {
            const int row = m0 + i / 4 * (4 * BM / TM) + 4 * lane_m + i % 4;
            if (row >= ROWS) continue;
#pragma unroll
            for (int q = 0; q < CHUNKS_N; q++) {
                const int column = n0 + q * (4 * BN / TN) + 4 * lane_n;
                __global float *const p = to + ((size_t)row * LD_OUT + column);
                STORE_COLUMNS(p, column, sum[i][q])
            }
        }
    }
}
