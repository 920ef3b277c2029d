/* Inside a program.
 *
 * graph -> units (fusion/) -> launches (lower.c, codegen/) -> offsets (memory/) -> kernels (program.c).
 *
 * A value is *materialised* when its numbers are in memory. The others are elementwise values that are computed inside the
 * kernels that use them. A view (reshape, per_task) has the memory of its root. A unit is one item of the instruction schedule:
 * one operation, or a group of elementwise values and reductions over the same index space that become one generated kernel.
 */
#ifndef CLM_PROGRAM_INTERNAL_H
#define CLM_PROGRAM_INTERNAL_H

#include "clmaml/program.h"
#include "program/lower.h"

#define CLM_UNIT_OUTPUTS 20
#define CLM_UNIT_LEAVES 22
#define CLM_UNIT_NODES 160
#define CLM_UNIT_CONSTANTS 16
#define CLM_STEP_INTS (72 + CLM_UNIT_CONSTANTS)
#define CLM_STEP_VALUES 40
#define CLM_MOST_BUFFERS 64

_Static_assert(CLM_UNIT_OUTPUTS + CLM_UNIT_LEAVES + CLM_STEP_INTS <= CLM_MAX_ARGS, "a fused step's arguments fit a launch");

struct clm_tensor {
    clm_device *device;
    clm_tensor *root; /* itself, or the tensor a view is part of: only roots have memory */
    clm_mem *mem;     /* NULL until committed */
    size_t offset;    /* elements */
    clm_shape shape;
    int tasks; /* 0: shared */
};

/* What a fused unit's output is, in the order in which a kernel computes them: an array over the index space; a reduction of it
 * (or values pooled from it); an array of the shape of its reductions, computed from them when they are complete; a reduction
 * of such arrays to one number; and a number computed from these. */
typedef enum clm_level { CLM_LEVEL_SPACE, CLM_LEVEL_REDUCED, CLM_LEVEL_RESULT, CLM_LEVEL_TOTAL, CLM_LEVEL_END } clm_level;

typedef struct clm_unit {
    bool fused;
    clm_value out[CLM_UNIT_OUTPUTS]; /* an operation has one; operands come before what is computed from them */
    int n_out;
    /* fused only */
    clm_level level[CLM_UNIT_OUTPUTS];
    /* the pass over a result's elements that computes it; the next pass can use its reductions */
    int pass[CLM_UNIT_OUTPUTS];
    int passes;
    bool totals;                   /* some output is a reduction to one number of all results of a task */
    bool hidden[CLM_UNIT_OUTPUTS]; /* used inside the unit only: never in memory */
    clm_shape space;               /* index space */
    bool per_task;
    bool indexed;  /* something in it depends on the index along the last axis */
    unsigned axes; /* reduced axes; 0: a map */
    /* Windows that tile an image: the space is then [n, h, w, c]. Leaves that are `pooled` have one element for each window. */
    bool windowed, pooling; /* pooling: so have the outputs */
    int window[2];
    clm_value leaf[CLM_UNIT_LEAVES];
    bool pooled[CLM_UNIT_LEAVES];
    int n_leaf;
    int group; /* the unit whose launch includes this one (fusion/horizontal.c); its own number: a launch of its own */
} clm_unit;

/* Where a materialised root is stored. */
typedef enum clm_place { CLM_PLACE_NONE, CLM_PLACE_WORKSPACE, CLM_PLACE_TENSOR } clm_place;

typedef struct clm_home {
    clm_value root; /* of a view; itself otherwise */
    bool live, materialized;
    bool turned; /* a turned filter that is a view of the filter (fusion/turned.c) */
    clm_place place;
    int buffer;          /* of the workspace */
    size_t offset, size; /* elements; size with the task axis */
    int first, last;     /* units that write and last read it; -1 */
    /* memory/rematerialise.c: released after unit `released`, computed again by unit `rematerialised`; 0: it is kept */
    int released, rematerialised;
    /* its memory is, or for an output may be, that of this value, which the same unit reads for the last time; CLM_INVALID:
     * none */
    clm_value before;
    clm_value next; /* the value that replaces it in its memory */
    int tensor;     /* index into program->io, or -1 */
} clm_home;

