/* The writers of single pages, and what they share. A writer need not look at errors of the file: pages.c does at its end. */
#ifndef CLI_PAGES_PARTS_H
#define CLI_PAGES_PARTS_H

#include <stdio.h>

#include "pages/pages.h"

void cli_man_program(FILE *file, const cli_pages *pages);
void cli_man_command(FILE *file, const cli_pages *pages, const cli_command *command);
void cli_bash_write(FILE *file, const cli_pages *pages);
void cli_zsh_write(FILE *file, const cli_pages *pages);
void cli_fish_write(FILE *file, const cli_pages *pages);

enum { CLI_VALUES_MAX = 2048 };

/* The values to choose from, with blanks between them; "" for an option of another kind. */
void cli_option_values(const cli_option *option, char *text, size_t size);
/* Is the value a file or a directory? */
bool cli_option_is_path(const cli_option *option);
/* The subjects that are words, as `sine`, not names to be filled in, as FOLDER. */
void cli_command_subjects(const cli_command *command, char *text, size_t size);

#endif
