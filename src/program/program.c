/* Programs: creation, binding, preparation and replay. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/internal.h"
#include "ops/op.h"
#include "program/internal.h"

enum { TEAM_KINDS = 24 }; /* of launches in a kernel */

/* ---- inputs and outputs ---- */

static clm_status add_io(clm_program *p, clm_value v, bool output) {
    for (size_t i = 0; i < p->n_io; i++)
        if (p->io[i].value == v) return CLM_OK;
    CLM_TRY(clm_grow(&p->io, &p->io_capacity, p->n_io + 1, sizeof *p->io));
    p->io[p->n_io] = (clm_io){.value = v, .output = output};
    p->homes[v].tensor = (int)p->n_io++;
    p->homes[v].place = CLM_PLACE_TENSOR;
    return CLM_OK;
}

static clm_status add_inputs(clm_program *p) {
    for (size_t v = 0; v < p->count; v++)
        if (p->homes[v].live && p->nodes[v].op == CLM_OP_INPUT) CLM_TRY(add_io(p, (clm_value)v, false));
    return CLM_OK;
}

/* Inputs and views cannot be outputs as they are: an output is written by a kernel. Such outputs become copies in the graph. */
static clm_status copied_outputs(clm_graph *g, const clm_value *outputs, size_t n, clm_value *out) {
    for (size_t i = 0; i < n; i++) {
        const clm_node *node = clm_node_at(g, outputs[i]);
        out[i] = outputs[i];
        if (node->op == CLM_OP_INPUT || (clm_op_of(node)->flags & CLM_OPF_VIEW)) {
            clm_attr attr = {{0}, {1, 0}};
            out[i] = clm_graph_add(g, CLM_OP_AFFINE, &outputs[i], 1, node->shape, &attr);
        }
    }
    return clm_graph_status(g);
}

static clm_tensor *io_tensor(clm_program *p, clm_value v) {
    for (size_t i = 0; i < p->n_io; i++)
        if (p->io[i].value == v) return p->io[i].tensor;
    return NULL;
}

/* ---- creation ---- */

static clm_status check_options(const clm_graph *g, const clm_value *outputs, size_t n, const clm_program_options *o) {
    CLM_TRY(clm_graph_status(g));
    if (o->version != CLM_PROGRAM_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "program: options of version %d; initialise them with CLM_PROGRAM_OPTIONS_INIT", o->version);
    if (o->tasks < 1) return clm_fail(CLM_E_ARG, "program: %d tasks; at least 1 is needed", o->tasks);
    for (size_t i = 0; i < n; i++)
        if (outputs[i] < 0 || (size_t)outputs[i] >= g->count)
            return clm_fail(CLM_E_ARG, "program: output %zu is not a value of the graph", i);
    return CLM_OK;
}

static clm_status workspace_register(clm_program *p) {
    clm_workspace *w = p->workspace;
    if (w->allocated && p->n_buffers)
        return clm_fail(CLM_E_STATE,
                        "program: its workspace is in use already; create all programs before preparing the first");
    if (p->n_buffers > w->count) {
        size_t *need = realloc(w->need, p->n_buffers * sizeof *need);
        if (!need) return clm_fail(CLM_E_MEMORY, "program: out of memory");
        for (size_t i = w->count; i < p->n_buffers; i++) need[i] = 0;
        w->need = need;
        w->count = p->n_buffers;
    }
    for (size_t i = 0; i < p->n_buffers; i++)
        if (p->buffer_need[i] > w->need[i]) w->need[i] = p->buffer_need[i];
    return CLM_OK;
}

