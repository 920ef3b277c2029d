/* Elementwise operations: for each a double function, an OpenCL expression and a derivative built from the same set.
 *
 * An operation of one operand gives its derivative f'(x) as a value; vjp and jvp follow (gy f', t f'). Comparisons are written
 * so that a NaN operand comes out as NaN: a bad loss must not be hidden by an activation. Operands have the node's own shape;
 * broadcasting is a node of its own. attr.f: constants.
 */
#include "ops/op.h"

#include <math.h>

/* ---- builders ---- */

static clm_value unary_attr(clm_graph *g, clm_opcode op, clm_value x, double f0, double f1) {
    clm_attr attr = {{0}, {f0, f1}};
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    return clm_graph_add(g, op, &x, 1, g->nodes[x].shape, &attr);
}

static clm_value unary(clm_graph *g, clm_opcode op, clm_value x) {
    double c;
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    if (clm_is_fill(g, x, &c)) return clm_fill(g, g->nodes[x].shape, clm_ops[op]->scalar(c, 0, &g->nodes[x].attr));
    return unary_attr(g, op, x, 0, 0);
}

/* Brings both operands to their common shape. */
static bool common_shape(clm_graph *g, clm_opcode op, clm_value *a, clm_value *b) {
    clm_value in[2] = {*a, *b};
    char ta[80], tb[80];
    if (!clm_graph_valid(g, in, 2)) return false;
    clm_shape sa = g->nodes[*a].shape, sb = g->nodes[*b].shape, s = {0};
    s.rank = sa.rank > sb.rank ? sa.rank : sb.rank;
    for (int i = 1; i <= s.rank; i++) {
        int da = i <= sa.rank ? sa.dim[sa.rank - i] : 1, db = i <= sb.rank ? sb.dim[sb.rank - i] : 1;
        if (da != db && da != 1 && db != 1) {
            clm_graph_error(g, CLM_E_SHAPE, "%s: shapes %s and %s do not broadcast: axes must be equal or 1", clm_ops[op]->name,
                            clm_shape_text(&sa, ta, sizeof ta), clm_shape_text(&sb, tb, sizeof tb));
            return false;
        }
        s.dim[s.rank - i] = da > db ? da : db;
    }
    *a = clm_broadcast(g, *a, s);
    *b = clm_broadcast(g, *b, s);
    return *a >= 0 && *b >= 0;
}

static clm_value binary(clm_graph *g, clm_opcode op, clm_value a, clm_value b) {
    double ca, cb;
    if (!common_shape(g, op, &a, &b)) return CLM_INVALID;
    if (clm_is_fill(g, a, &ca) && clm_is_fill(g, b, &cb))
        return clm_fill(g, g->nodes[a].shape, clm_ops[op]->scalar(ca, cb, &g->nodes[a].attr));
    if ((op == CLM_OP_ADD || op == CLM_OP_MUL) && a > b) { /* one order for commutative operations */
        clm_value t = a;
        a = b, b = t;
    }
    clm_value in[2] = {a, b};
    return clm_graph_add(g, op, in, 2, g->nodes[a].shape, NULL);
}

clm_value clm_fill(clm_graph *g, clm_shape shape, double c) {
    clm_attr attr = {{0}, {c, 0}};
    return clm_graph_add(g, CLM_OP_FILL, NULL, 0, shape, &attr);
}

clm_value clm_const(clm_graph *g, double c) { return clm_fill(g, (clm_shape){0}, c); }

/* Made by clm_identity or as a copy that is an output, never by clm_affine. */
static bool is_identity(const clm_node *n) { return n->attr.f[0] == 1 && n->attr.f[1] == 0; }

clm_value clm_affine(clm_graph *g, clm_value x, double scale, double offset) {
    double c;
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    if (scale == 1 && offset == 0) return x;
    const clm_node *n = clm_node_at(g, x);
    if (clm_is_fill(g, x, &c)) return clm_fill(g, n->shape, scale * c + offset);
    if (n->op == CLM_OP_AFFINE && !is_identity(n)) {
        double f0 = n->attr.f[0], f1 = n->attr.f[1];
        return clm_affine(g, clm_graph_past(g, x), scale * f0, scale * f1 + offset);
    }
    return unary_attr(g, CLM_OP_AFFINE, x, scale, offset);
}

