/* The protocol of a run in words. */
#ifndef CLI_PROTOCOL_H
#define CLI_PROTOCOL_H

#include <stdio.h>

#include "config/settings.h"

/* What is trained on what and how it is tested, from the settings, and the published figures when they come from a preset. `validates`:
 * there are tasks to choose a checkpoint by. `source`, `model` and `params`, which say which parameters are adapted, may be NULL. */
void cli_protocol_print(FILE *to, const cli_settings *settings, bool validates, const clm_source *source,
                        const clm_model *model, const clm_params *params);

#endif
