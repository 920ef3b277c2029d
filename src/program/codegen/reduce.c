/* Kernels of reductions; see codegen.c.
 *
 * column: the innermost axis is kept; a work-item computes some vectors of results and loops over the reduced axes.
 * row:    the innermost axis is reduced; a work-item computes one result.
 *
 * A unit may pass over the elements of a result several times: the reductions of a pass, and values computed from them, are
 * variables of the work-item in the next pass. Maps over the index space are stored in their pass. Where the results of rows
 * are summed, a work-item computes several of them (total.c).
 *
 * Sums run in blocks of BLOCK terms whose totals are added: this bounds the number of roundings between a term and the result.
 * On a GPU with local memory the items of a work-group share the elements of a result, or of a few neighbouring ones, up to
 * clm_shared_elements of them: item i takes every n-th from the i-th on, and their totals are added by halves. So a mean and a
 * variance, or an adjoint that needs two sums, are one launch.
 *
 * Where there are fewer results than the device has lanes otherwise, the reduced elements are cut into segments, each with a
 * result of its own in scratch memory; a second kernel adds these in order and computes what follows from them. No cut depends
 * on the number of tasks, so neither do the bits. On a CPU large sums are cut as well, so that an item can process whole rows and
 * there are still enough items: a part of a row costs as much as the row, because memory transfers come in pairs of lines.
 */
#include <stdlib.h>
#include <string.h>

#include "base/integers.h"
#include "ops/op.h"
#include "program/codegen/codegen.h"

enum {
    BLOCK = 32,
    CPU_SEGMENT = 16384, /* elements that justify a call and a second launch */
    CPU_PIECE = 1 << 17, /* elements that suffice for a call */
    GPU_SEGMENT = 256,
    SERIAL = 32,           /* elements that an item of a GPU takes alone */
    GPU_LANES = 256,       /* work-items for every compute unit that keep it busy */
    GROUP = 256,           /* work-items that share elements */
    LINE = 8,              /* floats of neighbouring results that a group takes: what memory transfers at least */
    CPU_ACCUMULATORS = 16, /* vectors */
    UNROLLED = 2           /* vectors whose operands stay in registers */
};

typedef struct plan {
    bool row;
    int last, inner;      /* axes: the innermost, and the one that the inner loop runs over */
    int vectors, results; /* of the innermost axis; kept elements of the others */
    int lines, steps;     /* reduced elements: outer loops, inner loop */
    int each;             /* vectors of results for a work-item (column) */
    int segments;         /* of the lines if there are several, of the steps otherwise */
    int lanes, abreast;   /* items that share a result's elements, 1: none do; vectors of results of such a group */
    bool kept[CLM_MAX_RANK], outer[CLM_MAX_RANK];
} plan;

static bool is_sum(const clm_generator *g, int k) { return g->p->nodes[g->u->out[k]].op == CLM_OP_SUM; }
static bool is_reduction(const clm_generator *g, int k, int pass) {
    return g->u->level[k] == CLM_LEVEL_REDUCED && g->u->pass[k] == pass;
}

/* Accumulators of a work-item for each of its results. */
static int accumulators_of(const clm_generator *g) {
    int most = 1;
    for (int pass = 0; pass < g->u->passes; pass++) {
        int n = 0;
        for (int k = 0; k < g->u->n_out; k++) n += is_reduction(g, k, pass);
        if (n > most) most = n;
    }
    return most;
}

/* Sets lanes and abreast, both powers of two. Larger groups on a GPU that shares the host's memory: fewer results are in work
 * at a time, whose elements its small cache may hold until the next pass. */
static void share_elements(const clm_generator *g, plan *p, int elements) {
    const clm_device_info *info = &g->p->device->info;
    const int most = (int)clm_shared_elements(g->p->device),
              group = clm_least(info->unified_memory ? 2 * GROUP : GROUP, (int)info->max_work_group_size);
    const size_t room = info->local_memory / 2 / (sizeof(float) * (size_t)(g->width * accumulators_of(g)));
    if (g->u->totals || elements > most || elements <= SERIAL) return;
    while (!p->row && 2 * p->abreast * g->width <= LINE && p->vectors % (2 * p->abreast) == 0) p->abreast *= 2;
    while (2 * p->lanes * p->abreast <= group && (size_t)2 * (size_t)p->lanes * (size_t)p->abreast <= room &&
           2 * p->lanes <= elements)
        p->lanes *= 2;
    if (p->lanes == 1) p->abreast = 1;
}

