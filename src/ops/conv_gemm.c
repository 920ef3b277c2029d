/* Heavy operations by CLBlast: matrix products as they are, convolutions as products with a matrix of image patches (im2col).
 *
 *   y  [rows, co]      = col [rows, taps ci]  w [taps ci, co]   rows = n oh ow; for convolution and its adjoint in the data
 *   dw [taps ci, co]   = col^T                dy [rows, co]
 * for every group. A 1x1 filter at stride 1 needs no col: that is x. All tasks go in one call; col of many tasks is large, so
 * it can be made for some tasks at a time, which is what a candidate says. The direct kernel is never taken unless measured,
 * with the result compared; that for large products also where a model says so (large_cost.c), which takes as many channels as
 * make up for writing and copying the patches. */
#include <math.h>

#include "ops/choice.h"
#include "ops/conv.h"
#include "ops/op.h"
#include "ops/product.h"
#include "ops/tile.h"

enum { GROUPS_MOST = 8, CPU_ELEMENTS = 1 << 22, LARGE_ELEMENTS = 1 << 24, ELEMENTS_MOST = 1 << 28 };

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
static int offer(const clm_lower *l, clm_value y, double most, clm_candidate *out) {
    const sizes s = sizes_at(l, y);
    const double each = elements_per_task(&s);
    if (s.plain || s.tasks_x < s.tasks || s.tasks == 1) {
        out[0] = (clm_candidate){{s.tasks}};
        return 1;
    }
    int n = 0, first = s.tasks;
    if (first * each > most) first = each < most ? (int)(most / each) : 1;
    out[n++] = (clm_candidate){{first}};
    for (int some = s.tasks;; some = (some + 1) / 2) {
        if (some != first && some * each <= ELEMENTS_MOST) out[n++] = (clm_candidate){{some}};
        if (some == 1) return n;
    }
}

static int candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    return offer(l, y, clm_tile_serial(l) ? CPU_ELEMENTS : INFINITY, out);
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
static clm_status lower_product(clm_lower *l, clm_value y, const sizes *s, clm_value col, int first, int tasks,
                                clm_value room) {
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    const int co = s->g.co, cog = co / s->g.groups, cig = s->g.ci / s->g.groups;
    const clm_matrix beside = {.ld = co, .stride = (size_t)cog}; /* groups side by side in every row */
    clm_matrix patches = {.ld = s->width, .stride = (size_t)s->rows * (size_t)s->width, .transposed = s->filter};
    if (s->plain) patches = (clm_matrix){.ld = s->g.ci, .stride = (size_t)cig, .transposed = s->filter};
    if (!s->plain && s->tasks_x > 1) patches.task_stride = patches.stride * (size_t)s->g.groups;
    clm_library_call call = {.library = CLM_LIBRARY_CLBLAST,
                             .large = room != CLM_INVALID,
                             .batch = s->g.groups,
                             .tasks = tasks,
                             .first_task = first,
                             .m = s->filter ? s->width : s->rows,
                             .n = cog,
                             .k = s->filter ? s->rows : s->width,
                             .c = beside,
                             .a = patches,
                             .b = beside};
    return clm_product_lower(l, y, &call, s->plain ? node->in[0] : col, node->in[1], room, clm_conv_flops(&s->g) * tasks);
}

static clm_status lower_any(clm_lower *l, clm_value y, const clm_candidate *candidate, clm_value room) {
    const sizes s = sizes_at(l, y);
    const clm_value x = clm_node_at(clm_lower_graph(l), y)->in[0];
    const int at_once = candidate->value[0], kept = s.tasks_x == 1 ? 1 : at_once;
    clm_value col = CLM_INVALID;
    if (!s.plain) {
        const double elements = elements_per_task(&s) * kept;
        if (elements <= INT32_MAX) col = clm_lower_scratch(l, (size_t)elements, false);
        if (col == CLM_INVALID) return clm_fail(CLM_E_MEMORY, "convolution by matrix products: no memory for image patches");
        if (s.tasks_x == 1) CLM_TRY(lower_col(l, y, &s, col, x, 0, 1));
    }
    for (int first = 0; first < s.tasks; first += at_once) {
        const int tasks = first + at_once > s.tasks ? s.tasks - first : at_once;
        if (!s.plain && s.tasks_x > 1) CLM_TRY(lower_col(l, y, &s, col, x, first, tasks));
        CLM_TRY(lower_product(l, y, &s, col, first, tasks, room));
    }
    return CLM_OK;
}

static clm_status lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    CLM_TRY(clm_library_required(l, CLM_LIBRARY_CLBLAST));
    return lower_any(l, y, candidate, CLM_INVALID);
}

const clm_impl clm_impl_conv2d_clblast = {.name = "clblast",
                                          .parameters = "tasks",
                                          .applicable = applicable,
                                          .candidates = candidates,
                                          .lower = lower,
                                          .first_use = CLM_CLBLAST_FIRST_USE,
                                          .ready = clm_clblast_ready};

/* ---- by the kernel for large products ---- */

static clm_product_sizes product_sizes(const sizes *s) {
    return (clm_product_sizes){.m = s->filter ? s->width : s->rows,
                               .n = s->g.co / s->g.groups,
                               .k = s->filter ? s->rows : s->width,
                               .batch = s->g.groups,
                               .patches = s->plain ? 0 : elements_per_task(s)};
}

static double large_gain(const clm_lower *l, clm_value y) {
    const sizes s = sizes_at(l, y);
    const clm_product_sizes p = product_sizes(&s);
    return clm_large_gain(l, y, &p);
}

static bool large_applicable(const clm_lower *l, clm_value y) {
    const sizes s = sizes_at(l, y);
    const clm_product_sizes p = product_sizes(&s);
    return applicable(l, y) && clm_large_offered(l, &p);
}

/* Its products are calls of their own, so patches of all tasks at once are not needed. */
static int large_candidates(const clm_lower *l, clm_value y, clm_candidate *out) { return offer(l, y, LARGE_ELEMENTS, out); }

static bool large_preferred(const clm_lower *l, clm_value y) { return clm_large_pays(large_gain(l, y)); }

static clm_status large_lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const sizes s = sizes_at(l, y);
    const clm_product_sizes p = product_sizes(&s);
    clm_value room;
    CLM_TRY(clm_large_required(l));
    CLM_TRY(clm_product_room(l, &p, &room));
    return lower_any(l, y, candidate, room);
}

const clm_impl clm_impl_conv2d_clblast_large = {.name = "clblast_large",
                                                .parameters = "tasks",
                                                .applicable = large_applicable,
                                                .preferred = large_preferred,
                                                .gain = large_gain,
                                                .candidates = large_candidates,
                                                .lower = large_lower,
                                                .first_use = CLM_CLBLAST_FIRST_USE,
                                                .ready = clm_clblast_ready};
