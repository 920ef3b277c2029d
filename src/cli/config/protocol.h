/* The protocol of a run in words. */
#ifndef CLI_PROTOCOL_H
#define CLI_PROTOCOL_H

#include <stdio.h>

#include "config/settings.h"

/* Which checkpoint is tested: the last where there is no validation, the one that it chose, or the last where that is lost. */
typedef enum cli_choice { CLI_CHOICE_NONE, CLI_CHOICE_MADE, CLI_CHOICE_LOST } cli_choice;

/* What is trained on what and how it is tested, from the settings, and the published figures when they come from a preset.
 * `source`, `model` and `params`, which say which parameters are adapted, may be NULL. */
void cli_protocol_print(FILE *to, const cli_settings *settings, cli_choice choice, const clm_source *source,
                        const clm_model *model, const clm_params *params);

#endif
