/* Lines for people, wrapped on terminals. */
#include "base/lines.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

enum { LONGEST_LINE = 8192, HANGING = 2 };

/* Columns of UTF-8: a byte that goes on with a character takes none. */
static int columns(const char *text, size_t bytes) {
    int n = 0;
    for (size_t i = 0; i < bytes; i++) n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

/* How much of a word goes on this line: all of it, or what ends with the last '|' that fits, if a whole line is too short. */
static size_t part_of_word(const char *word, size_t bytes, int column, int indent, int width) {
    size_t fits = 0;
    if (columns(word, bytes) < width - indent) return bytes;
    for (size_t i = 1; i < bytes; i++)
        if (word[i - 1] == '|' && column + columns(word, i) < width) fits = i;
    return fits ? fits : bytes;
}

/* Bytes of what a command that is to be pasted has in quotes; 0: the text begins with none. */
static size_t quoted_length(const char *text) {
    const size_t line = strcspn(text, "\n");
    for (size_t n = 1; *text == '\'' && n < line; n++)
        if (text[n] == '\'' && strcspn(text + n + 1, " \n;,:)?") == 0) return n + 1 + strcspn(text + n + 1, " \n");
    return 0;
}

/* Bytes up to a blank or the end of a line; a number keeps its "%". */
static size_t word_length(const char *text) {
    size_t n = quoted_length(text);
    if (!n) n = strcspn(text, " \n");
    if (n && text[n] == ' ' && text[n + 1] == '%') n += 1 + strcspn(text + n + 1, " \n");
    return n;
}

/* Where a new line begins: at the indent, or as far left of it as a word needs that is too long there and stays whole. */
static int begin_of_line(const char *word, int indent, int width) {
    const size_t bytes = word_length(word);
    const int need = columns(word, bytes), room = width - 1 - need;
    if (need < width - indent || memchr(word, '|', bytes)) return indent;
    return room > 0 ? room : 0;
}

int cli_wrap(FILE *to, const char *text, int column, int indent, int width) {
    int blanks = 0; /* before the next word */
    bool begun = column > indent;
    while (*text) {
        const size_t word = word_length(text);
        const bool fits = column + blanks + columns(text, word) < width,
                   moves = begun && begin_of_line(text, indent, width) < column + blanks;
        if (*text == '\n' || (word && moves && !fits)) {
            size_t part = *text == '\n' ? 0 : part_of_word(text, word, column + blanks, indent, width);
            if (part && part < word && column + blanks + columns(text, part) < width) {
                fprintf(to, "%*s%.*s", blanks, "", (int)part, text);
                text += part;
            }
            text += *text == '\n';
            column = begin_of_line(text, indent, width);
            fprintf(to, "\n%*s", column, "");
            blanks = 0;
            begun = false;
        } else if (word) {
            const size_t part = part_of_word(text, word, column + blanks, indent, width);
            fprintf(to, "%*s%.*s", blanks, "", (int)part, text);
            column += blanks + columns(text, part);
            blanks = 0;
            text += part;
            begun = true;
        } else {
            blanks++;
            text++;
        }
    }
    return column;
}

/* Where further lines begin: below what follows the first gap of two blanks or more, as in "  data        glyphs". */
static int hanging_indent(const char *line, int width) {
    const size_t lead = strspn(line, " "), length = strlen(line);
    const char *gap = strstr(line + lead, "  ");
    const size_t text = gap ? (size_t)(gap - line) + strspn(gap, " ") : length;
    if (text < length && columns(line, text) <= width / 2) return columns(line, text);
    return (int)lead + HANGING < width / 2 ? (int)lead + HANGING : 0;
}

/* A row of a table that is too long for a line: its columns move together where the first of them leaves little room, or where the row
 * then is one line. `to` has room for the line. */
static const char *move_together(const char *line, char *to, int width) {
    enum { GAP = 2 };
    const size_t lead = strspn(line, " ");
    size_t n = lead, gaps = 0;
    const char *gap = strstr(line + lead, "  ");
    if (columns(line, strlen(line)) < width || !gap) return line;
    const int text = columns(line, (size_t)(gap - line) + strspn(gap, " "));
    memcpy(to, line, lead);
    for (const char *at = line + lead; *at; at++) {
        const size_t blanks = strspn(at, " ");
        if (blanks > GAP) {
            at += blanks - GAP;
            gaps++;
        }
        to[n++] = *at;
    }
    to[n] = 0;
    return text > width / 2 || (gaps > 1 && columns(to, n) < width) ? to : line;
}

static void put_line(FILE *to, const char *given, int width) {
    char room[LONGEST_LINE];
    const char *line = strlen(given) < sizeof room ? move_together(given, room, width) : given;
    const int lead = (int)strspn(line, " ");
    fprintf(to, "%*s", lead, "");
    cli_wrap(to, line + lead, lead, hanging_indent(line, width), width);
}

/* All lines of the text; the last one may lack its end. */
static void put_lines(FILE *to, char *text, int width) {
    for (char *next; *text; text = next) {
        const size_t length = strcspn(text, "\n");
        const bool ends = text[length] == '\n';
        next = text + length + ends;
        text[length] = 0;
        put_line(to, text, width);
        if (ends) fputc('\n', to);
    }
}

static void put_formatted(FILE *to, int room, const char *format, va_list args) {
    char text[LONGEST_LINE];
    if (!cli_is_terminal(to)) {
        vfprintf(to, format, args);
        return;
    }
    vsnprintf(text, sizeof text, format, args);
    const int width = cli_terminal_width(to);
    put_lines(to, text, width > 2 * room ? width - room : width);
}

void cli_line(FILE *to, const char *format, ...) {
    va_list args;
    va_start(args, format);
    put_formatted(to, 0, format, args);
    va_end(args);
}

void cli_line_begin(FILE *to, int room, const char *format, ...) {
    va_list args;
    va_start(args, format);
    put_formatted(to, room, format, args);
    va_end(args);
}

FILE *cli_lines_begin(FILE *to) {
    FILE *lines = cli_is_terminal(to) ? tmpfile() : NULL;
    return lines ? lines : to;
}

void cli_lines_end(FILE *lines, FILE *to) {
    char text[LONGEST_LINE];
    if (lines == to) return;
    rewind(lines);
    while (fgets(text, sizeof text, lines)) put_lines(to, text, cli_terminal_width(to));
    fclose(lines);
}
