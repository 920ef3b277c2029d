/* Lowering: units to steps. A step is a launch that knows its values but not yet their memory. */
#include "program/lower.h"

#include <assert.h>

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ops/op.h"
#include "program/internal.h"

const clm_graph *clm_lower_graph(const clm_lower *l) { return &l->graph; }
const clm_device_info *clm_lower_device(const clm_lower *l) { return &l->program->device->info; }
clm_device *clm_lower_opened(const clm_lower *l) { return l->program->device; }

int clm_lower_tasks(const clm_lower *l, clm_value v) {
    return v == CLM_INVALID || l->program->nodes[v].per_task ? l->program->tasks : 1;
}

clm_value clm_lower_scratch(clm_lower *l, size_t elements, bool per_task) {
    clm_program *p = l->program;
    if (elements > INT32_MAX) return CLM_INVALID;
    clm_node *nodes = realloc(p->nodes, (p->count + 2) * sizeof *nodes);
    if (!nodes) return CLM_INVALID;
    p->nodes = l->graph.nodes = nodes;
    clm_home *homes = realloc(p->homes, (p->count + 2) * sizeof *homes);
    if (!homes) return CLM_INVALID;
    p->homes = homes;
    const clm_value v = (clm_value)p->count++;
    p->nodes[v] = (clm_node){.op = CLM_OP_FILL, .per_task = per_task, .shape = clm_shape_of(1, (int)elements)};
    p->homes[v] = (clm_home){.root = v,
                             .live = true,
                             .materialized = true,
                             .first = l->unit,
                             .last = l->unit,
                             .tensor = -1,
                             .before = CLM_INVALID,
                             .next = CLM_INVALID};
    return v;
}

void clm_lower_took(clm_lower *l, int row) { l->program->implementations |= (uint32_t)1 << row; }

void clm_spec_define(clm_launch_spec *spec, const char *name, long value) {
    size_t used = strlen(spec->defines);
    int n = snprintf(spec->defines + used, sizeof spec->defines - used, " -D%s=%ld", name, value);
    assert(n > 0 && used + (size_t)n < sizeof spec->defines);
    (void)n;
}

clm_status clm_lower_step(clm_lower *l, clm_value node, const clm_launch_spec *spec, char *source, const clm_value *values,
                          int n_values, const int *ints, int n_ints) {
    clm_program *p = l->program;
    clm_status status = clm_grow(&p->steps, &p->steps_capacity, p->n_steps + 1, sizeof *p->steps);
    if (status != CLM_OK) {
        free(source);
        return status;
    }
    assert(n_values <= CLM_STEP_VALUES && n_ints <= CLM_STEP_INTS);
    clm_program_step *s = &p->steps[p->n_steps++];
    memset(s, 0, sizeof *s);
    s->unit = l->unit;
    s->launch_steps = 1;
    s->node = node;
    s->spec = *spec;
    s->source = source;
    s->n_values = n_values;
    for (int i = 0; i < n_values; i++) s->values[i] = values[i];
    s->n_ints = n_ints;
    for (int i = 0; i < n_ints; i++) s->ints[i] = ints[i];
    p->flops += spec->flops;
    return CLM_OK;
}

clm_status clm_lower_launch(clm_lower *l, clm_value node, const clm_launch_spec *spec, const clm_value *values, int n_values,
                            const int *ints, int n_ints) {
    return clm_lower_step(l, node, spec, NULL, values, n_values, ints, n_ints);
}

/* ---- the host reference: one step an operation ---- */

struct clm_host_context {
    clm_node node, in[CLM_MAX_INPUTS];
    int tasks;
    bool single; /* round to float */
};

static void round_all(double *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = (double)(float)x[i];
}

static void scalar_eval(const clm_eval *e) {
    const clm_op *op = clm_op_of(e->node);
    size_t n = clm_shape_size(&e->node->shape);
    for (size_t i = 0; i < n; i++)
        e->out[i] = op->scalar(e->in[0] ? e->in[0][i] : 0, e->in[1] ? e->in[1][i] : 0, &e->node->attr);
}

static void host_run(const clm_launch *launch) {
    const struct clm_host_context *c = launch->context;
    const clm_op *op = clm_op_of(&c->node);
    clm_eval e = {.node = &c->node, .tasks = c->tasks};
    int runs = c->node.per_task ? c->tasks : 1;
    for (int t = 0; t < runs; t++) {
        e.out = clm_host_data(launch->args[0].mem) + launch->args[0].offset + (size_t)t * launch->args[0].task_stride;
        for (int i = 0; i < c->node.n_in; i++) {
            const clm_arg *a = &launch->args[1 + i];
            e.in_node[i] = &c->in[i];
            e.in_stride[i] = a->task_stride;
            e.in[i] = clm_host_data(a->mem) + a->offset + (size_t)t * a->task_stride;
        }
        if (op->eval)
            op->eval(&e);
        else
            scalar_eval(&e);
        if (c->single) round_all(e.out, clm_shape_size(&c->node.shape));
    }
}

static clm_status host_lower(clm_lower *l, clm_value v) {
    clm_program *p = l->program;
    clm_launch_spec spec = {.entry = "host"};
    clm_value values[1 + CLM_MAX_INPUTS] = {v};
    struct clm_host_context *c = clm_calloc(1, sizeof *c);
    if (!c) return CLM_E_MEMORY;
    c->node = p->nodes[v];
    c->tasks = p->tasks;
    c->single = p->device->single;
    for (int i = 0; i < c->node.n_in; i++) {
        c->in[i] = p->nodes[c->node.in[i]];
        values[1 + i] = c->node.in[i];
    }
    clm_status status = clm_lower_step(l, v, &spec, NULL, values, 1 + c->node.n_in, NULL, 0);
    if (status != CLM_OK)
        free(c);
    else
        p->steps[p->n_steps - 1].host = c;
    return status;
}

void (*const clm_host_run)(const clm_launch *) = host_run;

clm_lower clm_lower_for(clm_program *p) { return (clm_lower){.graph = {.nodes = p->nodes, .count = p->count}, .program = p}; }

clm_status clm_program_lower(clm_program *p) {
    clm_lower l = clm_lower_for(p);
    for (size_t i = 0; i < p->n_units; i++) {
        const clm_unit *u = &p->units[i];
        const clm_op *op = clm_op_of(&p->nodes[u->out[0]]);
        l.unit = (int)i;
        if (u->group != (int)i) continue;
        if (clm_group_size(p, i) > 1)
            CLM_TRY(clm_codegen_horizontal(&l, i));
        else if (p->device->info.type == CLM_DEVICE_HOST)
            CLM_TRY(host_lower(&l, u->out[0]));
        else if (u->fused)
            CLM_TRY(clm_codegen(&l, u));
        else if (op->lower)
            CLM_TRY(op->lower(&l, u->out[0]));
        else
            return clm_fail(CLM_E_STATE, "operation %s has no OpenCL kernel", op->name);
    }
    return CLM_OK;
}
