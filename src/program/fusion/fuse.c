/* Elementwise fusion: which values get memory, and which are computed inside the kernels that use them.
 *
 * An elementwise value is inlined into its uses when that costs little: it reads few full-size arrays and its arithmetic is
 * cheap, or it has one use. Recomputing y = relu(scale x^ + shift) from x in the adjoint reads one array instead of another and
 * saves writing both, so batch-norm and activation of a layer become one reduction and one map in each sweep.
 *
 * Max-pooling whose windows tile the image is included: a scatter into the image is a value like an elementwise one, which
 * reads its operands at the window of each element, and pooling accepts an expression of the image as a reduction does.
 *
 * Every value in memory is then a unit of its own; merge.c and horizontal.c join units, memory/schedule.c orders them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ops/op.h"
#include "ops/pool.h"
#include "program/internal.h"

enum {
    MOST_FULL_LEAVES = 5,
    MOST_COST = 80,
    MOST_LEAVES = 20,
    MOST_NODES = 100,
    MOST_STRIDES = CLM_STEP_INTS - CLM_UNIT_CONSTANTS - 12
};

/* What an elementwise value reads and costs if it is inlined; a value that it needs twice counts once, as in the kernel. */
typedef struct expression {
    clm_value leaf[MOST_LEAVES];
    int n_leaf, cost, nodes, strides;
    int window[2]; /* of the scatters in it; 0: none */
} expression;

/* While values are chosen. */
typedef struct chooser {
    clm_program *p;
    expression *all;
    int *uses;      /* live elementwise or reducing consumers */
    bool *expanded; /* some consumer repeats it */
    int *seen;      /* the count in which a value was last visited */
    int counts;
} chooser;

enum { SCATTER_COST = 2 };

static bool is_elementwise(const clm_node *n) { return clm_op_of(n)->flags & CLM_OPF_ELEMENTWISE; }
static bool is_view(const clm_program *p, size_t v) {
    return clm_op_of(&p->nodes[v])->flags & CLM_OPF_VIEW || p->homes[v].turned;
}
static bool is_reduction(const clm_node *n) { return n->op == CLM_OP_SUM || n->op == CLM_OP_REDUCE_MAX; }

static bool is_scatter(const clm_node *n) { return n->op == CLM_OP_POOL_SCATTER && clm_pool_tiles(&n->attr); }
static bool is_pooling(const clm_node *n) {
    return (n->op == CLM_OP_POOL_GATHER || n->op == CLM_OP_MAX_POOL_ARGMAX) && clm_pool_tiles(&n->attr);
}
/* Inlined into its uses when that is better. */
static bool is_inline(const clm_node *n) { return is_elementwise(n) || is_scatter(n); }
static bool is_generated(const clm_node *n) { return is_inline(n) || is_reduction(n) || is_pooling(n); }

static void mark_live(clm_program *p, const clm_value *outputs, size_t n_outputs) {
    for (size_t i = 0; i < n_outputs; i++) p->homes[outputs[i]].live = true;
    for (size_t v = p->count; v-- > 0;) {
        clm_home *h = &p->homes[v];
        if (!h->live) continue;
        for (int i = 0; i < p->nodes[v].n_in; i++) p->homes[p->nodes[v].in[i]].live = true;
    }
    clm_program_turn_filters(p, outputs, n_outputs);
    for (size_t v = 0; v < p->count; v++) {
        clm_home *h = &p->homes[v];
        h->root = is_view(p, v) ? p->homes[p->nodes[v].in[0]].root : (clm_value)v;
        h->tensor = h->first = h->last = -1;
    }
}

/* Values that must be in memory: operands and results of operations with kernels of their own, roots of views, outputs, and
 * what is read window by window. */
static void mark_forced(clm_program *p, const clm_value *outputs, size_t n_outputs) {
    bool generated = p->device->info.type != CLM_DEVICE_HOST && !p->no_fusion;
    for (size_t v = 0; v < p->count; v++) {
        const clm_node *n = &p->nodes[v];
        if (!p->homes[v].live) continue;
        if (n->op == CLM_OP_INPUT || !is_inline(n) || !generated) p->homes[v].materialized = true;
        if (is_elementwise(n) || (is_reduction(n) && generated)) continue;
        for (int i = generated && is_pooling(n) ? 1 : 0; i < n->n_in; i++) p->homes[n->in[i]].materialized = true;
    }
    for (size_t i = 0; i < n_outputs; i++) p->homes[outputs[i]].materialized = true;
    for (size_t v = p->count; v-- > 0;)
        if (p->homes[v].live && is_view(p, v)) p->homes[p->homes[v].root].materialized = true;
}

