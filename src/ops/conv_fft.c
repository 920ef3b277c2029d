/* Convolutions with large filters by clFFT: transforms of all planes, products at every frequency, transforms back.
 *
 *   convolution, adjoint in the data:  Y[n, o]  = sum over c of X[n, c] W[c, o]        (X, W, Y: transforms of planes)
 *   adjoint in the filter:             DW[c, o] = sum over n of X[n, c] DY[n, o]
 * where the second factor is put into its planes backwards, which makes correlations of circular convolutions. Strides,
 * dilation and stretching are places in the planes. A plane is so large that what goes round meets only zeros: positions of the
 * image, its padding and the filter's reach side by side.
 *
 * Transforms are of complex numbers, so a plane holds two real ones where they can be separated afterwards: two images, when
 * the other factor is real (for the filter's adjoint, x1 + i x2 times the conjugate of y1 + i y2, whose real part sums both),
 * or else two output channels, when the image is real. Whichever takes fewer planes in all. Never taken unless measured, with
 * the result compared. */
#include <stdio.h>
#include <string.h>

#include "ops/choice.h"
#include "ops/conv.h"
#include "ops/op.h"
#include "ops/product.h"
#include "ops/tile.h"

enum {
    AREA_LEAST = 26, /* filters that are larger than 5x5 */
    SIDE_MOST = 1024,
    ELEMENTS_MOST = 1 << 28,
    CPU_ELEMENTS = 1 << 23,
    TILE_R = 2,
    TILE_Q = 4
};

typedef enum pairing { PAIR_NONE, PAIR_U, PAIR_V } pairing;

/* An array of planes and where its numbers are in memory: a[u, y, x, v]. */
typedef struct planes {
    int nu, ny, nx, nv;      /* of the array */
    int su, sy, sx;          /* its strides, in elements */
    int u, v;                /* planes */
    pairing pair;            /* of the array's entries in one plane */
    int step_y, step_x;      /* entries lie so far from each other */
    int shift_y, shift_x;    /* results: where they begin */
    bool backwards, negated; /* ..: the imaginary part */
    bool shared;
} planes;

typedef struct plan {
    int py, px, tasks;
    bool filter;
    planes a, b, c;
} plan;

/* The least number from n on that has no factors but 2, 3 and 5 and is a multiple of 4. */
static int good_size(int n) {
    for (int size = (n + 3) / 4 * 4;; size += 4) {
        int rest = size;
        while (rest % 2 == 0) rest /= 2;
        while (rest % 3 == 0) rest /= 3;
        while (rest % 5 == 0) rest /= 5;
        if (rest == 1) return size;
    }
}

/* Size of a plane along an axis: image (stretched by u) and padding beside each other, and the last place the filter
 * reaches. */
static int side(int size, int u, int pad, int out, int s, int kernel, int d) {
    const int image = (size - 1) * u + 1, reach = (out - 1) * s - pad + (kernel - 1) * d + 1;
    int need = image + (pad > 0 ? pad : 0);
    if (reach > need) need = reach;
    if ((kernel - 1) * d + 1 > need) need = (kernel - 1) * d + 1;
    if ((out - 1) * s + 1 > need) need = (out - 1) * s + 1;
    return good_size(need);
}

static int half(int n) { return (n + 1) / 2; }