static clm_status plan(clm_program *p, clm_graph *g, const clm_value *outputs, const clm_value *public_outputs,
                       size_t n_outputs) {
    p->count = p->graph_count = g->count;
    p->nodes = clm_calloc(p->count + 1, sizeof *p->nodes);
    p->homes = clm_calloc(p->count + 1, sizeof *p->homes);
    if (!p->nodes || !p->homes) return CLM_E_MEMORY;
    memcpy(p->nodes, g->nodes, p->count * sizeof *p->nodes);
    CLM_TRY(clm_program_pair_convolutions(p, outputs, n_outputs));
    CLM_TRY(clm_program_fuse(p, outputs, n_outputs));
    CLM_TRY(add_inputs(p));
    for (size_t i = 0; i < n_outputs; i++) {
        CLM_TRY(add_io(p, outputs[i], true));
        if (public_outputs[i] != outputs[i]) p->aliases[i] = (clm_io_alias){public_outputs[i], outputs[i]};
    }
    CLM_TRY(clm_program_find_places(p));
    if (p->thrifty && !p->no_plan) CLM_TRY(clm_program_rematerialise(p));
    CLM_TRY(clm_program_lower(p));
    CLM_TRY(clm_program_find_task_kernels(p));
    CLM_TRY(clm_program_plan_memory(p));
    return workspace_register(p);
}

clm_status clm_program_create(clm_program **out, clm_device *device, clm_graph *graph, const clm_value *outputs,
                              size_t n_outputs, const clm_program_options *options) {
    clm_program_options defaults = CLM_PROGRAM_OPTIONS_INIT;
    const clm_program_options *o = options ? options : &defaults;
    clm_value *copies = NULL;
    clm_status status = CLM_OK;
    *out = NULL;
    CLM_TRY(check_options(graph, outputs, n_outputs, o));
    clm_program *p = clm_calloc(1, sizeof *p);
    if (!p) return CLM_E_MEMORY;
    p->device = device;
    p->tasks = o->tasks;
    p->workspace = o->workspace;
    p->no_fusion = o->no_fusion;
    p->no_plan = o->no_plan;
    p->poison = o->poison;
    p->thrifty = o->thrifty;
    p->overwrite = o->overwrite;
    p->n_overwrite = o->n_overwrite;
    p->aliases = clm_calloc(n_outputs + 1, sizeof *p->aliases);
    p->n_aliases = n_outputs;
    copies = clm_calloc(n_outputs + 1, sizeof *copies);
    if (!copies || !p->aliases) {
        status = CLM_E_MEMORY;
        goto out;
    }
    if (!p->workspace) {
        CLM_GOTO(clm_workspace_create(&p->workspace, device));
        p->owns_workspace = true;
    }
    /* The graph gains copies of inputs that are outputs, and nothing that its owner could notice. */
    CLM_GOTO(copied_outputs(graph, outputs, n_outputs, copies));
    CLM_GOTO(plan(p, graph, copies, outputs, n_outputs));
    p->overwrite = NULL;
    p->n_overwrite = 0;
    *out = p;
    p = NULL;
out:
    free(copies);
    clm_program_free(p);
    return status;
}

static void release_teams(clm_program *p) {
    for (size_t i = 0; i < p->n_teams; i++) {
        free((char *)p->teams[i].source);
        if (p->teams[i].n_args) p->device->backend->free(p->device, p->teams[i].args[0].mem);
    }
    free(p->teams);
    p->teams = NULL;
    for (size_t i = 0; i < p->n_steps && p->n_teams; i++) p->steps[i].launch_steps = 1;
    p->n_teams = 0;
}

/* What preparation made: kernels, tensors of the program's own, shadows. */
static void release_prepared(clm_program *p) {
    for (size_t i = 0; i < p->n_steps; i++) {
        if (p->steps[i].kernel) p->device->backend->release(p->device, p->steps[i].kernel);
        p->steps[i].kernel = NULL;
    }
    release_teams(p);
    free(p->line);
    p->line = NULL;
    p->n_line = 0;
    for (size_t i = 0; i < p->n_io; i++) {
        clm_io *io = &p->io[i];
        if (io->owned) clm_tensor_free(io->tensor);
        if (io->owned) io->tensor = NULL;
        clm_tensor_free(io->shadow);
        io->shadow = NULL;
        io->owned = false;
    }
}

