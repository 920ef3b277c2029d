/* The writers of single pages, and what they share. A writer need not look at errors of the file: pages.c does at its end. */
#ifndef CLI_PAGES_PARTS_H
#define CLI_PAGES_PARTS_H

#include <stdio.h>

#include "pages/pages.h"

void cli_man_program(FILE *file, const cli_pages *pages);
void cli_man_command(FILE *file, const cli_pages *pages, const cli_command *command);
void cli_man_topic(FILE *file, const cli_pages *pages, const cli_topic *topic);
void cli_bash_write(FILE *file, const cli_pages *pages);
void cli_zsh_write(FILE *file, const cli_pages *pages);
void cli_fish_write(FILE *file, const cli_pages *pages);

enum { CLI_VALUES_MAX = 2048 };

typedef enum cli_value_kind { CLI_VALUE_WORD, CLI_VALUE_FILE, CLI_VALUE_DIRECTORY, CLI_VALUE_DEVICE } cli_value_kind;

/* What the value of an option is, by its placeholder. */
cli_value_kind cli_option_value_kind(const cli_option *option);
/* The words to choose from, with blanks between them; "" where there are none. */
void cli_option_values(const cli_option *option, char *text, size_t size);
/* The subjects, or other words that the command's first argument may be, as `sine`, not names to be filled in, as FOLDER. */
void cli_command_subjects(const cli_command *command, char *text, size_t size);
/* Is there a command of this name? */
bool cli_pages_has_command(const cli_pages *pages, const char *name);

#endif
