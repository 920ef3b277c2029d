/* Before every kernel file. A value arrives as buffer and place: element offset and task stride (0: shared by all tasks). Kernels take the
 * task from the last index of the global size, check their bounds, and need neither local memory nor a particular local size, but for
 * the files named *tiled.cl, which say so by reqd_work_group_size, and generated totals (codegen_total.c), which make do with any size. Files are joined
 * into one program (src/device/opencl/batch.c): outside kernels they hold macros and static functions only, no typedefs; `__kernel` and the
 * name stand in one line with nothing but `void` between. */
#define IN(x) __global const float *restrict x##_buf, const uint2 x##_at
#define OUT(x) __global float *restrict x##_buf, const uint2 x##_at
/* The same for an argument that may be the memory of another one: elements are read where they are then written. */
#define IN_SHARED(x) __global const float *x##_buf, const uint2 x##_at
#define OUT_SHARED(x) __global float *x##_buf, const uint2 x##_at
#define OFFSET(x) (x##_at.s0)
#define TASK_STRIDE(x) (x##_at.s1)
#define PTR(x, task) (x##_buf + OFFSET(x) + (size_t)(task) * TASK_STRIDE(x))

/* Vectors of VEC floats, 1 included, in files that are compiled with -DVEC. Spelled out, as drivers make vload2 and the like macros of
 * their own. */
#define VEC_1 float
#define VEC_2 float2
#define VEC_4 float4
#define VEC_8 float8
#define VEC_16 float16
#define LOAD_1(p) (*(p))
#define LOAD_2(p) vload2(0, p)
#define LOAD_4(p) vload4(0, p)
#define LOAD_8(p) vload8(0, p)
#define LOAD_16(p) vload16(0, p)
#define STORE_1(v, p) (*(p) = (v))
#define STORE_2(v, p) vstore2(v, 0, p)
#define STORE_4(v, p) vstore4(v, 0, p)
#define STORE_8(v, p) vstore8(v, 0, p)
#define STORE_16(v, p) vstore16(v, 0, p)
/* Stores a vector at a multiple of its size around the caches, where compilers have that: what is not read soon is not fetched before it
 * is written. */
#if defined(__x86_64__) && defined(__clang__)
#define STREAM(v, p) __builtin_nontemporal_store(v, p)
#else
#define STREAM(v, p) (*(p) = (v))
#endif
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define vec JOIN(VEC_, VEC)
#define LOAD(p) JOIN(LOAD_, VEC)(p)
#define STORE(v, p) JOIN(STORE_, VEC)(v, p)

/* In files compiled with -DTERMS, 1 or 2: the operands of a second term among a kernel's arguments, and what belongs to a term. */
#define SECOND_1(a, b)
#define SECOND_2(a, b) , IN(a), IN(b)
#define SECOND(a, b) JOIN(SECOND_, TERMS)(a, b)
#define OF_TERM_1(term, first, second) (first)
#define OF_TERM_2(term, first, second) ((term) == 0 ? (first) : (second))
#define OF_TERM(term, first, second) JOIN(OF_TERM_, TERMS)(term, first, second)