void clm_program_free(clm_program *p) {
    if (!p) return;
    release_prepared(p);
    for (size_t i = 0; i < p->n_steps; i++) {
        free(p->steps[i].source);
        free(p->steps[i].host);
    }
    if (p->owns_workspace) clm_workspace_free(p->workspace);
    free(p->aliases);
    free(p->buffer_need);
    free(p->io);
    free(p->steps);
    free(p->units);
    free(p->homes);
    free(p->nodes);
    free(p);
}

/* ---- binding ---- */

static clm_value resolve_output(const clm_program *p, clm_value v, bool *is_alias) {
    for (size_t i = 0; i < p->n_aliases; i++)
        if (p->aliases[i].to && p->aliases[i].from == v) {
            *is_alias = true;
            return p->aliases[i].to;
        }
    *is_alias = false;
    return v;
}

bool clm_program_has(const clm_program *p, clm_value v) {
    bool alias;
    for (size_t i = 0; i < p->n_io; i++)
        if (p->io[i].value == (p->io[i].output ? resolve_output(p, v, &alias) : v)) return true;
    return false;
}

clm_status clm_program_bind(clm_program *p, clm_value value, clm_tensor *tensor) {
    char a[80], b[80];
    bool alias;
    if (p->prepared) return clm_fail(CLM_E_STATE, "program: bind before clm_program_prepare");
    for (size_t i = 0; i < p->n_io; i++) {
        /* An input that is an output as well is bound as an input. */
        clm_value v = value;
        if (p->io[i].output) v = resolve_output(p, value, &alias);
        if (p->io[i].value != v) continue;
        const clm_node *n = &p->nodes[v];
        if (!clm_shape_equal(&n->shape, &tensor->shape) || (n->per_task ? p->tasks : 0) != tensor->tasks)
            return clm_fail(CLM_E_SHAPE, "program: value of shape %s (%d tasks) bound to a tensor of shape %s (%d tasks)",
                            clm_shape_text(&n->shape, a, sizeof a), n->per_task ? p->tasks : 0,
                            clm_shape_text(&tensor->shape, b, sizeof b), tensor->tasks);
        if (tensor->device != p->device) return clm_fail(CLM_E_ARG, "program: the tensor belongs to another device");
        p->io[i].tensor = tensor;
        return CLM_OK;
    }
    return clm_fail(CLM_E_ARG, "program: value %d is neither an input that is used nor an output", value);
}

static bool overlap(const clm_tensor *a, const clm_tensor *b) {
    return a->root == b->root && a->offset < b->offset + clm_tensor_size(b) && b->offset < a->offset + clm_tensor_size(a);
}

/* sum_tasks adds to its initial value element by element: it may do so in place when nothing else reads that value. */
static bool adds_in_place(const clm_program *p, const clm_io *in, const clm_io *out) {
    const clm_node *n = &p->nodes[out->value];
    if (n->op != CLM_OP_SUM_TASKS || n->n_in != 2 || n->in[1] != in->value || in->tensor->offset != out->tensor->offset)
        return false;
    int readers = 0;
    for (size_t v = 0; v < p->count; v++)
        for (int i = 0; p->homes[v].live && i < p->nodes[v].n_in; i++) readers += p->nodes[v].in[i] == in->value;
    return readers == 1;
}

/* Its kernel is planned for that memory (clm_program_find_places). */
static bool is_in_place(const clm_program *p, const clm_io *in, const clm_io *out) {
    return p->homes[out->value].before == in->value && in->tensor->root == out->tensor->root &&
           in->tensor->offset == out->tensor->offset;
}

/* An output bound to the memory of an input is written to a shadow and copied at the end, unless it can be computed in
 * place. */
