/* For the tables of rows: what a family is, and shapes. */
#ifndef CLM_CHECK_ROWS_H
#define CLM_CHECK_ROWS_H

#include "check/op_cases.h"

typedef struct clm_op_family {
    const clm_op_case *rows;
    size_t count;
} clm_op_family;

extern const clm_op_family clm_elementwise_cases, clm_shape_cases, clm_network_cases, clm_matmul_cases;

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
