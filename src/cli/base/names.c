/* Lists of names, and the name that was probably meant. */
#include "base/names.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

/* Number of insertions, deletions and replacements between two short words. */
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
            row[j] = min_size(min_size(row[j - 1], above) + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[m];
}

const char *cli_nearest(const char *word, const char *const *words, size_t count) {
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(word, words[i]);
        if (strlen(word) >= 4 && strncmp(word, words[i], strlen(word)) == 0) distance = min_size(distance, 1);
        if (distance <= (strlen(words[i]) + 3) / 3 && distance < best_distance) best = words[i], best_distance = distance;
    }
    return best;
}

int cli_names_find(const cli_names *names, const char *name) {
    for (size_t i = 0; i < names->count(); i++)
        if (strcmp(names->name(i), name) == 0) return (int)i;
    return -1;
}

void cli_names_join(const cli_names *names, const char *between, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < names->count() && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? between : "", names->name(i));
}

const char *cli_names_nearest(const cli_names *names, const char *word) {
    const char *words[CLI_MAX_NAMES];
    const size_t count = names->count();
    assert(count <= CLI_MAX_NAMES);
    for (size_t i = 0; i < count; i++) words[i] = names->name(i);
    return cli_nearest(word, words, count);
}
