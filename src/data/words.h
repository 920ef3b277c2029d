/* A set of texts, numbered in the order in which they come: the values of a column of words. */
#ifndef CLM_DATA_WORDS_H
#define CLM_DATA_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Starts as {0}. */
typedef struct clm_words {
    char **word; /* [count] */
    size_t count, capacity;
    uint32_t *slots; /* [n_slots]: number + 1 of a word; 0: free */
    size_t n_slots;
} clm_words;

void clm_words_free(clm_words *words);
/* The number of a text, which joins the set if need be (it is copied). At most 2^31 of them. */
clm_status clm_words_add(clm_words *words, const char *text, uint32_t *number);
/* rank[number] = place of a word among all: by value if all are numbers, else bytewise. `rank` has `count` elements. */
clm_status clm_words_rank(const clm_words *words, uint32_t *rank);

#endif
