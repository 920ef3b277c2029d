/* list_launches ITEM KEY=VALUE..: what a GPU, or a CPU, of these properties would be given for one meta-gradient of a work item
 * of `clmaml bench`, launch by launch, as tab-separated lines (bench/gpu_model.py reads them):
 *
 *     kernel, launches in it, passes over its operands, work-items x 3, work-group, floating-point operations, bytes of its
 *     operands, label, constants, operands (each memory:offset:elements of a task:task stride:tasks:passes, a bit each:written)
 *
 * Nothing is compiled or computed (recorder.h). Keys: units, mhz, group (largest work-group), local (bytes), multiple (lanes
 * that run in step), unified (0 or 1), memory, cache (bytes), cpu (0 or 1), width (floats of a vector); chunk: tasks at a time,
 * 0 as the library chooses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "clmaml/meta.h"
#include "offline/recorder.h"

static clm_status set(recorder *r, int *chunk, const char *text) {
    clm_device_info *d = &r->cl.base.info;
    const char *equals = strchr(text, '=');
    const size_t length = equals ? (size_t)(equals - text) : 0;
    char *end = NULL;
    const unsigned long long value = equals ? strtoull(equals + 1, &end, 10) : 0;
    if (!equals || end == equals + 1 || *end) return clm_fail(CLM_E_ARG, "%s: must be KEY=NUMBER", text);
#define IS(key) (length == sizeof key - 1 && !strncmp(text, key, length))
    if (IS("units")) return d->compute_units = (unsigned)value, CLM_OK;
    if (IS("mhz")) return d->clock_mhz = (unsigned)value, CLM_OK;
    if (IS("group")) return d->max_work_group_size = (size_t)value, CLM_OK;
    if (IS("local")) return d->local_memory = value, CLM_OK;
    if (IS("multiple")) return r->multiple = (size_t)value, CLM_OK;
    if (IS("unified")) return d->unified_memory = value != 0, CLM_OK;
    if (IS("cpu")) return d->type = value ? CLM_DEVICE_CPU : CLM_DEVICE_GPU, CLM_OK;
    if (IS("width")) return d->float_vector_width = (unsigned)value, CLM_OK;
    if (IS("cache")) return d->cache = value, CLM_OK;
    if (IS("chunk")) return *chunk = (int)value, CLM_OK;
    if (IS("memory")) return d->global_memory = value, d->max_allocation = value / 4, CLM_OK;
#undef IS
    return clm_fail(CLM_E_ARG, "%s: no such key", text);
}

static void print(void *user, const recorded *k) {
    (void)user;
    printf("%s\t%zu\t%d\t%zu\t%zu\t%zu\t%zu\t%.0f\t%.0f\t%s\t%s\t%s\n", k->base.entry, k->launches, k->passes,
           k->base.global[0], k->base.global[1], k->base.global[2], k->base.local[0] * k->base.local[1] * k->base.local[2],
           k->flops, k->bytes, k->base.label, k->defines, k->operands.data ? k->operands.data : "");
}

static clm_status gradient(recorder *r, int chunk, const char *name) {
    const bench_item *item = bench_item_find(name);
    const bench_settings none = {0};
    bench_problem p = {0};
    clm_meta *meta = NULL;
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    clm_status status = CLM_OK;
    if (!item || item->learner) return clm_fail(CLM_E_ARG, "%s is no meta-gradient of clmaml bench", name);
    CLM_TRY(bench_problem_make(&p, item, &none));
    bench_problem_options(&p, &o);
    o.task_chunk = chunk;
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
    int chunk = 0;
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
    for (int i = 2; i < argc && status == CLM_OK; i++) status = set(&r, &chunk, argv[i]);
    if (status == CLM_OK) status = gradient(&r, chunk, argv[1]);
    if (status != CLM_OK) fprintf(stderr, "list_launches: %s\n", clm_last_error());
    recorder_free(&r);
    return status != CLM_OK;
}