clm_value clm_scale(clm_graph *g, clm_value x, double scale) { return clm_affine(g, x, scale, 0); }
clm_value clm_neg(clm_graph *g, clm_value x) { return clm_affine(g, x, -1, 0); }

clm_value clm_add(clm_graph *g, clm_value a, clm_value b) {
    double c;
    if (!common_shape(g, CLM_OP_ADD, &a, &b)) return CLM_INVALID;
    if (clm_is_fill(g, a, &c)) return clm_affine(g, b, 1, c);
    if (clm_is_fill(g, b, &c)) return clm_affine(g, a, 1, c);
    return binary(g, CLM_OP_ADD, a, b);
}

clm_value clm_sub(clm_graph *g, clm_value a, clm_value b) {
    double c;
    if (!common_shape(g, CLM_OP_SUB, &a, &b)) return CLM_INVALID;
    if (clm_is_fill(g, a, &c)) return clm_affine(g, b, -1, c);
    if (clm_is_fill(g, b, &c)) return clm_affine(g, a, 1, -c);
    return binary(g, CLM_OP_SUB, a, b);
}

clm_value clm_mul(clm_graph *g, clm_value a, clm_value b) {
    double c;
    if (!common_shape(g, CLM_OP_MUL, &a, &b)) return CLM_INVALID;
    if (clm_is_fill(g, a, &c)) return clm_affine(g, b, c, 0);
    if (clm_is_fill(g, b, &c)) return clm_affine(g, a, c, 0);
    return binary(g, CLM_OP_MUL, a, b);
}

clm_value clm_div(clm_graph *g, clm_value a, clm_value b) {
    double c;
    if (!common_shape(g, CLM_OP_DIV, &a, &b)) return CLM_INVALID;
    if (clm_is_fill(g, b, &c) && c != 0) return clm_affine(g, a, 1 / c, 0);
    return binary(g, CLM_OP_DIV, a, b);
}

clm_value clm_pow(clm_graph *g, clm_value a, clm_value b) { return binary(g, CLM_OP_POW, a, b); }
clm_value clm_maximum(clm_graph *g, clm_value a, clm_value b) { return binary(g, CLM_OP_MAXIMUM, a, b); }
clm_value clm_minimum(clm_graph *g, clm_value a, clm_value b) {
    return clm_neg(g, clm_maximum(g, clm_neg(g, a), clm_neg(g, b)));
}
clm_value clm_greater(clm_graph *g, clm_value a, clm_value b) { return binary(g, CLM_OP_GREATER, a, b); }
clm_value clm_equal(clm_graph *g, clm_value a, clm_value b) { return binary(g, CLM_OP_EQUAL, a, b); }
clm_value clm_abs(clm_graph *g, clm_value x) { return unary(g, CLM_OP_ABS, x); }
clm_value clm_sign(clm_graph *g, clm_value x) { return unary(g, CLM_OP_SIGN, x); }
clm_value clm_step(clm_graph *g, clm_value x) {
    clm_value in = x;
    if (clm_graph_valid(g, &x, 1) && g->nodes[x].op == CLM_OP_RELU) in = g->nodes[x].in[0]; /* relu(x) > 0 where x > 0 */
    return unary(g, CLM_OP_STEP, in);
}
clm_value clm_exp(clm_graph *g, clm_value x) { return unary(g, CLM_OP_EXP, x); }
clm_value clm_log(clm_graph *g, clm_value x) { return unary(g, CLM_OP_LOG, x); }
clm_value clm_sqrt(clm_graph *g, clm_value x) { return unary(g, CLM_OP_SQRT, x); }
clm_value clm_rsqrt(clm_graph *g, clm_value x) { return unary(g, CLM_OP_RSQRT, x); }
clm_value clm_square(clm_graph *g, clm_value x) { return clm_mul(g, x, x); }
clm_value clm_sin(clm_graph *g, clm_value x) { return unary(g, CLM_OP_SIN, x); }
clm_value clm_cos(clm_graph *g, clm_value x) { return unary(g, CLM_OP_COS, x); }
clm_value clm_tanh(clm_graph *g, clm_value x) { return unary(g, CLM_OP_TANH, x); }
clm_value clm_sigmoid(clm_graph *g, clm_value x) { return unary(g, CLM_OP_SIGMOID, x); }
clm_value clm_erf(clm_graph *g, clm_value x) { return unary(g, CLM_OP_ERF, x); }
clm_value clm_softplus(clm_graph *g, clm_value x) { return unary(g, CLM_OP_SOFTPLUS, x); }
clm_value clm_relu(clm_graph *g, clm_value x) { return unary(g, CLM_OP_RELU, x); }
clm_value clm_identity(clm_graph *g, clm_value x) { return unary_attr(g, CLM_OP_AFFINE, x, 1, 0); }
clm_value clm_stop_gradient(clm_graph *g, clm_value x) { return unary(g, CLM_OP_STOP_GRADIENT, x); }

