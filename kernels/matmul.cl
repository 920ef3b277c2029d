/* Matrix products Y[M, N] = A[M, K] B[K, N], where A is stored [K, M] when TA and B is stored [N, K] when TB, which is never both.
 *
 * An item computes, of one matrix of the batch, STRIP tiles of TILE_M x TILE_N side by side, each in registers. matmul has NV vectors
 * of VEC elements along N (TILE_N = NV VEC; NV is 1 unless TILE_N divides N), matmul_nt, for TB, vectors along K. Sums of more than BLOCK terms are made of sums of BLOCK.
 *
 * What is left over at an edge makes no smaller tile: the last one begins earlier, so that all addresses in a tile are a constant apart.
 * What another item has is not stored; the columns of matmul overlap within an item, which has the tile before (VEC is at most N, and
 * STRIP no divisor of TILES_N - 1, unless VEC divides N). TILE_M is at most M, and TILE_N at most N where B is transposed. */
#define BLOCK 256
#define TILES_N ((N + TILE_N - 1) / TILE_N)
#define STRIPS ((TILES_N + STRIP - 1) / STRIP)
#define TILES_M ((M + TILE_M - 1) / TILE_M)
#define TILE_AT(first, tile, size) ((size) % (tile) == 0 ? (first) : min(first, (size) - (tile)))
#define IS_OWN(at, first, tile, size) ((size) % (tile) == 0 || (at) >= (first))

/* Elements from one row of A to the next, and from one term of the sum. */
#if TA
#define A_ROW 1
#define A_TERM M
#else
#define A_ROW K
#define A_TERM 1
#endif

/* own_row(i): row i of the tile, from i0 on, is not another tile's. */
#define FOR_TILES                                                                                                      \
    const int item = get_global_id(0), task = get_global_id(2);                                                        \
    if (item >= ITEMS) return;                                                                                         \
    const int block = item / STRIPS, batch = block / TILES_M;                                                          \
    const int first_row = (block - batch * TILES_M) * TILE_M, i0 = TILE_AT(first_row, TILE_M, M);                      \
    const int strip = (item - block * STRIPS) * STRIP;                                                                 \
    __global const float *const a = PTR(a_in, task) + (size_t)batch * A_BATCH + i0 * A_ROW;                            \
    __global const float *const b = PTR(b_in, task) + (size_t)batch * B_BATCH;                                         \
    __global float *const y = PTR(y_out, task) + (size_t)batch * (M * N) + i0 * N;                                     \
    for (int tile = strip, until = min(strip + STRIP, TILES_N); tile < until; tile++)
#define OWN_ROW(i) IS_OWN(i0 + (i), first_row, TILE_M, M)

/* Rows i and columns, or vectors, v of a tile. */
#define FOR_TILE(columns)                                                                                              \
    _Pragma("unroll") for (int i = 0; i < TILE_M; i++) _Pragma("unroll") for (int v = 0; v < (columns); v++)

#if !TB

__kernel void matmul(IN(a_in), IN(b_in), OUT(y_out)) {
    FOR_TILES {
        const int j = N % VEC == 0 ? tile * TILE_N : min(tile * TILE_N, N - VEC);
        vec total[TILE_M][NV];
        FOR_TILE(NV) total[i][v] = 0;
        for (int k0 = 0; k0 < K; k0 += BLOCK) {
            vec sum[TILE_M][NV];
            FOR_TILE(NV) sum[i][v] = 0;
            for (int k = k0; k < min(k0 + BLOCK, K); k++) {
                vec row[NV];
#pragma unroll
                for (int v = 0; v < NV; v++) row[v] = LOAD(b + k * N + j + v * VEC);
#pragma unroll
                for (int i = 0; i < TILE_M; i++) {
                    const vec left = (vec)(a[i * A_ROW + k * A_TERM]);
#pragma unroll
                    for (int v = 0; v < NV; v++) sum[i][v] += left * row[v];
                }
            }
            FOR_TILE(NV) total[i][v] += sum[i][v];
        }
        FOR_TILE(NV) if (OWN_ROW(i)) STORE(total[i][v], y + i * N + j + v * VEC);
    }
}

#else

/* Sum of the elements, halves first. */
static float across(const vec v) {
#if VEC == 1
    return v;
#elif VEC == 2
    return v.lo + v.hi;
#elif VEC == 4
    const float2 h = v.lo + v.hi;
    return h.lo + h.hi;
#elif VEC == 8
    const float4 q = v.lo + v.hi;
    const float2 h = q.lo + q.hi;
    return h.lo + h.hi;
#else
    const float8 e = v.lo + v.hi;
    const float4 q = e.lo + e.hi;
    const float2 h = q.lo + q.hi;
    return h.lo + h.hi;
#endif
}

#if TILE_N == 4 && VEC >= 4
/* Of four, each as by across. */
static float4 across_4(const vec *v) {
#if VEC == 16
    const float8 a = v[0].lo + v[0].hi, b = v[1].lo + v[1].hi, c = v[2].lo + v[2].hi, d = v[3].lo + v[3].hi;
#define QUAD(v) ((v).lo + (v).hi)
#elif VEC == 8
    const float8 a = v[0], b = v[1], c = v[2], d = v[3];
#define QUAD(v) ((v).lo + (v).hi)
#else
    const float4 a = v[0], b = v[1], c = v[2], d = v[3];
#define QUAD(v) (v)
#endif
    const float4 e = QUAD(a), f = QUAD(b), g = QUAD(c), h = QUAD(d);
#undef QUAD
    const float4 left = (float4)(e.lo, f.lo) + (float4)(e.hi, f.hi), right = (float4)(g.lo, h.lo) + (float4)(g.hi, h.hi);
    return (float4)(left.even, right.even) + (float4)(left.odd, right.odd);
}
#endif

__kernel void matmul_nt(IN(a_in), IN(b_in), OUT(y_out)) {
    FOR_TILES {
        const int first = tile * TILE_N, j0 = TILE_AT(first, TILE_N, N), whole = K / VEC * VEC;
        __global const float *const columns = b + j0 * K;
        float total[TILE_M][TILE_N];
        FOR_TILE(TILE_N) total[i][v] = 0;
        for (int k0 = 0; k0 < whole; k0 += BLOCK * VEC) {
            vec sum[TILE_M][TILE_N];
            FOR_TILE(TILE_N) sum[i][v] = 0;
            for (int k = k0; k < min(k0 + BLOCK * VEC, whole); k += VEC) {
                vec column[TILE_N];
#pragma unroll
                for (int j = 0; j < TILE_N; j++) column[j] = LOAD(columns + j * K + k);
#pragma unroll
                for (int i = 0; i < TILE_M; i++) {
                    const vec row = LOAD(a + i * K + k);
#pragma unroll
                    for (int j = 0; j < TILE_N; j++) sum[i][j] += row * column[j];
                }
            }
#if TILE_N == 4 && VEC >= 4
#pragma unroll
            for (int i = 0; i < TILE_M; i++) vstore4(vload4(0, total[i]) + across_4(sum[i]), 0, total[i]);
#else
            FOR_TILE(TILE_N) total[i][v] += across(sum[i][v]);
#endif
        }
        for (int k = whole; k < K; k++) FOR_TILE(TILE_N) total[i][v] += a[i * K + k] * columns[v * K + k];
        FOR_TILE(TILE_N) if (OWN_ROW(i) && IS_OWN(j0 + v, first, TILE_N, N)) y[i * N + j0 + v] = total[i][v];
    }
}
#endif
