/* One row or more for every operation: what it takes to try it. The tests try all properties on every row, on the host
 * reference and on devices (tests/ops/test_ops.c); `clmaml doctor` compares a device with the reference on some of them. So these
 * files know the public headers alone, and are compiled into the program and into the tests.
 *
 * How to test a new operation: add a row to the table of its family (op_cases_*.c): its name (the builder's, without clm_;
 * further rows have "/variant" after it), its inputs with odd shapes and a way to draw them that keeps clear of kinks and ties,
 * and a function that builds it. A test fails when an operation code or a public builder has no row.
 */
#ifndef CLM_CHECK_OP_CASES_H
#define CLM_CHECK_OP_CASES_H

#include "check/draw.h"
#include "clmaml/graph.h"

enum { CLM_CASE_MAX_INPUTS = 5 };

typedef struct clm_op_input {
    clm_shape shape;
    clm_draw draw;
    int limit;
} clm_op_input;

enum {
    CLM_CASE_FLAT = 1,    /* derivative zero everywhere */
    CLM_CASE_NO_DIFF = 2, /* not compared with differences: ties among its inputs, or a derivative that is cut, on purpose */
    CLM_CASE_TASKS = 4,   /* reads across tasks: not the same as its tasks one by one */
    CLM_CASE_LARGE = 8,   /* left out of the tiny set: shapes for tiled and vectorised kernels */
    CLM_CASE_DOCTOR = 16  /* a variant that is part of the examination of a device */
};

typedef struct clm_op_case {
    const char *name;
    unsigned flags;
    clm_value (*build)(clm_graph *g, const clm_value *x);
    int n_in;
    clm_op_input in[CLM_CASE_MAX_INPUTS];
} clm_op_case;

size_t clm_op_case_count(void);
const clm_op_case *clm_op_case_at(size_t i);

/* Part of the examination of a device: the row that has the name of a builder alone, and variants with CLM_CASE_DOCTOR. */
bool clm_op_case_is_examined(const clm_op_case *row);

static inline bool clm_op_input_is_differentiable(const clm_op_input *in) { return in->draw < CLM_DRAW_INDEX; }

#endif
