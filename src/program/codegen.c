/* OpenCL source for a group of elementwise values (a map) or of reductions, over one index space.
 *
 * The index space is collapsed: axes of size 1 go, neighbouring axes that every operand walks through evenly become one. Sizes and
 * strides are kernel arguments, so layers of different size share a kernel; what is written into the source is the number of axes,
 * the vector width and, for each operand, whether it runs along the innermost axis or stands still there.
 *
 * map:    a work-item takes `chunk` rows of the innermost axis (CPU) or one vector (GPU).
 * column: the innermost axis is kept; a work-item makes one vector of results and loops over the reduced axes.
 * row:    the innermost axis is reduced; a work-item makes one result.
 * Sums are made in blocks of BLOCK terms that are then added up: fewer roundings lie between a term and the result.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ops/op.h"
#include "program/internal.h"

enum { MAP_ELEMENTS = 2048, BLOCK = 32 };

typedef struct axis {
    int size;
    bool reduced;
    int stride[CLM_UNIT_LEAVES]; /* of each leaf */
} axis;

typedef struct generator {
    clm_lower *l;
    const clm_unit *u;
    const clm_program *p;
    axis axes[CLM_MAX_RANK];
    int n_axes;
    int width; /* floats of a vector along the innermost axis */
    bool cpu;
    clm_text body;                  /* the expressions */
    clm_value done[CLM_UNIT_NODES]; /* values that `body` has computed */
    int n_done;
    int ints[CLM_STEP_INTS];
    int n_ints;
    bool too_many;
    clm_text parameters;
} generator;

/* ---- index space ---- */

static void find_axes(generator *g) {
    const clm_unit *u = g->u;
    for (int a = 0; a < u->space.rank; a++) {
        if (u->space.dim[a] == 1) continue;
        axis x = {.size = u->space.dim[a], .reduced = u->axes >> a & 1};
        for (int i = 0; i < u->n_leaf; i++) {
            clm_shape s = clm_value_shape(g->l->graph, u->leaf[i]);
            int own = a - (u->space.rank - s.rank), step = 1;
            for (int k = s.rank - 1; k > own && k >= 0; k--) step *= s.dim[k];
            x.stride[i] = own < 0 || s.dim[own] == 1 ? 0 : step;
        }
        axis *before = g->n_axes ? &g->axes[g->n_axes - 1] : NULL;
        bool joins = before && before->reduced == x.reduced;
        for (int i = 0; i < u->n_leaf && joins; i++) joins = before->stride[i] == x.stride[i] * x.size;
        if (joins) {
            before->size *= x.size;
            memcpy(before->stride, x.stride, sizeof x.stride);
        } else {
            g->axes[g->n_axes++] = x;
        }
    }
    if (!g->n_axes) {
        g->axes[0] = (axis){.size = 1, .reduced = u->axes != 0};
        g->n_axes = 1;
    }
}

static int vector_width(const generator *g) {
    int most = (int)g->p->device->info.float_vector_width, inner = g->axes[g->n_axes - 1].size;
    if (!g->cpu)
        most = 4;
    else if (most < 4)
        most = 4;
    if (most > 16) most = 16;
    for (int w = most; w > 1; w /= 2)
        if (inner % w == 0) return w;
    return 1;
}

/* An int parameter with its value. */
static void parameter(generator *g, const char *name, int index, int value) {
    if (g->n_ints == CLM_STEP_INTS) {
        g->too_many = true;
        return;
    }
    if (index < 0)
        clm_text_add(&g->parameters, ", const int %s", name);
    else
        clm_text_add(&g->parameters, ", const int %s%d", name, index);
    g->ints[g->n_ints++] = value;
}

/* ---- expressions ---- */

static void literal(clm_text *t, double v) {
    if (isnan(v))
        clm_text_add(t, "(F)(NAN)");
    else if (fabs(v) > FLT_MAX)
        clm_text_add(t, v > 0 ? "(F)(INFINITY)" : "(F)(-INFINITY)");
    else {
        char number[48];
        snprintf(number, sizeof number, "%.9g", v);
        for (char *c = number; *c; c++) /* the host program's locale may have another decimal point */
            if (!strchr("0123456789+-e", *c)) *c = '.';
        clm_text_add(t, "(F)(%s%sf)", number, strpbrk(number, ".e") ? "" : ".0");
    }
}

