/* Half a turn of a filter and the swap of its channel axes, per group: [kh, kw, ci/groups, co] -> [kh, kw, co/groups, ci]. */
#define CIG (CI / GROUPS)
#define COG (CO / GROUPS)

__kernel void conv2d_flip(OUT(f), IN(w), const int tasks) {
    const int ci = (int)get_global_id(0), row = (int)get_global_id(1), task = (int)get_global_id(2);
    const int k = row / COG, o = row - k * COG, group = ci / CIG;
    if (ci >= CI || k >= TAPS || task >= tasks) return;
    PTR(f, task)[row * CI + ci] = PTR(w, task)[((TAPS - 1 - k) * CIG + ci - group * CIG) * CO + group * COG + o];
}