static bool needs_shadow(const clm_program *p, const clm_io *out) {
    if (!out->output || !out->tensor) return false;
    for (size_t i = 0; i < p->n_io; i++) {
        const clm_io *in = &p->io[i];
        if (!in->output && in->tensor && overlap(in->tensor, out->tensor) && !adds_in_place(p, in, out) &&
            !is_in_place(p, in, out))
            return true;
    }
    return false;
}

/* ---- preparation ---- */

static clm_status workspace_allocate(clm_workspace *w) {
    if (w->allocated) return CLM_OK;
    const clm_backend *b = w->device->backend;
    clm_status status = CLM_OK;
    w->mem = clm_calloc(w->count + 1, sizeof *w->mem);
    if (!w->mem) return CLM_E_MEMORY;
    for (size_t i = 0; i < w->count; i++) CLM_GOTO(b->alloc(w->device, w->need[i], &w->mem[i]));
    w->allocated = true;
    return CLM_OK;
out: /* a later attempt starts from nothing */
    for (size_t i = 0; i < w->count; i++)
        if (w->mem[i]) b->free(w->device, w->mem[i]);
    free(w->mem);
    w->mem = NULL;
    return status;
}

static clm_status prepare_tensors(clm_program *p) {
    for (size_t i = 0; i < p->n_io; i++) {
        clm_io *io = &p->io[i];
        const clm_node *n = &p->nodes[io->value];
        int tasks = n->per_task ? p->tasks : 0;
        if (!io->tensor) {
            CLM_TRY(clm_tensor_create(&io->tensor, p->device, n->shape, tasks));
            io->owned = true;
            continue;
        }
        CLM_TRY(clm_tensor_commit(io->tensor));
        if (needs_shadow(p, io)) CLM_TRY(clm_tensor_create(&io->shadow, p->device, n->shape, tasks));
    }
    return CLM_OK;
}

static void resolve_arg(const clm_program *p, clm_value v, clm_arg *arg) {
    clm_value root = p->homes[v].root;
    const clm_home *h = &p->homes[root];
    arg->kind = CLM_ARG_MEM;
    arg->size = clm_shape_size(&p->nodes[root].shape);
    if (h->tensor >= 0) {
        const clm_io *io = &p->io[h->tensor];
        const clm_tensor *t = io->shadow ? io->shadow : io->tensor;
        if (t) { /* a program that is not prepared may lack it */
            arg->mem = t->root->mem;
            arg->offset = t->offset;
        }
        arg->task_stride = clm_shape_size(&p->nodes[root].shape);
    } else {
        assert(h->place == CLM_PLACE_WORKSPACE);
        arg->mem = p->workspace->mem ? p->workspace->mem[h->buffer] : NULL;
        arg->offset = h->offset;
        arg->task_stride = p->buffer_stride[h->buffer];
    }
    if (!p->nodes[root].per_task) arg->task_stride = 0;
    arg->tasks = p->nodes[root].per_task ? (size_t)p->tasks : 1;
}

static void describe_step(const clm_program *p, const clm_program_step *s, clm_launch *launch) {
    const clm_unit *u = &p->units[s->unit];
    *launch = (clm_launch){.file = s->spec.file,
                           .source = s->source,
                           .quads = s->source != NULL,
                           .entry = s->spec.entry,
                           .defines = s->spec.defines,
                           .call = s->spec.call,
                           .flops = s->spec.flops,
                           .bytes = s->spec.bytes > 0 ? s->spec.bytes : clm_program_step_traffic(p, s)};
    snprintf(launch->label, sizeof launch->label, "%s%s", u->fused ? "fused " : "", clm_op_of(&p->nodes[s->node])->name);
    memcpy(launch->global, s->spec.global, sizeof launch->global);
    memcpy(launch->local, s->spec.local, sizeof launch->local);
    if (s->host) {
        launch->host = clm_host_run;
        launch->context = s->host;
    }
    for (int i = 0; i < s->n_values; i++) resolve_arg(p, s->values[i], &launch->args[launch->n_args++]);
    for (int i = 0; i < s->n_ints; i++) launch->args[launch->n_args++] = (clm_arg){.kind = CLM_ARG_INT, .i = s->ints[i]};
}

