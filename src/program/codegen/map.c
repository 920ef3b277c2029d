/* Kernels of maps, and of values pooled from the windows of an image; see codegen.c.
 *
 * map:     on a CPU a work-item takes some rows of the innermost axis, elsewhere one vector.
 * pooling: a work-item takes windows; the image's elements are computed in registers and only what is pooled is stored.
 */
#include "ops/op.h"
#include "program/codegen/codegen.h"

enum { MAP_ELEMENTS = 2048 };

static size_t items(int rows, int chunk) { return ((size_t)rows + (size_t)chunk - 1) / (size_t)chunk; }

static int elements_of(const clm_generator *g) { return g->axes[g->n_axes - 1].size; }

/* How many rows of `each` elements justify a call. */
static int chunk_of(int each) { return each >= MAP_ELEMENTS ? 1 : MAP_ELEMENTS / each; }
int clm_gen_chunk(const clm_generator *g, int elements) { return g->cpu ? chunk_of(elements) : 1; }

static void store_all(clm_generator *g, clm_text *t, const char *indent, const char *at) {
    char name[24];
    for (int k = 0; k < g->u->n_out; k++) {
        if (g->u->hidden[k]) continue;
        clm_gen_name(g, g->u->out[k], true, name, sizeof name);
        clm_gen_store(g, t, indent, k, name, at);
    }
}

/* CPU: lines of rows. The indices of a line are computed once, the axis before the last is a loop. */
static void map_lines(clm_generator *g, clm_text *t, clm_launch_spec *spec, int rows) {
    bool outer[CLM_MAX_RANK] = {false};
    const int last = g->n_axes - 1, across = last > 0 ? g->axes[last - 1].size : 1, lines = rows / across;
    const bool lined = last > 1;
    const int count = lined ? lines : rows, chunk = chunk_of(elements_of(g) * (lined ? across : 1));
    for (int a = 0; a < last - lined; a++) outer[a] = true;
    clm_gen_parameter(g, "lines", -1, count);
    clm_gen_parameter(g, "chunk", -1, chunk);
    clm_gen_constants(g);
    clm_gen_open(g, t);
    clm_text_add(t, "    const int first = get_global_id(0) * chunk, end = min(first + chunk, lines);\n"
                    "    for (int line = first; line < end; line++) {\n");
    clm_gen_decode(g, t, "      ", "line", outer);
    if (lined)
        clm_text_add(t, "      for (int i%d = 0; i%d < n%d; i%d++) {\n      const int row = line * n%d + i%d;\n", last - 1,
                     last - 1, last - 1, last - 1, last - 1, last - 1);
    else
        clm_text_add(t, "      {\n      const int row = line;\n");
    clm_gen_window(g, t, "      ");
    clm_gen_pointers(g, t, "      ");
    clm_text_add(t, "      for (int j = 0; j < vectors; j++) {\n        const int e = j * %d;\n", g->width);
    spec->global[0] = items(count, chunk);
}

/* One vector for each work-item: neighbours on neighbouring vectors. */
static void map_vectors(clm_generator *g, clm_text *t, clm_launch_spec *spec, int rows, int vectors) {
    bool outer[CLM_MAX_RANK] = {false};
    const int chunk = clm_gen_chunk(g, g->width);
    for (int a = 0; a + 1 < g->n_axes; a++) outer[a] = true;
    clm_gen_parameter(g, "rows", -1, rows);
    clm_gen_parameter(g, "chunk", -1, chunk);
    clm_gen_constants(g);
    clm_gen_open(g, t);
    clm_text_add(
        t,
        "    const int first = get_global_id(0) * chunk, end = min(first + chunk, rows * vectors);\n"
        "    for (int at = first; at < end; at++) {\n      {\n      const int row = at / vectors, j = at - row * vectors;\n");
    clm_gen_decode(g, t, "      ", "row", outer);
    clm_gen_window(g, t, "      ");
    clm_gen_pointers(g, t, "      ");
    clm_text_add(t, "      {\n        const int e = j * %d;\n", g->width);
    spec->global[0] = items(rows * vectors, chunk);
}

