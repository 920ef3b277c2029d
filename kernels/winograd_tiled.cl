/* Correlation of images with a 3x3 filter at stride 1, and its adjoint in the filter (-DFILTER), by the short algorithm F(2 x 2, 3 x 3)
 * whose formula and sources are in winograd.cl, for devices whose local memory is a memory of its own (src/ops/winograd_tiled.c). At each
 * of 16 points there is a product of matrices, A[rows, depth] B[depth, columns]:
 *
 *   correlation  y = A' [sum over ci of (B' x B) o (G w G')] A       rows: tiles of 2 x 2 outputs   columns: co   depth: ci
 *   -DFILTER     w = G' [sum over tiles of (B' x B) o (A y A')] G    rows: ci                       columns: co   depth: tiles
 *
 * A group of GROUP lanes makes BM rows x BN columns at all points, a lane TM x TN of them at one: 16 multiply-adds take the place of 36.
 * Blocks of BK along the depth are fetched to registers while the one before is multiplied, transformed, and put into local memory as
 * [point][BK][BM] and [point][BK][BN]; nothing that is transformed leaves the group. Then each lane has some of the sums of one point, and
 * needs all points of one tile: sums are exchanged through local memory, a row and a column for each lane at a time.
 *
 * As in tiled.cl: images and filters are gathered with zeros for what lies outside; the filter may be read turned (TURNED); nobody
 * returns before the barriers; with TERMS of 2 a correlation's depth is that of both terms, one after the other; the filter's adjoint
 * sums segments of SEGMENT tiles, whose totals are added up in order, or, with SPLIT, by tiled_sum.cl. No size of a tile changes the order
 * of a sum. */
#define POINTS 16
#define TILES_Y ((OH + 1) / 2)
#define TILES_X ((OW + 1) / 2)
#define TILES (N * TILES_Y * TILES_X)
#define COLUMNS CO
#if FILTER
#define ROWS CI
#define DEPTH TILES
#define JOINED 1
#else
#define ROWS TILES
#define DEPTH CI
#define JOINED TERMS
#endif
#define SEGMENTS ((DEPTH + SEGMENT - 1) / SEGMENT)
#define RUNS (TERMS / JOINED * SEGMENTS)
#define PARTS (SPLIT ? RUNS : 1)
#define PART_SIZE (9 * CI * CO)
#define GROUPS_M ((ROWS + BM - 1) / BM)
#define GROUPS_N ((COLUMNS + BN - 1) / BN)
#define CHUNKS_M (TM / 4)
#define CHUNKS_N (TN / 4)
#define LANES_M (BM / TM)
#define LANES_N (BN / TN)

/* Where neighbouring lanes put neighbours along the depth, four floats lie between rows of a block; points begin in different banks. */
#define A_DEEP !FILTER
#define B_DEEP (TURNED && !FILTER)
#define LD_A (BM + 4 * A_DEEP)
#define LD_B (BN + 4 * B_DEEP)
#define POINT_A (BK * LD_A + 16)
#define POINT_B (BK * LD_B + 16)
#define BLOCKS (POINTS * (POINT_A + POINT_B))
#define EXCHANGE (POINTS * GROUP)
#define MEMORY (BLOCKS > EXCHANGE ? BLOCKS : EXCHANGE)

/* Where a group makes several segments, each lane reads its number back after each: or else all addresses of results, which are the same every
 * time, would be kept in registers beside the sums. Where a lane has few of them (FEW_REGISTERS) it does so in every block too: of some 80
 * addresses in local memory each would be kept, and Intel's compiler, out of registers, starts anew with sums and operands in memory. */
#define KEPT (FEW_REGISTERS || (FILTER && !SPLIT && RUNS > 1))
#if KEPT
#define LANE_AGAIN const int lane = kept[get_local_id(0)];
#else
#define LANE_AGAIN
#endif

