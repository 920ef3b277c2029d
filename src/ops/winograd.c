/* 3x3 convolution at stride 1 and its adjoint in the filter by the short algorithms of kernels/winograd.cl, on CPU devices.
 *
 * Tiles of 2x2 outputs take 2.25 times fewer multiplications than the direct kernel, tiles of 4x4 four times fewer, less what
 * sticks out of the image; in return, images and filters are written and read once more, at all points. What that costs is
 * weighed in vectors: a multiply-add of the products, and a line of cache for every vector that is stored in or loaded from the
 * slot. Tiles at the end of an axis have as many outputs as are left, and fewer products.
 *
 * The two tile sizes sum in different orders, so each is a row. In the filter's adjoint the block of tiles decides the order
 * too: there it depends on the geometry alone and is no parameter of a candidate. */
#include <string.h>

#include "base/integers.h"
#include "ops/choice.h"
#include "ops/conv.h"
#include "ops/op.h"
#include "ops/tile.h"

enum {
    BLOCK_FLOATS = 3 << 15,  /* of a block of tiles at all points: it stays in a core's own cache, */
    FILTER_FLOATS = 5 << 15, /* and so does the filter of a term, or its sums */
    GROUP = 4,               /* channels or tiles whose points lie together */
    LINE = 32,               /* floats to which the slot's parts are rounded */
    ROWS_MOST = 14,
    SLOTS_MOST = 2 /* for every compute unit */
};

/* Time, of a multiply-add of vectors when two are made in a cycle. */
static const double STORE = 11, LOAD = 6;
/* Preferred when it is to be faster by so much than the direct kernel. Products whose rows are one vector load as much as they
 * multiply. */
static const double GAIN = 1.25, GAIN_ONE_VECTOR = 1.75;

enum { F_BLOCK, F_ROWS, F_NV, F_COLUMNS, F_ITEMS, F_CHANNELS }; /* of a candidate */

typedef struct sizes {
    clm_conv_geometry g;
    int m, points, tiles; /* outputs of a whole tile along an axis; points of its transform; tiles of one task */
    double at_points;     /* of all tiles of one task: short ones have fewer */
    int vec, room, units; /* vector width, accumulators that registers hold, compute units */
    int tasks, terms;
    bool filter; /* the adjoint in the filter */
} sizes;

/* Of the tiles of an axis: the last one has two more than outputs. */
static int points_along(int out, int m) { return out / m * (m + 2) + (out % m ? out % m + 2 : 0); }

static sizes sizes_at(const clm_lower *l, clm_value y, int m) {
    const clm_device_info *device = clm_lower_device(l);
    sizes s = {.g = clm_conv_geometry_at(l, y), .m = m, .points = (m + 2) * (m + 2), .tasks = clm_lower_tasks(l, y)};
    s.terms = clm_conv_terms(l, y);
    s.tiles = s.g.n * clm_over(s.g.oh, m) * clm_over(s.g.ow, m);
    s.at_points = (double)s.g.n * points_along(s.g.oh, m) * points_along(s.g.ow, m);
    s.vec = clm_least(clm_tile_vector(l, s.g.ci), clm_tile_vector(l, s.g.co));
    s.room = device->float_vector_width >= 16 ? 28 : 12;
    s.units = clm_most(1, (int)device->compute_units);
    s.filter = clm_node_at(clm_lower_graph(l), y)->op == CLM_OP_CONV2D_BWD_FILTER;
    return s;
}

static bool applicable(const clm_lower *l, clm_value y) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    return clm_tile_serial(l) && c.kh == 3 && c.kw == 3 && c.sh == 1 && c.sw == 1 && c.uh == 1 && c.uw == 1 && c.dh == 1 &&
           c.dw == 1 && c.groups == 1;
}

/* ---- what it costs ---- */

/* Positions of a filter of three on an axis that meet the image, over all outputs. */
static int meetings(int out, int in, int pad) {
    int n = 0;
    for (int o = 0; o < out; o++)
        for (int k = 0; k < 3; k++) n += o - pad + k >= 0 && o - pad + k < in;
    return n;
}

