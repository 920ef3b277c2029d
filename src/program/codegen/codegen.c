/* OpenCL source for a group of elementwise values (a map), of reductions, or of values pooled from windows, over one index
 * space.
 *
 * The index space is collapsed: axes of size 1 are dropped, neighbouring axes with one common stride in every operand are
 * merged. Sizes, strides and most constants are kernel arguments, so layers of different size share a kernel, whatever its means are
 * divided by, as do learning rates; the source contains the number of axes, the vector width and, for each operand, whether it varies
 * along the innermost axis or is constant there.
 *
 * Max-pooling over windows that do not overlap is part of such a kernel: a pooled array is read at the window of each element
 * of the image, so the scattered image is never stored (pool_scatter is an expression), and an image that is only pooled is
 * computed window by window (max_pool_argmax, pool_gather). The image [n, h, w, c] is then not collapsed.
 */
#include "program/codegen/codegen.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/op.h"

enum { STREAM_LEAST = 1 << 22 }; /* elements of all tasks */

/* ---- index space ---- */

static void find_axes(clm_generator *g) {
    const clm_unit *u = g->u;
    for (int a = 0; a < u->space.rank; a++) {
        if (u->space.dim[a] == 1 && !u->windowed) continue;
        clm_axis x = {.size = u->space.dim[a], .reduced = u->axes >> a & 1};
        for (int i = 0; i < u->n_leaf; i++) {
            clm_shape s = clm_value_shape(&g->l->graph, u->leaf[i]);
            int own = a - (u->space.rank - s.rank), step = 1;
            if (!g->in_space[i]) continue;
            for (int k = s.rank - 1; k > own && k >= 0; k--) step *= s.dim[k];
            x.stride[i] = own < 0 || s.dim[own] == 1 ? 0 : step;
        }
        clm_axis *before = g->n_axes ? &g->axes[g->n_axes - 1] : NULL;
        const bool known = u->windowed || (u->indexed && a == u->space.rank - 1); /* the index along it is used */
        bool joins = before && before->reduced == x.reduced && !known;
        for (int i = 0; i < u->n_leaf && joins; i++) joins = before->stride[i] == x.stride[i] * x.size;
        if (joins) {
            before->size *= x.size;
            memcpy(before->stride, x.stride, sizeof x.stride);
        } else {
            g->axes[g->n_axes++] = x;
        }
    }
    if (!g->n_axes) {
        g->axes[0] = (clm_axis){.size = 1, .reduced = u->axes != 0};
        g->n_axes = 1;
    }
}

int clm_gen_width(const clm_generator *g, int elements) {
    int most = (int)g->p->device->info.float_vector_width;
    if (!g->cpu || most < 4) most = 4;
    if (most > 16) most = 16;
    for (int w = most; w > 1; w /= 2)
        if (elements % w == 0) return w;
    return 1;
}

static int vector_width(const clm_generator *g) {
    const clm_axis *inner = &g->axes[g->n_axes - 1];
    if ((g->u->passes > 1 || g->u->totals) && inner->reduced) return 1; /* short rows, and scalar results */
    return clm_gen_width(g, inner->size);
}

void clm_gen_parameter(clm_generator *g, const char *name, int index, int value) {
    if (g->n_ints == CLM_STEP_INTS) {
        g->too_many = true;
        return;
    }
    clm_text_add(&g->parameters, "    const int %s", name);
    if (index >= 0) clm_text_add(&g->parameters, "%d", index);
    clm_text_add(&g->parameters, " = q%d.s%d;\n", g->n_ints / 4, g->n_ints % 4);
    g->ints[g->n_ints++] = value;
}

float clm_gen_constant(const clm_generator *g, int i) {
    return (float)g->p->nodes[g->constants[i].of].attr.f[g->constants[i].which];
}

void clm_gen_declare_constant(clm_text *t, int i, int at) {
    clm_text_add(t, "    const float constant%d = as_float(q%d.s%d);\n", i, at / 4, at % 4);
}

