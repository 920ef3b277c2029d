/* Convolution on OpenCL devices: the choice of register tiles and the launches.
 *
 * On a CPU a work-item is one thread's stretch of work: its tile fills the vector registers, the vectors are as wide as the
 * device's. On other devices a work-item is one lane: a small tile over four channels, many of them, neighbours on neighbouring
 * channels. A tile is rated by the time of one step of its inner loop (multiply-adds, loads, or the latency of a multiply-add,
 * whichever is longest) over the useful work in it; the best tile that fits is taken.
 */
#include <assert.h>
#include <string.h>

#include "base/integers.h"
#include "ops/choice.h"
#include "ops/conv.h"
#include "ops/tile.h"

enum {
    CPU_LATENCY = 8,  /* multiply-adds in flight that hide their latency */
    CPU_ITEMS = 32,   /* work-items for every compute unit that even out the load */
    THIN_LINE = 4096, /* floats of private memory */
    CHUNK = 8192,     /* floats of images between additions to the totals: they stay in the nearest cache, */
    CHUNK_MOST = 256, /* and so many pixels at most: it keeps rounding errors small */
    GPU_WIDTH = 4,    /* channels of a lane */
    GPU_ACCUMULATORS = 8,
    TILES_MOST = 24,
    PIXELS_MOST = 8,
    LONG_ITEMS = 4, /* likewise, where an item is long */
    TOTALS = 8192,  /* floats of private memory for sums */
    CACHE = 1 << 20 /* bytes that stay in a core's own cache */
};

typedef struct tile {
    int v, nv, rows, rows_x; /* vector width, vectors, images or input channels, pixels along a row */
} tile;

static bool is_cpu(const clm_lower *l) { return clm_tile_serial(l); }

/* Vector width that divides the channels of a group. */
static int width_for(const clm_lower *l, int channels) {
    int width = GPU_WIDTH;
    if (is_cpu(l)) return clm_tile_vector(l, channels);
    while (channels % width != 0) width /= 2;
    return width;
}

/* Accumulators that the registers hold beside the operands: half of the 32 that come with 16-wide vectors are not there with 8.
 */
static int accumulators_for(const clm_lower *l) {
    if (!is_cpu(l)) return GPU_ACCUMULATORS;
    return clm_lower_device(l)->float_vector_width >= 16 ? 28 : 12;
}

/* What tiles are sought for. */
typedef struct tile_search {
    int channels;         /* output channels of a group */
    int rows, rows_least; /* images or input channels */
    int pixels;           /* of a row; 1: tiles are not to extend along it */
    double far;           /* price of loading a vector: 1.5 from a farther cache, 0.5 from the nearest one */
} tile_search;

/* Time of a step of the inner loop over the accumulators in it, with the work wasted by a tile that sticks out, whose rows are
 * no longer at constant distances either. Every row is a stream of its own; pixels at the border are masked. */
static double tile_cost(const clm_lower *l, const tile_search *s, const tile *t) {
    const int rows = t->rows * t->rows_x, nv = t->nv;
    const double step = clm_most(clm_most(rows * nv, rows + nv), CPU_LATENCY) + s->far * nv + 0.5 * rows;
    double cost = step / (rows * nv) * (clm_over(s->rows, t->rows) * t->rows) / s->rows * (s->rows % t->rows == 0 ? 1.0 : 1.6);
    if (t->rows_x > 1) cost *= (t->rows > 1 ? 1.25 : 1.1) * (clm_over(s->pixels, t->rows_x) * t->rows_x) / s->pixels;
    return !is_cpu(l) && nv > 1 ? 2 * cost : cost; /* lanes on neighbouring channels load together */
}

/* Keeps the TILES_MOST cheapest, the cheapest first. */
static int rank_tile(tile *tiles, double *costs, int n, const tile *t, double cost) {
    int at = n < TILES_MOST ? n++ : TILES_MOST - 1;
    if (at == n - 1 && tiles[at].v && costs[at] <= cost) return n;
    for (; at > 0 && costs[at - 1] > cost; at--) {
        tiles[at] = tiles[at - 1];
        costs[at] = costs[at - 1];
    }
    tiles[at] = *t;
    costs[at] = cost;
    return n;
}

