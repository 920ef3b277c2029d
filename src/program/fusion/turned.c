/* Turned filters: the adjoint of a convolution in its data correlates with the filter turned by half a turn. Where all that read
 * a turned filter can read it so from the filter itself (clm_impl.turns), it is not computed: it is a view of the filter, and
 * `clm_lower_turned` tells the implementation. The numbers and the order of sums are the same. */
#include "ops/choice.h"
#include "ops/conv.h"
#include "ops/op.h"
#include "program/internal.h"

static bool is_convolution(const clm_node *n) { return n->op == CLM_OP_CONV2D || n->op == CLM_OP_CONV2D_BWD_DATA; }

/* Can node v read its operands that are turned as they are? Of a pair, both filters must be turned or none. */
static bool can_read(const clm_lower *l, clm_value v) {
    const clm_program *p = l->program;
    const clm_node *n = &p->nodes[v];
    if (!is_convolution(n)) return false;
    for (int i = 1; i < n->n_in; i += 2)
        if (p->homes[n->in[i - 1]].turned || !p->homes[n->in[i]].turned) return false;
    if (!clm_choice_may_turn(l, v)) return false;
    const clm_impl *impl = clm_choice_for(l, v).impl;
    return impl->turns && impl->turns(l, v);
}

/* Takes the mark from the operands of v; were there any? */
static bool unmark(clm_program *p, clm_value v) {
    bool any = false;
    for (int i = 0; i < p->nodes[v].n_in; i++) {
        any |= p->homes[p->nodes[v].in[i]].turned;
        p->homes[p->nodes[v].in[i]].turned = false;
    }
    return any;
}

static bool reads_any(const clm_program *p, clm_value v) {
    for (int i = 0; i < p->nodes[v].n_in; i++)
        if (p->homes[p->nodes[v].in[i]].turned) return true;
    return false;
}

void clm_program_turn_filters(clm_program *p, const clm_value *outputs, size_t n_outputs) {
    const clm_lower l = clm_lower_for(p);
    bool changed = p->device->info.type != CLM_DEVICE_HOST && !p->no_fusion;
    for (size_t v = 0; v < p->count && changed; v++) {
        const bool alone = p->nodes[v].op == CLM_OP_FLIP_FILTER && p->nodes[v].attr.i[6] == 1;
        p->homes[v].turned = alone && p->homes[v].live;
    }
    for (size_t i = 0; i < n_outputs; i++) p->homes[outputs[i]].turned = false;
    while (changed) {
        changed = false;
        for (size_t v = 0; v < p->count; v++)
            if (p->homes[v].live && reads_any(p, (clm_value)v) && !can_read(&l, (clm_value)v))
                changed |= unmark(p, (clm_value)v);
    }
}

bool clm_lower_turned(const clm_lower *l, clm_value v) { return l->program->homes[l->program->nodes[v].in[1]].turned; }