clm_value clm_power(clm_graph *g, clm_value x, double exponent) {
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    if (exponent == 0) return clm_fill(g, g->nodes[x].shape, 1);
    if (exponent == 1) return x;
    if (exponent == 2) return clm_mul(g, x, x);
    if (exponent == 0.5) return clm_sqrt(g, x);
    if (exponent == -0.5) return clm_rsqrt(g, x);
    if (exponent == -1) return clm_div(g, clm_const(g, 1), x);
    return unary_attr(g, CLM_OP_POWER, x, exponent, 0);
}

clm_value clm_leaky_relu(clm_graph *g, clm_value x, double slope) {
    /* slope x + (1 - slope) relu(x) */
    return clm_add(g, clm_scale(g, x, slope), clm_scale(g, clm_relu(g, x), 1 - slope));
}

clm_value clm_elu(clm_graph *g, clm_value x, double alpha) {
    /* relu(x) + alpha (exp(min(x, 0)) - 1) with min(x, 0) = x - relu(x), whose derivative is step(-x) but at 0 */
    clm_value positive = clm_relu(g, x);
    clm_value negative = clm_sub(g, x, positive);
    return clm_add(g, positive, clm_affine(g, clm_exp(g, negative), alpha, -alpha));
}

clm_value clm_gelu(clm_graph *g, clm_value x) {
    return clm_mul(g, x, clm_affine(g, clm_erf(g, clm_scale(g, x, 0.70710678118654752440)), 0.5, 0.5));
}

clm_value clm_silu(clm_graph *g, clm_value x) { return clm_mul(g, x, clm_sigmoid(g, x)); }

/* x tanh(softplus(x)) = x s (1 + q) / (1 + q^2) with s = sigmoid(x), q = sigmoid(-x): where tanh is nearly 1 its derivative, 1 - tanh^2,
 * is rounding error, which a large x multiplies. */
clm_value clm_mish(clm_graph *g, clm_value x) {
    clm_value q = clm_sigmoid(g, clm_scale(g, x, -1));
    return clm_mul(g, clm_silu(g, x), clm_div(g, clm_affine(g, q, 1, 1), clm_affine(g, clm_mul(g, q, q), 1, 1)));
}

/* The bounds are the first operands, to which the derivative goes at a tie. */
clm_value clm_hardtanh(clm_graph *g, clm_value x, double low, double high) {
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    if (!(low < high)) return clm_graph_error(g, CLM_E_ARG, "hardtanh: low %g is not below high %g", low, high);
    return clm_minimum(g, clm_const(g, high), clm_maximum(g, clm_const(g, low), x));
}

