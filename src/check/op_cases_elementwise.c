/* Rows of elementwise operations and of the functions composed from them. */
#include <math.h>

#include "check/rows.h"

#define UNARY(name) \
    static clm_value build_##name(clm_graph *g, const clm_value *x) { return clm_##name(g, x[0]); }
#define BINARY(name) \
    static clm_value build_##name(clm_graph *g, const clm_value *x) { return clm_##name(g, x[0], x[1]); }

BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(pow)
BINARY(maximum)
BINARY(minimum)
BINARY(greater)
BINARY(equal)
UNARY(neg)
UNARY(abs)
UNARY(sign)
UNARY(step)
UNARY(exp)
UNARY(log)
UNARY(sqrt)
UNARY(rsqrt)
UNARY(square)
UNARY(sin)
UNARY(cos)
UNARY(tanh)
UNARY(sigmoid)
UNARY(erf)
UNARY(softplus)
UNARY(relu)
UNARY(gelu)
UNARY(silu)
UNARY(mish)
UNARY(stop_gradient)
UNARY(identity)

static clm_value build_const(clm_graph *g, const clm_value *x) { return clm_mul(g, x[0], clm_const(g, 2.5)); }
static clm_value build_fill(clm_graph *g, const clm_value *x) {
    return clm_div(g, clm_fill(g, clm_value_shape(g, x[0]), 1.75), x[0]);
}
static clm_value build_affine(clm_graph *g, const clm_value *x) { return clm_affine(g, x[0], -1.7, 0.3); }
static clm_value build_scale(clm_graph *g, const clm_value *x) { return clm_scale(g, x[0], 0.37); }
static clm_value build_power_real(clm_graph *g, const clm_value *x) { return clm_power(g, x[0], -1.3); }
static clm_value build_power_cube(clm_graph *g, const clm_value *x) { return clm_power(g, x[0], 3.0); }
static clm_value build_leaky_relu(clm_graph *g, const clm_value *x) { return clm_leaky_relu(g, x[0], 0.13); }
static clm_value build_elu(clm_graph *g, const clm_value *x) { return clm_elu(g, x[0], 1.2); }
static clm_value build_hardtanh(clm_graph *g, const clm_value *x) { return clm_hardtanh(g, x[0], 0, 2); }
static clm_value build_straight_sign(clm_graph *g, const clm_value *x) { return clm_straight_sign(g, x[0], 1); }
static clm_value build_straight_sign_identity(clm_graph *g, const clm_value *x) { return clm_straight_sign(g, x[0], HUGE_VAL); }
static clm_value build_straight_round(clm_graph *g, const clm_value *x) { return clm_straight_round(g, x[0], HUGE_VAL); }
static clm_value build_straight_round_clip(clm_graph *g, const clm_value *x) {
    return clm_straight_round(g, clm_scale(g, x[0], 3), 2);
}
static clm_value build_stop_gradient_factor(clm_graph *g, const clm_value *x) {
    return clm_mul(g, x[0], clm_stop_gradient(g, clm_sin(g, x[0])));
}

/* The same value twice, with itself, and a chain that fusion makes one kernel. */
static clm_value build_mul_self(clm_graph *g, const clm_value *x) { return clm_mul(g, x[0], x[0]); }
static clm_value build_chain(clm_graph *g, const clm_value *x) {
    clm_value a = clm_tanh(g, clm_add(g, clm_mul(g, x[0], x[1]), x[2]));
    clm_value b = clm_sigmoid(g, clm_sub(g, x[0], clm_scale(g, a, 0.5)));
    return clm_add(g, clm_mul(g, a, b), clm_div(g, x[1], clm_affine(g, clm_square(g, x[2]), 1.0, 1.0)));
}

#define X(draw)               \
    {                         \
        { S2(5, 7), draw, 0 } \
    }
#define WIDE                         \
    {                                \
        { S1(67), CLM_DRAW_WIDE, 0 } \
    }
#define N CLM_DRAW_NORMAL
#define A CLM_DRAW_AWAY
#define P CLM_DRAW_POSITIVE
#define T CLM_DRAW_TIED

