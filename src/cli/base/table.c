/* See table.h. */
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/system.h"

/* Columns of UTF-8: a byte that goes on with a character takes none. */
static int columns(const char *text) {
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

bool cli_table_fits(const cli_table *t, FILE *to) {
    int width = 0;
    for (size_t i = 0; i < t->count; i++) width += abs(t->column[i].width) + (i ? t->gap : 0);
    return !cli_is_terminal(to) || width < cli_terminal_width(to);
}

void cli_table_widen(cli_table *t, size_t column, const char *cell) {
    cli_column *c = &t->column[column];
    const int n = columns(cell);
    if (n > abs(c->width)) c->width = c->width < 0 ? -n : n;
}

/* No line ends with a blank. */
static void put_table_row(const cli_table *t, FILE *to, const char *const *cells) {
    int blanks = 0;
    for (size_t i = 0; i < t->count; i++) {
        const int padding = abs(t->column[i].width) - columns(cells[i]), rest = padding > 0 ? padding : 0;
        const bool left = t->column[i].width < 0;
        if (!left) blanks += rest;
        if (cells[i][0]) {
            fprintf(to, "%*s%s", blanks, "", cells[i]);
            blanks = 0;
        }
        blanks += (left ? rest : 0) + t->gap;
    }
    fputc('\n', to);
}

static void put_list(const cli_table *t, FILE *to, const char *const *cells) {
    const char *between = "  ";
    FILE *lines = cli_lines_begin(to);
    fprintf(lines, "%s", cells[0]);
    for (size_t i = 1; i < t->count; i++) {
        const char *head = t->column[i].head;
        if (!cells[i][0] || strcmp(cells[i], "-") == 0) continue;
        fprintf(lines, "%s%s%s%s", between, head, *head ? " " : "", cells[i]);
        between = ", ";
    }
    fputc('\n', lines);
    cli_lines_end(lines, to);
}

void cli_table_head(const cli_table *t, FILE *to) {
    const char *heads[CLI_COLUMNS_MOST];
    for (size_t i = 0; i < t->count; i++) heads[i] = t->column[i].head;
    if (cli_table_fits(t, to)) put_table_row(t, to, heads);
}

void cli_table_row(const cli_table *t, FILE *to, const char *const *cells) {
    if (cli_table_fits(t, to))
        put_table_row(t, to, cells);
    else
        put_list(t, to, cells);
}