void clm_gen_constants(clm_generator *g) {
    g->too_many |= g->n_ints + g->n_constants > CLM_STEP_INTS;
    for (int i = 0; i < g->n_constants && !g->too_many; i++) {
        const float value = clm_gen_constant(g, i);
        clm_gen_declare_constant(&g->parameters, i, g->n_ints);
        memcpy(&g->ints[g->n_ints++], &value, sizeof value);
    }
}

void clm_gen_quads(clm_text *t, int n_ints) {
    for (int i = 0; 4 * i < n_ints; i++) clm_text_add(t, ", const int4 q%d", i);
}

/* ---- expressions ---- */

static void literal(clm_text *t, double v) {
    if (isnan(v))
        clm_text_add(t, "(F)(NAN)");
    else if (fabs(v) > FLT_MAX)
        clm_text_add(t, v > 0 ? "(F)(INFINITY)" : "(F)(-INFINITY)");
    else {
        char number[48];
        snprintf(number, sizeof number, "%.9g", (double)(float)v);
        for (char *c = number; *c; c++) /* the host program's locale may have another decimal point */
            if (!strchr("0123456789+-e", *c)) *c = '.';
        clm_text_add(t, "(F)(%s%sf)", number, strpbrk(number, ".e") ? "" : ".0");
    }
}

/* What compilers compute with, and other operations' constants, which may decide what code there is, stay in the text. */
static bool is_argument(const clm_node *n, double value) {
    const double size = fabs(value);
    return n->op == CLM_OP_AFFINE && size != 0 && size != 0.5 && size != 1 && size != 2 && size <= FLT_MAX;
}

/* The number of a constant that is an argument; -1: it is in the text. */
static int constant_index(clm_generator *g, clm_value v, int which) {
    int i = 0;
    if (!is_argument(&g->p->nodes[v], g->p->nodes[v].attr.f[which])) return -1;
    while (i < g->n_constants && (g->constants[i].of != v || g->constants[i].which != which)) i++;
    if (i == g->n_constants && g->finds_constants && i < CLM_UNIT_CONSTANTS)
        g->constants[g->n_constants++] = (clm_constant){v, which};
    return i < g->n_constants ? i : -1;
}

static void add_constant(clm_generator *g, clm_text *t, clm_value v, int which) {
    const int i = constant_index(g, v, which);
    if (i >= 0)
        clm_text_add(t, "(F)(constant%d)", i);
    else
        literal(t, g->p->nodes[v].attr.f[which]);
}

static int leaf_index(const clm_unit *u, clm_value v) {
    for (int i = 0; i < u->n_leaf; i++)
        if (u->leaf[i] == v) return i;
    return -1;
}

/* A reduction, or what is computed from one, as a variable; -1: v is not. */
static int result_member(const clm_generator *g, clm_value v) {
    const int k = g->u->pooling && !g->at_result ? -1 : clm_unit_member(g->p, g->u, v);
    return k >= 0 && g->u->level[k] != CLM_LEVEL_SPACE ? k : -1;
}

static bool is_broadcast(const clm_generator *g, clm_value v) {
    return g->p->nodes[v].op == CLM_OP_BROADCAST && leaf_index(g->u, v) < 0 && result_member(g, v) < 0;
}

