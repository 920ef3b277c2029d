/* A trained model in use: classes learned from a folder, pictures told apart. */
#ifndef CLI_USE_H
#define CLI_USE_H

#include "base/common.h"

typedef struct cli_use {
    clm_device *device;
    clm_learner *learner;
    clm_learner_info info;
    clm_source *support; /* NULL: the model was adapted before */
    char **names;        /* of the classes of `support`, in order of name */
    char **listed;       /* the same ones in the order of `support` */
    size_t n_names, examples;
} cli_use;

/* Opens RUN, a checkpoint or an adapted model; the first two learn the classes of the folder `support`. NULL: it must be adapted
 * already. steps: -1 as the run tested with. `wanted`: what to give where the path is another file, as messages name it. */
clm_status cli_use_open(cli_use *use, const char *path, const char *wanted, const char *support, int steps, const char *device,
                        bool force);
/* The checkpoint of a run directory, the best or else the last, or the file itself. */
clm_status cli_use_find(char *path, const char *name);
void cli_use_close(cli_use *use);
/* The name of class i; NULL: it has none. */
const char *cli_use_name(const cli_use *use, size_t i);

#endif
