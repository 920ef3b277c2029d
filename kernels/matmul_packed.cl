/* Matrix products Y[M, N] = A[M, K] B[K, N] on CPUs (TA, TB as in matmul.cl), for columns that are no whole vectors or lie
 * across B.
 *
 * An item computes STRIP tiles of TILE_M rows and NV vectors of VEC columns, below each other; those at the right have LAST
 * vectors. It copies BLOCK rows of its columns of B side by side, and makes the sums of these for one tile after the other in
 * registers; sums of more than BLOCK terms are made of sums of BLOCK, in Y. */
#define BLOCK 256
#define TILES_M ((M + TILE_M - 1) / TILE_M)
#define STRIPS ((TILES_M + STRIP - 1) / STRIP)
#define TILES_N ((N + NV * VEC - 1) / (NV * VEC))
#define DEPTH (K < BLOCK ? K : BLOCK)

#if TA
#define A_AT(i, k) ((k) * M + (i))
#else
#define A_AT(i, k) ((i) * K + (k))
#endif

/* Columns j0 .. j0 + width - 1 of `depth` rows; those behind the last are copies of it. */
static void pack(float *packed, __global const float *const b, const int j0, const int width, const int k0, const int depth) {
#if TB
    for (int j = 0; j < width; j++) {
        __global const float *const column = b + (size_t)min(j0 + j, N - 1) * K + k0;
        for (int k = 0; k < depth; k++) packed[k * width + j] = column[k];
    }
#else
    for (int k = 0; k < depth; k++) {
        __global const float *const row = b + (size_t)(k0 + k) * N;
        for (int j = 0; j < width; j += VEC) {
            if (j0 + j + VEC <= N)
                STORE(LOAD(row + j0 + j), packed + k * width + j);
            else
                for (int i = 0; i < VEC; i++) packed[k * width + j + i] = row[min(j0 + j + i, N - 1)];
        }
    }
#endif
}

/* Adds a vector of a tile's row to y, or sets it. */
static void put(const vec sum, __global float *const y, const int columns, const bool first) {
    if (columns >= VEC) {
        STORE(first ? sum : LOAD(y) + sum, y);
        return;
    }
    float part[VEC];
    STORE(sum, part);
    for (int j = 0; j < columns; j++) y[j] = first ? part[j] : y[j] + part[j];
}

#define UNROLL _Pragma("unroll")
/* One tile of `vectors` vectors. */
#define TILE(vectors)                                                                                                        \
    do {                                                                                                                     \
        vec sum[TILE_M][vectors];                                                                                            \
        UNROLL for (int i = 0; i < TILE_M; i++) UNROLL for (int v = 0; v < (vectors); v++) sum[i][v] = 0;                    \
        for (int k = 0; k < depth; k++) {                                                                                    \
            vec row[vectors];                                                                                                \
            UNROLL for (int v = 0; v < (vectors); v++) row[v] = LOAD(packed + (k * (vectors) + v) * VEC);                    \
            UNROLL for (int i = 0; i < TILE_M; i++) {                                                                        \
                const vec left = (vec)(a[A_AT(min(i0 + i, M - 1), k0 + k)]);                                                 \
                UNROLL for (int v = 0; v < (vectors); v++) sum[i][v] += left * row[v];                                       \
            }                                                                                                                \
        }                                                                                                                    \
        UNROLL for (int i = 0; i < TILE_M; i++) UNROLL for (int v = 0; v < (vectors); v++) if (i0 + i < M)                   \
            put(sum[i][v], y + (i0 + i) * N + j0 + v * VEC, N - j0 - v * VEC, k0 == 0);                                      \
    } while (0)

__kernel void matmul_packed(IN(a_in), IN(b_in), OUT(y_out)) {
    const int item = get_global_id(0), task = get_global_id(2);
    if (item >= ITEMS) return;
    const int block = item / TILES_N, batch = block / STRIPS, column = item - block * TILES_N;
    const int j0 = column * NV * VEC, strip = (block - batch * STRIPS) * STRIP;
    __global const float *const a = PTR(a_in, task) + (size_t)batch * A_BATCH;
    __global const float *const b = PTR(b_in, task) + (size_t)batch * B_BATCH;
    __global float *const y = PTR(y_out, task) + (size_t)batch * (M * N);
    float packed[DEPTH * NV * VEC];
    const bool whole = LAST == NV || column < TILES_N - 1;
    for (int k0 = 0; k0 < K; k0 += BLOCK) {
        const int depth = min(BLOCK, K - k0);
        pack(packed, b, j0, (whole ? NV : LAST) * VEC, k0, depth);
        for (int tile = strip, until = min(strip + STRIP, TILES_M); tile < until; tile++) {
            const int i0 = tile * TILE_M;
            if (whole)
                TILE(NV);
            else
                TILE(LAST);
        }
    }
}
