/* An open-addressing table over an array of texts. Invariant: at most half of the slots are taken. */
#include "data/words.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/number.h"

void clm_words_free(clm_words *w) {
    for (size_t i = 0; i < w->count; i++) free(w->word[i]);
    free(w->word);
    free(w->slots);
    *w = (clm_words){0};
}

/* The slot that holds the text, or the free one where it belongs. */
static size_t slot_of(const clm_words *w, const char *text) {
    size_t at = (size_t)clm_hash_text(CLM_HASH_SEED, text) & (w->n_slots - 1);
    while (w->slots[at] && strcmp(w->word[w->slots[at] - 1], text) != 0) at = (at + 1) & (w->n_slots - 1);
    return at;
}

static clm_status make_room(clm_words *w) {
    if (2 * (w->count + 1) <= w->n_slots) return CLM_OK;
    const size_t wanted = w->n_slots ? 2 * w->n_slots : 16;
    uint32_t *slots = clm_calloc(wanted, sizeof *slots);
    if (!slots) return CLM_E_MEMORY;
    free(w->slots);
    w->slots = slots;
    w->n_slots = wanted;
    for (size_t i = 0; i < w->count; i++) slots[slot_of(w, w->word[i])] = (uint32_t)i + 1;
    return CLM_OK;
}

clm_status clm_words_add(clm_words *w, const char *text, uint32_t *number) {
    CLM_TRY(make_room(w));
    const size_t at = slot_of(w, text);
    if (!w->slots[at]) {
        if (w->count >= INT32_MAX) return clm_fail(CLM_E_LIMIT, "more than 2^31 different values");
        CLM_TRY(clm_grow(&w->word, &w->capacity, w->count + 1, sizeof *w->word));
        if (!(w->word[w->count] = clm_strdup(text))) return CLM_E_MEMORY;
        w->slots[at] = (uint32_t)++w->count;
    }
    *number = w->slots[at] - 1;
    return CLM_OK;
}

/* ---- order ---- */

typedef struct ranked {
    double value;
    const char *word;
    uint32_t number;
} ranked;

static int by_value(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return strcmp(x->word, y->word); /* 1 and 1.0 */
}

clm_status clm_words_rank(const clm_words *w, uint32_t *rank) {
    ranked *all = clm_calloc(w->count ? w->count : 1, sizeof *all);
    bool numbers = true;
    if (!all) return CLM_E_MEMORY;
    for (size_t i = 0; i < w->count; i++) {
        const char *end;
        all[i] = (ranked){clm_number_parse(w->word[i], &end), w->word[i], (uint32_t)i};
        numbers = numbers && end != w->word[i] && !*end;
    }
    for (size_t i = 0; i < w->count && !numbers; i++) all[i].value = 0;
    if (w->count) qsort(all, w->count, sizeof *all, by_value);
    for (size_t i = 0; i < w->count; i++) rank[all[i].number] = (uint32_t)i;
    free(all);
    return CLM_OK;
}
