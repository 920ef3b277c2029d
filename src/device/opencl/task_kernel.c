/* Task kernels: one launch in which each task executes many launches in order.
 *
 * A launch costs some 10 microseconds whatever it does. Programs of small networks are hundreds of launches that do less work
 * than that. A task kernel contains all their kernels: a work-item (on a CPU) or a work-group (elsewhere) takes one task and
 * executes the launches listed in a table with their sizes and arguments. Tasks do not wait for one another, so this is correct
 * only for launches that read and write memory of their own task, or read memory that none of them writes.
 *
 * The kernels' texts are used unchanged: kernels become static functions, the index of a work-item becomes a parameter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/opencl/opencl.h"

enum { BUFFERS = 40, GPU_ITEMS = 128 };

typedef struct task_kernel {
    clm_cl_device *d;
    const clm_launch *launches;
    size_t count;
    clm_cl_member *members; /* distinct texts with their defines */
    size_t n_members;
    size_t *kind; /* of every launch: the first launch with the same kernel */
    size_t *member;
    clm_mem *buffer[BUFFERS];
    int n_buffers;
    cl_int *table;
    size_t table_size, table_capacity;
    clm_text text;
} task_kernel;

static bool same_kernel(const clm_launch *a, const clm_launch *b, size_t member_a, size_t member_b) {
    return member_a == member_b && !strcmp(a->entry, b->entry);
}

/* Collects the distinct texts, and for each launch the first one with the same kernel. */
static clm_status collect(task_kernel *c) {
    for (size_t i = 0; i < c->count; i++) {
        const clm_launch *l = &c->launches[i];
        const char *text = NULL, *defines = l->defines ? l->defines : "";
        size_t m = 0, k = 0;
        CLM_TRY(clm_cl_text(c->d, l, &text));
        while (m < c->n_members && (strcmp(c->members[m].text, text) != 0 || strcmp(c->members[m].defines, defines) != 0)) m++;
        if (m == c->n_members) c->members[c->n_members++] = clm_cl_member_of(text, defines);
        c->member[i] = m;
        while (k < i && !same_kernel(&c->launches[k], l, c->member[k], m)) k++;
        c->kind[i] = k;
    }
    return CLM_OK;
}

static clm_status put(task_kernel *c, cl_int value) {
    CLM_TRY(clm_grow(&c->table, &c->table_capacity, c->table_size + 1, sizeof *c->table));
    c->table[c->table_size++] = value;
    return CLM_OK;
}

static clm_status put_buffer(task_kernel *c, clm_mem *mem) {
    int b = 0;
    while (b < c->n_buffers && c->buffer[b] != mem) b++;
    if (b == BUFFERS) return clm_fail(CLM_E_LIMIT, "a task kernel uses more than %d buffers", BUFFERS);
    c->buffer[b] = mem;
    if (b == c->n_buffers) c->n_buffers++;
    return put(c, b);
}

/* One entry: kind, two sizes, arguments. Offsets and strides are below 2^31 elements, as the memory plan makes them. */
static clm_status put_launch(task_kernel *c, size_t i) {
    const clm_launch *l = &c->launches[i];
    CLM_TRY(put(c, (cl_int)c->kind[i]));
    for (int a = 0; a < 2; a++) CLM_TRY(put(c, (cl_int)l->global[a]));
    for (int a = 0; a < l->n_args; a++) {
        const clm_arg *arg = &l->args[a];
        cl_float real = (cl_float)arg->f;
        cl_int bits = arg->i;
        if (arg->kind == CLM_ARG_FLOAT) memcpy(&bits, &real, sizeof bits);
        if (arg->kind == CLM_ARG_MEM) {
            if (arg->offset > INT32_MAX || arg->task_stride > INT32_MAX)
                return clm_fail(CLM_E_LIMIT, "%s: a value lies too far into its buffer for a task kernel", l->label);
            CLM_TRY(put_buffer(c, arg->mem));
            CLM_TRY(put(c, (cl_int)arg->offset));
            bits = (cl_int)arg->task_stride;
        }
        CLM_TRY(put(c, bits));
    }
    return CLM_OK;
}

