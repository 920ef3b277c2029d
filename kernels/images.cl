/* Examples out of a data set that stays on the device: with n = at[task][e],
 *
 *     x[task][e] = image n / 4, turned anticlockwise by n % 4 quarter turns        y[task][e] = label[task][e] (LABELS numbers each; 0: none)
 *
 * Images are [channels, height, width]; x has its channels last where LAST is set. With BYTES a pixel is a byte, and the 256 floats that
 * bytes stand for lie before the images, in TABLES tables: one for all channels, or one for each. A look at them gives the bits that the host
 * would have computed, a division need not. Numbers were checked by the host. An item makes `per_item` elements of an example, in the order
 * of x. */
#if BYTES
#define PIXEL uchar
#ifndef TABLES
#define TABLES 1
#endif
#define PIXELS(data) ((__global const uchar *)(PTR(data, 0) + 256 * TABLES))
#define VALUE(data, pixel, channel) (PTR(data, 0)[pixel + (TABLES > 1 ? 256 * (channel) : 0)])
#else
#define PIXEL float
#define PIXELS(data) PTR(data, 0)
#define VALUE(data, pixel, channel) (pixel)
#endif
#if LABELS
#define LABEL_ARGUMENTS OUT(y), IN(label),
#else
#define LABEL_ARGUMENTS
#endif

__kernel void images(OUT(x), LABEL_ARGUMENTS IN(data), IN(at), const int channels, const int height, const int width,
                     const int per_item) {
    const int item = (int)get_global_id(0), e = (int)get_global_id(1), task = (int)get_global_id(2);
    const int area = height * width, size = channels * area, number = ((__global const int *)PTR(at, task))[e], turn = number & 3;
    /* Steps in the image for a step to the right and a step down in the turned one. */
    const int right = turn == 0 ? 1 : (turn == 1 ? width : (turn == 2 ? -1 : -width));
    const int down = turn == 0 ? width : (turn == 1 ? -1 : (turn == 2 ? -width : 1));
    const int from = turn == 0 ? 0 : (turn == 1 ? width - 1 : (turn == 2 ? area - 1 : area - width));
#if LAST
    const int n1 = width, n2 = channels, s0 = down, s1 = right, s2 = area;
#else
    const int n1 = height, n2 = width, s0 = area, s1 = down, s2 = right;
#endif
    const int first = item * per_item, last = min(first + per_item, size);
    const int row = first / n2;
    int i0 = row / n1, i1 = row - i0 * n1, i2 = first - row * n2;
    if (first >= size) return;
    __global const PIXEL *const image = PIXELS(data) + (size_t)(number >> 2) * size + from;
    __global float *const to = PTR(x, task) + (size_t)e * size;
    for (int o = first; o < last; i2 = 0) {
        const int until = min(last, o + n2 - i2);
        __global const PIXEL *pixel = image + (i0 * s0 + i1 * s1 + i2 * s2);
        for (; o < until; o++, pixel += s2, i2++) to[o] = VALUE(data, *pixel, LAST ? i2 : i0);
        if (++i1 == n1) {
            i1 = 0;
            i0++;
        }
    }
#if LABELS
    for (int i = 0; first == 0 && i < LABELS; i++) PTR(y, task)[e * LABELS + i] = PTR(label, task)[e * LABELS + i];
#endif
}