static plan make_plan(const clm_generator *g, size_t tasks) {
    plan p = {.last = g->n_axes - 1, .inner = -1, .results = 1, .lines = 1, .each = 1, .segments = 1, .lanes = 1, .abreast = 1};
    p.row = g->axes[p.last].reduced;
    p.vectors = g->axes[p.last].size / g->width;
    for (int a = 0; a < p.last; a++) {
        p.kept[a] = !g->axes[a].reduced;
        p.outer[a] = g->axes[a].reduced;
        if (p.kept[a]) p.results *= g->axes[a].size;
        if (g->axes[a].reduced) p.inner = a;
    }
    if (p.row)
        p.inner = p.last;
    else
        p.outer[p.inner] = false;
    p.steps = p.row ? p.vectors : g->axes[p.inner].size;
    for (int a = 0; a < p.last; a++)
        if (p.outer[a]) p.lines *= g->axes[a].size;

    const int units = clm_most(1, (int)g->p->device->info.compute_units), lanes = g->cpu ? units : units * GPU_LANES;
    const int results = p.results * (p.row ? 1 : p.vectors), elements = p.lines * p.steps * (p.row ? g->width : 1);
    const int whole = elements * (p.row ? 1 : p.vectors * g->width);
    const int segments = clm_least(clm_over(lanes, results), elements / (g->cpu ? CPU_SEGMENT : GPU_SEGMENT));
    const int parts = p.lines > 1 ? p.lines : clm_over(p.steps, BLOCK), pieces = g->cpu && !p.row ? whole / CPU_PIECE : 1;
    share_elements(g, &p, elements);
    if (p.lanes > 1) return p;
    p.segments = g->u->passes > 1 || g->u->totals ? 1 : clm_most(1, clm_least(clm_most(segments, pieces), parts));
    if (g->cpu &&
        !p.row) /* whole cache lines of a row of the operands, as long as all compute units have the same work, or nearly */
        for (int each = 2; each <= p.vectors && each * accumulators_of(g) <= CPU_ACCUMULATORS; each++) {
            const size_t items = (size_t)(p.results * (p.vectors / each) * p.segments) * tasks;
            if (p.vectors % each == 0 && (items % (size_t)units == 0 || items >= 4u * (size_t)units)) p.each = each;
        }
    return p;
}

/* ---- accumulators: a<k> totals, b<k> of a block; arrays over the vectors of an item ---- */

static void accumulator(const plan *p, char letter, int k, char *out, size_t size) {
    snprintf(out, size, p->each > 1 ? "%c%d[j]" : "%c%d", letter, k);
}

static void for_each_vector(const plan *p, clm_text *t, const char *indent) {
    if (p->each > 1) clm_text_add(t, "%sfor (int j = 0; j < %d; j++)\n", indent, p->each);
}

static void declare(const clm_generator *g, const plan *p, clm_text *t, const char *indent, char letter, int pass) {
    for (int k = 0; k < g->u->n_out; k++) {
        char name[24], total[24];
        if (!is_reduction(g, k, pass)) continue;
        accumulator(p, letter, k, name, sizeof name);
        accumulator(p, 'a', k, total, sizeof total);
        if (p->each > 1) clm_text_add(t, "%sF %c%d[%d];\n", indent, letter, k, p->each);
        for_each_vector(p, t, indent);
        clm_text_add(t, "%s%s%s = ", indent, p->each > 1 ? "" : "F ", name);
        if (is_sum(g, k))
            clm_text_add(t, "(F)(0.0f);\n");
        else if (letter == 'a')
            clm_text_add(t, "(F)(-INFINITY);\n");
        else
            clm_text_add(t, "%s;\n", total);
    }
}

void clm_gen_take(const clm_generator *g, clm_text *t, const char *indent, int k, const char *to, const char *value) {
    if (is_sum(g, k))
        clm_text_add(t, "%s%s += %s;\n", indent, to, value);
    else
        clm_text_add(t, "%s%s = ((%s > %s) | (%s != %s)) ? %s : %s;\n", indent, to, value, to, value, value, value, to);
}

static void accumulate(const clm_generator *g, const plan *p, clm_text *t, const char *indent, int pass) {
    for (int k = 0; k < g->u->n_out; k++) {
        char name[32], to[24];
        if (!is_reduction(g, k, pass)) continue;
        clm_gen_name(g, g->p->nodes[g->u->out[k]].in[0], false, name, sizeof name);
        accumulator(p, 'b', k, to, sizeof to);
        clm_gen_take(g, t, indent, k, to, name);
    }
}

