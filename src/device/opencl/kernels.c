/* Kernels: a launch bound to its memory, queued any number of times.
 *
 * Each has a cl_kernel of its own with all arguments set once, so that queueing sets nothing and two launches of one kernel do
 * not disturb each other. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "device/opencl/libraries.h"
#include "device/opencl/opencl.h"
#include "device/opencl/work_group_size.h"

/* ---- making ---- */

typedef struct binding {
    clm_device *device;
    const clm_launch *launch;
    cl_kernel kernel;
    cl_uint next;
} binding;

static clm_status set_arg(binding *b, size_t size, const void *value) {
    cl_int code = clSetKernelArg(b->kernel, b->next, size, value);
    clm_status status =
        clm_cl_check(b->device, code, "%s: setting argument %u of kernel %s", b->launch->label, b->next, b->launch->entry);
    b->next++;
    return status;
}

static clm_status set_mem(binding *b, const clm_arg *arg) {
    if (arg->offset > UINT32_MAX || arg->task_stride > UINT32_MAX) {
        return clm_fail(CLM_E_LIMIT, "%s: a value begins %zu elements into its buffer, kernel %s can address %lu",
                        b->launch->label, arg->offset, b->launch->entry, (unsigned long)UINT32_MAX);
    }
    const cl_uint2 at = {{(cl_uint)arg->offset, (cl_uint)arg->task_stride}};
    CLM_TRY(set_arg(b, sizeof arg->mem->buffer, &arg->mem->buffer));
    return set_arg(b, sizeof at, &at);
}

int clm_cl_ints_at(const clm_launch *l, int i) {
    int n = 0;
    while (i + n < l->n_args && n < (l->quads ? 4 : 1) && l->args[i + n].kind == CLM_ARG_INT) n++;
    return n;
}

static clm_status set_ints(binding *b, const clm_arg *arg, int n) {
    cl_int4 four = {{0}};
    for (int i = 0; i < n; i++) four.s[i] = arg[i].i;
    return set_arg(b, b->launch->quads ? sizeof four : sizeof four.s[0], &four);
}

static clm_status set_args(binding *b) {
    const clm_launch *l = b->launch;
    cl_uint expected = 0, given = 0;
    for (int i = 0, n; i < l->n_args; i += n ? n : 1) {
        n = clm_cl_ints_at(l, i);
        given += l->args[i].kind == CLM_ARG_MEM ? 2 : 1;
    }
    cl_int code = clGetKernelInfo(b->kernel, CL_KERNEL_NUM_ARGS, sizeof expected, &expected, NULL);
    CLM_TRY(clm_cl_check(b->device, code, "%s: counting the arguments of kernel %s", l->label, l->entry));
    if (expected != given) {
        return clm_fail(CLM_E_ARG, "%s: kernel %s takes %u arguments, the launch has %u", l->label, l->entry, expected, given);
    }
    for (int i = 0, n; i < l->n_args; i += n ? n : 1) {
        const clm_arg *arg = &l->args[i];
        const cl_float real = (cl_float)arg->f;
        n = clm_cl_ints_at(l, i);
        if (arg->kind == CLM_ARG_MEM)
            CLM_TRY(set_mem(b, arg));
        else if (arg->kind == CLM_ARG_INT)
            CLM_TRY(set_ints(b, arg, n));
        else
            CLM_TRY(set_arg(b, sizeof real, &real));
    }
    return CLM_OK;
}

clm_status clm_cl_kernel_property(clm_device *d, const char *label, cl_kernel kernel, cl_kernel_work_group_info what,
                                  size_t size, void *out) {
    const cl_int code = clGetKernelWorkGroupInfo(kernel, clm_cl(d)->id, what, size, out, NULL);
    return code == CL_INVALID_VALUE
               ? CLM_OK
               : clm_cl_check(d, code, "%s: asking for property 0x%x of its kernel", label, (unsigned)what);
}

