/* Programs: source text is found (generated, in the directory CLMAML_KERNEL_DIR, or embedded), built once per text and defines,
 * and kept until the device is closed. Binaries of earlier processes are taken from disk where there are any. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "device/opencl/embedded.h"
#include "device/opencl/opencl.h"

/* Most of a build log that goes into a message. */
enum { LOG_HEAD = 1600 };

/* ---- source ---- */

/* One kernel file; free with free(). */
static clm_status load_file(const char *name, char **out) {
    *out = NULL;
    const char *directory = getenv("CLMAML_KERNEL_DIR");
    if (directory && *directory) {
        char *path = clm_path_join(directory, name);
        if (!path) return CLM_E_MEMORY;
        clm_status status = clm_file_read(path, out, NULL);
        free(path);
        return status == CLM_OK ? CLM_OK : clm_fail_in(status, "CLMAML_KERNEL_DIR");
    }
    for (const clm_embedded_kernel *k = clm_embedded_kernels; k->name; k++) {
        if (!strcmp(k->name, name)) return (*out = clm_strdup(k->source)) ? CLM_OK : CLM_E_MEMORY;
    }
    return clm_fail(CLM_E_ARG, "there is no kernel file %s", name);
}

/* The line numbers of build logs are those of the body's own file. */
clm_status clm_cl_compose(const char *body, const char *name, char **out) {
    char *common = NULL;
    *out = NULL;
    CLM_TRY(load_file("common.cl", &common));
    *out = clm_format("%s\n#line 1 \"%s\"\n%s", common, name, body);
    free(common);
    return *out ? CLM_OK : CLM_E_MEMORY;
}

/* A kernel file, read once per device. */
static clm_status file_text(clm_cl_device *d, const char *file, const char **out) {
    for (size_t i = 0; i < d->source_count; i++) {
        if (!strcmp(d->sources[i].file, file)) {
            *out = d->sources[i].text;
            return CLM_OK;
        }
    }
    char *body = NULL, *name = NULL;
    clm_status status = CLM_OK;
    CLM_GOTO(load_file(file, &body));
    if (!(name = clm_strdup(file))) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(clm_grow(&d->sources, &d->source_capacity, d->source_count + 1, sizeof *d->sources));
    d->sources[d->source_count++] = (clm_cl_source){.file = name, .text = body};
    *out = body;
    name = body = NULL;
out:
    free(body);
    free(name);
    return status;
}

clm_status clm_cl_text(clm_cl_device *d, const clm_launch *launch, const char **out) {
    if (launch->file) return file_text(d, launch->file, out);
    *out = launch->source;
    return CLM_OK;
}

/* ---- building ---- */

