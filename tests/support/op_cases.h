/* One row or more for every operation: what the tests of test_ops.c need to try it.
 *
 * How to test a new operation: add a row to the table of its family (op_cases_*.c): its name (the builder's, without clm_, and
 * "/variant" after it where there are several), its inputs with odd shapes and a way to draw them that keeps clear of kinks and
 * ties, and a function that builds it. All properties are then tried on it, on the host reference and on the device. A test fails
 * when an operation code or a public builder has no row.
 */
#ifndef CLM_TEST_OP_CASES_H
#define CLM_TEST_OP_CASES_H

#include "base/random.h"
#include "clmaml/graph.h"

enum { CLM_TEST_MAX_INPUTS = 5 };

typedef enum clm_test_draw {
    CLM_TEST_NORMAL,   /* standard normal */
    CLM_TEST_AWAY,     /* +-[0.4, 1.5]: away from a kink at 0 */
    CLM_TEST_POSITIVE, /* [0.5, 2] */
    CLM_TEST_WIDE,     /* +-[0.2, 3], now and then to +-95, where exp leaves the range of floats */
    CLM_TEST_DISTINCT, /* no two closer than 1/256, nor to any of CLM_TEST_BETWEEN */
    CLM_TEST_BETWEEN,  /* likewise, halfway between those of CLM_TEST_DISTINCT */
    CLM_TEST_TIED,     /* whole numbers -1 .. 1, many of them equal: compared between implementations, not with differences */
    CLM_TEST_INDEX,    /* whole numbers 0 .. limit - 1; not differentiable */
    CLM_TEST_OUTSIDE   /* likewise, now and then -1 or limit */
} clm_test_draw;

typedef struct clm_test_input {
    clm_shape shape;
    clm_test_draw draw;
    int limit;
} clm_test_input;

enum {
    CLM_TEST_FLAT = 1, /* derivative zero everywhere */
    CLM_TEST_NO_DIFF =
        2,              /* not compared with differences: its inputs hold ties on purpose, or the derivative is cut on purpose */
    CLM_TEST_TASKS = 4, /* reads across tasks: not the same as its tasks one by one */
    CLM_TEST_LARGE = 8  /* left out of the tiny set: shapes for tiled and vectorised kernels */
};

typedef struct clm_op_case {
    const char *name;
    unsigned flags;
    clm_value (*build)(clm_graph *g, const clm_value *x);
    int n_in;
    clm_test_input in[CLM_TEST_MAX_INPUTS];
} clm_op_case;

typedef struct clm_op_family {
    const clm_op_case *rows;
    size_t count;
} clm_op_family;

extern const clm_op_family clm_test_elementwise_cases, clm_test_shape_cases, clm_test_network_cases, clm_test_matmul_cases;

size_t clm_test_case_count(void);
const clm_op_case *clm_test_case(size_t i);

static inline bool clm_test_is_differentiable(const clm_test_input *in) { return in->draw < CLM_TEST_INDEX; }

/* Fills `data` with `count` numbers, all exact as floats. */
void clm_test_draw_input(clm_test_draw draw, int limit, clm_random *random, double *data, size_t count);

/* Shapes of rows. */
#define S0       \
    {            \
        0, { 0 } \
    }
#define S1(a)    \
    {            \
        1, { a } \
    }
#define S2(a, b)    \
    {               \
        2, { a, b } \
    }
#define S3(a, b, c)    \
    {                  \
        3, { a, b, c } \
    }
#define S4(a, b, c, d)    \
    {                     \
        4, { a, b, c, d } \
    }
#define S5(a, b, c, d, e)    \
    {                        \
        5, { a, b, c, d, e } \
    }

#endif
