/* Splitting a graph by dependence: what is computed once, and what is computed again whenever some inputs have changed.
 *
 * Walking back from the outputs, a value that depends on what varies is computed each time, and so are values between it and
 * the cut: elementwise ones, which kernels compute on the way to what uses them, views, and thin products, whose result costs
 * more to read than to make. The cut goes through the first values behind these: products, convolutions, reductions.
 */
#include "program/split.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "ops/matmul.h"
#include "ops/op.h"

enum { VARIES = 1, NEEDED = 2, KEPT = 4 };

/* A product of at most so many terms an element is made in the time in which memory behind caches delivers the element. */
enum { THIN = 16 };

static bool is_cheap(const clm_graph *g, clm_value v) {
    const clm_node *n = clm_node_at(g, v);
    if (clm_op_of(n)->flags & (CLM_OPF_ELEMENTWISE | CLM_OPF_VIEW | CLM_OPF_LEAF)) return true;
    return n->op == CLM_OP_MATMUL && clm_matmul_terms(g, v) <= THIN;
}

static void find_varying(const clm_graph *g, const clm_value *varying, size_t n, unsigned char *flags) {
    for (size_t i = 0; i < n; i++) flags[varying[i]] |= VARIES;
    for (size_t v = 0; v < g->count; v++)
        for (int i = 0; i < g->nodes[v].n_in; i++) flags[v] |= flags[g->nodes[v].in[i]] & VARIES;
}

/* How many values are kept. */
static size_t find_kept(const clm_graph *g, const clm_value *outputs, size_t n, unsigned char *flags) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) flags[outputs[i]] |= NEEDED;
    for (size_t v = g->count; v-- > 0;) {
        if (!(flags[v] & NEEDED)) continue;
        if (!(flags[v] & VARIES) && !is_cheap(g, (clm_value)v)) {
            flags[v] |= KEPT;
            kept++;
        } else {
            for (int i = 0; i < g->nodes[v].n_in; i++) flags[g->nodes[v].in[i]] |= NEEDED;
        }
    }
    return kept;
}

/* map[v]: what v is from now on. */
static void add_inputs(clm_graph *g, const unsigned char *flags, size_t count, clm_value *map, clm_cut *cut) {
    char name[32];
    for (size_t v = 0; v < count; v++) {
        map[v] = (clm_value)v;
        if (!(flags[v] & KEPT)) continue;
        const clm_shape shape = clm_value_shape(g, (clm_value)v);
        snprintf(name, sizeof name, "kept.%zu", cut->n);
        cut->kept[cut->n] = (clm_value)v;
        cut->input[cut->n++] = map[v] = clm_input(g, name, shape, clm_value_per_task(g, (clm_value)v));
    }
}

static void rebuild(clm_graph *g, const unsigned char *flags, size_t count, clm_value *map) {
    for (size_t v = 0; v < count; v++) {
        const clm_node n = *clm_node_at(g, (clm_value)v); /* a copy: the array moves as nodes are added */
        clm_value in[CLM_MAX_INPUTS];
        bool same = true;
        if (!(flags[v] & NEEDED) || (flags[v] & KEPT)) continue;
        for (int i = 0; i < n.n_in; i++) {
            in[i] = map[n.in[i]];
            same &= in[i] == n.in[i];
        }
        if (!same) map[v] = clm_graph_add(g, n.op, in, n.n_in, n.shape, &n.attr);
    }
}

clm_status clm_graph_split(clm_graph *g, const clm_value *varying, size_t n_varying, clm_value *outputs, size_t n_outputs,
                           clm_cut *cut) {
    const size_t count = g->count;
    clm_status status = CLM_OK;
    *cut = (clm_cut){0};
    CLM_TRY(clm_graph_status(g));
    if (!clm_graph_valid(g, varying, (int)n_varying) || !clm_graph_valid(g, outputs, (int)n_outputs))
        return clm_graph_status(g);
    unsigned char *flags = clm_calloc(count + 1, 1);
    clm_value *map = clm_calloc(count + 1, sizeof *map);
    CLM_GOTO(flags && map ? CLM_OK : CLM_E_MEMORY);
    find_varying(g, varying, n_varying, flags);
    const size_t kept = find_kept(g, outputs, n_outputs, flags);
    cut->kept = clm_calloc(kept + 1, sizeof *cut->kept);
    cut->input = clm_calloc(kept + 1, sizeof *cut->input);
    CLM_GOTO(cut->kept && cut->input ? CLM_OK : CLM_E_MEMORY);
    add_inputs(g, flags, count, map, cut);
    rebuild(g, flags, count, map);
    for (size_t i = 0; i < n_outputs; i++) outputs[i] = map[outputs[i]];
    status = clm_graph_status(g);
out:
    free(flags);
    free(map);
    if (status != CLM_OK) clm_cut_free(cut);
    return status;
}

void clm_cut_free(clm_cut *cut) {
    free(cut->kept);
    free(cut->input);
    *cut = (clm_cut){0};
}
