/* Convolution on OpenCL devices: the choice of register tiles and the launches.
 *
 * On a CPU a work-item is one thread's stretch of work: its tile fills the vector registers, the vectors are as wide as the
 * device's. On other devices a work-item is one lane: a small tile over four channels, many of them, neighbours on neighbouring
 * channels. A tile is rated by the time of one step of its inner loop (multiply-adds, loads, or the latency of a multiply-add,
 * whichever is longest) over the useful work in it; the best tile that fits is taken.
 */
#include "ops/choice.h"
#include "ops/conv.h"
#include "ops/tile.h"

enum {
    CPU_LATENCY = 8,  /* multiply-adds in flight that hide their latency */
    CPU_ITEMS = 32,   /* work-items for every compute unit that even out the load */
    THIN_LINE = 4096, /* floats of private memory */
    CHUNK = 64,       /* pixels between additions to the totals */
    GPU_WIDTH = 4,    /* channels of a lane */
    GPU_ACCUMULATORS = 8
};

typedef struct tile {
    int v, nv, rows, rows_x; /* vector width, vectors, images or input channels, pixels along a row */
} tile;

static bool is_cpu(const clm_lower *l) { return clm_tile_serial(l); }

static int least(int a, int b) { return a < b ? a : b; }
static int most(int a, int b) { return a > b ? a : b; }
static int over(int a, int b) { return (a + b - 1) / b; } /* a / b rounded up */

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

/* Time of a step of the inner loop, `rows` scalars by `nv` vectors, over the accumulators in it. Vectors come from a farther
 * cache than scalars do, and every row is a stream of its own. */
static double step_cost(int rows, int nv) {
    double time = most(most(rows * nv, rows + nv), CPU_LATENCY);
    return (time + 1.5 * nv + 0.5 * rows) / (rows * nv);
}

/* The tile for `channels` output channels of a group and `rows` images or input channels, of which at least `rows_least` are
 * taken. */
static tile tile_for(const clm_lower *l, int channels, int rows, int rows_least) {
    tile best = {.v = width_for(l, channels), .nv = 1, .rows = rows_least, .rows_x = 1};
    const int vectors = channels / best.v, room = accumulators_for(l);
    double best_cost = 1e30;
    for (int nv = 1; nv <= (is_cpu(l) ? vectors : 1); nv++)
        for (int r = rows_least; r <= rows && vectors % nv == 0 && r * nv <= room; r++) {
            /* A tile that sticks out wastes work, and its rows are no longer at constant distances. */
            double cost = step_cost(r, nv) * (over(rows, r) * r) / rows * (rows % r == 0 ? 1.0 : 1.3);
            if (cost < best_cost) {
                best_cost = cost;
                best.nv = nv;
                best.rows = r;
            }
        }
    return best;
}

static void define_geometry(clm_launch_spec *spec, const clm_conv_geometry *c) {
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

static clm_status launch(clm_lower *l, clm_value y, clm_launch_spec *spec) {
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    const clm_value values[3] = {y, node->in[0], node->n_in > 1 ? node->in[1] : CLM_INVALID};
    const int tasks = clm_lower_tasks(l, y);
    for (int i = 0; i <= node->n_in; i++) spec->bytes += 4.0 * (double)size_at(l, values[i]);
    return clm_lower_launch(l, y, spec, values, node->n_in + 1, &tasks, 1);
}

/* ---- convolution and its adjoint in the data ---- */

enum { D_NV, D_ROWS, D_X, D_RUN }; /* a candidate's values */

/* Few images: neighbouring pixels fill the tile. Their number divides the row. */
static int pixels_for(const clm_lower *l, int row, int each) {
    int pixels = 1;
    for (int p = 2; p <= 8 && p * each <= accumulators_for(l); p++)
        if (row % p == 0) pixels = p;
    return pixels;
}

static int direct_candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int tasks = clm_lower_tasks(l, y), compute_units = most(1, (int)clm_lower_device(l)->compute_units);
    tile t = tile_for(l, c.co / c.groups, c.n, 1);
    if (is_cpu(l) && t.rows * t.nv < 5) t.rows_x = pixels_for(l, c.ow, t.rows * t.nv);
    const int columns = c.co / (t.v * t.nv), lines = over(c.n, t.rows) * c.oh, row_tiles = over(c.ow, t.rows_x);
    int run = 1;
    if (is_cpu(l)) {
        /* A run along the row, as long as some dozens of work-items are left for every compute unit. */
        run = row_tiles;
        while (run > 1 && (double)columns * lines * over(row_tiles, run) * tasks < CPU_ITEMS * compute_units) run = over(run, 2);
    }
    out[0] = (clm_candidate){{t.nv, t.rows, t.rows_x, run}};
    return 1;
}

static clm_status direct_lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int32_t *p = candidate->value;
    const int tasks = clm_lower_tasks(l, y), v = width_for(l, c.co / c.groups);
    const int columns = c.co / (v * p[D_NV]), lines = over(c.n, p[D_ROWS]) * c.oh, runs = over(over(c.ow, p[D_X]), p[D_RUN]);
    clm_launch_spec spec = {.file = "conv2d.cl", .entry = "conv2d", .flops = clm_conv_flops(&c) * tasks};
    define_geometry(&spec, &c);
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
                                         .lower = direct_lower};

