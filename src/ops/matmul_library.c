/* Matrix products by CLBlast. */
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
    if (d->library_state[library] == 0 && library == CLM_LIBRARY_CLBLAST) CLM_TRY(clm_clblast_parameters(d));
    return clm_library_good(d, library);
}

clm_status clm_product_lower(clm_lower *l, clm_value y, const clm_library_call *call, clm_value a, clm_value b, double flops) {
    clm_launch_spec spec = {.entry = "CLBlast", .call = *call, .flops = flops};
    clm_spec_define(&spec, "M", call->m); /* for reports */
    clm_spec_define(&spec, "N", call->n);
    clm_spec_define(&spec, "K", call->k);
    clm_spec_define(&spec, "BATCH", (long)call->batch * call->tasks);
    spec.bytes =
        4.0 * call->batch * call->tasks * ((double)call->m * call->k + (double)call->k * call->n + (double)call->m * call->n);
    return clm_lower_launch(l, y, &spec, (clm_value[]){y, a, b}, 3, NULL, 0);
}

static bool applicable(const clm_lower *l, clm_value y) {
    (void)y;
    return clm_library_offered(l, CLM_LIBRARY_CLBLAST);
}

static clm_status lower(clm_lower *l, clm_value y, const clm_candidate *candidate) {
    const clm_node *node = clm_node_at(clm_lower_graph(l), y);
    const clm_matmul_sizes s = clm_matmul_sizes_at(l, y);
    const int tasks = clm_lower_tasks(l, y);
    (void)candidate;
    CLM_TRY(clm_library_required(l, CLM_LIBRARY_CLBLAST));
    const clm_library_call call = {.library = CLM_LIBRARY_CLBLAST,
                                   .batch = s.batch,
                                   .tasks = tasks,
                                   .m = s.m,
                                   .n = s.n,
                                   .k = s.k,
                                   .c = {.ld = s.n, .stride = (size_t)s.m * (size_t)s.n},
                                   .a = {.ld = s.ta ? s.m : s.k, .stride = (size_t)s.a_batch, .transposed = s.ta},
                                   .b = {.ld = s.tb ? s.k : s.n, .stride = (size_t)s.b_batch, .transposed = s.tb}};
    return clm_product_lower(l, y, &call, node->in[0], node->in[1], 2.0 * s.m * s.n * s.k * s.batch * tasks);
}

const clm_impl clm_impl_matmul_clblast = {
    .name = "clblast", .parameters = "", .applicable = applicable, .lower = lower, .first_use = CLM_CLBLAST_FIRST_USE};