/* What the kernel's text and its use of local memory tell. */
static clm_status examine(clm_device *d, const clm_launch *launch, clm_kernel *k) {
    const char *text = NULL;
    cl_ulong local = 0;
    CLM_TRY(clm_cl_text(clm_cl(d), launch, &text));
    clm_cl_watchdog_examine(k, launch, text);
    if (clm_emulate_check_source(&clm_cl(d)->emulation, text) != CLM_OK)
        return clm_fail_in(CLM_E_LIMIT, "%s: kernel %s on %s", launch->label, launch->entry, d->info.name);
    CLM_TRY(clm_cl_kernel_property(d, launch->label, k->kernel, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local, &local));
    if (local <= d->info.local_memory) return CLM_OK;
    return clm_fail(CLM_E_LIMIT, "%s: kernel %s needs %llu bytes of local memory, %s has %llu", launch->label, launch->entry,
                    (unsigned long long)local, d->info.name, (unsigned long long)d->info.local_memory);
}

static clm_status choose_sizes(clm_device *d, const clm_launch *launch, clm_kernel *k) {
    clm_cl_device *cl = clm_cl(d);
    clm_work_group_limits limits = {.type = d->info.type};
    size_t most = 0, multiple = 0;
    CLM_TRY(clm_cl_kernel_property(d, launch->label, k->kernel, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most));
    CLM_TRY(clm_cl_kernel_property(d, launch->label, k->kernel, CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, sizeof multiple,
                                   &multiple));
    CLM_TRY(clm_cl_kernel_property(d, launch->label, k->kernel, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof limits.required,
                                   limits.required));
    limits.group = !most ? 1 : most < d->info.max_work_group_size ? most : d->info.max_work_group_size;
    limits.multiple = multiple ? multiple : 1;
    memcpy(limits.item, cl->max_local, sizeof limits.item);
    memcpy(k->global, launch->global, sizeof k->global);
    memcpy(k->local, launch->local, sizeof k->local);
    return clm_work_group_choose(&limits, k->global, k->local) == CLM_OK
               ? CLM_OK
               : clm_fail_in(CLM_E_LIMIT, "%s: kernel %s on %s", launch->label, launch->entry, d->info.name);
}

static clm_status make_call(clm_device *d, const clm_launch *launch, clm_kernel **out) {
    clm_kernel *k = clm_calloc(1, sizeof *k);
    if (!k) return CLM_E_MEMORY;
    snprintf(k->label, sizeof k->label, "%s", launch->label);
    clm_status status = clm_cl_call_make(d, launch, &k->call);
    if (status == CLM_OK)
        *out = k;
    else
        free(k);
    return status;
}

/* A kernel with its arguments set. */
static clm_status make_bound(clm_device *d, const clm_launch *launch, const clm_cl_program *program, cl_kernel *out) {
    char name[128];
    cl_int code = CL_SUCCESS;
    snprintf(name, sizeof name, "%s%s", launch->entry, program->suffix);
    *out = clCreateKernel(program->program, name, &code);
    CLM_TRY(clm_cl_check(d, code, "%s: creating kernel %s of %s", launch->label, launch->entry,
                         launch->file ? launch->file : "generated source"));
    return set_args(&(binding){.device = d, .launch = launch, .kernel = *out});
}

/* The kernels of a team's launch: the same one with other arguments. */
static clm_status make_team(clm_device *d, const clm_launch *launch, const clm_cl_program *program, clm_kernel *k) {
    clm_launch *l = clm_calloc(1, sizeof *l);
    clm_status status = l ? CLM_OK : CLM_E_MEMORY;
    k->expected = clm_cl_team_expected(clm_cl(d), launch);
    k->n_members = clm_cl_team_members(clm_cl(d), launch);
    k->members = clm_calloc((size_t)k->n_members, sizeof(cl_kernel));
    if (!k->members) status = CLM_E_MEMORY;
    for (int m = 0; m < k->n_members && status == CLM_OK; m++) {
        *l = *launch;
        clm_cl_team_place(clm_cl(d), l, m);
        status = make_bound(d, l, program, &k->members[m]);
    }
    free(l);
    return status;
}