static double direct_cost(const sizes *s) {
    const clm_conv_geometry *g = &s->g;
    return (double)g->n * meetings(g->oh, g->h, g->ph) * meetings(g->ow, g->w, g->pw) * g->ci * g->co / s->vec;
}

/* Of one task, or of the part of it that has `ci` and `co` channels. */
static double cost(const sizes *s, int ci, int co) {
    const double points = (double)s->points / s->vec, at_tiles = points * s->tiles, at_filter = points * ci * co;
    const double products = s->at_points / s->vec * ci * co;
    if (s->filter) return products + STORE * at_tiles * (ci + co) + 1.5 * LOAD * at_filter;
    return products + STORE * (at_tiles * ci + at_filter) + LOAD * (at_tiles * co + at_filter);
}

/* Without regard to the number of tasks, on which a choice of a row must not depend. */
static bool preferred(const clm_lower *l, clm_value y, int m) {
    const sizes s = sizes_at(l, y, m), other = sizes_at(l, y, 6 - m);
    const double mine = cost(&s, s.g.ci, s.g.co);
    /* Channels that fill vectors of eight, or those of a machine that has only four. */
    const int full = clm_least(8, clm_most(4, (int)clm_lower_device(l)->float_vector_width));
    const double gain = s.filter || s.g.co > s.vec ? GAIN : GAIN_ONE_VECTOR;
    return s.vec >= full && mine <= cost(&other, s.g.ci, s.g.co) && mine * gain <= direct_cost(&s);
}

/* ---- candidates ---- */

/* Tiles of a block, at most. Forward, the filters of two terms take room from it. */
static int block_for(const sizes *s) {
    const int channels = s->filter ? (s->g.ci + s->g.co) / 2 : s->terms * clm_most(s->terms * s->g.ci, s->g.co);
    return clm_least(s->tiles, clm_most(8, BLOCK_FLOATS / (s->points * channels)));
}

/* Greatest divisor of n, a multiple of `unit`, that is at most `limit`; `unit` divides n. */
static int divisor(int n, int unit, int limit) {
    int best = unit;
    for (int d = unit; d <= clm_least(n, limit); d += unit)
        if (n % d == 0) best = d;
    return best;
}

/* Rows of a register tile: few to spare, and enough accumulators to hide the latency of a multiply-add. */
static int rows_for(const sizes *s, int total, int nv, bool divide) {
    int best = 1;
    double best_cost = 1e30;
    for (int r = 1; r <= clm_least(ROWS_MOST, clm_most(1, s->room / nv)); r++) {
        const double step = clm_most(clm_most(r * nv, r + nv), 8) + 0.25 * (r + nv);
        const double each = step / (r * nv) * clm_rounded(total, r) / total;
        if ((divide && total % r != 0) || each >= best_cost) continue;
        best_cost = each;
        best = r;
    }
    return best;
}

static void offer(clm_candidate *out, int *n, clm_candidate c) {
    for (int i = 0; i < *n; i++)
        if (!memcmp(&out[i], &c, sizeof c)) return;
    if (*n < CLM_CANDIDATES_MOST) out[(*n)++] = c;
}

/* Work-items for `units` pieces of work, at most `slots`: equal shares. */
static int items_for(int units, int slots) { return clm_over(units, clm_over(units, slots)); }

/* Memories of work-items for every compute unit: several let the units be done at the same time; a unit that is alone has its
 * only one in the cache. */
static int slots_for(const sizes *s, int slots) { return (s->units == 1 ? 1 : slots) * s->units; }

/* As many blocks of at most `limit` tiles as give all compute units the same work. */
static int even_block(const sizes *s, int limit, int nv, int columns) {
    const int fewest = clm_over(s->tiles, limit);
    int best = limit;
    double best_cost = 1e30;
    for (int blocks = fewest; blocks <= clm_least(s->tiles, fewest + 2 * s->units); blocks++) {
        const int block = clm_over(s->tiles, blocks), units = s->tasks * (s->g.co / columns) * clm_over(s->tiles, block);
        const double each = clm_over(units, s->units) * (clm_rounded(block, rows_for(s, block, nv, false)) + 0.5);
        if (each >= best_cost) continue;
        best_cost = each;
        best = block;
    }
    return best;
}

