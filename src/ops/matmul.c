/* Matrix products: y[.., m, n] = sum over k of A[.., m, k] B[.., k, n], with A = a or, when ta, a with its last two axes
 * swapped; the same for B, b, tb. Attributes: i[0] ta, i[1] tb, never both: a^T b^T is built as (b a)^T.
 *
 * Leading axes are equal, or absent in one operand, which then serves all. A batch of a's rows against one b is one large
 * product, so b without leading axes only occurs where a is transposed. Bilinear; adjoints are products again:
 *   dA = dY B^T    dB = A^T dY    each summed over the leading axes that the operand lacks. */
#include <string.h>

#include "ops/choice.h"
#include "ops/matmul.h"
#include "ops/op.h"
#include "ops/tile.h"

typedef clm_matmul_sizes sizes;

static sizes sizes_of(const clm_node *y, const clm_shape *a, const clm_shape *b) {
    const int r = y->shape.rank;
    sizes s = {.m = y->shape.dim[r - 2], .n = y->shape.dim[r - 1], .batch = 1, .ta = y->attr.i[0], .tb = y->attr.i[1]};
    s.k = s.ta ? a->dim[a->rank - 2] : a->dim[a->rank - 1];
    for (int i = 0; i < r - 2; i++) s.batch *= y->shape.dim[i];
    if (a->rank > 2) s.a_batch = s.m * s.k;
    if (b->rank > 2) s.b_batch = s.k * s.n;
    return s;
}

/* ---- builders ---- */

static clm_value swap_last(clm_graph *g, clm_value x) {
    const int rank = clm_value_shape(g, x).rank;
    int32_t perm[CLM_MAX_RANK];
    for (int i = 0; i < rank; i++) perm[i] = i < rank - 2 ? i : i == rank - 2 ? rank - 1 : rank - 2;
    return x == CLM_INVALID ? x : clm_transpose(g, x, perm);
}

/* [.., rows, columns] -> [everything else, columns] */
static clm_value flatten_rows(clm_graph *g, clm_value x) {
    const clm_shape s = clm_value_shape(g, x);
    const int columns = s.dim[s.rank - 1];
    return clm_reshape(g, x, clm_shape_of(2, (int)(clm_shape_size(&s) / (size_t)columns), columns));
}

