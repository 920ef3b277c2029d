/* Decoding of many pictures by threads. */
#ifndef CLM_DATA_DECODE_H
#define CLM_DATA_DECODE_H

#include "data/image.h"

typedef struct clm_decoding {
    size_t count;
    const char *origin; /* for messages */
    /* The bytes of a picture, to be freed with free(). One call at a time where `alone`, else from several threads at once. */
    clm_status (*read)(void *context, size_t index, char **data, size_t *size);
    char *(*name)(void *context, size_t index); /* what messages call it; NULL with CLM_E_MEMORY recorded. Free with free() */
    void *context;
    bool alone;
    /* A picture that cannot be had is told, one call at a time, with the reason, and passed over; NULL: the first one is an error. */
    clm_status (*lost)(void *context, size_t index, clm_status status, const char *why);
    clm_preparation preparation;
    uint8_t paper;
    int threads;                                                /* 0: one a core, at most 16 */
    bool (*progress)(void *context, size_t done, size_t total); /* may be NULL; false stops */
    void *progress_context;
} clm_decoding;

/* Pictures 0 .. count-1 into out [count][channels][size][size]; *coloured: how many are not grey. Without `lost`, the first picture
 * at fault is the one that is named, however many threads there are. */
clm_status clm_decode(const clm_decoding *decoding, uint8_t *out, size_t *coloured);

#endif
