/* Man pages and the completion of shells, written from the commands and their tables of options when the program is built. */
#ifndef CLI_PAGES_H
#define CLI_PAGES_H

#include "base/topics.h"

typedef struct cli_pages {
    const cli_command *const *commands;
    size_t count;
    const cli_topics *topics;
    const char *date; /* of the man pages, YYYY-MM-DD */
} cli_pages;

/* Writes man1/clmaml.1, man1/clmaml-COMMAND.1, man7/clmaml-TOPIC.7 of topics that are no commands, clmaml.bash, _clmaml (zsh) and clmaml.fish into a directory, which is made. */
clm_status cli_pages_write(const cli_pages *pages, const char *directory);

#endif
