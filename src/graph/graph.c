/* The graph: a growing array of nodes with a hash table over them, so that adding an operation twice gives one node. */
#include "graph/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "ops/op.h"

clm_shape clm_shape_of(int rank, ...) {
    clm_shape shape = {0};
    va_list list;
    va_start(list, rank);
    shape.rank = rank;
    for (int i = 0; i < rank && i < CLM_MAX_RANK; i++) shape.dim[i] = va_arg(list, int);
    va_end(list);
    return shape;
}

/* The axes that there is room for, whatever a caller wrote into the shape. */
static int axis_count(const clm_shape *shape) { return shape->rank < CLM_MAX_RANK ? shape->rank : CLM_MAX_RANK; }

size_t clm_shape_size(const clm_shape *shape) {
    size_t size = 1;
    for (int i = 0, n = axis_count(shape); i < n; i++) size *= (size_t)shape->dim[i];
    return size;
}

bool clm_shape_equal(const clm_shape *a, const clm_shape *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0, n = axis_count(a); i < n; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

const char *clm_shape_text(const clm_shape *shape, char *text, size_t size) {
    size_t at = (size_t)snprintf(text, size, "[");
    for (int i = 0, n = axis_count(shape); i < n && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, i ? ", %d" : "%d", shape->dim[i]);
    if (at < size) snprintf(text + at, size - at, "]");
    return text;
}

clm_status clm_graph_create(clm_graph **out) {
    *out = NULL;
    clm_graph *g = clm_calloc(1, sizeof *g);
    if (!g) return CLM_E_MEMORY;
    g->table_size = 1024;
    g->table = malloc(g->table_size * sizeof *g->table);
    if (!g->table) {
        free(g);
        return clm_fail(CLM_E_MEMORY, "graph: out of memory");
    }
    for (size_t i = 0; i < g->table_size; i++) g->table[i] = CLM_INVALID;
    *out = g;
    return CLM_OK;
}

void clm_graph_free(clm_graph *g) {
    if (!g) return;
    for (size_t i = 0; i < g->name_count; i++) free(g->names[i]);
    free(g->names);
    free(g->nodes);
    free(g->table);
    free(g);
}

clm_status clm_graph_status(const clm_graph *g) { return g->status == CLM_OK ? CLM_OK : clm_fail(g->status, "%s", g->message); }

size_t clm_graph_size(const clm_graph *g) { return g->count; }

clm_value clm_graph_error(clm_graph *g, clm_status status, const char *format, ...) {
    if (g->status == CLM_OK) {
        va_list list;
        va_start(list, format);
        vsnprintf(g->message, sizeof g->message, format, list);
        va_end(list);
        g->status = status;
    }
    return CLM_INVALID;
}

bool clm_graph_valid(clm_graph *g, const clm_value *in, int n) {
    for (int i = 0; i < n; i++) {
        if (in[i] >= 0 && (size_t)in[i] < g->count) continue;
        if (g->status == CLM_OK)
            clm_graph_error(g, CLM_E_ARG, "operand %d is not a value of this graph (%d): was it built in another graph?", i,
                            in[i]);
        return false;
    }
    return true;
}

clm_shape clm_value_shape(const clm_graph *g, clm_value v) {
    if (v < 0 || (size_t)v >= g->count) return (clm_shape){0};
    return g->nodes[v].shape;
}

bool clm_value_per_task(const clm_graph *g, clm_value v) { return v >= 0 && (size_t)v < g->count && g->nodes[v].per_task; }

bool clm_is_fill(const clm_graph *g, clm_value v, double *c) {
    if (v < 0 || g->nodes[v].op != CLM_OP_FILL) return false;
    if (c) *c = g->nodes[v].attr.f[0];
    return true;
}

/* ---- hash-consing ---- */

static uint64_t node_hash(const clm_node *n) {
    int32_t head[6 + CLM_MAX_INPUTS] = {(int32_t)n->op, n->per_task, n->n_in, n->shape.rank};
    for (int i = 0; i < n->n_in; i++) head[4 + i] = n->in[i];
    uint64_t h = clm_hash(CLM_HASH_SEED, head, sizeof head);
    h = clm_hash(h, n->shape.dim, (size_t)n->shape.rank * sizeof n->shape.dim[0]);
    h = clm_hash(h, n->attr.i, sizeof n->attr.i);
    return clm_hash(h, n->attr.f, sizeof n->attr.f);
}

static bool node_equal(const clm_node *a, const clm_node *b) {
    if (a->op != b->op || a->per_task != b->per_task || a->n_in != b->n_in || !clm_shape_equal(&a->shape, &b->shape))
        return false;
    for (int i = 0; i < a->n_in; i++)
        if (a->in[i] != b->in[i]) return false;
    return memcmp(a->attr.i, b->attr.i, sizeof a->attr.i) == 0 && memcmp(a->attr.f, b->attr.f, sizeof a->attr.f) == 0;
}

static bool table_grow(clm_graph *g) {
    size_t size = g->table_size * 2;
    clm_value *table = malloc(size * sizeof *table);
    if (!table) return false;
    for (size_t i = 0; i < size; i++) table[i] = CLM_INVALID;
    for (size_t v = 0; v < g->count; v++) {
        size_t at = node_hash(&g->nodes[v]) & (size - 1);
        while (table[at] != CLM_INVALID) at = (at + 1) & (size - 1);
        table[at] = (clm_value)v;
    }
    free(g->table);
    g->table = table;
    g->table_size = size;
    return true;
}

static bool has_launch_of_its_own(clm_opcode op) {
    return !(clm_ops[op]->flags & (CLM_OPF_ELEMENTWISE | CLM_OPF_VIEW | CLM_OPF_LEAF)) && op != CLM_OP_SUM &&
           op != CLM_OP_REDUCE_MAX && op != CLM_OP_MAX_POOL_ARGMAX && op != CLM_OP_POOL_GATHER && op != CLM_OP_POOL_SCATTER;
}

static void find_nesting(clm_graph *g, clm_value v) {
    clm_node *node = &g->nodes[v];
    const bool alone = has_launch_of_its_own(node->op);
    node->heavy = alone ? v : 0;
    for (int i = 0; i < node->n_in && !alone; i++) {
        const clm_node *in = &g->nodes[node->in[i]];
        if (in->heavy > node->heavy || (in->heavy == node->heavy && in->nested > node->nested)) node->nested = in->nested;
        if (in->heavy > node->heavy) node->heavy = in->heavy;
    }
    if (node->op == CLM_OP_SUM && clm_shape_size(&g->nodes[node->in[0]].shape) >= CLM_LARGE_SUM) node->nested++;
}

static clm_value intern(clm_graph *g, const clm_node *node) {
    if (2 * (g->count + 1) > g->table_size && !table_grow(g)) return clm_graph_error(g, CLM_E_MEMORY, "graph: out of memory");
    size_t at = node_hash(node) & (g->table_size - 1);
    for (; g->table[at] != CLM_INVALID; at = (at + 1) & (g->table_size - 1))
        if (node_equal(&g->nodes[g->table[at]], node)) return g->table[at];
    if (clm_grow(&g->nodes, &g->capacity, g->count + 1, sizeof *g->nodes) != CLM_OK)
        return clm_graph_error(g, CLM_E_MEMORY, "graph: out of memory");
    g->nodes[g->count] = *node;
    if (g->few_passes) find_nesting(g, (clm_value)g->count);
    g->table[at] = (clm_value)g->count;
    return (clm_value)g->count++;
}

static bool shape_fits(clm_graph *g, const char *what, const clm_shape *shape) {
    char text[80];
    if (shape->rank < 0 || shape->rank > CLM_MAX_RANK) {
        clm_graph_error(g, CLM_E_SHAPE, "%s: %d axes; at most %d are possible", what, shape->rank, CLM_MAX_RANK);
        return false;
    }
    size_t size = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 1 || (size *= (size_t)shape->dim[i]) > INT32_MAX) {
            clm_graph_error(g, CLM_E_SHAPE, "%s: shape %s is empty, negative or has more than 2^31 elements", what,
                            clm_shape_text(shape, text, sizeof text));
            return false;
        }
    }
    return true;
}