static void close_block(const clm_generator *g, const plan *p, clm_text *t, const char *indent, int pass) {
    for (int k = 0; k < g->u->n_out; k++) {
        char from[24], to[24];
        if (!is_reduction(g, k, pass)) continue;
        accumulator(p, 'b', k, from, sizeof from);
        accumulator(p, 'a', k, to, sizeof to);
        for_each_vector(p, t, indent);
        clm_text_add(t, is_sum(g, k) ? "%s%s += %s;\n" : "%s%s = %s;\n", indent, to, from);
    }
}

/* One number r<k> out of the vector a<k>, for the row kernel. */
static void fold_vector(const clm_generator *g, clm_text *t, int k) {
    char from[32];
    snprintf(from, sizeof from, "a%d", k);
    for (int w = g->width / 2; w >= 1; w /= 2) {
        char type[24] = "float";
        if (w > 1) snprintf(type, sizeof type, "float%d", w);
        clm_text_add(t, "    const %s f%d_%d = ", type, k, w);
        if (is_sum(g, k))
            clm_text_add(t, "%s.lo + %s.hi;\n", from, from);
        else
            clm_text_add(t, "((%s.hi > %s.lo) | (%s.hi != %s.hi)) ? %s.hi : %s.lo;\n", from, from, from, from, from, from);
        snprintf(from, sizeof from, "f%d_%d", k, w);
    }
    clm_text_add(t, "    const float r%d = %s;\n", k, from);
}

/* ---- the kernel ---- */

static void parameters(clm_generator *g, const plan *p) {
    for (int a = 0; a < p->last; a++) clm_gen_parameter(g, "n", a, g->axes[a].size);
    clm_gen_parameter(g, "vectors", -1, p->vectors);
    clm_gen_parameter(g, "results", -1, p->results);
    clm_gen_parameter(g, "lines", -1, p->lines);
    clm_gen_parameter(g, "segments", -1, p->segments);
    clm_gen_strides(g);
    clm_gen_constants(g);
}

/* Which result and which segment. */
static void choose_result(clm_generator *g, const plan *p, clm_text *t, clm_launch_spec *spec) {
    if (p->lanes > 1) { /* a driver may give a group fewer lanes; groups are never padded, as there are barriers */
        spec->local[0] = (size_t)p->abreast;
        spec->local[1] = (size_t)p->lanes;
        spec->local[2] = 1;
        clm_text_add(t, "    __local F of_lanes[%d];\n", accumulators_of(g) * p->lanes * p->abreast);
        clm_text_add(t, "    const int lane = get_local_id(1), lanes = get_local_size(1), abreast = get_local_size(0);\n");
    }
    if (g->u->totals) {
        clm_gen_open_rows(g, t, spec);
        clm_text_add(t, "    const int segment = 0, steps = vectors;\n");
        return;
    }
    clm_text_add(t, "    const int id = get_global_id(0), segment = %s;\n", p->lanes > 1 ? "0" : "get_global_id(1)");
    if (p->row)
        clm_text_add(t, "    const int result = id, steps = vectors;\n");
    else
        clm_text_add(
            t, "    const int groups = vectors / %d, result = id / groups, e0 = (id - result * groups) * %d, steps = n%d;\n",
            p->each, p->each * g->width, p->inner);
    if (p->lanes == 1) clm_text_add(t, "    if (result >= results || segment >= segments) return;\n");
    spec->global[0] = (size_t)p->results * (p->row ? 1u : (size_t)(p->vectors / p->each));
    spec->global[1] = (size_t)(p->lanes > 1 ? p->lanes : p->segments);
}

/* The bounds of the loops in it. */
static void open_item(clm_generator *g, const plan *p, clm_text *t) {
    clm_gen_decode(g, t, "    ", "result", p->kept);
    for (int k = 0; k < g->u->n_out; k++)
        if (g->u->level[k] == CLM_LEVEL_SPACE && !g->u->hidden[k]) {
            clm_text_add(t, "    const int n%d = vectors * %d;\n", p->last, g->width);
            break;
        }
    if (p->lanes > 1)
        clm_text_add(t, "    const int elements = lines * steps;\n");
    else if (p->lines > 1) /* the text of a kernel does not depend on sizes beyond this */
        clm_text_add(
            t,
            "    const int share = (lines + segments - 1) / segments, from = segment * share, to = min(from + share, lines);\n"
            "    const int begin = 0, end = steps;\n");
    else
        clm_text_add(t,
                     "    const int blocks = (steps + %d) / %d, share = (blocks + segments - 1) / segments * %d;\n"
                     "    const int begin = segment * share, end = min(begin + share, steps), from = 0, to = lines;\n",
                     BLOCK - 1, BLOCK, BLOCK);
}