static bool add_leaf(const clm_program *p, expression *e, clm_value leaf) {
    for (int i = 0; i < e->n_leaf; i++)
        if (e->leaf[i] == leaf) return true;
    e->strides += clm_unit_strides(p, leaf);
    if (e->n_leaf == MOST_LEAVES || e->strides > MOST_STRIDES) return false;
    e->leaf[e->n_leaf++] = leaf;
    return true;
}

/* False when the expression has windows of another size. */
static bool add_window(expression *e, int high, int wide) {
    if (!high) return true;
    if (e->window[0] && (e->window[0] != high || e->window[1] != wide)) return false;
    e->window[0] = high;
    e->window[1] = wide;
    return true;
}

/* Adds v and what it is computed from; false when the expression grows too large. */
static bool add_value(chooser *c, clm_value v, expression *e) {
    const clm_node *n = &c->p->nodes[v];
    if (c->seen[v] == c->counts) return true;
    c->seen[v] = c->counts;
    e->cost += is_scatter(n) ? SCATTER_COST : clm_op_of(n)->cost;
    if (++e->nodes > MOST_NODES) return false;
    if (is_scatter(n) && !add_window(e, n->attr.i[0], n->attr.i[1])) return false;
    for (int i = 0; i < n->n_in; i++)
        if (!(c->p->homes[n->in[i]].materialized ? add_leaf(c->p, e, n->in[i]) : add_value(c, n->in[i], e))) return false;
    return true;
}

static bool build_expression(chooser *c, clm_value v, expression *e) {
    memset(e, 0, sizeof *e);
    c->counts++;
    return add_value(c, v, e);
}

static int full_leaves(const clm_program *p, const expression *e, clm_value v) {
    size_t size = clm_shape_size(&p->nodes[v].shape);
    int full = 0;
    for (int i = 0; i < e->n_leaf; i++) full += clm_shape_size(&p->nodes[e->leaf[i]].shape) * 2 > size;
    return full;
}

static void count_uses(chooser *c) {
    const clm_program *p = c->p;
    for (size_t v = 0; v < p->count; v++) {
        const clm_node *n = &p->nodes[v];
        if (!p->homes[v].live) continue;
        for (int i = 0; i < n->n_in; i++) {
            clm_value x = n->in[i];
            c->uses[x]++;
            bool more =
                clm_shape_size(&n->shape) > clm_shape_size(&p->nodes[x].shape) || (n->per_task && !p->nodes[x].per_task);
            if (is_elementwise(n) && more) c->expanded[x] = true;
        }
    }
}

static bool worth_storing(const chooser *c, clm_value v) {
    const clm_node *n = &c->p->nodes[v];
    if (n->op == CLM_OP_FILL) return false;
    if (n->op == CLM_OP_BROADCAST) return false; /* reading it is reading its operand */
    if (c->expanded[v]) return true;             /* computed once instead of once per repetition */
    if (c->uses[v] <= 1) return false;
    return full_leaves(c->p, &c->all[v], v) > MOST_FULL_LEAVES || c->all[v].cost > MOST_COST;
}

static bool same_window(const clm_node *n, const expression *e) {
    return n->attr.i[0] == e->window[0] && n->attr.i[1] == e->window[1];
}

/* Materialises operands of v, the largest first, until its expression is small enough. */
static void fit_expression(chooser *c, clm_value v) {
    const clm_node *n = &c->p->nodes[v];
    while (!build_expression(c, v, &c->all[v])) {
        clm_value largest = CLM_INVALID;
        for (int i = 0; i < n->n_in; i++)
            if (!c->p->homes[n->in[i]].materialized && (largest < 0 || c->all[n->in[i]].nodes > c->all[largest].nodes))
                largest = n->in[i];
        if (largest < 0) break;
        c->p->homes[largest].materialized = true;
    }
}

