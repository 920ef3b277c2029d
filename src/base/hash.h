/* 64-bit FNV-1a with a final avalanche: for hash tables and cache keys, not for secrets. */
#ifndef CLM_BASE_HASH_H
#define CLM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define CLM_HASH_SEED UINT64_C(0xcbf29ce484222325)
uint64_t clm_hash(uint64_t seed, const void *data, size_t size);
/* Another one, by words of eight bytes: as fast as the memory. What changes in one word alone always changes the hash. */
uint64_t clm_hash_words(uint64_t seed, const void *data, size_t size);
uint64_t clm_hash_text(uint64_t seed, const char *text);

#endif