void clm_program_ask_team(clm_program *p) { p->ask_team = true; }

static bool same_kernel(const clm_program_step *a, const clm_program_step *b) {
    if (!a->source != !b->source) return false;
    if (a->source) return strcmp(a->source, b->source) == 0;
    return a->spec.file && b->spec.file && strcmp(a->spec.file, b->spec.file) == 0 &&
           strcmp(a->spec.entry, b->spec.entry) == 0 && strcmp(a->spec.defines, b->spec.defines) == 0;
}

/* How many of a launch's arguments lie in memory that no launch before it has. */
static size_t new_memory(const clm_launch *launches, size_t n) {
    size_t found = 0;
    for (int a = 0; a < launches[n].n_args; a++) {
        const clm_mem *mem = launches[n].args[a].kind == CLM_ARG_MEM ? launches[n].args[a].mem : NULL;
        bool known = !mem;
        for (size_t k = 0; k <= n && !known; k++)
            for (int b = 0; b < (k < n ? launches[k].n_args : a) && !known; b++) known = launches[k].args[b].mem == mem;
        found += !known;
    }
    return found;
}

/* How many steps from `first` on are one kernel of a team: no more kinds than a compiler takes quickly, and no more memory than the kernel
 * has arguments for. */
static size_t stretch(const clm_program *p, const clm_launch *launches, size_t first) {
    size_t n = 0, kinds = 0, memory = 0;
    for (; first + n < p->n_steps; n++) {
        size_t k = 0;
        while (k < n && !same_kernel(&p->steps[first + k], &p->steps[first + n])) k++;
        memory += new_memory(&launches[first], n);
        if ((k == n && kinds++ == TEAM_KINDS) || (n > 0 && memory > CLM_CHAIN_MEMORIES)) break;
    }
    return n;
}

/* Is a team wanted, possible, and expected to be faster? */
static clm_status find_team(const clm_program *p, const clm_launch *launches, bool *found) {
    const clm_backend *b = p->device->backend;
    *found = p->ask_team && b->find_team && p->n_steps > 1;
    for (size_t i = 0; i < p->n_steps && *found; i++) *found = p->steps[i].launch_steps == 1;
    return *found ? b->find_team(p->device, launches, p->n_steps, found) : CLM_OK;
}

static clm_status form_teams(clm_program *p, const clm_launch *launches) {
    const clm_backend *b = p->device->backend;
    bool found;
    CLM_TRY(find_team(p, launches, &found));
    if (!found) return CLM_OK;
    if (!(p->teams = clm_calloc(p->n_steps, sizeof *p->teams))) return CLM_E_MEMORY;
    for (size_t i = 0, n; i < p->n_steps; i += n) {
        n = stretch(p, launches, i);
        CLM_TRY(b->form_team(p->device, &launches[i], n, &p->teams[p->n_teams]));
        p->n_teams++;
        p->steps[i].launch_steps = n;
        for (size_t k = 1; k < n; k++) p->steps[i + k].launch_steps = 0;
    }
    return CLM_OK;
}

static clm_status make_teams(clm_program *p) {
    const clm_backend *b = p->device->backend;
    CLM_TRY(b->build(p->device, p->teams, p->n_teams));
    for (size_t i = 0, k = 0; k < p->n_teams; i += p->steps[i].launch_steps)
        CLM_TRY(b->make(p->device, &p->teams[k++], &p->steps[i].kernel));
    return CLM_OK;
}

