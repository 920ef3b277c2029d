/* Totals: sums over the results of rows, in the launch that computes the results; see reduce.c.
 *
 *     for every row of an item        on a CPU one item takes all rows of a task; elsewhere the items of a work-group share
 *     them
 *         passes over the row         as in reduce.c: results, and maps over the index space
 *         u += term of the result
 *     t = sum of u                    the group's first item, in the order of the items
 *     what is computed from t         the mean of a loss
 *
 * So a loss with its gradient is one launch. Which rows an item takes depends on the device and the number of rows, never on
 * tasks.
 */
#include "ops/op.h"
#include "program/codegen/codegen.h"

enum { BLOCK = 32 };

static bool is_total(const clm_generator *g, int k) { return g->u->level[k] == CLM_LEVEL_TOTAL; }

static void declare(const clm_generator *g, clm_text *t, char letter) {
    for (int k = 0; k < g->u->n_out; k++)
        if (is_total(g, k))
            clm_text_add(t, "    float %c%d = %s;\n", letter, k,
                         g->p->nodes[g->u->out[k]].op == CLM_OP_SUM ? "0.0f" : "-INFINITY");
}

void clm_gen_open_rows(clm_generator *g, clm_text *t, clm_launch_spec *spec) {
    const int items = clm_total_items(g->p, g->u);
    spec->global[0] = (size_t)items;
    g->items = items;
    if (items == 1) {
        clm_text_add(t, "    const int item = 0, items = 1;\n    if (get_global_id(0) > 0) return;\n");
    } else { /* a driver may give a smaller group, and the launch is padded with groups that have no task */
        spec->local[0] = (size_t)items;
        spec->local[1] = spec->local[2] = 1;
        for (int k = 0; k < g->u->n_out; k++)
            if (is_total(g, k)) clm_text_add(t, "    __local float of_items%d[%d];\n", k, items);
        clm_text_add(t, "    const int item = get_global_id(0), items = get_local_size(0);\n    if (item >= items) return;\n");
    }
    declare(g, t, 't');
    clm_text_add(t, "    for (int rows = 0; rows < results; rows += %d * items) {\n", BLOCK);
    declare(g, t, 'u');
    clm_text_add(t, "    for (int result = rows + item; result < min(rows + %d * items, results); result += items) {\n", BLOCK);
}

/* Every item has a partial t<k>; the first item sums them, and the others end. */
static void add_items(const clm_generator *g, clm_text *t) {
    char other[32], to[24];
    for (int k = 0; k < g->u->n_out; k++)
        if (is_total(g, k)) clm_text_add(t, "    of_items%d[item] = t%d;\n", k, k);
    clm_text_add(t, "    barrier(CLK_LOCAL_MEM_FENCE);\n    if (item > 0) return;\n    for (int i = 1; i < items; i++) {\n");
    for (int k = 0; k < g->u->n_out; k++) {
        if (!is_total(g, k)) continue;
        snprintf(other, sizeof other, "of_items%d[i]", k);
        snprintf(to, sizeof to, "t%d", k);
        clm_gen_take(g, t, "        ", k, to, other);
    }
    clm_text_add(t, "    }\n");
}

clm_status clm_gen_close_rows(clm_generator *g, clm_text *t) {
    char from[24], to[24];
    CLM_TRY(clm_gen_at_results(g, t, CLM_LEVEL_TOTAL));
    clm_text_add(t, "    }\n");
    for (int k = 0; k < g->u->n_out; k++) {
        if (!is_total(g, k)) continue;
        snprintf(from, sizeof from, "u%d", k);
        snprintf(to, sizeof to, "t%d", k);
        clm_gen_take(g, t, "    ", k, to, from);
    }
    clm_text_add(t, "    }\n");
    if (g->items > 1) add_items(g, t);
    for (int k = 0; k < g->u->n_out; k++)
        if (g->u->level[k] == CLM_LEVEL_END) clm_text_add(t, "    float t%d;\n", k);
    g->member[0] = "t";
    CLM_TRY(clm_gen_at_results(g, t, CLM_LEVEL_END));
    for (int k = 0; k < g->u->n_out; k++)
        if (g->u->level[k] >= CLM_LEVEL_TOTAL && g->takes_out[k]) clm_text_add(t, "    PTR(o%d, task)[0] = t%d;\n", k, k);
    return CLM_OK;
}