/* The best tiles, best first; returns how many. */
static int tiles_for(const clm_lower *l, const tile_search *s, tile tiles[TILES_MOST]) {
    const int v = width_for(l, s->channels), vectors = s->channels / v, room = accumulators_for(l);
    double costs[TILES_MOST] = {0};
    int n = 0;
    memset(tiles, 0, TILES_MOST * sizeof *tiles);
    for (int nv = 1; nv <= vectors; nv++)
        for (int r = s->rows_least; r <= s->rows && vectors % nv == 0; r++)
            for (int x = 1; x <= clm_least(s->pixels, PIXELS_MOST); x++) {
                const tile t = {.v = v, .nv = nv, .rows = r, .rows_x = x};
                const bool smallest = r == s->rows_least && nv * x == 1; /* there is always one */
                if (r * nv * x <= room || smallest) n = rank_tile(tiles, costs, n, &t, tile_cost(l, s, &t));
            }
    return n;
}

/* Adds a candidate that is not there yet. */
static void offer(clm_candidate *out, int *n, clm_candidate c) {
    for (int i = 0; i < *n; i++)
        if (!memcmp(&out[i], &c, sizeof c)) return;
    if (*n < CLM_CANDIDATES_MOST) out[(*n)++] = c;
}

void clm_conv_define(clm_launch_spec *spec, const clm_conv_geometry *c) {
    const struct {
        const char *name;
        int value;
    } table[] = {{"N", c->n},   {"H", c->h},   {"W", c->w},   {"CI", c->ci}, {"OH", c->oh}, {"OW", c->ow},
                 {"CO", c->co}, {"KH", c->kh}, {"KW", c->kw}, {"SH", c->sh}, {"SW", c->sw}, {"PH", c->ph},
                 {"PW", c->pw}, {"DH", c->dh}, {"DW", c->dw}, {"UH", c->uh}, {"UW", c->uw}, {"GROUPS", c->groups}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) clm_spec_define(spec, table[i].name, table[i].value);
}

/* One work-item, one work-group on a CPU; elsewhere the library chooses. */
static void set_sizes(const clm_lower *l, clm_launch_spec *spec, int a, int b, int tasks) {
    spec->global[0] = (size_t)a;
    spec->global[1] = (size_t)b;
    spec->global[2] = (size_t)tasks;
    for (int i = 0; i < 3; i++) spec->local[i] = is_cpu(l) ? 1 : 0;
}

clm_conv_geometry clm_conv_geometry_at(const clm_lower *l, clm_value v) {
    const clm_graph *g = clm_lower_graph(l);
    const clm_node *node = clm_node_at(g, v);
    return clm_conv_geometry_of(node, clm_node_at(g, node->in[0]), clm_node_at(g, node->in[1]));
}

static size_t size_at(const clm_lower *l, clm_value v) {
    return clm_shape_size(&clm_node_at(clm_lower_graph(l), v)->shape) * (size_t)clm_lower_tasks(l, v);
}

/* Of a convolution: operands of one term after the other. */
static clm_status launch(clm_lower *l, clm_value y, clm_launch_spec *spec) {
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    const int tasks = clm_lower_tasks(l, y);
    clm_value values[1 + CLM_MAX_INPUTS] = {y};
    for (int i = 0; i < node->n_in; i++) values[1 + i] = node->in[i];
    for (int i = 0; i <= node->n_in; i++) spec->bytes += 4.0 * (double)size_at(l, values[i]);
    return clm_lower_launch(l, y, spec, values, node->n_in + 1, &tasks, 1);
}

int clm_conv_terms(const clm_lower *l, clm_value y) { return clm_node_at(clm_lower_graph(l), y)->n_in / 2; }

/* ---- convolution and its adjoint in the data ---- */

enum { D_NV, D_ROWS, D_X, D_RUN }; /* a candidate's values */

