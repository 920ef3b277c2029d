/* Convolution, its adjoint in the filter, and matrix products by tiles in local memory (kernels/tiled.cl), for GPUs: all three
 * are
 *
 *   out[rows, columns] = sum over depth of A[rows, depth] B[depth, columns]     `batch` times for a task
 *
 *              rows            columns   depth             batch
 *   conv2d     pixels          co        kh kw ci          groups
 *   filter     kh kw ci        co        pixels            groups
 *   matmul     m               n         k                 leading axes
 *
 * A model of costs, in multiply-adds of a lane, orders the tiles and says where the row is preferred to the direct ones:
 *
 *   one step of the depth    TM TN + LOCAL (TM + TN)       what is read of local memory
 *   one group                lanes * step * (depth, rounded up to whole blocks, and one block to begin with)
 *   all                      group * rounds * (1 + HIDDEN / lanes of a unit)        rounds: groups of the busiest compute unit
 *
 * The lanes that a unit holds are bounded by its registers. Where a lane has few of them (clm_tile_few_registers) tiles of more than
 * FEW_SUMS come last, and what would need more is not offered: registers in memory cost what a tile is to save, and compilers take
 * long to find out. The row is preferred where a useful
 * multiply-add of the best tile costs less than DIRECT on a device that is busy: the direct kernels load a word for each one or
 * two of them, and loads go through a path a quarter as wide as arithmetic. That does not depend on the number of tasks.
 *
 * Sums run in segments of the depth that depend on the shapes alone. Where local memory is a part of global memory a tile in it
 * is a copy for nothing, so the row is not offered. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/integers.h"
#include "ops/choice.h"
#include "ops/conv.h"
#include "ops/matmul.h"
#include "ops/op.h"
#include "ops/product.h"
#include "ops/tile.h"
#include "ops/tiled.h"

enum {
    VECTOR = 4,
    TAPS_MOST = 16,       /* of a filter along an axis: bits of a mask in the kernel */
    FEW_CHANNELS = 4,     /* neighbours in memory are rather neighbouring pixels */
    SEGMENT_PIXELS = 256, /* between additions to the totals: it keeps rounding errors small */
    SEGMENT_MATMUL = 512,
    SEGMENT_UNIT = 32, /* whole blocks */
    RESIDENT = 512,    /* lanes of a unit that more groups do not add to */
    REGISTERS = 65536, /* of a unit */
    OTHERS = 40,       /* registers of a lane beside sums and operands */
    FEW_SUMS = 32,
    FEW_VALUES = 60 /* of sums, operands and what is on its way to local memory, which Intel's compiler keeps in registers */
};
static const double LOCAL = 1, HIDDEN = 128, SPILL = 3, DIRECT = 3;
static const double LAUNCH = 500e3; /* multiply-adds that a unit makes in the time of one */

enum { T_BM, T_BN, T_BK, T_TM, T_TN, T_BUFFERS, T_VECTOR, T_SPLIT }; /* a candidate's values */

typedef struct tile {
    int bm, bn, tm, tn;
} tile;

static const tile tiles[] = {{64, 64, 8, 4},  {64, 64, 4, 4}, {128, 64, 8, 8}, {64, 128, 8, 8}, {128, 128, 8, 8},
                             {64, 32, 4, 4},  {32, 64, 4, 4}, {64, 32, 8, 4},  {32, 64, 8, 4},  {32, 32, 4, 4},
                             {128, 32, 8, 4}, {16, 64, 4, 4}, {64, 16, 4, 4},  {128, 16, 4, 4}, {16, 128, 4, 4}};
enum { TILES = sizeof tiles / sizeof *tiles };

typedef struct product {
    clm_opcode op;
    clm_conv_geometry g;
    clm_matmul_sizes s;
    int rows, columns, depth, batch, tasks, segment;
    int terms;              /* 2: the sum of two products, along one depth after the other */
    bool turned;            /* the filter is turned as it is read */
    bool a_deep, b_deep;    /* neighbours in memory are neighbours along the depth */
    int a_vector, b_vector; /* the widest that a row of an operand can be read in */
} product;

static int vector_for(int a, int b) {
    int v = VECTOR;
    while (a % v || b % v) v /= 2;
    return v;
}

