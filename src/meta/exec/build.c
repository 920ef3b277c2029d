/* The two executors of stages: *store*, one program of all stages, and *recompute*, a program for each.
 *
 * All graphs are built first. Then it is known which slots pass from one program to another and for how long, so that tensors
 * are shared by slots whose lives do not overlap, and which parts of the gradient several programs add to: those are added up
 * per task on the way and summed over tasks once, by the last. So the sum over tasks is the same one for both executors and for
 * every number of tasks per launch.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "graph/internal.h"
#include "meta/exec/builder.h"

/* ---- memory ---- */

static clm_status keep_tensor(clm_exec *x, clm_tensor *t) {
    x->tensors[x->n_tensors++] = t;
    return CLM_OK;
}

clm_status clm_exec_reserve(clm_share *m, clm_tensor **out, clm_shape shape, int tasks) {
    clm_exec *x = &m->exec;
    uint64_t most = m->device->info.max_allocation;
    if (most && clm_shape_size(&shape) * (size_t)(tasks ? tasks : 1) > most / m->device->backend->element_size)
        return clm_fail(CLM_E_LIMIT,
                        "meta: %d tasks at a time need more in one piece than %s allows (%s); use fewer tasks at a time", tasks,
                        m->device->info.name, clm_bytes_text((double)most).s);
    CLM_TRY(clm_grow(&x->tensors, &x->tensors_capacity, x->n_tensors + 1, sizeof *x->tensors));
    CLM_TRY(clm_tensor_reserve(out, m->device, shape, tasks));
    return keep_tensor(x, *out);
}

clm_status clm_exec_view(clm_share *m, clm_tensor **out, clm_tensor *whole, size_t at, clm_shape shape, int tasks) {
    clm_exec *x = &m->exec;
    CLM_TRY(clm_grow(&x->tensors, &x->tensors_capacity, x->n_tensors + 1, sizeof *x->tensors));
    CLM_TRY(clm_tensor_view(out, whole, at, shape, tasks));
    return keep_tensor(x, *out);
}

/* ---- inputs and outputs of a graph ---- */

clm_status clm_part_bind(clm_part *p, clm_value v, clm_tensor *t) {
    CLM_TRY(clm_grow(&p->binds, &p->binds_capacity, p->n_binds + 1, sizeof *p->binds));
    p->binds[p->n_binds++] = (clm_bind){v, t};
    return CLM_OK;
}

/* A value that no other output is, and that a kernel writes: so that each output can have memory of its own. */
clm_value clm_part_own_value(clm_part *p, clm_value v) {
    if (v == CLM_INVALID) return v;
    const clm_opcode op = p->g->nodes[v].op;
    bool taken = op == CLM_OP_INPUT || op == CLM_OP_FILL || op == CLM_OP_PER_TASK || op == CLM_OP_RESHAPE;
    for (size_t i = 0; i < p->n_outputs && !taken; i++) taken = p->outputs[i] == v;
    return taken ? clm_copy_of(p->g, v, p->n_outputs) : v;
}

clm_status clm_part_output(clm_part *p, clm_value v, clm_tensor *t) {
    v = clm_part_own_value(p, v);
    CLM_TRY(clm_graph_status(p->g));
    CLM_TRY(clm_grow(&p->outputs, &p->outputs_capacity, p->n_outputs + 1, sizeof *p->outputs));
    p->outputs[p->n_outputs++] = v;
    return t ? clm_part_bind(p, v, t) : CLM_OK;
}

static clm_status begin_counting(const clm_share *m, clm_part *p) {
    static const char *const names[3] = {"support.rows", "query.rows", "outputs"};
    for (int i = 0; i < 3; i++) {
        clm_tensor *t = m->exec.counting[i];
        p->counting[i] = t ? clm_input(p->g, names[i], clm_tensor_shape(t), true) : CLM_INVALID;
        if (t) CLM_TRY(clm_part_bind(p, p->counting[i], t));
    }
    return CLM_OK;
}

