/* Rematerialisation: large values that are computed again instead of being kept.
 *
 * An operation whose operands are all inputs, such as the first convolution of a network, can be computed again at any time.
 * Where memory has priority (clm_program_options.thrifty), its result is released between two distant reads and computed again
 * before the second, if that lowers the peak by a tenth. The value keeps its number and its offset: two units write it, and its
 * lifetime has a gap.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "program/internal.h"

enum { MOST_VALUES = 4 };

/* An operation on inputs whose result is in the workspace and not rematerialised yet. */
static bool is_candidate(const clm_program *p, const clm_unit *u) {
    const clm_node *n = &p->nodes[u->out[0]];
    if (u->fused || clm_group_size(p, (size_t)u->group) > 1 || p->homes[u->out[0]].rematerialised) return false;
    for (int i = 0; i < n->n_in; i++)
        if (p->nodes[p->homes[n->in[i]].root].op != CLM_OP_INPUT) return false;
    return clm_program_in_workspace(p, u->out[0]);
}

/* The array has room for one more unit. */
static void insert(clm_program *p, int at, clm_unit u) {
    memmove(&p->units[at + 1], &p->units[at], (p->n_units - (size_t)at) * sizeof u);
    p->n_units++;
    for (size_t i = 0; i < p->n_units; i++) p->units[i].group += p->units[i].group >= at;
    u.group = at;
    p->units[at] = u;
}

static void take_away(clm_program *p, int at) {
    p->n_units--;
    memmove(&p->units[at], &p->units[at + 1], (p->n_units - (size_t)at) * sizeof *p->units);
    for (size_t i = 0; i < p->n_units; i++) p->units[i].group -= p->units[i].group > at;
}

/* The launch before which unit `which` is best computed again; -1: none. *best becomes the peak with it, if that is lower. */
static clm_status best_place(clm_program *p, const bool *reader, int which, int *place, size_t *best) {
    const clm_unit copy = p->units[which];
    const int n = (int)p->n_units;
    size_t peak;
    for (int at = n - 1; at > which; at--) {
        if (!reader[at]) continue;
        int before = at - 1;
        while (before > which && !reader[before]) before--;
        if (before == at - 1 || before == which) continue;
        insert(p, at, copy);
        clm_status status = clm_program_find_places(p);
        if (status == CLM_OK) status = clm_program_peak(p, &peak);
        take_away(p, at);
        CLM_TRY(status);
        if (peak < *best) {
            *best = peak;
            *place = at;
        }
    }
    return CLM_OK;
}

static clm_status rematerialise_one(clm_program *p, size_t peak, bool *reader, bool *done) {
    int place = -1, which = -1;
    size_t best = peak - peak / 10;
    for (int i = 0; i < (int)p->n_units; i++) {
        if (!is_candidate(p, &p->units[i]) || clm_shape_size(&p->nodes[p->units[i].out[0]].shape) < peak / 10) continue;
        const clm_value v = p->units[i].out[0];
        int at = -1;
        memset(reader, 0, p->n_units * sizeof *reader);
        for (size_t k = 0; k < p->n_units; k++)
            if (clm_unit_reads(p, &p->units[k], v)) reader[p->units[k].group] = true;
        CLM_TRY(best_place(p, reader, i, &at, &best));
        CLM_TRY(clm_program_find_places(p)); /* without the copy again */
        if (at < 0) continue;
        place = at;
        which = i;
    }
    *done = place < 0;
    if (*done) return CLM_OK;
    insert(p, place, p->units[which]);
    return clm_program_find_places(p);
}

clm_status clm_program_rematerialise(clm_program *p) {
    clm_status status = CLM_OK;
    bool *reader = clm_calloc(p->n_units + MOST_VALUES + 1, sizeof *reader), done = false;
    if (!reader) return CLM_E_MEMORY;
    for (int i = 0; i < MOST_VALUES && !done; i++) {
        size_t peak = 0;
        CLM_GOTO(clm_grow(&p->units, &p->units_capacity, p->n_units + 1, sizeof *p->units));
        CLM_GOTO(clm_program_peak(p, &peak));
        CLM_GOTO(rematerialise_one(p, peak, reader, &done));
    }
out:
    free(reader);
    return status;
}
