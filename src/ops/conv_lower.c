/* Convolution on OpenCL devices: the choice of register tiles and the launches.
 *
 * On a CPU a work-item is one thread's stretch of work: its tile fills the vector registers, the vectors are as wide as the
 * device's. On other devices a work-item is one lane: a small tile over four channels, many of them, neighbours on neighbouring
 * channels. A tile is rated by the time of one step of its inner loop (multiply-adds, loads, or the latency of a multiply-add,
 * whichever is longest) over the useful work in it; the best tile that fits is taken.
 */
#include "clmaml/device.h"
#include "ops/conv.h"
#include "program/lower.h"

enum {
    CPU_LATENCY = 8, /* multiply-adds in flight that hide their latency */
    CPU_CHUNK = 64,  /* pixels between additions to the totals */
    GPU_WIDTH = 4,   /* channels of a lane */
    GPU_ACCUMULATORS = 8,
    GPU_ITEMS = 1 << 14 /* work-items that keep a device busy */
};

typedef struct tile {
    int v, nv, rows, rows_x; /* vector width, vectors, images or input channels, pixels along a row */
} tile;

static bool is_cpu(const clm_lower *l) { return clm_lower_device(l)->type == CLM_DEVICE_CPU; }

static int least(int a, int b) { return a < b ? a : b; }
static int most(int a, int b) { return a > b ? a : b; }
static int over(int a, int b) { return (a + b - 1) / b; } /* a / b rounded up */

/* Vector width that divides the channels of a group. */
static int width_for(const clm_lower *l, int channels) {
    int width = is_cpu(l) ? least(16, most(4, (int)clm_lower_device(l)->float_vector_width)) : GPU_WIDTH;
    while (channels % width != 0) width /= 2;
    return width;
}

/* Accumulators that the registers hold beside the operands: half of the 32 that come with 16-wide vectors are not there with 8.
 */
static int accumulators_for(const clm_lower *l) {
    if (!is_cpu(l)) return GPU_ACCUMULATORS;
    return clm_lower_device(l)->float_vector_width >= 16 ? 28 : 12;
}

/* Time of a step of the inner loop per useful accumulator: `rows` scalars times `nv` vectors, of which the part used / padded
 * counts. */
static double step_cost(int rows, int nv, int used, int padded) {
    double arithmetic = rows * nv, loads = rows + nv;
    double time = arithmetic > loads ? arithmetic : loads;
    if (time < CPU_LATENCY) time = CPU_LATENCY;
    /* Few rows read the other operand's vectors again and again from the farther cache. */
    time += 1.5 * nv;
    return time * padded / (arithmetic * used);
}

static tile tile_for(const clm_lower *l, int channels, int rows, int rows_most) {
    tile best = {.v = width_for(l, channels), .nv = 1, .rows = 1, .rows_x = 1};
    const int vectors = channels / best.v, room = accumulators_for(l);
    double best_cost = 1e30;
    for (int nv = 1; nv <= (is_cpu(l) ? least(vectors, 8) : 1); nv++)
        for (int r = 1; r <= least(rows, rows_most) && vectors % nv == 0 && r * nv <= room; r++) {
            double cost = step_cost(r, nv, rows, over(rows, r) * r);
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

static clm_conv_geometry geometry_at(const clm_lower *l, clm_value v) {
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

clm_status clm_conv2d_lower(clm_lower *l, clm_value y) {
    const clm_conv_geometry c = geometry_at(l, y);
    const int tasks = clm_lower_tasks(l, y), compute_units = most(1, (int)clm_lower_device(l)->compute_units);
    tile t = tile_for(l, c.co / c.groups, c.n, is_cpu(l) ? 28 : GPU_ACCUMULATORS);
    const int columns = c.co / (t.v * t.nv), lines = over(c.n, t.rows) * c.oh;
    int run = 1;
    if (is_cpu(l)) {
        /* A run along the row, as long as some dozens of work-items are left for every compute unit. */
        run = c.ow;
        while (run > 1 && columns * lines * over(c.ow, run) * tasks < 32 * compute_units) run = over(run, 2);
    }
    clm_launch_spec spec = {.file = "conv2d.cl", .entry = "conv2d", .flops = clm_conv_flops(&c) * tasks};
    define_geometry(&spec, &c);
    clm_spec_define(&spec, "V", t.v);
    clm_spec_define(&spec, "NV", t.nv);
    clm_spec_define(&spec, "TILE_N", t.rows);
    clm_spec_define(&spec, "TILE_X", t.rows_x);
    clm_spec_define(&spec, "RUN", run);
    set_sizes(l, &spec, columns, lines * over(over(c.ow, t.rows_x), run), tasks);
    return launch(l, y, &spec);
}

clm_status clm_conv2d_bwd_filter_lower(clm_lower *l, clm_value y) {
    const clm_conv_geometry c = geometry_at(l, y);
    const int tasks = clm_lower_tasks(l, y), compute_units = most(1, (int)clm_lower_device(l)->compute_units);
    const int cig = c.ci / c.groups;
    tile t = tile_for(l, c.co / c.groups, cig, is_cpu(l) ? 28 : GPU_ACCUMULATORS);
    const int columns = c.co / (t.v * t.nv);
    int tiles = 1, chunk_y = least(c.oh, most(1, CPU_CHUNK / c.ow)), chunk_n = least(c.n, most(1, CPU_CHUNK / (c.ow * c.oh)));
    if (is_cpu(l)) {
        tiles = over(cig, t.rows);
        while (tiles > 1 && columns * c.kh * c.kw * over(cig, tiles * t.rows) * tasks < 8 * compute_units) tiles = over(tiles, 2);
    }
    clm_launch_spec spec = {.file = "conv2d_bwd_filter.cl", .entry = "conv2d_bwd_filter", .flops = clm_conv_flops(&c) * tasks};
    define_geometry(&spec, &c);
    clm_spec_define(&spec, "V", t.v);
    clm_spec_define(&spec, "NV", t.nv);
    clm_spec_define(&spec, "TILE_M", t.rows);
    clm_spec_define(&spec, "TILES", tiles);
    clm_spec_define(&spec, "CHUNK_N", chunk_n);
    clm_spec_define(&spec, "CHUNK_Y", chunk_y);
    set_sizes(l, &spec, columns, c.kh * c.kw * over(cig, tiles * t.rows), tasks);
    return launch(l, y, &spec);
}

clm_status clm_flip_filter_lower(clm_lower *l, clm_value y) {
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    const clm_shape *f = &node->shape;
    const int groups = node->attr.i[6], taps = f->dim[0] * f->dim[1], cog = f->dim[2], ci = f->dim[3];
    clm_launch_spec spec = {.file = "conv2d_flip.cl", .entry = "conv2d_flip"};
    clm_spec_define(&spec, "TAPS", taps);
    clm_spec_define(&spec, "CI", ci);
    clm_spec_define(&spec, "CO", cog * groups);
    clm_spec_define(&spec, "GROUPS", groups);
    spec.global[0] = (size_t)ci;
    spec.global[1] = (size_t)(taps * cog);
    spec.global[2] = (size_t)clm_lower_tasks(l, y);
    return launch(l, y, &spec);
}
