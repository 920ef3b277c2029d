/* Philox 4x32-10. A block is ten rounds of two 32x32-bit products on the 128-bit counter (next, stream) under the 64-bit key.
 *
 * Invariant: the numbers are the same on every machine. Normal numbers therefore take their logarithm and cosine from here, of
 * plain IEEE arithmetic, and not from the system's mathematical library, whose last bits differ. */
#include "base/random.h"

#include <math.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF /* a fused multiply-add would change last bits; gcc fuses nothing under -std=c11 */
#endif

void clm_random_block(uint32_t c[4], uint64_t key) {
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)c[0] * 0xD2511F53u, b = (uint64_t)c[2] * 0xCD9E8D57u;
        uint32_t c1 = c[1], c3 = c[3];
        c[0] = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c[1] = (uint32_t)b;
        c[2] = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c[3] = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

clm_random clm_random_make(uint64_t key, uint64_t stream) { return (clm_random){.key = key, .stream = stream}; }

uint32_t clm_random_u32(clm_random *r) {
    if (r->left == 0) {
        r->block[0] = (uint32_t)r->next;
        r->block[1] = (uint32_t)(r->next >> 32);
        r->block[2] = (uint32_t)r->stream;
        r->block[3] = (uint32_t)(r->stream >> 32);
        clm_random_block(r->block, r->key);
        r->next++;
        r->left = 4;
    }
    return r->block[4 - r->left--];
}

uint64_t clm_random_u64(clm_random *r) {
    uint64_t low = clm_random_u32(r);
    return low | (uint64_t)clm_random_u32(r) << 32;
}

/* Rejects the few words that would make some remainders likelier than others. */
uint32_t clm_random_below(clm_random *r, uint32_t n) {
    if (n < 2) return 0;
    uint32_t reject = (uint32_t)(-n) % n; /* 2^32 mod n */
    uint32_t word;
    do word = clm_random_u32(r);
    while (word < reject);
    return word % n;
}

double clm_random_uniform(clm_random *r) { return (double)(clm_random_u64(r) >> 11) * 0x1p-53; }

/* log x for x in (0, 1]: x = m 2^e with m in [sqrt 1/2, sqrt 2), log m = 2 artanh s, s = (m-1)/(m+1), |s| < 0.172. */
static double log_unit(double x) {
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752) {
        m *= 2.0;
        e--;
    }
    double s = (m - 1.0) / (m + 1.0), s2 = s * s, sum = 0.0;
    for (int k = 25; k >= 1; k -= 2) sum = sum * s2 + 1.0 / k;
    return 2.0 * s * sum + e * 0.69314718055994531;
}

/* cos 2 pi v for v in [0, 1): v = q/4 + t exactly, |t| <= 1/8, then Taylor series of cosine and sine at a = 2 pi t. */
static double cos_turn(double v) {
    int q = (int)(4.0 * v + 0.5);
    double a = 6.2831853071795865 * (v - 0.25 * q), a2 = a * a, c = 1.0, s = 1.0;
    for (int k = 18; k >= 2; k -= 2) {
        c = 1.0 - c * a2 / (k * (k - 1));
        s = 1.0 - s * a2 / (k * (k + 1));
    }
    s *= a;
    switch (q & 3) {
    case 0: return c;
    case 1: return -s;
    case 2: return -c;
    default: return s;
    }
}

double clm_random_normal(clm_random *r) {
    double u = 1.0 - clm_random_uniform(r), v = clm_random_uniform(r); /* u in (0, 1] */
    return sqrt(-2.0 * log_unit(u)) * cos_turn(v);
}

void clm_random_shuffle(clm_random *r, uint32_t *items, uint32_t n) {
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = clm_random_below(r, i), item = items[j];
        items[j] = items[i - 1];
        items[i - 1] = item;
    }
}