static plan plan_at(const clm_lower *l, clm_value y) {
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    const clm_conv_geometry g = clm_conv_geometry_at(l, y);
    plan p = {.tasks = clm_lower_tasks(l, y), .filter = node->op == CLM_OP_CONV2D_BWD_FILTER};
    p.py = side(g.h, g.uh, g.ph, g.oh, g.sh, g.kh, g.dh);
    p.px = side(g.w, g.uw, g.pw, g.ow, g.sw, g.kw, g.dw);
    const planes x = {.nu = g.n,
                      .ny = g.h,
                      .nx = g.w,
                      .nv = g.ci,
                      .su = g.h * g.w * g.ci,
                      .sy = g.w * g.ci,
                      .sx = g.ci,
                      .step_y = g.uh,
                      .step_x = g.uw};
    const planes w = {.nu = g.ci,
                      .ny = g.kh,
                      .nx = g.kw,
                      .nv = g.co,
                      .su = g.co,
                      .sy = g.kw * g.ci * g.co,
                      .sx = g.ci * g.co,
                      .step_y = g.dh,
                      .step_x = g.dw,
                      .shift_y = g.ph,
                      .shift_x = g.pw};
    const planes out = {.nu = g.n,
                        .ny = g.oh,
                        .nx = g.ow,
                        .nv = g.co,
                        .su = g.oh * g.ow * g.co,
                        .sy = g.ow * g.co,
                        .sx = g.co,
                        .step_y = g.sh,
                        .step_x = g.sw,
                        .shift_y = g.ph,
                        .shift_x = g.pw};
    p.a = x;
    p.b = p.filter ? out : w;
    p.c = p.filter ? w : out;
    p.b.backwards = true;
    const double images = (double)half(g.n) * g.ci + (double)g.ci * g.co + (double)half(g.n) * g.co;
    const double channels = (double)g.n * g.ci + (double)half(g.co) * g.ci + (double)g.n * half(g.co);
    if (images <= channels) {
        p.a.pair = PAIR_U;
        if (p.filter) p.b.pair = PAIR_U, p.b.negated = true;
        if (!p.filter) p.c.pair = PAIR_U;
    } else {
        p.b.pair = p.c.pair = PAIR_V;
    }
    planes *all[3] = {&p.a, &p.b, &p.c};
    for (int i = 0; i < 3; i++) {
        all[i]->u = all[i]->pair == PAIR_U ? half(all[i]->nu) : all[i]->nu;
        all[i]->v = all[i]->pair == PAIR_V ? half(all[i]->nv) : all[i]->nv;
    }
    p.a.shared = p.tasks > 1 && clm_lower_tasks(l, node->in[0]) == 1;
    p.b.shared = p.tasks > 1 && clm_lower_tasks(l, node->in[1]) == 1;
    return p;
}

static double plane_count(const planes *a) { return (double)a->u * a->v; }

/* Floats of scratch memory for a task, with that for the transforms' own use. */
static double elements_per_task(const plan *p) {
    double most = 0, sum = 0;
    const planes *all[3] = {&p->a, &p->b, &p->c};
    for (int i = 0; i < 3; i++) {
        sum += plane_count(all[i]);
        if (plane_count(all[i]) > most) most = plane_count(all[i]);
    }
    return 2.0 * p->py * p->px * (sum + most);
}

static bool applicable(const clm_lower *l, clm_value y) {
    const clm_conv_geometry g = clm_conv_geometry_at(l, y);
    if (g.groups != 1 || g.kh * g.kw < AREA_LEAST) return false;
    const plan p = plan_at(l, y);
    if (p.py > SIDE_MOST || p.px > SIDE_MOST || elements_per_task(&p) > ELEMENTS_MOST) return false;
    return clm_library_offered(l, CLM_LIBRARY_CLFFT);
}

/* Tasks at a time, as for other memory between launches: first what fits a CPU's cache. */
static int candidates(const clm_lower *l, clm_value y, clm_candidate *out) {
    const plan p = plan_at(l, y);
    const double each = elements_per_task(&p);
    int n = 0, first = p.tasks;
    if (clm_tile_serial(l) && first * each > CPU_ELEMENTS) first = each < CPU_ELEMENTS ? (int)(CPU_ELEMENTS / each) : 1;
    while (first * each > ELEMENTS_MOST) first = (first + 1) / 2;
    out[n++] = (clm_candidate){{first}};
    for (int some = p.tasks;; some = (some + 1) / 2) {
        if (some != first && some * each <= ELEMENTS_MOST) out[n++] = (clm_candidate){{some}};
        if (some == 1) return n;
    }
}

/* ---- launches ---- */

typedef struct job {
    clm_lower *l;
    clm_value y;
    plan p;
    clm_value a, b, c, between; /* scratch */
} job;