static clm_status choose(clm_program *p) {
    chooser c = {.p = p,
                 .all = clm_calloc(p->count + 1, sizeof *c.all),
                 .uses = clm_calloc(p->count + 1, sizeof *c.uses),
                 .expanded = clm_calloc(p->count + 1, sizeof *c.expanded),
                 .seen = clm_calloc(p->count + 1, sizeof *c.seen)};
    clm_status status = CLM_OK;
    if (!c.all || !c.uses || !c.expanded || !c.seen) {
        status = CLM_E_MEMORY;
        goto out;
    }
    count_uses(&c);
    for (size_t v = 0; v < p->count; v++) {
        const clm_node *n = &p->nodes[v];
        if (is_pooling(n) && c.all[n->in[0]].window[0] && !same_window(n, &c.all[n->in[0]]))
            p->homes[n->in[0]].materialized = true;
        if (!p->homes[v].live || !is_inline(n)) continue;
        fit_expression(&c, (clm_value)v);
        if (worth_storing(&c, (clm_value)v)) p->homes[v].materialized = true;
    }
out:
    free(c.all);
    free(c.uses);
    free(c.expanded);
    free(c.seen);
    return status;
}

/* ---- units ---- */

static bool add_unit_leaf(clm_unit *u, clm_value v, bool pooled) {
    for (int i = 0; i < u->n_leaf; i++)
        if (u->leaf[i] == v) return u->pooled[i] |= pooled, true;
    if (u->n_leaf == CLM_UNIT_LEAVES) return false;
    u->pooled[u->n_leaf] = pooled;
    u->leaf[u->n_leaf++] = v;
    return true;
}

static void set_window(clm_unit *u, const clm_node *n) {
    u->windowed = true;
    u->window[0] = n->attr.i[0];
    u->window[1] = n->attr.i[1];
}

static bool collect_leaves(const clm_program *p, clm_unit *u, clm_value v, bool root, bool pooled) {
    const clm_node *n = &p->nodes[v];
    if (!root && p->homes[v].materialized) return add_unit_leaf(u, v, pooled);
    const bool scatter = is_scatter(n);
    u->indexed |= (clm_op_of(n)->flags & CLM_OPF_INDEX) != 0;
    if (scatter || is_pooling(n)) set_window(u, n);
    for (int i = 0; i < n->n_in; i++)
        if (!collect_leaves(p, u, n->in[i], false, scatter || (is_pooling(n) && i == 1))) return false;
    return true;
}

static clm_status add_units(clm_program *p) {
    bool host = p->device->info.type == CLM_DEVICE_HOST;
    for (size_t v = 0; v < p->count; v++) {
        const clm_node *n = &p->nodes[v];
        if (!p->homes[v].live || !p->homes[v].materialized || n->op == CLM_OP_INPUT || is_view(p, v)) continue;
        CLM_TRY(clm_grow(&p->units, &p->units_capacity, p->n_units + 1, sizeof *p->units));
        clm_unit *u = &p->units[p->n_units++];
        memset(u, 0, sizeof *u);
        u->out[0] = (clm_value)v;
        u->n_out = 1;
        u->fused = !host && (p->no_fusion ? is_elementwise(n) || is_reduction(n) : is_generated(n));
        if (!u->fused) continue;
        u->pooling = is_pooling(n);
        u->space = is_reduction(n) || u->pooling ? p->nodes[n->in[0]].shape : n->shape;
        u->axes = is_reduction(n) ? (unsigned)n->attr.i[0] : 0;
        u->level[0] = is_reduction(n) || u->pooling ? CLM_LEVEL_REDUCED : CLM_LEVEL_SPACE;
        u->passes = 1;
        u->per_task = n->per_task;
        if (!collect_leaves(p, u, (clm_value)v, true, false))
            return clm_fail(CLM_E_LIMIT, "fusion: operation %s reads more than %d arrays", clm_op_of(n)->name, CLM_UNIT_LEAVES);
    }
    return CLM_OK;
}

clm_status clm_program_fuse(clm_program *p, const clm_value *outputs, size_t n_outputs) {
    mark_live(p, outputs, n_outputs);
    mark_forced(p, outputs, n_outputs);
    if (p->device->info.type != CLM_DEVICE_HOST && !p->no_fusion) CLM_TRY(choose(p));
    CLM_TRY(add_units(p));
    CLM_TRY(clm_program_merge(p, outputs, n_outputs));
    if (p->thrifty && !p->no_plan) CLM_TRY(clm_program_schedule(p, outputs, n_outputs));
    return clm_program_fuse_horizontally(p);
}
