/* Lines for people. On a terminal a long one is broken between words, its further lines below its text; elsewhere a line stays
 * one line, whatever its length. */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdio.h>

#include "base/common.h"

/* Text from `column` on, wrapped to `width` columns, its further lines indented by `indent`; '\n' begins one. A word that is too
 * long for a line is broken after a '|', if there is one, and else left whole. No line ends with a blank. Returns the column
 * that it ends at; no end of line is written. */
int cli_wrap(FILE *to, const char *text, int column, int indent, int width);

/* Lines with an end each, as printf. Further lines stand below the text behind the first wide gap, else two blanks further in. */
void cli_line(FILE *to, const char *format, ...) CLI_PRINTF(2, 3);
/* The beginning of a line to which at most `room` columns will be added. */
void cli_line_begin(FILE *to, int room, const char *format, ...) CLI_PRINTF(3, 4);

/* For writers that put lines together piece by piece: a file to write to, whose lines cli_lines_end prints as cli_line does. It is
 * `to` itself where nothing is to be wrapped. */
FILE *cli_lines_begin(FILE *to);
void cli_lines_end(FILE *lines, FILE *to);

#endif
