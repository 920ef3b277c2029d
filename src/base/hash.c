/* FNV-1a over bytes, then an avalanche (the finaliser of MurmurHash3), so that low bits depend on all input. A result may be
 * the seed of the next call. */
#include "base/hash.h"

#include <string.h>

uint64_t clm_hash(uint64_t seed, const void *data, size_t size) {
    const unsigned char *bytes = data;
    uint64_t h = seed;
    for (size_t i = 0; i < size; i++) h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    h = (h ^ (h >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ (h >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ (h >> 33);
}

/* Little-endian; compilers make one load of it. */
static uint64_t word_at(const unsigned char *b) {
    const uint32_t low = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24,
                   high = b[4] | (uint32_t)b[5] << 8 | (uint32_t)b[6] << 16 | (uint32_t)b[7] << 24;
    return low | (uint64_t)high << 32;
}

uint64_t clm_hash_words(uint64_t seed, const void *data, size_t size) {
    const unsigned char *bytes = data;
    uint64_t h = seed;
    size_t i = 0;
    for (; i + sizeof h <= size; i += sizeof h) {
        h = (h ^ word_at(bytes + i)) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return clm_hash(h, bytes + i, size - i);
}

/* The terminating zero is hashed too: "a", "bc" and "ab", "c" differ. */
uint64_t clm_hash_text(uint64_t seed, const char *text) { return clm_hash(seed, text, strlen(text) + 1); }