/* Equal segments of about `length` at most. */
static int segment_for(int depth, int length) { return clm_rounded(clm_over(depth, clm_over(depth, length)), SEGMENT_UNIT); }

static product matmul_at(const clm_lower *l, clm_value y) {
    const clm_matmul_sizes s = clm_matmul_sizes_at(l, y);
    product p = {.op = CLM_OP_MATMUL, .terms = 1, .s = s, .rows = s.m, .columns = s.n, .depth = s.k, .batch = s.batch};
    p.a_deep = !s.ta;
    p.b_deep = s.tb;
    p.a_vector = vector_for(s.ta ? s.m : s.k, 0);
    p.b_vector = vector_for(s.tb ? s.k : s.n, 0);
    p.segment = segment_for(s.k, SEGMENT_MATMUL);
    return p;
}

static product product_at(const clm_lower *l, clm_value y) {
    const clm_opcode op = clm_node_at(clm_lower_graph(l), y)->op;
    if (op == CLM_OP_MATMUL) {
        product p = matmul_at(l, y);
        p.tasks = clm_lower_tasks(l, y);
        return p;
    }
    const clm_conv_geometry g = clm_conv_geometry_at(l, y);
    const int cig = g.ci / g.groups, cog = g.co / g.groups, pixels = g.n * g.oh * g.ow, taps = g.kh * g.kw * cig;
    product p = {.op = op, .g = g, .columns = cog, .batch = g.groups, .tasks = clm_lower_tasks(l, y)};
    const bool filter = op == CLM_OP_CONV2D_BWD_FILTER;
    p.terms = clm_conv_terms(l, y);
    p.rows = filter ? taps : pixels;
    p.depth = filter ? pixels : taps;
    p.a_deep = !filter && cig > FEW_CHANNELS;
    p.a_vector = filter || p.a_deep ? vector_for(g.ci, cig) : 1;
    p.turned = !filter && clm_lower_turned(l, y);
    p.b_deep = p.turned;
    p.b_vector = p.turned ? vector_for(g.ci, 0) : vector_for(g.co, cog);
    p.segment = filter ? segment_for(pixels, SEGMENT_PIXELS) : p.depth;
    return p;
}

/* ---- what fits ---- */

static int lanes_of(const tile *t) { return t->bm / t->tm * (t->bn / t->tn); }

static size_t local_bytes(const product *p, const tile *t, int bk, int buffers) {
    return sizeof(float) * (size_t)(buffers * bk) * (size_t)(t->bm + (p->a_deep ? 4 : 0) + t->bn + (p->b_deep ? 4 : 0));
}

/* Sums that are added up afterwards; forward, terms make one. */
static int segments_of(const product *p) {
    return clm_over(p->depth, p->segment) * (p->op == CLM_OP_CONV2D_BWD_FILTER ? p->terms : 1);
}

/* Steps of the depth in one of them. */
static int segment_steps(const product *p) { return p->segment * (p->op == CLM_OP_CONV2D_BWD_FILTER ? 1 : p->terms); }

static double groups_of(const product *p, const tile *t, bool split) {
    return (double)clm_over(p->rows, t->bm) * clm_over(p->columns, t->bn) * p->batch * (split ? segments_of(p) : 1);
}

static bool fits(const clm_lower *l, const product *p, const tile *t, int bk, int buffers) {
    const clm_device_info *d = clm_lower_device(l);
    return (size_t)lanes_of(t) <= d->max_work_group_size && local_bytes(p, t, bk, buffers) <= d->local_memory &&
           t->bm * bk % lanes_of(t) == 0 && t->bn * bk % lanes_of(t) == 0 &&
           groups_of(p, t, true) * lanes_of(t) <= INT32_MAX; /* the kernel's indices */
}

/* The widest vectors, up to `most`, of which every lane fetches as many of an operand's block. */
static int fetch_vector(int widest, int most, int extent, int bk, int lanes) {
    int v = clm_least(widest, most);
    assert(lanes > 0);
    while (v > 1 && extent * bk % (lanes * v) != 0) v /= 2;
    return v;
}

static size_t out_size(const product *p) { return (size_t)p->rows * (size_t)p->columns * (size_t)p->batch; }

