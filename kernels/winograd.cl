/* Correlation of images [n, h, w, ci] with a 3x3 filter at stride 1, and its adjoint in the filter (-DBWD_FILTER), by the short
 * algorithms F(M x M, 3 x 3) of Toom, Cook and Winograd; S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and
 * S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016. A tile of M x M outputs takes (M + 2)^2 multiplications
 * instead of 9 M^2:
 *   y = A' [sum over ci of (G w G') o (B' x B)] A        w = G' [sum over tiles of (B' x B) o (A y A')] G
 * Columns of A are powers of the points, of 0, 1, -1, oo for M = 2 and of 0, +-5/8, +-3/2, oo for M = 4: these are exact in
 * binary, come in pairs that share their even and odd parts, and lose less accuracy than the customary 0, +-1, +-2 (whose error
 * is twice as large).
 *
 * A work-item has a stretch of the work and memory of its own in `s`, a slot that stays in the cache, whatever the number of
 * tasks: the filter (or its sums) at all points, and a block of BLOCK tiles at all points, which meet in a matrix product at each
 * point, GROUP or R neighbours and all channels in one place. Where a tile sticks out of the image it reads zeros and writes to
 * waste, both in the slot too. With TERMS of 2 the result is the sum of two: a correlation has the channels of the second term
 * behind those of the first, so that the terms are added up at the points; the filter's adjoint has more tiles. Which item does
 * what has no influence on results; BLOCK has in the filter's adjoint. VEC divides ci and co. */
#define EDGE (M + 2)
#define POINTS (EDGE * EDGE)
#define TILES_Y ((OH + M - 1) / M)
#define TILES_X ((OW + M - 1) / M)
#define TILES (N * TILES_Y * TILES_X)

/* The slot's arrays are aligned. */
#define TAKE(p) (*(__global const vec *)(p))
#define KEEP(value, p) (*(__global vec *)(p) = (value))

/* One axis of a transform in place, of a[0], a[s], ..: */
#if M == 4
#define P 0.625f
#define Q 1.5f
#define PP (P * P)
#define QQ (Q * Q)
#define G0 (1.0f / (PP * QQ))
#define GP (0.5f / (PP * (PP - QQ)))
#define GQ (0.5f / (QQ * (QQ - PP)))

static void data_to_points(vec *a, int s) { /* B' */
    const vec ep = a[4 * s] - QQ * a[2 * s], op = a[3 * s] - QQ * a[s], eq = a[4 * s] - PP * a[2 * s], oq = a[3 * s] - PP * a[s];
    a[0] = a[4 * s] - (PP + QQ) * a[2 * s] + PP * QQ * a[0];
    a[5 * s] = a[5 * s] - (PP + QQ) * a[3 * s] + PP * QQ * a[s];
    a[s] = ep + P * op;
    a[2 * s] = ep - P * op;
    a[3 * s] = eq + Q * oq;
    a[4 * s] = eq - Q * oq;
}

static void filter_to_points(vec *a, int s) { /* G */
    const vec ep = GP * a[0] + GP * PP * a[2 * s], eq = GQ * a[0] + GQ * QQ * a[2 * s], o = a[s];
    a[5 * s] = a[2 * s];
    a[0] = G0 * a[0];
    a[s] = ep + GP * P * o;
    a[2 * s] = ep - GP * P * o;
    a[3 * s] = eq + GQ * Q * o;
    a[4 * s] = eq - GQ * Q * o;
}

static void points_to_output(vec *a, int s) { /* A' */
    const vec ep = a[s] + a[2 * s], op = a[s] - a[2 * s], eq = a[3 * s] + a[4 * s], oq = a[3 * s] - a[4 * s];
    a[0] = a[0] + ep + eq;
    a[s] = P * op + Q * oq;
    a[2 * s] = PP * ep + QQ * eq;
    a[3 * s] = PP * P * op + QQ * Q * oq + a[5 * s];
}

