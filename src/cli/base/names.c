/* Lists of names that are kept elsewhere. */
#include "base/names.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <clmaml/status.h>

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
    return clm_nearest_word(word, words, count);
}
