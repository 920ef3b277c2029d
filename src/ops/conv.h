/* Two-dimensional convolution: the functions of the table's rows, and the geometry that reference and kernels share. */
#ifndef CLM_OPS_CONV_H
#define CLM_OPS_CONV_H

#include "ops/op.h"

struct clm_lower;
struct clm_launch_spec;

/* Per group, turned by half a turn with its two channel axes swapped: w [kh, kw, ci/g, co] -> [kh, kw, co/g, ci]. Its own
 * inverse. */
clm_value clm_flip_filter(clm_graph *g, clm_value w, int groups);

/* A correlation y = x * w in the form that serves the convolution and both of its adjoints:
 *   y[n, oy, ox, co] = sum over ky, kx, c of x[n, (oy sh - ph + ky dh) / uh, .., group(co) ci/groups + c] w[ky, kx, c, co]
 * where terms whose quotient is not whole or lies outside x are absent. u > 1 stretches x (the adjoint of a stride); one of s
 * and u is 1. The padding may be negative. For the filter's adjoint, x and y are given and w is sought. */
typedef struct clm_conv_geometry {
    int n, h, w, ci, oh, ow, co, kh, kw, groups;
    int sh, sw, ph, pw, dh, dw, uh, uw;
} clm_conv_geometry;
/* Of a conv2d, conv2d_bwd_data or conv2d_bwd_filter node with operands a and b. */
clm_conv_geometry clm_conv_geometry_of(const clm_node *node, const clm_node *a, const clm_node *b);
/* Multiplications and additions of one task, border included. */
double clm_conv_flops(const clm_conv_geometry *c);

/* Geometry of node y of the operations above. */
clm_conv_geometry clm_conv_geometry_at(const struct clm_lower *l, clm_value y);
/* 2 for a pair (program/fusion/conv_pairs.c), otherwise 1. */
int clm_conv_terms(const struct clm_lower *l, clm_value y);
/* -DN=.. -DH=.. and so on: the fields above in capitals. */
void clm_conv_define(struct clm_launch_spec *spec, const clm_conv_geometry *c);
clm_status clm_flip_filter_lower(struct clm_lower *l, clm_value y);

#endif
