/* The operation table. One row per operation; the row is everything the rest of the library knows about it.
 *
 * How to add an operation: docs/extending.md.
 */
#ifndef CLM_OPS_OP_H
#define CLM_OPS_OP_H

#include "graph/internal.h"

enum {
    CLM_OPF_ELEMENTWISE = 1, /* value of an element depends on that element of the inputs only; fusible */
    CLM_OPF_LINEAR = 2,      /* linear in input 0, other inputs not differentiable or absent: jvp is the operation itself */
    CLM_OPF_MULTILINEAR = 4, /* linear in each of its first two inputs: jvp is derived by the product rule */
    CLM_OPF_CONSTANT = 8,    /* derivative zero everywhere */
    CLM_OPF_LEAF = 16,       /* input or constant */
    CLM_OPF_TASKS = 32,      /* reads the whole task axis and gives a shared value */
    CLM_OPF_VIEW = 64,       /* the same memory seen otherwise: no launch */
    CLM_OPF_INDEX = 128      /* elementwise, and depends on the place of the element along the last axis */
};

/* Host reference: computes one task's output in double precision. in[i], out: contiguous arrays of the nodes' shapes. For
 * CLM_OPF_TASKS operations in[0] holds in_tasks[0] tasks one after the other (1: shared). */
typedef struct clm_eval {
    const clm_node *node;
    const clm_node *in_node[CLM_MAX_INPUTS];
    const double *in[CLM_MAX_INPUTS];
    int tasks;                        /* length of the task axis */
    size_t in_stride[CLM_MAX_INPUTS]; /* elements from one task to the next; 0: shared */
    double *out;
} clm_eval;

struct clm_lower; /* src/program/lower.h */

typedef struct clm_op {
    const char *name;
    unsigned flags;
    int n_in; /* most inputs */
    /* Cotangent of input `which` given cotangent gy of node y. CLM_INVALID: not differentiable in that input. */
    clm_value (*vjp)(clm_graph *g, clm_value y, clm_value gy, int which);
    /* Tangent of node y; t[i] is CLM_INVALID for zero, at least one is valid. NULL for LINEAR, MULTILINEAR and CONSTANT. */
    clm_value (*jvp)(clm_graph *g, clm_value y, const clm_value *t);
    /* Elementwise of one operand: the derivative at node y's operand; vjp and jvp are then derived. */
    clm_value (*derivative)(clm_graph *g, clm_value y);
    void (*eval)(const clm_eval *e); /* NULL for elementwise operations: `scalar` serves */
    /* Emits OpenCL launches for node y. NULL for elementwise operations, which are generated. */
    clm_status (*lower)(struct clm_lower *l, clm_value y);
    /* Elementwise only. OpenCL expression: `a`, `b` are the operands (any float vector type F), `$0`, `$1` stand for attr.f[0],
     * attr.f[1] as literals of type F, `$i` for the index along the last axis. */
    const char *expression;
    double (*scalar)(double a, double b, const clm_attr *attr); /* the same in double */
    int cost; /* rough multiples of an addition; expensive values are not recomputed by fusion */
} clm_op;

/* Each family's file defines its rows, `const clm_op clm_row_conv2d = {.name = "conv2d", ..};`; the list in opcodes.h declares
 * them here and puts them in the table. */
#define CLM_OP_ROW(NAME, name) extern const clm_op clm_row_##name;
CLM_OP_LIST(CLM_OP_ROW)
#undef CLM_OP_ROW

extern const clm_op *const clm_ops[CLM_OP_COUNT];

/* Shorthands for operation files. */
static inline const clm_op *clm_op_of(const clm_node *n) { return clm_ops[n->op]; }

#endif