/* A program's input or output. */
typedef struct clm_io {
    clm_value value;
    bool output;
    clm_tensor *tensor;
    bool owned;
    clm_tensor *shadow; /* written instead of `tensor` when that is an input as well; copied at the end */
} clm_io;

/* An output that is an input or a view: `to` is the copy that stands for it. */
typedef struct clm_io_alias {
    clm_value from, to; /* to 0: none */
} clm_io_alias;

/* A launch whose memory is not known yet. */
typedef struct clm_program_step {
    int unit;
    clm_value node;
    clm_launch_spec spec;
    char *source; /* generated, or NULL */
    clm_value values[CLM_STEP_VALUES];
    int n_values;
    int ints[CLM_STEP_INTS];
    int n_ints;
    struct clm_host_context *host;
    size_t launch_steps; /* steps in its launch: 1, more at the head of a task kernel or of a team's, 0 within one */
    clm_kernel *kernel;
} clm_program_step;

struct clm_program {
    clm_device *device;
    clm_workspace *workspace;
    bool owns_workspace, prepared, poison, no_fusion, no_plan, thrifty;
    bool ask_team;
    int tasks;
    clm_node *nodes; /* a copy of the graph's */
    size_t count;
    size_t graph_count; /* nodes of the graph; what follows is scratch memory */
    clm_home *homes;
    clm_unit *units;
    size_t n_units, units_capacity;
    clm_program_step *steps;
    size_t n_steps, steps_capacity;
    clm_kernel **line; /* of the launches, in order; once prepared */
    size_t n_line;
    clm_launch *teams; /* launches of a team, which stand for all steps; none: every step has its own */
    size_t n_teams;
    clm_io *io;
    size_t n_io, io_capacity;
    clm_io_alias *aliases;
    size_t n_aliases;
    const clm_overwrite *overwrite; /* of the options, while it is created */
    size_t n_overwrite;
    size_t *buffer_need;                    /* elements per workspace buffer */
    size_t buffer_stride[CLM_MOST_BUFFERS]; /* elements of one task */
    bool buffer_per_task[CLM_MOST_BUFFERS];
    size_t n_buffers;
    double flops;
    uint32_t implementations; /* rows of ops/implementations.h that its operations are lowered by, one bit each */
};

struct clm_workspace {
    clm_device *device;
    size_t *need; /* elements per buffer */
    clm_mem **mem;
    size_t count;
    bool allocated;
};

struct clm_lower {
    clm_graph graph; /* the program's nodes, for reading */
    clm_program *program;
    int unit;
};

/* A tensor that has no memory until it is committed, so that a plan's memory is known before it is allocated. */
clm_status clm_tensor_reserve(clm_tensor **out, clm_device *device, clm_shape shape, int tasks);
clm_status clm_tensor_commit(clm_tensor *tensor);
/* Releases the memory; the tensor stays reserved. */
void clm_tensor_release(clm_tensor *tensor);
clm_status clm_tensor_fill(clm_tensor *tensor, double value); /* queued */
/* Queued: the host's memory is read, or written, by the time the device has been waited for. */
clm_status clm_tensor_write_later(clm_tensor *tensor, const float *data, size_t count);
clm_status clm_tensor_read_later(clm_tensor *tensor, float *data, size_t count);
/* Does this device have queued reads? The host reference has not: it keeps doubles and never waits. */
bool clm_tensor_reads_later(const clm_device *device);
size_t clm_tensor_bytes(const clm_tensor *tensor);

/* Is v an input that the program reads, or an output? */
bool clm_program_has(const clm_program *p, clm_value v);

