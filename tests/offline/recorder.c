/* See recorder.h. */
#include "offline/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/opencl/work_group_size.h"

static clm_status rec_alloc(clm_device *d, size_t elements, clm_mem **out) {
    (void)d;
    *out = clm_calloc(1, sizeof **out);
    if (*out) (*out)->elements = elements;
    return *out ? CLM_OK : CLM_E_MEMORY;
}

static void rec_free(clm_device *d, clm_mem *mem) {
    (void)d;
    free(mem);
}

static clm_status rec_write(clm_device *d, clm_mem *mem, size_t offset, size_t count, const float *f32, const double *f64) {
    (void)d, (void)mem, (void)offset, (void)count, (void)f32, (void)f64;
    return CLM_OK;
}

static clm_status rec_read(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *f32, double *f64) {
    (void)d, (void)mem, (void)offset;
    for (size_t i = 0; i < count; i++) {
        if (f32) f32[i] = 1.0f;
        if (f64) f64[i] = 1.0;
    }
    return CLM_OK;
}

static clm_status rec_write_bytes(clm_device *d, clm_mem *mem, size_t offset, size_t count, const void *bytes) {
    (void)d, (void)mem, (void)offset, (void)count, (void)bytes;
    return CLM_OK;
}

static clm_status rec_copy(clm_device *d, clm_mem *from, size_t from_offset, clm_mem *to, size_t to_offset, size_t count) {
    (void)d, (void)from, (void)from_offset, (void)to, (void)to_offset, (void)count;
    return CLM_OK;
}

static clm_status rec_fill(clm_device *d, clm_mem *mem, size_t offset, size_t count, double value) {
    (void)d, (void)mem, (void)offset, (void)count, (void)value;
    return CLM_OK;
}

static clm_status keep_text(recorder *r, const clm_launch *launch, const char *defines) {
    const char *text = NULL;
    CLM_TRY(clm_cl_text(&r->cl, launch, &text));
    if (clm_cl_program_find(&r->cl, text, defines)) return CLM_OK;
    clm_cl_member member = clm_cl_member_of(text, defines);
    CLM_TRY(clm_grow(&r->file, &r->capacity, r->cl.program_count + 1, sizeof *r->file));
    if (!(r->file[r->cl.program_count] = clm_strdup(launch->file ? launch->file : "generated"))) return CLM_E_MEMORY;
    clm_text_add(&r->index, "%s%s\t%s: %s\n", launch->entry, member.suffix, r->where, launch->label);
    return clm_cl_program_add(&r->cl, text, defines, NULL, member.suffix);
}

static void rec_release(clm_device *d, clm_kernel *kernel) {
    (void)d;
    if (kernel) free(((recorded *)kernel)->defines);
    if (kernel) clm_text_free(&((recorded *)kernel)->operands);
    free(kernel);
}

/* ---- what a launch reads and writes ---- */

static clm_status number_of(recorder *r, const clm_mem *mem, size_t *out) {
    for (*out = 0; *out < r->n_memory; ++*out)
        if (r->memory[*out] == mem) return CLM_OK;
    CLM_TRY(clm_grow(&r->memory, &r->memory_capacity, r->n_memory + 1, sizeof *r->memory));
    r->memory[r->n_memory++] = mem;
    return CLM_OK;
}

static const char pass_begins[] = "for (int block";

/* The passes of a generated kernel in which it uses its parameter `name`, a bit each; what follows a loop belongs to it. */
static unsigned passes_with(const char *source, const char *name) {
    char use[48];
    unsigned passes = 0, pass = 1;
    const char *next = strstr(source, pass_begins);
    if (next) next = strstr(next + 1, pass_begins);
    snprintf(use, sizeof use, "PTR(%s, task)", name);
    for (const char *at = source; (at = strstr(at, use)); at++) {
        for (; next && next < at; next = strstr(next + 1, pass_begins)) pass *= 2;
        passes |= pass;
    }
    return passes ? passes : 1;
}

/* The name of the next memory parameter after `at`, IN(name), OUT_SHARED(name) and the like; NULL: there is none. */
static const char *next_parameter(const char *at, char name[24], bool *written) {
    const char *in = strstr(at, "IN"), *out = strstr(at, "OUT");
    *written = out && (!in || out < in);
    at = *written ? out : in;
    return at && (at = strchr(at, '(')) && sscanf(at, "(%23[a-z0-9_]", name) == 1 ? at : NULL;
}

