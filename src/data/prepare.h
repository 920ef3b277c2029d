/* From files to prepared pictures: decoded by threads, or taken from the cache of an earlier time. */
#ifndef CLM_DATA_PREPARE_H
#define CLM_DATA_PREPARE_H

#include <stdbool.h>

#include "data/catalog.h"
#include "data/image.h"
#include "data/store.h"

/* Pictures in one piece of memory, which begins with a header so that it is what the cache holds. */
typedef struct clm_prepared {
    clm_store store;
    uint8_t *pixels; /* [images][channels][size][size], inside it */
    int channels;
    size_t coloured; /* pictures that are not grey */
    size_t images;
    char **lost; /* [pictures of the catalog]: why one is not among the images; NULL of those that are; NULL: all are */
    size_t n_listed;
    bool passing;      /* a reason may not be there the next time */
    uint64_t checksum; /* clm_hash_words of the pixels; 0: not known */
} clm_prepared;

void clm_prepared_free(clm_prepared *prepared);
/* `why`, which is copied, is the reason why picture `index` of so many is not among the images. */
clm_status clm_prepared_lose(clm_prepared *prepared, size_t index, size_t of, const char *why);

/* All pictures of the catalog that can be had, in its order. channels: 1, 3, or 0 for 3 if any is in colour. */
clm_status clm_prepare_pictures(clm_prepared *out, const clm_catalog *catalog, const clm_folder_options *options);

/* The cache: an entry is named by a hash of the pictures (path, size, time) and of what is made of them. */
uint64_t clm_prepared_key(const clm_catalog *catalog, const clm_folder_options *options);
/* False when there is none that is whole. */
bool clm_prepared_load(clm_prepared *out, uint64_t key, size_t pictures, int size);
/* Failures are silent: the log has them. What lies in a file of the cache directory becomes the entry. */
void clm_prepared_store(clm_prepared *prepared, uint64_t key, int size);

enum { CLM_PREPARED_HEADER = 64 }; /* bytes before the pixels */

#endif