/* The rows, columns and places along the depth that a lane fetches, and transforms: the i-th of as many as make a block. */
#define A_EACH ((BM * BK + GROUP - 1) / GROUP)
#define B_EACH ((BN * BK + GROUP - 1) / GROUP)
#define HAS_A(i) (lane + (i)*GROUP < BM * BK)
#define HAS_B(i) (lane_b + (i)*GROUP < BN * BK)
#define A_ROW(i) (A_DEEP ? (lane + (i)*GROUP) / BK : (lane + (i)*GROUP) % BM)
#define A_DEPTH(i) (A_DEEP ? (lane + (i)*GROUP) % BK : (lane + (i)*GROUP) / BM)
#define B_COLUMN(i) (B_DEEP ? (lane_b + (i)*GROUP) / BK : (lane_b + (i)*GROUP) % BN)
#define B_DEPTH(i) (B_DEEP ? (lane_b + (i)*GROUP) % BK : (lane_b + (i)*GROUP) / BN)
#define B_RAW (FILTER ? 4 : 9)

/* One axis of a transform in place, of a[0], a[s], ..: B', G, A', A, G' as in winograd.cl. */
static void data_to_points(float *a, const int s) {
    const float even = a[2 * s], odd = a[s];
    a[0] -= even;
    a[s] = even + odd;
    a[2 * s] = even - odd;
    a[3 * s] -= odd;
}

static void filter_to_points(float *a, const int s) {
    const float even = 0.5f * (a[0] + a[2 * s]), odd = 0.5f * a[s];
    a[3 * s] = a[2 * s];
    a[s] = even + odd;
    a[2 * s] = even - odd;
}

static void points_to_output(float *a, const int s) {
    const float odd = a[s] - a[2 * s];
    a[0] += a[s] + a[2 * s];
    a[s] = odd + a[3 * s];
}

static void output_to_points(float *a, const int s) {
    const float odd = a[s];
    a[s] = a[0] + odd;
    a[2 * s] = a[0] - odd;
    a[3 * s] = odd;
}

static void points_to_filter(float *a, const int s) {
    const float even = 0.5f * (a[s] + a[2 * s]), odd = 0.5f * (a[s] - a[2 * s]);
    a[0] += even;
    a[s] = odd;
    a[2 * s] = even + a[3 * s];
}

/* Of a 4 x 4 patch from row y and column x on: which pixels lie in a height x width image, a bit each. */
static uint meets(const int y, const int x, const int height, const int width) {
    uint rows = 0, columns = 0, mask = 0;
    for (int i = 0; i < 4; i++) rows |= (uint)(y + i >= 0 && y + i < height) << i;
    for (int i = 0; i < 4; i++) columns |= (uint)(x + i >= 0 && x + i < width) << i;
    for (int i = 0; i < 4; i++) mask |= (rows >> i & 1) * columns << 4 * i;
    return mask;
}

/* Where a tile's patch of images begins, and what of it there is; a tile that is none meets nothing. */
static uint find_patch(int *at, const int tile) {
    const int line = tile / TILES_X, image = line / TILES_Y;
    const int y = (line - image * TILES_Y) * 2 - PH, x = (tile - line * TILES_X) * 2 - PW;
    *at = ((image * H + y) * W + x) * CI;
    return tile < TILES ? meets(y, x, H, W) : 0;
}

#define FETCH_PATCH(to, p, width, channels, mask)                                                                      \
    _Pragma("unroll") for (int e = 0; e < 16; e++)                                                                     \
        to[e] = (mask) >> e & 1 ? (p)[((e / 4) * (width) + e % 4) * (channels)] : 0.0f;