/* Maps over the index space, at its indices. */
static void store_in_space(const clm_generator *g, clm_text *t, const char *indent, int pass) {
    for (int k = 0; k < g->u->n_out; k++) {
        char name[32];
        if (g->u->level[k] != CLM_LEVEL_SPACE || g->u->hidden[k] || g->u->pass[k] != pass) continue;
        clm_gen_name(g, g->u->out[k], true, name, sizeof name);
        clm_text_add(t, "%sSTORE_TO(%s, PTR(o%d, task) + ", indent, name, k);
        for (int a = 0; a + 1 < g->n_axes; a++) clm_text_add(t, "%c", '(');
        for (int a = 0; a + 1 < g->n_axes; a++) clm_text_add(t, a ? " + i%d) * n%d" : "i%d * n%d", a, a + 1);
        clm_text_add(t, g->n_axes > 1 ? ") + e);\n" : "e);\n");
    }
}

/* Those of a lane: elements `lane`, `lane` + `lanes`, .. of all lines and steps. */
static void shared_loops(clm_generator *g, const plan *p, clm_text *t, int pass) {
    clm_text_add(t, "    for (int block = lane; block < elements; block += %d * lanes) {\n", BLOCK);
    declare(g, p, t, "      ", 'b', pass);
    clm_text_add(t, "      for (int i = block; i < min(block + %d * lanes, elements); i += lanes) {\n", BLOCK);
    clm_text_add(t, p->lines > 1 ? "        const int line = i / steps, step = i - line * steps;\n"
                                 : "        const int line = 0, step = i;\n");
    clm_gen_decode(g, t, "        ", "line", p->outer);
    if (!p->row) clm_text_add(t, "        const int i%d = step;\n", p->inner);
    clm_gen_window(g, t, "        ");
    clm_gen_pointers(g, t, "        ");
    if (p->row)
        clm_text_add(t, "        const int e = step * %d;\n", g->width);
    else
        clm_text_add(t, "        const int e = e0;\n");
    clm_text_join(t, &g->body);
    accumulate(g, p, t, "        ", pass);
    store_in_space(g, t, "        ", pass);
    clm_text_add(t, "      }\n");
    close_block(g, p, t, "      ", pass);
    clm_text_add(t, "    }\n");
}

/* Every lane then has the totals of a pass. A power of two of lanes; the array is not written before everybody has read it. */
static void add_lanes(const clm_generator *g, const plan *p, clm_text *t, int pass) {
    int slot = 0;
    clm_text_add(t, "    {\n      const int at = lane * abreast + (int)get_local_id(0), slots = lanes * abreast;\n"
                    "      barrier(CLK_LOCAL_MEM_FENCE);\n");
    for (int k = 0; k < g->u->n_out; k++)
        if (is_reduction(g, k, pass)) clm_text_add(t, "      of_lanes[%d * slots + at] = a%d;\n", slot++, k);
    clm_text_add(t, "      for (int span = lanes / 2; span > 0; span /= 2) {\n        barrier(CLK_LOCAL_MEM_FENCE);\n"
                    "        if (lane >= span) continue;\n");
    slot = 0;
    for (int k = 0; k < g->u->n_out; k++) {
        char from[64], to[64];
        if (!is_reduction(g, k, pass)) continue;
        snprintf(to, sizeof to, "of_lanes[%d * slots + at]", slot);
        snprintf(from, sizeof from, "of_lanes[%d * slots + at + span * abreast]", slot++);
        clm_gen_take(g, t, "        ", k, to, from);
    }
    clm_text_add(t, "      }\n      barrier(CLK_LOCAL_MEM_FENCE);\n");
    slot = 0;
    for (int k = 0; k < g->u->n_out; k++)
        if (is_reduction(g, k, pass)) clm_text_add(t, "      a%d = of_lanes[%d * slots + (int)get_local_id(0)];\n", k, slot++);
    clm_text_add(t, "    }\n");
    (void)p;
}

static bool has_reductions(const clm_generator *g, int pass) {
    for (int k = 0; k < g->u->n_out; k++)
        if (is_reduction(g, k, pass)) return true;
    return false;
}

