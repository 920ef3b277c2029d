/* Where the time of programs goes: every launch timed alone, launches of one kernel on one shape counted together.
 *
 * A launch that runs alone waits for its own end, so the sum is above the time of a replay where launches are short.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ops/op.h"
#include "program/internal.h"

/* Launches of one label: what they did and how long that took. */
typedef struct profile_row {
    char *label;
    size_t launches;
    double seconds, flops, bytes;
} profile_row;

/* Operation, entry point, shape (of the index space, for a fused kernel), memory arguments and constants: what decides the
 * time. */
static char *label_of(const clm_program *p, const clm_program_step *s) {
    char shape[80];
    const clm_unit *u = &p->units[s->unit];
    const clm_node *n = &p->nodes[s->node];
    const char *operation = clm_op_of(n)->name, *entry = s->spec.entry && !u->fused ? s->spec.entry : "";
    int written = 0;
    for (int i = 0; i < s->n_values; i++) written += clm_unit_writes(p, (size_t)s->unit, s->values[i]);
    size_t size = strlen(operation) + strlen(entry) + strlen(s->spec.defines) + sizeof shape + 64;
    char *label = clm_calloc(size, 1);
    if (!label) return NULL;
    if (strcmp(entry, operation) == 0) entry = "";
    snprintf(label, size, "%s%s%s%s %s%s %d in %d out%s", u->fused ? "fused " : "", operation, *entry ? ":" : "", entry,
             clm_shape_text(u->fused ? &u->space : &n->shape, shape, sizeof shape), n->per_task ? " per task" : "",
             s->n_values - written, written, s->spec.defines);
    return label;
}

static int increasing(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static clm_status time_step(clm_program *p, const clm_program_step *s, int runs, double *samples, profile_row *row) {
    for (int r = 0; r < runs; r++) CLM_TRY(p->device->backend->time(p->device, s->kernel, &samples[r]));
    qsort(samples, (size_t)runs, sizeof *samples, increasing);
    *row = (profile_row){s->launch_steps > 1
                             ? clm_format(p->n_teams ? "team of %zu launches; CLMAML_CPU_TEAM=1 shows them"
                                                     : "task kernel of %zu launches; CLMAML_CHAIN=never shows them",
                                          s->launch_steps)
                             : label_of(p, s),
                         1, samples[runs / 2], 0, 0};
    for (size_t i = 0; i < s->launch_steps; i++) {
        row->flops += s[i].spec.flops;
        row->bytes += clm_program_step_traffic(p, &s[i]);
    }
    return row->label ? CLM_OK : CLM_E_MEMORY;
}

static int by_label(const void *a, const void *b) {
    return strcmp(((const profile_row *)a)->label, ((const profile_row *)b)->label);
}

static int slowest_first(const void *a, const void *b) {
    const profile_row *x = a, *y = b;
    return x->seconds < y->seconds ? 1 : x->seconds > y->seconds ? -1 : by_label(a, b);
}

/* Adds rows of one label together; returns how many are left. */
static size_t merge(profile_row *rows, size_t count) {
    size_t kept = 0;
    qsort(rows, count, sizeof *rows, by_label);
    for (size_t i = 0; i < count; i++) {
        if (kept && by_label(&rows[kept - 1], &rows[i]) == 0) {
            profile_row *to = &rows[kept - 1];
            to->launches++;
            to->seconds += rows[i].seconds;
            to->flops += rows[i].flops;
            to->bytes += rows[i].bytes;
            free(rows[i].label);
            rows[i].label = NULL;
        } else if (kept != i) {
            rows[kept++] = rows[i];
            rows[i].label = NULL;
        } else {
            kept++;
        }
    }
    return kept;
}

static clm_status write_rows(profile_row *rows, size_t count, FILE *to) {
    profile_row all = {0};
    for (size_t i = 0; i < count; i++) {
        all.launches += rows[i].launches;
        all.seconds += rows[i].seconds;
        all.flops += rows[i].flops;
        all.bytes += rows[i].bytes;
    }
    qsort(rows, count, sizeof *rows, slowest_first);
    fprintf(to, "%zu launches of %zu kernels and shapes, %.3f ms when each runs alone, %.1f GFLOP/s, %.1f GB/s\n", all.launches,
            count, all.seconds * 1e3, all.flops / all.seconds * 1e-9, all.bytes / all.seconds * 1e-9);
    fprintf(to, "%7s %10s %8s %9s %8s  %s\n", "share", "ms", "launches", "GFLOP/s", "GB/s", "kernel");
    for (size_t i = 0; i < count; i++)
        fprintf(to, "%5.1f %% %10.3f %8zu %9.1f %8.1f  %s\n", 100 * rows[i].seconds / all.seconds, rows[i].seconds * 1e3,
                rows[i].launches, rows[i].flops / rows[i].seconds * 1e-9, rows[i].bytes / rows[i].seconds * 1e-9,
                rows[i].label);
    return ferror(to) ? clm_fail(CLM_E_IO, "profile: writing failed") : CLM_OK;
}

clm_status clm_programs_profile(clm_program *const *programs, size_t n, int runs, FILE *to) {
    if (runs < 1) return clm_fail(CLM_E_ARG, "profile: %d runs; at least 1 is needed", runs);
    size_t steps = 0, count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!programs[i]->prepared) return clm_fail(CLM_E_STATE, "profile: prepare the program first");
        steps += programs[i]->n_steps;
    }
    profile_row *rows = clm_calloc(steps + 1, sizeof *rows);
    double *samples = clm_calloc((size_t)runs + 1, sizeof *samples);
    clm_status status = rows && samples ? CLM_OK : CLM_E_MEMORY;
    for (size_t i = 0; i < n && status == CLM_OK; i++)
        for (size_t k = 0; k < programs[i]->n_steps && status == CLM_OK; k += programs[i]->steps[k].launch_steps)
            status = time_step(programs[i], &programs[i]->steps[k], runs, samples, &rows[count++]);
    if (status == CLM_OK) status = write_rows(rows, merge(rows, count), to);
    for (size_t i = 0; rows && i < steps; i++) free(rows[i].label);
    free(rows);
    free(samples);
    return status;
}

clm_status clm_program_profile(clm_program *program, int runs, FILE *to) { return clm_programs_profile(&program, 1, runs, to); }