clm_status clm_cl_make(clm_device *d, const clm_launch *launch, clm_kernel **out) {
    *out = NULL;
    if (launch->call.library != CLM_LIBRARY_NONE) return make_call(d, launch, out);
    const clm_cl_program *program = NULL;
    CLM_TRY(clm_cl_program_get(clm_cl(d), launch, &program));
    clm_kernel *k = clm_calloc(1, sizeof *k);
    if (!k) return CLM_E_MEMORY;
    clm_status status = CLM_OK;
    snprintf(k->label, sizeof k->label, "%s", launch->label);
    snprintf(k->entry, sizeof k->entry, "%s", launch->entry);
    if (launch->team) {
        CLM_GOTO(make_team(d, launch, program, k));
    } else {
        CLM_GOTO(make_bound(d, launch, program, &k->kernel));
        CLM_GOTO(choose_sizes(d, launch, k));
        CLM_GOTO(examine(d, launch, k));
    }
    *out = k;
    return CLM_OK;
out:
    clm_cl_release(d, k);
    return status;
}

void clm_cl_release(clm_device *d, clm_kernel *kernel) {
    (void)d;
    if (!kernel) return;
    if (kernel->kernel) clReleaseKernel(kernel->kernel);
    for (int m = 0; m < kernel->n_members && kernel->members; m++)
        if (kernel->members[m]) clReleaseKernel(kernel->members[m]);
    free(kernel->members);
    if (kernel->table) clReleaseMemObject(kernel->table);
    clm_cl_call_free(kernel->call);
    free(kernel);
}

/* ---- running ---- */

clm_status clm_cl_enqueue(clm_device *d, clm_kernel *kernel) {
    clm_cl_builders_end(); /* now there is other work */
    if (kernel->n_members) return clm_cl_team_enqueue(d, kernel);
    CLM_TRY(clm_cl_check(d, clm_cl_team_join(clm_cl(d)), "%s: waiting for a team", kernel->label));
    if (kernel->call) {
        d->counters.launches++;
        CLM_TRY(clm_cl_call_enqueue(d, clm_cl(d)->queue, kernel->call, kernel->label));
    } else if (clm_cl(d)->watchdog.launch > 0)
        return clm_cl_enqueue_bounded(d, kernel);
    else
        CLM_TRY(clm_cl_enqueue_range(d, clm_cl(d)->queue, kernel, NULL, kernel->global, NULL));
    clm_cl_queued(clm_cl(d));
    return CLM_OK;
}

/* Device time of the finished command behind `event`; 0 where the driver does not say. */
static double event_seconds(cl_event event) {
    cl_ulong start = 0, end = 0;
    if (clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL) != CL_SUCCESS) return 0.0;
    if (clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) != CL_SUCCESS) return 0.0;
    return end > start ? 1e-9 * (double)(end - start) : 0.0;
}

/* A call of a library may queue several kernels. */
static clm_status time_call(clm_device *d, clm_kernel *kernel, double *seconds) {
    CLM_TRY(clm_cl_finish(d));
    clm_cl_team_unjudged(clm_cl(d));
    double start = clm_clock();
    CLM_TRY(clm_cl_enqueue(d, kernel));
    CLM_TRY(clm_cl_finish(d));
    *seconds = clm_clock() - start;
    return CLM_OK;
}

clm_status clm_cl_time(clm_device *d, clm_kernel *kernel, double *seconds) {
    clm_cl_device *cl = clm_cl(d);
    cl_int code = CL_SUCCESS;
    clm_cl_builders_end();
    if (kernel->call || kernel->n_members) return time_call(d, kernel, seconds);
    if (!cl->timing_queue) {
        cl->timing_queue = clCreateCommandQueue(cl->context, cl->id, CL_QUEUE_PROFILING_ENABLE, &code);
        CLM_TRY(clm_cl_check(d, code, "creating a command queue with profiling"));
    }
    CLM_TRY(clm_cl_finish(d)); /* the two queues know nothing of each other */
    if (clm_cl_watchdog_cuts(cl, kernel)) return clm_cl_time_pieces(d, cl->timing_queue, kernel, seconds);
    cl_event event = NULL;
    double start = clm_clock();
    CLM_TRY(clm_cl_enqueue_range(d, cl->timing_queue, kernel, NULL, kernel->global, &event));
    code = clFinish(cl->timing_queue);
    double waited = clm_clock() - start;
    double measured = code == CL_SUCCESS ? event_seconds(event) : 0.0;
    clReleaseEvent(event);
    *seconds = measured > 0.0 ? measured : waited;
    return clm_cl_check(d, code, "%s: waiting for kernel %s", kernel->label, kernel->entry);
}