clm_value clm_graph_add(clm_graph *g, clm_opcode op, const clm_value *in, int n_in, clm_shape shape, const clm_attr *attr) {
    clm_node node;
    memset(&node, 0, sizeof node);
    if (!clm_graph_valid(g, in, n_in) || !shape_fits(g, clm_ops[op]->name, &shape)) return CLM_INVALID;
    node.op = op;
    node.n_in = n_in;
    node.shape.rank = shape.rank;
    for (int i = 0; i < shape.rank; i++) node.shape.dim[i] = shape.dim[i];
    if (attr) node.attr = *attr;
    for (int i = 0; i < n_in; i++) {
        node.in[i] = in[i];
        node.per_task |= g->nodes[in[i]].per_task;
    }
    if (clm_ops[op]->flags & CLM_OPF_TASKS) node.per_task = false;
    if (op == CLM_OP_PER_TASK) node.per_task = true;
    return intern(g, &node);
}

clm_value clm_graph_input(clm_graph *g, const char *name, clm_shape shape, bool per_task) {
    clm_node node;
    memset(&node, 0, sizeof node);
    if (!shape_fits(g, name ? name : "input", &shape)) return CLM_INVALID;
    char *copy = clm_strdup(name ? name : "");
    if (!copy || clm_grow(&g->names, &g->name_capacity, g->name_count + 1, sizeof *g->names) != CLM_OK) {
        free(copy);
        return clm_graph_error(g, CLM_E_MEMORY, "graph: out of memory");
    }
    node.op = CLM_OP_INPUT;
    node.per_task = per_task;
    node.shape.rank = shape.rank;
    for (int i = 0; i < shape.rank; i++) node.shape.dim[i] = shape.dim[i];
    node.attr.i[0] = (int32_t)g->name_count; /* makes every input a node of its own */
    g->names[g->name_count++] = copy;
    return intern(g, &node);
}