/* Fetches the block that begins at depth k. */
#if FILTER
#define FETCH(k)                                                                                                       \
    _Pragma("unroll") for (int i = 0; i < A_EACH; i++) {                                                               \
        const int row = m0 + A_ROW(i), tile = (k) + A_DEPTH(i);                                                        \
        int at = 0;                                                                                                    \
        const uint mask = HAS_A(i) && row < ROWS && tile < end ? find_patch(&at, tile) : 0;                            \
        FETCH_PATCH(next_a[i], as + (at + row), W, CI, mask)                                                           \
    }                                                                                                                  \
    _Pragma("unroll") for (int i = 0; i < B_EACH; i++) {                                                               \
        const int column = n0 + B_COLUMN(i), tile = (k) + B_DEPTH(i), line = tile / TILES_X, image = line / TILES_Y;   \
        const int y = (line - image * TILES_Y) * 2, x = (tile - line * TILES_X) * 2;                                   \
        const bool some = HAS_B(i) && column < COLUMNS && tile < end;                                                  \
        __global const float *p = bs + (((image * OH + y) * OW + x) * CO + column);                                    \
        _Pragma("unroll") for (int e = 0; e < 4; e++)                                                                  \
            next_b[i][e] = some && y + e / 2 < OH && x + e % 2 < OW ? p[((e / 2) * OW + e % 2) * CO] : 0.0f;           \
    }
#else
/* Operands of the next block: a lane's pointers go on from one block to the next, loads are at constant distances from them. */
#define B_STEP (TURNED ? 1 : CO)
#define TAP(e) (TURNED ? (8 - (e)) * CO * CI : (e)*CI * CO)
#define WHOLE (CI % BK == 0)
#define FETCH(k)                                                                                                       \
    _Pragma("unroll") for (int i = 0; i < A_EACH; i++) {                                                               \
        const uint mask = WHOLE || (k) + A_DEPTH(i) < CI ? inside[i] : 0;                                              \
        FETCH_PATCH(next_a[i], from_a[i], W, CI, mask)                                                                 \
        from_a[i] += BK;                                                                                               \
    }                                                                                                                  \
    _Pragma("unroll") for (int i = 0; i < B_EACH; i++) {                                                               \
        const bool some = HAS_B(i) && n0 + B_COLUMN(i) < COLUMNS && (WHOLE || (k) + B_DEPTH(i) < CI);                  \
        _Pragma("unroll") for (int e = 0; e < 9; e++) next_b[i][e] = some ? from_b[i][TAP(e)] : 0.0f;                  \
        from_b[i] += BK * B_STEP;                                                                                      \
    }
#endif

/* Transforms what was fetched and puts it into local memory. */
#define PUT_POINTS(to, distance, a)                                                                                    \
    _Pragma("unroll") for (int e = 0; e < POINTS; e++)(to)[e * (distance)] = (a)[e];
#if FILTER
#define SPREAD(a, b)                                                                                                   \
    _Pragma("unroll") for (int e = 0; e < 4; e++)(a)[e / 2 * 4 + e % 2] = (b)[e];                                      \
    _Pragma("unroll") for (int e = 0; e < 2; e++) output_to_points((a) + 4 * e, 1);                                    \
    _Pragma("unroll") for (int e = 0; e < 4; e++) output_to_points((a) + e, 4);
#else
#define SPREAD(a, b)                                                                                                   \
    _Pragma("unroll") for (int e = 0; e < 9; e++)(a)[e / 3 * 4 + e % 3] = (b)[e];                                      \
    _Pragma("unroll") for (int e = 0; e < 3; e++) filter_to_points((a) + 4 * e, 1);                                    \
    _Pragma("unroll") for (int e = 0; e < 4; e++) filter_to_points((a) + e, 4);
