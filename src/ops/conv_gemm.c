/* Heavy operations by CLBlast: matrix products as they are, convolutions as products with a matrix of image patches (im2col).
 *
 *   y  [rows, co]      = col [rows, taps ci]  w [taps ci, co]   rows = n oh ow; for convolution and its adjoint in the data
 *   dw [taps ci, co]   = col^T                dy [rows, co]
 * for every group. A 1x1 filter at stride 1 needs no col: that is x. All tasks go in one call; col of many tasks is large, so
 * it can be made for some tasks at a time, which is what a candidate says. Never taken unless measured, with the result
 * compared. */
#include <stdio.h>

#include "ops/choice.h"
#include "ops/conv.h"
#include "ops/op.h"
#include "ops/product.h"
#include "ops/tile.h"

enum { GROUPS_MOST = 8, CPU_ELEMENTS = 1 << 22, ELEMENTS_MOST = 1 << 28 };

typedef struct sizes {
    clm_conv_geometry g;
    int rows, width; /* of col, for one group */
    bool filter;     /* the adjoint in the filter */
    bool plain;      /* col is x */
    int tasks, tasks_x;
} sizes;

static sizes sizes_at(const clm_lower *l, clm_value y) {
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    sizes s = {.g = clm_conv_geometry_at(l, y)};
    const clm_conv_geometry *g = &s.g;
    s.rows = g->n * g->oh * g->ow;
    s.width = g->kh * g->kw * (g->ci / g->groups);
    s.filter = node->op == CLM_OP_CONV2D_BWD_FILTER;
    s.plain = g->kh * g->kw == 1 && g->sh * g->sw * g->uh * g->uw == 1 && !g->ph && !g->pw && g->oh == g->h && g->ow == g->w;
    s.tasks = clm_lower_tasks(l, y);
    s.tasks_x = clm_lower_tasks(l, node->in[0]);
    return s;
}

static double elements_per_task(const sizes *s) { return (double)s->g.groups * s->rows * s->width; }

static bool applicable(const clm_lower *l, clm_value y) {
    const sizes s = sizes_at(l, y);
    if (s.g.groups > GROUPS_MOST || elements_per_task(&s) > ELEMENTS_MOST) return false;
    return clm_library_offered(l, CLM_LIBRARY_CLBLAST);
}

/* Tasks at a time: what fits the cache of a CPU, then all, halves and so on. */
static int candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    const sizes s = sizes_at(l, y);
    const double each = elements_per_task(&s);
    if (s.plain || s.tasks_x < s.tasks || s.tasks == 1) {
        out[0] = (clm_candidate){{s.tasks}};
        return 1;
    }
    int n = 0, first = s.tasks;
    if (clm_tile_serial(l) && first * each > CPU_ELEMENTS) first = each < CPU_ELEMENTS ? (int)(CPU_ELEMENTS / each) : 1;
    out[n++] = (clm_candidate){{first}};
    for (int some = s.tasks;; some = (some + 1) / 2) {
        if (some != first && some * each <= ELEMENTS_MOST) out[n++] = (clm_candidate){{some}};
        if (some == 1) return n;
    }
}

static clm_status lower_col(clm_lower *l, clm_value y, const sizes *s, clm_value col, clm_value x, int first, int tasks) {
    const int cig = s->g.ci / s->g.groups, vec = clm_tile_vector(l, cig);
    const bool serial = clm_tile_serial(l);
    const int taps = s->g.kh * s->g.kw, taps_each = serial ? taps : 1, vectors_each = serial ? cig / vec : 1;
    clm_launch_spec spec = {.file = "im2col.cl", .entry = "im2col", .bytes = 8 * elements_per_task(s) * tasks};
    clm_conv_define(&spec, &s->g);
    clm_spec_define(&spec, "VEC", vec);
    clm_spec_define(&spec, "TAPS_EACH", taps_each);
    clm_spec_define(&spec, "VECTORS_EACH", vectors_each);
    spec.global[0] = (size_t)s->g.groups * (size_t)(taps / taps_each) * (size_t)(cig / vec / vectors_each);
    spec.global[1] = (size_t)s->rows;
    spec.global[2] = (size_t)tasks;
    for (int i = 0; i < 3; i++) spec.local[i] = serial ? 1 : 0;
    return clm_lower_launch(l, y, &spec, (clm_value[]){col, x}, 2, (int[]){tasks, first}, 2);
}

/* Products for `tasks` tasks from `first` on. */
static clm_status lower_product(clm_lower *l, clm_value y, const sizes *s, clm_value col, int first, int tasks) {
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    const int co = s->g.co, cog = co / s->g.groups, cig = s->g.ci / s->g.groups;
    const clm_matrix beside = {.ld = co, .stride = (size_t)cog}; /* groups side by side in every row */
    clm_matrix patches = {.ld = s->width, .stride = (size_t)s->rows * (size_t)s->width, .transposed = s->filter};
    if (s->plain) patches = (clm_matrix){.ld = s->g.ci, .stride = (size_t)cig, .transposed = s->filter};
    if (!s->plain && s->tasks_x > 1) patches.task_stride = patches.stride * (size_t)s->g.groups;
    clm_library_call call = {.library = CLM_LIBRARY_CLBLAST,
                             .batch = s->g.groups,
                             .tasks = tasks,
                             .first_task = first,
                             .m = s->filter ? s->width : s->rows,
                             .n = cog,
                             .k = s->filter ? s->rows : s->width,
                             .c = beside,
                             .a = patches,
                             .b = beside};
    return clm_product_lower(l, y, &call, s->plain ? node->in[0] : col, node->in[1], clm_conv_flops(&s->g) * tasks);
}

static clm_status lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const sizes s = sizes_at(l, y);
    const clm_value x = clm_node_at(clm_lower_graph(l), y)->in[0];
    const int at_once = candidate->value[0], kept = s.tasks_x == 1 ? 1 : at_once;
    clm_value col = CLM_INVALID;
    CLM_TRY(clm_library_required(l, CLM_LIBRARY_CLBLAST));
    if (!s.plain) {
        const double elements = elements_per_task(&s) * kept;
        if (elements <= INT32_MAX) col = clm_lower_scratch(l, (size_t)elements, false);
        if (col == CLM_INVALID) return clm_fail(CLM_E_MEMORY, "convolution by matrix products: no memory for image patches");
        if (s.tasks_x == 1) CLM_TRY(lower_col(l, y, &s, col, x, 0, 1));
    }
    for (int first = 0; first < s.tasks; first += at_once) {
        const int tasks = first + at_once > s.tasks ? s.tasks - first : at_once;
        if (!s.plain && s.tasks_x > 1) CLM_TRY(lower_col(l, y, &s, col, x, first, tasks));
        CLM_TRY(lower_product(l, y, &s, col, first, tasks));
    }
    return CLM_OK;
}

const clm_impl clm_impl_conv2d_clblast = {.name = "clblast",
                                          .parameters = "tasks",
                                          .applicable = applicable,
                                          .candidates = candidates,
                                          .lower = lower,
                                          .first_use = CLM_CLBLAST_FIRST_USE};
