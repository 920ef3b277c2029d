/* Sum over the task axis in task order, so that the result does not depend on how tasks are grouped into launches.
 * y[i] = (initial[i]) + x[0][i] + x[1][i] + ..; a work-item takes ITEMS neighbouring elements. */
static float sum_of(__global const float *x, const uint stride, const int tasks, float sum) {
    for (int t = 0; t < tasks; t++) sum += x[(size_t)t * stride];
    return sum;
}

__kernel void sum_tasks(OUT(y), IN(x), const int size, const int tasks) {
    const int first = get_global_id(0) * ITEMS, last = min(first + ITEMS, size);
    for (int i = first; i < last; i++) PTR(y, 0)[i] = sum_of(PTR(x, 0) + i, x_ts, tasks, 0.0f);
}

/* y and initial may be the same memory. */
__kernel void sum_tasks_from(__global float *y_buf, const uint y_off, const uint y_ts, IN(x), __global const float *initial_buf,
                             const uint initial_off, const uint initial_ts, const int size, const int tasks) {
    const int first = get_global_id(0) * ITEMS, last = min(first + ITEMS, size);
    for (int i = first; i < last; i++) PTR(y, 0)[i] = sum_of(PTR(x, 0) + i, x_ts, tasks, PTR(initial, 0)[i]);
}
