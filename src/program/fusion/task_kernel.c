/* Task kernels: which consecutive launches become one that each task executes on its own.
 *
 * A launch costs some 10 microseconds whatever it does, and a small network is hundreds of launches that do less work than
 * that. Consecutive steps that work on every task in its own memory can be executed by each task independently
 * (device/opencl/task_kernel.c). That pays where a task's share of a launch takes less time than the launch costs. The number
 * of tasks does not enter: the bits of results must not depend on how many tasks run at a time. */
#include <stdlib.h>
#include <string.h>

#include "ops/op.h"
#include "program/internal.h"

enum { FEWEST = 4, MOST = 400 };

/* Seconds; a second, of one compute unit: magnitudes. A GPU's launches are queued ahead and cost less; in return the steps of a
 * task kernel wait at barriers there. */
static const double LAUNCH = 15e-6, GPU_LAUNCH = 4e-6, FLOPS = 20e9, BYTES = 10e9;

/* Per task and in the task's own memory: no scratch memory shared by tasks, no library calls, and no work-groups whose items
 * cooperate. */
static bool is_candidate(const clm_program *p, const clm_program_step *s) {
    if (s->spec.local[0] * s->spec.local[1] * s->spec.local[2] > 1) return false;
    if (s->spec.call.library != CLM_LIBRARY_NONE || s->spec.global[2] != (size_t)p->tasks || !p->nodes[s->node].per_task)
        return false;
    for (int i = 0; i < s->n_values; i++)
        if ((size_t)s->values[i] >= p->graph_count && !p->nodes[s->values[i]].per_task) return false;
    return true;
}

static double work_of(const clm_program *p, const clm_program_step *s) {
    return s->spec.flops / FLOPS + clm_program_step_traffic(p, s) / BYTES;
}

enum { NEVER, AUTO, ALWAYS };

static clm_status mode_from_environment(int *out) {
    const char *text = getenv("CLMAML_CHAIN");
    *out = AUTO;
    if (!text || !*text || !strcmp(text, "auto")) return CLM_OK;
    *out = strcmp(text, "never") ? ALWAYS : NEVER;
    if (*out == NEVER || !strcmp(text, "always")) return CLM_OK;
    return clm_fail(CLM_E_ARG, "CLMAML_CHAIN is \"%s\", must be auto, always or never", text);
}

/* Convolutions compile so slowly that a task kernel, which no other program shares, does not pay. */
static bool compiles_slowly(const clm_program *p, const clm_program_step *s) {
    const clm_opcode op = p->nodes[s->node].op;
    return s->spec.file && (op == CLM_OP_CONV2D || op == CLM_OP_CONV2D_BWD_DATA || op == CLM_OP_CONV2D_BWD_FILTER);
}

static bool pays(const clm_program *p, const clm_program_step *s, double work, size_t steps) {
    for (size_t i = 0; i < steps; i++)
        if (compiles_slowly(p, &s[i])) return false;
    const double launch = p->device->info.type == CLM_DEVICE_CPU ? LAUNCH : GPU_LAUNCH;
    return work / p->tasks < launch / 2 * (double)steps;
}

clm_status clm_program_find_task_kernels(clm_program *p) {
    int mode;
    CLM_TRY(mode_from_environment(&mode));
    if (mode == NEVER || !p->device->backend->make_task_kernel || p->device->no_task_kernels || p->no_fusion) return CLM_OK;
    for (size_t i = 0; i < p->n_steps;) {
        size_t n = 0;
        double work = 0;
        for (; i + n < p->n_steps && n < MOST && is_candidate(p, &p->steps[i + n]); n++) work += work_of(p, &p->steps[i + n]);
        if (n >= FEWEST && (mode == ALWAYS || pays(p, &p->steps[i], work, n))) {
            p->steps[i].launch_steps = n;
            for (size_t k = 1; k < n; k++) p->steps[i + k].launch_steps = 0;
        }
        i += n ? n : 1;
    }
    return CLM_OK;
}
