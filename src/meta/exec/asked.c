/* What stages ask of an executor (stages.h), in the graph at hand. */
#include <stdlib.h>

#include "base/memory.h"
#include "meta/exec/builder.h"

static clm_part *part_at(const clm_stages *s) { return &s->builder->parts[s->builder->at]; }

clm_value clm_stage_param(clm_stages *s, size_t i, int step) {
    return clm_per_task(s->g, part_at(s)->leaf[clm_task_param_leaf(s->task, i, step)]);
}

clm_value clm_stage_rate(clm_stages *s, size_t i, int step) {
    const size_t leaf = clm_task_rate_leaf(s->task, i, step);
    return leaf == SIZE_MAX ? CLM_INVALID : part_at(s)->leaf[leaf];
}

clm_value clm_stage_weight(clm_stages *s, int k) { return s->task->weights ? part_at(s)->weight[k - 1] : CLM_INVALID; }

static clm_value rows_of(clm_graph *g, clm_value x, int first, int count) {
    clm_shape shape = clm_value_shape(g, x);
    int32_t start[CLM_MAX_RANK] = {first};
    shape.dim[0] = count;
    return clm_slice(g, x, start, shape);
}

clm_examples clm_stage_support(clm_stages *s, int step) {
    clm_examples e = part_at(s)->support;
    const int n = s->task->options.support;
    e.dropout.pass = s->task->algorithm->one_inner_loss ? 0 : 2 * step;
    if (s->task->options.support_per_step) {
        e.x = rows_of(s->g, e.x, step * n, n);
        e.y = rows_of(s->g, e.y, step * n, n);
    }
    return clm_task_masked(s->g, e, part_at(s)->counting[0], part_at(s)->counting[2]);
}

clm_examples clm_stage_query(clm_stages *s, int k) {
    clm_examples e = part_at(s)->query;
    e.dropout.pass = 2 * k + 1;
    return clm_task_masked(s->g, e, part_at(s)->counting[1], part_at(s)->counting[2]);
}

void clm_stage_prefer_memory(clm_stages *s) { part_at(s)->prefer_memory = s->builder->n_parts > 1; }

clm_record *clm_builder_find(clm_builder *b, clm_slot slot) {
    for (size_t r = b->n_records; r-- > 0;) {
        const clm_slot *o = &b->records[r].slot;
        if (o->kind == slot.kind && o->step == slot.step && o->i == slot.i) return &b->records[r];
    }
    return NULL;
}

clm_status clm_stage_put(clm_stages *s, clm_slot slot, clm_value v) {
    clm_builder *b = s->builder;
    CLM_TRY(clm_graph_status(s->g));
    CLM_TRY(clm_grow(&b->records, &b->records_capacity, b->n_records + 1, sizeof *b->records));
    b->records[b->n_records++] = (clm_record){.slot = slot, .part = b->at, .value = v};
    return CLM_OK;
}

clm_value clm_stage_get(clm_stages *s, clm_slot slot) {
    clm_builder *b = s->builder;
    clm_record *r = clm_builder_find(b, slot);
    if (!r) return CLM_INVALID;
    if (r->part == b->at) return r->value;
    for (size_t i = 0; i < r->n_arrivals; i++)
        if (r->arrivals[i].part == b->at) return r->arrivals[i].input;
    if (clm_grow(&r->arrivals, &r->arrivals_capacity, r->n_arrivals + 1, sizeof *r->arrivals) != CLM_OK)
        return clm_graph_error(s->g, CLM_E_MEMORY, "out of memory");
    const clm_value in = clm_input(s->g, "slot", clm_value_shape(b->parts[r->part].g, r->value), true);
    r->arrivals[r->n_arrivals++] = (clm_arrival){b->at, in};
    return in;
}

static clm_status contribute(clm_stages *s, size_t leaf, clm_value v) {
    clm_builder *b = s->builder;
    if (leaf == SIZE_MAX || !s->task->leaves[leaf].learned) return CLM_OK;
    CLM_TRY(clm_graph_status(s->g));
    CLM_TRY(clm_grow(&b->contributions, &b->contributions_capacity, b->n_contributions + 1, sizeof *b->contributions));
    b->contributions[b->n_contributions++] = (clm_contribution){b->at, leaf, v};
    return CLM_OK;
}

clm_status clm_stage_add_gradient(clm_stages *s, size_t i, int step, clm_value v) {
    return contribute(s, clm_task_param_leaf(s->task, i, step), v);
}

clm_status clm_stage_add_rate_gradient(clm_stages *s, size_t i, int step, clm_value v) {
    return contribute(s, clm_task_rate_leaf(s->task, i, step), v);
}

clm_status clm_stage_read(clm_stages *s, clm_quantity what, size_t index, clm_value v) {
    const clm_share *m = s->builder->m;
    clm_part *p = part_at(s);
    clm_record *shared = NULL;
    if (what == CLM_Q_ADAPTED && !m->request.keep_adapted) return CLM_OK;
    CLM_TRY(clm_graph_status(s->g));
    const clm_shape shape = clm_value_shape(s->g, v);
    if (what == CLM_Q_ADAPTED && s->builder->n_parts > 1)
        shared = clm_builder_find(s->builder, (clm_slot){CLM_SLOT_THETA, s->task->options.steps, index});
    if (shared) {
        shared->kept = true;
        v = CLM_INVALID;
    } else {
        v = clm_part_own_value(p, clm_per_task(s->g, v));
        CLM_TRY(clm_part_output(p, v, NULL));
    }
    CLM_TRY(clm_grow(&p->reads, &p->reads_capacity, p->n_reads + 1, sizeof *p->reads));
    const size_t count = clm_shape_size(&shape);
    double *host = clm_calloc(count * (size_t)m->tasks, sizeof *host);
    if (!host) return CLM_E_MEMORY;
    p->reads[p->n_reads++] = (clm_readout){.what = what, .index = index, .value = v, .count = count, .host = host};
    return CLM_OK;
}