const char *clm_graph_input_name(const clm_graph *g, clm_value v) {
    return g->nodes[v].op == CLM_OP_INPUT ? g->names[g->nodes[v].attr.i[0]] : "";
}

clm_value clm_input(clm_graph *g, const char *name, clm_shape shape, bool per_task) {
    return clm_graph_input(g, name, shape, per_task);
}

/* ---- printing ---- */

clm_status clm_graph_print(const clm_graph *g, FILE *to) {
    char text[80];
    for (size_t v = 0; v < g->count; v++) {
        const clm_node *n = &g->nodes[v];
        fprintf(to, "%%%zu = %s", v, clm_ops[n->op]->name);
        for (int i = 0; i < n->n_in; i++) fprintf(to, " %%%d", n->in[i]);
        if (n->op == CLM_OP_INPUT) fprintf(to, " \"%s\"", clm_graph_input_name(g, (clm_value)v));
        if (n->op == CLM_OP_FILL || n->op == CLM_OP_AFFINE) fprintf(to, " (%g, %g)", n->attr.f[0], n->attr.f[1]);
        fprintf(to, "  %s%s\n", clm_shape_text(&n->shape, text, sizeof text), n->per_task ? " per task" : "");
    }
    return ferror(to) ? clm_fail(CLM_E_IO, "graph: writing failed") : CLM_OK;
}

clm_status clm_graph_print_dot(const clm_graph *g, FILE *to) {
    char text[80];
    fprintf(to, "digraph clmaml {\n  node [shape=box, fontname=monospace];\n");
    for (size_t v = 0; v < g->count; v++) {
        const clm_node *n = &g->nodes[v];
        fprintf(to, "  v%zu [label=\"%s %s\\n%s\"%s];\n", v, clm_ops[n->op]->name, clm_graph_input_name(g, (clm_value)v),
                clm_shape_text(&n->shape, text, sizeof text), n->per_task ? ", style=bold" : "");
        for (int i = 0; i < n->n_in; i++) fprintf(to, "  v%d -> v%zu;\n", n->in[i], v);
    }
    fprintf(to, "}\n");
    return ferror(to) ? clm_fail(CLM_E_IO, "graph: writing failed") : CLM_OK;
}
