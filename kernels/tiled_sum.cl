/* Adds up, in order, the totals of the segments of a depth that tiled.cl has left: out[i] = parts[0][i] + parts[1][i] + .. */
__kernel void tiled_sum(OUT(out), IN(parts), const int size, const int segments, const int tasks) {
    const int i = get_global_id(0), task = get_global_id(2);
    if (i >= size || task >= tasks) return;
    __global const float *p = PTR(parts, task) + i;
    float sum = p[0];
    for (int s = 1; s < segments; s++) sum += p[(size_t)s * size];
    PTR(out, task)[i] = sum;
}