static clm_status loops(clm_generator *g, const plan *p, clm_text *t, int pass) {
    CLM_TRY(clm_gen_body(g, pass));
    if (p->lanes > 1) {
        shared_loops(g, p, t, pass);
        if (has_reductions(g, pass)) add_lanes(g, p, t, pass);
        return CLM_OK;
    }
    clm_text_add(t, "    for (int line = from; line < to; line++) {\n");
    clm_gen_decode(g, t, "      ", "line", p->outer);
    if (p->row) clm_gen_window(g, t, "      ");
    if (p->row) clm_gen_pointers(g, t, "      ");
    clm_text_add(t, "    for (int block = begin; block < end; block += %d) {\n", BLOCK);
    declare(g, p, t, "      ", 'b', pass);
    clm_text_add(t, "      for (int step = block; step < min(block + %d, end); step++) {\n", BLOCK);
    if (p->row) {
        clm_text_add(t, "        const int e = step * %d;\n", g->width);
    } else {
        clm_text_add(t, "        const int i%d = step;\n", p->inner);
        clm_gen_window(g, t, "        ");
        clm_gen_pointers(g, t, "        ");
        if (p->each > 1)
            clm_text_add(t, "#pragma unroll%s\n        for (int j = 0; j < %d; j++) {\n        const int e = e0 + j * %d;\n",
                         p->each > UNROLLED ? " 1" : "", p->each, g->width);
        else
            clm_text_add(t, "        const int e = e0;\n");
    }
    clm_text_join(t, &g->body);
    accumulate(g, p, t, "        ", pass);
    store_in_space(g, t, "        ", pass);
    clm_text_add(t, p->each > 1 ? "      }}\n" : "      }\n");
    close_block(g, p, t, "      ", pass);
    clm_text_add(t, "    }}\n");
    return CLM_OK;
}

static bool has_loops(const clm_generator *g, int pass) {
    for (int k = 0; k < g->u->n_out; k++)
        if (g->u->level[k] <= CLM_LEVEL_REDUCED && g->u->pass[k] == pass) return true;
    return false;
}

static clm_status column_epilogue(clm_generator *g, const plan *p, clm_text *t, int pass) {
    char at[80];
    bool any = false;
    for (int k = 0; k < g->u->n_out; k++) {
        if (g->u->level[k] != CLM_LEVEL_RESULT || g->u->pass[k] != pass) continue;
        any = true;
        if (p->each > 1)
            clm_text_add(t, "    F a%d[%d];\n", k, p->each);
        else
            clm_text_add(t, "    F a%d;\n", k);
    }
    if (!any) return CLM_OK;
    snprintf(at, sizeof at, p->each > 1 ? "result * vectors * %d + e0 + j * %d" : "result * vectors * %d + e0", g->width,
             g->width);
    for_each_vector(p, t, "    ");
    return clm_gen_epilogue(g, t, pass, "    ", at, true);
}

static clm_status row_epilogue(clm_generator *g, clm_text *t, int pass) {
    bool any = false;
    for (int k = 0; k < g->u->n_out; k++) {
        if (g->u->level[k] != CLM_LEVEL_RESULT || g->u->pass[k] != pass) continue;
        any = true;
        clm_text_add(t, "    float r%d;\n", k);
    }
    if (!any) return CLM_OK;
    if (g->width > 1) clm_text_add(t, "#undef F\n#define F float\n");
    return clm_gen_epilogue(g, t, pass, "    ", "result", false);
}

static clm_status one_pass(clm_generator *g, const plan *p, clm_text *t, int pass) {
    declare(g, p, t, "    ", 'a', pass);
    if (has_loops(g, pass)) CLM_TRY(loops(g, p, t, pass));
    for (int k = 0; p->row && k < g->u->n_out; k++)
        if (is_reduction(g, k, pass)) fold_vector(g, t, k);
    if (p->segments > 1) return CLM_OK;
    return p->row ? row_epilogue(g, t, pass) : column_epilogue(g, p, t, pass);
}

static void store_results(const clm_generator *g, const plan *p, clm_text *t) {
    char name[24], at[112];
    if (p->lanes > 1) clm_text_add(t, "    if (lane > 0) return;\n");
    snprintf(at, sizeof at, "(segment * results + result) * vectors * %d + e0", g->width);
    if (p->each > 1) snprintf(at + strlen(at), sizeof at - strlen(at), " + j * %d", g->width);
    for (int k = 0; k < g->u->n_out; k++) {
        if (!g->takes_out[k] || (g->u->level[k] != CLM_LEVEL_REDUCED && g->u->level[k] != CLM_LEVEL_RESULT)) continue;
        if (p->row) {
            clm_text_add(t, "    PTR(o%d, task)[segment * results + result] = r%d;\n", k, k);
            continue;
        }
        accumulator(p, 'a', k, name, sizeof name);
        for_each_vector(p, t, "    ");
        clm_gen_store(g, t, "    ", k, name, at);
    }
}