/* Builds the steps that have a launch of their own. */
static clm_status build_single(clm_program *p, const clm_launch *launches) {
    size_t n = 0;
    clm_launch *single = clm_calloc(p->n_steps + 1, sizeof *single);
    if (!single) return CLM_E_MEMORY;
    for (size_t i = 0; i < p->n_steps; i += p->steps[i].launch_steps)
        if (p->steps[i].launch_steps == 1) single[n++] = launches[i];
    clm_status status = p->device->backend->build(p->device, single, n);
    free(single);
    return status;
}

/* A dense array of the kernels: steps are large, and a replay visits all launches. */
static clm_status line_up(clm_program *p) {
    p->line = clm_calloc(p->n_steps + 1, sizeof(clm_kernel *));
    if (!p->line) return CLM_E_MEMORY;
    p->n_line = 0;
    for (size_t i = 0; i < p->n_steps; i += p->steps[i].launch_steps) p->line[p->n_line++] = p->steps[i].kernel;
    return CLM_OK;
}

static clm_status prepare_steps(clm_program *p) {
    const clm_backend *b = p->device->backend;
    clm_launch *launches = clm_calloc(p->n_steps + 1, sizeof *launches);
    clm_status status = launches ? CLM_OK : CLM_E_MEMORY;
    for (size_t i = 0; i < p->n_steps && launches; i++) describe_step(p, &p->steps[i], &launches[i]);
    if (status == CLM_OK) status = form_teams(p, launches);
    if (status == CLM_E_LIMIT) {
        release_teams(p);
        status = CLM_OK;
    }
    if (p->n_teams) {
        free(launches);
        if (status == CLM_OK) status = make_teams(p);
        return status == CLM_OK ? line_up(p) : status;
    }
    if (status == CLM_OK && b->build) status = build_single(p, launches);
    for (size_t i = 0; i < p->n_steps && status == CLM_OK; i += p->steps[i].launch_steps) {
        clm_program_step *step = &p->steps[i];
        const size_t n = step->launch_steps;
        status = n > 1 ? b->make_task_kernel(p->device, &launches[i], n, &step->kernel) : CLM_E_LIMIT;
        for (size_t k = 0; k < n && status == CLM_E_LIMIT; k++)
            step[k].launch_steps = 1; /* too large for one kernel: separate launches */
        if (status == CLM_E_LIMIT) status = b->make(p->device, &launches[i], &step->kernel);
    }
    free(launches);
    return status == CLM_OK ? line_up(p) : status;
}

static clm_status prepare(clm_program *p) {
    if (p->prepared) return CLM_OK;
    CLM_TRY(workspace_allocate(p->workspace));
    clm_status status = prepare_tensors(p);
    if (status == CLM_OK) status = prepare_steps(p);
    if (status != CLM_OK) release_prepared(p); /* a later attempt may have other bindings */
    p->prepared = status == CLM_OK;
    return status;
}

clm_status clm_program_prepare(clm_program *p) { CLM_IN_DEVICE(p->device, prepare(p)); }

/* What is built is found again when each of the programs is prepared; until then arguments may have no memory. */
static clm_status build_together(clm_program *const *programs, size_t count) {
    clm_device *device = programs[0]->device;
    clm_launch *launches;
    size_t n = 0, most = 0;
    for (size_t k = 0; k < count; k++) most += programs[k]->n_steps;
    if (!device->backend->build) return CLM_OK;
    if (!(launches = clm_calloc(most + 1, sizeof *launches))) return CLM_E_MEMORY;
    clm_status status = CLM_OK;
    for (size_t k = 0; k < count && status == CLM_OK; k++) {
        const clm_program *p = programs[k];
        const size_t first = n;
        bool team = false;
        for (size_t i = 0; i < p->n_steps; i += p->steps[i].launch_steps)
            if (p->steps[i].launch_steps == 1 && !p->prepared) describe_step(p, &p->steps[i], &launches[n++]);
        if (n > first) status = find_team(p, &launches[first], &team);
        if (n > first && team) n = first; /* its kernels are others */
    }
    if (status == CLM_OK) status = device->backend->build(device, launches, n);
    free(launches);
    return status;
}

