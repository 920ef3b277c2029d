/* The word that was probably meant. */
#include <stdint.h>
#include <string.h>

#include "clmaml/status.h"

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

static char lower(char c) { return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

/* Number of insertions, deletions and replacements between two short words, whose case does not count. */
static size_t edit_distance(const char *a, const char *b) {
    enum { MAX = 40 };
    size_t row[MAX + 1], n = strlen(a), m = strlen(b);
    if (n > MAX || m > MAX) return MAX;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j];
            row[j] = min_size(min_size(row[j - 1], above) + 1, diagonal + (lower(a[i - 1]) != lower(b[j - 1])));
            diagonal = above;
        }
    }
    return row[m];
}

const char *clm_nearest_word(const char *word, const char *const *words, size_t count) {
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(word, words[i]);
        if (strlen(word) >= 4 && strncmp(word, words[i], strlen(word)) == 0) distance = min_size(distance, 1);
        if (distance <= (strlen(words[i]) + 3) / 3 && distance < best_distance) best = words[i], best_distance = distance;
    }
    return best;
}
