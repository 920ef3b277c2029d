/* 3x3 convolution at stride 1, its adjoints in the data and in the filter, and sums of two of them, by the short algorithm
 * F(2x2, 3x3) with tiles in local memory (kernels/winograd_tiled.cl), for GPUs. Per point a product of matrices:
 *
 *              rows                        columns   depth
 *   conv2d     tiles of 2 x 2 outputs      co        ci
 *   filter     ci                          co        tiles
 *
 * where 16 multiply-adds of all points take the place of 36. The model of costs is that of tiled.c, with what a lane has to do
 * for the transforms on top:
 *
 *   one step of the depth    TM TN + LOCAL (TM + TN) + TRANSFORM (BM + BN) / lanes
 *   one group                lanes * (step * (depth and one block to begin with) + EXCHANGE TM TN)
 *
 * The row is preferred where a useful multiply-add of the best tile costs less than GAIN of what tiled.c reckons for its own:
 * for images of which few tiles stick out, with channels enough for a group's rows and columns. That does not depend on the
 * number of tasks. The error is that of the direct sum or less (docs/performance.md). */
#include <math.h>
#include <string.h>

#include "base/integers.h"
#include "ops/choice.h"
#include "ops/conv.h"
#include "ops/op.h"
#include "ops/tile.h"
#include "ops/tiled.h"

enum {
    POINTS = 16,
    SEGMENT_TILES = 64, /* between additions to the totals: 256 pixels, as in tiled.c */
    RESIDENT = 256,     /* lanes of a unit that more groups do not add to: a lane has many sums that do not wait */
    REGISTERS = 65536,  /* of a unit */
    OTHERS = 80,        /* registers of a lane beside sums and operands: what it has fetched, addresses */
    FEW_VALUES = 80,    /* of 128 registers: Intel's compiler finds room for 69 beside addresses, and none for 100 */
    BK = 8              /* of the tiles that are compared */
};
static const double LOCAL = 1, TRANSFORM = 70, EXCHANGE = 5, HIDDEN = 128, GAIN = 0.85;
static const double LAUNCH = 500e3; /* multiply-adds that a unit makes in the time of one */

enum { T_BM, T_BN, T_BK, T_TM, T_TN, T_SPLIT }; /* a candidate's values */

typedef struct tile {
    int bm, bn, tm, tn;
} tile;

/* What the registers of a unit hold: not 64 sums of 512 lanes, nor what a lane fetches of two patches and two filters. */
static const tile tiles[] = {{32, 32, 8, 8}, {16, 32, 8, 4}, {32, 16, 8, 4}, {32, 32, 8, 4}, {32, 16, 8, 8},
                             {16, 32, 8, 8}, {16, 16, 4, 4}, {16, 16, 8, 4}, {16, 32, 4, 4}, {32, 16, 4, 4}};
enum { TILES = sizeof tiles / sizeof *tiles };

typedef struct product {
    clm_conv_geometry g;
    bool filter, turned, few; /* few: registers of a lane */
    int rows, columns, depth, segment, terms, tasks;
    double useful; /* multiply-adds of a task, as the operation is defined */
} product;

static product product_at(const clm_lower *l, clm_value y) {
    product p = {.g = clm_conv_geometry_at(l, y), .terms = clm_conv_terms(l, y), .tasks = clm_lower_tasks(l, y)};
    const int count = p.g.n * clm_over(p.g.oh, 2) * clm_over(p.g.ow, 2);
    p.filter = clm_node_at(clm_lower_graph(l), y)->op == CLM_OP_CONV2D_BWD_FILTER;
    p.turned = !p.filter && clm_lower_turned(l, y);
    p.few = clm_tile_few_registers(l);
    p.rows = p.filter ? p.g.ci : count;
    p.columns = p.g.co;
    p.depth = p.filter ? count : p.g.ci;
    p.segment = p.filter ? clm_rounded(clm_over(count, clm_over(count, SEGMENT_TILES)), BK) : p.depth;
    p.useful = 9.0 * p.g.n * p.g.oh * p.g.ow * p.g.ci * p.g.co;
    return p;
}

/* ---- what fits ---- */

static int lanes_of(const tile *t) { return POINTS * (t->bm / t->tm) * (t->bn / t->tn); }

/* As the kernel has it. */
static size_t local_bytes(const product *p, const tile *t, int bk) {
    const int a = bk * (t->bm + (p->filter ? 0 : 4)) + 16, b = bk * (t->bn + (p->turned ? 4 : 0)) + 16;
    return sizeof(float) * (POINTS * (size_t)clm_most(a + b, lanes_of(t)) + (size_t)(p->filter || p->few ? lanes_of(t) : 0));
}

