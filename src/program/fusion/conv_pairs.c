/* Convolution pairs: two convolutions whose results are only added, as in a tangent by the product rule, become one operation
 * with both terms, y(a, b) + y(c, d). One launch writes the sum, instead of two that write a result each and a third that adds
 * them. In the program's copy of the graph the sum becomes a node like its terms, with four operands.
 *
 * The terms must agree in all that kernels are built for, and their implementation must support pairs. It is chosen for each
 * term separately, so that a pair uses what was tuned for its terms. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ops/choice.h"
#include "ops/op.h"
#include "program/internal.h"

static void count_uses(const clm_program *p, const clm_value *outputs, size_t n_outputs, int *uses) {
    for (size_t v = 0; v < p->count; v++) uses[v] = 0;
    for (size_t i = 0; i < n_outputs; i++) uses[outputs[i]] = 1;
    for (size_t v = p->count; v-- > 0;)
        for (int i = 0; uses[v] && i < p->nodes[v].n_in; i++) uses[p->nodes[v].in[i]]++;
}

static bool alike(const clm_program *p, const clm_node *a, const clm_node *b) {
    if (a->op != b->op || a->n_in != 2 || b->n_in != 2 || a->per_task != b->per_task ||
        memcmp(a->attr.i, b->attr.i, sizeof a->attr.i) != 0)
        return false;
    for (int i = 0; i < 2; i++)
        if (!clm_shape_equal(&p->nodes[a->in[i]].shape, &p->nodes[b->in[i]].shape)) return false;
    return true;
}

static bool launched_in_pairs(const clm_lower *l, clm_value a, clm_value b) {
    const clm_impl *impl = clm_choice_for(l, a).impl;
    return impl->pairs && impl == clm_choice_for(l, b).impl && impl->pairs(l, a) && impl->pairs(l, b);
}

static bool is_pair(const clm_lower *l, clm_value v, const int *uses) {
    const clm_program *p = l->program;
    const clm_node *sum = &p->nodes[v];
    if (!uses[v] || sum->op != CLM_OP_ADD || sum->in[0] == sum->in[1]) return false;
    const clm_node *a = &p->nodes[sum->in[0]], *b = &p->nodes[sum->in[1]];
    const bool convolution = a->op == CLM_OP_CONV2D || a->op == CLM_OP_CONV2D_BWD_DATA || a->op == CLM_OP_CONV2D_BWD_FILTER;
    return convolution && uses[sum->in[0]] == 1 && uses[sum->in[1]] == 1 && sum->per_task == a->per_task && alike(p, a, b) &&
           launched_in_pairs(l, sum->in[0], sum->in[1]);
}

clm_status clm_program_pair_convolutions(clm_program *p, const clm_value *outputs, size_t n_outputs) {
    if (p->device->info.type == CLM_DEVICE_HOST || p->no_fusion) return CLM_OK;
    const clm_lower l = clm_lower_for(p);
    int *uses = clm_calloc(p->count + 1, sizeof *uses);
    if (!uses) return CLM_E_MEMORY;
    count_uses(p, outputs, n_outputs, uses);
    for (size_t v = 0; v < p->count; v++) {
        clm_node *sum = &p->nodes[v];
        if (!is_pair(&l, (clm_value)v, uses)) continue;
        const clm_node a = p->nodes[sum->in[0]], b = p->nodes[sum->in[1]];
        sum->op = a.op;
        sum->attr = a.attr;
        sum->n_in = 4;
        for (int i = 0; i < 2; i++) {
            sum->in[i] = a.in[i];
            sum->in[2 + i] = b.in[i];
        }
    }
    free(uses);
    return CLM_OK;
}