/* How many tiles along a row an item makes: as long as some dozens of work-items are left for every compute unit. */
static int run_for(const clm_lower *l, const clm_conv_geometry *c, const tile *t, int tasks) {
    const double units = clm_most(1, (int)clm_lower_device(l)->compute_units);
    const int columns = c->co / (t->v * t->nv), lines = clm_over(c->n, t->rows) * c->oh, row_tiles = clm_over(c->ow, t->rows_x);
    int run = is_cpu(l) ? row_tiles : 1;
    while (run > 1 && (double)columns * lines * clm_over(row_tiles, run) * tasks < CPU_ITEMS * units) run = clm_over(run, 2);
    return run;
}

static int direct_candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int tasks = clm_lower_tasks(l, y);
    const tile_search search = {c.co / c.groups, c.n, 1, c.ow, 1.5};
    tile t[TILES_MOST];
    int n = 0;
    const int count = tiles_for(l, &search, t);
    for (int i = 0; i < count; i++)
        offer(out, &n, (clm_candidate){{t[i].nv, t[i].rows, t[i].rows_x, run_for(l, &c, &t[i], tasks)}});
    for (int i = 0; i < clm_least(count, 2); i++)
        for (int run = clm_over(c.ow, t[i].rows_x); is_cpu(l); run = clm_over(run, 2)) {
            offer(out, &n, (clm_candidate){{t[i].nv, t[i].rows, t[i].rows_x, run}});
            if (run == 1) break;
        }
    return n;
}

static clm_status direct_lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int32_t *p = candidate->value;
    const int tasks = clm_lower_tasks(l, y), terms = clm_conv_terms(l, y), v = width_for(l, c.co / c.groups);
    const int columns = c.co / (v * p[D_NV]), lines = clm_over(c.n, p[D_ROWS]) * c.oh,
              runs = clm_over(clm_over(c.ow, p[D_X]), p[D_RUN]);
    clm_launch_spec spec = {.file = "conv2d.cl", .entry = "conv2d", .flops = clm_conv_flops(&c) * tasks * terms};
    clm_conv_define(&spec, &c);
    clm_spec_define(&spec, "TERMS", terms);
    clm_spec_define(&spec, "VEC", v);
    clm_spec_define(&spec, "NV", p[D_NV]);
    clm_spec_define(&spec, "TILE_N", p[D_ROWS]);
    clm_spec_define(&spec, "TILE_X", p[D_X]);
    clm_spec_define(&spec, "RUN", p[D_RUN]);
    set_sizes(l, &spec, columns, lines * runs, tasks);
    return launch(l, y, &spec);
}

const clm_impl clm_impl_conv2d_direct = {.name = "direct",
                                         .parameters = "nv rows x run",
                                         .preferred = clm_impl_always,
                                         .candidates = direct_candidates,
                                         .lower = direct_lower,
                                         .pairs = clm_impl_always};

/* ---- adjoint in the filter ---- */

enum { F_NV, F_ROWS, F_TILES, F_TAPS, T_FILTER_ROWS = 1 };

/* Pixels of a chunk. A function of the shapes alone: it decides the order of sums. */
static int chunk_for(const clm_conv_geometry *c) {
    return clm_least(CHUNK_MOST, clm_most(16, CHUNK / ((c->ci + c->co) / c->groups)));
}

static clm_launch_spec filter_spec(clm_lower *l, const clm_conv_geometry *c, int nv, const char *file, const char *entry,
                                   clm_value y) {
    const int terms = clm_conv_terms(l, y);
    clm_launch_spec spec = {.file = file, .entry = entry, .flops = clm_conv_flops(c) * clm_lower_tasks(l, y) * terms};
    clm_conv_define(&spec, c);
    clm_spec_define(&spec, "TERMS", terms);
    clm_spec_define(&spec, "VEC", width_for(l, c->co / c->groups));
    clm_spec_define(&spec, "NV", nv);
    clm_spec_define(&spec, "CHUNK_Y", clm_least(c->oh, clm_most(1, chunk_for(c) / c->ow)));
    return spec;
}

/* Few input channels: a whole row of the filter makes the tile. */
static bool thin_applicable(const clm_lower *l, clm_value y) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int cig = c.ci / c.groups, line = ((c.ow - 1) * c.sw + (c.kw - 1) * c.dw + 1) * cig;
    return is_cpu(l) && cig <= 4 && c.kw > 1 && c.kw * cig <= accumulators_for(l) && line <= THIN_LINE;
}

