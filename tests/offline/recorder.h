/* A device that is none: it takes launches as the OpenCL back end does, keeps what it is asked for, and computes nothing. So the
 * properties of any device can be played, and what it would be given be known without it. */
#ifndef CLM_OFFLINE_RECORDER_H
#define CLM_OFFLINE_RECORDER_H

#include "base/memory.h"
#include "device/opencl/opencl.h"

/* A launch: base has its sizes as a driver would get them, its label and its kernel's name. */
typedef struct recorded {
    clm_kernel base; /* first */
    char *defines;
    clm_text operands; /* of each: memory, offset, elements of a task, task stride, tasks, passes (a bit each), written */
    double flops, bytes;
    size_t launches; /* in it: more than 1 in a task kernel */
    int passes;      /* over its operands: more than 1 in some reductions */
} recorded;

typedef struct recorder {
    clm_cl_device cl;  /* first; its list of programs is the set of texts. base.info is whatever is to be played */
    const char *where; /* what is being prepared, for the index */
    clm_text index;    /* a line for each text: kernel in the joined text, and where its first launch was met */
    char **file;       /* of each text */
    size_t capacity;
    const clm_mem **memory; /* that launches were given, numbered as it was met */
    size_t n_memory, memory_capacity;
    size_t multiple;                                    /* of work-groups; 0: sizes stay as asked */
    void (*queued)(void *user, const recorded *launch); /* NULL: nobody asks */
    void *user;
} recorder;

/* Zeroed but for the back end. */
recorder recorder_make(void);
void recorder_free(recorder *r);

#endif