static clm_status fail_build(clm_cl_device *d, const clm_launch *launch, cl_program program, cl_int code) {
    size_t size = 0;
    char *log = NULL;
    if (program && clGetProgramBuildInfo(program, d->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) == CL_SUCCESS && size) {
        log = clm_calloc(size + 1, 1);
        if (log) clGetProgramBuildInfo(program, d->id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    }
    if (log && size > LOG_HEAD) memcpy(log + LOG_HEAD - 4, "...", 4);
    clm_status status =
        clm_fail(CLM_E_BUILD, "%s: kernel %s of %s does not build on %s: %s (%d); options \"%s\"; the compiler says:\n%s",
                 launch->label, launch->entry, launch->file ? launch->file : "generated source", d->base.info.name,
                 clm_cl_error_name(code), (int)code, launch->defines ? launch->defines : "", log && *log ? log : "(nothing)");
    free(log);
    return status;
}

static clm_status build(clm_cl_device *d, const clm_launch *launch, const char *text, const char *options, cl_program *out) {
    cl_int code = CL_SUCCESS;
    double began = clm_clock();
    clm_building_tell(&d->base, 1, false);
    cl_program program = clCreateProgramWithSource(d->context, 1, &text, NULL, &code);
    if (code == CL_SUCCESS) code = clBuildProgram(program, 1, &d->id, options, NULL, NULL);
    clm_building_tell(&d->base, 1, true);
    if (code != CL_SUCCESS) {
        clm_status status = fail_build(d, launch, program, code);
        if (program) clReleaseProgram(program);
        return status;
    }
    const double seconds = clm_clock() - began;
    d->base.kernels_built++;
    d->building += seconds;
    clm_log_write(CLM_LOG_DEBUG, "built in %.3f s: %s (%s of %s), options \"%s\"", seconds, launch->label, launch->entry,
                  launch->file ? launch->file : "generated source", options);
    clm_cl_cache_store(d, text, options, program);
    *out = program;
    return CLM_OK;
}

char *clm_cl_options(const clm_cl_device *d, const char *defines) {
    return clm_format("-cl-mad-enable %s%s", d->avoid & CLM_AVOID_OPTIMIZER ? "-cl-opt-disable " : "", defines);
}

clm_status clm_cl_obtain(clm_cl_device *d, const clm_launch *launch, const char *text, const char *defines, cl_program *out) {
    char *options = clm_cl_options(d, defines);
    if (!options) return CLM_E_MEMORY;
    clm_status status = clm_cl_dump(text, options);
    *out = status == CLM_OK ? clm_cl_cache_load(d, text, options) : NULL;
    if (status == CLM_OK && !*out) status = build(d, launch, text, options, out);
    free(options);
    return status;
}

static uint64_t hash_of(const char *text, const char *defines) {
    return clm_hash_text(clm_hash_text(CLM_HASH_SEED, text), defines);
}

const clm_cl_program *clm_cl_program_find(const clm_cl_device *d, const char *text, const char *defines) {
    uint64_t hash = hash_of(text, defines);
    for (size_t i = 0; i < d->program_count; i++) {
        const clm_cl_program *p = &d->programs[i];
        if (p->hash == hash && !strcmp(p->defines, defines) && !strcmp(p->text, text)) return p;
    }
    return NULL;
}

clm_status clm_cl_program_add(clm_cl_device *d, const char *text, const char *defines, cl_program program, const char *suffix) {
    clm_cl_program entry = {.hash = hash_of(text, defines), .program = program};
    clm_status status = CLM_OK;
    CLM_GOTO(clm_grow(&d->programs, &d->program_capacity, d->program_count + 1, sizeof *d->programs));
    if (!(entry.text = clm_strdup(text)) || !(entry.defines = clm_strdup(defines))) CLM_GOTO(CLM_E_MEMORY);
    snprintf(entry.suffix, sizeof entry.suffix, "%s", suffix);
    d->programs[d->program_count++] = entry;
    return CLM_OK;
out:
    free(entry.text);
    free(entry.defines);
    return status;
}

clm_status clm_cl_program_get(clm_cl_device *d, const clm_launch *launch, const clm_cl_program **out) {
    const char *text = NULL, *defines = launch->defines ? launch->defines : "";
    char *changed = NULL, *whole = NULL;
    cl_program program = NULL;
    clm_status status = CLM_OK;
    CLM_TRY(clm_cl_text(d, launch, &text));
    assert(text);
    if ((*out = clm_cl_program_find(d, text, defines))) return CLM_OK;
    CLM_GOTO(clm_cl_set_apart(d, text, &changed));
    CLM_GOTO(clm_cl_compose(changed ? changed : text, launch->file ? launch->file : "generated", &whole));
    CLM_GOTO(clm_cl_obtain(d, launch, whole, defines, &program));
    status = clm_cl_program_add(d, text, defines, program, "");
    if (status == CLM_OK)
        *out = clm_cl_program_find(d, text, defines);
    else
        clReleaseProgram(program);
out:
    free(changed);
    free(whole);
    return status;
}

void clm_cl_programs_free(clm_cl_device *d) {
    for (size_t i = 0; i < d->program_count; i++) {
        clReleaseProgram(d->programs[i].program);
        free(d->programs[i].text);
        free(d->programs[i].defines);
    }
    for (size_t i = 0; i < d->source_count; i++) {
        free(d->sources[i].file);
        free(d->sources[i].text);
    }
    free(d->programs);
    free(d->sources);
}
