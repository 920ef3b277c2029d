/* Lists of names that the user chooses from: what there is, which one was meant, what --help says. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include <stddef.h>

/* A list that is kept elsewhere, at most CLI_MAX_NAMES long. */
typedef struct cli_names {
    size_t (*count)(void);
    const char *(*name)(size_t i);
    const char *(*summary)(size_t i); /* what --help says of it; NULL: the names speak for themselves */
    const char *listed_by; /* the command that lists them where they are too many for --help and messages, else NULL */
} cli_names;

enum { CLI_MAX_NAMES = 64 };

/* Index of a name; -1 when there is none. */
int cli_names_find(const cli_names *names, const char *name);
/* "sine, glyphs, omniglot", with `between` between two of them. */
void cli_names_join(const cli_names *names, const char *between, char *text, size_t size);
/* The name that was probably meant, or NULL. */
const char *cli_names_nearest(const cli_names *names, const char *word);

#endif
