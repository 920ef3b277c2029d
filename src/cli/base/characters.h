/* Characters of UTF-8, and which of them can be shown. */
#ifndef CLI_BASE_CHARACTERS_H
#define CLI_BASE_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character that begins a text, which is not empty. *shown: it is no control character, does not turn the direction of
 * writing, and ends no line. Of what is not UTF-8 it is one byte, which is not shown. */
size_t cli_character(const char *text, bool *shown);

unsigned cli_character_code(const char *text, size_t bytes);

/* '?' for each byte of what is not shown. In place; the length stays. */
void cli_make_printable(char *text);

#endif
