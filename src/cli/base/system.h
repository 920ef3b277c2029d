/* What the program asks of the operating system beyond C11: signals, the terminal, directories, a child process. */
#ifndef CLI_SYSTEM_H
#define CLI_SYSTEM_H

#include <stdio.h>

#include "base/common.h"

/* First of all: descriptors 0 to 2 that are closed are opened on /dev/null, so that no file of ours becomes one of them, and a
 * file that grows too large is an error rather than the end. */
void cli_streams_secure(void);
/* While it is on, what is written to stdout goes to stderr: drivers print there. Calls nest. */
void cli_stdout_guard(bool on);
/* Prints to the real stdout, guarded or not. */
void cli_stdout_print(const char *text);
/* At the very end: an error if anything that was printed did not come through, now or before. */
clm_status cli_stdout_end(void);

/* From now on SIGINT, SIGTERM and SIGHUP (of a closed terminal; under nohup it stays ignored) only set a flag, and the first says
 * `told` on stderr (NULL: nothing), which is to live on; the same again, half a second later or more, ends the program at once. */
void cli_signals_catch(const char *told);
/* SIGUSR1 sets it too, from now on. */
void cli_signals_catch_user(void);
/* A pipe that nobody reads any more does not end the program. */
void cli_pipe_outlive(void);
bool cli_stop_requested(void);

double cli_clock(void); /* seconds, monotonic */
bool cli_is_terminal(FILE *stream);
bool cli_can_redraw(FILE *stream);    /* a terminal on which a line can be drawn over */
int cli_terminal_width(FILE *stream); /* columns: COLUMNS, else those of the window; 80 when unknown */

bool cli_path_exists(const char *path);
bool cli_path_is_denied(const char *path); /* a folder on the way may not be searched */
/* A path that is there becomes absolute, without links; others stay. `path` has CLI_PATH_MAX bytes. */
void cli_path_make_absolute(char *path);
bool cli_is_directory(const char *path);
bool cli_is_regular_file(const char *path);
bool cli_is_link(const char *path);                  /* symbolic */
bool cli_is_same_file(const char *a, const char *b); /* both are there, and one, by whatever names */
/* Makes a directory and the missing ones above it. */
clm_status cli_directory_make(const char *path);
/* Makes a directory whose parent is there, for this process alone: not *claimed when something has the name already. */
clm_status cli_directory_claim(const char *path, bool *claimed);
void cli_file_remove(const char *path); /* if it is there */
/* Removes a directory if it is empty. */
void cli_directory_give_up(const char *path);
/* Calls visit for every name in a directory, in no order. */
clm_status cli_directory_visit(const char *path, void (*visit)(void *user, const char *name), void *user);
/* Replaces a file in one piece: temporary name, sync, rename. */
clm_status cli_file_write(const char *path, const char *text, size_t size);
/* Whole file, 0-terminated; free(). */
clm_status cli_file_read(const char *path, char **text);

/* This program in a process of its own, which may crash or hang without taking this one along. */
typedef struct cli_child {
    const char *const *arguments; /* after the program's name; the last is NULL */
    const char *vendors;          /* OCL_ICD_VENDORS for the child; NULL: as here */
    double patience;              /* seconds without a line after which it counts as hung and is killed; 0: no limit */
    bool quiet;                   /* its stderr is dropped */
    bool apart;                   /* its stderr comes with its stdout, and signals of the terminal do not reach it */
    void (*line)(void *user, const char *line); /* called for every line of its stdout */
    void *user;
} cli_child;

typedef struct cli_child_end {
    bool hung;
    int signal; /* that ended it; 0: it exited */
    int status; /* its exit status */
} cli_child_end;

/* Fails only when no process can be started. */
clm_status cli_child_run(const cli_child *child, cli_child_end *end);

/* The same beside other work. The child, with what it points to, must live as long as what is running. */
typedef struct cli_running cli_running;
clm_status cli_child_start(cli_running **out, const cli_child *child);
/* Passes its lines on until it has ended, for so many seconds at most. */
clm_status cli_child_wait(cli_running *running, double seconds, bool *ended, cli_child_end *end);
/* Asks it to end, by SIGUSR1. */
void cli_child_stop(cli_running *running);
/* Kills it unless it has ended. NULL is allowed. */
void cli_child_free(cli_running *running);
void cli_wait(double seconds);
/* From now on the end of the process that started this one ends it too, where the system knows of that (Linux). */
void cli_end_with_parent(void);
/* Takes a name for this process until it ends, alone or beside others that share it. False: another process has it. Where the file
 * system knows no locks everybody has it. */
clm_status cli_lock_take(const char *path, bool shared, bool *taken);
/* Waits, for so many seconds at most, until no process has the directory for itself (clm_directory_lock): one that was killed may still
 * be ending. */
void cli_directory_await(const char *path, double seconds);
/* Has a process the directory for itself? */
bool cli_directory_is_used(const char *path);
/* Before the first child: the program's name as it was called, for systems that do not say which file they run. */
void cli_child_program(const char *argv0);
/* The directory of this program's file, links followed, into `path` (CLI_PATH_MAX bytes); false where the system does not say. */
bool cli_program_directory(char *path);

/* A directory of our own for the time that the program runs. */
clm_status cli_temporary_directory(char *path, size_t size);
void cli_remove_tree(const char *path);
void cli_environment_set(const char *name, const char *value); /* NULL: unset */
/* The same where the user has not set it. */
void cli_environment_default(const char *name, const char *value);
/* Whether a shared library loads; otherwise why not. */
bool cli_library_loads(const char *name, char *why, size_t size);
/* Ends this process then, whatever it is doing: a child whose parent was killed is not to hang for ever. */
void cli_limit_lifetime(double seconds);
/* "Linux 6.1.0 x86_64" */
cli_text cli_system_name(void);

/* Calls visit for every environment variable NAME=VALUE whose name starts with `prefix`. */
void cli_environment_visit(const char *prefix, void (*visit)(void *user, const char *entry), void *user);

#endif