/* Is there work for groups of one segment each, and memory for their results? */
static bool can_split(const clm_lower *l, const product *p) {
    const double parts = (double)out_size(p) * segments_of(p);
    return segments_of(p) > 1 && 4 * parts * p->tasks <= (double)clm_lower_device(l)->max_allocation / 4 && parts <= INT32_MAX;
}

/* ---- what it costs ---- */

/* Of one lane, in one step of the depth. */
static double step_cost(const clm_lower *l, const tile *t) {
    const double sums = t->tm * t->tn, step = sums + LOCAL * (t->tm + t->tn);
    return clm_tile_few_registers(l) && sums > FEW_SUMS ? SPILL * step : step;
}

/* Lanes that the registers of a unit have room for, in whole groups. */
static double lanes_at_once(const tile *t) {
    const int each = t->tm * t->tn + 2 * (t->tm + t->tn) + OTHERS, lanes = lanes_of(t);
    return clm_most(1, REGISTERS / each / lanes) * lanes;
}

enum { BK = 8 }; /* of the tiles that are compared */

/* A useful multiply-add on a busy device. */
static double useful_cost(const clm_lower *l, const product *p, const tile *t) {
    const double made = groups_of(p, t, false) * lanes_of(t) * step_cost(l, t) * clm_rounded(p->depth, BK);
    return made / ((double)p->rows * p->columns * p->batch * p->depth);
}

static double tile_cost(const clm_lower *l, const product *p, const tile *t, int tasks, bool split) {
    const double units = clm_most(1, (int)clm_lower_device(l)->compute_units);
    const int segments = segments_of(p), lanes = lanes_of(t);
    const double each = segment_steps(p) < BK ? BK : segment_steps(p);
    const double depth = (split ? 1.0 : segments) * (each + BK);
    const double groups = groups_of(p, t, split) * tasks;
    const double rounds = groups > units ? groups / units : 1;
    const double room = lanes_at_once(t) < RESIDENT ? lanes_at_once(t) : RESIDENT;
    const double resident = rounds * lanes < room ? rounds * lanes : room;
    const double left = split ? 4.0 * (double)out_size(p) * segments * tasks / units + LAUNCH
                              : 0; /* writing and adding up the segments' results */
    return lanes * step_cost(l, t) * depth * rounds * (1 + HIDDEN / resident) + left;
}

/* The tiles that fit, the cheapest first; returns how many. */
static int ranked(const clm_lower *l, const product *p, int tasks, tile out[TILES], double cost[TILES], bool split[TILES]) {
    int n = 0;
    for (int i = 0; i < TILES; i++) {
        if (!fits(l, p, &tiles[i], 8, 1)) continue;
        const double whole = tile_cost(l, p, &tiles[i], tasks, false);
        const double parts = can_split(l, p) ? tile_cost(l, p, &tiles[i], tasks, true) : whole;
        const double c = parts < whole ? parts : whole;
        int at = n++;
        for (; at > 0 && cost[at - 1] > c; at--) {
            out[at] = out[at - 1];
            cost[at] = cost[at - 1];
            split[at] = split[at - 1];
        }
        out[at] = tiles[i];
        cost[at] = c;
        split[at] = parts < whole;
    }
    return n;
}

/* ---- the row ---- */

static bool applicable(const clm_lower *l, clm_value y) {
    const product p = product_at(l, y);
    const clm_conv_geometry *g = &p.g;
    tile t[TILES];
    double cost[TILES];
    bool split[TILES];
    if (clm_tile_serial(l) || !clm_lower_device(l)->dedicated_local_memory) return false;
    if (p.op != CLM_OP_MATMUL) {
        if (g->uh != 1 || g->uw != 1 || g->kh > TAPS_MOST || g->kw > TAPS_MOST) return false;
        if (p.op != CLM_OP_CONV2D_BWD_FILTER && p.depth < 1) return false;
        if ((double)g->n * g->h * g->w * g->ci > INT32_MAX) return false; /* the kernel's indices */
    }
    return (double)p.rows * p.columns * p.batch <= INT32_MAX && (double)p.rows * p.depth <= INT32_MAX &&
           (double)p.depth * p.columns * p.batch <= INT32_MAX && ranked(l, &p, 1, t, cost, split) > 0;
}

