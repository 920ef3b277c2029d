/* Half a turn of a filter and the swap of its channel axes, per group: [kh, kw, ci/groups, co] -> [kh, kw, co/groups, ci]. */
#define CIG (CI / GROUPS)
#define COG (CO / GROUPS)

__kernel void conv2d_flip(OUT(f), IN(w), const int tasks) {
    const int ci = (int)get_global_id(0), k = (int)get_global_id(1) / COG, o = (int)get_global_id(1) % COG;
    const int task = (int)get_global_id(2);
    if (ci >= CI || k >= TAPS || task >= tasks) return;
    PTR(f, task)[(k * COG + o) * CI + ci] = PTR(w, task)[((TAPS - 1 - k) * CIG + ci % CIG) * CO + ci / CIG * COG + o];
}
