/* Where a program's time goes: every launch timed alone. */
#include <stdlib.h>

#include "base/memory.h"
#include "ops/op.h"
#include "program/internal.h"

typedef struct timing {
    const clm_stage *stage;
    double seconds;
} timing;

static int slowest_first(const void *a, const void *b) {
    const timing *x = a, *y = b;
    return x->seconds < y->seconds ? 1 : x->seconds > y->seconds ? -1 : 0;
}

static int increasing(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Bytes of what a launch reads and writes, each once. */
static double traffic(const clm_program *p, const clm_stage *s) {
    double elements = 0;
    for (int i = 0; i < s->n_values; i++) elements += (double)clm_program_elements(p, p->homes[s->values[i]].root);
    return elements * (double)p->device->backend->element_size;
}

static void write_line(const clm_program *p, const timing *t, double total, FILE *to) {
    char text[80];
    const clm_stage *s = t->stage;
    const clm_unit *u = &p->units[s->unit];
    const clm_node *n = &p->nodes[s->node];
    fprintf(to, "%9.3f ms %5.1f %%  %7.1f GFLOP/s %7.1f GB/s  %s%s %s %d in %d out%s\n", t->seconds * 1e3,
            100 * t->seconds / total, s->spec.flops / t->seconds * 1e-9, traffic(p, s) / t->seconds * 1e-9,
            u->fused ? "fused " : "", clm_op_of(n)->name, clm_shape_text(u->fused ? &u->space : &n->shape, text, sizeof text),
            s->n_values - u->n_out, u->n_out, s->spec.defines);
}

clm_status clm_program_profile(clm_program *p, int runs, FILE *to) {
    if (runs < 1) return clm_fail(CLM_E_ARG, "profile: %d runs; at least 1 is needed", runs);
    timing *timings = clm_calloc(p->n_steps + 1, sizeof *timings);
    double *samples = clm_calloc((size_t)runs + 1, sizeof *samples), total = 0;
    clm_status status = timings && samples ? CLM_OK : CLM_E_MEMORY;
    if (status == CLM_OK && !p->prepared) status = clm_fail(CLM_E_STATE, "profile: prepare the program first");
    for (size_t i = 0; i < p->n_steps && status == CLM_OK; i++) {
        for (int r = 0; r < runs && status == CLM_OK; r++)
            status = p->device->backend->time(p->device, p->steps[i].kernel, &samples[r]);
        qsort(samples, (size_t)runs, sizeof *samples, increasing);
        timings[i] = (timing){&p->steps[i], samples[runs / 2]};
        total += timings[i].seconds;
    }
    if (status == CLM_OK) {
        qsort(timings, p->n_steps, sizeof *timings, slowest_first);
        fprintf(to, "%zu launches, %.3f ms in all, %.1f GFLOP/s\n", p->n_steps, total * 1e3, p->flops / total * 1e-9);
        for (size_t i = 0; i < p->n_steps; i++) write_line(p, &timings[i], total, to);
        if (ferror(to)) status = clm_fail(CLM_E_IO, "profile: writing failed");
    }
    free(timings);
    free(samples);
    return status;
}