/* ---- the kernel ---- */

/* A text with its kernels as functions of the indices of a work-item. */
static char *as_functions(const char *text) {
    static const char kernel[] = "__kernel void ";
    clm_text out = {0};
    for (const char *at = text; *at;) {
        const char *next = strstr(at, kernel), *open = next ? strchr(next, '(') : NULL;
        if (!open) {
            clm_text_add(&out, "%s", at);
            break;
        }
        const char *name = next + sizeof kernel - 1;
        clm_text_add(&out, "%.*sstatic void %.*s(const int clm_index_0, const int clm_index_1, const int clm_index_2, ",
                     (int)(next - at), at, (int)(open - name), name);
        at = open + 1;
    }
    if (out.failed) clm_text_free(&out);
    return out.data;
}

static clm_status add_functions(task_kernel *c) {
    clm_status status = CLM_OK;
    clm_cl_member *functions = clm_calloc(c->n_members + 1, sizeof *functions);
    if (!functions) return CLM_E_MEMORY;
    clm_text_add(&c->text, "#define get_global_id(d) clm_index_##d\n");
    for (size_t m = 0; m < c->n_members; m++) {
        char *text = as_functions(c->members[m].text);
        if (!text) CLM_GOTO(clm_fail(CLM_E_MEMORY, "building a task kernel: out of memory"));
        functions[m] = c->members[m];
        functions[m].text = text;
        clm_cl_join_member(&c->text, &functions[m]);
    }
    clm_text_add(&c->text, "#undef get_global_id\n");
out:
    for (size_t m = 0; m < c->n_members; m++) free((char *)functions[m].text);
    free(functions);
    return status;
}

static void add_case(task_kernel *c, size_t i) {
    const clm_launch *l = &c->launches[i];
    int at = 3;
    clm_text_add(&c->text,
                 "    case %zu:\n      for (int k = item; k < t[1] * t[2]; k += items)\n        %s%s(k %% t[1], k / t[1], task",
                 i, l->entry, c->members[c->member[i]].suffix);
    for (int a = 0, n; a < l->n_args; a += n ? n : 1) {
        n = clm_cl_ints_at(l, a);
        if (l->args[a].kind == CLM_ARG_MEM) {
            clm_text_add(&c->text, ", base[t[%d]], (uint2)((uint)t[%d], (uint)t[%d])", at, at + 1, at + 2);
            at += 3;
            continue;
        }
        if (n && l->quads) {
            for (int k = 0; k < 4; k++) {
                clm_text_add(&c->text, k ? ", " : ", (int4)(");
                clm_text_add(&c->text, k < n ? "t[%d]" : "0", at + k);
            }
            clm_text_add(&c->text, ")");
        } else
            clm_text_add(&c->text, n ? ", t[%d]" : ", as_float(t[%d])", at);
        at += n ? n : 1;
    }
    clm_text_add(&c->text, ");\n      t += %d;\n      break;\n", at);
}

static void add_kernel(task_kernel *c, bool cpu) {
    clm_text_add(&c->text, "__kernel void task_kernel(__global const int *t, const int steps");
    for (int b = 0; b < c->n_buffers; b++) clm_text_add(&c->text, ", __global float *b%d", b);
    clm_text_add(
        &c->text,
        ") {\n  const int item = get_local_id(0), items = get_local_size(0), task = get_global_id(2);\n  __global float "
        "*base[%d] = {",
        c->n_buffers);
    for (int b = 0; b < c->n_buffers; b++) clm_text_add(&c->text, "%sb%d", b ? ", " : "", b);
    clm_text_add(&c->text, "};\n  for (int step = 0; step < steps; step++) {\n    switch (t[0]) {\n");
    for (size_t i = 0; i < c->count; i++)
        if (c->kind[i] == i) add_case(c, i);
    clm_text_add(&c->text, "    }\n%s  }\n}\n", cpu ? "" : "    barrier(CLK_GLOBAL_MEM_FENCE);\n");
}