/* 1 for the tasks that belong to an initialisation, 0 for the others; per task. */
clm_value clm_part_belongs(clm_part *p, size_t start) { return clm_equal(p->g, p->chosen, clm_const(p->g, (double)start)); }

/* A leaf as an input. Of several initialisations each is one, and the leaf is that of the task's: what is not chosen counts
 * nothing, and neither does its derivative. */
static clm_status begin_leaf(clm_builder *b, clm_part *p, size_t l) {
    const clm_share *m = b->m;
    const clm_task *t = m->task;
    char label[96];
    p->leaf[l] = CLM_INVALID;
    for (size_t start = 0; start < m->starts; start++) {
        snprintf(label, sizeof label, "%s", t->entries[t->leaves[l].entry].name);
        const clm_value in = clm_input(p->g, label, t->leaves[l].shape, false);
        CLM_TRY(clm_part_bind(p, in, m->value[start * t->n_leaves + l]));
        const clm_value part = m->starts > 1 ? clm_mul(p->g, clm_part_belongs(p, start), in) : in;
        p->leaf[l] = start ? clm_add(p->g, p->leaf[l], part) : part;
    }
    return CLM_OK;
}

static clm_status begin_part(clm_builder *b, clm_part *p) {
    const clm_share *m = b->m;
    const clm_task *t = m->task;
    CLM_TRY(clm_graph_create(&p->g));
    clm_program_ask_few_passes(m->device, p->g);
    p->support = clm_task_examples(t, p->g, "support", clm_task_support(t));
    p->query = clm_task_examples(t, p->g, "query", t->options.query);
    const clm_value in[4] = {p->support.x, p->support.y, p->query.x, p->query.y};
    for (int i = 0; i < 4; i++) CLM_TRY(clm_part_bind(p, in[i], m->exec.batch[i]));
    p->support.dropout.key = p->query.dropout.key = clm_task_dropout_key(t, p->g);
    if (m->exec.keys) CLM_TRY(clm_part_bind(p, p->support.dropout.key, m->exec.keys));
    CLM_TRY(begin_counting(m, p));
    p->leaf = clm_calloc(t->n_leaves, sizeof *p->leaf);
    p->weight = clm_calloc((size_t)t->options.steps + 1, sizeof *p->weight);
    if (!p->leaf || !p->weight) return CLM_E_MEMORY;
    p->chosen = m->exec.chosen ? clm_input(p->g, "chosen", (clm_shape){0}, true) : CLM_INVALID;
    if (m->exec.chosen) CLM_TRY(clm_part_bind(p, p->chosen, m->exec.chosen));
    for (size_t l = 0; l < t->n_leaves; l++) CLM_TRY(begin_leaf(b, p, l));
    for (int k = 0; t->weights && k < t->options.steps; k++) {
        p->weight[k] = clm_input(p->g, "weight", (clm_shape){0}, false);
        CLM_TRY(clm_part_bind(p, p->weight[k], m->exec.weight[k]));
    }
    return clm_graph_status(p->g);
}

static void end_part(clm_part *p) {
    clm_graph_free(p->g);
    for (size_t i = 0; i < p->n_reads; i++) free(p->reads[i].host);
    free(p->reads);
    free(p->binds);
    free(p->outputs);
    free(p->leaf);
    free(p->weight);
}

/* ---- programs ---- */

/* One piece of memory for all that the host reads of a program. */
static clm_status gather_reads(clm_builder *b, clm_part *p) {
    clm_tensor *all = NULL;
    size_t size = 0;
    for (size_t i = 0; i < p->n_reads; i++) size += p->reads[i].value == CLM_INVALID ? 0 : p->reads[i].count * (size_t)b->chunk;
    if (!size || size > CLM_READ_TOGETHER) return CLM_OK;
    CLM_TRY(clm_exec_reserve(b->m, &all, clm_shape_of(1, (int)size), 0));
    size = 0;
    for (size_t i = 0; i < p->n_reads; i++) {
        clm_readout *r = &p->reads[i];
        if (r->value == CLM_INVALID) continue;
        CLM_TRY(clm_exec_view(b->m, &r->tensor, all, size, clm_value_shape(p->g, r->value), b->chunk));
        CLM_TRY(clm_part_bind(p, r->value, r->tensor));
        r->all = all;
        r->at = size;
        size += r->count * (size_t)b->chunk;
    }
    return CLM_OK;
}

