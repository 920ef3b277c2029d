/* Many launches in one kernel: what task kernels and teams have in common.
 *
 * The kernels' texts are used unchanged: kernels become static functions, the index of a work-item becomes three parameters. Which
 * launches there are, with their sizes and arguments, is told by a table of ints that the kernel reads in order; it has one case for
 * each kind of launch. */
#ifndef CLM_OPENCL_CHAIN_H
#define CLM_OPENCL_CHAIN_H

#include "device/opencl/opencl.h"

typedef struct clm_cl_chain {
    /* Set by the caller: */
    clm_cl_device *d;
    const clm_launch *launches;
    size_t count;
    int sizes;           /* of a launch's global sizes, how many the table has: t[1], .. */
    const char *loop;    /* of a case: over the items of a launch that this item takes, */
    const char *indices; /* of which these are the indices */
    bool apart;          /* its functions are not inlined */
    bool joined;         /* the text will share a program with others of its kind */
    /* Made by clm_cl_chain_open: */
    clm_cl_member *members; /* distinct texts with their defines */
    size_t n_members;
    size_t *kind; /* of every launch: the first launch with the same kernel */
    size_t *member;
    clm_mem *buffer[CLM_CHAIN_MEMORIES];
    int n_buffers;
    cl_int *table;
    size_t table_size, table_capacity;
    size_t *place; /* of every launch in the table */
    clm_text text; /* the functions */
} clm_cl_chain;

/* CLM_E_LIMIT: too many buffers, or too large ones. */
clm_status clm_cl_chain_open(clm_cl_chain *c);
/* Appends the switch that does the launch of table entry `t`, a pointer, and moves it to the next; `base` has the buffers. */
void clm_cl_chain_cases(clm_cl_chain *c);
void clm_cl_chain_close(clm_cl_chain *c); /* also after a failure */

#endif