static void output_to_points(vec *a, int s) { /* A */
    const vec ep = a[0] + PP * a[2 * s], op = a[s] + PP * a[3 * s], eq = a[0] + QQ * a[2 * s], oq = a[s] + QQ * a[3 * s];
    a[5 * s] = a[3 * s];
    a[s] = ep + P * op;
    a[2 * s] = ep - P * op;
    a[3 * s] = eq + Q * oq;
    a[4 * s] = eq - Q * oq;
}

static void points_to_filter(vec *a, int s) { /* G' */
    const vec ep = GP * (a[s] + a[2 * s]), op = a[s] - a[2 * s], eq = GQ * (a[3 * s] + a[4 * s]), oq = a[3 * s] - a[4 * s];
    a[0] = G0 * a[0] + ep + eq;
    a[s] = GP * P * op + GQ * Q * oq;
    a[2 * s] = PP * ep + QQ * eq + a[5 * s];
}
#else
static void data_to_points(vec *a, int s) {
    const vec even = a[2 * s], odd = a[s];
    a[0] = a[0] - even;
    a[s] = even + odd;
    a[2 * s] = even - odd;
    a[3 * s] = a[3 * s] - odd;
}

static void filter_to_points(vec *a, int s) {
    const vec even = 0.5f * (a[0] + a[2 * s]), odd = 0.5f * a[s];
    a[3 * s] = a[2 * s];
    a[s] = even + odd;
    a[2 * s] = even - odd;
}

static void points_to_output(vec *a, int s) {
    const vec odd = a[s] - a[2 * s];
    a[0] = a[0] + a[s] + a[2 * s];
    a[s] = odd + a[3 * s];
}

static void output_to_points(vec *a, int s) {
    const vec odd = a[s];
    a[s] = a[0] + odd;
    a[2 * s] = a[0] - odd;
    a[3 * s] = odd;
}

static void points_to_filter(vec *a, int s) {
    const vec even = 0.5f * (a[s] + a[2 * s]), odd = 0.5f * (a[s] - a[2 * s]);
    a[0] = a[0] + even;
    a[s] = odd;
    a[2 * s] = even + a[3 * s];
}
#endif

/* The pixels of a tile, size x size from (top, left) on; `outside` stands for those outside the image. */
static void find_tile(__global const float **pixel, __global const float *image, __global const float *outside, int top, int left,
                      int size, int height, int width, int channels) {
    int row[EDGE], column[EDGE], row_in[EDGE], column_in[EDGE];
#pragma unroll
    for (int i = 0; i < size; i++) {
        row[i] = (top + i) * width * channels;
        column[i] = (left + i) * channels;
        row_in[i] = (top + i >= 0) & (top + i < height);
        column_in[i] = (left + i >= 0) & (left + i < width);
    }
#pragma unroll
    for (int k = 0; k < size * size; k++)
        pixel[k] = row_in[k / size] & column_in[k % size] ? image + (row[k / size] + column[k % size]) : outside;
}

/* B' x B of a tile of `channels` channels; point k goes to `to` + k * distance. */
static void transform_data(__global float *to, int distance, __global const float **pixel, int channels) {
    for (int c = 0; c < channels; c += VEC) {
        vec a[POINTS];
#pragma unroll
        for (int k = 0; k < POINTS; k++) a[k] = LOAD(pixel[k] + c);
#pragma unroll
        for (int i = 0; i < EDGE; i++) data_to_points(a + i * EDGE, 1);
#pragma unroll
        for (int i = 0; i < EDGE; i++) data_to_points(a + i, EDGE);
#pragma unroll
        for (int k = 0; k < POINTS; k++) KEEP(a[k], to + k * distance + c);
    }
}

#define BLOCKS ((TILES + BLOCK - 1) / BLOCK)

