/* Correlation y = x * w of images [n, h, w, ci] with a filter [kh, kw, ci/groups, co]; see src/ops/conv.h for the formula.
 *
 * A work-item keeps a tile of accumulators in registers: TILE_N images and TILE_X neighbouring pixels at one place, by NV vectors of VEC
 * output channels (NV VEC divides co/groups). Images of a tile meet the border together, so with TILE_X = 1 whole filter positions drop
 * out there and nothing is multiplied by padding. It makes RUN such tiles along a row. With TERMS of 2 the result is the sum of two
 * such correlations. No barriers, no local memory. */
#define CIG (CI / GROUPS)
#define COG (CO / GROUPS)
#define TILE (TILE_N * TILE_X)
#define ROW_TILES ((OW + TILE_X - 1) / TILE_X)
#define RUNS ((ROW_TILES + RUN - 1) / RUN)

/* Adds all input channels at one position of the filter. X(t): the tile's pixel t. */
#define ADD_CHANNELS                                                                                                   \
    for (int c = 0; c < CIG; c++, xp++, wp += CO) {                                                                    \
        vec wv[NV];                                                                                                    \
        _Pragma("unroll") for (int v = 0; v < NV; v++) wv[v] = LOAD(wp + v * VEC);                                     \
        _Pragma("unroll") for (int t = 0; t < TILE; t++) {                                                             \
            const vec xv = (vec)(X(t));                                                                                \
            _Pragma("unroll") for (int v = 0; v < NV; v++) sum[t][v] += xv * wv[v];                                    \
        }                                                                                                              \
    }

__kernel void conv2d(OUT(y), IN(x), IN(w) SECOND(x2, w2), const int tasks) {
    const int co = (int)get_global_id(0) * NV * VEC, item = (int)get_global_id(1), task = (int)get_global_id(2);
    const int row = item / RUNS, run = item - row * RUNS; /* a row of tiles, and where in it */
    const int n0 = row / OH * TILE_N, oy = row - row / OH * OH;
    if (co >= CO || n0 >= N || task >= tasks) return;
    __global float *ys = PTR(y, task) + co;

    int image[TILE_N]; /* from the tile's first; past the last one, that is repeated and not stored */
#pragma unroll
    for (int i = 0; i < TILE_N; i++) image[i] = N % TILE_N == 0 ? i : min(i, N - 1 - n0);

    for (int tile = run * RUN; tile < min(run * RUN + RUN, ROW_TILES); tile++) {
        const int ox = tile * TILE_X;
        vec sum[TILE][NV];
#pragma unroll
        for (int t = 0; t < TILE; t++)
#pragma unroll
            for (int v = 0; v < NV; v++) sum[t][v] = (vec)(0.0f);

        for (int k = 0; k < TERMS * KH; k++) { /* rows of the filter, of one term after the other */
            const int term = k / KH, ky = k - term * KH;
            __global const float *xs = OF_TERM(term, PTR(x, task), PTR(x2, task)) + co / COG * CIG;
            __global const float *ws = OF_TERM(term, PTR(w, task), PTR(w2, task)) + co;
            const int sy = oy * SH - PH + ky * DH, iy = sy / UH;
            if (sy < 0 || iy >= H || iy * UH != sy) continue;
            for (int kx = 0; kx < KW; kx++) {
                __global const float *wp = ws + (size_t)(ky * KW + kx) * CIG * CO;
#if TILE_X == 1
                const int sx = ox * SW - PW + kx * DW, ix = sx / UW;
                if (sx < 0 || ix >= W || ix * UW != sx) continue;
                __global const float *xp = xs + ((size_t)(n0 * H + iy) * W + ix) * CI;
#define X(t) xp[image[t] * (H * W * CI)]
#else
                __global const float *xp = xs + (size_t)(n0 * H + iy) * W * CI;
                const int first = ox * SW - PW + kx * DW;
#if UW == 1
                if (first >= 0 && first + (TILE_X - 1) * SW < W) { /* the tile is inside */
                    xp += first * CI;
#define X(t) xp[image[(t) / TILE_X] * (H * W * CI) + (t) % TILE_X * (SW * CI)]
                    ADD_CHANNELS
#undef X
                    continue;
                }
#endif
                int at[TILE_X], inside[TILE_X]; /* inside: all bits, or none */
#pragma unroll
                for (int j = 0; j < TILE_X; j++) {
                    const int sx = first + j * SW, ix = sx / UW;
                    inside[j] = -(sx >= 0 && ix < W && ix * UW == sx);
                    at[j] = (ix * CI) & inside[j];
                }
#define X(t) as_float(as_int(xp[image[(t) / TILE_X] * (H * W * CI) + at[(t) % TILE_X]]) & inside[(t) % TILE_X])
#endif
                ADD_CHANNELS
#undef X
            }
        }
#pragma unroll
        for (int t = 0; t < TILE; t++) {
            if (n0 + t / TILE_X >= N || ox + t % TILE_X >= OW) continue;
            __global float *yp = ys + ((size_t)((n0 + image[t / TILE_X]) * OH + oy) * OW + ox + t % TILE_X) * CO;
#pragma unroll
            for (int v = 0; v < NV; v++) STORE(sum[t][v], yp + v * VEC);
        }
    }
}