static int forward_candidates(const sizes *s, clm_candidate *out) {
    static const struct {
        int nv, slots, part; /* part: of the largest block */
    } choices[] = {{4, SLOTS_MOST, 1}, {2, SLOTS_MOST, 1}, {4, SLOTS_MOST, 2}, {4, 4, 1}, {1, SLOTS_MOST, 1}, {2, 4, 2}};
    const int columns = divisor(s->g.co, s->vec, clm_most(s->vec, FILTER_FLOATS / (s->points * s->g.ci)));
    int n = 0;
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        const int nv = divisor(columns / s->vec, 1, choices[i].nv);
        const int even = even_block(s, clm_most(1, block_for(s) / choices[i].part), nv, columns),
                  r = rows_for(s, even, nv, false);
        const int block = clm_rounded(even, r), units = s->tasks * (s->g.co / columns) * clm_over(s->tiles, block);
        /* every item transforms the filter for itself */
        const int slots = s->tasks < choices[i].slots * s->units ? 1 : choices[i].slots;
        offer(out, &n, (clm_candidate){{block, r, nv, columns, items_for(units, slots_for(s, slots))}});
    }
    return n;
}

/* Parts of the filter's channels, so that there is work for all compute units. */
static void parts_for(const sizes *s, int *best_ci, int *best_co) {
    double best_cost = 1e30;
    *best_ci = *best_co = s->vec;
    for (int ci = s->vec; ci <= s->g.ci; ci += s->vec)
        for (int co = s->vec; co <= s->g.co; co += s->vec) {
            if (s->g.ci % ci != 0 || s->g.co % co != 0 || (double)s->points * ci * co > FILTER_FLOATS) continue;
            const int units = s->tasks * (s->g.ci / ci) * (s->g.co / co);
            const double each = clm_over(units, s->units) * cost(s, ci, co);
            if (each >= best_cost) continue;
            best_cost = each;
            *best_ci = ci;
            *best_co = co;
        }
}

static int filter_candidates(const sizes *s, clm_candidate *out) {
    static const struct { int nv, slots; } choices[] = {{4, SLOTS_MOST}, {2, SLOTS_MOST}, {1, SLOTS_MOST}, {4, 4}, {2, 4}};
    const int block = block_for(s);
    int n = 0, ci, co;
    parts_for(s, &ci, &co);
    const int units = s->tasks * (s->g.ci / ci) * (s->g.co / co);
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        const int nv = divisor(co / s->vec, 1, choices[i].nv), r = rows_for(s, ci, nv, true);
        offer(out, &n, (clm_candidate){{block, r, nv, co, items_for(units, slots_for(s, choices[i].slots)), ci}});
    }
    return n;
}

static int candidates(const clm_lower *l, clm_value y, clm_candidate *out, int m) {
    const sizes s = sizes_at(l, y, m);
    return s.filter ? filter_candidates(&s, out) : forward_candidates(&s, out);
}

/* ---- launch ---- */

/* Floats of a work-item's memory; the kernel divides it in the same way. */
static size_t slot_size(const sizes *s, const int32_t *p, int margin) {
    const size_t points = (size_t)s->points, block = (size_t)p[F_BLOCK], columns = (size_t)p[F_COLUMNS], edge = (size_t)margin;
    size_t size;
    if (s->filter) {
        const size_t channels = (size_t)p[F_CHANNELS];
        size = edge + points * ((block + GROUP - 1) / GROUP * GROUP * (channels + columns) + channels * columns);
    } else {
        const size_t depth = (size_t)s->g.ci * (size_t)s->terms;
        size = 2 * edge +
               (points + 1) * ((depth + GROUP - 1) / GROUP * GROUP * columns + block * (depth > columns ? depth : columns));
    }
    return (size + LINE - 1) / LINE * LINE;
}