static bool batches_fit(const clm_shape *a, const clm_shape *b) {
    if (a->rank == 2 || b->rank == 2) return true;
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank - 2; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

static bool fits(clm_graph *g, const clm_shape *a, const clm_shape *b, bool ta, bool tb) {
    char x[80], y[80];
    clm_shape_text(a, x, sizeof x);
    clm_shape_text(b, y, sizeof y);
    const char *const t[2] = {"", " transposed"};
    if (a->rank < 2 || b->rank < 2)
        clm_graph_error(g, CLM_E_SHAPE,
                        "matmul: %s times %s: both need two axes at least; reshape a vector to a row or a column", x, y);
    else if (a->dim[a->rank - (ta ? 2 : 1)] != b->dim[b->rank - (tb ? 1 : 2)])
        clm_graph_error(g, CLM_E_SHAPE, "matmul: %s%s times %s%s: the axes to sum over differ in length", x, t[ta], y, t[tb]);
    else if (!batches_fit(a, b))
        clm_graph_error(g, CLM_E_SHAPE, "matmul: %s%s times %s%s: the leading axes are neither equal nor absent in one", x,
                        t[ta], y, t[tb]);
    else
        return true;
    return false;
}

clm_value clm_matmul(clm_graph *g, clm_value a, clm_value b, bool ta, bool tb) {
    const clm_value in[2] = {a, b};
    double c;
    if (!clm_graph_valid(g, in, 2)) return CLM_INVALID;
    const clm_shape sa = clm_value_shape(g, a), sb = clm_value_shape(g, b);
    if (!fits(g, &sa, &sb, ta, tb)) return CLM_INVALID;
    clm_shape shape = sa.rank > 2 ? sa : sb;
    shape.dim[shape.rank - 2] = sa.dim[sa.rank - (ta ? 1 : 2)];
    shape.dim[shape.rank - 1] = sb.dim[sb.rank - (tb ? 2 : 1)];
    if ((clm_is_fill(g, a, &c) && c == 0) || (clm_is_fill(g, b, &c) && c == 0)) return clm_fill(g, shape, 0);
    if (ta && tb) return swap_last(g, clm_matmul(g, b, a, false, false));
    if (sa.rank > 2 && sb.rank == 2 && !ta) {
        const clm_value y = clm_matmul(g, flatten_rows(g, a), b, false, tb);
        return y == CLM_INVALID ? y : clm_reshape(g, y, shape);
    }
    return clm_graph_add(g, CLM_OP_MATMUL, in, 2, shape, &(clm_attr){.i = {ta, tb}});
}

clm_value clm_linear(clm_graph *g, clm_value x, clm_value weight, clm_value bias) {
    char xt[80], wt[80], bt[80] = "none";
    const bool biased = bias != CLM_INVALID;
    const clm_value in[3] = {x, weight, biased ? bias : x};
    if (!clm_graph_valid(g, in, 3)) return CLM_INVALID;
    clm_shape s = clm_value_shape(g, x);
    const clm_shape w = clm_value_shape(g, weight), b = clm_value_shape(g, in[2]);
    if (s.rank < 1 || w.rank != 2 || w.dim[1] != s.dim[s.rank - 1] || (biased && (b.rank != 1 || b.dim[0] != w.dim[0])))
        return clm_graph_error(g, CLM_E_SHAPE, "linear: x %s, weight %s, bias %s: must be [.., in], [out, in], [out]",
                               clm_shape_text(&s, xt, sizeof xt), clm_shape_text(&w, wt, sizeof wt),
                               biased ? clm_shape_text(&b, bt, sizeof bt) : bt);
    clm_value y = clm_matmul(g, flatten_rows(g, x), weight, false, true);
    if (biased) y = clm_add(g, y, bias);
    s.dim[s.rank - 1] = w.dim[0];
    return y == CLM_INVALID ? y : clm_reshape(g, y, s);
}

/* ---- derivatives ---- */

static clm_value matmul_vjp(clm_graph *g, clm_value y, clm_value gy, int which) {
    const clm_node *n = clm_node_at(g, y);
    const clm_value a = n->in[0], b = n->in[1];
    const bool ta = n->attr.i[0], tb = n->attr.i[1];
    const int rank = n->shape.rank, own = clm_value_shape(g, n->in[which]).rank;
    clm_value d;
    if (which == 0)
        d = ta ? clm_matmul(g, b, gy, tb, true) : clm_matmul(g, gy, b, false, !tb);
    else
        d = tb ? clm_matmul(g, gy, a, true, ta) : clm_matmul(g, a, gy, !ta, false);
    if (d == CLM_INVALID || own == rank || clm_value_shape(g, d).rank == own) return d;
    return clm_sum(g, d, (1u << (rank - 2)) - 1, false);
}

/* ---- reference ---- */

static void matmul_eval(const clm_eval *e) {
    const sizes s = sizes_of(e->node, &e->in_node[0]->shape, &e->in_node[1]->shape);
    const int64_t am = s.ta ? 1 : s.k, ak = s.ta ? s.m : 1, bk = s.tb ? 1 : s.n, bn = s.tb ? s.k : 1;
    double *y = e->out;
    for (int64_t t = 0; t < s.batch; t++) {
        const double *a = e->in[0] + t * s.a_batch, *b = e->in[1] + t * s.b_batch;
        for (int i = 0; i < s.m; i++)
            for (int j = 0; j < s.n; j++) {
                double sum = 0;
                for (int k = 0; k < s.k; k++) sum += a[i * am + k * ak] * b[k * bk + j * bn];
                *y++ = sum;
            }
    }
}

/* ---- launch ---- */

enum {
    TILE_MOST = 4,     /* rows and columns of a tile of sums of vectors; of rows one more where there are 32 registers */
    ITEM_WORK = 16384, /* multiply-adds that are worth a work-item on a CPU */
};

/* The largest tile of at most `most` that wastes least on `size`. */
static int tile_for(int size, int most) {
    const int tiles = (size + most - 1) / most;
    return (size + tiles - 1) / tiles;
}

/* b as it is: an item's vector runs along n. b transposed: along k, for TILE_N columns at a time. */
static int vector_for(const clm_lower *l, const sizes *s) {
    const int length = s->tb ? s->k : s->n;
    int exact = clm_tile_vector(l, length), any = 1;
    if (!clm_tile_serial(l)) return s->tb ? 1 : exact;
    while (2 * any <= length && 2 * any <= 16 && 2 * any <= (int)clm_lower_device(l)->float_vector_width) any *= 2;
    if (!s->tb && exact == any && exact >= 4 && exact < 16 && length % (2 * exact) == 0)
        return 2 * exact; /* two registers a row */
    return s->tb && exact >= 4 ? exact : any;
}

enum { P_ROWS, P_COLUMNS, P_STRIP }; /* a candidate's values */

static clm_matmul_sizes sizes_in(const clm_graph *g, clm_value y) {
    const clm_node *n = clm_node_at(g, y);
    return sizes_of(n, &clm_node_at(g, n->in[0])->shape, &clm_node_at(g, n->in[1])->shape);
}

clm_matmul_sizes clm_matmul_sizes_at(const clm_lower *l, clm_value y) { return sizes_in(clm_lower_graph(l), y); }
int clm_matmul_terms(const clm_graph *g, clm_value y) { return sizes_in(g, y).k; }

/* Rows of a tile where `vectors` run along n: the registers of a CPU hold them beside a row of b. */
static int rows_most(const clm_lower *l, int vec, int vectors) {
    const int width = (int)clm_lower_device(l)->float_vector_width, room = width >= 16 ? 28 : 12;
    const int registers = (vec + width - 1) / width * vectors;
    if (!clm_tile_serial(l)) return TILE_MOST;
    return room / registers > 14 ? 14 : room / registers > 1 ? room / registers : 1;
}

/* The same where they run along k: one for each sum. */
static int rows_most_nt(const clm_lower *l) {
    return clm_tile_serial(l) && clm_lower_device(l)->float_vector_width >= 16 ? TILE_MOST + 1 : TILE_MOST;
}

/* Vectors of a tile: four where they fit, so that a row of b is read a few lines at a time and not one in every page. */
static int vectors_for(const clm_lower *l, const sizes *s, int vec) {
    int vectors = 1;
    if (s->tb || !clm_tile_serial(l)) return 1;
    while (vectors < 4 && s->n % (2 * vectors * vec) == 0 && rows_most(l, vec, 2 * vectors) >= 3) vectors *= 2;
    return vectors;
}

/* Where the last vectors of a row overlap with those before, an item has both. */
static int overlapping_strip(const sizes *s, int vec, int tiles, int strip) {
    if (s->tb || s->n % vec == 0) return strip;
    while ((tiles - 1) % strip == 0) strip++;
    return strip;
}

static void offer(const clm_lower *l, const sizes *s, int tasks, int rows, int columns, clm_candidate *out, int *n) {
    const int tiles_m = (s->m + rows - 1) / rows, tiles_n = (s->n + columns - 1) / columns;
    const int best = clm_tile_rows(l, tiles_n, 8192.0 / ITEM_WORK * rows * columns * s->k, tasks * tiles_m * s->batch);
    const int vec = vector_for(l, s), strips[] = {best, 1, (best + 1) / 2, 2 * best < tiles_n ? 2 * best : tiles_n};
    for (int i = 0; i < (*n ? 2 : 4); i++) {
        const clm_candidate c = {{rows, columns, overlapping_strip(s, vec, tiles_n, strips[i])}};
        bool there = false;
        for (int k = 0; k < *n; k++) there = there || !memcmp(&out[k], &c, sizeof c);
        if (!there && *n < CLM_CANDIDATES_MOST) out[(*n)++] = c;
    }
}

/* The vectors are the same for all, since they decide the order of sums of products with b transposed, and how the last columns
 * are computed of those with b as it is. */
static int direct_candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    static const int more[] = {2, 4, 6, 8, 10, 14};
    const sizes s = clm_matmul_sizes_at(l, y);
    const int tasks = clm_lower_tasks(l, y), vec = vector_for(l, &s), vectors = vectors_for(l, &s, vec);
    int n = 0;
    if (s.tb) offer(l, &s, tasks, tile_for(s.m, rows_most_nt(l)), tile_for(s.n, TILE_MOST), out, &n);
    for (int nv = vectors; nv >= 1 && !s.tb; nv /= 2) {
        const int most = rows_most(l, vec, nv);
        offer(l, &s, tasks, tile_for(s.m, most), nv * vec, out, &n);
        for (size_t i = 0; i < sizeof more / sizeof *more; i++)
            if (more[i] <= s.m && more[i] <= most) offer(l, &s, tasks, more[i], nv * vec, out, &n);
    }
    for (int i = 1; s.tb && i <= TILE_MOST; i *= 2)
        for (int k = 1; k <= TILE_MOST; k *= 2)
            if (i <= s.m && k <= s.n) offer(l, &s, tasks, i, k, out, &n);
    return n;
}