#ifndef BWD_FILTER
#define COLUMNS (CO / COB)
#define DEPTH (TERMS * CI)
/* Tile t of the block, before and after the product. Results take the place of the operands of the point before. One point more in
 * distances keeps them from being multiples of a page. */
#define SLICE (R * (DEPTH > COB ? DEPTH : COB))
#define V_AT(t, k) (v + ((t) / R * (POINTS + 1) + (k) + 1) * SLICE + (t) % R * DEPTH)
#define M_AT(t, k) (v + ((t) / R * (POINTS + 1) + (k)) * SLICE + (t) % R * COB)
#define U_AT(c, k) (u + (((c) / GROUP * (POINTS + 1) + (k)) * GROUP + (c) % GROUP) * COB)
#define U_SIZE ((DEPTH + GROUP - 1) / GROUP * GROUP * (POINTS + 1) * COB)

/* The filter of a term whose channels begin at `from`. */
static void transform_filter(__global float *u, __global const float *w, int from) {
    for (int c = 0; c < CI; c++)
        for (int o = 0; o < COB; o += VEC) {
            vec a[POINTS];
#pragma unroll
            for (int k = 0; k < 9; k++) a[k / 3 * EDGE + k % 3] = LOAD(w + (k * CI + c) * CO + o);
#pragma unroll
            for (int i = 0; i < 3; i++) filter_to_points(a + i * EDGE, 1);
#pragma unroll
            for (int i = 0; i < EDGE; i++) filter_to_points(a + i, EDGE);
#pragma unroll
            for (int k = 0; k < POINTS; k++) KEEP(a[k], U_AT(from + c, k) + o);
        }
}

/* The block's tiles times the filter. */
static void multiply(__global float *v, __global const float *u, int rows) {
    for (int k = 0; k < POINTS; k++)
        for (int o = 0; o < COB; o += NV * VEC)
            for (int t = 0; t < rows; t += R) {
                __global const float *vp = V_AT(t, k);
                vec sum[R][NV];
#pragma unroll
                for (int r = 0; r < R; r++)
#pragma unroll
                    for (int j = 0; j < NV; j++) sum[r][j] = (vec)(0.0f);
                for (int c = 0; c < DEPTH; c++) {
                    __global const float *up = U_AT(c, k) + o;
                    vec uv[NV];
#pragma unroll
                    for (int j = 0; j < NV; j++) uv[j] = TAKE(up + j * VEC);
#pragma unroll
                    for (int r = 0; r < R; r++) {
                        const vec xv = (vec)(vp[r * DEPTH + c]);
#pragma unroll
                        for (int j = 0; j < NV; j++) sum[r][j] += xv * uv[j];
                    }
                }
                __global float *mp = M_AT(t, k) + o;
#pragma unroll
                for (int r = 0; r < R; r++)
#pragma unroll
                    for (int j = 0; j < NV; j++) KEEP(sum[r][j], mp + r * COB + j * VEC);
            }
}

static void transform_output(__global const float **pixel, __global const float *m) {
    for (int o = 0; o < COB; o += VEC) {
        vec a[POINTS];
#pragma unroll
        for (int k = 0; k < POINTS; k++) a[k] = TAKE(m + k * SLICE + o);
#pragma unroll
        for (int i = 0; i < EDGE; i++) points_to_output(a + i * EDGE, 1);
#pragma unroll
        for (int i = 0; i < M; i++) points_to_output(a + i, EDGE);
#pragma unroll
        for (int k = 0; k < M * M; k++) STORE(a[k / M * EDGE + k % M], (__global float *)pixel[k] + o);
    }
}