double clm_tiled_useful_cost(const clm_lower *l, clm_value y) {
    const product p = product_at(l, y);
    double least = DIRECT;
    for (int i = 0; i < TILES && applicable(l, y); i++)
        if (fits(l, &p, &tiles[i], BK, 1) && useful_cost(l, &p, &tiles[i]) < least) least = useful_cost(l, &p, &tiles[i]);
    return least;
}

double clm_tiled_cost(const clm_lower *l, clm_value y) {
    const double cost = fmin(clm_tiled_useful_cost(l, y), clm_short_useful_cost(l, y)) * (1 + HIDDEN / RESIDENT);
    return fmin(cost, DIRECT);
}

static bool preferred(const clm_lower *l, clm_value y) { return clm_tiled_useful_cost(l, y) < DIRECT; }

/* Values that a lane fetches of an operand's block; one that is alone takes a register more, for its address. */
static int fetched(int widest, int most, int extent, int bk, int lanes) {
    const int each = extent * bk / lanes;
    return fetch_vector(widest, most, extent, bk, lanes) == 1 ? 2 * each : each;
}

/* Have the registers of a lane room for a tile? */
static bool holds(const clm_lower *l, const product *p, const tile *t, int bk, int vector) {
    const int lanes = lanes_of(t);
    const int values = t->tm * t->tn + t->tm + t->tn + fetched(p->a_vector, vector, t->bm, bk, lanes) +
                       fetched(p->b_vector, vector, t->bn, bk, lanes);
    return !clm_tile_few_registers(l) || values <= FEW_VALUES;
}

static void offer(const clm_lower *l, const product *p, const tile *t, int bk, int buffers, int vector, bool split,
                  clm_candidate *out, int *n) {
    const clm_candidate c = {{t->bm, t->bn, bk, t->tm, t->tn, buffers, vector, split}};
    if (!fits(l, p, t, bk, buffers) || !holds(l, p, t, bk, vector) || *n == CLM_CANDIDATES_MOST || (split && !can_split(l, p)))
        return;
    for (int i = 0; i < *n; i++)
        if (!memcmp(&out[i], &c, sizeof c)) return;
    out[(*n)++] = c;
}

static int candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    static const struct {
        int bk, buffers, vector;
    } ways[] = {{8, 2, VECTOR}, {16, 2, VECTOR}, {8, 2, 1}, {16, 1, VECTOR}, {16, 2, 1}, {32, 1, VECTOR}};
    enum { WAYS = sizeof ways / sizeof *ways, FIRST = 3 };
    const product p = product_at(l, y);
    tile t[TILES];
    double cost[TILES];
    bool split[TILES];
    int n = 0;
    const int count = ranked(l, &p, p.tasks, t, cost, split);
    for (int i = 0; i < count && i < FIRST; i++)
        for (int w = 0; w < WAYS; w++) offer(l, &p, &t[i], ways[w].bk, ways[w].buffers, ways[w].vector, split[i], out, &n);
    for (int i = 0; i < count; i++)
        for (int other = 0; other < 2; other++) offer(l, &p, &t[i], 8, 2, VECTOR, split[i] != other, out, &n);
    for (int i = 0; i < count && !n; i++) offer(l, &p, &t[i], 8, 1, VECTOR, false, out, &n); /* little local memory */
    if (!n) out[n++] = (clm_candidate){{t[0].bm, t[0].bn, 8, t[0].tm, t[0].tn, 1, VECTOR, false}};
    return n;
}

/* ---- launches ---- */

static void define_operands(clm_launch_spec *spec, const product *p) {
    if (p->op == CLM_OP_MATMUL) {
        const clm_matmul_sizes *s = &p->s;
        const struct {
            const char *name;
            int value;
        } table[] = {{"M", s->m},   {"N", s->n},   {"K", s->k},        {"A_BATCH", s->a_batch}, {"B_BATCH", s->b_batch},
                     {"TA", s->ta}, {"TB", s->tb}, {"BATCH", s->batch}};
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) clm_spec_define(spec, table[i].name, table[i].value);
        clm_spec_define(spec, "MATMUL", 1);
        return;
    }
    clm_conv_define(spec, &p->g);
    clm_spec_define(spec, p->op == CLM_OP_CONV2D_BWD_FILTER ? "FILTER" : "CONV", 1);
    if (p->op == CLM_OP_CONV2D_BWD_FILTER) return;
    clm_spec_define(spec, "A_DEEP", p->a_deep);
    clm_spec_define(spec, "B_DEEP", p->b_deep);
}