clm_status clm_gen_reduce(clm_generator *g, clm_text *t, clm_launch_spec *spec) {
    const plan p = make_plan(g, spec->global[2]);
    const bool whole = p.segments == 1;
    parameters(g, &p);
    g->member[0] = p.row ? "r" : "a";
    g->member[1] = p.each > 1 ? "[j]" : "";
    for (int k = 0; k < g->u->n_out && !whole; k++)
        if (g->u->level[k] != CLM_LEVEL_SPACE) g->takes_out[k] = g->u->level[k] == CLM_LEVEL_REDUCED;
    for (int i = 0; i < g->u->n_leaf && !whole; i++) g->takes_leaf[i] = g->in_space[i];
    clm_gen_open(g, t);
    choose_result(g, &p, t, spec);
    open_item(g, &p, t);
    for (int pass = 0; pass < g->u->passes; pass++) CLM_TRY(one_pass(g, &p, t, pass));
    store_results(g, &p, t);
    if (g->u->totals) CLM_TRY(clm_gen_close_rows(g, t));
    clm_text_add(t, "}\n");
    g->segments = p.segments;
    return CLM_OK;
}

/* ---- adding up segments ---- */

clm_status clm_gen_combine(clm_generator *g, clm_text *t, clm_launch_spec *spec) {
    const clm_unit *u = g->u;
    const char *comma = "";
    int n = 0;
    clm_text_add(t, "#define F float\n__kernel void combine(");
    for (int k = 0; k < u->n_out; k++) {
        if (u->level[k] == CLM_LEVEL_REDUCED) n = (int)clm_shape_size(&g->p->nodes[u->out[k]].shape);
        if (u->level[k] == CLM_LEVEL_SPACE || u->hidden[k]) continue;
        clm_text_add(t, "%sOUT(o%d)", comma, k);
        comma = ", ";
    }
    for (int k = 0; k < u->n_out; k++)
        if (u->level[k] == CLM_LEVEL_REDUCED) clm_text_add(t, ", IN(c%d)", k);
    for (int i = 0; i < u->n_leaf; i++)
        if (g->in_result[i]) clm_text_add(t, ", IN(l%d)", i);
    g->n_ints = 0;
    clm_text_free(&g->parameters);
    clm_gen_parameter(g, "n", -1, n);
    clm_gen_parameter(g, "segments", -1, g->segments);
    clm_gen_constants(g);
    clm_gen_quads(t, g->n_ints);
    clm_text_add(t, ") {\n");
    clm_text_join(t, &g->parameters);
    clm_text_add(t, "    const int i = get_global_id(0), task = get_global_id(2);\n    if (i >= n) return;\n");
    for (int k = 0; k < u->n_out; k++) {
        if (u->level[k] == CLM_LEVEL_RESULT) clm_text_add(t, "    float a%d;\n", k);
        if (u->level[k] != CLM_LEVEL_REDUCED) continue;
        clm_text_add(t, "    __global const float *p%d = PTR(c%d, task) + i;\n    float a%d = p%d[0];\n", k, k, k, k);
        clm_text_add(t, "    for (int s = 1; s < segments; s++) ");
        if (is_sum(g, k))
            clm_text_add(t, "a%d += p%d[s * n];\n", k, k);
        else
            clm_text_add(t, "a%d = ((p%d[s * n] > a%d) | (p%d[s * n] != p%d[s * n])) ? p%d[s * n] : a%d;\n", k, k, k, k, k, k,
                         k);
    }
    g->member[0] = "a";
    g->member[1] = "";
    CLM_TRY(clm_gen_epilogue(g, t, 0, "    ", "i", false));
    for (int k = 0; k < u->n_out; k++)
        if (u->level[k] != CLM_LEVEL_SPACE && !u->hidden[k]) clm_text_add(t, "    PTR(o%d, task)[i] = a%d;\n", k, k);
    clm_text_add(t, "}\n");
    spec->entry = "combine";
    spec->global[0] = (size_t)n;
    spec->global[1] = 1;
    return CLM_OK;
}
