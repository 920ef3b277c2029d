/* Inside code generation: what codegen.c (index space, expressions), codegen_map.c and codegen_reduce.c (kernels) share. */
#ifndef CLM_PROGRAM_CODEGEN_H
#define CLM_PROGRAM_CODEGEN_H

#include "base/memory.h"
#include "program/internal.h"

typedef struct clm_axis {
    int size;
    bool reduced;
    int stride[CLM_UNIT_LEAVES]; /* of each leaf */
} clm_axis;

typedef struct clm_generator {
    clm_lower *l;
    const clm_unit *u;
    const clm_program *p;
    clm_axis axes[CLM_MAX_RANK];
    int n_axes;
    int width; /* floats of a vector along the innermost axis */
    bool cpu;
    bool stream;                    /* results are written around the caches */
    clm_text body;                  /* the expressions */
    clm_value done[CLM_UNIT_NODES]; /* values that `body` has computed */
    int n_done;
    int ints[CLM_STEP_INTS];
    int n_ints;
    bool too_many;
    int segments; /* of a reduction; results of each are in scratch memory when there are several */
    clm_text parameters;
} clm_generator;

/* An int parameter with its value; index -1: the name has no number. */
void clm_gen_parameter(clm_generator *g, const char *name, int index, int value);
/* Parameters s<axis>_<leaf>, the strides along the axes before the last. */
void clm_gen_strides(clm_generator *g);
/* The name under which a value is known in the kernel; broadcast is the operand itself. */
void clm_gen_name(const clm_generator *g, clm_value v, bool root, char *out, size_t size);
/* "#define F ..", the kernel's head with all parameters, and `task`. */
void clm_gen_open(clm_generator *g, clm_text *t);
/* Declares i<a> for the chosen axes from a running number `from`, the last axis fastest. */
void clm_gen_decode(clm_generator *g, clm_text *t, const char *indent, const char *from, const bool *use_axis);
/* Declares c1 and c2, the window at the indices of the image, and `code`, the place in it; nothing where there are no windows. */
void clm_gen_window(const clm_generator *g, clm_text *t, const char *indent);
/* Declares p<i>, pointers to the leaves at the indices of all axes before the last. */
void clm_gen_pointers(clm_generator *g, clm_text *t, const char *indent);
void clm_gen_store(const clm_generator *g, clm_text *t, const char *indent, int k, const char *name, const char *at);

clm_status clm_gen_map(clm_generator *g, clm_text *t, clm_launch_spec *spec);
clm_status clm_gen_pooled(clm_generator *g, clm_text *t, clm_launch_spec *spec);
clm_status clm_gen_reduce(clm_generator *g, clm_text *t, clm_launch_spec *spec);
/* The second kernel of a reduction in segments. */
clm_status clm_gen_combine(clm_generator *g, clm_text *t, clm_launch_spec *spec);

#endif
