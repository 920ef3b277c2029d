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
 * tasks: the filter (or its sums) at all points, and a block of tiles at all points, which meet in a matrix product at each
 * point, GROUP or R neighbours and all channels in one place. Where a tile sticks out of the image it reads zeros and writes to
 * waste, both in the slot too.
 *
 * An axis that M does not divide ends in a tile of m < M outputs, by F(m, 3): at the first m + 2 of the points, whose order is oo, 5/8,
 * -5/8, 0, 3/2, -3/2, or oo, 1, -1, 0. The filter at the points is the same but for factors, which are the data's, so that tiles of
 * all sizes share products of matrices, each at the points it has.
 *
 * With TERMS of 2 the result is the sum of two: a correlation has the channels of the second term behind those of the first, so that
 * the terms are added up at the points; the filter's adjoint has more tiles. Which item does what has no influence on results; the
 * size of a block has in the filter's adjoint. VEC divides ci and co.
 *
 * The geometry is arguments, so that one kernel serves images of all sizes: images [n, h, width] and outputs [n, oh, ow] of a task,
 * tiles of a block, work-items, and floats of a slot. */
#define EDGE (M + 2)
#define POINTS (EDGE * EDGE)

/* The order of a task's tiles: those that are short in height, whole ones, short in width, short in both; the numbers of tiles before
 * the second, third and fourth of them, and of all. Tiles that have a point follow one another. */
static int4 order_of(int n, int oh, int ow) {
    const int down = oh / M, across = ow / M, low = oh % M ? n : 0, narrow = ow % M ? n : 0;
    const int whole = low * across, side = whole + n * down * across, corner = side + narrow * down;
    return (int4)(whole, side, corner, corner + (low ? narrow : 0));
}

#define HAS(m) ((m) ? (m) + 2 : EDGE) /* points of an axis whose last tile is F(m, 3), or whole for m = 0 */

/* The first of the tiles that have point k, and the one after their last. */
static int2 tiles_with(int k, int4 order, int oh, int ow) {
    const int low = k / EDGE < HAS(oh % M), narrow = k % EDGE < HAS(ow % M);
    return (int2)(low ? 0 : order.s0, !narrow ? order.s1 : low ? order.s3 : order.s2);
}

/* Image, first row and column of a tile's outputs, and their number in height and width where it is short: 4 * height + width. */
static int4 place_of(int tile, int4 order, int oh, int ow) {
    const int low = tile < order.s0 || tile >= order.s2, narrow = tile >= order.s1;
    const int down = low ? 1 : oh / M, across = narrow ? 1 : ow / M;
    const int in = tile - (tile >= order.s2 ? order.s2 : narrow ? order.s1 : low ? 0 : order.s0), line = in / across, n = line / down;
    return (int4)(n, low ? oh - oh % M : (line - n * down) * M, narrow ? ow - ow % M : (in - line * across) * M,
                  (low ? oh % M * 4 : 0) + (narrow ? ow % M : 0));
}

/* The slot's arrays are aligned. */
#define TAKE(p) (*(__global const vec *)(p))
#define KEEP(value, p) (*(__global vec *)(p) = (value))

/* One axis of a transform in place, of a[0], a[s], ..; m: of F(m, 3), or 0. */
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
    const vec zero = a[4 * s] - (PP + QQ) * a[2 * s] + PP * QQ * a[0];
    a[0] = a[5 * s] - (PP + QQ) * a[3 * s] + PP * QQ * a[s];
    a[s] = ep + P * op;
    a[2 * s] = ep - P * op;
    a[3 * s] = zero;
    a[4 * s] = eq + Q * oq;
    a[5 * s] = eq - Q * oq;
}

static void filter_to_points(vec *a, int s) { /* G */
    const vec ep = GP * a[0] + GP * PP * a[2 * s], eq = GQ * a[0] + GQ * QQ * a[2 * s], o = a[s], zero = G0 * a[0];
    a[0] = a[2 * s];
    a[s] = ep + GP * P * o;
    a[2 * s] = ep - GP * P * o;
    a[3 * s] = zero;
    a[4 * s] = eq + GQ * Q * o;
    a[5 * s] = eq - GQ * Q * o;
}

