/* Instruction schedule: units that release memory come early.
 *
 * The rules of differentiation leave operations in the order in which they build them: a convolution's adjoint in the image,
 * which writes a large array, before that in the filter, which writes a small one and is the last to read the layer's input.
 * Where memory has priority (clm_program_options.thrifty), an operation that reads much more for the last time than it writes
 * moves before units that it does not depend on. The results are the same bits in any order.
 *
 * A unit moved before another reader of one of its operands no longer releases that operand; it moves as far as the rest
 * justifies.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "program/internal.h"

enum {
    MUCH = 4,    /* times what is written */
    LARGE = 4096 /* elements */
};

typedef struct scheduler {
    clm_program *p;
    int *writer, *reader; /* of a value's root: the unit that writes it, the last one that reads it; -1: none */
    bool *kept;           /* not in the workspace: an input, an output */
} scheduler;

/* Records what units from `first` to `last` write and read. */
static void note(scheduler *o, int first, int last) {
    for (int i = first; i <= last; i++) {
        const clm_unit *u = &o->p->units[i];
        for (int k = 0; k < u->n_out; k++) o->writer[u->out[k]] = i;
        for (int k = 0; k < clm_unit_operands(o->p, u); k++) {
            int *reader = &o->reader[clm_unit_operand(o->p, u, k)];
            if (*reader < i) *reader = i;
        }
    }
}

/* Elements that unit `at` would release before unit `to`. */
static size_t released(const scheduler *o, int at, int to) {
    const clm_unit *u = &o->p->units[at];
    size_t n = 0;
    for (int k = 0; k < clm_unit_operands(o->p, u); k++) {
        const clm_value root = clm_unit_operand(o->p, u, k);
        bool last = !o->kept[root] && o->reader[root] == at;
        for (int i = to; i < at && last; i++) last = !clm_unit_reads(o->p, &o->p->units[i], root);
        for (int i = 0; i < k && last; i++) last = clm_unit_operand(o->p, u, i) != root;
        if (last) n += clm_shape_size(&o->p->nodes[root].shape);
    }
    return n;
}

/* The earliest position for unit `at` that releases enough. */
static int place_of(const scheduler *o, int at) {
    const clm_unit *u = &o->p->units[at];
    const size_t written = clm_shape_size(&o->p->nodes[u->out[0]].shape),
                 least = written * MUCH > LARGE ? written * MUCH : LARGE;
    int first = 0, to = at;
    for (int k = 0; k < clm_unit_operands(o->p, u); k++) {
        const int writer = o->writer[clm_unit_operand(o->p, u, k)];
        if (writer >= first) first = writer + 1;
    }
    while (to > first && released(o, at, to - 1) >= least) to--;
    return to;
}

static void move(scheduler *o, int from, int to) {
    const clm_unit u = o->p->units[from];
    memmove(&o->p->units[to + 1], &o->p->units[to], (size_t)(from - to) * sizeof u);
    o->p->units[to] = u;
    for (int i = to; i <= from; i++) { /* last readers within this range may change */
        const clm_unit *moved = &o->p->units[i];
        for (int k = 0; k < clm_unit_operands(o->p, moved); k++) {
            int *reader = &o->reader[clm_unit_operand(o->p, moved, k)];
            if (*reader <= from) *reader = -1;
        }
    }
    note(o, to, from);
}

clm_status clm_program_schedule(clm_program *p, const clm_value *outputs, size_t n_outputs) {
    scheduler o = {.p = p,
                   .writer = clm_calloc(p->count + 1, sizeof *o.writer),
                   .reader = clm_calloc(p->count + 1, sizeof *o.reader),
                   .kept = clm_calloc(p->count + 1, sizeof *o.kept)};
    clm_status status = CLM_OK;
    if (!o.writer || !o.reader || !o.kept) {
        status = CLM_E_MEMORY;
        goto out;
    }
    for (size_t v = 0; v < p->count; v++) {
        o.writer[v] = o.reader[v] = -1;
        o.kept[v] = p->nodes[v].op == CLM_OP_INPUT;
    }
    for (size_t i = 0; i < n_outputs; i++) o.kept[p->homes[outputs[i]].root] = true;
    note(&o, 0, (int)p->n_units - 1);
    for (int i = 1; i < (int)p->n_units; i++) {
        const int to = p->units[i].fused ? i : place_of(&o, i);
        if (to < i) move(&o, i, to);
    }
out:
    free(o.writer);
    free(o.reader);
    free(o.kept);
    return status;
}
