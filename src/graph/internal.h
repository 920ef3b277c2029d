/* Inside a graph. Invariants: inputs of a node have smaller indices (topological order); no two nodes are identical (hash-consing);
 * a node is per task exactly when one of its inputs is, but for sum_tasks (never) and inputs (as declared). */
#ifndef CLM_GRAPH_INTERNAL_H
#define CLM_GRAPH_INTERNAL_H

#include "clmaml/graph.h"
#include "ops/opcodes.h"

#define CLM_MAX_INPUTS 4
#define CLM_ATTR_INTS 14
#define CLM_LARGE_SUM 4096 /* elements: a pass over fewer costs nothing */

/* Whole-number and real attributes; what they mean is each operation's business (see its file in src/ops). Unused ones are 0. */
typedef struct clm_attr {
    int32_t i[CLM_ATTR_INTS];
    double f[2];
} clm_attr;

typedef struct clm_node {
    clm_opcode op;
    bool per_task;
    bool passed; /* clm_graph_past has been there */
    /* With clm_graph.few_passes: the latest of the values it is made from that has a launch of its own, none of elementwise, view,
     * sum and pooling; and how many sums of CLM_LARGE_SUM elements follow one another from there on. */
    clm_value heavy;
    int nested;
    int n_in;
    clm_value in[CLM_MAX_INPUTS];
    clm_shape shape;
    clm_attr attr;
} clm_node;

struct clm_graph {
    clm_node *nodes;
    size_t count, capacity;
    clm_value *table; /* open addressing over node hashes; CLM_INVALID: free */
    size_t table_size;
    char **names; /* of inputs, by attr.i[0] */
    size_t name_count, name_capacity;
    /* Built so that it takes few passes over large arrays: sums in which there are others are taken apart (ops/flat_sum.c), and images
     * are pooled before what is done to every element (ops/early_pool.c). Set before the first value. */
    bool few_passes;
    size_t one_pass; /* places of images over which all passes are one launch: those are pooled last; 0: none */
    clm_status status;
    char message[512];
};

/* With size 1 along these axes. */
static inline clm_shape clm_shape_kept(clm_shape s, unsigned axes) {
    for (int i = 0; i < s.rank; i++)
        if (axes >> i & 1) s.dim[i] = 1;
    return s;
}

static inline const clm_node *clm_node_at(const clm_graph *g, clm_value v) { return &g->nodes[v]; }

/* The first operand of v, for a simplification that builds on it instead of on v. What is built so does not depend on v, so that
 * derivatives with respect to v are no longer to be had: differentiation refuses rather than miss a part. */
static inline clm_value clm_graph_past(clm_graph *g, clm_value v) {
    g->nodes[v].passed = true;
    return g->nodes[v].in[0];
}

/* Adds a node (or finds the identical one). Operands are given by `in`; shape is the caller's business, per_task is derived unless
 * the operation says otherwise. Simple identities (x + 0, x * 1, ..) are applied here. CLM_INVALID operands give CLM_INVALID. */
clm_value clm_graph_add(clm_graph *g, clm_opcode op, const clm_value *in, int n_in, clm_shape shape, const clm_attr *attr);
clm_value clm_graph_input(clm_graph *g, const char *name, clm_shape shape, bool per_task);
const char *clm_graph_input_name(const clm_graph *g, clm_value v);
/* Records the graph's first error. Returns CLM_INVALID. */
clm_value clm_graph_error(clm_graph *g, clm_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* True when all operands are valid values of g; records an error for foreign ones. */
bool clm_graph_valid(clm_graph *g, const clm_value *in, int n);
/* Is v a constant (fill) of value c? */
bool clm_is_fill(const clm_graph *g, clm_value v, double *c);

#endif