static clm_status lower(clm_lower *l, clm_value y, const clm_candidate *candidate, int m) {
    const sizes s = sizes_at(l, y, m);
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    const int32_t *p = candidate->value;
    const int margin = clm_rounded(clm_most(s.g.ci, s.g.co), LINE);
    const size_t slot = slot_size(&s, p, margin);
    const int terms = clm_conv_terms(l, y);
    clm_value values[2 + CLM_MAX_INPUTS] = {y};
    clm_launch_spec spec = {.file = "winograd.cl",
                            .entry = s.filter ? "winograd_bwd_filter" : "winograd",
                            .flops = clm_conv_flops(&s.g) * s.tasks * terms};
    const struct {
        const char *name;
        long value;
    } table[] = {{"VEC", s.vec},     {"M", m},         {"CI", s.g.ci},  {"CO", s.g.co},       {"GROUP", GROUP},
                 {"MARGIN", margin}, {"R", p[F_ROWS]}, {"NV", p[F_NV]}, {"COB", p[F_COLUMNS]}};
    const int ints[] = {s.tasks, s.g.n, s.g.h, s.g.w, s.g.oh, s.g.ow, s.g.ph, s.g.pw, p[F_BLOCK], p[F_ITEMS], (int)slot};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) clm_spec_define(&spec, table[i].name, table[i].value);
    if (s.filter) {
        clm_spec_define(&spec, "BWD_FILTER", 1);
        clm_spec_define(&spec, "CIB", p[F_CHANNELS]);
    }
    clm_spec_define(&spec, "TERMS", terms);
    for (int i = 0; i < node->n_in; i++) values[1 + i] = node->in[i];
    for (int i = 0; i <= node->n_in; i++) {
        const size_t elements = clm_shape_size(&clm_node_at(clm_lower_graph(l), values[i])->shape);
        spec.bytes += 4.0 * (double)elements * clm_lower_tasks(l, values[i]);
    }
    for (int i = 0; i < 3; i++) {
        spec.global[i] = i == 0 ? (size_t)p[F_ITEMS] : 1;
        spec.local[i] = 1;
    }
    const int count = node->n_in + 2; /* `node` moves now */
    values[count - 1] = clm_lower_scratch(l, slot * (size_t)p[F_ITEMS], false);
    if (values[count - 1] == CLM_INVALID)
        return clm_fail(CLM_E_MEMORY, "3x3 convolution by short algorithms: no memory for its tiles");
    return clm_lower_launch(l, y, &spec, values, count, ints, (int)(sizeof ints / sizeof *ints));
}

/* In the filter's adjoint a second term is more tiles. Forward it is more channels: worth it where the filters stay in the
 * cache whole. */
static bool pairs(const clm_lower *l, clm_value y, int m) {
    const sizes s = sizes_at(l, y, m);
    return s.filter || s.points * s.g.ci * s.g.co <= FILTER_FLOATS;
}

#define ROW(M)                                                                                                          \
    static bool preferred_##M(const clm_lower *l, clm_value y) { return preferred(l, y, M); }                           \
    static int candidates_##M(const clm_lower *l, clm_value y, clm_candidate *out) { return candidates(l, y, out, M); } \
    static bool pairs_##M(const clm_lower *l, clm_value y) { return pairs(l, y, M); }                                   \
    static clm_status lower_##M(clm_lower *l, clm_value y, const clm_candidate *candidate) {                            \
        return lower(l, y, candidate, M);                                                                               \
    }                                                                                                                   \
    const clm_impl clm_impl_winograd##M = {.name = "winograd" #M,                                                       \
                                           .parameters = "block rows nv columns items channels",                        \
                                           .applicable = applicable,                                                    \
                                           .preferred = preferred_##M,                                                  \
                                           .candidates = candidates_##M,                                                \
                                           .lower = lower_##M,                                                          \
                                           .pairs = pairs_##M};
ROW(2)
ROW(4)
