/* Where prepared examples lie: in memory while they are a small part of it, else in a file of the cache directory that is
 * mapped, so that what is not in use need not be in memory. The bits are the same. */
#ifndef CLM_DATA_STORE_H
#define CLM_DATA_STORE_H

#include <stdbool.h>

#include "base/mapping.h"

/* Begin with {0}. */
typedef struct clm_store {
    uint8_t *data;
    size_t size;
    void *memory;     /* what is freed; NULL: it is mapped */
    clm_mapping file; /* of the store */
} clm_store;

/* Are so many bytes few enough for the memory? A quarter of it. */
clm_status clm_store_fits(uint64_t bytes, bool *fits);

/* `bytes` zero bytes to be written. CLM_E_LIMIT, with nothing recorded but `most`, the bytes that could be had, and `why`
 * ("more than ..", free with free()), when neither memory nor disk holds them. */
clm_status clm_store_make(clm_store *out, uint64_t bytes, uint64_t *most, char **why);

/* All but the first `size` bytes are no longer needed. `data` may move. */
void clm_store_shrink(clm_store *store, size_t size);
/* Its file, if it has one, gets no name: it is gone with the store. */
void clm_store_hide(clm_store *store);
/* The bytes of a file that clm_mapping_publish made of a store, or of one like it. */
clm_status clm_store_read(clm_store *out, const char *path);

void clm_store_free(clm_store *store);

#endif
