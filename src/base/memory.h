/* Host memory: zeroed allocation with a clear error, growing arrays. */
#ifndef CLM_BASE_MEMORY_H
#define CLM_BASE_MEMORY_H

#include <stddef.h>

#include "base/error.h"

/* count * size zeroed bytes; NULL with CLM_E_MEMORY recorded when there is none. Free with free(). */
void *clm_calloc(size_t count, size_t size);
/* Grows *array (elements of `size` bytes) so that `need` fit; the new part is zeroed. */
clm_status clm_grow(void *array, size_t *capacity, size_t need, size_t size);
/* Asks the system for large pages behind memory that nobody has touched yet. It may not have them; nothing else changes
 * then. */
void clm_prefer_large_pages(void *memory, size_t size);
char *clm_strdup(const char *text);
/* printf into a fresh string; NULL with CLM_E_MEMORY recorded. */
char *clm_format(const char *format, ...) CLM_PRINTF(1, 2);

/* A growing text. After an allocation failure `failed` stays set and appends do nothing. */
typedef struct clm_text {
    char *data;
    size_t length, capacity;
    int failed;
} clm_text;
void clm_text_add(clm_text *text, const char *format, ...) CLM_PRINTF(2, 3);
void clm_text_join(clm_text *text, const clm_text *part); /* appends a part; one that failed fails the whole */
void clm_text_free(clm_text *text);

#endif
