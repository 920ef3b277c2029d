/* The ranks that this process is one of, when a launcher such as mpirun has started it. Of all but rank 0 nothing is heard but why it
 * fails. The library of MPI's communicators is loaded then, and only then. */
#ifndef CLI_RANKS_H
#define CLI_RANKS_H

#include "base/common.h"

/* Before cli_ranks_open: the command line, of which the others must have the same. It is kept as it is. */
void cli_ranks_remember(int argc, char **argv);
/* Collective. Comes together with the others, which must be of this version and have the same command line; does nothing where no launcher is
 * to be seen. SIGUSR1 stops like SIGTERM from now on. */
clm_status cli_ranks_open(const char *command);
/* For a command that is not shared out: refused where a launcher has started several. `what`: "train navigation". */
clm_status cli_ranks_refuse(const char *what);
/* Before that: this process is alone, whatever launcher has started the one that started it. */
void cli_ranks_stay_alone(void);
/* Collective, unless this rank fails alone: then it says why and ends all. Returns the exit status. */
int cli_ranks_close(int exit_status);

clm_comm *cli_ranks(void); /* NULL: alone */
bool cli_ranks_lead(void); /* rank 0, or alone */

/* Collective. What rank 0 has in `data` becomes that of all, if its status is CLM_OK; all return that status. */
clm_status cli_ranks_follow(clm_status status, void *data, size_t bytes);
/* Collective: waits for all. */
clm_status cli_ranks_meet(void);

/* The devices of this rank. Of a list, consecutive ones where it has enough for the ranks of this host, else one by turns; without
 * a list (`spec` and CLMAML_DEVICE empty) the ranks of a host take its devices of the best type by turns. `text` has CLI_PATH_MAX
 * bytes. NULL: the default. */
clm_status cli_ranks_device(const char *spec, char *text, const char **out);

/* Are there devices of different names or drivers among these? */
bool cli_ranks_are_mixed(clm_device *const *devices, size_t n);
/* Collective. Says on rank 0 what it means where the ranks' devices are not all of one name and driver. */
clm_status cli_ranks_note_mixed(clm_device *const *devices, size_t n);

#endif
