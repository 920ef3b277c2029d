/* Lowering: what an operation's `lower` function uses to turn a node into launches. */
#ifndef CLM_PROGRAM_LOWER_H
#define CLM_PROGRAM_LOWER_H

#include "base/error.h"
#include "device/backend.h"
#include "graph/internal.h"

typedef struct clm_lower clm_lower;

/* A launch being described. It is copied, the texts of `file` and `entry` are not: literals. */
typedef struct clm_launch_spec {
    const char *file, *entry;
    char defines[1024];
    size_t global[3],
        local[3];        /* local[0] 0: chosen by the library; global is then padded as needed, kernels check their bounds */
    double flops, bytes; /* per task axis as a whole; flops: what the operation takes as it is defined, on one of its launches,
                          * however it is computed: so that implementations have the same count */
    clm_library_call call; /* a call of a library instead of a kernel: no file; entry and defines describe it */
} clm_launch_spec;

const clm_graph *clm_lower_graph(const clm_lower *l);
const clm_device_info *clm_lower_device(const clm_lower *l);
clm_device *clm_lower_opened(const clm_lower *l);
int clm_lower_tasks(const clm_lower *l,
                    clm_value v); /* 1 for a shared value, the number of tasks otherwise and for CLM_INVALID */
/* Is the second operand of v, a turned filter, a view of the filter, to be read turned (fusion/turned.c)? */
bool clm_lower_turned(const clm_lower *l, clm_value v);
/* Scratch memory for the launches of this node, passed among their values: `elements` floats, for each task if
 * `per_task`. It is part of the memory plan like any value, and is free for others before and after. CLM_INVALID: out of
 * memory. */
clm_value clm_lower_scratch(clm_lower *l, size_t elements, bool per_task);
/* Row `row` of ops/implementations.h has lowered an operation of the program. */
void clm_lower_took(clm_lower *l, int row);
/* " -DNAME=value" appended to spec->defines */
void clm_spec_define(clm_launch_spec *spec, const char *name, long value);
/* Adds a launch; `values` are its memory arguments in kernel order, then `ints`. */
clm_status clm_lower_launch(clm_lower *l, clm_value node, const clm_launch_spec *spec, const clm_value *values, int n_values,
                            const int *ints, int n_ints);

#endif
