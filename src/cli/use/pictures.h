/* The pictures that a command line names. */
#ifndef CLI_PICTURES_H
#define CLI_PICTURES_H

#include "base/common.h"

typedef struct cli_pictures {
    char **path;
    bool *asked; /* named itself, rather than found in a folder */
    size_t count, capacity;
    size_t failed; /* names that stand for no file */
} cli_pictures;

/* Files as they are named, and all files below folders in order of their names, hidden ones left out. Of several names those that
 * stand for none are said on stderr and counted; a failure is when nothing is left. */
clm_status cli_pictures_list(cli_pictures *pictures, const char *const *names, size_t n);
void cli_pictures_free(cli_pictures *pictures);

#endif