clm_status clm_gen_map(clm_generator *g, clm_text *t, clm_launch_spec *spec) {
    const int last = g->n_axes - 1, vectors = elements_of(g) / g->width;
    int rows = 1;
    for (int a = 0; a < last; a++) {
        rows *= g->axes[a].size;
        clm_gen_parameter(g, "n", a, g->axes[a].size);
    }
    clm_gen_parameter(g, "vectors", -1, vectors);
    clm_gen_strides(g);
    if (g->cpu && g->n_axes > 1)
        map_lines(g, t, spec, rows);
    else
        map_vectors(g, t, spec, rows, vectors);
    clm_text_join(t, &g->body);
    clm_text_add(t, "        const int to = row * vectors * %d + e;\n", g->width);
    store_all(g, t, "        ", "to");
    clm_text_add(t, "      }\n      }\n    }\n}\n");
    return CLM_OK;
}

/* ---- pooling ---- */

static const clm_node *pooling_of(const clm_generator *g, int k) { return &g->p->nodes[g->u->out[k]]; }

/* The output that is the argmax by which output k is gathered; -1: it is gathered by an array. */
static int argmax_of(const clm_generator *g, int k) {
    const clm_node *n = pooling_of(g, k);
    if (n->op != CLM_OP_POOL_GATHER) return -1;
    for (int i = 0; i < g->u->n_out; i++)
        if (g->u->out[i] == n->in[1]) return i;
    return -1;
}

/* Gathering an image by its own argmax gives its greatest value. */
static bool is_maximum(const clm_generator *g, int k) {
    const int argmax = argmax_of(g, k);
    return argmax >= 0 && pooling_of(g, argmax)->in[0] == pooling_of(g, k)->in[0];
}

static bool is_pooled(const clm_generator *g, int k) { return g->u->level[k] == CLM_LEVEL_REDUCED; }

static void declare_pooled(clm_generator *g, clm_text *t) {
    for (int k = 0; k < g->u->n_out; k++) {
        if (!is_pooled(g, k)) continue;
        if (pooling_of(g, k)->op == CLM_OP_MAX_POOL_ARGMAX)
            clm_text_add(t, "        F best%d = (F)(-INFINITY), at%d = (F)(0.0f);\n", k, k);
        else if (!is_maximum(g, k))
            clm_text_add(t, "        F at%d = (F)(0.0f);\n", k);
    }
}

/* The element is greater than those before it, or the first: its place, what is gathered by it, and itself. */
static void take_greater(clm_generator *g, clm_text *t, int argmax, const char *image) {
    char other[24];
    for (int k = 0; k < g->u->n_out; k++) {
        if (!is_pooled(g, k) || argmax_of(g, k) != argmax || is_maximum(g, k)) continue;
        clm_gen_name(g, pooling_of(g, k)->in[0], false, other, sizeof other);
        clm_text_add(t, "        at%d = (((%s <= best%d) | (best%d != best%d)) & ((F)(code) != (F)(0.0f))) ? at%d : %s;\n", k,
                     image, argmax, argmax, argmax, k, other);
    }
    clm_text_add(t, "        at%d = ((%s <= best%d) | (best%d != best%d)) ? at%d : (F)(code);\n", argmax, image, argmax, argmax,
                 argmax, argmax);
    clm_text_add(t, "        best%d = ((%s <= best%d) | (best%d != best%d)) ? best%d : %s;\n", argmax, image, argmax, argmax,
                 argmax, argmax, image);
}