static const clm_op_case rows[] = {
    {"add", 0, build_add, 2, {{S3(3, 1, 5), N, 0}, {S2(4, 1), N, 0}}},
    {"add/same", 0, build_add, 2, {{S1(67), N, 0}, {S1(67), N, 0}}},
    {"sub", 0, build_sub, 2, {{S2(5, 7), N, 0}, {S1(7), N, 0}}},
    {"sub/scalar", 0, build_sub, 2, {{S0, N, 0}, {S2(5, 7), N, 0}}},
    {"mul", 0, build_mul, 2, {{S2(5, 7), N, 0}, {S2(5, 1), N, 0}}},
    {"mul/both", 0, build_mul, 2, {{S3(4, 1, 3), N, 0}, {S3(1, 5, 1), N, 0}}},
    {"mul/self", 0, build_mul_self, 1, X(N)},
    {"mul/large", CLM_CASE_LARGE, build_mul, 2, {{S3(37, 29, 5), N, 0}, {S2(29, 1), N, 0}}},
    {"div", 0, build_div, 2, {{S2(5, 7), N, 0}, {S2(5, 7), A, 0}}},
    {"div/scalar", 0, build_div, 2, {{S2(3, 5), N, 0}, {S0, P, 0}}},
    {"pow", 0, build_pow, 2, {{S2(5, 7), P, 0}, {S1(7), N, 0}}},
    {"maximum", 0, build_maximum, 2, {{S2(5, 7), CLM_DRAW_DISTINCT, 0}, {S1(7), CLM_DRAW_BETWEEN, 0}}},
    {"minimum", 0, build_minimum, 2, {{S2(5, 7), CLM_DRAW_DISTINCT, 0}, {S2(5, 1), CLM_DRAW_BETWEEN, 0}}},
    {"maximum/ties", CLM_CASE_NO_DIFF, build_maximum, 2, {{S2(5, 7), T, 0}, {S1(7), T, 0}}},
    {"minimum/ties", CLM_CASE_NO_DIFF, build_minimum, 2, {{S2(5, 7), T, 0}, {S1(7), T, 0}}},
    {"greater", CLM_CASE_FLAT, build_greater, 2, {{S2(5, 7), CLM_DRAW_DISTINCT, 0}, {S1(7), CLM_DRAW_BETWEEN, 0}}},
    {"greater/ties",
     CLM_CASE_FLAT | CLM_CASE_NO_DIFF,
     build_greater,
     2,
     {{S2(5, 7), CLM_DRAW_INDEX, 3}, {S2(5, 7), CLM_DRAW_INDEX, 3}}},
    {"equal", CLM_CASE_FLAT | CLM_CASE_NO_DIFF, build_equal, 2, {{S2(5, 7), CLM_DRAW_INDEX, 3}, {S1(7), CLM_DRAW_INDEX, 3}}},
    {"const", 0, build_const, 1, X(N)},
    {"fill", 0, build_fill, 1, X(A)},
    {"affine", 0, build_affine, 1, X(N)},
    {"scale", 0, build_scale, 1, X(N)},
    {"neg", 0, build_neg, 1, X(N)},
    {"abs", 0, build_abs, 1, X(A)},
    {"abs/zero", CLM_CASE_NO_DIFF, build_abs, 1, X(T)},
    {"sign", CLM_CASE_FLAT, build_sign, 1, X(A)},
    {"sign/zero", CLM_CASE_FLAT | CLM_CASE_NO_DIFF, build_sign, 1, X(T)},
    {"step", CLM_CASE_FLAT, build_step, 1, X(A)},
    {"step/zero", CLM_CASE_FLAT | CLM_CASE_NO_DIFF, build_step, 1, X(T)},
    {"exp", 0, build_exp, 1, X(N)},
    {"log", 0, build_log, 1, X(P)},
    {"sqrt", 0, build_sqrt, 1, X(P)},
    {"rsqrt", 0, build_rsqrt, 1, X(P)},
    {"square", 0, build_square, 1, X(N)},
    {"power", 0, build_power_real, 1, X(P)},
    {"power/cube", 0, build_power_cube, 1, X(A)},
    {"sin", 0, build_sin, 1, X(N)},
    {"cos", 0, build_cos, 1, X(N)},
    {"tanh", 0, build_tanh, 1, X(N)},
    {"tanh/wide", 0, build_tanh, 1, WIDE},
    {"sigmoid", 0, build_sigmoid, 1, X(N)},
    {"sigmoid/wide", 0, build_sigmoid, 1, WIDE},
    {"erf", 0, build_erf, 1, X(N)},
    {"softplus", 0, build_softplus, 1, X(N)},
    {"softplus/wide", 0, build_softplus, 1, WIDE},
    {"relu", 0, build_relu, 1, X(A)},
    {"relu/zero", CLM_CASE_NO_DIFF, build_relu, 1, X(T)},
    {"leaky_relu", 0, build_leaky_relu, 1, X(A)},
    {"elu", 0, build_elu, 1, X(A)},
    {"elu/wide", 0, build_elu, 1, WIDE},
    {"gelu", 0, build_gelu, 1, X(N)},
    {"gelu/wide", 0, build_gelu, 1, WIDE},
    {"silu", 0, build_silu, 1, X(N)},
    {"silu/wide", 0, build_silu, 1, WIDE},
    {"mish", 0, build_mish, 1, X(N)},
    {"mish/wide", 0, build_mish, 1, WIDE},
    {"hardtanh", 0, build_hardtanh, 1, X(A)},
    {"hardtanh/bounds", CLM_CASE_NO_DIFF, build_hardtanh, 1, X(T)},
    {"identity", 0, build_identity, 1, X(N)},
    {"stop_gradient", CLM_CASE_FLAT | CLM_CASE_NO_DIFF, build_stop_gradient, 1, X(N)},
    {"stop_gradient/factor", CLM_CASE_NO_DIFF | CLM_CASE_DOCTOR, build_stop_gradient_factor, 1, X(N)},
    {"straight_sign", CLM_CASE_NO_DIFF, build_straight_sign, 1, X(A)},
    {"straight_sign/identity", CLM_CASE_NO_DIFF, build_straight_sign_identity, 1, X(A)},
    {"straight_sign/zero", CLM_CASE_NO_DIFF, build_straight_sign, 1, X(T)},
    {"straight_round", CLM_CASE_NO_DIFF, build_straight_round, 1, X(A)},
    {"straight_round/clip", CLM_CASE_NO_DIFF, build_straight_round_clip, 1, X(A)},
    {"chain", 0, build_chain, 3, {{S2(5, 7), N, 0}, {S2(5, 7), N, 0}, {S1(7), N, 0}}},
};

const clm_op_family clm_elementwise_cases = {rows, sizeof rows / sizeof rows[0]};
