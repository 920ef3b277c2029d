/* Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011). The n-th number of a stream is a pure function of
 * (key, stream, n), so nothing has to be saved but counters. */
#ifndef CLM_BASE_RANDOM_H
#define CLM_BASE_RANDOM_H

#include <stdint.h>

typedef struct clm_random {
    uint64_t key, stream;
    uint64_t next; /* counter of the next block */
    uint32_t block[4];
    int left; /* unused words of block */
} clm_random;

/* One block: the counter becomes its four words. */
void clm_random_block(uint32_t counter[4], uint64_t key);

clm_random clm_random_make(uint64_t key, uint64_t stream);
uint32_t clm_random_u32(clm_random *r);
uint64_t clm_random_u64(clm_random *r);
uint32_t clm_random_below(clm_random *r, uint32_t n); /* 0 .. n-1, unbiased */
double clm_random_uniform(clm_random *r);             /* [0, 1), 53 bits */
double clm_random_normal(clm_random *r);              /* standard normal, Box-Muller from two uniforms, no state kept */
void clm_random_shuffle(clm_random *r, uint32_t *items, uint32_t n);

#endif