void clm_gen_name(const clm_generator *g, clm_value v, bool root, char *out, size_t size) {
    for (; root ? g->p->nodes[v].op == CLM_OP_BROADCAST : is_broadcast(g, v); root = false) v = g->p->nodes[v].in[0];
    const int leaf = root ? -1 : leaf_index(g->u, v), member = root ? -1 : result_member(g, v);
    int at = 0;
    while (at < g->n_done && g->done[at] != v) at++;
    if (leaf >= 0)
        snprintf(out, size, "%c%d", g->at_result ? 'y' : 'x', leaf);
    else if (member >= 0)
        snprintf(out, size, "%s%d%s", g->member[0], member, g->member[1]);
    else
        snprintf(out, size, "v%d", at); /* numbered in order of use, so that equal kernels have equal text */
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

/* Along the last axis, which is the innermost one of the index space unless it has one element. */
static void place(const clm_generator *g, clm_text *t, const clm_node *n) {
    if (n->shape.rank == 0 || n->shape.dim[n->shape.rank - 1] == 1) {
        clm_text_add(t, "(F)(0.0f)");
        return;
    }
    clm_text_add(t, "((F)((float)e)");
    for (int w = 0; w < g->width && g->width > 1; w++) clm_text_add(t, w ? ", %d.0f" : " + (F)(%d.0f", w);
    clm_text_add(t, g->width > 1 ? "))" : ")");
}

/* Writes an operation's expression with its operands' names in place of a and b, its constants in place of $0 and $1, and the
 * place of the element in place of $i. */
static void substitute(clm_generator *g, clm_text *t, clm_value v, const char *expression, const char *a, const char *b) {
    for (const char *c = expression; *c; c++) {
        bool alone = (c == expression || !is_letter(c[-1])) && !is_letter(c[1]);
        if (*c == '$' && c[1] == 'i')
            place(g, t, &g->p->nodes[v]), c++;
        else if (*c == '$')
            add_constant(g, t, v, *++c - '0');
        else if (*c == 'a' && alone)
            clm_text_add(t, "%s", a);
        else if (*c == 'b' && alone)
            clm_text_add(t, "%s", b);
        else
            clm_text_add(t, "%c", *c);
    }
}

static const char *expression_of(const clm_node *n) {
    if (n->op == CLM_OP_AFFINE && n->attr.f[1] == 0) return n->attr.f[0] == -1 ? "-a" : "a * $0";
    if (n->op == CLM_OP_AFFINE && n->attr.f[0] == 1) return "a + $1";
    return clm_op_of(n)->expression;
}

static clm_status compute(clm_generator *g, clm_value v, bool root) {
    char names[2][32] = {"", ""};
    const int leaf = root ? -1 : leaf_index(g->u, v);
    if (leaf >= 0) g->used[leaf] = true;
    if (leaf >= 0 || (!root && result_member(g, v) >= 0)) return CLM_OK;
    const clm_node *n = &g->p->nodes[v];
    if (n->op == CLM_OP_BROADCAST) return compute(g, n->in[0], false);
    for (int i = 0; i < g->n_done; i++)
        if (g->done[i] == v) return CLM_OK;
    if (g->n_done == CLM_UNIT_NODES)
        return clm_fail(CLM_E_LIMIT, "fusion: more than %d operations in one kernel", CLM_UNIT_NODES);
    for (int i = 0; i < n->n_in; i++) {
        CLM_TRY(compute(g, n->in[i], false));
        clm_gen_name(g, n->in[i], false, names[i], sizeof names[i]);
    }
    clm_text_add(&g->body, "        const F v%d = ", g->n_done);
    if (n->op == CLM_OP_POOL_SCATTER)
        clm_text_add(&g->body, "(%s == (F)(code)) ? %s : (F)(0.0f)", names[1], names[0]);
    else
        substitute(g, &g->body, v, expression_of(n), names[0], names[1]);
    clm_text_add(&g->body, ";\n");
    g->done[g->n_done++] = v;
    return CLM_OK;
}

static void open_scope(clm_generator *g, bool at_result) {
    g->n_done = 0;
    g->at_result = at_result;
    memset(g->used, 0, sizeof g->used);
    clm_text_free(&g->body);
}

/* What output k needs in the loops over the index space. */
static clm_status compute_in_space(clm_generator *g, int k) {
    const clm_node *n = &g->p->nodes[g->u->out[k]];
    if (g->u->level[k] == CLM_LEVEL_SPACE) return compute(g, g->u->out[k], true);
    for (int i = 1; i < n->n_in; i++) /* the index of pooled values */
        if (leaf_index(g->u, n->in[i]) >= 0) CLM_TRY(compute(g, n->in[i], false));
    return compute(g, n->in[0], false);
}

/* GPU compilers take a vload of four apart, as they know of no alignment. Values in the workspace begin at a multiple of a vector,
 * and so do their rows, as the width divides them; tensors of the caller may begin anywhere. */
static bool is_aligned(const clm_generator *g, clm_value v) {
    return !g->cpu && g->width > 1 && g->p->homes[g->p->homes[v].root].tensor < 0;
}

/* Where a leaf is read beside results that are at `at`: beside pooled values it may have one element for each channel. */
static const char *place_of(const clm_generator *g, int leaf, const char *at) {
    const size_t channels = (size_t)g->u->space.dim[g->u->space.rank - 1];
    return g->u->pooling && clm_shape_size(&g->p->nodes[g->u->leaf[leaf]].shape) == channels ? "e" : at;
}

/* `body` with its loads before it. */
static clm_status add_loads(clm_generator *g, clm_text *t, const char *at, bool vectors) {
    const clm_axis *inner = &g->axes[g->n_axes - 1];
    for (int i = 0; i < g->u->n_leaf; i++) {
        const bool one = clm_shape_size(&g->p->nodes[g->u->leaf[i]].shape) == 1;
        if (!g->used[i]) continue;
        if (!g->at_result && inner->stride[i] == 0)
            clm_text_add(t, "        const F x%d = (F)(p%d[0]);\n", i, i);
        else if (!g->at_result)
            clm_text_add(t, "        const F x%d = %s(p%d + e);\n", i,
                         is_aligned(g, g->u->leaf[i]) ? "LOAD_ALIGNED" : "LOAD_FROM", i);
        else if (one || !vectors)
            clm_text_add(t, "        const F y%d = (F)(PTR(l%d, task)[%s]);\n", i, i, one ? "0" : at);
        else
            clm_text_add(t, "        const F y%d = %s(PTR(l%d, task) + %s);\n", i,
                         is_aligned(g, g->u->leaf[i]) ? "LOAD_ALIGNED" : "LOAD_FROM", i, place_of(g, i, at));
    }
    clm_text_join(t, &g->body);
    return t->failed ? clm_fail(CLM_E_MEMORY, "code generation: out of memory") : CLM_OK;
}

clm_status clm_gen_body(clm_generator *g, int pass) {
    clm_text whole = {0};
    open_scope(g, false);
    for (int k = 0; k < g->u->n_out; k++)
        if (g->u->pass[k] == pass && g->u->level[k] <= CLM_LEVEL_REDUCED) CLM_TRY(compute_in_space(g, k));
    const clm_status status = add_loads(g, &whole, NULL, true);
    clm_text_free(&g->body);
    g->body = whole;
    return status;
}

static clm_status compute_at_results(clm_generator *g, clm_level level, int pass) {
    char name[32], to[24];
    open_scope(g, true);
    for (int k = 0; k < g->u->n_out; k++) {
        const clm_value v = g->u->out[k], term = level == CLM_LEVEL_TOTAL ? g->p->nodes[v].in[0] : v;
        if ((pass >= 0 && g->u->pass[k] != pass) || g->u->level[k] != level) continue;
        CLM_TRY(compute(g, term, term == v));
        clm_gen_name(g, term, term == v, name, sizeof name);
        snprintf(to, sizeof to, "u%d", k);
        if (level == CLM_LEVEL_TOTAL)
            clm_gen_take(g, &g->body, "        ", k, to, name);
        else
            clm_text_add(&g->body, "        %s%d%s = %s;\n", g->member[0], k, g->member[1], name);
    }
    return CLM_OK;
}

clm_status clm_gen_at_results(clm_generator *g, clm_text *t, clm_level level) {
    CLM_TRY(compute_at_results(g, level, -1));
    clm_text_add(t, "    {\n");
    CLM_TRY(add_loads(g, t, level == CLM_LEVEL_TOTAL ? "result" : "0", false));
    clm_text_add(t, "    }\n");
    return CLM_OK;
}

clm_status clm_gen_epilogue(clm_generator *g, clm_text *t, int pass, const char *indent, const char *at, bool vectors) {
    CLM_TRY(compute_at_results(g, CLM_LEVEL_RESULT, pass));
    if (!g->body.data && !g->body.failed) return CLM_OK;
    clm_text_add(t, "%s{\n", indent);
    CLM_TRY(add_loads(g, t, at, vectors));
    clm_text_add(t, "%s}\n", indent);
    return CLM_OK;
}

/* Which leaves are read in the index space, and which where results are. */
static clm_status find_uses(clm_generator *g) {
    g->member[0] = g->member[1] = "";
    for (int pass = 0; pass < g->u->passes; pass++) {
        open_scope(g, false);
        for (int k = 0; k < g->u->n_out; k++)
            if (g->u->pass[k] == pass && g->u->level[k] <= CLM_LEVEL_REDUCED) CLM_TRY(compute_in_space(g, k));
        for (int i = 0; i < g->u->n_leaf; i++) g->in_space[i] |= g->used[i];
    }
    for (clm_level level = CLM_LEVEL_RESULT; level <= CLM_LEVEL_END; level++) {
        CLM_TRY(compute_at_results(g, level, -1));
        for (int i = 0; i < g->u->n_leaf; i++) g->in_result[i] |= g->used[i];
    }
    return CLM_OK;
}

/* ---- pieces of kernels ---- */

/* Is an output of this unit written in place of the leaf? */
static bool is_replaced(const clm_generator *g, int leaf) {
    const clm_value next = g->p->homes[g->p->homes[g->u->leaf[leaf]].root].next;
    for (int k = 0; k < g->u->n_out; k++)
        if (next >= 0 && g->u->out[k] == next) return true;
    return false;
}

/* CPU compilers split a wide vload into scalars and do not recombine them: there, vectors are read and written through a vector
 * type with the alignment of a float. */
static bool is_wide(const clm_generator *g) { return g->cpu && g->width > 1; }

void clm_gen_vectors(const clm_generator *g, clm_text *t) {
    const bool wide = is_wide(g);
    clm_text_add(t, "#define F float%.0d\n", g->width == 1 ? 0 : g->width);
    if (wide)
        clm_text_add(t, "#define LOAD_FROM(p) (*(__global const U *)(p))\n#define STORE_TO(v, p) (*(__global U *)(p) = (v))\n");
    else if (g->width > 1)
        clm_text_add(t, "#define LOAD_FROM(p) vload%d(0, p)\n#define STORE_TO(v, p) vstore%d(v, 0, p)\n", g->width, g->width);
    else
        clm_text_add(t, "#define LOAD_FROM(p) (*(p))\n#define STORE_TO(v, p) (*(p) = (v))\n");
    if (!g->cpu && g->width > 1)
        clm_text_add(
            t, "#define LOAD_ALIGNED(p) (*(__global const F *)(p))\n#define STORE_ALIGNED(v, p) (*(__global F *)(p) = (v))\n");
    if (g->stream) clm_text_add(t, "#define STREAM_TO(v, p) STREAM(v, (__global F *)(p))\n");
}

void clm_gen_vector_type(const clm_generator *g, clm_text *t) {
    if (is_wide(g)) clm_text_add(t, "    typedef F U __attribute__((aligned(4)));\n");
}

void clm_gen_forget_vectors(clm_text *t) {
    clm_text_add(t, "#undef F\n#undef LOAD_FROM\n#undef STORE_TO\n#undef STREAM_TO\n"
                    "#undef LOAD_ALIGNED\n#undef STORE_ALIGNED\n");
}

void clm_gen_open(clm_generator *g, clm_text *t) {
    clm_gen_vectors(g, t);
    clm_text_add(t, "__kernel void fused(");
    const char *comma = "";
    for (int k = 0; k < g->u->n_out; k++)
        if (g->takes_out[k]) {
            clm_text_add(t, "%s%s(o%d)", comma, g->p->homes[g->u->out[k]].before >= 0 ? "OUT_SHARED" : "OUT", k);
            comma = ", ";
        }
    for (int i = 0; i < g->u->n_leaf; i++)
        if (g->takes_leaf[i]) clm_text_add(t, ", %s(l%d)", is_replaced(g, i) ? "IN_SHARED" : "IN", i);
    clm_gen_quads(t, g->n_ints);
    clm_text_add(t, ") {\n");
    clm_text_join(t, &g->parameters);
    clm_gen_vector_type(g, t);
    clm_text_add(t, "    const int task = get_global_id(2);\n");
}

/* The first leaf with the stride of this one: such leaves share the parameter, and the index computed from it. */
static int same_stride(const clm_generator *g, int axis, int leaf) {
    int first = 0;
    while (g->axes[axis].stride[first] != g->axes[axis].stride[leaf]) first++;
    return first;
}

void clm_gen_strides(clm_generator *g) {
    char name[32];
    if (g->u->windowed) {
        clm_gen_parameter(g, "high", -1, g->u->space.dim[1] / g->u->window[0]);
        clm_gen_parameter(g, "wide", -1, g->u->space.dim[2] / g->u->window[1]);
    }
    for (int a = 0; a + 1 < g->n_axes; a++)
        for (int i = 0; i < g->u->n_leaf; i++)
            if (g->axes[a].stride[i] && same_stride(g, a, i) == i) {
                snprintf(name, sizeof name, "s%d_%d", a, i);
                clm_gen_parameter(g, name, -1, g->axes[a].stride[i]);
            }
}

/* The window of an element: rows and columns that no window covers belong to the last one, at a position that does not
 * occur. */
void clm_gen_window(const clm_generator *g, clm_text *t, const char *indent) {
    const int *k = g->u->window;
    if (!g->u->windowed) return;
    clm_text_add(t, "%sconst int c1 = min((int)((uint)i1 / %du), high - 1), c2 = min((int)((uint)i2 / %du), wide - 1);\n",
                 indent, k[0], k[1]);
    clm_text_add(t, "%sconst int k1 = i1 - c1 * %d, k2 = i2 - c2 * %d;\n", indent, k[0], k[1]);
    clm_text_add(t, "%sconst float code = k1 < %d && k2 < %d ? k1 * %d + k2 : -1;\n", indent, k[0], k[1], k[1]);
}

void clm_gen_pointers(clm_generator *g, clm_text *t, const char *indent) {
    for (int i = 0; i < g->u->n_leaf; i++) {
        if (!g->used[i]) continue;
        clm_text_add(t, "%s__global const float *p%d = PTR(l%d, task)", indent, i, i);
        for (int a = 0; a + 1 < g->n_axes; a++) {
            const bool window = g->u->pooled[i] && (a == 1 || a == 2);
            if (g->axes[a].stride[i]) clm_text_add(t, " + %c%d * s%d_%d", window ? 'c' : 'i', a, a, same_stride(g, a, i));
        }
        clm_text_add(t, ";\n");
    }
}

void clm_gen_decode(clm_generator *g, clm_text *t, const char *indent, const char *from, const bool *use_axis) {
    int first = -1;
    for (int a = 0; a < g->n_axes && first < 0; a++)
        if (use_axis[a]) first = a;
    if (first < 0) return;
    clm_text_add(t, "%sint rest_%s = %s;\n", indent, from, from);
    for (int a = g->n_axes - 1; a > first; a--)
        if (use_axis[a])
            clm_text_add(t, "%sconst int i%d = rest_%s %% n%d;\n%srest_%s /= n%d;\n", indent, a, from, a, indent, from, a);
    clm_text_add(t, "%sconst int i%d = rest_%s;\n", indent, first, from);
}

/* Non-temporal stores on a CPU for results too large to stay in the caches until they are read: a line is then not read before
 * it is written. A result written in place has been read anyway. Vectors are aligned to their size, as values of the workspace
 * are. */
static bool streams(const clm_generator *g, int k) {
    const clm_home *h = &g->p->homes[g->u->out[k]];
    return g->stream && h->before < 0 && h->tensor < 0;
}

void clm_gen_store(const clm_generator *g, clm_text *t, const char *indent, int k, const char *name, const char *at) {
    const char *store = streams(g, k) ? "STREAM_TO" : is_aligned(g, g->u->out[k]) ? "STORE_ALIGNED" : "STORE_TO";
    clm_text_add(t, "%s%s(%s, PTR(o%d, task) + %s);\n", indent, store, name, k, at);
}

clm_status clm_gen_step(clm_generator *g, const clm_launch_spec *spec, clm_text *source, const clm_value *values,
                        int n_values) {
    if (g->too_many)
        return clm_fail(CLM_E_LIMIT, "fusion: a kernel over %d axes needs more than %d parameters", g->n_axes, CLM_STEP_INTS);
    clm_gen_forget_vectors(source);
    if (source->failed || g->body.failed || g->parameters.failed)
        return clm_fail(CLM_E_MEMORY, "code generation: out of memory");
    char *text = source->data;
    *source = (clm_text){0};
    return clm_lower_step(g->l, g->u->out[0], spec, text, values, n_values, g->ints, g->n_ints);
}

/* The kernel's memory arguments in the order of clm_gen_open. */
static int arguments(const clm_generator *g, clm_value *values) {
    int n = 0;
    for (int k = 0; k < g->u->n_out; k++)
        if (g->takes_out[k]) values[n++] = g->u->out[k];
    for (int i = 0; i < g->u->n_leaf; i++)
        if (g->takes_leaf[i]) values[n++] = g->u->leaf[i];
    return n;
}

/* The results of the segments, and the kernel that sums them and computes what follows from them. */
static clm_status add_segmented(clm_generator *g, clm_launch_spec *spec, clm_text *source, clm_value *values, int n_values) {
    const clm_unit *u = g->u;
    clm_value combined[2 * CLM_UNIT_OUTPUTS + CLM_UNIT_LEAVES], scratch[CLM_UNIT_OUTPUTS];
    int n = 0, n_scratch = 0;
    for (int k = 0, at = 0; k < u->n_out; at += g->takes_out[k++]) {
        if (u->level[k] != CLM_LEVEL_REDUCED) continue;
        const size_t size = clm_shape_size(&g->p->nodes[u->out[k]].shape);
        values[at] = scratch[n_scratch++] = clm_lower_scratch(g->l, size * (size_t)g->segments, u->per_task);
        if (values[at] == CLM_INVALID) return clm_fail(CLM_E_MEMORY, "code generation: out of memory");
    }
    CLM_TRY(clm_gen_step(g, spec, source, values, n_values));
    CLM_TRY(clm_gen_combine(g, source, spec));
    for (int k = 0; k < u->n_out; k++)
        if (u->level[k] != CLM_LEVEL_SPACE && !u->hidden[k]) combined[n++] = u->out[k];
    for (int k = 0; k < n_scratch; k++) combined[n++] = scratch[k];
    for (int i = 0; i < u->n_leaf; i++)
        if (g->in_result[i]) combined[n++] = u->leaf[i];
    return clm_gen_step(g, spec, source, combined, n);
}

clm_status clm_gen_begin(clm_generator *g, clm_lower *l, const clm_unit *unit, bool constants) {
    *g = (clm_generator){.l = l, .u = unit, .p = l->program, .segments = 1, .finds_constants = constants};
    g->cpu = l->program->device->info.type == CLM_DEVICE_CPU;
    CLM_TRY(find_uses(g));
    g->finds_constants = false;
    find_axes(g);
    g->width = vector_width(g);
    g->stream = g->cpu && g->width > 1 && !unit->axes && clm_program_elements(g->p, unit->out[0]) >= STREAM_LEAST;
    for (int k = 0; k < unit->n_out; k++) g->takes_out[k] = !unit->hidden[k];
    for (int i = 0; i < unit->n_leaf; i++) g->takes_leaf[i] = true;
    return clm_gen_body(g, 0);
}

void clm_gen_end(clm_generator *g) {
    clm_text_free(&g->body);
    clm_text_free(&g->parameters);
}

clm_status clm_codegen(clm_lower *l, const clm_unit *unit) {
    clm_generator g;
    clm_text source = {0};
    clm_launch_spec spec = {.entry = "fused"};
    clm_value values[CLM_UNIT_OUTPUTS + CLM_UNIT_LEAVES];
    clm_status status = CLM_OK;
    CLM_GOTO(clm_gen_begin(&g, l, unit, true));
    spec.global[0] = spec.global[1] = 1;
    spec.global[2] = (size_t)(unit->per_task ? l->program->tasks : 1);
    CLM_GOTO(unit->pooling ? clm_gen_pooled(&g, &source, &spec)
             : unit->axes  ? clm_gen_reduce(&g, &source, &spec)
                           : clm_gen_map(&g, &source, &spec));
    const int n_values = arguments(&g, values);
    if (g.segments > 1)
        CLM_GOTO(add_segmented(&g, &spec, &source, values, n_values));
    else
        CLM_GOTO(clm_gen_step(&g, &spec, &source, values, n_values));
out:
    clm_text_free(&source);
    clm_gen_end(&g);
    return status;
}
