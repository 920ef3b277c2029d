/* From files to prepared pictures: decoded by threads, or taken from the cache of an earlier time. */
#ifndef CLM_DATA_PREPARE_H
#define CLM_DATA_PREPARE_H

#include "data/catalog.h"
#include "data/image.h"
#include "data/store.h"

/* Pictures in one piece of memory, which begins with a header so that it is what the cache holds. */
typedef struct clm_prepared {
    clm_store store; /* free with clm_store_free */
    uint8_t *pixels; /* [images][channels][size][size], inside it */
    int channels;
    size_t coloured; /* pictures that are not grey */
} clm_prepared;

/* All pictures of the catalog, in its order. channels: 1, 3, or 0 for 3 if any is in colour. */
clm_status clm_prepare_pictures(clm_prepared *out, const clm_catalog *catalog, const clm_folder_options *options);

/* The cache: an entry is named by a hash of the pictures (path, size, time) and of what is made of them. */
uint64_t clm_prepared_key(const clm_catalog *catalog, const clm_folder_options *options);
/* False when there is none that is whole. */
bool clm_prepared_load(clm_prepared *out, uint64_t key, size_t images, int size);
/* Failures are silent: the log has them. What lies in a file of the cache directory becomes the entry. */
void clm_prepared_store(clm_prepared *prepared, uint64_t key, size_t images, int size);

enum { CLM_PREPARED_HEADER = 64 }; /* bytes before the pixels */

#endif