/* Bytes of a task's images. */
static double image_bytes(const clm_conv_geometry *c) {
    return 4.0 * c->n * ((double)c->h * c->w * c->ci + (double)c->oh * c->ow * c->co);
}

/* How evenly so many items of the same size are shared out: 1 where all units have as many. */
static double evenness(int items, int units) { return (double)items / ((double)clm_over(items, units) * units); }

/* All rows of the filter at once read the images once, but make fewer items: a few have to do where reading takes long. Where the first
 * choice leaves units without work, one that does not comes before it. */
static int thin_candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int rows = c.kw * (c.ci / c.groups), tasks = clm_lower_tasks(l, y), v = width_for(l, c.co / c.groups);
    const int units = clm_most(1, (int)clm_lower_device(l)->compute_units);
    const int enough = units == 1 ? 1 : (image_bytes(&c) > CACHE ? 2 : LONG_ITEMS) * units;
    const tile_search search = {c.co / c.groups, rows, rows, 1, 0.5};
    tile t[TILES_MOST];
    int n = 0;
    const int count = tiles_for(l, &search, t);
    for (int i = 0; i < count; i++) {
        const int columns = c.co / (v * t[i].nv) * tasks, k = columns >= enough ? c.kh : 1;
        if (evenness(columns * clm_over(c.kh, k), units) > 0.9) offer(out, &n, (clm_candidate){{t[i].nv, k}});
    }
    for (int i = 0; i < count; i++)
        offer(out, &n, (clm_candidate){{t[i].nv, c.co / (v * t[i].nv) * tasks >= enough ? c.kh : 1}});
    for (int i = 0; i < count; i++)
        for (int k = 1; k <= c.kh; k++) offer(out, &n, (clm_candidate){{t[i].nv, k}});
    return n;
}

static clm_status thin_lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int32_t *p = candidate->value;
    const int tasks = clm_lower_tasks(l, y), v = width_for(l, c.co / c.groups);
    clm_launch_spec spec = filter_spec(l, &c, p[F_NV], "conv2d_bwd_filter_thin.cl", "conv2d_bwd_filter_thin", y);
    clm_spec_define(&spec, "FILTER_ROWS", p[T_FILTER_ROWS]);
    set_sizes(l, &spec, c.co / (v * p[F_NV]), clm_over(c.kh, p[T_FILTER_ROWS]), tasks);
    return launch(l, y, &spec);
}

const clm_impl clm_impl_conv2d_bwd_filter_thin = {.name = "thin",
                                                  .parameters = "nv taps_y",
                                                  .applicable = thin_applicable,
                                                  .preferred = clm_impl_always,
                                                  .candidates = thin_candidates,
                                                  .lower = thin_lower,
                                                  .pairs = clm_impl_always};

/* How many tiles of input channels an item makes, one after the other on the same pixels, for `taps` positions of the
 * filter. */
static int filter_tiles(const clm_lower *l, const clm_conv_geometry *c, const tile *t, int taps, int tasks) {
    const double enough = (taps > 1 ? LONG_ITEMS : CPU_ITEMS / 4) * clm_most(1, (int)clm_lower_device(l)->compute_units);
    const int cig = c->ci / c->groups, columns = c->co / (t->v * t->nv), positions = clm_over(c->kh * c->kw, taps);
    int tiles = is_cpu(l) ? clm_over(cig, t->rows) : 1;
    while (tiles > 1 && ((double)columns * positions * clm_over(cig, tiles * t->rows) * tasks < enough ||
                         taps * tiles * t->rows * t->nv * t->v > TOTALS))
        tiles = clm_over(tiles, 2);
    return tiles;
}

/* Positions of the filter that an item makes: a row of them where images are too large for the caches to keep them in
 * between. */