static void define_planes(const job *j, clm_launch_spec *spec, const planes *a, int run) {
    const struct {
        const char *name;
        int value;
    } table[] = {{"PY", j->p.py},
                 {"PX", j->p.px},
                 {"U", a->u},
                 {"V", a->v},
                 {"NU", a->nu},
                 {"NY", a->ny},
                 {"NX", a->nx},
                 {"NV", a->nv},
                 {"SU", a->su},
                 {"SY", a->sy},
                 {"SX", a->sx},
                 {"STEP_Y", a->step_y},
                 {"RUN", run},
                 {"PAIR", (int)a->pair},
                 {"STEP_X", a->step_x},
                 {"SHIFT_Y", a->shift_y},
                 {"SHIFT_X", a->shift_x},
                 {"FLIP", a->backwards}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) clm_spec_define(spec, table[i].name, table[i].value);
    const size_t used = strlen(spec->defines);
    snprintf(spec->defines + used, sizeof spec->defines - used, " -DIMAGINARY=%c", a->negated ? '-' : '+');
}

static void set_sizes(const job *j, clm_launch_spec *spec, int items, int lines, int tasks) {
    const size_t global[3] = {(size_t)items, (size_t)lines, (size_t)tasks};
    for (int i = 0; i < 3; i++) {
        spec->global[i] = global[i];
        spec->local[i] = clm_tile_serial(j->l) ? 1 : 0;
    }
}

static clm_status pack(const job *j, const planes *a, clm_value to, clm_value from, int first, int tasks) {
    const int run = clm_tile_serial(j->l) ? j->p.px : 1;
    clm_launch_spec spec = {.file = "conv_fft.cl", .entry = "fft_pack"};
    clm_spec_define(&spec, "FFT_PACK", 1);
    define_planes(j, &spec, a, run);
    set_sizes(j, &spec, a->v * (j->p.px / run), a->u * j->p.py, tasks);
    return clm_lower_launch(j->l, j->y, &spec, (clm_value[]){to, from}, 2, (int[]){tasks, first}, 2);
}

static clm_status unpack(const job *j, int first, int tasks) {
    const planes *c = &j->p.c;
    const int run = clm_tile_serial(j->l) ? c->nx : 1;
    clm_launch_spec spec = {.file = "conv_fft.cl", .entry = "fft_unpack"};
    clm_spec_define(&spec, "FFT_UNPACK", 1);
    define_planes(j, &spec, c, run);
    set_sizes(j, &spec, c->nv * (c->nx / run), c->nu * c->ny, tasks);
    return clm_lower_launch(j->l, j->y, &spec, (clm_value[]){j->y, j->c}, 2, (int[]){tasks, first}, 2);
}

static clm_status transform(const job *j, const planes *a, clm_value memory, int tasks, bool inverse) {
    clm_launch_spec spec = {.entry = "clFFT"};
    spec.call = (clm_library_call){
        .library = CLM_LIBRARY_CLFFT, .batch = a->u * a->v * tasks, .rows = j->p.py, .columns = j->p.px, .inverse = inverse};
    clm_spec_define(&spec, "PY", j->p.py); /* for reports */
    clm_spec_define(&spec, "PX", j->p.px);
    clm_spec_define(&spec, "BATCH", spec.call.batch);
    return clm_lower_launch(j->l, j->y, &spec, (clm_value[]){memory, j->between}, 2, NULL, 0);
}

static clm_status pack_and_transform(const job *j, const planes *a, clm_value to, clm_value from, int first, int tasks) {
    CLM_TRY(pack(j, a, to, from, first, tasks));
    return transform(j, a, to, tasks, false);
}