static void take_pooled(clm_generator *g, clm_text *t) {
    char image[24], index[24];
    for (int k = 0; k < g->u->n_out; k++) {
        const clm_node *n = pooling_of(g, k);
        if (!is_pooled(g, k)) continue;
        clm_gen_name(g, n->in[0], false, image, sizeof image);
        if (n->op == CLM_OP_MAX_POOL_ARGMAX) {
            take_greater(g, t, k, image);
        } else if (argmax_of(g, k) < 0) {
            clm_gen_name(g, n->in[1], false, index, sizeof index);
            clm_text_add(t, "        at%d = %s == (F)(code) ? %s : at%d;\n", k, index, image, k);
        }
    }
}

/* What is pooled, and what is computed from it, as r<k>; stores both. */
static clm_status finish_pooled(clm_generator *g, clm_text *t) {
    char name[24];
    for (int k = 0; k < g->u->n_out; k++) {
        if (!is_pooled(g, k))
            clm_text_add(t, "      F r%d;\n", k);
        else if (is_maximum(g, k))
            clm_text_add(t, "      const F r%d = best%d;\n", k, argmax_of(g, k));
        else
            clm_text_add(t, "      const F r%d = at%d;\n", k, k);
    }
    g->member[0] = "r";
    CLM_TRY(clm_gen_epilogue(g, t, 0, "      ", "to", true));
    for (int k = 0; k < g->u->n_out; k++) {
        snprintf(name, sizeof name, "r%d", k);
        if (!g->u->hidden[k]) clm_gen_store(g, t, "      ", k, name, "to");
    }
    return CLM_OK;
}

/* The space is the image's; the outputs are [n, high, wide, c]. */
clm_status clm_gen_pooled(clm_generator *g, clm_text *t, clm_launch_spec *spec) {
    const int *window = g->u->window;
    const int high = g->u->space.dim[1] / window[0], wide = g->u->space.dim[2] / window[1];
    const int windows = g->u->space.dim[0] * high * wide, vectors = elements_of(g) / g->width;
    const int chunk = g->cpu ? chunk_of(elements_of(g) * window[0] * window[1]) : 1;
    clm_gen_parameter(g, "windows", -1, windows);
    clm_gen_parameter(g, "vectors", -1, vectors);
    clm_gen_parameter(g, "chunk", -1, chunk);
    clm_gen_strides(g);
    clm_gen_constants(g);
    clm_gen_open(g, t);
    clm_text_add(t, "    const int first = get_global_id(0) * chunk, end = min(first + chunk, windows%s);\n",
                 g->cpu ? "" : " * vectors");
    if (g->cpu) /* the windows of whole rows of channels */
        clm_text_add(t, "    for (int row = first; row < end; row++) {\n");
    else
        clm_text_add(
            t, "    for (int at = first; at < end; at++) {\n      const int row = at / vectors, j = at - row * vectors;\n");
    clm_text_add(t,
                 "      const int line = row / wide, c2 = row - line * wide, i0 = line / high, c1 = line - i0 * high;\n"
                 "      %s {\n      const int e = j * %d;\n",
                 g->cpu ? "for (int j = 0; j < vectors; j++)" : "", g->width);
    declare_pooled(g, t);
    for (int axis = 1; axis <= 2; axis++)
        clm_text_add(t, "#pragma unroll\n      for (int k%d = 0; k%d < %d; k%d++)\n", axis, axis, window[axis - 1], axis);
    clm_text_add(t,
                 "      {\n        const int i1 = c1 * %d + k1, i2 = c2 * %d + k2;\n        const float code = k1 * %d + k2;\n",
                 window[0], window[1], window[1]);
    clm_gen_pointers(g, t, "        ");
    clm_text_join(t, &g->body);
    take_pooled(g, t);
    clm_text_add(t, "      }\n      const int to = row * vectors * %d + e;\n", g->width);
    CLM_TRY(finish_pooled(g, t));
    clm_text_add(t, "      }\n    }\n}\n");
    spec->global[0] = items(g->cpu ? windows : windows * vectors, chunk);
    return CLM_OK;
}
