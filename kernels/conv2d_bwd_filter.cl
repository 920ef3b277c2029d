/* Adjoint of the convolution in its filter: w[ky, kx, ci, co] = sum over n, oy, ox of x[n, iy, ix, ci] y[n, oy, ox, co].
 *
 * A work-item makes TILES x TILE_M input channels by NV vectors of VEC output channels of TAPS neighbouring filter positions. Pixels come
 * in chunks of CHUNK_N images by CHUNK_Y rows, few enough to stay in the nearest cache while taps and tiles pass over them; a chunk's
 * sums are accumulated in registers and then added to the totals, which also keeps rounding errors small. With TERMS of 2 the result is the sum of two such adjoints. */
#define CIG (CI / GROUPS)
#define COG (CO / GROUPS)
#define BLOCK (TILES * TILE_M)
#define BLOCKS ((CIG + BLOCK - 1) / BLOCK)

/* First output position for which o S - P + k D >= 0, and the first for which it is >= SIZE, within 0 .. LIMIT. */
#define FIRST(k, S, P, D) max(0, ((P) - (k) * (D) + (S)-1) / (S))
#define LAST(k, S, P, D, SIZE, LIMIT) min(LIMIT, ((SIZE) + (P) - (k) * (D) + (S)-1) / (S))

__kernel void conv2d_bwd_filter(OUT(w), IN(x), IN(y) SECOND(x2, y2), const int tasks) {
    const int co = (int)get_global_id(0) * NV * VEC, item = (int)get_global_id(1), task = (int)get_global_id(2);
    const int k0 = item / BLOCKS * TAPS, c0 = (item - item / BLOCKS * BLOCKS) * BLOCK, taps = min(TAPS, KH * KW - k0);
    if (co >= CO || k0 >= KH * KW || task >= tasks) return;

    vec total[TAPS][TILES][TILE_M][NV];
    for (int tap = 0; tap < TAPS; tap++)
        for (int tile = 0; tile < TILES; tile++)
#pragma unroll
            for (int m = 0; m < TILE_M; m++)
#pragma unroll
                for (int v = 0; v < NV; v++) total[tap][tile][m][v] = (vec)(0.0f);

    for (int term = 0; term < TERMS; term++)
        for (int n0 = 0; n0 < N; n0 += CHUNK_N)
            for (int from = 0; from < OH; from += CHUNK_Y)
                for (int tap = 0; tap < taps; tap++) {
                    __global const float *xs = OF_TERM(term, PTR(x, task), PTR(x2, task)) + co / COG * CIG;
                    __global const float *ys = OF_TERM(term, PTR(y, task), PTR(y2, task)) + co;
                    const int ky = (k0 + tap) / KW, kx = k0 + tap - ky * KW;
                    const int y0 = max(from, FIRST(ky, SH, PH, DH)), y1 = min(from + CHUNK_Y, LAST(ky, SH, PH, DH, H, OH));
                    const int x0 = FIRST(kx, SW, PW, DW), x1 = LAST(kx, SW, PW, DW, W, OW);
                    for (int tile = 0; tile < TILES; tile++) {
                        int channel[TILE_M]; /* a tile past the last channel repeats that one and does not store it */
#pragma unroll
                        for (int m = 0; m < TILE_M; m++)
                            channel[m] = CIG % BLOCK == 0 ? c0 + tile * TILE_M + m : min(c0 + tile * TILE_M + m, CIG - 1);
                        vec sum[TILE_M][NV];
#pragma unroll
                        for (int m = 0; m < TILE_M; m++)
#pragma unroll
                            for (int v = 0; v < NV; v++) sum[m][v] = (vec)(0.0f);

                        for (int n = n0; n < min(n0 + CHUNK_N, N); n++)
                            for (int oy = y0; oy < y1; oy++) {
                                __global const float *xp =
                                    xs + ((size_t)(n * H + oy * SH - PH + ky * DH) * W + kx * DW - PW) * CI;
                                __global const float *yp = ys + (size_t)(n * OH + oy) * OW * CO;
                                for (int ox = x0; ox < x1; ox++) {
                                    vec yv[NV];
#pragma unroll
                                    for (int v = 0; v < NV; v++) yv[v] = LOAD(yp + (size_t)ox * CO + v * VEC);
#pragma unroll
                                    for (int m = 0; m < TILE_M; m++) {
                                        const vec xv = (vec)(xp[ox * SW * CI + channel[m]]);
#pragma unroll
                                        for (int v = 0; v < NV; v++) sum[m][v] += xv * yv[v];
                                    }
                                }
                            }
#pragma unroll
                        for (int m = 0; m < TILE_M; m++)
#pragma unroll
                            for (int v = 0; v < NV; v++) total[tap][tile][m][v] += sum[m][v];
                    }
                }

    for (int tap = 0; tap < taps; tap++)
        for (int tile = 0; tile < TILES; tile++)
#pragma unroll
            for (int m = 0; m < TILE_M; m++) {
                const int c = c0 + tile * TILE_M + m;
                if (CIG % BLOCK != 0 && c >= CIG) continue;
#pragma unroll
                for (int v = 0; v < NV; v++)
                    STORE(total[tap][tile][m][v], PTR(w, task) + (size_t)((k0 + tap) * CIG + c) * CO + co + v * VEC);
            }
}
