/* Numbers in decimal with a space behind each, texts with their length before them. */
#include "device/opencl/job.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_LAUNCHES = 1 << 16 };
#define HEAD "clMAML kernels 1 "

/* ---- writing ---- */

static void put(clm_text *out, size_t number) { clm_text_add(out, "%zu ", number); }

static void put_text(clm_text *out, const char *text) {
    put(out, strlen(text));
    clm_text_add(out, "%s ", text);
}

void clm_cl_job_begin(clm_text *out, int platform, int device, size_t launches) {
    clm_text_add(out, HEAD);
    put(out, (size_t)platform);
    put(out, (size_t)device);
    put(out, launches);
}

void clm_cl_job_add(clm_text *out, size_t program, const clm_launch *launch, const char *text, const char *defines) {
    put(out, program);
    put_text(out, text);
    put_text(out, defines);
    put_text(out, launch->entry);
    for (int i = 0; i < 3; i++) put(out, launch->global[i]);
    for (int i = 0; i < 3; i++) put(out, launch->local[i]);
    put(out, launch->quads);
    put(out, (size_t)launch->n_args);
    for (int i = 0; i < launch->n_args; i++) {
        const clm_arg *arg = &launch->args[i];
        put(out, (size_t)arg->kind);
        if (arg->kind == CLM_ARG_INT) put(out, (uint32_t)arg->i);
        if (arg->kind != CLM_ARG_MEM) continue; /* floats are 0: nothing is compiled from them */
        put(out, arg->task_stride);
        put(out, arg->size);
        put(out, arg->tasks);
    }
}

/* ---- reading ---- */

typedef struct reader {
    const char *at;
    bool failed;
} reader;

static size_t take(reader *r) {
    char *end;
    if (r->failed || *r->at < '0' || *r->at > '9') {
        r->failed = true;
        return 0;
    }
    const unsigned long long number = strtoull(r->at, &end, 10);
    r->failed = *end != ' ' || number > SIZE_MAX;
    r->at = end + !r->failed;
    return (size_t)number;
}

static size_t take_at_most(reader *r, size_t most) {
    const size_t number = take(r);
    if (number > most) r->failed = true;
    return r->failed ? 0 : number;
}

/* Free with free(). */
static char *take_text(reader *r) {
    const size_t length = take(r);
    if (r->failed || strnlen(r->at, length) < length || r->at[length] != ' ') {
        r->failed = true;
        return NULL;
    }
    char *text = clm_calloc(length + 1, 1);
    if (text) memcpy(text, r->at, length);
    r->at += length + 1;
    r->failed = !text;
    return text;
}

static void take_launch(reader *r, clm_cl_job_launch *out) {
    clm_launch *launch = &out->launch;
    out->program = take(r);
    launch->source = take_text(r);
    launch->defines = take_text(r);
    launch->entry = take_text(r);
    for (int i = 0; i < 3; i++) launch->global[i] = take(r);
    for (int i = 0; i < 3; i++) launch->local[i] = take(r);
    launch->quads = take_at_most(r, 1) != 0;
    launch->n_args = (int)take_at_most(r, CLM_MAX_ARGS);
    for (int i = 0; i < launch->n_args && !r->failed; i++) {
        clm_arg *arg = &launch->args[i];
        arg->kind = (clm_arg_kind)take_at_most(r, CLM_ARG_FLOAT);
        if (arg->kind == CLM_ARG_INT) arg->i = (int)(uint32_t)take_at_most(r, UINT32_MAX);
        if (arg->kind != CLM_ARG_MEM) continue;
        arg->task_stride = take(r);
        arg->size = take(r);
        arg->tasks = take(r);
    }
}

clm_status clm_cl_job_read(const char *text, clm_cl_job *job) {
    reader r = {.at = text, .failed = strncmp(text, HEAD, strlen(HEAD)) != 0};
    *job = (clm_cl_job){0};
    if (!r.failed) r.at += strlen(HEAD);
    job->platform = (int)take_at_most(&r, INT16_MAX);
    job->device = (int)take_at_most(&r, INT16_MAX);
    const size_t count = take_at_most(&r, MOST_LAUNCHES);
    if (!r.failed && !(job->launches = clm_calloc(count + 1, sizeof *job->launches))) return CLM_E_MEMORY;
    for (; job->count < count && !r.failed; job->count++) take_launch(&r, &job->launches[job->count]);
    return r.failed ? clm_fail(CLM_E_FORMAT, "this is no list of kernels to build, or one of another version") : CLM_OK;
}

void clm_cl_job_free(clm_cl_job *job) {
    for (size_t i = 0; i < job->count; i++) {
        const clm_launch *launch = &job->launches[i].launch;
        free((char *)launch->source);
        free((char *)launch->defines);
        free((char *)launch->entry);
    }
    free(job->launches);
    *job = (clm_cl_job){0};
}