#endif
#define PUT                                                                                                            \
    _Pragma("unroll") for (int i = 0; i < A_EACH; i++) if (HAS_A(i)) {                                                 \
        _Pragma("unroll") for (int e = 0; e < 4; e++) data_to_points(next_a[i] + 4 * e, 1);                            \
        _Pragma("unroll") for (int e = 0; e < 4; e++) data_to_points(next_a[i] + e, 4);                                \
        PUT_POINTS(put + A_DEPTH(i) * LD_A + A_ROW(i), POINT_A, next_a[i])                                             \
    }                                                                                                                  \
    _Pragma("unroll") for (int i = 0; i < B_EACH; i++) if (HAS_B(i)) {                                                 \
        float b[POINTS];                                                                                               \
        SPREAD(b, next_b[i])                                                                                           \
        PUT_POINTS(put + POINTS * POINT_A + B_DEPTH(i) * LD_B + B_COLUMN(i), POINT_B, b)                               \
    }

/* Where a lane's operands of the products begin. */
#define FIND_OPERANDS                                                                                                  \
    const int point = lane / (LANES_M * LANES_N), in_point = lane % (LANES_M * LANES_N);                               \
    const int lane_n = in_point % LANES_N, lane_m = in_point / LANES_N;                                                \
    __local const float4 *const of_a = memory + point * (POINT_A / 4) + lane_m;                                        \
    __local const float4 *const of_b = memory + POINTS * (POINT_A / 4) + point * (POINT_B / 4) + lane_n;

/* One step of the products: row i of chunk p. */
#define ADD_ROW(p, i)                                                                                                  \
    _Pragma("unroll") for (int q = 0; q < CHUNKS_N; q++) sum[4 * (p) + (i)][q] += a[p].s##i * b[q];

/* Where a lane's sums of a chunk begin in the exchange, in vectors: by point, row, column. */
#define WHERE(lane)                                                                                                    \
    ((lane) / (LANES_M * LANES_N) * (GROUP / 4) + (lane) % (LANES_M * LANES_N) / LANES_N * (4 * LANES_N) + (lane) % LANES_N)

/* What comes of all points of a row and a column. */
#if FILTER
#define RESULT_OF(a, row, column)                                                                                      \
    _Pragma("unroll") for (int e = 0; e < 4; e++) points_to_filter((a) + 4 * e, 1);                                    \
    _Pragma("unroll") for (int e = 0; e < 3; e++) points_to_filter((a) + e, 4);                                        \
    _Pragma("unroll") for (int e = 0; e < 9; e++) {                                                                    \
        __global float *p = to + ((e * CI + (row)) * CO + (column));                                                   \
        *p = more ? *p + (a)[e / 3 * 4 + e % 3] : (a)[e / 3 * 4 + e % 3];                                              \
    }
#else
#define RESULT_OF(a, row, column)                                                                                      \
    const int line = (row) / TILES_X, image = line / TILES_Y;                                                          \
    const int y = (line - image * TILES_Y) * 2, x = ((row)-line * TILES_X) * 2;                                        \
    _Pragma("unroll") for (int e = 0; e < 4; e++) points_to_output((a) + 4 * e, 1);                                    \
    _Pragma("unroll") for (int e = 0; e < 2; e++) points_to_output((a) + e, 4);                                        \
    _Pragma("unroll") for (int e = 0; e < 4; e++) if (y + e / 2 < OH && x + e % 2 < OW)                                \
        to[((image * OH + y + e / 2) * OW + x + e % 2) * CO + (column)] = (a)[e / 2 * 4 + e % 2];
#endif

