/* Around the Fourier transforms of a convolution (src/ops/conv_fft.c): planes [PY, PX] of complex numbers, real and imaginary part
 * together, filled from an array, multiplied, and read out again. Scratch memory holds the tasks first .. first + tasks - 1. */
#define PLANE (2 * PY * PX)

#if FFT_PACK
/* planes[u, v] at position p of the array a[NU, NY, NX, NV], with strides SU, SY, SX and 1: entry p / STEP on each axis, or 0 where that is not
 * whole or not there. FLIP: of position -p. PAIR 1: u is a pair of the array's, the second one in the imaginary part with its sign IMAGINARY;
 * PAIR 2: v is; PAIR 0: the imaginary part is 0. A work-item makes RUN positions of a row. */
#define RUNS (PX / RUN)
__kernel void fft_pack(OUT(planes), IN(a), const int tasks, const int first) {
    const int item = (int)get_global_id(0), line = (int)get_global_id(1), task = (int)get_global_id(2);
    const int v = item / RUNS, u = line / PY, py = line - u * PY;
    if (v >= V || u >= U || task >= tasks) return;
    const int y = FLIP ? (PY - py) % PY : py, ay = y / STEP_Y;
    const int u0 = PAIR == 1 ? 2 * u : u, v0 = PAIR == 2 ? 2 * v : v;
    const int line_inside = ay * STEP_Y == y && ay < NY;
    const int twins = PAIR == 1 ? u0 + 1 < NU : PAIR == 2 ? v0 + 1 < NV : 0;
    __global const float *from = PTR(a, first + task) + (size_t)u0 * SU + (size_t)ay * SY + v0;
    __global float *to = PTR(planes, 0) + (((size_t)task * U + u) * V + v) * PLANE + (size_t)py * PX * 2;
    for (int px = (item - v * RUNS) * RUN, end = px + RUN; px < end; px++) {
        const int x = FLIP ? (PX - px) % PX : px, ax = x / STEP_X;
        const int inside = line_inside && ax * STEP_X == x && ax < NX;
        to[2 * px] = inside ? from[(size_t)ax * SX] : 0.0f;
        to[2 * px + 1] = inside && twins ? IMAGINARY from[(size_t)ax * SX + (PAIR == 1 ? SU : 1)] : 0.0f;
    }
}
#endif

#if FFT_UNPACK
/* The reverse, into all of a: from positions p STEP - SHIFT, all of them modulo the plane's size. */
#define RUNS (NX / RUN)
__kernel void fft_unpack(OUT(a), IN(planes), const int tasks, const int first) {
    const int item = (int)get_global_id(0), line = (int)get_global_id(1), task = (int)get_global_id(2);
    const int v = item / RUNS, u = line / NY, ay = line - u * NY;
    if (v >= NV || u >= NU || task >= tasks) return;
    const int part = PAIR == 1 ? u & 1 : PAIR == 2 ? v & 1 : 0;
    const int pu = PAIR == 1 ? u / 2 : u, pv = PAIR == 2 ? v / 2 : v;
    const int py = ((ay * STEP_Y - SHIFT_Y) % PY + PY) % PY;
    __global const float *from = PTR(planes, 0) + (((size_t)task * U + pu) * V + pv) * PLANE + (size_t)py * PX * 2 + part;
    __global float *to = PTR(a, first + task) + (size_t)u * SU + (size_t)ay * SY + v;
    for (int ax = (item - v * RUNS) * RUN, end = ax + RUN; ax < end; ax++) {
        const int px = ((ax * STEP_X - SHIFT_X) % PX + PX) % PX;
        to[(size_t)ax * SX] = from[2 * px];
    }
}
#endif

#if FFT_PRODUCT
/* c[r, q] = sum over s of a[r AR + s AS] b[s Q + q], number by number of the planes. A work-item takes VEC of them, and EACH tiles of TILE_R by
 * TILE_Q planes. The planes of a or b of one task serve all when A_TASKS or B_TASKS is 0. */
#define TILES_Q ((Q + TILE_Q - 1) / TILE_Q)
#define TILES (((R + TILE_R - 1) / TILE_R) * TILES_Q)
#if VEC == 1
#define PAIRS float2
#define LOAD_PAIRS(p) vload2(0, p)
#define STORE_PAIRS(v, p) vstore2(v, 0, p)
#elif VEC == 2
#define PAIRS float4
#define LOAD_PAIRS(p) vload4(0, p)
#define STORE_PAIRS(v, p) vstore4(v, 0, p)
#elif VEC == 4
#define PAIRS float8
#define LOAD_PAIRS(p) vload8(0, p)
#define STORE_PAIRS(v, p) vstore8(v, 0, p)
#else
#define PAIRS float16
#define LOAD_PAIRS(p) vload16(0, p)
#define STORE_PAIRS(v, p) vstore16(v, 0, p)
#endif
__kernel void fft_product(OUT(c), IN(a), IN(b), const int tasks) {
    const int f = (int)get_global_id(0) * VEC, block = (int)get_global_id(1), task = (int)get_global_id(2);
    if (f >= PY * PX || block * EACH >= TILES || task >= tasks) return;
    __global const float *as = PTR(a, 0) + (size_t)task * A_TASKS * PLANE + 2 * f;
    __global const float *bs = PTR(b, 0) + (size_t)task * B_TASKS * PLANE + 2 * f;
    __global float *cs = PTR(c, 0) + (size_t)task * (R * Q) * PLANE + 2 * f;
    for (int tile = block * EACH; tile < min(block * EACH + EACH, TILES); tile++) {
        const int r0 = tile / TILES_Q * TILE_R, q0 = tile % TILES_Q * TILE_Q;
        vec re[TILE_R][TILE_Q], im[TILE_R][TILE_Q];
#pragma unroll
        for (int i = 0; i < TILE_R; i++)
#pragma unroll
            for (int j = 0; j < TILE_Q; j++) re[i][j] = im[i][j] = (vec)(0.0f);
        for (int s = 0; s < S; s++) {
            PAIRS row[TILE_R];
#pragma unroll
            for (int i = 0; i < TILE_R; i++)
                row[i] = LOAD_PAIRS(as + ((size_t)min(r0 + i, R - 1) * AR + (size_t)s * AS) * PLANE);
#pragma unroll
            for (int j = 0; j < TILE_Q; j++) {
                const PAIRS column = LOAD_PAIRS(bs + ((size_t)s * Q + min(q0 + j, Q - 1)) * PLANE);
#pragma unroll
                for (int i = 0; i < TILE_R; i++) {
                    re[i][j] += row[i].even * column.even - row[i].odd * column.odd;
                    im[i][j] += row[i].even * column.odd + row[i].odd * column.even;
                }
            }
        }
#pragma unroll
        for (int i = 0; i < TILE_R; i++)
#pragma unroll
            for (int j = 0; j < TILE_Q; j++) {
                PAIRS both;
                both.even = re[i][j];
                both.odd = im[i][j];
                if (r0 + i < R && q0 + j < Q) STORE_PAIRS(both, cs + ((size_t)(r0 + i) * Q + q0 + j) * PLANE);
            }
    }
}
#endif
