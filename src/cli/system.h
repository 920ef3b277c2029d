/* What the program asks of the operating system beyond C11: signals, the terminal, directories, a child process. */
#ifndef CLI_SYSTEM_H
#define CLI_SYSTEM_H

#include <stdio.h>

#include "common.h"

/* From now on SIGINT and SIGTERM only set a flag; a second one ends the program at once. */
void cli_signals_catch(void);
bool cli_stop_requested(void);

double cli_clock(void); /* seconds, monotonic */
bool cli_is_terminal(FILE *stream);
int cli_terminal_width(FILE *stream); /* columns; 80 when unknown */

bool cli_path_exists(const char *path);
bool cli_is_directory(const char *path);
bool cli_directory_has_entries(const char *path);
/* Makes a directory and the missing ones above it. */
clm_status cli_directory_make(const char *path);
/* Calls visit for every name in a directory, in no order. */
clm_status cli_directory_visit(const char *path, void (*visit)(void *user, const char *name), void *user);
/* Replaces a file in one piece: temporary name, sync, rename. */
clm_status cli_file_write(const char *path, const char *text, size_t size);
/* Whole file, 0-terminated; free(). */
clm_status cli_file_read(const char *path, char **text);

/* Runs `work` in a child process: its return value (0..125), or 128 + the number of the signal that ended it. The child's stdout
 * and stderr are dropped. */
clm_status cli_run_in_child(int (*work)(const void *user), const void *user, int *result);

/* Calls visit for every environment variable NAME=VALUE whose name starts with `prefix`. */
void cli_environment_visit(const char *prefix, void (*visit)(void *user, const char *entry), void *user);

#endif