__attribute__((reqd_work_group_size(GROUP, 1, 1)))
#if FILTER
__kernel void winograd_bwd_filter_tiled(OUT(out), IN(a_in), IN(b_in) SECOND(a2, b2)) {
#else
__kernel void winograd_tiled(OUT(out), IN(a_in), IN(b_in) SECOND(a2, b2)) {
#endif
    __local float4 memory[MEMORY / 4];
    __local float *const put = (__local float *)memory;
#if KEPT
    __local int kept[GROUP];
#endif
    const int item = get_global_id(0), lane = item % GROUP, block = item / GROUP, task = get_global_id(2);
    const int lane_b = (lane + GROUP / 2) % GROUP; /* where there is not work for all, others fetch the second operand */
    const int n0 = block % GROUPS_N * BN, above_n = block / GROUPS_N;
    const int m0 = above_n % GROUPS_M * BM, part = above_n / GROUPS_M % PARTS;
#if !FEW_REGISTERS
    FIND_OPERANDS
#endif
    __global float *const to = PTR(out, task) + (size_t)part * PART_SIZE;

#if !FILTER
    int patch[A_EACH];
    uint inside[A_EACH];
#pragma unroll
    for (int i = 0; i < A_EACH; i++) inside[i] = HAS_A(i) ? find_patch(&patch[i], m0 + A_ROW(i)) : (patch[i] = 0);
#endif

#if KEPT
    kept[get_local_id(0)] = lane;
#endif
    float next_a[A_EACH][POINTS], next_b[B_EACH][B_RAW];
    float4 sum[TM][CHUNKS_N];

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
            __global const float *as = OF_TERM(term, PTR(a_in, task), PTR(a2, task));
            __global const float *bs = OF_TERM(term, PTR(b_in, task), PTR(b2, task));

#if !FILTER
            __global const float *from_a[A_EACH], *from_b[B_EACH];
#pragma unroll
            for (int i = 0; i < A_EACH; i++) from_a[i] = as + (patch[i] + A_DEPTH(i));
#pragma unroll
            for (int i = 0; i < B_EACH; i++)
                from_b[i] = bs + (TURNED ? (n0 + B_COLUMN(i)) * CI + B_DEPTH(i) : B_DEPTH(i) * CO + n0 + B_COLUMN(i));
#endif
            FETCH(from)
#pragma unroll 1
            for (int k = from; k < end; k += BK) {
#if FEW_REGISTERS
                {
                    LANE_AGAIN
                    const int lane_b = (lane + GROUP / 2) % GROUP;
                    PUT
                }
#else
                PUT
#endif
                barrier(CLK_LOCAL_MEM_FENCE);
                if (k + BK < end) {
                    FETCH(k + BK)
                }
#if FEW_REGISTERS
                LANE_AGAIN
                FIND_OPERANDS
#endif
#pragma unroll
                for (int step = 0; step < BK; step++) {
                    float4 a[CHUNKS_M], b[CHUNKS_N];
#pragma unroll
                    for (int p = 0; p < CHUNKS_M; p++) a[p] = of_a[step * (LD_A / 4) + p * LANES_M];
#pragma unroll
                    for (int q = 0; q < CHUNKS_N; q++) b[q] = of_b[step * (LD_B / 4) + q * LANES_N];
#pragma unroll
                    for (int p = 0; p < CHUNKS_M; p++) {
                        ADD_ROW(p, 0)
                        ADD_ROW(p, 1)
                        ADD_ROW(p, 2)
                        ADD_ROW(p, 3)
                    }
                }
                barrier(CLK_LOCAL_MEM_FENCE);
            }
        }

        LANE_AGAIN
        /* A chunk of four rows and four columns of each lane of a point is as many as there are lanes. */
        const bool more = run > part;
        (void)more;
#pragma unroll
        for (int p = 0; p < CHUNKS_M; p++)
#pragma unroll
            for (int q = 0; q < CHUNKS_N; q++) {
#pragma unroll
                for (int i = 0; i < 4; i++)
                    memory[WHERE(lane) + i * LANES_N] = sum[4 * p + i][q];
                barrier(CLK_LOCAL_MEM_FENCE);
                const int row = m0 + p * (4 * LANES_M) + lane / (4 * LANES_N), column = n0 + q * (4 * LANES_N) + lane % (4 * LANES_N);
                float all[POINTS];
#pragma unroll
                for (int e = 0; e < POINTS; e++) all[e] = put[e * GROUP + lane];
                barrier(CLK_LOCAL_MEM_FENCE);
                if (row < ROWS && column < COLUMNS) {
                    RESULT_OF(all, row, column)
                }
            }
    }
}