static clm_value straight(clm_graph *g, clm_opcode op, clm_value x, double bound) {
    double c;
    if (!clm_graph_valid(g, &x, 1)) return CLM_INVALID;
    if (!(bound > 0)) return clm_graph_error(g, CLM_E_ARG, "%s: bound is %g; it must be above 0", clm_ops[op]->name, bound);
    if (clm_is_fill(g, x, &c)) return clm_fill(g, g->nodes[x].shape, clm_ops[op]->scalar(c, 0, NULL));
    return unary_attr(g, op, x, bound, 0);
}

clm_value clm_straight_sign(clm_graph *g, clm_value x, double bound) { return straight(g, CLM_OP_STRAIGHT_SIGN, x, bound); }
clm_value clm_straight_round(clm_graph *g, clm_value x, double bound) { return straight(g, CLM_OP_STRAIGHT_ROUND, x, bound); }

/* ---- double functions ---- */

#define SCALAR(name, expression)                                            \
    static double name##_scalar(double a, double b, const clm_attr *attr) { \
        (void)a, (void)b, (void)attr;                                       \
        return expression;                                                  \
    }
SCALAR(fill, attr->f[0])
SCALAR(add, a + b)
SCALAR(sub, a - b)
SCALAR(mul, a *b)
SCALAR(div, a / b)
SCALAR(pow, pow(a, b))
SCALAR(maximum, b > a || b != b ? b : a)
SCALAR(greater, a > b)
SCALAR(equal, a == b)
SCALAR(affine, a * attr->f[0] + attr->f[1])
SCALAR(abs, fabs(a))
SCALAR(sign, (a > 0) - (a < 0))
SCALAR(step, a > 0)
SCALAR(exp, exp(a))
SCALAR(log, log(a))
SCALAR(sqrt, sqrt(a))
SCALAR(rsqrt, 1 / sqrt(a))
SCALAR(power, pow(a, attr->f[0]))
SCALAR(sin, sin(a))
SCALAR(cos, cos(a))
SCALAR(tanh, tanh(a))
SCALAR(sigmoid, 1 / (1 + exp(-a)))
SCALAR(erf, erf(a))
SCALAR(softplus, (a > 0 ? a : 0) + log1p(exp(-fabs(a))) + (a != a ? a : 0))
SCALAR(relu, a < 0 ? 0 : a)
SCALAR(stop_gradient, a)
SCALAR(straight_sign, a<0 ? -1 : a> 0 ? 1 : a)
SCALAR(straight_round, rint(a))

/* ---- derivatives of one operand ---- */

#define X (g->nodes[y].in[0])
static clm_value affine_derivative(clm_graph *g, clm_value y) { return clm_const(g, g->nodes[y].attr.f[0]); }
static clm_value abs_derivative(clm_graph *g, clm_value y) { return clm_sign(g, X); }
static clm_value exp_derivative(clm_graph *g, clm_value y) {
    (void)g;
    return y;
}
static clm_value log_derivative(clm_graph *g, clm_value y) {
    clm_value x = X; /* before the constant is added: the array of nodes may move */
    return clm_div(g, clm_const(g, 1), x);
}
static clm_value sqrt_derivative(clm_graph *g, clm_value y) { return clm_div(g, clm_const(g, 0.5), y); }
static clm_value rsqrt_derivative(clm_graph *g, clm_value y) { return clm_scale(g, clm_mul(g, y, clm_mul(g, y, y)), -0.5); }
static clm_value power_derivative(clm_graph *g, clm_value y) {
    double p = g->nodes[y].attr.f[0];
    return clm_scale(g, clm_power(g, X, p - 1), p);
}
static clm_value sin_derivative(clm_graph *g, clm_value y) { return clm_cos(g, X); }
static clm_value cos_derivative(clm_graph *g, clm_value y) { return clm_neg(g, clm_sin(g, X)); }
static clm_value tanh_derivative(clm_graph *g, clm_value y) { return clm_affine(g, clm_mul(g, y, y), -1, 1); }
static clm_value sigmoid_derivative(clm_graph *g, clm_value y) { return clm_mul(g, y, clm_affine(g, y, -1, 1)); }
static clm_value erf_derivative(clm_graph *g, clm_value y) {
    clm_value x = X;
    return clm_scale(g, clm_exp(g, clm_neg(g, clm_mul(g, x, x))), 1.12837916709551257390); /* 2 / sqrt(pi) */
}
static clm_value softplus_derivative(clm_graph *g, clm_value y) { return clm_sigmoid(g, X); }
static clm_value relu_derivative(clm_graph *g, clm_value y) { return clm_step(g, X); }
/* What was chosen: a mask, so that its own derivative is 0. */
static clm_value straight_sign_derivative(clm_graph *g, clm_value y) {
    const double bound = g->nodes[y].attr.f[0];
    const clm_value x = X;
    return isinf(bound) ? clm_const(g, 1) : clm_greater(g, clm_const(g, bound), clm_abs(g, x));
}
static clm_value straight_round_derivative(clm_graph *g, clm_value y) { return straight_sign_derivative(g, y); }
#undef X

