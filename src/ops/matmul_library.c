/* Matrix products by CLBlast. */
#include "base/integers.h"
#include "ops/choice.h"
#include "ops/matmul.h"
#include "ops/op.h"
#include "ops/product.h"
#include "tune/clblast.h"

bool clm_library_offered(const clm_lower *l, clm_library library) {
    clm_device *d = clm_lower_opened(l);
    return d->backend->library && d->backend->library(d, library, NULL);
}

clm_status clm_library_required(const clm_lower *l, clm_library library) {
    clm_device *d = clm_lower_opened(l);
    if (d->library_state[library] == 0 && library == CLM_LIBRARY_CLBLAST) CLM_TRY(clm_clblast_parameters(d, false));
    return clm_library_good(d, library);
}

/* A product with a smaller side is no large one: most of it would be padding. */
enum { SIDE_LEAST = 16 };

bool clm_large_offered(const clm_lower *l, const clm_product_sizes *s) {
    return clm_least(s->m, clm_least(s->n, s->k)) >= SIDE_LEAST && clm_large_product_tile(clm_lower_opened(l), (int[3]){0});
}

clm_status clm_large_required(const clm_lower *l) {
    clm_device *d = clm_lower_opened(l);
    if (d->large_state == 0) CLM_TRY(clm_clblast_parameters(d, true));
    return clm_large_product_good(d);
}

clm_status clm_product_room(clm_lower *l, const clm_product_sizes *s, clm_value *room) {
    const size_t elements = clm_large_product_room(s->m, s->n, s->k);
    *room = elements <= INT32_MAX ? clm_lower_scratch(l, elements, false) : CLM_INVALID;
    return *room != CLM_INVALID ? CLM_OK : clm_fail(CLM_E_MEMORY, "product by CLBlast: no memory for copies of its matrices");
}

clm_status clm_product_lower(clm_lower *l, clm_value y, const clm_library_call *call, clm_value a, clm_value b, clm_value room,
                             double flops) {
    clm_launch_spec spec = {.entry = call->large ? "CLBlast for large products" : "CLBlast", .call = *call, .flops = flops};
    if (call->large) spec.call.room = clm_large_product_room(call->m, call->n, call->k);
    clm_spec_define(&spec, "M", call->m); /* for reports */
    clm_spec_define(&spec, "N", call->n);
    clm_spec_define(&spec, "K", call->k);
    clm_spec_define(&spec, "BATCH", (long)call->batch * call->tasks);
    spec.bytes =
        4.0 * call->batch * call->tasks * ((double)call->m * call->k + (double)call->k * call->n + (double)call->m * call->n);
    return clm_lower_launch(l, y, &spec, (clm_value[]){y, a, b, room}, call->large ? 4 : 3, NULL, 0);
}

static bool applicable(const clm_lower *l, clm_value y) {
    (void)y;
    return clm_library_offered(l, CLM_LIBRARY_CLBLAST);
}

static clm_product_sizes sizes_at(const clm_lower *l, clm_value y) {
    const clm_matmul_sizes s = clm_matmul_sizes_at(l, y);
    return (clm_product_sizes){.m = s.m, .n = s.n, .k = s.k, .batch = s.batch};
}

static clm_status lower_product(clm_lower *l, clm_value y, clm_value room) {
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    const clm_matmul_sizes s = clm_matmul_sizes_at(l, y);
    const int tasks = clm_lower_tasks(l, y);
    const clm_library_call call = {.library = CLM_LIBRARY_CLBLAST,
                                   .large = room != CLM_INVALID,
                                   .batch = s.batch,
                                   .tasks = tasks,
                                   .m = s.m,
                                   .n = s.n,
                                   .k = s.k,
                                   .c = {.ld = s.n, .stride = (size_t)s.m * (size_t)s.n},
                                   .a = {.ld = s.ta ? s.m : s.k, .stride = (size_t)s.a_batch, .transposed = s.ta},
                                   .b = {.ld = s.tb ? s.k : s.n, .stride = (size_t)s.b_batch, .transposed = s.tb}};
    return clm_product_lower(l, y, &call, node->in[0], node->in[1], room, 2.0 * s.m * s.n * s.k * s.batch * tasks);
}

static clm_status lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    (void)candidate;
    CLM_TRY(clm_library_required(l, CLM_LIBRARY_CLBLAST));
    return lower_product(l, y, CLM_INVALID);
}

bool clm_clblast_ready(const clm_device *d) { return d->library_state[CLM_LIBRARY_CLBLAST] > 0; }

const clm_impl clm_impl_matmul_clblast = {.name = "clblast",
                                          .parameters = "",
                                          .applicable = applicable,
                                          .lower = lower,
                                          .first_use = CLM_CLBLAST_FIRST_USE,
                                          .ready = clm_clblast_ready};

/* ---- large ones ---- */

static double large_gain(const clm_lower *l, clm_value y) {
    const clm_product_sizes s = sizes_at(l, y);
    return clm_large_gain(l, y, &s);
}

static bool large_applicable(const clm_lower *l, clm_value y) {
    const clm_product_sizes s = sizes_at(l, y);
    return clm_large_offered(l, &s);
}

static bool large_preferred(const clm_lower *l, clm_value y) { return clm_large_pays(large_gain(l, y)); }

static clm_status large_lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const clm_product_sizes s = sizes_at(l, y);
    clm_value room;
    (void)candidate;
    CLM_TRY(clm_large_required(l));
    CLM_TRY(clm_product_room(l, &s, &room));
    return lower_product(l, y, room);
}

bool clm_large_ready(const clm_device *d) { return d->large_state > 0; }

const clm_impl clm_impl_matmul_clblast_large = {.name = "clblast_large",
                                                .parameters = "",
                                                .applicable = large_applicable,
                                                .preferred = large_preferred,
                                                .gain = large_gain,
                                                .lower = large_lower,
                                                .first_use = CLM_CLBLAST_FIRST_USE,
                                                .ready = clm_large_ready};