static void points_to_output(vec *a, int s, int m) { /* A' */
    const vec ep = a[s] + a[2 * s], op = a[s] - a[2 * s], eq = a[4 * s] + a[5 * s], oq = a[4 * s] - a[5 * s], last = a[0];
    a[0] = a[3 * s] + ep + eq;
    a[s] = P * op + Q * oq;
    a[2 * s] = PP * ep + QQ * eq;
    a[3 * s] = PP * P * op + QQ * Q * oq + last;
    if (m) {
        a[0] = m == 1 ? a[0] + last : a[0];
        a[s] = m == 2 ? a[s] + last : a[s];
        a[2 * s] = m == 3 ? a[2 * s] + last : a[2 * s];
    }
}

static void output_to_points(vec *a, int s, int m) { /* A */
    const vec ep = a[0] + PP * a[2 * s], op = a[s] + PP * a[3 * s], eq = a[0] + QQ * a[2 * s], oq = a[s] + QQ * a[3 * s];
    vec last = a[3 * s];
    if (m) last = m == 1 ? a[0] : m == 2 ? a[s] : a[2 * s];
    a[3 * s] = a[0];
    a[0] = last;
    a[s] = ep + P * op;
    a[2 * s] = ep - P * op;
    a[4 * s] = eq + Q * oq;
    a[5 * s] = eq - Q * oq;
}

static void points_to_filter(vec *a, int s) { /* G' */
    const vec ep = GP * (a[s] + a[2 * s]), op = a[s] - a[2 * s], eq = GQ * (a[4 * s] + a[5 * s]), oq = a[4 * s] - a[5 * s];
    const vec last = a[0];
    a[0] = G0 * a[3 * s] + ep + eq;
    a[s] = GP * P * op + GQ * Q * oq;
    a[2 * s] = PP * ep + QQ * eq + last;
}
#else
static void data_to_points(vec *a, int s) {
    const vec even = a[2 * s], odd = a[s], zero = a[0] - even;
    a[0] = a[3 * s] - odd;
    a[s] = even + odd;
    a[2 * s] = even - odd;
    a[3 * s] = zero;
}

static void filter_to_points(vec *a, int s) {
    const vec even = 0.5f * (a[0] + a[2 * s]), odd = 0.5f * a[s], zero = a[0];
    a[0] = a[2 * s];
    a[s] = even + odd;
    a[2 * s] = even - odd;
    a[3 * s] = zero;
}

static void points_to_output(vec *a, int s, int m) {
    const vec odd = a[s] - a[2 * s], last = a[0];
    a[0] = a[3 * s] + a[s] + a[2 * s];
    a[s] = odd + last;
    if (m) a[0] += last;
}

static void output_to_points(vec *a, int s, int m) {
    const vec odd = a[s], zero = a[0];
    if (!m) a[0] = odd;
    a[s] = zero + odd;
    a[2 * s] = zero - odd;
    a[3 * s] = zero;
}