static clm_status build_all(clm_program *const *programs, size_t count) {
    CLM_IN_DEVICE(programs[0]->device, build_together(programs, count));
}

clm_status clm_programs_prepare(clm_program *const *programs, size_t count) {
    if (count > 1) CLM_TRY(build_all(programs, count));
    for (size_t k = 0; k < count; k++) CLM_TRY(clm_program_prepare(programs[k]));
    return CLM_OK;
}

clm_tensor *clm_program_tensor(clm_program *p, clm_value value) {
    bool alias;
    clm_value v = resolve_output(p, value, &alias);
    if (!p->prepared) return NULL;
    clm_tensor *in = alias ? io_tensor(p, value) : NULL; /* an input that is an output: the input */
    return in ? in : io_tensor(p, v);
}

/* ---- replay ---- */

static clm_status run(clm_program *p) {
    const clm_backend *b = p->device->backend;
    if (!p->prepared) return clm_fail(CLM_E_STATE, "program: clm_program_prepare comes before clm_program_run");
    for (size_t i = 0; p->poison && i < p->workspace->count; i++)
        CLM_TRY(b->fill(p->device, p->workspace->mem[i], 0, p->workspace->need[i], NAN));
    for (size_t i = 0; i < p->n_line; i++) CLM_TRY(b->enqueue(p->device, p->line[i]));
    for (size_t i = 0; i < p->n_io; i++)
        if (p->io[i].shadow) CLM_TRY(clm_tensor_copy(p->io[i].tensor, p->io[i].shadow));
    return CLM_OK;
}

clm_status clm_program_run(clm_program *p) { CLM_IN_DEVICE(p->device, run(p)); }

/* ---- reports ---- */

clm_program_stats clm_program_get_stats(const clm_program *p) {
    clm_program_stats s = {.flops = p->flops};
    size_t bytes = p->device->backend->element_size;
    for (size_t i = 0; i < p->n_buffers; i++) s.workspace_bytes += p->buffer_need[i] * bytes;
    for (size_t i = 0; i < p->n_io; i++)
        if (!p->io[i].tensor || p->io[i].owned || needs_shadow(p, &p->io[i]))
            s.tensor_bytes += clm_program_elements(p, p->io[i].value) * bytes;
    for (size_t i = 0; i < p->n_steps; i++) {
        bool seen = false;
        s.traffic += clm_program_step_traffic(p, &p->steps[i]);
        s.launches += p->steps[i].launch_steps > 0;
        for (size_t k = 0; k < i && !seen; k++) seen = same_kernel(&p->steps[k], &p->steps[i]);
        s.kernels += !seen;
    }
    return s;
}

clm_status clm_program_print(const clm_program *p, FILE *to) {
    char text[80];
    for (size_t i = 0; i < p->n_steps; i++) {
        const clm_program_step *s = &p->steps[i];
        const clm_unit *u = &p->units[s->unit];
        const clm_node *n = &p->nodes[s->node];
        fprintf(to, "%4zu %s%-18s %s%s", i, u->fused ? "fused " : "", clm_op_of(n)->name,
                clm_shape_text(u->fused ? &u->space : &n->shape, text, sizeof text), n->per_task ? " per task" : "");
        fprintf(to, "  writes");
        for (int k = 0; k < s->n_values; k++)
            if (clm_unit_writes(p, (size_t)s->unit, s->values[k])) fprintf(to, " %%%d", s->values[k]);
        fprintf(to, " reads");
        for (int k = 0; k < s->n_values; k++)
            if (!clm_unit_writes(p, (size_t)s->unit, s->values[k])) fprintf(to, " %%%d", s->values[k]);
        fprintf(to, "%s\n", s->spec.defines);
    }
    return ferror(to) ? clm_fail(CLM_E_IO, "program: writing failed") : CLM_OK;
}