/* ---- vjp and jvp of two operands ---- */

#define A (g->nodes[y].in[0])
#define B (g->nodes[y].in[1])
static clm_value add_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)g, (void)y, (void)which;
    return gy;
}
static clm_value add_jvp(clm_graph *g, clm_value y, const clm_value *t) {
    (void)y;
    return t[0] == CLM_INVALID ? t[1] : t[1] == CLM_INVALID ? t[0] : clm_add(g, t[0], t[1]);
}
static clm_value sub_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    (void)y;
    return which == 0 ? gy : clm_neg(g, gy);
}
static clm_value sub_jvp(clm_graph *g, clm_value y, const clm_value *t) {
    (void)y;
    return t[0] == CLM_INVALID ? clm_neg(g, t[1]) : t[1] == CLM_INVALID ? t[0] : clm_sub(g, t[0], t[1]);
}
static clm_value mul_vjp(clm_graph *g, clm_value y, clm_value gy, int which) { return clm_mul(g, gy, which == 0 ? B : A); }
static clm_value mul_jvp(clm_graph *g, clm_value y, const clm_value *t) {
    clm_value a = A, b = B, first = CLM_INVALID, second = CLM_INVALID;
    if (t[0] != CLM_INVALID) first = clm_mul(g, t[0], b);
    if (t[1] != CLM_INVALID) second = clm_mul(g, a, t[1]);
    return first == CLM_INVALID ? second : second == CLM_INVALID ? first : clm_add(g, first, second);
}
static clm_value div_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    clm_value q = clm_div(g, gy, B);
    return which == 0 ? q : clm_neg(g, clm_mul(g, q, y));
}
static clm_value div_jvp(clm_graph *g, clm_value y, const clm_value *t) {
    /* (t0 - y t1) / b */
    clm_value b = B, numerator = t[0];
    if (t[1] != CLM_INVALID) {
        clm_value yt = clm_mul(g, y, t[1]);
        numerator = numerator == CLM_INVALID ? clm_neg(g, yt) : clm_sub(g, numerator, yt);
    }
    return clm_div(g, numerator, b);
}
/* d/da = b a^(b-1), d/db = log(a) y */
static clm_value pow_partial(clm_graph *g, clm_value y, int which) {
    if (which == 1) return clm_mul(g, y, clm_log(g, A));
    clm_value a = A, b = B;
    return clm_mul(g, b, clm_pow(g, a, clm_affine(g, b, 1, -1)));
}
/* 1 for the operand that is taken; a tie goes to the first */
static clm_value maximum_partial(clm_graph *g, clm_value y, int which) {
    clm_value second = clm_greater(g, B, A);
    return which == 1 ? second : clm_affine(g, second, -1, 1);
}
static clm_value pow_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    return clm_mul(g, gy, pow_partial(g, y, which));
}
static clm_value maximum_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    return clm_mul(g, gy, maximum_partial(g, y, which));
}
static clm_value partial_jvp(clm_graph *g, clm_value y, const clm_value *t, clm_value (*partial)(clm_graph *, clm_value, int)) {
    clm_value sum = CLM_INVALID;
    for (int i = 0; i < 2; i++) {
        if (t[i] == CLM_INVALID) continue;
        clm_value term = clm_mul(g, t[i], partial(g, y, i));
        sum = sum == CLM_INVALID ? term : clm_add(g, sum, term);
    }
    return sum;
}
static clm_value pow_jvp(clm_graph *g, clm_value y, const clm_value *t) { return partial_jvp(g, y, t, pow_partial); }
static clm_value maximum_jvp(clm_graph *g, clm_value y, const clm_value *t) { return partial_jvp(g, y, t, maximum_partial); }
#undef A
#undef B

