/* Before every kernel file. A value arrives as buffer, element offset and task stride (0: shared by all tasks). Kernels take the
 * task from the last index of the global size, check their bounds, and need neither local memory nor a particular local size. Files are
 * joined into one program (src/device/opencl/batch.c): outside kernels they hold macros and static functions only, no typedefs. */
#define IN(x) __global const float *restrict x##_buf, const uint x##_off, const uint x##_ts
#define OUT(x) __global float *restrict x##_buf, const uint x##_off, const uint x##_ts
#define PTR(x, task) (x##_buf + x##_off + (size_t)(task) * x##_ts)