__kernel void winograd(OUT(y), IN(x), IN(w) SECOND(x2, w2), OUT(s), const int tasks) {
    const int item = (int)get_global_id(0), units = tasks * COLUMNS * BLOCKS;
    const int share = (units + ITEMS - 1) / ITEMS, first = item * share, last = min(first + share, units);
    if (item >= ITEMS) return;
    __global float *nothing = PTR(s, 0) + (size_t)item * SLOT, *waste = nothing + MARGIN, *u = waste + MARGIN, *v = u + U_SIZE;
    for (int c = 0; c < MARGIN; c++) nothing[c] = 0.0f;
    __global const float *pixel[POINTS];
    int have[2] = {-1, -1}; /* columns of the terms' filters */

    for (int unit = first; unit < last; unit++) { /* blocks of tiles within columns of the filter within tasks */
        const int column = unit / BLOCKS, task = column / COLUMNS, co = (column - task * COLUMNS) * COB;
        const int t0 = (unit - column * BLOCKS) * BLOCK, tiles = min(BLOCK, TILES - t0), rows = (tiles + R - 1) / R * R;
        for (int term = 0; term < TERMS; term++) {
            const int wanted = OF_TERM(term, TASK_STRIDE(w), TASK_STRIDE(w2)) ? column : column % COLUMNS;
            if (have[term] != wanted) transform_filter(u, OF_TERM(term, PTR(w, task), PTR(w2, task)) + co, term * CI);
            have[term] = wanted;
            for (int t = 0; t < rows; t++) { /* past the last tile, that is repeated */
                const int tile = t0 + min(t, tiles - 1), line = tile / TILES_X, n = line / TILES_Y;
                find_tile(pixel, OF_TERM(term, PTR(x, task), PTR(x2, task)) + (size_t)n * H * W * CI, nothing,
                          (line - n * TILES_Y) * M - PH, (tile - line * TILES_X) * M - PW, EDGE, H, W, CI);
                transform_data(V_AT(t, 0) + term * CI, SLICE, pixel, CI);
            }
        }
        multiply(v, u, rows);
        for (int t = 0; t < tiles; t++) {
            const int tile = t0 + t, line = tile / TILES_X, n = line / TILES_Y;
            find_tile(pixel, PTR(y, task) + (size_t)n * OH * OW * CO + co, waste, (line - n * TILES_Y) * M,
                      (tile - line * TILES_X) * M, M, OH, OW, CO);
            transform_output(pixel, M_AT(t, 0));
        }
    }
}
#else
#define COLUMNS (CO / COB)
#define PARTS ((CI / CIB) * COLUMNS)
#define V_SIZE ((BLOCK + GROUP - 1) / GROUP * GROUP * POINTS)
#define V_AT(t, k) (v + (((t) / GROUP * POINTS + (k)) * GROUP + (t) % GROUP) * CIB)
#define Z_AT(t, k) (z + (((t) / GROUP * POINTS + (k)) * GROUP + (t) % GROUP) * COB)
#define U_AT(c, k) (u + (((c) / R * POINTS + (k)) * R + (c) % R) * COB)

/* A y A' */
static void transform_cotangent(__global float *to, int distance, __global const float **pixel) {
    for (int o = 0; o < COB; o += VEC) {
        vec a[POINTS];
#pragma unroll
        for (int k = 0; k < M * M; k++) a[k / M * EDGE + k % M] = LOAD(pixel[k] + o);
#pragma unroll
        for (int i = 0; i < M; i++) output_to_points(a + i * EDGE, 1);
#pragma unroll
        for (int i = 0; i < EDGE; i++) output_to_points(a + i, EDGE);
#pragma unroll
        for (int k = 0; k < POINTS; k++) KEEP(a[k], to + k * distance + o);
    }
}