/* Adapted parameters that another program reads as well are where it reads them. */
static void find_shared_reads(clm_builder *b, clm_part *p) {
    for (size_t i = 0; i < p->n_reads; i++)
        if (p->reads[i].value == CLM_INVALID)
            p->reads[i].tensor =
                clm_builder_find(b, (clm_slot){CLM_SLOT_THETA, b->m->task->options.steps, p->reads[i].index})->tensor;
}

static clm_status finish_part(clm_builder *b, clm_part *p) {
    clm_variant *v = b->variant;
    clm_program_options o = CLM_PROGRAM_OPTIONS_INIT;
    o.tasks = b->chunk;
    o.workspace = b->m->exec.workspace;
    o.thrifty = p->prefer_memory;
    if (!p->n_outputs) return CLM_OK; /* all that it gives is computed again where it is needed */
    find_shared_reads(b, p);
    CLM_TRY(gather_reads(b, p));
    CLM_TRY(clm_grow(&v->programs, &v->programs_capacity, v->n_programs + 1, sizeof *v->programs));
    CLM_TRY(clm_program_create(&v->programs[v->n_programs], b->m->device, p->g, p->outputs, p->n_outputs, &o));
    const size_t index = v->n_programs++;
    CLM_TRY(clm_bind_all(v->programs[index], p->binds, p->n_binds));
    CLM_TRY(clm_grow(&v->readouts, &v->readouts_capacity, v->n_readouts + p->n_reads, sizeof *v->readouts));
    for (size_t i = 0; i < p->n_reads; i++) {
        p->reads[i].program = index;
        v->readouts[v->n_readouts++] = p->reads[i];
    }
    p->n_reads = 0;
    return CLM_OK;
}

static clm_status build_stages(clm_builder *b, const clm_stage *list, size_t n) {
    for (size_t i = 0; i < b->n_parts; i++) CLM_TRY(begin_part(b, &b->parts[i]));
    for (size_t i = 0; i < n; i++) {
        clm_builder_enter(b, b->n_parts > 1 ? i : 0);
        CLM_TRY(b->m->task->algorithm->build(&b->stages, &list[i]));
        CLM_TRY(clm_graph_status(b->stages.g));
    }
    CLM_TRY(clm_builder_add_up(b));
    if (b->n_parts > 1) CLM_TRY(clm_builder_place_slots(b));
    for (size_t i = 0; i < b->n_parts; i++) CLM_TRY(finish_part(b, &b->parts[i]));
    return CLM_OK;
}

static clm_status plan_variant(clm_share *m, clm_variant *v, clm_checkpointing checkpointing, int chunk) {
    const clm_task *t = m->task;
    clm_builder b = {.m = m, .variant = v, .chunk = chunk};
    clm_status status = CLM_OK;
    const size_t n = t->algorithm->stages(t, NULL);
    clm_stage *list = clm_calloc(n, sizeof *list);
    if (!list) return CLM_E_MEMORY;
    t->algorithm->stages(t, list);
    b.n_parts = checkpointing == CLM_CHECKPOINT_STORE ? 1 : n;
    b.stages = (clm_stages){.task = t, .first_order = v->first_order, .builder = &b};
    if (!(b.parts = clm_calloc(b.n_parts, sizeof *b.parts))) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(build_stages(&b, list, n));
out:
    for (size_t i = 0; b.parts && i < b.n_parts; i++) end_part(&b.parts[i]);
    for (size_t i = 0; i < b.n_records; i++) free(b.records[i].arrivals);
    free(b.parts);
    free(b.records);
    free(b.contributions);
    free(b.places);
    free(list);
    return status;
}