static clm_status set(clm_device *d, cl_kernel kernel, cl_uint index, size_t size, const void *value) {
    return clm_cl_check(d, clSetKernelArg(kernel, index, size, value), "setting argument %u of a task kernel", index);
}

/* The launch: a work-group for every task. */
static clm_status make_kernel(task_kernel *c, clm_device *d, cl_program program, clm_kernel *k) {
    cl_int code = CL_SUCCESS, steps = (cl_int)c->count;
    size_t most = 1;
    k->kernel = clCreateKernel(program, "task_kernel", &code);
    CLM_TRY(clm_cl_check(d, code, "creating the kernel of a task kernel"));
    k->table = clCreateBuffer(c->d->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, c->table_size * sizeof *c->table,
                              c->table, &code);
    CLM_TRY(clm_cl_check(d, code, "allocating the table of a task kernel"));
    CLM_TRY(set(d, k->kernel, 0, sizeof k->table, &k->table));
    CLM_TRY(set(d, k->kernel, 1, sizeof steps, &steps));
    for (int b = 0; b < c->n_buffers; b++)
        CLM_TRY(set(d, k->kernel, (cl_uint)b + 2, sizeof c->buffer[b]->buffer, &c->buffer[b]->buffer));
    CLM_TRY(clm_cl_kernel_property(d, "task kernel", k->kernel, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most));
    if (most > d->info.max_work_group_size) most = d->info.max_work_group_size;
    k->local[0] = d->info.type == CLM_DEVICE_CPU ? 1 : most < GPU_ITEMS ? most : GPU_ITEMS;
    k->local[1] = k->local[2] = k->global[1] = 1;
    k->global[0] = k->local[0];
    k->global[2] = c->launches[0].global[2];
    for (size_t i = 0; i < c->count; i++) k->work += c->launches[i].flops + c->launches[i].bytes;
    snprintf(k->label, sizeof k->label, "task kernel of %zu launches", c->count);
    snprintf(k->entry, sizeof k->entry, "task_kernel");
    return CLM_OK;
}

clm_status clm_cl_make_task_kernel(clm_device *d, const clm_launch *launches, size_t count, clm_kernel **out) {
    task_kernel c = {.d = clm_cl(d), .launches = launches, .count = count};
    char *whole = NULL;
    cl_program program = NULL;
    clm_status status = CLM_OK;
    *out = NULL;
    clm_kernel *k = clm_calloc(1, sizeof *k);
    c.members = clm_calloc(count + 1, sizeof *c.members);
    c.kind = clm_calloc(count + 1, sizeof *c.kind);
    c.member = clm_calloc(count + 1, sizeof *c.member);
    if (!k || !c.members || !c.kind || !c.member) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(collect(&c));
    for (size_t i = 0; i < count; i++) CLM_GOTO(put_launch(&c, i));
    CLM_GOTO(add_functions(&c));
    add_kernel(&c, d->info.type == CLM_DEVICE_CPU);
    if (c.text.failed) CLM_GOTO(clm_fail(CLM_E_MEMORY, "building a task kernel: out of memory"));
    CLM_GOTO(clm_cl_compose(c.text.data, "task_kernel", &whole));
    CLM_GOTO(
        clm_cl_obtain(c.d, &(clm_launch){.label = "task kernel", .entry = "task_kernel", .defines = ""}, whole, "", &program));
    CLM_GOTO(make_kernel(&c, d, program, k));
    *out = k;
    k = NULL;
out:
    if (program) clReleaseProgram(program); /* its kernel keeps it */
    clm_cl_release(d, k);
    free(whole);
    clm_text_free(&c.text);
    free(c.members);
    free(c.kind);
    free(c.member);
    free(c.table);
    return status;
}