/* ---- rows ---- */

#define CONSTANT (CLM_OPF_ELEMENTWISE | CLM_OPF_CONSTANT)
#define BINARY(op, cl, price)                                  \
    const clm_op clm_row_##op = {.name = #op,                  \
                                 .flags = CLM_OPF_ELEMENTWISE, \
                                 .n_in = 2,                    \
                                 .vjp = op##_vjp,              \
                                 .jvp = op##_jvp,              \
                                 .expression = cl,             \
                                 .scalar = op##_scalar,        \
                                 .cost = price};
#define UNARY(op, cl, price)                                    \
    const clm_op clm_row_##op = {.name = #op,                   \
                                 .flags = CLM_OPF_ELEMENTWISE,  \
                                 .n_in = 1,                     \
                                 .derivative = op##_derivative, \
                                 .expression = cl,              \
                                 .scalar = op##_scalar,         \
                                 .cost = price};
#define MASK(op, n, cl) \
    const clm_op clm_row_##op = {.name = #op, .flags = CONSTANT, .n_in = n, .expression = cl, .scalar = op##_scalar, .cost = 1};

const clm_op clm_row_fill = {.name = "fill", .flags = CONSTANT | CLM_OPF_LEAF, .expression = "$0", .scalar = fill_scalar};
BINARY(add, "a + b", 1)
BINARY(sub, "a - b", 1)
BINARY(mul, "a * b", 1)
BINARY(div, "a / b", 4)
BINARY(pow, "pow(a, b)", 20)
BINARY(maximum, "((b > a) | (b != b)) ? b : a", 1)
MASK(greater, 2, "(a > b) ? (F)(1.0f) : (F)(0.0f)")
MASK(equal, 2, "(a == b) ? (F)(1.0f) : (F)(0.0f)")
MASK(sign, 1, "(a < (F)(0.0f)) ? (F)(-1.0f) : ((a > (F)(0.0f)) ? (F)(1.0f) : (F)(0.0f))")
MASK(step, 1, "(a > (F)(0.0f)) ? (F)(1.0f) : (F)(0.0f)")
MASK(stop_gradient, 1, "a")
UNARY(affine, "a * $0 + $1", 1)
UNARY(abs, "fabs(a)", 1)
UNARY(exp, "exp(a)", 10)
UNARY(log, "log(a)", 10)
UNARY(sqrt, "sqrt(a)", 4)
UNARY(rsqrt, "(F)(1.0f) / sqrt(a)", 6)
UNARY(power, "pow(a, $0)", 20)
UNARY(sin, "sin(a)", 20)
UNARY(cos, "cos(a)", 20)
UNARY(tanh, "tanh(a)", 15)
UNARY(sigmoid, "(F)(1.0f) / ((F)(1.0f) + exp(-a))", 12)
UNARY(erf, "erf(a)", 20)
UNARY(softplus, "((a < (F)(0.0f)) ? (F)(0.0f) : a) + log1p(exp(-fabs(a)))", 20)
UNARY(relu, "(a < (F)(0.0f)) ? (F)(0.0f) : a", 1)
UNARY(straight_sign, "(a < (F)(0.0f)) ? (F)(-1.0f) : ((a > (F)(0.0f)) ? (F)(1.0f) : a)", 1)
UNARY(straight_round, "rint(a)", 1)
