/* One row of op_cases.h made into a graph with numbers: the operation y = f(x), its derivatives, and random x, tangents t and u,
 * cotangent c. The scalar whose second derivatives are tried is s = sum(c o y^2 o (1 + y/2)): curved for f linear and for
 * f a square root.
 *
 *     VALUE    y                       VJP      J^T c                  HVP      H t, forward over reverse
 *     JVP      J t                     GRAD     grad s                 HVP_U    H u, forward over reverse
 *                                                                      REVERSE  H t, reverse over reverse
 */
#ifndef CLM_TEST_OP_INSTANCE_H
#define CLM_TEST_OP_INSTANCE_H

#include "check/op_cases.h"
#include "clmaml/program.h"

typedef enum clm_test_kind {
    CLM_TEST_VALUE,
    CLM_TEST_JVP,
    CLM_TEST_VJP,
    CLM_TEST_GRAD,
    CLM_TEST_HVP,
    CLM_TEST_HVP_U,
    CLM_TEST_REVERSE,
    CLM_TEST_KINDS
} clm_test_kind;

#define CLM_TEST_KIND(kind) (1u << (kind))
enum {
    CLM_TEST_MAX_LEAVES = 3 * CLM_CASE_MAX_INPUTS + 1,
    CLM_TEST_MAX_OUTPUTS = CLM_TEST_KINDS * CLM_CASE_MAX_INPUTS,
    CLM_TEST_ALL_KINDS = CLM_TEST_KIND(CLM_TEST_KINDS) - 1,
    CLM_TEST_DEVICE_KINDS = CLM_TEST_KIND(CLM_TEST_HVP_U) - 1
};

typedef struct clm_op_output {
    clm_test_kind kind;
    int which;      /* the input it belongs to; -1 for VALUE and JVP */
    clm_value v;    /* the value computed */
    clm_value like; /* y or x[which]: what it has the shape of, and the tasks when it has any of its own */
    size_t size;    /* elements of like, tasks included */
} clm_op_output;

typedef struct clm_op_instance {
    const clm_op_case *row;
    unsigned mask; /* bit i: input i is per task */
    int tasks;
    char name[128];
    clm_graph *graph;
    clm_value x[CLM_CASE_MAX_INPUTS], y;
    int x_leaf[CLM_CASE_MAX_INPUTS], t_leaf[CLM_CASE_MAX_INPUTS], u_leaf[CLM_CASE_MAX_INPUTS],
        c_leaf; /* -1: not differentiable */
    int n_leaves;
    clm_value leaf[CLM_TEST_MAX_LEAVES];
    double *data[CLM_TEST_MAX_LEAVES];
    size_t size[CLM_TEST_MAX_LEAVES];
    int n_outputs;
    clm_op_output output[CLM_TEST_MAX_OUTPUTS];
} clm_op_instance;

/* Results of a run, by output; those not asked for are NULL. */
typedef struct clm_op_results {
    double *at[CLM_TEST_MAX_OUTPUTS];
} clm_op_results;

/* The choices of shared and per-task inputs to try for a row; returns how many (at most 4). */
size_t clm_op_variants(const clm_op_case *row, unsigned masks[4]);

/* Builds the graph. */
clm_status clm_op_instance_make(clm_op_instance *instance, const clm_op_case *row, unsigned mask, int tasks);
/* Draws all numbers. */
clm_status clm_op_instance_draw(clm_op_instance *instance, uint64_t seed);
void clm_op_instance_free(clm_op_instance *instance);

/* x += h t */
void clm_op_instance_shift(clm_op_instance *instance, double h);

/* The values of the kinds asked for; returns how many. */
size_t clm_op_instance_outputs(const clm_op_instance *instance, unsigned kinds, clm_value *out);
/* A program for the outputs of the kinds asked for, prepared. */
clm_status clm_op_instance_program(const clm_op_instance *instance, clm_device *device, const clm_program_options *options,
                                   unsigned kinds, clm_program **out);
/* Feeds, runs and reads; a shared output of a per-task `like` is repeated for every task. task -1: all tasks; otherwise the
 * program has one task and gets this one's numbers. Frees what results held before. */
clm_status clm_op_instance_run(const clm_op_instance *instance, clm_program *program, int task, unsigned kinds,
                               clm_op_results *results);
/* Both. */
clm_status clm_op_instance_compute(const clm_op_instance *instance, clm_device *device, const clm_program_options *options,
                                   unsigned kinds, clm_op_results *results);
void clm_op_results_free(clm_op_results *results);

/* "hvp of input 1" */
const char *clm_op_output_name(const clm_op_output *output, char text[48]);

#endif