/* ---- planning ---- */

static void free_variant(clm_variant *v) {
    for (size_t i = 0; i < v->n_programs; i++) clm_program_free(v->programs[i]);
    for (size_t i = 0; i < v->n_readouts; i++) free(v->readouts[i].host);
    free(v->programs);
    free(v->readouts);
    free(v->reading);
}

void clm_exec_free(clm_share *m) {
    clm_exec *x = &m->exec;
    clm_feed_free(m);
    for (size_t i = 0; i < 2; i++) free_variant(&x->variant[i]);
    for (size_t i = 0; i < x->n_tensors; i++) clm_tensor_free(x->tensors[i]);
    free(x->tensors);
    free(x->weight);
    free(x->keys_at);
    free(x->chosen_at);
    for (int i = 0; i < 3; i++) free(x->counting_at[i]);
    free(x->apart_leaf);
    clm_workspace_free(x->workspace);
    clm_exec_detach(m);
}

void clm_exec_detach(clm_share *m) { m->exec = (clm_exec){.plan = m->exec.plan}; }

static clm_status reserve_batch(clm_share *m, int chunk) {
    clm_exec *x = &m->exec;
    const clm_task *t = m->task;
    clm_graph *g = NULL;
    clm_status status = CLM_OK;
    CLM_GOTO(clm_graph_create(&g));
    clm_examples s = clm_task_examples(t, g, "support", clm_task_support(t));
    clm_examples q = clm_task_examples(t, g, "query", t->options.query);
    CLM_GOTO(clm_graph_status(g));
    clm_value in[4] = {s.x, s.y, q.x, q.y};
    size_t at = 0, size = 0;
    for (int i = 0; i < 4; i++) {
        const clm_shape shape = clm_value_shape(g, in[i]);
        size += clm_shape_size(&shape) * (size_t)chunk;
    }
    x->packed = NULL;
    if (size <= CLM_WRITE_TOGETHER) CLM_GOTO(clm_exec_reserve(m, &x->packed, clm_shape_of(1, (int)size), 0));
    for (int i = 0; i < 4; i++) {
        const clm_shape shape = clm_value_shape(g, in[i]);
        CLM_GOTO(x->packed ? clm_exec_view(m, &x->batch[i], x->packed, at, shape, chunk)
                           : clm_exec_reserve(m, &x->batch[i], shape, chunk));
        at += clm_shape_size(&shape) * (size_t)chunk;
    }
out:
    clm_graph_free(g);
    return status;
}

static clm_status reserve_keys(clm_share *m, int chunk) {
    if (!clm_model_has_dropout(m->task->model)) return CLM_OK;
    return clm_exec_reserve(m, &m->exec.keys, clm_shape_of(1, CLM_DROPOUT_KEY), chunk);
}

static clm_status reserve_chosen(clm_share *m, int chunk) {
    return m->starts > 1 ? clm_exec_reserve(m, &m->exec.chosen, (clm_shape){0}, chunk) : CLM_OK;
}

static clm_status reserve_counting(clm_share *m, int chunk) {
    const clm_task *t = m->task;
    const int size[3] = {t->options.support, t->options.query, clm_task_classes(t)};
    for (int i = 0; i < 3 && t->options.uneven; i++)
        if (size[i]) CLM_TRY(clm_exec_reserve(m, &m->exec.counting[i], clm_shape_of(1, size[i]), chunk));
    return CLM_OK;
}

static clm_status reserve_weights(clm_share *m) {
    clm_exec *x = &m->exec;
    const int K = m->task->options.steps;
    if (!m->task->weights) return CLM_OK;
    CLM_TRY(clm_exec_reserve(m, &x->weights, clm_shape_of(1, K), 0));
    if (!(x->weight = clm_calloc((size_t)K, sizeof(clm_tensor *)))) return CLM_E_MEMORY;
    for (int k = 0; k < K; k++) CLM_TRY(clm_exec_view(m, &x->weight[k], x->weights, (size_t)k, (clm_shape){0}, 0));
    return CLM_OK;
}

