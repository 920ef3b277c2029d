/* A matrix of image patches, for convolutions by matrix products: for every group, col[row, (ky, kx, c)] = x at the place that output
 * position `row` = (n, oy, ox) and filter position (ky, kx) meet in, or 0 outside; see src/ops/conv.h for the places. `col` holds `tasks`
 * tasks, the first of which is task `first` of x.
 *
 * A work-item copies TAPS_EACH filter positions by VECTORS_EACH vectors of channels of one row. */
#define CIG (CI / GROUPS)
#define TAPS (KH * KW)
#define ROWS (N * OH * OW)
#define TAP_BLOCKS ((TAPS + TAPS_EACH - 1) / TAPS_EACH)
#define CHANNEL_BLOCKS (CIG / (VEC * VECTORS_EACH))

__kernel void im2col(OUT(col), IN(x), const int tasks, const int first) {
    const int item = (int)get_global_id(0), row = (int)get_global_id(1), task = (int)get_global_id(2);
    if (item >= GROUPS * TAP_BLOCKS * CHANNEL_BLOCKS || row >= ROWS || task >= tasks) return;
    const int block = item / CHANNEL_BLOCKS, c0 = (item - block * CHANNEL_BLOCKS) * VECTORS_EACH * VEC;
    const int group = block / TAP_BLOCKS, k0 = (block - group * TAP_BLOCKS) * TAPS_EACH;
    const int line = row / OW, ox = row - line * OW, n = line / OH, oy = line - n * OH;
    __global const float *from = PTR(x, first + task) + (size_t)n * (H * W * CI) + group * CIG + c0;
    __global float *to = PTR(col, 0) + (((size_t)task * GROUPS + group) * ROWS + row) * (TAPS * CIG) + c0;
    for (int k = k0; k < min(k0 + TAPS_EACH, TAPS); k++) {
        const int ky = k / KW, kx = k - ky * KW;
        const int sy = oy * SH - PH + ky * DH, iy = sy / UH, sx = ox * SW - PW + kx * DW, ix = sx / UW;
        const int inside = sy >= 0 && iy < H && iy * UH == sy && sx >= 0 && ix < W && ix * UW == sx;
        for (int v = 0; v < VECTORS_EACH; v++) {
            vec value = (vec)(0.0f);
            if (inside) value = LOAD(from + (iy * W + ix) * CI + v * VEC);
            STORE(value, to + k * CIG + v * VEC);
        }
    }
}