static clm_status direct_lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const clm_node *n = clm_node_at(clm_lower_graph(l), y);
    const sizes s = clm_matmul_sizes_at(l, y);
    const int32_t *p = candidate->value;
    const int tasks = clm_lower_tasks(l, y), vec = vector_for(l, &s);
    const int tiles_m = (s.m + p[P_ROWS] - 1) / p[P_ROWS], tiles_n = (s.n + p[P_COLUMNS] - 1) / p[P_COLUMNS];
    const int strips = (tiles_n + p[P_STRIP] - 1) / p[P_STRIP];

    clm_launch_spec spec = {.file = "matmul.cl", .entry = s.tb ? "matmul_nt" : "matmul"};
    clm_spec_define(&spec, "M", s.m);
    clm_spec_define(&spec, "N", s.n);
    clm_spec_define(&spec, "K", s.k);
    clm_spec_define(&spec, "A_BATCH", s.a_batch);
    clm_spec_define(&spec, "B_BATCH", s.b_batch);
    clm_spec_define(&spec, "TA", s.ta);
    clm_spec_define(&spec, "TB", s.tb);
    clm_spec_define(&spec, "VEC", vec);
    clm_spec_define(&spec, "NV", s.tb ? 1 : p[P_COLUMNS] / vec);
    clm_spec_define(&spec, "TILE_M", p[P_ROWS]);
    clm_spec_define(&spec, "TILE_N", p[P_COLUMNS]);
    clm_spec_define(&spec, "STRIP", p[P_STRIP]);
    clm_tile_global(l, &spec, (size_t)strips * (size_t)tiles_m * (size_t)s.batch, tasks);
    spec.flops = 2.0 * s.m * s.n * s.k * s.batch * tasks;
    spec.bytes = 4.0 * tasks * s.batch * ((double)s.m * s.k + (double)s.k * s.n + (double)s.m * s.n);
    return clm_lower_launch(l, y, &spec, (clm_value[]){n->in[0], n->in[1], y}, 3, NULL, 0);
}

const clm_impl clm_impl_matmul_direct = {.name = "direct",
                                         .parameters = "rows columns strip",
                                         .preferred = clm_impl_always,
                                         .candidates = direct_candidates,
                                         .lower = direct_lower};

const clm_op clm_row_matmul = {.name = "matmul",
                               .flags = CLM_OPF_MULTILINEAR,
                               .n_in = 2,
                               .vjp = matmul_vjp,
                               .eval = matmul_eval,
                               .lower = clm_choice_lower};