static clm_status reserve_apart(clm_share *m, int chunk) {
    clm_exec *x = &m->exec;
    const clm_task *t = m->task;
    if (!m->request.apart) return CLM_OK;
    CLM_TRY(clm_exec_reserve(m, &x->apart, clm_shape_of(1, (int)t->learned), chunk));
    if (!(x->apart_leaf = clm_calloc(t->n_leaves, sizeof(clm_tensor *)))) return CLM_E_MEMORY;
    for (size_t l = 0; l < t->n_leaves; l++)
        if (t->leaves[l].learned)
            CLM_TRY(clm_exec_view(m, &x->apart_leaf[l], x->apart, t->leaves[l].at * (size_t)chunk, t->leaves[l].shape, chunk));
    return CLM_OK;
}

static void count(clm_meta_plan *plan, const clm_variant *v, int runs) {
    for (size_t i = 0; i < v->n_programs; i++) {
        clm_program_stats s = clm_program_get_stats(v->programs[i]);
        plan->launches += s.launches * (size_t)runs;
        plan->kernels += s.kernels;
        plan->flops += s.flops * runs;
        plan->traffic += s.traffic * runs;
    }
}

clm_status clm_exec_plan(clm_share *m, clm_checkpointing checkpointing, int chunk) {
    clm_exec *x = &m->exec;
    clm_exec_free(m);
    x->plan = (clm_meta_plan){.checkpointing = checkpointing, .task_chunk = chunk};
    x->all_at_once = checkpointing == CLM_CHECKPOINT_STORE && chunk == m->tasks;
    x->clears = !x->all_at_once;
    x->n_variants = m->request.both_orders ? 2 : 1;
    x->variant[0].first_order = m->task->options.first_order;
    x->variant[1].first_order = true;
    CLM_TRY(clm_workspace_create(&x->workspace, m->device));
    CLM_TRY(reserve_batch(m, chunk));
    CLM_TRY(reserve_keys(m, chunk));
    CLM_TRY(reserve_chosen(m, chunk));
    CLM_TRY(reserve_counting(m, chunk));
    CLM_TRY(reserve_weights(m));
    CLM_TRY(reserve_apart(m, chunk));
    for (size_t i = 0; i < x->n_variants; i++) CLM_TRY(plan_variant(m, &x->variant[i], checkpointing, chunk));
    count(&x->plan, &x->variant[0], m->tasks / chunk);
    return CLM_OK;
}

size_t clm_exec_bytes(const clm_share *m) {
    const clm_exec *x = &m->exec;
    size_t bytes = clm_workspace_bytes(x->workspace) + clm_feed_bytes(m);
    for (size_t i = 0; i < x->n_tensors; i++)
        if (x->tensors[i]->root == x->tensors[i]) bytes += clm_tensor_bytes(x->tensors[i]);
    for (size_t v = 0; v < x->n_variants; v++)
        for (size_t i = 0; i < x->variant[v].n_programs; i++)
            bytes += clm_program_get_stats(x->variant[v].programs[i]).tensor_bytes;
    return bytes;
}

const clm_readout *clm_exec_readout(const clm_share *m, size_t variant, clm_quantity what, size_t index) {
    const clm_variant *v = &m->exec.variant[variant];
    for (size_t i = 0; i < v->n_readouts; i++)
        if (v->readouts[i].what == what && v->readouts[i].index == index) return &v->readouts[i];
    return NULL;
}

clm_status clm_exec_programs(const clm_share *m, clm_program ***out, size_t *n) {
    const clm_variant *v = m->exec.variant;
    *n = 0;
    *out = clm_calloc(v[0].n_programs + v[1].n_programs + 1, sizeof(clm_program *));
    if (!*out) return CLM_E_MEMORY;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < v[k].n_programs; i++) (*out)[(*n)++] = v[k].programs[i];
    return CLM_OK;
}