/* Adds a block of tiles to the sums, or sets these with the first one. */
static void multiply(__global float *u, __global const float *v, __global const float *z, int tiles, int add) {
    for (int k = 0; k < POINTS; k++)
        for (int o = 0; o < COB; o += NV * VEC)
            for (int c = 0; c < CIB; c += R) {
                vec sum[R][NV];
#pragma unroll
                for (int r = 0; r < R; r++)
#pragma unroll
                    for (int j = 0; j < NV; j++) sum[r][j] = (vec)(0.0f);
                for (int t = 0; t < tiles; t++) {
                    __global const float *vp = V_AT(t, k) + c, *zp = Z_AT(t, k) + o;
                    vec zv[NV];
#pragma unroll
                    for (int j = 0; j < NV; j++) zv[j] = TAKE(zp + j * VEC);
#pragma unroll
                    for (int r = 0; r < R; r++) {
                        const vec xv = (vec)(vp[r]);
#pragma unroll
                        for (int j = 0; j < NV; j++) sum[r][j] += xv * zv[j];
                    }
                }
                __global float *up = U_AT(c, k) + o;
                if (add) {
#pragma unroll
                    for (int r = 0; r < R; r++)
#pragma unroll
                        for (int j = 0; j < NV; j++) sum[r][j] += TAKE(up + r * COB + j * VEC);
                }
#pragma unroll
                for (int r = 0; r < R; r++)
#pragma unroll
                    for (int j = 0; j < NV; j++) KEEP(sum[r][j], up + r * COB + j * VEC);
            }
}

static void transform_sums(__global float *w, __global const float *u) {
    for (int c = 0; c < CIB; c++)
        for (int o = 0; o < COB; o += VEC) {
            vec a[POINTS];
#pragma unroll
            for (int k = 0; k < POINTS; k++) a[k] = TAKE(U_AT(c, k) + o);
#pragma unroll
            for (int i = 0; i < EDGE; i++) points_to_filter(a + i * EDGE, 1);
#pragma unroll
            for (int i = 0; i < 3; i++) points_to_filter(a + i, EDGE);
#pragma unroll
            for (int k = 0; k < 9; k++) STORE(a[k / 3 * EDGE + k % 3], w + (k * CI + c) * CO + o);
        }
}

__kernel void winograd_bwd_filter(OUT(w), IN(x), IN(y) SECOND(x2, y2), OUT(s), const int tasks) {
    const int item = (int)get_global_id(0), units = tasks * PARTS;
    const int share = (units + ITEMS - 1) / ITEMS, first = item * share, last = min(first + share, units);
    if (item >= ITEMS) return;
    __global float *nothing = PTR(s, 0) + (size_t)item * SLOT, *v = nothing + MARGIN, *z = v + V_SIZE * CIB,
                   *u = z + V_SIZE * COB;
    for (int c = 0; c < MARGIN; c++) nothing[c] = 0.0f;
    __global const float *pixel[POINTS];

    for (int unit = first; unit < last; unit++) {
        const int task = unit / PARTS, part = unit - task * PARTS, ci = part / COLUMNS * CIB, co = part % COLUMNS * COB;
        for (int block = 0; block < TERMS * BLOCKS; block++) { /* of tiles, of one term after the other */
            const int term = block / BLOCKS, t0 = (block - term * BLOCKS) * BLOCK, tiles = min(BLOCK, TILES - t0);
            __global const float *xs = OF_TERM(term, PTR(x, task), PTR(x2, task)) + ci;
            __global const float *ys = OF_TERM(term, PTR(y, task), PTR(y2, task)) + co;
            for (int t = 0; t < tiles; t++) {
                const int tile = t0 + t, line = tile / TILES_X, n = line / TILES_Y;
                const int oy = (line - n * TILES_Y) * M, ox = (tile - line * TILES_X) * M;
                find_tile(pixel, xs + (size_t)n * H * W * CI, nothing, oy - PH, ox - PW, EDGE, H, W, CI);
                transform_data(V_AT(t, 0), GROUP * CIB, pixel, CIB);
                find_tile(pixel, ys + (size_t)n * OH * OW * CO, nothing, oy, ox, M, OH, OW, CO);
                transform_cotangent(Z_AT(t, 0), GROUP * COB, pixel);
            }
            multiply(u, v, z, tiles, block > 0);
        }
        transform_sums(PTR(w, task) + ci * CO + co, u);
    }
}
#endif
