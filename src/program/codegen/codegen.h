/* Inside code generation: what codegen.c (index space, expressions) shares with map.c, reduce.c, total.c and horizontal.c
 * (kernels). */
#ifndef CLM_PROGRAM_CODEGEN_H
#define CLM_PROGRAM_CODEGEN_H

#include "base/memory.h"
#include "program/internal.h"

typedef struct clm_axis {
    int size;
    bool reduced;
    int stride[CLM_UNIT_LEAVES]; /* of each leaf */
} clm_axis;

/* A constant of an elementwise operation that is an argument: the count of a mean, a learning rate. */
typedef struct clm_constant {
    clm_value of;
    int which; /* of its constants */
} clm_constant;

typedef struct clm_generator {
    clm_lower *l;
    const clm_unit *u;
    const clm_program *p;
    clm_axis axes[CLM_MAX_RANK];
    int n_axes;
    int width; /* floats of a vector along the innermost axis */
    bool cpu;
    bool stream;                    /* results are written around the caches */
    clm_text body;                  /* the expressions of a scope */
    clm_value done[CLM_UNIT_NODES]; /* values that `body` has computed */
    int n_done;
    bool used[CLM_UNIT_LEAVES]; /* leaves that `body` reads */
    bool at_result;             /* the scope: elements of results rather than of the index space */
    const char *member[2]; /* prefix and suffix of the number in the name of a reduction, or of a value computed from one */
    bool in_space[CLM_UNIT_LEAVES], in_result[CLM_UNIT_LEAVES];    /* where leaves are read */
    bool takes_out[CLM_UNIT_OUTPUTS], takes_leaf[CLM_UNIT_LEAVES]; /* arguments of the kernel */
    int ints[CLM_STEP_INTS];
    int n_ints;
    bool too_many;
    clm_constant constants[CLM_UNIT_CONSTANTS];
    int n_constants;
    bool finds_constants; /* in its first look at the expressions; what is not found then stays in the text */
    int items;            /* of a task, where rows' results are summed */
    int segments;         /* of a reduction; results of each are in scratch memory when there are several */
    clm_text parameters;
} clm_generator;

/* An int parameter with its value; index -1: the name has no number. */
void clm_gen_parameter(clm_generator *g, const char *name, int index, int value);
/* Parameters s<axis>_<leaf>, the strides along the axes before the last. */
void clm_gen_strides(clm_generator *g);
/* The value of one that is an argument; its declaration, from int `at` of the kernel's. */
float clm_gen_constant(const clm_generator *g, int i);
void clm_gen_declare_constant(clm_text *t, int i, int at);
/* Parameters constant<i>, of all constants that are arguments. */
void clm_gen_constants(clm_generator *g);
/* Loads at element index `e` along the innermost axis, then all expressions of a pass. */
clm_status clm_gen_body(clm_generator *g, int pass);
/* Accumulates a value of output k, a sum or a maximum, in `to`. */
void clm_gen_take(const clm_generator *g, clm_text *t, const char *indent, int k, const char *to, const char *value);
/* Where rows' results are summed: opens the loop over the rows of a work-item, of which `result` is one; closes it and
 * stores. */
void clm_gen_open_rows(clm_generator *g, clm_text *t, clm_launch_spec *spec);
clm_status clm_gen_close_rows(clm_generator *g, clm_text *t);
/* Terms of the totals at a result, and values computed from totals: statements in a scope of their own. */
clm_status clm_gen_at_results(clm_generator *g, clm_text *t, clm_level level);
/* Values computed from the results of a pass; leaves are read at `at`, as vectors or one element. Sets the members'
 * variables. */
clm_status clm_gen_epilogue(clm_generator *g, clm_text *t, int pass, const char *indent, const char *at, bool vectors);
/* The name under which a value is known in the kernel; broadcast is the operand itself. */
void clm_gen_name(const clm_generator *g, clm_value v, bool root, char *out, size_t size);
/* The unit's index space, the width of vectors, and `body` of the first pass, with constants as arguments or in the text. clm_gen_end
 * also after a failure. */
clm_status clm_gen_begin(clm_generator *g, clm_lower *l, const clm_unit *unit, bool constants);
void clm_gen_end(clm_generator *g);
/* Adds a step that runs `source`; takes ownership of it. */
clm_status clm_gen_step(clm_generator *g, const clm_launch_spec *spec, clm_text *source, const clm_value *values, int n_values);
/* Macros F, LOAD_FROM and STORE_TO; the type they need inside a function; their #undef lines. */
void clm_gen_vectors(const clm_generator *g, clm_text *t);
void clm_gen_vector_type(const clm_generator *g, clm_text *t);
void clm_gen_forget_vectors(clm_text *t);
/* The arguments in which a kernel gets its ints: q0, q1 .. (clm_launch.quads). */
void clm_gen_quads(clm_text *t, int n_ints);
/* "#define F ..", the kernel's head with all parameters, and `task`. */
void clm_gen_open(clm_generator *g, clm_text *t);
/* Declares i<a> for the chosen axes from a running number `from`, the last axis fastest. */
void clm_gen_decode(clm_generator *g, clm_text *t, const char *indent, const char *from, const bool *use_axis);
/* Declares c1 and c2, the window at the indices of the image, and `code`, the place in it; nothing where there are no
 * windows. */
void clm_gen_window(const clm_generator *g, clm_text *t, const char *indent);
/* Declares p<i>, pointers to the leaves at the indices of all axes before the last. */
void clm_gen_pointers(clm_generator *g, clm_text *t, const char *indent);
/* Floats of a vector where there are so many elements. */
int clm_gen_width(const clm_generator *g, int elements);
/* Vectors for a work-item of a CPU, so that its work exceeds the cost of a call. */
int clm_gen_chunk(const clm_generator *g, int elements);
void clm_gen_store(const clm_generator *g, clm_text *t, const char *indent, int k, const char *name, const char *at);

clm_status clm_gen_map(clm_generator *g, clm_text *t, clm_launch_spec *spec);
clm_status clm_gen_pooled(clm_generator *g, clm_text *t, clm_launch_spec *spec);
clm_status clm_gen_reduce(clm_generator *g, clm_text *t, clm_launch_spec *spec);
/* The second kernel of a reduction in segments. */
clm_status clm_gen_combine(clm_generator *g, clm_text *t, clm_launch_spec *spec);

#endif
