/* list_launches ITEM KEY=VALUE..: what a GPU of these properties would be given for one meta-gradient of a work item of `clmaml
 * bench`, launch by launch, as tab-separated lines (bench/gpu_model.py reads them):
 *
 *     kernel, launches in it, work-items x 3, work-group, floating-point operations, label, constants
 *
 * Nothing is compiled or computed (recorder.h). Keys: units, mhz, group (largest work-group), local (bytes), multiple (lanes
 * that run in step), unified (0 or 1), memory (bytes). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "clmaml/meta.h"
#include "offline/recorder.h"

static clm_status set(recorder *r, const char *text) {
    clm_device_info *d = &r->cl.base.info;
    const char *equals = strchr(text, '=');
    const size_t length = equals ? (size_t)(equals - text) : 0;
    const unsigned long long value = equals ? strtoull(equals + 1, NULL, 10) : 0;
#define IS(key) (length == sizeof key - 1 && !strncmp(text, key, length))
    if (IS("units")) return d->compute_units = (unsigned)value, CLM_OK;
    if (IS("mhz")) return d->clock_mhz = (unsigned)value, CLM_OK;
    if (IS("group")) return d->max_work_group_size = (size_t)value, CLM_OK;
    if (IS("local")) return d->local_memory = value, CLM_OK;
    if (IS("multiple")) return r->multiple = (size_t)value, CLM_OK;
    if (IS("unified")) return d->unified_memory = value != 0, CLM_OK;
    if (IS("memory")) return d->global_memory = value, d->max_allocation = value / 4, CLM_OK;
#undef IS
    return clm_fail(CLM_E_ARG, "%s: no such key", text);
}

static void print(void *user, const recorded *k) {
    (void)user;
    printf("%s\t%zu\t%zu\t%zu\t%zu\t%zu\t%.0f\t%.0f\t%s\t%s\n", k->base.entry, k->launches, k->base.global[0],
           k->base.global[1], k->base.global[2], k->base.local[0] * k->base.local[1] * k->base.local[2], k->flops, k->bytes,
           k->base.label, k->defines);
}

static clm_status gradient(recorder *r, const char *name) {
    const bench_item *item = bench_item_find(name);
    const bench_settings none = {0};
    bench_problem p = {0};
    clm_meta *meta = NULL;
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    clm_status status = CLM_OK;
    if (!item || item->learner) return clm_fail(CLM_E_ARG, "%s is no meta-gradient of clmaml bench", name);
    CLM_TRY(bench_problem_make(&p, item, &none));
    bench_problem_options(&p, &o);
    const clm_batch batch = bench_problem_batch(&p);
    CLM_GOTO(clm_meta_create(&meta, &r->cl.base, p.model, &o));
    CLM_GOTO(clm_meta_prepare(meta));
    r->queued = print;
    CLM_GOTO(clm_meta_gradient(meta, &batch));
out:
    clm_meta_free(meta);
    bench_problem_free(&p);
    return status;
}

int main(int argc, char **argv) {
    recorder r = recorder_make();
    r.cl.base.info = (clm_device_info){.type = CLM_DEVICE_GPU,
                                       .name = "a GPU",
                                       .compute_units = 64,
                                       .clock_mhz = 1500,
                                       .global_memory = (uint64_t)16 << 30,
                                       .max_allocation = (uint64_t)4 << 30,
                                       .local_memory = 32 << 10,
                                       .dedicated_local_memory = true,
                                       .max_work_group_size = 256,
                                       .float_vector_width = 1,
                                       .base_alignment_bits = 2048,
                                       .available = true,
                                       .address_bits = 64};
    r.multiple = 32;
    clm_status status = argc > 1 ? CLM_OK : clm_fail(CLM_E_ARG, "usage: list_launches ITEM [KEY=VALUE ..]");
    for (int i = 2; i < argc && status == CLM_OK; i++) status = set(&r, argv[i]);
    if (status == CLM_OK) status = gradient(&r, argv[1]);
    if (status != CLM_OK) fprintf(stderr, "list_launches: %s\n", clm_last_error());
    recorder_free(&r);
    return status != CLM_OK;
}
