/* Matrix products on CPUs whose rows of B are no whole vectors, or whose columns lie across B: the columns of an item are first
 * copied side by side (kernels/matmul_packed.cl), which as many rows as there are pay for. */
#include "ops/choice.h"
#include "ops/matmul.h"
#include "ops/op.h"
#include "ops/tile.h"

enum { P_ROWS, P_VECTORS, P_STRIP }; /* a candidate's values: of a tile; tiles of an item */
enum { LEAST_ROWS = 64 };            /* that pay for the copy */

static int width_of(const clm_lower *l) {
    const int width = (int)clm_lower_device(l)->float_vector_width;
    int vec = 1;
    while (2 * vec <= 16 && 2 * vec <= width) vec *= 2;
    return vec;
}

static bool applicable(const clm_lower *l, clm_value y) {
    (void)y;
    return clm_tile_serial(l);
}

static bool preferred(const clm_lower *l, clm_value y) {
    const clm_matmul_sizes s = clm_matmul_sizes_at(l, y);
    const int vec = width_of(l);
    return s.m >= LEAST_ROWS && s.n >= 2 * vec && (s.tb || s.n % vec != 0);
}

static void offer(const clm_lower *l, clm_value y, int rows, int vectors, clm_candidate *out, int *n) {
    const clm_matmul_sizes s = clm_matmul_sizes_at(l, y);
    const int width = vectors * width_of(l), tiles = (s.m + rows - 1) / rows, columns = (s.n + width - 1) / width;
    const double items = 4.0 * clm_lower_device(l)->compute_units / ((double)columns * s.batch * clm_lower_tasks(l, y));
    const int strips = items < 1       ? 1
                       : items > tiles ? tiles
                                       : (int)(items + 0.999),
              offered[] = {(tiles + strips - 1) / strips, tiles};
    for (int i = 0; i < (strips > 1 ? 2 : 1); i++) out[(*n)++] = (clm_candidate){{rows, vectors, offered[i]}};
}

/* The registers of a CPU hold a tile beside a row of it. */
static int candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    static const int wide[] = {5, 4, 3, 2, 7, 6, 1}, narrow[] = {3, 2, 4, 1, 6, 5, 7};
    const clm_matmul_sizes s = clm_matmul_sizes_at(l, y);
    const int vec = width_of(l), *order = vec >= 16 ? wide : narrow, room = vec >= 16 ? 28 : 12, most = (s.n + vec - 1) / vec;
    int n = 0;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        const int vectors = order[i], rows = room / vectors < 14 ? room / vectors : 14;
        if (vectors <= most || (vectors == 1 && !n)) offer(l, y, rows < s.m ? rows : s.m, vectors, out, &n);
    }
    return n;
}

static clm_status lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const clm_node *n = clm_node_at(clm_lower_graph(l), y);
    const clm_matmul_sizes s = clm_matmul_sizes_at(l, y);
    const int rows = candidate->value[P_ROWS], vectors = candidate->value[P_VECTORS], strip = candidate->value[P_STRIP];
    const int vec = width_of(l), all = (s.n + vec - 1) / vec, columns = (all + vectors - 1) / vectors;
    const int tasks = clm_lower_tasks(l, y), tiles = (s.m + rows - 1) / rows, strips = (tiles + strip - 1) / strip;
    const struct {
        const char *name;
        int value;
    } defines[] = {
        {"M", s.m},       {"N", s.n},      {"K", s.k},   {"A_BATCH", s.a_batch}, {"B_BATCH", s.b_batch},
        {"TA", s.ta},     {"TB", s.tb},    {"VEC", vec}, {"NV", vectors},        {"LAST", all - (columns - 1) * vectors},
        {"TILE_M", rows}, {"STRIP", strip}};
    clm_launch_spec spec = {.file = "matmul_packed.cl", .entry = "matmul_packed"};
    for (size_t i = 0; i < sizeof defines / sizeof *defines; i++) clm_spec_define(&spec, defines[i].name, defines[i].value);
    clm_tile_global(l, &spec, (size_t)strips * (size_t)columns * (size_t)s.batch, tasks);
    spec.flops = 2.0 * s.m * s.n * s.k * s.batch * tasks;
    spec.bytes = 4.0 * tasks * s.batch * ((double)s.m * s.k + (double)s.k * s.n + (double)s.m * s.n);
    return clm_lower_launch(l, y, &spec, (clm_value[]){n->in[0], n->in[1], y}, 3, NULL, 0);
}

const clm_impl clm_impl_matmul_packed = {.name = "packed",
                                         .parameters = "rows vectors strip",
                                         .applicable = applicable,
                                         .preferred = preferred,
                                         .candidates = candidates,
                                         .lower = lower};