/* ---- adjoint in the filter ---- */

enum { F_NV, F_ROWS, F_TILES };

static clm_launch_spec filter_spec(clm_lower *l, const clm_conv_geometry *c, int nv, const char *file, const char *entry,
                                   int tasks) {
    clm_launch_spec spec = {.file = file, .entry = entry, .flops = clm_conv_flops(c) * tasks};
    define_geometry(&spec, c);
    clm_spec_define(&spec, "VEC", width_for(l, c->co / c->groups));
    clm_spec_define(&spec, "NV", nv);
    clm_spec_define(&spec, "CHUNK_Y", least(c->oh, most(1, CHUNK / c->ow)));
    return spec;
}

/* Few input channels: a whole row of the filter makes the tile. */
static bool thin_applicable(const clm_lower *l, clm_value y) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int cig = c.ci / c.groups, line = ((c.ow - 1) * c.sw + (c.kw - 1) * c.dw + 1) * cig;
    return is_cpu(l) && cig <= 4 && c.kw > 1 && c.kw * cig <= accumulators_for(l) && line <= THIN_LINE;
}

static int thin_candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int rows = c.kw * (c.ci / c.groups);
    out[0] = (clm_candidate){{tile_for(l, c.co / c.groups, rows, rows).nv}};
    return 1;
}

static clm_status thin_lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int tasks = clm_lower_tasks(l, y), nv = candidate->value[F_NV], v = width_for(l, c.co / c.groups);
    clm_launch_spec spec = filter_spec(l, &c, nv, "conv2d_bwd_filter_thin.cl", "conv2d_bwd_filter_thin", tasks);
    set_sizes(l, &spec, c.co / (v * nv), c.kh, tasks);
    return launch(l, y, &spec);
}

const clm_impl clm_impl_conv2d_bwd_filter_thin = {.name = "thin",
                                                  .parameters = "nv",
                                                  .applicable = thin_applicable,
                                                  .preferred = clm_impl_always,
                                                  .candidates = thin_candidates,
                                                  .lower = thin_lower};

static int filter_candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int tasks = clm_lower_tasks(l, y), compute_units = most(1, (int)clm_lower_device(l)->compute_units);
    const int cig = c.ci / c.groups;
    const tile t = tile_for(l, c.co / c.groups, cig, 1);
    const int columns = c.co / (t.v * t.nv);
    int tiles = is_cpu(l) ? over(cig, t.rows) : 1;
    while (tiles > 1 && (double)columns * c.kh * c.kw * over(cig, tiles * t.rows) * tasks < CPU_ITEMS / 4 * compute_units)
        tiles = over(tiles, 2);
    out[0] = (clm_candidate){{t.nv, t.rows, tiles}};
    return 1;
}

static clm_status filter_lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const clm_conv_geometry c = clm_conv_geometry_at(l, y);
    const int32_t *p = candidate->value;
    const int tasks = clm_lower_tasks(l, y), v = width_for(l, c.co / c.groups), cig = c.ci / c.groups;
    clm_launch_spec spec = filter_spec(l, &c, p[F_NV], "conv2d_bwd_filter.cl", "conv2d_bwd_filter", tasks);
    clm_spec_define(&spec, "TILE_M", p[F_ROWS]);
    clm_spec_define(&spec, "TILES", p[F_TILES]);
    clm_spec_define(&spec, "CHUNK_N", least(c.n, most(1, CHUNK / (c.ow * c.oh))));
    set_sizes(l, &spec, c.co / (v * p[F_NV]), c.kh * c.kw * over(cig, p[F_TILES] * p[F_ROWS]), tasks);
    return launch(l, y, &spec);
}

const clm_impl clm_impl_conv2d_bwd_filter_direct = {.name = "direct",
                                                    .parameters = "nv rows tiles",
                                                    .preferred = clm_impl_always,
                                                    .candidates = filter_candidates,
                                                    .lower = filter_lower};

/* ---- turned filter ---- */

clm_status clm_flip_filter_lower(clm_lower *l, clm_value y) {
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    const clm_shape *f = &node->shape;
    const int groups = node->attr.i[6], taps = f->dim[0] * f->dim[1], cog = f->dim[2], ci = f->dim[3];
    clm_launch_spec spec = {.file = "conv2d_flip.cl", .entry = "conv2d_flip"};
    const int block = is_cpu(l) ? least(16, cog) : 1, chunk = is_cpu(l) ? ci : 1;
    clm_spec_define(&spec, "TAPS", taps);
    clm_spec_define(&spec, "CI", ci);
    clm_spec_define(&spec, "CO", cog * groups);
    clm_spec_define(&spec, "GROUPS", groups);
    clm_spec_define(&spec, "BLOCK", block);
    clm_spec_define(&spec, "CHUNK", chunk);
    spec.global[0] = (size_t)over(ci, chunk);
    spec.global[1] = (size_t)(taps * over(cog, block));
    spec.global[2] = (size_t)clm_lower_tasks(l, y);
    return launch(l, y, &spec);
}
