/* Half a turn of a filter and the swap of its channel axes, per group: [kh, kw, ci/groups, co] -> [kh, kw, co/groups, ci].
 * A work-item writes BLOCK neighbouring rows (output channels of one tap and group) for CHUNK input channels: a block of w is read in
 * runs of BLOCK, and written in runs of CHUNK. */
#define CIG (CI / GROUPS)
#define COG (CO / GROUPS)
#define BLOCKS ((COG + BLOCK - 1) / BLOCK)

__kernel void conv2d_flip(OUT(f), IN(w), const int tasks) {
    const int first = (int)get_global_id(0) * CHUNK, item = (int)get_global_id(1), task = (int)get_global_id(2);
    const int k = item / BLOCKS, o0 = (item - k * BLOCKS) * BLOCK;
    if (first >= CI || k >= TAPS || task >= tasks) return;
    __global const float *ws = PTR(w, task) + (size_t)(TAPS - 1 - k) * CIG * CO + o0;
    __global float *fs = PTR(f, task) + (size_t)(k * COG + o0) * CI;
    for (int ci = first; ci < min(first + CHUNK, CI); ci++) {
        const int group = ci / CIG;
        __global const float *from = ws + (ci - group * CIG) * CO + group * COG;
        for (int o = 0; o < min(BLOCK, COG - o0); o++) fs[o * CI + ci] = from[o];
    }
}
