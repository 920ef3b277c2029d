/* Characters of UTF-8, and which of them can be shown. */
#ifndef CLM_BASE_CHARACTERS_H
#define CLM_BASE_CHARACTERS_H

#include <stddef.h>

/* Bytes of the character of UTF-8 that begins at `at`; 0: none does. */
size_t clm_character(const char *at, const char *end);

/* Control characters, what turns the direction of writing or ends a line, and bytes that are not UTF-8 become '?', each byte of
 * them: a name in a line that is shown neither ends it nor steers a terminal. In place; the length stays. */
void clm_printable(char *text);

#endif