static int filter_taps(const clm_lower *l, const clm_conv_geometry *c, const tile *t, int tasks) {
    const double units = clm_most(1, (int)clm_lower_device(l)->compute_units);
    const int columns = c->co / (t->v * t->nv);
    const double items = (double)columns * c->kh * tasks;
    return is_cpu(l) && image_bytes(c) > CACHE && items >= LONG_ITEMS * units ? c->kw : 1;
}

static int filter_candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int tasks = clm_lower_tasks(l, y), cig = c.ci / c.groups;
    const tile_search search = {c.co / c.groups, cig, 1, 1, 0.5};
    tile t[TILES_MOST];
    int n = 0;
    const int count = tiles_for(l, &search, t);
    assert(count > 0);
    const int preferred = filter_taps(l, &c, &t[0], tasks);
    const int taps[] = {preferred, 1, c.kw, c.kh * c.kw};
    for (int i = 0; i < count; i++)
        for (int k = 0; k < (is_cpu(l) ? 4 : 1); k++)
            offer(out, &n, (clm_candidate){{t[i].nv, t[i].rows, filter_tiles(l, &c, &t[i], taps[k], tasks), taps[k]}});
    for (int i = 0; i < clm_least(count, 2); i++)
        for (int tiles = clm_over(cig, t[i].rows); is_cpu(l); tiles = clm_over(tiles, 2)) {
            offer(out, &n, (clm_candidate){{t[i].nv, t[i].rows, tiles, 1}});
            if (tiles == 1) break;
        }
    return n;
}

static clm_status filter_lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int32_t *p = candidate->value;
    const int tasks = clm_lower_tasks(l, y), v = width_for(l, c.co / c.groups), cig = c.ci / c.groups;
    clm_launch_spec spec = filter_spec(l, &c, p[F_NV], "conv2d_bwd_filter.cl", "conv2d_bwd_filter", y);
    clm_spec_define(&spec, "TILE_M", p[F_ROWS]);
    clm_spec_define(&spec, "TILES", p[F_TILES]);
    clm_spec_define(&spec, "TAPS", p[F_TAPS]);
    clm_spec_define(&spec, "CHUNK_N", clm_least(c.n, clm_most(1, chunk_for(&c) / (c.ow * c.oh))));
    set_sizes(l, &spec, c.co / (v * p[F_NV]), clm_over(c.kh * c.kw, p[F_TAPS]) * clm_over(cig, p[F_TILES] * p[F_ROWS]), tasks);
    return launch(l, y, &spec);
}

const clm_impl clm_impl_conv2d_bwd_filter_direct = {.name = "direct",
                                                    .parameters = "nv rows tiles taps",
                                                    .preferred = clm_impl_always,
                                                    .candidates = filter_candidates,
                                                    .lower = filter_lower,
                                                    .pairs = clm_impl_always};

/* ---- turned filter ---- */

clm_status clm_flip_filter_lower(clm_lower *l, clm_value y) {
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    const clm_shape *f = &node->shape;
    const int groups = node->attr.i[6], taps = f->dim[0] * f->dim[1], cog = f->dim[2], ci = f->dim[3];
    clm_launch_spec spec = {.file = "conv2d_flip.cl", .entry = "conv2d_flip"};
    const int vectors = is_cpu(l) ? clm_least(clm_tile_vector(l, cog), clm_tile_vector(l, ci / groups)) : 1;
    const int v = vectors >= 4 ? vectors : 1,
              block = v > 1       ? v
                      : is_cpu(l) ? clm_least(16, cog)
                                  : 1,
              chunk = is_cpu(l) ? ci : 1;
    clm_spec_define(&spec, "TAPS", taps);
    clm_spec_define(&spec, "CI", ci);
    clm_spec_define(&spec, "CO", (long)cog * groups);
    clm_spec_define(&spec, "GROUPS", groups);
    clm_spec_define(&spec, "VEC", v);
    clm_spec_define(&spec, "BLOCK", block);
    clm_spec_define(&spec, "CHUNK", chunk);
    spec.global[0] = (size_t)clm_over(ci, chunk);
    spec.global[1] = (size_t)taps * (size_t)clm_over(cog, block);
    spec.global[2] = (size_t)clm_lower_tasks(l, y);
    return launch(l, y, &spec);
}
