/* Task kernels: one launch in which each task executes many launches in order.
 *
 * A launch costs some 10 microseconds whatever it does. Programs of small networks are hundreds of launches that do less work
 * than that. A task kernel contains all their kernels: a work-item (on a CPU) or a work-group (elsewhere) takes one task and
 * executes the launches listed in a table with their sizes and arguments. Tasks do not wait for one another, so this is correct
 * only for launches that read and write memory of their own task, or read memory that none of them writes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/opencl/chain.h"

enum { GPU_ITEMS = 128 };

static void add_kernel(clm_cl_chain *c, bool cpu) {
    clm_text_add(&c->text, "__kernel void task_kernel(__global const int *t, const int steps");
    for (int b = 0; b < c->n_buffers; b++) clm_text_add(&c->text, ", __global float *b%d", b);
    clm_text_add(
        &c->text,
        ") {\n  const int item = get_local_id(0), items = get_local_size(0), task = get_global_id(2);\n  __global float "
        "*base[%d] = {",
        c->n_buffers);
    for (int b = 0; b < c->n_buffers; b++) clm_text_add(&c->text, "%sb%d", b ? ", " : "", b);
    clm_text_add(&c->text, "};\n  for (int step = 0; step < steps; step++) {\n");
    clm_cl_chain_cases(c);
    clm_text_add(&c->text, "%s  }\n}\n", cpu ? "" : "    barrier(CLK_GLOBAL_MEM_FENCE);\n");
}

static clm_status set(clm_device *d, cl_kernel kernel, cl_uint index, size_t size, const void *value) {
    return clm_cl_check(d, clSetKernelArg(kernel, index, size, value), "setting argument %u of a task kernel", index);
}

/* The launch: a work-group for every task. */
static clm_status make_kernel(clm_cl_chain *c, clm_device *d, cl_program program, clm_kernel *k) {
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
    clm_cl_chain c = {.d = clm_cl(d),
                      .launches = launches,
                      .count = count,
                      .sizes = 2,
                      .loop = "for (int k = item; k < t[1] * t[2]; k += items)",
                      .indices = "k % t[1], k / t[1], task"};
    char *whole = NULL;
    cl_program program = NULL;
    clm_status status = CLM_OK;
    *out = NULL;
    clm_kernel *k = clm_calloc(1, sizeof *k);
    if (!k) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(clm_cl_chain_open(&c));
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
    clm_cl_chain_close(&c);
    return status;
}