static clm_launch_spec spec_for(const product *p, const int32_t *c) {
    const tile t = {c[T_BM], c[T_BN], c[T_TM], c[T_TN]};
    const int lanes = lanes_of(&t);
    clm_launch_spec spec = {.file = "tiled.cl", .entry = "conv2d_tiled"};
    if (p->op == CLM_OP_CONV2D_BWD_FILTER) spec.entry = "conv2d_bwd_filter_tiled";
    if (p->op == CLM_OP_MATMUL) spec.entry = "matmul_tiled";
    define_operands(&spec, p);
    const struct {
        const char *name;
        int value;
    } table[] = {{"BM", t.bm},
                 {"BN", t.bn},
                 {"BK", c[T_BK]},
                 {"TM", t.tm},
                 {"TN", t.tn},
                 {"GROUP", lanes},
                 {"BUFFERS", c[T_BUFFERS]},
                 {"VA", fetch_vector(p->a_vector, c[T_VECTOR], t.bm, c[T_BK], lanes)},
                 {"VB", fetch_vector(p->b_vector, c[T_VECTOR], t.bn, c[T_BK], lanes)},
                 {"SEGMENT", p->segment},
                 {"TERMS", p->terms},
                 {"SPLIT", c[T_SPLIT]}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) clm_spec_define(&spec, table[i].name, table[i].value);
    spec.local[0] = (size_t)lanes;
    spec.local[1] = spec.local[2] = 1;
    spec.global[0] = (size_t)groups_of(p, &t, c[T_SPLIT]) * (size_t)lanes;
    spec.global[1] = 1;
    spec.global[2] = (size_t)p->tasks;
    spec.flops = p->op == CLM_OP_MATMUL ? 2.0 * p->s.m * p->s.n * p->s.k * p->s.batch * p->tasks
                                        : clm_conv_flops(&p->g) * p->tasks * p->terms;
    return spec;
}

/* Adds up the parts of the sums of each task. */
static clm_status add_up(clm_lower *l, clm_value y, clm_value parts, int size, int segments) {
    const int tasks = clm_lower_tasks(l, y);
    clm_launch_spec spec = {.file = "tiled_sum.cl", .entry = "tiled_sum", .bytes = 4.0 * size * (segments + 1) * tasks};
    spec.global[0] = (size_t)size;
    spec.global[1] = 1;
    spec.global[2] = (size_t)tasks;
    return clm_lower_launch(l, y, &spec, (clm_value[]){y, parts}, 2, (int[]){size, segments, tasks}, 3);
}

clm_status clm_tiled_launch(clm_lower *l, clm_value y, clm_launch_spec *spec, size_t size, int segments) {
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    clm_value values[1 + CLM_MAX_INPUTS] = {y};
    const int n = 1 + node->n_in;
    for (int i = 1; i < n; i++) values[i] = node->in[i - 1];
    for (int i = 0; i < n; i++) {
        const size_t elements = clm_shape_size(&clm_node_at(clm_lower_graph(l), values[i])->shape);
        spec->bytes += 4.0 * (double)elements * clm_lower_tasks(l, values[i]);
    }
    if (!segments) return clm_lower_launch(l, y, spec, values, n, NULL, 0);
    values[0] = clm_lower_scratch(l, size * (size_t)segments, node->per_task);
    if (values[0] == CLM_INVALID) return clm_fail(CLM_E_MEMORY, "products by tiles: no memory for the segments of sums");
    CLM_TRY(clm_lower_launch(l, y, spec, values, n, NULL, 0));
    return add_up(l, y, values[0], (int)size, segments);
}

static clm_status lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const product p = product_at(l, y);
    const int32_t *c = candidate->value;
    clm_launch_spec spec = spec_for(&p, c);
    return clm_tiled_launch(l, y, &spec, out_size(&p), c[T_SPLIT] ? segments_of(&p) : 0);
}

const clm_impl clm_impl_tiled = {.name = "tiled",
                                 .parameters = "bm bn bk tm tn buffers vector split",
                                 .applicable = applicable,
                                 .preferred = preferred,
                                 .candidates = candidates,
                                 .lower = lower,
                                 .pairs = clm_impl_always,
                                 .turns = clm_impl_always};
