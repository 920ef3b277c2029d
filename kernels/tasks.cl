/* Sum over the task axis in task order, so that the result does not depend on how tasks are grouped into launches.
 * y[i] = (initial[i]) + x[0][i] + x[1][i] + ..; a work-item takes ITEMS neighbouring elements. */
static float sum_of(__global const float *x, const uint stride, const int tasks, float sum) {
    for (int t = 0; t < tasks; t++) sum += x[(size_t)t * stride];
    return sum;
}

__kernel void sum_tasks(OUT(y), IN(x), const int size, const int tasks) {
    const int first = get_global_id(0) * ITEMS, last = min(first + ITEMS, size);
    for (int i = first; i < last; i++) PTR(y, 0)[i] = sum_of(PTR(x, 0) + i, TASK_STRIDE(x), tasks, 0.0f);
}

/* y and initial may be the same memory. */
__kernel void sum_tasks_from(OUT_SHARED(y), IN(x), IN_SHARED(initial), const int size, const int tasks) {
    const int first = get_global_id(0) * ITEMS, last = min(first + ITEMS, size);
    for (int i = first; i < last; i++) PTR(y, 0)[i] = sum_of(PTR(x, 0) + i, TASK_STRIDE(x), tasks, PTR(initial, 0)[i]);
}