static void points_to_filter(vec *a, int s) {
    const vec even = 0.5f * (a[s] + a[2 * s]), odd = 0.5f * (a[s] - a[2 * s]), last = a[0];
    a[0] = a[3 * s] + even;
    a[s] = odd;
    a[2 * s] = even + last;
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

/* Data of F(m, 3), at `pixel` and every s-th behind it, go on by the recurrence whose roots are its points, and what the last one differs
 * from that is added at the end: B' is then that of M. `to`: where the first one's point will be; what is behind the first two comes
 * where theirs will. */
static void continue_data(__global const float **pixel, int s, int m, __global float *to, int distance, int channels) {
    for (int c = 0; c < channels; c += VEC) {
        const vec a = LOAD(pixel[s] + c), b = LOAD(pixel[2 * s] + c), first = m == 1 ? LOAD(pixel[0] + c) : (vec)(0.0f);
#if M == 4
        const vec d = LOAD(pixel[3 * s] + c), e = LOAD(pixel[4 * s] + c), two = m == 1 ? PP * first : b, three = m == 3 ? d : PP * a;
        const vec four = PP * two + Q * (three - PP * a), last = m == 1 ? b - two : m == 2 ? d - three : e - four;
        KEEP(two, to + 2 * s * distance + c);
        KEEP(three, to + 3 * s * distance + c);
        KEEP(four, to + 4 * s * distance + c);
        KEEP(PP * three + Q * (four - PP * two) + last, to + 5 * s * distance + c);
#else
        KEEP(first, to + 2 * s * distance + c);
        KEEP(a + (b - first), to + 3 * s * distance + c);
#endif
    }
    for (int k = 2; k < EDGE; k++) pixel[k * s] = to + k * s * distance;
}

/* B' x B of a tile of `channels` channels, short as place_of says; point k goes to `to` + k * distance. */
static void transform_data(__global float *to, int distance, __global const float **pixel, int channels, int few) {
    for (int i = 0; few & 3 && i < HAS(few >> 2); i++)
        continue_data(pixel + i * EDGE, 1, few & 3, to + i * EDGE * distance, distance, channels);
    for (int k = 0; few >> 2 && k < EDGE; k++) continue_data(pixel + k, EDGE, few >> 2, to + k * distance, distance, channels);
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
    for (int i = 0; few && i < EDGE; i++) /* it lacks these, which are zero but for rounding */
        for (int k = i < HAS(few >> 2) ? HAS(few & 3) : 0; k < EDGE; k++)
            for (int c = 0; c < channels; c += VEC) KEEP((vec)(0.0f), to + (i * EDGE + k) * distance + c);
}

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

/* The block's tiles, from t0 on, times the filter. */
static void multiply(__global float *v, __global const float *u, int t0, int rows, int4 order, int oh, int ow) {
    for (int k = 0; k < POINTS; k++) {
        const int2 with = tiles_with(k, order, oh, ow);
        for (int o = 0; o < COB; o += NV * VEC)
            for (int t = 0; t < rows; t += R) {
                const int depth = t0 + t + R > with.s0 && t0 + t < with.s1 ? DEPTH : 0;
                __global const float *vp = V_AT(t, k);
                vec sum[R][NV];
#pragma unroll
                for (int r = 0; r < R; r++)
#pragma unroll
                    for (int j = 0; j < NV; j++) sum[r][j] = (vec)(0.0f);
                for (int c = 0; c < depth; c++) {
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
}

static void transform_output(__global const float **pixel, __global const float *m, int few) {
    for (int o = 0; o < COB; o += VEC) {
        vec a[POINTS];
#pragma unroll
        for (int k = 0; k < POINTS; k++) a[k] = TAKE(m + k * SLICE + o);
#pragma unroll
        for (int i = 0; i < EDGE; i++) points_to_output(a + i * EDGE, 1, few & 3);
#pragma unroll
        for (int i = 0; i < M; i++) points_to_output(a + i, EDGE, few >> 2);
#pragma unroll
        for (int k = 0; k < M * M; k++) STORE(a[k / M * EDGE + k % M], (__global float *)pixel[k] + o);
    }
}

__kernel void winograd(OUT(y), IN(x), IN(w) SECOND(x2, w2), OUT(s), const int tasks, const int n, const int h, const int width,
                       const int oh, const int ow, const int ph, const int pw, const int block, const int items, const int slot) {
    const int4 order = order_of(n, oh, ow);
    const int item = (int)get_global_id(0), tiles = order.s3, blocks = (tiles + block - 1) / block, units = tasks * COLUMNS * blocks;
    const int share = (units + items - 1) / items, first = item * share, last = min(first + share, units);
    if (item >= items) return;
    __global float *nothing = PTR(s, 0) + (size_t)item * slot, *waste = nothing + MARGIN, *u = waste + MARGIN, *v = u + U_SIZE;
    for (int c = 0; c < MARGIN; c++) nothing[c] = 0.0f;
    __global const float *pixel[POINTS];
    int have[2] = {-1, -1}; /* columns of the terms' filters */

    for (int unit = first; unit < last; unit++) { /* blocks of tiles within columns of the filter within tasks */
        const int column = unit / blocks, task = column / COLUMNS, co = (column - task * COLUMNS) * COB;
        const int t0 = (unit - column * blocks) * block, count = min(block, tiles - t0), rows = (count + R - 1) / R * R;
        for (int term = 0; term < TERMS; term++) {
            const int wanted = OF_TERM(term, TASK_STRIDE(w), TASK_STRIDE(w2)) ? column : column % COLUMNS;
            if (have[term] != wanted) transform_filter(u, OF_TERM(term, PTR(w, task), PTR(w2, task)) + co, term * CI);
            have[term] = wanted;
            for (int t = 0; t < rows; t++) { /* past the last tile, that is repeated */
                const int4 at = place_of(t0 + min(t, count - 1), order, oh, ow);
                find_tile(pixel, OF_TERM(term, PTR(x, task), PTR(x2, task)) + (size_t)at.s0 * h * width * CI, nothing, at.s1 - ph,
                          at.s2 - pw, EDGE, h, width, CI);
                transform_data(V_AT(t, 0) + term * CI, SLICE, pixel, CI, at.s3);
            }
        }
        multiply(v, u, t0, rows, order, oh, ow);
        for (int t = 0; t < count; t++) {
            const int4 at = place_of(t0 + t, order, oh, ow);
            find_tile(pixel, PTR(y, task) + (size_t)at.s0 * oh * ow * CO + co, waste, at.s1, at.s2, M, oh, ow, CO);
            transform_output(pixel, M_AT(t, 0), at.s3);
        }
    }
}
#else
#define COLUMNS (CO / COB)
#define PARTS ((CI / CIB) * COLUMNS)
#define V_SIZE ((block + GROUP - 1) / GROUP * GROUP * POINTS)
#define V_AT(t, k) (v + (((t) / GROUP * POINTS + (k)) * GROUP + (t) % GROUP) * CIB)
#define Z_AT(t, k) (z + (((t) / GROUP * POINTS + (k)) * GROUP + (t) % GROUP) * COB)
#define U_AT(c, k) (u + (((c) / R * POINTS + (k)) * R + (c) % R) * COB)

/* A y A' */
static void transform_cotangent(__global float *to, int distance, __global const float **pixel, int few) {
    for (int o = 0; o < COB; o += VEC) {
        vec a[POINTS];
#pragma unroll
        for (int k = 0; k < M * M; k++) a[k / M * EDGE + k % M] = LOAD(pixel[k] + o);
#pragma unroll
        for (int i = 0; i < M; i++) output_to_points(a + i * EDGE, 1, few & 3);
#pragma unroll
        for (int i = 0; i < EDGE; i++) output_to_points(a + i, EDGE, few >> 2);
#pragma unroll
        for (int k = 0; k < POINTS; k++) KEEP(a[k], to + k * distance + o);
    }
}

/* Adds a block of tiles, from t0 on, to the sums, or sets these with the first one. */
static void multiply(__global float *u, __global const float *v, __global const float *z, int t0, int count, int4 order, int oh,
                     int ow, int add) {
    for (int k = 0; k < POINTS; k++) {
        const int2 with = tiles_with(k, order, oh, ow);
        const int first = max(with.s0 - t0, 0), end = min(with.s1 - t0, count);
        for (int o = 0; o < COB; o += NV * VEC)
            for (int c = 0; c < CIB; c += R) {
                vec sum[R][NV];
#pragma unroll
                for (int r = 0; r < R; r++)
#pragma unroll
                    for (int j = 0; j < NV; j++) sum[r][j] = (vec)(0.0f);
                for (int t = first; t < end; t++) {
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

__kernel void winograd_bwd_filter(OUT(w), IN(x), IN(y) SECOND(x2, y2), OUT(s), const int tasks, const int n, const int h,
                                  const int width, const int oh, const int ow, const int ph, const int pw, const int block,
                                  const int items, const int slot) {
    const int4 order = order_of(n, oh, ow);
    const int item = (int)get_global_id(0), tiles = order.s3, blocks = (tiles + block - 1) / block, units = tasks * PARTS;
    const int share = (units + items - 1) / items, first = item * share, last = min(first + share, units);
    if (item >= items) return;
    __global float *nothing = PTR(s, 0) + (size_t)item * slot, *v = nothing + MARGIN, *z = v + V_SIZE * CIB,
                   *u = z + V_SIZE * COB;
    for (int c = 0; c < MARGIN; c++) nothing[c] = 0.0f;
    __global const float *pixel[POINTS];

    for (int unit = first; unit < last; unit++) {
        const int task = unit / PARTS, part = unit - task * PARTS, ci = part / COLUMNS * CIB, co = part % COLUMNS * COB;
        for (int b = 0; b < TERMS * blocks; b++) { /* of tiles, of one term after the other */
            const int term = b / blocks, t0 = (b - term * blocks) * block, count = min(block, tiles - t0);
            __global const float *xs = OF_TERM(term, PTR(x, task), PTR(x2, task)) + ci;
            __global const float *ys = OF_TERM(term, PTR(y, task), PTR(y2, task)) + co;
            for (int t = 0; t < count; t++) {
                const int4 at = place_of(t0 + t, order, oh, ow);
                find_tile(pixel, xs + (size_t)at.s0 * h * width * CI, nothing, at.s1 - ph, at.s2 - pw, EDGE, h, width, CI);
                transform_data(V_AT(t, 0), GROUP * CIB, pixel, CIB, at.s3);
                find_tile(pixel, ys + (size_t)at.s0 * oh * ow * CO, nothing, at.s1, at.s2, M, oh, ow, CO);
                transform_cotangent(Z_AT(t, 0), GROUP * COB, pixel, at.s3);
            }
            multiply(u, v, z, t0, count, order, oh, ow, b > 0);
        }
        transform_sums(PTR(w, task) + ci * CO + co, u);
    }
}
#endif