/* Sums that are added up afterwards; forward, terms make one. */
static int segments_of(const product *p) { return clm_over(p->depth, p->segment) * (p->filter ? p->terms : 1); }

static double groups_of(const product *p, const tile *t, bool split) {
    return (double)clm_over(p->rows, t->bm) * clm_over(p->columns, t->bn) * (split ? segments_of(p) : 1);
}

static int registers_of(const tile *t) { return t->tm * t->tn + 2 * (t->tm + t->tn) + OTHERS; }

/* Sums, operands, and what a lane has fetched of patches and of filters, or of what came for the output. */
static int values_of(const product *p, const tile *t, int bk) {
    const int lanes = lanes_of(t), patches = clm_over(t->bm * bk, lanes), others = clm_over(t->bn * bk, lanes);
    return t->tm * t->tn + t->tm + t->tn + POINTS * patches + (p->filter ? 4 : 9) * others;
}

/* GPUs whose lanes have few registers give large groups more by running fewer lanes in step, and no more than that. */
static bool holds(const product *p, const tile *t, int bk) {
    return p->few ? values_of(p, t, bk) <= FEW_VALUES : lanes_of(t) * registers_of(t) <= REGISTERS;
}

static bool fits(const clm_lower *l, const product *p, const tile *t, int bk) {
    const clm_device_info *d = clm_lower_device(l);
    return (size_t)lanes_of(t) <= d->max_work_group_size && local_bytes(p, t, bk) <= d->local_memory && holds(p, t, bk) &&
           groups_of(p, t, true) * lanes_of(t) <= INT32_MAX; /* the kernel's indices */
}

static size_t out_size(const product *p) { return 9 * (size_t)p->g.ci * (size_t)p->g.co; }

/* Is there work for groups of one segment each, and memory for their results? */
static bool can_split(const clm_lower *l, const product *p) {
    const double parts = (double)out_size(p) * segments_of(p);
    return p->filter && segments_of(p) > 1 && 4 * parts * p->tasks <= (double)clm_lower_device(l)->max_allocation / 4 &&
           parts <= INT32_MAX;
}

/* ---- what it costs ---- */

/* Of one lane, in one step of the depth. */
static double step_cost(const tile *t) {
    return t->tm * t->tn + LOCAL * (t->tm + t->tn) + TRANSFORM * (t->bm + t->bn) / lanes_of(t);
}

/* A useful multiply-add on a busy device. */
static double useful_cost(const product *p, const tile *t) {
    const double depth = p->segment + EXCHANGE * t->tm * t->tn / step_cost(t), runs = clm_over(p->depth, p->segment);
    return groups_of(p, t, false) * lanes_of(t) * step_cost(t) * depth * runs / p->useful;
}

static double tile_cost(const clm_lower *l, const product *p, const tile *t, bool split) {
    const double units = clm_most(1, (int)clm_lower_device(l)->compute_units), lanes = lanes_of(t);
    const int segments = segments_of(p);
    const double steps = (double)p->segment * (p->filter ? 1 : p->terms) + BK;
    const double group = steps * step_cost(t) + EXCHANGE * t->tm * t->tn;
    const double groups = groups_of(p, t, split) * p->tasks, rounds = groups > units ? groups / units : 1;
    const double room = clm_least(RESIDENT, clm_most(1, REGISTERS / registers_of(t) / (int)lanes) * (int)lanes);
    const double resident = rounds * lanes < room ? rounds * lanes : room;
    const double left = split ? 4.0 * (double)out_size(p) * segments * p->tasks / units + LAUNCH
                              : 0; /* writing and adding up the segments' results */
    return lanes * group * (split ? 1 : segments) * rounds * (1 + HIDDEN / resident) + left;
}

/* ---- the row ---- */

static bool applicable(const clm_lower *l, clm_value y) {
    const product p = product_at(l, y);
    const clm_conv_geometry *g = &p.g;
    const bool three = g->kh == 3 && g->kw == 3 && g->sh == 1 && g->sw == 1 && g->uh == 1 && g->uw == 1 && g->dh == 1 &&
                       g->dw == 1 && g->groups == 1;
    if (clm_tile_serial(l) || !clm_lower_device(l)->dedicated_local_memory || !three || p.depth < 1) return false;
    if ((double)g->n * g->h * g->w * g->ci > INT32_MAX || (double)g->n * (g->oh + 1) * (g->ow + 1) * g->co > INT32_MAX ||
        9.0 * g->ci * g->co > INT32_MAX) /* the kernel's indices */
        return false;
    for (int i = 0; i < TILES; i++)
        if (fits(l, &p, &tiles[i], BK / 2)) return true;
    return false;
}

