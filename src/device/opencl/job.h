/* A job for builders.c: launches as a text, which other processes of the same version read. */
#ifndef CLM_OPENCL_JOB_H
#define CLM_OPENCL_JOB_H

#include "base/memory.h"
#include "device/backend.h"

/* A launch whose memory is not at hand: arguments tell what they need (size, tasks, task_stride), not where it is. */
typedef struct clm_cl_job_launch {
    size_t program; /* launches with the same number are built together; these follow one another */
    clm_launch launch;
} clm_cl_job_launch;

typedef struct clm_cl_job {
    int platform, device; /* indices */
    size_t count;
    clm_cl_job_launch *launches; /* own their texts */
} clm_cl_job;

/* Appends the head, or one of the launches that follow it, whose text and defines are given apart. */
void clm_cl_job_begin(clm_text *out, int platform, int device, size_t launches);
void clm_cl_job_add(clm_text *out, size_t program, const clm_launch *launch, const char *text, const char *defines);

/* CLM_E_FORMAT for what is no job of this version. clm_cl_job_free also after a failure. */
clm_status clm_cl_job_read(const char *text, clm_cl_job *job);
void clm_cl_job_free(clm_cl_job *job);

#endif
