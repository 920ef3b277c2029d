/* Child processes that answer line by line, and what a process has used. */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include "base/common.h"

typedef struct cli_process cli_process;

/* Starts argv[0] (looked up in PATH; ends with NULL) with lines "NAME=VALUE" of `environment` (may be NULL; ends with NULL) put before
 * this process's own. Its stdin and stdout are pipes to here, its stderr is dropped. */
clm_status cli_process_start(cli_process **out, const char *const *argv, const char *const *environment);
clm_status cli_process_send(cli_process *child, const char *line);
/* One line, without its end. CLM_E_IO when the child has ended, or says nothing for so many seconds. */
clm_status cli_process_receive(cli_process *child, double seconds, char *line, size_t size);
/* Closes the pipes, waits for the end, and brings it about after two seconds. NULL is allowed. */
void cli_process_end(cli_process *child);

/* The path of this program, for children of its own kind. */
void cli_program_path(char *path, size_t size);

double cli_thread_seconds(void); /* processor time of the calling thread */
double cli_peak_memory(void);    /* bytes this process has had resident at most */
int cli_processors(void);        /* that may be used */

/* A symbol of the first of the shared libraries (ends with NULL) that opens, left open; NULL when there is none. *which (may be NULL):
 * the library's index. */
void *cli_library_symbol(const char *const *libraries, const char *symbol, int *which);

#endif