double clm_short_useful_cost(const clm_lower *l, clm_value y) {
    double least = HUGE_VAL;
    if (clm_node_at(clm_lower_graph(l), y)->op == CLM_OP_MATMUL || !applicable(l, y)) return least;
    const product p = product_at(l, y);
    for (int i = 0; i < TILES; i++)
        if (fits(l, &p, &tiles[i], BK / 2) && useful_cost(&p, &tiles[i]) < least) least = useful_cost(&p, &tiles[i]);
    return least;
}

static bool preferred(const clm_lower *l, clm_value y) {
    return clm_short_useful_cost(l, y) < GAIN * clm_tiled_useful_cost(l, y);
}

static void offer(const clm_lower *l, const product *p, const tile *t, int bk, bool split, clm_candidate *out, int *n) {
    const clm_candidate c = {{t->bm, t->bn, bk, t->tm, t->tn, split}};
    if (!fits(l, p, t, bk) || *n == CLM_CANDIDATES_MOST || (split && !can_split(l, p))) return;
    for (int i = 0; i < *n; i++)
        if (!memcmp(&out[i], &c, sizeof c)) return;
    out[(*n)++] = c;
}

static int candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    static const int depths[] = {BK, BK / 2};
    const product p = product_at(l, y);
    double cost[TILES];
    int order[TILES] = {0}, n = 0;
    bool split[TILES];
    for (int i = 0; i < TILES; i++) {
        const double whole = tile_cost(l, &p, &tiles[i], false),
                     parts = can_split(l, &p) ? tile_cost(l, &p, &tiles[i], true) : whole;
        int at = i;
        split[i] = parts < whole;
        cost[i] = split[i] ? parts : whole;
        for (; at > 0 && cost[order[at - 1]] > cost[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
    for (int i = 0; i < TILES; i++)
        for (size_t k = 0; k < sizeof depths / sizeof *depths; k++)
            offer(l, &p, &tiles[order[i]], depths[k], split[order[i]], out, &n);
    for (int i = 0; i < TILES; i++) offer(l, &p, &tiles[order[i]], BK, !split[order[i]], out, &n);
    return n;
}

/* ---- launch ---- */

static clm_launch_spec spec_for(const product *p, const int32_t *c) {
    const tile t = {c[T_BM], c[T_BN], c[T_TM], c[T_TN]};
    clm_launch_spec spec = {.file = "winograd_tiled.cl",
                            .entry = p->filter ? "winograd_bwd_filter_tiled" : "winograd_tiled",
                            .flops = clm_conv_flops(&p->g) * p->tasks * p->terms};
    clm_conv_define(&spec, &p->g);
    const struct {
        const char *name;
        int value;
    } table[] = {{"FILTER", p->filter}, {"TURNED", p->turned}, {"BM", t.bm},           {"BN", t.bn},
                 {"BK", c[T_BK]},       {"TM", t.tm},          {"TN", t.tn},           {"GROUP", lanes_of(&t)},
                 {"TERMS", p->terms},   {"SPLIT", c[T_SPLIT]}, {"SEGMENT", p->segment}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) clm_spec_define(&spec, table[i].name, table[i].value);
    if (p->few) clm_spec_define(&spec, "FEW_REGISTERS", 1);
    spec.local[0] = (size_t)lanes_of(&t);
    spec.local[1] = spec.local[2] = 1;
    spec.global[0] = (size_t)groups_of(p, &t, c[T_SPLIT]) * (size_t)lanes_of(&t);
    spec.global[1] = 1;
    spec.global[2] = (size_t)p->tasks;
    return spec;
}

static clm_status lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const product p = product_at(l, y);
    const int32_t *c = candidate->value;
    clm_launch_spec spec = spec_for(&p, c);
    return clm_tiled_launch(l, y, &spec, out_size(&p), c[T_SPLIT] ? segments_of(&p) : 0);
}

const clm_impl clm_impl_winograd_tiled = {.name = "winograd_tiled",
                                          .parameters = "bm bn bk tm tn split",
                                          .applicable = applicable,
                                          .preferred = preferred,
                                          .candidates = candidates,
                                          .lower = lower,
                                          .pairs = clm_impl_always,
                                          .turns = clm_impl_always};