static clm_status add_operands(recorder *r, recorded *k, const clm_launch *launch) {
    const char *at = launch->source ? strstr(launch->source, "__kernel") : NULL;
    for (int i = 0; i < launch->n_args; i++) {
        const clm_arg *a = &launch->args[i];
        char name[24];
        bool written = i == 0;
        unsigned passes = 1;
        size_t memory;
        if (a->kind != CLM_ARG_MEM) continue;
        if (at && (at = next_parameter(at, name, &written))) passes = passes_with(launch->source, name);
        CLM_TRY(number_of(r, a->mem, &memory));
        clm_text_add(&k->operands, "%zu:%zu:%zu:%zu:%zu:%u:%d ", memory, a->offset, a->size, a->task_stride, a->tasks, passes,
                     written);
    }
    return k->operands.failed ? CLM_E_MEMORY : CLM_OK;
}

static clm_status rec_make(clm_device *d, const clm_launch *launch, clm_kernel **out) {
    recorder *r = (recorder *)d;
    const char *defines = launch->defines ? launch->defines : "";
    const clm_work_group_limits limits = {r->cl.base.info.type,
                                          r->cl.base.info.max_work_group_size,
                                          r->multiple,
                                          {r->cl.base.info.max_work_group_size, SIZE_MAX, SIZE_MAX},
                                          {0}};
    recorded *k = clm_calloc(1, sizeof *k);
    if (!k) return CLM_E_MEMORY;
    snprintf(k->base.label, sizeof k->base.label, "%s", launch->label);
    snprintf(k->base.entry, sizeof k->base.entry, "%s", launch->entry ? launch->entry : "library");
    memcpy(k->base.global, launch->global, sizeof k->base.global);
    memcpy(k->base.local, launch->local, sizeof k->base.local);
    k->flops = launch->flops;
    k->bytes = launch->bytes;
    k->launches = 1;
    for (const char *at = launch->source; at && (at = strstr(at, pass_begins)); at++) k->passes++;
    if (k->passes == 0) k->passes = 1;
    clm_status status = (k->defines = clm_strdup(defines)) ? CLM_OK : CLM_E_MEMORY;
    if (r->multiple) CLM_GOTO(clm_work_group_choose(&limits, k->base.global, k->base.local));
    if (launch->entry) CLM_GOTO(keep_text(r, launch, defines));
    CLM_GOTO(add_operands(r, k, launch));
    *out = &k->base;
    return CLM_OK;
out:
    rec_release(d, &k->base);
    return status;
}

/* Its text is a matter of the driver; what counts is that it is one launch. */
static clm_status rec_make_task_kernel(clm_device *d, const clm_launch *launches, size_t count, clm_kernel **out) {
    CLM_TRY(rec_make(d, launches, out));
    recorded *k = (recorded *)*out;
    for (size_t i = 1; i < count; i++) {
        k->flops += launches[i].flops;
        k->bytes += launches[i].bytes;
        CLM_TRY(add_operands((recorder *)d, k, &launches[i]));
    }
    k->launches = count;
    return CLM_OK;
}

static clm_status rec_enqueue(clm_device *d, clm_kernel *kernel) {
    recorder *r = (recorder *)d;
    if (r->queued) r->queued(r->user, (const recorded *)kernel);
    return CLM_OK;
}

static clm_status rec_finish(clm_device *d) {
    (void)d;
    return CLM_OK;
}

static const clm_backend backend = {.element_size = sizeof(cl_float),
                                    .alloc = rec_alloc,
                                    .free = rec_free,
                                    .write = rec_write,
                                    .read = rec_read,
                                    .write_bytes = rec_write_bytes,
                                    .copy = rec_copy,
                                    .fill = rec_fill,
                                    .make = rec_make,
                                    .make_task_kernel = rec_make_task_kernel,
                                    .release = rec_release,
                                    .enqueue = rec_enqueue,
                                    .finish = rec_finish};

recorder recorder_make(void) { return (recorder){.cl.base.backend = &backend, .where = ""}; }

void recorder_free(recorder *r) {
    for (size_t k = 0; k < r->cl.program_count; k++) free(r->file[k]);
    free(r->file);
    free(r->memory);
    clm_text_free(&r->index);
    clm_cl_programs_free(&r->cl);
}