static int leaf_index(const clm_unit *u, clm_value v) {
    for (int i = 0; i < u->n_leaf; i++)
        if (u->leaf[i] == v) return i;
    return -1;
}

/* The name under which a value is known in the kernel; broadcast is the operand itself. */
static void name_of(const generator *g, clm_value v, bool root, char *out, size_t size) {
    int leaf = root ? -1 : leaf_index(g->u, v);
    while (leaf < 0 && g->p->nodes[v].op == CLM_OP_BROADCAST) {
        v = g->p->nodes[v].in[0];
        leaf = leaf_index(g->u, v);
    }
    int at = 0;
    while (leaf < 0 && at < g->n_done && g->done[at] != v) at++;
    if (leaf >= 0)
        snprintf(out, size, "x%d", leaf);
    else
        snprintf(out, size, "v%d", at); /* numbered as they come, so that equal kernels have equal text */
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

/* Writes an operation's expression with its operands' names in place of a and b and its constants in place of $0 and $1. */
static void substitute(clm_text *t, const char *expression, const char *a, const char *b, const clm_attr *attr) {
    for (const char *c = expression; *c; c++) {
        bool alone = (c == expression || !is_letter(c[-1])) && !is_letter(c[1]);
        if (*c == '$')
            literal(t, attr->f[*++c - '0']);
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

static clm_status compute(generator *g, clm_value v, bool root) {
    char names[2][24] = {"", ""};
    if (!root && leaf_index(g->u, v) >= 0) return CLM_OK;
    const clm_node *n = &g->p->nodes[v];
    if (n->op == CLM_OP_BROADCAST) return compute(g, n->in[0], false);
    for (int i = 0; i < g->n_done; i++)
        if (g->done[i] == v) return CLM_OK;
    if (g->n_done == CLM_UNIT_NODES)
        return clm_fail(CLM_E_LIMIT, "fusion: more than %d operations in one kernel", CLM_UNIT_NODES);
    for (int i = 0; i < n->n_in; i++) {
        CLM_TRY(compute(g, n->in[i], false));
        name_of(g, n->in[i], false, names[i], sizeof names[i]);
    }
    clm_text_add(&g->body, "        const F v%d = ", g->n_done);
    substitute(&g->body, expression_of(n), names[0], names[1], &n->attr);
    clm_text_add(&g->body, ";\n");
    g->done[g->n_done++] = v;
    return CLM_OK;
}

/* Loads at element index `e` along the innermost axis, then all expressions. `of`: what unit output k computes. */
static clm_status make_body(generator *g) {
    const axis *inner = &g->axes[g->n_axes - 1];
    for (int i = 0; i < g->u->n_leaf; i++) {
        if (inner->stride[i] == 0)
            clm_text_add(&g->body, "        const F x%d = (F)(p%d[0]);\n", i, i);
        else if (g->width == 1)
            clm_text_add(&g->body, "        const F x%d = p%d[e];\n", i, i);
        else
            clm_text_add(&g->body, "        const F x%d = vload%d(0, p%d + e);\n", i, g->width, i);
    }
    for (int k = 0; k < g->u->n_out; k++) {
        clm_value v = g->u->out[k];
        CLM_TRY(g->u->axes ? compute(g, g->p->nodes[v].in[0], false) : compute(g, v, true));
    }
    return CLM_OK;
}

/* ---- kernels ---- */

static void open_kernel(generator *g, clm_text *t) {
    clm_text_add(t, "#define F float%.0d\n__kernel void fused(", g->width == 1 ? 0 : g->width);
    for (int k = 0; k < g->u->n_out; k++) clm_text_add(t, "%sOUT(o%d)", k ? ", " : "", k);
    for (int i = 0; i < g->u->n_leaf; i++) clm_text_add(t, ", IN(l%d)", i);
    clm_text_add(t, "%s) {\n    const int task = get_global_id(2);\n", g->parameters.data ? g->parameters.data : "");
}

/* Declares p<i>, pointers to the leaves at the indices of the axes before the last. `index` names the variable of each axis. */
static void point_leaves(generator *g, clm_text *t, const char *indent, const bool *use_axis) {
    for (int i = 0; i < g->u->n_leaf; i++) {
        clm_text_add(t, "%s__global const float *p%d = PTR(l%d, task)", indent, i, i);
        for (int a = 0; a < g->n_axes; a++)
            if (use_axis[a] && g->axes[a].stride[i]) clm_text_add(t, " + i%d * s%d_%d", a, a, i);
        clm_text_add(t, ";\n");
    }
}

static void stride_parameters(generator *g) {
    char name[32];
    for (int a = 0; a + 1 < g->n_axes; a++)
        for (int i = 0; i < g->u->n_leaf; i++)
            if (g->axes[a].stride[i]) {
                snprintf(name, sizeof name, "s%d_%d", a, i);
                parameter(g, name, -1, g->axes[a].stride[i]);
            }
}

/* Declares i<a> for the chosen axes from a running number `from`, the last axis fastest. */
static void decode(generator *g, clm_text *t, const char *indent, const char *from, const bool *use_axis) {
    int first = -1;
    for (int a = 0; a < g->n_axes && first < 0; a++)
        if (use_axis[a]) first = a;
    if (first < 0) return;
    clm_text_add(t, "%sint rest = %s;\n", indent, from);
    for (int a = g->n_axes - 1; a > first; a--)
        if (use_axis[a]) clm_text_add(t, "%sconst int i%d = rest %% n%d;\n%srest /= n%d;\n", indent, a, a, indent, a);
    clm_text_add(t, "%sconst int i%d = rest;\n", indent, first);
}

static void store(generator *g, clm_text *t, const char *indent, int k, const char *name, const char *at) {
    if (g->width == 1)
        clm_text_add(t, "%sPTR(o%d, task)[%s] = %s;\n", indent, k, at, name);
    else
        clm_text_add(t, "%svstore%d(%s, 0, PTR(o%d, task) + %s);\n", indent, g->width, name, k, at);
}

static clm_status map_kernel(generator *g, clm_text *t, clm_launch_spec *spec) {
    bool outer[CLM_MAX_RANK] = {false};
    char name[24];
    int last = g->n_axes - 1, vectors = g->axes[last].size / g->width, rows = 1, chunk;
    for (int a = 0; a < last; a++) {
        outer[a] = true;
        rows *= g->axes[a].size;
        parameter(g, "n", a, g->axes[a].size);
    }
    parameter(g, "rows", -1, rows);
    parameter(g, "vectors", -1, vectors);
    stride_parameters(g);
    if (g->cpu && g->n_axes > 1) { /* rows of the innermost axis */
        chunk = MAP_ELEMENTS / (vectors * g->width);
        if (chunk < 1) chunk = 1;
        parameter(g, "chunk", -1, chunk);
        open_kernel(g, t);
        clm_text_add(t, "    const int first = get_global_id(0) * chunk, end = min(first + chunk, rows);\n"
                        "    for (int row = first; row < end; row++) {\n");
        decode(g, t, "      ", "row", outer);
        point_leaves(g, t, "      ", outer);
        clm_text_add(t, "      for (int j = 0; j < vectors; j++) {\n        const int e = j * %d;\n", g->width);
        spec->global[0] = ((size_t)rows + (size_t)chunk - 1) / (size_t)chunk;
    } else { /* vectors, in chunks of neighbours */
        chunk = g->cpu ? MAP_ELEMENTS / g->width : 1;
        parameter(g, "chunk", -1, chunk);
        open_kernel(g, t);
        clm_text_add(t,
                     "    const int first = get_global_id(0) * chunk, end = min(first + chunk, rows * vectors);\n"
                     "    for (int at = first; at < end; at++) {\n      const int row = at / vectors, j = at - row * vectors;\n");
        decode(g, t, "      ", "row", outer);
        point_leaves(g, t, "      ", outer);
        clm_text_add(t, "      {\n        const int e = j * %d;\n", g->width);
        spec->global[0] = ((size_t)rows * (size_t)vectors + (size_t)chunk - 1) / (size_t)chunk;
    }
    clm_text_add(t, "%s", g->body.data ? g->body.data : "");
    clm_text_add(t, "        const int to = row * vectors * %d + e;\n", g->width);
    for (int k = 0; k < g->u->n_out; k++) {
        name_of(g, g->u->out[k], true, name, sizeof name);
        store(g, t, "        ", k, name, "to");
    }
    clm_text_add(t, "      }\n    }\n}\n");
    return CLM_OK;
}

static void accumulate(generator *g, clm_text *t, const char *indent) {
    char name[24];
    for (int k = 0; k < g->u->n_out; k++) {
        const clm_node *n = &g->p->nodes[g->u->out[k]];
        name_of(g, n->in[0], false, name, sizeof name);
        if (n->op == CLM_OP_SUM)
            clm_text_add(t, "%sb%d += %s;\n", indent, k, name);
        else
            clm_text_add(t, "%sb%d = select(b%d, %s, isgreater(%s, b%d) | isnan(%s));\n", indent, k, k, name, name, k, name);
    }
}

static void declare(generator *g, clm_text *t, const char *indent, char letter, bool block) {
    for (int k = 0; k < g->u->n_out; k++) {
        bool sum = g->p->nodes[g->u->out[k]].op == CLM_OP_SUM;
        if (sum || !block)
            clm_text_add(t, "%sF %c%d = (F)(%s);\n", indent, letter, k, sum ? "0.0f" : "-INFINITY");
        else
            clm_text_add(t, "%sF %c%d = a%d;\n", indent, letter, k, k);
    }
}

static void close_block(generator *g, clm_text *t, const char *indent) {
    for (int k = 0; k < g->u->n_out; k++) {
        bool sum = g->p->nodes[g->u->out[k]].op == CLM_OP_SUM;
        clm_text_add(t, sum ? "%sa%d += b%d;\n" : "%sa%d = b%d;\n", indent, k, k);
    }
}

/* One scalar out of the vector s<k>, for the row kernel. */
static void fold_vector(generator *g, clm_text *t, int k) {
    bool sum = g->p->nodes[g->u->out[k]].op == CLM_OP_SUM;
    char from[32];
    snprintf(from, sizeof from, "a%d", k);
    for (int w = g->width / 2; w >= 1; w /= 2) {
        char type[24] = "float";
        if (w > 1) snprintf(type, sizeof type, "float%d", w);
        clm_text_add(t, "    const %s f%d_%d = ", type, k, w);
        if (sum)
            clm_text_add(t, "%s.lo + %s.hi;\n", from, from);
        else
            clm_text_add(t, "select(%s.lo, %s.hi, isgreater(%s.hi, %s.lo) | isnan(%s.hi));\n", from, from, from, from, from);
        snprintf(from, sizeof from, "f%d_%d", k, w);
    }
    clm_text_add(t, "    PTR(o%d, task)[result] = %s;\n", k, from);
}

static clm_status reduce_kernel(generator *g, clm_text *t, clm_launch_spec *spec) {
    bool kept[CLM_MAX_RANK] = {false}, reduced[CLM_MAX_RANK] = {false};
    int last = g->n_axes - 1, vectors = g->axes[last].size / g->width, results = 1, inner = -1;
    bool row = g->axes[last].reduced;
    for (int a = 0; a < last; a++) {
        kept[a] = !g->axes[a].reduced;
        reduced[a] = g->axes[a].reduced;
        if (kept[a]) results *= g->axes[a].size;
        if (reduced[a]) inner = a;
        parameter(g, "n", a, g->axes[a].size);
    }
    parameter(g, "vectors", -1, vectors);
    parameter(g, "results", -1, results);
    stride_parameters(g);
    open_kernel(g, t);
    spec->global[0] = (size_t)results * (row ? 1u : (size_t)vectors);
    if (row)
        clm_text_add(t, "    const int result = get_global_id(0);\n    if (result >= results) return;\n");
    else
        clm_text_add(t,
                     "    const int id = get_global_id(0), result = id / vectors, e = (id - result * vectors) * %d;\n"
                     "    if (result >= results) return;\n",
                     g->width);
    decode(g, t, "    ", "result", kept);
    declare(g, t, "    ", 'a', false);
    /* The innermost loop runs in blocks; the others are plain. */
    for (int a = 0; a < last; a++)
        if (reduced[a] && (row || a != inner)) clm_text_add(t, "    for (int i%d = 0; i%d < n%d; i%d++) {\n", a, a, a, a);
    bool use[CLM_MAX_RANK];
    for (int a = 0; a < last; a++) use[a] = true;
    use[last] = false;
    if (row) {
        point_leaves(g, t, "    ", use);
        clm_text_add(t, "    for (int block = 0; block < vectors; block += %d) {\n", BLOCK);
        declare(g, t, "      ", 'b', true);
        clm_text_add(t, "      for (int j = block; j < min(block + %d, vectors); j++) {\n        const int e = j * %d;\n", BLOCK,
                     g->width);
    } else {
        clm_text_add(t, "    for (int block = 0; block < n%d; block += %d) {\n", inner, BLOCK);
        declare(g, t, "      ", 'b', true);
        clm_text_add(t, "      for (int i%d = block; i%d < min(block + %d, n%d); i%d++) {\n", inner, inner, BLOCK, inner, inner);
        point_leaves(g, t, "        ", use);
    }
    clm_text_add(t, "%s", g->body.data ? g->body.data : "");
    accumulate(g, t, "        ");
    clm_text_add(t, "      }\n");
    close_block(g, t, "      ");
    clm_text_add(t, "    }\n");
    for (int a = 0; a < last; a++)
        if (reduced[a] && (row || a != inner)) clm_text_add(t, "    }\n");
    for (int k = 0; k < g->u->n_out; k++) {
        char name[16], at[40];
        snprintf(name, sizeof name, "a%d", k);
        snprintf(at, sizeof at, "result * vectors * %d + e", g->width);
        if (row)
            fold_vector(g, t, k);
        else
            store(g, t, "    ", k, name, at);
    }
    clm_text_add(t, "}\n");
    return CLM_OK;
}

clm_status clm_codegen(clm_lower *l, const clm_unit *unit) {
    generator g = {.l = l, .u = unit, .p = l->program};
    clm_text source = {0};
    clm_launch_spec spec = {.entry = "fused"};
    clm_value values[CLM_UNIT_OUTPUTS + CLM_UNIT_LEAVES];
    clm_status status = CLM_OK;
    g.cpu = l->program->device->info.type == CLM_DEVICE_CPU;
    find_axes(&g);
    g.width = vector_width(&g);
    CLM_GOTO(make_body(&g));
    spec.global[0] = spec.global[1] = spec.global[2] = 1;
    CLM_GOTO(unit->axes ? reduce_kernel(&g, &source, &spec) : map_kernel(&g, &source, &spec));
    spec.global[2] = (size_t)(unit->per_task ? l->program->tasks : 1);
    if (g.too_many) {
        status = clm_fail(CLM_E_LIMIT, "fusion: a kernel over %d axes needs more than %d parameters", g.n_axes, CLM_STEP_INTS);
        goto out;
    }
    if (source.failed || g.body.failed || g.parameters.failed) {
        status = clm_fail(CLM_E_MEMORY, "code generation: out of memory");
        goto out;
    }
    for (int k = 0; k < unit->n_out; k++) values[k] = unit->out[k];
    for (int i = 0; i < unit->n_leaf; i++) values[unit->n_out + i] = unit->leaf[i];
    clm_text_add(&source, "#undef F\n");
    char *text = source.data;
    source.data = NULL;
    status = clm_lower_step(l, unit->out[0], &spec, text, values, unit->n_out + unit->n_leaf, g.ints, g.n_ints);
out:
    clm_text_free(&source);
    clm_text_free(&g.body);
    clm_text_free(&g.parameters);
    return status;
}
