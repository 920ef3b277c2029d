/* Matrix products Y[M, N] = A[M, K] B[K, N], where A is stored [K, M] when TA and B is stored [N, K] when TB, which is never both.
 *
 * An item computes, of one matrix of the batch, STRIP tiles of TILE_M x TILE_N side by side, each in registers. matmul has NV vectors
 * of VEC elements along N (TILE_N = NV VEC; NV is 1 unless TILE_N divides N), matmul_nt, for TB, vectors along K. Sums of more than BLOCK terms are made of sums of BLOCK. */
#define BLOCK 256
#define TILES_N ((N + TILE_N - 1) / TILE_N)
#define STRIPS ((TILES_N + STRIP - 1) / STRIP)
#define TILES_M ((M + TILE_M - 1) / TILE_M)

#if TA
#define A_AT(i, k) ((k) * M + (i))
#else
#define A_AT(i, k) ((i) * K + (k))
#endif

#define FOR_TILES                                                                                                      \
    const int item = get_global_id(0), task = get_global_id(2);                                                        \
    if (item >= ITEMS) return;                                                                                         \
    const int block = item / STRIPS, batch = block / TILES_M;                                                          \
    const int i0 = (block - batch * TILES_M) * TILE_M, strip = (item - block * STRIPS) * STRIP;                        \
    __global const float *const a = PTR(a_in, task) + (size_t)batch * A_BATCH;                                         \
    __global const float *const b = PTR(b_in, task) + (size_t)batch * B_BATCH;                                         \
    __global float *const y = PTR(y_out, task) + (size_t)batch * (M * N);                                              \
    for (int tile = strip, until = min(strip + STRIP, TILES_N); tile < until; tile++)

/* Rows i and columns, or vectors, v of a tile. */
#define FOR_TILE(columns)                                                                                              \
    _Pragma("unroll") for (int i = 0; i < TILE_M; i++) _Pragma("unroll") for (int v = 0; v < (columns); v++)

#if !TB

__kernel void matmul(IN(a_in), IN(b_in), OUT(y_out)) {
    FOR_TILES {
        const int j = tile * TILE_N;
        if (N % VEC != 0 && j + VEC > N) { /* what is left at the right */
            for (int i = i0; i < min(i0 + TILE_M, M); i++)
                for (int jj = j; jj < N; jj++) {
                    float total = 0;
                    for (int k0 = 0; k0 < K; k0 += BLOCK) {
                        float sum = 0;
                        for (int k = k0; k < min(k0 + BLOCK, K); k++) sum += a[A_AT(i, k)] * b[k * N + jj];
                        total += sum;
                    }
                    y[i * N + jj] = total;
                }
            continue;
        }
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
                    const vec left = (vec)(a[A_AT(min(i0 + i, M - 1), k)]);
#pragma unroll
                    for (int v = 0; v < NV; v++) sum[i][v] += left * row[v];
                }
            }
            FOR_TILE(NV) total[i][v] += sum[i][v];
        }
        FOR_TILE(NV) if (i0 + i < M) STORE(total[i][v], y + (i0 + i) * N + j + v * VEC);
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

__kernel void matmul_nt(IN(a_in), IN(b_in), OUT(y_out)) {
    FOR_TILES {
        const int j0 = tile * TILE_N, whole = K / VEC * VEC;
        float total[TILE_M][TILE_N];
        FOR_TILE(TILE_N) total[i][v] = 0;
        for (int k0 = 0; k0 < whole; k0 += BLOCK * VEC) {
            vec sum[TILE_M][TILE_N];
            FOR_TILE(TILE_N) sum[i][v] = 0;
            for (int k = k0; k < min(k0 + BLOCK * VEC, whole); k += VEC) {
                vec column[TILE_N];
#pragma unroll
                for (int j = 0; j < TILE_N; j++) column[j] = LOAD(b + min(j0 + j, N - 1) * K + k);
#pragma unroll
                for (int i = 0; i < TILE_M; i++) {
                    const vec row = LOAD(a + min(i0 + i, M - 1) * K + k);
#pragma unroll
                    for (int j = 0; j < TILE_N; j++) sum[i][j] += row * column[j];
                }
            }
            FOR_TILE(TILE_N) total[i][v] += across(sum[i][v]);
        }
        for (int k = whole; k < K; k++)
            FOR_TILE(TILE_N) total[i][v] += a[min(i0 + i, M - 1) * K + k] * b[min(j0 + v, N - 1) * K + k];
        FOR_TILE(TILE_N) if (i0 + i < M && j0 + v < N) y[(i0 + i) * N + j0 + v] = total[i][v];
    }
}
#endif