static clm_status multiply(const job *j, int tasks, double flops) {
    const plan *p = &j->p;
    const bool serial = clm_tile_serial(j->l);
    const int rows = p->c.u, columns = p->c.v, sum = p->b.u, area = p->py * p->px;
    const int tile_r = rows < TILE_R ? rows : TILE_R, tile_q = columns < TILE_Q ? columns : TILE_Q;
    const int tiles = ((rows + tile_r - 1) / tile_r) * ((columns + tile_q - 1) / tile_q), each = serial ? tiles : 1;
    int vec = clm_tile_vector(j->l, area);
    if (vec > 8) vec = 8;
    if (!serial && vec > 2) vec = 2;
    clm_launch_spec spec = {.file = "conv_fft.cl", .entry = "fft_product", .flops = flops};
    const struct {
        const char *name;
        int value;
    } table[] = {{"FFT_PRODUCT", 1},
                 {"PY", p->py},
                 {"PX", p->px},
                 {"VEC", vec},
                 {"R", rows},
                 {"Q", columns},
                 {"S", sum},
                 {"AR", p->filter ? 1 : p->a.v},
                 {"AS", p->filter ? p->a.v : 1},
                 {"A_TASKS", p->a.shared ? 0 : p->a.u * p->a.v},
                 {"B_TASKS", p->b.shared ? 0 : p->b.u * p->b.v},
                 {"TILE_R", tile_r},
                 {"TILE_Q", tile_q},
                 {"EACH", each}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) clm_spec_define(&spec, table[i].name, table[i].value);
    set_sizes(j, &spec, area / vec, (tiles + each - 1) / each, tasks);
    return clm_lower_launch(j->l, j->y, &spec, (clm_value[]){j->c, j->a, j->b}, 3, &tasks, 1);
}

static clm_value scratch(const job *j, const planes *a, int tasks) {
    const double elements = 2.0 * j->p.py * j->p.px * plane_count(a) * (a->shared ? 1 : tasks);
    return elements <= INT32_MAX ? clm_lower_scratch(j->l, (size_t)elements, false) : CLM_INVALID;
}

static clm_status lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const clm_conv_geometry g = clm_conv_geometry_at(l, y);
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    const clm_value x = node->in[0], w = node->in[1];
    const int at_once = candidate->value[0];
    job j = {.l = l, .y = y, .p = plan_at(l, y)};
    const planes *a = &j.p.a, *b = &j.p.b, *c = &j.p.c, *largest = c;
    if (plane_count(a) > plane_count(largest)) largest = a;
    if (plane_count(b) > plane_count(largest)) largest = b;
    planes most = *largest;
    CLM_TRY(clm_library_required(l, CLM_LIBRARY_CLFFT));
    most.shared = false;
    j.a = scratch(&j, a, at_once);
    j.b = scratch(&j, b, at_once);
    j.c = scratch(&j, c, at_once);
    j.between = scratch(&j, &most, at_once);
    if (j.a == CLM_INVALID || j.b == CLM_INVALID || j.c == CLM_INVALID || j.between == CLM_INVALID)
        return clm_fail(CLM_E_MEMORY, "convolution by Fourier transforms: no memory for the planes");
    if (a->shared) CLM_TRY(pack_and_transform(&j, a, j.a, x, 0, 1));
    if (b->shared) CLM_TRY(pack_and_transform(&j, b, j.b, w, 0, 1));
    for (int first = 0; first < j.p.tasks; first += at_once) {
        const int tasks = first + at_once > j.p.tasks ? j.p.tasks - first : at_once;
        if (!a->shared) CLM_TRY(pack_and_transform(&j, a, j.a, x, first, tasks));
        if (!b->shared) CLM_TRY(pack_and_transform(&j, b, j.b, w, first, tasks));
        CLM_TRY(multiply(&j, tasks, clm_conv_flops(&g) * tasks));
        CLM_TRY(transform(&j, c, j.c, tasks, true));
        CLM_TRY(unpack(&j, first, tasks));
    }
    return CLM_OK;
}

const clm_impl clm_impl_conv2d_clfft = {.name = "clfft",
                                        .parameters = "tasks",
                                        .applicable = applicable,
                                        .candidates = candidates,
                                        .lower = lower,
                                        .first_use = CLM_CLFFT_FIRST_USE};
