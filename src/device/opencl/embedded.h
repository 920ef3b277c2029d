/* The kernel files that the build embedded; the last entry has name NULL. */
#ifndef CLM_OPENCL_EMBEDDED_H
#define CLM_OPENCL_EMBEDDED_H

typedef struct clm_embedded_kernel {
    const char *name, *source;
} clm_embedded_kernel;
extern const clm_embedded_kernel clm_embedded_kernels[];

#endif