/* unit.c */
/* Elements of a value, task axis included. */
size_t clm_program_elements(const clm_program *p, clm_value v);
/* Bytes that a step reads and writes, each array once. */
double clm_program_step_traffic(const clm_program *p, const clm_program_step *s);
/* The output of u that v is, or is a view of; -1: none. */
int clm_unit_member(const clm_program *p, const clm_unit *u, clm_value v);
/* The roots of what a unit reads: how many, the k-th, and whether that of v is one. */
int clm_unit_operands(const clm_program *p, const clm_unit *u);
clm_value clm_unit_operand(const clm_program *p, const clm_unit *u, int k);
bool clm_unit_reads(const clm_program *p, const clm_unit *u, clm_value v);
/* How many strides of a leaf are kernel parameters. */
int clm_unit_strides(const clm_program *p, clm_value leaf);
/* Units in the launch of `unit`. */
size_t clm_group_size(const clm_program *p, size_t unit);
/* Does the launch of this unit, or of its group, write v? */
bool clm_unit_writes(const clm_program *p, size_t unit, clm_value v);
/* Of programs' `implementations`: "conv2d gemm, direct; matmul direct". */
const char *clm_program_implementation_names(uint32_t implementations, char *text, size_t size);
/* Work-items that share the rows of a task, where rows' results are summed. */
int clm_total_items(const clm_program *p, const clm_unit *u);
/* Elements of one result that the items of a work-group may share; 0 where groups have no memory of their own. */
size_t clm_shared_elements(const clm_device *device);
/* Has a graph that is still empty built for few passes (clm_graph.few_passes), as it is everywhere but on the host, the reference. */
void clm_program_ask_few_passes(const clm_device *device, clm_graph *g);

/* Has a program that is not prepared done by a team of a CPU's parts where that is faster: one that is run often, as its kernels are built
 * for it. */
void clm_program_ask_team(clm_program *p);

/* The passes, in order; clm_program_fuse calls the three after it. */
/* fusion/conv_pairs.c: a sum of two convolutions becomes one operation of four operands, where implementations support that. */
clm_status clm_program_pair_convolutions(clm_program *p, const clm_value *outputs, size_t n_outputs);
/* fusion/fuse.c: which values are materialised; units. */
clm_status clm_program_fuse(clm_program *p, const clm_value *outputs, size_t n_outputs);
/* fusion/merge.c: units that become one kernel. */
clm_status clm_program_merge(clm_program *p, const clm_value *outputs, size_t n_outputs);
/* memory/schedule.c: units that release memory come early. */
clm_status clm_program_schedule(clm_program *p, const clm_value *outputs, size_t n_outputs);
/* fusion/horizontal.c: independent units whose launches become one. */
/* fusion/turned.c: which turned filters are views; homes[].live is known. */
void clm_program_turn_filters(clm_program *p, const clm_value *outputs, size_t n_outputs);
clm_status clm_program_fuse_horizontally(clm_program *p);
/* memory/plan.c: lifetimes, and which values are computed in place; before lowering, as kernels depend on it. */
clm_status clm_program_find_places(clm_program *p);
/* After places are found: the most elements of one task that are in the workspace at a time; whether a value is in it. */
clm_status clm_program_peak(const clm_program *p, size_t *peak);
bool clm_program_in_workspace(const clm_program *p, clm_value v);
/* memory/rematerialise.c: large values that are computed again instead of being kept; finds places anew. */
clm_status clm_program_rematerialise(clm_program *p);
/* lower.c: steps. */
clm_status clm_program_lower(clm_program *p);
/* fusion/task_kernel.c: decides which steps become one launch; sets launch_steps. */
clm_status clm_program_find_task_kernels(clm_program *p);
/* memory/plan.c: offsets in the workspace. */
clm_status clm_program_plan_memory(clm_program *p);

/* Lowering */
clm_lower clm_lower_for(clm_program *p);
/* Adds a step; takes ownership of `source` (may be NULL), also on failure. */
clm_status clm_lower_step(clm_lower *l, clm_value node, const clm_launch_spec *spec, char *source, const clm_value *values,
                          int n_values, const int *ints, int n_ints);
/* Runs a step of the host reference; its context is a clm_host_context. */
extern void (*const clm_host_run)(const clm_launch *launch);
/* codegen/codegen.c: the launches of a fused unit. */
clm_status clm_codegen(clm_lower *l, const clm_unit *unit);
/* codegen/horizontal.c: one launch for the units in the group of `first`. */
clm_status clm_codegen_horizontal(clm_lower *l, size_t first);

/* clm_program_prepare of each, in order; all are of one device. Their kernels are built together, as building has a fixed cost each
 * time. */
clm_status clm_programs_prepare(clm_program *const *programs, size_t n);
/* clm_program_profile of several programs together. */
clm_status clm_programs_profile(clm_program *const *programs, size_t n, int runs, FILE *to);

#endif
