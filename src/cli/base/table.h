/* Tables whose rows come one by one. On a terminal that is too narrow for the columns a row becomes a list: its first cell, then "head
 * value" of the others, wrapped below one another. Elsewhere a table is a table, whatever its width. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdio.h>

#include "base/common.h"

enum { CLI_COLUMNS_MOST = 16 };

typedef struct cli_column {
    const char *head;
    int width; /* below 0: to the left */
} cli_column;

typedef struct cli_table {
    cli_column column[CLI_COLUMNS_MOST];
    size_t count;
    int gap; /* blanks between columns */
} cli_table;

/* Is it a table where it is printed? */
bool cli_table_fits(const cli_table *table, FILE *to);
/* The line of heads, of a table that fits. */
void cli_table_head(const cli_table *table, FILE *to);
/* In a list cells that are "" or "-" are left out. */
void cli_table_row(const cli_table *table, FILE *to, const char *const *cells);
/* Makes the column as wide as this. */
void cli_table_widen(cli_table *table, size_t column, const char *cell);

#endif
