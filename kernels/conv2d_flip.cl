/* Half a turn of a filter and the swap of its channel axes, per group: [kh, kw, ci/groups, co] -> [kh, kw, co/groups, ci].
 * A work-item writes BLOCK neighbouring rows (output channels of one tap and group) for CHUNK input channels: a block of w is read in
 * runs of BLOCK, and written in runs of CHUNK. With VEC > 1, which is BLOCK then and divides the channels of a group, it swaps the axes of
 * VEC x VEC numbers at a time in registers. */
#define CIG (CI / GROUPS)
#define COG (CO / GROUPS)
#define BLOCKS ((COG + BLOCK - 1) / BLOCK)

__kernel void conv2d_flip(OUT(f), IN(w), const int tasks) {
    const int first = (int)get_global_id(0) * CHUNK, item = (int)get_global_id(1), task = (int)get_global_id(2);
    const int k = item / BLOCKS, o0 = (item - k * BLOCKS) * BLOCK;
    if (first >= CI || k >= TAPS || task >= tasks) return;
    __global const float *ws = PTR(w, task) + (size_t)(TAPS - 1 - k) * CIG * CO + o0;
    __global float *fs = PTR(f, task) + (size_t)(k * COG + o0) * CI;
#if VEC > 1
    for (int ci = first; ci < min(first + CHUNK, CI); ci += VEC) {
        const int group = ci / CIG;
        __global const float *from = ws + (ci - group * CIG) * CO + group * COG;
        vec row[VEC];
#pragma unroll
        for (int i = 0; i < VEC; i++) row[i] = LOAD(from + i * CO);
        /* A pass moves the lowest bit of the column to the top of the row, and that of the row to the top of the column. */
#pragma unroll
        for (int pass = 1; pass < VEC; pass *= 2) {
            vec next[VEC];
#pragma unroll
            for (int i = 0; i < VEC / 2; i++) {
                next[i] = (vec)(row[2 * i].even, row[2 * i + 1].even);
                next[i + VEC / 2] = (vec)(row[2 * i].odd, row[2 * i + 1].odd);
            }
#pragma unroll
            for (int i = 0; i < VEC; i++) row[i] = next[i];
        }
#pragma unroll
        for (int o = 0; o < VEC; o++) STORE(row[o], fs + o * CI + ci);
    }
#else
    for (int ci = first; ci < min(first + CHUNK, CI); ci++) {
        const int group = ci / CIG;
        __global const float *from = ws + (ci - group * CIG) * CO + group * COG;
        for (int o = 0; o < min(BLOCK, COG - o0); o++) fs[o * CI + ci] = from[o];
    }
#endif
}
