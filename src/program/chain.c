/* Which launches become one.
 *
 * A launch costs some 10 microseconds whatever it does, and a small network is hundreds of launches that do less than that. Steps that
 * follow one another and are all made for every task, out of its own memory, can be gone through by each task alone (see
 * device/opencl/chain.c). That is better where a task's part in a launch takes less than the launch costs. The number of tasks does not
 * count: results are to be the same bits however many tasks are taken at a time. */
#include <stdlib.h>
#include <string.h>

#include "ops/op.h"
#include "program/internal.h"

enum { FEWEST = 4, MOST = 400 };

static const double LAUNCH = 15e-6, FLOPS = 20e9, BYTES = 10e9; /* seconds; a second, of one compute unit: magnitudes */

/* Made for every task from its own memory: scratch memory that tasks share, and calls of libraries, are not. Groups whose work-items work
 * together are not taken apart. */
static bool can_chain(const clm_program *p, const clm_stage *s) {
    if (s->spec.local[0] * s->spec.local[1] * s->spec.local[2] > 1) return false;
    if (s->spec.call.library != CLM_LIBRARY_NONE || s->spec.global[2] != (size_t)p->tasks || !p->nodes[s->node].per_task)
        return false;
    for (int i = 0; i < s->n_values; i++)
        if ((size_t)s->values[i] >= p->graph_count && !p->nodes[s->values[i]].per_task) return false;
    return true;
}

static double work_of(const clm_program *p, const clm_stage *s) {
    return s->spec.flops / FLOPS + clm_program_step_traffic(p, s) / BYTES;
}

enum { NEVER, AUTO, ALWAYS };

static clm_status wish(int *out) {
    const char *text = getenv("CLMAML_CHAIN");
    *out = AUTO;
    if (!text || !*text || !strcmp(text, "auto")) return CLM_OK;
    *out = strcmp(text, "never") ? ALWAYS : NEVER;
    if (*out == NEVER || !strcmp(text, "always")) return CLM_OK;
    return clm_fail(CLM_E_ARG, "CLMAML_CHAIN is \"%s\", must be auto, always or never", text);
}

/* Convolutions take a compiler so long that a chain, which no other program shares, is not worth it. */
static bool is_large(const clm_stage *s) {
    return s->spec.file && (!strncmp(s->spec.file, "conv", 4) || !strncmp(s->spec.file, "winograd", 8));
}

static bool pays(const clm_program *p, const clm_stage *s, double work, size_t steps) {
    for (size_t i = 0; i < steps; i++)
        if (is_large(&s[i])) return false;
    return p->device->info.type == CLM_DEVICE_CPU && work / p->tasks < LAUNCH / 2 * (double)steps;
}

clm_status clm_program_chain(clm_program *p) {
    int mode;
    CLM_TRY(wish(&mode));
    if (mode == NEVER || !p->device->backend->chain || p->device->no_chains || p->no_fusion) return CLM_OK;
    for (size_t i = 0; i < p->n_steps;) {
        size_t n = 0;
        double work = 0;
        for (; i + n < p->n_steps && n < MOST && can_chain(p, &p->steps[i + n]); n++) work += work_of(p, &p->steps[i + n]);
        if (n >= FEWEST && (mode == ALWAYS || pays(p, &p->steps[i], work, n))) {
            p->steps[i].chained = n;
            for (size_t k = 1; k < n; k++) p->steps[i + k].chained = 0;
        }
        i += n ? n : 1;
    }
    return CLM_OK;
}
