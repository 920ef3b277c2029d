/* The parameters that a run begins with. */
#ifndef CLI_INITIAL_H
#define CLI_INITIAL_H

#include "config/settings.h"

/* Drawn from --seed, then those of --init where it is given, with a note on what the file has beside them. A run that goes on
 * from a checkpoint does not need the file any more. */
clm_status cli_initial_params(clm_params *params, const cli_settings *settings);

#endif
